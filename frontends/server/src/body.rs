//! Request bodies: read whole, decompressed, and bounded both before and after.

use std::io::Read;
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use actix_web::web::block;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use sluicegate::{Error, ErrorKind, Result};
use tokio::time::timeout;

/// Codings on top of each other that we undo. HTTP allows any number; nobody sends more than one.
const LAYERS_MAX: usize = 2;

/// How long a body that is refused unread is read on, so that its sender gets to see why.
const DRAIN_TIME: Duration = Duration::from_secs(2);

/// A body of which nothing comes for so long has broken off.
pub(crate) const IDLE_TIME: Duration = Duration::from_secs(30);

/// A body that isn't whole after so long never will be. 32 MiB in it are half a megabit a second.
const WHOLE_TIME: Duration = Duration::from_secs(600);

/// A body that says it is no larger than this costs nothing to speak of, whoever sends it, in bytes.
const SMALL: u64 = 64 * 1024;

/// Whether taking this body costs next to nothing: it says that it is small, and doesn't have to be unpacked. Any other
/// is taken only from senders who are known.
pub fn is_small(req: &HttpRequest) -> bool {
    declared(req).is_some_and(|length| length <= SMALL) && !req.headers().contains_key(CONTENT_ENCODING)
}

pub(crate) fn declared(req: &HttpRequest) -> Option<u64> {
    req.headers().get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Reads a body of at most `limit` bytes, before and after decompression.
///
/// # Errors
/// `PayloadTooLarge`; `InvalidRequest` for a body that isn't what its `content-encoding` says, or that breaks off.
pub async fn read(req: &HttpRequest, payload: &mut Payload, limit: usize) -> Result<Bytes> {
    let declared = declared(req);
    let collected = match declared.is_some_and(|length| length > limit as u64) {
        true => Err(too_large(limit)),
        false => {
            timeout(WHOLE_TIME, collect(payload, declared, limit)).await.unwrap_or_else(|_| Err(stalled()))
        }
    };
    let raw = match collected {
        Err(error) if error.kind() == ErrorKind::PayloadTooLarge => {
            discard(payload, limit).await;
            return Err(error);
        }
        collected => collected?,
    };
    match req.headers().get(CONTENT_ENCODING) {
        None => Ok(raw),
        Some(value) => {
            let codings = value.to_str().map_err(|_| unknown("?"))?;
            let layers = layers(codings)?;
            if layers.is_empty() || raw.is_empty() {
                return Ok(raw);
            }
            // A few kilobytes can become megabytes: not on the worker's own thread.
            block(move || decompress(raw, &layers, limit))
                .await
                .map_err(|_| Error::new(ErrorKind::Cancelled, "the gateway is shutting down"))?
        }
    }
}

async fn collect(payload: &mut Payload, declared: Option<u64>, limit: usize) -> Result<Bytes> {
    let Some(first) = next(payload).await? else { return Ok(Bytes::new()) };
    if first.len() > limit {
        return Err(too_large(limit));
    }
    // Most bodies arrive in one piece, and are then not copied.
    let Some(second) = next(payload).await? else { return Ok(first) };
    let capacity = declared
        .and_then(|n| usize::try_from(n).ok())
        .unwrap_or(0)
        .max(first.len() + second.len())
        .min(limit);
    let mut whole = BytesMut::with_capacity(capacity);
    whole.extend_from_slice(&first);
    let mut piece = second;
    loop {
        if whole.len() + piece.len() > limit {
            return Err(too_large(limit));
        }
        whole.extend_from_slice(&piece);
        match next(payload).await? {
            Some(chunk) => piece = chunk,
            None => return Ok(whole.freeze()),
        }
    }
}

/// The next piece, if it comes in time. What is there already costs no timer.
async fn next(payload: &mut Payload) -> Result<Option<Bytes>> {
    match timeout(IDLE_TIME, payload.next()).await {
        Ok(piece) => piece.transpose().map_err(broken),
        Err(_) => Err(stalled()),
    }
}

/// Reads on for a while without keeping anything: who is still sending doesn't look for an answer, and would only see
/// the connection break.
pub async fn discard(payload: &mut Payload, limit: usize) {
    // BOUND: as much again as is allowed, and two seconds.
    let discard = async {
        let mut left = limit;
        while let Some(Ok(chunk)) = payload.next().await {
            match left.checked_sub(chunk.len()) {
                Some(rest) => left = rest,
                None => return,
            }
        }
    };
    let _ = timeout(DRAIN_TIME, discard).await;
}

/// A content coding that we know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

/// The codings to undo, the last applied first.
fn layers(header: &str) -> Result<Vec<Coding>> {
    let mut layers = Vec::new();
    for word in header.split(',').map(str::trim).rev() {
        layers.push(match word.to_ascii_lowercase().as_str() {
            "" | "identity" => continue,
            "gzip" | "x-gzip" => Coding::Gzip,
            "deflate" => Coding::Deflate,
            "br" => Coding::Brotli,
            "zstd" => Coding::Zstd,
            _ => return Err(unknown(word)),
        });
    }
    if layers.len() > LAYERS_MAX {
        return Err(unknown(header));
    }
    Ok(layers)
}

fn decompress(raw: Bytes, layers: &[Coding], limit: usize) -> Result<Bytes> {
    let mut body = raw;
    for coding in layers {
        body = Bytes::from(match coding {
            Coding::Gzip => bounded(flate2::read::MultiGzDecoder::new(&body[..]), limit)?,
            // `deflate` means zlib; some send it bare.
            Coding::Deflate if is_zlib(&body) => bounded(flate2::read::ZlibDecoder::new(&body[..]), limit)?,
            Coding::Deflate => bounded(flate2::read::DeflateDecoder::new(&body[..]), limit)?,
            Coding::Brotli => bounded(brotli_decompressor::Decompressor::new(&body[..], 16 << 10), limit)?,
            Coding::Zstd => zstd(&body, limit)?,
        });
    }
    Ok(body)
}

fn bounded(decoder: impl Read, limit: usize) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    // One byte more than allowed tells "just fits" from "too much".
    decoder.take(limit as u64 + 1).read_to_end(&mut out).map_err(|_| corrupt())?;
    if out.len() > limit { Err(too_large(limit)) } else { Ok(out) }
}

