//! The console's files as its build left them in `console/`: part of the binary in releases, read from there by debug builds.
//!
//! What can be compressed is there as `NAME.br` and `NAME.gz` only; `index.html`, which is filled in for each answer, as it is.

use std::borrow::Cow;
use std::io::Read as _;

use actix_web::http::header::ContentEncoding;
use bytes::Bytes;
use flate2::read::GzDecoder;

#[derive(rust_embed::Embed)]
#[folder = "console"]
#[exclude = ".*"]
struct Embedded;

/// One file: its bytes, and their SHA-256.
pub struct File {
    /// What is in it.
    pub bytes: Cow<'static, [u8]>,
    /// Their SHA-256.
    pub hash: [u8; 32],
}

/// Where the console's files come from, by their path below its folder.
pub type Source = fn(&str) -> Option<File>;

/// The files of this binary.
pub fn embedded(path: &str) -> Option<File> {
    let file = Embedded::get(path)?;
    let hash = file.metadata.sha256_hash();
    Some(File { bytes: file.data, hash })
}

/// What callers can unpack.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accepted {
    /// Brotli, which browsers take over TLS and from this machine.
    pub brotli: bool,
    /// Gzip.
    pub gzip: bool,
}

/// A file as it is sent.
pub struct Packed {
    /// What is sent.
    pub bytes: Bytes,
    /// How it is compressed.
    pub encoding: ContentEncoding,
    /// What tells it from other versions of itself, and from itself compressed otherwise.
    pub etag: String,
}

/// The largest file that is unpacked for who takes no compression: more than any file of the console.
const UNPACKED_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// A file in the smallest form that the caller takes.
pub fn find(source: Source, path: &str, accepted: Accepted) -> Option<Packed> {
    // Paths are asked for as they stand: what climbs, hides or names a compressed form is no file of ours.
    if path.split('/').any(|part| part.is_empty() || part.starts_with('.')) || is_packed(path) {
        return None;
    }
    let packed = |ending: &str, encoding| {
        let file = source(&format!("{path}{ending}"))?;
        Some(Packed { etag: etag(&file.hash, ending), bytes: bytes(file.bytes), encoding })
    };
    let brotli = || accepted.brotli.then(|| packed(".br", ContentEncoding::Brotli)).flatten();
    let gzip = || accepted.gzip.then(|| packed(".gz", ContentEncoding::Gzip)).flatten();
    brotli()
        .or_else(gzip)
        .or_else(|| packed("", ContentEncoding::Identity))
        .or_else(|| unpacked(&source(&format!("{path}.gz"))?))
}

fn is_packed(path: &str) -> bool {
    path.ends_with(".br") || path.ends_with(".gz")
}

fn bytes(data: Cow<'static, [u8]>) -> Bytes {
    match data {
        Cow::Borrowed(data) => Bytes::from_static(data),
        Cow::Owned(data) => Bytes::from(data),
    }
}

fn unpacked(file: &File) -> Option<Packed> {
    let mut bytes = Vec::new();
    GzDecoder::new(file.bytes.as_ref()).take(UNPACKED_BYTES_MAX).read_to_end(&mut bytes).ok()?;
    Some(Packed {
        bytes: bytes.into(),
        encoding: ContentEncoding::Identity,
        etag: etag(&file.hash, "-unpacked"),
    })
}

/// Half of the hash is enough to tell versions of one file apart.
fn etag(hash: &[u8; 32], form: &str) -> String {
    use std::fmt::Write as _;
    let mut text = String::from("\"");
    for byte in hash.iter().take(16) {
        // Writing to a text can't fail.
        let _ = write!(text, "{byte:02x}");
    }
    text.push_str(form);
    text.push('"');
    text
}

/// What a file is, by the end of its name.
pub fn media_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map_or("", |(_, ending)| ending) {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "woff" => "font/woff",
        "wasm" => "application/wasm",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}
