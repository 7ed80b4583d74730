//! What a call may cost at most: text, media, what is stored elsewhere, caches.

use super::{anthropic, chat, content, with};
use crate::scan::*;
use sluicegate_core::count::{Counting, IMAGE_TOKENS_MAX, ImageRule};

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
fn what_a_translation_adds_is_within_what_is_reserved() {
    let leaf = |n: usize| format!(r#""p{n}":{{"type":"object","properties":{{"x{n}":{{"minimum":1}}}}}}"#);
    let leaves: Vec<String> = (0..60).map(leaf).collect();
    let plain = format!(r#"{{"type":"object","properties":{{{}}}}}"#, leaves.join(","));
    // Each name says all of a definition, joined with more or as it is.
    let multiplied = |used: &dyn Fn(usize) -> String, times: usize| {
        let used: Vec<String> = (0..times).map(|n| format!(r#""q{n}":{}"#, used(n))).collect();
        format!(
            r#"{{"type":"object","properties":{{{}}},"$defs":{{"d":{{"properties":{{{}}}}}}}}}"#,
            used.join(","),
            leaves[..20].join(",")
        )
    };
    let joined = multiplied(&|_| r##"{"allOf":[{"$ref":"#/$defs/d"},{"required":[]}]}"##.to_owned(), 8);
    let named = multiplied(&|_| r##"{"$ref":"#/$defs/d"}"##.to_owned(), 40);
    let hidden = multiplied(&|_| r##"{"$re\u0066":"#/$defs/d"}"##.to_owned(), 40);
    let endless = multiplied(&|_| r##"{"$ref":"#/$defs/d"}"##.to_owned(), 4_000);
    let form = |schema: &str| {
        format!(
            r#""response_format":{{"type":"json_schema","json_schema":{{"name":"r","schema":{schema}}}}}"#
        )
    };
    let tool = |more: &str, schema: &str| {
        format!(r#""tools":[{{"type":"function","function":{{"name":"f",{more}"parameters":{schema}}}}}]"#)
    };
    let (mut grew, mut multiplied) = (0, 0);
    for schema in [r#"{"type":"object"}"#.to_owned(), plain, joined, named, hidden, endless] {
        for rest in [
            form(&schema),
            tool(r#""strict":true,"#, &schema),
            tool(r#""\u0073trict":true,"#, &schema),
            tool("", &schema),
            r#""response_format":{"type":"json_object"}"#.to_owned(),
        ] {
            let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"hi"}}],{rest}}}"#);
            for (sends, asked) in sent(Format::OpenaiChat, body) {
                grew += u32::from(sends > asked + 256);
                multiplied += u32::from(sends > 4 * asked);
            }
        }
    }
    assert!(grew > 8 && multiplied > 4, "{grew} would have passed what is reserved, {multiplied} far");
}

/// What is sent to each target of a body, and what was asked, both by their bounds: with what is reserved on top it is never more.
fn sent(format: Format, body: String) -> Vec<(u64, u64)> {
    let at = |model| Some(crate::Addressed { model, stream: false });
    let scanned = crate::scan_addressed(format, &Bytes::from(body.clone()), at("m")).unwrap();
    let (facts, body) = (scanned.facts(), &body[..body.len().min(400)]);
    let mut all = Vec::new();
    for (target, model) in [
        (Format::AnthropicMessages, "claude-opus-4-5"),
        (Format::GeminiGenerate, "gemini-2.0-flash"),
        (Format::GeminiGenerate, "gemini-2.5-pro"),
        (Format::OpenaiResponses, "gpt-5.2"),
        (Format::OpenaiChat, "gpt-4o"),
        (Format::CohereChat, "command-a-03-2025"),
        (Format::OllamaChat, "qwen3:8b"),
    ] {
        if target == format {
            continue;
        }
        let edits = crate::Edits { model: Some(model), ..crate::Edits::default() };
        let sent = scanned.prepare(&edits, target);
        let sent = sent.unwrap_or_else(|e| panic!("{target:?} refuses {body}: {e}")).body;
        // What upstreams alone speak is counted by its text, without white space between words.
        let sends = if target.is_upstream_only() {
            crate::json::compact(std::str::from_utf8(&sent).unwrap()).len() as u64
        } else {
            crate::scan_addressed(target, &sent, at(model)).unwrap().facts().input_bound().unwrap()
        };
        let asked = facts.input_bound().unwrap();
        let extra = facts.translated.at(target, model);
        assert!(sends <= asked + extra, "{sends} of {asked} + {extra} to {target:?}: {body}");
        all.push((sends, asked));
    }
    all
}

#[test]
fn what_is_said_between_turns_is_within_what_is_reserved() {
    let said = |role: &str, text: &str| format!(r#"{{"role":"{role}","content":"{text}"}}"#);
    let many = |n: usize, of: &dyn Fn(usize) -> String| (0..n).map(of).collect::<Vec<_>>().join(",");
    let name = "f".repeat(60);
    let call = |n: usize| {
        format!(r#"{{"id":"c{n}","type":"function","function":{{"name":"{name}","arguments":"{{}}"}}}}"#)
    };
    let calls = |n: usize| format!(r#"{{"role":"assistant","tool_calls":[{}]}}"#, many(n, &call));
    let result = |n: usize| format!(r#"{{"role":"tool","tool_call_id":"c{n}","content":"1"}}"#);
    let (asks, answers) = (["user", "assistant"], ["assistant", "user"]);
    // A word is a token here: what the markup of a format takes up isn't sent to the model as such.
    let words = |text: &str| text.split_whitespace().count() as u64;
    let mut grew = 0;
    for turns in [
        // An answer that is begun, one before there was a question, that alone, and many of each.
        many(2, &|n| said(asks[n], "hi")),
        many(2, &|n| said(answers[n], "hi")),
        said("assistant", "hi"),
        many(400, &|n| said(asks[n % 2], "hi")),
        many(401, &|n| said(answers[n % 2], "a b c")),
        many(300, &|n| said(["system", "user", "user", "assistant"][n % 4], "a")),
        // Calls with their results, without, and results without their calls.
        format!("{},{},{}", said("user", "hi"), calls(100), many(100, &result)),
        format!("{},{}", said("user", "hi"), many(100, &|_| format!("{},{}", calls(1), result(0)))),
        format!("{},{},{}", said("user", "hi"), calls(100), said("user", "well")),
        format!("{},{}", said("user", "hi"), many(100, &result)),
    ] {
        let body = format!(r#"{{"model":"m","messages":[{turns}]}}"#);
        let asked = chat(&body).unwrap();
        let bound = asked.input_bound_by(&words).unwrap();
        for (target, model) in [
            (Format::AnthropicMessages, "claude-opus-4-6"),
            (Format::GeminiGenerate, "gemini-2.0-flash"),
            (Format::GeminiGenerate, "gemini-3-pro"),
            (Format::CohereChat, "command-a-03-2025"),
            (Format::OllamaChat, "qwen3:8b"),
        ] {
            let edits = crate::Edits { model: Some(model), ..crate::Edits::default() };
            let sent = asked.prepare(&edits, target);
            let sent = sent.unwrap_or_else(|e| panic!("{target:?} refuses {body:.200}: {e}")).body;
            // Plain turns of what upstreams alone speak look like chat's.
            let read_as = if target.is_upstream_only() { Format::OpenaiChat } else { target };
            let at = Some(crate::Addressed { model, stream: false });
            let sends = crate::scan_addressed(read_as, &sent, at).unwrap().tokens_by(&words);
            let extra = asked.facts().translated.at(target, model);
            assert!(sends <= bound + extra, "{sends} of {bound} + {extra} to {target:?}: {body:.200}");
            grew += u32::from(sends > asked.tokens_by(&words) + 16);
        }
    }
    assert!(grew > 4, "only {grew} have more to say");
}

#[test]
fn what_is_said_of_tools_is_within_what_is_reserved() {
    let name = |n: usize, length: usize| format!("f{n}{}", "x".repeat(length));
    let grammar = r#"start: \"a\" | /b\\d/\n  | \"\u00e9\""#;
    let mut grew = 0;
    for length in [0, 40, 60, 200] {
        let each =
            |of: &dyn Fn(&str) -> String| (0..30).map(|n| of(&name(n, length))).collect::<Vec<_>>().join(",");
        let tools = [
            (Format::OpenaiChat, each(&|n| format!(r#"{{"type":"custom","custom":{{"name":"{n}"}}}}"#))),
            (
                Format::OpenaiChat,
                each(&|n| format!(r#"{{"\u0063ustom":{{"name":"{n}","description":"d"}}}}"#)),
            ),
            (
                Format::OpenaiChat,
                each(&|n| {
                    format!(
                        r#"{{"type":"custom","custom":{{"name":"{n}","format":{{"type":"grammar","grammar":{{"syntax":"lark","definition":"{grammar}"}}}}}}}}"#
                    )
                }),
            ),
            (Format::OpenaiChat, each(&|n| format!(r#"{{"type":"function","function":{{"name":"{n}"}}}}"#))),
            (Format::OpenaiChat, each(&|n| format!(r#"{{"function":{{"name":"{n}","strict":true}}}}"#))),
            (
                Format::OpenaiChat,
                each(&|n| {
                    format!(
                        r#"{{"function":{{"name":"{n}","strict":true,"parameters":{{"properties":{{"a":{{"minimum":1}}}}}}}}}}"#
                    )
                }),
            ),
            (Format::OpenaiResponses, each(&|n| format!(r#"{{"type":"custom","name":"{n}"}}"#))),
            (Format::OpenaiResponses, each(&|n| format!(r#"{{"type":"c\u0075stom","name":"{n}"}}"#))),
            (
                Format::OpenaiResponses,
                each(&|n| {
                    format!(
                        r#"{{"type":"custom","name":"{n}","format":{{"type":"grammar","syntax":"regex","definition":"{grammar}"}}}}"#
                    )
                }),
            ),
            (Format::OpenaiResponses, each(&|n| format!(r#"{{"type":"function","name":"{n}"}}"#))),
            (Format::AnthropicMessages, each(&|n| format!(r#"{{"name":"{n}","input_schema":{{}}}}"#))),
            (Format::AnthropicMessages, each(&|n| format!(r#"{{"name":"{n}","strict":true}}"#))),
        ];
        for (format, tools) in tools {
            let said = match format {
                Format::OpenaiResponses => r#""input":"hi""#,
                _ => r#""messages":[{"role":"user","content":"hi"}],"max_tokens":99"#,
            };
            for (sends, asked) in sent(format, format!(r#"{{"model":"m",{said},"tools":[{tools}]}}"#)) {
                grew += u32::from(sends > asked + 256);
            }
        }
        let declared = each(&|n| format!(r#"{{"name":"{n}","parameters":{{"nullable":true,"any_of":[]}}}}"#));
        let body = format!(
            r#"{{"contents":[{{"parts":[{{"text":"hi"}}]}}],"tools":[{{"functionDeclarations":[{declared}]}}]}}"#
        );
        sent(Format::GeminiGenerate, body);
    }
    assert!(grew > 40, "{grew} would have passed what is reserved");
}

#[test]
fn white_space_in_a_schema_is_within_what_is_reserved() {
    // An object that is one of several says so in words, each time with all that it may be.
    let blank = " ".repeat(20_000);
    let inner = format!(r#"{{"properties":{{"q":{{"not":{{"enum":[{blank}1]}}}}}}}}"#);
    let middle = format!(r#"{{"properties":{{"p":{{"type":"object","anyOf":[{inner}]}}}}}}"#);
    let schema = format!(r#"{{"type":"object","anyOf":[{middle}]}}"#);
    for fields in [
        format!(
            r#""response_format":{{"type":"json_schema","json_schema":{{"name":"r","schema":{schema}}}}}"#
        ),
        format!(
            r#""tools":[{{"type":"function","function":{{"name":"f","strict":true,"parameters":{schema}}}}}]"#
        ),
    ] {
        let all = sent(Format::OpenaiChat, with(&fields));
        assert!(all.iter().all(|(sends, _)| *sends < 4_000), "{all:?}");
    }
}

#[test]
fn schemas_in_geminis_words_are_within_what_is_reserved() {
    let leaves: Vec<String> = (0..60)
        .map(|n| format!(r#""p{n}":{{"type":"OBJECT","properties":{{"x{n}":{{"minimum":1}}}}}}"#))
        .collect();
    let large = format!(r#"{{"type":"OBJECT","properties":{{{}}}}}"#, leaves.join(","));
    let used = |pointer: &str| -> String {
        let each = |n: usize| format!(r##""q{n}":{{"allOf":[{{"$ref":"{pointer}"}},{{}}]}}"##);
        (0..6).map(each).collect::<Vec<_>>().join(",")
    };
    let mut grew = 0;
    for schema in [
        // What a reference leads to has another name by the time that it is sent.
        format!(r##"{{"properties":{{"o":{{"any_of":[{large}]}},{}}}}}"##, used("#/properties/o/anyOf/0")),
        format!(r##"{{"properties":{{"o":{{"any_of":[{large}]}},{}}}}}"##, used("#/properties/o/any_of/0")),
        format!(
            r##"{{"properties":{{{}}},"pattern_properties":{{"a":{large}}}}}"##,
            used("#/patternProperties/a")
        ),
        format!(r#"{{"nullable":true,{}"any_of":[{large}]}}"#, r#""any_of":[],"#.repeat(200)),
        large.clone(),
    ] {
        for name in ["responseSchema", "response_schema", "responseJsonSchema"] {
            let body = format!(
                r#"{{"contents":[{{"parts":[{{"text":"hi"}}]}}],"generationConfig":{{"responseMimeType":"application/json","{name}":{schema}}}}}"#
            );
            for (sends, asked) in sent(Format::GeminiGenerate, body) {
                grew += u32::from(sends > 4 * asked);
            }
        }
    }
    assert!(grew > 2, "{grew} would have passed what is reserved");
}

#[test]
fn only_what_is_written_otherwise_is_reserved() {
    let of = |schema: usize| 2 * schema as u64 + 128;
    let (plain, refers) =
        (r#"{"type":"object"}"#, r##"{"items":{"$ref":"#/$defs/a"},"$defs":{"a":{"type":"string"}}}"##);
    let tool = |more: &str, schema: &str| {
        format!(r#""tools":[{{"type":"function","function":{{"name":"f"{more},"parameters":{schema}}}}}]"#)
    };
    let whole = |fields: &str| fields.len() - r#""tools":"#.len();
    let once = tool("", plain);
    for (fields, closed, written_out) in [
        (r#""stop":"x""#.to_owned(), 0, 0),
        (once.clone(), 0, of(whole(&once))),
        (tool(r#","strict":true"#, plain), of(plain.len()), of(plain.len())),
        (tool(r#","\u0073trict":true"#, plain), of(plain.len()), of(plain.len())),
        (tool(r#","strict":false"#, plain), 0, of(plain.len())),
        (tool("", refers), 0, of(refers.len() + 17)),
        (tool(r#","description":"\u4f60""#, plain), 0, of(whole(&tool(r#","description":"\u4f60""#, plain)))),
        (
            format!(
                r#""response_format":{{"type":"json_schema","json_schema":{{"name":"r","schema":{plain}}}}}"#
            ),
            of(plain.len()) + 512,
            of(plain.len()),
        ),
    ] {
        let translated = chat(&with(&fields)).unwrap().facts().translated;
        assert_eq!((translated.closed, translated.written_out), (closed, written_out), "{fields}");
        let tools = if fields.contains("tools") { 128 } else { 0 };
        let words = tools + if fields.contains("stop") { 128 } else { 256 };
        assert_eq!(translated.at(Format::OpenaiResponses, "m"), words, "{fields}");
        assert_eq!(translated.at(Format::GeminiGenerate, "gemini-2.5-pro"), words, "{fields}");
        assert_eq!(translated.at(Format::AnthropicMessages, "m"), words + closed, "{fields}");
        assert_eq!(
            translated.at(Format::GeminiGenerate, "models/gemini-2.0-flash"),
            words + written_out,
            "{fields}"
        );
    }
    // Each format has them elsewhere.
    let gemini = format!(
        r#"{{"contents":[{{"role":"user","parts":[{{"text":"a"}}]}}],"generation_config":{{"response_mime_type":"application/json","response_schema":{plain}}},"tools":[{{"function_declarations":[{{"name":"f","parameters_json_schema":{refers}}}]}}]}}"#
    );
    let at = Some(crate::Addressed { model: "m", stream: false });
    let found =
        crate::scan_addressed(Format::GeminiGenerate, &Bytes::from(gemini), at).unwrap().facts().translated;
    // Its tools are never strict, and its older models need no translation.
    assert_eq!((found.words, found.closed, found.written_out), (256 + 128, of(plain.len()), of(plain.len())));
    let tools = format!(
        r#""tools":[{{"name":"f","strict":true,"input_schema":{refers}}}],"output_config":{{"format":{{"type":"json_schema","schema":{plain}}}}}"#
    );
    let found = anthropic(&with(&tools)).unwrap().facts().translated;
    assert_eq!(found.closed, of(plain.len()) + of(refers.len() + 17));
    let responses = format!(
        r#"{{"model":"m","input":"a","text":{{"format":{{"type":"json_schema","name":"r","schema":{plain}}}}},"tools":[{{"type":"function","name":"f","strict":true,"parameters":{refers}}}]}}"#
    );
    let found = scan(Format::OpenaiResponses, &Bytes::from(responses)).unwrap().facts().translated;
    assert_eq!(found.closed, of(plain.len()) + of(refers.len() + 17));
}
