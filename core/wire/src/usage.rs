//! What upstreams say they used, converted into the one normal form.

use sluicegate_core::call::Unit;
use sluicegate_core::{Format, Usage};

use crate::json::{Kind, Val};

/// No call uses more tokens than this; a count above it is a defect of the upstream.
const ABSURD: u64 = 1 << 32;

/// The numbers can't be right: negative, beyond 2³² or more inside a part than in the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Absurd;

/// What a report comes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) usage: Usage,
    /// The report says nothing of the input: its counts here are 0 and mean nothing.
    pub(crate) input_missing: bool,
    /// It says nothing of the whole output yet.
    pub(crate) output_missing: bool,
}

/// A count; `None` for what isn't a number.
fn count(n: Val<'_>) -> Result<Option<u64>, Absurd> {
    match n.as_u64() {
        Some(n) if n <= ABSURD => Ok(Some(n)),
        Some(_) => Err(Absurd),
        None if n.kind() == Kind::Number => Err(Absurd),
        None => Ok(None),
    }
}

/// What an OpenAI usage object says, read in one pass.
#[derive(Default)]
struct Said {
    prompt: Option<u64>,
    completion: Option<u64>,
    total: Option<u64>,
    cached: Option<u64>,
    cached_beside: Option<u64>,
    written: Option<u64>,
    audio_in: Option<u64>,
    image_in: Option<u64>,
    reasoning: Option<u64>,
    reasoning_beside: Option<u64>,
    audio_out: Option<u64>,
    image_out: Option<u64>,
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
                "cache_write_tokens" => self.written = count(value)?,
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
        let audio_in = said.audio_in.unwrap_or(0).min(fresh);
        // Images and sound that were read from the cache are among what was: they are charged there, and only once.
        let image_in = said.image_in.unwrap_or(0).min(fresh - audio_in);
        let reasoning = said.reasoning.or(said.reasoning_beside).unwrap_or(0);
        let visible = match said.total {
            // QUIRK(xai, perplexity, 2026-05): reasoning is counted beside the completion; the total gives it away.
            Some(total) if reasoning > 0 && total == prompt + completion + reasoning => completion,
            _ => completion.checked_sub(reasoning).unwrap_or(completion),
        };
        let audio_out = said.audio_out.unwrap_or(0).min(visible);
        let image_out = said.image_out.unwrap_or(0).min(visible - audio_out);
        let usage = Usage {
            input_uncached: fresh - audio_in - image_in,
            cache_read: cached,
            cache_write: written,
            cache_write_1h: 0,
            audio_in,
            image_in,
            output_visible: visible - audio_out - image_out,
            output_reasoning: reasoning,
            audio_out,
            image_out,
            searches: 0,
            units: 0,
        };
        Ok(Some(Counts { usage, input_missing: input.is_none(), output_missing: output.is_none() }))
    }
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
            _ => {}
        }
    }
    said.counts()
}

