//! Operations beside the making of a response, asked in the same words: how many tokens its input has, and a shorter conversation
//! in place of a long one.

use bytes::Bytes;
use sluicegate_core::Format;

use crate::error::{Result, WireError};
use crate::json::{Kind, Val, object};

/// What only matters to a response that is made.
const MAKING: [&str; 16] = [
    "background",
    "context_management",
    "include",
    "max_output_tokens",
    "max_tool_calls",
    "moderation",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "service_tier",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "top_logprobs",
    "top_p",
];
/// What says who asks, or belongs to the answer: nothing of the input either.
const BESIDE: [&str; 3] = ["metadata", "safety_identifier", "user"];

/// The request for a response that stands behind such an operation.
///
/// # Errors
/// `InvalidRequest` when it says what the operation can't take into account.
pub(crate) fn behind(format: Format, body: &Bytes) -> Result<Bytes> {
    let text = std::str::from_utf8(body).unwrap_or_default();
    let root = Val::parse(text.strip_prefix('\u{feff}').unwrap_or(text)).ok();
    let Some(root) = root.filter(|root| root.kind() == Kind::Object) else {
        // Whoever reads it next says what is wrong with it.
        return Ok(body.clone());
    };
    let has = |name: &str| root.get(name).is_some();
    let says = |name: &str| root.get(name).is_some_and(|v| v.as_bool() != Some(false));
    let refused: &[(&str, &str)] = match format {
        Format::OpenaiCompact => &[
            ("stream", "a conversation is compacted in one answer: leave it out"),
            (
                "conversation",
                "what a conversation keeps isn't compacted in its place: send its items in `input`",
            ),
            ("prompt", "a stored prompt isn't compacted: send what it says in `instructions` and `input`"),
        ],
        _ => &[(
            "prompt",
            "the tokens of a stored prompt are known to its provider alone: send what it says in `input`",
        )],
    };
    if let Some((name, why)) = refused.iter().find(|(name, _)| says(name)) {
        return Err(WireError::invalid(format!("`{name}`: {why}")).at(*name));
    }
    if format == Format::OpenaiCompact {
        return Ok(body.clone());
    }
    let is_bare = !has("input") && !has("previous_response_id") && !has("conversation");
    let is_left_out = |name: &str| MAKING.contains(&name) || name == "input" && !has("input");
    if !is_bare && !root.members().any(|(name, _)| is_left_out(&name)) {
        return Ok(body.clone());
    }
    Ok(object(|o| {
        for (name, value) in root.members().filter(|(name, _)| !is_left_out(name)) {
            o.raw(&name, value.raw());
        }
        if is_bare {
            // Instructions and tools have tokens without it.
            o.raw("input", "[]");
        }
    })
    .into())
}

/// The question how many input tokens a request has.
// QUIRK(openai, 2026-11, https://developers.openai.com/api/reference/resources/responses/subresources/input_tokens/methods/count): it
// takes `conversation`, `input`, `instructions`, `model`, `parallel_tool_calls`, `previous_response_id`, `reasoning`, `text`,
// `tool_choice`, `tools` and `truncation`, and refuses the other fields of a response.
pub fn input_tokens_request(request: &Bytes) -> Bytes {
    let Some(root) = Val::from_bytes(request) else { return request.clone() };
    let is_left_out = |name: &str| MAKING.contains(&name) || BESIDE.contains(&name);
    if !root.members().any(|(name, _)| is_left_out(&name)) {
        return request.clone();
    }
    let rest = root.members().filter(|(name, _)| !is_left_out(name));
    object(|o| rest.for_each(|(name, value)| o.raw(&name, value.raw()))).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(format: Format, body: &'static str) -> std::result::Result<String, String> {
        let body = behind(format, &Bytes::from_static(body.as_bytes()));
        body.map(|body| String::from_utf8_lossy(&body).into_owned())
            .map_err(|error| error.param().unwrap_or_default().to_owned())
    }

    #[test]
    fn what_is_counted_is_what_a_response_would_be_made_from() {
        const COUNT: Format = Format::OpenaiInputTokens;
        for (asked, want) in [
            (r#"{"model":"m", "input":"a","tools":[ ]}"#, Ok(r#"{"model":"m", "input":"a","tools":[ ]}"#)),
            (
                r#"{"model":"m","stream":true,"st\u006fre":false,"input":"a","max_output_tokens":9,"x":1.0}"#,
                Ok(r#"{"model":"m","input":"a","x":1.0}"#),
            ),
            // A name that stands twice still does.
            (r#"{"input":"a","input":"b","store":1}"#, Ok(r#"{"input":"a","input":"b"}"#)),
            (r#"{"model":"m","instructions":"i"}"#, Ok(r#"{"model":"m","instructions":"i","input":[]}"#)),
            (r#"{"input":null,"previous_response_id":"resp_1"}"#, Ok(r#"{"previous_response_id":"resp_1"}"#)),
            (r#"{"input":"a","prompt":{"id":"p"}}"#, Err("prompt")),
            (r#"{"input":"a","prompt":null}"#, Ok(r#"{"input":"a","prompt":null}"#)),
            ("no JSON", Ok("no JSON")),
            ("[]", Ok("[]")),
        ] {
            assert_eq!(read(COUNT, asked), want.map(str::to_owned).map_err(str::to_owned), "{asked}");
        }
    }

    #[test]
    fn a_compaction_stays_as_it_came_or_is_refused() {
        for (asked, want) in [
            (r#"{"model":"m","input":[],"tools":[],"stream":false}"#, None),
            (r#"{"model":"m","previous_response_id":"resp_1","conversation":null}"#, None),
            (r#"{"model":"m","input":"a","stream":true}"#, Some("stream")),
            (r#"{"model":"m","input":"a","conversation":"conv_1"}"#, Some("conversation")),
            (r#"{"model":"m","prompt":{"id":"p"}}"#, Some("prompt")),
        ] {
            let want = want.map_or(Ok(asked.to_owned()), |name| Err(name.to_owned()));
            assert_eq!(read(Format::OpenaiCompact, asked), want, "{asked}");
        }
    }

    #[test]
    fn a_count_is_asked_with_nothing_else() {
        for (request, want) in [
            (
                r#"{"model":"m", "input":"a","truncation":"auto"}"#,
                r#"{"model":"m", "input":"a","truncation":"auto"}"#,
            ),
            (
                r#"{"model":"m","user":"u","metadata":{"a":"b"},"input":"a","store":false,"top_p":1,"reasoning":{"effort":"low"}}"#,
                r#"{"model":"m","input":"a","reasoning":{"effort":"low"}}"#,
            ),
        ] {
            assert_eq!(input_tokens_request(&Bytes::from_static(request.as_bytes())), want, "{request}");
        }
    }
}
