//! Base64 as providers write it: either alphabet, padded or not.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

/// Bits left over at the end are nobody's fault who only passes them on.
const LENIENT: GeneralPurpose =
    GeneralPurpose::new(&STANDARD, GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true));

/// The usual alphabet, padded.
pub(crate) fn encode(bytes: &[u8]) -> String {
    LENIENT.encode(bytes)
}

/// What was encoded with the usual or the URL-safe alphabet, padded or not; `None` if it wasn't.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let mut plain = text.trim_end_matches('=').replace('-', "+").replace('_', "/");
    plain.extend(std::iter::repeat_n('=', (4 - plain.len() % 4) % 4));
    LENIENT.decode(plain).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_encoded_is_decoded() {
        for (bytes, text) in [
            (&b""[..], ""),
            (b"f", "Zg=="),
            (b"fo", "Zm8="),
            (b"foo", "Zm9v"),
            (b"foobar", "Zm9vYmFy"),
            (&[0xfb, 0xff, 0xfe], "+//+"),
        ] {
            assert_eq!(encode(bytes), text);
            assert_eq!(decode(text).as_deref(), Some(bytes), "{text}");
            assert_eq!(decode(text.trim_end_matches('=')).as_deref(), Some(bytes), "{text}");
        }
        assert_eq!(decode("-__-").as_deref(), Some(&[0xfb, 0xff, 0xfe][..]));
        assert_eq!(decode("Zh").as_deref(), Some(&b"f"[..]), "bits left over");
        for wrong in ["Zg=a", "a b", "é", "Z"] {
            assert_eq!(decode(wrong), None, "{wrong}");
        }
    }
}
