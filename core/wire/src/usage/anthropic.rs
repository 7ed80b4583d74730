//! Anthropic's counts.

use sluicegate_core::Usage;

use super::{Absurd, Counts, count};
use crate::json::{Kind, Val, object};

/// Anthropic's counts, merged over a stream: its values are cumulative, so that a later one replaces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct AnthropicCounts {
    input: Option<u64>,
    read: Option<u64>,
    written: Option<u64>,
    written_5m: Option<u64>,
    written_1h: Option<u64>,
    output: Option<u64>,
    thinking: Option<u64>,
    searches: Option<u64>,
    /// The output was said after the answer began; what its first event says is only where it begins.
    output_said: bool,
    /// A count was refused: what the others come to would lack it.
    absurd: bool,
}

impl AnthropicCounts {
    /// Takes over what the first event of a stream names.
    pub(crate) fn begin(&mut self, v: Val<'_>) {
        self.merge(v);
        self.output_said = false;
    }

    /// Takes over what `v`, a `usage` object, names.
    pub(crate) fn merge(&mut self, v: Val<'_>) {
        self.absurd |= self.take(v).is_err();
    }

    fn take(&mut self, v: Val<'_>) -> Result<(), Absurd> {
        let keep = |place: &mut Option<u64>, value| count(value).map(|n| *place = n.or(*place));
        for (name, value) in v.members() {
            match &*name {
                "input_tokens" => keep(&mut self.input, value)?,
                "cache_read_input_tokens" => keep(&mut self.read, value)?,
                "cache_creation_input_tokens" => keep(&mut self.written, value)?,
                "output_tokens" => {
                    keep(&mut self.output, value)?;
                    self.output_said |= value.kind() == Kind::Number;
                }
                "cache_creation" => {
                    for (name, place) in [
                        ("ephemeral_5m_input_tokens", &mut self.written_5m),
                        ("ephemeral_1h_input_tokens", &mut self.written_1h),
                    ] {
                        if let Some(n) = value.get(name) {
                            keep(place, n)?;
                        }
                    }
                }
                "output_tokens_details" => {
                    if let Some(n) = value.get("thinking_tokens") {
                        keep(&mut self.thinking, n)?;
                    }
                }
                "server_tool_use" => {
                    if let Some(n) = value.get("web_search_requests") {
                        keep(&mut self.searches, n)?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// In the normal form; `None` when nothing was counted.
    pub(crate) fn usage(&self) -> Result<Option<Counts>, Absurd> {
        if self.absurd {
            return Err(Absurd);
        }
        if self.input.is_none() && self.output.is_none() {
            return Ok(None);
        }
        let written_1h = self.written_1h.unwrap_or(0);
        // Some say only how it is split.
        let written = self.written.unwrap_or_else(|| self.written_5m.unwrap_or(0).saturating_add(written_1h));
        let output = self.output.unwrap_or(0);
        let thinking = self.thinking.unwrap_or(0);
        let usage = Usage {
            input_uncached: self.input.unwrap_or(0),
            cache_read: self.read.unwrap_or(0),
            cache_write: written.checked_sub(written_1h).ok_or(Absurd)?,
            cache_write_1h: written_1h,
            output_visible: output.checked_sub(thinking).ok_or(Absurd)?,
            output_reasoning: thinking,
            searches: self.searches.unwrap_or(0),
            ..Usage::default()
        };
        Ok(Some(Counts { usage, input_missing: self.input.is_none(), output_missing: !self.output_said }))
    }
}
/// Anthropic's `usage` object: cached input stands beside the input.
pub(crate) fn write_anthropic(usage: &Usage, tier: Option<&str>) -> String {
    object(|o| {
        let media = usage.audio_in.saturating_add(usage.image_in);
        o.num("input_tokens", usage.input_uncached.saturating_add(media));
        o.num("cache_creation_input_tokens", usage.cache_write.saturating_add(usage.cache_write_1h));
        o.num("cache_read_input_tokens", usage.cached_tokens());
        if usage.cache_write_1h > 0 {
            o.object("cache_creation", |o| {
                o.num("ephemeral_5m_input_tokens", usage.cache_write);
                o.num("ephemeral_1h_input_tokens", usage.cache_write_1h);
            });
        }
        o.num("output_tokens", usage.output_tokens());
        if usage.output_reasoning > 0 {
            o.object("output_tokens_details", |o| o.num("thinking_tokens", usage.output_reasoning));
        }
        if usage.searches > 0 {
            o.object("server_tool_use", |o| o.num("web_search_requests", usage.searches));
        }
        if let Some(tier) = tier {
            o.str("service_tier", tier);
        }
    })
}
