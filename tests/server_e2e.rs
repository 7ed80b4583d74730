//! Bad input and bad upstreams, end to end: the tables in `data/e2e` against
//! the real binary and the scripted upstream.
//!
//! A row is tried on every face (OpenAI's and Anthropic's format) and, when it
//! tells how the upstream behaves, on upstreams of both formats. Its fields:
//! `note`; `faces`; `behaves` (an ending of the model's name, see
//! `fake::Behaviour`) and `upstreams`; `stream` (false, true or both); `key`
//! (right, limited to the model `claude`, none, unknown, expired, blocked); `method`, `path`, `headers`; one of
//! `body` (text, in which MODEL stands for a model), `json`, `hex`, `built` (see
//! [`built`]); and `want`: `status` (one or several), `code`, `says`, `says_not`,
//! `calls` (at the upstream), `at_least_ms`, `at_most_ms`, `ends` (`error`: a
//! stream that ends with an error event; `done`: one that ends well).
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "e2e/apply.rs"]
mod apply;
#[path = "e2e/audit.rs"]
mod audit;
#[path = "e2e/backup.rs"]
mod backup;
#[path = "e2e/bomb.rs"]
mod bomb;
#[path = "e2e/cap.rs"]
mod cap;
#[path = "e2e/compact.rs"]
mod compact;
#[path = "e2e/cross_origin.rs"]
mod cross_origin;
#[path = "e2e/dead.rs"]
mod dead;
#[path = "e2e/faults.rs"]
mod faults;
#[path = "e2e/gemini.rs"]
mod gemini;
#[path = "e2e/guardrail.rs"]
mod guardrail;
#[path = "e2e/kill.rs"]
mod kill;
#[path = "e2e/metrics.rs"]
mod metrics;
#[path = "e2e/native.rs"]
mod native;
#[path = "e2e/policy.rs"]
mod policy;
#[path = "e2e/readme.rs"]
mod readme;
#[path = "e2e/responses.rs"]
mod responses;
#[path = "e2e/restart.rs"]
mod restart;
#[path = "e2e/secret.rs"]
mod secret;
#[path = "e2e/serve.rs"]
mod serve;
#[path = "e2e/single.rs"]
mod single;
#[path = "e2e/steer.rs"]
mod steer;
#[path = "e2e/thread.rs"]
mod thread;

use std::fs;
use std::io::Write as _;
use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};
use sluicegate_tests::client::{Answer, Request};
use sluicegate_tests::fake::FakeUpstream;
use sluicegate_tests::gateway::{Gateway, MASTER_KEY};

const MIB: usize = 1024 * 1024;

/// Everything one table needs.
struct Rig {
    upstream: FakeUpstream,
    gateway: Gateway,
    key: String,
    limited: String,
    expired: String,
    blocked: String,
}

/// One way to try a row.
#[derive(Clone, Copy)]
struct Way<'a> {
    face: &'a str,
    model: &'a str,
    stream: bool,
}

fn list(value: &Value, default: &[&str]) -> Vec<String> {
    match value {
        Value::Null => default.iter().map(|s| (*s).to_owned()).collect(),
        Value::Array(list) => list.iter().map(|v| v.as_str().unwrap().to_owned()).collect(),
        Value::String(one) => vec![one.clone()],
        _ => panic!("{value} is no list of texts"),
    }
}

fn rows(table: &str) -> Vec<Value> {
    let file = sluicegate_tests::data().join("e2e").join(table);
    let text = fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    let rows: Vec<Value> =
        serde_saphyr::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    assert!(!rows.is_empty(), "{table} holds no row");
    rows
}

fn config(rows: &[Value], upstream: &FakeUpstream) -> String {
    let mut endings: Vec<String> =
        rows.iter().filter_map(|r| r["behaves"].as_str()).map(str::to_owned).collect();
    endings.push(String::new());
    endings.sort();
    endings.dedup();
    let model = |name: String, provider: &str, base: String| {
        json!({"model_name": name, "litellm_params": {"model": provider, "api_base": base, "api_key": "sk-upstream-0123456789",
            "input_cost_per_token": 0.000_001, "output_cost_per_token": 0.000_002}})
    };
    let mut models = Vec::new();
    for ending in &endings {
        models.push(model(
            format!("chat{ending}"),
            &format!("openai/gpt-4o-mini{ending}"),
            format!("{}/v1", upstream.url()),
        ));
        models.push(model(
            format!("claude{ending}"),
            &format!("anthropic/claude-sonnet-4-5{ending}"),
            upstream.url(),
        ));
    }
    let nobody = format!("http://127.0.0.1:{}", sluicegate_tests::free_port());
    models.push(model("chat-unreachable".into(), "openai/gpt-4o-mini", format!("{nobody}/v1")));
    models.push(model("claude-unreachable".into(), "anthropic/claude-sonnet-4-5", nobody));
    let whole = json!({
        "model_list": models,
        "litellm_settings": {"num_retries": 0, "request_timeout": 2},
        "router_settings": {"allowed_fails": 1_000_000, "cooldown_time": 0},
        "general_settings": {"master_key": MASTER_KEY},
    });
    // JSON is YAML too.
    serde_json::to_string_pretty(&whole).unwrap()
}

