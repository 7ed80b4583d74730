//! Guardrails through the real gateway: the table `data/guardrail/calls.yaml`.

use std::io::{BufReader, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use sluicegate_tests::client::{Answer, Request};
use sluicegate_tests::fake::{FakeUpstream, Step};
use sluicegate_tests::gateway::{Gateway, Launch, MASTER_KEY};
use sluicegate_tests::http;

/// Models of the guardrails' names, and some that none is attached to.
const MODELS: [&str; 11] = [
    "mask",
    "mask-in",
    "mask-out",
    "deny-in",
    "deny-out",
    "log",
    "http",
    "http-out",
    "http-open",
    "plain",
    "falls",
];

/// A service that does what the texts say, and counts how often it was asked.
fn service(asked_times: Arc<AtomicUsize>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let asked_times = Arc::clone(&asked_times);
            std::thread::spawn(move || {
                let mut out = stream.try_clone().unwrap();
                let mut input = BufReader::new(stream);
                let Ok(Some(head)) = http::read_head(&mut input) else { return };
                let Ok(body) = http::read_body(&head, &mut input, false) else { return };
                let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
                asked_times.fetch_add(1, Ordering::SeqCst);
                assert!(head.get("authorization") == Some("Bearer guard-secret"), "the credential is sent");
                assert!(asked["call"].is_string() && asked["model"].is_string(), "{asked}");
                assert!(matches!(asked["phase"].as_str(), Some("pre" | "post")), "{asked}");
                let texts = asked["texts"].as_array().cloned().unwrap_or_default();
                let said = asked["texts"].to_string();
                let (status, answer) = match &*said {
                    said if said.contains("hang") => {
                        // Until the gateway leaves.
                        let _ = http::read_head(&mut input);
                        return;
                    }
                    said if said.contains("deny") => {
                        ("200 OK", json!({"action": "deny", "reason": "because it can"}))
                    }
                    said if said.contains("mask") => {
                        ("200 OK", json!({"action": "mask", "texts": vec!["MASKED"; texts.len()]}))
                    }
                    said if said.contains("nonsense") => ("200 OK", json!({"yes": true})),
                    said if said.contains("too few") => ("200 OK", json!({"action": "mask", "texts": []})),
                    said if said.contains("redirect") => ("302 Found\r\nlocation: /elsewhere", json!({})),
                    _ => ("200 OK", json!({"action": "allow"})),
                };
                let answer = answer.to_string();
                let _ = write!(
                    out,
                    "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{answer}",
                    answer.len()
                );
            });
        }
    });
    format!("http://{address}/check")
}

