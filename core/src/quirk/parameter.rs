//! What requests say in the words of some providers alone, and who takes it.

use serde::{Deserialize, Serialize};

use super::{Quirks, is_of};
use crate::call::Format;

/// What models are known to take in translated requests, or not to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParameterQuirk {
    /// Its name within the provider's quirks.
    pub id: String,
    /// Which models; as at [`super::RequestQuirk::models`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<String>,
    /// In requests of which formats.
    #[serde(default = "super::chat", skip_serializing_if = "super::is_chat")]
    pub formats: Vec<Format>,
    /// What they take.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub takes: Vec<Parameter>,
    /// What they refuse, or don't heed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lacks: Vec<Parameter>,
    /// Where that was read.
    pub source: String,
    /// When it was read, `yyyy-mm-dd`.
    pub checked: String,
}

/// What a format has a place for and not every provider that speaks it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Parameter {
    /// `prompt_cache_key`.
    PromptCacheKey,
    /// `prompt_cache_retention`.
    PromptCacheRetention,
    /// `safety_identifier`.
    SafetyIdentifier,
    /// How long an answer should be: `verbosity`.
    Verbosity,
    /// `service_tier`, in each of OpenAI's words.
    ServiceTier,
    /// `service_tier: flex`.
    FlexTier,
    /// A schema for the answer.
    JsonSchema,
    /// Marks for the prompt cache, on what is said and on tools: `cache_control`.
    CacheControl,
    /// Such marks on system prompts and on what users say, and on nothing else.
    PromptCacheControl,
    /// `top_k`.
    TopK,
    /// A choice among some of the tools: `tool_choice` of the type `allowed_tools`.
    AllowedTools,
}

impl Parameter {
    /// Its name in the catalogue.
    pub const fn as_str(self) -> &'static str {
        match self {
            Parameter::PromptCacheKey => "prompt_cache_key",
            Parameter::PromptCacheRetention => "prompt_cache_retention",
            Parameter::SafetyIdentifier => "safety_identifier",
            Parameter::Verbosity => "verbosity",
            Parameter::ServiceTier => "service_tier",
            Parameter::FlexTier => "flex_tier",
            Parameter::JsonSchema => "json_schema",
            Parameter::CacheControl => "cache_control",
            Parameter::PromptCacheControl => "prompt_cache_control",
            Parameter::TopK => "top_k",
            Parameter::AllowedTools => "allowed_tools",
        }
    }
}

impl ParameterQuirk {
    pub(super) fn unfit(&self) -> Option<&'static str> {
        let both = || self.takes.iter().any(|it| self.lacks.contains(it));
        match () {
            () if self.formats.is_empty() => Some("it names no format"),
            () if self.takes.is_empty() && self.lacks.is_empty() => Some("it names nothing"),
            () if both() => Some("what is taken isn't lacking"),
            () => None,
        }
    }
}

impl Quirks {
    /// Whether a model takes this in a request of that format, where it is known.
    pub fn takes(&self, what: Parameter, format: Format, model: &str) -> Option<bool> {
        let concerns = |it: &&ParameterQuirk| it.formats.contains(&format) && is_of(&it.models, model);
        self.parameters.iter().filter(concerns).find_map(|it| {
            let is_taken = it.takes.contains(&what);
            (is_taken || it.lacks.contains(&what)).then_some(is_taken)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_names_it_says() {
        let quirks = |rules: &str| -> Quirks {
            serde_json::from_str(&format!(r#"{{"parameters":[{rules}]}}"#)).unwrap()
        };
        let read = r#""source":"https://x.test","checked":"2026-11-30""#;
        let known = quirks(&format!(
            r#"{{"id":"a","models":["m*"],"lacks":["verbosity"],{read}}},
               {{"id":"b","formats":["openai_chat","openai_responses"],"takes":["verbosity","flex_tier"],{read}}}"#
        ));
        assert_eq!(known.unfit(), None);
        for (what, format, model, want) in [
            (Parameter::Verbosity, Format::OpenaiChat, "m-1", Some(false)),
            (Parameter::Verbosity, Format::OpenaiResponses, "m-1", Some(true)),
            (Parameter::FlexTier, Format::OpenaiChat, "m-1", Some(true)),
            (Parameter::ServiceTier, Format::OpenaiChat, "m-1", None),
            (Parameter::Verbosity, Format::GeminiGenerate, "x", None),
        ] {
            assert_eq!(known.takes(what, format, model), want, "{what:?} {format:?} {model}");
        }
        for rule in [
            format!(r#"{{"id":"a",{read}}}"#),
            format!(r#"{{"id":"a","formats":[],"takes":["verbosity"],{read}}}"#),
            format!(r#"{{"id":"a","takes":["verbosity"],"lacks":["verbosity"],{read}}}"#),
            format!(r#"{{"id":"a","models":["a*b"],"takes":["verbosity"],{read}}}"#),
        ] {
            assert!(quirks(&rule).unfit().is_some(), "{rule}");
        }
    }
}