/// Whether this begins like a zlib stream: method 8, and the two bytes are a multiple of 31 (RFC 1950 §2.2).
fn is_zlib(body: &[u8]) -> bool {
    matches!(body, [cmf, flg, ..] if cmf & 15 == 8 && (u16::from(*cmf) << 8 | u16::from(*flg)).is_multiple_of(31))
}

/// Zstandard frames, one after another.
fn zstd(body: &[u8], limit: usize) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    let mut rest = body;
    // BOUND: each turn consumes a frame.
    while !rest.is_empty() {
        if let Some(length) = skippable(rest) {
            rest = rest.get(length..).ok_or_else(corrupt)?;
            continue;
        }
        // The window is memory that the decoder takes before it has produced a byte.
        if zstd_window(rest).ok_or_else(corrupt)? > (limit as u64).max(8 << 20) {
            return Err(too_large(limit));
        }
        let decoder = ruzstd::decoding::StreamingDecoder::new(&mut rest).map_err(|_| corrupt())?;
        let room = limit - out.len();
        decoder.take(room as u64 + 1).read_to_end(&mut out).map_err(|_| corrupt())?;
        if out.len() > limit {
            return Err(too_large(limit));
        }
    }
    Ok(out)
}

/// The length of a skippable frame, if this is one (RFC 8878 §3.1.2).
fn skippable(frame: &[u8]) -> Option<usize> {
    let magic = u32::from_le_bytes(frame.get(..4)?.try_into().ok()?);
    let length = u32::from_le_bytes(frame.get(4..8)?.try_into().ok()?);
    (magic & 0xFFFF_FFF0 == 0x184D_2A50).then(|| usize::try_from(length).ok()?.checked_add(8))?
}

