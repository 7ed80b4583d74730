use std::task::{Context, Poll};

use async_trait::async_trait;
use serde_json::Value;
use sluicegate_core::{Format, OutcomeClass, UsageRecord};

use super::*;
use crate::store::{Page, Reach, RecordFilter};
use crate::upstream::{UpstreamBody, UpstreamFault, UpstreamRequest, UpstreamResponse};
use crate::{ConfigText, Options};

const KEYS: [&str; 2] = ["sk-3f9c1e77ab04d25866e1904cfa7b2d38", "sk-77ab04d25866e1904cfa7b2d383f9c1e"];
const RESPONSE: &str = r#"{"id":"resp_1","object":"response","status":"completed","model":"m","output":[{"type":"message","id":"msg_1","role":"assistant","status":"completed","content":[{"type":"output_text","text":"well","annotations":[]}]}],"usage":{"input_tokens":9,"output_tokens":1,"total_tokens":10}}"#;

/// What happens when an upstream has said everything.
type AtEnd = Arc<dyn Fn() -> bool + Send + Sync>;

/// Answers with one text; `AtEnd` says whether that is the end, or it goes silent.
struct Scripted(&'static str, AtEnd);

struct Body(Option<&'static str>, AtEnd);

impl UpstreamBody for Body {
    fn poll_chunk(&mut self, _: &mut Context<'_>) -> Poll<Option<std::result::Result<Bytes, UpstreamFault>>> {
        match self.0.take() {
            Some(text) => Poll::Ready(Some(Ok(Bytes::from_static(text.as_bytes())))),
            None if (self.1)() => Poll::Ready(None),
            None => Poll::Pending,
        }
    }
}

#[async_trait]
impl Upstream for Scripted {
    async fn send(&self, request: UpstreamRequest) -> std::result::Result<UpstreamResponse, UpstreamFault> {
        Ok(UpstreamResponse::new(200, request.stream, Box::new(Body(Some(self.0), Arc::clone(&self.1)))))
    }
}

async fn gateway(server: &str) -> Gateway {
    let keys = KEYS.iter().enumerate().map(|(at, key)| format!("{{id: k{at}, credential: {key}}}"));
    let text = format!(
        "version: 1\nserver: {{{server}}}\nchannels:\n- name: c\n  provider: openai\n  credential: sk-upstream-0123456789\n  \
         models: [{{name: m, price: {{input: 1, output: 2}}}}]\n  \
         endpoints: [{{format: openai_responses, url: 'https://relay.test/v1/responses'}}]\nkeys: [{}]\n",
        keys.collect::<Vec<_>>().join(", ")
    );
    let config = Some(ConfigText { path: "test.yaml".to_owned(), text });
    Gateway::open(Options { config, variables: Arc::new(|_| None), ..Options::default() }).await.unwrap()
}

fn asked(key: &str) -> Inbound {
    let body = r#"{"model":"m","input":"hi","max_output_tokens":100,"background":true}"#;
    Inbound::new(Format::OpenaiResponses, key, body)
}

async fn begin(
    gateway: &Gateway,
    upstream: Scripted,
    key: &str,
) -> std::result::Result<Value, Box<Rejection>> {
    let answer = gateway.worker_with(Arc::new(upstream)).call(asked(key)).await?;
    let AnswerBody::Full(body) = answer.body else { panic!("it streams") };
    Ok(serde_json::from_slice(&body).unwrap())
}

async fn owner(gateway: &Gateway) -> ResponseOwner {
    let caller = gateway.inner.caller(asked(KEYS[0]).credential.as_ref()).await.unwrap();
    ResponseOwner::of(&caller.caller)
}

async fn ended(gateway: &Gateway, owner: &ResponseOwner, id: &str) -> Value {
    loop {
        let text = as_it_stands(&gateway.inner, owner, id).await.unwrap().unwrap();
        let told: Value = serde_json::from_str(&text).unwrap();
        if told["status"] != "in_progress" {
            return told;
        }
        tokio::task::yield_now().await;
    }
}

async fn record(gateway: &Gateway) -> UsageRecord {
    gateway.flush().await.unwrap();
    let all = gateway.store().records(&RecordFilter::default(), &Reach::ALL, Page::default()).await.unwrap();
    let [record] = all.items.as_slice() else { panic!("{:?}", all.items) };
    record.clone()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ends {
    /// While the upstream is still answering.
    Early(End),
    /// When the answer is there, and its settlement isn't written yet.
    WhileSettling(End),
}

#[tokio::test]
async fn an_end_from_elsewhere_never_takes_an_answer_away_that_is_charged() {
    // Too large to be kept.
    let large = RESPONSE.replace("well", &"x".repeat(9 << 20));
    let large: &str = Box::leak(large.into_boxed_str());
    for (text, ends, status, outcome) in [
        (RESPONSE, Ends::Early(End::Cancelled), "cancelled", OutcomeClass::ClientGone),
        (RESPONSE, Ends::Early(End::Stopped), "failed", OutcomeClass::ClientGone),
        (RESPONSE, Ends::WhileSettling(End::Cancelled), "completed", OutcomeClass::Ok),
        (RESPONSE, Ends::WhileSettling(End::Stopped), "completed", OutcomeClass::Ok),
        (large, Ends::WhileSettling(End::Cancelled), "failed", OutcomeClass::Ok),
    ] {
        let gateway = gateway("").await;
        let jobs = Arc::clone(&gateway.inner);
        let at_end: AtEnd = Arc::new(move || match ends {
            Ends::Early(_) => false,
            Ends::WhileSettling(why) => {
                jobs.jobs.end_all(why);
                true
            }
        });
        let begun = begin(&gateway, Scripted(text, at_end), KEYS[0]).await.unwrap();
        let (owner, id) = (owner(&gateway).await, begun["id"].as_str().unwrap().to_owned());
        if let Ends::Early(why) = ends {
            while gateway.inner.under_way.load(std::sync::atomic::Ordering::Acquire) == 0 {
                tokio::task::yield_now().await;
            }
            gateway.inner.jobs.end_all(why);
        }
        let told = ended(&gateway, &owner, &id).await;
        assert_eq!(told["status"], status, "{told}");
        assert_eq!(told["error"].is_null(), status != "failed", "{told}");
        assert_eq!(record(&gateway).await.outcome, outcome, "{told}");
    }
}

#[tokio::test]
async fn what_a_short_request_goes_on_from_is_held_too() {
    // What one owner may have, and what becomes of three short requests that go on from 6,000 bytes.
    for (most, want) in [
        ("4KiB", [Some(ErrorKind::PayloadTooLarge); 3]),
        // What is sent is held beside that.
        ("9KiB", [Some(ErrorKind::PayloadTooLarge); 3]),
        ("28KiB", [None, None, Some(ErrorKind::RateLimited)]),
        ("64KiB", [None; 3]),
    ] {
        let gateway = gateway(&format!("responses: {{background_bytes_per_owner: {most}}}")).await;
        let ask = async |upstream: Scripted, more: &str| {
            let body = format!(r#"{{"model":"m","max_output_tokens":100,{more}}}"#);
            let inbound = Inbound::new(Format::OpenaiResponses, KEYS[0], body);
            gateway.worker_with(Arc::new(upstream)).call(inbound).await.err().map(|told| told.error.kind())
        };
        let long = format!(r#""input":"{}""#, "x".repeat(6_000));
        assert_eq!(ask(Scripted(RESPONSE, Arc::new(|| true)), &long).await, None);
        let on = r#""input":"on","background":true,"previous_response_id":"resp_1""#;
        for want in want {
            assert_eq!(ask(Scripted("", Arc::new(|| false)), on).await, want, "{most}");
        }
        // All of it is given back.
        gateway.inner.jobs.end_all(End::Cancelled);
        while !gateway.inner.jobs.is_idle() {
            tokio::task::yield_now().await;
        }
        assert_eq!(ask(Scripted("", Arc::new(|| false)), on).await, want[0], "{most}");
    }
}

#[tokio::test]
async fn an_owner_has_no_more_than_its_share() {
    let silent: AtEnd = Arc::new(|| false);
    let gateway = gateway("responses: {background_per_owner: 1, background: 2}").await;
    let begin = |key| begin(&gateway, Scripted("", Arc::clone(&silent)), key);
    let first = begin(KEYS[0]).await.unwrap();
    let refused = begin(KEYS[0]).await.unwrap_err();
    assert_eq!(refused.error.kind(), ErrorKind::RateLimited);
    assert!(
        refused.report.message.contains("`server.responses.background_per_owner`"),
        "{:?}",
        refused.report
    );
    // Somebody else's share is their own.
    begin(KEYS[1]).await.unwrap();
    let caller = gateway.inner.caller(asked(KEYS[0]).credential.as_ref()).await.unwrap();
    let cancelled = gateway.cancel_response(&caller.caller, first["id"].as_str().unwrap()).await.unwrap();
    assert!(cancelled.contains(r#""status":"cancelled""#), "{cancelled}");
    begin(KEYS[0]).await.unwrap();
}

#[test]
fn only_what_is_completed_can_be_gone_on_from() {
    for (body, want) in [
        (r#"{"background":true,"status":"completed"}"#, None),
        (r#"{"background":true,"status":"incomplete"}"#, None),
        (r#"{"background":true,"status":"in_progress"}"#, Some("in_progress")),
        (r#"{"status":"failed","background":true,"output":[]}"#, Some("failed")),
        (r#"{"background":true,"status":"cancelled"}"#, Some("cancelled")),
        (r#"{"background":true,"output":[{"status":"in_progress"}]}"#, None),
        (r#"{"background":false,"status":"failed"}"#, None),
    ] {
        assert_eq!(unfinished(body), want, "{body}");
    }
}

/// One of several processes on the same database, with a data directory of its own.
async fn node(dir: &std::path::Path, name: &str, clock: Arc<dyn sluicegate_core::Clock>) -> Gateway {
    let text = format!(
        "version: 1\nchannels:\n- name: c\n  provider: openai\n  credential: sk-upstream-0123456789\n  models: [{{name: m}}]\n  \
         endpoints: [{{format: openai_responses, url: 'https://relay.test/v1/responses'}}]\nkeys: [{{id: k0, credential: {}}}]\n",
        KEYS[0]
    );
    let config = Some(ConfigText { path: "test.yaml".to_owned(), text });
    let variables: crate::Variables =
        Arc::new(|name| (name == "SLUICEGATE_MASTER_SECRET").then(|| "m".repeat(32)));
    let database = Some(dir.join("shared.db").display().to_string());
    let data_dir = Some(dir.join(name));
    let options = Options { config, variables, database, data_dir, clock, ..Options::default() };
    let gateway = Gateway::open(options).await.unwrap();
    // Only what the test itself asks for.
    gateway.inner.maintenance.abort();
    gateway
}

#[tokio::test]
async fn a_reader_at_another_process_asks_only_whether_it_is_worked_on() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(crate::ManualClock::new(sluicegate_core::Timestamp::from_ms(1_000_000)));
    let a = node(dir.path(), "a", Arc::clone(&clock) as _).await;
    let b = node(dir.path(), "b", clock).await;
    let begun = begin(&a, Scripted("", Arc::new(|| false)), KEYS[0]).await.unwrap();
    let key = (owner(&b).await, begun["id"].as_str().unwrap().to_owned());
    let (looks, now) = (std::cell::Cell::new(0), b.inner.clock.now());
    let pause = || {
        looks.set(looks.get() + 1);
        let (look, store, key) = (looks.get(), Arc::clone(&b.inner.store), key.clone());
        async move {
            match look {
                // Whoever read the response itself would find none.
                1 => assert!(store.forget_response(&key.0, &key.1, now).await.unwrap()),
                2 => store.end_work(&key.0, &key.1).await.unwrap(),
                _ => {}
            }
        }
    };
    assert_eq!(follow::end_of(&b.inner, &key, pause).await.unwrap(), None);
    assert_eq!(looks.get(), 2);
}

#[tokio::test]
async fn another_process_knows_of_the_work_and_can_end_it() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(crate::ManualClock::new(sluicegate_core::Timestamp::from_ms(1_000_000)));
    let a = node(dir.path(), "a", Arc::clone(&clock) as _).await;
    let b = node(dir.path(), "b", Arc::clone(&clock) as _).await;
    let silent = || Scripted("", Arc::new(|| false));
    let begun = begin(&a, silent(), KEYS[0]).await.unwrap();
    let (owner, id) = (owner(&b).await, begun["id"].as_str().unwrap());
    let stands = async |node: &Gateway| {
        let text = as_it_stands(&node.inner, &owner, id).await.unwrap().unwrap();
        serde_json::from_str::<Value>(&text).unwrap()["status"].as_str().unwrap().to_owned()
    };
    assert_eq!(stands(&b).await, "in_progress");
    // It goes on for as long as its process says so.
    clock.set(sluicegate_core::Timestamp::from_ms(1_025_000));
    tend(&a.inner).await;
    clock.set(sluicegate_core::Timestamp::from_ms(1_050_000));
    assert_eq!(stands(&b).await, "in_progress");
    clock.set(sluicegate_core::Timestamp::from_ms(1_060_000));
    assert_eq!((stands(&b).await.as_str(), stands(&a).await.as_str()), ("failed", "in_progress"));
    tend(&a.inner).await;
    // Another reads along, and ends it.
    let caller = b.inner.caller(asked(KEYS[0]).credential.as_ref()).await.unwrap();
    let events = b.follow_response(&caller.caller, id, None).await.unwrap();
    let read = events.map(|bytes| String::from_utf8(bytes.unwrap().to_vec()).unwrap()).collect::<String>();
    let tending = async {
        loop {
            tend(&a.inner).await;
            tokio::task::yield_now().await;
        }
    };
    let ended = async { tokio::join!(b.cancel_response(&caller.caller, id), read) };
    let (told, read) = tokio::select! {
        ended = ended => ended,
        () = tending => unreachable!(),
    };
    assert!(told.unwrap().contains(r#""status":"cancelled""#));
    assert!(read.contains("response.created") && read.contains(r#""status":"cancelled""#), "{read}");
    assert_eq!(stands(&a).await, "cancelled");
    // A process that begins anew has lost what it worked on.
    let lost = begin(&a, silent(), KEYS[0]).await.unwrap();
    assert_eq!(b.inner.store.end_work_of(&a.inner.worker_name).await.unwrap(), 1);
    let told = as_it_stands(&b.inner, &owner, lost["id"].as_str().unwrap()).await.unwrap().unwrap();
    assert!(told.contains(r#""status":"failed""#), "{told}");
}
