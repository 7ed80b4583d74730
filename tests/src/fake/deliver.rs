//! Puts an answer on the wire, properly or as badly as asked.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread::sleep;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;

use super::behaviour::Behaviour;
use super::server::Outcome;
use crate::http;

/// A proper answer, before any misbehaviour.
pub(super) struct Reply {
    status: u16,
    content_type: &'static str,
    body: Body,
}

enum Body {
    Whole(Vec<u8>),
    Stream { frames: Vec<Vec<u8>>, fault: Vec<u8> },
}

impl Body {
    /// The same, each frame so that it can be read when it has come.
    fn compressed(self) -> io::Result<Self> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        Ok(match self {
            Body::Whole(body) => {
                encoder.write_all(&body)?;
                Body::Whole(encoder.finish()?)
            }
            Body::Stream { frames, fault } => {
                let mut all = Vec::new();
                for frame in &frames {
                    encoder.write_all(frame)?;
                    encoder.flush()?;
                    all.push(std::mem::take(encoder.get_mut()));
                }
                all.push(encoder.finish()?);
                Body::Stream { frames: all, fault }
            }
        })
    }
}

impl Reply {
    pub(super) fn json(status: u16, body: &Value) -> Self {
        Self { status, content_type: "application/json", body: Body::Whole(body.to_string().into_bytes()) }
    }

    pub(super) fn bytes(content_type: &'static str, body: Vec<u8>) -> Self {
        Self { status: 200, content_type, body: Body::Whole(body) }
    }

    /// A stream; `fault` is the frame that tells of an error midway.
    pub(super) fn stream(frames: Vec<Vec<u8>>, fault: Vec<u8>) -> Self {
        Self {
            status: 200,
            content_type: "text/event-stream; charset=utf-8",
            body: Body::Stream { frames, fault },
        }
    }

    /// The same under another content type.
    pub(super) fn of_type(self, content_type: &'static str) -> Self {
        Self { content_type, ..self }
    }
}

/// Sends the answer. The connection may serve another request only after
/// [`Outcome::Done`].
pub(super) fn deliver(mut reply: Reply, behaviour: &Behaviour, serial: u64, out: &mut TcpStream) -> Outcome {
    sleep(Duration::from_millis(behaviour.delay_ms));
    if behaviour.hang {
        return wait_for_close(out);
    }
    if let Some(body) = &behaviour.body {
        reply.body = Body::Whole(body.clone().into_bytes());
        reply.content_type = "application/json";
    }
    let status = behaviour.status.unwrap_or(reply.status);
    let content_type = behaviour.content_type.as_deref().unwrap_or(reply.content_type);
    let mut head = format!("HTTP/1.1 {status} {}\r\ncontent-type: {content_type}\r\n", reason(status));
    head.push_str(&format!("x-request-id: req_fake{serial}\r\nrequest-id: req_fake{serial}\r\n"));
    head.push_str("set-cookie: upstream=1\r\nopenai-organization: fake-org\r\n");
    for (name, value) in &behaviour.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if behaviour.gzip {
        head.push_str("content-encoding: gzip\r\n");
        reply.body = reply.body.compressed().unwrap_or(Body::Whole(Vec::new()));
    }
    let sent = match reply.body {
        Body::Whole(body) => send_whole(head, &body, behaviour, out),
        Body::Stream { frames, fault } => send_stream(head, &frames, &fault, behaviour, out),
    };
    let outcome = sent.unwrap_or(Outcome::Aborted);
    if outcome != Outcome::Done {
        let _ = out.shutdown(Shutdown::Both);
    }
    outcome
}

fn send_whole(
    mut head: String,
    body: &[u8],
    behaviour: &Behaviour,
    out: &mut TcpStream,
) -> io::Result<Outcome> {
    head.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
    out.write_all(head.as_bytes())?;
    let end = behaviour.cut_after_bytes.map_or(body.len(), |n| n.min(body.len()));
    for piece in body[..end].chunks(behaviour.split.unwrap_or(64 * 1024)) {
        out.write_all(piece)?;
    }
    Ok(if end < body.len() { Outcome::Cut } else { Outcome::Done })
}

fn send_stream(
    mut head: String,
    frames: &[Vec<u8>],
    fault: &[u8],
    behaviour: &Behaviour,
    out: &mut TcpStream,
) -> io::Result<Outcome> {
    head.push_str("cache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n");
    out.write_all(head.as_bytes())?;
    let mut left = behaviour.cut_after_bytes.unwrap_or(usize::MAX);
    for (n, frame) in frames.iter().enumerate() {
        if behaviour.cut_after_chunks == Some(n) {
            return Ok(Outcome::Cut);
        }
        if behaviour.stall_after_chunks == Some(n) {
            return Ok(wait_for_close(out));
        }
        if behaviour.error_after_chunks == Some(n) {
            http::write_chunk(out, fault)?;
            return Ok(Outcome::Cut);
        }
        if n > 0 && behaviour.chunk_delay_ms > 0 {
            sleep(Duration::from_millis(behaviour.chunk_delay_ms));
            if gone(out) {
                return Ok(Outcome::Aborted);
            }
        }
        let frame = &frame[..frame.len().min(left)];
        left -= frame.len();
        for piece in frame.chunks(behaviour.split.unwrap_or(usize::MAX)) {
            http::write_chunk(out, piece)?;
        }
        if left == 0 {
            return Ok(Outcome::Cut);
        }
    }
    out.write_all(b"0\r\n\r\n")?;
    Ok(Outcome::Done)
}

/// Whether the caller has closed, without waiting.
fn gone(out: &TcpStream) -> bool {
    let _ = out.set_nonblocking(true);
    let read = out.peek(&mut [0]);
    let _ = out.set_nonblocking(false);
    matches!(read, Ok(0)) || matches!(&read, Err(e) if e.kind() != io::ErrorKind::WouldBlock)
}

fn wait_for_close(out: &mut TcpStream) -> Outcome {
    let _ = out.set_read_timeout(None);
    // BOUND: ends when the caller closes; the process ends at the latest.
    while matches!(out.read(&mut [0; 1024]), Ok(n) if n > 0) {}
    Outcome::Aborted
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        401 => "Unauthorized",
        404 => "Not Found",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        _ => "Status",
    }
}
