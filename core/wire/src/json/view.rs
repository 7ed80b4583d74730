//! A lazy view over JSON text: nothing is decoded before it is asked for.

use std::borrow::Cow;

use super::cursor::{Bad, Cursor, Kind, Span};
use super::unescape;

/// One value, as a slice of valid JSON text. Reading never fails loudly: what isn't there, or has another type, is
/// `None`. Numbers keep their text, so that none loses precision on the way through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Val<'a>(&'a str);

impl<'a> Val<'a> {
    /// Validates `text` and views it.
    pub(crate) fn parse(text: &'a str) -> Result<Self, Bad> {
        let mut cursor = Cursor::new(text);
        let span = cursor.skip()?;
        cursor.end()?;
        Ok(Self(span.of(text)))
    }

    /// Views text that was validated before.
    pub(crate) fn trusted(text: &'a str) -> Self {
        Self(text.trim_matches([' ', '\n', '\r', '\t']))
    }

    /// Views a value that a cursor has passed over.
    pub(crate) fn at(text: &'a str, span: Span) -> Self {
        Self(span.of(text))
    }

    /// Views bytes if they are JSON.
    pub(crate) fn from_bytes(bytes: &'a [u8]) -> Option<Self> {
        Self::parse(std::str::from_utf8(bytes).ok()?).ok()
    }

    pub(crate) fn raw(self) -> &'a str {
        self.0
    }

    pub(crate) fn kind(self) -> Kind {
        match self.0.as_bytes().first() {
            Some(b'"') => Kind::String,
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::Array,
            Some(b't' | b'f') => Kind::Bool,
            Some(b'-' | b'0'..=b'9') => Kind::Number,
            _ => Kind::Null,
        }
    }

    pub(crate) fn is_null(self) -> bool {
        self.kind() == Kind::Null
    }

    pub(crate) fn as_str(self) -> Option<Cow<'a, str>> {
        (self.kind() == Kind::String).then(|| unescape(self.0))
    }

    pub(crate) fn as_bool(self) -> Option<bool> {
        match self.0 {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }

    /// A whole number of at least 0. `3.0` counts: some writers have no integers.
    pub(crate) fn as_u64(self) -> Option<u64> {
        if self.kind() != Kind::Number {
            return None;
        }
        let whole = self
            .0
            .split_once('.')
            .filter(|(_, zeros)| zeros.bytes().all(|b| b == b'0'))
            .map_or(self.0, |(n, _)| n);
        whole.parse().ok()
    }

    /// The members of an object, in order; none of anything else.
    pub(crate) fn members(self) -> Members<'a> {
        Members { text: self.0, inner: Inner::start(self.0, Kind::Object, self.kind()) }
    }

    /// The elements of an array, in order; none of anything else.
    pub(crate) fn elements(self) -> Elements<'a> {
        Elements { text: self.0, inner: Inner::start(self.0, Kind::Array, self.kind()) }
    }

    /// The member of that name; the last one if there are several, as most readers do. `null` counts as absent.
    pub(crate) fn get(self, name: &str) -> Option<Val<'a>> {
        self.members()
            .filter(|(key, _)| key == name)
            .last()
            .map(|(_, value)| value)
            .filter(|value| !value.is_null())
    }

    pub(crate) fn get_str(self, name: &str) -> Option<Cow<'a, str>> {
        self.get(name)?.as_str()
    }

    pub(crate) fn get_u64(self, name: &str) -> Option<u64> {
        self.get(name)?.as_u64()
    }
}

#[derive(Clone, Debug)]
struct Inner<'a> {
    cursor: Cursor<'a>,
    open: bool,
}

impl<'a> Inner<'a> {
    fn start(text: &'a str, wanted: Kind, kind: Kind) -> Self {
        let mut cursor = Cursor::new(text);
        let open = kind == wanted && cursor.enter().unwrap_or(false);
        Self { cursor, open }
    }
}

/// See [`Val::members`].
#[derive(Clone, Debug)]
pub(crate) struct Members<'a> {
    text: &'a str,
    inner: Inner<'a>,
}

impl<'a> Iterator for Members<'a> {
    type Item = (Cow<'a, str>, Val<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        if !self.inner.open {
            return None;
        }
        let cursor = &mut self.inner.cursor;
        let (name, _) = cursor.name().ok()?;
        let value = cursor.skip().ok()?;
        self.inner.open = cursor.more(b'}').unwrap_or(false);
        Some((unescape(name.of(self.text)), Val(value.of(self.text))))
    }
}

/// See [`Val::elements`].
#[derive(Clone, Debug)]
pub(crate) struct Elements<'a> {
    text: &'a str,
    inner: Inner<'a>,
}

impl<'a> Iterator for Elements<'a> {
    type Item = Val<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        if !self.inner.open {
            return None;
        }
        let value = self.inner.cursor.skip().ok()?;
        self.inner.open = self.inner.cursor.more(b']').unwrap_or(false);
        Some(Val(value.of(self.text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_reads_what_is_there() {
        let v = Val::parse(r#" {"a":"x\n","b":[1,2.0,12345678901234567890123],"c":null,"\u0061":"last","d":{"e":true},"n":-3} "#).unwrap();
        assert_eq!(v.get_str("a").as_deref(), Some("last"));
        let b: Vec<_> = v.get("b").unwrap().elements().map(Val::raw).collect();
        assert_eq!(b, ["1", "2.0", "12345678901234567890123"]);
        assert_eq!(v.get("b").unwrap().elements().nth(1).unwrap().as_u64(), Some(2));
        assert_eq!(v.get("c"), None);
        assert_eq!(v.get("d").and_then(|d| d.get("e")).and_then(Val::as_bool), Some(true));
        assert_eq!((v.get_u64("n"), v.get("n").map(Val::raw)), (None, Some("-3")));
        assert_eq!(v.get("zz"), None);
        assert_eq!(v.elements().count(), 0);
    }
}
