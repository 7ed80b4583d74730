//! Ollama's counts.

use sluicegate_core::Usage;

use super::{Absurd, Counts, count};
use crate::json::Val;

/// The counts in the last line of Ollama's chat, or in its whole answer. `None` when it counts nothing.
// QUIRK(ollama, 2026-11): versions that found the whole prompt in their cache leave its count out.
pub(crate) fn ollama(root: Val<'_>) -> Result<Option<Counts>, Absurd> {
    let (mut input, mut output) = (None, None);
    for (name, value) in root.members() {
        match &*name {
            "prompt_eval_count" => input = count(value)?,
            "eval_count" => output = count(value)?,
            _ => {}
        }
    }
    if input.is_none() && output.is_none() {
        return Ok(None);
    }
    let usage =
        Usage { input_uncached: input.unwrap_or(0), output_visible: output.unwrap_or(0), ..Usage::default() };
    Ok(Some(Counts { usage, input_missing: input.is_none(), output_missing: output.is_none() }))
}
