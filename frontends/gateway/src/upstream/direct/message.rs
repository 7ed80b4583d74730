//! HTTP/1.1 messages (RFC 9112), as far as a client needs them that asks one thing at a time. Nothing here does I/O: an
//! answer's bytes come in pieces of any size.

use std::mem::MaybeUninit;

use bytes::{Buf as _, Bytes, BytesMut};

use crate::upstream::head::Head;

/// No head of an answer is longer, with those of the interim answers before it, and no trailer; in bytes.
const HEAD_MAX: usize = 64 * 1024;
/// No head of an answer has more fields.
const FIELDS_MAX: usize = 128;
/// The line before a chunk is no longer, in bytes.
const LINE_MAX: usize = 4 * 1024;

/// Why an answer can't be understood.
pub(super) type Malformed = &'static str;

/// An answer's head, and what follows it.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) head: Head,
    pub(super) body: Body,
    /// Another request may follow on the connection.
    pub(super) reusable: bool,
}

/// Takes the head of an answer from what has been read; `None` when it isn't all there yet.
pub(super) fn take_head(read: &mut BytesMut) -> Result<Option<Answer>, Malformed> {
    let mut skipped = 0;
    // BOUND: each turn passes over an interim answer, and only so many bytes of them are taken.
    loop {
        let mut fields = [const { MaybeUninit::uninit() }; FIELDS_MAX];
        let mut parsed = httparse::Response::new(&mut []);
        let rest = read.get(skipped..).unwrap_or_default();
        let parser = httparse::ParserConfig::default();
        let length = match parser.parse_response_with_uninit_headers(&mut parsed, rest, &mut fields) {
            Ok(httparse::Status::Complete(length)) if skipped + length > HEAD_MAX => {
                return Err("the answer's head is too long");
            }
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) if read.len() > HEAD_MAX => {
                return Err("the answer's head is too long");
            }
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(httparse::Error::TooManyHeaders) => return Err("the answer's head has too many fields"),
            Err(_) => return Err("the answer isn't HTTP/1.1"),
        };
        let status = parsed.code.unwrap_or_default();
        skipped += length;
        match status {
            0..=99 => return Err("the answer's status is none"),
            // Nobody asked for another protocol.
            101 => return Err("the answer changes the protocol"),
            100..=199 => continue,
            _ => {}
        }
        let (body, keeps) = framing(status, parsed.headers)?;
        let reusable = keeps && parsed.version == Some(1);
        let head = Head::read(status, |name| field(parsed.headers, name));
        read.advance(skipped);
        return Ok(Some(Answer { head, body, reusable }));
    }
}

fn fields<'a>(all: &'a [httparse::Header<'a>], name: &str) -> impl Iterator<Item = &'a [u8]> {
    all.iter().filter(move |field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value)
}

fn field<'a>(all: &'a [httparse::Header<'a>], name: &str) -> Option<&'a [u8]> {
    fields(all, name).next()
}

/// What follows the head, and whether the connection can go on after it (RFC 9112, 6.3 and 9.3).
fn framing(status: u16, all: &[httparse::Header<'_>]) -> Result<(Body, bool), Malformed> {
    let words = |name| {
        let words = fields(all, name).flat_map(|value| value.split(|b| *b == b',')).map(<[u8]>::trim_ascii);
        // Empty members of a list mean nothing (RFC 9110, 5.6.1).
        words.filter(|word| !word.is_empty())
    };
    let keeps = !words("connection").any(|word| word.eq_ignore_ascii_case(b"close"));
    let mut length = None;
    for word in words("content-length") {
        let number = std::str::from_utf8(word).ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
        let number = number.and_then(|text| text.parse::<u64>().ok());
        let number = number.ok_or("the answer's content-length is no number")?;
        if length.is_some_and(|before| before != number) {
            return Err("the answer has two lengths");
        }
        length = Some(number);
    }
    let is_chunked = |word: &[u8]| word.eq_ignore_ascii_case(b"chunked");
    let coding = words("transfer-encoding").last();
    if words("transfer-encoding").filter(|word| is_chunked(word)).count() > 1 {
        return Err("the answer is in chunks twice");
    }
    Ok(match (status, coding, length) {
        (204 | 304, ..) => (Body::Over, keeps),
        // With a length as well, somebody on the way may have read it otherwise.
        (_, Some(last), _) if is_chunked(last) => (Body::Chunked(Chunk::Size), keeps && length.is_none()),
        (_, Some(_), _) | (_, None, None) => (Body::UntilClose, false),
        (_, None, Some(0)) => (Body::Over, keeps),
        (_, None, Some(length)) => (Body::Sized(length), keeps),
    })
}

/// What of an answer's body is still to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// So many bytes.
    Sized(u64),
    /// Chunks, each with its length.
    Chunked(Chunk),
    /// Whatever comes before the connection is closed.
    UntilClose,
    /// Nothing.
    Over,
}

/// Where in a body of chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chunk {
    /// Before the line with a chunk's length.
    Size,
    /// Within a chunk, with so many bytes to come.
    Data(u64),
    /// Before the end of a chunk's line.
    End,
    /// Behind the last chunk, and so many bytes of the trailer.
    Trailer(usize),
}

/// What was taken from a body.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Data(Bytes),
    /// The body is over.
    Over,
    /// More must be read first.
    More,
}

