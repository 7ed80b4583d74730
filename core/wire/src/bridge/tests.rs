use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::sse::{Splitter, fields};

fn streams(caller: Format, upstream: Format) -> BridgeOptions {
    BridgeOptions {
        caller_streams: true,
        upstream_streams: true,
        id: "1".into(),
        ..BridgeOptions::new(caller, upstream)
    }
}

fn run(options: BridgeOptions, chunks: &[Bytes], end: End) -> (String, Observed) {
    let mut bridge = Bridge::new(options);
    let mut out = Vec::new();
    for chunk in chunks {
        bridge.push(chunk.clone(), &mut |b| out.extend_from_slice(&b));
    }
    bridge.finish(end, &mut |b| out.extend_from_slice(&b));
    (String::from_utf8_lossy(&out).into_owned(), bridge.observed().clone())
}

#[test]
fn a_failure_that_the_upstream_told_of_is_not_told_twice() {
    let event = r#"data: {"error":{"message":"overloaded","type":"server_error"}}"#;
    let broke = || End::Failed(Report::from(&Fault::new(FaultClass::Server, "the connection broke")));
    let told = [Bytes::from(format!("{event}\n\n"))];
    let (text, observed) = run(streams(Format::OpenaiChat, Format::OpenaiChat), &told, broke());
    assert_eq!(text, format!("{event}\n\n"));
    assert!(observed.error.is_some_and(|fault| fault.message.contains("overloaded")));
    for caller in [Format::OpenaiChat, Format::AnthropicMessages] {
        let (text, _) = run(streams(caller, Format::OpenaiChat), &told, broke());
        assert_eq!(text.matches("\"error\":").count(), 1, "{text}");
    }
}

#[test]
fn a_picture_in_a_stream_of_responses_is_no_text() {
    let picture = "A".repeat(1_000_000);
    let events = format!(
        "data: {{\"type\":\"response.output_item.done\",\"item\":{{\"type\":\"image_generation_call\",\"result\":\"{picture}\"}}}}\n\n\
         data: {{\"type\":\"response.completed\",\"response\":{{\"output\":[],\"usage\":{{\"input_tokens\":9,\"output_tokens\":272}}}}}}\n\n"
    );
    let options = streams(Format::OpenaiResponses, Format::OpenaiResponses);
    let (_, observed) = run(options, &[Bytes::from(events)], End::Eof);
    let (usage, source) = observed.settlement(7);
    assert!(observed.first_content);
    assert_eq!((usage.output_tokens(), source), (272, sluicegate_core::UsageSource::Reported));
}

fn events(text: &str) -> Vec<Value> {
    let mut found = Vec::new();
    let mut splitter = Splitter::default();
    splitter
        .feed(Bytes::from(text.to_owned()), |data, range| {
            let data = fields(&data[range]).data.unwrap().into_owned();
            found.push(serde_json::from_slice(&data).unwrap_or(Value::Null));
        })
        .unwrap();
    assert!(splitter.finish().is_empty(), "a stream ends with a whole frame");
    found
}

#[test]
fn whole_frames_pass_without_a_copy() {
    let mut bridge = Bridge::new(streams(Format::OpenaiChat, Format::OpenaiChat));
    let chunk = Bytes::from_static(b"data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n");
    let mut out = Vec::new();
    bridge.push(chunk.clone(), &mut |b| out.push(b));
    assert_eq!((out.len(), out[0].as_ptr(), out[0].len()), (1, chunk.as_ptr(), chunk.len()));
    assert!(bridge.observed().first_content);
}

#[test]
fn a_whole_body_passes_without_a_copy() {
    let mut bridge = Bridge::new(BridgeOptions::new(Format::OpenaiChat, Format::OpenaiChat));
    let body = Bytes::from_static(br#"{"model":"m","choices":[{"message":{"content":"x"}}]}"#);
    let mut out = Vec::new();
    bridge.push(body.clone(), &mut |b| out.push(b));
    assert!(out.is_empty(), "usage is read before the last byte leaves");
    bridge.finish(End::Eof, &mut |b| out.push(b));
    assert_eq!((out.len(), out[0].as_ptr()), (1, body.as_ptr()));
}

#[test]
fn an_endless_frame_or_body_ends_the_bridge() {
    for (caller, upstream) in
        [(Format::OpenaiChat, Format::OpenaiChat), (Format::AnthropicMessages, Format::OpenaiChat)]
    {
        let options = BridgeOptions { max_frame_bytes: 10, ..streams(caller, upstream) };
        let (text, observed) = run(options, &[Bytes::from_static(b"data: 123456789")], End::Eof);
        assert!(text.contains("larger than 10 bytes"), "{text}");
        assert!(observed.error.is_some());
        let options = BridgeOptions { max_body_bytes: 10, ..BridgeOptions::new(caller, upstream) };
        let (text, observed) =
            run(options, &[Bytes::from_static(b"{\"choices\""), Bytes::from_static(b":[]}")], End::Eof);
        assert_eq!(text, "");
        assert!(observed.error.unwrap().message.contains("larger than 10 bytes"));
    }
}

#[test]
fn the_last_frame_is_announced_before_it_is_put_out() {
    let mut bridge = Bridge::new(streams(Format::OpenaiChat, Format::AnthropicMessages));
    let delta = "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":3}}\n\n";
    bridge.push(Bytes::from_static(delta.as_bytes()), &mut |_| ());
    assert!(!bridge.observed().closed);
    let mut out = Vec::new();
    bridge.push(Bytes::from_static(b"data: {\"type\":\"message_stop\"}\n\n"), &mut |b| {
        out.extend_from_slice(&b)
    });
    assert!(bridge.observed().closed && out.ends_with(b"data: [DONE]\n\n"));
}

