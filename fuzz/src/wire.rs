//! What reads bytes of strangers in `sluicegate-wire`: requests, answers and streams of each format, frames, forms, errors. Each
//! target takes any bytes. Beside "no panic" they hold what must be true of whatever comes out.

use bytes::Bytes;
use sluicegate_core::Format;
use sluicegate_wire::{
    Addressed, Bridge, BridgeOptions, CeilingField, Edits, End, EventArray, Fault, FormEvent, FormReader,
    Prepared, Scanned, Side, Texts, conversation, form_boundary, form_json, said_in, scan_addressed, sse,
};

/// A target by its name.
pub type Target = (&'static str, fn(&[u8]));

/// All of them; the first word of a name says what kind of bytes it reads.
pub const TARGETS: [Target; 23] = [
    ("request_openai_chat", |data| request(Format::OpenaiChat, data)),
    ("request_openai_completions", |data| request(Format::OpenaiCompletions, data)),
    ("request_openai_responses", |data| request(Format::OpenaiResponses, data)),
    ("request_anthropic_messages", |data| request(Format::AnthropicMessages, data)),
    ("request_gemini_generate", |data| request(Format::GeminiGenerate, data)),
    ("request_single", single_request),
    ("answer_openai_chat", |data| answer(Format::OpenaiChat, data, false)),
    ("answer_openai_responses", |data| answer(Format::OpenaiResponses, data, false)),
    ("answer_anthropic_messages", |data| answer(Format::AnthropicMessages, data, false)),
    ("answer_gemini_generate", |data| answer(Format::GeminiGenerate, data, false)),
    ("answer_cohere_chat", |data| answer(Format::CohereChat, data, false)),
    ("answer_ollama_chat", |data| answer(Format::OllamaChat, data, false)),
    ("answer_single", single_answer),
    ("stream_openai_chat", |data| answer(Format::OpenaiChat, data, true)),
    ("stream_openai_responses", |data| answer(Format::OpenaiResponses, data, true)),
    ("stream_anthropic_messages", |data| answer(Format::AnthropicMessages, data, true)),
    ("stream_gemini_generate", |data| answer(Format::GeminiGenerate, data, true)),
    ("stream_cohere_chat", |data| answer(Format::CohereChat, data, true)),
    ("stream_ollama_chat", |data| answer(Format::OllamaChat, data, true)),
    ("stream_frames", frames),
    ("answer_scanners", scanners),
    ("request_conversation", kept),
    ("form", form),
];

/// The four formats that translate into each other.
const CHATS: [Format; 4] =
    [Format::OpenaiChat, Format::OpenaiResponses, Format::AnthropicMessages, Format::GeminiGenerate];

/// Those that callers are translated from.
const CALLERS: [Format; 5] = [
    Format::OpenaiChat,
    Format::OpenaiResponses,
    Format::AnthropicMessages,
    Format::GeminiGenerate,
    Format::OpenaiCompletions,
];

/// Those that only upstreams speak.
const UPSTREAMS: [Format; 2] = [Format::CohereChat, Format::OllamaChat];

/// Models that make a difference to how a request is written.
fn model(target: Format, data: &[u8]) -> &'static str {
    let names: &[&str] = match target {
        Format::GeminiGenerate => {
            &["gemini-2.0-flash", "gemini-2.5-pro", "gemini-3-pro-preview", "gemma-3-27b-it"]
        }
        Format::AnthropicMessages => &["claude-sonnet-4-5", "claude-opus-4-8"],
        Format::CohereChat => &["command-r-plus-08-2024", "command-a-reasoning-08-2025"],
        Format::OllamaChat => &["qwen3:8b", "gpt-oss:20b"],
        _ => &["gpt-4o", "gpt-5", "gpt-5.2", "other"],
    };
    let sum = data.iter().fold(0usize, |sum, byte| sum.wrapping_add(usize::from(*byte)));
    names.get(sum % names.len()).copied().unwrap_or("m")
}

fn scanned(format: Format, data: &[u8]) -> Option<Scanned> {
    let at = (format == Format::GeminiGenerate)
        .then_some(Addressed { model: "m", stream: data.len().is_multiple_of(2) });
    scan_addressed(format, &Bytes::copy_from_slice(data), at).ok()
}

