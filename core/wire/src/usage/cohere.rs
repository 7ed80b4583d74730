//! Cohere's counts.

use sluicegate_core::Usage;

use super::{Absurd, Counts, count};
use crate::json::Val;

/// Cohere's `usage` of chat: what is billed, not what the model saw of its template. `None` when it counts nothing.
pub(crate) fn cohere(v: Val<'_>) -> Result<Option<Counts>, Absurd> {
    let number = |name: &str| {
        for part in ["billed_units", "tokens"] {
            if let Some(n) = v.get(part).and_then(|part| part.get(name)) {
                return count(n);
            }
        }
        Ok(None)
    };
    let (input, output) = (number("input_tokens")?, number("output_tokens")?);
    if input.is_none() && output.is_none() {
        return Ok(None);
    }
    // Of all that the model saw; what is billed may be less.
    let cached = v.get("cached_tokens").map_or(Ok(None), count)?.unwrap_or(0).min(input.unwrap_or(0));
    let usage = Usage {
        input_uncached: input.unwrap_or(0) - cached,
        cache_read: cached,
        output_visible: output.unwrap_or(0),
        ..Usage::default()
    };
    Ok(Some(Counts { usage, input_missing: input.is_none(), output_missing: output.is_none() }))
}
