//! How the gateway starts, where it may listen, and how it stops.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sluicegate_tests::client::Request;
use sluicegate_tests::fake::FakeUpstream;
use sluicegate_tests::gateway::{Gateway, Launch, binary};

use super::config;

/// Nothing here takes longer.
const PATIENCE: Duration = Duration::from_secs(15);

/// A weak administrator's key, from everybody's documentation.
const WEAK: &str = "sk-1234";

/// The administrator's key that a start has made and printed.
pub(crate) fn made_key(gateway: &Gateway) -> String {
    let log = gateway.log();
    let (_, rest) = log.split_once("admin key: ").unwrap_or_else(|| panic!("no key was printed: {log}"));
    rest.lines().next().unwrap().to_owned()
}

#[test]
fn beyond_this_machine_there_is_no_demonstration() {
    for (host, shown) in [("127.0.0.1", true), ("0.0.0.0", false)] {
        let gateway = Gateway::launch(&format!("demo-{host}"), Launch::bare().host(host));
        let models = gateway.send(&Request::new("GET", "/v1/models").bearer(&made_key(&gateway))).json();
        assert_eq!(models["data"].as_array().unwrap().len(), usize::from(shown), "{host}: {models}");
        assert_eq!(gateway.log().contains("mock"), shown, "{host}: {}", gateway.log());
    }
}

#[test]
fn lines_of_the_log_are_objects_where_that_is_asked_for() {
    let launch = Launch::bare().variable("SLUICEGATE_LOG_FORMAT", "json").variable("SLUICEGATE_LOG", "a=b=c");
    let mut gateway = Gateway::launch("log-json", launch);
    gateway.ask_to_stop();
    gateway.stopped();
    let log = gateway.log();
    // What is printed for people, the key that was made among it, is no line of the log.
    let lines: Vec<Value> = log
        .lines()
        .filter(|line| line.starts_with('{'))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let told = |level: &str, part: &str| {
        lines.iter().any(|line| {
            line["level"] == level
                && line["timestamp"].as_str().is_some_and(|time| time.ends_with('Z'))
                && line["message"].as_str().is_some_and(|message| message.contains(part))
        })
    };
    assert!(told("INFO", "stopping; streams have"), "{log}");
    assert!(told("WARN", "SLUICEGATE_LOG: `a=b=c` is neither a level nor"), "{log}");
    let key = made_key(&gateway);
    assert!(!lines.iter().any(|line| line.to_string().contains(&key)), "{log}");
}

#[test]
fn beyond_this_machine_a_weak_key_is_refused_unless_it_is_permitted() {
    let file = |permit: bool| {
        json!({"model_list": [], "general_settings": {
            "master_key": WEAK, "dangerously_permit_weak_or_unset_master_key": permit,
        }})
        .to_string()
    };
    let launch = |permit| Launch { config: Some(file(permit)), ..Launch::bare() };
    let (well, log) = Gateway::refusal("weak-refused", launch(false).host("0.0.0.0"));
    assert!(!well && log.contains("LITELLM_MASTER_KEY"), "{log}");
    assert!(!log.contains("listens on"), "nobody was let in before that: {log}");
    let gateway = Gateway::launch("weak-permitted", launch(true).host("0.0.0.0"));
    assert!(gateway.log().contains("easy to guess"), "{}", gateway.log());
    let gateway = Gateway::launch("weak-here", launch(false));
    assert_eq!(gateway.send(&Request::new("GET", "/v1/models").bearer(WEAK)).status, 200);
}

