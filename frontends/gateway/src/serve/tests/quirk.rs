//! What is different at a provider, on a call's whole way.

use std::collections::HashMap;

use serde_json::Value;
use sluicegate_core::OutcomeClass;

use super::*;

/// Answers by address, and keeps what it was sent.
pub(super) struct ByHost {
    pub(super) answers: HashMap<&'static str, &'static str>,
    pub(super) sent: parking_lot::Mutex<Vec<Sent>>,
}

/// An address, a body, and the standing headers.
pub(super) type Sent = (String, Value, Vec<(String, String)>);

#[async_trait]
impl Upstream for ByHost {
    async fn send(&self, request: UpstreamRequest) -> Result<UpstreamResponse, UpstreamFault> {
        let url = request.target.address.as_ref().unwrap().url.to_string();
        let host = url.split('/').nth(2).unwrap().to_owned();
        let body = serde_json::from_slice(&request.body).unwrap();
        self.sent.lock().push((url, body, request.target.header_pairs()));
        let answer = self.answers[host.as_str()];
        Ok(UpstreamResponse::new(
            200,
            answer.starts_with("data:"),
            Box::new(Body::new(Does::Says(answer, true))),
        ))
    }
}

pub(super) const CHAT: &str = r#"{"id":"c","choices":[{"index":0,"message":{"role":"assistant","content":"well"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":1,"total_tokens":10}}"#;
const STREAM: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"reasoning_content\":\"hm\"}}]}\n\ndata: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"well\"},\"finish_reason\":\"stop\"}]}\n\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2,\"total_tokens\":11}}\n\ndata: [DONE]\n\n";

pub(super) fn channels(list: &[&str]) -> String {
    let channels: String = list
        .iter()
        .map(|channel| format!("  - {{{channel}, credential: sk-upstream-0123456789}}\n"))
        .collect();
    format!(
        "version: 1\nchannels:\n{channels}routing: {{retries: 2}}\nkeys: [{{id: k, credential: {KEY}}}]\n"
    )
}

struct Asked {
    answer: Value,
    losses: Vec<String>,
    upstream: Arc<ByHost>,
    outcomes: Vec<OutcomeClass>,
}

