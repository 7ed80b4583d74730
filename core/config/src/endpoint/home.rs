//! Addresses of the catalogue with parts that an operator fills in, and operations that stand elsewhere than the others.

use sluicegate_core::call::Format;
use sluicegate_core::channel::Endpoint;

use super::{host_of, is_one_host, path_segments, split_query, with_query};
use crate::catalogue::Provider;

/// The version without which Foundry's models don't answer.
// QUIRK(azure_ai, 2026-11, https://learn.microsoft.com/en-us/rest/api/aifoundry/modelinference/)
const FOUNDRY: (&str, &str) = ("azure_ai", "api-version=2024-05-01-preview");

/// Operations whose address begins at the host; without one they aren't there.
// QUIRK(perplexity, 2026-11, https://docs.perplexity.ai/api-reference): only chat stands without a version.
// QUIRK(deepseek, 2026-11, https://api-docs.deepseek.com/api/create-completion): completions are a beta.
// QUIRK(azure_ai, 2026-11, https://learn.microsoft.com/en-us/azure/ai-foundry/foundry-models/): `/models` has chat and
// embeddings; pictures are made under OpenAI's addresses, Cohere ranks under its own.
const ELSEWHERE: [(&str, Format, Option<&str>); 7] = [
    ("perplexity", Format::OpenaiResponses, Some("/v1/responses")),
    ("perplexity", Format::OpenaiEmbeddings, Some("/v1/embeddings")),
    ("deepseek", Format::OpenaiCompletions, Some("/beta/completions")),
    ("azure_ai", Format::OpenaiImages, Some("/openai/v1/images/generations")),
    ("azure_ai", Format::OpenaiImageEdits, Some("/openai/v1/images/edits")),
    ("azure_ai", Format::OpenaiImageVariations, None),
    ("azure_ai", Format::Rerank, Some("/providers/cohere/v2/rerank")),
];

/// Whether an address is one of the provider's own: its host, or one that its catalogue's address is filled in to.
pub(super) fn is_own(provider: &Provider, base: &str) -> bool {
    let (Some(host), Some(own)) = (host_of(base), host_of(provider.base_url)) else { return false };
    if is_blank(own) {
        // Every host would be one of its own: its path tells, where it has one.
        let path = path_segments(split_query(base).0);
        return !path_segments(provider.base_url).is_empty() && (path.is_empty() || begins(provider, &path));
    }
    is_one_host(host, own) || fits(own, host)
}

/// The path of the provider's own address where that is the host of `base`, without parts that are to be filled in.
pub(super) fn own_path(provider: &Provider, base: &str) -> Option<&'static str> {
    let own = host_of(provider.base_url)?;
    let is_its = host_of(base).is_some_and(|host| is_one_host(host, own) || fits(own, host));
    let path = provider.base_url.trim_end_matches('/').splitn(4, '/').nth(3).unwrap_or_default();
    (is_its && !path.contains('{')).then_some(path)
}

/// Whether a base address is the provider's own whole, with everything filled in.
pub(super) fn is_base(provider: &Provider, base: &str) -> bool {
    is_own(provider, base) && {
        let path = path_segments(base);
        path.len() == path_segments(provider.base_url).len() && begins(provider, &path)
    }
}

/// Puts operations where they are, at an address of the provider's own.
pub(super) fn settle(provider: &Provider, endpoints: &mut Vec<Endpoint>) {
    let elsewhere = |format| ELSEWHERE.iter().find(|(id, it, _)| *id == provider.id && *it == format);
    endpoints.retain(|it| elsewhere(it.format).is_none_or(|(.., path)| path.is_some()));
    for endpoint in endpoints {
        let (path, query) = split_query(&endpoint.url);
        if let Some((.., Some(there))) = elsewhere(endpoint.format) {
            let host: Vec<_> = path.splitn(4, '/').take(3).collect();
            endpoint.url = with_query(format!("{}{there}", host.join("/")), query);
        } else if provider.id == FOUNDRY.0
            && path_segments(path).first() == Some(&"models")
            && !query.is_some_and(|query| query.contains("api-version="))
        {
            let query = query.into_iter().chain([FOUNDRY.1]).collect::<Vec<_>>().join("&");
            endpoint.url = with_query(path.to_owned(), Some(&query));
        }
    }
}

/// Whether a path begins like that of the provider's own address.
fn begins(provider: &Provider, path: &[&str]) -> bool {
    let own = path_segments(provider.base_url);
    path.len() >= own.len() && own.iter().zip(path).all(|(own, part)| own == part || fits(own, part))
}

fn is_blank(part: &str) -> bool {
    part.starts_with('{') && part.find('}') == Some(part.len().saturating_sub(1))
}