/// What an answer of a single operation says it used: tokens in `usage`, seconds, searches, and how many images there are.
/// `None` when it says nothing.
pub(crate) fn single(format: Format, root: Val<'_>, images: u64) -> Result<Option<Usage>, Absurd> {
    let mut usage = Usage::default();
    let said = root.get("usage").or_else(|| root.get("meta").and_then(|meta| meta.get("tokens")));
    let number = |v: Option<Val<'_>>, names: [&str; 2]| {
        let found = v.and_then(|v| names.iter().find_map(|name| v.get(name)));
        found.map_or(Ok(None), count)
    };
    let output = number(said, ["output_tokens", "completion_tokens"])?.unwrap_or(0);
    let input = number(said, ["input_tokens", "prompt_tokens"])?;
    let total = number(said, ["total_tokens", "total_tokens"])?.unwrap_or(0);
    let input = input.unwrap_or_else(|| total.saturating_sub(output));
    let details = |names: [&str; 2]| said.and_then(|said| names.iter().find_map(|name| said.get(name)));
    let inside = details(["input_token_details", "input_tokens_details"]);
    let cached = number(inside, ["cached_tokens", "cached_tokens"])?.unwrap_or(0);
    let heard = number(inside, ["audio_tokens", "audio_tokens"])?.unwrap_or(0);
    usage.cache_read = cached;
    usage.audio_in = heard;
    let fresh = input.checked_sub(cached).and_then(|rest| rest.checked_sub(heard)).ok_or(Absurd)?;
    usage.image_in = number(inside, ["image_tokens", "image_tokens"])?.unwrap_or(0).min(fresh);
    usage.input_uncached = fresh - usage.image_in;
    match format {
        Format::OpenaiSpeech => usage.audio_out = output,
        Format::OpenaiImages | Format::OpenaiImageEdits | Format::OpenaiImageVariations => {
            usage.image_out = output;
        }
        _ => usage.output_visible = output,
    }
    usage.units = match format.unit() {
        Some(Unit::Image) => images,
        Some(Unit::Second) => {
            let seconds = said.and_then(|said| said.get("seconds")).or_else(|| root.get("duration"));
            seconds.map_or(Ok(0), rounded_up)?
        }
        Some(Unit::Search) => {
            let billed = root.get("meta").and_then(|meta| meta.get("billed_units"));
            billed.and_then(|billed| billed.get("search_units")).map_or(Ok(0), rounded_up)?
        }
        Some(Unit::Character) | None => 0,
    };
    Ok((usage != Usage::default()).then_some(usage))
}

/// What an answer of whatever shape says it used, whole or as events: in OpenAI's, Anthropic's or Gemini's way. Of a long one, its
/// `end` will do, with its `beginning` where that isn't in it: Anthropic's streams say there what went in. `None` when it says nothing
/// that is known.
pub fn said_in(beginning: &[u8], end: &[u8]) -> Option<Usage> {
    if let Some(root) = Val::from_bytes(end).filter(|_| beginning.is_empty()) {
        return of_any(root);
    }
    let text = String::from_utf8_lossy(end);
    // The last event that says something has the whole.
    text.lines().rev().filter_map(event_in).find_map(|root| {
        if root.get_str("type").as_deref() == Some("message_delta") {
            let mut counts = begun(if beginning.is_empty() { end } else { beginning });
            root.get("usage").into_iter().for_each(|usage| counts.merge(usage));
            return counts.usage().ok().flatten().map(|counts| counts.usage);
        }
        of_any(root).or_else(|| of_any(root.get("response")?)).or_else(|| of_any(root.get("message")?))
    })
}

/// What the first event says, if it is Anthropic's.
fn begun(stream: &[u8]) -> AnthropicCounts {
    let text = String::from_utf8_lossy(stream);
    let first =
        text.lines().find_map(event_in).filter(|v| v.get_str("type").as_deref() == Some("message_start"));
    let mut counts = AnthropicCounts::default();
    let said = first.and_then(|v| v.get("message")).and_then(|message| message.get("usage"));
    said.into_iter().for_each(|usage| counts.begin(usage));
    counts
}

/// The event of a line, if it has one.
fn event_in(line: &str) -> Option<Val<'_>> {
    Val::from_bytes(line.strip_prefix("data:")?.trim().as_bytes())
}

fn of_any(root: Val<'_>) -> Option<Usage> {
    if let Some(said) = crate::gemini::member(root, "usageMetadata") {
        let usage = gemini(said).ok().flatten()?.usage;
        return Some(usage).filter(|usage| usage.total_tokens() > 0);
    }
    let said = root.get("usage").filter(|said| said.kind() == Kind::Object)?;
    if said.get("prompt_tokens").is_some() {
        return openai(said).ok().flatten().map(|counts| counts.usage);
    }
    let is_anthropic =
        said.get("cache_read_input_tokens").is_some() || root.get_str("type").as_deref() == Some("message");
    if is_anthropic {
        let mut counts = AnthropicCounts::default();
        counts.merge(said);
        return counts.usage().ok().flatten().map(|counts| counts.usage);
    }
    single(Format::PassThrough, root, 0).ok().flatten()
}