impl Body {
    /// Takes what has been read of the body.
    pub(super) fn take(&mut self, read: &mut BytesMut) -> Result<Piece, Malformed> {
        // BOUND: each turn takes bytes, or is the last.
        loop {
            let chunk = match self {
                Body::Over => return Ok(Piece::Over),
                Body::UntilClose if read.is_empty() => return Ok(Piece::More),
                Body::UntilClose => return Ok(Piece::Data(read.split().freeze())),
                Body::Sized(left) => {
                    let data = take_data(read, left);
                    if *left == 0 {
                        *self = Body::Over;
                    }
                    return Ok(data);
                }
                Body::Chunked(chunk) => chunk,
            };
            match chunk {
                Chunk::Data(left) => {
                    let data = take_data(read, left);
                    if *left == 0 {
                        *chunk = Chunk::End;
                    }
                    return Ok(data);
                }
                Chunk::End => {
                    match read.get(..2) {
                        None => return Ok(Piece::More),
                        Some(b"\r\n") => read.advance(2),
                        Some(_) => return Err("a chunk of the answer is longer than it says"),
                    }
                    *chunk = Chunk::Size;
                }
                Chunk::Size => {
                    let Some(end) = line_end(read, LINE_MAX)? else { return Ok(Piece::More) };
                    let size = chunk_size(read.get(..end).unwrap_or_default())?;
                    read.advance(end + 2);
                    *chunk = if size == 0 { Chunk::Trailer(0) } else { Chunk::Data(size) };
                }
                Chunk::Trailer(seen) => {
                    let Some(end) = line_end(read, HEAD_MAX - *seen)? else { return Ok(Piece::More) };
                    read.advance(end + 2);
                    *seen = (*seen + end + 2).min(HEAD_MAX);
                    if end == 0 {
                        *self = Body::Over;
                    }
                }
            }
        }
    }
}

fn take_data(read: &mut BytesMut, left: &mut u64) -> Piece {
    if read.is_empty() {
        return Piece::More;
    }
    let length = usize::try_from(*left).map_or(read.len(), |left| left.min(read.len()));
    *left = left.saturating_sub(length as u64);
    Piece::Data(read.split_to(length).freeze())
}

/// Where the first line ends, without its line break.
fn line_end(read: &[u8], most: usize) -> Result<Option<usize>, Malformed> {
    match memchr::memchr(b'\n', read) {
        None if read.len() > most => Err("a line of the answer is too long"),
        None => Ok(None),
        Some(at) if at > most => Err("a line of the answer is too long"),
        Some(at) => match at.checked_sub(1).filter(|end| read.get(*end) == Some(&b'\r')) {
            Some(end) => Ok(Some(end)),
            None => Err("a line of the answer has no proper end"),
        },
    }
}

