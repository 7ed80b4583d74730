//! The top-level names that mean something to us.

use sluicegate_core::concern::{Concern, concern};
use sluicegate_core::{Format, ServiceTier};

use crate::json::{Kind, Val};

/// A top-level field that is read or edited. Everything else is `Other` and passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Field {
    Model,
    Messages,
    System,
    Input,
    Stream,
    StreamOptions,
    MaxTokens,
    MaxCompletionTokens,
    N,
    BestOf,
    User,
    SafetyIdentifier,
    Metadata,
    Tags,
    Tools,
    Functions,
    ResponseFormat,
    OutputConfig,
    Thinking,
    /// How much to think, in a word; in responses within `reasoning`.
    Effort,
    /// Qwen's words for it.
    EnableThinking,
    ThinkingBudget,
    ServiceTier,
    Prediction,
    Modalities,
    Fallbacks,
    Guardrails,
    PromptCacheKey,
    /// Where the answer is to end.
    Stop,
    /// Gemini's, with the output ceiling in it.
    GenerationConfig,
    CachedContent,
    ToolConfig,
    SafetySettings,
    /// Of responses: how the text is formatted, what is included, what went before, what is kept.
    Text,
    Include,
    PreviousResponse,
    Store,
    Background,
    DisableFallbacks,
    /// The text that an operation is about: of completions, images, speech and moderations.
    Prompt,
    PartialImages,
    Size,
    Quality,
    StreamFormat,
    Query,
    Documents,
    /// LiteLLM's `mock_…`: what only we read.
    Mock,
    /// Known only for what it costs or where it leads.
    Concerning,
    Other,
}

impl Field {
    /// Whether only we read it: it never gets to an upstream.
    pub(crate) fn is_ours(self) -> bool {
        matches!(
            self,
            Field::Tags | Field::Fallbacks | Field::DisableFallbacks | Field::Guardrails | Field::Mock
        )
    }

    /// Each named field may stand once.
    pub(crate) fn bit(self) -> u64 {
        match self {
            Field::Mock | Field::Concerning | Field::Other => 0,
            named => 1 << named as u8,
        }
    }
}

/// What a name means in a request of that format.
pub(crate) fn field(format: Format, name: &[u8]) -> Field {
    if format == Format::GeminiGenerate {
        return gemini(name);
    }
    let chat = format == Format::OpenaiChat;
    if format.is_single() && format != Format::AnthropicCountTokens {
        return super::single::field(format, name);
    }
    let anthropic = matches!(format, Format::AnthropicMessages | Format::AnthropicCountTokens);
    let embeddings = format == Format::OpenaiEmbeddings;
    let responses = format == Format::OpenaiResponses;
    match name {
        b"model" => Field::Model,
        b"messages" if !embeddings && !responses => Field::Messages,
        b"system" if anthropic => Field::System,
        b"input" if embeddings || responses => Field::Input,
        b"max_output_tokens" if responses => Field::MaxTokens,
        b"text" if responses => Field::Text,
        b"include" if responses => Field::Include,
        b"previous_response_id" if responses => Field::PreviousResponse,
        b"store" if responses => Field::Store,
        b"background" if responses => Field::Background,
        b"stream" => Field::Stream,
        b"stream_options" if chat => Field::StreamOptions,
        b"max_tokens" if !embeddings && !responses => Field::MaxTokens,
        b"max_completion_tokens" if chat => Field::MaxCompletionTokens,
        b"n" if chat => Field::N,
        b"best_of" if chat => Field::BestOf,
        b"user" if !anthropic => Field::User,
        b"safety_identifier" if chat || responses => Field::SafetyIdentifier,
        b"metadata" => Field::Metadata,
        b"tags" => Field::Tags,
        b"tools" if !embeddings => Field::Tools,
        b"functions" if chat => Field::Functions,
        b"response_format" if chat => Field::ResponseFormat,
        b"output_config" if anthropic => Field::OutputConfig,
        b"thinking" if !embeddings && !responses => Field::Thinking,
        b"reasoning_effort" if chat => Field::Effort,
        b"reasoning" if responses => Field::Effort,
        b"enable_thinking" if chat => Field::EnableThinking,
        b"thinking_budget" if chat => Field::ThinkingBudget,
        b"service_tier" => Field::ServiceTier,
        b"prediction" if chat => Field::Prediction,
        b"modalities" if chat => Field::Modalities,
        b"fallbacks" => Field::Fallbacks,
        b"disable_fallbacks" => Field::DisableFallbacks,
        b"guardrails" => Field::Guardrails,
        b"stop" if chat => Field::Stop,
        b"stop_sequences" if anthropic => Field::Stop,
        b"prompt_cache_key" if chat || responses => Field::PromptCacheKey,
        // Seen in most calls, and harmless: no need to look further.
        b"temperature"
        | b"top_p"
        | b"top_k"
        | b"seed"
        | b"tool_choice"
        | b"parallel_tool_calls"
        | b"presence_penalty"
        | b"frequency_penalty"
        | b"logprobs"
        | b"encoding_format"
        | b"dimensions" => Field::Other,
        _ if mock(name).is_some() => Field::Mock,
        _ if concern(name).is_some() => Field::Concerning,
        _ => Field::Other,
    }
}

