//! A gateway that is killed in the middle of its calls, again and again.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use sluicegate_tests::client::Request;
use sluicegate_tests::fake::FakeUpstream;
use sluicegate_tests::gateway::Gateway;

use super::config;

/// Calls under way at the same time.
const CALLERS: usize = 8;
/// Answers after which it is killed.
const ANSWERS: usize = 60;

fn body() -> String {
    json!({"model": "chat", "max_tokens": 10, "messages": [{"role": "user", "content": "a b c d e f g h"}]})
        .to_string()
}

/// Calls until the gateway is gone. What each answered call cost, in USD.
fn calls(address: &str, key: &str, answered: &AtomicUsize, gone: &AtomicBool) -> Vec<f64> {
    let mut costs = Vec::new();
    while !gone.load(Ordering::SeqCst) {
        let request = Request::post("/v1/chat/completions", body()).bearer(key);
        let Ok(answer) = request.send(address, Duration::from_secs(10)) else { continue };
        if answer.status == 200 && !answer.text().is_empty() {
            costs.push(answer.head.get("x-sluicegate-cost-usd").and_then(|cost| cost.parse().ok()).unwrap());
            answered.fetch_add(1, Ordering::SeqCst);
        }
    }
    costs
}

#[test]
fn what_was_answered_is_charged_however_often_it_is_killed() {
    let upstream = FakeUpstream::start();
    let mut gateway = Gateway::start("killed", &config(&[], &upstream));
    let key = gateway.new_key(&json!({"daily_token_limit": 10_000_000}));
    let (mut answered_usd, mut dearest, mut killed) = (0.0, 0.0_f64, 0.0);
    for round in 1..=4 {
        let (answered, gone) = (AtomicUsize::new(0), AtomicBool::new(false));
        let address = gateway.address().to_owned();
        let costs: Vec<f64> = std::thread::scope(|scope| {
            let callers: Vec<_> =
                (0..CALLERS).map(|_| scope.spawn(|| calls(&address, &key, &answered, &gone))).collect();
            while answered.load(Ordering::SeqCst) < ANSWERS {
                std::thread::yield_now();
            }
            gateway.kill();
            gone.store(true, Ordering::SeqCst);
            callers.into_iter().flat_map(|caller| caller.join().unwrap()).collect()
        });
        assert!(costs.len() >= ANSWERS);
        answered_usd += costs.iter().sum::<f64>();
        dearest = costs.iter().copied().fold(dearest, f64::max);
        killed += 1.0;
        gateway.start_again();
        let spent = gateway.look_up(&format!("/key/info?key={key}"))["info"]["spend"].as_f64().unwrap();
        // A call may be settled whose answer didn't reach its caller any more: one for each of them and each kill.
        let most = answered_usd + killed * CALLERS as f64 * dearest;
        assert!(
            spent >= answered_usd - 1e-9 && spent <= most + 1e-9,
            "after kill {round}: {spent} USD are recorded, {answered_usd} were answered, {most} can be"
        );
    }
    assert!(dearest > 0.0);
}

#[test]
fn a_data_directory_has_one_owner() {
    let upstream = FakeUpstream::start();
    let gateway = Gateway::start("owned", &config(&[], &upstream));
    let (well, said) = gateway.second();
    assert!(!well, "{said}");
    assert!(said.contains("in use by process"), "{said}");
}
