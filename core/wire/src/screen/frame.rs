//! What a frame of a stream says, and where.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;
use sluicegate_core::Format;
use smallvec::SmallVec;

use crate::json::{Kind, Val};
use crate::sse::fields;
use crate::texts::{elements, place};

/// Which of the things that a stream says side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    /// OpenAI's choice, Anthropic's block.
    pub(super) choice: u64,
    pub(super) what: What,
}

/// What is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Content,
    Reasoning,
    Refusal,
    /// A tool call's arguments, which are JSON.
    Arguments(u64),
    /// A custom tool's input, which is text.
    Input(u64),
}

impl Key {
    /// Whether this is JSON that is put together from its pieces.
    pub(super) fn is_json(self) -> bool {
        matches!(self.what, What::Arguments(_))
    }

    /// Whether this is over when `next` is said.
    pub(super) fn is_followed_by(self, next: Key) -> bool {
        self.choice == next.choice
            && self.what != next.what
            && !matches!(self.what, What::Arguments(_) | What::Input(_))
    }
}

/// A piece of text in a frame.
pub(super) struct Part {
    pub(super) key: Key,
    /// The string, quotes included.
    pub(super) at: Range<usize>,
    pub(super) text: String,
}

/// A frame that was read.
pub(super) struct Read {
    /// The frame; written anew where its data stood in several lines.
    pub(super) frame: Bytes,
    pub(super) parts: SmallVec<[Part; 1]>,
    /// The choice that is over with this frame.
    pub(super) over: Option<u64>,
    /// Everything is over with this frame.
    pub(super) all_over: bool,
}

pub(super) fn read(format: Format, frame: Bytes) -> Read {
    let frame = match fields(&frame) {
        it if matches!(it.data, Some(Cow::Owned(_))) => {
            joined(&it.event, it.data.as_deref().unwrap_or_default())
        }
        _ => frame,
    };
    let mut read = Read { frame: frame.clone(), parts: SmallVec::new(), over: None, all_over: false };
    let whole = std::str::from_utf8(&frame).unwrap_or_default();
    let Some(Cow::Borrowed(data)) = fields(whole.as_bytes()).data else { return read };
    if data.trim_ascii() == b"[DONE]" {
        read.all_over = true;
        return read;
    }
    let Some(root) = Val::from_bytes(data) else { return read };
    match format {
        Format::AnthropicMessages => anthropic(&mut read, whole, root),
        _ => openai(&mut read, whole, root),
    }
    read
}

/// A frame of one data line. A line break of JSON text stands outside its strings.
fn joined(event: &Option<&[u8]>, data: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(data.len() + 32);
    if let Some(event) = event {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(event);
        out.push(b'\n');
    }
    out.extend_from_slice(b"data: ");
    out.extend(data.iter().map(|byte| if *byte == b'\n' { b' ' } else { *byte }));
    out.extend_from_slice(b"\n\n");
    out.into()
}

impl Read {
    fn part(&mut self, whole: &str, choice: u64, what: What, value: Option<Val<'_>>) {
        let Some(value) = value.filter(|value| value.kind() == Kind::String) else { return };
        let Some(text) = value.as_str().filter(|text| !text.is_empty()) else { return };
        self.parts.push(Part { key: Key { choice, what }, at: place(whole, value), text: text.into_owned() });
    }
}

fn openai(read: &mut Read, whole: &str, root: Val<'_>) {
    read.all_over = root.get("error").is_some();
    for choice in elements(root.get("choices")) {
        let index = choice.get_u64("index").unwrap_or(0);
        if let Some(delta) = choice.get("delta").or_else(|| choice.get("message")) {
            for name in ["reasoning_content", "reasoning"] {
                read.part(whole, index, What::Reasoning, delta.get(name));
            }
            read.part(whole, index, What::Content, delta.get("content"));
            for part in elements(delta.get("content")) {
                read.part(whole, index, What::Content, part.get("text"));
            }
            read.part(whole, index, What::Refusal, delta.get("refusal"));
            for (at, call) in elements(delta.get("tool_calls")).enumerate() {
                let tool = call.get_u64("index").unwrap_or(at as u64);
                let arguments = call.get("function").and_then(|function| function.get("arguments"));
                read.part(whole, index, What::Arguments(tool), arguments);
                let input = call.get("custom").and_then(|custom| custom.get("input"));
                read.part(whole, index, What::Input(tool), input);
            }
            let arguments = delta.get("function_call").and_then(|function| function.get("arguments"));
            read.part(whole, index, What::Arguments(u64::MAX), arguments);
        }
        if choice.get("finish_reason").is_some() {
            // Of several that end with one frame, all that is said is over.
            read.all_over |= read.over.is_some_and(|other| other != index);
            read.over = Some(index);
        }
    }
}

fn anthropic(read: &mut Read, whole: &str, root: Val<'_>) {
    let index = root.get_u64("index").unwrap_or(0);
    let piece = root.get("delta").or_else(|| root.get("content_block"));
    match root.get_str("type").as_deref() {
        Some("content_block_start" | "content_block_delta") => {
            let Some(piece) = piece else { return };
            read.part(whole, index, What::Content, piece.get("text"));
            read.part(whole, index, What::Reasoning, piece.get("thinking"));
            read.part(whole, index, What::Arguments(0), piece.get("partial_json"));
        }
        Some("content_block_stop") => read.over = Some(index),
        Some("message_delta" | "message_stop" | "error") => read.all_over = true,
        _ => {}
    }
}
