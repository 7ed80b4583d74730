//! From a provider and a base address to the whole address of each operation.

mod azure;
mod home;

use sluicegate_core::call::Format;
use sluicegate_core::channel::Endpoint;

use crate::catalogue::Provider;
pub(crate) use azure::{AZURE, dated};

/// How a dialect reads a base address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BaseStyle {
    /// What stands before `/chat/completions`, as the OpenAI SDK takes it: nothing is added.
    Exact,
    /// A host, or a host and path; the version segment is added when it is missing.
    Host,
}

/// The host of an address, without user and port.
pub(crate) fn host_of(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = match host.rsplit_once(':') {
        Some((host, port)) if port.chars().all(|c| c.is_ascii_digit()) => host,
        _ => host,
    };
    (!host.is_empty()).then_some(host)
}

/// Checks an address: http or https, a host, no spaces, nothing left to fill in.
pub(crate) fn check_url(url: &str) -> Result<(), &'static str> {
    let lower = url.to_ascii_lowercase();
    if !(lower.starts_with("http://") || lower.starts_with("https://")) {
        return Err("it must start with https:// or http://");
    }
    if url.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err("it must have no spaces");
    }
    if url.contains(['{', '}', '<', '>']) {
        return Err("a part of it in braces is still to be filled in");
    }
    let Some(host) = host_of(url) else { return Err("it has no host") };
    if host.trim_matches(['.', '…']).is_empty() {
        return Err("it is a placeholder, not an address");
    }
    Ok(())
}

/// The operations that a channel of `provider` at `base` serves, the provider's own format first. `base` is `None` for the
/// provider's own address, and must have passed [`check_url`] otherwise.
pub(crate) fn endpoints(provider: &Provider, base: Option<&str>, style: BaseStyle) -> Vec<Endpoint> {
    if provider.id == Provider::MOCK.id {
        let mock = |format| Endpoint { format, url: String::new() };
        return vec![mock(Format::OpenaiChat), mock(Format::OpenaiEmbeddings)];
    }
    let own_host = base.is_none_or(|base| home::is_own(provider, base));
    if provider.wire == "anthropic" {
        let url = messages_url(base.unwrap_or(provider.base_url));
        let count = Endpoint { format: Format::AnthropicCountTokens, url: append(&url, "/count_tokens") };
        return vec![Endpoint { format: Format::AnthropicMessages, url }, count];
    }
    if let Some(base) = base.filter(|base| provider.wire == "openai" && is_of_messages(base)) {
        return vec![Endpoint { format: Format::AnthropicMessages, url: messages_url(base) }];
    }
    if provider.wire == AZURE {
        return azure::endpoints(base.unwrap_or(provider.base_url));
    }
    if provider.wire == "gemini" {
        let root = gemini_root(base.unwrap_or(provider.base_url));
        // Embeddings are served at its endpoint in OpenAI's format.
        return vec![
            Endpoint { format: Format::GeminiGenerate, url: append(&root, GENERATE) },
            Endpoint { format: Format::GeminiCountTokens, url: append(&root, COUNT) },
            Endpoint { format: Format::OpenaiEmbeddings, url: append(&root, "/openai/embeddings") },
        ];
    }
    if provider.wire == "cohere" {
        return cohere_endpoints(base.unwrap_or(provider.base_url));
    }
    let mut endpoints = Vec::new();
    let native =
        (provider.wire == "ollama").then(|| ollama_root(base.unwrap_or(provider.base_url), base.is_none()));
    let compatible = native.as_ref().and_then(Option::as_ref).map(|root| append(root, "/v1"));
    if let Some(root) = native.flatten() {
        endpoints.push(Endpoint { format: Format::OllamaChat, url: append(&root, "/api/chat") });
    }
    let root = openai_root(provider, compatible.as_deref().or(base), style);
    // Who serves another's model behind a foreign address serves whatever they like.
    if provider.serves("chat") || !own_host {
        endpoints.push(Endpoint { format: Format::OpenaiChat, url: append(&root, "/chat/completions") });
    }
    if provider.serves("embeddings") || !own_host {
        endpoints.push(Endpoint { format: Format::OpenaiEmbeddings, url: append(&root, "/embeddings") });
    }
    // Many serve the formats of chat and embeddings elsewhere, few this one: there an operator says so.
    if provider.serves("responses") && own_host {
        endpoints.push(Endpoint { format: Format::OpenaiResponses, url: append(&root, "/responses") });
    }
    if own_host && !provider.anthropic_base_url.is_empty() && provider.serves("chat") {
        let own = base.is_none_or(|base| !crate::catalogue::is_local(host_of(base).unwrap_or_default()));
        if own {
            endpoints.push(Endpoint {
                format: Format::AnthropicMessages,
                url: messages_url(provider.anthropic_base_url),
            });
        }
    }
    let beside = crate::operation::beside_responses(|word| provider.serves(word) && own_host);
    for (format, path) in crate::operation::paths(|word| provider.serves(word) || !own_host).chain(beside) {
        endpoints.push(Endpoint { format, url: append(&root, path) });
    }
    if own_host {
        home::settle(provider, &mut endpoints);
    }
    endpoints
}

