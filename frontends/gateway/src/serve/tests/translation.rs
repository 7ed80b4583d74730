//! Calls that another format can't say whole, and answers.

use std::collections::HashMap;
use std::pin::Pin;

use sluicegate_core::channel::Translation;

use super::quirk::{ByHost, CHAT, channels};
use super::*;

const MESSAGE: &str = r#"{"id":"m","type":"message","role":"assistant","model":"x","content":[{"type":"text","text":"well"}],"stop_reason":"end_turn","usage":{"input_tokens":9,"output_tokens":1}}"#;
/// It has run code, which chat completions have no place for.
const RAN: &str = "data: {\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[{\"text\":\"well\"}]},\"index\":0}]}\n\ndata: {\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[{\"executableCode\":{\"language\":\"PYTHON\",\"code\":\"1\"}}]},\"finishReason\":\"STOP\",\"index\":0}],\"usageMetadata\":{\"promptTokenCount\":9,\"candidatesTokenCount\":2,\"totalTokenCount\":11}}\n\n";
const GENERATED: &str = r#"{"candidates":[{"content":{"role":"model","parts":[{"text":"well"}]},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":9,"candidatesTokenCount":1,"totalTokenCount":10}}"#;

const ANTHROPIC: &str =
    "name: a, provider: anthropic, priority: 1, models: [{name: m, upstream: claude-sonnet-4-5}]";
const RELAY: &str = "name: b, provider: openai, url: 'https://relay.test/v1', models: [{name: m}]";
/// Of its two formats the second knows seeds.
const TWO: &str = "name: t, provider: openai, models: [{name: m}], endpoints: [{format: anthropic_messages, url: 'https://api.anthropic.com/v1/messages'}, {format: gemini_generate, url: 'https://gemini.test/v1beta'}]";

fn answers() -> Arc<ByHost> {
    let answers = [
        ("api.anthropic.com", MESSAGE),
        ("relay.test", CHAT),
        ("generativelanguage.googleapis.com", RAN),
        ("gemini.test", GENERATED),
    ];
    Arc::new(ByHost { answers: HashMap::from(answers), sent: parking_lot::Mutex::default() })
}