/// Whether `text` is `pattern` with its parts in braces filled in.
fn fits(pattern: &str, text: &str) -> bool {
    let Some((before, rest)) = pattern.split_once('{') else { return pattern.eq_ignore_ascii_case(text) };
    let after = rest.split_once('}').map_or("", |(_, after)| after);
    let (Some(head), Some(text)) = (text.get(..before.len()), text.get(before.len()..)) else { return false };
    // BOUND: as often as there are parts in braces, and those are few.
    head.eq_ignore_ascii_case(before)
        && (1..=text.len()).any(|at| text.get(at..).is_some_and(|rest| fits(after, rest)))
}

#[cfg(test)]
mod tests {
    use super::super::{BaseStyle, endpoints};
    use super::*;
    use crate::catalogue::provider;

    #[test]
    fn operations_are_called_where_they_are() {
        let foundry = "https://n.services.ai.azure.com";
        for (name, base, format, want) in [
            (
                "azure_ai",
                "https://n.services.ai.azure.com/models",
                Format::OpenaiChat,
                Some(format!("{foundry}/models/chat/completions?api-version=2024-05-01-preview")),
            ),
            (
                "azure_ai",
                "https://n.services.ai.azure.com",
                Format::OpenaiEmbeddings,
                Some(format!("{foundry}/models/embeddings?api-version=2024-05-01-preview")),
            ),
            (
                "azure_ai",
                "https://n.services.ai.azure.com/models?api-version=2025-01-01",
                Format::OpenaiChat,
                Some(format!("{foundry}/models/chat/completions?api-version=2025-01-01")),
            ),
            (
                "azure_ai",
                "https://n.services.ai.azure.com/openai/v1",
                Format::OpenaiChat,
                Some(format!("{foundry}/openai/v1/chat/completions")),
            ),
            (
                "azure_ai",
                "https://n.eastus.models.ai.azure.com",
                Format::OpenaiChat,
                Some("https://n.eastus.models.ai.azure.com/v1/chat/completions".to_owned()),
            ),
            ("azure_ai", "https://n.services.ai.azure.com/models", Format::OpenaiImageVariations, None),
            (
                "databricks",
                "https://w.cloud.databricks.com/serving-endpoints",
                Format::OpenaiChat,
                Some("https://w.cloud.databricks.com/serving-endpoints/chat/completions".to_owned()),
            ),
            (
                "databricks",
                "https://w.cloud.databricks.com",
                Format::OpenaiResponses,
                Some("https://w.cloud.databricks.com/serving-endpoints/responses".to_owned()),
            ),
            ("databricks", "https://relay.test/v1", Format::OpenaiResponses, None),
            (
                "bedrock_mantle",
                "https://bedrock-mantle.us-east-1.api.aws/v1",
                Format::OpenaiResponses,
                Some("https://bedrock-mantle.us-east-1.api.aws/v1/responses".to_owned()),
            ),
            ("bedrock_mantle", "https://relay.test/v1", Format::OpenaiResponses, None),
            (
                "cloudflare",
                "https://api.cloudflare.com/client/v4/accounts/a1/ai/v1",
                Format::OpenaiResponses,
                Some("https://api.cloudflare.com/client/v4/accounts/a1/ai/v1/responses".to_owned()),
            ),
            (
                "perplexity",
                "https://api.perplexity.ai",
                Format::OpenaiChat,
                Some("https://api.perplexity.ai/chat/completions".to_owned()),
            ),
            (
                "perplexity",
                "https://api.perplexity.ai",
                Format::OpenaiResponses,
                Some("https://api.perplexity.ai/v1/responses".to_owned()),
            ),
            (
                "perplexity",
                "https://relay.test/v1",
                Format::OpenaiEmbeddings,
                Some("https://relay.test/v1/embeddings".to_owned()),
            ),
            (
                "deepseek",
                "https://api.deepseek.com/v1",
                Format::OpenaiCompletions,
                Some("https://api.deepseek.com/beta/completions".to_owned()),
            ),
        ] {
            let got = endpoints(&provider(name).unwrap(), Some(base), BaseStyle::Host);
            let got = got.into_iter().find(|it| it.format == format).map(|it| it.url);
            assert_eq!(got, want, "{name} at {base}");
        }
    }

    #[test]
    fn parts_in_braces_are_something_and_nothing_else_is() {
        for (pattern, text, want) in [
            ("bedrock.{region}.aws", "bedrock.eu.aws", true),
            ("bedrock.{region}.aws", "bedrock..aws", false),
            ("bedrock.{region}.aws", "bedrock.eu.aws.evil.test", false),
            ("{a}-{b}", "x-y", true),
            ("{a}", "", false),
            ("{a}.x", "é.x", true),
        ] {
            assert_eq!(fits(pattern, text), want, "{pattern} {text}");
        }
    }
}
