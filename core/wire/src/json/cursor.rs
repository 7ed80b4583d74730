//! A validating cursor over JSON text.

use super::MAX_DEPTH;

/// Byte offsets of a value, quotes included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Span {
    pub(crate) fn len(self) -> usize {
        self.end.saturating_sub(self.start)
    }

    pub(crate) fn of(self, text: &str) -> &str {
        text.get(self.start..self.end).unwrap_or_default()
    }
}

/// Why text isn't JSON, and at which byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bad {
    pub(crate) at: usize,
    pub(crate) what: &'static str,
}

pub(crate) const TOO_DEEP: &str = "is nested deeper than 128 levels";

/// What a value is, by its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Null,
    Bool,
    Number,
    String,
    Array,
    Object,
}

impl Kind {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Kind::Null => "null",
            Kind::Bool => "a boolean",
            Kind::Number => "a number",
            Kind::String => "a string",
            Kind::Array => "an array",
            Kind::Object => "an object",
        }
    }
}

/// Reads JSON forwards, validating as it goes.
///
/// INVARIANT: the input is valid UTF-8 (it comes from a `&str`), so a string's bytes need no further check.
#[derive(Clone, Debug)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: u32,
    /// Bytes of white space between tokens so far.
    pub(crate) blank: usize,
    /// Bytes that `\uXXXX` escapes took beyond what they stand for, so far.
    pub(crate) saved: usize,
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

impl<'a> Cursor<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { bytes: text.as_bytes(), at: 0, depth: 0, blank: 0, saved: 0 }
    }

    pub(crate) fn at(&self) -> usize {
        self.at
    }

    pub(crate) fn bad(&self, what: &'static str) -> Bad {
        Bad { at: self.at, what }
    }

    #[inline]
    fn byte(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    #[inline]
    pub(crate) fn space(&mut self) {
        let from = self.at;
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.byte() {
            self.at += 1;
        }
        self.blank += self.at - from;
    }

    /// What comes next, after white space.
    #[inline]
    pub(crate) fn kind(&mut self) -> Result<Kind, Bad> {
        self.space();
        match self.byte() {
            Some(b'"') => Ok(Kind::String),
            Some(b'{') => Ok(Kind::Object),
            Some(b'[') => Ok(Kind::Array),
            Some(b't' | b'f') => Ok(Kind::Bool),
            Some(b'n') => Ok(Kind::Null),
            Some(b'-' | b'0'..=b'9') => Ok(Kind::Number),
            Some(_) => Err(self.bad("has an unexpected character")),
            None => Err(self.bad("ends too early")),
        }
    }

    /// Nothing but white space may follow.
    pub(crate) fn end(&mut self) -> Result<(), Bad> {
        self.space();
        if self.at == self.bytes.len() { Ok(()) } else { Err(self.bad("has more after its end")) }
    }

    /// Enters `{` or `[`; `false` when it is empty and already left.
    #[inline]
    pub(crate) fn enter(&mut self) -> Result<bool, Bad> {
        let close = match self.byte() {
            Some(b'{') => b'}',
            Some(b'[') => b']',
            _ => return Err(self.bad("has an unexpected character")),
        };
        if self.depth >= MAX_DEPTH {
            return Err(self.bad(TOO_DEEP));
        }
        self.at += 1;
        self.space();
        if self.byte() == Some(close) {
            self.at += 1;
            return Ok(false);
        }
        self.depth += 1;
        Ok(true)
    }

    /// After a member or element: `true` when another follows, `false` when `close` was read.
    #[inline]
    pub(crate) fn more(&mut self, close: u8) -> Result<bool, Bad> {
        self.space();
        match self.byte() {
            Some(b',') => {
                self.at += 1;
                self.space();
                Ok(true)
            }
            Some(b) if b == close => {
                self.at += 1;
                self.depth = self.depth.saturating_sub(1);
                Ok(false)
            }
            Some(_) => Err(self.bad("lacks a comma or a closing bracket")),
            None => Err(self.bad("ends too early")),
        }
    }

    /// A member's name and its colon. The span includes the quotes; the flag says whether it has escapes.
    #[inline]
    pub(crate) fn name(&mut self) -> Result<(Span, bool), Bad> {
        if self.byte() != Some(b'"') {
            return Err(self.bad("lacks a member name in double quotes"));
        }
        let name = self.string()?;
        self.space();
        if self.byte() != Some(b':') {
            return Err(self.bad("lacks a colon after a member name"));
        }
        self.at += 1;
        self.space();
        Ok(name)
    }

    /// A string; the span includes the quotes, the flag says whether it has escapes.
    #[inline]
    pub(crate) fn string(&mut self) -> Result<(Span, bool), Bad> {
        let start = self.at;
        let mut escaped = false;
        self.at += 1;
        loop {
            self.at = special(self.bytes, self.at);
            match self.byte() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok((Span { start, end: self.at }, escaped));
                }
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                Some(_) => return Err(self.bad("has a bare control character in a string")),
                None => return Err(self.bad("ends inside a string")),
            }
        }
    }

    fn escape(&mut self) -> Result<(), Bad> {
        match self.bytes.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') => {
                let Some(code) = self.bytes.get(self.at + 2..self.at + 6).and_then(hex) else {
                    return Err(self.bad("has a broken \\u escape"));
                };
                // Half of a surrogate pair stands for two of four bytes; alone it is read as U+FFFD, three bytes.
                self.saved += match code {
                    0..=0x7f => 5,
                    0x80..=0x7ff => 4,
                    _ => 3,
                };
                self.at += 6;
            }
            _ => return Err(self.bad("has an unknown escape")),
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), Bad> {
        if self.byte() == Some(b'-') {
            self.at += 1;
        }
        match self.byte() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits()?,
            _ => return Err(self.bad("has a broken number")),
        }
        if self.byte() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.byte() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.byte() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Bad> {
        let from = self.at;
        while let Some(b'0'..=b'9') = self.byte() {
            self.at += 1;
        }
        if self.at == from { Err(self.bad("has a broken number")) } else { Ok(()) }
    }

    fn literal(&mut self, word: &'static [u8]) -> Result<(), Bad> {
        if self.bytes.get(self.at..self.at + word.len()) != Some(word) {
            return Err(self.bad("has an unknown word"));
        }
        self.at += word.len();
        Ok(())
    }

    /// Anything that isn't an object or array.
    #[inline]
    fn scalar(&mut self) -> Result<(), Bad> {
        match self.byte() {
            Some(b'"') => self.string().map(drop),
            Some(b't') => self.literal(b"true"),
            Some(b'f') => self.literal(b"false"),
            Some(b'n') => self.literal(b"null"),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(_) => Err(self.bad("has an unexpected character")),
            None => Err(self.bad("ends too early")),
        }
    }

    /// One whole value, validated and passed over. Iterative: depth costs a bit, not a stack frame.
    pub(crate) fn skip(&mut self) -> Result<Span, Bad> {
        self.space();
        let start = self.at;
        let base = self.depth;
        let mut objects = 0u128;
        // BOUND: each turn consumes at least one byte; nesting is bounded by `enter`.
        loop {
            match self.byte() {
                Some(open @ (b'{' | b'[')) => {
                    if self.enter()? {
                        objects = (objects << 1) | u128::from(open == b'{');
                        if open == b'{' {
                            self.name()?;
                        }
                        continue;
                    }
                }
                _ => self.scalar()?,
            }
            loop {
                if self.depth == base {
                    return Ok(Span { start, end: self.at });
                }
                let in_object = objects & 1 == 1;
                if self.more(if in_object { b'}' } else { b']' })? {
                    if in_object {
                        self.name()?;
                    }
                    break;
                }
                objects >>= 1;
            }
        }
    }
}

