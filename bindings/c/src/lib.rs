//! Sluicegate behind a C ABI: an opaque host, JSON texts in and out, and the engine's own error codes.
//!
//! The header `include/sluicegate.h` is generated from this file; the texts are those of [`sluicegate::envelope`]. Every
//! function may be called from any thread. No panic crosses the boundary: it becomes the code of `internal`.
#![allow(unsafe_code, reason = "a C ABI is made of raw pointers; each use says why it is sound")]

use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::OnceLock;

use sluicegate::envelope::Host;
use sluicegate::{Error, ErrorKind, Result};

thread_local! {
    static LAST_ERROR: RefCell<CString> = RefCell::default();
}

/// A gateway with all that it needs. Opaque.
pub struct SluicegateHost(Host);

// What the header promises, any function from any thread, is beyond the compiler's sight behind raw pointers.
const _: fn() = || {
    fn shared<T: Send + Sync>() {}
    shared::<SluicegateHost>();
};

/// Opens a host. You own `*host`: free it with `sluicegate_free`.
///
/// `options_json` is a JSON object, `{}` for the defaults. `*host` is null when it fails.
///
/// # Safety
/// `options_json` is null or ends in a zero byte; `host` is null or a place for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sluicegate_new(options_json: *const c_char, host: *mut *mut SluicegateHost) -> i32 {
    guard(|| {
        // SAFETY: as this function's own contract.
        let place = unsafe { place(host, "host") }?;
        // SAFETY: likewise.
        let options = unsafe { read(options_json, "options_json") }?;
        *place = Box::into_raw(Box::new(SluicegateHost(Host::open(options)?)));
        Ok(())
    })
}

/// Decides on a call. You own `*answer`: free it with `sluicegate_string_free`.
///
/// `ask_json` is what stands behind `decide` in a request. A call that is refused for its limits, access or policy is a
/// decision: the code is 0, and the answer's step says `failed`.
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

/// Reports how an attempt went. You own `*answer`, the next step: free it with `sluicegate_string_free`.
///
/// `report_json` is what stands behind `report` in a request.
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

/// Explains where a call would go, and why. You own `*answer`: free it with `sluicegate_string_free`.
///
/// `ask_json` is what stands behind `explain` in a request. Nothing is reserved.
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

/// Sends a request and waits for the whole answer. You own `*answer`: free it with `sluicegate_string_free`.
///
/// `ask_json` is what stands behind `complete` in a request. It blocks as long as upstreams take.
///
/// # Safety
/// As `sluicegate_handle_json`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sluicegate_complete_json(
    host: *const SluicegateHost,
    ask_json: *const c_char,
    answer: *mut *mut c_char,
) -> i32 {
    // SAFETY: as this function's own contract.
    unsafe { handle(host, ask_json, answer, Some("complete")) }
}

/// Handles any request. You own `*answer`: free it with `sluicegate_string_free`.
///
/// `request_json` is a whole request, such as `{"v": 1, "next": {"call": "call-…"}}`; also `cancel`, `remaining` and all
/// of the above. `*answer` is set whenever the request was read, also when the code isn't 0: it then tells of the error.
/// Else it is null.
///
/// # Safety
/// `host` is null or came from `sluicegate_new` and isn't freed yet; `request_json` is null or ends in a zero byte;
/// `answer` is null or a place for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sluicegate_handle_json(
    host: *const SluicegateHost,
    request_json: *const c_char,
    answer: *mut *mut c_char,
) -> i32 {
    // SAFETY: as this function's own contract.
    unsafe { handle(host, request_json, answer, None) }
}

/// Frees an answer: you give it up. Null is ignored.
///
/// # Safety
/// `text` is null or came as an answer from this library and isn't freed yet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sluicegate_string_free(text: *mut c_char) {
    if !text.is_null() {
        // SAFETY: it came from `CString::into_raw` in `handle`, and the caller gives it up.
        drop(unsafe { CString::from_raw(text) });
    }
}

/// Closes and frees a host: you give it up. Null is ignored.
///
/// Attempts that were never reported become held, and what isn't written yet is.
///
/// # Safety
/// `host` is null or came from `sluicegate_new`, isn't freed yet, and nobody else uses it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sluicegate_free(host: *mut SluicegateHost) {
    if host.is_null() {
        return;
    }
    // SAFETY: it came from `Box::into_raw` in `sluicegate_new`, and the caller gives it up.
    let host = unsafe { Box::from_raw(host) };
    guard(|| {
        // On a thread of its own: a thread that runs asynchronous tasks may not wait, and a C caller needn't know that its
        // thread is one.
        let closing = std::thread::spawn(move || {
            host.0.close();
            drop(host);
        });
        closing
            .join()
            .map_err(|_| Error::new(ErrorKind::Internal, "a defect stopped the closing; please report it"))
    });
}

