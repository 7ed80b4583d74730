//! By whose rules a model's input is counted: only what is certain of a company's own endpoint, and of models known by name.

use sluicegate_core::channel::{Channel, UNKNOWN_REASONING, reasons_beside};
use sluicegate_core::count::{Counting, ImageRule, Tokenizer};

use crate::catalogue::{Provider, provider_of_host};
use crate::endpoint::host_of;

/// The provider at whose own address all endpoints of a channel are.
fn owner(channel: &Channel) -> Option<Provider> {
    let mut owners =
        channel.endpoints.iter().map(|endpoint| host_of(&endpoint.url).and_then(provider_of_host));
    let first = owners.next()??;
    owners.all(|owner| owner.is_some_and(|owner| owner.id == first.id)).then_some(first)
}

/// What is certain of a channel's model: whose rules count its media, and the tokenizer of its text.
pub(crate) fn counting_of(channel: &Channel, upstream: &str) -> (Counting, Option<Tokenizer>) {
    match owner(channel).map(|owner| owner.id) {
        Some("openai") => (Counting::Openai(openai_images(upstream)), openai_tokenizer(upstream)),
        Some("anthropic") => (Counting::Anthropic, None),
        Some("dashscope" | "qwencloud" | "dashscope-us") => (Counting::Marked, None),
        _ => (Counting::Anybody, None),
    }
}

/// Takes back that writes are marked where a whole session may be written to the cache, marked or not: by a header of the channel's, which
/// is known when all of it is read, or of a caller's that passes.
// QUIRK(dashscope, 2026-11, https://help.aliyun.com/zh/model-studio/context-cache): `x-dashscope-session-cache: enable` does that; all else
// that costs 125 % of input is marked by `cache_control`.
pub(crate) fn settle(channel: &mut Channel) {
    let begins = |name: &String| name.eq_ignore_ascii_case("x-dashscope-session-cache");
    let may_begin = channel.edits_headers() || channel.headers.keys().any(begins);
    for model in &mut channel.models {
        if model.counting == Counting::Marked && (may_begin || model.is_pass_through()) {
            model.counting = Counting::Anybody;
        }
    }
}

/// How much reasoning a model that isn't in the price list may add to its output ceiling: at xAI and Perplexity, and with
/// Gemini, the ceiling doesn't cover it. What a `*` stands for is known by the call only.
pub(crate) fn unknown_reasoning(channel: &Channel, upstream: &str) -> Option<u64> {
    if upstream.contains('*') {
        return None;
    }
    let at = owner(channel).map_or(channel.provider.as_str(), |owner| owner.id);
    (reasons_beside(upstream) || matches!(at, "xai" | "perplexity")).then_some(UNKNOWN_REASONING)
}