fn asked(rest: &str, translation: Translation) -> Inbound {
    let body =
        format!(r#"{{"model":"m","messages":[{{"role":"user","content":"hi"}}],"max_tokens":100{rest}}}"#);
    Inbound { translation, ..Inbound::new(Format::OpenaiChat, KEY, body) }
}

#[tokio::test]
async fn a_call_goes_where_it_can_be_said_whole_or_nowhere_if_that_is_wanted() {
    use Translation::{Drop, Strict};
    let dropping = format!("{ANTHROPIC}, translation: drop");
    let strict = format!("{ANTHROPIC}, translation: strict");
    let leaves_out = format!("{RELAY}, unknown_fields: drop");
    let seed = r#","seed":7"#;
    let unknown = r#","zork":1"#;
    // What the server says, its channels, the caller; and who is asked in the end, if anybody.
    for (server, list, caller, rest, want) in [
        ("drop", vec![ANTHROPIC, RELAY], Drop, seed, Some("api.anthropic.com")),
        ("strict", vec![ANTHROPIC, RELAY], Drop, seed, Some("relay.test")),
        ("strict", vec![ANTHROPIC, RELAY], Drop, "", Some("api.anthropic.com")),
        ("strict", vec![ANTHROPIC], Drop, seed, None),
        ("strict", vec![TWO], Drop, seed, Some("gemini.test")),
        ("strict", vec![TWO], Drop, "", Some("api.anthropic.com")),
        ("drop", vec![TWO], Drop, seed, Some("api.anthropic.com")),
        ("drop", vec![TWO], Strict, seed, Some("gemini.test")),
        ("strict", vec![TWO, RELAY], Drop, r#","seed":7,"prompt_cache_retention":"24h""#, Some("relay.test")),
        ("strict", vec![dropping.as_str()], Drop, seed, Some("api.anthropic.com")),
        ("strict", vec![dropping.as_str()], Strict, seed, None),
        ("drop", vec![strict.as_str()], Drop, seed, None),
        ("drop", vec![ANTHROPIC], Strict, seed, None),
        ("drop", vec![ANTHROPIC, RELAY], Strict, seed, Some("relay.test")),
        ("drop", vec![leaves_out.as_str()], Drop, unknown, Some("relay.test")),
        ("drop", vec![leaves_out.as_str()], Strict, unknown, None),
        ("strict", vec![leaves_out.as_str()], Drop, unknown, None),
    ] {
        let note = format!("{server} {list:?} {caller:?} {rest}");
        let config = format!("{}server: {{translation: {server}}}\n", channels(&list));
        let gateway = gateway_of(config).await;
        let upstream = answers();
        let worker = gateway.worker_with(Arc::clone(&upstream) as Arc<dyn Upstream>);
        let answer = worker.call(asked(rest, caller)).await;
        let sent: Vec<_> = upstream.sent.lock().iter().map(|(url, ..)| url.clone()).collect();
        let record = records(&gateway).await.remove(0);
        match (want, answer) {
            (Some(host), Ok(answer)) => {
                assert!(sent.len() == 1 && sent[0].contains(host), "{note}: {sent:?}");
                let lost = host == "api.anthropic.com" && !rest.is_empty() || rest == unknown;
                assert_eq!(!answer.facts.losses.is_empty(), lost, "{note}: {:?}", answer.facts.losses);
                assert_eq!(record.losses, answer.facts.losses, "{note}");
            }
            (None, Err(rejection)) => {
                assert!(sent.is_empty(), "{note}: {sent:?}");
                assert_eq!(rejection.error.kind(), ErrorKind::InvalidRequest, "{note}");
                let field = if rest == unknown { "zork" } else { "seed" };
                assert_eq!(rejection.report.param.as_deref(), Some(field), "{note}");
                let body = rejection.body(Format::OpenaiChat);
                assert!(String::from_utf8_lossy(&body).contains(&format!("`{field}`")), "{note}: {body:?}");
                assert_eq!(record.attempts[0].outcome, OutcomeClass::Inexpressible, "{note}");
            }
            (want, answer) => panic!("{note}: {want:?}, {answer:?}"),
        }
    }
}

#[tokio::test]
async fn what_a_stream_loses_is_in_its_record() {
    let google = "name: g, provider: gemini, models: [{name: m, upstream: gemini-2.5-flash}]";
    let gateway = gateway_of(channels(&[google])).await;
    let worker = gateway.worker_with(answers() as Arc<dyn Upstream>);
    let answer = worker.call(asked(r#","stream":true,"user":"u1""#, Translation::Drop)).await.unwrap();
    let AnswerBody::Stream(mut stream) = answer.body else { panic!("it streams") };
    while std::future::poll_fn(|cx| Pin::new(&mut *stream).poll_next(cx)).await.is_some() {}
    let record = records(&gateway).await.remove(0);
    let lost = |what: &str| record.losses.iter().any(|loss| loss.contains(what));
    assert!(lost("dropped user:") && lost("executableCode"), "{:?}", record.losses);
}

/// What is logged on this thread.
#[derive(Default)]
struct Log(parking_lot::Mutex<Vec<String>>);

impl tracing::Subscriber for Log {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        struct Line(String);
        impl tracing::field::Visit for Line {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                self.0.push_str(&format!(" {field}={value:?}"));
            }
        }
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        self.0.lock().push(line.0);
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

#[tokio::test]
async fn what_a_call_loses_is_logged_where_it_stood() {
    let log = Arc::new(Log::default());
    let _guard = tracing::subscriber::set_default(Arc::clone(&log));
    for (rest, lost) in [(r#","seed":770077,"user":"somebody""#, true), ("", false)] {
        let gateway = gateway_of(channels(&[ANTHROPIC])).await;
        let worker = gateway.worker_with(answers() as Arc<dyn Upstream>);
        let answer = worker.call(asked(rest, Translation::Drop)).await.unwrap();
        let lines = std::mem::take(&mut *log.0.lock());
        let told: Vec<_> = lines.iter().filter(|line| line.contains("lost something")).collect();
        assert_eq!(told.len(), usize::from(lost), "{lines:?}");
        let id = answer.facts.id.unwrap();
        for line in told {
            let says = |what: &str| line.contains(what);
            assert!(says("DEBUG") && says(id.as_str()) && says("dropped seed"), "{line}");
            assert!(says("openai_chat") && says("anthropic_messages"), "{line}");
            assert!(!says("770077") && !says("somebody") && !says("hi\""), "{line}");
        }
    }
}

#[test]
fn a_callers_word_is_one_of_two() {
    use crate::{TRANSLATION_HEADER, asked_translation};
    assert_eq!(asked_translation(None).unwrap(), Translation::Drop);
    assert_eq!(asked_translation(Some(b" strict ")).unwrap(), Translation::Strict);
    assert_eq!(asked_translation(Some(b"drop")).unwrap(), Translation::Drop);
    let error = asked_translation(Some(b"stric")).unwrap_err();
    assert!(error.message().contains(TRANSLATION_HEADER), "{error}");
}
