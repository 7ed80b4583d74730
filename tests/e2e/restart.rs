//! What a restart keeps, on each kind of database, and what a database that can't serve leads to.

use serde_json::{Value, json};
use sluicegate_tests::client::{Answer, Request};
use sluicegate_tests::fake::FakeUpstream;
use sluicegate_tests::gateway::{Gateway, Launch};

use super::config;

/// Tokens for one call, not for two: before a call up to 139 are reserved, after it 20 and some are used. Who forgot
/// what was used would let another one pass.
const LIMIT: u64 = 150;

fn call(gateway: &Gateway, key: &str) -> Answer {
    let body = json!({"model": "chat", "max_tokens": 10, "messages": [{"role": "user", "content": "a b c d e f g h"}]});
    gateway.send(&Request::post("/v1/chat/completions", body.to_string()).bearer(key))
}

fn spend(gateway: &Gateway, key: &str) -> f64 {
    gateway.look_up(&format!("/key/info?key={key}"))["info"]["spend"].as_f64().unwrap()
}

fn assert_out_of_quota(answer: &Answer, whose: &str) {
    assert_eq!(answer.status, 429, "{whose}: {}", answer.text());
    assert_eq!(answer.json()["error"]["code"], "insufficient_quota", "{whose}");
    assert_eq!(answer.head.get("x-should-retry"), Some("false"), "{whose}");
}

/// Spends, reaches limits of keys and of a team, restarts, and finds all as it was.
fn a_restart_resets_nothing(name: &str, options: &[&str]) {
    let upstream = FakeUpstream::start();
    let mut gateway = Gateway::start_with(name, &config(&[], &upstream), options);
    let free = gateway.new_key(&json!({}));
    let team = gateway.manage("/team/new", &json!({"daily_token_limit": LIMIT}))["team_id"].clone();
    let limited: Vec<(&str, String)> = [
        ("a key with a limit for a day", json!({"daily_token_limit": LIMIT})),
        ("a key with a limit for ever", json!({"token_quota": LIMIT})),
        ("a key of a team with a limit", json!({"team_id": team})),
    ]
    .iter()
    .map(|(whose, fields): &(&str, Value)| (*whose, gateway.new_key(fields)))
    .collect();

    assert_eq!(call(&gateway, &free).status, 200);
    for (whose, key) in &limited {
        let first = call(&gateway, key);
        assert_eq!(first.status, 200, "{whose}: {}", first.text());
        assert_out_of_quota(&call(&gateway, key), whose);
    }
    let keys: Vec<&str> = limited.iter().map(|(_, key)| key.as_str()).chain([free.as_str()]).collect();
    let before: Vec<f64> = keys.iter().map(|key| spend(&gateway, key)).collect();
    assert!(before.iter().all(|spent| *spent > 0.0), "{before:?}");

    for round in 1..=2 {
        gateway.restart();
        let after: Vec<f64> = keys.iter().map(|key| spend(&gateway, key)).collect();
        assert_eq!(after, before, "after restart {round}");
        upstream.reset();
        for (whose, key) in &limited {
            assert_out_of_quota(&call(&gateway, key), whose);
        }
        assert_eq!(upstream.requests().len(), 0, "a refused call reaches nobody");
    }
    assert_eq!(call(&gateway, &free).status, 200);
    assert!(spend(&gateway, &free) > before[before.len() - 1], "it is counted on");
}

#[test]
fn a_restart_resets_nothing_in_sqlite() {
    a_restart_resets_nothing("restart-sqlite", &[]);
}

#[test]
fn a_restart_resets_nothing_in_postgres() {
    let Ok(address) = std::env::var("SLUICEGATE_TEST_POSTGRES") else {
        eprintln!("SKIPPED on postgres: a restart (set SLUICEGATE_TEST_POSTGRES to run it)");
        return;
    };
    a_restart_resets_nothing("restart-postgres", &["--database", &address]);
}

#[test]
fn a_database_that_cant_serve_ends_the_start_and_says_why() {
    let upstream = FakeUpstream::start();
    let nobody = format!("postgres://gate:hunter2@127.0.0.1:{}/gate", sluicegate_tests::free_port());
    for (name, database, says) in [
        ("unreachable", nobody.as_str(), "can't be reached"),
        ("placeholder", "postgres://user:password@host/database", "placeholder"),
        ("unknown", "mysql://gate:hunter2@127.0.0.1/gate", "mysql"),
    ] {
        let (well, log) = Gateway::refusal(
            &format!("database-{name}"),
            Launch::of(&config(&[], &upstream)).options(&["--database", database]),
        );
        assert!(!well, "{name}: {log}");
        assert!(log.to_lowercase().contains(says), "{name}: {log}");
        assert!(!log.contains("hunter2"), "{name}: a password is printed: {log}");
    }
}

#[test]
fn a_placeholder_in_the_file_is_warned_of_and_sqlite_serves() {
    let upstream = FakeUpstream::start();
    let mut file: Value = serde_json::from_str(&config(&[], &upstream)).unwrap();
    file["general_settings"]["database_url"] = json!("postgresql://...");
    let gateway = Gateway::start("database-warned", &file.to_string());
    let log = gateway.log();
    assert!(log.contains("warning[placeholder_database]"), "{log}");
    assert_eq!(call(&gateway, &gateway.new_key(&json!({}))).status, 200);
}
