//! A whole answer of whatever format, for what it is charged by.

use std::sync::Arc;

use sluicegate_core::Format;
use sluicegate_core::quirk::Quirks;

use super::Tap;
use crate::json::{Kind, Val};
use crate::observed::Observed;
use crate::usage::said_in;

/// What a whole answer of a chat says that it is charged by: what it used, the tier that served it and the variant. It is read as
/// answers are on their way to a caller, at a provider with these quirks, but needn't be more than its `usage` and what stands beside
/// that. Without [`Observed::usage`] it says nothing that can be read.
pub fn charged_by(answer: &[u8], quirks: &Arc<Quirks>) -> Observed {
    let Some(root) = Val::from_bytes(answer).filter(|root| root.kind() == Kind::Object) else {
        return Observed::default();
    };
    let mut tap = Tap::new(format_of(root), Some(Arc::clone(quirks)));
    tap.document(answer);
    let said = root.get("usage").filter(|said| said.kind() == Kind::Object);
    if tap.format == Format::AnthropicMessages && tap.observed.usage.is_none() {
        tap.merge(said);
    }
    // Anthropic's answers in another's format keep what theirs say within it.
    tap.served(said);
    let mut observed = tap.observed;
    // What calls of any shape are known to say.
    let plain = said_in(b"", answer).filter(|_| !observed.usage_rejected);
    observed.usage = match (observed.usage, plain) {
        (Some(mut read), Some(plain)) => {
            read.searches = read.searches.max(plain.searches);
            Some(read)
        }
        (read, plain) => read.or(plain),
    };
    observed
}

fn format_of(root: Val<'_>) -> Format {
    let said = root.get("usage");
    let counts = |name: &str| said.and_then(|said| said.get(name)).is_some();
    let is_list = |name: &str| root.get(name).is_some_and(|list| list.kind() == Kind::Array);
    if crate::gemini::member(root, "usageMetadata").is_some() || is_list("candidates") {
        Format::GeminiGenerate
    } else if root.get("eval_count").is_some() {
        Format::OllamaChat
    } else if counts("billed_units") {
        Format::CohereChat
    } else if counts("prompt_tokens") || is_list("choices") {
        Format::OpenaiChat
    } else if is_list("output") || root.get_str("object").as_deref() == Some("response") {
        Format::OpenaiResponses
    } else if root.get_str("type").as_deref() == Some("message") || counts("cache_read_input_tokens") {
        Format::AnthropicMessages
    } else {
        Format::OpenaiChat
    }
}

#[cfg(test)]
mod tests {
    use sluicegate_core::Usage;

    use super::*;

    #[test]
    fn tier_and_region_are_read_where_each_format_says_them() {
        let usage =
            |input_uncached, output_visible| Usage { input_uncached, output_visible, ..Usage::default() };
        for (answer, used, tier, region) in [
            (
                r#"{"type":"message","usage":{"input_tokens":5,"output_tokens":2,"service_tier":"priority","inference_geo":"us"}}"#,
                Some(usage(5, 2)),
                Some("priority"),
                Some("us"),
            ),
            (
                r#"{"usage":{"input_tokens":5,"cache_read_input_tokens":0,"output_tokens":2,"service_tier":"batch"}}"#,
                Some(usage(5, 2)),
                Some("batch"),
                None,
            ),
            (
                r#"{"usageMetadata":{"promptTokenCount":5,"candidatesTokenCount":2,"serviceTier":"flex"}}"#,
                Some(usage(5, 2)),
                Some("flex"),
                None,
            ),
            (
                r#"{"service_tier":"flex","usage":{"prompt_tokens":5,"completion_tokens":2}}"#,
                Some(usage(5, 2)),
                Some("flex"),
                None,
            ),
            (
                r#"{"object":"response","output":[],"service_tier":"priority","usage":{"input_tokens":5,"output_tokens":2}}"#,
                Some(usage(5, 2)),
                Some("priority"),
                None,
            ),
            (
                r#"{"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":2,"inference_geo":"eu"}}"#,
                Some(usage(5, 2)),
                None,
                Some("eu"),
            ),
            (r#"{"usage":{"prompt_tokens":-1,"completion_tokens":2}}"#, None, None, None),
            (r#"{"usage":null}"#, None, None, None),
            ("[]", None, None, None),
        ] {
            let seen = charged_by(answer.as_bytes(), &Arc::default());
            let found = seen.served_variant.as_deref().and_then(|variant| variant.region.as_deref());
            assert_eq!((seen.usage, seen.served_tier.as_deref(), found), (used, tier, region), "{answer}");
        }
    }
}
