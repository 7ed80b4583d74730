//! One of two channels is dead, in each way in which upstreams die: calls succeed all the same, none waits for it once it is
//! benched, and it is found when it is back.
//!
//! `SLUICEGATE_TEST_CALLS` says how many calls each way gets; 5,000 when it isn't set.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use sluicegate_tests::client::Request;
use sluicegate_tests::fake::FakeUpstream;
use sluicegate_tests::free_port;
use sluicegate_tests::gateway::{Gateway, MASTER_KEY};

const CALLERS: usize = 8;
/// How long a channel's answer is waited for.
const TIMEOUT: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Death {
    /// Nobody listens.
    Refused,
    /// It takes calls and never answers.
    BlackHole,
    /// It answers 503.
    Unavailable,
}

/// An upstream that is dead until it is revived.
struct Dying {
    port: u16,
    alive: Arc<AtomicBool>,
    /// Calls that reached it.
    asked: Arc<AtomicUsize>,
}

impl Dying {
    fn start(death: Death) -> Self {
        let (alive, asked) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        if death == Death::Refused {
            return Self { port: free_port(), alive, asked };
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (is_alive, count) = (Arc::clone(&alive), Arc::clone(&asked));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (is_alive, count) = (Arc::clone(&is_alive), Arc::clone(&count));
                std::thread::spawn(move || answer(stream, death, &is_alive, &count));
            }
        });
        Self { port, alive, asked }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

/// Answers the calls of one connection.
fn answer(mut stream: TcpStream, death: Death, alive: &AtomicBool, asked: &AtomicUsize) {
    let mut read = Vec::new();
    loop {
        let mut some = [0; 4096];
        match stream.read(&mut some) {
            Ok(n) if n > 0 => read.extend_from_slice(&some[..n]),
            _ => return,
        }
        if !is_whole(&read) {
            continue;
        }
        read.clear();
        asked.fetch_add(1, Ordering::SeqCst);
        let (status, body) = match death {
            _ if alive.load(Ordering::SeqCst) => ("200 OK", ANSWER),
            Death::Unavailable => {
                ("503 Service Unavailable", r#"{"error":{"message":"down","type":"server_error"}}"#)
            }
            _ => continue,
        };
        let length = body.len();
        let _ = write!(
            stream,
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        );
    }
}

/// Whether all of a call has been read; another follows only after its answer.
fn is_whole(read: &[u8]) -> bool {
    let text = String::from_utf8_lossy(read);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    body.len() >= length.parse::<usize>().unwrap()
}

const ANSWER: &str = r#"{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"back"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}"#;

fn start(name: &str, dying: &Dying, well: &FakeUpstream, cooldown_s: u32) -> Gateway {
    let model = |base: String| {
        json!({"model_name": "m", "litellm_params": {"model": "openai/gpt-4o-mini", "api_base": base, "api_key": "sk-upstream",
            "input_cost_per_token": 0.000_001, "output_cost_per_token": 0.000_002}})
    };
    let config = json!({
        "model_list": [model(format!("http://127.0.0.1:{}/v1", dying.port)), model(format!("{}/v1", well.url()))],
        "litellm_settings": {"num_retries": 2, "request_timeout": TIMEOUT.as_secs()},
        "router_settings": {"allowed_fails": 2, "cooldown_time": cooldown_s},
        "general_settings": {"master_key": MASTER_KEY},
    });
    Gateway::start(name, &config.to_string())
}

/// What came of one call.
struct Came {
    well: bool,
    /// How many channels it was tried at.
    attempts: String,
    took: Duration,
}

fn call(gateway: &str) -> Came {
    let body = r#"{"model":"m","max_tokens":5,"messages":[{"role":"user","content":"hello"}]}"#;
    let request = Request::post("/v1/chat/completions", body).bearer(MASTER_KEY);
    let began = Instant::now();
    let (well, attempts) = match request.send(gateway, Duration::from_secs(30)) {
        Ok(answer) => {
            let attempts = answer.head.get("x-sluicegate-attempts").unwrap_or_default().to_owned();
            (answer.status == 200, attempts)
        }
        Err(_) => (false, String::new()),
    };
    Came { well, attempts, took: began.elapsed() }
}

fn calls() -> usize {
    std::env::var("SLUICEGATE_TEST_CALLS").ok().and_then(|n| n.parse().ok()).unwrap_or(5_000)
}

fn survives(death: Death) {
    let (dying, well, calls) = (Dying::start(death), FakeUpstream::start(), calls());
    let gateway = start(&format!("dead-{death:?}").to_lowercase(), &dying, &well, 3_600);
    // Enough for it to be benched.
    let mut failed = 0;
    for _ in 0..20 {
        failed += usize::from(!call(gateway.address()).well);
    }
    let asked = dying.asked();
    let (left, bad) = (AtomicUsize::new(calls), AtomicUsize::new(0));
    let (slow, again) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..CALLERS {
            scope.spawn(|| {
                while left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok() {
                    let came = call(gateway.address());
                    bad.fetch_add(usize::from(!came.well), Ordering::SeqCst);
                    slow.fetch_add(usize::from(came.took >= TIMEOUT), Ordering::SeqCst);
                    again.fetch_add(usize::from(came.well && came.attempts != "1"), Ordering::SeqCst);
                }
            });
        }
    });
    failed += bad.into_inner();
    assert!(failed * 1_000 <= calls, "{death:?}: {failed} of {calls} calls failed");
    assert_eq!(slow.into_inner(), 0, "{death:?}: calls waited for the dead channel after it was benched");
    assert_eq!(again.into_inner(), 0, "{death:?}: calls were tried elsewhere first after it was benched");
    assert_eq!(dying.asked(), asked, "{death:?}: the dead channel was asked after it was benched");
}

