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
    let joined: Vec<String> =
        (0..6).map(|n| format!(r##""q{n}":{{"allOf":[{{"$ref":"#/$defs/d"}},{{}}]}}"##)).collect();
    let multiplied = format!(
        r#"{{"type":"object","properties":{{{}}},"$defs":{{"d":{{"properties":{{{}}}}}}}}}"#,
        joined.join(","),
        leaves[..20].join(",")
    );
    let mut grew = 0;
    for schema in [r#"{"type":"object"}"#.to_owned(), plain, multiplied] {
        for rest in [
            format!(
                r#""response_format":{{"type":"json_schema","json_schema":{{"name":"r","schema":{schema}}}}}"#
            ),
            format!(
                r#""tools":[{{"type":"function","function":{{"name":"f","strict":true,"parameters":{schema}}}}}]"#
            ),
            format!(
                r#""tools":[{{"type":"function","function":{{"name":"f","\u0073trict":true,"parameters":{schema}}}}}]"#
            ),
            r#""response_format":{"type":"json_object"}"#.to_owned(),
        ] {
            let body = format!(
                r#"{{"model":"gemini-2.0-flash","messages":[{{"role":"user","content":"hi"}}],{rest}}}"#
            );
            let scanned = scan(Format::OpenaiChat, &Bytes::from(body)).unwrap();
            let facts = scanned.facts();
            for target in [Format::AnthropicMessages, Format::GeminiGenerate, Format::OpenaiResponses] {
                let Ok(sent) = scanned.prepare(&crate::Edits::default(), target) else { continue };
                let at = Some(crate::Addressed { model: "m", stream: false });
                let sent = crate::scan_addressed(target, &sent.body, at).unwrap();
                let (asked, sends) = (facts.input_bound().unwrap(), sent.facts().input_bound().unwrap());
                assert!(
                    sends <= asked + facts.extra_translated(),
                    "{sends} of {asked} to {target:?}: {rest}"
                );
                grew += u32::from(sends > asked);
            }
        }
    }
    assert!(grew > 8, "{grew} would have passed what is reserved");
    let plain = scan(Format::OpenaiChat, &Bytes::from_static(br#"{"model":"m","messages":[{"role":"user","content":"hi"}],"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}]}"#)).unwrap();
    assert_eq!(plain.facts().extra_translated(), 256, "what isn't written otherwise takes nothing");
}