/// What is wrong, of this thread's last call that failed; empty before the first. The library owns the text: it lives
/// until this thread's next call that fails.
#[unsafe(no_mangle)]
pub extern "C" fn sluicegate_last_error() -> *const c_char {
    LAST_ERROR.try_with(|last| last.borrow().as_ptr()).unwrap_or(c"".as_ptr())
}

/// The word for a code, such as `insufficient_quota`; `ok` for 0, `unknown` for one that there isn't. The library owns
/// the text: it lives for ever.
#[unsafe(no_mangle)]
pub extern "C" fn sluicegate_error_name(code: i32) -> *const c_char {
    static NAMES: OnceLock<Vec<(i32, CString)>> = OnceLock::new();
    if code == 0 {
        return c"ok".as_ptr();
    }
    let names =
        NAMES.get_or_init(|| ErrorKind::ALL.iter().map(|kind| (kind.code(), text(kind.as_str()))).collect());
    let found = names.iter().find(|(known, _)| *known == code);
    found.map_or(c"unknown".as_ptr(), |(_, name)| name.as_ptr())
}

/// The library's version, such as `0.1.0`. The library owns the text: it lives for ever.
#[unsafe(no_mangle)]
pub extern "C" fn sluicegate_version() -> *const c_char {
    const VERSION: &CStr =
        match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
            Ok(version) => version,
            Err(_) => c"unknown",
        };
    VERSION.as_ptr()
}

/// Runs `body`, remembers its error for this thread, and gives the code: 0 is none.
fn guard(body: impl FnOnce() -> Result<()>) -> i32 {
    let outcome = catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|_| {
        Err(Error::new(ErrorKind::Internal, "a defect stopped this call; please report it"))
    });
    match outcome {
        Ok(()) => 0,
        Err(error) => {
            // A thread that is ending has no place for it any more; the code says the most.
            let _ = LAST_ERROR.try_with(|last| *last.borrow_mut() = text(error.message()));
            error.kind().code()
        }
    }
}

/// Text for C. Ours never holds a zero byte; if one did, it would end there.
fn text(text: &str) -> CString {
    CString::new(text.split('\0').next().unwrap_or_default()).unwrap_or_default()
}

fn missing(what: &str) -> Error {
    Error::new(ErrorKind::InvalidRequest, format!("`{what}` is null; pass a pointer"))
}

/// The text behind a pointer of C's.
///
/// # Safety
/// `pointer` is null, or points to a text that ends in a zero byte and lives unchanged until the call returns.
unsafe fn read<'a>(pointer: *const c_char, what: &str) -> Result<&'a str> {
    if pointer.is_null() {
        return Err(missing(what));
    }
    // SAFETY: it isn't null, and the caller promises the rest.
    let bytes = unsafe { CStr::from_ptr(pointer) };
    let wrong = |_| Error::new(ErrorKind::InvalidRequest, format!("`{what}` isn't UTF-8; send it as UTF-8"));
    bytes.to_str().map_err(wrong)
}

/// The place for a pointer, set to null.
///
/// # Safety
/// `pointer` is null, or may be written to until the call returns.
unsafe fn place<'a, T>(pointer: *mut *mut T, what: &str) -> Result<&'a mut *mut T> {
    if pointer.is_null() {
        return Err(missing(what));
    }
    // SAFETY: it isn't null, and the caller promises that it may be written to. It is written before a reference is
    // made: C needn't have set it.
    unsafe { pointer.write(ptr::null_mut()) };
    // SAFETY: likewise, and now it holds a value.
    Ok(unsafe { &mut *pointer })
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
        // SAFETY: as this function's own contract.
        let place = unsafe { place(answer, "answer") }?;
        // SAFETY: the caller promises that a host that isn't null came from `sluicegate_new` and isn't freed.
        let host = unsafe { host.as_ref() }.ok_or_else(|| missing("host"))?;
        // SAFETY: as this function's own contract.
        let json = unsafe { read(json, "json") }?;
        let said = match verb {
            None => host.0.respond(json),
            Some(verb) => host.0.respond(&enveloped(verb, json)?),
        };
        let failure = said.error.as_ref().map(|fault| {
            let kind = ErrorKind::ALL.into_iter().find(|kind| kind.code() == fault.code);
            Error::new(kind.unwrap_or(ErrorKind::Internal), fault.message.as_str())
        });
        *place = text(&said.to_json()).into_raw();
        failure.map_or(Ok(()), Err)
    })
}

/// The whole request for one verb. The text is checked on its own first, so that it can't close the envelope and open
/// another.
fn enveloped(verb: &str, json: &str) -> Result<String> {
    serde_json::from_str::<serde::de::IgnoredAny>(json)
        .map_err(|why| Error::new(ErrorKind::InvalidRequest, format!("the request can't be read: {why}")))?;
    Ok(format!(r#"{{"v":1,"{verb}":{json}}}"#))
}