/// A number that need not be whole, also one written as a string.
fn rounded_up(n: Val<'_>) -> Result<u64, Absurd> {
    let number: f64 = n.raw().trim_matches('"').parse().unwrap_or(0.0);
    // The cast saturates, and what isn't a number is 0.
    if (0.0..=ABSURD as f64).contains(&number) { Ok(number.ceil() as u64) } else { Err(Absurd) }
}

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
        let audio_in = self.audio_in.saturating_sub(self.audio_cached).min(fresh);
        let image_in = self.image_in.saturating_sub(self.image_cached).min(fresh - audio_in);
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
            cache_read: cached,
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
    crate::json::object(|o| {
        o.num("promptTokenCount", input);
        let said = usage.output_visible.saturating_add(usage.audio_out).saturating_add(usage.image_out);
        o.num("candidatesTokenCount", said);
        o.num("totalTokenCount", input.saturating_add(output));
        if usage.cache_read > 0 {
            o.num("cachedContentTokenCount", usage.cache_read);
        }
        if usage.output_reasoning > 0 {
            o.num("thoughtsTokenCount", usage.output_reasoning);
        }
    })
}

/// OpenAI's `usage` object for `usage`: the prompt includes what was cached, the completion what was reasoned.
pub(crate) fn write_openai(usage: &Usage) -> String {
    let (input, output) = (usage.input_tokens(), usage.output_tokens());
    crate::json::object(|o| {
        o.num("prompt_tokens", input);
        o.num("completion_tokens", output);
        o.num("total_tokens", input.saturating_add(output));
        o.object("prompt_tokens_details", |o| {
            o.num("cached_tokens", usage.cache_read);
            if usage.cache_write + usage.cache_write_1h > 0 {
                o.num("cache_write_tokens", usage.cache_write + usage.cache_write_1h);
            }
            if usage.audio_in > 0 {
                o.num("audio_tokens", usage.audio_in);
            }
            if usage.image_in > 0 {
                o.num("image_tokens", usage.image_in);
            }
        });
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
    crate::json::object(|o| {
        o.num("input_tokens", input);
        o.object("input_tokens_details", |o| {
            o.num("cached_tokens", usage.cache_read);
            if usage.cache_write + usage.cache_write_1h > 0 {
                o.num("cache_write_tokens", usage.cache_write + usage.cache_write_1h);
            }
            if usage.audio_in > 0 {
                o.num("audio_tokens", usage.audio_in);
            }
        });
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

/// Anthropic's `usage` object: cached input stands beside the input.
pub(crate) fn write_anthropic(usage: &Usage) -> String {
    crate::json::object(|o| {
        let media = usage.audio_in.saturating_add(usage.image_in);
        o.num("input_tokens", usage.input_uncached.saturating_add(media));
        o.num("cache_creation_input_tokens", usage.cache_write.saturating_add(usage.cache_write_1h));
        o.num("cache_read_input_tokens", usage.cache_read);
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
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chat(text: &str) -> Result<Option<Usage>, Absurd> {
        openai(Val::parse(text).unwrap()).map(|counts| counts.map(|counts| counts.usage))
    }

    fn anthropic(parts: &[&str]) -> Result<Option<Usage>, Absurd> {
        let mut counts = AnthropicCounts::default();
        for part in parts {
            counts.merge(Val::parse(part).unwrap());
        }
        counts.usage().map(|counts| counts.map(|counts| counts.usage))
    }

    #[test]
    fn what_is_not_said_is_known_to_be_missing() {
        let missing = |counts: Counts| (counts.input_missing, counts.output_missing);
        for (text, want, used) in [
            (r#"{"prompt_tokens":10,"completion_tokens":4}"#, (false, false), (10, 4)),
            (r#"{"prompt_tokens":10}"#, (false, true), (10, 0)),
            (r#"{"prompt_tokens":10,"completion_tokens":null}"#, (false, true), (10, 0)),
            (r#"{"completion_tokens":4}"#, (true, false), (0, 4)),
            (r#"{"prompt_tokens":10,"total_tokens":14}"#, (false, false), (10, 4)),
            (r#"{"completion_tokens":4,"total_tokens":14}"#, (false, false), (10, 4)),
        ] {
            let counts = openai(Val::parse(text).unwrap()).unwrap().unwrap();
            assert_eq!(missing(counts), want, "{text}");
            assert_eq!((counts.usage.input_tokens(), counts.usage.output_tokens()), used, "{text}");
        }
        let mut counts = AnthropicCounts::default();
        counts.begin(Val::trusted(r#"{"input_tokens":7,"output_tokens":1}"#));
        assert_eq!(counts.usage().unwrap().map(missing), Some((false, true)));
        counts.merge(Val::trusted(r#"{"output_tokens":9}"#));
        assert_eq!(counts.usage().unwrap().map(missing), Some((false, false)));
    }

    #[test]
    fn usage_is_found_in_answers_of_any_known_shape() {
        let plain = Usage { input_uncached: 5, output_visible: 7, ..Usage::default() };
        for (answer, want) in [
            (r#"{"usage":{"prompt_tokens":5,"completion_tokens":7}}"#, Some(plain)),
            (r#"{"type":"message","usage":{"input_tokens":5,"output_tokens":7}}"#, Some(plain)),
            (r#"{"usage":{"input_tokens":5,"output_tokens":7,"total_tokens":12}}"#, Some(plain)),
            (r#"{"usageMetadata":{"promptTokenCount":5,"candidatesTokenCount":7}}"#, Some(plain)),
            (
                "data: {\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":7}}\n\ndata: [DONE]\n\n",
                Some(plain),
            ),
            (
                "event: response.completed\ndata: {\"response\":{\"usage\":{\"input_tokens\":5,\"output_tokens\":7}}}\n\n",
                Some(plain),
            ),
            (r#"{"data":[]}"#, None),
            ("not json", None),
            (r#"{"usage":{"prompt_tokens":-5,"completion_tokens":7}}"#, None),
        ] {
            assert_eq!(said_in(b"", answer.as_bytes()), want, "{answer}");
        }
    }

    #[test]
    fn what_went_into_a_stream_of_anthropics_stands_at_its_beginning() {
        let start = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"type\":\"message\",\"usage\":{\"input_tokens\":5,\"cache_read_input_tokens\":3,\"output_tokens\":1}}}\n\n";
        let end = "data: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":7}}\n\ndata: {\"type\":\"message_stop\"}\n\n";
        let want = Usage { input_uncached: 5, cache_read: 3, output_visible: 7, ..Usage::default() };
        assert_eq!(said_in(b"", format!("{start}{end}").as_bytes()), Some(want));
        // The end alone, with a beginning that was cut somewhere behind its first event.
        let beginning = format!("{start}data: {{\"type\":\"content_blo");
        assert_eq!(said_in(beginning.as_bytes(), end.as_bytes()), Some(want));
        let only_end = Usage { output_visible: 7, ..Usage::default() };
        assert_eq!(said_in(b"data: {}\n\n", end.as_bytes()), Some(only_end));
        // Broken off before anything was said of the output.
        assert_eq!(said_in(b"", start.as_bytes()).map(|usage| usage.input_tokens()), Some(8));
    }

    #[test]
    fn one_absurd_count_spoils_the_ones_after_it() {
        let got =
            anthropic(&[r#"{"input_tokens":5,"cache_read_input_tokens":-1}"#, r#"{"output_tokens":9}"#]);
        assert_eq!(got, Err(Absurd));
    }

    #[test]
    fn writes_to_the_cache_count_when_only_their_split_is_said() {
        let split = r#"{"input_tokens":1,"cache_creation":{"ephemeral_5m_input_tokens":10,"ephemeral_1h_input_tokens":20},"output_tokens":1}"#;
        let usage = anthropic(&[split]).unwrap().unwrap();
        assert_eq!((usage.cache_write, usage.cache_write_1h), (10, 20));
    }

    #[test]
    fn chat_counts_what_is_inside_what() {
        let got = chat(
            r#"{"prompt_tokens":100,"completion_tokens":50,"total_tokens":150,
                "prompt_tokens_details":{"cached_tokens":60,"cache_write_tokens":10,"audio_tokens":5},
                "completion_tokens_details":{"reasoning_tokens":20,"audio_tokens":3}}"#,
        );
        let want = Usage {
            input_uncached: 25,
            cache_read: 60,
            cache_write: 10,
            audio_in: 5,
            output_visible: 27,
            output_reasoning: 20,
            audio_out: 3,
            ..Usage::default()
        };
        assert_eq!(got, Ok(Some(want)));
        assert_eq!((want.input_tokens(), want.output_tokens()), (100, 50));
    }

    #[test]
    fn cached_images_are_among_what_was_cached_and_counted_once() {
        let images = |prompt: u64, cached: u64, images: u64| {
            let text = format!(
                r#"{{"prompt_tokens":{prompt},"completion_tokens":50,
                    "prompt_tokens_details":{{"cached_tokens":{cached},"image_tokens":{images}}},
                    "completion_tokens_details":{{"image_tokens":40}}}}"#
            );
            let usage = chat(&text).unwrap().unwrap();
            assert_eq!((usage.input_tokens(), usage.output_tokens()), (prompt, 50), "{text}");
            assert_eq!((usage.output_visible, usage.image_out), (10, 40));
            (usage.input_uncached, usage.cache_read, usage.image_in)
        };
        assert_eq!(images(1_000, 0, 800), (200, 0, 800));
        assert_eq!(images(1_000, 100, 800), (100, 100, 800));
        assert_eq!(images(1_000, 900, 800), (0, 900, 100));
        assert_eq!(images(1_000, 1_000, 800), (0, 1_000, 0));
    }

    #[test]
    fn searches_are_counted_and_the_last_count_stands() {
        let got = anthropic(&[
            r#"{"input_tokens":7,"output_tokens":1,"server_tool_use":{"web_search_requests":1}}"#,
            r#"{"output_tokens":15,"server_tool_use":{"web_search_requests":3,"web_fetch_requests":9}}"#,
        ]);
        assert_eq!(got.unwrap().unwrap().searches, 3);
    }

    #[test]
    fn reasoning_beside_the_completion_is_told_by_the_total() {
        let beside = chat(
            r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":22,"completion_tokens_details":{"reasoning_tokens":7}}"#,
        );
        assert_eq!(beside.unwrap().unwrap().output_tokens(), 12);
        let more_than_all = chat(
            r#"{"prompt_tokens":10,"completion_tokens":5,"completion_tokens_details":{"reasoning_tokens":7}}"#,
        );
        assert_eq!(more_than_all.unwrap().unwrap().output_tokens(), 12);
    }

    #[test]
    fn other_names_for_cached_tokens_count() {
        for text in [
            r#"{"prompt_tokens":10,"completion_tokens":1,"prompt_cache_hit_tokens":4,"prompt_cache_miss_tokens":6}"#,
            r#"{"prompt_tokens":10,"completion_tokens":1,"cached_tokens":4}"#,
        ] {
            let usage = chat(text).unwrap().unwrap();
            assert_eq!((usage.input_uncached, usage.cache_read), (6, 4), "{text}");
        }
    }

    #[test]
    fn absurd_numbers_are_rejected_and_missing_ones_are_none() {
        for text in [
            r#"{"prompt_tokens":-1,"completion_tokens":1}"#,
            r#"{"prompt_tokens":1,"completion_tokens":99999999999999999999}"#,
            r#"{"prompt_tokens":1.5,"completion_tokens":1}"#,
            r#"{"prompt_tokens":10,"prompt_tokens_details":{"cached_tokens":11}}"#,
        ] {
            assert_eq!(chat(text), Err(Absurd), "{text}");
        }
        assert_eq!(chat("{}"), Ok(None));
        assert_eq!(chat(r#"{"prompt_tokens":null}"#), Ok(None));
        assert_eq!(anthropic(&[r#"{"input_tokens":-5}"#]), Err(Absurd));
        assert_eq!(
            anthropic(&[
                r#"{"input_tokens":5,"output_tokens":1,"output_tokens_details":{"thinking_tokens":2}}"#
            ]),
            Err(Absurd)
        );
        assert_eq!(anthropic(&["{}"]), Ok(None));
    }

    #[test]
    fn thoughts_and_the_prompts_of_tools_are_extra() {
        let read = |text: &str| gemini(Val::parse(text).unwrap()).map(|c| c.map(|c| c.usage));
        let got = read(
            r#"{"promptTokenCount":100,"cachedContentTokenCount":60,"toolUsePromptTokenCount":7,"candidatesTokenCount":20,"thoughtsTokenCount":30,"totalTokenCount":157,
                "promptTokensDetails":[{"modality":"TEXT","tokenCount":90},{"modality":"AUDIO","tokenCount":10}]}"#,
        );
        let want = Usage {
            input_uncached: 37,
            cache_read: 60,
            audio_in: 10,
            output_visible: 20,
            output_reasoning: 30,
            ..Usage::default()
        };
        assert_eq!(got, Ok(Some(want)));
        assert_eq!((want.input_tokens(), want.output_tokens()), (107, 50));
        // Thoughts among the candidates, only thoughts so far, and a count that is left out.
        for (text, visible, reasoning) in [
            (
                r#"{"promptTokenCount":10,"candidatesTokenCount":50,"thoughtsTokenCount":30,"totalTokenCount":60}"#,
                20,
                30,
            ),
            (r#"{"promptTokenCount":10,"thoughtsTokenCount":30,"totalTokenCount":40}"#, 0, 30),
            (r#"{"promptTokenCount":10,"totalTokenCount":14}"#, 4, 0),
            (r#"{"prompt_token_count":10,"candidates_token_count":4}"#, 4, 0),
        ] {
            let usage = read(text).unwrap().unwrap();
            assert_eq!((usage.output_visible, usage.output_reasoning), (visible, reasoning), "{text}");
        }
        assert_eq!(read(r#"{"promptTokenCount":10,"cachedContentTokenCount":11}"#), Err(Absurd));
        assert_eq!(read(r#"{"trafficType":"ON_DEMAND"}"#), Ok(None));
    }

    #[test]
    fn anthropic_counts_replace_and_cache_stands_beside() {
        // Cumulative values are not added up.
        let got = anthropic(&[
            r#"{"input_tokens":7,"cache_read_input_tokens":100,"cache_creation_input_tokens":30,"cache_creation":{"ephemeral_5m_input_tokens":10,"ephemeral_1h_input_tokens":20},"output_tokens":1}"#,
            r#"{"output_tokens":15}"#,
            r#"{"input_tokens":7,"output_tokens":40,"output_tokens_details":{"thinking_tokens":25}}"#,
        ]);
        let want = Usage {
            input_uncached: 7,
            cache_read: 100,
            cache_write: 10,
            cache_write_1h: 20,
            output_visible: 15,
            output_reasoning: 25,
            ..Usage::default()
        };
        assert_eq!(got, Ok(Some(want)));
    }

    proptest::proptest! {
        #[test]
        fn written_usage_reads_back(
            a in 0u64..1 << 20, b in 0u64..1 << 20, c in 0u64..1 << 20, d in 0u64..1 << 20, e in 0u64..1 << 20, f in 0u64..1 << 20,
        ) {
            let usage = Usage { input_uncached: a, cache_read: b, cache_write: c, cache_write_1h: d, output_visible: e, output_reasoning: f, ..Usage::default() };
            assert_eq!(anthropic(&[&write_anthropic(&usage)]), Ok(Some(usage)));
            let read = gemini(Val::parse(&write_gemini(&usage)).unwrap()).unwrap().unwrap().usage;
            // Gemini's has none for it at all.
            assert_eq!(read, Usage { input_uncached: a + c + d, cache_write: 0, cache_write_1h: 0, ..usage });
            let back = chat(&write_openai(&usage)).unwrap().unwrap();
            // OpenAI's format has one bucket for what is written to the cache.
            assert_eq!(back, Usage { cache_write: c + d, cache_write_1h: 0, ..usage });
        }
    }
}
