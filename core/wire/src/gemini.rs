//! Gemini's `generateContent` around the neutral model. Model and streaming stand in the address of a call, not in its body.

mod answer;
mod array;
mod base64;
mod body;
mod decode;
mod encode;
mod generation;
mod part;
mod schema;
mod stream;

pub(crate) use answer::Decoder;
pub use array::EventArray;
pub(crate) use body::body;
pub(crate) use decode::{is_googles, request};
pub(crate) use encode::encode;
pub(crate) use stream::Encoder;

use crate::ir::Stop;
use crate::json::Val;

/// The finish reason for why an answer ended. Calls of tools end it like anything else.
fn finish_reason(stop: Stop) -> &'static str {
    match stop {
        Stop::End | Stop::Sequence | Stop::ToolUse => "STOP",
        // A paused turn is an unfinished one.
        Stop::Length | Stop::Pause => "MAX_TOKENS",
        Stop::Refusal => "SAFETY",
    }
}

/// What a finish reason means; `None` for one that says that the answer itself went wrong.
fn stop_of(word: &str) -> Option<Stop> {
    Some(match word {
        "MAX_TOKENS" => Stop::Length,
        "SAFETY"
        | "RECITATION"
        | "LANGUAGE"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION"
        | "NO_IMAGE" => Stop::Refusal,
        "MALFORMED_FUNCTION_CALL"
        | "MALFORMED_RESPONSE"
        | "UNEXPECTED_TOOL_CALL"
        | "TOO_MANY_TOOL_CALLS"
        | "MISSING_THOUGHT_SIGNATURE" => return None,
        _ => Stop::End,
    })
}

/// A member by its name in camel case or in snake case: both are understood everywhere.
pub(crate) fn member<'a>(v: Val<'a>, name: &str) -> Option<Val<'a>> {
    v.get(name).or_else(|| {
        let snake = snake_case(name);
        if snake == name { None } else { v.get(&snake) }
    })
}

/// `maxOutputTokens` as `max_output_tokens`.
fn snake_case(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 4);
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

/// `max_output_tokens` as `maxOutputTokens`; a name in camel case stays as it is.
pub(crate) fn camel_case(name: &str) -> std::borrow::Cow<'_, str> {
    if !name.contains('_') {
        return name.into();
    }
    let mut out = String::with_capacity(name.len());
    let mut upper = false;
    for c in name.chars() {
        match c {
            '_' => upper = true,
            c if std::mem::take(&mut upper) => out.push(c.to_ascii_uppercase()),
            c => out.push(c),
        }
    }
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_to_write_a_name_are_one() {
        for (camel, snake) in
            [("maxOutputTokens", "max_output_tokens"), ("topP", "top_p"), ("tools", "tools")]
        {
            assert_eq!(
                (snake_case(camel).as_str(), &*camel_case(snake), &*camel_case(camel)),
                (snake, camel, camel)
            );
            let text = format!(r#"{{"{snake}":1}}"#);
            assert_eq!(member(Val::trusted(&text), camel).map(Val::raw), Some("1"));
        }
    }
}