/// One chunk of a chat stream.
fn chunk() -> impl Strategy<Value = Value> {
    let call = (0u64..3, any::<bool>(), "[a-z{\":1]{0,5}").prop_map(|(index, first, args)| {
        let mut function = json!({"arguments": args});
        let mut call = json!({"index": index});
        if first {
            function["name"] = json!(format!("f{index}"));
            call["id"] = json!(format!("call_{index}"));
        }
        call["function"] = function;
        json!({"tool_calls": [call]})
    });
    prop_oneof![
        "[a-zé\n\"]{0,4}".prop_map(|text| json!({"content": text})),
        "[a-z]{0,4}".prop_map(|text| json!({"reasoning_content": text})),
        call,
        Just(json!({"content": null, "tool_calls": []})),
    ]
    .prop_map(|delta| json!({"model": "m", "choices": [{"index": 0, "delta": delta}]}))
}

fn sse(chunks: &[Value], finish: bool) -> String {
    let mut text: String = chunks.iter().map(|c| format!("data: {c}\n\n")).collect();
    if finish {
        text.push_str(
            "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n",
        );
    }
    text
}

/// Checks the order that Anthropic's readers rely on; returns (text, thinking, arguments by tool id).
fn check_order(events: &[Value], finished: bool) -> (String, String, Vec<(String, String)>) {
    let (mut text, mut thinking, mut calls) = (String::new(), String::new(), Vec::<(String, String)>::new());
    let mut open: Option<u64> = None;
    let mut next = 0;
    for (n, event) in events.iter().enumerate() {
        let index = event["index"].as_u64();
        match event["type"].as_str().unwrap() {
            "message_start" => assert_eq!(n, 0),
            "content_block_start" => {
                assert_eq!((open, index), (None, Some(next)));
                (open, next) = (index, next + 1);
                if event["content_block"]["type"] == "tool_use" {
                    let id = event["content_block"]["id"].as_str().unwrap().to_owned();
                    assert!(calls.iter().all(|(known, _)| *known != id), "ids are distinct");
                    calls.push((id, String::new()));
                }
            }
            "content_block_delta" => {
                assert!(open.is_some() && open == index);
                let delta = &event["delta"];
                match delta["type"].as_str().unwrap() {
                    "text_delta" => text.push_str(delta["text"].as_str().unwrap()),
                    "thinking_delta" => thinking.push_str(delta["thinking"].as_str().unwrap()),
                    "input_json_delta" => {
                        calls.last_mut().unwrap().1.push_str(delta["partial_json"].as_str().unwrap())
                    }
                    other => panic!("unexpected {other}"),
                }
            }
            "content_block_stop" => {
                assert!(open.is_some() && open == index);
                open = None;
            }
            "message_delta" => assert_eq!((open, n), (None, events.len() - 2)),
            "message_stop" => assert_eq!(n, events.len() - 1),
            "error" => assert!(!finished && n == events.len() - 1),
            other => panic!("unexpected {other}"),
        }
    }
    assert_eq!(events.last().unwrap()["type"] == "message_stop", finished);
    (text, thinking, calls)
}

/// What a plain reader of the chat stream collects.
fn collected(chunks: &[Value]) -> (String, String, String) {
    let (mut text, mut thinking, mut args) = (String::new(), String::new(), String::new());
    let mut named = std::collections::BTreeMap::<u64, (bool, String)>::new();
    for chunk in chunks {
        let delta = &chunk["choices"][0]["delta"];
        text.push_str(delta["content"].as_str().unwrap_or_default());
        thinking.push_str(delta["reasoning_content"].as_str().unwrap_or_default());
        for call in delta["tool_calls"].as_array().into_iter().flatten() {
            let entry = named.entry(call["index"].as_u64().unwrap()).or_default();
            entry.0 |= call["function"]["name"].is_string();
            entry.1.push_str(call["function"]["arguments"].as_str().unwrap_or_default());
        }
    }
    // A call that never gets a name can't be shown.
    named.values().filter(|(named, _)| *named).for_each(|(_, json)| args.push_str(json));
    (text, thinking, args)
}

