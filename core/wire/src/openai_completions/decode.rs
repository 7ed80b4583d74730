//! A completion's request into the neutral model: its prompt is what the user says.

use std::borrow::Cow;

use crate::error::{Result, WireError};
use crate::ir::{Block, Request, Role};
use crate::json::{Kind, Val};
use crate::loss::Losses;
use crate::openai_chat;

/// Decodes a body that was scanned. Fields named in `skip` are as good as absent.
///
/// # Errors
/// For what only an endpoint for completions could be told, as another channel may have one.
pub(crate) fn request(body: Val<'_>, skip: &[&str], losses: &mut Losses) -> Result<Request> {
    let mut request = Request::default();
    let (mut text, mut best_of) = (None, None);
    for (name, value) in body.members() {
        if value.is_null() || skip.contains(&&*name) {
            continue;
        }
        match &*name {
            "prompt" => text = Some(prompt(value)?),
            "suffix" if value.as_str().is_some_and(|text| text.is_empty()) => {}
            "suffix" => return Err(refused("suffix", "a text that goes before another one", "leave it out")),
            "echo" if value.as_bool() == Some(false) => {}
            "echo" => {
                return Err(refused(
                    "echo",
                    "the prompt again before the answer",
                    "leave it out and put it there yourself",
                ));
            }
            "best_of" => best_of = value.as_u64(),
            "logprobs" => match value.as_u64() {
                Some(top) => request.logprobs.get_or_insert_default().top = Some(top).filter(|top| *top > 0),
                None => losses.dropped("logprobs", "it is no number of tokens"),
            },
            // Of chat's fields those that this format has, too.
            "model" | "max_tokens" | "temperature" | "top_p" | "top_k" | "seed" | "presence_penalty"
            | "frequency_penalty" | "n" | "stop" | "stream" | "stream_options" | "user" | "metadata"
            | "service_tier" => openai_chat::field(&mut request, &name, value, losses)?,
            ours if crate::scan::is_ours(ours) => {}
            other => losses.dropped(other, "the target has no place for it"),
        }
    }
    if best_of.is_some_and(|best| best > request.n.unwrap_or(1)) {
        losses.dropped("best_of", "the target gives as many answers as it makes");
    }
    // Endpoints of chat refuse a turn in which nothing is said.
    let said = text.filter(|text| !text.trim().is_empty());
    let text = said.ok_or_else(|| refused("prompt", "an answer to nothing", "send a text"))?;
    request.add(Role::User, [Block::text(text)]);
    Ok(request)
}

/// The one text of a prompt.
fn prompt(value: Val<'_>) -> Result<Cow<'_, str>> {
    if let Some(text) = value.as_str() {
        return Ok(text);
    }
    let mut prompts = value.elements();
    match (prompts.next(), prompts.next()) {
        (Some(first), _) if matches!(first.kind(), Kind::Number | Kind::Array) => {
            Err(refused("prompt", "a prompt in tokens", "send its text"))
        }
        (Some(_), Some(_)) => Err(refused("prompt", "several prompts at once", "send a call for each")),
        (only, _) => only
            .and_then(Val::as_str)
            .ok_or_else(|| refused("prompt", "a prompt that is no text", "send a text")),
    }
}

fn refused(field: &str, what: &str, remedy: &str) -> WireError {
    let message = format!(
        "`{field}`: this model is served in formats of chat, which can't be asked for {what}: {remedy}, or name a model that is served by \
         completions"
    );
    WireError::invalid(message).at(field).elsewhere()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_is_one_text() {
        for (text, want) in [
            (r#""a""#, Some("a")),
            (r#""""#, Some("")),
            (r#"["a"]"#, Some("a")),
            (r#"["a", "b"]"#, None),
            ("[]", None),
            ("[1, 2]", None),
            ("[[1], [2]]", None),
            ("[[1]]", None),
            ("[null]", None),
            ("7", None),
        ] {
            let found = prompt(Val::trusted(text));
            assert_eq!(found.as_deref().ok(), want, "{text}");
            assert!(found.err().is_none_or(|e| e.is_elsewhere() && e.param() == Some("prompt")), "{text}");
        }
    }
}
