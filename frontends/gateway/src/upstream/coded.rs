//! Bodies that an upstream compressed though nobody asked it to: without `accept-encoding` any coding may come (RFC 9110, 12.5.3).

use std::io::Write as _;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use flate2::write::{MultiGzDecoder, ZlibDecoder};

use super::{UpstreamBody, UpstreamFault};

/// So much is decoded at once, in bytes: at most a thousand times as much comes out.
// BOUND: of each answer under way.
const STEP: usize = 1024;

/// How a body is coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Gzip,
    Deflate,
    /// In a way that can't be undone here, or in several.
    Other,
}

impl Coding {
    /// What a `content-encoding` says; `None` where the body is as it is.
    pub(super) fn read(value: &[u8]) -> Option<Self> {
        let is = |word: &str| value.trim_ascii().eq_ignore_ascii_case(word.as_bytes());
        match () {
            () if is("") || is("identity") => None,
            () if is("gzip") || is("x-gzip") => Some(Self::Gzip),
            () if is("deflate") => Some(Self::Deflate),
            () if ["br", "zstd", "compress", "x-compress"].into_iter().any(is) || value.contains(&b',') => {
                Some(Self::Other)
            }
            // Words like `none` and `utf-8` are no coding; some servers say them so that nobody else compresses.
            () => None,
        }
    }
}

enum Decoder {
    Gzip(MultiGzDecoder<Vec<u8>>),
    Deflate(ZlibDecoder<Vec<u8>>),
    Other,
}

impl Decoder {
    fn new(coding: Coding) -> Self {
        match coding {
            Coding::Gzip => Self::Gzip(MultiGzDecoder::new(Vec::new())),
            Coding::Deflate => Self::Deflate(ZlibDecoder::new(Vec::new())),
            Coding::Other => Self::Other,
        }
    }

    /// What comes out once this has gone in: all that can by now, so that events of a stream don't wait for the next.
    fn decode(&mut self, piece: &[u8]) -> std::io::Result<Bytes> {
        let out = match self {
            Self::Gzip(decoder) => {
                decoder.write_all(piece)?;
                decoder.flush()?;
                decoder.get_mut()
            }
            Self::Deflate(decoder) => {
                decoder.write_all(piece)?;
                decoder.flush()?;
                decoder.get_mut()
            }
            Self::Other => return Err(std::io::ErrorKind::Unsupported.into()),
        };
        Ok(std::mem::take(out).into())
    }

    fn end(&mut self) -> std::io::Result<Bytes> {
        let out = match self {
            Self::Gzip(decoder) => {
                decoder.try_finish()?;
                decoder.get_mut()
            }
            Self::Deflate(decoder) => {
                decoder.try_finish()?;
                decoder.get_mut()
            }
            Self::Other => return Err(std::io::ErrorKind::Unsupported.into()),
        };
        Ok(std::mem::take(out).into())
    }
}

/// A body as it was before it was coded.
pub(super) struct CodedBody<B> {
    body: B,
    decoder: Decoder,
    /// What has come and isn't decoded yet.
    rest: Bytes,
    /// Anything has come.
    begun: bool,
    over: bool,
}

impl<B> CodedBody<B> {
    pub(super) fn new(body: B, coding: Coding) -> Self {
        Self { body, decoder: Decoder::new(coding), rest: Bytes::new(), begun: false, over: false }
    }

    fn broken(&mut self) -> UpstreamFault {
        self.over = true;
        self.rest = Bytes::new();
        let why = match self.decoder {
            Decoder::Other => "the answer is compressed in a way that nobody asked for",
            Decoder::Gzip(_) | Decoder::Deflate(_) => "the answer isn't what its content-encoding says",
        };
        UpstreamFault::Broken(why.to_owned())
    }
}

