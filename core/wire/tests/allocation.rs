//! The byte path allocates nothing for a frame: neither for one that arrives by itself, nor for several in one piece.

use std::alloc::System;

use bytes::Bytes;
use cap::Cap;
use sluicegate_core::Format;
use sluicegate_wire::{Bridge, BridgeOptions, End};

/// Counts what is allocated.
#[global_allocator]
static MEMORY: Cap<System> = Cap::new(System, usize::MAX);

/// How each stream begins, goes on, and ends.
const STREAMS: [(Format, &str, &str, &str); 4] = [
    (
        Format::OpenaiChat,
        "data: {\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}\n\n",
        "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1795000000,\"model\":\"m\",\"service_tier\":\"default\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" w\\u00e4ter\\n\"},\"logprobs\":null,\"finish_reason\":null}],\"usage\":null}\n\n",
        "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n",
    ),
    (
        Format::AnthropicMessages,
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"model\":\"m\",\"content\":[],\"usage\":{\"input_tokens\":9,\"output_tokens\":1}}}\n\nevent: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\" water\"}}\n\n",
        "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":9}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
    ),
    (
        Format::GeminiGenerate,
        "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}],\"role\":\"model\"},\"index\":0}],\"modelVersion\":\"m\",\"responseId\":\"r\"}\r\n\r\n",
        "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\" water\"}],\"role\":\"model\"},\"index\":0}],\"usageMetadata\":{\"promptTokenCount\":9,\"totalTokenCount\":9},\"modelVersion\":\"m\",\"responseId\":\"r\"}\r\n\r\n",
        "data: {\"candidates\":[{\"finishReason\":\"STOP\",\"index\":0}],\"usageMetadata\":{\"promptTokenCount\":9,\"candidatesTokenCount\":9}}\r\n\r\n",
    ),
    (
        Format::OpenaiResponses,
        "event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0,\"response\":{\"id\":\"r\",\"model\":\"m\",\"status\":\"in_progress\",\"output\":[]}}\n\n",
        "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"sequence_number\":4,\"item_id\":\"msg_1\",\"output_index\":0,\"content_index\":0,\"delta\":\" water\"}\n\n",
        "event: response.completed\ndata: {\"type\":\"response.completed\",\"sequence_number\":5,\"response\":{\"id\":\"r\",\"status\":\"completed\",\"output\":[],\"usage\":{\"input_tokens\":9,\"output_tokens\":9}}}\n\n",
    ),
];
const FRAMES: usize = 10_000;
/// The harness allocates at its start, too, on a thread of its own: what frames allocate, they do each time.
const ROUNDS: usize = 3;

/// The bytes that are allocated meanwhile.
fn allocated(work: impl FnOnce()) -> usize {
    let before = MEMORY.total_allocated();
    work();
    MEMORY.total_allocated() - before
}

// One test by itself: what others allocate would count.
#[test]
fn frames_that_only_pass_allocate_nothing() {
    let mut words = String::new();
    assert!(allocated(|| words = "data: ".repeat(3)) >= words.len() && !words.is_empty(), "the count counts");
    for (format, begin, middle, end) in STREAMS {
        for at_once in [1, 3] {
            let mut options = BridgeOptions::new(format, format);
            (options.caller_streams, options.upstream_streams) = (true, true);
            let mut bridge = Bridge::new(options);
            let mut passed = 0;
            let mut out = |bytes: Bytes| passed += bytes.len();
            bridge.push(Bytes::copy_from_slice(begin.as_bytes()), &mut out);
            // A piece that others hold on to as well, as it is when it was read from a socket.
            let piece = Bytes::from(middle.repeat(at_once));
            let held = piece.clone();
            bridge.push(piece.clone(), &mut out);
            let mut round = || allocated(|| (0..FRAMES).for_each(|_| bridge.push(piece.clone(), &mut out)));
            let least = (0..ROUNDS).map(|_| round()).min();
            assert_eq!(least, Some(0), "{}, {at_once} at once: bytes for {FRAMES} pieces", format.as_str());
            bridge.push(Bytes::copy_from_slice(end.as_bytes()), &mut out);
            bridge.finish(End::Eof, &mut out);
            drop(held);
            let observed = bridge.observed();
            assert!(observed.finished && observed.error.is_none() && observed.first_content, "{observed:?}");
            assert_eq!(passed, begin.len() + (ROUNDS * FRAMES + 1) * piece.len() + end.len());
        }
    }
}
