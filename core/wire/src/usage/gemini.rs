//! Gemini's counts.

use sluicegate_core::Usage;

use super::{Absurd, Counts, count};
use crate::json::{Object, Val, object};

/// Gemini's `usageMetadata`: thoughts and what tools put into the prompt stand beside the other counts. `None` when it
/// counts nothing.
pub(crate) fn gemini(v: Val<'_>) -> Result<Option<Counts>, Absurd> {
    let mut said = GeminiSaid::default();
    for (name, value) in v.members() {
        match &*crate::gemini::camel_case(&name) {
            "promptTokenCount" => said.prompt = count(value)?,
            "cachedContentTokenCount" => said.cached = count(value)?,
            "toolUsePromptTokenCount" => said.of_tools = count(value)?,
            "candidatesTokenCount" => said.candidates = count(value)?,
            "thoughtsTokenCount" => said.thoughts = count(value)?,
            "totalTokenCount" => said.total = count(value)?,
            "promptTokensDetails" => {
                (said.audio_in, said.image_in) = (tokens_of(value, "audio")?, tokens_of(value, "image")?);
            }
            "cacheTokensDetails" => {
                (said.audio_cached, said.image_cached) =
                    (tokens_of(value, "audio")?, tokens_of(value, "image")?);
            }
            "candidatesTokensDetails" => {
                (said.audio_out, said.image_out) = (tokens_of(value, "audio")?, tokens_of(value, "image")?);
            }
            _ => {}
        }
    }
    said.usage()
}

#[derive(Default)]
struct GeminiSaid {
    prompt: Option<u64>,
    cached: Option<u64>,
    of_tools: Option<u64>,
    candidates: Option<u64>,
    thoughts: Option<u64>,
    total: Option<u64>,
    audio_in: u64,
    audio_cached: u64,
    audio_out: u64,
    image_in: u64,
    image_cached: u64,
    image_out: u64,
}

impl GeminiSaid {
    fn usage(&self) -> Result<Option<Counts>, Absurd> {
        if self.prompt.is_none() && self.candidates.is_none() {
            return Ok(None);
        }
        let prompt = self.prompt.unwrap_or(0);
        let cached = self.cached.unwrap_or(0);
        let fresh = prompt.checked_sub(cached).ok_or(Absurd)?;
        let audio_cached = self.audio_cached.min(cached);
        let image_cached = self.image_cached.min(cached - audio_cached);
        let audio_in = self.audio_in.saturating_sub(audio_cached).min(fresh);
        let image_in = self.image_in.saturating_sub(image_cached).min(fresh - audio_in);
        let of_tools = self.of_tools.unwrap_or(0);
        let thoughts = self.thoughts.unwrap_or(0);
        let input = prompt.saturating_add(of_tools);
        // What the total has beyond the others is the answer.
        let rest = self.total.and_then(|total| total.checked_sub(input)?.checked_sub(thoughts));
        let candidates = match (self.candidates, self.total) {
            // QUIRK(vertex, 2026-11): some models count the thoughts among the candidates; the total gives it away.
            (Some(candidates), Some(total)) if thoughts > 0 && total == input.saturating_add(candidates) => {
                candidates.checked_sub(thoughts).ok_or(Absurd)?
            }
            (Some(candidates), _) => candidates,
            (None, _) => rest.unwrap_or(0),
        };
        let audio_out = self.audio_out.min(candidates);
        let image_out = self.image_out.min(candidates - audio_out);
        let usage = Usage {
            input_uncached: (fresh - audio_in - image_in).saturating_add(of_tools),
            cache_read: cached - audio_cached - image_cached,
            cache_read_audio: audio_cached,
            cache_read_image: image_cached,
            audio_in,
            image_in,
            output_visible: candidates - audio_out - image_out,
            output_reasoning: thoughts,
            audio_out,
            image_out,
            ..Usage::default()
        };
        let output_missing = self.candidates.is_none() && rest.is_none();
        Ok(Some(Counts { usage, input_missing: self.prompt.is_none(), output_missing }))
    }
}

/// The tokens of one modality among counts by modality.
fn tokens_of(details: Val<'_>, wanted: &str) -> Result<u64, Absurd> {
    let mut sum = 0u64;
    for detail in details.elements() {
        if detail.get_str("modality").is_some_and(|modality| modality.eq_ignore_ascii_case(wanted)) {
            let tokens = crate::gemini::member(detail, "tokenCount").map_or(Ok(None), count)?;
            sum = sum.saturating_add(tokens.unwrap_or(0));
        }
    }
    Ok(sum)
}

/// Gemini's `usageMetadata`: cached input is part of the prompt, thoughts stand beside the answer.
pub(crate) fn write_gemini(usage: &Usage) -> String {
    let (input, output) = (usage.input_tokens(), usage.output_tokens());
    object(|o| {
        o.num("promptTokenCount", input);
        let said = usage.output_visible.saturating_add(usage.audio_out).saturating_add(usage.image_out);
        o.num("candidatesTokenCount", said);
        o.num("totalTokenCount", input.saturating_add(output));
        let (audio_cached, image_cached) = (usage.cache_read_audio, usage.cache_read_image);
        let cached = usage.cached_tokens();
        if cached > 0 {
            o.num("cachedContentTokenCount", cached);
        }
        if usage.output_reasoning > 0 {
            o.num("thoughtsTokenCount", usage.output_reasoning);
        }
        let (audio, image) =
            (usage.audio_in.saturating_add(audio_cached), usage.image_in.saturating_add(image_cached));
        details(o, "promptTokensDetails", input, audio, image);
        details(o, "cacheTokensDetails", cached, audio_cached, image_cached);
        details(o, "candidatesTokensDetails", said, usage.audio_out, usage.image_out);
    })
}

/// What a number of tokens is made of, unless it is all text.
fn details(o: &mut Object<'_>, name: &str, all: u64, audio: u64, image: u64) {
    if audio == 0 && image == 0 {
        return;
    }
    let text = all.saturating_sub(audio).saturating_sub(image);
    o.array(name, |a| {
        for (modality, tokens) in [("TEXT", text), ("AUDIO", audio), ("IMAGE", image)] {
            if tokens > 0 {
                a.object(|o| {
                    o.str("modality", modality);
                    o.num("tokenCount", tokens);
                });
            }
        }
    });
}
