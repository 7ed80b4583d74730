//! A backup of a gateway that serves, and what a gateway that is started on it knows.

use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use sluicegate_tests::client::Request;
use sluicegate_tests::fake::FakeUpstream;
use sluicegate_tests::gateway::{Gateway, binary};

use super::config;

/// Calls under way at the same time.
const CALLERS: u64 = 6;
/// Tokens that are reserved for one of them: `restart.rs` has the like, without a customer's name.
const RESERVED: u64 = 153;
/// Answers between two backups.
const ANSWERS: u64 = 150;

fn body() -> String {
    json!({"model": "chat", "max_tokens": 10, "user": "acme", "messages": [{"role": "user", "content": "a b c d e f g h"}]})
        .to_string()
}

fn calls(address: &str, key: &str, answered: &AtomicU64, gone: &AtomicBool) {
    while !gone.load(Ordering::SeqCst) {
        let request = Request::post("/v1/chat/completions", body()).bearer(key);
        let Ok(answer) = request.send(address, Duration::from_secs(10)) else { continue };
        if answer.status == 200 && !answer.text().is_empty() {
            answered.fetch_add(1, Ordering::SeqCst);
        }
    }
}

fn run(gateway: &Gateway, args: &[&str]) -> Output {
    let mut command = Command::new(binary("sluicegate"));
    command.args(args).env_clear().env("HOME", gateway.folder()).current_dir(gateway.folder());
    command.output().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A backup, with how many calls had been answered when it began and when it had ended.
struct Made {
    file: String,
    before: u64,
    after: u64,
}

#[test]
fn a_backup_of_a_gateway_under_load_comes_back_exactly() {
    let upstream = FakeUpstream::start();
    let mut gateway = Gateway::start("backup", &config(&[], &upstream));
    let key = gateway.new_key(&json!({"token_quota": 10_000_000}));
    let (answered, gone) = (AtomicU64::new(0), AtomicBool::new(false));
    let address = gateway.address().to_owned();
    let wait_for = |count: u64| {
        let until = Instant::now() + Duration::from_secs(60);
        while answered.load(Ordering::SeqCst) < count {
            if Instant::now() > until {
                gone.store(true, Ordering::SeqCst);
                panic!("only {answered:?} of {count} calls were answered");
            }
            std::thread::yield_now();
        }
    };
    let backups: Vec<Made> = std::thread::scope(|scope| {
        for _ in 0..CALLERS {
            scope.spawn(|| calls(&address, &key, &answered, &gone));
        }
        let made = (0..3)
            .map(|n| {
                let before = answered.load(Ordering::SeqCst) + ANSWERS;
                wait_for(before);
                let file = format!("backup-{n}.tar");
                let output = run(&gateway, &["backup", "--data", "data", "--to", &file]);
                assert!(output.status.success(), "{}", said(&output));
                assert!(said(&output).contains("the master secret isn't in it"), "{}", said(&output));
                Made { file, before, after: answered.load(Ordering::SeqCst) }
            })
            .collect();
        gone.store(true, Ordering::SeqCst);
        made
    });
    assert!(!run(&gateway, &["backup", "--data", "data", "--to", "backup-0.tar"]).status.success());

    let output = run(&gateway, &["restore", "--from", "backup-0.tar", "--data", "data"]);
    assert!(!output.status.success() && said(&output).contains("in use by process"), "{}", said(&output));
    gateway.kill();
    let output = run(&gateway, &["restore", "--from", "backup-0.tar", "--data", "data"]);
    assert!(!output.status.success() && said(&output).contains("isn't empty"), "{}", said(&output));

    for made in backups {
        std::fs::remove_dir_all(gateway.folder().join("data")).unwrap();
        let output = run(&gateway, &["restore", "--from", &made.file, "--data", "elsewhere"]);
        assert!(output.status.success(), "{}", said(&output));
        std::fs::rename(gateway.folder().join("elsewhere"), gateway.folder().join("data")).unwrap();
        gateway.start_again();
        check(&gateway, &made);
        gateway.kill();
    }
}

/// Nothing that was answered before the backup is missing, nothing that was not yet sent after it is there, and records,
/// sums and balances say the same.
fn check(gateway: &Gateway, made: &Made) {
    let records = gateway.look_up("/api/v1/records?limit=1")["total"].as_u64().unwrap();
    let most = made.after + CALLERS;
    assert!(
        (made.before..=most).contains(&records),
        "{}: {records} records, {} to {most} calls were answered",
        made.file,
        made.before
    );
    for query in ["/api/v1/spend", "/api/v1/spend?by=customer&customer=acme"] {
        let sums = gateway.look_up(query)["items"][0].clone();
        assert_eq!(sums["requests"].as_u64(), Some(records), "{query}: {sums}");
        let tokens = sums["input_tokens"].as_u64().unwrap() + sums["output_tokens"].as_u64().unwrap();
        let keys = gateway.look_up("/api/v1/keys");
        let limit = &keys["items"][0]["limit_states"][0];
        let (settled, held) = (limit["settled"].as_u64().unwrap(), limit["held"].as_u64().unwrap());
        // A call may have been settled whose record was still to come.
        let call = tokens / records;
        assert!((tokens..=tokens + CALLERS * call).contains(&settled), "{}: {tokens} {limit}", made.file);
        assert_eq!((settled - tokens) % call, 0, "{}: {tokens} {limit}", made.file);
        assert!(held <= CALLERS * RESERVED, "what was under way is held: {limit}");
        assert_eq!(limit["reserved"], 0, "{limit}");
    }
}

#[test]
fn a_database_server_is_left_to_its_own_backups() {
    let upstream = FakeUpstream::start();
    let gateway = Gateway::start("backup-server", &config(&[], &upstream));
    let output = run(
        &gateway,
        &["backup", "--data", "data", "--to", "x.tar", "--database", "postgres://u:hunter2@h/d"],
    );
    let said = said(&output);
    assert!(!output.status.success() && said.contains("pg_dump"), "{said}");
    assert!(!said.contains("hunter2") && !gateway.folder().join("x.tar").exists(), "{said}");
}
