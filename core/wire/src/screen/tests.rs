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
            chat(r#"{"tool_calls":[{"index":0,"function":{"arguments":"{\"n\": \"[CREDIT_CARD]\""}}]}"#),
            chat(r#"{"tool_calls":[{"index":0,"function":{"arguments":", \"s\": \"[CREDIT_CARD]\"}"}}]}"#),
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
    assert_eq!(screen.gathered().collect::<Vec<_>>(), ["one two"]);
    screen.put_gathered(&[(0, "three".to_owned())], &mut put);
    let want = [chat(r#"{"content":"three"}"#), chat(r#"{"content":""}"#), "data: [DONE]\n\n".to_owned()];
    assert_eq!(out, want);
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
