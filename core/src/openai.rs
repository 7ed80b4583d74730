//! What OpenAI's models take, by their names.

use crate::ids::own_name;

/// OpenAI's reasoning models refuse `max_tokens`.
// QUIRK(openai, 2026-05, https://platform.openai.com/docs/guides/reasoning): 400 unsupported_parameter.
pub fn wants_max_completion_tokens(model: &str) -> bool {
    let name = own_name(model);
    ["o1", "o3", "o4", "gpt-5"].iter().any(|family| {
        name.strip_prefix(family)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '.', '@', ':']))
    })
}

/// Whether a model of OpenAI's thinks, and so takes no sampling parameters, stop sequences and probabilities.
pub fn is_reasoning(model: &str) -> bool {
    wants_max_completion_tokens(model) && !never_thinks(model)
}

/// Whether a model is one of OpenAI's that don't think.
// QUIRK(openai, 2026-11, https://platform.openai.com/docs/models): GPT-5 has chat and search models that don't.
pub fn never_thinks(model: &str) -> bool {
    let name = own_name(model);
    ["gpt-4", "gpt-3", "chatgpt", "gpt-5-chat", "gpt-5-search"].iter().any(|family| name.starts_with(family))
}

/// Whether a model of OpenAI's is served by responses alone.
// QUIRK(openai, 2026-11, https://platform.openai.com/docs/models): chat completions answer 404.
pub fn is_responses_only(model: &str) -> bool {
    let name = own_name(model);
    let has = |word: &str| name.split(['-', '@', ':']).any(|part| part == word);
    let is_kept = || has("codex") || has("pro") || name.contains("-deep-research");
    wants_max_completion_tokens(name) && is_kept()
        || ["codex-mini", "computer-use-preview"].iter().any(|family| name.starts_with(family))
}

/// Whether a model is one of OpenAI's that the older completions don't serve: all but those that are no chat models.
// QUIRK(openai, 2026-11, https://platform.openai.com/docs/models): completions answer 404.
pub fn is_chat_only(model: &str) -> bool {
    let name = own_name(model);
    let name = name.strip_prefix("ft:").unwrap_or(name);
    let chats = ["gpt-4", "chatgpt", "gpt-3.5-turbo"].iter().any(|family| {
        name.strip_prefix(family).is_some_and(|rest| {
            !rest.starts_with("-instruct") && (rest.is_empty() || rest.starts_with(['-', '.', 'o', '@', ':']))
        })
    });
    chats || wants_max_completion_tokens(name) || is_responses_only(name)
}

/// Whether a model is one of OpenAI's own chat models, whoever serves it. Those whose weights are open anybody serves.
pub fn is_openais(model: &str) -> bool {
    is_chat_only(model)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_models_take() {
        for (model, reasoning, only) in [
            ("gpt-5", true, false),
            ("openai/gpt-5.4-mini", true, false),
            ("o3-mini", true, false),
            ("gpt-5.3-codex", true, true),
            ("eu/gpt-5.1-codex-max", true, true),
            ("gpt-5-pro-2025-10-06", true, true),
            ("gpt-5.5-pro", true, true),
            ("o1-pro", true, true),
            ("o3-pro-2025-06-10", true, true),
            ("o4-mini-deep-research", true, true),
            ("codex-mini-latest", false, true),
            ("gpt-5-chat-latest", false, false),
            ("gpt-4o-mini", false, false),
            ("gemini-2.5-pro", false, false),
            ("grok-code-fast-1", false, false),
        ] {
            assert_eq!((is_reasoning(model), is_responses_only(model)), (reasoning, only), "{model}");
        }
    }

    #[test]
    fn what_completions_serve() {
        for (model, chat_only) in [
            ("gpt-3.5-turbo-instruct", false),
            ("gpt-3.5-turbo-instruct-0914", false),
            ("davinci-002", false),
            ("babbage-002", false),
            ("gpt-oss-120b", false),
            ("qwen3-32b", false),
            ("gpt-3.5-turbo", true),
            ("gpt-3.5-turbo-0125", true),
            ("openai/gpt-4o-mini", true),
            ("gpt-4.1", true),
            ("chatgpt-4o-latest", true),
            ("gpt-5.4", true),
            ("o3", true),
            ("codex-mini-latest", true),
            ("ft:gpt-4o-mini-2024-07-18:acme::abc", true),
            ("ft:babbage-002:acme::abc", false),
        ] {
            assert_eq!(is_chat_only(model), chat_only, "{model}");
        }
    }
}
