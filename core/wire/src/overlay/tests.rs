use sluicegate_core::ErrorKind;
use sluicegate_core::count::{Counting, ImageRule};

use super::*;
use crate::scan::scan;

const BODY: &str = r#"{ "model":"m" , "messages":[{"role":"system","content":"be kind"},{"role":"user","content":"Hi"}],"temperature":0.70,"max_tokens":100,"a.b":1}"#;

fn edit(text: &str) -> BodyEdit {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{text}: {e}"))
}

fn applied(edits: &[&str], adds: u64) -> Result<String> {
    let edits: Vec<_> = edits.iter().map(|text| edit(text)).collect();
    let context = OverlayContext { original_model: "asked", upstream_model: "m", retry_index: 1 };
    let body = Bytes::from_static(BODY.as_bytes());
    overlay(&body, Format::OpenaiChat, &edits, &context, &mut Headers::default(), adds)
        .map(|out| String::from_utf8(out.to_vec()).unwrap())
}

#[test]
fn each_change_touches_its_own_place_only() {
    for (change, from, to) in [
        (r#"{"path":"temperature","change":"delete"}"#, r#","temperature":0.70"#, ""),
        (r#"{"path":"messages.0","change":"delete"}"#, r#"{"role":"system","content":"be kind"},"#, ""),
        (r#"{"path":"messages.-1.name","change":"delete"}"#, "", ""),
        (r#"{"path":"temperature","change":{"set":{"value":0,"keep":false}}}"#, "0.70", "0"),
        (r#"{"path":"temperature","change":{"set":{"value":0,"keep":true}}}"#, "", ""),
        (
            r#"{"path":"x.y","change":{"set":{"value":[1],"keep":true}}}"#,
            r#""a.b":1"#,
            r#""a.b":1,"x":{"y":[1]}"#,
        ),
        (r#"{"path":"a\\.b","change":{"set":{"value":2,"keep":false}}}"#, r#""a.b":1"#, r#""a.b":2"#),
        (
            r#"{"path":"temperature","change":{"move":"top_p"}}"#,
            r#","temperature":0.70,"max_tokens":100,"a.b":1"#,
            r#","max_tokens":100,"a.b":1,"top_p":0.70"#,
        ),
        (r#"{"path":"temperature","change":{"copy":"top_p"}}"#, r#""a.b":1"#, r#""a.b":1,"top_p":0.70"#),
        (r#"{"path":"messages.0.content","change":{"prepend":"Do: "}}"#, "be kind", "Do: be kind"),
        (r#"{"path":"messages.0.content","change":{"append":"\n!"}}"#, "be kind", "be kind\\n!"),
        (
            r#"{"path":"messages","change":{"append":{"content":"x","role":"user"}}}"#,
            r#""Hi"}]"#,
            r#""Hi"},{"content":"x","role":"user"}]"#,
        ),
        (
            r#"{"path":"messages.1","change":{"append":{"name":"n","role":"x"}}}"#,
            r#"{"role":"user","content":"Hi"}"#,
            r#"{"role":"x","content":"Hi","name":"n"}"#,
        ),
        (
            r#"{"path":"messages.1","change":{"prepend":{"role":"x","name":"n"}}}"#,
            r#""Hi"}"#,
            r#""Hi","name":"n"}"#,
        ),
        (r#"{"path":"messages.0.content","change":{"trim_prefix":"be "}}"#, "be kind", "kind"),
        (r#"{"path":"messages.0.content","change":{"trim_suffix":" kind"}}"#, "be kind", "be"),
        (r#"{"path":"messages.0.content","change":{"ensure_prefix":"be"}}"#, "", ""),
        (r#"{"path":"messages.0.content","change":{"ensure_suffix":"."}}"#, "be kind", "be kind."),
        (r#"{"path":"messages.1.content","change":"to_lower"}"#, "Hi", "hi"),
        (r#"{"path":"messages.1.content","change":"to_upper"}"#, "Hi", "HI"),
        (
            r#"{"path":"messages.0.content","change":{"replace":{"from":"kind","to":"brief"}}}"#,
            "kind",
            "brief",
        ),
        (
            r#"{"path":"messages.0.content","change":{"regex_replace":{"from":"(?i)^(be) (\\w+)$","to":"$2 $1"}}}"#,
            "be kind",
            "kind be",
        ),
        (
            r#"{"path":"messages","change":{"prune":{"conditions":[{"path":"role","mode":"full","value":"system"}],"all":true,"recursive":false}}}"#,
            r#"{"role":"system","content":"be kind"},"#,
            "",
        ),
        (
            r#"{"path":"messages","change":{"prune":{"conditions":[{"path":"role","mode":"full","value":"tool"}],"all":true,"recursive":true}}}"#,
            "",
            "",
        ),
        (r#"{"path":"temperature","change":{"sync":"top_p"}}"#, r#""a.b":1"#, r#""a.b":1,"top_p":0.70"#),
        (r#"{"path":"top_p","change":{"sync":"temperature"}}"#, r#""a.b":1"#, r#""a.b":1,"top_p":0.70"#),
        (r#"{"path":"temperature","change":{"sync":"a\\.b"}}"#, "", ""),
        (r#"{"path":"nothing.there","change":"delete"}"#, "", ""),
        (r#"{"path":"messages.7.content","change":"to_upper"}"#, "", ""),
        (r#"{"path":"temperature","change":"trim_space"}"#, "", ""),
    ] {
        let want = if from.is_empty() { BODY.to_owned() } else { BODY.replacen(from, to, 1) };
        assert_eq!(applied(&[change], 200).unwrap(), want, "{change}");
    }
}

#[test]
fn objects_are_taken_out_wherever_they_lie() {
    let body = r#"{"model":"m","messages":[{"role":"user","content":[{"type":"thinking","x":[{"type":"thinking"}]}, {"type":"text","text":"a"}]}],"max_tokens":9}"#;
    let rule = |rule: &str| edit(&format!(r#"{{"path":"","change":{{"prune":{rule}}}}}"#));
    let condition = r#"{"path":"type","mode":"full","value":"thinking"}"#;
    let deep = rule(&format!(r#"{{"conditions":[{condition}],"all":true,"recursive":true}}"#));
    assert_eq!(
        change(body, &deep).unwrap(),
        r#"{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"a"}]}],"max_tokens":9}"#
    );
    let flat = rule(&format!(r#"{{"conditions":[{condition}],"all":true,"recursive":false}}"#));
    assert_eq!(change(body, &flat), None);
    assert_eq!(deep.unfit(), None);
    assert!(rule(r#"{"conditions":[],"all":true,"recursive":true}"#).unfit().is_some(), "it would take all");
}

#[test]
fn a_call_is_refused_where_its_conditions_hold() {
    let refuse = |elsewhere: bool, model: &str| {
        let text = format!(
            r#"{{"path":"","change":{{"refuse":{{"message":"not here","kind":"policy_denied","elsewhere":{elsewhere}}}}},"conditions":[{{"path":"original_model","mode":"full","value":"{model}"}}]}}"#
        );
        applied(&[&text], 0).map_err(|error| (error.kind(), error.is_elsewhere(), error.message().to_owned()))
    };
    assert_eq!(refuse(false, "asked"), Err((ErrorKind::PolicyDenied, false, "not here".to_owned())));
    assert_eq!(refuse(true, "asked"), Err((ErrorKind::PolicyDenied, true, "not here".to_owned())));
    assert_eq!(refuse(false, "other").unwrap(), BODY);
}

#[test]
fn conditions_see_the_body_and_the_attempt() {
    for (conditions, all, holds) in [
        (r#"[{"path":"temperature","mode":"gt","value":0.5}]"#, false, true),
        (r#"[{"path":"temperature","mode":"lte","value":0.5}]"#, false, false),
        (
            r#"[{"path":"temperature","mode":"gte","value":0.7},{"path":"model","mode":"full","value":"z"}]"#,
            true,
            false,
        ),
        (
            r#"[{"path":"temperature","mode":"gte","value":0.7},{"path":"model","mode":"full","value":"z"}]"#,
            false,
            true,
        ),
        (r#"[{"path":"original_model","mode":"prefix","value":"as"}]"#, false, true),
        (r#"[{"path":"upstream_model","mode":"suffix","value":"x"}]"#, false, false),
        (r#"[{"path":"is_retry","mode":"full","value":true}]"#, false, true),
        (r#"[{"path":"retry_index","mode":"lt","value":1}]"#, false, false),
        (r#"[{"path":"messages.0.content","mode":"contains","value":"kind","invert":true}]"#, false, false),
        (r#"[{"path":"nothing","mode":"full","value":1}]"#, false, false),
        (r#"[{"path":"nothing","mode":"full","value":1,"pass_missing":true}]"#, false, true),
    ] {
        let text =
            format!(r#"{{"path":"temperature","change":"delete","conditions":{conditions},"all":{all}}}"#);
        assert_eq!(applied(&[&text], 0).unwrap() != BODY, holds, "{conditions}");
    }
}

#[test]
fn what_would_use_more_than_was_reserved_is_refused_and_less_is_not() {
    let set = |path: &str, value: &str| {
        format!(r#"{{"path":"{path}","change":{{"set":{{"value":{value},"keep":false}}}}}}"#)
    };
    for (path, value, adds, refused) in [
        ("max_tokens", "101", 500, Some("max_tokens")),
        ("max_tokens", "99", 0, None),
        ("max_completion_tokens", "4000", 500, Some("max_tokens")),
        ("n", "2", 500, Some("n")),
        ("model", r#""dear""#, 500, Some("model")),
        ("stream", "true", 500, Some("stream")),
        ("service_tier", r#""priority""#, 500, Some("service_tier")),
        ("web_search_options", "{}", 500, Some("web_search_options")),
        ("previous_response_id", r#""r""#, 500, Some("previous_response_id")),
        ("models", r#"["dear"]"#, 500, Some("models")),
        ("provider", r#"{"order":["dear"]}"#, 500, Some("provider")),
        ("fallbacks", r#"["dear"]"#, 500, Some("fallbacks")),
        ("prediction", r#"{"content":"x"}"#, 500, Some("prediction")),
        ("messages.0.content", r#""a much longer prompt""#, 0, Some("messages")),
        ("messages.0.content", r#""a much longer prompt""#, 40, None),
        ("messages.0.cache_control", r#"{"type":"ephemeral"}"#, 500, Some("cache_control")),
        ("messages", "5", 500, Some("request")),
    ] {
        let got = applied(&[&set(path, value)], adds);
        match refused {
            None => assert!(got.is_ok(), "{path}: {got:?}"),
            Some(field) => {
                let error = got.unwrap_err();
                assert!(error.message().contains(field), "{path}: {error}");
                assert_eq!(error.kind(), sluicegate_core::ErrorKind::NotSupported);
            }
        }
    }
    let unceiled = applied(&[r#"{"path":"max_tokens","change":"delete"}"#], 500).unwrap_err();
    assert!(unceiled.message().contains("max_tokens"), "{unceiled}");
}

#[test]
fn an_image_stays_of_the_size_and_quality_that_was_asked_for() {
    let context = OverlayContext { original_model: "m", upstream_model: "m", retry_index: 0 };
    for (asked, path, change, refused) in [
        (r#""quality":"standard","#, "quality", r#"{"set":{"value":"hd","keep":false}}"#, Some("quality")),
        (r#""quality":"standard","#, "quality", r#""delete""#, Some("quality")),
        (r#""quality":"standard","#, "quality", r#"{"set":{"value":"hd","keep":true}}"#, None),
        (r#""quality":"HD","#, "quality", r#""to_lower""#, None),
        (r#""quality":"auto","#, "quality", r#"{"set":{"value":"low","keep":false}}"#, None),
        ("", "quality", r#"{"set":{"value":"hd","keep":false}}"#, None),
        (r#""size":"1024x1024","#, "size", r#"{"set":{"value":"1024x1792","keep":false}}"#, Some("size")),
        (r#""size":"1024x1024","#, "size", r#"{"set":{"value":"1024*1024","keep":false}}"#, None),
        ("", "size", r#"{"set":{"value":"1024x1792","keep":false}}"#, None),
        (r#""n":1,"#, "background", r#"{"set":{"value":"opaque","keep":false}}"#, None),
    ] {
        let body = Bytes::from(format!(r#"{{{asked}"model":"m","prompt":"a cat"}}"#));
        let edits = [edit(&format!(r#"{{"path":"{path}","change":{change}}}"#))];
        let got = overlay(&body, Format::OpenaiImages, &edits, &context, &mut Headers::default(), 100);
        match refused {
            None => assert!(got.is_ok(), "{asked} {path} {change}: {got:?}"),
            Some(field) => {
                let error = got.unwrap_err();
                assert!(error.message().contains(&format!("`{field}`")), "{asked} {change}: {error}");
            }
        }
    }
    let body = Bytes::from_static(br#"{"model":"m","input":"hello","voice":"v"}"#);
    let longer = [edit(r#"{"path":"input","change":{"append":" and goodbye"}}"#)];
    let got = overlay(&body, Format::OpenaiSpeech, &longer, &context, &mut Headers::default(), 100);
    assert!(got.unwrap_err().message().contains("`input`"));
}

#[test]
fn changes_that_make_more_tokens_of_as_many_bytes_stay_within_the_bound_by_bytes() {
    let body = r#"{"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://x.example/i.png","detail":"low"}}]},{"role":"user","content":"a pleasant text"}]}"#;
    let tiles = Counting::Openai(ImageRule::Tiles { base: 85, tile: 170 });
    let facts = |body: &Bytes| scan(Format::OpenaiChat, body).unwrap().facts().clone();
    let before = facts(&Bytes::from_static(body.as_bytes()));
    let context = OverlayContext { original_model: "m", upstream_model: "m", retry_index: 0 };
    for (change, more_detail) in [
        (r#"{"path":"messages.-1.content","change":"to_upper"}"#, false),
        (
            r#"{"path":"messages.-1.content","change":{"replace":{"from":"pleasant","to":"\u0001zq\u0002x"}}}"#,
            false,
        ),
        (
            r#"{"path":"messages.0.content.0.image_url.detail","change":{"set":{"value":"high","keep":false}}}"#,
            true,
        ),
        (r#"{"path":"messages.0.content.0.image_url.detail","change":"delete"}"#, true),
        (r#"{"path":"messages.0.content.0","change":{"copy":"messages.0.content.1"}}"#, true),
    ] {
        let edit = edit(change);
        let mut channel = sluicegate_core::Channel::new("c", "c", "openai");
        channel.body_edits = vec![edit];
        channel.models = vec![serde_json::from_str(r#"{"group":"m","upstream":"m"}"#).unwrap()];
        channel.reserve_edits();
        let [model] = channel.models.as_slice() else { panic!("one") };
        assert!(model.is_edited(), "core reserves for it by the worst of all rules");
        let sent = Bytes::from_static(body.as_bytes());
        match overlay(
            &sent,
            Format::OpenaiChat,
            &channel.body_edits,
            &context,
            &mut Headers::default(),
            model.extra_input,
        ) {
            Ok(changed) => {
                let after = facts(&changed);
                assert_ne!(changed, sent, "{change}");
                assert_eq!(after.media.tokens(tiles) > before.media.tokens(tiles), more_detail, "{change}");
                assert!(
                    after.input_bound() <= before.input_bound().map(|it| it + model.extra_input),
                    "{change}"
                );
            }
            Err(error) => assert!(change.contains("copy") && error.message().contains("messages"), "{error}"),
        }
    }
}

#[test]
fn a_pattern_is_replaced_everywhere_or_nowhere() {
    let change = edit(
        r#"{"path":"messages.0.content","change":{"regex_replace":{"from":"(?s)<t>.*</t>|<t>","to":""}}}"#,
    );
    let context = OverlayContext { original_model: "m", upstream_model: "m", retry_index: 0 };
    let run = |count: usize| {
        let text = "<t>".repeat(count);
        let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"x{text}"}}]}}"#);
        overlay(
            &Bytes::from(body),
            Format::OpenaiChat,
            std::slice::from_ref(&change),
            &context,
            &mut Headers::default(),
            0,
        )
    };
    let changed = run(super::REPLACED_MAX).unwrap();
    assert!(!String::from_utf8_lossy(&changed).contains("<t>"));
    for count in [super::REPLACED_MAX + 1, super::REPLACED_TEXT_MAX] {
        let error = run(count).unwrap_err();
        assert!(
            error.kind() == ErrorKind::NotSupported && error.message().contains("messages.0.content"),
            "{error}"
        );
    }
}

#[test]
fn bodies_of_formats_that_only_upstreams_speak_are_changed_within_their_bound() {
    let context = OverlayContext { original_model: "m", upstream_model: "m", retry_index: 0 };
    let run = |body: &'static str, change: &str| {
        let change = edit(change);
        overlay(
            &Bytes::from_static(body.as_bytes()),
            Format::OllamaChat,
            &[change],
            &context,
            &mut Headers::default(),
            0,
        )
    };
    let plain = r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"stream":false}"#;
    let wider =
        run(plain, r#"{"path":"options.num_ctx","change":{"set":{"value":32768,"keep":false}}}"#).unwrap();
    assert_eq!(
        wider,
        r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"stream":false,"options":{"num_ctx":32768}}"#
    );
    let ceiled = r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"stream":false,"options":{"num_predict":9}}"#;
    let more = run(ceiled, r#"{"path":"options.num_predict","change":{"set":{"value":10,"keep":false}}}"#)
        .unwrap_err();
    assert!(more.message().contains("options.num_predict"), "{more}");
}

#[test]
fn headers_are_changed_beside_the_body() {
    let pair = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    let caller = [
        ("user-agent", "cli/1"),
        ("session_id", "s-1"),
        ("x-stainless-os", "Linux"),
        ("authorization", "Bearer sk-caller"),
        ("cookie", "a=b"),
    ]
    .map(pair);
    let sent = [("anthropic-version", "2023-06-01"), ("x-team", "core")];
    for (edits, want, body) in [
        (
            &[r#"{"path":"x-a","change":{"set_header":{"value":"1","keep":false}}}"#][..],
            &[("x-a", "1")][..],
            "",
        ),
        (&[r#"{"path":"x-team","change":{"set_header":{"value":"1","keep":true}}}"#], &[], ""),
        (
            &[r#"{"path":"x-team","change":{"set_header":{"value":"1","keep":false}}}"#],
            &[("x-team", "1")],
            "",
        ),
        (
            &[
                r#"{"path":"x-a","change":{"set_header":{"value":"<{client_header:Session_Id}>","keep":false}}}"#,
            ],
            &[("x-a", "<s-1>")],
            "",
        ),
        (
            &[r#"{"path":"x-a","change":{"set_header":{"value":"{client_header:X-None}","keep":false}}}"#],
            &[],
            "",
        ),
        (
            &[
                r#"{"path":"x-a","change":{"set_header":{"value":"{client_header:Authorization}","keep":false}}}"#,
            ],
            &[],
            "",
        ),
        (&[r#"{"path":"x-team","change":"delete_header"}"#], &[("x-team", "-")], ""),
        (
            &[r#"{"path":"x-team","change":{"copy_header":{"to":"x-b","keep":false}}}"#],
            &[("x-b", "core")],
            "",
        ),
        (
            &[r#"{"path":"user-agent","change":{"copy_header":{"to":"x-b","keep":false}}}"#],
            &[("x-b", "cli/1")],
            "",
        ),
        (&[r#"{"path":"x-none","change":{"copy_header":{"to":"x-b","keep":false}}}"#], &[], ""),
        (
            &[r#"{"path":"x-team","change":{"move_header":{"to":"x-b","keep":false}}}"#],
            &[("x-team", "-"), ("x-b", "core")],
            "",
        ),
        (
            &[
                r#"{"path":"","change":{"pass_headers":{"which":{"named":["session_id","cookie","authorization"]},"keep":false}}}"#,
            ],
            &[("session_id", "s-1")],
            "",
        ),
        (
            &[r#"{"path":"","change":{"pass_headers":{"which":{"matching":"^x-stainless-"},"keep":false}}}"#],
            &[("x-stainless-os", "Linux")],
            "",
        ),
        (
            &[r#"{"path":"","change":{"pass_headers":{"which":"all","keep":false}}}"#],
            &[("user-agent", "cli/1"), ("session_id", "s-1"), ("x-stainless-os", "Linux")],
            "",
        ),
        (
            &[r#"{"path":"prompt_cache_key","change":{"sync_header":"session_id"}}"#],
            &[],
            r#","prompt_cache_key":"s-1""#,
        ),
        (&[r#"{"path":"temperature","change":{"sync_header":"x-heat"}}"#], &[("x-heat", "0.70")], ""),
        (
            &[
                r#"{"path":"x-a","change":{"set_header":{"value":"1","keep":false}},"conditions":[{"path":"request_headers.User-Agent","mode":"prefix","value":"cli/"}]}"#,
                r#"{"path":"x-b","change":{"set_header":{"value":"2","keep":false}},"conditions":[{"path":"header_override.x-a","mode":"full","value":"1"}]}"#,
                r#"{"path":"x-c","change":{"set_header":{"value":"3","keep":false}},"conditions":[{"path":"request_headers.cookie","mode":"contains","value":"a"}]}"#,
            ],
            &[("x-a", "1"), ("x-b", "2")],
            "",
        ),
    ] {
        let changes: Vec<_> = edits.iter().map(|text| edit(text)).collect();
        let context = OverlayContext { original_model: "asked", upstream_model: "m", retry_index: 0 };
        let mut headers = Headers::new(&caller, sent.map(pair).to_vec());
        let out = overlay(
            &Bytes::from_static(BODY.as_bytes()),
            Format::OpenaiChat,
            &changes,
            &context,
            &mut headers,
            600,
        );
        let out = String::from_utf8(out.unwrap().to_vec()).unwrap();
        let mut expected = sent.map(pair).to_vec();
        for (name, value) in want {
            expected.retain(|(known, _)| known != name);
            expected.extend((*value != "-").then(|| pair((name, value))));
        }
        let mut got = headers.into_sent();
        got.sort();
        expected.sort();
        assert_eq!(got, expected, "{edits:?}");
        assert_eq!(out, BODY.replace(r#""a.b":1"#, &format!(r#""a.b":1{body}"#)), "{edits:?}");
    }
}

#[test]
fn what_is_too_long_for_a_header_does_not_become_one() {
    for (text, goes) in [
        ("x".repeat(4_096), true),
        ("x".repeat(4_097), false),
        ("\\u0078".repeat(4_096), true),
        ("x".repeat(1 << 20), false),
    ] {
        let body =
            format!(r#"{{"model":"m","user":"{text}","messages":[{{"role":"user","content":"hi"}}]}}"#);
        let edits = [edit(r#"{"path":"user","change":{"sync_header":"x-user"}}"#)];
        let context = OverlayContext { original_model: "m", upstream_model: "m", retry_index: 0 };
        let (mut headers, body) = (Headers::default(), Bytes::from(body));
        let out = overlay(&body, Format::OpenaiChat, &edits, &context, &mut headers, 600).unwrap();
        assert_eq!((headers.sent("x-user").is_some(), out), (goes, body.clone()), "{}", body.len());
    }
}

#[test]
fn changes_of_headers_that_are_the_gateways_own_are_unfit() {
    for (change, unfit) in [
        (r#"{"path":"x-a","change":{"set_header":{"value":"1","keep":false}}}"#, ""),
        (
            r#"{"path":"authorization","change":{"set_header":{"value":"1","keep":false}}}"#,
            "belongs to the gateway",
        ),
        (r#"{"path":"x a","change":"delete_header"}"#, "no header's name"),
        (r#"{"path":"","change":"delete_header"}"#, "lacks its `path`"),
        (r#"{"path":"x-a","change":{"set_header":{"value":"a\nb","keep":false}}}"#, "no line breaks"),
        (
            r#"{"path":"x-api-key","change":{"copy_header":{"to":"x-b","keep":false}}}"#,
            "belongs to the gateway",
        ),
        (r#"{"path":"x-b","change":{"move_header":{"to":"host","keep":false}}}"#, "belongs to the gateway"),
        (r#"{"path":"","change":{"pass_headers":{"which":{"named":[]},"keep":false}}}"#, "lacks its `value`"),
        (r#"{"path":"","change":{"pass_headers":{"which":"all","keep":false}}}"#, ""),
        (r#"{"path":"n","change":{"sync_header":"x-n"}}"#, "a change of `n`"),
        (
            r#"{"path":"x","change":"delete","conditions":[{"path":"request_headers.authorization","mode":"full","value":1}]}"#,
            "can't ask for",
        ),
        (
            r#"{"path":"x","change":"delete","conditions":[{"path":"request_headers.X-Forwarded-For","mode":"full","value":1}]}"#,
            "can't ask for",
        ),
        (
            r#"{"path":"x","change":"delete","conditions":[{"path":"header_override.via","mode":"full","value":1}]}"#,
            "",
        ),
        (
            r#"{"path":"x-a","change":{"set_header":{"value":"{client_header:X-Team} {client_header:Cookie}","keep":false}}}"#,
            "`cookie` is never passed on",
        ),
        (
            r#"{"path":"x-a","change":{"set_header":{"value":"{client_header:X-Real-IP}","keep":false}}}"#,
            "`x-real-ip` is never",
        ),
        (r#"{"path":"x-a","change":{"set_header":{"value":"{client_header:X-Team}","keep":false}}}"#, ""),
    ] {
        let unfit_of = edit(change).unfit().map(|unfit| unfit.message).unwrap_or_default();
        assert_eq!(
            (unfit_of.is_empty(), unfit_of.contains(unfit)),
            (unfit.is_empty(), true),
            "{change}: {unfit_of}"
        );
    }
}
