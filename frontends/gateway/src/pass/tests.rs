//! Calls that are passed through, from the request to what is written down of them.

use std::pin::Pin;
use std::task::{Context, Poll};

use async_trait::async_trait;
use futures_core::Stream as _;
use serde_json::{Value, json};
use sluicegate_core::{ServiceTier, UsageRecord, UsageSource};

use super::*;
use crate::store::{Page, Reach, RecordFilter};
use crate::upstream::{UpstreamBody, UpstreamResponse};
use crate::{ConfigText, Gateway, Options};

const KEY: &str = "sk-3f9c1e77ab04d25866e1904cfa7b2d38";
const CHAT: &str = "/chat/completions";

/// Says the same to everybody but those at an address that can't be reached.
#[derive(Default)]
struct Scripted {
    says: Bytes,
    streams: bool,
    tier: Option<ServiceTier>,
    /// Whether the answer never ends.
    stays: bool,
    unreachable: &'static str,
    sent: parking_lot::Mutex<Vec<Vec<(String, String)>>>,
}

impl Scripted {
    fn says(says: impl Into<Bytes>) -> Arc<Self> {
        Arc::new(Self { says: says.into(), ..Self::default() })
    }
}

/// A body that comes in pieces of a MiB, and may never end.
struct Pieces {
    rest: Bytes,
    stays: bool,
}

