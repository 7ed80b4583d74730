//! OpenAI's counts, of chat, embeddings and responses.

use sluicegate_core::Usage;

use super::{Absurd, Counts, count};
use crate::json::{Kind, Object, Val, object};

/// What an OpenAI usage object says, read in one pass.
#[derive(Default)]
struct Said {
    prompt: Option<u64>,
    completion: Option<u64>,
    total: Option<u64>,
    cached: Option<u64>,
    cached_audio: u64,
    cached_image: u64,
    cached_beside: Option<u64>,
    written: Option<u64>,
    audio_in: Option<u64>,
    image_in: Option<u64>,
    reasoning: Option<u64>,
    reasoning_beside: Option<u64>,
    audio_out: Option<u64>,
    image_out: Option<u64>,
    queries: Option<u64>,
    /// How much of what it found was read was said: it searched.
    sized: bool,
    /// Each query is charged, and not the request.
    per_query: bool,
}

impl Said {
    fn read(v: Val<'_>) -> Result<Self, Absurd> {
        let mut said = Self::default();
        for (name, value) in v.members() {
            match &*name {
                "prompt_tokens" => said.prompt = count(value)?,
                "completion_tokens" => said.completion = count(value)?,
                "total_tokens" => said.total = count(value)?,
                // QUIRK(deepseek, moonshot, 2026-05): cached tokens stand at the top level under their own names.
                "prompt_cache_hit_tokens" | "cached_tokens" => said.cached_beside = count(value)?,
                "reasoning_tokens" => said.reasoning_beside = count(value)?,
                "prompt_tokens_details" => said.input_details(value)?,
                "completion_tokens_details" => said.output_details(value)?,
                // QUIRK(perplexity, 2026-11, https://docs.perplexity.ai/getting-started/pricing): deep research is charged for each query,
                // and alone reads citations as input; the others are charged for each request, by how much is read, however many
                // queries it took.
                "num_search_queries" => said.queries = count(value)?,
                "search_context_size" => said.sized = value.kind() == Kind::String,
                "citation_tokens" => said.per_query |= value.kind() == Kind::Number,
                "cost" => {
                    said.per_query |=
                        value.get("search_queries_cost").is_some_and(|it| it.kind() == Kind::Number)
                }
                _ => {}
            }
        }
        Ok(said)
    }