/// The hexadecimal number before any extension.
fn chunk_size(line: &[u8]) -> Result<u64, Malformed> {
    const WRONG: Malformed = "a chunk of the answer has no length";
    let digits = line.split(|b| *b == b';').next().unwrap_or_default().trim_ascii();
    // A sign would pass the parser.
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return Err(WRONG);
    }
    let digits = std::str::from_utf8(digits).map_err(|_| WRONG)?;
    u64::from_str_radix(digits, 16).map_err(|_| WRONG)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads an answer whose bytes come in pieces of this size: its body, whether the connection can be used again, and
    /// what is left in it.
    fn read_all(text: &[u8], by: usize) -> Result<(Vec<u8>, bool, Vec<u8>), Malformed> {
        let mut pieces = text.chunks(by);
        let mut read = BytesMut::new();
        let mut answer = loop {
            if let Some(answer) = take_head(&mut read)? {
                break answer;
            }
            read.extend_from_slice(pieces.next().ok_or("no head")?);
        };
        let mut all = Vec::new();
        loop {
            match answer.body.take(&mut read)? {
                Piece::Data(data) => all.extend_from_slice(&data),
                Piece::Over => break,
                Piece::More => match pieces.next() {
                    Some(piece) => read.extend_from_slice(piece),
                    None if answer.body == Body::UntilClose => break,
                    None => return Err("no end"),
                },
            }
        }
        pieces.for_each(|piece| read.extend_from_slice(piece));
        Ok((all, answer.reusable, read.to_vec()))
    }

    #[test]
    fn an_answer_is_the_same_in_pieces_of_any_size() {
        let cases: &[(&str, &str, bool, &str)] = &[
            ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", "{}", true, ""),
            ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}more", "{}", true, "more"),
            ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "", true, ""),
            ("HTTP/1.1 200 OK\r\ncontent-length: 2, 2\r\ncontent-length: 2\r\n\r\n{}", "{}", true, ""),
            (
                "HTTP/1.1 200 \r\ncontent-length: 2\r\nconnection: Keep-Alive, Close\r\n\r\n{}",
                "{}",
                false,
                "",
            ),
            ("HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\n{}", "{}", false, ""),
            ("HTTP/1.1 200 OK\r\n\r\nall of it", "all of it", false, ""),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\nall", "all", false, ""),
            ("HTTP/1.1 204 None\r\ncontent-length: 5\r\n\r\n", "", true, ""),
            (
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n00A;x=\"y\"\r\n0123456789\r\n0\r\n\r\n",
                "ab0123456789",
                true,
                "",
            ),
            (
                "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, Chunked,\r\n\r\n1 \r\na\r\n0\r\na: b\r\nc: d\r\n\r\nrest",
                "a",
                true,
                "rest",
            ),
            (
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 1\r\n\r\n1\r\na\r\n0\r\n\r\n",
                "a",
                false,
                "",
            ),
            (
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\na",
                "a",
                true,
                "",
            ),
        ];
        for (text, body, reusable, rest) in cases {
            for by in 1..=text.len() {
                let (got, again, left) = read_all(text.as_bytes(), by).unwrap();
                let got = (String::from_utf8(got).unwrap(), again, String::from_utf8(left).unwrap());
                assert_eq!(got, ((*body).to_owned(), *reusable, (*rest).to_owned()), "{text} by {by}");
            }
        }
    }

    #[test]
    fn what_is_no_answer_is_refused_in_pieces_of_any_size() {
        let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        let cases = [
            ("HTTP/2 200 OK\r\n\r\n".to_owned(), "the answer isn't HTTP/1.1"),
            ("HTTP/1.1 099 OK\r\n\r\n".to_owned(), "the answer's status is none"),
            (
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked, chunked\r\n\r\n".to_owned(),
                "the answer is in chunks twice",
            ),
            ("SSH-2.0-OpenSSH\r\n".to_owned(), "the answer isn't HTTP/1.1"),
            ("HTTP/1.1 101 Switching\r\n\r\n".to_owned(), "the answer changes the protocol"),
            (
                "HTTP/1.1 200 OK\r\ncontent-length: +1\r\n\r\na".to_owned(),
                "the answer's content-length is no number",
            ),
            (
                "HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\na".to_owned(),
                "the answer's content-length is no number",
            ),
            ("HTTP/1.1 200 OK\r\ncontent-length: 1, 2\r\n\r\na".to_owned(), "the answer has two lengths"),
            ("HTTP/1.1 100 Continue\r\n\r\n".repeat(4_000), "the answer's head is too long"),
            (format!("HTTP/1.1 200 OK\r\na: {}", "b".repeat(HEAD_MAX)), "the answer's head is too long"),
            (
                format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(FIELDS_MAX + 1)),
                "the answer's head has too many fields",
            ),
            (format!("{chunked}x\r\n"), "a chunk of the answer has no length"),
            (format!("{chunked}+1\r\na\r\n"), "a chunk of the answer has no length"),
            (format!("{chunked}\r\na\r\n"), "a chunk of the answer has no length"),
            (format!("{chunked}11112222333344445\r\na\r\n"), "a chunk of the answer has no length"),
            (format!("{chunked}1\na\r\n"), "a line of the answer has no proper end"),
            (format!("{chunked}1\r\nab\r\n"), "a chunk of the answer is longer than it says"),
            (format!("{chunked}1;{}", "x".repeat(LINE_MAX)), "a line of the answer is too long"),
            (format!("{chunked}0\r\n{}", "a: b\r\n".repeat(HEAD_MAX)), "a line of the answer is too long"),
            (format!("{chunked}1\r\na\r\n"), "no end"),
        ];
        for (text, why) in cases {
            let sizes = if text.len() < 1_000 { 1..=text.len() } else { 999..=1_000 };
            for by in sizes {
                assert_eq!(
                    read_all(text.as_bytes(), by).unwrap_err(),
                    why,
                    "{} by {by}",
                    &text[..text.len().min(80)]
                );
            }
        }
    }
}
