//! Sluicegate behind a C ABI: an opaque host, JSON texts in and out, and the engine's own error codes.
//!
//! The header is `include/sluicegate.h`, the texts are those of [`sluicegate::envelope`]. Every function may be called
//! from any thread. No panic crosses the boundary: it becomes the code of `internal`.
#![allow(unsafe_code, reason = "a C ABI is made of raw pointers; each use says why it is sound")]

use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};

use sluicegate::envelope::Host;
use sluicegate::{Error, ErrorKind, Result};

thread_local! {
    static LAST_ERROR: RefCell<CString> = RefCell::default();
}

/// A gateway. Opaque to C.
pub struct SluicegateHost(Host);

/// Text for C. A text of ours never holds a zero byte; if one did, it would end there.
fn text(text: &str) -> CString {
    CString::new(text.split('\0').next().unwrap_or_default()).unwrap_or_default()
}

/// Runs `body`, remembers its error for this thread, and gives the code: 0 is none.
fn guard(body: impl FnOnce() -> Result<()>) -> i32 {
    let outcome = catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|_| {
        Err(Error::new(ErrorKind::Internal, "a defect stopped this call; please report it"))
    });
    match outcome {
        Ok(()) => 0,
        Err(error) => {
            LAST_ERROR.with(|last| *last.borrow_mut() = text(error.message()));
            error.kind().code()
        }
    }
}

fn missing(what: &str) -> Error {
    Error::new(ErrorKind::InvalidRequest, format!("`{what}` is null; pass a pointer"))
}

/// The text behind a pointer of C's.
///
/// # Safety
/// `pointer` is null or points to a text that ends in a zero byte and lives until the call returns.
unsafe fn read<'a>(pointer: *const c_char, what: &str) -> Result<&'a str> {
    if pointer.is_null() {
        return Err(missing(what));
    }
    // SAFETY: the caller of the exported function promises a text that ends in a zero byte.
    let bytes = unsafe { CStr::from_ptr(pointer) };
    bytes
        .to_str()
        .map_err(|_| Error::new(ErrorKind::InvalidRequest, format!("`{what}` isn't UTF-8; send it as UTF-8")))
}

/// Opens a host. The caller owns `*host` and frees it with `sluicegate_free`.
///
/// # Safety
/// `options_json` is a text that ends in a zero byte; `host` is where a pointer may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sluicegate_new(options_json: *const c_char, host: *mut *mut SluicegateHost) -> i32 {
    guard(|| {
        if host.is_null() {
            return Err(missing("host"));
        }
        // SAFETY: `host` isn't null, and the caller promises that a pointer may be written there.
        unsafe { *host = std::ptr::null_mut() };
        // SAFETY: as this function's own contract.
        let opened = Host::open(unsafe { read(options_json, "options_json") }?)?;
        // SAFETY: as above.
        unsafe { *host = Box::into_raw(Box::new(SluicegateHost(opened))) };
        Ok(())
    })
}

/// Handles one whole request of the envelope. The caller owns `*answer` and frees it with `sluicegate_string_free`; it is
/// set whenever there is an answer, also one that tells of an error.
///
/// # Safety
/// `host` came from `sluicegate_new` and isn't freed yet; `request_json` is a text that ends in a zero byte; `answer` is
/// where a pointer may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sluicegate_handle_json(
    host: *const SluicegateHost,
    request_json: *const c_char,
    answer: *mut *mut c_char,
) -> i32 {
    // SAFETY: as this function's own contract.
    unsafe { handle(host, request_json, answer, None) }
}

/// Decides on a call: `ask_json` is what stands behind `decide` in the envelope. The caller owns `*answer` and frees it
/// with `sluicegate_string_free`.
///
/// # Safety
/// As `sluicegate_handle_json`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sluicegate_decide_json(
    host: *const SluicegateHost,
    ask_json: *const c_char,
    answer: *mut *mut c_char,
) -> i32 {
    // SAFETY: as this function's own contract.
    unsafe { handle(host, ask_json, answer, Some("decide")) }
}

/// Reports how an attempt went: `report_json` is what stands behind `report` in the envelope. The caller owns `*answer`
/// and frees it with `sluicegate_string_free`.
///
/// # Safety
/// As `sluicegate_handle_json`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sluicegate_report_json(
    host: *const SluicegateHost,
    report_json: *const c_char,
    answer: *mut *mut c_char,
) -> i32 {
    // SAFETY: as this function's own contract.
    unsafe { handle(host, report_json, answer, Some("report")) }
}

/// Explains a call without reserving anything: `ask_json` is what stands behind `explain` in the envelope. The caller owns
/// `*answer` and frees it with `sluicegate_string_free`.
///
/// # Safety
/// As `sluicegate_handle_json`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sluicegate_explain_json(
    host: *const SluicegateHost,
    ask_json: *const c_char,
    answer: *mut *mut c_char,
) -> i32 {
    // SAFETY: as this function's own contract.
    unsafe { handle(host, ask_json, answer, Some("explain")) }
}