#[test]
fn calls_survive_a_channel_that_refuses_connections() {
    survives(Death::Refused);
}

#[test]
fn calls_survive_a_channel_that_never_answers() {
    survives(Death::BlackHole);
}

#[test]
fn calls_survive_a_channel_that_is_unavailable() {
    survives(Death::Unavailable);
}

#[test]
fn a_channel_that_is_back_is_found_within_a_probe_period() {
    const COOLDOWN: Duration = Duration::from_secs(1);
    let (dying, well) = (Dying::start(Death::Unavailable), FakeUpstream::start());
    let gateway = start("revived", &dying, &well, 1);
    let benched = |gateway: &Gateway| {
        let before = dying.asked();
        (0..30).all(|_| call(gateway.address()).well) && dying.asked() == before
    };
    let until = Instant::now() + Duration::from_secs(20);
    while !benched(&gateway) {
        assert!(Instant::now() < until, "it is never benched");
    }
    dying.alive.store(true, Ordering::SeqCst);
    let (revived, before) = (Instant::now(), dying.asked());
    while dying.asked() < before + 5 {
        assert!(call(gateway.address()).well);
        // Benched again at most once while it died, so that the second, longer pause may be the one that is over.
        assert!(revived.elapsed() < 8 * COOLDOWN, "it is back and not found");
    }
}

#[test]
fn a_channel_that_is_back_is_found_by_a_check_without_a_call() {
    let (dying, well) = (Dying::start(Death::Unavailable), FakeUpstream::start());
    let channel = |name: &str, url: String| json!({"name": name, "provider": "openai", "url": url, "credential": "sk-upstream-of-a-test-5b2d8f0c", "models": ["gpt-4o-mini"]});
    let config = json!({
        "version": 1,
        "server": {"master_key": MASTER_KEY},
        "channels": [
            channel("dying", format!("http://127.0.0.1:{}/v1", dying.port)),
            channel("well", format!("{}/v1", well.url())),
        ],
        "aliases": {"m": "gpt-4o-mini"},
        // Nothing but a check brings it back in time.
        "routing": {"allowed_fails": 0, "cooldown": "1h"},
        "health_checks": {"interval": "1s", "timeout": "2s"},
    });
    let gateway = Gateway::start("checked", &config.to_string());
    let until = Instant::now() + Duration::from_secs(20);
    let wait = |what: &str, is: &dyn Fn() -> bool| {
        while !is() {
            assert!(Instant::now() < until, "{what}:\n{}", gateway.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    while dying.asked() == 0 {
        assert!(call(gateway.address()).well);
    }
    // Checks ask it while it is out, and only a success changes that.
    wait("it is asked while it is benched", &|| dying.asked() >= 3);
    let before = dying.asked();
    let calls: Vec<_> = (0..30).map(|_| call(gateway.address())).collect();
    assert!(calls.iter().all(|came| came.well && came.attempts == "1"), "nobody's call is sent there");
    assert!(dying.asked() <= before + 3, "they come once an interval");
    dying.alive.store(true, Ordering::SeqCst);
    wait("it is back and not found", &|| gateway.log().contains("a health check brought the channel back"));
    let before = dying.asked();
    assert!((0..30).all(|_| call(gateway.address()).well));
    assert!(dying.asked() > before, "it serves again");
    let pings = well.requests().iter().filter(|request| request.json().to_string().contains("ping")).count();
    assert_eq!(pings, 0, "who is well isn't asked");
}
