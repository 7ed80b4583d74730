//! Writes JSON as `serde_json` does, byte for byte, and faster where most of it is short texts that need no escape: names of
//! fields, ids. Each call's record is written so. Raw JSON (`serde_json::value::RawValue`) is refused: only `serde_json`
//! itself can write it.

use std::fmt::Display;

use serde::{Serialize, ser};

/// Why a value isn't JSON: bytes, a key that is no scalar, or what its own `Serialize` says.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unwritten(String);

impl ser::Error for Unwritten {
    fn custom<T: Display>(what: T) -> Self {
        Self(what.to_string())
    }
}

impl From<serde_json::Error> for Unwritten {
    fn from(why: serde_json::Error) -> Self {
        Self(why.to_string())
    }
}

type Done = Result<(), Unwritten>;

/// Appends a value. What was appended before an error stays there.
///
/// # Errors
/// [`Unwritten`].
pub(crate) fn write(out: &mut Vec<u8>, value: &impl Serialize) -> Done {
    value.serialize(Writer(out))
}

fn put_text(out: &mut Vec<u8>, text: &str) -> Done {
    // Looks at every byte, which takes several at a time; stopping at the first would not.
    let special = |b: u8| (b < 0x20) | (b == b'"') | (b == b'\\');
    if text.bytes().fold(false, |any, b| any | special(b)) {
        return Ok(serde_json::to_writer(out, text)?);
    }
    out.reserve(text.len() + 2);
    out.push(b'"');
    out.extend_from_slice(text.as_bytes());
    out.push(b'"');
    Ok(())
}

struct Writer<'a>(&'a mut Vec<u8>);

/// An array or object under way.
struct Within<'a> {
    out: &'a mut Vec<u8>,
    empty: bool,
    /// What ends it.
    close: &'static [u8],
}

impl<'a> Within<'a> {
    fn begin(out: &'a mut Vec<u8>, open: u8, close: &'static [u8]) -> Self {
        out.push(open);
        Self { out, empty: true, close }
    }

    /// One that is the only member of an object, as variants with data are.
    fn of_variant(
        out: &'a mut Vec<u8>,
        variant: &str,
        open: u8,
        close: &'static [u8],
    ) -> Result<Self, Unwritten> {
        out.push(b'{');
        put_text(out, variant)?;
        out.push(b':');
        Ok(Self::begin(out, open, close))
    }

    fn next(&mut self) {
        if !std::mem::take(&mut self.empty) {
            self.out.push(b',');
        }
    }

    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
        self.next();
        value.serialize(Writer(self.out))
    }

    fn field<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Done {
        self.next();
        put_text(self.out, name)?;
        self.out.push(b':');
        value.serialize(Writer(self.out))
    }

    fn done(self) -> Done {
        self.out.extend_from_slice(self.close);
        Ok(())
    }
}

macro_rules! numbers {
    ($($name:ident $number:ty)+) => {$(
        fn $name(self, n: $number) -> Done {
            self.0.extend_from_slice(itoa::Buffer::new().format(n).as_bytes());
            Ok(())
        }
    )+};
}

impl<'a> ser::Serializer for Writer<'a> {
    type Ok = ();
    type Error = Unwritten;
    type SerializeSeq = Within<'a>;
    type SerializeTuple = Within<'a>;
    type SerializeTupleStruct = Within<'a>;
    type SerializeTupleVariant = Within<'a>;
    type SerializeMap = Within<'a>;
    type SerializeStruct = Within<'a>;
    type SerializeStructVariant = Within<'a>;

    numbers! {
        serialize_i8 i8 serialize_i16 i16 serialize_i32 i32 serialize_i64 i64 serialize_i128 i128
        serialize_u8 u8 serialize_u16 u16 serialize_u32 u32 serialize_u64 u64 serialize_u128 u128
    }

    fn serialize_bool(self, is: bool) -> Done {
        self.0.extend_from_slice(if is { b"true" } else { b"false" });
        Ok(())
    }

    fn serialize_f32(self, n: f32) -> Done {
        Ok(serde_json::to_writer(self.0, &n)?)
    }

    fn serialize_f64(self, n: f64) -> Done {
        Ok(serde_json::to_writer(self.0, &n)?)
    }

