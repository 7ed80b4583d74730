//! What tier has served a call, in each format's word for it.

/// The word of OpenAI's two formats. `None` for one that says what was asked for, not what served.
pub(crate) fn openai(word: &str) -> Option<String> {
    match word.to_ascii_lowercase().as_str() {
        "" | "auto" => None,
        "standard" => Some("default".to_owned()),
        other => Some(other.to_owned()),
    }
}

/// Anthropic's word; it has none for most of others' tiers.
pub(crate) fn anthropic(word: &str) -> Option<&'static str> {
    match word.to_ascii_lowercase().as_str() {
        "standard" | "default" => Some("standard"),
        "priority" => Some("priority"),
        "batch" => Some("batch"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_format_has_its_word() {
        for (word, at_openai, at_anthropic) in [
            ("standard", Some("default"), Some("standard")),
            ("STANDARD", Some("default"), Some("standard")),
            ("default", Some("default"), Some("standard")),
            ("priority", Some("priority"), Some("priority")),
            ("flex", Some("flex"), None),
            ("auto", None, None),
        ] {
            assert_eq!((openai(word).as_deref(), anthropic(word)), (at_openai, at_anthropic), "{word}");
        }
    }
}