/// Whether an address is the provider's own, or left to it: then its usual credential may be sent there.
pub(crate) fn is_home(provider: &Provider, base: Option<&str>) -> bool {
    base.is_none_or(|base| same_host(base, provider.base_url) || same_host(base, provider.anthropic_base_url))
}

/// The operations that a channel of `provider` serves: `base` is what stands before `/chat/completions` or `/v1/messages`, or a
/// host alone; `None` is the provider's own address.
///
/// # Errors
/// Why there is no address: the provider isn't served, the base is none, or the provider has none of its own.
pub fn endpoints_of(provider: &Provider, base: Option<&str>) -> Result<Vec<Endpoint>, String> {
    if !provider.is_served() {
        return Err(format!("the provider `{}` is not served yet by this version", provider.id));
    }
    if provider.id != Provider::MOCK.id {
        check_url(base.unwrap_or(provider.base_url))
            .map_err(|why| format!("this is no address of an upstream: {why}"))?;
    }
    Ok(endpoints(provider, base, BaseStyle::Host))
}

/// Cohere's own format, or the compatible one where the address says so.
// QUIRK(cohere, 2026-11, https://docs.cohere.com/docs/compatibility-api): OpenAI's format stands under `/compatibility/v1`,
// embeddings of its own have another shape.
fn cohere_endpoints(base: &str) -> Vec<Endpoint> {
    const COMPATIBLE: &str = "/compatibility/v1";
    let (path, query) = split_query(base);
    let (host, is_compatible) = match path.split_once(COMPATIBLE) {
        Some((host, _)) => (host, true),
        None => {
            let path = path.trim_end_matches('/');
            let path =
                ["/chat", "/rerank", "/embed"].iter().find_map(|end| path.strip_suffix(end)).unwrap_or(path);
            (["/v1", "/v2"].iter().find_map(|end| path.strip_suffix(end)).unwrap_or(path), false)
        }
    };
    let url = |path: &str| with_query(format!("{}{path}", host.trim_end_matches('/')), query);
    let chat = match is_compatible {
        true => Endpoint { format: Format::OpenaiChat, url: url(&format!("{COMPATIBLE}/chat/completions")) },
        false => Endpoint { format: Format::CohereChat, url: url("/v2/chat") },
    };
    vec![
        chat,
        Endpoint { format: Format::OpenaiEmbeddings, url: url(&format!("{COMPATIBLE}/embeddings")) },
        Endpoint { format: Format::Rerank, url: url("/v2/rerank") },
    ]
}

/// What stands before `/api` and `/v1` of an Ollama; `None` when the address is one of OpenAI's format: then nothing else is
/// known to be there. `is_own`: it is the catalogue's, which serves both.
fn ollama_root(base: &str, is_own: bool) -> Option<String> {
    let (path, query) = split_query(base);
    let path = path.trim_end_matches('/');
    if is_own {
        return path.strip_suffix("/v1").map(str::to_owned);
    }
    if path_segments(path).into_iter().any(is_version) {
        return None;
    }
    let path = ["/api/chat", "/api"].iter().find_map(|end| path.strip_suffix(end)).unwrap_or(path);
    Some(with_query(path.to_owned(), query))
}

