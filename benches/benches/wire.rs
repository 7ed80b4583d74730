//! The byte path and every translation: requests of 1 KB, 32 KB and 1 MB, and the frames of streams.
#![allow(missing_docs, reason = "criterion makes functions of its own")]
#![allow(clippy::expect_used, reason = "a bench that can't run fails by panicking")]

use std::hint::black_box;
use std::time::Duration;

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use sluicegate_core::Format;
use sluicegate_wire::{Addressed, Bridge, BridgeOptions, Edits, End, Scanned, scan_addressed};

/// What the gateway allocates with.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const CALLERS: [Format; 4] =
    [Format::OpenaiChat, Format::OpenaiResponses, Format::AnthropicMessages, Format::GeminiGenerate];
const UPSTREAMS: [Format; 6] = [
    Format::OpenaiChat,
    Format::OpenaiResponses,
    Format::AnthropicMessages,
    Format::GeminiGenerate,
    Format::CohereChat,
    Format::OllamaChat,
];
const SIZES: [(&str, usize); 3] = [("1 KB", 1), ("32 KB", 32), ("1 MB", 1_024)];
/// Frames of a stream that is measured.
const FRAMES: usize = 1_000;

/// A conversation of so many turns of a kilobyte.
fn body(format: Format, turns: usize) -> Bytes {
    let words = "A sluice gate measures water into many channels, by right and by rule. ".repeat(12);
    let turn = |at: usize| {
        let by_model = at % 2 == 1;
        let role = match (by_model, format) {
            (false, _) => "user",
            (true, Format::GeminiGenerate) => "model",
            (true, _) => "assistant",
        };
        match format {
            Format::GeminiGenerate => format!(r#"{{"role":"{role}","parts":[{{"text":"{words}"}}]}}"#),
            _ => format!(r#"{{"role":"{role}","content":"{words}"}}"#),
        }
    };
    let turns = (0..turns).map(turn).collect::<Vec<_>>().join(",");
    Bytes::from(match format {
        Format::GeminiGenerate => format!(
            r#"{{"systemInstruction":{{"parts":[{{"text":"Answer briefly."}}]}},"contents":[{turns}],"generationConfig":{{"temperature":0.7,"maxOutputTokens":500}}}}"#
        ),
        Format::OpenaiResponses => format!(
            r#"{{"model":"m","instructions":"Answer briefly.","input":[{turns}],"temperature":0.7,"max_output_tokens":500,"stream":true}}"#
        ),
        Format::AnthropicMessages => format!(
            r#"{{"model":"m","system":"Answer briefly.","messages":[{turns}],"temperature":0.7,"max_tokens":500,"stream":true}}"#
        ),
        _ => format!(
            r#"{{"model":"m","messages":[{{"role":"system","content":"Answer briefly."}},{turns}],"temperature":0.7,"max_tokens":500,"stream":true,"user":"u-1"}}"#
        ),
    })
}

fn scanned(format: Format, body: &Bytes) -> Scanned {
    let at = (format == Format::GeminiGenerate).then_some(Addressed { model: "m", stream: true });
    scan_addressed(format, body, at).expect("a good body")
}

/// From the bytes that came to those that go out: read, and spliced or translated.
fn requests(c: &mut Criterion) {
    let edits = Edits {
        model: Some("a-model-of-theirs"),
        max_output: Some(200),
        include_usage: true,
        ..Edits::default()
    };
    for (size, turns) in SIZES {
        let mut group = c.benchmark_group(format!("request {size}"));
        for from in CALLERS {
            let body = body(from, turns);
            group.throughput(Throughput::Bytes(body.len() as u64));
            for to in UPSTREAMS {
                let what = BenchmarkId::new(from.as_str(), if from == to { "bytes" } else { to.as_str() });
                group.bench_function(what, |b| {
                    b.iter(|| scanned(from, black_box(&body)).prepare(black_box(&edits), to));
                });
            }
        }
        group.finish();
    }
}

/// A frame that carries a word, and how a stream ends.
fn frame(format: Format) -> (&'static [u8], &'static [u8]) {
    match format {
        Format::AnthropicMessages => (
            b"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\" water\"}}\n\n",
            b"event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"input_tokens\":9,\"output_tokens\":9}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
        ),
        Format::GeminiGenerate => (
            b"data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\" water\"}],\"role\":\"model\"},\"index\":0}],\"modelVersion\":\"m\",\"responseId\":\"r\"}\r\n\r\n",
            b"data: {\"candidates\":[{\"finishReason\":\"STOP\",\"index\":0}],\"usageMetadata\":{\"promptTokenCount\":9,\"candidatesTokenCount\":9}}\r\n\r\n",
        ),
        Format::OpenaiResponses => (
            b"event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"sequence_number\":4,\"item_id\":\"msg_1\",\"output_index\":0,\"content_index\":0,\"delta\":\" water\",\"logprobs\":[]}\n\n",
            b"event: response.completed\ndata: {\"type\":\"response.completed\",\"sequence_number\":5,\"response\":{\"id\":\"r\",\"status\":\"completed\",\"output\":[],\"usage\":{\"input_tokens\":9,\"output_tokens\":9}}}\n\n",
        ),
        Format::CohereChat => (
            b"event: content-delta\ndata: {\"type\":\"content-delta\",\"index\":0,\"delta\":{\"message\":{\"content\":{\"text\":\" water\"}}}}\n\n",
            b"event: message-end\ndata: {\"type\":\"message-end\",\"delta\":{\"finish_reason\":\"COMPLETE\",\"usage\":{\"billed_units\":{\"input_tokens\":9,\"output_tokens\":9}}}}\n\n",
        ),
        Format::OllamaChat => (
            b"{\"model\":\"m\",\"created_at\":\"2026-11-20T10:00:00.5Z\",\"message\":{\"role\":\"assistant\",\"content\":\" water\"},\"done\":false}\n",
            b"{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\"\"},\"done\":true,\"done_reason\":\"stop\",\"prompt_eval_count\":9,\"eval_count\":9}\n",
        ),
        _ => (
            b"data: {\"id\":\"chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT\",\"object\":\"chat.completion.chunk\",\"created\":1795000000,\"model\":\"m\",\"service_tier\":\"default\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" water\"},\"logprobs\":null,\"finish_reason\":null}],\"usage\":null}\n\n",
            b"data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n",
        ),
    }
}

/// Whole streams, frame by frame; a second's elements are frames.
fn frames(c: &mut Criterion) {
    let mut group = c.benchmark_group("frames");
    group.throughput(Throughput::Elements(FRAMES as u64));
    let mut stream = |what: BenchmarkId, options: &BridgeOptions| {
        let (frame, end) = frame(options.upstream);
        group.bench_function(what, |b| {
            b.iter(|| {
                let mut bridge = Bridge::new(options.clone());
                let mut out = |bytes| drop(black_box::<Bytes>(bytes));
                (0..FRAMES).for_each(|_| bridge.push(Bytes::from_static(frame), &mut out));
                bridge.push(Bytes::from_static(end), &mut out);
                bridge.finish(End::Eof, &mut out);
                bridge
            });
        });
    };
    for upstream in UPSTREAMS {
        for caller in CALLERS {
            let mut options = BridgeOptions::new(caller, upstream);
            (options.caller_streams, options.upstream_streams) = (true, true);
            let to = if caller == upstream { "bytes" } else { caller.as_str() };
            stream(BenchmarkId::new(upstream.as_str(), to), &options);
            if caller == upstream {
                options.present_model = Some("as-requested".to_owned());
                stream(BenchmarkId::new(upstream.as_str(), "bytes, the requested model shown"), &options);
            }
        }
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(600));
    targets = requests, frames
}
criterion_main!(benches);