impl<B: UpstreamBody> UpstreamBody for CodedBody<B> {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, UpstreamFault>>> {
        // BOUND: each turn takes bytes, or is the last.
        loop {
            let made = if !self.rest.is_empty() {
                let piece = self.rest.split_to(self.rest.len().min(STEP));
                self.decoder.decode(&piece)
            } else if self.over {
                return Poll::Ready(None);
            } else {
                match ready!(self.body.poll_chunk(cx)) {
                    Some(Ok(bytes)) => {
                        self.begun |= !bytes.is_empty();
                        self.rest = bytes;
                        continue;
                    }
                    Some(Err(fault)) => {
                        self.over = true;
                        return Poll::Ready(Some(Err(fault)));
                    }
                    None => {
                        self.over = true;
                        // Answers without a body may say how it would be coded.
                        if !self.begun {
                            return Poll::Ready(None);
                        }
                        self.decoder.end()
                    }
                }
            };
            match made {
                Ok(out) if out.is_empty() => {}
                Ok(out) => return Poll::Ready(Some(Ok(out))),
                Err(_) => return Poll::Ready(Some(Err(self.broken()))),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::task::Waker;

    use flate2::Compression;
    use flate2::write::{GzEncoder, ZlibEncoder};

    use super::*;

    struct Pieces(VecDeque<Bytes>);

    impl UpstreamBody for Pieces {
        fn poll_chunk(&mut self, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, UpstreamFault>>> {
            Poll::Ready(self.0.pop_front().map(Ok))
        }
    }

    fn read(coded: &[u8], size: usize, coding: Coding) -> (Vec<u8>, usize, bool) {
        let pieces = coded.chunks(size).map(Bytes::copy_from_slice).collect();
        let mut body = CodedBody::new(Pieces(pieces), coding);
        let mut nobody = Context::from_waker(Waker::noop());
        let (mut all, mut longest) = (Vec::new(), 0);
        while let Poll::Ready(Some(piece)) = body.poll_chunk(&mut nobody) {
            let Ok(piece) = piece else { return (all, longest, false) };
            longest = longest.max(piece.len());
            all.extend_from_slice(&piece);
        }
        (all, longest, true)
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn zlib(text: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn what_nobody_asked_to_be_compressed_is_read_all_the_same() {
        let text =
            br#"{"choices":[{"message":{"content":"hello"}}],"usage":{"prompt_tokens":5}}"#.repeat(100);
        let (gzip, zlib) = (gzip(&text), zlib(&text));
        for size in [1, 7, 4096] {
            for (coded, coding) in [(&gzip, Coding::Gzip), (&zlib, Coding::Deflate)] {
                let (all, _, is_whole) = read(coded, size, coding);
                assert!(all == text && is_whole, "{coding:?} {size}");
            }
            assert!(!read(&gzip[..gzip.len() - 9], size, Coding::Gzip).2, "it is torn");
            assert!(!read(&text, size, Coding::Gzip).2, "it is none");
            assert!(!read(&gzip, size, Coding::Other).2);
        }
        assert_eq!(read(&[], 1, Coding::Gzip), (Vec::new(), 0, true));
    }

    #[test]
    fn a_bomb_goes_off_piece_by_piece() {
        let zeros = vec![0; 64 << 20];
        let (all, longest, is_whole) = read(&gzip(&zeros), 1 << 20, Coding::Gzip);
        assert!(all.len() == zeros.len() && is_whole);
        assert!(longest <= 2 << 20, "{longest}");
    }

    #[test]
    fn events_of_a_stream_do_not_wait_for_the_next() {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(b"data: 1\n\n").unwrap();
        encoder.flush().unwrap();
        let first = std::mem::take(encoder.get_mut());
        let mut decoder = Decoder::new(Coding::Gzip);
        assert_eq!(decoder.decode(&first).unwrap(), "data: 1\n\n");
    }

    #[test]
    fn codings_are_known_by_their_words() {
        for (said, want) in [
            ("", None),
            (" Identity", None),
            ("GZIP", Some(Coding::Gzip)),
            ("x-gzip", Some(Coding::Gzip)),
            ("deflate ", Some(Coding::Deflate)),
            ("br", Some(Coding::Other)),
            ("none", None),
            ("utf-8", None),
            ("gzip, gzip", Some(Coding::Other)),
        ] {
            assert_eq!(Coding::read(said.as_bytes()), want, "{said}");
        }
    }
}
