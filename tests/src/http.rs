//! As much HTTP/1.1 as the rig needs, on blocking sockets.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;

/// Longest request line or header line that the rig reads, in bytes.
const MAX_LINE: u64 = 256 * 1024;

/// The start line and headers of a message, as they came.
#[derive(Clone, Debug, Default)]
pub struct Head {
    /// The request or status line without its line end.
    pub start: String,
    /// Names as sent, values trimmed.
    pub headers: Vec<(String, String)>,
}

impl Head {
    /// The first value of a header; `name` in lower case.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    /// Whether a comma list header holds `token`.
    #[must_use]
    pub fn has_token(&self, name: &str, token: &str) -> bool {
        self.get(name).is_some_and(|v| v.split(',').any(|t| t.trim().eq_ignore_ascii_case(token)))
    }

    /// The nth word of the start line.
    #[must_use]
    pub fn word(&self, n: usize) -> &str {
        self.start.split(' ').nth(n).unwrap_or("")
    }
}

/// Reads a start line and headers; `None` when the peer closed before a byte.
///
/// # Errors
/// When the socket fails, or the peer closes inside the head.
pub fn read_head<R: Read>(input: &mut BufReader<R>) -> io::Result<Option<Head>> {
    let Some(start) = read_line(input)? else { return Ok(None) };
    let mut head = Head { start, headers: Vec::new() };
    // BOUND: each line is at most MAX_LINE; a test never sends endless headers.
    loop {
        let line = read_line(input)?.ok_or_else(|| broken("closed inside the headers"))?;
        if line.is_empty() {
            return Ok(Some(head));
        }
        let (name, value) = line.split_once(':').ok_or_else(|| broken("a header without a colon"))?;
        head.headers.push((name.to_owned(), value.trim().to_owned()));
    }
}

/// Reads the body that `head` announces. A response without a length lasts
/// until the peer closes (`until_close`).
///
/// # Errors
/// When the socket fails or the body ends early.
pub fn read_body<R: Read>(head: &Head, input: &mut BufReader<R>, until_close: bool) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    read_body_into(head, input, until_close, &mut body, |_| ())?;
    Ok(body)
}

/// Like [`read_body`], but keeps what had come when the body broke, and calls
/// `on_data` after each piece.
///
/// # Errors
/// When the socket fails or the body ends early; `body` holds the part so far.
pub fn read_body_into<R: Read>(
    head: &Head,
    input: &mut BufReader<R>,
    until_close: bool,
    body: &mut Vec<u8>,
    mut on_data: impl FnMut(&[u8]),
) -> io::Result<()> {
    if head.has_token("transfer-encoding", "chunked") {
        loop {
            let line = read_line(input)?.ok_or_else(|| broken("closed before a chunk"))?;
            let size = usize::from_str_radix(line.split(';').next().unwrap_or("").trim(), 16)
                .map_err(|_| broken("a chunk size that is no number"))?;
            read_exactly(input, size, body, &mut on_data)?;
            let end = read_line(input)?.ok_or_else(|| broken("closed after a chunk"))?;
            if size == 0 {
                return if end.is_empty() { Ok(()) } else { Err(broken("trailers")) };
            }
        }
    }
    if let Some(length) = head.get("content-length") {
        let length = length.parse().map_err(|_| broken("a content-length that is no number"))?;
        return read_exactly(input, length, body, &mut on_data);
    }
    if until_close {
        let from = body.len();
        input.read_to_end(body)?;
        on_data(&body[from..]);
    }
    Ok(())
}

/// Writes one chunk of a chunked body; an empty one would end it and is skipped.
///
/// # Errors
/// When the socket fails.
pub fn write_chunk(out: &mut TcpStream, data: &[u8]) -> io::Result<()> {
    if data.is_empty() {
        return Ok(());
    }
    let mut frame = format!("{:x}\r\n", data.len()).into_bytes();
    frame.extend_from_slice(data);
    frame.extend_from_slice(b"\r\n");
    out.write_all(&frame)
}

fn read_exactly<R: Read>(
    input: &mut BufReader<R>,
    mut left: usize,
    body: &mut Vec<u8>,
    on_data: &mut impl FnMut(&[u8]),
) -> io::Result<()> {
    while left > 0 {
        let have = input.fill_buf()?;
        if have.is_empty() {
            return Err(broken("closed inside the body"));
        }
        let n = have.len().min(left);
        body.extend_from_slice(&have[..n]);
        on_data(&have[..n]);
        input.consume(n);
        left -= n;
    }
    Ok(())
}

fn read_line<R: Read>(input: &mut BufReader<R>) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    input.take(MAX_LINE).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Ok(None);
    }
    if line.pop() != Some(b'\n') {
        return Err(broken("closed inside a line"));
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    String::from_utf8(line).map(Some).map_err(|_| broken("a line that is not UTF-8"))
}

fn broken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, what.to_owned())
}