fn run(table: &str) {
    let rows = rows(table);
    let upstream = FakeUpstream::start();
    let gateway = Gateway::start(&table.replace('.', "-"), &config(&rows, &upstream));
    let key = gateway.new_key(&json!({}));
    let (mut expired, mut blocked) = (String::new(), String::new());
    if rows.iter().any(|r| r["key"] == "blocked") {
        blocked = gateway.new_key(&json!({}));
        let _ = gateway.manage("/key/update", &json!({"key": blocked, "blocked": true}));
    }
    if rows.iter().any(|r| r["key"] == "expired") {
        expired = gateway.new_key(&json!({"duration": "1s"}));
        sleep(Duration::from_millis(1200));
    }
    let limited = gateway.new_key(&json!({"models": ["claude"]}));
    let rig = Rig { upstream, gateway, key, limited, expired, blocked };
    let mut failures = Vec::new();
    let mut tried = 0;
    for row in &rows {
        check_fields(row);
        for face in list(&row["faces"], &["openai", "anthropic"]) {
            let upstreams = if row["behaves"].is_null() { &["chat"][..] } else { &["chat", "claude"] };
            for upstream in list(&row["upstreams"], upstreams) {
                let model = format!("{upstream}{}", row["behaves"].as_str().unwrap_or(""));
                let streams =
                    if row["stream"] == "both" { &[false, true][..] } else { &[row["stream"] == true] };
                for &stream in streams {
                    tried += 1;
                    if let Err(what) = try_row(&rig, row, Way { face: &face, model: &model, stream }) {
                        let way = format!("{face} face, model {model}, stream {stream}");
                        failures.push(format!("{} ({way}):\n    {what}", row["note"].as_str().unwrap()));
                    }
                }
            }
        }
    }
    let alive = rig.gateway.send(&Request::new("GET", "/health/liveliness"));
    assert_eq!(alive.status, 200, "the gateway lives on");
    assert!(failures.is_empty(), "{} of {tried} tries failed:\n{}", failures.len(), failures.join("\n"));
}

fn check_fields(row: &Value) {
    const FIELDS: &[&str] = &[
        "note",
        "faces",
        "behaves",
        "upstreams",
        "stream",
        "key",
        "method",
        "path",
        "headers",
        "body",
        "json",
        "hex",
        "built",
        "want",
    ];
    const WANTS: &[&str] =
        &["status", "code", "says", "says_not", "calls", "at_least_ms", "at_most_ms", "ends", "header"];
    for (value, known) in [(row, FIELDS), (&row["want"], WANTS)] {
        for name in value.as_object().unwrap_or_else(|| panic!("no fields in {row}")).keys() {
            assert!(known.contains(&name.as_str()), "`{name}` is no field, in {row}");
        }
    }
    assert!(
        row["want"]["status"].is_array() || row["want"]["status"].is_number(),
        "no status wanted in {row}"
    );
}

fn try_row(rig: &Rig, row: &Value, way: Way<'_>) -> Result<(), String> {
    rig.upstream.reset();
    let request = request(rig, row, way);
    let answer = match request.send(rig.gateway.address(), Duration::from_secs(30)) {
        Ok(answer) => answer,
        Err(error) => return Err(format!("no answer: {error}")),
    };
    judge(rig, &row["want"], way, &answer)
}