    /// What the input is made of.
    fn input_details(&mut self, details: Val<'_>) -> Result<(), Absurd> {
        for (name, value) in details.members() {
            match &*name {
                "cached_tokens" => self.cached = count(value)?,
                "cached_tokens_details" => {
                    self.cached_audio = part(value, "audio_tokens")?;
                    self.cached_image = part(value, "image_tokens")?;
                }
                // QUIRK(dashscope, 2026-11, https://help.aliyun.com/zh/model-studio/context-cache): what its explicit cache was given
                // has Anthropic's name.
                "cache_write_tokens" | "cache_creation_input_tokens" => self.written = count(value)?,
                "audio_tokens" => self.audio_in = count(value)?,
                "image_tokens" => self.image_in = count(value)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// What the output is made of.
    fn output_details(&mut self, details: Val<'_>) -> Result<(), Absurd> {
        for (name, value) in details.members() {
            match &*name {
                "reasoning_tokens" => self.reasoning = count(value)?,
                "audio_tokens" => self.audio_out = count(value)?,
                "image_tokens" => self.image_out = count(value)?,
                _ => {}
            }
        }
        Ok(())
    }
}

/// OpenAI's `usage` object, of chat or embeddings. `None` when it counts nothing.
pub(crate) fn openai(v: Val<'_>) -> Result<Option<Counts>, Absurd> {
    Said::read(v)?.counts()
}

impl Said {
    /// In the normal form; `None` when nothing was counted.
    fn counts(self) -> Result<Option<Counts>, Absurd> {
        let said = self;
        if said.prompt.is_none() && said.completion.is_none() {
            return Ok(None);
        }
        // Of the three any two give the third.
        let rest = |part: Option<u64>| said.total.zip(part).and_then(|(total, part)| total.checked_sub(part));
        let (input, output) =
            (said.prompt.or_else(|| rest(said.completion)), said.completion.or_else(|| rest(said.prompt)));
        let (prompt, completion) = (input.unwrap_or(0), output.unwrap_or(0));
        let cached = said.cached.or(said.cached_beside).unwrap_or(0);
        let written = said.written.unwrap_or(0);
        let fresh = prompt.checked_sub(cached).and_then(|n| n.checked_sub(written)).ok_or(Absurd)?;
        // Images and sound that were read from the cache are among what was: they are charged there, and only once.
        let cached_audio = said.cached_audio.min(cached);
        let cached_image = said.cached_image.min(cached - cached_audio);
        let audio_in = said.audio_in.unwrap_or(0).saturating_sub(cached_audio).min(fresh);
        let image_in = said.image_in.unwrap_or(0).saturating_sub(cached_image).min(fresh - audio_in);
        let reasoning = said.reasoning.or(said.reasoning_beside).unwrap_or(0);
        let beside = prompt + completion + reasoning;
        let visible = match said.total {
            // QUIRK(xai, perplexity, 2026-05): reasoning is counted beside the completion; the total gives it away.
            Some(total) if reasoning > 0 && total == beside => completion,
            // Inside the completion it can't be, and there is room for it beside.
            Some(total) if reasoning > completion && total > beside => completion,
            // QUIRK(perplexity, 2026-11, https://docs.perplexity.ai/docs/sonar/models/sonar-deep-research): what isn't said among the details
            // of the completion needn't be part of it, and neither is it of the total.
            _ if said.reasoning.is_none() && reasoning > completion => completion,
            _ => completion.checked_sub(reasoning).ok_or(Absurd)?,
        };
        let audio_out = said.audio_out.unwrap_or(0).min(visible);
        let image_out = said.image_out.unwrap_or(0).min(visible - audio_out);
        let usage = Usage {
            input_uncached: fresh - audio_in - image_in,
            cache_read: cached - cached_audio - cached_image,
            cache_read_audio: cached_audio,
            cache_read_image: cached_image,
            cache_write: written,
            cache_write_1h: 0,
            audio_in,
            image_in,
            output_visible: visible - audio_out - image_out,
            output_reasoning: reasoning,
            audio_out,
            image_out,
            searches: match said.queries {
                Some(queries) if !said.sized || said.per_query => queries,
                Some(_) => 1,
                None => u64::from(said.sized),
            },
            units: 0,
        };
        Ok(Some(Counts { usage, input_missing: input.is_none(), output_missing: output.is_none() }))
    }
}

/// A part of a count; 0 where it isn't told apart.
pub(super) fn part(details: Val<'_>, name: &str) -> Result<u64, Absurd> {
    Ok(details.get(name).map_or(Ok(None), count)?.unwrap_or(0))
}

/// OpenAI's `usage` object of responses. `None` when it counts nothing.
pub(crate) fn responses(v: Val<'_>) -> Result<Option<Counts>, Absurd> {
    let mut said = Said::default();
    for (name, value) in v.members() {
        match &*name {
            "input_tokens" => said.prompt = count(value)?,
            "output_tokens" => said.completion = count(value)?,
            "total_tokens" => said.total = count(value)?,
            "input_tokens_details" => said.input_details(value)?,
            "output_tokens_details" => said.output_details(value)?,
            // QUIRK(dashscope, 2026-11, https://help.aliyun.com/zh/model-studio/context-cache): what a session wrote stands with each of
            // its turns.
            "x_details" => said.written = written_in(value)?.or(said.written),
            _ => {}
        }
    }
    said.counts()
}

/// What all turns of a call wrote to the cache, if any says it.
fn written_in(turns: Val<'_>) -> Result<Option<u64>, Absurd> {
    let mut written = None;
    for details in turns.elements().filter_map(|turn| turn.get("prompt_tokens_details")) {
        let more = details.get("cache_creation_input_tokens").map_or(Ok(None), count)?;
        written = more.map(|more| written.unwrap_or(0) + more).or(written);
    }
    Ok(written)
}

/// What the input is made of: sound and images include what of them was cached, as OpenAI counts them.
fn write_input_details(o: &mut Object<'_>, usage: &Usage) {
    o.num("cached_tokens", usage.cached_tokens());
    if usage.cache_read_audio + usage.cache_read_image > 0 {
        o.object("cached_tokens_details", |o| {
            o.num("text_tokens", usage.cache_read);
            o.num("audio_tokens", usage.cache_read_audio);
            o.num("image_tokens", usage.cache_read_image);
        });
    }
    if usage.cache_write + usage.cache_write_1h > 0 {
        o.num("cache_write_tokens", usage.cache_write + usage.cache_write_1h);
    }
    for (name, tokens) in [
        ("audio_tokens", usage.audio_in.saturating_add(usage.cache_read_audio)),
        ("image_tokens", usage.image_in.saturating_add(usage.cache_read_image)),
    ] {
        if tokens > 0 {
            o.num(name, tokens);
        }
    }
}

/// OpenAI's `usage` object for `usage`: the prompt includes what was cached, the completion what was reasoned.
pub(crate) fn write_openai(usage: &Usage) -> String {
    let (input, output) = (usage.input_tokens(), usage.output_tokens());
    object(|o| {
        o.num("prompt_tokens", input);
        o.num("completion_tokens", output);
        o.num("total_tokens", input.saturating_add(output));
        o.object("prompt_tokens_details", |o| write_input_details(o, usage));
        o.object("completion_tokens_details", |o| {
            o.num("reasoning_tokens", usage.output_reasoning);
            if usage.audio_out > 0 {
                o.num("audio_tokens", usage.audio_out);
            }
            if usage.image_out > 0 {
                o.num("image_tokens", usage.image_out);
            }
        });
    })
}

/// The `usage` object of responses for `usage`: the input includes what was cached, the output what was reasoned.
pub(crate) fn write_responses(usage: &Usage) -> String {
    let (input, output) = (usage.input_tokens(), usage.output_tokens());
    object(|o| {
        o.num("input_tokens", input);
        o.object("input_tokens_details", |o| write_input_details(o, usage));
        o.num("output_tokens", output);
        o.object("output_tokens_details", |o| {
            o.num("reasoning_tokens", usage.output_reasoning);
            if usage.audio_out > 0 {
                o.num("audio_tokens", usage.audio_out);
            }
        });
        o.num("total_tokens", input.saturating_add(output));
    })
}
