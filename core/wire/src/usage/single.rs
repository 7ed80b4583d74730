//! What single operations count, and whatever is passed through.

use sluicegate_core::call::Unit;
use sluicegate_core::{Format, Usage};

use super::{
    ABSURD, Absurd, AnthropicCounts, always_searches, cohere, count, gemini, is_per_prompt, ollama, openai,
    openai::part, queries, research_queries, search_calls,
};
use crate::json::{Kind, Val};

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
    let apart =
        |name| inside.and_then(|it| it.get("cached_tokens_details")).map_or(Ok(0), |it| part(it, name));
    usage.cache_read_audio = apart("audio_tokens")?.min(cached);
    usage.cache_read_image = apart("image_tokens")?.min(cached - usage.cache_read_audio);
    usage.cache_read = cached - usage.cache_read_audio - usage.cache_read_image;
    let heard = number(inside, ["audio_tokens", "audio_tokens"])?.unwrap_or(0);
    usage.audio_in = heard.saturating_sub(usage.cache_read_audio);
    let fresh = input.checked_sub(cached).and_then(|rest| rest.checked_sub(usage.audio_in)).ok_or(Absurd)?;
    let seen = number(inside, ["image_tokens", "image_tokens"])?.unwrap_or(0);
    usage.image_in = seen.saturating_sub(usage.cache_read_image).min(fresh);
    usage.input_uncached = fresh - usage.image_in;
    match format {
        Format::OpenaiSpeech => usage.audio_out = output,
        Format::OpenaiImages | Format::OpenaiImageEdits | Format::OpenaiImageVariations => {
            // QUIRK(openai, 2026-11, https://platform.openai.com/docs/guides/image-generation): since gpt-image-1.5 some of it is text.
            let written = details(["output_tokens_details", "output_token_details"]);
            usage.output_visible = written.map_or(Ok(0), |it| part(it, "text_tokens"))?.min(output);
            usage.image_out = output - usage.output_visible;
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

/// What an answer of whatever shape says it used, whole or as events: in the way of any format of chat. Of a long one, its
/// `end` will do, with its `beginning` where that isn't in it: Anthropic's streams say there what went in. `None` when it says nothing
/// that is known.
pub fn said_in(beginning: &[u8], end: &[u8]) -> Option<Usage> {
    any_said_in(beginning, end).filter(|usage| !usage.is_absurd())
}

fn any_said_in(beginning: &[u8], end: &[u8]) -> Option<Usage> {
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
        let inner = ["response", "message", "delta"].into_iter();
        of_any(root).or_else(|| inner.filter_map(|name| root.get(name)).find_map(of_any))
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
    let line = line.trim();
    // Lines of JSON have nothing before it.
    Val::from_bytes(line.strip_prefix("data:").unwrap_or(line).trim().as_bytes())
}

fn of_any(root: Val<'_>) -> Option<Usage> {
    if let Some(said) = crate::gemini::member(root, "usageMetadata") {
        let mut usage = gemini(said).ok().flatten()?.usage;
        usage.searches = gemini_searches(root);
        return Some(usage).filter(|usage| usage.total_tokens() > 0);
    }
    if root.get("eval_count").is_some() {
        return ollama(root).ok().flatten().map(|counts| counts.usage);
    }
    let said = root.get("usage").filter(|said| said.kind() == Kind::Object)?;
    if said.get("billed_units").is_some() {
        return cohere(said).ok().flatten().map(|counts| counts.usage);
    }
    if said.get("prompt_tokens").is_some() {
        let mut usage = openai(said).ok().flatten()?.usage;
        let model = root.get_str("model").unwrap_or_default();
        if always_searches(&model) {
            usage.searches = usage.searches.max(1);
        }
        usage.searches = usage.searches.max(research_queries(&model, said));
        return Some(usage);
    }
    let is_anthropic =
        said.get("cache_read_input_tokens").is_some() || root.get_str("type").as_deref() == Some("message");
    if is_anthropic {
        let mut counts = AnthropicCounts::default();
        counts.merge(said);
        return counts.usage().ok().flatten().map(|counts| counts.usage);
    }
    let mut usage = single(Format::PassThrough, root, 0).ok().flatten()?;
    usage.searches = root.get("output").map_or(0, search_calls);
    Some(usage)
}

/// The searches of a whole answer of Gemini's.
fn gemini_searches(root: Val<'_>) -> u64 {
    let made = root.get("candidates").into_iter().flat_map(Val::elements).flat_map(queries).count() as u64;
    let model = crate::gemini::member(root, "modelVersion").and_then(Val::as_str);
    if model.is_some_and(|model| is_per_prompt(&model)) { made.min(1) } else { made }
}

/// A number that need not be whole, also one written as a string.
fn rounded_up(n: Val<'_>) -> Result<u64, Absurd> {
    let number: f64 = n.raw().trim_matches('"').parse().unwrap_or(0.0);
    // The cast saturates, and what isn't a number is 0.
    if (0.0..=ABSURD as f64).contains(&number) { Ok(number.ceil() as u64) } else { Err(Absurd) }
}