/// The window that a frame's header asks for (RFC 8878 §3.1.1.1); `None` when it has none.
fn zstd_window(frame: &[u8]) -> Option<u64> {
    if frame.get(..4)? != [0x28, 0xB5, 0x2F, 0xFD] {
        return None;
    }
    let descriptor = *frame.get(4)?;
    let single_segment = descriptor & 0x20 != 0;
    if !single_segment {
        let window = *frame.get(5)?;
        let base = 1u64 << (10 + u32::from(window >> 3));
        return Some(base + base / 8 * u64::from(window & 7));
    }
    let dictionary = [0, 1, 2, 4][usize::from(descriptor & 3)];
    let size = frame.get(5 + dictionary..)?;
    match descriptor >> 6 {
        0 => Some(u64::from(*size.first()?)),
        1 => Some(u64::from(u16::from_le_bytes(size.get(..2)?.try_into().ok()?)) + 256),
        2 => Some(u64::from(u32::from_le_bytes(size.get(..4)?.try_into().ok()?))),
        _ => Some(u64::from_le_bytes(size.get(..8)?.try_into().ok()?)),
    }
}

pub(crate) fn too_large(limit: usize) -> Error {
    Error::new(ErrorKind::PayloadTooLarge, format!("the body is larger than {limit} bytes; send less"))
}

fn corrupt() -> Error {
    Error::new(
        ErrorKind::InvalidRequest,
        "the body isn't what its content-encoding says; send it without compression",
    )
}

fn unknown(coding: &str) -> Error {
    Error::new(
        ErrorKind::InvalidRequest,
        format!("the content-encoding `{coding}` isn't known here; use gzip, deflate, br, zstd or none"),
    )
}

pub(crate) fn stalled() -> Error {
    Error::new(
        ErrorKind::InvalidRequest,
        "the body broke off: the rest of it didn't come in time; send it again",
    )
}

