//! JSON strings: escapes in and out.

use std::borrow::Cow;

use super::cursor::hex;

/// What stands between the quotes of `quoted`, decoded. A lone surrogate becomes U+FFFD.
pub(crate) fn unescape(quoted: &str) -> Cow<'_, str> {
    let inner = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(quoted);
    let Some(first) = memchr::memchr(b'\\', inner.as_bytes()) else {
        return Cow::Borrowed(inner);
    };
    let mut out = String::with_capacity(inner.len());
    let mut rest = inner;
    let mut next = Some(first);
    while let Some(at) = next {
        out.push_str(rest.get(..at).unwrap_or_default());
        let used = unescape_one(rest.as_bytes().get(at..).unwrap_or_default(), &mut out);
        rest = rest.get(at + used..).unwrap_or_default();
        next = memchr::memchr(b'\\', rest.as_bytes());
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// How many bytes `quoted` has when decoded, at most. Allocates nothing.
pub(crate) fn decoded_len(quoted: &str) -> usize {
    let inner = quoted.len().saturating_sub(2);
    let mut less = 0;
    let mut skip_to = 0;
    for at in memchr::memchr_iter(b'\\', quoted.as_bytes()) {
        if at < skip_to {
            continue;
        }
        skip_to = at + 2;
        less += if quoted.as_bytes().get(at + 1) == Some(&b'u') { 3 } else { 1 };
    }
    inner.saturating_sub(less)
}

/// JSON without the white space between its words.
pub(crate) fn compact(json: &str) -> Cow<'_, str> {
    let mut out = String::new();
    let (mut from, mut is_text, mut is_escaped) = (0, false, false);
    for (at, byte) in json.bytes().enumerate() {
        match byte {
            _ if std::mem::take(&mut is_escaped) => {}
            b'\\' => is_escaped = true,
            b'"' => is_text = !is_text,
            b' ' | b'\n' | b'\r' | b'\t' if !is_text => {
                out.push_str(json.get(from..at).unwrap_or_default());
                from = at + 1;
            }
            _ => {}
        }
    }
    if from == 0 {
        return Cow::Borrowed(json);
    }
    out.push_str(json.get(from..).unwrap_or_default());
    Cow::Owned(out)
}

/// Decodes the escape that `bytes` begins with; returns how many bytes it took.
fn unescape_one(bytes: &[u8], out: &mut String) -> usize {
    let plain = match bytes.get(1) {
        Some(b'n') => '\n',
        Some(b't') => '\t',
        Some(b'r') => '\r',
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'u') => return unescape_unicode(bytes, out),
        Some(other) => char::from(*other),
        None => return 1,
    };
    out.push(plain);
    2
}

fn unescape_unicode(bytes: &[u8], out: &mut String) -> usize {
    let unit = |at: usize| bytes.get(at..at + 4).and_then(hex);
    let Some(high) = unit(2) else {
        return bytes.len().min(2);
    };
    if (0xd800..0xdc00).contains(&high)
        && bytes.get(6..8) == Some(b"\\u")
        && let Some(low @ 0xdc00..0xe000) = unit(8)
    {
        let pair = 0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00);
        out.push(char::from_u32(pair).unwrap_or(char::REPLACEMENT_CHARACTER));
        return 12;
    }
    out.push(char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER));
    6
}

/// Appends `text` as a JSON string with its quotes.
pub(crate) fn escape_into(out: &mut String, text: &str) {
    out.push('"');
    let mut from = 0;
    for (at, byte) in text.bytes().enumerate() {
        let short = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0..=0x1f => "",
            _ => continue,
        };
        out.push_str(text.get(from..at).unwrap_or_default());
        if short.is_empty() {
            out.push_str("\\u00");
            for nibble in [byte >> 4, byte & 15] {
                out.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
            }
        } else {
            out.push_str(short);
        }
        from = at + 1;
    }
    out.push_str(text.get(from..).unwrap_or_default());
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_decode_and_lone_surrogates_are_replaced() {
        for (quoted, want) in [
            (r#""plain""#, "plain"),
            (r#""a\nb\t\"\\\/""#, "a\nb\t\"\\/"),
            (r#""\u00e9\u4f60""#, "é你"),
            (r#""\ud83d\ude00!""#, "😀!"),
            (r#""\ud83d!""#, "\u{fffd}!"),
            (r#""\ud83d\u0041""#, "\u{fffd}A"),
        ] {
            assert_eq!(unescape(quoted), want, "{quoted}");
            assert!(decoded_len(quoted) >= want.len() && decoded_len(quoted) < quoted.len(), "{quoted}");
        }
    }

    #[test]
    fn only_white_space_between_words_goes() {
        for (json, want) in [
            ("{ \"a b\" :\r\n\t[ 1 , \"\\\" \\\\\" ] } ", "{\"a b\":[1,\"\\\" \\\\\"]}"),
            (" \"é \"", "\"é \""),
            ("{\"a\":\" \"}", "{\"a\":\" \"}"),
            (" ", ""),
        ] {
            assert_eq!(compact(json), want, "{json}");
        }
    }

    proptest::proptest! {
        #[test]
        fn escaping_comes_back(text in ".*") {
            let mut out = String::new();
            escape_into(&mut out, &text);
            assert_eq!(unescape(&out), text.as_str());
            assert_eq!(serde_json::from_str::<String>(&out).unwrap(), text);
        }
    }
}