fn same_host(a: &str, b: &str) -> bool {
    matches!((host_of(a), host_of(b)), (Some(a), Some(b)) if is_one_host(a, b))
}

/// Whether two names are of one host.
// QUIRK(cohere, 2026-11): it answers under an older name, too.
pub(crate) fn is_one_host(a: &str, b: &str) -> bool {
    let newer = |host| if str::eq_ignore_ascii_case(host, "api.cohere.ai") { "api.cohere.com" } else { host };
    newer(a).eq_ignore_ascii_case(newer(b))
}

/// Whether a base address is one of Anthropic's format at a provider that speaks another as well.
// QUIRK(azure_ai, 2026-11, https://learn.microsoft.com/en-us/azure/ai-foundry/foundry-models/how-to/use-foundry-models-claude): Claude stands
// under `/anthropic`, and so do the formats of DeepSeek, DashScope, Kimi and others there.
fn is_of_messages(base: &str) -> bool {
    let path = split_query(base).0.trim_end_matches('/');
    let path = path.strip_suffix("/messages").unwrap_or(path);
    let path = path.strip_suffix("/v1").unwrap_or(path);
    path_segments(path).last().is_some_and(|last| matches!(*last, "anthropic" | "claude-code-proxy"))
}

/// `{base}/v1/messages`, whatever of it the base has already.
pub(crate) fn messages_url(base: &str) -> String {
    let (path, _) = split_query(base);
    let end = path.trim_end_matches('/');
    if end.ends_with("/messages") {
        append(base, "")
    } else if end.ends_with("/v1") {
        append(base, "/messages")
    } else {
        append(base, "/v1/messages")
    }
}

/// Behind the base of Gemini's format. The model, and how to ask it, are filled in for each attempt.
pub(crate) const GENERATE: &str = "/models/{model}:generateContent";
pub(crate) const COUNT: &str = "/models/{model}:countTokens";

/// `{base}/v1beta/models/{model}:generateContent`, whatever of it the base has already. The part in braces stands in the
/// address of the endpoint: it is filled in for each attempt.
pub(crate) fn generate_url(base: &str) -> String {
    append(&gemini_root(base), GENERATE)
}

/// `{base}/v1beta/models/{model}:countTokens`, likewise.
pub(crate) fn count_url(base: &str) -> String {
    append(&gemini_root(base), COUNT)
}

/// An address of Gemini's format without what is filled in.
pub(crate) fn without_model(url: &str) -> String {
    let rest = url.replacen(GENERATE, "", 1).replacen("/models/{model}:streamGenerateContent", "", 1);
    rest.replacen(COUNT, "", 1)
}

/// What stands before `/models/…`.
fn gemini_root(base: &str) -> String {
    let base = without_model(base);
    let (path, query) = split_query(&base);
    let path = path.split("/models/").next().unwrap_or(path).trim_end_matches('/');
    let path = ["/models", "/openai"].iter().fold(path, |path, end| path.strip_suffix(end).unwrap_or(path));
    let has_version = path_segments(path).into_iter().any(is_version);
    with_query(if has_version { path.to_owned() } else { format!("{path}/v1beta") }, query)
}

/// What stands before `/chat/completions`.
fn openai_root(provider: &Provider, base: Option<&str>, style: BaseStyle) -> String {
    let Some(base) = base else { return provider.base_url.trim_end_matches('/').to_owned() };
    let (path, query) = split_query(base);
    let mut path = path.trim_end_matches('/').to_owned();
    // A whole address of one operation stands for the base of all.
    let others = crate::operation::endings();
    for operation in
        ["/chat/completions", "/embeddings", "/completions", "/responses"].into_iter().chain(others)
    {
        if let Some(root) = path.strip_suffix(operation) {
            path = root.to_owned();
            return with_query(path, query);
        }
    }
    if style == BaseStyle::Host && !home::is_base(provider, &path) {
        let segments = path_segments(&path);
        let own_path = home::own_path(provider, &path).unwrap_or("v1");
        if segments.is_empty() {
            if !own_path.is_empty() {
                path = format!("{path}/{own_path}");
            }
        } else if !segments.iter().any(|segment| is_version(segment)) {
            path.push_str("/v1");
        }
    }
    with_query(path, query)
}

