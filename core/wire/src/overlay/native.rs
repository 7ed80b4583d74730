//! What a change raises in a body of a format that only upstreams speak: nothing scans those.

use sluicegate_core::Format;

use crate::json::{Kind, Val};

/// What of the bound a change raises, if anything. Input is measured by the bytes of what holds it.
pub(super) fn raised(format: Format, before: &str, after: &str, adds_tokens: u64) -> Option<&'static str> {
    let (before, after) = (Val::trusted(before), Val::trusted(after));
    let same = |name: &str| before.get(name).map(Val::raw) == after.get(name).map(Val::raw);
    let (holds, ceiling): (&[&str], _) = match format {
        Format::OllamaChat => (&["messages", "tools", "format"], "options.num_predict"),
        _ => (&["messages", "tools", "documents", "response_format"], "max_tokens"),
    };
    let most = |body: Val<'_>| {
        ceiling
            .split('.')
            .try_fold(body, |value, name| value.get(name))
            .map(|value| value.as_u64().unwrap_or(u64::MAX))
    };
    let size = |body: Val<'_>| {
        let parts = body.members().filter(|(name, _)| holds.contains(&&**name));
        parts.fold(0u64, |sum, (_, value)| sum.saturating_add(value.raw().len() as u64))
    };
    let has_messages = after.get("messages").is_some_and(|messages| messages.kind() == Kind::Array);
    let checks = [
        (same("model"), "model"),
        (same("stream"), "stream"),
        (most(before).is_none_or(|before| most(after).is_some_and(|after| after <= before)), ceiling),
        (has_messages && size(after) <= size(before).saturating_add(adds_tokens), "messages"),
    ];
    checks.into_iter().find(|(fine, _)| !fine).map(|(_, field)| field)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_reserved_is_not_passed() {
        let ollama = r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"stream":true,"options":{"num_predict":100}}"#;
        let cohere =
            r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"stream":false,"max_tokens":100}"#;
        for (format, body, from, to, want) in [
            (
                Format::OllamaChat,
                ollama,
                "\"num_predict\":100",
                "\"num_predict\":100,\"num_ctx\":32768",
                None,
            ),
            (Format::OllamaChat, ollama, "100", "101", Some("options.num_predict")),
            (Format::OllamaChat, ollama, "100", "-1", Some("options.num_predict")),
            (
                Format::OllamaChat,
                ollama,
                ",\"options\":{\"num_predict\":100}",
                "",
                Some("options.num_predict"),
            ),
            (Format::OllamaChat, ollama, "true", "false", Some("stream")),
            (
                Format::CohereChat,
                cohere,
                "\"max_tokens\":100",
                "\"max_tokens\":99,\"safety_mode\":\"NONE\"",
                None,
            ),
            (Format::CohereChat, cohere, "100", "1000", Some("max_tokens")),
            (Format::CohereChat, cohere, "\"m\"", "\"n\"", Some("model")),
            (Format::CohereChat, cohere, "hi", "hi there", None),
            (Format::CohereChat, cohere, "hi", "hi, and much more than that", Some("messages")),
            (Format::CohereChat, cohere, "\"max", "\"documents\":[\"a long text\"],\"max", Some("messages")),
            (Format::CohereChat, cohere, "messages", "else", Some("messages")),
        ] {
            assert_eq!(raised(format, body, &body.replace(from, to), 8), want, "{from} to {to}");
        }
    }
}