fn sorted(text: &str) -> Vec<char> {
    let mut chars: Vec<char> = text.chars().collect();
    chars.sort_unstable();
    chars
}

proptest! {
    #[test]
    fn any_chat_stream_becomes_an_orderly_message(chunks in proptest::collection::vec(chunk(), 0..12), finish in any::<bool>()) {
        let options = streams(Format::AnthropicMessages, Format::OpenaiChat);
        let (out, observed) = run(options, &[Bytes::from(sse(&chunks, finish))], End::Eof);
        let events = events(&out);
        prop_assert_eq!(observed.finished, finish);
        let (text, thinking, calls) = check_order(&events, finish);
        let (want_text, want_thinking, want_args) = collected(&chunks);
        if finish {
            prop_assert_eq!(text, want_text);
            prop_assert_eq!(thinking, want_thinking);
            let args: String = calls.iter().map(|(_, args)| args.as_str()).collect();
            prop_assert_eq!(sorted(&args), sorted(&want_args));
        }
    }

    #[test]
    fn however_bytes_are_cut_the_answer_is_the_same(
        chunks in proptest::collection::vec(chunk(), 1..6),
        cuts in proptest::collection::vec(0usize..600, 0..8),
        finish in any::<bool>(),
        present in any::<bool>(),
    ) {
        let bytes = Bytes::from(sse(&chunks, finish));
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let pieces: Vec<Bytes> = cuts.windows(2).map(|w| bytes.slice(w[0]..w[1])).collect();
        for (caller, caller_streams) in
            [(Format::OpenaiChat, true), (Format::OpenaiChat, false), (Format::AnthropicMessages, true), (Format::AnthropicMessages, false)]
        {
            let mut options = streams(caller, Format::OpenaiChat);
            options.caller_streams = caller_streams;
            options.present_model = present.then(|| "alias".to_owned());
            let whole = run(options.clone(), std::slice::from_ref(&bytes), End::Eof);
            prop_assert_eq!(run(options, &pieces, End::Eof), whole);
        }
    }

    #[test]
    fn however_a_stream_of_any_format_is_cut_the_answer_is_the_same(
        chunks in proptest::collection::vec(chunk(), 1..5),
        cuts in proptest::collection::vec(0usize..4_000, 0..6),
        finish in any::<bool>(),
    ) {
        let all = [Format::OpenaiChat, Format::OpenaiResponses, Format::AnthropicMessages, Format::GeminiGenerate];
        for upstream in all.into_iter().skip(1) {
            // What we write in a format is what an upstream of it sends.
            let (said, _) = run(streams(upstream, Format::OpenaiChat), &[Bytes::from(sse(&chunks, finish))], End::Eof);
            let bytes = Bytes::from(said);
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces: Vec<Bytes> = cuts.windows(2).map(|w| bytes.slice(w[0]..w[1])).collect();
            for caller in all {
                for caller_streams in [true, false] {
                    let mut options = streams(caller, upstream);
                    options.caller_streams = caller_streams;
                    let whole = run(options.clone(), std::slice::from_ref(&bytes), End::Eof);
                    prop_assert_eq!(run(options, &pieces, End::Eof), whole, "{:?} to {:?}", upstream, caller);
                }
            }
        }
    }

    #[test]
    fn a_stream_folds_into_what_the_events_say(chunks in proptest::collection::vec(chunk(), 1..10)) {
        let text = Bytes::from(sse(&chunks, true));
        let (_, observed) = run(streams(Format::OpenaiChat, Format::OpenaiChat), std::slice::from_ref(&text), End::Eof);
        let mut options = streams(Format::AnthropicMessages, Format::OpenaiChat);
        options.caller_streams = false;
        let (body, folded) = run(options, std::slice::from_ref(&text), End::Eof);
        prop_assert_eq!(observed.output_bytes, folded.output_bytes);
        if !observed.first_content {
            // Nothing was said: that is no answer.
            prop_assert!(folded.finished || folded.error.is_some());
            return Ok(());
        }
        let body: Value = serde_json::from_str(&body).unwrap();
        let said: String = body["content"].as_array().unwrap().iter().filter_map(|b| b["text"].as_str()).collect();
        prop_assert_eq!(said, collected(&chunks).0);
    }

    #[test]
    fn any_upstream_bytes_end_properly(bytes in proptest::collection::vec(any::<u8>(), 0..200), upstream_streams in any::<bool>()) {
        for (caller, upstream) in [
            (Format::OpenaiChat, Format::OpenaiChat),
            (Format::AnthropicMessages, Format::AnthropicMessages),
            (Format::AnthropicMessages, Format::OpenaiChat),
            (Format::OpenaiChat, Format::AnthropicMessages),
        ] {
            let mut options = streams(caller, upstream);
            options.upstream_streams = upstream_streams;
            let (_, observed) = run(options, &[Bytes::from(bytes.clone())], End::Eof);
            prop_assert!(observed.finished || observed.error.is_some());
        }
    }
}