pub(crate) fn broken(error: PayloadError) -> Error {
    Error::new(ErrorKind::InvalidRequest, format!("the body broke off: {error}"))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

    use super::*;

    const LIMIT: usize = 1 << 20;

    fn gzip(body: &[u8]) -> Bytes {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap().into()
    }

    fn zstandard(body: &[u8]) -> Bytes {
        ruzstd::encoding::compress_to_vec(body, ruzstd::encoding::CompressionLevel::Fastest).into()
    }

    /// A body that comes in these pieces, each after so many seconds.
    fn pieces(pieces: &'static [(u64, &'static str)]) -> Payload {
        let stream = futures_util::stream::iter(pieces).then(|(wait, piece)| async move {
            tokio::time::sleep(Duration::from_secs(*wait)).await;
            Ok::<_, PayloadError>(Bytes::from_static(piece.as_bytes()))
        });
        Payload::Stream { payload: Box::pin(stream) }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_is_waited_for_but_not_for_ever() {
        let req = actix_web::test::TestRequest::default().to_http_request();
        let slow: &[(u64, &str)] = &[(0, "a"), (29, "b"), (29, "c")];
        assert_eq!(read(&req, &mut pieces(slow), LIMIT).await.unwrap(), "abc");
        let trickle: &[(u64, &str)] = &[(29, "a"); 30];
        for stalled in [&[(31, "a")][..], &[(0, "a"), (31, "b")], &[(0, "a"), (0, "b"), (31, "c")], trickle] {
            let error = read(&req, &mut pieces(stalled), LIMIT).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{stalled:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn too_much_is_refused_announced_or_not() {
        let plain = actix_web::test::TestRequest::default().to_http_request();
        let announced =
            actix_web::test::TestRequest::default().insert_header((CONTENT_LENGTH, "9")).to_http_request();
        let five: &[(u64, &str)] = &[(0, "abc"), (0, "de")];
        assert_eq!(read(&plain, &mut pieces(five), 5).await.unwrap(), "abcde");
        for (req, limit) in [(&plain, 4), (&plain, 2), (&announced, 8)] {
            let error = read(req, &mut pieces(five), limit).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::PayloadTooLarge, "{limit}");
        }
    }

    #[test]
    fn only_what_says_so_is_small() {
        let request = |headers: &[(&'static str, &'static str)]| {
            headers.iter().fold(actix_web::test::TestRequest::post(), |it, pair| it.insert_header(*pair))
        };
        for (headers, small) in [
            (&[("content-length", "65536")][..], true),
            (&[("content-length", "65537")], false),
            (&[("transfer-encoding", "chunked")], false),
            (&[("content-length", "10"), ("content-encoding", "gzip")], false),
        ] {
            assert_eq!(is_small(&request(headers).to_http_request()), small, "{headers:?}");
        }
    }

    #[test]
    fn every_coding_is_undone() {
        let body = b"{\"model\":\"mock\"}".repeat(100);
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::best());
        zlib.write_all(&body).unwrap();
        let mut bare = DeflateEncoder::new(Vec::new(), Compression::best());
        bare.write_all(&body).unwrap();
        // "hello" by the reference brotli encoder.
        let brotli: &[u8] = &[0x0b, 0x02, 0x80, 0x68, 0x65, 0x6c, 0x6c, 0x6f, 0x03];
        for (name, raw, want) in [
            ("gzip", gzip(&body), &body[..]),
            ("X-GZIP", gzip(&body), &body[..]),
            ("deflate", zlib.finish().unwrap().into(), &body[..]),
            ("deflate", bare.finish().unwrap().into(), &body[..]),
            ("zstd", zstandard(&body), &body[..]),
            ("identity, gzip, gzip", gzip(&gzip(&body)), &body[..]),
            ("br", Bytes::from_static(brotli), b"hello"),
        ] {
            assert_eq!(decompress(raw, &layers(name).unwrap(), LIMIT).unwrap(), want, "{name}");
        }
    }

    #[test]
    fn frames_of_zstd_may_follow_each_other_and_be_skipped() {
        let mut raw = zstandard(b"one ").to_vec();
        raw.extend_from_slice(&[0x50, 0x2A, 0x4D, 0x18, 2, 0, 0, 0, 9, 9]);
        raw.extend_from_slice(&zstandard(b"two"));
        assert_eq!(decompress(raw.into(), &[Coding::Zstd], LIMIT).unwrap(), "one two");
    }

    #[test]
    fn a_bomb_is_too_large() {
        let zeros = vec![0; 8 * LIMIT];
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::best());
        zlib.write_all(&zeros).unwrap();
        for (name, bomb) in [
            ("gzip", gzip(&zeros)),
            ("deflate", zlib.finish().unwrap().into()),
            ("zstd", zstandard(&zeros)),
            // The first layer is within the limit, the second isn't.
            ("gzip, gzip", gzip(&gzip(&zeros))),
        ] {
            let error = decompress(bomb, &layers(name).unwrap(), LIMIT).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::PayloadTooLarge, "{name}");
        }
        assert_eq!(decompress(gzip(&zeros[..LIMIT]), &[Coding::Gzip], LIMIT).unwrap().len(), LIMIT);
        // A frame of a few bytes that asks for a window of gigabytes.
        let greedy = Bytes::from_static(&[0x28, 0xB5, 0x2F, 0xFD, 0x00, 0xB0, 0x01, 0x00, 0x00]);
        assert_eq!(
            decompress(greedy, &[Coding::Zstd], LIMIT).unwrap_err().kind(),
            ErrorKind::PayloadTooLarge
        );
    }

    #[test]
    fn what_is_not_compressed_as_it_says_is_refused() {
        for name in ["gzip", "deflate", "br", "zstd"] {
            let error =
                decompress(Bytes::from_static(b"{\"model\":\"mock\"}"), &layers(name).unwrap(), LIMIT)
                    .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{name}");
        }
        for name in ["compress", "gzip,gzip,gzip"] {
            assert_eq!(layers(name).unwrap_err().kind(), ErrorKind::InvalidRequest, "{name}");
        }
    }
}