    fn serialize_char(self, c: char) -> Done {
        put_text(self.0, c.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, text: &str) -> Done {
        put_text(self.0, text)
    }

    fn serialize_bytes(self, _: &[u8]) -> Done {
        Err(ser::Error::custom("bytes are no JSON"))
    }

    fn serialize_none(self) -> Done {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Done {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Done {
        self.0.extend_from_slice(b"null");
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Done {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Done {
        put_text(self.0, variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Done {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Done {
        let mut only = Within::begin(self.0, b'{', b"}");
        only.field(variant, value)?;
        only.done()
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Within<'a>, Unwritten> {
        Ok(Within::begin(self.0, b'[', b"]"))
    }

    fn serialize_tuple(self, _: usize) -> Result<Within<'a>, Unwritten> {
        Ok(Within::begin(self.0, b'[', b"]"))
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Within<'a>, Unwritten> {
        Ok(Within::begin(self.0, b'[', b"]"))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Within<'a>, Unwritten> {
        Within::of_variant(self.0, variant, b'[', b"]}")
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Within<'a>, Unwritten> {
        Ok(Within::begin(self.0, b'{', b"}"))
    }

    fn serialize_struct(self, name: &'static str, _: usize) -> Result<Within<'a>, Unwritten> {
        if name.starts_with("$serde_json::") {
            return Err(ser::Error::custom("raw JSON can't be written here"));
        }
        Ok(Within::begin(self.0, b'{', b"}"))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Within<'a>, Unwritten> {
        Within::of_variant(self.0, variant, b'{', b"}}")
    }
}

macro_rules! within {
    ($($kind:ident $put:ident;)+) => {$(
        impl ser::$kind for Within<'_> {
            type Ok = ();
            type Error = Unwritten;

            fn $put<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
                self.element(value)
            }

            fn end(self) -> Done {
                self.done()
            }
        }
    )+};
    (named $($kind:ident)+) => {$(
        impl ser::$kind for Within<'_> {
            type Ok = ();
            type Error = Unwritten;

            fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Done {
                self.field(name, value)
            }

            fn end(self) -> Done {
                self.done()
            }
        }
    )+};
}

within! {
    SerializeSeq serialize_element;
    SerializeTuple serialize_element;
    SerializeTupleStruct serialize_field;
    SerializeTupleVariant serialize_field;
}
within!(named SerializeStruct SerializeStructVariant);

impl ser::SerializeMap for Within<'_> {
    type Ok = ();
    type Error = Unwritten;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Done {
        self.next();
        let at = self.out.len();
        key.serialize(Writer(self.out))?;
        match self.out.get(at) {
            Some(b'"') => {}
            Some(b'-' | b'0'..=b'9' | b't' | b'f') => {
                self.out.insert(at, b'"');
                self.out.push(b'"');
            }
            _ => return Err(ser::Error::custom("a key must be a text, a number or a boolean")),
        }
        self.out.push(b':');
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
        value.serialize(Writer(self.out))
    }

    fn end(self) -> Done {
        self.done()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Serialize;

    use super::*;

    #[derive(Serialize)]
    struct Unit;

    #[derive(Serialize)]
    struct Pair(u8, &'static str);

    #[derive(Serialize)]
    struct New(i64);

    #[derive(Serialize)]
    enum Variant {
        Unit,
        New(u64),
        Tuple(u8, bool),
        Struct { a: Option<u8>, b: Vec<u8> },
    }

    #[derive(Serialize)]
    #[serde(tag = "step", rename_all = "snake_case")]
    enum Tagged {
        First { a: u8 },
        Second(BTreeMap<String, u8>),
    }

    fn written(value: &impl Serialize) -> String {
        let mut out = Vec::new();
        write(&mut out, value).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn same(value: &impl Serialize) {
        assert_eq!(written(value), serde_json::to_string(value).unwrap());
    }

    #[test]
    fn every_shape_is_written_as_serde_json_writes_it() {
        same(&(Unit, Pair(1, "x"), New(-5), (), Some(1u8), None::<u8>));
        same(&[Variant::Unit, Variant::New(u64::MAX), Variant::Tuple(7, true)]);
        same(&[Variant::Struct { a: None, b: vec![] }, Variant::Struct { a: Some(1), b: vec![1, 2] }]);
        same(&[Tagged::First { a: 1 }, Tagged::Second(BTreeMap::from([("k\"".to_owned(), 1)]))]);
        same(&BTreeMap::from([(-1i64, "a"), (2, "b")]));
        same(&BTreeMap::from([(true, "a"), (false, "b")]));
        same(&BTreeMap::from([('c', 1.5f64), ('d', -0.0)]));
        same(&(f64::NAN, f64::INFINITY, 1e300, 0.1f32, i64::MIN, u128::MAX, i8::MIN));
        same(&Vec::<u8>::new());
        same(&serde_json::json!({"a": [{}, [], null, true, {"b": {"c": 1}}], "": ""}));
    }

    #[test]
    fn every_character_is_written_as_serde_json_writes_it() {
        for c in (0..0x250).filter_map(char::from_u32).chain(['快', '\u{2028}', '\u{ffff}', '😀']) {
            for before in [0, 1, 7, 8, 15, 16, 33] {
                same(&format!("{}{c}{}", "a".repeat(before), "z".repeat(before)));
            }
        }
    }

    #[test]
    fn what_is_no_json_is_refused() {
        assert!(write(&mut Vec::new(), &BTreeMap::from([(vec![1u8], 1)])).is_err());
        struct Bytes;
        impl Serialize for Bytes {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_bytes(b"x")
            }
        }
        assert!(write(&mut Vec::new(), &Bytes).is_err());
        assert!(write(&mut Vec::new(), &BTreeMap::from([(None::<u8>, 1)])).is_err());
    }
}