/// A request on its way to each of the formats.
fn request(format: Format, data: &[u8]) {
    let Some(scanned) = scanned(format, data) else { return };
    look(&scanned);
    texts(format, Side::Request, data);
    for target in CHATS.into_iter().chain(UPSTREAMS) {
        let edits = Edits {
            model: Some(model(target, data)),
            max_output: data.len().is_multiple_of(3).then_some(4_096),
            ceiling_field: CeilingField::AsSent,
            include_usage: true,
            web_search: data.len().is_multiple_of(2).then_some(true),
            quirks: None,
            drop: &["user"],
            set: &[("metadata", r#"{"a":1}"#)],
        };
        if let Ok(prepared) = scanned.prepare(&edits, target) {
            is_whole(&prepared, target);
        }
    }
}

/// What is sent is JSON, and a request of its format as far as we can tell.
fn is_whole(prepared: &Prepared, target: Format) {
    is_json(&prepared.body);
    if target.is_upstream_only() {
        return;
    }
    let at = (target == Format::GeminiGenerate).then_some(Addressed { model: "m", stream: false });
    if let Err(error) = scan_addressed(target, &prepared.body, at) {
        assert!(
            error.message().contains("nest"),
            "what was prepared can't be read: {}: {}",
            error.message(),
            String::from_utf8_lossy(&prepared.body)
        );
    }
}

fn is_json(body: &[u8]) {
    if let Err(error) = serde_json::from_slice::<serde_json::Value>(body) {
        // Its bound on nesting and on numbers isn't ours.
        let other = error.to_string();
        let is_ours = !other.contains("recursion limit") && !other.contains("out of range");
        assert!(!is_ours, "no JSON: {error}: {}", String::from_utf8_lossy(body));
    }
}

fn look(scanned: &Scanned) {
    let facts = scanned.facts();
    let bound = facts.input_bound();
    assert!(bound.is_none_or(|bound| bound >= facts.input_estimate()), "an estimate beyond the bound");
    drop(scanned.unknown_fields());
}

fn texts(format: Format, side: Side, data: &[u8]) {
    let texts = Texts::of(format, side, data);
    if !texts.is_readable() {
        return;
    }
    let new: Vec<(usize, String)> = (0..texts.iter().len()).map(|at| (at, "\"x\\\u{1}".to_owned())).collect();
    let replaced = texts.replaced(&new);
    if serde_json::from_slice::<serde_json::Value>(data).is_ok() {
        is_json(&replaced);
    }
}

/// A request of an operation that isn't translated.
fn single_request(data: &[u8]) {
    for format in Format::SINGLE.into_iter().chain([Format::OpenaiEmbeddings]) {
        let Some(mut scanned) = scanned(format, data) else { continue };
        scanned.with_files(Some(1), data.len() as u64);
        look(&scanned);
        texts(format, Side::Request, data);
        let edits = Edits { model: Some("other"), ..Edits::default() };
        if let Ok(prepared) = scanned.prepare(&edits, format) {
            is_json(&prepared.body);
        }
    }
}

fn options(caller: Format, upstream: Format, streams: (bool, bool)) -> BridgeOptions {
    BridgeOptions {
        caller_streams: streams.0,
        upstream_streams: streams.1,
        id: "0001".into(),
        created_s: 1_700_000_000,
        input_estimate: 7,
        ..BridgeOptions::new(caller, upstream)
    }
}

/// An answer on its way to callers of each format, in pieces whose size the bytes choose.
fn answer(upstream: Format, data: &[u8], upstream_streams: bool) {
    for caller in CALLERS {
        for caller_streams in [false, true] {
            deliver(options(caller, upstream, (caller_streams, upstream_streams)), data);
        }
    }
    if !upstream_streams {
        texts(upstream, Side::Answer, data);
    }
}

fn deliver(options: BridgeOptions, data: &[u8]) {
    let (streams, same) = (options.caller_streams, options.caller == options.upstream);
    let mut bridge = Bridge::new(options);
    let mut out = Vec::new();
    let size = data.first().map_or(1, |byte| usize::from(*byte).max(1) * 8);
    for piece in data.chunks(size) {
        bridge.push(Bytes::copy_from_slice(piece), &mut |bytes| out.extend_from_slice(&bytes));
    }
    bridge.finish(End::Eof, &mut |bytes| out.extend_from_slice(&bytes));
    if !same {
        if streams {
            sse_of_json(&out);
        } else if !out.is_empty() {
            is_json(&out);
        }
    }
    let _ = (bridge.observed(), bridge.losses());
}

/// A stream that we wrote: each frame has data, and that is JSON.
fn sse_of_json(out: &[u8]) {
    let mut frames = Vec::new();
    let mut splitter = sse::Splitter::default();
    let done = splitter.feed(Bytes::copy_from_slice(out), |data, range| frames.push(data.slice(range)));
    assert!(done.is_ok(), "a frame of ours has no end");
    for frame in frames {
        if let Some(data) = sse::fields(&frame).data
            && data.trim_ascii() != b"[DONE]"
        {
            is_json(&data);
        }
    }
}

/// An answer of an operation that isn't translated.
fn single_answer(data: &[u8]) {
    for format in Format::SINGLE.into_iter().chain([Format::OpenaiEmbeddings]) {
        for streams in [false, true] {
            deliver(options(format, format, (streams, streams)), data);
        }
    }
}

/// Frames come out as they went in, however they are cut.
fn frames(data: &[u8]) {
    let size = data.first().map_or(1, |byte| usize::from(*byte % 16) + 1);
    let mut splitter = sse::Splitter::new(1_024);
    let mut passed = Vec::new();
    let mut is_bounded = true;
    for piece in data.chunks(size) {
        match splitter.feed(Bytes::copy_from_slice(piece), |data, range| {
            drop(sse::fields(data.get(range).unwrap_or_default()))
        }) {
            Ok(whole) => passed.extend_from_slice(&whole),
            Err(_) => {
                is_bounded = false;
                break;
            }
        }
    }
    if is_bounded {
        passed.extend_from_slice(&splitter.finish());
        assert_eq!(passed, data, "bytes were lost or doubled");
    }
    let mut array = EventArray::default();
    for piece in data.chunks(size) {
        if array.push(Bytes::copy_from_slice(piece)).is_err() {
            return;
        }
    }
    drop(array.finish());
}

/// What looks into answers for errors and usage.
fn scanners(data: &[u8]) {
    for status in [0, 200, 400, 404, 429, 503] {
        drop(Fault::classify(status, data));
    }
    for format in CHATS.into_iter().chain(UPSTREAMS) {
        drop(Fault::in_ok_body(format, data));
        texts(format, Side::Answer, data);
    }
    let (beginning, end) = data.split_at(data.len() / 2);
    let _ = (said_in(b"", data), said_in(beginning, end));
    drop(sluicegate_wire::without_logprobs(Bytes::copy_from_slice(data)));
    for streams in [false, true] {
        let mut keeper = conversation::Keeper::new(streams);
        keeper.push(&Bytes::copy_from_slice(data));
        drop(keeper.take());
    }
}

/// A conversation that goes on.
fn kept(data: &[u8]) {
    let Some(scanned) = scanned(Format::OpenaiResponses, data) else { return };
    // As the gateway does: what the scan lets through, less a byte order mark.
    let data = scanned.body();
    let items = conversation::input_items(data, 0);
    is_json(items.as_bytes());
    let _ = conversation::item_count(data);
    let _ = conversation::references(data);
    let known = [r#"{"output":[{"id":"rs_1"},{"id":"msg_1"}]}"#];
    if let Some(whole) = conversation::with_items(data, &known, 1 << 20) {
        is_json(&whole);
    }
    let turn = conversation::Turn { input: &items, response: r#"{"id":"resp_1","output":[]}"# };
    is_json(&conversation::with_history(data, &[turn]));
}

/// A form: its boundary stands in the first line.
fn form(data: &[u8]) {
    let line = data.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let head = String::from_utf8_lossy(line);
    drop(form_boundary(&head));
    let boundary =
        form_boundary(&format!("multipart/form-data; boundary={}", head.trim().trim_start_matches('-')));
    let mut reader = FormReader::new(boundary.as_deref().unwrap_or("X"));
    let (mut fields, mut files) = (Vec::new(), 0);
    let size = data.last().map_or(1, |byte| usize::from(*byte % 64) + 1);
    for piece in data.chunks(size) {
        let mut seen = |event| match event {
            FormEvent::Field(field) => fields.push(field),
            FormEvent::File(_) => files += 1,
            _ => {}
        };
        if reader.push(piece, &mut seen).is_err() {
            return;
        }
    }
    let _ = (reader.ended(), reader.held_of_file(), files);
    if let Ok(json) = form_json(&fields) {
        is_json(&json);
    }
}
