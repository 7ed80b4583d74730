use std::sync::Mutex;

use sluicegate_core::Secret;

use super::*;
use crate::{AnswerBody, Gateway, Options};

const KEY: &str = "sk-example-master-key-0001";

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
