//! Lines of JSON over arbitrary splits.

use bytes::{Bytes, BytesMut};

use crate::sse::FrameTooLarge;

/// Cuts a byte stream into lines.
#[derive(Debug)]
pub(crate) struct Lines {
    carry: BytesMut,
    max: usize,
}

impl Lines {
    /// Holds back at most so much of an unfinished line.
    pub(crate) fn new(max_bytes: usize) -> Self {
        Self { carry: BytesMut::new(), max: max_bytes }
    }

    /// Takes the next chunk and calls `on` with each line that is now whole, without its end.
    ///
    /// # Errors
    /// A line is longer than the bound.
    pub(crate) fn feed(&mut self, mut chunk: Bytes, mut on: impl FnMut(Bytes)) -> Result<(), FrameTooLarge> {
        // BOUND: each turn consumes a byte at least.
        while let Some(at) = memchr::memchr(b'\n', &chunk) {
            let line = chunk.split_to(at + 1);
            if self.carry.is_empty() {
                on(line.slice(..at));
            } else {
                self.hold(line.get(..at).unwrap_or_default())?;
                on(self.carry.split().freeze());
            }
        }
        self.hold(&chunk)
    }

    /// What is left behind the last line's end.
    pub(crate) fn finish(&mut self) -> Bytes {
        self.carry.split().freeze()
    }

    fn hold(&mut self, more: &[u8]) -> Result<(), FrameTooLarge> {
        self.carry.extend_from_slice(more);
        if self.carry.len() > self.max { Err(FrameTooLarge { max: self.max }) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_out_whole_however_they_are_cut() {
        let text = b"{\"a\":1}\n\n{\"b\":2}\r\n{\"c\":3}";
        for size in 1..=text.len() {
            let (mut lines, mut seen) = (Lines::new(8), Vec::new());
            for piece in text.chunks(size) {
                lines.feed(Bytes::copy_from_slice(piece), |line| seen.push(line)).unwrap();
            }
            seen.push(lines.finish());
            assert_eq!(seen, [&b"{\"a\":1}"[..], b"", b"{\"b\":2}\r", b"{\"c\":3}"], "{size}");
        }
    }

    #[test]
    fn an_endless_line_is_refused() {
        let mut lines = Lines::new(8);
        assert_eq!(lines.feed(Bytes::from_static(b"12345678"), |_| {}), Ok(()));
        assert_eq!(lines.feed(Bytes::from_static(b"9\n"), |_| {}), Err(FrameTooLarge { max: 8 }));
    }
}
