//! What a frame of a stream says, and where.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;
use sluicegate_core::{Format, hash};
use smallvec::SmallVec;

use crate::json::{Kind, Val};
use crate::sse::fields;
use crate::texts::{CITED, DETAILS, SOURCE, Texts, elements, logprobs, place, spliced};

/// Which of the things that a stream says side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    /// OpenAI's choice, Anthropic's block.
    pub(super) choice: u64,
    pub(super) what: What,
    /// It stands among what a gateway before this one says of its provider's answer.
    pub(super) theirs: bool,
}

/// What is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum What {
    Content,
    Reasoning,
    /// The same in another field.
    ReasoningContent,
    Refusal,
    Transcript,
    /// A field of a detail of the reasoning.
    Detail(u64, usize),
    /// A thought among those that are signed.
    Block,
    /// A member of a call's arguments that are told one by one.
    Member(u64),
    /// Something that stands whole in its frame; and arguments that do.
    Whole,
    WholeJson,
    /// Something that was said before, whole; and arguments that were.
    Again,
    AgainJson,
    /// A tool call's arguments, which are JSON.
    Arguments(u64),
    /// A custom tool's input, which is text.
    Input(u64),
}

impl Key {
    /// Whether this is JSON that is put together from its pieces.
    pub(super) fn is_json(self) -> bool {
        matches!(self.what, What::Arguments(_) | What::WholeJson | What::AgainJson)
    }

    /// Whether this only repeats what was said before.
    pub(super) fn is_again(self) -> bool {
        matches!(self.what, What::Again | What::AgainJson)
    }