#[test]
fn the_names_of_other_systems_are_taken_from_the_environment() {
    let upstream = FakeUpstream::start();
    let port = sluicegate_tests::free_port();
    let launch = Launch::of(&config(&[], &upstream))
        .variable("PORT", &port.to_string())
        .variable("SESSION_SECRET", "session-secret")
        .variable("REDIS_CONN_STRING", "redis://user:hunter2@redis:6379");
    let gateway = Gateway::launch("environment", launch);
    assert!(gateway.address().ends_with(&format!(":{port}")), "{}", gateway.address());
    let log = gateway.log();
    assert!(log.contains("redis server is configured: this version doesn't use it yet"), "{log}");
    assert!(!log.contains("hunter2") && !log.contains("session-secret"), "{log}");
    let launch = Launch::of(&config(&[], &upstream)).variable(
        "SQL_DSN",
        &format!("postgres://gate:hunter2@127.0.0.1:{}/gate", sluicegate_tests::free_port()),
    );
    let (well, log) = Gateway::refusal("environment-database", launch);
    assert!(!well && log.contains("can't be reached") && !log.contains("hunter2"), "{log}");
}

#[test]
fn who_is_asked_to_stop_finishes_streams_and_keeps_what_they_cost() {
    let upstream = FakeUpstream::start();
    let slow = [json!({"behaves": "--chunk-delay-100"})];
    let mut gateway = Gateway::start("stop", &config(&slow, &upstream));
    let key = gateway.new_key(&json!({}));
    // Somebody who is connected and says nothing more must not hold it up.
    let mut idle = TcpStream::connect(gateway.address()).unwrap();
    idle.set_read_timeout(Some(PATIENCE)).unwrap();
    idle.write_all(b"GET /health/liveliness HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    assert!(idle.read(&mut [0; 1024]).unwrap() > 0);

    let body = json!({"model": "chat--chunk-delay-100", "stream": true, "max_tokens": 50,
        "messages": [{"role": "user", "content": "a b c d e f g h"}]});
    let call = Request::post("/v1/chat/completions", body.to_string()).bearer(&key);
    let address = gateway.address().to_owned();
    let streaming = spawn(move || call.send(&address, PATIENCE));
    let started = Instant::now();
    while upstream.requests().is_empty() {
        assert!(started.elapsed() < PATIENCE, "the call doesn't reach the upstream");
        sleep(Duration::from_millis(10));
    }
    let asked = Instant::now();
    gateway.ask_to_stop();
    let answer = streaming.join().unwrap().unwrap();
    assert!(!answer.broken, "{}", answer.text());
    assert_eq!(answer.events().last().map(String::as_str), Some("[DONE]"), "{}", answer.text());
    gateway.stopped();
    assert!(asked.elapsed() < PATIENCE, "it took {:?} to stop", asked.elapsed());

    gateway.start_again();
    let spent = gateway.look_up(&format!("/key/info?key={key}"))["info"]["spend"].as_f64().unwrap();
    assert!(spent > 0.0, "the stream that ended last is paid for");
}

#[test]
fn check_says_by_its_exit_code_whether_a_file_can_be_used() {
    let folder = std::env::temp_dir();
    for (name, text, code, ok) in [
        ("good", "version: 1\n", 0, true),
        ("bad", "version: 1\nchanels: []\nserver: {port: http}\n", 1, false),
    ] {
        let file = folder.join(format!("sluicegate-exit-{name}-{}.yaml", std::process::id()));
        std::fs::write(&file, text).unwrap();
        for format in ["text", "json"] {
            let arguments = ["check".as_ref(), file.as_os_str(), "--format".as_ref(), format.as_ref()];
            let done = Command::new(binary("sluicegate")).args(arguments).env_clear().output().unwrap();
            assert_eq!(done.status.code(), Some(code), "{name} {format}: {done:?}");
            if format == "json" {
                let found: Value = serde_json::from_slice(&done.stdout).unwrap();
                assert_eq!(found["ok"], ok, "{name}: {found}");
            }
        }
        std::fs::remove_file(&file).unwrap();
    }
    // A command line that makes no sense is another matter.
    let done = Command::new(binary("sluicegate")).arg("check").output().unwrap();
    assert_eq!(done.status.code(), Some(2));
}
