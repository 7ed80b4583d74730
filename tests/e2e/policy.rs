//! A policy's life over HTTP and the command line: put, tried in the shadow, taken into use, and taken back by itself.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sluicegate_tests::client::{Answer, Request};
use sluicegate_tests::gateway::{Gateway, MASTER_KEY, binary};

const CONFIG: &str = r#"
version: 1
server:
  policy_rollback: {min_calls: 10}
channels:
  - {name: first, provider: mock, priority: 1, models: [m]}
  - {name: second, provider: mock, models: [m]}
policies:
  - {name: of-the-file, script: 'fn route(call) { tag("file"); }'}
"#;

const SECOND: &str = r#"fn route(call) { prefer("channel:second"); }
fn test_second() {
    given().candidates(["first", "second"]).route().assert_first("second");
}
"#;

fn call(gateway: &Gateway, key: &str) -> Answer {
    let body = json!({"model": "m", "max_tokens": 10, "messages": [{"role": "user", "content": "a b c"}]});
    gateway.send(&Request::post("/v1/chat/completions", body.to_string()).bearer(key))
}

fn ask(gateway: &Gateway, method: &str, path: &str, body: &Value) -> Answer {
    let mut request = Request::new(method, &format!("/api/v1/policies{path}")).bearer(MASTER_KEY);
    if method != "GET" {
        request.body = body.to_string().into_bytes();
    }
    gateway.send(&request)
}

/// What a request that must go well is answered.
fn done(gateway: &Gateway, method: &str, path: &str, body: &Value) -> Value {
    let answer = ask(gateway, method, path, body);
    assert!(matches!(answer.status, 200 | 201), "{method} {path}: {}", answer.text());
    answer.json()
}

/// Runs `sluicegate policy` against the gateway: whether it ended well, and what it said.
fn command(gateway: &Gateway, words: &[&str]) -> (bool, String) {
    let mut command = Command::new(binary("sluicegate"));
    command.arg("policy").args(words);
    command.args(["--url", &format!("http://{}", gateway.address()), "--admin-key", MASTER_KEY]);
    command.env_clear().env("HOME", gateway.folder()).current_dir(gateway.folder());
    let output = command.output().unwrap();
    let said = if output.status.success() { output.stdout } else { output.stderr };
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

/// A channel's name by its id, which ends with a digest.
fn name(id: &str) -> &str {
    id.rsplit_once('-').map_or(id, |(name, _)| name)
}

/// The channel that served the newest call.
fn served_by(gateway: &Gateway) -> String {
    let records = gateway.look_up("/api/v1/records?limit=1");
    let channel = &records["items"][0]["attempts"][0]["channel"];
    name(channel.as_str().unwrap_or_else(|| panic!("no channel: {records}"))).to_owned()
}

#[test]
fn a_policy_is_put_tried_taken_into_use_and_taken_back() {
    let gateway = Gateway::start("policy", CONFIG);
    let key = gateway.new_key(&json!({}));
    let none = json!({});

    // What is wrong is said with its place, and a draft changes nothing.
    let wrong = ask(&gateway, "PUT", "/turn", &json!({"text": "fn route(call) {\n  prefr(1);\n}"}));
    assert_eq!(wrong.status, 400, "{}", wrong.text());
    assert!(wrong.text().contains("line 2, column 3"), "{}", wrong.text());
    let put = done(&gateway, "PUT", "/turn", &json!({"text": SECOND, "note": "second first"}));
    assert_eq!(
        (&put["number"], &put["state"], &put["tests"]["passed"]),
        (&json!(1), &json!("draft"), &json!(1))
    );
    assert_eq!(call(&gateway, &key).status, 200);
    assert_eq!(served_by(&gateway), "first");

    // In the shadow it is compared and not heeded.
    done(&gateway, "POST", "/turn/shadow", &none);
    for _ in 0..3 {
        assert_eq!(call(&gateway, &key).status, 200);
    }
    assert_eq!(served_by(&gateway), "first");
    let report = done(&gateway, "GET", "/turn/shadow", &none);
    assert_eq!(
        (&report["calls"], &report["other_channel"], &report["errors"]),
        (&json!(3), &json!(3), &json!(0))
    );
    assert_eq!(name(report["examples"][0]["after"]["channel"].as_str().unwrap()), "second");
    let (well, said) = command(&gateway, &["shadow", "turn", "--report"]);
    assert!(well && said.contains("3  another channel first"), "{said}");

    // In use it steers.
    let active = done(&gateway, "POST", "/turn/activate", &none);
    assert_eq!(active["state"], "active");
    assert_eq!(call(&gateway, &key).status, 200);
    assert_eq!(served_by(&gateway), "second");

    // A bad one is taken back by itself.
    let bad = gateway.folder().join("turn.rhai");
    std::fs::write(&bad, "fn route(call) { throw \"broken\"; }").unwrap();
    let (well, said) = command(&gateway, &["put", bad.to_str().unwrap(), "--fail-closed", "--activate"]);
    assert!(well && said.contains("turn version 2  active"), "{said}");
    for _ in 0..10 {
        assert_eq!(call(&gateway, &key).status, 403);
    }
    let until = Instant::now() + Duration::from_secs(20);
    while call(&gateway, &key).status != 200 {
        assert!(Instant::now() < until, "nobody takes it back; the log says:\n{}", gateway.log());
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(served_by(&gateway), "second");
    let (well, said) = command(&gateway, &["versions", "turn"]);
    let mut lines = said.lines();
    assert!(well && lines.next().is_some_and(|line| line.contains("version 2  rolled_back")), "{said}");
    assert!(said.contains("reason: it failed"), "{said}");
    assert!(lines.next().is_some_and(|line| line.contains("version 1  active")), "{said}");
    let events = gateway.look_up("/api/v1/audit?limit=1");
    assert_eq!(
        (&events["items"][0]["actor"], &events["items"][0]["action"]),
        (&json!("gateway"), &json!("policy.rollback"))
    );

    let (well, said) = command(&gateway, &["diff", "turn", "--from", "1", "--to", "2"]);
    assert!(well && said.contains("-fn route(call) { prefer(\"channel:second\"); }"), "{said}");
    let declared = ask(&gateway, "POST", "/of-the-file/activate", &none);
    assert_eq!(declared.status, 409, "{}", declared.text());
    assert!(declared.text().contains("config.yaml"), "{}", declared.text());
    let (well, said) = command(&gateway, &["list"]);
    assert!(
        well && said.contains("of-the-file  everybody  of the configuration file\nturn  everybody  runs 1"),
        "{said}"
    );
    assert_eq!(ask(&gateway, "DELETE", "/turn", &none).status, 204);
    assert_eq!(call(&gateway, &key).status, 200);
    assert_eq!(served_by(&gateway), "first");
}