impl UpstreamBody for Pieces {
    fn poll_chunk(&mut self, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, UpstreamFault>>> {
        match self.rest.len().min(1 << 20) {
            0 if self.stays => Poll::Pending,
            0 => Poll::Ready(None),
            some => Poll::Ready(Some(Ok(self.rest.split_to(some)))),
        }
    }
}

#[async_trait]
impl Upstream for Scripted {
    async fn send(&self, request: UpstreamRequest) -> Result<UpstreamResponse, UpstreamFault> {
        let url = request.special.as_ref().and_then(|special| special.url.clone()).unwrap();
        if url.host_str() == Some(self.unreachable) {
            return Err(UpstreamFault::Unreachable("nobody is there".to_owned()));
        }
        self.sent.lock().push(request.headers.clone());
        let body = Box::new(Pieces { rest: self.says.clone(), stays: self.stays });
        Ok(UpstreamResponse { served_tier: self.tier, ..UpstreamResponse::new(200, self.streams, body) })
    }
}

/// A gateway of these channels, whose one key has this limit.
async fn gateway(channels: &Value, prices: &Value, limits: &Value) -> Gateway {
    let config = json!({
        "version": 1, "channels": channels, "prices": prices, "routing": {"retries": 1},
        "keys": [{"id": "k", "credential": KEY, "limits": limits}],
    });
    let config = Some(ConfigText { path: "test.yaml".to_owned(), text: config.to_string() });
    Gateway::open(Options { config, variables: Arc::new(|_| None), ..Options::default() }).await.unwrap()
}

/// A channel that passes everything through and lists nothing.
fn channel(more: Value) -> Value {
    let mut channel = json!({"credential": "sk-upstream-0123456789", "pass_through": true, "models": []});
    channel.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    channel
}

async fn send(
    gateway: &Gateway,
    upstream: &Arc<Scripted>,
    (name, path): (&str, &str),
    body: &Value,
) -> Result<Answer, Box<Rejection>> {
    let bytes = Bytes::from(body.to_string());
    let (sender, pieces) = tokio::sync::mpsc::channel(1);
    let length = bytes.len() as u64;
    sender.try_send(Ok(bytes)).unwrap();
    // It is all there is.
    drop(sender);
    let upload =
        Upload { content_type: "application/json".to_owned(), length: Some(length), most: length, pieces };
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let request = PassThrough {
        credential: Some(Secret::new(KEY)),
        client_ip: None,
        name: name.to_owned(),
        path: path.to_owned(),
        query: String::new(),
        method: "POST".to_owned(),
        headers: vec![
            pair("accept-encoding", "gzip"),
            pair("x-mine", "1"),
            pair("authorization", "Bearer x"),
        ],
        body: Some(upload),
        tags: Vec::new(),
        explain: false,
    };
    gateway.worker_with(Arc::clone(upstream) as Arc<dyn Upstream>).pass_through(request).await
}

/// Takes all that comes; where nothing more will, it leaves.
async fn take(answer: Answer, ends: bool) -> usize {
    let AnswerBody::Raw(mut raw) = answer.body else { panic!("it isn't passed through") };
    let mut taken = 0;
    while let Some(piece) = std::future::poll_fn(|cx| match Pin::new(&mut *raw).poll_next(cx) {
        Poll::Pending if !ends => Poll::Ready(None),
        other => other,
    })
    .await
    {
        taken += piece.unwrap().len();
    }
    taken
}

async fn record(gateway: &Gateway) -> UsageRecord {
    gateway.flush().await.unwrap();
    let page = gateway.store().records(&RecordFilter::default(), &Reach::ALL, Page::default()).await.unwrap();
    page.items.into_iter().next().unwrap()
}

fn chat(model: &str, more: &Value) -> Value {
    let mut body = json!({"model": model, "messages": [{"role": "user", "content": "hello"}]});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

/// A thousand tokens each way.
const THOUSANDS: &str = r#"{"id":"c","choices":[{"index":0,"message":{"role":"assistant","content":"well"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1000,"completion_tokens":1000,"total_tokens":2000}}"#;

#[tokio::test]
async fn what_is_thought_beside_an_unread_ceiling_is_reserved() {
    // A thousandth of a dollar for a token of output: the budget has room for 100,000 of them, an answer has 60,000.
    let prices = json!([{"model": "*", "price": {"input": 0, "output": 1000}, "max_output": 60_000}]);
    for (provider, model, more, fits) in [
        ("dashscope", "qwen3.7-plus", json!({"max_tokens": 50}), false),
        ("dashscope", "qwen3.7-plus", json!({}), false),
        ("dashscope", "qwen3.7-plus", json!({"max_completion_tokens": 50}), true),
        ("dashscope", "qwen3.7-plus", json!({"max_tokens": 50, "enable_thinking": false}), true),
        ("dashscope", "qwen3.7-plus", json!({"enable_thinking": true, "thinking_budget": 100}), true),
        ("dashscope", "qwen3.6-plus", json!({"max_tokens": 50}), false),
        ("volcengine", "doubao-seed-2-0-pro-260215", json!({"max_tokens": 50}), false),
        ("volcengine", "doubao-seed-2-0-pro-260215", json!({"max_completion_tokens": 50}), true),
        ("volcengine", "doubao-1-5-pro-32k-250115", json!({"max_tokens": 50}), true),
        ("xiaomi_mimo", "mimo-v2.5-pro", json!({"max_tokens": 50}), false),
        ("xiaomi_mimo", "mimo-v2.5-pro", json!({"thinking": {"type": "disabled"}}), true),
        ("wanqing", "ep-abcde-1795900000", json!({}), false),
        ("wanqing", "ep-abcde-1795900000", json!({"max_completion_tokens": 50}), true),
        // What it writes at most covers what it thinks.
        ("minimax", "MiniMax-M2.5", json!({"max_tokens": 50}), true),
    ] {
        let at = channel(json!({"name": "c", "provider": provider, "url": "https://relay.test/v1"}));
        let gateway = gateway(&json!([at]), &prices, &json!({"spend": {"day": "100 USD"}})).await;
        let upstream = Scripted::says(THOUSANDS);
        let answer = send(&gateway, &upstream, ("c", CHAT), &chat(model, &more)).await;
        let note = format!("{provider} {model} {more}");
        match answer {
            Ok(answer) => assert!(fits && take(answer, true).await > 0, "{note}"),
            Err(rejection) => {
                assert_eq!((fits, rejection.error.kind()), (false, ErrorKind::InsufficientQuota), "{note}");
            }
        }
    }
}

#[tokio::test]
async fn what_stands_for_a_model_takes_none_of_its_thoughts_away() {
    // Room for 100,000 tokens of output, as above.
    let all =
        json!([{"name": "*", "upstream": "*", "price": {"input": 0, "output": 1000}, "max_output": 60_000}]);
    for (model, fits) in [("gpt-4o", true), ("gemini-2.5-pro", false)] {
        let mut at = channel(json!({"name": "c", "provider": "openai", "url": "https://relay.test/v1"}));
        at["models"] = all.clone();
        let gateway = gateway(&json!([at]), &json!([]), &json!({"spend": {"day": "100 USD"}})).await;
        let answer = send(&gateway, &Scripted::says(THOUSANDS), ("c", CHAT), &chat(model, &json!({}))).await;
        assert_eq!(answer.is_ok(), fits, "{model}");
    }
}

#[tokio::test]
async fn a_model_that_no_channel_lists_costs_what_it_would_if_one_did() {
    let one = json!([{"model": "gpt-5.*", "price": {"input": 1, "output": 1}}]);
    let half = json!([{"provider": "openai", "model": "gpt-5.4", "price_ratio": 0.5}]);
    let elsewhere = json!([{"provider": "groq", "model": "gpt-5.4", "price_ratio": 0.5}]);
    for (more, prices, spend) in [
        (json!({}), json!([]), 17_500_000),
        (json!({"price_ratio": 0.8}), json!([]), 14_000_000),
        (json!({"region": "eu"}), json!([]), 19_250_000),
        (json!({}), one.clone(), 2_000_000),
        (json!({"price_ratio": 0.8}), one, 1_600_000),
        (json!({}), half, 8_750_000),
        (json!({}), elsewhere, 17_500_000),
        // Somebody else's address: as whoever makes the model has it.
        (json!({"url": "https://relay.test/v1"}), json!([]), 17_500_000),
        (json!({"provider": "groq", "url": "https://relay.test/v1"}), json!([]), 17_500_000),
        (
            json!({"models": [{"name": "mine", "upstream": "gpt-5.4", "price": {"input": 3, "output": 4}}]}),
            json!([]),
            7_000_000,
        ),
        // Of entries that stand for many the one that says most.
        (
            json!({"models": [{"name": "*", "upstream": "*", "price": {"input": 1, "output": 1}}, {"name": "gpt-*", "upstream": "gpt-*", "price": {"input": 3, "output": 5}}]}),
            json!([]),
            8_000_000,
        ),
    ] {
        let mut at = channel(json!({"name": "c", "provider": "openai"}));
        at.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let gateway = gateway(&json!([at]), &prices, &json!({})).await;
        let upstream = Scripted::says(THOUSANDS);
        let answer = send(&gateway, &upstream, ("c", CHAT), &chat("gpt-5.4", &json!({}))).await.unwrap();
        take(answer, true).await;
        let record = record(&gateway).await;
        assert_eq!((record.spend, record.attempts[0].cost), (spend, spend), "{more} {prices}");
        let sent = upstream.sent.lock()[0].clone();
        assert_eq!(sent, [("x-mine".to_owned(), "1".to_owned())], "what it used must be legible");
    }
}

#[tokio::test]
async fn the_tier_that_an_account_is_set_to_is_reserved_for() {
    let mut reserved = Vec::new();
    for more in [json!({}), json!({"default_tier": "priority"})] {
        let mut at = channel(json!({"name": "c", "provider": "openai"}));
        at.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let gateway = gateway(&json!([at]), &json!([]), &json!({})).await;
        let asked = chat("gpt-5.4", &json!({"max_completion_tokens": 1_000}));
        let answer = send(&gateway, &Scripted::says(THOUSANDS), ("c", CHAT), &asked).await.unwrap();
        take(answer, true).await;
        reserved.push(record(&gateway).await.attempts[0].reserved);
    }
    // Twice the price; what is reserved is rounded up.
    assert!(reserved[0] > 0 && reserved[1] > reserved[0] * 19 / 10, "{reserved:?}");
}

#[tokio::test]
async fn of_several_channels_the_one_that_serves_says_what_it_costs() {
    let at = |name: &str, ratio: f64, priority: u32, host: &str| {
        channel(
            json!({"name": name, "provider": "openai", "price_ratio": ratio, "priority": priority, "url": format!("https://{host}/v1"),
            "pass_through": {"fee": if name == "a" { 0.001 } else { 0.002 }}}),
        )
    };
    let channels = json!([at("a", 0.8, 1, "a.test"), at("b", 1.0, 0, "b.test")]);
    for (unreachable, spend) in [("", 15_000_000), ("a.test", 19_500_000)] {
        let gateway = gateway(&channels, &json!([]), &json!({})).await;
        let upstream = Arc::new(Scripted { says: THOUSANDS.into(), unreachable, ..Scripted::default() });
        let asked = chat("gpt-5.4", &json!({"max_completion_tokens": 1_000}));
        let answer = send(&gateway, &upstream, ("openai", CHAT), &asked).await.unwrap();
        take(answer, true).await;
        let record = record(&gateway).await;
        assert_eq!(record.spend, spend, "{unreachable}: {record:?}");
    }
}

#[tokio::test]
async fn where_a_call_was_processed_is_charged() {
    const MESSAGE: &str = r#"{"id":"m","type":"message","role":"assistant","model":"claude-opus-4-8","content":[{"type":"text","text":"well"}],"stop_reason":"end_turn","usage":{"input_tokens":1000,"output_tokens":1000@}}"#;
    for (said, spend) in [("", 30_000_000), (r#","inference_geo":"us""#, 33_000_000)] {
        let at = channel(json!({"name": "c", "provider": "anthropic"}));
        let gateway = gateway(&json!([at]), &json!([]), &json!({})).await;
        let upstream = Scripted::says(MESSAGE.replace('@', said));
        let asked = chat("claude-opus-4-8", &json!({"max_tokens": 10_000}));
        let answer = send(&gateway, &upstream, ("c", "/v1/messages"), &asked).await.unwrap();
        take(answer, true).await;
        let record = record(&gateway).await;
        assert_eq!(record.spend, spend, "{said}");
        // Ten thousand tokens in the dearest region cost 0.275 USD.
        assert!(record.attempts[0].reserved > 275_000_000, "{said}: {}", record.attempts[0].reserved);
    }
}

#[tokio::test]
async fn the_tier_that_stands_in_the_head_is_charged() {
    const GENERATED: &str = r#"{"candidates":[{"content":{"role":"model","parts":[{"text":"well"}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":1000,"candidatesTokenCount":1000,"totalTokenCount":2000}}"#;
    let body = json!({"contents": [{"role": "user", "parts": [{"text": "hello"}]}]});
    for (tier, spend) in [(None, 2_800_000), (Some(ServiceTier::Flex), 1_400_000)] {
        let at = channel(
            json!({"name": "c", "provider": "gemini", "pass_through": {"url": "https://gemini.test/v1beta", "fee": 0}}),
        );
        let gateway = gateway(&json!([at]), &json!([]), &json!({})).await;
        let upstream = Arc::new(Scripted { says: GENERATED.into(), tier, ..Scripted::default() });
        let path = "/models/gemini-2.5-flash:generateContent";
        let answer = send(&gateway, &upstream, ("c", path), &body).await.unwrap();
        take(answer, true).await;
        let record = record(&gateway).await;
        assert_eq!((record.attempts[0].service_tier, record.spend), (tier, spend));
    }
}

#[tokio::test]
async fn an_event_that_is_too_long_to_be_read_is_charged_like_what_it_delivers() {
    let long = "x".repeat(17 << 20);
    let event = format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{long}\"}}}}]}}\n\n");
    let first = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"well\"}}]}\n\n";
    for (says, stays) in [
        (format!("{event}data: [DONE]\n\n"), false),
        // Who leaves behind it has it all the same.
        (event.clone(), true),
        (format!("{first}{event}data: [DONE]\n\n"), false),
    ] {
        let at = channel(json!({"name": "c", "provider": "openai"}));
        let gateway = gateway(&json!([at]), &json!([]), &json!({})).await;
        let length = says.len();
        let upstream = Arc::new(Scripted { says: says.into(), streams: true, stays, ..Scripted::default() });
        let asked = chat("gpt-5.4", &json!({"stream": true, "max_completion_tokens": 1_000}));
        let answer = send(&gateway, &upstream, ("c", CHAT), &asked).await.unwrap();
        assert_eq!(take(answer, !stays).await, length, "the caller gets every byte");
        let record = record(&gateway).await;
        assert_eq!(record.attempts[0].usage_source, UsageSource::Counted, "{record:?}");
        assert_eq!(record.usage.output_visible, 1_000, "{stays}");
    }
}

#[test]
fn no_path_leads_out() {
    for (path, want) in [
        ("/files", Some("/files")),
        ("/files/", Some("/files/")),
        ("/files/file-1/content", Some("/files/file-1/content")),
        ("/models/gpt%2D4", Some("/models/gpt-4")),
        ("/models/a:predict", Some("/models/a:predict")),
        ("", None),
        ("files", None),
        ("/../admin", None),
        ("/files/..", None),
        ("/files/./x", None),
        ("/files/%2e%2e/x", None),
        ("/files/%2E%2E/x", None),
        ("/files/.%2e/x", None),
        ("/files/%252e%252e/x", None),
        ("/files/%25252e%25252e/x", None),
        ("/files/..%2fx", None),
        ("/files/..;/x", None),
        ("/chat/completions;x=1", None),
        ("/chat/completions%3bx=1", None),
        ("/chat/%2563ompletions", None),
        ("/files/100%25", None),
        ("/chat/%63ompletions", Some("/chat/completions")),
        ("/files%2f..%2fx", None),
        ("/files%5c..%5cx", None),
        ("/files\\..\\x", None),
        ("//evil.test/x", None),
        ("/files//x", None),
        ("/%2f%2fevil.test", None),
        ("/http:%2f%2fevil.test", None),
        ("/files%00", None),
        ("/files%0d%0aHost: x", None),
        ("/files%3fx", None),
        ("/files%23x", None),
        ("/files%zz", None),
        ("/files%ff", None),
        ("/files/%+1", None),
    ] {
        assert_eq!(safe_path(path).ok().as_deref(), want, "{path}");
    }
    assert!(safe_path(&format!("/{}", "x".repeat(PATH_MAX))).is_err());
}