fn request(rig: &Rig, row: &Value, way: Way<'_>) -> Request {
    let messages = json!([{"role": "user", "content": "a b c d e f g h"}]);
    let mut proper = json!({"model": way.model, "messages": messages});
    if way.face == "anthropic" {
        proper["max_tokens"] = json!(50);
    }
    if way.stream {
        proper["stream"] = json!(true);
    }
    let body = if let Some(text) = row["body"].as_str() {
        text.replace("MODEL", way.model).into_bytes()
    } else if !row["json"].is_null() {
        for (name, value) in row["json"].as_object().into_iter().flatten() {
            proper[name] = value.clone();
        }
        if row["json"].is_object() { proper.to_string() } else { row["json"].to_string() }.into_bytes()
    } else if let Some(hex) = row["hex"].as_str() {
        let digits: Vec<u8> = hex.bytes().filter(|b| b.is_ascii_hexdigit()).collect();
        digits.chunks(2).map(|p| u8::from_str_radix(std::str::from_utf8(p).unwrap(), 16).unwrap()).collect()
    } else if let Some(name) = row["built"].as_str() {
        built(name, way.model)
    } else {
        proper.to_string().into_bytes()
    };
    let path = if way.face == "anthropic" { "/v1/messages" } else { "/v1/chat/completions" };
    let mut request = Request::post(row["path"].as_str().unwrap_or(path), body);
    request.method = row["method"].as_str().unwrap_or("POST").to_owned();
    request.chunked = row["built"].as_str().is_some_and(|b| b.ends_with("_chunked"));
    for (name, value) in row["headers"].as_object().into_iter().flatten() {
        request.headers.retain(|(n, _)| n != name);
        request = request.header(name, value.as_str().unwrap());
    }
    let key = match row["key"].as_str() {
        None | Some("right") => Some(rig.key.as_str()),
        Some("limited") => Some(rig.limited.as_str()),
        Some("none") => None,
        Some("unknown") => Some("sk-nobody-issued-this-key"),
        Some("expired") => Some(rig.expired.as_str()),
        Some("blocked") => Some(rig.blocked.as_str()),
        Some(other) => panic!("`{other}` is no key"),
    };
    match key {
        Some(key) if way.face == "anthropic" => {
            request.header("x-api-key", key).header("anthropic-version", "2023-06-01")
        }
        Some(key) => request.bearer(key),
        None => request,
    }
}

