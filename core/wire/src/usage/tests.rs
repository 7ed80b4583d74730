use super::*;

fn chat(text: &str) -> Result<Option<Usage>, Absurd> {
    openai(Val::parse(text).unwrap()).map(|counts| counts.map(|counts| counts.usage))
}

fn anthropic(parts: &[&str]) -> Result<Option<Usage>, Absurd> {
    let mut counts = AnthropicCounts::default();
    for part in parts {
        counts.merge(Val::parse(part).unwrap());
    }
    counts.usage().map(|counts| counts.map(|counts| counts.usage))
}

#[test]
fn what_is_not_said_is_known_to_be_missing() {
    let missing = |counts: Counts| (counts.input_missing, counts.output_missing);
    for (text, want, used) in [
        (r#"{"prompt_tokens":10,"completion_tokens":4}"#, (false, false), (10, 4)),
        (r#"{"prompt_tokens":10}"#, (false, true), (10, 0)),
        (r#"{"prompt_tokens":10,"completion_tokens":null}"#, (false, true), (10, 0)),
        (r#"{"completion_tokens":4}"#, (true, false), (0, 4)),
        (r#"{"prompt_tokens":10,"total_tokens":14}"#, (false, false), (10, 4)),
        (r#"{"completion_tokens":4,"total_tokens":14}"#, (false, false), (10, 4)),
    ] {
        let counts = openai(Val::parse(text).unwrap()).unwrap().unwrap();
        assert_eq!(missing(counts), want, "{text}");
        assert_eq!((counts.usage.input_tokens(), counts.usage.output_tokens()), used, "{text}");
    }
    let mut counts = AnthropicCounts::default();
    counts.begin(Val::trusted(r#"{"input_tokens":7,"output_tokens":1}"#));
    assert_eq!(counts.usage().unwrap().map(missing), Some((false, true)));
    counts.merge(Val::trusted(r#"{"output_tokens":9}"#));
    assert_eq!(counts.usage().unwrap().map(missing), Some((false, false)));
}

#[test]
fn usage_is_found_in_answers_of_any_known_shape() {
    let plain = Usage { input_uncached: 5, output_visible: 7, ..Usage::default() };
    for (answer, want) in [
        (r#"{"usage":{"prompt_tokens":5,"completion_tokens":7}}"#, Some(plain)),
        (r#"{"type":"message","usage":{"input_tokens":5,"output_tokens":7}}"#, Some(plain)),
        (r#"{"usage":{"input_tokens":5,"output_tokens":7,"total_tokens":12}}"#, Some(plain)),
        (r#"{"usageMetadata":{"promptTokenCount":5,"candidatesTokenCount":7}}"#, Some(plain)),
        ("data: {\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":7}}\n\ndata: [DONE]\n\n", Some(plain)),
        (
            "event: response.completed\ndata: {\"response\":{\"usage\":{\"input_tokens\":5,\"output_tokens\":7}}}\n\n",
            Some(plain),
        ),
        (
            r#"{"usage":{"billed_units":{"input_tokens":5,"output_tokens":7},"tokens":{"input_tokens":70,"output_tokens":9}}}"#,
            Some(plain),
        ),
        (
            "data: {\"type\":\"message-end\",\"delta\":{\"usage\":{\"billed_units\":{\"input_tokens\":5,\"output_tokens\":7}}}}\n\n",
            Some(plain),
        ),
        (r#"{"message":{"content":"a"},"done":true,"prompt_eval_count":5,"eval_count":7}"#, Some(plain)),
        (
            "{\"message\":{\"content\":\"a\"}}\n{\"done\":true,\"prompt_eval_count\":5,\"eval_count\":7}\n",
            Some(plain),
        ),
        (r#"{"data":[]}"#, None),
        ("not json", None),
        (r#"{"usage":{"prompt_tokens":-5,"completion_tokens":7}}"#, None),
    ] {
        assert_eq!(said_in(b"", answer.as_bytes()), want, "{answer}");
    }
}

#[test]
fn what_went_into_a_stream_of_anthropics_stands_at_its_beginning() {
    let start = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"type\":\"message\",\"usage\":{\"input_tokens\":5,\"cache_read_input_tokens\":3,\"output_tokens\":1}}}\n\n";
    let end = "data: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":7}}\n\ndata: {\"type\":\"message_stop\"}\n\n";
    let want = Usage { input_uncached: 5, cache_read: 3, output_visible: 7, ..Usage::default() };
    assert_eq!(said_in(b"", format!("{start}{end}").as_bytes()), Some(want));
    // The end alone, with a beginning that was cut somewhere behind its first event.
    let beginning = format!("{start}data: {{\"type\":\"content_blo");
    assert_eq!(said_in(beginning.as_bytes(), end.as_bytes()), Some(want));
    let only_end = Usage { output_visible: 7, ..Usage::default() };
    assert_eq!(said_in(b"data: {}\n\n", end.as_bytes()), Some(only_end));
    // Broken off before anything was said of the output.
    assert_eq!(said_in(b"", start.as_bytes()).map(|usage| usage.input_tokens()), Some(8));
}

#[test]
fn answers_of_any_shape_tell_what_they_searched() {
    for (answer, want) in [
        (r#"{"usage":{"prompt_tokens":5,"completion_tokens":7,"num_search_queries":3}}"#, 3),
        (r#"{"model":"gpt-5-search-api","usage":{"prompt_tokens":5,"completion_tokens":7}}"#, 1),
        (
            r#"{"output":[{"type":"web_search_call"},{"type":"web_search_call","action":{"type":"find_in_page"}}],"usage":{"input_tokens":5,"output_tokens":7}}"#,
            1,
        ),
        (
            r#"{"modelVersion":"gemini-3.5-flash","candidates":[{"groundingMetadata":{"webSearchQueries":["a","b"]}}],"usageMetadata":{"promptTokenCount":5,"candidatesTokenCount":7}}"#,
            2,
        ),
        (
            r#"{"modelVersion":"gemini-2.5-pro","candidates":[{"groundingMetadata":{"webSearchQueries":["a","b"]}}],"usageMetadata":{"promptTokenCount":5,"candidatesTokenCount":7}}"#,
            1,
        ),
    ] {
        assert_eq!(said_in(b"", answer.as_bytes()).map(|usage| usage.searches), Some(want), "{answer}");
    }
}

#[test]
fn one_absurd_count_spoils_the_ones_after_it() {
    let got = anthropic(&[r#"{"input_tokens":5,"cache_read_input_tokens":-1}"#, r#"{"output_tokens":9}"#]);
    assert_eq!(got, Err(Absurd));
}

#[test]
fn writes_to_the_cache_count_when_only_their_split_is_said() {
    let split = r#"{"input_tokens":1,"cache_creation":{"ephemeral_5m_input_tokens":10,"ephemeral_1h_input_tokens":20},"output_tokens":1}"#;
    let usage = anthropic(&[split]).unwrap().unwrap();
    assert_eq!((usage.cache_write, usage.cache_write_1h), (10, 20));
}

#[test]
fn chat_counts_what_is_inside_what() {
    let got = chat(
        r#"{"prompt_tokens":100,"completion_tokens":50,"total_tokens":150,
            "prompt_tokens_details":{"cached_tokens":60,"cache_write_tokens":10,"audio_tokens":5},
            "completion_tokens_details":{"reasoning_tokens":20,"audio_tokens":3}}"#,
    );
    let want = Usage {
        input_uncached: 25,
        cache_read: 60,
        cache_write: 10,
        audio_in: 5,
        output_visible: 27,
        output_reasoning: 20,
        audio_out: 3,
        ..Usage::default()
    };
    assert_eq!(got, Ok(Some(want)));
    assert_eq!((want.input_tokens(), want.output_tokens()), (100, 50));
}

#[test]
fn what_an_explicit_cache_was_given_is_inside_the_prompt() {
    let got = chat(
        r#"{"prompt_tokens":2000,"completion_tokens":5,"total_tokens":2005,"prompt_tokens_details":{"cached_tokens":0,
            "cache_creation_input_tokens":1800,"cache_creation":{"ephemeral_5m_input_tokens":1800},"cache_type":"ephemeral"}}"#,
    );
    let want = Usage { input_uncached: 200, cache_write: 1_800, output_visible: 5, ..Usage::default() };
    assert_eq!(got, Ok(Some(want)));
}

#[test]
fn cached_images_are_among_what_was_cached_and_counted_once() {
    let images = |prompt: u64, cached: u64, images: u64| {
        let text = format!(
            r#"{{"prompt_tokens":{prompt},"completion_tokens":50,
                "prompt_tokens_details":{{"cached_tokens":{cached},"image_tokens":{images}}},
                "completion_tokens_details":{{"image_tokens":40}}}}"#
        );
        let usage = chat(&text).unwrap().unwrap();
        assert_eq!((usage.input_tokens(), usage.output_tokens()), (prompt, 50), "{text}");
        assert_eq!((usage.output_visible, usage.image_out), (10, 40));
        (usage.input_uncached, usage.cache_read, usage.image_in)
    };
    assert_eq!(images(1_000, 0, 800), (200, 0, 800));
    assert_eq!(images(1_000, 100, 800), (100, 100, 800));
    assert_eq!(images(1_000, 900, 800), (0, 900, 100));
    assert_eq!(images(1_000, 1_000, 800), (0, 1_000, 0));
}

#[test]
fn searches_are_counted_and_the_last_count_stands() {
    let got = anthropic(&[
        r#"{"input_tokens":7,"output_tokens":1,"server_tool_use":{"web_search_requests":1}}"#,
        r#"{"output_tokens":15,"server_tool_use":{"web_search_requests":3,"web_fetch_requests":9}}"#,
    ]);
    assert_eq!(got.unwrap().unwrap().searches, 3);
}

#[test]
fn reasoning_beside_the_completion_is_told_by_the_total() {
    let beside = chat(
        r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":22,"completion_tokens_details":{"reasoning_tokens":7}}"#,
    );
    assert_eq!(beside.unwrap().unwrap().output_tokens(), 12);
    for (more_than_all, want) in [
        // The whole has room for it.
        (
            r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":30,"completion_tokens_details":{"reasoning_tokens":7}}"#,
            Ok(12),
        ),
        (
            r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15,"completion_tokens_details":{"reasoning_tokens":7}}"#,
            Err(Absurd),
        ),
        (
            r#"{"prompt_tokens":10,"completion_tokens":5,"completion_tokens_details":{"reasoning_tokens":7}}"#,
            Err(Absurd),
        ),
        (
            r#"{"prompt_tokens":10,"completion_tokens":5,"completion_tokens_details":{"reasoning_tokens":5}}"#,
            Ok(5),
        ),
    ] {
        let output = chat(more_than_all).map(|usage| usage.unwrap_or_default().output_tokens());
        assert_eq!(output, want, "{more_than_all}");
    }
}

#[test]
fn other_names_for_cached_tokens_count() {
    for text in [
        r#"{"prompt_tokens":10,"completion_tokens":1,"prompt_cache_hit_tokens":4,"prompt_cache_miss_tokens":6}"#,
        r#"{"prompt_tokens":10,"completion_tokens":1,"cached_tokens":4}"#,
    ] {
        let usage = chat(text).unwrap().unwrap();
        assert_eq!((usage.input_uncached, usage.cache_read), (6, 4), "{text}");
    }
}

#[test]
fn absurd_numbers_are_rejected_and_missing_ones_are_none() {
    for text in [
        r#"{"prompt_tokens":-1,"completion_tokens":1}"#,
        r#"{"prompt_tokens":1,"completion_tokens":99999999999999999999}"#,
        r#"{"prompt_tokens":1.5,"completion_tokens":1}"#,
        r#"{"prompt_tokens":100000000,"completion_tokens":1}"#,
        r#"{"prompt_tokens":1,"completion_tokens":3000000000}"#,
        r#"{"prompt_tokens":10,"prompt_tokens_details":{"cached_tokens":11}}"#,
    ] {
        assert_eq!(chat(text), Err(Absurd), "{text}");
    }
    assert_eq!(chat("{}"), Ok(None));
    assert_eq!(chat(r#"{"prompt_tokens":null}"#), Ok(None));
    assert_eq!(anthropic(&[r#"{"input_tokens":-5}"#]), Err(Absurd));
    assert_eq!(
        anthropic(&[r#"{"input_tokens":5,"output_tokens":1,"output_tokens_details":{"thinking_tokens":2}}"#]),
        Err(Absurd)
    );
    assert_eq!(anthropic(&["{}"]), Ok(None));
}

#[test]
fn thoughts_and_the_prompts_of_tools_are_extra() {
    let read = |text: &str| gemini(Val::parse(text).unwrap()).map(|c| c.map(|c| c.usage));
    let got = read(
        r#"{"promptTokenCount":100,"cachedContentTokenCount":60,"toolUsePromptTokenCount":7,"candidatesTokenCount":20,"thoughtsTokenCount":30,"totalTokenCount":157,
            "promptTokensDetails":[{"modality":"TEXT","tokenCount":90},{"modality":"AUDIO","tokenCount":10}]}"#,
    );
    let want = Usage {
        input_uncached: 37,
        cache_read: 60,
        audio_in: 10,
        output_visible: 20,
        output_reasoning: 30,
        ..Usage::default()
    };
    assert_eq!(got, Ok(Some(want)));
    assert_eq!((want.input_tokens(), want.output_tokens()), (107, 50));
    // Thoughts among the candidates, only thoughts so far, and a count that is left out.
    for (text, visible, reasoning) in [
        (
            r#"{"promptTokenCount":10,"candidatesTokenCount":50,"thoughtsTokenCount":30,"totalTokenCount":60}"#,
            20,
            30,
        ),
        (r#"{"promptTokenCount":10,"thoughtsTokenCount":30,"totalTokenCount":40}"#, 0, 30),
        (r#"{"promptTokenCount":10,"totalTokenCount":14}"#, 4, 0),
        (r#"{"prompt_token_count":10,"candidates_token_count":4}"#, 4, 0),
    ] {
        let usage = read(text).unwrap().unwrap();
        assert_eq!((usage.output_visible, usage.output_reasoning), (visible, reasoning), "{text}");
    }
    assert_eq!(read(r#"{"promptTokenCount":10,"cachedContentTokenCount":11}"#), Err(Absurd));
    assert_eq!(read(r#"{"trafficType":"ON_DEMAND"}"#), Ok(None));
}

#[test]
fn what_a_session_wrote_to_its_cache_stands_with_its_turns() {
    let read = |turns: &str| {
        let text = format!(
            r#"{{"input_tokens":1524,"input_tokens_details":{{"cached_tokens":1305}},"output_tokens":9,"x_details":[{turns}]}}"#
        );
        responses(Val::parse(&text).unwrap()).unwrap().unwrap().usage
    };
    let turn = r#"{"input_tokens":1524,"prompt_tokens_details":{"cache_creation_input_tokens":100,"cached_tokens":1305}}"#;
    for (turns, written) in
        [(String::new(), 0), (turn.to_owned(), 100), (format!("{turn},{turn}"), 200), ("{}".to_owned(), 0)]
    {
        let usage = read(&turns);
        let got = (usage.input_uncached, usage.cache_read, usage.cache_write);
        assert_eq!(got, (219 - written, 1305, written), "{turns}");
    }
}

#[test]
fn anthropic_counts_replace_and_cache_stands_beside() {
    // Cumulative values are not added up.
    let got = anthropic(&[
        r#"{"input_tokens":7,"cache_read_input_tokens":100,"cache_creation_input_tokens":30,"cache_creation":{"ephemeral_5m_input_tokens":10,"ephemeral_1h_input_tokens":20},"output_tokens":1}"#,
        r#"{"output_tokens":15}"#,
        r#"{"input_tokens":7,"output_tokens":40,"output_tokens_details":{"thinking_tokens":25}}"#,
    ]);
    let want = Usage {
        input_uncached: 7,
        cache_read: 100,
        cache_write: 10,
        cache_write_1h: 20,
        output_visible: 15,
        output_reasoning: 25,
        ..Usage::default()
    };
    assert_eq!(got, Ok(Some(want)));
}

proptest::proptest! {
    #[test]
    fn written_usage_reads_back(
        a in 0u64..1 << 20, b in 0u64..1 << 20, c in 0u64..1 << 20, d in 0u64..1 << 20, e in 0u64..1 << 20, f in 0u64..1 << 20,
    ) {
        let usage = Usage { input_uncached: a, cache_read: b, cache_write: c, cache_write_1h: d, output_visible: e, output_reasoning: f, ..Usage::default() };
        assert_eq!(anthropic(&[&write_anthropic(&usage, None)]), Ok(Some(usage)));
        let read = gemini(Val::parse(&write_gemini(&usage)).unwrap()).unwrap().unwrap().usage;
        // Gemini's has none for it at all.
        assert_eq!(read, Usage { input_uncached: a + c + d, cache_write: 0, cache_write_1h: 0, ..usage });
        let back = chat(&write_openai(&usage)).unwrap().unwrap();
        // OpenAI's format has one bucket for what is written to the cache.
        assert_eq!(back, Usage { cache_write: c + d, cache_write_1h: 0, ..usage });
    }
}

#[test]
fn what_cohere_bills_is_counted_and_not_what_its_template_takes() {
    let read = |text: &str| cohere(Val::parse(text).unwrap());
    for (text, want) in [
        (
            r#"{"billed_units":{"input_tokens":5.0,"output_tokens":7},"tokens":{"input_tokens":70,"output_tokens":9},"cached_tokens":64}"#,
            (0, 5, 7),
        ),
        (r#"{"billed_units":{"input_tokens":50,"output_tokens":7},"cached_tokens":16}"#, (34, 16, 7)),
        (r#"{"tokens":{"input_tokens":70,"output_tokens":9}}"#, (70, 0, 9)),
        (r#"{"billed_units":{"search_units":1},"tokens":{"input_tokens":70,"output_tokens":9}}"#, (70, 0, 9)),
    ] {
        let usage = read(text).unwrap().unwrap().usage;
        assert_eq!((usage.input_uncached, usage.cache_read, usage.output_visible), want, "{text}");
    }
    assert_eq!(read("{}"), Ok(None));
    assert_eq!(read(r#"{"billed_units":{"input_tokens":-1}}"#), Err(Absurd));
}

#[test]
fn ollama_may_leave_out_what_its_cache_held() {
    let read = |text: &str| ollama(Val::parse(text).unwrap()).unwrap();
    let counts = read(r#"{"done":true,"eval_count":7}"#).unwrap();
    assert_eq!((counts.input_missing, counts.output_missing, counts.usage.output_visible), (true, false, 7));
    assert_eq!(read(r#"{"done":true}"#), None);
}

#[test]
fn sound_and_images_from_a_cache_are_told_apart() {
    let whole = Usage {
        input_uncached: 100,
        cache_read: 50,
        cache_read_audio: 30,
        cache_read_image: 20,
        audio_in: 70,
        image_in: 5,
        output_visible: 9,
        ..Usage::default()
    };
    let details = r#"{"cached_tokens":100,"text_tokens":150,"audio_tokens":100,"image_tokens":25,"cached_tokens_details":{"text_tokens":50,"audio_tokens":30,"image_tokens":20}}"#;
    let text = format!(
        r#"{{"prompt_tokens":275,"completion_tokens":9,"total_tokens":284,"prompt_tokens_details":{details}}}"#
    );
    assert_eq!(chat(&text).unwrap(), Some(whole));
    let text = format!(
        r#"{{"input_tokens":275,"output_tokens":9,"total_tokens":284,"input_tokens_details":{details}}}"#
    );
    let of_responses = responses(Val::parse(&text).unwrap()).unwrap().map(|counts| counts.usage);
    assert_eq!(of_responses, Some(whole));
    let text = r#"{"promptTokenCount":275,"cachedContentTokenCount":100,"candidatesTokenCount":9,"totalTokenCount":284,
        "promptTokensDetails":[{"modality":"TEXT","tokenCount":150},{"modality":"AUDIO","tokenCount":100},{"modality":"IMAGE","tokenCount":25}],
        "cacheTokensDetails":[{"modality":"TEXT","tokenCount":50},{"modality":"AUDIO","tokenCount":30},{"modality":"IMAGE","tokenCount":20}]}"#;
    let of_gemini = gemini(Val::parse(text).unwrap()).unwrap().map(|counts| counts.usage);
    assert_eq!(of_gemini, Some(whole));
    // What is written is read as the same; where a format has no place for it, it is among what was cached.
    assert_eq!(chat(&write_openai(&whole)).unwrap(), Some(whole));
    assert_eq!(
        responses(Val::parse(&write_responses(&whole)).unwrap()).unwrap().map(|counts| counts.usage),
        Some(whole)
    );
    assert_eq!(
        gemini(Val::parse(&write_gemini(&whole)).unwrap()).unwrap().map(|counts| counts.usage),
        Some(whole)
    );
    let plain = anthropic(&[&write_anthropic(&whole, None)]).unwrap().unwrap();
    assert_eq!((plain.cache_read, plain.input_tokens()), (100, 275));
    // Parts that are more than the whole are cut: nothing is charged twice.
    let text = r#"{"prompt_tokens":10,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":6,"audio_tokens":2,"cached_tokens_details":{"audio_tokens":9}}}"#;
    let cut = chat(text).unwrap().unwrap();
    assert_eq!((cut.cache_read, cut.cache_read_audio, cut.audio_in, cut.input_uncached), (0, 6, 0, 4));
}
