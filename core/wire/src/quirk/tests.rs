use std::sync::Arc;

use bytes::Bytes;
use sluicegate_core::Format;
use sluicegate_core::quirk::Quirks;

use crate::{Edits, Prepared, scan};

fn heed(body: &str, change: &str, model: &str) -> Prepared {
    let quirks = format!(r#"{{"request":[{{"id":"q",{change}}}]}}"#);
    let quirks: Arc<Quirks> = Arc::new(serde_json::from_str(&quirks).unwrap());
    assert_eq!(quirks.unfit(), None, "{change}");
    let body = Bytes::from(body.to_owned());
    let scanned = scan(Format::OpenaiChat, &body).unwrap();
    let mut prepared = scanned.prepare(&Edits::default(), Format::OpenaiChat).unwrap();
    scanned.heed(&mut prepared, &quirks, Format::OpenaiChat, model);
    prepared
}

#[test]
fn each_change_is_made_where_it_applies() {
    let head =
        r#"{ "model":"m","messages":[ {"role" : "developer","content":"a"}, {"role":"user","content":"b"}]"#;
    let untouched =
        r#""model":"m","messages":[ {"role" : "developer","content":"a"}, {"role":"user","content":"b"}]"#;
    for (rest, change, want, losses) in [
        (
            r#","seed" : 7}"#,
            r#""change":{"rename":{"from":"seed","to":"random_seed"}}"#,
            r#","random_seed":7}"#,
            "",
        ),
        (
            r#","seed":7,"random_seed":8}"#,
            r#""change":{"rename":{"from":"seed","to":"random_seed"}}"#,
            r#","random_seed":8}"#,
            "",
        ),
        (
            r#","stop":["x"] ,"temperature": 0.5}"#,
            r#""change":{"drop":["stop","logit_bias"]}"#,
            r#","temperature": 0.5}"#,
            "dropped stop",
        ),
        (r#","stop":null}"#, r#""change":{"drop":["stop"]}"#, "}", ""),
        (
            r#","temperature":0}"#,
            r#""change":{"clamp":{"field":"temperature","min":0.01,"max":1}}"#,
            r#","temperature":0.01}"#,
            "approximated temperature",
        ),
        (
            r#","temperature":2}"#,
            r#""told":false,"change":{"clamp":{"field":"temperature","max":1}}"#,
            r#","temperature":1}"#,
            "",
        ),
        (
            r#"}"#,
            r#""change":{"default":{"field":"enable_thinking","value":false}}"#,
            r#","enable_thinking":false}"#,
            "",
        ),
        (
            r#","reasoning_effort":"xhigh"}"#,
            r#""change":{"map":{"field":"reasoning_effort","from":["xhigh"],"to":"max"}}"#,
            r#","reasoning_effort":"max"}"#,
            "",
        ),
        (
            r#","thinking":{"type":"enabled"},"top_p":0.5}"#,
            r#""when":[{"field":"thinking.type","is":["enabled"]}],"change":{"drop":["top_p"]}"#,
            r#","thinking":{"type":"enabled"}}"#,
            "dropped top_p",
        ),
    ] {
        let got = heed(&format!("{head}{rest}"), change, "m");
        assert_eq!(got.body, format!("{{{untouched}{want}"), "{change}");
        assert_eq!(got.losses.to_string(), losses, "{change}");
    }
}

#[test]
fn what_does_not_apply_leaves_the_same_bytes() {
    let body = r#" {"model":"m", "messages":[{"role":"user","content":"developer"}],"temperature":0.5,"top_p":0.5,"enable_thinking":true}"#;
    for change in [
        r#""change":{"rename":{"from":"seed","to":"random_seed"}}"#,
        r#""change":{"clamp":{"field":"temperature","min":0,"max":1}}"#,
        r#""change":{"default":{"field":"enable_thinking","value":false}}"#,
        r#""change":{"map":{"field":"messages.*.role","from":["developer"],"to":"system"}}"#,
        r#""models":["other*"],"change":{"drop":["temperature"]}"#,
        r#""formats":["anthropic_messages"],"change":{"drop":["temperature"]}"#,
        r#""when":[{"field":"temperature","not":[0.5]}],"change":{"drop":["top_p"]}"#,
        r#""change":{"reasoning":{"text":" "}}"#,
    ] {
        let got = heed(body, change, "m");
        assert_eq!((&got.body[..], got.losses.is_empty()), (body.as_bytes(), true), "{change}");
    }
}

#[test]
fn changes_reach_into_lists() {
    let body = r#"{"model":"m","messages":[{"role":"develop\u0065r","content":"a"},{"content":"b","role":"user"}],"tools":[{"type":"function","function":{"name":"f","strict":true}}]}"#;
    let got =
        heed(body, r#""change":{"map":{"field":"messages.*.role","from":["developer"],"to":"system"}}"#, "m");
    assert!(got.body.starts_with(
        br#"{"model":"m","messages":[{"role":"system","content":"a"},{"content":"b","role":"user"}],"#
    ));
    let got = heed(body, r#""change":{"drop":["tools.*.function.strict"]}"#, "m");
    assert!(got.body.ends_with(br#""tools":[{"type":"function","function":{"name":"f"}}]}"#));
}

#[test]
fn turns_that_call_tools_and_all_behind_them_get_their_reasoning() {
    let body = r#"{"model":"m","messages":[{"role":"assistant","content":"x"},{"role":"assistant","tool_calls":[{"id":"1"}],"content":null},{"role":"assistant","tool_calls":[{"id":"2"}],"reasoning_content":"why"},{"role":"user","content":"y"},{"role":"assistant","content":"z"}]}"#;
    let got = heed(body, r#""change":{"reasoning":{"text":" "}}"#, "m");
    assert_eq!(
        got.body,
        r#"{"model":"m","messages":[{"role":"assistant","content":"x"},{"role":"assistant","tool_calls":[{"id":"1"}],"content":null,"reasoning_content":" "},{"role":"assistant","tool_calls":[{"id":"2"}],"reasoning_content":"why"},{"role":"user","content":"y"},{"role":"assistant","content":"z","reasoning_content":" "}]}"#
    );
}

#[test]
fn who_only_streams_is_asked_for_a_stream() {
    let change = r#""models":["qwq*"],"change":"stream_only""#;
    let body = r#"{"model":"m","messages":[{"role":"user","content":"a"}]}"#;
    let got = heed(body, change, "qwq-plus");
    assert_eq!(
        got.body,
        r#"{"model":"m","messages":[{"role":"user","content":"a"}],"stream":true,"stream_options":{"include_usage":true}}"#
    );
    assert!(got.streams);
    assert_eq!(heed(body, change, "qwen-max").body, body);
    let streamed = r#"{"model":"m","messages":[{"role":"user","content":"a"}],"stream":true}"#;
    let got = heed(streamed, change, "qwq-plus");
    assert_eq!((got.streams, &got.body[..]), (false, streamed.as_bytes()));
}

#[test]
fn a_ceiling_of_ours_gets_the_providers_name_too() {
    let quirks = r#"{"request":[
        {"id":"name","when":[{"field":"enable_thinking","not":[false]}],"change":{"rename":{"from":"max_tokens","to":"max_completion_tokens"}}},
        {"id":"range","change":{"clamp":{"field":"max_completion_tokens","max":500}}}]}"#;
    let quirks: Arc<Quirks> = Arc::new(serde_json::from_str(quirks).unwrap());
    for (fields, ours, want) in [
        ("", Some(9), r#","max_completion_tokens":9"#),
        ("", None, ""),
        (r#","max_tokens":700"#, None, r#","max_completion_tokens":500"#),
        (r#","max_tokens":700"#, Some(600), r#","max_completion_tokens":500"#),
        (r#","max\u005ftokens":7"#, None, r#","max_completion_tokens":7"#),
        (r#","max_completion_tokens":700"#, Some(9), r#","max_completion_tokens":9"#),
        (r#","enable_thinking":false"#, Some(9), r#","enable_thinking":false,"max_tokens":9"#),
    ] {
        let start = r#"{"model":"m","messages":[{"role":"user","content":"a"}]"#;
        let scanned = scan(Format::OpenaiChat, &Bytes::from(format!("{start}{fields}}}"))).unwrap();
        let edits = Edits { max_output: ours, ..Edits::default() };
        let mut prepared = scanned.prepare(&edits, Format::OpenaiChat).unwrap();
        scanned.heed(&mut prepared, &quirks, Format::OpenaiChat, "m");
        let (got, want): (serde_json::Value, serde_json::Value) = (
            serde_json::from_slice(&prepared.body).unwrap(),
            serde_json::from_str(&format!("{start}{want}}}")).unwrap(),
        );
        assert_eq!(got, want, "{fields} {ours:?}");
    }
}

#[test]
fn a_ceiling_is_one_where_it_is_read() {
    const WHEN: &str = r#","when":[{"field":"enable_thinking","not":[false]}]"#;
    for (when, rest, want) in [
        ("", r#""max_tokens":50"#, None),
        ("", r#""max_completion_tokens":60"#, Some(60)),
        ("", r#""max_tokens":50,"max_completion_tokens":20"#, Some(20)),
        ("", r#""max_t\u006fkens":50"#, None),
        ("", r#""n":1"#, None),
        (WHEN, r#""max_tokens":50"#, None),
        (WHEN, r#""max_tokens":50,"enable_thinking":false"#, Some(50)),
    ] {
        let rule = format!(
            r#"{{"request":[{{"id":"q","models":["m*"]{when},"change":{{"rename":{{"from":"max_tokens","to":"max_completion_tokens"}}}}}}]}}"#
        );
        let quirks: Quirks = serde_json::from_str(&rule).unwrap();
        let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"a"}}],{rest}}}"#);
        let scanned = scan(Format::OpenaiChat, &Bytes::from(body)).unwrap();
        assert_eq!(scanned.heeded_ceiling(&quirks, "m-1"), want, "{when} {rest}");
        let other = scanned.heeded_ceiling(&quirks, "other");
        assert_eq!(other, scanned.facts().max_output, "{when} {rest}");
    }
}
