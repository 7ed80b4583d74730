//! What a provider's answers mean where it has its own ways.

use sluicegate_core::quirk::{Finish, Quirks, UsageCounts};

use crate::fault::{Fault, FaultClass};
use crate::ir::Stop;
use crate::json::Val;
use crate::usage::{Absurd, Counts, openai};

/// OpenAI's usage object as this provider means it.
pub(crate) fn counted(quirks: Option<&Quirks>, v: Val<'_>) -> Result<Option<Counts>, Absurd> {
    let mut counts = openai(v)?;
    let (Some(counts_now), Some(quirks)) = (counts.as_mut(), quirks) else { return Ok(counts) };
    for quirk in &quirks.usage {
        match &quirk.counts {
            UsageCounts::ReasoningBeside => {
                if let Some(completion) = v.get_u64("completion_tokens") {
                    counts_now.usage.output_visible = completion.saturating_sub(counts_now.usage.audio_out);
                }
            }
            UsageCounts::MoreInput(name) => {
                let more = v.get_u64(name).unwrap_or(0);
                let input = counts_now.usage.input_uncached.checked_add(more).filter(|n| *n <= 1 << 32);
                counts_now.usage.input_uncached = input.ok_or(Absurd)?;
            }
            // That says what it costs, not how much it is.
            UsageCounts::AskedCache(_) => {}
        }
    }
    Ok(counts)
}

/// What hits of a cache cost that the caller asked for, in parts per million of input, if `v` says that it has such.
// QUIRK(dashscope, 2026-11, https://help.aliyun.com/zh/model-studio/context-cache): the one shuts out the other in a request.
pub(crate) fn asked_cache_ppm(quirks: Option<&Quirks>, v: Val<'_>) -> Option<u32> {
    let hundredths = quirks?.usage.iter().find_map(|quirk| match quirk.counts {
        UsageCounts::AskedCache(hundredths) => Some(hundredths),
        _ => None,
    })?;
    let is_asked = |details: Val<'_>| details.get_str("cache_type").as_deref() == Some("ephemeral");
    let turns = v.get("x_details").into_iter().flat_map(Val::elements);
    let mut details =
        std::iter::once(v).chain(turns).filter_map(|counts| counts.get("prompt_tokens_details"));
    details.any(is_asked).then(|| u32::from(hundredths) * 10_000)
}

/// What a word for the end of an answer says.
pub(crate) enum Ended {
    /// Nothing that the format doesn't say itself.
    AsTheFormatSays,
    /// Why, in the neutral model.
    By(Stop),
    /// It isn't complete.
    Failed(Fault),
}

/// What a provider means by a word for the end of an answer.
pub(crate) fn ended(quirks: Option<&Quirks>, word: &str) -> Ended {
    match quirks.and_then(|quirks| quirks.finish_of(word)) {
        None => Ended::AsTheFormatSays,
        Some(Finish::Stop) => Ended::By(Stop::End),
        Some(Finish::Length) => Ended::By(Stop::Length),
        Some(Finish::ToolCalls) => Ended::By(Stop::ToolUse),
        Some(Finish::ContentFilter) => Ended::By(Stop::Refusal),
        Some(Finish::Failed) => {
            let message = format!("the upstream broke its answer off: `{word}`");
            Ended::Failed(Fault {
                code: Some(word.to_owned()),
                ..Fault::new(FaultClass::Overloaded, message)
            })
        }
    }
}
