//! What a monitoring system is told: who may read it, and that it says what happened.

use serde_json::{Value, json};
use sluicegate_tests::client::Request;
use sluicegate_tests::fake::FakeUpstream;
use sluicegate_tests::gateway::{Gateway, Launch, MASTER_KEY};

const TOKEN: &str = "scrape-0123456789abcdef";

fn config(upstream: &FakeUpstream, server: &Value) -> String {
    let channel = |name: &str, models: Value, base: String| json!({"name": name, "provider": "openai", "url": base, "credential": "sk-upstream-0123456789", "models": models});
    let nobody = format!("http://127.0.0.1:{}/v1", sluicegate_tests::free_port());
    let whole = json!({
        "version": 1,
        "server": server,
        "channels": [
            channel("good", json!(["gpt-4o-mini"]), format!("{}/v1", upstream.url())),
            channel("dead", json!(["gpt-4o"]), nobody),
        ],
        "routing": {"retries": 0},
    });
    serde_json::to_string_pretty(&whole).unwrap()
}

fn start(name: &str, server: Value) -> (FakeUpstream, Gateway) {
    let upstream = FakeUpstream::start();
    let mut server = server;
    server["master_key"] = "${LITELLM_MASTER_KEY}".into();
    let gateway = Gateway::launch(name, Launch::of(&config(&upstream, &server)));
    (upstream, gateway)
}

fn scrape(gateway: &Gateway, bearer: Option<&str>) -> (u16, String) {
    let request = Request::new("GET", "/metrics");
    let answer = gateway.send(&match bearer {
        Some(bearer) => request.bearer(bearer),
        None => request,
    });
    (answer.status, answer.text())
}

/// The value of a line of the text.
fn value(text: &str, line: &str) -> f64 {
    let found = text.lines().find_map(|it| it.strip_prefix(line)?.strip_prefix(' '));
    found.unwrap_or_else(|| panic!("no `{line}` in\n{text}")).parse().unwrap()
}

#[test]
fn what_happened_is_told_to_those_who_may_know() {
    let (_upstream, gateway) = start("metrics", json!({"metrics_token": TOKEN}));
    let group =
        gateway.manage("/team/new", &json!({"team_alias": "rnd"}))["team_id"].as_str().unwrap().to_owned();
    let key = gateway.new_key(&json!({"team_id": group, "rpm_limit": 3}));
    let call = |model: &str, stream: bool| {
        let body = json!({"model": model, "stream": stream, "max_tokens": 10, "messages": [{"role": "user", "content": "a b c"}]});
        gateway.send(&Request::post("/v1/chat/completions", body.to_string()).bearer(&key)).status
    };
    assert_eq!(
        (call("gpt-4o-mini", false), call("gpt-4o-mini", true), call("gpt-4o", false)),
        (200, 200, 503)
    );
    assert_eq!(call("gpt-4o-mini", false), 429);
    assert_eq!(call("made-up-by-a-caller", false), 404);
    // Reading records waits until they are written, and so counted.
    let _ = gateway.look_up("/spend/logs");

    assert_eq!(scrape(&gateway, None).0, 401);
    assert_eq!(scrape(&gateway, Some(&key)).0, 403);
    assert_eq!(scrape(&gateway, Some(MASTER_KEY)).0, 200);
    let (status, text) = scrape(&gateway, Some(TOKEN));
    assert_eq!(status, 200, "{text}");
    assert!(text.ends_with("# EOF\n"), "{text}");
    // The token opens nothing else.
    assert_eq!(gateway.send(&Request::new("GET", "/v1/models").bearer(TOKEN)).status, 401);

    let is = |line: &str, want: f64| {
        let got = value(&text, line);
        assert!((got - want).abs() < 1e-12, "`{line}` is {got}, not {want}:\n{text}");
    };
    is(r#"sluicegate_requests_total{model="gpt-4o-mini",stream="false",outcome="ok"}"#, 1.0);
    is(r#"sluicegate_requests_total{model="gpt-4o-mini",stream="true",outcome="ok"}"#, 1.0);
    is(r#"sluicegate_requests_total{model="gpt-4o",stream="false",outcome="unreachable"}"#, 1.0);
    is(r#"sluicegate_requests_total{model="",stream="false",outcome="denied"}"#, 2.0);
    is(r#"sluicegate_denials_total{code="rate_limited",scope="key",metric="requests",window="minute"}"#, 1.0);
    is(r#"sluicegate_denials_total{code="model_not_found",scope="",metric="",window=""}"#, 1.0);
    is(r#"sluicegate_attempts_total{channel="good",outcome="ok"}"#, 2.0);
    is(r#"sluicegate_attempts_total{channel="dead",outcome="unreachable"}"#, 1.0);
    is(r#"sluicegate_request_duration_seconds_count{model="gpt-4o-mini"}"#, 2.0);
    is(r#"sluicegate_time_to_first_token_seconds_count{model="gpt-4o-mini"}"#, 1.0);
    is(&format!(r#"sluicegate_group_requests_total{{group="{group}"}}"#), 5.0);
    is(r#"sluicegate_channel_up{channel="good"}"#, 1.0);
    is("sluicegate_requests_in_flight", 0.0);
    is("sluicegate_reservations_open", 0.0);
    is("sluicegate_reservations_held", 0.0);
    is("sluicegate_records_waiting", 0.0);
    assert!(value(&text, "sluicegate_journal_position") > 0.0, "{text}");
    assert!(!text.contains("made-up-by-a-caller"), "{text}");

    // The figures are those of the records.
    let usage = gateway.look_up("/api/v1/spend?by=group");
    let spend = usage["items"][0]["spend"].as_i64().unwrap_or_else(|| panic!("{usage}"));
    let told = value(&text, &format!(r#"sluicegate_group_spend_usd_total{{group="{group}"}}"#));
    assert!(spend > 0 && (told * 1e9 - spend as f64).abs() < 1e-3, "{told} is not {spend} nano-USD");
    let output = usage["items"][0]["output_tokens"].as_f64().unwrap_or_else(|| panic!("{usage}"));
    assert!(output > 0.0);
    is(r#"sluicegate_tokens_total{model="gpt-4o-mini",kind="output"}"#, output);
    // What an upstream failed to do isn't a refusal of ours.
    assert!(!text.contains(r#"code="upstream_unavailable""#), "{text}");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
    let up = now - value(&text, "sluicegate_start_time_seconds");
    assert!((0.0..600.0).contains(&up), "up for {up} s");
}

#[test]
fn metrics_are_open_or_off_when_the_configuration_says_so() {
    let (_upstream, gateway) = start("metrics-open", json!({"metrics": "open"}));
    let (status, text) = scrape(&gateway, None);
    assert_eq!(status, 200, "{text}");
    assert!(text.contains("sluicegate_build_info"), "{text}");
    let (_upstream, gateway) = start("metrics-off", json!({"metrics": "off"}));
    let (status, text) = scrape(&gateway, Some(MASTER_KEY));
    assert_eq!(status, 404);
    assert!(text.contains("server.metrics"), "{text}");
}
