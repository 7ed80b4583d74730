mod again;
mod meanwhile;
mod paid;
mod quirk;
mod thought;
mod translation;

use std::collections::HashSet;
use std::task::{Context, Poll};

use async_trait::async_trait;
use futures_core::Stream as _;
use sluicegate_core::{Format, OutcomeClass, UsageRecord};
use tokio::sync::Notify;

use super::*;
use crate::store::{Page, Reach, RecordFilter};
use crate::upstream::WholeBody;
use crate::{AnswerBody, ConfigText, Gateway, Options};

const KEY: &str = "sk-3f9c1e77ab04d25866e1904cfa7b2d38";

/// What an upstream does once it has been asked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Does {
    /// Says 200 and nothing more.
    Stalls,
    /// Says 200 after this many milliseconds, and nothing more.
    Dawdles(u64),
    /// Streams without end, faster than anybody reads.
    Gushes,
    /// Says this and nothing more, and ends there or doesn't.
    Says(&'static str, bool),
    /// Says this, and the connection breaks.
    Breaks(&'static str),
}

struct Scripted {
    does: Does,
    /// That a body has said all that it will say for now.
    stalls: Arc<Notify>,
}

impl Scripted {
    fn new(does: Does) -> Arc<Self> {
        Arc::new(Self { does, stalls: Arc::default() })
    }

    /// Drops the call once its answer has begun and stalls. `true` if that was so, `false` if it was answered.
    async fn leaves<T>(&self, call: impl Future<Output = T>) -> bool {
        tokio::select! {
            biased;
            () = self.stalls.notified() => true,
            _ = call => false,
        }
    }
}

struct Body {
    does: Does,
    said: bool,
    stalls: Arc<Notify>,
}

impl Body {
    fn new(does: Does) -> Self {
        Self { does, said: false, stalls: Arc::default() }
    }

    fn stall<T>(&self) -> Poll<T> {
        self.stalls.notify_one();
        Poll::Pending
    }
}

impl UpstreamBody for Body {
    fn poll_chunk(&mut self, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, UpstreamFault>>> {
        match self.does {
            Does::Stalls | Does::Dawdles(_) => self.stall(),
            Does::Says(text, ends) => match (std::mem::replace(&mut self.said, true), ends) {
                (false, _) => Poll::Ready(Some(Ok(Bytes::from_static(text.as_bytes())))),
                (true, true) => Poll::Ready(None),
                (true, false) => self.stall(),
            },
            Does::Breaks(text) => Poll::Ready(Some(match std::mem::replace(&mut self.said, true) {
                false => Ok(Bytes::from_static(text.as_bytes())),
                true => Err(UpstreamFault::Broken("by itself".to_owned())),
            })),
            Does::Gushes => {
                let chunk = br#"data: {"choices":[{"index":0,"delta":{"content":"more "}}]}"#;
                Poll::Ready(Some(Ok(Bytes::from([chunk.as_slice(), b"\n\n"].concat()))))
            }
        }
    }
}

#[async_trait]
impl Upstream for Scripted {
    async fn send(&self, request: UpstreamRequest) -> Result<UpstreamResponse, UpstreamFault> {
        if let Does::Dawdles(ms) = self.does {
            tokio::time::sleep(Duration::from_millis(ms)).await;
        }
        Ok(UpstreamResponse::new(
            200,
            request.stream,
            Box::new(Body { stalls: Arc::clone(&self.stalls), ..Body::new(self.does) }),
        ))
    }
}

async fn gateway(timeouts: &str) -> Gateway {
    gateway_of(format!(
        "version: 1\n\
         channels:\n\
         \x20 - name: c\n\
         \x20   provider: openai\n\
         \x20   credential: sk-upstream-0123456789\n\
         \x20   models: [{{name: m, price: {{input: 1, output: 2}}}}]\n\
         \x20   timeouts: {{{timeouts}}}\n\
         routing: {{retries: 0}}\n\
         keys: [{{id: k, credential: {KEY}}}]\n"
    ))
    .await
}

async fn gateway_of(text: String) -> Gateway {
    let config = Some(ConfigText { path: "test.yaml".to_owned(), text });
    Gateway::open(Options { config, variables: Arc::new(|_| None), ..Options::default() }).await.unwrap()
}

fn inbound(model: &str, stream: bool) -> Inbound {
    let body = serde_json::json!({
        "model": model, "stream": stream, "max_tokens": 100,
        "messages": [{"role": "user", "content": "some words that somebody has to pay for"}],
    });
    Inbound::new(Format::OpenaiChat, KEY, body.to_string())
}

async fn records(gateway: &Gateway) -> Vec<UsageRecord> {
    gateway.flush().await.unwrap();
    gateway.store().records(&RecordFilter::default(), &Reach::ALL, Page::default()).await.unwrap().items
}

#[tokio::test]
async fn who_leaves_an_answer_that_has_begun_pays_for_what_was_asked() {
    for stream in [false, true] {
        let gateway = gateway("total: 60s").await;
        let upstream = Scripted::new(Does::Stalls);
        let worker = gateway.worker_with(Arc::<Scripted>::clone(&upstream));
        assert!(upstream.leaves(worker.call(inbound("m", stream))).await, "it was answered");
        let records = records(&gateway).await;
        let [record] = records.as_slice() else { panic!("{records:?}") };
        assert_eq!(record.outcome, OutcomeClass::ClientGone);
        assert!(record.usage.input_uncached > 0 && record.spend > 0, "{record:?}");
        assert_eq!(record.usage.output_tokens(), 0);
    }
}

#[tokio::test]
async fn the_first_content_is_due_from_the_sending_on_not_from_the_head_on() {
    let gateway = gateway("first_byte: 1s, total: 60s").await;
    let worker = gateway.worker_with(Scripted::new(Does::Dawdles(800)));
    let since = Instant::now();
    let rejection = worker.call(inbound("m", true)).await.unwrap_err();
    assert_eq!(rejection.error.kind(), ErrorKind::UpstreamTimeout);
    assert!(since.elapsed() < Duration::from_millis(1_600), "{:?}", since.elapsed());
}

#[tokio::test]
async fn a_stream_that_never_pauses_ends_in_time() {
    let gateway = gateway("total: 1s").await;
    let worker = gateway.worker_with(Scripted::new(Does::Gushes));
    let answer = worker.call(inbound("m", true)).await.unwrap();
    let AnswerBody::Stream(mut stream) = answer.body else { panic!("not a stream") };
    let (since, mut last) = (Instant::now(), Bytes::new());
    while let Some(Ok(bytes)) =
        std::future::poll_fn(|cx| std::pin::Pin::new(&mut *stream).poll_next(cx)).await
    {
        last = bytes;
        assert!(since.elapsed() < Duration::from_secs(10), "it goes on for ever");
    }
    let last = String::from_utf8_lossy(&last).into_owned();
    assert!(last.contains("error"), "{last}");
    let records = records(&gateway).await;
    assert_eq!(records[0].outcome, OutcomeClass::Timeout);
    assert!(records[0].usage.output_tokens() > 0);
}

#[tokio::test]
async fn names_that_no_record_could_hold_are_refused_and_labels_are_cut() {
    let gateway = gateway("total: 1s").await;
    let worker = gateway.worker_with(Scripted::new(Does::Stalls));
    let rejection = worker.call(inbound(&"m".repeat(MODEL_MAX + 1), false)).await.unwrap_err();
    assert_eq!(rejection.error.kind(), ErrorKind::InvalidRequest);
    assert!(records(&gateway).await.is_empty());

    let mut call = Call::new("c", Format::OpenaiChat, "m");
    call.customer = Some("客".repeat(LABEL_MAX));
    call.tags.push("t".repeat(LABEL_MAX + 1));
    let call = keepable(call).unwrap();
    let lengths: HashSet<usize> = call.tags.iter().chain(&call.customer).map(String::len).collect();
    assert_eq!(lengths, HashSet::from([LABEL_MAX, LABEL_MAX / 3 * 3]));
}

/// An upstream that takes the clock along while it works.
struct Overnight(Arc<crate::ManualClock>, Timestamp);

#[async_trait]
impl Upstream for Overnight {
    async fn send(&self, _: UpstreamRequest) -> Result<UpstreamResponse, UpstreamFault> {
        self.0.set(self.1);
        let answer = br#"{"id":"x","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"ok"},"finish_reason":"stop"}],"usage":{"prompt_tokens":20,"completion_tokens":30,"total_tokens":50}}"#;
        Ok(UpstreamResponse::new(200, false, Box::new(WholeBody(Some(Bytes::from_static(answer))))))
    }
}

#[tokio::test]
async fn a_call_that_ends_after_midnight_is_stored_for_the_day_in_which_it_was_reserved() {
    let at = |text: &str| -> i64 { text.parse::<jiff::Timestamp>().unwrap().as_millisecond() };
    // The day in Shanghai that ends at 16:00 UTC, and a month with it.
    let (late, early) = (at("2026-11-30T15:59:59.900Z"), at("2026-11-30T16:00:00.100Z"));
    let clock = Arc::new(crate::ManualClock::new(Timestamp::from_ms(late)));
    let text = format!(
        "version: 1\n\
         quotas: {{time_zone: Asia/Shanghai}}\n\
         channels: [{{name: c, provider: openai, credential: sk-upstream-0123456789, models: [m]}}]\n\
         keys: [{{id: k, credential: {KEY}, limits: {{total_tokens: {{day: 1000, month: 1000}}}}}}]\n"
    );
    let config = Some(ConfigText { path: "test.yaml".to_owned(), text });
    let variables: crate::load::Variables = Arc::new(|_| None);
    let options = Options { config, variables, clock: clock.clone(), ..Options::default() };
    let gateway = Gateway::open(options).await.unwrap();
    let worker = gateway.worker_with(Arc::new(Overnight(Arc::clone(&clock), Timestamp::from_ms(early))));
    for _ in 0..2 {
        assert!(worker.call(inbound("m", false)).await.is_ok());
    }
    gateway.flush().await.unwrap();
    let mut stored: Vec<_> = gateway.store().balances().await.unwrap();
    stored.sort_by_key(|it| (it.window_start, it.window.to_string()));
    let stored: Vec<_> =
        stored.iter().map(|it| (it.window.to_string(), it.window_start.as_ms(), it.settled)).collect();
    let (november, last, december) =
        (at("2026-10-31T16:00:00Z"), at("2026-11-29T16:00:00Z"), at("2026-11-30T16:00:00Z"));
    let want = [("month", november), ("day", last), ("day", december), ("month", december)];
    assert_eq!(stored, want.map(|(window, start)| (window.to_owned(), start, 50)));
}

/// A gateway with one channel at its provider's own address, and a key with this limit.
async fn limited(provider: &str, model: &str, limit: &str) -> Gateway {
    gateway_of(format!(
        "version: 1\n\
         channels:\n\
         \x20 - {{name: c, provider: {provider}, credential: sk-upstream-0123456789, models: [{model}]}}\n\
         keys: [{{id: k, credential: {KEY}, limits: {{{limit}}}}}]\n"
    ))
    .await
}

#[tokio::test]
async fn a_stream_that_says_its_input_first_frees_the_rest() {
    const BEGINS: &str = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"x\",\
        \"type\":\"message\",\"role\":\"assistant\",\"content\":[],\"usage\":{\"input_tokens\":12,\"output_tokens\":1}}}\n\n\
        event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n\
        event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"hello\"}}\n\n";
    let gateway = limited("anthropic", "claude-opus-4-8", "total_tokens: {day: 100K}").await;
    let worker = gateway.worker_with(Scripted::new(Does::Says(BEGINS, false)));
    let body = serde_json::json!({
        "model": "claude-opus-4-8", "stream": true, "max_tokens": 100,
        "messages": [{"role": "user", "content": "some words that somebody has to pay for"}],
    });
    for format in [Format::AnthropicMessages, Format::OpenaiChat] {
        let answer = worker.call(Inbound::new(format, KEY, body.to_string())).await.unwrap();
        let caller = worker.inner.caller(Some(&sluicegate_core::Secret::new(KEY))).await.unwrap();
        let state = || worker.inner.engine.ledger().state(&caller.limits()[0], worker.inner.clock.now());
        assert_eq!(state().reserved, 12 + 100, "the input as it was said, and the ceiling");
        let before = state().settled;
        drop(answer);
        assert_eq!((state().reserved, state().settled - before), (0, 12 + 2), "input and what was delivered");
    }
}

#[cfg(feature = "tokenizer")]
#[tokio::test]
async fn a_long_prompt_is_counted_where_its_bytes_do_not_fit() {
    const ANSWER: &str = r#"{"id":"x","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant",
        "content":"yes"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9012,"completion_tokens":1,"total_tokens":9013}}"#;
    // 45,000 bytes of 9,000 words: more than is counted on the worker's own thread.
    let prompt = "word ".repeat(9_000);
    for (model, served) in [("gpt-4o", true), ("gpt-5.4", false)] {
        let gateway = limited("openai", model, "total_tokens: {day: 20K}").await;
        let worker = gateway.worker_with(Scripted::new(Does::Says(ANSWER, true)));
        let body = serde_json::json!({
            "model": model, "max_tokens": 100, "messages": [{"role": "user", "content": prompt}],
        });
        let answer = worker.call(Inbound::new(Format::OpenaiChat, KEY, body.to_string())).await;
        match answer {
            Ok(_) => assert!(served, "{model}"),
            Err(rejection) => {
                assert!(!served, "{model}: {rejection:?}");
                assert_eq!(rejection.error.kind(), ErrorKind::InsufficientQuota);
            }
        }
        let records = records(&gateway).await;
        assert_eq!(records[0].replay.counted.o200k_base.is_some(), served, "{model}");
    }
}
