//! Anthropic's messages around the neutral model.

mod answer;
mod body;
mod decode;
mod encode;
mod form;
mod model;
mod schema;
mod stream;

pub(crate) use answer::Decoder;
pub(crate) use body::body;
pub(crate) use decode::request;
pub(crate) use encode::encode;
pub(crate) use form::form_as_tool;
pub(crate) use stream::Encoder;

use crate::ir::Stop;

/// The loss of sources, and why.
const IMAGES: &str = "images";
const NO_IMAGES: &str = "answers have no pictures in the target";
const CITATIONS: &str = "annotations";
const NO_CITATIONS: &str = "the target's citations are of documents and of its own searches";

/// The stop reason for why an answer ended.
fn stop_reason(stop: Stop) -> &'static str {
    match stop {
        Stop::End => "end_turn",
        Stop::Length => "max_tokens",
        Stop::Sequence => "stop_sequence",
        Stop::ToolUse => "tool_use",
        Stop::Refusal => "refusal",
        Stop::Pause => "pause_turn",
    }
}

fn stop_of(word: &str) -> Stop {
    match word {
        "max_tokens" | "model_context_window_exceeded" => Stop::Length,
        "stop_sequence" => Stop::Sequence,
        "tool_use" => Stop::ToolUse,
        "refusal" => Stop::Refusal,
        "pause_turn" => Stop::Pause,
        _ => Stop::End,
    }
}
