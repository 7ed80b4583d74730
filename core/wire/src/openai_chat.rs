//! OpenAI's chat completions around the neutral model.

mod answer;
mod body;
mod decode;
mod encode;
mod legacy;
mod reason;
mod stream;
mod strict;
mod thought;

pub(crate) use answer::{Decoder, NO_FILES};
pub(crate) use body::body;
pub(crate) use decode::{
    cache, detail_of, field, must_be_parts, must_be_text, nameless, object_or_wrapped, request, system_texts,
};
pub(crate) use encode::{
    NO_LOGPROBS, TEXT_SCHEMA, USER_MAX, audio_format, custom_description, custom_names, encode, json_schema,
    refuse_stored, url_of, user_and_tier,
};
pub(crate) use reason::effort;
pub(crate) use stream::Encoder;
pub(crate) use strict::{held, parameters};

use crate::ir::Stop;
use crate::names::Names;

/// The finish reason for why an answer ended.
fn finish_reason(stop: Stop, names: &Names) -> &'static str {
    match stop {
        Stop::End | Stop::Sequence => "stop",
        // A paused turn is an unfinished one.
        Stop::Length | Stop::Pause => "length",
        Stop::ToolUse if names.as_functions => "function_call",
        Stop::ToolUse => "tool_calls",
        Stop::Refusal => "content_filter",
    }
}