/// Bodies that are too large or too odd for a table.
fn built(name: &str, model: &str) -> Vec<u8> {
    let start =
        format!(r#"{{"model":"{model}","max_tokens":5,"messages":[{{"role":"user","content":"hi"}}]"#);
    let gzip = |plain: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    };
    match name {
        "none" => Vec::new(),
        "deep_arrays" => {
            format!("{start},\"x\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000)).into_bytes()
        }
        "deep_objects" => {
            format!("{start},\"x\":{}1{}}}", "{\"a\":".repeat(100_000), "}".repeat(100_000)).into_bytes()
        }
        "deep_and_never_closed" => format!("{start},\"x\":{}", "[".repeat(100_000)).into_bytes(),
        "deep_from_the_start" => "[".repeat(100_000).into_bytes(),
        "deep_messages" => format!(
            r#"{{"model":"{model}","max_tokens":5,"messages":{}{}}}"#,
            "[".repeat(100_000),
            "]".repeat(100_000)
        )
        .into_bytes(),
        "over_limit" | "over_limit_chunked" => {
            format!("{start},\"x\":\"{}\"}}", "a".repeat(32 * MIB + 1)).into_bytes()
        }
        "large_but_fine" => format!("{start}{}}}", " ".repeat(8 * MIB)).into_bytes(),
        "long_text" => format!("{}}}", start.replace("hi", &"word ".repeat(60_000))).into_bytes(),
        "gzip_fine" => gzip(format!("{start}}}").as_bytes()),
        "gzip_bomb" => bomb::gzip(&format!("{start},\"x\":\""), 512, "\"}"),
        "gzip_torn" => {
            let mut whole = gzip(format!("{start}}}").as_bytes());
            whole.truncate(whole.len() / 2);
            whole
        }
        "many_keys" => {
            let keys: Vec<String> = (0..100_000).map(|n| format!("\"x{n}\":{n}")).collect();
            format!("{start},{}}}", keys.join(",")).into_bytes()
        }
        "long_model" => {
            format!(r#"{{"model":"{}","max_tokens":5,"messages":[]}}"#, "m".repeat(MIB)).into_bytes()
        }
        _ => panic!("`{name}` is not built"),
    }
}

fn judge(rig: &Rig, want: &Value, way: Way<'_>, answer: &Answer) -> Result<(), String> {
    let text: String = answer.text().chars().take(600).collect();
    let seen = format!("status {}, body {text}", answer.status);
    let need = |good: bool, what: String| if good { Ok(()) } else { Err(format!("{what}; got {seen}")) };
    let statuses: Vec<u64> = match &want["status"] {
        Value::Array(several) => several.iter().map(|s| s.as_u64().unwrap()).collect(),
        one => vec![one.as_u64().unwrap()],
    };
    need(statuses.contains(&u64::from(answer.status)), format!("wanted status {statuses:?}"))?;
    let error = if answer.status >= 400 { Some(error_of(way.face, &answer.json())) } else { None };
    if let Some(error) = error {
        let error = error.map_err(|what| format!("{what}; got {seen}"))?;
        if let Some(code) = want["code"].as_str() {
            need(error == code, format!("wanted code {code}, not {error}"))?;
        }
    }
    for part in list(&want["says"], &[]) {
        need(answer.text().contains(&part), format!("wanted `{part}` to be said"))?;
    }
    for part in list(&want["says_not"], &[]) {
        need(!answer.text().contains(&part), format!("wanted `{part}` not to be said"))?;
    }
    for (name, value) in want["header"].as_object().into_iter().flatten() {
        need(answer.head.get(name) == value.as_str(), format!("wanted header {name}: {value}"))?;
    }
    if let Some(calls) = want["calls"].as_u64() {
        let made = rig.upstream.requests().len() as u64;
        need(made == calls, format!("wanted {calls} calls at the upstream, not {made}"))?;
    }
    let took = u64::try_from(answer.total.as_millis()).unwrap();
    need(took >= want["at_least_ms"].as_u64().unwrap_or(0), format!("answered after only {took} ms"))?;
    need(took <= want["at_most_ms"].as_u64().unwrap_or(10_000), format!("answered after {took} ms"))?;
    match want["ends"].as_str() {
        None => Ok(()),
        Some("done") => need(!answer.broken && ends_well(way.face, answer), "wanted a whole stream".into()),
        Some("error") => {
            need(!answer.broken, "wanted the stream to be closed properly".into())?;
            need(ends_with_error(way.face, answer), "wanted the stream to end with an error event".into())
        }
        Some(other) => panic!("`{other}` is no end"),
    }
}

/// The code (OpenAI: the code, else the type; Anthropic: the type) of an error, whose shape must be the face's.
fn error_of(face: &str, body: &Value) -> Result<String, String> {
    let error = &body["error"];
    let text = |v: &Value| v.as_str().map(str::to_owned);
    let message = text(&error["message"]).ok_or("wanted an error with a message")?;
    if message.is_empty() {
        return Err("wanted an error that says something".into());
    }
    if face == "gemini" {
        return text(&error["status"]).ok_or_else(|| "wanted an error in Google's shape".into());
    }
    let kind = text(&error["type"]).ok_or("wanted an error with a type")?;
    if face == "anthropic" {
        return if body["type"] == "error" {
            Ok(kind)
        } else {
            Err("wanted an error in Anthropic's shape".into())
        };
    }
    if error.get("param").is_none() || error.get("code").is_none() {
        return Err("wanted an error in OpenAI's shape".into());
    }
    Ok(text(&error["code"]).unwrap_or(kind))
}

fn ends_well(face: &str, answer: &Answer) -> bool {
    let last = answer.events().pop().unwrap_or_default();
    if face == "anthropic" { last.contains("message_stop") } else { last == "[DONE]" }
}

fn ends_with_error(face: &str, answer: &Answer) -> bool {
    let mut events = answer.events();
    // Some clients need the end mark even after an error.
    if events.last().is_some_and(|e| e == "[DONE]") {
        events.pop();
    }
    let last: Value = events.last().and_then(|e| serde_json::from_str(e).ok()).unwrap_or(Value::Null);
    error_of(face, &last).is_ok()
}

#[test]
fn bodies() {
    run("bodies.yaml");
}

#[test]
fn access() {
    run("access.yaml");
}

#[test]
fn upstreams() {
    run("upstreams.yaml");
}

#[test]
fn streams() {
    run("streams.yaml");
}

#[test]
fn a_bomb_takes_no_memory() {
    let upstream = FakeUpstream::start();
    let gateway = Gateway::start("bomb", &config(&[], &upstream));
    let key = gateway.new_key(&json!({}));
    let bomb = built("gzip_bomb", "chat");
    assert!(bomb.len() < MIB, "the bomb is small");
    let before = gateway.resident_kib();
    for _ in 0..4 {
        let request = Request::post("/v1/chat/completions", bomb.clone())
            .header("content-encoding", "gzip")
            .bearer(&key);
        let answer = gateway.send(&request);
        assert!(matches!(answer.status, 413 | 415), "{}", answer.text());
    }
    let grown = gateway.resident_kib().saturating_sub(before) / 1024;
    // Two workers may each keep what one body at the limit took, grown by doubling.
    assert!(grown < 300, "grew by {grown} MiB");
}
