use std::sync::Mutex;

use sluicegate_core::Secret;

use super::*;
use crate::upstream::{Upstream, UpstreamFault, UpstreamRequest, UpstreamResponse, WholeBody};
use crate::{AnswerBody, Gateway, Options};

const KEY: &str = "sk-example-master-key-0001";
const OWN_KEY: &str = "sk-3f9c1e77ab04d25866e1904cfa7b2d38";

/// Refuses one word, replaces another, and keeps what it saw.
#[derive(Default)]
struct House(Mutex<Vec<(Side, String)>>);

#[async_trait]
impl Guardrail for House {
    async fn check(&self, look: &Look<'_>) -> Ruling {
        let mut ruling = Ruling::default();
        for (at, text) in look.texts.iter().enumerate() {
            self.0.lock().unwrap().push((look.side, (*text).to_owned()));
            if text.contains("weapon") {
                let message = Some("not in this house".to_owned());
                ruling.refused = Some(Refusal { guardrail: "house".into(), message });
            } else if text.contains("ann") {
                ruling.texts.push((at, text.replace("ann", "[NAME]")));
            }
        }
        ruling
    }
}

#[tokio::test]
async fn a_host_has_guardrails_of_its_own() {
    let house = Arc::new(House::default());
    let own = OwnGuardrail { name: "house".into(), input: true, output: false, guardrail: house.clone() };
    let options = Options {
        demo: true,
        variables: Arc::new(|_| None),
        master_key: Some(Secret::new(KEY)),
        guardrails: vec![own],
        ..Options::default()
    };
    let gateway = Gateway::open(options).await.unwrap();
    let worker = gateway.worker();
    let say = |says: &str| {
        let body = format!(r#"{{"model": "mock", "messages": [{{"role": "user", "content": "{says}"}}]}}"#);
        worker.call(Inbound::new(Format::OpenaiChat, KEY, body))
    };
    let refused = say("a weapon").await.unwrap_err();
    assert_eq!(refused.error.kind(), ErrorKind::GuardrailDenied);
    assert!(refused.error.message().contains("not in this house"), "{}", refused.error.message());
    let answer = say("I am ann").await.unwrap();
    assert!(matches!(answer.body, AnswerBody::Full(_)));
    let seen = house.0.lock().unwrap().clone();
    assert_eq!(seen, [(Side::Request, "a weapon".to_owned()), (Side::Request, "I am ann".to_owned())]);
    gateway.shutdown().await;
}

/// Keeps what it was sent.
#[derive(Default)]
struct Upstreams(Mutex<Vec<String>>);

#[async_trait]
impl Upstream for Upstreams {
    async fn send(&self, request: UpstreamRequest) -> std::result::Result<UpstreamResponse, UpstreamFault> {
        self.0.lock().unwrap().push(String::from_utf8(request.body.to_vec()).unwrap());
        let answer = r#"{"content":[{"type":"text","text":"ok"}],"stop_reason":"end_turn","usage":{"input_tokens":9,"output_tokens":1}}"#;
        let body = WholeBody(Some(Bytes::from_static(answer.as_bytes())));
        Ok(UpstreamResponse::new(200, false, Box::new(body)))
    }
}

#[tokio::test]
async fn what_an_answer_has_signed_is_refused_or_left_and_never_masked() {
    let house = Arc::new(House::default());
    for (action, word, want) in [
        ("mask", "falcon", Some("text=masked:1, text=left:1")),
        ("log", "falcon", Some("text=logged:2")),
        ("deny", "heron", None),
        ("mask", "heron", Some("text=left:1")),
        // The host's own.
        ("mask", "ann", Some("text=masked:1, text=left:1")),
        ("log", "nobody, but ann", Some("text=logged:2")),
        ("log", "weapon", None),
    ] {
        let text = format!(
            "version: 1\nchannels:\n- {{name: c, provider: anthropic, credential: sk-upstream-0123456789, models: [{{name: m}}]}}\n\
             guardrails: [{{name: text, keywords: ['{word}'], action: {action}}}]\nkeys: [{{id: k, credential: {OWN_KEY}}}]\n"
        );
        let own = OwnGuardrail { name: "house".into(), input: true, output: false, guardrail: house.clone() };
        let options = Options {
            config: Some(crate::ConfigText { path: "test.yaml".to_owned(), text }),
            variables: Arc::new(|_| None),
            guardrails: vec![own],
            ..Options::default()
        };
        let gateway = Gateway::open(options).await.unwrap();
        let upstream = Arc::new(Upstreams::default());
        let said = if word == "heron" { "nothing" } else { word };
        let thought = format!(r#"{{"type":"thinking","thinking":"of {word}","signature":"c2ln"}}"#);
        let body = format!(
            r#"{{"model":"m","max_tokens":9,"messages":[{{"role":"user","content":"{said}"}},{{"role":"assistant","content":[{thought},{{"type":"text","text":"ok"}}]}},{{"role":"user","content":"on"}}]}}"#
        );
        let call = Inbound::new(Format::AnthropicMessages, OWN_KEY, body);
        let answer = gateway.worker_with(Arc::clone(&upstream) as Arc<dyn Upstream>).call(call).await;
        let note = format!("{action} {word}");
        let sent = upstream.0.lock().unwrap().pop();
        match (want, answer) {
            (Some(want), Ok(answer)) => {
                let marks: Vec<_> = answer
                    .facts
                    .guardrails
                    .iter()
                    .map(|it| format!("{}={}:{}", it.name, it.did, it.times))
                    .collect();
                assert_eq!(marks.join(", "), want, "{note}");
                let sent = sent.unwrap();
                assert!(sent.contains(&thought), "{note}: {sent}");
                let masked = action == "mask" && said == word || word.contains("ann");
                assert_eq!(sent.contains(&format!(r#""content":"{said}""#)), !masked, "{note}: {sent}");
            }
            (None, Err(rejection)) => {
                assert_eq!(rejection.error.kind(), ErrorKind::GuardrailDenied, "{note}");
                assert_eq!(sent, None, "{note}");
            }
            (want, answer) => panic!("{note}: {want:?}, {answer:?}"),
        }
        gateway.shutdown().await;
    }
}

#[test]
fn a_service_is_told_what_stays_and_masks_the_rest() {
    let rules = sluicegate_core::guardrail::HttpRules {
        url: "https://guard.test/".to_owned(),
        credential: sluicegate_core::channel::SecretRef::None,
        timeout_ms: 9,
        fail_open: false,
    };
    let http = HttpGuardrail::new(&"http".into(), &rules, None).unwrap();
    let ruling = http.ruling(br#"{"action":"mask","texts":["x","y","c"]}"#, &["a", "b", "c"], &[1]);
    assert_eq!(ruling.texts, [(0, "x".to_owned())]);
    let marks: Vec<_> = ruling.marks.iter().map(|it| format!("{}:{}", it.did, it.times)).collect();
    assert_eq!(marks, ["masked:1", "left:1"]);
}

#[test]
fn whoever_asks_for_a_guardrail_gets_it_whatever_the_model() {
    let source = |name: &str, default_on| GuardrailSource {
        name: name.into(),
        asked_as: name.into(),
        default_on,
        input: true,
        output: true,
        of: Attachment { models: vec!["gpt-*".into()], ..Attachment::default() },
        kind: GuardrailKind::Text(sluicegate_core::guardrail::TextRules {
            keywords: vec!["x".into()],
            ..Default::default()
        }),
    };
    let secrets = Secrets::new(Arc::new(|_| None));
    let guardrails = Guardrails::build(&[source("on", true), source("asked", false)], &secrets).unwrap();
    let plain = Caller::operator("o".into(), &[]);
    let held = Caller { guardrails: ["asked".into()].into_iter().collect(), ..plain.clone() };
    for (caller, asked, model, want) in [
        (&plain, &[][..], "gpt-5", &["on"][..]),
        (&plain, &[], "claude", &[]),
        (&plain, &["asked"], "gpt-5", &["on", "asked"]),
        (&plain, &["asked"], "claude", &["asked"]),
        (&plain, &["on"], "claude", &["on"]),
        (&held, &[], "claude", &["asked"]),
    ] {
        let asked: Vec<String> = asked.iter().map(|name| (*name).to_owned()).collect();
        for side in [Side::Request, Side::Answer] {
            let chosen = guardrails.of(side, caller, &asked, std::iter::once(model));
            let names: Vec<&str> = chosen.names.iter().map(|name| &**name).collect();
            assert_eq!(names, want, "{asked:?} {model}");
        }
    }
}

#[test]
fn what_is_said_of_names_that_mean_nothing_stands_in_the_table_of_messages() {
    use std::collections::{BTreeMap, BTreeSet};
    let source = |name: &str| GuardrailSource {
        name: name.into(),
        asked_as: name.into(),
        default_on: false,
        input: true,
        output: true,
        of: Attachment::default(),
        kind: GuardrailKind::Text(sluicegate_core::guardrail::TextRules {
            keywords: vec!["x".into()],
            ..Default::default()
        }),
    };
    let secrets = Secrets::new(Arc::new(|_| None));
    let some = Guardrails::build(&[source("a"), source("b")], &secrets).unwrap();
    let plain = Caller::operator("o".into(), &[]);
    let held = Caller { guardrails: ["g".into()].into_iter().collect(), ..plain.clone() };
    let asked = ["g".to_owned()];
    let refused = [(&some, &plain), (&some, &held), (&Guardrails::default(), &plain)]
        .map(|(guardrails, caller)| guardrails.check_names(caller, &asked).unwrap_err());
    let rules = sluicegate_core::guardrail::HttpRules {
        url: "https://guard.test/".to_owned(),
        credential: sluicegate_core::channel::SecretRef::None,
        timeout_ms: 9,
        fail_open: false,
    };
    let http = HttpGuardrail::new(&"g".into(), &rules, None).unwrap();
    let silent = http.failed("it is down").refused.unwrap().rejection().error;
    let told: BTreeSet<String> =
        refused.into_iter().chain([silent]).map(|error| error.message().to_owned()).collect();
    let table = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/console/messages.json"));
    let all: BTreeMap<String, BTreeSet<String>> = serde_json::from_str(table).unwrap();
    assert_eq!(told, all["frontends/gateway/src/guardrail.rs"]);
}