fn path_segments(url: &str) -> Vec<&str> {
    url.splitn(4, '/')
        .nth(3)
        .map(|path| path.split('/').filter(|segment| !segment.is_empty()).collect())
        .unwrap_or_default()
}

/// `v1`, `v4`, `v1beta`.
pub(crate) fn is_version(segment: &str) -> bool {
    let mut chars = segment.chars();
    chars.next() == Some('v') && chars.next().is_some_and(|c| c.is_ascii_digit())
}

fn split_query(url: &str) -> (&str, Option<&str>) {
    let url = url.split('#').next().unwrap_or_default();
    match url.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (url, None),
    }
}

fn with_query(path: String, query: Option<&str>) -> String {
    match query {
        Some(query) if !query.is_empty() => format!("{path}?{query}"),
        _ => path,
    }
}

fn append(base: &str, path: &str) -> String {
    let (root, query) = split_query(base);
    with_query(format!("{}{path}", root.trim_end_matches('/')), query)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::provider;

    fn urls(name: &str, base: Option<&str>, style: BaseStyle) -> Vec<String> {
        endpoints(&provider(name).unwrap(), base, style).into_iter().map(|endpoint| endpoint.url).collect()
    }

    #[test]
    fn openai_bases() {
        for (base, style, want) in [
            (
                "https://wanqing.kuaishou.com/v1",
                BaseStyle::Exact,
                "https://wanqing.kuaishou.com/v1/chat/completions",
            ),
            (
                "https://wanqing.kuaishou.com/v1",
                BaseStyle::Host,
                "https://wanqing.kuaishou.com/v1/chat/completions",
            ),
            ("https://x.test/v1/", BaseStyle::Exact, "https://x.test/v1/chat/completions"),
            ("https://x.test", BaseStyle::Exact, "https://x.test/chat/completions"),
            ("https://x.test", BaseStyle::Host, "https://x.test/v1/chat/completions"),
            ("https://x.test/", BaseStyle::Host, "https://x.test/v1/chat/completions"),
            ("https://x.test/openai", BaseStyle::Host, "https://x.test/openai/v1/chat/completions"),
            ("https://x.test/api/v3", BaseStyle::Host, "https://x.test/api/v3/chat/completions"),
            ("https://x.test/v1/chat/completions", BaseStyle::Host, "https://x.test/v1/chat/completions"),
            ("https://x.test/v1?k=1", BaseStyle::Exact, "https://x.test/v1/chat/completions?k=1"),
            ("http://127.0.0.1:8080/v1", BaseStyle::Exact, "http://127.0.0.1:8080/v1/chat/completions"),
        ] {
            let got = urls("openai", Some(base), style);
            assert_eq!(got[0], want, "{base}");
            assert_eq!(got[1], want.replace("/chat/completions", "/embeddings"), "{base}");
        }
    }

    #[test]
    fn a_host_alone_gets_the_providers_own_path() {
        assert_eq!(
            urls("bigmodel", Some("https://open.bigmodel.cn"), BaseStyle::Host)[0],
            "https://open.bigmodel.cn/api/paas/v4/chat/completions"
        );
        assert_eq!(
            urls("dashscope", Some("https://dashscope.aliyuncs.com"), BaseStyle::Host)[0],
            "https://dashscope.aliyuncs.com/compatible-mode/v1/chat/completions"
        );
        assert_eq!(
            urls("perplexity", Some("https://api.perplexity.ai"), BaseStyle::Host)[0],
            "https://api.perplexity.ai/chat/completions"
        );
        assert_eq!(
            urls("openrouter", Some("https://openrouter.ai/api"), BaseStyle::Host)[0],
            "https://openrouter.ai/api/v1/chat/completions"
        );
    }

    #[test]
    fn anthropic_bases() {
        for base in ["https://a.test", "https://a.test/", "https://a.test/v1", "https://a.test/v1/messages"] {
            assert_eq!(
                urls("anthropic", Some(base), BaseStyle::Exact),
                ["https://a.test/v1/messages", "https://a.test/v1/messages/count_tokens"],
                "{base}"
            );
        }
        assert_eq!(urls("anthropic", None, BaseStyle::Exact)[0], "https://api.anthropic.com/v1/messages");
        for (provider, base) in [
            ("azure_ai", "https://r.services.ai.azure.com/anthropic"),
            ("azure_ai", "https://r.services.ai.azure.com/anthropic/v1/messages"),
            ("bedrock_mantle", "https://bedrock-mantle.eu-west-1.api.aws/anthropic/"),
            ("deepseek", "https://api.deepseek.com/anthropic"),
            ("openai", "https://relay.example/anthropic/v1"),
            ("wanqing", "https://wanqing.streamlakeapi.com/api/gateway/v1/endpoints/ep-1/claude-code-proxy"),
        ] {
            let root = base.trim_end_matches(['/', 's']).trim_end_matches("/message").trim_end_matches("/v1");
            let want = format!("{root}/v1/messages");
            assert_eq!(urls(provider, Some(base), BaseStyle::Exact), [want], "{base}");
        }
    }

    #[test]
    fn azure_bases() {
        const HOST: &str = "https://res.openai.azure.com";
        for (base, want) in [
            ("", "/openai/v1/chat/completions"),
            ("/", "/openai/v1/chat/completions"),
            ("/openai/v1", "/openai/v1/chat/completions"),
            ("/openai/v1/?api-version=preview", "/openai/v1/chat/completions?api-version=preview"),
            (
                "?api-version=2025-01-01-preview",
                "/openai/deployments/{model}/chat/completions?api-version=2025-01-01-preview",
            ),
            ("/openai/deployments/gpt", "/openai/deployments/gpt/chat/completions?api-version=2024-10-21"),
            (
                "/openai/deployments/gpt/chat/completions?api-version=2024-06-01",
                "/openai/deployments/gpt/chat/completions?api-version=2024-06-01",
            ),
        ] {
            let got = urls("azure", Some(&format!("{HOST}{base}")), BaseStyle::Host);
            assert_eq!(got[0], format!("{HOST}{want}"), "{base}");
            assert_eq!(got[1], format!("{HOST}{}", want.replace("chat/completions", "embeddings")), "{base}");
        }
    }

    #[test]
    fn gemini_bases() {
        let want = "https://g.test/v1beta/models/{model}:generateContent";
        for base in [
            "https://g.test",
            "https://g.test/",
            "https://g.test/v1beta",
            "https://g.test/v1beta/models",
            "https://g.test/v1beta/openai/",
            "https://g.test/v1beta/models/gemini-2.5-pro:streamGenerateContent",
            "https://g.test/v1beta/models/{model}:generateContent",
        ] {
            assert_eq!(generate_url(base), want, "{base}");
            let got = urls("gemini", Some(base), BaseStyle::Exact);
            let count = "https://g.test/v1beta/models/{model}:countTokens";
            assert_eq!(got, [want, count, "https://g.test/v1beta/openai/embeddings"], "{base}");
        }
        assert_eq!(
            generate_url("https://g.test/v1?k=1"),
            "https://g.test/v1/models/{model}:generateContent?k=1"
        );
        assert_eq!(
            urls("google", None, BaseStyle::Host)[0],
            "https://generativelanguage.googleapis.com/v1beta/models/{model}:generateContent"
        );
        assert_eq!(provider("gemini").unwrap().auth(), Some(sluicegate_core::channel::Auth::Bearer));
    }

    #[test]
    fn cohere_bases() {
        for base in ["", "/", "/v2", "/v2/", "/v1", "/v2/chat", "/v1/rerank"] {
            let want = ["/v2/chat", "/compatibility/v1/embeddings", "/v2/rerank"]
                .map(|path| format!("https://c.test{path}"));
            assert_eq!(
                urls("cohere", Some(&format!("https://c.test{base}")), BaseStyle::Host),
                want,
                "{base}"
            );
        }
        for base in ["", "/", "/chat/completions"] {
            let base = format!("https://api.cohere.ai/compatibility/v1{base}");
            let got = endpoints(&provider("cohere").unwrap(), Some(&base), BaseStyle::Exact);
            assert_eq!(got[0].format, Format::OpenaiChat, "{base}");
            assert_eq!(got[0].url, "https://api.cohere.ai/compatibility/v1/chat/completions");
            assert_eq!(got[2].url, "https://api.cohere.ai/v2/rerank");
        }
        let own = endpoints(&provider("cohere").unwrap(), None, BaseStyle::Exact);
        assert_eq!(
            (own[0].format, own[0].url.as_str()),
            (Format::CohereChat, "https://api.cohere.com/v2/chat")
        );
        assert!(is_home(&provider("cohere").unwrap(), Some("https://api.cohere.ai/v2")));
    }

    #[test]
    fn ollama_bases() {
        let shown = |base: Option<&str>| {
            let all = endpoints(&provider("ollama").unwrap(), base, BaseStyle::Exact);
            let chats =
                all.into_iter().filter(|it| !it.format.is_single() && it.format != Format::OpenaiEmbeddings);
            chats.map(|it| format!("{} {}", it.format.as_str(), it.url)).collect::<Vec<_>>()
        };
        let both = |host: &str| {
            vec![format!("ollama_chat {host}/api/chat"), format!("openai_chat {host}/v1/chat/completions")]
        };
        for base in ["", "/", "/api", "/api/chat"] {
            assert_eq!(
                shown(Some(&format!("http://gpu.test:11434{base}"))),
                both("http://gpu.test:11434"),
                "{base}"
            );
        }
        assert_eq!(shown(None)[..2], both("http://localhost:11434"));
        // An address of OpenAI's format stays one.
        assert_eq!(
            shown(Some("http://gpu.test:11434/v1")),
            ["openai_chat http://gpu.test:11434/v1/chat/completions"]
        );
        let cloud = endpoints(&provider("ollama-cloud").unwrap(), None, BaseStyle::Exact);
        assert_eq!(cloud[0].url, "https://ollama.com/api/chat");
    }

    #[test]
    fn providers_of_two_formats_serve_both_at_home() {
        let own = endpoints(&provider("deepseek").unwrap(), None, BaseStyle::Exact);
        assert_eq!(own[0].url, "https://api.deepseek.com/chat/completions");
        let main = own.iter().filter(|endpoint| !endpoint.format.is_single());
        let formats: Vec<_> = main.map(|endpoint| endpoint.format).collect();
        assert_eq!(formats, [Format::OpenaiChat, Format::OpenaiResponses, Format::AnthropicMessages]);
        assert_eq!(own[2].url, "https://api.deepseek.com/anthropic/v1/messages");
        let elsewhere =
            endpoints(&provider("deepseek").unwrap(), Some("https://relay.test/v1"), BaseStyle::Exact);
        assert!(elsewhere.iter().all(|endpoint| endpoint.format != Format::AnthropicMessages));
    }

    #[test]
    fn responses_are_served_at_home_behind_chat() {
        let own = endpoints(&provider("openai").unwrap(), None, BaseStyle::Exact);
        let main = own.iter().filter(|endpoint| !endpoint.format.is_single());
        let formats: Vec<_> = main.map(|endpoint| endpoint.format).collect();
        assert_eq!(formats, [Format::OpenaiChat, Format::OpenaiEmbeddings, Format::OpenaiResponses]);
        assert_eq!(own[2].url, "https://api.openai.com/v1/responses");
        let elsewhere =
            endpoints(&provider("openai").unwrap(), Some("https://relay.test/v1"), BaseStyle::Exact);
        assert!(elsewhere.iter().all(|endpoint| endpoint.format != Format::OpenaiResponses));
    }

    #[test]
    fn addresses_are_checked() {
        assert_eq!(check_url("https://x.test/v1"), Ok(()));
        for wrong in
            ["x.test/v1", "ftp://x", "https://", "https://...", "https://{resource}.x", "https://a b"]
        {
            assert!(check_url(wrong).is_err(), "{wrong}");
        }
    }
}
