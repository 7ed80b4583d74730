//! Cohere's chat, version 2, around the neutral model: upstreams speak it, callers don't.

mod answer;
mod encode;

pub(crate) use answer::Decoder;
pub(crate) use encode::encode;

use crate::ir::Stop;

/// What a finish reason means; `None` for one that says that the answer itself went wrong.
pub(crate) fn stop_of(word: &str) -> Option<Stop> {
    Some(match word {
        "MAX_TOKENS" => Stop::Length,
        "STOP_SEQUENCE" => Stop::Sequence,
        "TOOL_CALL" => Stop::ToolUse,
        "TIMEOUT" => return None,
        word if word.starts_with("ERROR") => return None,
        _ => Stop::End,
    })
}
