use std::future::Future as _;
use std::sync::atomic::AtomicUsize;
use std::task::{Context, Waker};

use super::*;

fn cell(engine: &Engine) -> CellId {
    let scope = sluicegate_core::Scope::new(sluicegate_core::ScopeKind::Group, "g");
    engine.ledger().cell(&scope, sluicegate_core::Metric::TotalTokens, sluicegate_core::Window::Day, None)
}

fn queue() -> (Arc<Queue>, CellId) {
    let engine = Arc::new(Engine::new(
        sluicegate_core::Snapshot::build(1, sluicegate_core::snapshot::Declared::default()),
        Arc::new(sluicegate_policy::Policies::default()),
    ));
    let cell = cell(&engine);
    (Queue::new(engine), cell)
}

/// Who has a place, and has been given a turn since this was last asked.
fn turns(places: &[(&'static str, Place)]) -> Vec<&'static str> {
    let given = |place: &Place| {
        let turn = std::pin::pin!(place.seat.wake.notified());
        turn.poll(&mut Context::from_waker(Waker::noop())).is_ready()
    };
    places.iter().filter(|(_, place)| given(place)).map(|(name, _)| *name).collect()
}

fn stand(queue: &Arc<Queue>, cell: CellId, names: &[&'static str]) -> Vec<(&'static str, Place)> {
    let enter = |name: &&'static str| {
        let key = KeyId::from(name.get(..1).unwrap_or_default());
        (*name, queue.enter(cell, Some(&key)).expect("there is room"))
    };
    names.iter().map(enter).collect()
}

fn go(places: &mut Vec<(&'static str, Place)>, name: &str) {
    let at = places.iter().position(|(other, _)| *other == name).expect("it has a place");
    places.remove(at);
}

#[test]
fn keys_take_turns_and_nobody_is_woken_in_vain_but_one() {
    let (queue, cell) = queue();
    let mut places = stand(&queue, cell, &["a1", "a2", "a3", "b1", "c1", "b2"]);
    let mut order = Vec::new();
    while !places.is_empty() {
        let turn = turns(&places);
        let [name] = turn.as_slice() else { panic!("one has its turn, not {turn:?}") };
        order.push(*name);
        go(&mut places, name);
    }
    assert_eq!(order, ["a1", "b1", "c1", "a2", "b2", "a3"]);
    assert_eq!(queue.lines.lock().len, 0);
    assert!(queue.lines.lock().lines.is_empty());
}

#[test]
fn who_does_not_fit_keeps_its_place_until_something_is_freed() {
    let (queue, cell) = queue();
    let mut places = stand(&queue, cell, &["a1", "b1"]);
    assert_eq!(turns(&places), ["a1"], "something may have been freed before it came");
    places[0].1.missed();
    assert_eq!(turns(&places), [""; 0]);
    queue.ring(&[cell]);
    assert_eq!(turns(&places), ["a1"], "the one that came first");
    // What is freed while it looks isn't lost, and isn't told to two.
    queue.ring(&[cell]);
    queue.ring(&[cell]);
    assert_eq!(turns(&places), [""; 0]);
    places[0].1.missed();
    assert_eq!(turns(&places), ["a1"]);
    places[0].1.missed();
    assert_eq!(turns(&places), [""; 0]);
    // The head's time is over: the next may need less.
    go(&mut places, "a1");
    assert_eq!(turns(&places), ["b1"]);
    // Counters that nobody waits for, and misses of those who aren't at the head, change nothing.
    let more = stand(&queue, cell, &["c1"]);
    more[0].1.missed();
    queue.ring(&[]);
    assert_eq!(turns(&more), [""; 0]);
}

#[test]
fn who_leaves_from_the_middle_takes_no_turn_along() {
    let (queue, cell) = queue();
    let mut places = stand(&queue, cell, &["a1", "b1", "c1"]);
    go(&mut places, "b1");
    assert_eq!(turns(&places), ["a1"]);
    go(&mut places, "a1");
    assert_eq!(turns(&places), ["c1"]);
}

#[test]
fn a_full_line_has_room_only_for_a_key_with_fewer_places() {
    let (queue, cell) = queue();
    let (greedy, modest) = (KeyId::from("greedy"), KeyId::from("modest"));
    let places: Vec<_> =
        (0..LINE_MAX).map(|_| queue.enter(cell, Some(&greedy)).expect("there is room")).collect();
    assert!(queue.enter(cell, Some(&greedy)).is_none());
    let other = queue.enter(cell, Some(&modest)).expect("another key is let in");
    let lost = |places: &[Place]| places.iter().filter(|p| p.seat.is_lost.load(Ordering::Acquire)).count();
    assert_eq!(lost(&places), 1);
    assert!(places[LINE_MAX - 1].seat.is_lost.load(Ordering::Acquire), "the last");
    assert_eq!(queue.lines.lock().len, LINE_MAX);
    // Until they have as many.
    let mut others = vec![other];
    while let Some(place) = queue.enter(cell, Some(&modest)) {
        others.push(place);
    }
    assert_eq!((lost(&places), others.len()), (LINE_MAX / 2, LINE_MAX / 2));
    drop((places, others));
    assert_eq!(queue.lines.lock().len, 0);
    assert!(queue.enter(cell, None).is_some());
}

#[test]
fn all_lines_together_are_bounded() {
    let (queue, _) = queue();
    let scope = |n: usize| sluicegate_core::Scope::new(sluicegate_core::ScopeKind::Key, format!("{n}"));
    let places: Vec<_> = (0..)
        .map_while(|n| {
            let metric = sluicegate_core::Metric::TotalTokens;
            let cell = queue.engine.ledger().cell(&scope(n / 2), metric, sluicegate_core::Window::Day, None);
            queue.enter(cell, None)
        })
        .collect();
    assert_eq!(places.len(), ALL_MAX);
    drop(places);
    assert!(queue.lines.lock().lines.is_empty());
}

#[tokio::test(start_paused = true)]
async fn who_waits_in_vain_leaves_the_line_in_time() {
    let (queue, cell) = queue();
    let line = Line { cell, wait_ms: None };
    let first = queue.wait(None, line, None, Duration::from_secs(2)).await.expect("the first looks at once");
    let since = tokio::time::Instant::now();
    let second = queue.wait(None, line, None, Duration::from_secs(2)).await;
    assert!(second.is_none());
    assert_eq!(since.elapsed(), Duration::from_secs(2));
    assert_eq!(queue.lines.lock().len, 1);
    drop(first);
    assert!(queue.lines.lock().lines.is_empty());
}

/// Many calls of several keys on a counter that one at a time may have: whatever the scheduler does, each gets it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_turn_is_lost() {
    let (queue, cell) = queue();
    let line = Line { cell, wait_ms: None };
    let (free, served) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicUsize::new(0)));
    let tasks: Vec<_> = (0..200)
        .map(|n| {
            let (queue, free, served) = (Arc::clone(&queue), Arc::clone(&free), Arc::clone(&served));
            tokio::spawn(async move {
                let key = KeyId::from(format!("{}", n % 7));
                let mut place = None;
                loop {
                    place = queue.wait(place, line, Some(&key), Duration::from_secs(60)).await;
                    assert!(place.is_some(), "a turn was lost");
                    if free.swap(false, Ordering::AcqRel) {
                        break;
                    }
                }
                drop(place);
                tokio::task::yield_now().await;
                served.fetch_add(1, Ordering::AcqRel);
                free.store(true, Ordering::Release);
                queue.ring(&[cell]);
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(served.load(Ordering::Acquire), 200);
    assert!(queue.lines.lock().lines.is_empty());
}

#[cfg(feature = "sqlite")]
mod calls {
    use async_trait::async_trait;
    use bytes::Bytes;
    use sluicegate_core::{ErrorKind, Format, OutcomeClass, Retry, Secret};
    use tokio::sync::{Semaphore, mpsc};
    use tokio::task::JoinHandle;

    use super::*;
    use crate::store::{Page, Reach, RecordFilter};
    use crate::upstream::{Upstream, UpstreamFault, UpstreamRequest, UpstreamResponse, WholeBody};
    use crate::{Answer, ConfigText, Gateway, Inbound, Options, Rejection};

    /// An upstream that says what it is asked and answers when it is let; 10 tokens each time.
    struct Gated {
        asked: mpsc::UnboundedSender<String>,
        gate: Arc<Semaphore>,
    }

    #[async_trait]
    impl Upstream for Gated {
        async fn send(&self, request: UpstreamRequest) -> Result<UpstreamResponse, UpstreamFault> {
            let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
            let name = body["messages"][0]["content"].as_str().unwrap().to_owned();
            self.asked.send(name).unwrap();
            self.gate.acquire().await.unwrap().forget();
            let answer = br#"{"id":"x","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"ok"},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":10,"total_tokens":15}}"#;
            Ok(UpstreamResponse::new(200, false, Box::new(WholeBody(Some(Bytes::from_static(answer))))))
        }
    }

    struct World {
        gateway: Gateway,
        gate: Arc<Semaphore>,
        asking: mpsc::UnboundedSender<String>,
        asked: mpsc::UnboundedReceiver<String>,
    }

    fn secret(key: &str) -> String {
        format!("sk-3f9c1e77ab04d25866e1904cfa7b2d3{key}")
    }

    impl World {
        /// One group of three keys, in which one call of 100 tokens at a time fits.
        async fn new(quotas: &str, limits: &str) -> Self {
            let keys: Vec<_> = ["1", "2", "3"]
                .map(|key| format!("{{id: k{key}, group: g, credential: {}}}", secret(key)))
                .into();
            let text = format!(
                "version: 1\n\
                 channels: [{{name: c, provider: openai, credential: sk-upstream-0123456789, models: [m]}}]\n\
                 quotas: {{{quotas}}}\n\
                 groups: [{{id: g, limits: {{{limits}}}}}]\n\
                 keys: [{}]\n",
                keys.join(", ")
            );
            let config = Some(ConfigText { path: "test.yaml".to_owned(), text });
            let options = Options { config, variables: Arc::new(|_| None), ..Options::default() };
            let gateway = Gateway::open(options).await.unwrap();
            for key in ["1", "2", "3"] {
                gateway.caller(Some(&Secret::new(secret(key)))).await.unwrap();
            }
            let (asking, asked) = mpsc::unbounded_channel();
            Self { gateway, gate: Arc::new(Semaphore::new(0)), asking, asked }
        }

        /// A call named like its key and a letter.
        fn call(&self, name: &'static str) -> JoinHandle<Result<Answer, Box<Rejection>>> {
            let upstream = Gated { asked: self.asking.clone(), gate: Arc::clone(&self.gate) };
            let worker = self.gateway.worker_with(Arc::new(upstream));
            let body = serde_json::json!({
                "model": "m", "max_tokens": 100, "messages": [{"role": "user", "content": name}],
            });
            let key = secret(name.get(..1).unwrap());
            tokio::spawn(async move {
                worker.call(Inbound::new(Format::OpenaiChat, &key, body.to_string())).await
            })
        }

        /// Until so many stand in line.
        async fn waiting(&self, len: usize) {
            while self.gateway.inner.queue.lines.lock().len != len {
                tokio::task::yield_now().await;
            }
        }

        fn let_one_go(&self) {
            self.gate.add_permits(1);
        }
    }

    #[tokio::test]
    async fn who_waits_goes_when_others_end_and_keys_take_turns() {
        let mut world = World::new("reserve_wait: 60s", "output_tokens: {day: 150}").await;
        let mut calls = vec![world.call("1a")];
        assert_eq!(world.asked.recv().await.unwrap(), "1a");
        for (at, name) in ["1b", "1c", "1d", "2a", "3a"].into_iter().enumerate() {
            calls.push(world.call(name));
            world.waiting(at + 1).await;
        }
        for next in ["1b", "2a", "3a", "1c", "1d"] {
            world.let_one_go();
            assert_eq!(world.asked.recv().await.unwrap(), next);
        }
        world.let_one_go();
        for call in calls {
            assert!(call.await.unwrap().is_ok());
        }
        world.waiting(0).await;
        // 60 are used: what doesn't fit even alone is no matter of waiting.
        let denied = world.call("1e").await.unwrap().unwrap_err();
        assert_eq!(denied.error.kind(), ErrorKind::InsufficientQuota);
    }

    #[tokio::test]
    async fn who_leaves_the_line_is_gone_and_the_next_goes() {
        let mut world = World::new("reserve_wait: 60s", "concurrency: 1").await;
        let first = world.call("1a");
        world.asked.recv().await.unwrap();
        let (leaves, stays) = (world.call("2a"), world.call("3a"));
        world.waiting(2).await;
        leaves.abort();
        assert!(leaves.await.unwrap_err().is_cancelled());
        world.waiting(1).await;
        world.let_one_go();
        assert_eq!(world.asked.recv().await.unwrap(), "3a");
        world.let_one_go();
        assert!(first.await.unwrap().is_ok() && stays.await.unwrap().is_ok());
        world.gateway.flush().await.unwrap();
        let store = world.gateway.store();
        let records =
            store.records(&RecordFilter::default(), &Reach::ALL, Page::default()).await.unwrap().items;
        let gone: Vec<_> = records.iter().filter(|r| r.outcome == OutcomeClass::ClientGone).collect();
        assert!(records.len() == 3 && gone.len() == 1 && gone[0].attempts.is_empty(), "{gone:?}");
    }

    #[tokio::test]
    async fn nobody_waits_longer_than_the_limit_says() {
        // The wait of the limit counts before the settings'.
        for (quotas, limits) in [
            ("reserve_wait: 20ms", "output_tokens: {day: 150}"),
            ("reserve_wait: 0s", "output_tokens: {day: 150}"),
            ("reserve_wait: 60s", "output_tokens: {day: 150 wait=20ms}"),
            ("reserve_wait: 60s", "output_tokens: {day: 150 wait=0s}"),
        ] {
            let mut world = World::new(quotas, limits).await;
            let first = world.call("1a");
            world.asked.recv().await.unwrap();
            let denied = world.call("2a").await.unwrap().unwrap_err();
            assert_eq!(denied.error.kind(), ErrorKind::RateLimited, "{limits}");
            assert_eq!(denied.error.retry(), Retry::AfterMs(1_000));
            assert!(denied.error.message().contains("try again in a moment"), "{}", denied.error.message());
            world.waiting(0).await;
            world.let_one_go();
            assert!(first.await.unwrap().is_ok());
        }
    }

    #[tokio::test]
    async fn a_newcomer_does_not_overtake_and_a_full_line_refuses_at_once() {
        let mut world = World::new("reserve_wait: 60s", "output_tokens: {day: 150}").await;
        let first = world.call("1a");
        world.asked.recv().await.unwrap();
        let cell = world.gateway.caller(Some(&Secret::new(secret("1")))).await.unwrap().limits()[0].cell;
        let queue = Arc::clone(&world.gateway.inner.queue);
        let mut places: Vec<_> =
            (0..LINE_MAX).map(|n| queue.enter(cell, Some(&KeyId::from(format!("{n}")))).unwrap()).collect();
        let denied = world.call("2a").await.unwrap().unwrap_err();
        assert_eq!(denied.error.kind(), ErrorKind::RateLimited);
        places.truncate(1);
        world.let_one_go();
        assert!(first.await.unwrap().is_ok());
        // It would fit by now, but somebody else was there before.
        let newcomer = world.call("3a");
        world.waiting(2).await;
        assert!(world.asked.try_recv().is_err());
        places.clear();
        assert_eq!(world.asked.recv().await.unwrap(), "3a");
        world.let_one_go();
        assert!(newcomer.await.unwrap().is_ok());
    }
}
