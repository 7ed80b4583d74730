//! A cap of so many calls under a crowd of them, and under kills: what passes it, and what is left once everything held is
//! reconciled.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sluicegate_tests::client::Request;
use sluicegate_tests::fake::FakeUpstream;
use sluicegate_tests::gateway::{Gateway, MASTER_KEY};

use super::config;

/// What one call reserves, and what the upstream then produces, in output tokens.
const EACH: usize = 10;

fn body(model: &str) -> String {
    let words = "a b c d e f g h i j k l";
    json!({"model": model, "max_tokens": EACH, "messages": [{"role": "user", "content": words}]}).to_string()
}

/// A key that so many calls fit into.
fn key_for(gateway: &Gateway, calls: usize) -> String {
    let new = json!({"alias": "capped", "limits": {"output_tokens": {"lifetime": calls * EACH}}});
    let request = Request::post("/api/v1/keys", new.to_string()).bearer(MASTER_KEY);
    let answer = gateway.send(&request);
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer.json()["secret"].as_str().unwrap().to_owned()
}

/// Makes one call: whether it was answered, or refused by the cap; `None` when nothing can be said.
fn call(address: &str, key: &str, model: &str) -> Option<bool> {
    let request = Request::post("/v1/chat/completions", body(model)).bearer(key);
    let answer = request.send(address, Duration::from_secs(30)).ok()?;
    match answer.status {
        200 if !answer.text().is_empty() => {
            assert_eq!(answer.json()["usage"]["completion_tokens"], EACH, "{}", answer.text());
            Some(true)
        }
        429 => Some(false),
        _ => None,
    }
}

fn settled(gateway: &Gateway) -> u64 {
    gateway.look_up("/api/v1/keys/capped")["limit_states"][0]["settled"].as_u64().unwrap()
}

fn ledger(gateway: &Gateway, args: &[&str]) -> Value {
    let (well, said) = gateway.ledger(args, true);
    assert!(well, "{args:?}: {said}");
    serde_json::from_str(&said).unwrap_or_else(|why| panic!("{args:?}: {why}: {said}"))
}

#[test]
fn of_a_crowd_exactly_as_many_succeed_as_the_cap_allows() {
    const CAP: usize = 150;
    let upstream = FakeUpstream::start();
    let behaves = [json!({"behaves": "--delay-100"})];
    let gateway = Gateway::start("crowd", &config(&behaves, &upstream));
    let key = key_for(&gateway, CAP);
    let (answered, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..1_000 {
            std::thread::Builder::new()
                .stack_size(256 * 1024)
                .spawn_scoped(scope, || match call(gateway.address(), &key, "chat--delay-100") {
                    Some(true) => answered.fetch_add(1, Ordering::SeqCst),
                    Some(false) => refused.fetch_add(1, Ordering::SeqCst),
                    None => panic!("a call that is neither answered nor refused"),
                })
                .unwrap();
        }
    });
    assert_eq!((answered.into_inner(), refused.into_inner()), (CAP, 1_000 - CAP));
    assert_eq!(settled(&gateway), (CAP * EACH) as u64);
    let audit = ledger(&gateway, &["audit"]);
    assert_eq!(audit["differing"], 0, "{audit}");
}

#[test]
fn a_cap_holds_through_kills_and_is_used_up_once_all_is_reconciled() {
    const CAP: usize = 240;
    const CALLERS: usize = 12;
    let upstream = FakeUpstream::start();
    let behaves = [json!({"behaves": "--delay-20"})];
    let mut gateway = Gateway::start("capped", &config(&behaves, &upstream));
    let key = key_for(&gateway, CAP);
    let succeeded = AtomicUsize::new(0);
    let mut in_flight = 0;
    for _ in 0..4 {
        let (answered, gone) = (AtomicUsize::new(0), AtomicBool::new(false));
        let address = gateway.address().to_owned();
        std::thread::scope(|scope| {
            for _ in 0..CALLERS {
                scope.spawn(|| {
                    while !gone.load(Ordering::SeqCst) {
                        if call(&address, &key, "chat--delay-20") == Some(true) {
                            answered.fetch_add(1, Ordering::SeqCst);
                        }
                    }
                });
            }
            let until = Instant::now() + Duration::from_secs(60);
            while answered.load(Ordering::SeqCst) < 15 && Instant::now() < until {
                std::thread::yield_now();
            }
            gateway.kill();
            gone.store(true, Ordering::SeqCst);
        });
        succeeded.fetch_add(answered.into_inner(), Ordering::SeqCst);
        in_flight += CALLERS;
        gateway.start_again();
        assert!(succeeded.load(Ordering::SeqCst) <= CAP);
        let audit = ledger(&gateway, &["audit"]);
        assert_eq!(audit["differing"], 0, "nothing is charged without a record: {audit}");
    }
    let fill_up = |gateway: &Gateway| {
        while call(gateway.address(), &key, "chat") == Some(true) {
            succeeded.fetch_add(1, Ordering::SeqCst);
        }
    };
    fill_up(&gateway);
    let so_far = succeeded.load(Ordering::SeqCst);
    assert!(so_far <= CAP && so_far + in_flight >= CAP, "{so_far} of {CAP} succeeded");

    // What is held is charged or freed; then what is left is used up, to the last token.
    let held = ledger(&gateway, &["held"]);
    let calls: Vec<&str> =
        held["items"].as_array().unwrap().iter().map(|it| it["call"].as_str().unwrap()).collect();
    assert!(!calls.is_empty() && calls.len() <= in_flight, "{held}");
    assert_eq!(held["items"][0]["attempt"]["upstream_model"], "gpt-4o-mini--delay-20", "{held}");
    for (at, call) in calls.iter().enumerate() {
        let how = if at % 2 == 0 { "--free" } else { "--charge-reserved" };
        for already in [false, true] {
            let done = ledger(&gateway, &["reconcile", call, how]);
            assert_eq!(done["already"], already, "{done}");
            assert_eq!(done["record"]["amends"], *call, "{done}");
        }
    }
    assert_eq!(ledger(&gateway, &["held"])["total"], 0);
    fill_up(&gateway);
    assert_eq!(settled(&gateway), (CAP * EACH) as u64);
    let charged = calls.len() / 2;
    let all = succeeded.load(Ordering::SeqCst) + charged;
    // A call may be settled whose answer didn't reach its caller any more.
    assert!(all <= CAP && all + in_flight - calls.len() >= CAP, "{all} of {CAP}");

    let audit = ledger(&gateway, &["audit"]);
    assert_eq!((&audit["differing"], &audit["left_out"]), (&json!(0), &json!(0)), "{audit}");
    let interrupted = gateway.look_up("/api/v1/records?limit=1000");
    let marked = |it: &&Value| it["error"] == "interrupted";
    assert!(interrupted["items"].as_array().unwrap().iter().filter(marked).count() >= calls.len());

    // Once it is stopped, the same from its directory; and beside a running one, that isn't allowed.
    let (well, said) = gateway.ledger(&["status"], false);
    assert!(!well && said.contains("in use by process"), "{said}");
    gateway.ask_to_stop();
    gateway.stopped();
    // More than once: one that did nothing but start and stop leaves a journal that can be read, too.
    for _ in 0..3 {
        let (well, said) = gateway.ledger(&["status"], false);
        assert!(well && said.contains("\"held\": 0"), "{said}");
    }
    let (well, said) = gateway.ledger(&["repair"], false);
    assert!(well && said.contains("\"kept\": null"), "{said}");
    gateway.start_again();
    assert_eq!(settled(&gateway), (CAP * EACH) as u64);
}
