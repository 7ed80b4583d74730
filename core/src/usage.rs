//! What one call used, in one normal form.

use std::fmt;

use serde::{Deserialize, Serialize};

/// No call searches more often.
const MOST_SEARCHES: u64 = 4_096;

/// Token counts of one call in disjoint buckets: no token is in two of them.
///
/// Wire formats differ in what they count inside what (OpenAI counts cached tokens inside `prompt_tokens`,
/// Anthropic beside `input_tokens`; Gemini counts thoughts beside the candidates). Decoders convert into this form,
/// so that nothing after them needs to know. Written down, buckets that are rarely used are left out when they are zero.
#[derive(Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// Text input read at the full price.
    pub input_uncached: u64,
    /// Input read from the provider's prompt cache: text, and whatever the provider doesn't tell apart from it.
    #[serde(skip_serializing_if = "is_zero")]
    pub cache_read: u64,
    /// Audio read from the provider's prompt cache, where it is counted apart.
    #[serde(skip_serializing_if = "is_zero")]
    pub cache_read_audio: u64,
    /// Images read from the provider's prompt cache, where they are counted apart.
    #[serde(skip_serializing_if = "is_zero")]
    pub cache_read_image: u64,
    /// Input written to the provider's prompt cache with its default lifetime (5 minutes, where it has one).
    #[serde(skip_serializing_if = "is_zero")]
    pub cache_write: u64,
    /// Input written to the provider's prompt cache for an hour or longer.
    #[serde(skip_serializing_if = "is_zero")]
    pub cache_write_1h: u64,
    /// Audio input.
    #[serde(skip_serializing_if = "is_zero")]
    pub audio_in: u64,
    /// Images in the prompt, where they are counted apart.
    #[serde(skip_serializing_if = "is_zero")]
    pub image_in: u64,
    /// Output that the caller sees (text, tool calls, refusals).
    pub output_visible: u64,
    /// Output spent on reasoning.
    #[serde(skip_serializing_if = "is_zero")]
    pub output_reasoning: u64,
    /// Audio output.
    #[serde(skip_serializing_if = "is_zero")]
    pub audio_out: u64,
    /// Images in the answer, where they are counted apart.
    #[serde(skip_serializing_if = "is_zero")]
    pub image_out: u64,
    /// Searches that the upstream made of its own: no tokens, but they have a price.
    #[serde(skip_serializing_if = "is_zero")]
    pub searches: u64,
    /// What is billed besides tokens, in the [unit](crate::call::Format::unit) of the call's format: images, characters, seconds,
    /// searches.
    #[serde(skip_serializing_if = "is_zero")]
    pub units: u64,
}

impl fmt::Debug for Usage {
    /// What few calls use is left out where it is zero.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut all = f.debug_struct("Usage");
        all.field("input_uncached", &self.input_uncached)
            .field("cache_read", &self.cache_read)
            .field("cache_write", &self.cache_write)
            .field("cache_write_1h", &self.cache_write_1h)
            .field("audio_in", &self.audio_in)
            .field("output_visible", &self.output_visible)
            .field("output_reasoning", &self.output_reasoning)
            .field("audio_out", &self.audio_out);
        let rare = [
            ("cache_read_audio", self.cache_read_audio),
            ("cache_read_image", self.cache_read_image),
            ("image_in", self.image_in),
            ("image_out", self.image_out),
            ("searches", self.searches),
            ("units", self.units),
        ];
        for (name, n) in rare.into_iter().filter(|(_, n)| *n > 0) {
            all.field(name, &n);
        }
        all.finish()
    }
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

impl Usage {
    /// No model reads or writes more tokens than this in one call, and no call has more units.
    pub const MOST: u64 = 16_777_216;

    /// Whether no call uses as much: more than [`Usage::MOST`], or than 4,096 searches. Whoever reports it is wrong.
    pub fn is_absurd(&self) -> bool {
        [self.input_tokens(), self.output_tokens(), self.units].iter().any(|n| *n > Self::MOST)
            || self.searches > MOST_SEARCHES
    }

    /// All input tokens. Saturates.
    pub fn input_tokens(&self) -> u64 {
        [self.cached_tokens(), self.cache_write, self.cache_write_1h, self.audio_in, self.image_in]
            .iter()
            .fold(self.input_uncached, |sum, n| sum.saturating_add(*n))
    }

    /// All input that was read from the prompt cache. Saturates.
    pub fn cached_tokens(&self) -> u64 {
        self.cache_read.saturating_add(self.cache_read_audio).saturating_add(self.cache_read_image)
    }

    /// All output tokens, reasoning included. Saturates.
    pub fn output_tokens(&self) -> u64 {
        [self.output_reasoning, self.audio_out, self.image_out]
            .iter()
            .fold(self.output_visible, |sum, n| sum.saturating_add(*n))
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
