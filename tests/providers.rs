//! The catalogue and its fixtures: `data/providers/FAMILY.yaml` holds, for the providers whose bytes are alike, a whole answer, a
//! stream, error bodies and usage, and for each quirk what it does. An entry counts when all of that is there and comes out
//! as it says.
//!
//! Fields: `model` (the upstream's name); `like` (a family with the same answers) or `chat`, `stream`, `errors` and `usage`;
//! `requests` (`body` is `sent` so, with these `losses`), `finish` (a `word` and the `stop` that it becomes), `think`, `headers`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};
use sluicegate::config::{Provider, providers, quirks_of};
use sluicegate::core::channel::{Endpoint, Secret};
use sluicegate::core::openai::is_openais;
use sluicegate::core::ports::SecretResolver;
use sluicegate::core::quirk::{BesideQuirk, Parameter, Quirks};
use sluicegate::core::snapshot::Declared;
use sluicegate::upstream::Targets;
use sluicegate::wire::{Bridge, BridgeOptions, Edits, End, Fault, Observed, Reply, scan};
use sluicegate::{Channel, Format, Snapshot};
use sluicegate_tests::data;

struct Family {
    name: String,
    format: Format,
    /// The upstream's name of the model that answers.
    model: String,
    quirks: Arc<Quirks>,
    fixture: Value,
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("`{name}` is missing in {value}"))
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().map_or(&[], Vec::as_slice)
}