/// The same in Gemini's format. Both ways to write a name are one field, which may stand once.
fn gemini(name: &[u8]) -> Field {
    match name {
        b"contents" => Field::Messages,
        b"systemInstruction" | b"system_instruction" => Field::System,
        b"tools" => Field::Tools,
        b"generationConfig" | b"generation_config" => Field::GenerationConfig,
        // They stand in the address; a body that has them is read by them, and sent without.
        b"model" => Field::Model,
        b"stream" => Field::Stream,
        b"tags" => Field::Tags,
        b"fallbacks" => Field::Fallbacks,
        b"disable_fallbacks" => Field::DisableFallbacks,
        b"guardrails" => Field::Guardrails,
        b"cachedContent" | b"cached_content" => Field::CachedContent,
        b"toolConfig" | b"tool_config" => Field::ToolConfig,
        b"serviceTier" | b"service_tier" => Field::ServiceTier,
        b"safetySettings" | b"safety_settings" => Field::SafetySettings,
        _ if mock(name).is_some() => Field::Mock,
        _ if concern(name).is_some() => Field::Concerning,
        _ => Field::Other,
    }
}

/// The top-level fields that each format's own documentation names, and those that only we read.
// A table may be long.
const OPENAI_CHAT: &[&str] = &[
    "model",
    "messages",
    "audio",
    "frequency_penalty",
    "function_call",
    "functions",
    "logit_bias",
    "logprobs",
    "max_completion_tokens",
    "max_tokens",
    "metadata",
    "modalities",
    "n",
    "parallel_tool_calls",
    "prediction",
    "presence_penalty",
    "prompt_cache_key",
    "prompt_cache_retention",
    "reasoning_effort",
    "response_format",
    "safety_identifier",
    "seed",
    "service_tier",
    "stop",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "user",
    "verbosity",
    "web_search_options",
];
const ANTHROPIC_MESSAGES: &[&str] = &[
    "model",
    "messages",
    "cache_control",
    "compaction",
    "container",
    "context_management",
    "inference_geo",
    "max_tokens",
    "mcp_servers",
    "metadata",
    "output_config",
    "output_format",
    "safeguards",
    "service_tier",
    "speed",
    "stop_sequences",
    "stream",
    "system",
    "temperature",
    "thinking",
    "tool_choice",
    "tools",
    "top_k",
    "top_p",
];
const OPENAI_RESPONSES: &[&str] = &[
    "model",
    "input",
    "background",
    "context_management",
    "conversation",
    "include",
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "parallel_tool_calls",
    "previous_response_id",
    "prompt",
    "prompt_cache_key",
    "prompt_cache_retention",
    "reasoning",
    "safety_identifier",
    "service_tier",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
    "user",
];
const OPENAI_EMBEDDINGS: &[&str] = &["model", "input", "dimensions", "encoding_format", "user"];

/// In camel case; each may be written in snake case as well.
const GEMINI_GENERATE: &[&str] = &[
    "contents",
    "systemInstruction",
    "tools",
    "toolConfig",
    "safetySettings",
    "generationConfig",
    "cachedContent",
    "labels",
    "serviceTier",
    "store",
    "model",
    "stream",
];

