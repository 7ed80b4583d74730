use sluicegate_core::guardrail::{Detector, GuardrailAction, TextRules};

use super::*;

fn guards(action: GuardrailAction) -> Arc<[Arc<TextGuard>]> {
    let rules = TextRules {
        keywords: vec!["falcon".to_owned()],
        detectors: vec![Detector::Email, Detector::CreditCard],
        action,
        ..TextRules::default()
    };
    [Arc::new(TextGuard::compile("g", &rules).unwrap())].into_iter().collect()
}

fn run(format: Format, action: GuardrailAction, frames: &[String]) -> (Vec<String>, Result<(), Stopped>) {
    let mut screen = Screen::new(format, guards(action));
    let mut out = Vec::new();
    let mut put = |bytes: Bytes| out.push(String::from_utf8(bytes.to_vec()).unwrap());
    let mut result = Ok(());
    for frame in frames {
        result = result.and_then(|()| screen.push(Bytes::from(frame.clone()), &mut put));
    }
    result = result.and_then(|()| screen.finish(&mut put));
    (out, result)
}

fn chat(delta: &str) -> String {
    format!("data: {{\"id\":\"x\", \"choices\":[{{\"index\":0,\"delta\":{delta}}}]}}\n\n")
}

#[test]
fn frames_without_a_match_pass_as_they_were_written() {
    let frames = [
        chat(r#"{"role":"assistant","content":""}"#),
        chat(r#"{"content":"caf\u00e9 and "}"#),
        ": ping\n\n".to_owned(),
        chat(r#"{"content":"more of fal"}"#),
        "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\r\n\r\n".to_owned(),
        "data: [DONE]\n\n".to_owned(),
    ];
    let (out, result) = run(Format::OpenaiChat, GuardrailAction::Mask, &frames);
    assert_eq!((out, result), (frames.to_vec(), Ok(())));
}

#[test]
fn a_match_over_several_frames_is_masked_where_it_begins() {
    let frames = [
        chat(r#"{"content":"I am a."}"#),
        chat(r#"{"content":"b@exam"}"#),
        chat(r#"{"content":"ple.com, \"you\""}"#),
        chat(r#"{"tool_calls":[{"index":0,"function":{"arguments":"{\"n\": 41111111"}}]}"#),
        chat(
            r#"{"tool_calls":[{"index":0,"function":{"arguments":"11111111, \"s\": \"4111111111111111\"}"}}]}"#,
        ),
        "data: [DONE]\n\n".to_owned(),
    ];
    let (out, result) = run(Format::OpenaiChat, GuardrailAction::Mask, &frames);
    assert_eq!(result, Ok(()));
    assert_eq!(
        out,
        [
            chat(r#"{"content":"I am [EMAIL]"}"#),
            chat(r#"{"content":""}"#),
            chat(r#"{"content":", \"you\""}"#),
            chat(
                r#"{"tool_calls":[{"index":0,"function":{"arguments":"{\"n\": \"[CREDIT_CARD]\", \"s\": \"[CREDIT_CARD]\"}"}}]}"#
            ),
            chat(r#"{"tool_calls":[{"index":0,"function":{"arguments":""}}]}"#),
            "data: [DONE]\n\n".to_owned(),
        ]
    );
}

#[test]
fn a_refused_stream_ends_before_what_is_refused() {
    let delta = |text: &str| {
        format!(
            "event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{{\"type\":\"text_delta\",\"text\":\"{text}\"}}}}\n\n"
        )
    };
    let frames =
        [delta("this passes, as it is long enough; "), delta("Fal"), delta("con"), delta("never sent")];
    let (out, result) = run(Format::AnthropicMessages, GuardrailAction::Deny, &frames);
    assert_eq!(result, Err(Stopped::Denied("g".into())));
    assert_eq!(out, frames.get(..1).unwrap());
}

#[test]
fn a_gathered_stream_is_put_out_with_other_texts() {
    let frames = [chat(r#"{"content":"one "}"#), chat(r#"{"content":"two"}"#), "data: [DONE]\n\n".to_owned()];
    let mut screen = Screen::new(Format::OpenaiChat, Arc::new([]));
    let mut out = Vec::new();
    let mut put = |bytes: Bytes| out.push(String::from_utf8(bytes.to_vec()).unwrap());
    for frame in &frames {
        screen.push(Bytes::from(frame.clone()), &mut put).unwrap();
    }
    screen.finish(&mut put).unwrap();
    assert_eq!(screen.gathered(), ["one two"]);
    screen.put_gathered(&[(0, "three".to_owned())], &mut put);
    let want = [chat(r#"{"content":"three"}"#), chat(r#"{"content":""}"#), "data: [DONE]\n\n".to_owned()];
    assert_eq!(out, want);
}

/// Arguments of a tool call in pieces of so many characters, and what comes out of them.
fn arguments(action: GuardrailAction, json: &str, size: usize) -> (String, Result<(), Stopped>) {
    let chars: Vec<char> = json.chars().collect();
    let mut frames: Vec<String> = chars
        .chunks(size.max(1))
        .map(|piece| {
            let piece = quoted(&piece.iter().collect::<String>());
            chat(&format!("{{\"tool_calls\":[{{\"index\":0,\"function\":{{\"arguments\":{piece}}}}}]}}"))
        })
        .collect();
    frames.push("data: [DONE]\n\n".to_owned());
    let (out, result) = run(Format::OpenaiChat, action, &frames);
    let said = out.iter().filter_map(|frame| {
        let json: serde_json::Value = serde_json::from_str(frame.strip_prefix("data: ")?.trim()).ok()?;
        Some(json["choices"][0]["delta"]["tool_calls"][0]["function"]["arguments"].as_str()?.to_owned())
    });
    (said.collect(), result)
}

/// The same, in a whole answer.
fn whole_arguments(json: &str) -> String {
    let body = format!(
        "{{\"choices\":[{{\"message\":{{\"tool_calls\":[{{\"function\":{{\"arguments\":{}}}}}]}}}}]}}",
        quoted(json)
    );
    let texts = Texts::of(Format::OpenaiChat, crate::Side::Answer, body.as_bytes());
    let guards = guards(GuardrailAction::Mask);
    let new: Vec<_> = texts
        .iter()
        .enumerate()
        .filter_map(|(at, text)| Some((at, Scanner::whole(&guards, text).0?)))
        .collect();
    let body: serde_json::Value = serde_json::from_slice(&texts.replaced(&new)).unwrap();
    body["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"].as_str().unwrap().to_owned()
}

#[test]
fn arguments_are_looked_at_decoded_and_stay_json() {
    let rows = [
        (r#"{"a":"x\n4111111111111111"}"#, r#"{"a":"x\n[CREDIT_CARD]"}"#),
        (r#"{"a":"\u0066alcon"}"#, r#"{"a":"[REDACTED]"}"#),
        (r#"{"a":"\nann@example.org\\"}"#, r#"{"a":"\n[EMAIL]\\"}"#),
        (
            r#"{"falcon":["falcon",4111111111111111,true]}"#,
            r#"{"falcon":["[REDACTED]","[CREDIT_CARD]",true]}"#,
        ),
        (r#"{"a":"cut fal\u0063on, 1\n4111111111111111"#, r#"{"a":"cut [REDACTED], 1\n[CREDIT_CARD]"#),
        (r#"no json, falcon"#, r#"no json, [REDACTED]"#),
    ];
    for (said, want) in rows {
        assert_eq!(whole_arguments(said), want);
        for size in 1..=said.len() {
            assert_eq!(arguments(GuardrailAction::Mask, said, size), (want.to_owned(), Ok(())), "by {size}");
        }
        let (out, result) = arguments(GuardrailAction::Deny, said, 3);
        assert_eq!((out.as_str(), result), ("", Err(Stopped::Denied("g".into()))), "{said}");
    }
}

#[test]
fn a_service_sees_decoded_arguments_and_they_stay_json() {
    let piece = |piece: &str| {
        let piece = quoted(piece);
        chat(&format!("{{\"tool_calls\":[{{\"index\":0,\"function\":{{\"arguments\":{piece}}}}}]}}"))
    };
    let frames = [chat(r#"{"content":"c"}"#), piece(r#"{"a":"x\"#), piece(r#"ny","b":["z"]}"#)];
    let mut screen = Screen::new(Format::OpenaiChat, Arc::new([]));
    let mut out = Vec::new();
    let mut put = |bytes: Bytes| out.push(String::from_utf8(bytes.to_vec()).unwrap());
    for frame in &frames {
        screen.push(Bytes::from(frame.clone()), &mut put).unwrap();
    }
    screen.finish(&mut put).unwrap();
    assert_eq!(screen.gathered(), ["c", "x\ny", "z"]);
    screen.put_gathered(&[(1, "\"".to_owned()), (2, "new".to_owned())], &mut put);
    assert_eq!(out, [chat(r#"{"content":"c"}"#), piece(r#"{"a":"\"","b":["new"]}"#), piece("")]);
}

#[test]
fn what_cannot_be_read_ends_the_stream() {
    let good = chat(r#"{"content":"words, and more words"}"#);
    let deep = format!("data: {}1{}\n\n", "[".repeat(200), "]".repeat(200));
    for bad in [b"data: {\"a\":\"\xff\"}\n\n".to_vec(), b"data: {no\n\n".to_vec(), deep.into_bytes()] {
        for guards in [guards(GuardrailAction::Mask), Arc::new([])] {
            let mut screen = Screen::new(Format::OpenaiChat, guards);
            screen.push(Bytes::from(good.clone()), &mut |_| {}).unwrap();
            let mut out = 0;
            let result = screen.push(Bytes::from(bad.clone()), &mut |_| out += 1);
            assert_eq!((result, out), (Err(Stopped::Unreadable), 0), "{}", String::from_utf8_lossy(&bad));
        }
    }
    // Neither is a last frame without its blank line passed unseen.
    let mut screen = Screen::new(Format::OpenaiChat, guards(GuardrailAction::Deny));
    let last = chat(r#"{"content":"falcon"}"#);
    screen.push(Bytes::from(last.trim_end().to_owned()), &mut |_| {}).unwrap();
    assert_eq!(screen.finish(&mut |_| {}), Err(Stopped::Denied("g".into())));
}

#[test]
fn fields_that_take_turns_are_texts_of_their_own() {
    let mut frames = Vec::new();
    for piece in
        "my fal|con and a b@exam|ple.org, and more".split('|').flat_map(|part| part.split_inclusive(' '))
    {
        for field in ["reasoning_content", "reasoning", "content"] {
            frames.push(chat(&format!("{{\"{field}\":{}}}", quoted(piece))));
        }
    }
    frames.extend((0..600).map(|at| chat(&format!("{{\"{}\":\" x\"}}", ["content", "reasoning"][at % 2]))));
    frames.push("data: [DONE]\n\n".to_owned());
    let (out, result) = run(Format::OpenaiChat, GuardrailAction::Mask, &frames);
    assert_eq!((result, out.len()), (Ok(()), frames.len()));
    for field in ["reasoning_content", "reasoning", "content"] {
        let said = out.iter().filter_map(|frame| {
            let json: serde_json::Value = serde_json::from_str(frame.strip_prefix("data: ")?.trim()).ok()?;
            Some(json["choices"][0]["delta"][field].as_str()?.to_owned())
        });
        let said: String = said.collect();
        assert!(said.starts_with("my [REDACTED] and a [EMAIL], and more"), "{field}: {said}");
    }
}

#[test]
fn what_was_said_long_ago_holds_nothing_back() {
    let mut screen = Screen::new(Format::OpenaiChat, guards(GuardrailAction::Mask));
    let mut out = 0;
    screen.push(chat(r#"{"reasoning":"ask ann"}"#).into(), &mut |_| out += 1).unwrap();
    let more = chat(r#"{"content":"words, "}"#);
    let most = 16 * 1024 / more.len() + 3;
    for _ in 0..most {
        screen.push(more.clone().into(), &mut |_| out += 1).unwrap();
    }
    // But for the end of what is said now.
    assert!(out > most - 8, "{out} of {most}");
}

#[test]
fn what_repeats_the_text_is_screened_or_dropped() {
    let frame = |rest: &str| format!("data: {{\"choices\":[{{\"index\":0,{rest}}}]}}\n\n");
    let (out, result) = run(
        Format::OpenaiChat,
        GuardrailAction::Mask,
        &[
            frame(r#""delta":{"content":"falcon, "},"logprobs":{"content":[{"token":"falcon"}]}"#),
            frame(r#""delta":{"audio":{"transcript":"falcon, "},"reasoning_details":[{"text":"falcon. "}]}"#),
        ],
    );
    assert_eq!(result, Ok(()));
    assert_eq!(
        out,
        [
            frame(r#""delta":{"content":"[REDACTED], "},"logprobs":null"#),
            frame(
                r#""delta":{"audio":{"transcript":"[REDACTED], "},"reasoning_details":[{"text":"[REDACTED]. "}]}"#
            ),
        ]
    );
    let event = |rest: &str| format!("data: {{\"type\":\"content_block_{rest}}}\n\n");
    let frames = [
        event(
            r#"start","index":0,"content_block":{"type":"web_search_tool_result","content":[{"title":"falcon"},{"title":"no"}]}"#,
        ),
        event(r#"delta","index":1,"delta":{"type":"citations_delta","citation":{"cited_text":"a falcon"}}"#),
        event(r#"start","index":2,"content_block":{"type":"text","text":"fal"}"#),
        event(r#"delta","index":2,"delta":{"type":"text_delta","text":"con"}"#),
        event(r#"stop","index":2"#),
    ];
    let (out, result) = run(Format::AnthropicMessages, GuardrailAction::Mask, &frames);
    assert_eq!(result, Ok(()));
    let wanted = [
        frames[0].replace("falcon", "[REDACTED]"),
        frames[1].replace("falcon", "[REDACTED]"),
        frames[2].replace("fal", "[REDACTED]"),
        frames[3].replace("con\"", "\""),
        frames[4].clone(),
    ];
    assert_eq!(out, wanted);
}

proptest::proptest! {
    #[test]
    fn any_split_delivers_the_same_text(cuts in proptest::collection::vec(0usize..80, 0..30)) {
        let text = "mail a.b@example.com or 4111 1111 1111 1111, FALCON; 你好 a@b.example";
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| text.floor_char_boundary(cut)).collect();
        cuts.push(text.len());
        cuts.sort_unstable();
        let mut from = 0;
        let mut frames: Vec<String> = cuts.into_iter().map(|cut| {
            let piece = text.get(from..cut).unwrap();
            from = cut;
            chat(&format!("{{\"content\":{}}}", quoted(piece)))
        }).collect();
        frames.push("data: [DONE]\n\n".to_owned());
        let (out, result) = run(Format::OpenaiChat, GuardrailAction::Mask, &frames);
        assert_eq!(result, Ok(()));
        assert_eq!(out.len(), frames.len());
        let mut said = String::new();
        for frame in &out {
            let json = frame.strip_prefix("data: ").unwrap().trim();
            if let Ok(json) = serde_json::from_str::<serde_json::Value>(json) {
                said.push_str(json["choices"][0]["delta"]["content"].as_str().unwrap());
            }
        }
        assert_eq!(said, "mail [EMAIL] or [CREDIT_CARD], [REDACTED]; 你好 [EMAIL]");
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(48))]

    #[test]
    fn streamed_arguments_come_to_what_whole_ones_do(
        texts in proptest::collection::vec("(falcon|ann@example.org|4111111111111111|[a-c\\n\\\\\"绝 ])*", 0..4),
        size in 1usize..20,
    ) {
        let said = serde_json::to_string(&texts).unwrap();
        let (out, result) = arguments(GuardrailAction::Mask, &said, size);
        assert_eq!(result, Ok(()));
        assert!(serde_json::from_str::<Vec<String>>(&out).is_ok(), "{out}");
        assert_eq!(out, whole_arguments(&said));
    }
}

#[test]
fn geminis_stream_is_watched_over_frames_and_in_whole_calls() {
    let frame = |parts: &str| {
        format!("data: {{\"candidates\":[{{\"content\":{{\"parts\":[{parts}]}},\"index\":0}}]}}\r\n\r\n")
    };
    let frames = [
        frame(r#"{"text":"a fal","thought":true}"#),
        frame(r#"{"text":"con","thought":true},{"text":"a.b@exam"}"#),
        frame(r#"{"text":"ple.com"}"#),
        frame(r#"{"functionCall":{"name":"f","args":{"to":["the falcon"],"n":12}}}"#),
        "data: {\"candidates\":[{\"finishReason\":\"STOP\",\"index\":0,\"logprobsResult\":{\"x\":\"falcon\"}}],\"usageMetadata\":{}}\r\n\r\n".to_owned(),
    ];
    let (out, result) = run(Format::GeminiGenerate, GuardrailAction::Mask, &frames);
    assert_eq!(result, Ok(()));
    let all = out.concat();
    for hidden in ["falcon", "con\",\"thought", "a.b@", "ple.com"] {
        assert!(!all.contains(hidden), "{hidden} in {all}");
    }
    assert!(all.contains(r#""n":12"#) && all.contains(r#""logprobsResult":null"#), "{all}");
    let (_, result) = run(Format::GeminiGenerate, GuardrailAction::Deny, &frames);
    assert!(matches!(result, Err(Stopped::Denied(_))), "{result:?}");
    let harmless = [frame(r#"{"text":"caf\u00e9"}"#), frame(r#"{"functionCall":{"name":"falcon"}}"#)];
    let (out, result) = run(Format::GeminiGenerate, GuardrailAction::Deny, &harmless);
    assert_eq!((out, result), (harmless.to_vec(), Ok(())));
}

fn event(kind: &str, rest: &str) -> String {
    format!("event: {kind}\ndata: {{\"type\":\"{kind}\",\"output_index\":0,{rest}}}\n\n")
}

fn responses(text: &str, first: &str, second: &str, arguments: &str) -> Vec<String> {
    let item =
        format!(r#"{{"type":"message","content":[{{"type":"output_text","text":"{text}","logprobs":[]}}]}}"#);
    let call = format!(r#"{{"type":"function_call","name":"f","arguments":"{arguments}"}}"#);
    vec![
        event("response.created", r#""response":{"instructions":"a@example.com","output":[]}"#),
        event("response.output_text.delta", &format!(r#""delta":"{first}""#)),
        event("response.output_text.delta", &format!(r#""delta":"{second}""#)),
        event("response.output_text.done", &format!(r#""text":"{text}""#)),
        event("response.content_part.done", &format!(r#""part":{{"type":"output_text","text":"{text}"}}"#)),
        event("response.output_item.done", &format!(r#""item":{item}"#)),
        event("response.function_call_arguments.delta", &format!(r#""delta":"{arguments}""#)),
        event("response.function_call_arguments.done", &format!(r#""arguments":"{arguments}""#)),
        event("response.output_item.done", &format!(r#""item":{call}"#)),
        event("response.completed", &format!(r#""response":{{"output":[{item},{call}]}}"#)),
    ]
}

#[test]
fn what_a_stream_of_responses_says_again_is_masked_again_and_counted_once() {
    let frames =
        responses("I am a.b@example.com.", "I am a.b@ex", "ample.com.", r#"{\"to\":\"c@example.com\"}"#);
    let want = responses("I am [EMAIL].", "I am [EMAIL]", ".", r#"{\"to\":\"[EMAIL]\"}"#);
    let (out, result) = run(Format::OpenaiResponses, GuardrailAction::Mask, &frames);
    assert_eq!((out, result), (want.clone(), Ok(())));
    let plain = responses("nothing", "noth", "ing", r#"{\"to\":\"me\"}"#);
    assert_eq!(run(Format::OpenaiResponses, GuardrailAction::Mask, &plain), (plain, Ok(())));

    let mut screen = Screen::new(Format::OpenaiResponses, guards(GuardrailAction::Mask));
    frames.iter().for_each(|frame| screen.push(Bytes::from(frame.clone()), &mut |_| {}).unwrap());
    assert_eq!(screen.marks().iter().map(|mark| mark.times).sum::<u64>(), 2);

    // Gathered, a service sees each text once, and what it replaces is replaced everywhere.
    let mut screen = Screen::new(Format::OpenaiResponses, Arc::from([]));
    frames.iter().for_each(|frame| screen.push(Bytes::from(frame.clone()), &mut |_| {}).unwrap());
    assert_eq!(screen.gathered(), ["I am a.b@example.com.", "c@example.com"]);
    let mut out = Vec::new();
    let new = [(0, "I am [EMAIL].".to_owned()), (1, "[EMAIL]".to_owned())];
    screen.put_gathered(&new, &mut |bytes| out.push(String::from_utf8(bytes.to_vec()).unwrap()));
    let mut gathered = want;
    gathered[1] = event("response.output_text.delta", r#""delta":"I am [EMAIL].""#);
    gathered[2] = event("response.output_text.delta", r#""delta":"""#);
    assert_eq!(out, gathered);
}

#[test]
fn a_stream_of_responses_ends_before_what_is_refused() {
    let frames = responses("the falcon", "the fal", "con", "{}");
    let (out, result) = run(Format::OpenaiResponses, GuardrailAction::Deny, &frames);
    assert_eq!(result, Err(Stopped::Denied("g".into())));
    assert!(out.iter().all(|frame| !frame.contains("fal")), "{out:?}");
}

#[test]
fn sources_that_stand_in_each_frame_are_looked_at_once() {
    // As Perplexity streams: a word, and all its sources.
    let sources: Vec<String> =
        (0..40).map(|n| format!(r#"{{"title":"falcon {n}","url":"https://x.example/{n}"}}"#)).collect();
    let frame = |word: &str| {
        format!(
            "data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{word}\"}}}}],\"search_results\":[{}]}}\n\n",
            sources.join(",")
        )
    };
    let frames: Vec<String> = (0..300).map(|n| frame(&format!("w{n} "))).collect();

    let mut screen = Screen::new(Format::OpenaiChat, Arc::from([]));
    frames.iter().for_each(|frame| screen.push(Bytes::from(frame.clone()), &mut |_| {}).unwrap());
    let gathered = screen.gathered();
    let at = gathered.iter().position(|text| text == "falcon 7").unwrap();
    assert_eq!(gathered.iter().filter(|text| **text == "falcon 7").count(), 1);
    let mut out = Vec::new();
    screen.put_gathered(&[(at, "[BIRD]".to_owned())], &mut |bytes| {
        out.push(String::from_utf8(bytes.to_vec()).unwrap());
    });
    assert_eq!(out[0], frames[0].replace("falcon 7\"", "[BIRD]\""));
    assert_eq!(out[299], frames[299].replace("falcon 7\"", "[BIRD]\""));

    let (out, result) = run(Format::OpenaiChat, GuardrailAction::Mask, &frames);
    assert_eq!(result, Ok(()));
    assert!(out.iter().all(|frame| frame.matches("[REDACTED]").count() == 40 && !frame.contains("falcon")));
    let mut screen = Screen::new(Format::OpenaiChat, guards(GuardrailAction::Mask));
    frames.iter().for_each(|frame| screen.push(Bytes::from(frame.clone()), &mut |_| {}).unwrap());
    assert_eq!(screen.marks().iter().map(|mark| mark.times).sum::<u64>(), 40);
}
