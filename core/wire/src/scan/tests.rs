use super::*;
use sluicegate_core::count::{Counting, IMAGE_TOKENS_MAX, ImageRule};

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
fn embeddings_take_strings_and_token_ids() {
    let scan = |input: &str| {
        super::scan(Format::OpenaiEmbeddings, &Bytes::from(format!(r#"{{"model":"m","input":{input}}}"#)))
    };
    for (input, inputs) in [("\"a\"", 1), (r#"["a","b"]"#, 2), ("[1,2,3]", 1), ("[[1,2],[3]]", 2), ("[]", 0)]
    {
        assert_eq!(scan(input).unwrap().facts().messages, inputs, "{input}");
    }
    for input in ["7", "{}", "[{}]", "null"] {
        assert_eq!(scan(input).unwrap_err().kind(), sluicegate_core::ErrorKind::InvalidRequest, "{input}");
    }
    assert_eq!(scan("[1,2,3]").unwrap().facts().max_output, None);
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
fn tiers_that_no_price_tells_of_concern_the_cost() {
    for (tier, costs) in [
        ("auto", false),
        ("default", false),
        ("standard_only", false),
        ("flex", false),
        ("priority", false),
        ("ultrafast", false),
        ("scale", true),
        ("warp", true),
    ] {
        let scanned = chat(&with(&format!(r#""service_tier":"{tier}""#))).unwrap();
        assert_eq!(scanned.facts().has(Concern::Cost), costs, "{tier}");
    }
}

#[test]
fn a_long_name_of_a_customer_is_cut_and_stays_distinct() {
    let customer = |end: &str| {
        let body = with(&format!(r#""user":"{}{end}""#, "u".repeat(1_000)));
        chat(&body).unwrap().facts().customer.clone().unwrap()
    };
    assert_eq!(customer("1").len(), 256);
    assert_ne!(customer("1"), customer("2"));
}

#[test]
fn fields_that_the_format_does_not_know_are_named() {
    let body = with(r#""top_k":3,"t\u006fp_p":1,"v\u0065ndor":1,"api_base":"x","tags":["a"],"speed":"fast""#);
    assert_eq!(chat(&body).unwrap().unknown_fields(), ["top_k", "vendor", "speed"]);
    assert_eq!(anthropic(&body).unwrap().unknown_fields(), ["vendor"]);
}

#[test]
fn the_facts_of_anthropics_own_fields() {
    let body = with(
        r#""max_tokens":4000,"system":"s","thinking":{"type":"enabled","budget_tokens":2000},"metadata":{"user_id":"u"},
        "tools":[{"name":"a","input_schema":{}},{"type":"bash_20250124","name":"bash"},{"type":"web_search_20250305","name":"w"}],
        "output_config":{"format":{"type":"json_schema"}},"speed":"fast","mcp_servers":[{}]"#,
    );
    let scanned = anthropic(&body).unwrap();
    let facts = scanned.facts();
    assert_eq!(
        (facts.max_output, facts.thinking_budget, facts.customer.as_deref()),
        (Some(4000), Some(2000), Some("u"))
    );
    assert_eq!(facts.hosted_tools.as_slice(), ["web_search_20250305"]);
    assert_eq!((facts.tools, facts.builtin_tools, facts.input_bound()), (3, 1, None));
    assert_eq!(facts.fields(Concern::Hosted).collect::<Vec<_>>(), ["tools", "mcp_servers"]);
    assert_eq!(facts.call("c".into(), Format::AnthropicMessages).min_output, 3024);
}

#[test]
fn text_counts_decoded_and_white_space_doesnt() {
    let plain = chat(&content("\"aaaa\"")).unwrap().facts().text_bytes;
    let spaced = chat(&content("\"aaaa\"").replace(':', " :\n  ")).unwrap().facts().text_bytes;
    let escaped = chat(&content(r#""\u0061\u0061aa""#)).unwrap().facts().text_bytes;
    assert_eq!((spaced, escaped), (plain, plain));
    let wide = chat(&content("\"你你\"")).unwrap();
    let wide_escaped = chat(&content(r#""\u4f60\u4f60""#)).unwrap();
    assert_eq!((wide.facts().text_bytes, wide_escaped.facts().text_bytes), (plain + 2, plain + 2));
    // The bound is never below the text itself.
    assert!(
        chat(&content(&format!("\"{}\"", "x".repeat(5000)))).unwrap().facts().input_bound().unwrap() > 5000
    );
}

#[test]
fn media_count_by_formula_and_text_cant_hide_in_them() {
    let data = "A".repeat(100_000);
    let bound = |parts: &str| chat(&content(parts)).unwrap().facts().input_bound();
    let image =
        bound(&format!(r#"[{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{data}"}}}}]"#))
            .unwrap();
    assert!((IMAGE_TOKENS_MAX..IMAGE_TOKENS_MAX + 300).contains(&image), "{image}");
    let typed_last =
        bound(&format!(r#"[{{"image_url":{{"url":"data:image/png;base64,{data}"}},"type":"image_url"}}]"#))
            .unwrap();
    assert_eq!(typed_last, image);
    let sound = |format: &str| {
        bound(&format!(r#"[{{"type":"input_audio","input_audio":{{"data":"{data}",{format}}}}}]"#))
    };
    // 75,000 bytes at 8 kbit/s are 75 s, at 32 tokens a second.
    assert!((2_400..2_700).contains(&sound(r#""format":"mp3""#).unwrap()));
    // What the bytes don't tell, two kinds at once, and a sound that isn't here have no bound.
    for format in [r#""format":"wav""#, r#""format":"flac""#, r#""format":"mp3","format":"wav""#, r#""x":1"#]
    {
        assert_eq!(sound(format), None, "{format}");
    }
    assert_eq!(sound(r#""format":"mp3","url":"https://x""#), None);
    // The same bytes in a part that isn't media count as the text that they are.
    for part in [
        format!(r#"{{"type":"text","text":"{data}"}}"#),
        format!(r#"{{"type":"text","image_url":{{"url":"{data}"}}}}"#),
        format!(r#"{{"type":"tool_use","input":{{"data":"{data}","source":{{"data":"{data}"}}}}}}"#),
        format!(r#"{{"type":"tool_result","content":[{{"type":"text","text":"{data}"}}]}}"#),
    ] {
        assert!(bound(&format!("[{part}]")).unwrap() >= 100_000, "{}", &part[..40]);
    }
    // Two types: whichever the upstream reads, nothing is hidden.
    assert_eq!(
        bound(&format!(r#"[{{"type":"image_url","type":"text","image_url":{{"url":"{data}"}}}}]"#)),
        None
    );
    let nested = anthropic(&content(&format!(
        r#"[{{"type":"tool_result","content":[{{"type":"image","source":{{"type":"base64","data":"{data}"}}}}]}}]"#
    )));
    assert_eq!(nested.unwrap().facts().images, 1);
}

#[test]
fn what_isnt_in_the_body_has_no_bound() {
    for parts in [
        r#"[{"type":"file","file":{"file_id":"f"}}]"#,
        r#"[{"type":"file","file":{"file_data":"data:application/pdf;base64,AA"}}]"#,
        r#"[{"type":"document","source":{"type":"url","url":"https://x"}}]"#,
        r#"[{"type":"container_upload","file_id":"f"}]"#,
        r#"[{"type":"video_url","video_url":{"url":"https://x"}}]"#,
        r#"[{"type":"brand_new"}]"#,
    ] {
        assert_eq!(anthropic(&content(parts)).unwrap().facts().input_bound(), None, "{parts}");
    }
    for fields in [
        r#""previous_response_id":"r""#,
        r#""conversation":"c""#,
        r#""tools":[{"type":"web_search_preview"}]"#,
        r#""web_search_options":{}"#,
        r#""plugins":[{"id":"web"}]"#,
    ] {
        assert_eq!(chat(&with(fields)).unwrap().facts().input_bound(), None, "{fields}");
    }
    for parts in [
        r#"[{"type":"document","source":{"type":"text","data":"plain"}}]"#,
        r#"[{"type":"image","source":{"type":"file","file_id":"f"}}]"#,
        r#"[{"type":"web_search_tool_result","content":[{"type":"web_search_result","title":"t"}]}]"#,
    ] {
        assert!(anthropic(&content(parts)).unwrap().facts().input_bound().is_some(), "{parts}");
    }
    assert!(
        chat(&with(r#""previous_response_id":null,"plugins":[]"#)).unwrap().facts().input_bound().is_some()
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

#[test]
fn media_are_counted_by_the_formula_of_whoever_serves_them() {
    // A PNG of 1,024 × 1,024.
    let png = "iVBORw0KGgoAAAANSUhEUgAABAAAAAQACAIAAADwf7zU";
    let url = |detail: &str| {
        format!(r#"[{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{png}"{detail}}}}}]"#)
    };
    let source = |source: &str| format!(r#"[{{"type":"image","source":{{{source}}}}}]"#);
    let gpt_4o = Counting::Openai(ImageRule::Tiles { base: 85, tile: 170 });
    let claude = Counting::Anthropic;
    for (parts, counting, tokens) in [
        (url(""), gpt_4o, 85 + 4 * 170),
        (url(r#","detail":"high""#), gpt_4o, 85 + 4 * 170),
        (url(r#","detail":"auto""#), gpt_4o, 85 + 4 * 170),
        (url(r#","detail":"low""#), gpt_4o, 85),
        (url(r#","detail":"high","detail":"low""#), gpt_4o, 85 + 4 * 170),
        (url(r#","detail":"high""#), claude, 1_399 + 16),
        // What isn't here, and what is here twice, is the largest.
        (url(r#","url":"https://x""#), gpt_4o, 85 + 8 * 170),
        (r#"[{"type":"image_url","image_url":"https://x/y.png"}]"#.to_owned(), gpt_4o, 85 + 8 * 170),
        (source(&format!(r#""type":"base64","data":"{png}""#)), claude, 1_399 + 16),
        (source(r#""type":"url","url":"https://x""#), claude, 4_784 + 16),
        (source(r#""type":"file","file_id":"f""#), claude, 4_784 + 16),
        (source(&format!(r#""type":"file","file_id":"f","data":"{png}""#)), claude, 4_784 + 16),
        (url(""), Counting::Anybody, IMAGE_TOKENS_MAX),
    ] {
        let scanned = chat(&content(&parts)).unwrap();
        let call = scanned.facts().call("c".into(), Format::OpenaiChat);
        assert_eq!((call.media.images(), call.media.tokens(counting)), (1, tokens), "{parts} {counting:?}");
        assert!(call.input_bound.unwrap() > IMAGE_TOKENS_MAX);
    }
}

#[test]
fn only_what_asks_for_the_cache_may_write_it() {
    for (body, writes) in [
        (content("\"hi\""), CacheWrites::None),
        (content(r#"[{"type":"text","text":"a","cache_control":{"type":"ephemeral"}}]"#), CacheWrites::Short),
        (with(r#""cache_control":{"type":"ephemeral","ttl":"1h"}"#), CacheWrites::Long),
        // Letters written as escapes may spell anything; others can't.
        (with(r#""cache\u005fcontrol":{"type":"ephemeral"}"#), CacheWrites::Long),
        (content(r#""caf\u00e9 \u4f60""#), CacheWrites::None),
        (content(r#""a \u003c b""#), CacheWrites::Long),
    ] {
        assert_eq!(anthropic(&body).unwrap().facts().cache_writes, writes, "{body}");
    }
}

#[test]
fn everything_that_the_model_reads_is_in_the_bound() {
    let word = "w".repeat(1_000);
    for (format, fields) in [
        (
            Format::OpenaiChat,
            format!(r#""tools":[{{"type":"function","function":{{"name":"f","description":"{word}"}}}}]"#),
        ),
        (
            Format::OpenaiChat,
            format!(
                r#""tools":[{{"type":"function","function":{{"name":"f","parameters":{{"{word}":{{}}}}}}}}]"#
            ),
        ),
        (Format::OpenaiChat, format!(r#""functions":[{{"name":"{word}"}}]"#)),
        (
            Format::OpenaiChat,
            format!(r#""response_format":{{"type":"json_schema","json_schema":{{"name":"{word}"}}}}"#),
        ),
        (Format::AnthropicMessages, format!(r#""system":"{word}""#)),
        (Format::AnthropicMessages, format!(r#""system":[{{"type":"text","text":"{word}"}}]"#)),
        (Format::AnthropicMessages, format!(r#""tools":[{{"name":"f","input_schema":{{"{word}":1}}}}]"#)),
        (
            Format::AnthropicMessages,
            format!(r#""output_config":{{"format":{{"type":"json_schema","schema":"{word}"}}}}"#),
        ),
    ] {
        let bound = scan(format, &Bytes::from(with(&fields))).unwrap().facts().input_bound().unwrap();
        assert!(bound > 1_000, "{bound} for {fields:.60}");
    }
    for message in [
        format!(r#""name":"{word}","content":"a""#),
        format!(
            r#""content":null,"tool_calls":[{{"id":"1","function":{{"name":"f","arguments":"{word}"}}}}]"#
        ),
        format!(r#""content":null,"function_call":{{"name":"f","arguments":"{word}"}}"#),
        format!(r#""tool_call_id":"1","content":"{word}""#),
        format!(r#""content":null,"refusal":"{word}""#),
        format!(r#""content":"a","reasoning_content":"{word}""#),
        format!(r#""content":[{{"type":"thinking","thinking":"{word}"}}]"#),
        format!(r#""content":[{{"type":"tool_use","id":"1","name":"f","input":{{"a":"{word}"}}}}]"#),
        format!(r#""content":[{{"type":"tool_result","tool_use_id":"1","content":"{word}"}}]"#),
        format!(r#""content":[{{"type":"document","source":{{"type":"text","data":"{word}"}}}}]"#),
    ] {
        let body = format!(r#"{{"model":"m","messages":[{{"role":"user",{message}}}]}}"#);
        for format in [Format::OpenaiChat, Format::AnthropicMessages] {
            let bound = scan(format, &Bytes::from(body.clone())).unwrap().facts().input_bound().unwrap();
            assert!(bound > 1_000, "{bound} for {message:.60}");
        }
    }
}

#[test]
fn a_conversation_is_known_by_its_opening_as_it_goes_on() {
    let body = |messages: &str, more: &str| format!(r#"{{"model":"m"{more},"messages":[{messages}]}}"#);
    let said =
        |scanned: Result<Scanned>| scanned.unwrap().facts().call("c".into(), Format::OpenaiChat).conversation;
    let system = format!(r#"{{"role":"system","content":"{}"}}"#, "Be brief. ".repeat(200));
    let first = format!(r#"{system},{{"role":"user","content":"one"}}"#);
    let later = format!(r#"{first},{{"role":"assistant","content":"1"}},{{"role":"user","content":"two"}}"#);
    let other = format!(r#"{system},{{"role":"user","content":"two"}}"#);
    let opening = said(chat(&body(&first, "")));
    assert!(opening.is_some());
    assert_eq!(said(chat(&body(&later, ""))), opening);
    assert_ne!(said(chat(&body(&other, ""))), opening);
    assert_eq!(said(chat(&body(&system, ""))), None, "nobody has asked anything");
    assert_eq!(said(chat(&body(&first, r#","user":"u""#))), None, "the customer is told apart by the engine");
    let keyed = said(chat(&body(&first, r#","user":"u","prompt_cache_key":"k""#)));
    assert_eq!(said(chat(&body(&other, r#","prompt_cache_key":"\u006b""#))), keyed);
    assert_ne!(said(chat(&body(&first, r#","prompt_cache_key":null"#))), keyed);
}

#[test]
fn marks_that_move_on_with_each_turn_are_no_part_of_a_conversation() {
    let said = |messages: &str| {
        let body = format!(r#"{{"model":"m","max_tokens":9,"messages":[{messages}]}}"#);
        scan(Format::AnthropicMessages, &body.into())
            .unwrap()
            .facts()
            .call("c".into(), Format::AnthropicMessages)
            .conversation
    };
    let user = |mark: &str| {
        format!(r#"{{"role":"user","content":[{{"type":"text","text":"a \"cache_control\": b"{mark}}}]}}"#)
    };
    let plain = said(&user(""));
    assert!(plain.is_some());
    for mark in [
        r#","cache_control":{"type":"ephemeral"}"#,
        r#" , "cache_control" : {"type":"ephemeral","ttl":"1h"}"#,
    ] {
        assert_eq!(said(&user(mark)), plain, "{mark}");
    }
    assert_ne!(said(&user(r#","citations":null"#)), plain);
}

#[test]
fn a_list_of_models_is_tried_in_order() {
    for (fields, model, fallbacks) in [
        (r#""fallbacks":["x",{"model":"y","messages":[]}]"#, "m", Some(vec!["x", "y"])),
        (r#""fallbacks":[]"#, "m", None),
        (r#""fallbacks":null"#, "m", None),
        (r#""disable_fallbacks":true,"fallbacks":["x"]"#, "m", Some(vec![])),
        (r#""disable_fallbacks":false"#, "m", None),
    ] {
        let facts = chat(&with(fields)).unwrap().facts().clone();
        let call = facts.call("c".into(), Format::OpenaiChat);
        let fallbacks = fallbacks.map(|all| all.into_iter().map(Into::into).collect());
        assert_eq!((call.model.as_str(), call.fallbacks), (model, fallbacks), "{fields}");
        let ignored = if fields.contains("messages") { vec!["fallbacks[1].messages"] } else { vec![] };
        assert_eq!(facts.ignored, ignored, "{fields}");
    }
    let scanned = chat(&with("\"fallbacks\":[\"z\"]").replace("\"m\"", "\"a, b\"")).unwrap();
    let call = scanned.facts().call("c".into(), Format::OpenaiChat);
    assert_eq!((call.model.as_str(), call.fallbacks), ("a", Some(vec!["b".into(), "z".into()])));
}

#[test]
fn a_malformed_list_of_models_is_refused_with_its_name() {
    for (fields, at) in [
        (r#""fallbacks":"x""#, "fallbacks"),
        (r#""fallbacks":{"model":"x"}"#, "fallbacks"),
        (r#""fallbacks":["x",5]"#, "fallbacks[1]"),
        (r#""fallbacks":[""]"#, "fallbacks[0]"),
        (r#""fallbacks":[{"messages":[]}]"#, "fallbacks[0]"),
        (r#""disable_fallbacks":"yes""#, "disable_fallbacks"),
        (r#""mock_response":5"#, "mock_response"),
        (r#""mock_timeout":"yes""#, "mock_timeout"),
        (
            r#""mock_testing_fallbacks":true,"mock_testing_context_fallbacks":true"#,
            "mock_testing_context_fallbacks",
        ),
    ] {
        let error = chat(&with(fields)).unwrap_err();
        assert_eq!(error.param(), Some(at), "{fields}: {error}");
    }
    let many = format!("\"fallbacks\":[{}]", vec!["\"x\""; 17].join(","));
    assert_eq!(chat(&with(&many)).unwrap_err().param(), Some("fallbacks"));
    for list in ["a,", ",a", "a,,b", "a, ,b"] {
        let error = chat(&with("\"n\":1").replace("\"m\"", &format!("\"{list}\""))).unwrap_err();
        assert_eq!(error.param(), Some("model"), "{list}");
    }
}

#[test]
fn what_is_made_up_is_told_and_never_sent() {
    let scanned =
        chat(&with(r#""mock_response":"hi","mock_timeout":false,"mock_testing_fallbacks":true"#)).unwrap();
    let mock = scanned.facts().mock.clone().unwrap();
    assert_eq!((mock.field, mock.response.as_deref(), mock.timeout), ("mock_response", Some("hi"), false));
    assert_eq!(mock.rehearse, Some(sluicegate_core::Rehearsal::Failure));
    let sent = scanned.prepare(&crate::Edits::default(), Format::OpenaiChat).unwrap().body;
    assert!(!String::from_utf8_lossy(&sent).contains("mock"), "{sent:?}");
    assert_eq!(chat(&with(r#""mock_timeout":false,"mock_response":null"#)).unwrap().facts().mock, None);
}

#[test]
fn signatures_bind_a_conversation_to_their_issuer() {
    let bound = |format, last: &str, more: &str| {
        let body = format!(r#"{{"model":"m"{more},"messages":[{{"role":"user","content":"q"}},{last}]}}"#);
        scan(format, &body.into()).unwrap().facts().call("c".into(), format).bound
    };
    let said = |part: &str| format!(r#"{{"role":"assistant","content":[{part}]}}"#);
    let thought = |signature: &str| {
        said(&format!(r#"{{"type":"thinking","thinking":"hm","signature":"{signature}"}}"#))
    };
    let (anthropic, chat) = (Format::AnthropicMessages, Format::OpenaiChat);
    assert!(bound(anthropic, &thought("s=="), ""));
    assert!(bound(anthropic, &said(r#"{"type":"redacted_thinking","data":"zz"}"#), ""));
    let plain = said(r#"{"type":"text","text":"\"signature\":\"s\""}"#);
    assert!(!bound(anthropic, &plain, ""));
    assert!(!bound(anthropic, &thought(""), ""), "nobody signed it");
    let input =
        r#"{"type":"tool_use","id":"1","name":"f","input":{"signature":"s","type":"redacted_thinking"}}"#;
    assert!(!bound(anthropic, &said(input), ""), "a tool's input is the caller's own");
    // The answer will be signed: the next turn must find whoever signed it.
    for kind in ["enabled", "adaptive"] {
        let more = format!(r#","thinking":{{"type":"{kind}"}}"#);
        assert!(bound(anthropic, &plain, &more), "{kind}");
        assert!(!bound(chat, &plain, &more), "{kind}");
    }
    assert!(!bound(anthropic, &plain, r#","thinking":{"type":"disabled"}"#));
    let blocks = |blocks: &str| format!(r#"{{"role":"assistant","content":"","thinking_blocks":{blocks}}}"#);
    assert!(bound(chat, &blocks(r#"[ {"type":"thinking","signature":"s"}]"#), ""));
    assert!(!bound(chat, &blocks("[]"), "") && !bound(chat, &blocks("null"), ""));
}

fn gemini(fields: &str) -> Result<Scanned> {
    let at = Addressed { model: "models/gemini-x", stream: true };
    scan_addressed(Format::GeminiGenerate, &Bytes::from(format!("{{{fields}}}")), Some(at))
}

#[test]
fn geminis_facts_stand_in_its_address_and_its_configuration() {
    let scanned = gemini(
        r#""contents":[{"parts":[{"text":"hi"}]}],"generation_config":{"maxOutputTokens":"200","candidate_count":2,"thinkingConfig":{"thinking_budget":512},"response_schema":{}}"#,
    )
    .unwrap();
    let facts = scanned.facts();
    assert_eq!((facts.model.as_str(), facts.stream), ("gemini-x", true));
    assert_eq!((facts.max_output, facts.choices, facts.thinking_budget), (Some(200), 2, Some(512)));
    assert!(facts.needs.json_schema && facts.bound);
    let again = scanned.rescan(&Bytes::from_static(br#"{"contents":[{"parts":[]}]}"#)).unwrap();
    assert_eq!((again.facts().model.as_str(), again.facts().stream), ("gemini-x", true));
    for (fields, at) in [
        (r#""contents":[]"#, "contents"),
        (r#""contents":{}"#, "contents"),
        (r#""contents":["x"]"#, "contents[0]"),
        (r#""contents":[{"parts":["x"]}]"#, "contents[0].parts[]"),
        (r#""contents":[{"parts":[]}],"tools":{}"#, "tools"),
        (r#""contents":[{"parts":[]}],"generationConfig":[]"#, "generationConfig"),
        (
            r#""contents":[{"parts":[]}],"generationConfig":{"candidateCount":0}"#,
            "generationConfig.candidateCount",
        ),
        (
            r#""contents":[{"parts":[]}],"generationConfig":{"maxOutputTokens":-1}"#,
            "generationConfig.maxOutputTokens",
        ),
        (r#""contents":[{"parts":[]}],"system_instruction":{},"systemInstruction":{}"#, "systemInstruction"),
    ] {
        assert_eq!(
            gemini(fields).map(drop).map_err(|e| e.param().map(str::to_owned)),
            Err(Some(at.into())),
            "{fields}"
        );
    }
}

#[test]
fn geminis_media_count_by_formula_and_what_hides_is_unbounded() {
    let part = |part: &str| {
        let scanned = gemini(&format!(r#""contents":[{{"parts":[{part}]}}]"#)).unwrap();
        (scanned.facts().images, scanned.facts().unbounded.clone(), scanned.facts().text_bytes)
    };
    let data = "A".repeat(4_000);
    let image = part(&format!(r#"{{"inline_data":{{"data":"{data}","mime_type":"image/png"}}}}"#));
    assert_eq!((image.0, image.1.as_deref(), image.2 < 200), (1, None, true));
    let sized = |data: &str| {
        let body = format!(
            r#""contents":[{{"parts":[{{"inlineData":{{"mimeType":"image/png","data":"{data}"}}}}]}}]"#
        );
        gemini(&body).unwrap().facts().input_bound()
    };
    // 1 × 1, in both alphabets: its size is known.
    let (usual, for_urls) =
        ("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAf+/", "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAf-_");
    assert_eq!(sized(usual), sized(for_urls));
    let inside = part(&format!(
        r#"{{"functionResponse":{{"parts":[{{"inlineData":{{"mimeType":"image/png","data":"{data}"}}}}]}}}}"#
    ));
    assert_eq!(inside.0, 1);
    for sly in [
        format!(
            r#"{{"inlineData":{{"mimeType":"image/png","mime_type":"application/pdf","data":"{data}"}}}}"#
        ),
        format!(r#"{{"inlineData":{{"mimeType":"application/pdf","data":"{data}"}}}}"#),
        format!(r#"{{"inlineData":{{"mimeType":"video/mp4","data":"{data}"}}}}"#),
        format!(r#"{{"inlineData":{{"data":"{data}"}}}}"#),
        r#"{"fileData":{"mimeType":"image/png","fileUri":"gs://a"}}"#.to_owned(),
        r#"{"file_data":{"file_uri":"gs://a"}}"#.to_owned(),
    ] {
        assert!(part(&sly).1.is_some(), "{sly:.80}");
    }
    let text = part(&format!(r#"{{"inlineData":{{"mimeType":"text/plain","data":"{data}"}}}}"#));
    assert!(text.1.is_none() && text.2 > 4_000);
}

#[test]
fn a_responses_request_is_read() {
    let read = |body: &str| scan(Format::OpenaiResponses, &Bytes::from(body.to_owned()));
    let facts = read(
        r#"{"model":"m","instructions":"be brief","input":[{"role":"user","content":[{"type":"input_text","text":"a"},
        {"type":"input_image","image_url":"data:image/png;base64,iVBORw0KGgoAAAA"}]},{"type":"function_call_output","call_id":"c","output":"r"}],
        "tools":[{"type":"function","name":"f"},{"type":"custom","name":"g"}],"max_output_tokens":99,"store":false,"stream":true,
        "text":{"format":{"type":"json_schema"}},"prompt_cache_key":"k","safety_identifier":"u"}"#,
    )
    .unwrap()
    .facts()
    .clone();
    assert_eq!(
        (facts.max_output, facts.store, facts.stream, facts.messages),
        (Some(99), Some(false), true, 2)
    );
    assert_eq!((facts.tools, facts.images, facts.customer.as_deref()), (2, 1, Some("u")));
    assert!(facts.needs.images && facts.needs.tools && facts.needs.json_schema && !facts.bound);
    assert!(facts.cache_key.is_some() && facts.opening.is_some() && facts.input_bound().is_some());
    for (rest, bound, stored) in [
        (r#""input":"a""#, false, false),
        (r#""input":"a","include":["reasoning.encrypted_content"]"#, true, false),
        (r#""input":[{"type":"reasoning","encrypted_content":"x"}]"#, true, false),
        (r#""input":[{"type":"reasoning","encrypted_content":""}]"#, false, false),
        (r#""input":"a","previous_response_id":"resp_1""#, false, true),
        (r#""input":[{"type":"item_reference","id":"msg_1"}]"#, false, true),
        (r#""input":[{"role":"user","content":[{"type":"input_file","file_id":"f"}]}]"#, false, true),
        (r#""prompt":{"id":"p"}"#, false, true),
    ] {
        let facts = read(&format!(r#"{{"model":"m",{rest}}}"#)).unwrap().facts().clone();
        assert_eq!((facts.bound, facts.input_bound().is_none()), (bound, stored), "{rest}");
    }
    for (rest, says) in [
        (r#""input":5"#, "`input` must be"),
        (r#""input":["a"]"#, "`input[0]` must be"),
        (r#""instructions":"a""#, "`input` is missing"),
        (r#""input":"a","background":true"#, "`background`"),
        (r#""input":"a","max_output_tokens":1.5"#, "`max_output_tokens`"),
        (r#""input":"a","\u0069nput":"b""#, "twice"),
    ] {
        let error = read(&format!(r#"{{"model":"m",{rest}}}"#)).unwrap_err();
        assert!(error.message().contains(says), "{rest}: {}", error.message());
    }
}

#[test]
fn guardrails_are_named_and_never_sent() {
    for (fields, named, ignored, sent) in [
        (r#""guardrails":["a","b","a"]"#, &["a", "b"][..], &[][..], ""),
        (r#""guardrails":[{"a":{"extra_body":{"x":1}}},{"b":{}}]"#, &["a", "b"], &["guardrails.a"], ""),
        (r#""guardrails":"a""#, &["a"], &[], ""),
        (r#""guardrails":[]"#, &[], &[], ""),
        (r#""guardrails":null"#, &[], &[], ""),
        (r#""metadata":{"guardrails":["a"]},"guardrails":["b"]"#, &["a", "b"], &[], ""),
        (r#""metadata":{"k":"v","guardrails":["a"]}"#, &["a"], &[], r#","metadata":{"k":"v"}"#),
        // What is no list there is data of the caller's.
        (r#""metadata":{"guardrails":"none"}"#, &[], &[], r#","metadata":{"guardrails":"none"}"#),
        (r#""metadata":{"tags":[]}"#, &[], &[], ""),
    ] {
        let scanned = chat(&with(fields)).unwrap();
        let facts = scanned.facts();
        assert_eq!(
            (facts.guardrails.as_slice(), facts.ignored.as_slice()),
            (
                &named.iter().map(|&it| it.to_owned()).collect::<Vec<_>>()[..],
                &ignored.iter().map(|&it| it.to_owned()).collect::<Vec<_>>()[..],
            ),
            "{fields}"
        );
        let body = scanned.prepare(&crate::Edits::default(), Format::OpenaiChat).unwrap().body;
        let want = with("\"x\":0").replace(r#","x":0"#, sent);
        assert_eq!(String::from_utf8_lossy(&body), want, "{fields}");
        for format in [Format::AnthropicMessages, Format::GeminiGenerate, Format::OpenaiResponses] {
            let prepared = scanned.prepare(&crate::Edits::default(), format).unwrap();
            let lost = prepared.losses.iter().any(|loss| loss.to_string().contains("guardrails"));
            assert!(!lost && !String::from_utf8_lossy(&prepared.body).contains("guardrails"), "{fields}");
        }
    }
    for (fields, at) in [
        (r#""guardrails":5"#, "guardrails"),
        (r#""guardrails":{"a":{}}"#, "guardrails"),
        (r#""guardrails":["a",5]"#, "guardrails"),
        (r#""metadata":{"guardrails":[5]}"#, "metadata.guardrails"),
    ] {
        let error = chat(&with(fields)).unwrap_err();
        assert_eq!(error.param(), Some(at), "{fields}: {error}");
    }
    let many: Vec<_> = (0..65).map(|n| format!("\"g{n}\"")).collect();
    let many = format!("\"guardrails\":[{}]", many.join(","));
    assert_eq!(chat(&with(&many)).unwrap_err().param(), Some("guardrails"));
}
