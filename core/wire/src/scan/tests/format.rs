//! The fields that formats have of their own.

use super::{anthropic, chat, with};
use crate::scan::*;

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
fn tools_of_a_provider_have_no_bound_where_they_are_called() {
    let hosted = r#""tools":[{"type":"web_search"}]"#;
    let dear = r#""service_tier":"unheard-of""#;
    for (format, field, want) in [
        (Format::OpenaiResponses, hosted, Some("web_search")),
        (Format::OpenaiCompact, hosted, None),
        (Format::OpenaiInputTokens, hosted, None),
        (Format::OpenaiResponses, dear, Some("service_tier")),
        (Format::OpenaiCompact, dear, Some("service_tier")),
        (Format::OpenaiInputTokens, dear, None),
    ] {
        let body = Bytes::from(format!(r#"{{"model":"m","input":"hi",{field}}}"#));
        let scanned = crate::scan(Format::OpenaiResponses, &body).unwrap();
        let facts = scanned.facts();
        assert_eq!(facts.open_ended(format), want, "{format:?} {field}");
        assert_eq!(facts.call("c".into(), format).open_ended, want.is_some(), "{format:?} {field}");
    }
}

#[test]
fn whatever_lets_a_provider_search_is_a_concern() {
    let chat = r#""model":"m","messages":[{"role":"user","content":"hi"}]"#;
    let responses = r#""model":"m","input":"hi""#;
    for (format, start, field, hosted) in [
        (Format::OpenaiChat, chat, r#""web_search":{"enable":true}"#, true),
        (Format::OpenaiChat, chat, r#""web_search":{"enable":false}"#, false),
        (Format::OpenaiChat, chat, r#""web_search":{"enable":false,"enable":true}"#, true),
        (Format::OpenaiChat, chat, r#""web_search":{}"#, true),
        (Format::OpenaiChat, chat, r#""enable_enhancement":true"#, true),
        (Format::OpenaiChat, chat, r#""enable_enhancement":false"#, false),
        (Format::OpenaiChat, chat, r#""force_search_enhancement":true"#, true),
        (Format::OpenaiChat, chat, r#""with_search_enhance":true"#, true),
        (Format::OpenaiChat, chat, r#""tools":[{"web_search":{"enable":true}}]"#, true),
        (Format::OpenaiChat, chat, r#""tools":[{"name":"a"}]"#, true),
        (Format::OpenaiChat, chat, r#""tools":[{}]"#, true),
        (Format::OpenaiChat, chat, r#""tools":[{"type":null,"web_search":{}}]"#, true),
        (Format::OpenaiChat, chat, r#""tools":[{"function":{"name":"a"}}]"#, false),
        (Format::OpenaiChat, chat, r#""tools":[{"type":"function","function":{"name":"a"}}]"#, false),
        (Format::OpenaiChat, chat, r#""tools":[{"custom":{"name":"a"}}]"#, false),
        (Format::OpenaiResponses, responses, r#""tools":[{"web_search":{}}]"#, true),
        (Format::OpenaiResponses, responses, r#""tools":[{"type":"function","name":"a"}]"#, false),
        (Format::OpenaiResponses, responses, r#""prompt":{"id":"pmpt_1"}"#, true),
        (Format::OpenaiResponses, responses, r#""prompt":null"#, false),
    ] {
        let scanned = crate::scan(format, &Bytes::from(format!("{{{start},{field}}}"))).unwrap();
        assert_eq!(scanned.facts().has(Concern::Hosted), hosted, "{field}");
        assert_eq!(scanned.facts().input_bound().is_none(), hosted, "{field}");
    }
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
        (r#""contents":"a""#, "contents"),
        (r#""contents":{"parts":["x"]}"#, "contents.parts[]"),
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
fn stop_sequences_are_seen_in_every_format_that_has_them() {
    let body = r#""model":"m","max_tokens":9,"messages":[{"role":"user","content":"a"}]"#;
    let contents = r#""contents":[{"parts":[{"text":"a"}]}]"#;
    let at = Some(Addressed { model: "m", stream: false });
    for (format, fields, stops) in [
        (Format::OpenaiChat, format!(r#"{body},"stop":"x""#), true),
        (Format::OpenaiChat, format!(r#"{body},"stop":["x"]"#), true),
        (Format::OpenaiChat, format!(r#"{body},"stop":[]"#), false),
        (Format::OpenaiChat, format!(r#"{body},"stop":null"#), false),
        (Format::AnthropicMessages, format!(r#"{body},"stop_sequences":["x"]"#), true),
        (Format::AnthropicMessages, format!(r#"{body},"stop_sequences":[]"#), false),
        (
            Format::GeminiGenerate,
            format!(r#"{contents},"generation_config":{{"stop_sequences":["x"]}}"#),
            true,
        ),
        (Format::GeminiGenerate, format!(r#"{contents},"generationConfig":{{"stopSequences":[]}}"#), false),
    ] {
        let scanned = scan_addressed(format, &Bytes::from(format!("{{{fields}}}")), at).unwrap();
        assert_eq!(scanned.facts().needs.stops, stops, "{fields}");
    }
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
