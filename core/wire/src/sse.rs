//! Server-sent events over arbitrary splits.
//!
//! Frames end at a blank line; lines end in LF, CRLF or CR. A frame keeps its raw bytes, so that one that only passes
//! is forwarded untouched, and nothing is allocated for a frame that arrives whole.

use std::borrow::Cow;
use std::ops::Range;

use bytes::{Bytes, BytesMut};

/// The largest frame by default: 16 MiB (images arrive inside frames).
pub const MAX_FRAME_BYTES: usize = 16 << 20;

/// A frame is larger than the bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event of the stream is larger than {max} bytes")]
pub struct FrameTooLarge {
    /// The bound.
    pub max: usize,
}

/// Cuts a byte stream into frames.
#[derive(Debug)]
pub struct Splitter {
    carry: BytesMut,
    /// Where the last, unfinished line of `carry` begins: what stands before it was searched already.
    resume: usize,
    max: usize,
    /// The frame that `carry` is of is left out.
    leaves_out: bool,
}

impl Default for Splitter {
    fn default() -> Self {
        Self::new(MAX_FRAME_BYTES)
    }
}

impl Splitter {
    /// A splitter that holds back at most `max_frame_bytes` of an unfinished frame.
    pub fn new(max_frame_bytes: usize) -> Self {
        Self { carry: BytesMut::new(), resume: 0, max: max_frame_bytes, leaves_out: false }
    }

    /// Takes the next chunk and calls `on` with each frame that is now whole: the bytes it stands in, and where.
    /// Returns all these frames in one piece (the chunk itself, when it ends where a frame ends); an unfinished frame
    /// is held back.
    ///
    /// # Errors
    /// An unfinished frame grew beyond the bound.
    pub fn feed(
        &mut self,
        chunk: Bytes,
        mut on: impl FnMut(&Bytes, Range<usize>),
    ) -> Result<Bytes, FrameTooLarge> {
        let data = if self.carry.is_empty() {
            chunk
        } else {
            self.carry.extend_from_slice(&chunk);
            if let Err(resume) = frame_end(&self.carry, self.resume) {
                self.resume = resume;
                return self.bound(Bytes::new());
            }
            self.carry.split().freeze()
        };
        let mut start = 0;
        let mut line = std::mem::take(&mut self.resume);
        loop {
            match frame_end(&data, line) {
                Ok(end) => {
                    on(&data, start..end);
                    (start, line) = (end, end);
                }
                Err(resume) => {
                    self.carry.extend_from_slice(data.get(start..).unwrap_or_default());
                    self.resume = resume - start;
                    return self.bound(data.slice(..start));
                }
            }
        }
    }

    /// As [`feed`](Self::feed), for whoever only looks on: a frame that grows beyond the bound is left out, and those behind it are
    /// seen again.
    pub fn feed_within(&mut self, chunk: Bytes, on: impl FnMut(&Bytes, Range<usize>)) {
        let chunk = match self.leaves_out {
            true => match self.behind_left_out(&chunk) {
                Some(rest) => rest,
                None => return,
            },
            false => chunk,
        };
        if self.feed(chunk, on).is_err() {
            self.leaves_out = true;
            self.shorten();
        }
    }

    /// What is held back: at the end of the stream, a last frame without its blank line.
    pub fn finish(&mut self) -> Bytes {
        self.resume = 0;
        let rest = self.carry.split().freeze();
        if std::mem::take(&mut self.leaves_out) { Bytes::new() } else { rest }
    }

    /// What follows the frame that is left out; `None` while that goes on.
    fn behind_left_out(&mut self, chunk: &Bytes) -> Option<Bytes> {
        self.carry.extend_from_slice(chunk);
        match frame_end(&self.carry, self.resume) {
            Ok(end) => {
                (self.resume, self.leaves_out) = (0, false);
                Some(self.carry.split().freeze().split_off(end))
            }
            Err(resume) => {
                self.resume = resume;
                self.shorten();
                None
            }
        }
    }

    /// Of a frame that is left out only its last line matters: whether there is something in it, and whether half of a line's end
    /// is.
    fn shorten(&mut self) {
        let line = self.carry.get(self.resume..).unwrap_or_default();
        let short: &[u8] = match line {
            [] => b"",
            [.., b'\r'] => b"-\r",
            _ => b"-",
        };
        (self.carry, self.resume) = (BytesMut::from(short), 0);
    }

    fn bound(&self, whole: Bytes) -> Result<Bytes, FrameTooLarge> {
        if self.carry.len() > self.max { Err(FrameTooLarge { max: self.max }) } else { Ok(whole) }
    }
}

/// The end of the frame, blank line included, given the start of one of its lines; else where its last line begins.
fn frame_end(data: &[u8], mut line: usize) -> Result<usize, usize> {
    // BOUND: each turn consumes a line.
    while let Some(found) = data.get(line..).and_then(|rest| memchr::memchr2(b'\n', b'\r', rest)) {
        let at = line + found;
        let crlf = data.get(at) == Some(&b'\r');
        let next = match data.get(at + 1) {
            Some(b'\n') if crlf => at + 2,
            // A CR at the very end may be half of a CRLF. After a blank line that doesn't matter: the LF that is left
            // is one more blank line.
            None if crlf && found > 0 => return Err(line),
            _ => at + 1,
        };
        if found == 0 {
            return Ok(next);
        }
        line = next;
    }
    Err(line)
}

/// The fields of one frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fields<'a> {
    /// The `event` field.
    pub event: Option<&'a [u8]>,
    /// All `data` lines, joined by LF; `None` when there is none (a comment, a keep-alive).
    pub data: Option<Cow<'a, [u8]>>,
}

/// Reads the fields of a frame. `id` and `retry` mean nothing here.
pub fn fields(frame: &[u8]) -> Fields<'_> {
    let mut rest = frame.strip_prefix(b"\xef\xbb\xbf").unwrap_or(frame);
    let mut fields = Fields { event: None, data: None };
    while !rest.is_empty() {
        let end = memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
        let (line, tail) = rest.split_at(end);
        rest = tail.get(1..).unwrap_or_default();
        if let Some(value) = field(line, b"data") {
            fields.data = Some(match fields.data.take() {
                None => Cow::Borrowed(value),
                Some(before) => {
                    let mut joined = before.into_owned();
                    joined.push(b'\n');
                    joined.extend_from_slice(value);
                    Cow::Owned(joined)
                }
            });
        } else if let Some(value) = field(line, b"event") {
            fields.event = Some(value);
        }
    }
    fields
}

fn field<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let value = line.strip_prefix(name)?;
    match value.first() {
        None => Some(value),
        Some(b':') => value.get(1..).map(|value| value.strip_prefix(b" ").unwrap_or(value)),
        Some(_) => None,
    }
}

/// Appends a frame. `data` must not hold line breaks other than LF, which become several `data` lines.
pub fn write_frame(out: &mut String, event: Option<&str>, data: &str) {
    if let Some(event) = event {
        out.push_str("event: ");
        out.push_str(event);
        out.push('\n');
    }
    for line in data.split('\n') {
        out.push_str("data: ");
        out.push_str(line);
        out.push('\n');
    }
    out.push('\n');
}

#[cfg(test)]
mod tests;
