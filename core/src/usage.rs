//! What one call used, in one normal form.

use serde::{Deserialize, Serialize};

const ABSURD_TOKENS: u64 = 16_777_216;

/// Token counts of one call in disjoint buckets: no token is in two of them.
///
/// Wire formats differ in what they count inside what (OpenAI counts cached tokens inside `prompt_tokens`,
/// Anthropic beside `input_tokens`; Gemini counts thoughts beside the candidates). Decoders convert into this form,
/// so that nothing after them needs to know. Written down, buckets that are rarely used are left out when they are zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// Text input read at the full price.
    pub input_uncached: u64,
    /// Input read from the provider's prompt cache.
    #[serde(skip_serializing_if = "is_zero")]
    pub cache_read: u64,
    /// Input written to the provider's prompt cache with its default lifetime (5 minutes, where it has one).
    #[serde(skip_serializing_if = "is_zero")]
    pub cache_write: u64,
    /// Input written to the provider's prompt cache for an hour or longer.
    #[serde(skip_serializing_if = "is_zero")]
    pub cache_write_1h: u64,
    /// Audio input.
    #[serde(skip_serializing_if = "is_zero")]
    pub audio_in: u64,
    /// Output that the caller sees (text, tool calls, refusals).
    pub output_visible: u64,
    /// Output spent on reasoning.
    #[serde(skip_serializing_if = "is_zero")]
    pub output_reasoning: u64,
    /// Audio output.
    #[serde(skip_serializing_if = "is_zero")]
    pub audio_out: u64,
    /// What is billed besides tokens, in the [unit](crate::call::Format::unit) of the call's format: images, characters, seconds,
    /// searches.
    #[serde(skip_serializing_if = "is_zero")]
    pub units: u64,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

impl Usage {
    /// Whether no call uses as much: no model reads or writes more than 16,777,216 tokens in one. Whoever reports it is
    /// wrong.
    pub fn is_absurd(&self) -> bool {
        self.input_tokens() > ABSURD_TOKENS
            || self.output_tokens() > ABSURD_TOKENS
            || self.units > ABSURD_TOKENS
    }

    /// All input tokens. Saturates.
    pub fn input_tokens(&self) -> u64 {
        [self.cache_read, self.cache_write, self.cache_write_1h, self.audio_in]
            .iter()
            .fold(self.input_uncached, |sum, n| sum.saturating_add(*n))
    }

    /// All output tokens, reasoning included. Saturates.
    pub fn output_tokens(&self) -> u64 {
        self.output_visible.saturating_add(self.output_reasoning).saturating_add(self.audio_out)
    }

    /// Input and output. Saturates.
    pub fn total_tokens(&self) -> u64 {
        self.input_tokens().saturating_add(self.output_tokens())
    }
}

/// Where the counts of a settled attempt came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UsageSource {
    /// The upstream reported them.
    Reported,
    /// The upstream reported none, or numbers that can't be right: we counted what was sent and delivered.
    Counted,
    /// Nothing was used: the attempt failed before any usable answer.
    None,
}
