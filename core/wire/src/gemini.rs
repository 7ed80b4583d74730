//! Gemini's `generateContent` around the neutral model. Model and streaming stand in the address of a call, not in its body.

mod answer;
mod array;
mod body;
mod count;
mod decode;
mod encode;
mod generation;
mod part;
mod schema;
mod stream;

pub(crate) use answer::Decoder;
pub use array::EventArray;
pub(crate) use body::body;
pub use count::count_request;
pub(crate) use count::counted;
pub(crate) use decode::{is_googles, request};
pub(crate) use encode::{encode, wanted_sound};
pub(crate) use schema::json_schema;
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

/// A member by its name in camel case or in snake case: both are understood everywhere. Nothing is allocated: this is asked of
/// every frame.
pub(crate) fn member<'a>(v: Val<'a>, name: &str) -> Option<Val<'a>> {
    v.get(name).or_else(|| {
        if !name.bytes().any(|b| b.is_ascii_uppercase()) {
            return None;
        }
        let of_that_name = v.members().filter(|(key, _)| is_snake_of(key, name));
        of_that_name.last().map(|(_, value)| value).filter(|value| !value.is_null())
    })
}

/// Whether `max_output_tokens` is `maxOutputTokens` in snake case.
fn is_snake_of(snake: &str, camel: &str) -> bool {
    let mut rest = snake.bytes();
    let fits = camel.bytes().all(|b| match b.is_ascii_uppercase() {
        true => rest.next() == Some(b'_') && rest.next() == Some(b.to_ascii_lowercase()),
        false => rest.next() == Some(b),
    });
    fits && rest.next().is_none()
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
                (is_snake_of(snake, camel), &*camel_case(snake), &*camel_case(camel)),
                (true, camel, camel)
            );
            let text = format!(r#"{{"{snake}":1}}"#);
            assert_eq!(member(Val::trusted(&text), camel).map(Val::raw), Some("1"));
            for other in [&snake[1..], &format!("{snake}_"), "", "max_outputTokens"] {
                assert!(!is_snake_of(other, camel), "{other}");
            }
        }
    }
}