fn config(upstream: &FakeUpstream, service: &str) -> Value {
    let models = |ending: &str, upstream: &str| -> Vec<Value> {
        let price = json!({"input": 1, "output": 2});
        MODELS
            .iter()
            .map(|guard| json!({"name": format!("{guard}:{ending}"), "upstream": upstream, "price": price}))
            .collect()
    };
    let text = |name: &str, phase: &str, action: &str| {
        json!({"name": name, "phase": phase, "action": action, "models": [format!("{name}:*")],
            "keywords": ["red falcon"], "detectors": ["email", "credit_card"]})
    };
    let http = |name: &str, phase: &str, on_error: &str| {
        json!({"name": name, "phase": phase, "models": [format!("{name}:*")], "url": service, "credential": "guard-secret",
            "timeout": "500ms", "on_error": on_error})
    };
    let endings = ["chat", "claude"];
    let to = |what: &str, meant: &str, list: bool| -> Value {
        let meant = |ending: &str| format!("{meant}:{ending}");
        let meant = |ending| if list { json!([meant(ending)]) } else { json!(meant(ending)) };
        endings
            .iter()
            .map(|ending| (format!("{what}:{ending}"), meant(ending)))
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    json!({
        "version": 1,
        "aliases": to("nick", "deny-in", false),
        "fallbacks": {"general": to("falls", "deny-in", true)},
        "channels": [
            {"name": "chat", "provider": "openai", "url": format!("{}/v1", upstream.url()), "credential": "k", "models": models("chat", "gpt-4o-mini")},
            {"name": "claude", "provider": "anthropic", "url": upstream.url(), "credential": "k", "models": models("claude", "claude-sonnet-4-5")},
        ],
        "guardrails": [
            text("mask", "both", "mask"), text("mask-in", "pre", "mask"), text("mask-out", "post", "mask"),
            text("deny-in", "pre", "deny"), text("deny-out", "post", "deny"), text("log", "both", "log"),
            http("http", "pre", "fail_closed"), http("http-out", "post", "fail_closed"), http("http-open", "pre", "fail_open"),
            {"name": "on-call", "default_on": false, "phase": "pre", "keywords": ["blue heron"]},
            {"name": "on-answers", "default_on": false, "phase": "post", "action": "mask", "keywords": ["grey goose"]},
            {"name": "elsewhere", "default_on": false, "phase": "pre", "groups": ["others"], "keywords": ["blue heron"]},
        ],
        "groups": [{"id": "others"}, {"id": "looked-at", "metadata": {"guardrails": ["on-call"]}}],
    })
}

struct Rig {
    upstream: FakeUpstream,
    gateway: Gateway,
    key: String,
    /// How often the service was asked.
    asked_times: Arc<AtomicUsize>,
}

/// The request of a row, for models with this ending.
fn asked(row: &Value, face: &str, ending: &str, stream: bool) -> Value {
    let guard = row["guard"].as_str().unwrap();
    let model = row["model"].as_str().map_or(format!("{guard}:{ending}"), |it| it.replace("{e}", ending));
    let mut body =
        json!({"model": model, "messages": [{"role": "user", "content": row["says"]}], "stream": stream});
    if let Some(fallback) = row["fallback"].as_str() {
        body["fallbacks"] = json!([fallback.replace("{e}", ending)]);
    }
    if row["tool"] == true {
        let schema = json!({"type": "object", "properties": {"said": {"type": "string"}}});
        body["tools"] = match face {
            "anthropic" => json!([{"name": "say", "input_schema": schema}]),
            _ => json!([{"type": "function", "function": {"name": "say", "parameters": schema}}]),
        };
    }
    body
}

fn call(rig: &Rig, face: &str, mut body: Value) -> Answer {
    let (path, header, key) = match face {
        "anthropic" => {
            body["max_tokens"] = json!(100);
            ("/v1/messages", "x-api-key", rig.key.clone())
        }
        _ => ("/v1/chat/completions", "authorization", format!("Bearer {}", rig.key)),
    };
    let request = Request::post(path, body.to_string()).header(header, &key);
    request.send(rig.gateway.address(), Duration::from_secs(30)).unwrap()
}

/// What stands in the arguments of the tool call that the caller reads: they are JSON.
fn said_to_tool(answer: &Answer, stream: bool) -> String {
    let mut arguments = String::new();
    if stream {
        for event in answer.events() {
            let event: Value = serde_json::from_str(&event).unwrap_or_default();
            let call = &event["choices"][0]["delta"]["tool_calls"][0]["function"]["arguments"];
            arguments.push_str(call.as_str().or(event["delta"]["partial_json"].as_str()).unwrap_or_default());
        }
    } else {
        let body = answer.json();
        let call = &body["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"];
        arguments = call.as_str().map_or_else(|| body["content"][0]["input"].to_string(), str::to_owned);
    }
    let arguments: Value = serde_json::from_str(&arguments).unwrap_or_else(|_| json!({"said": arguments}));
    arguments["said"].as_str().unwrap_or_default().to_owned()
}

/// What the caller reads.
fn text_of(answer: &Answer, stream: bool) -> String {
    if !stream {
        let body = answer.json();
        let content = &body["choices"][0]["message"]["content"];
        return content.as_str().or(body["content"][0]["text"].as_str()).unwrap_or_default().to_owned();
    }
    let mut text = String::new();
    for event in answer.events() {
        let event: Value = serde_json::from_str(&event).unwrap_or_default();
        let delta = event["choices"][0]["delta"]["content"].as_str().or(event["delta"]["text"].as_str());
        text.push_str(delta.unwrap_or_default());
    }
    text
}

/// The text of the last message that the upstream was sent.
fn sent(rig: &Rig) -> Option<String> {
    let body = rig.upstream.requests().last()?.json();
    let content = &body["messages"].as_array()?.last()?["content"];
    let parts =
        content.as_array().map(|parts| parts.iter().filter_map(|part| part["text"].as_str()).collect());
    content.as_str().map(str::to_owned).or(parts)
}

fn try_way(rig: &Rig, row: &Value, face: &str, ending: &str, stream: bool) -> Result<(), String> {
    rig.upstream.reset();
    let answer = call(rig, face, asked(row, face, ending, stream));
    let want = &row["want"];
    let seen = format!("status {}, {}", answer.status, answer.text());
    let need = |good: bool, what: &str| if good { Ok(()) } else { Err(format!("{what}; got {seen}")) };
    // An answer that is refused after it has begun ends with an event, one before with a status.
    let begun = stream && want["ends"] == "error" && answer.status == 200;
    need(begun || want["status"] == answer.status, "another status")?;
    if want["ends"] == "error" && stream {
        need(begun && !answer.broken, "a stream that has begun")?;
        let last: Value =
            serde_json::from_str(&answer.events().pop().unwrap_or_default()).unwrap_or_default();
        need(last["error"]["code"] == want["code"], "the error event")?;
        need(face != "anthropic" || last["type"] == "error", "Anthropic's shape")?;
    } else if let Some(code) = want["code"].as_str() {
        need(answer.json()["error"]["code"] == code, "the code")?;
        need(face != "anthropic" || answer.json()["type"] == "error", "Anthropic's shape")?;
    }
    for name in ["names", "contains"] {
        need(want[name].as_str().is_none_or(|part| answer.text().contains(part)), name)?;
    }
    need(want["says_not"].as_str().is_none_or(|part| !answer.text().contains(part)), "says_not")?;
    if let Some(text) = want["answer"].as_str() {
        let tool = row["tool"] == true;
        let got = if tool { said_to_tool(&answer, stream) } else { text_of(&answer, stream) };
        let wanted = if tool { text.to_owned() } else { format!("echo: {text}") };
        need(got == wanted, &format!("another answer: {got}"))?;
    }
    if let Some(text) = want["whole"].as_str() {
        need(text_of(&answer, stream) == text, "another answer")?;
    }
    if let Some(upstream) = want.get("upstream") {
        let sent = sent(rig);
        need(sent.as_deref() == upstream.as_str(), &format!("the upstream was sent {sent:?}"))?;
    }
    let id = answer.head.get("x-sluicegate-call-id").unwrap_or_default().to_owned();
    let record = record(&rig.gateway, &id);
    let marks: Vec<String> = record["guardrails"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|mark| {
            format!("{}={}:{}", mark["name"].as_str().unwrap(), mark["did"].as_str().unwrap(), mark["times"])
        })
        .collect();
    if let Some(wanted) = want["marks"].as_str() {
        need(marks.join(", ") == wanted, &format!("the record has {}", marks.join(", ")))?;
        let header = answer.head.get("x-sluicegate-guardrail");
        // What happens to a stream happens behind its headers.
        need(stream || header == Some(wanted), &format!("the header is {header:?}"))?;
    }
    need(
        record["spend"].as_i64().is_some_and(|spend| spend > 0) == (want["charged"] == true),
        &record.to_string(),
    )?;
    // In nano USD; what a stream came to depends on where it was ended.
    let spend = want["spend"].as_i64().filter(|_| !stream);
    need(spend.is_none_or(|spend| record["spend"] == spend), &format!("it cost {}", record["spend"]))?;
    let denied = want["code"].is_string();
    need((record["outcome"] == "denied") == denied, &record.to_string())?;
    need(!denied || record["error"] == "guardrail_denied", &record.to_string())
}

/// The record of a call; it is written a moment after the answer.
pub(super) fn record(gateway: &Gateway, id: &str) -> Value {
    for _ in 0..200 {
        let found = gateway.look_up(&format!("/api/v1/records?call={id}"));
        let rows = found["items"].as_array().cloned();
        if let Some(row) = rows.into_iter().flatten().find(|row| row["call"] == id) {
            return row;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("there is no record of `{id}`: {}", gateway.look_up("/api/v1/records"));
}

#[test]
fn guardrails_and_callers_who_leave() {
    let rig = rig("guardrail-leave");
    let row = json!({"guard": "http-out", "says": "please hang for a while"});
    for stream in [false, true] {
        let body = asked(&row, "openai", "chat", stream).to_string();
        let request = Request::post("/v1/chat/completions", body)
            .header("authorization", &format!("Bearer {}", rig.key));
        // The service takes longer than the caller waits.
        let left = request.send(rig.gateway.address(), Duration::from_millis(150));
        assert!(left.is_err() || left.is_ok_and(|answer| answer.broken));
    }
    let rows = ended_records(&rig.gateway, 2);
    // 5 words and 3 for a message in, 6 words out.
    let spent: Vec<_> = rows.iter().map(|row| (row["outcome"].clone(), row["spend"].clone())).collect();
    assert_eq!(spent, vec![(json!("client_gone"), json!(8_000 + 12_000)); 2], "{rows:?}");
}

/// A caller who leaves while the beginning of a stream waits to be looked at owes what the upstream has put out by then.
#[test]
fn whoever_leaves_a_stream_that_is_held_back_owes_what_has_come() {
    let rig = rig("guardrail-held");
    let words: Vec<String> = (0..30).map(|n| format!("word{n}")).collect();
    let row = json!({"guard": "http-out", "says": words.join(" ")});
    for frames in [3, 20] {
        rig.upstream.reset();
        rig.upstream.push(Step::from_json(&json!({"stall_after_chunks": frames})).unwrap());
        let body = asked(&row, "openai", "chat", true).to_string();
        let request = Request::post("/v1/chat/completions", body)
            .header("authorization", &format!("Bearer {}", rig.key));
        let left = request.send(rig.gateway.address(), Duration::from_millis(400));
        assert!(left.is_err() || left.is_ok_and(|answer| answer.broken));
    }
    let rows = ended_records(&rig.gateway, 2);
    assert!(rows.iter().all(|row| row["outcome"] == "client_gone"), "{rows:?}");
    let mut spent: Vec<i64> = rows.iter().map(|row| row["spend"].as_i64().unwrap()).collect();
    spent.sort_unstable();
    // A frame is a word or so, of 2,000 nano-USD at least; the first ones have none.
    assert!(spent[0] > 0 && (15 * 2_000..=60 * 2_000).contains(&(spent[1] - spent[0])), "{rows:?}");
}

/// The records, when there are so many.
fn ended_records(gateway: &Gateway, count: usize) -> Vec<Value> {
    let mut rows = Vec::new();
    for _ in 0..200 {
        rows = gateway.look_up("/api/v1/records")["items"].as_array().cloned().unwrap_or_default();
        if rows.len() == count {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    rows
}

fn rig(name: &str) -> Rig {
    rig_with(name, |_| {})
}

fn rig_with(name: &str, change: impl FnOnce(&mut Value)) -> Rig {
    let (upstream, asked_times) = (FakeUpstream::start(), Arc::default());
    let mut config = config(&upstream, &service(Arc::clone(&asked_times)));
    change(&mut config);
    let launch = Launch::of(&config.to_string()).variable("SLUICEGATE_MASTER_KEY", MASTER_KEY);
    let gateway = Gateway::launch(name, launch);
    let key = gateway.new_key(&json!({}));
    Rig { upstream, gateway, key, asked_times }
}

#[test]
fn guardrails_that_calls_keys_and_groups_ask_for() {
    let mut rig = rig("guardrail-asked");
    let open = rig.key.clone();
    let keys = [
        ("open", open),
        ("looked-at", rig.gateway.new_key(&json!({"metadata": {"guardrails": ["on-call"]}}))),
        ("as in litellm", rig.gateway.new_key(&json!({"guardrails": ["on-call"]}))),
        ("in group", rig.gateway.new_key(&json!({"team_id": "looked-at"}))),
        ("of others", rig.gateway.new_key(&json!({"team_id": "others"}))),
        ("lost", rig.gateway.new_key(&json!({"metadata": {"guardrails": ["gone"]}}))),
    ];
    // Who asks in which way for what, for a text that only these look for: the status, and what is said.
    for (key, guard, more, status, says) in [
        ("open", "plain", json!({}), 200, "blue heron"),
        ("open", "plain", json!({"guardrails": ["on-call"]}), 400, "on-call"),
        ("open", "plain", json!({"guardrails": [{"on-call": {"extra_body": {}}}]}), 400, "on-call"),
        ("open", "plain", json!({"metadata": {"guardrails": ["on-call"]}}), 400, "on-call"),
        ("open", "plain", json!({"guardrails": ["on-answers"]}), 200, "[REDACTED]"),
        ("open", "plain", json!({"guardrails": ["mask", "on-answers"]}), 200, "[REDACTED]"),
        // It looks whatever models it is attached to.
        ("open", "plain", json!({"guardrails": ["deny-in"]}), 400, "deny-in"),
        ("open", "plain", json!({"guardrails": ["nobody"]}), 400, "`on-call`"),
        ("open", "plain", json!({"guardrails": ["elsewhere"]}), 400, "`on-call`"),
        ("of others", "plain", json!({"guardrails": ["elsewhere"]}), 400, "elsewhere"),
        ("of others", "plain", json!({}), 200, "blue heron"),
        ("as in litellm", "plain", json!({}), 400, "on-call"),
        // Whatever a call asks for, those that look anyway do.
        ("open", "deny-in", json!({"guardrails": []}), 400, "deny-in"),
        ("open", "deny-in", json!({"guardrails": ["on-answers"]}), 400, "deny-in"),
        ("looked-at", "plain", json!({}), 400, "on-call"),
        ("looked-at", "plain", json!({"guardrails": ["on-answers"]}), 400, "on-call"),
        ("in group", "plain", json!({}), 400, "on-call"),
        ("lost", "plain", json!({}), 400, "gone"),
    ] {
        rig.key = keys.iter().find(|(name, _)| *name == key).unwrap().1.clone();
        for face in ["openai", "anthropic"] {
            for ending in ["chat", "claude"] {
                rig.upstream.reset();
                let row = json!({"guard": guard, "says": "a blue heron, a grey goose and a red falcon"});
                let mut body = asked(&row, face, ending, false);
                for (name, value) in more.as_object().unwrap() {
                    body[name] = value.clone();
                }
                let answer = call(&rig, face, body);
                let what = format!("{key}, {guard}, {more} ({face}, {ending}): {}", answer.text());
                assert_eq!(answer.status, status, "{what}");
                assert!(answer.text().contains(says), "{what}");
                assert!(!answer.text().contains("`elsewhere`: there are `elsewhere`"), "{what}");
                let sent = rig.upstream.requests();
                assert_eq!(sent.len(), usize::from(status == 200), "{what}");
                let told = sent.iter().any(|it| String::from_utf8_lossy(&it.body).contains("guardrails"));
                assert!(!told, "{what}");
            }
        }
    }
    // An explanation knows the names, too.
    let explain = |name: &str| {
        let body = json!({"model": "plain:chat", "guardrails": [name], "messages": [{"role": "user", "content": "x"}]});
        let asked = json!({"key": keys[0].1, "body": body}).to_string();
        rig.gateway.send(&Request::post("/api/v1/explain", asked).bearer(MASTER_KEY))
    };
    assert_eq!((explain("on-call").status, explain("nobody").status), (200, 400));
}

/// Whoever waits for others' calls to end costs a service no look when they may not wait.
#[test]
fn whoever_has_no_place_under_a_concurrency_limit_costs_the_service_no_look() {
    let mut rig = rig_with("guardrail-busy", |config| config["quotas"] = json!({"reserve_wait": "0s"}));
    rig.key = rig.gateway.new_key(&json!({"max_parallel_requests": 1}));
    rig.upstream.push(Step::from_json(&json!({"delay_ms": 3_000})).unwrap());
    let say = |says: &str| {
        call(&rig, "openai", asked(&json!({"guard": "http", "says": says}), "openai", "chat", false))
    };
    std::thread::scope(|threads| {
        let first = threads.spawn(|| say("allow me"));
        for _ in 0..200 {
            if !rig.upstream.requests().is_empty() {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(rig.asked_times.load(Ordering::SeqCst), 1);
        // The service would refuse this one.
        let second = say("deny me");
        assert_eq!(second.status, 429, "{}", second.text());
        assert_eq!(rig.asked_times.load(Ordering::SeqCst), 1);
        assert_eq!(first.join().unwrap().status, 200);
    });
}

#[test]
fn guardrails() {
    let rig = rig("guardrail");
    let file = sluicegate_tests::data().join("guardrail/calls.yaml");
    let rows: Vec<Value> = serde_saphyr::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let (mut wrong, mut tried) = (Vec::new(), 0);
    for row in &rows {
        for face in ["openai", "anthropic"] {
            for ending in ["chat", "claude"] {
                for stream in [false, true] {
                    tried += 1;
                    if let Err(what) = try_way(&rig, row, face, ending, stream) {
                        wrong.push(format!(
                            "{} ({face}, {ending}, stream {stream}):\n    {what}",
                            row["note"]
                        ));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {tried} tries failed:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn whoever_is_over_a_limit_on_requests_costs_the_service_no_look() {
    let mut rig = rig("guardrail-limit");
    rig.key = rig.gateway.new_key(&json!({"rpm_limit": 1}));
    let say = |says: &str| {
        call(&rig, "openai", asked(&json!({"guard": "http", "says": says}), "openai", "chat", false))
    };
    assert_eq!(say("allow me").status, 200);
    // The service would refuse this one.
    let over = say("deny me");
    assert_eq!(over.status, 429, "{}", over.text());
}