/// Whether `model` is one of that family: the name itself, or a version of it.
fn is(model: &str, family: &str) -> bool {
    model.strip_prefix(family).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

/// The families of a fine-tuned model's name, too.
fn base(model: &str) -> &str {
    model.strip_prefix("ft:").map_or(model, |rest| rest.split(':').next().unwrap_or(rest))
}

/// As OpenAI's own tokenizer library maps names (<https://github.com/openai/tiktoken>, `model.py`, read 2026-05).
fn openai_tokenizer(model: &str) -> Option<Tokenizer> {
    let model = base(model);
    let one_of = |families: &[&str]| families.iter().any(|family| is(model, family));
    let newer = ["gpt-4o", "chatgpt-4o", "gpt-4.1", "gpt-4.5", "gpt-5", "o1", "o3", "o4-mini"];
    let older = [
        "gpt-4",
        "gpt-3.5-turbo",
        "text-embedding-ada-002",
        "text-embedding-3-small",
        "text-embedding-3-large",
    ];
    if one_of(&newer) {
        Some(Tokenizer::O200kBase)
    } else if one_of(&older) {
        Some(Tokenizer::Cl100kBase)
    } else {
        None
    }
}

/// What OpenAI's guide says of each family (<https://platform.openai.com/docs/guides/images-vision>, read 2026-05). The
/// longer names stand first.
fn openai_images(model: &str) -> ImageRule {
    let model = base(model);
    let tiles = |base, tile| ImageRule::Tiles { base, tile };
    let patches = |per_mille| ImageRule::Patches { per_mille };
    [
        ("gpt-4o-mini", tiles(2_833, 5_667)),
        ("gpt-4o", tiles(85, 170)),
        ("gpt-4.1-mini", patches(1_620)),
        ("gpt-4.1-nano", patches(2_460)),
        ("gpt-4.1", tiles(85, 170)),
        ("gpt-4.5", tiles(85, 170)),
        ("o4-mini", patches(1_720)),
        ("gpt-5-mini", patches(1_620)),
        ("gpt-5-nano", patches(2_460)),
        ("gpt-5", tiles(70, 140)),
        ("o1", tiles(75, 150)),
        ("o3", tiles(75, 150)),
    ]
    .into_iter()
    .find(|(family, _)| is(model, family))
    .map_or(ImageRule::Unknown, |(_, rule)| rule)
}

#[cfg(test)]
mod tests {
    use sluicegate_core::call::Format;
    use sluicegate_core::channel::Endpoint;

    use super::*;

    fn at(provider: &str, urls: &[&str]) -> Channel {
        let provider = crate::catalogue::provider(provider).unwrap();
        let mut channel = crate::draft::blank("c", &provider);
        let endpoint = |url: &&str| Endpoint { format: Format::OpenaiChat, url: (*url).to_owned() };
        channel.endpoints = urls.iter().map(endpoint).collect();
        channel
    }

    #[test]
    fn only_what_is_certain_is_counted_exactly() {
        let o200k = Some(Tokenizer::O200kBase);
        let cl100k = Some(Tokenizer::Cl100kBase);
        let openai = |base, tile| Counting::Openai(ImageRule::Tiles { base, tile });
        let patches = |per_mille| Counting::Openai(ImageRule::Patches { per_mille });
        let unknown = Counting::Openai(ImageRule::Unknown);
        let home = "https://api.openai.com/v1/chat/completions";
        let qwen = "https://dashscope-intl.aliyuncs.com/compatible-mode/v1/chat/completions";
        for (url, model, counting, tokenizer) in [
            (home, "gpt-4o", openai(85, 170), o200k),
            (home, "gpt-4o-2024-11-20", openai(85, 170), o200k),
            (home, "gpt-4o-mini", openai(2_833, 5_667), o200k),
            (home, "ft:gpt-4o-mini:acme::1", openai(2_833, 5_667), o200k),
            (home, "gpt-4.1-mini", patches(1_620), o200k),
            (home, "o4-mini", patches(1_720), o200k),
            (home, "o3-pro", openai(75, 150), o200k),
            (home, "gpt-5", openai(70, 140), o200k),
            (home, "gpt-4-turbo", unknown, cl100k),
            (home, "gpt-3.5-turbo-0125", unknown, cl100k),
            (home, "text-embedding-3-small", unknown, cl100k),
            (home, "gpt-5.4", unknown, None),
            (home, "gpt-4ooo", unknown, None),
            (home, "gpt-*", unknown, None),
            ("https://api.anthropic.com/v1/messages", "claude-opus-4-8", Counting::Anthropic, None),
            (qwen, "qwen-plus", Counting::Marked, None),
            ("https://relay.example/v1/chat/completions", "gpt-4o", Counting::Anybody, None),
            ("http://127.0.0.1:9/v1/chat/completions", "gpt-4o", Counting::Anybody, None),
        ] {
            assert_eq!(counting_of(&at("openai", &[url]), model), (counting, tokenizer), "{url} {model}");
        }
        let two = at("openai", &[home, "https://relay.example/v1/messages"]);
        assert_eq!(counting_of(&two, "gpt-4o").0, Counting::Anybody);
        assert_eq!(counting_of(&at("openai", &[]), "gpt-4o").0, Counting::Anybody);
    }

    #[test]
    fn reasoning_beside_the_ceiling_is_covered_for_unlisted_models_too() {
        for (provider, url, model, covered) in [
            ("xai", "https://api.x.ai/v1/chat/completions", "next-week", true),
            ("openai", "https://api.x.ai/v1/chat/completions", "next-week", true),
            ("openai", "https://relay.example/v1/chat/completions", "x-ai/grok-9", true),
            ("openai", "https://relay.example/v1/chat/completions", "gemini-9-pro", true),
            ("openai", "https://relay.example/v1/chat/completions", "gpt-9", false),
            ("xai", "https://api.x.ai/v1/chat/completions", "*", false),
        ] {
            assert_eq!(unknown_reasoning(&at(provider, &[url]), model).is_some(), covered, "{url} {model}");
        }
        for (provider, model) in
            [("xai", "grok-4-0709"), ("xai", "grok-4.20"), ("perplexity", "sonar-reasoning-pro")]
        {
            let provider = crate::catalogue::provider(provider).unwrap();
            let facts = crate::catalogue::model_facts(&provider, model).unwrap();
            assert!(facts.extra_reasoning.is_some(), "{model}");
        }
        // A relay's price list has no word of it, and the maker's is that name's.
        for (provider, model, thoughts) in [
            ("openrouter", "x-ai/grok-4.3", Some(1_000_000)),
            ("openrouter", "google/gemini-2.5-flash", Some(65_535)),
            ("openrouter", "openai/gpt-5.2", None),
            ("gemini", "gemini-2.5-flash-preview", Some(UNKNOWN_REASONING)),
        ] {
            let listed = crate::unlisted_model(&at(provider, &[]), model);
            assert_eq!(listed.extra_reasoning, thoughts, "{provider} {model}");
        }
        let xai = crate::catalogue::provider("xai").unwrap();
        let quick = crate::catalogue::model_facts(&xai, "grok-4-fast-non-reasoning").unwrap();
        assert_eq!(quick.extra_reasoning, None);
        let gemini = crate::catalogue::model_facts_by_name("gemini-2.5-pro").unwrap();
        assert_eq!(gemini.extra_reasoning, Some(65_536));
    }
}
