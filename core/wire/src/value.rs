//! Fields that are numbers, or texts that end an answer: what isn't so is named, whatever format it came in.

use crate::json::{Kind, Val};
use crate::loss::Losses;

/// A number as it was written. What is none is among the losses.
pub(crate) fn number(value: Val<'_>, path: &str, losses: &mut Losses) -> Option<String> {
    let number = (value.kind() == Kind::Number).then(|| value.raw().to_owned());
    if number.is_none() {
        losses.dropped(path, "it is no number");
    }
    number
}

/// Texts at which an answer ends: one, or a list. What is no text is among the losses.
pub(crate) fn stops(value: Val<'_>, path: &str, losses: &mut Losses) -> Vec<String> {
    if let Some(text) = value.as_str() {
        return vec![text.into_owned()];
    }
    if value.kind() != Kind::Array {
        losses.dropped(path, "it is neither a text nor a list of texts");
        return Vec::new();
    }
    let mut texts = Vec::new();
    for (at, element) in value.elements().enumerate() {
        match element.as_str() {
            Some(text) => texts.push(text.into_owned()),
            None => losses.dropped(format!("{path}[{at}]"), "it is no text"),
        }
    }
    texts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_neither_number_nor_text_is_named() {
        for (text, want, lost) in [
            ("0.7", Some("0.7"), ""),
            (r#""0.7""#, None, "dropped t"),
            ("true", None, "dropped t"),
            ("{}", None, "dropped t"),
        ] {
            let mut losses = Losses::default();
            assert_eq!(number(Val::trusted(text), "t", &mut losses).as_deref(), want, "{text}");
            assert_eq!(losses.to_string(), lost, "{text}");
        }
        for (text, want, lost) in [
            (r#""a""#, &["a"][..], ""),
            (r#"["a","b"]"#, &["a", "b"], ""),
            ("[]", &[], ""),
            (r#"["a",7,{"b":1}]"#, &["a"], "dropped s[1]; dropped s[2]"),
            (r#"{"a":"b"}"#, &[], "dropped s"),
            ("7", &[], "dropped s"),
        ] {
            let mut losses = Losses::default();
            assert_eq!(stops(Val::trusted(text), "s", &mut losses), want, "{text}");
            assert_eq!(losses.to_string(), lost, "{text}");
        }
    }
}
