mod asked;
mod bound;
mod conversation;
mod format;

use super::*;

fn chat(body: &str) -> Result<Scanned> {
    scan(Format::OpenaiChat, &Bytes::from(body.to_owned()))
}

fn anthropic(body: &str) -> Result<Scanned> {
    scan(Format::AnthropicMessages, &Bytes::from(body.to_owned()))
}

fn with(fields: &str) -> String {
    format!(r#"{{"model":"m","messages":[{{"role":"user","content":"hi"}}],{fields}}}"#)
}

fn content(parts: &str) -> String {
    format!(r#"{{"model":"m","messages":[{{"role":"user","content":{parts}}}]}}"#)
}

#[test]
fn bad_bodies_are_refused_with_the_field_and_a_remedy() {
    let deep = |n: usize| with(&format!(r#""x":{}{}"#, "[".repeat(n), "]".repeat(n)));
    let many: String = (0..300).map(|n| format!(r#""f{n}":0,"#)).collect();
    let cases: Vec<(String, &str, Option<&str>)> = vec![
        ("".into(), "ends too early", None),
        ("{".into(), "isn't valid JSON", None),
        ("nonsense".into(), "isn't valid JSON", None),
        ("[]".into(), "must be a JSON object, not an array", None),
        ("\"x\"".into(), "must be a JSON object, not a string", None),
        ("null".into(), "must be a JSON object, not null", None),
        ("{}".into(), "`model` is missing", Some("model")),
        (r#"{"model":"m"}"#.into(), "`messages` is missing", Some("messages")),
        (r#"{"model":"m","messages":[]}"#.into(), "`messages` is empty", Some("messages")),
        (r#"{"model":"m","messages":{}}"#.into(), "must be an array, not an object", Some("messages")),
        (r#"{"model":"m","messages":["x"]}"#.into(), "`messages[0]` must be an object", Some("messages[0]")),
        (r#"{"model":"m","messages":[{"content":"x"}]}"#.into(), "role` is missing", Some("messages[0]")),
        (r#"{"model":"m","messages":[{"role":7}]}"#.into(), "must be a string", Some("messages[0].role")),
        (content("7"), "`content` must be a string or an array", Some("content")),
        (r#"{"model":7,"messages":[]}"#.into(), "`model` must be a string, not a number", Some("model")),
        (r#"{"model":"","messages":[]}"#.into(), "must name a model", Some("model")),
        (r#"{"model":null,"messages":[]}"#.into(), "must name a model", Some("model")),
        (format!(r#"{{"model":"{}"}}"#, "m".repeat(257)), "longer than 256 bytes", Some("model")),
        (with(&format!(r#""tags":["{}"]"#, "t".repeat(257))), "longer than 256 bytes", Some("tags")),
        (with(r#""stream":"yes""#), "`stream` must be true or false, not a string", Some("stream")),
        (with(r#""stream_options":[]"#), "must be an object", Some("stream_options")),
        (with(r#""max_tokens":-1"#), "whole number of at least 0, not `-1`", Some("max_tokens")),
        (with(r#""max_tokens":1.5"#), "not `1.5`", Some("max_tokens")),
        (with(r#""max_tokens":"9""#), "not a string", Some("max_tokens")),
        (with(r#""max_completion_tokens":1e3"#), "not `1e3`", Some("max_completion_tokens")),
        (with(r#""n":0"#), "at least 1", Some("n")),
        (with(r#""n":99999999999"#), "fit 32 bits", Some("n")),
        (with(r#""user":{}"#), "`user` must be a string", Some("user")),
        (with(r#""tools":{}"#), "`tools` must be an array", Some("tools")),
        (with(r#""tools":[1]"#), "must be an object", Some("tools[]")),
        (with(r#""model":"n""#), "`model` stands twice", Some("model")),
        (with(r#""mod\u0065l":"n""#), "`model` stands twice", Some("model")),
        (with(r#""x":1,"\u0078":2"#), "`x` stands twice", Some("x")),
        (with(r#""api_base":1,"api\u005fbase":2"#), "`api_base` stands twice", Some("api_base")),
        (with(&format!("{many}\"z\":0")), "more than 256", None),
        (
            with(&format!(
                r#""tags":[{}]"#,
                (0..40).map(|n| format!("\"{n}\"")).collect::<Vec<_>>().join(",")
            )),
            "more than 32 tags",
            Some("tags"),
        ),
        (with(&format!("\"{}\":0", "k".repeat(300))), "longer than 256 bytes", None),
        (format!("\u{feff}\u{feff}{}", with("\"a\":1")), "unexpected character", None),
        (deep(200), "nested deeper than 128 levels", None),
        (deep(100_000), "nested deeper than 128 levels", None),
        (
            content(&format!("{}{}", "[".repeat(100_000), "]".repeat(100_000))),
            "nested deeper than 128 levels",
            None,
        ),
        (with(r#""a":1} x"#), "more after its end", None),
        ("{\"model\":\"a\u{1}\"}".into(), "control character", None),
    ];
    for (body, says, param) in cases {
        let error = chat(&body).expect_err(&body.chars().take(80).collect::<String>());
        assert!(error.message().contains(says), "{} lacks {says}", error.message());
        assert_eq!(error.param(), param, "{}", error.message());
        assert_eq!(error.kind(), sluicegate_core::ErrorKind::InvalidRequest);
    }
}

#[test]
fn invalid_utf8_is_refused_with_its_place() {
    let error = scan(Format::OpenaiChat, &Bytes::from_static(b"{\"model\":\"\xff\"}")).unwrap_err();
    assert_eq!(error.message(), "the body isn't UTF-8 (byte 10): send JSON in UTF-8");
}

#[test]
fn the_facts_of_a_full_call() {
    let body = with(
        r#""stream":true,"stream_options":{"include_usage":true},"max_tokens":10,"max_completion_tokens":30,"n":2,"best_of":4,
        "user":"u","metadata":{"tags":["a","b","a"]},"tags":["c"],"tools":[{"type":"function","function":{"name":"f"}}],
        "response_format":{"type":"json_schema","json_schema":{}},"service_tier":"scale","prediction":{"content":"abc"},
        "modalities":["text","audio"],"fallbacks":["x",{"model":"y"}],"api_key":"k","models":[]"#,
    );
    let scanned = chat(&body).unwrap();
    let facts = scanned.facts();
    assert_eq!(
        (facts.stream, facts.include_usage, facts.max_output, facts.choices),
        (true, true, Some(30), 4)
    );
    assert_eq!(
        (facts.customer.as_deref(), facts.tags.as_slice()),
        (Some("u"), &["a".to_owned(), "b".into(), "c".into()][..])
    );
    assert_eq!(facts.fallbacks, ["x", "y"]);
    assert!(facts.needs.tools && facts.needs.audio && facts.needs.json_schema && !facts.needs.images);
    assert_eq!(facts.extra_output_bound, r#"{"content":"abc"}"#.len() as u64);
    let call = facts.call("c".into(), Format::OpenaiChat);
    assert_eq!((call.extra_output, call.choices), (facts.extra_output_bound, 4));
    assert_eq!(facts.fields(Concern::Cost).collect::<Vec<_>>(), ["service_tier"]);
    // An empty list of models routes nowhere.
    assert!(!facts.has(Concern::Routing), "they go through the access check");
    assert!(facts.has(Concern::Credential) && !facts.has(Concern::Stored));
    let call = facts.call("c1".into(), Format::OpenaiChat);
    assert_eq!(
        (call.model.as_str(), call.choices, call.max_output, call.input_bound),
        ("m", 4, Some(30), facts.input_bound())
    );
}

#[test]
fn a_byte_order_mark_is_passed_over() {
    let scanned = chat(&format!("\u{feff}{}", content("\"x\""))).unwrap();
    assert!(scanned.body().starts_with(b"{"));
}

proptest::proptest! {
    #[test]
    fn any_bytes_scan_or_are_refused(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
        for format in [Format::OpenaiChat, Format::OpenaiEmbeddings, Format::AnthropicMessages] {
            let body = Bytes::from(bytes.clone());
            if let Ok(scanned) = scan(format, &body) {
                proptest::prop_assert!(serde_json::from_slice::<serde_json::Value>(scanned.body()).is_ok());
            }
        }
    }

    #[test]
    fn a_broken_body_never_scans(cut in 0usize..400, text in "[a-z\\\\n\"é ]{0,20}") {
        let body = with(&format!(r#""x":{{"y":[1,{}]}}"#, serde_json::to_string(&text).unwrap()));
        let cut = (0..=cut.min(body.len() - 1)).rev().find(|at| body.is_char_boundary(*at)).unwrap();
        proptest::prop_assert!(chat(&body[..cut]).is_err());
        proptest::prop_assert!(chat(&body).is_ok());
    }
}
