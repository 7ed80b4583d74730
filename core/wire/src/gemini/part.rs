//! What parts of requests and answers have in common.

use crate::base64;
use crate::ir::{FOREIGN_BYTES, Maker, Seal};
use crate::json::Val;
use crate::names::tool_id;

/// A seal as it stands in a part. One of another maker travels as bytes as well: libraries decode this field.
pub(super) fn read_seal(text: &str) -> Seal {
    if text.starts_with(FOREIGN_BYTES)
        && let Some(shown) = base64::decode(text).and_then(|bytes| String::from_utf8(bytes).ok())
    {
        let seal = Seal::read(Maker::Gemini, &shown);
        if seal.maker != Maker::Gemini {
            return seal;
        }
    }
    Seal::read(Maker::Gemini, text)
}

/// The seal for a part.
pub(super) fn shown_seal(seal: &Seal) -> String {
    match seal.of(Maker::Gemini) {
        Some(own) => own.to_owned(),
        None => base64::encode(seal.shown(Maker::Gemini).as_bytes()),
    }
}

/// The seal of a part, if it has one.
pub(super) fn seal_of(part: Val<'_>) -> Option<Seal> {
    super::member(part, "thoughtSignature")?.as_str().filter(|s| !s.is_empty()).map(|s| read_seal(&s))
}

/// An id for a call that has none: it differs from those of other answers by that of its own.
pub(super) fn made_up_id(response: &str, choice: u32, tool: u32) -> String {
    let response: String = response.chars().take(24).collect();
    let choice = if choice == 0 { String::new() } else { format!("{choice}_") };
    match response.is_empty() {
        true => format!("call_{choice}{tool}"),
        false => tool_id(&format!("call_{response}_{choice}{tool}")).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seals_of_all_makers_travel_as_bytes() {
        for maker in [Maker::Anthropic, Maker::Openai, Maker::Gemini] {
            let seal = Seal::new(maker, "CiQB+abcd/==");
            let shown = shown_seal(&seal);
            assert!(base64::decode(&shown).is_some(), "{shown}");
            assert_eq!(read_seal(&shown), seal);
            let url_safe = shown.replace('+', "-").replace('/', "_");
            if maker != Maker::Gemini {
                assert_eq!(read_seal(&url_safe), seal);
            }
        }
        assert_eq!(read_seal("c2x1aWNlZ2F0ZS1zZWFs").maker, Maker::Gemini);
    }

    #[test]
    fn made_up_ids_are_plain_and_differ() {
        assert_eq!(made_up_id("", 0, 1), "call_1");
        assert_eq!(made_up_id("aB-c_9", 0, 1), "call_aB-c_9_1");
        assert_ne!(made_up_id("a", 1, 0), made_up_id("a", 0, 0));
        assert!(made_up_id(&"é".repeat(60), 0, 0).len() <= 40);
    }
}