/// Whether the format knows the name, or we answer for it: what only we read never gets to an upstream, and what
/// steers a channel goes by the channel's own rule.
pub(crate) fn is_known(format: Format, name: &str) -> bool {
    let own = match format {
        Format::AnthropicMessages | Format::AnthropicCountTokens => ANTHROPIC_MESSAGES,
        single if single.is_single() => super::single::known(single),
        Format::OpenaiEmbeddings => OPENAI_EMBEDDINGS,
        Format::GeminiGenerate if GEMINI_GENERATE.contains(&&*crate::gemini::camel_case(name)) => {
            return true;
        }
        Format::GeminiGenerate => &[],
        Format::OpenaiResponses => OPENAI_RESPONSES,
        _ => OPENAI_CHAT,
    };
    own.contains(&name)
        || is_ours(name)
        || concern(name.as_bytes())
            .is_some_and(|(_, concern)| matches!(concern, Concern::Credential | Concern::Routing))
}

/// Whether a field is for us alone: it never gets to an upstream.
pub(crate) fn is_ours(name: &str) -> bool {
    matches!(name, "tags" | "fallbacks" | "disable_fallbacks" | "guardrails")
        || mock(name.as_bytes()).is_some()
}

/// Whether only we read that member of `metadata`: `tags`, and a list of `guardrails`.
pub(crate) fn is_ours_in_metadata(name: &str, value: Val<'_>) -> bool {
    name == "tags" || name == "guardrails" && value.kind() == Kind::Array
}

/// The static name of one of LiteLLM's parameters that make an answer up.
pub(super) fn mock(name: &[u8]) -> Option<&'static str> {
    const NAMES: [&str; 8] = [
        "mock_response",
        "mock_timeout",
        "mock_testing_fallbacks",
        "mock_testing_context_fallbacks",
        "mock_testing_content_policy_fallbacks",
        "mock_testing_rate_limit_error",
        "mock_tool_calls",
        "mock_delay",
    ];
    name.strip_prefix(b"mock_")?;
    NAMES.into_iter().find(|known| known.as_bytes() == name)
}

/// Whether a service tier is one that prices tell of, so that what it costs is bounded. Others aren't.
pub(crate) fn is_priced_tier(tier: &str) -> bool {
    ServiceTier::of_word(tier).is_some()
}

/// Whether the value of a concerning field switches it off. `{}` doesn't: `web_search_options: {}` searches.
pub(crate) fn is_off(raw: &str) -> bool {
    matches!(raw, "null" | "false" | "[]" | "\"\"")
}

/// Whether an object says of itself that it is off, as Qianfan's `web_search` does; not if it says it more than once, and differently.
pub(crate) fn is_disabled(v: Val<'_>) -> bool {
    let mut said = v.members().filter(|(name, _)| &**name == "enable").map(|(_, value)| value.as_bool());
    said.next() == Some(Some(false)) && said.all(|is_on| is_on == Some(false))
}

#[cfg(test)]
mod tests {
    use sluicegate_core::concern::CONCERNS;

    use super::*;

    #[test]
    fn each_format_knows_its_own_fields() {
        for (format, name, known) in [
            (Format::OpenaiChat, "logit_bias", true),
            (Format::OpenaiChat, "top_k", false),
            (Format::OpenaiChat, "best_of", false),
            (Format::OpenaiChat, "system", false),
            (Format::AnthropicMessages, "top_k", true),
            (Format::AnthropicMessages, "logit_bias", false),
            (Format::OpenaiEmbeddings, "dimensions", true),
            (Format::OpenaiEmbeddings, "messages", false),
            (Format::OpenaiChat, "tags", true),
            (Format::OpenaiChat, "api_base", true),
            (Format::AnthropicMessages, "speed", true),
            (Format::OpenaiChat, "speed", false),
            (Format::GeminiGenerate, "system_instruction", true),
            (Format::GeminiGenerate, "safetySettings", true),
            (Format::GeminiGenerate, "messages", false),
        ] {
            assert_eq!(is_known(format, name), known, "{name}");
        }
    }

    #[test]
    fn every_concern_is_named_once_and_found() {
        for (at, (name, what)) in CONCERNS.iter().enumerate() {
            assert_eq!(concern(name.as_bytes()), Some((*name, *what)));
            assert_eq!(CONCERNS.iter().position(|(n, _)| n == name), Some(at), "{name} stands twice");
            assert_eq!(field(Format::OpenaiChat, name.as_bytes()), Field::Concerning, "{name}");
        }
    }
}
