//! The byte path: reading a request's facts, splicing a body, and passing an answer on.
#![allow(missing_docs, reason = "criterion makes functions of its own")]
#![allow(clippy::expect_used, reason = "a bench that can't run fails by panicking")]

use std::hint::black_box;
use std::time::Duration;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sluicegate_core::Format;
use sluicegate_wire::{Bridge, BridgeOptions, Edits, scan};

/// What the gateway allocates with.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn body() -> Bytes {
    let words = "A sluice gate measures water into many channels, by right and by rule. ".repeat(12);
    Bytes::from(format!(
        r#"{{"model":"gpt-4o","messages":[{{"role":"system","content":"Answer briefly."}},{{"role":"user","content":"{words}"}}],"temperature":0.7,"max_tokens":500,"stream":true,"user":"u-1"}}"#
    ))
}

fn requests(c: &mut Criterion) {
    let mut group = c.benchmark_group("wire");
    let body = body();
    group.throughput(Throughput::Bytes(body.len() as u64));
    group.bench_function("scan 1 KB", |b| b.iter(|| scan(Format::OpenaiChat, black_box(&body))));
    let scanned = scan(Format::OpenaiChat, &body).expect("a good body");
    let edits = Edits {
        model: Some("gpt-4o-2024-11-20"),
        max_output: Some(200),
        include_usage: true,
        ..Edits::default()
    };
    group
        .bench_function("splice 1 KB", |b| b.iter(|| scanned.prepare(black_box(&edits), Format::OpenaiChat)));
    group.bench_function("translate 1 KB", |b| {
        b.iter(|| scanned.prepare(black_box(&edits), Format::AnthropicMessages));
    });
    group.finish();
}

fn frames(c: &mut Criterion) {
    let mut group = c.benchmark_group("sse");
    let frame = Bytes::from_static(
        b"data: {\"id\":\"chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT\",\"object\":\"chat.completion.chunk\",\"created\":1795000000,\"model\":\"gpt-4o-2024-11-20\",\"service_tier\":\"default\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" water\"},\"logprobs\":null,\"finish_reason\":null}],\"usage\":null}\n\n",
    );
    group.throughput(Throughput::Bytes(frame.len() as u64));
    for (name, caller, present) in [
        ("pass a frame", Format::OpenaiChat, None),
        ("pass a frame, with the requested model", Format::OpenaiChat, Some("gpt-4o".to_owned())),
        ("translate a frame", Format::AnthropicMessages, None),
    ] {
        let mut options = BridgeOptions::new(caller, Format::OpenaiChat);
        (options.caller_streams, options.upstream_streams) = (true, true);
        options.present_model = present;
        let mut bridge = Bridge::new(options);
        group.bench_function(name, |b| {
            b.iter(|| bridge.push(frame.clone(), &mut |bytes| drop(black_box(bytes))));
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(50)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = requests, frames
}
criterion_main!(benches);
