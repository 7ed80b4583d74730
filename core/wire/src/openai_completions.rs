//! OpenAI's older completions, as callers speak them: one text that chat's models are asked with, and its continuation.
//! Upstreams that speak the format are sent the bytes as they came.

mod decode;
mod encode;

pub(crate) use decode::request;
pub(crate) use encode::{Encoder, body};

use crate::ir::{Event, Stop};
use crate::loss::Losses;

const NO_PLACE: &str = "a completion has no place for it";

/// What is left of an event for a caller of completions, who reads texts.
pub(crate) fn told(event: Event, losses: &mut Losses) -> Option<Event> {
    let lost = match &event {
        Event::Text(_) | Event::Refusal(_) | Event::Logprobs(_) | Event::Stop { .. } => return Some(event),
        Event::Thinking(_) | Event::Signature(_) | Event::Redacted(_) => "thinking",
        Event::ToolStart { .. } | Event::ToolArgs { .. } => "tool_calls",
        Event::Image(_) => "images",
        Event::Sound(_) | Event::Transcript(_) => "audio",
        Event::Citation(_) => "annotations",
        // Named where it is read.
        Event::Native(_) => return None,
    };
    losses.dropped(lost, NO_PLACE);
    None
}

/// The finish reason for why an answer ended.
fn finish_reason(stop: Stop) -> &'static str {
    match stop {
        Stop::End | Stop::Sequence | Stop::ToolUse => "stop",
        // A paused turn is an unfinished one.
        Stop::Length | Stop::Pause => "length",
        Stop::Refusal => "content_filter",
    }
}