/// The first byte at or after `at` that ends a run of plain string characters: a quote, a backslash or a control.
#[inline]
fn special(bytes: &[u8], mut at: usize) -> usize {
    while let Some(Ok(chunk)) = bytes.get(at..at + 8).map(<[u8; 8]>::try_from) {
        let word = u64::from_le_bytes(chunk);
        let quote = word ^ (ONES * 0x22);
        let slash = word ^ (ONES * 0x5c);
        let hit = (quote.wrapping_sub(ONES) & !quote)
            | (slash.wrapping_sub(ONES) & !slash)
            | (word.wrapping_sub(ONES * 0x20) & !word);
        // Borrows make false hits only above a true one: the lowest is exact.
        let hit = hit & HIGH;
        if hit != 0 {
            return at + (hit.trailing_zeros() >> 3) as usize;
        }
        at += 8;
    }
    while let Some(b) = bytes.get(at) {
        if matches!(b, b'"' | b'\\' | 0..=0x1f) {
            break;
        }
        at += 1;
    }
    at
}

pub(super) fn hex(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0u32, |sum, digit| Some((sum << 4) | char::from(*digit).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<(), Bad> {
        let mut cursor = Cursor::new(text);
        cursor.skip()?;
        cursor.end()
    }

    #[test]
    fn accepts_exactly_what_the_grammar_accepts() {
        for good in ["{}", " [ ] ", "[1,-0.5e+3,\"\\u00e9\\n\",null,true,{\"a\":{\"b\":[[]]}}]", "\"\"", "0"]
        {
            assert_eq!(check(good), Ok(()), "{good}");
            assert!(serde_json::from_str::<serde_json::Value>(good).is_ok());
        }
        for bad in [
            "",
            "{",
            "[1,]",
            "{\"a\"}",
            "{\"a\":}",
            "{a:1}",
            "[01]",
            "[1.]",
            "[.5]",
            "[+1]",
            "\"\u{1}\"",
            "\"\\x\"",
            "\"\\u12g4\"",
            "tru",
            "nul",
            "{} {}",
            "[1 2]",
            "\"open",
            "{\"a\":1,}",
            "[\"a\\\"]",
            "]",
            "[}",
            "{]",
        ] {
            assert!(check(bad).is_err(), "{bad}");
            assert!(serde_json::from_str::<serde_json::Value>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_deep_nest_is_refused_and_128_levels_are_not() {
        assert_eq!(check(&format!("{}{}", "[".repeat(128), "]".repeat(128))), Ok(()));
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let deep = format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
            assert_eq!(check(&deep).map_err(|bad| bad.what), Err(TOO_DEEP));
        }
    }

    proptest::proptest! {
        #[test]
        fn agrees_with_serde_json(text in "[\\[\\]{}:,\"a1\\\\ .e-]{0,24}") {
            let theirs = serde_json::from_str::<&serde_json::value::RawValue>(&text).is_ok();
            assert_eq!(check(&text).is_ok(), theirs, "{text}");
        }

        #[test]
        fn finds_the_end_of_any_string(text in ".*") {
            let quoted = serde_json::to_string(&text).unwrap();
            let mut cursor = Cursor::new(&quoted);
            assert_eq!(cursor.string().map(|(span, _)| span.end), Ok(quoted.len()));
        }
    }
}