/// # Safety
/// As `sluicegate_handle_json`.
unsafe fn handle(
    host: *const SluicegateHost,
    json: *const c_char,
    answer: *mut *mut c_char,
    verb: Option<&str>,
) -> i32 {
    guard(|| {
        if answer.is_null() {
            return Err(missing("answer"));
        }
        // SAFETY: `answer` isn't null, and the caller promises that a pointer may be written there.
        unsafe { *answer = std::ptr::null_mut() };
        // SAFETY: the caller promises that a host that isn't null came from `sluicegate_new` and isn't freed.
        let host = unsafe { host.as_ref() }.ok_or_else(|| missing("host"))?;
        // SAFETY: the caller promises a text that ends in a zero byte.
        let json = unsafe { read(json, "json") }?;
        let said = match verb {
            // Checked on its own first, so that it can't close the envelope and open another.
            Some(verb) => {
                serde_json::from_str::<&serde_json::value::RawValue>(json).map_err(|why| {
                    Error::new(ErrorKind::InvalidRequest, format!("the request can't be read: {why}"))
                })?;
                host.0.handle(&format!(r#"{{"v":1,"{verb}":{json}}}"#))
            }
            None => host.0.handle(json),
        };
        let failure = failure_of(&said);
        // SAFETY: as above.
        unsafe { *answer = text(&said).into_raw() };
        failure.map_or(Ok(()), Err)
    })
}

/// The error that an answer tells of, if it does.
fn failure_of(answer: &str) -> Option<Error> {
    let value: serde_json::Value = serde_json::from_str(answer).ok()?;
    let error = value.get("error")?;
    let code = error.get("code").and_then(serde_json::Value::as_i64);
    let kind = ErrorKind::ALL
        .into_iter()
        .find(|kind| Some(i64::from(kind.code())) == code)
        .unwrap_or(ErrorKind::Internal);
    Some(Error::new(kind, error.get("message").and_then(serde_json::Value::as_str).unwrap_or_default()))
}

/// Frees an answer. Null is ignored. The caller gives the text up.
///
/// # Safety
/// `text` is null or came from this library and isn't freed yet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sluicegate_string_free(text: *mut c_char) {
    if !text.is_null() {
        // SAFETY: it came from `CString::into_raw` in `handle`, and the caller gives it up.
        drop(unsafe { CString::from_raw(text) });
    }
}

/// Closes a host: calls under way become held, records are written. Null is ignored. The caller gives the host up.
///
/// # Safety
/// `host` is null or came from `sluicegate_new`, isn't freed yet, and nobody else uses it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sluicegate_free(host: *mut SluicegateHost) {
    if !host.is_null() {
        // SAFETY: it came from `Box::into_raw` in `sluicegate_new`, and the caller gives it up.
        let host = unsafe { Box::from_raw(host) };
        guard(|| {
            host.0.close();
            Ok(())
        });
    }
}

/// The message of this thread's last error; empty before the first. The library owns it: it lives until this thread's
/// next call that fails.
#[unsafe(no_mangle)]
pub extern "C" fn sluicegate_last_error() -> *const c_char {
    LAST_ERROR.with(|last| last.borrow().as_ptr())
}

/// The word for a code, such as `insufficient_quota`; `ok` for 0, `unknown` for a code that there isn't. Static.
#[unsafe(no_mangle)]
pub extern "C" fn sluicegate_error_name(code: i32) -> *const c_char {
    thread_local! {
        static NAMES: Vec<(i32, CString)> =
            ErrorKind::ALL.iter().map(|kind| (kind.code(), text(kind.as_str()))).collect();
    }
    match code {
        0 => c"ok".as_ptr(),
        // Names of this thread live as long as it does.
        _ => NAMES.with(|names| {
            names
                .iter()
                .find(|(known, _)| *known == code)
                .map_or(c"unknown".as_ptr(), |(_, name)| name.as_ptr())
        }),
    }
}

/// The library's version. Static.
#[unsafe(no_mangle)]
pub extern "C" fn sluicegate_version() -> *const c_char {
    const VERSION: &CStr =
        match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
            Ok(version) => version,
            Err(_) => c"unknown",
        };
    VERSION.as_ptr()
}

#[cfg(test)]
mod tests {
    /// The header and the library name the same functions.
    #[test]
    fn the_header_declares_every_function() {
        let header = include_str!("../include/sluicegate.h");
        let exported: Vec<_> = include_str!("lib.rs")
            .lines()
            .filter_map(|line| line.split_once("extern \"C\" fn ")?.1.split_once('('))
            .map(|(name, _)| name)
            .filter(|name| name.starts_with("sluicegate_"))
            .collect();
        assert!(exported.len() >= 10, "{exported:?}");
        for name in exported {
            assert!(header.contains(&format!("{name}(")), "{name} isn't in the header");
        }
        for kind in sluicegate::ErrorKind::ALL {
            let line = format!("SLUICEGATE_{} = {}", kind.as_str().to_uppercase(), kind.code());
            assert!(header.contains(&line), "{line} isn't in the header");
        }
    }
}