fn fixture(family: &str) -> Value {
    let path = data().join("providers").join(format!("{family}.yaml"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
    serde_saphyr::from_str(&text).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
}

/// The families of the providers that are served.
fn families() -> Vec<Family> {
    let mut found: BTreeMap<&str, Provider> = BTreeMap::new();
    for provider in providers().filter(|it| it.is_served() && it.id != Provider::MOCK.id) {
        found.entry(provider.family).or_insert(provider);
    }
    found
        .into_iter()
        .map(|(name, provider)| (name, provider, fixture(name)))
        .map(|(name, provider, fixture)| Family {
            name: name.to_owned(),
            model: text(&fixture, "model").to_owned(),
            format: match provider.wire {
                "anthropic" => Format::AnthropicMessages,
                "gemini" => Format::GeminiGenerate,
                "cohere" => Format::CohereChat,
                "ollama" => Format::OllamaChat,
                _ => Format::OpenaiChat,
            },
            quirks: Arc::new(quirks_of(&provider)),
            fixture,
        })
        .collect()
}

impl Family {
    /// Its own answers, or those that it shares.
    fn answers(&self) -> Value {
        match self.fixture["like"].as_str() {
            Some(other) => fixture(other),
            None => self.fixture.clone(),
        }
    }

    /// A format of callers whose bytes pass here, or are translated with the least ado.
    fn nearest(&self) -> Format {
        if self.format.is_upstream_only() { Format::OpenaiChat } else { self.format }
    }

    /// What comes out for a caller of this format, and what was seen.
    fn bridge(&self, caller: Format, body: &str, streams: bool, caller_streams: bool) -> (String, Observed) {
        let mut bridge = Bridge::new(BridgeOptions {
            caller_streams,
            upstream_streams: streams,
            reply: Reply::at(&self.quirks, &self.model),
            ..BridgeOptions::new(caller, self.format)
        });
        let mut out = Vec::new();
        // In pieces that end anywhere.
        for piece in body.as_bytes().chunks(97) {
            bridge.push(Bytes::copy_from_slice(piece), &mut |bytes| out.extend_from_slice(&bytes));
        }
        bridge.finish(End::Eof, &mut |bytes| out.extend_from_slice(&bytes));
        (String::from_utf8(out).unwrap(), bridge.observed().clone())
    }

    /// An answer for a caller of the other format: text, reasoning, why it ended, usage.
    fn read(&self, body: &str, streams: bool) -> Value {
        let caller = match self.format {
            Format::AnthropicMessages => Format::OpenaiChat,
            _ => Format::AnthropicMessages,
        };
        let (out, seen) = self.bridge(caller, body, streams, false);
        let usage = json!(seen.usage);
        let whole: Value =
            serde_json::from_str(&out).unwrap_or_else(|_| json!({"error": format!("{:?}", seen.error)}));
        if caller == Format::OpenaiChat {
            let choice = &whole["choices"][0];
            let (text, reasoning) = (&choice["message"]["content"], &choice["message"]["reasoning_content"]);
            return json!({"text": text, "reasoning": reasoning, "stop": choice["finish_reason"], "usage": usage});
        }
        let blocks = |kind: &str| -> Option<String> {
            let of = list(&whole, "content").iter().filter(|block| block["type"] == kind);
            let all: Vec<&str> = of.map(|block| text(block, kind)).collect();
            (!all.is_empty()).then(|| all.concat())
        };
        json!({"text": blocks("text"), "reasoning": blocks("thinking"), "stop": whole["stop_reason"], "usage": usage, "error": whole["error"]})
    }
}

/// Whether an excerpt agrees with a whole. Counts of 0 aren't written.
fn agrees(want: &Value, got: &Value) -> bool {
    match want {
        Value::Object(members) => members.iter().all(|(name, want)| agrees(want, &got[name])),
        other => other == got || *other == json!(0) && got.is_null(),
    }
}

/// What a fixture shows a quirk by.
const PARTS: [&str; 10] = [
    "requests",
    "errors",
    "finish",
    "usage",
    "think",
    "thinking",
    "beside",
    "headers",
    "searches",
    "parameters",
];

#[test]
fn every_entry_has_its_source_and_its_fixtures() {
    let mut count = 0;
    for provider in providers().filter(|it| it.is_served() && it.id != Provider::MOCK.id) {
        assert!(provider.source.starts_with("https://") && provider.checked.len() == 10, "{}", provider.id);
        assert!(
            data().join("providers").join(format!("{}.yaml", provider.family)).is_file(),
            "{}",
            provider.id
        );
        count += 1;
    }
    assert!(count >= 150, "{count}");
    let known: BTreeSet<String> = families().into_iter().map(|family| family.name).collect();
    for entry in std::fs::read_dir(data().join("providers")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        assert!(
            name == "README" || known.contains(&name),
            "`{name}` is no family of a provider that is served"
        );
    }
    for family in families() {
        let answers = family.answers();
        for part in ["chat", "stream"] {
            assert!(
                answers[part]["answer"].is_string() && answers[part]["want"].is_object(),
                "{}: {part}",
                family.name
            );
        }
        for part in ["errors", "usage"] {
            assert!(!list(&answers, part).is_empty(), "{}: {part}", family.name);
        }
        let shown: BTreeSet<(&str, &str)> = PARTS
            .iter()
            .flat_map(|part| list(&family.fixture, part).iter().map(move |case| (*part, case)))
            .filter_map(|(part, case)| Some((part, case["quirk"].as_str()?)))
            .collect();
        let quirks = &family.quirks;
        let declared: BTreeSet<(&str, &str)> = quirks
            .request
            .iter()
            .map(|it| ("requests", it.id.as_str()))
            .chain(quirks.errors.iter().map(|it| ("errors", it.id.as_str())))
            .chain(quirks.finish.iter().map(|it| ("finish", it.id.as_str())))
            .chain(quirks.usage.iter().map(|it| ("usage", it.id.as_str())))
            .chain(quirks.think_tags.iter().map(|it| ("think", it.id.as_str())))
            .chain(quirks.thinking.iter().map(|it| ("thinking", it.id.as_str())))
            .chain(quirks.beside.iter().map(|it| ("beside", it.id.as_str())))
            .chain(quirks.headers.iter().map(|it| ("headers", it.id.as_str())))
            .chain(quirks.searches.iter().map(|it| ("searches", it.id.as_str())))
            .chain(quirks.parameters.iter().map(|it| ("parameters", it.id.as_str())))
            .collect();
        assert_eq!(shown, declared, "{}: each quirk has a fixture, and each fixture a quirk", family.name);
    }
}

#[test]
fn answers_come_out_as_they_say() {
    for family in families() {
        let answers = family.answers();
        for (part, streams) in [("chat", false), ("stream", true)] {
            let mut body = text(&answers[part], "answer").to_owned();
            if streams {
                body.push('\n');
            }
            let got = family.read(&body, streams);
            assert!(agrees(&answers[part]["want"], &got), "{}: {part}: {got:#}", family.name);
            // In its own format it passes as it is.
            let (out, seen) = family.bridge(family.nearest(), &body, streams, streams);
            let passes = family.nearest() == family.format;
            assert_eq!(out == body, passes, "{}: {part}: {out}", family.name);
            assert!(
                seen.finished && seen.error.is_none() && seen.first_content,
                "{}: {part}: {seen:?}",
                family.name
            );
            assert!(agrees(&answers[part]["want"]["usage"], &json!(seen.usage)), "{}: {part}", family.name);
        }
    }
}

#[test]
fn errors_mean_what_they_say() {
    for family in families() {
        for case in list(&family.fixture, "errors").iter().chain(list(&family.answers(), "errors")) {
            let status = u16::try_from(case["status"].as_u64().unwrap()).unwrap();
            let (body, class) = (text(case, "body"), text(case, "class"));
            let fault = Fault::classify_at(&family.quirks.errors, status, body.as_bytes());
            assert_eq!(fault.class.as_str(), class, "{}: {body}", family.name);
            if status != 0 {
                continue;
            }
            // An error in a success: as the whole body, and as the first frame of a stream.
            let (out, seen) = family.bridge(family.nearest(), body, false, false);
            let found = seen.error.map(|fault| fault.class.as_str());
            assert_eq!((out.as_str(), found), ("", Some(class)), "{}: {body}", family.name);
            let frame = match family.format.streams_lines() {
                true => format!("{body}\n"),
                false => format!("event: error\ndata: {body}\n\n"),
            };
            let (_, seen) = family.bridge(family.nearest(), &frame, true, true);
            assert_eq!(seen.error.map(|fault| fault.class.as_str()), Some(class), "{}: {body}", family.name);
            assert!(!seen.first_content, "{}: {body}", family.name);
        }
    }
}

#[test]
fn usage_is_counted_as_it_says() {
    for family in families() {
        for case in list(&family.fixture, "usage").iter().chain(list(&family.answers(), "usage")) {
            let usage = text(case, "usage");
            let body = match family.format {
                Format::AnthropicMessages => {
                    format!(r#"{{"type":"message","content":[],"stop_reason":"end_turn","usage":{usage}}}"#)
                }
                Format::GeminiGenerate => format!(
                    r#"{{"candidates":[{{"content":{{"parts":[{{"text":"a"}}]}},"finishReason":"STOP"}}],"usageMetadata":{usage}}}"#
                ),
                Format::CohereChat => format!(
                    r#"{{"finish_reason":"COMPLETE","message":{{"content":[{{"type":"text","text":"a"}}]}},"usage":{usage}}}"#
                ),
                Format::OllamaChat => {
                    let counts = usage.trim_start_matches('{');
                    format!(r#"{{"message":{{"content":"a"}},"done":true,"done_reason":"stop",{counts}"#)
                }
                _ => format!(
                    r#"{{"choices":[{{"index":0,"message":{{"content":"a"}},"finish_reason":"stop"}}],"usage":{usage}}}"#
                ),
            };
            let (_, seen) = family.bridge(family.nearest(), &body, false, false);
            assert!(agrees(&case["want"], &json!(seen.usage)), "{}: {usage}: {:?}", family.name, seen.usage);
            let asked_cache = seen.served_variant.and_then(|variant| variant.asked_cache_ppm);
            assert_eq!(json!(asked_cache), case["asked_cache_ppm"], "{}: {usage}", family.name);
        }
    }
}

#[test]
fn requests_are_sent_as_they_say() {
    for family in families() {
        for case in list(&family.fixture, "requests") {
            let format = match case["format"].as_str() {
                None => family.nearest(),
                Some(_) => Format::AnthropicMessages,
            };
            let model = case["model"].as_str().unwrap_or(text(&family.fixture, "model"));
            let from = match case["from"].as_str() {
                None => format,
                Some(_) => Format::AnthropicMessages,
            };
            let body = Bytes::from(text(case, "body").to_owned());
            let scanned = scan(from, &body).unwrap();
            let edits = Edits { quirks: Some(&family.quirks), ..Edits::default() };
            let mut prepared = scanned.prepare(&edits, format).unwrap();
            scanned.heed(&mut prepared, &family.quirks, format, model);
            let note = format!("{}: {}", family.name, case["quirk"]);
            assert_eq!(prepared.body, text(case, "sent"), "{note}");
            assert_eq!(prepared.losses.to_string(), case["losses"].as_str().unwrap_or_default(), "{note}");
            // What is sent already is what it takes: nothing more is changed or told.
            let again = scan(format, &prepared.body).unwrap();
            let mut twice = again.prepare(&Edits::default(), format).unwrap();
            again.heed(&mut twice, &family.quirks, format, model);
            assert_eq!((&twice.body, twice.losses.is_empty()), (&prepared.body, true), "{note}, again");
        }
        for id in family.quirks.request.iter().map(|it| it.id.as_str()) {
            let mut cases = list(&family.fixture, "requests").iter().filter(|case| case["quirk"] == id);
            assert!(
                cases.any(|case| case["body"] != case["sent"]),
                "{}: `{id}` changes nothing",
                family.name
            );
        }
    }
}

#[test]
fn thinking_is_asked_for_in_the_providers_words() {
    for family in families() {
        for case in list(&family.fixture, "thinking") {
            let model = case["model"].as_str().unwrap_or(text(&family.fixture, "model"));
            let asks = text(case, "asks");
            let body = format!(
                r#"{{"model":"{model}","max_tokens":9000,"messages":[{{"role":"user","content":"hi"}}],{asks}}}"#
            );
            let scanned = scan(Format::AnthropicMessages, &Bytes::from(body)).unwrap();
            let edits = Edits { quirks: Some(&family.quirks), ..Edits::default() };
            let mut prepared = scanned.prepare(&edits, Format::OpenaiChat).unwrap();
            scanned.heed(&mut prepared, &family.quirks, Format::OpenaiChat, model);
            let mut sent: Value = serde_json::from_slice(&prepared.body).unwrap();
            for name in ["model", "messages", "max_tokens", "max_completion_tokens", "tools"] {
                sent.as_object_mut().unwrap().remove(name);
            }
            let note = format!("{}: {model}: {asks}", family.name);
            assert_eq!(sent, case["sent"], "{note}");
            assert_eq!(prepared.losses.to_string(), case["losses"].as_str().unwrap_or_default(), "{note}");
        }
    }
}

/// A request of somebody's, with more in it, as it is sent to a model.
fn sent(family: &Family, from: Format, to: Format, model: &str, says: &str) -> (Value, String) {
    let (prompt, ceiling) = match from {
        Format::OpenaiResponses => (r#""input":"hi""#, "max_output_tokens"),
        _ => (r#""messages":[{"role":"user","content":"hi"}]"#, "max_tokens"),
    };
    let prompt = if says.contains(r#""messages":"#) { r#""stream":false"# } else { prompt };
    let body = format!(r#"{{"model":"{model}",{prompt},"{ceiling}":9000,{says}}}"#);
    let scanned = scan(from, &Bytes::from(body)).unwrap();
    let edits = Edits { quirks: Some(&family.quirks), ..Edits::default() };
    let mut prepared = scanned.prepare(&edits, to).unwrap();
    scanned.heed(&mut prepared, &family.quirks, to, model);
    (serde_json::from_slice(&prepared.body).unwrap(), prepared.losses.to_string())
}

fn format_in(case: &Value, name: &str) -> Format {
    let named = case.get(name).map(|it| serde_json::from_value(it.clone()).unwrap());
    named.unwrap_or(Format::OpenaiChat)
}

#[test]
fn what_not_everybody_takes_is_sent_to_who_does() {
    for family in families() {
        for case in list(&family.fixture, "parameters") {
            let (from, to) = (format_in(case, "from"), format_in(case, "to"));
            let model = case["model"].as_str().unwrap_or(text(&family.fixture, "model"));
            let (mut body, losses) = sent(&family, from, to, model, text(case, "says"));
            for name in [
                "model",
                "max_tokens",
                "max_completion_tokens",
                "max_output_tokens",
                "store",
                "include",
                "messages",
                "input",
            ] {
                // Where words are put in, the case says what is said.
                if case["sent"].get(name).is_none() {
                    body.as_object_mut().unwrap().remove(name);
                }
            }
            let note = format!("{}: {case}", family.name);
            assert_eq!(body, case["sent"], "{note}");
            assert_eq!(losses, case["losses"].as_str().unwrap_or_default(), "{note}");
        }
    }
}

#[test]
fn codex_reaches_whoever_speaks_chat() {
    let says = r#""prompt_cache_key":"k","store":false,"service_tier":"priority","text":{"verbosity":"low"}"#;
    let words = [
        (Parameter::Verbosity, "verbosity"),
        (Parameter::PromptCacheKey, "prompt_cache_key"),
        (Parameter::ServiceTier, "service_tier"),
    ];
    for family in families().into_iter().filter(|family| family.format == Format::OpenaiChat) {
        let model = family.model.as_str();
        let (body, losses) = sent(&family, Format::OpenaiResponses, Format::OpenaiChat, model, says);
        let known = |what| family.quirks.takes(what, Format::OpenaiChat, model);
        let by_itself = |what| is_openais(model) && (what != Parameter::Verbosity || model.contains("gpt-5"));
        let lost = words.iter().filter(|(what, _)| !known(*what).unwrap_or_else(|| by_itself(*what)));
        let lost: Vec<&str> = lost.map(|(_, word)| *word).collect();
        for (_, word) in words {
            assert_eq!(body.get(word).is_none(), lost.contains(&word), "{}: {word}: {body}", family.name);
        }
        let told: Vec<String> = lost.iter().map(|word| format!("dropped {word}")).collect();
        assert_eq!(losses, told.join("; "), "{}", family.name);
        // Parasail keeps everything unless it is told not to.
        assert!(body.get("store").is_none() || family.name == "parasail", "{}: {body}", family.name);
    }
}

/// The most that is written for a body by who bounds the answer alone with `max_tokens`, and everything with
/// `max_completion_tokens`; thinks `most` unless told not to by `off`, and no more than it is granted.
fn written(sent: &Value, most: u64, off: (&str, Value)) -> u64 {
    if let Some(all) = sent["max_completion_tokens"].as_u64() {
        return all;
    }
    let is_off = sent.pointer(off.0) == Some(&off.1);
    let thought = match sent["thinking_budget"].as_u64() {
        _ if is_off => 0,
        granted => granted.map_or(most, |granted| granted.min(most)),
    };
    sent["max_tokens"].as_u64().unwrap() + thought
}

#[test]
fn thoughts_beside_the_ceiling_are_reserved() {
    for family in families() {
        for case in list(&family.fixture, "beside") {
            let (from, to) = (format_in(case, "from"), format_in(case, "to"));
            let model = text(case, "model");
            let more = match text(case, "says") {
                "" => String::new(),
                says => format!(",{says}"),
            };
            let (prompt, ceiling) = match from {
                Format::OpenaiResponses => (r#""input":"hi""#, "max_output_tokens"),
                _ => (r#""messages":[{"role":"user","content":"hi"}]"#, "max_tokens"),
            };
            let body = Bytes::from(format!(r#"{{"model":"{model}",{prompt},"{ceiling}":9000{more}}}"#));
            let scanned = scan(from, &body).unwrap();
            let call = scanned.facts().call("c".into(), from);
            let covered = case["covered"] != json!(false);
            let beside = family.quirks.beside_of(model, false, covered);
            let first = beside.iter().find(|it| it.is_in(to));
            let reserved = first.map_or(0, |it| it.tokens(&call, to));
            let note = format!("{}: {case}", family.name);
            assert_eq!(Some(reserved), case["most"].as_u64(), "{note}");
            // Whatever is sent in the end, all that may be written for it is reserved.
            if !covered
                || to != Format::OpenaiChat
                || first.is_none()
                || call.thinking.is_unsaid() && reserved == 0
            {
                continue;
            }
            let edits = Edits { quirks: Some(&family.quirks), ..Edits::default() };
            let mut prepared = scanned.prepare(&edits, to).unwrap();
            scanned.heed(&mut prepared, &family.quirks, to, model);
            let sent: Value = serde_json::from_slice(&prepared.body).unwrap();
            let sent_with = |it: &&BesideQuirk| it.covered != Some(false) && it.most <= reserved.max(16_384);
            let longest = family.quirks.beside.iter().filter(sent_with);
            let most = longest.map(|it| it.most).max().unwrap_or(0);
            let always = family.quirks.thinking_of(model).is_none_or(|how| how.off.is_empty());
            let off = if always { ("/", Value::Null) } else { ("/enable_thinking", json!(false)) };
            assert!(written(&sent, most, off) <= 9_000 + reserved, "{note}: {sent}");
        }
    }
}

#[test]
fn words_for_the_end_mean_what_they_say() {
    for family in families() {
        for case in list(&family.fixture, "finish") {
            let (word, stop) = (text(case, "word"), text(case, "stop"));
            let body = format!(
                r#"{{"choices":[{{"index":0,"message":{{"content":"a"}},"finish_reason":"{word}"}}],"usage":{{"prompt_tokens":1,"completion_tokens":1}}}}"#
            );
            let got = family.read(&body, false);
            let (out, seen) = family.bridge(family.format, &body, false, false);
            if stop == "failed" {
                let fault = seen.error.unwrap();
                assert_eq!(
                    (out.as_str(), fault.class.as_str(), fault.code.as_deref()),
                    ("", "overloaded", Some(word))
                );
                assert_eq!(got["stop"], Value::Null, "{}: {word}", family.name);
            } else {
                assert_eq!((got["stop"].as_str(), out), (Some(stop), body), "{}: {word}", family.name);
                assert!(seen.finished, "{}: {word}", family.name);
            }
        }
    }
}

#[test]
fn reasoning_between_tags_is_told_apart() {
    for mut family in families() {
        let cases = list(&family.fixture, "think").to_vec();
        for case in &cases {
            family.model = case["model"].as_str().unwrap_or(text(&family.fixture, "model")).to_owned();
            let message = json!({"content": case["content"], "reasoning_content": case["beside"]});
            let usage = json!({"prompt_tokens": 1, "completion_tokens": 1});
            let whole = json!({"index": 0, "message": message, "finish_reason": "stop"});
            let body = json!({"choices": [whole], "usage": usage}).to_string();
            let want = json!({"text": case["text"], "reasoning": case["reasoning"]});
            let got = family.read(&body, false);
            assert!(agrees(&want, &got), "{}: {case}: {got}", family.name);

            let chunk = |delta: Value, reason: Value| {
                let choice = json!({"index": 0, "delta": delta, "finish_reason": reason});
                format!("data: {}\n\n", json!({"choices": [choice]}))
            };
            let mut stream = chunk(json!({"reasoning_content": case["beside"]}), Value::Null);
            for letter in text(case, "content").chars() {
                stream += &chunk(json!({"content": letter.to_string()}), Value::Null);
            }
            stream += &chunk(json!({}), json!("stop"));
            stream += &format!("data: {}\n\ndata: [DONE]\n\n", json!({"choices": [], "usage": usage}));
            let want = case.get("streamed").unwrap_or(&want);
            let got = family.read(&stream, true);
            assert!(agrees(want, &got), "{}: {case} streamed: {got}", family.name);
        }
    }
}

/// Somebody's request in another format, who wants the web searched.
fn searching(target: Format) -> (Format, String) {
    let place = r#"{"type":"approximate","country":"DE"}"#;
    if target == Format::AnthropicMessages {
        let tool = format!(r#"{{"type":"web_search","user_location":{place}}}"#);
        return (
            Format::OpenaiResponses,
            format!(r#"{{"model":"m","input":"a","max_output_tokens":99,"tools":[{tool}]}}"#),
        );
    }
    let tool = format!(r#"{{"type":"web_search_20250305","name":"web_search","user_location":{place}}}"#);
    let messages = r#"[{"role":"user","content":"a"}]"#;
    (
        Format::AnthropicMessages,
        format!(r#"{{"model":"m","max_tokens":99,"messages":{messages},"tools":[{tool}]}}"#),
    )
}

#[test]
fn who_searches_is_asked_to_and_nobody_else() {
    for family in families() {
        let mut cases = list(&family.fixture, "searches").to_vec();
        if cases.is_empty() {
            let known = text(&family.fixture, "model");
            assert!(!family.quirks.searches(family.format, known), "{}", family.name);
            cases.push(json!({"format": family.format, "model": known}));
        }
        for case in &cases {
            let target: Format = serde_json::from_value(case["format"].clone()).unwrap();
            let model = text(case, "model");
            let note = format!("{}: {case}", family.name);
            let (caller, body) = searching(target);
            let scanned = scan(caller, &Bytes::from(body)).unwrap();
            let prepared = |override_: Option<bool>| {
                let mut channel = Channel::new("c", "c", "p");
                channel.quirks = Arc::clone(&family.quirks);
                channel.web_search = override_;
                let edits = Edits {
                    model: Some(model),
                    web_search: Some(channel.searches(target, model)),
                    ..Edits::default()
                };
                scanned.prepare(&edits, target).unwrap()
            };
            let is_asked = |body: &[u8]| {
                let body = String::from_utf8_lossy(body);
                body.contains("web_search") || body.contains("googleSearch")
            };
            let sent = prepared(None);
            match case["sent"].as_str() {
                Some(part) => {
                    assert!(String::from_utf8_lossy(&sent.body).contains(part), "{note}: {:?}", sent.body);
                    assert_eq!(
                        sent.losses.to_string(),
                        case["losses"].as_str().unwrap_or_default(),
                        "{note}"
                    );
                }
                None => {
                    assert!(!is_asked(&sent.body), "{note}: {:?}", sent.body);
                    assert_eq!(sent.losses.to_string(), "dropped web_search", "{note}");
                }
            }
            // A channel's own word goes before.
            assert!(!is_asked(&prepared(Some(false)).body), "{note}");
            let always = prepared(Some(true)).body;
            assert_eq!(is_asked(&always), !target.is_upstream_only(), "{note}: {always:?}");
        }
    }
}

struct NoSecrets;

impl SecretResolver for NoSecrets {
    fn channel_secret(&self, _: &Channel, _: u32) -> sluicegate::Result<Option<Secret>> {
        Ok(None)
    }
}

#[test]
fn headers_are_sent_unless_the_channel_has_its_own() {
    for family in families() {
        for case in list(&family.fixture, "headers") {
            let (name, value) = (text(case, "name"), text(case, "value"));
            let mut channel = Channel::new("c", "c", "p");
            channel.endpoints = vec![Endpoint { format: family.format, url: "https://x.test/v1".to_owned() }];
            channel.quirks = Arc::clone(&family.quirks);
            for own in [None, Some("own")] {
                channel.headers.extend(own.map(|own| (name.to_owned(), own.to_owned())));
                let declared = Declared { channels: vec![channel.clone()], ..Declared::default() };
                let targets = Targets::build(&Snapshot::build(1, declared), &NoSecrets);
                let target = targets.get(&channel, &channel.endpoints[0], 0).unwrap();
                let sent: Vec<_> =
                    target.header_pairs().into_iter().filter(|(sent, _)| sent == name).collect();
                assert_eq!(sent, [(name.to_owned(), own.unwrap_or(value).to_owned())], "{}", family.name);
            }
        }
    }
}