async fn ask(config: String, answers: &[(&'static str, &'static str)], rest: &str) -> Asked {
    let gateway = gateway_of(config).await;
    let upstream =
        Arc::new(ByHost { answers: answers.iter().copied().collect(), sent: parking_lot::Mutex::default() });
    let worker = gateway.worker_with(Arc::clone(&upstream) as Arc<dyn Upstream>);
    let body =
        format!(r#"{{"model":"m","messages":[{{"role":"user","content":"hi"}}],"max_tokens":100{rest}}}"#);
    let answer = worker.call(Inbound::new(Format::OpenaiChat, KEY, body)).await.unwrap();
    let AnswerBody::Full(whole) = answer.body else { panic!("it streams") };
    let records = records(&gateway).await;
    Asked {
        answer: serde_json::from_slice(&whole).unwrap(),
        losses: answer.facts.losses,
        upstream,
        outcomes: records[0].attempts.iter().map(|attempt| attempt.outcome).collect(),
    }
}

#[tokio::test]
async fn a_request_is_sent_as_the_provider_takes_it_and_its_own_edits_come_last() {
    let minimax = "name: a, provider: minimax, models: [{name: m, upstream: MiniMax-M2.5}]";
    let asked = ask(channels(&[minimax]), &[("api.minimax.io", CHAT)], r#","temperature":0,"top_p":0"#).await;
    let (url, body, _) = asked.upstream.sent.lock()[0].clone();
    assert_eq!(url, "https://api.minimax.io/v1/chat/completions");
    let want = serde_json::json!({"temperature": 0.01, "top_p": 0.01, "max_completion_tokens": 100});
    for (name, want) in want.as_object().unwrap() {
        assert_eq!(&body[name], want, "{body}");
    }
    assert!(body.get("max_tokens").is_none(), "{body}");
    assert_eq!(
        asked.losses,
        [
            "approximated temperature: the provider takes another range",
            "approximated top_p: the provider takes another range"
        ]
    );
    let edited = format!("{minimax}, body_edits: [{{mode: set, path: temperature, value: 0}}]");
    let asked = ask(channels(&[&edited]), &[("api.minimax.io", CHAT)], r#","temperature":0.5"#).await;
    assert_eq!(asked.upstream.sent.lock()[0].1["temperature"], 0);
    // Somebody else's compatible address is no minimax.
    let relay = "name: a, provider: openai, url: 'https://relay.test/v1', models: [{name: m}]";
    let asked = ask(channels(&[relay]), &[("relay.test", CHAT)], r#","temperature":0"#).await;
    assert_eq!(asked.upstream.sent.lock()[0].1["max_tokens"], 100);
    assert!(asked.losses.is_empty(), "{:?}", asked.losses);
}

#[tokio::test]
async fn a_failure_in_a_success_is_understood_and_another_channel_serves() {
    const NO_BALANCE: &str =
        r#"{"choices":null,"base_resp":{"status_code":1008,"status_msg":"insufficient balance"}}"#;
    const BROKEN: &str = r#"{"choices":[{"index":0,"message":{"content":""},"finish_reason":"insufficient_system_resource"}]}"#;
    let first = [
        ("provider: minimax", "api.minimax.io", NO_BALANCE, OutcomeClass::NoBalance),
        ("provider: deepseek", "api.deepseek.com", BROKEN, OutcomeClass::Overloaded),
    ];
    for (provider, host, says, outcome) in first {
        let config = channels(&[
            &format!("name: a, {provider}, priority: 1, models: [{{name: m, upstream: x}}]"),
            "name: b, provider: openai, url: 'https://relay.test/v1', models: [{name: m}]",
        ]);
        let asked = ask(config, &[(host, says), ("relay.test", CHAT)], "").await;
        assert_eq!(asked.answer["choices"][0]["message"]["content"], "well", "{provider}");
        assert_eq!(asked.outcomes.last(), Some(&OutcomeClass::Ok), "{provider}: {:?}", asked.outcomes);
        assert_eq!(asked.outcomes[0], outcome, "{provider}: {:?}", asked.outcomes);
    }
}

#[tokio::test]
async fn who_wants_no_stream_gets_none_of_a_model_that_only_streams() {
    // The second does so only where it thinks.
    for (model, rest) in [("qwq-plus", ""), ("qwen3-32b", r#","enable_thinking":true"#)] {
        let qwen = format!("name: a, provider: dashscope, models: [{{name: m, upstream: {model}}}]");
        let asked = ask(channels(&[&qwen]), &[("dashscope.aliyuncs.com", STREAM)], rest).await;
        assert_eq!(asked.upstream.sent.lock()[0].1["stream"], true, "{model}");
        let message = &asked.answer["choices"][0]["message"];
        assert_eq!((&message["content"], &message["reasoning_content"]), (&"well".into(), &"hm".into()));
        assert_eq!(asked.answer["usage"]["total_tokens"], 11, "{}", asked.answer);
        assert_eq!(asked.outcomes, [OutcomeClass::Ok]);
    }
    let qwen = "name: a, provider: dashscope, models: [{name: m, upstream: qwen3-32b}]";
    let asked = ask(channels(&[qwen]), &[("dashscope.aliyuncs.com", CHAT)], "").await;
    let body = asked.upstream.sent.lock()[0].1.clone();
    assert_eq!((&body["enable_thinking"], &body["stream"]), (&false.into(), &Value::Null));
}

#[tokio::test]
async fn azure_is_called_by_deployment() {
    for (base, want) in [
        ("https://r.openai.azure.com", "https://r.openai.azure.com/openai/v1/chat/completions"),
        (
            "https://r.openai.azure.com/?api-version=2024-10-21",
            "https://r.openai.azure.com/openai/deployments/my%20gpt/chat/completions?api-version=2024-10-21",
        ),
    ] {
        let azure =
            format!("name: a, provider: azure, url: '{base}', models: [{{name: m, upstream: my gpt}}]");
        let asked = ask(channels(&[&azure]), &[("r.openai.azure.com", CHAT)], "").await;
        let (url, body, headers) = asked.upstream.sent.lock()[0].clone();
        assert_eq!((url.as_str(), &body["model"]), (want, &"my gpt".into()));
        let key = headers.iter().find(|(name, _)| name == "api-key").map(|(_, value)| value.as_str());
        assert_eq!(key, Some("sk-upstream-0123456789"), "{headers:?}");
    }
}