    /// Whether this stands whole in its frame.
    pub(super) fn is_whole(self) -> bool {
        matches!(self.what, What::Whole | What::WholeJson) || self.is_again()
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
    /// It says something that can't be read.
    pub(super) unreadable: bool,
    /// What is read now stands among what a gateway before this one says.
    theirs: bool,
}

pub(super) fn read(format: Format, frame: Bytes) -> Read {
    let frame = match fields(&frame) {
        it if matches!(it.data, Some(Cow::Owned(_))) => {
            joined(&it.event, it.data.as_deref().unwrap_or_default())
        }
        _ => frame,
    };
    let mut read = Read {
        frame: frame.clone(),
        parts: SmallVec::new(),
        over: None,
        all_over: false,
        unreadable: false,
        theirs: false,
    };
    let data = match fields(&frame).data {
        Some(data) if !data.trim_ascii().is_empty() => data,
        // A comment, or nothing.
        _ => return read,
    };
    if data.trim_ascii() == b"[DONE]" {
        read.all_over = true;
        return read;
    }
    let whole = std::str::from_utf8(&frame).unwrap_or_default();
    // In the text, so that places in it are places in the frame.
    let root = match fields(whole.as_bytes()).data {
        Some(Cow::Borrowed(data)) => Val::from_bytes(data),
        _ => None,
    };
    let Some(root) = root else {
        read.unreadable = true;
        return read;
    };
    let again = logprobs(whole, root);
    if !again.is_empty() {
        return self::read(format, spliced(whole, again).into());
    }
    match format {
        Format::AnthropicMessages => anthropic(&mut read, whole, root),
        Format::GeminiGenerate => gemini(&mut read, whole, root),
        Format::OpenaiResponses => responses(&mut read, whole, root),
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
        let key = Key { choice, what, theirs: self.theirs };
        self.parts.push(Part { key, at: place(whole, value), text: text.into_owned() });
    }
}

impl Read {
    /// Texts that stand whole in this frame, but for those that were read as what goes on, since there were `from` parts.
    fn wholes(&mut self, choice: u64, what: What, texts: &Texts<'_>, from: usize) {
        let read = from..self.parts.len();
        for (at, text) in texts.places().filter(|(_, text)| !text.is_empty()) {
            // BOUND: of few, those of one message or item.
            let mut before = self.parts.get(read.clone()).unwrap_or_default().iter();
            if before.all(|part| part.at != at) {
                let key = Key { choice, what, theirs: self.theirs };
                self.parts.push(Part { key, at, text: text.to_owned() });
            }
        }
    }
}

fn openai(read: &mut Read, whole: &str, root: Val<'_>) {
    read.all_over = root.get("error").is_some();
    for choice in elements(root.get("choices")) {
        let index = choice.get_u64("index").unwrap_or(0);
        // Of legacy completions.
        read.part(whole, index, What::Content, choice.get("text"));
        if let Some(delta) = choice.get("delta").or_else(|| choice.get("message")) {
            said(read, whole, index, delta);
            if let Some(fields) = delta.get("provider_specific_fields") {
                read.theirs = true;
                said(read, whole, index, fields);
                for citation in elements(fields.get("citations")) {
                    for citation in std::iter::once(citation).chain(citation.elements()) {
                        CITED
                            .iter()
                            .for_each(|name| read.part(whole, index, What::Whole, citation.get(name)));
                    }
                }
                read.theirs = false;
            }
        }
        if choice.get("finish_reason").is_some() {
            // Of several that end with one frame, all that is said is over.
            read.all_over |= read.over.is_some_and(|other| other != index);
            read.over = Some(index);
        }
    }
    let from = read.parts.len();
    read.wholes(0, What::Whole, &Texts::of_sources(whole, root), from);
    match root.get_str("type").as_deref() {
        Some("transcript.text.delta") => read.part(whole, 0, What::Content, root.get("delta")),
        Some("transcript.text.done" | "transcript.text.segment") => {
            read.over = Some(0);
            read.part(whole, 0, What::Again, root.get("text"));
        }
        Some(_) => read.part(whole, 0, What::Whole, root.get("revised_prompt")),
        None => {}
    }
}

/// What a message says, or the next piece of one.
fn said(read: &mut Read, whole: &str, index: u64, delta: Val<'_>) {
    read.part(whole, index, What::ReasoningContent, delta.get("reasoning_content"));
    read.part(whole, index, What::Reasoning, delta.get("reasoning"));
    for (at, detail) in elements(delta.get("reasoning_details")).enumerate() {
        let at_index = detail.get_u64("index").unwrap_or(at as u64);
        for (field, name) in DETAILS.iter().enumerate() {
            read.part(whole, index, What::Detail(at_index, field), detail.get(name));
        }
    }
    for block in elements(delta.get("thinking_blocks")) {
        // A piece that is signed holds the whole thought.
        let is_signed = block.get_str("signature").is_some_and(|seal| !seal.is_empty());
        let what = if is_signed { What::Whole } else { What::Block };
        read.part(whole, index, what, block.get("thinking"));
    }
    read.part(whole, index, What::Content, delta.get("content"));
    for part in elements(delta.get("content")) {
        let from = read.parts.len();
        read.part(whole, index, What::Content, part.get("text"));
        read.part(whole, index, What::Reasoning, part.get("thinking"));
        for thought in elements(part.get("thinking")) {
            read.part(whole, index, What::Reasoning, thought.get("text"));
        }
        read.wholes(index, What::Whole, &Texts::of_part(whole, part), from);
    }
    let from = read.parts.len();
    let transcript = delta.get("audio").and_then(|audio| audio.get("transcript"));
    read.part(whole, index, What::Transcript, transcript);
    read.wholes(index, What::Whole, &Texts::of_beside(whole, delta), from);
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
    for tool in elements(delta.get("executed_tools")) {
        read.part(whole, index, What::WholeJson, tool.get("arguments"));
    }
}

/// Text goes on from frame to frame; calls and what stands beside the answer are whole.
fn gemini(read: &mut Read, whole: &str, root: Val<'_>) {
    read.all_over = root.get("error").is_some();
    for candidate in elements(root.get("candidates")) {
        let index = candidate.get_u64("index").unwrap_or(0);
        for part in elements(candidate.get("content").and_then(|content| content.get("parts"))) {
            let from = read.parts.len();
            let is_thought = part.get("thought").is_some_and(|thought| thought.as_bool() == Some(true));
            let text = part.get("text");
            read.part(whole, index, if is_thought { What::Reasoning } else { What::Content }, text);
            let call = crate::gemini::member(part, "functionCall");
            for member in elements(call.and_then(|call| crate::gemini::member(call, "partialArgs"))) {
                let path =
                    crate::gemini::member(member, "jsonPath").and_then(Val::as_str).unwrap_or_default();
                let what = What::Member(hash::stable(path.as_bytes()));
                read.part(whole, index, what, crate::gemini::member(member, "stringValue"));
            }
            read.wholes(index, What::Whole, &Texts::of_gemini_part(whole, part), from);
        }
        let from = read.parts.len();
        read.wholes(index, What::Whole, &Texts::of_gemini_sources(whole, candidate), from);
        if crate::gemini::member(candidate, "finishReason").is_some() {
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
            if let Some(citation) = piece.get("citation") {
                CITED.iter().for_each(|name| read.part(whole, index, What::Whole, citation.get(name)));
            }
            read.part(whole, index, What::Content, piece.get("text"));
            read.part(whole, index, What::Reasoning, piece.get("thinking"));
            read.part(whole, index, What::Arguments(0), piece.get("partial_json"));
            match root.get("content_block") {
                // What a block begins with is whole, such as a result, but for what is continued.
                Some(block) => read.wholes(index, What::Whole, &Texts::of_part(whole, block), 0),
                None => read.part(whole, index, What::Content, piece.get("content")),
            }
        }
        Some("message_start") => {
            if let Some(content) = root.get("message").and_then(|message| message.get("content")) {
                read.wholes(index, What::Whole, &Texts::of_part(whole, content), 0);
            }
        }
        Some("content_block_stop") => read.over = Some(index),
        Some("message_delta" | "message_stop" | "error") => read.all_over = true,
        _ => {}
    }
}

/// Items that are told in pieces before they are told whole.
const IN_PIECES: [&str; 8] = [
    "message",
    "reasoning",
    "function_call",
    "custom_tool_call",
    "mcp_call",
    "code_interpreter_call",
    "shell_call",
    "apply_patch_call",
];

/// Each item is told in pieces, and then whole: by its texts, by its parts, as an item and in the response at the end.
fn responses(read: &mut Read, whole: &str, root: Val<'_>) {
    let index = root.get_u64("output_index").unwrap_or(0);
    let kind = root.get_str("type").unwrap_or_default();
    match &*kind {
        "error" => read.all_over = true,
        "response.created" | "response.queued" | "response.in_progress" => {
            again(read, whole, 0, elements(root.get("response").and_then(|response| response.get("output"))));
        }
        "response.completed" | "response.incomplete" | "response.failed" => {
            read.all_over = true;
            again(read, whole, 0, elements(root.get("response").and_then(|response| response.get("output"))));
        }
        "response.output_item.added" => again(read, whole, index, root.get("item").into_iter()),
        "response.output_item.done" => {
            read.over = Some(index);
            let Some(item) = root.get("item") else { return };
            let kind = item.get_str("type").unwrap_or_default();
            let (rest, arguments) = match IN_PIECES.contains(&&*kind) {
                true => (What::Again, What::AgainJson),
                false => (What::Whole, What::WholeJson),
            };
            let from = read.parts.len();
            // What a tool gave is told nowhere else.
            read.part(whole, index, What::Whole, item.get("output"));
            read.part(whole, index, What::Whole, item.get("error"));
            read.part(whole, index, arguments, item.get("arguments"));
            read.wholes(index, rest, &Texts::of_items(whole, std::iter::once(item)), from);
        }
        "response.content_part.added" | "response.reasoning_summary_part.added" => {
            if let Some(part) = root.get("part") {
                read.wholes(index, What::Again, &Texts::of_part(whole, part), 0);
            }
        }
        "response.content_part.done" | "response.reasoning_summary_part.done" => {
            read.over = Some(index);
            if let Some(part) = root.get("part") {
                read.wholes(index, What::Again, &Texts::of_part(whole, part), 0);
            }
        }
        "response.output_text.annotation.added" => {
            let note = root.get("annotation");
            for name in SOURCE {
                read.part(whole, index, What::Whole, note.and_then(|note| note.get(name)));
            }
        }
        _ => {
            let what = match kind.strip_prefix("response.").unwrap_or(&kind).split_once('.') {
                Some(("output_text", _)) => What::Content,
                Some(("refusal", _)) => What::Refusal,
                Some(("reasoning_text", _)) => What::ReasoningContent,
                Some(("function_call_arguments" | "mcp_call_arguments", _)) => What::Arguments(0),
                Some(("custom_tool_call_input", _)) => What::Input(0),
                Some(("reasoning_summary_text", _)) => What::Reasoning,
                // Sound, as bytes.
                Some(("audio" | "output_audio", "delta")) => return,
                // What tools of the provider's write, such as code.
                _ => What::Transcript,
            };
            if kind.ends_with(".delta") {
                read.part(whole, index, what, root.get("delta"));
            } else if kind.ends_with(".done") {
                read.over = Some(index);
                for name in ["text", "refusal", "input", "code", "transcript", "command", "diff"] {
                    read.part(whole, index, What::Again, root.get(name));
                }
                read.part(whole, index, What::AgainJson, root.get("arguments"));
            }
        }
    }
}

fn again<'a>(read: &mut Read, whole: &'a str, first: u64, items: impl Iterator<Item = Val<'a>>) {
    for (at, item) in items.enumerate() {
        let (index, from) = (first + at as u64, read.parts.len());
        read.part(whole, index, What::AgainJson, item.get("arguments"));
        read.wholes(index, What::Again, &Texts::of_items(whole, std::iter::once(item)), from);
    }
}
