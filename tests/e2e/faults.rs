//! Upstreams that fail, with a second channel and without: the table `data/e2e/upstream_faults.yaml`.

use std::net::TcpListener;
use std::time::Duration;

use serde_json::{Value, json};
use sluicegate_tests::client::Request;
use sluicegate_tests::fake::{FakeUpstream, Step};
use sluicegate_tests::gateway::{Gateway, Launch, MASTER_KEY};

use super::{ends_well, ends_with_error, error_of, list, rows};

struct Rig {
    upstream: FakeUpstream,
    gateway: Gateway,
    key: String,
}

/// One way to try a row.
struct Way {
    face: &'static str,
    ending: String,
    stream: bool,
    /// Whether there is a second channel.
    second: bool,
    row: usize,
}

impl Way {
    fn model(&self) -> String {
        format!("{}-{}-{}", if self.second { "two" } else { "one" }, self.ending, self.row)
    }
}

/// Takes connections and closes them without having read what was sent, which resets them.
fn resetting() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // Something has come in that nobody will read.
            let _ = stream.peek(&mut [0]);
        }
    });
    format!("http://{address}")
}

/// For each row and format a channel of its own that fails, and one behind it: nothing that a row does benches another's.
fn config(rows: &[Value], upstream: &FakeUpstream) -> String {
    let reset = resetting();
    let (mut channels, mut groups) = (Vec::new(), json!({}));
    for (at, row) in rows.iter().enumerate() {
        for (ending, provider, path) in [("chat", "openai", "/v1"), ("claude", "anthropic", "")] {
            let name = |what: &str| format!("{what}-{ending}-{at}");
            let model = |name: String, upstream: String| json!({"name": name, "upstream": upstream, "price": {"input": 1, "output": 2}, "context_window": 100_000});
            let base = if row["reset"] == true { reset.clone() } else { upstream.url() };
            groups[name("one")] = json!({"retries": 0});
            channels.push(json!({"name": name("bad"), "provider": provider, "url": format!("{base}{path}"), "priority": 1,
                "credential": "sk-upstream-0123456789", "models": [model(name("one"), name("bad")), model(name("two"), name("bad"))]}));
            channels.push(
                json!({"name": name("good"), "provider": provider, "url": format!("{}{path}", upstream.url()),
                "credential": "sk-upstream-0123456789", "models": [model(name("two"), name("good"))]}),
            );
        }
    }
    let timeouts = json!({"first_byte": "1s", "between_bytes": "1s"});
    let routing = json!({"retries": 1, "backoff": "10ms", "allowed_fails": 1_000_000, "timeouts": timeouts});
    json!({"version": 1, "channels": channels, "model_groups": groups, "routing": routing}).to_string()
}

fn try_way(rig: &Rig, row: &Value, way: &Way) -> Result<(), String> {
    rig.upstream.reset();
    if !row["step"].is_null() {
        let step = Step::from_json(&row["step"]).unwrap();
        rig.upstream.push(Step { model: Some(format!("bad-{}-{}", way.ending, way.row)), times: 0, ..step });
    }
    let mut body = json!({"model": way.model(), "messages": [{"role": "user", "content": "a b c d e f g h"}], "max_tokens": 50});
    body["stream"] = json!(way.stream);
    let request = match way.face {
        "anthropic" => Request::post("/v1/messages", body.to_string()).header("x-api-key", &rig.key),
        _ => Request::post("/v1/chat/completions", body.to_string()).bearer(&rig.key),
    };
    let answer =
        request.send(rig.gateway.address(), Duration::from_secs(30)).map_err(|why| why.to_string())?;
    let id = answer.head.get("x-sluicegate-call-id").unwrap_or_default();
    let record = super::guardrail::record(&rig.gateway, id);
    let seen = || {
        let text: String = answer.text().chars().take(400).collect();
        format!(
            "status {}, {text}, outcome {}, spend {}, {}",
            answer.status, record["outcome"], record["spend"], record["attempts"]
        )
    };
    let need = |good: bool, what: &str| if good { Ok(()) } else { Err(format!("{what}; got {}", seen())) };
    let asked = record["attempts"].as_array().map_or(0, Vec::len);
    let charged = record["spend"].as_i64().unwrap_or(0) > 0;
    let want = &row["alone"];
    if way.second && row["second"] == true {
        need(answer.status == 200 && asked == 2, "the second channel's answer")?;
        need(!way.stream || ends_well(way.face, &answer), "a whole stream")?;
        need(
            answer.head.get("x-sluicegate-channel").is_some_and(|name| name.starts_with("good")),
            "its name",
        )?;
        need(record["outcome"] == "ok" && charged, "a record of a success")?;
        return need(record["attempts"][0]["outcome"] == want["outcome"], "what went wrong first");
    }
    need(asked == 1, "one attempt")?;
    let status = want.get(way.face).unwrap_or(&want["status"]);
    need(*status == answer.status, &format!("status {status}"))?;
    if want["begun"] == true {
        need(!answer.broken && ends_with_error(way.face, &answer), "an error event at the end")?;
    } else {
        let code = error_of(way.face, &answer.json()).map_err(|what| format!("{what}; got {}", seen()))?;
        // Anthropic's format has types for codes.
        let wanted = want["code"].as_str().filter(|_| way.face == "openai");
        need(wanted.is_none_or(|wanted| code == wanted), "another code")?;
    }
    for (name, value) in want["header"].as_object().into_iter().flatten() {
        need(answer.head.get(name) == value.as_str(), &format!("the header {name}"))?;
    }
    need(want["says_not"].as_str().is_none_or(|part| !answer.text().contains(part)), "says_not")?;
    let took = u64::try_from(answer.total.as_millis()).unwrap();
    need(took <= want["at_most_ms"].as_u64().unwrap_or(10_000), &format!("answered after {took} ms"))?;
    need(record["outcome"] == want["outcome"], "another outcome")?;
    need(json!(charged) == want["charged"], "another charge")
}

#[test]
fn upstream_faults() {
    let rows = rows("upstream_faults.yaml");
    let upstream = FakeUpstream::start();
    let launch = Launch::of(&config(&rows, &upstream)).variable("SLUICEGATE_MASTER_KEY", MASTER_KEY);
    let gateway = Gateway::launch("upstream-faults", launch);
    let key = gateway.new_key(&json!({}));
    let rig = Rig { upstream, gateway, key };
    let (mut wrong, mut tried) = (Vec::new(), 0);
    for (at, row) in rows.iter().enumerate() {
        let streams: Vec<bool> = match row["streams"].as_array() {
            Some(streams) => streams.iter().map(|stream| stream == true).collect(),
            None => vec![false, true],
        };
        // A refused credential benches its channel: the way with a second one first.
        for second in [true, false] {
            for face in ["openai", "anthropic"] {
                for ending in list(&row["upstreams"], &["chat", "claude"]) {
                    for &stream in &streams {
                        let way = Way { face, ending: ending.clone(), stream, second, row: at };
                        tried += 1;
                        rig.mend(&way);
                        if let Err(what) = try_way(&rig, row, &way) {
                            let how = format!("{face}, {ending}, stream {stream}, second {second}");
                            wrong.push(format!("{} ({how}):\n    {what}", row["note"]));
                        }
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {tried} tries failed:\n{}", wrong.len(), wrong.join("\n"));
}

impl Rig {
    /// Forgets what went wrong with the row's channel before.
    fn mend(&self, way: &Way) {
        let name = format!("bad-{}-{}", way.ending, way.row);
        let found = self.gateway.look_up("/api/v1/channels?limit=200");
        let id =
            found["items"].as_array().into_iter().flatten().find(|it| it["name"] == name).map(|it| &it["id"]);
        let id = id.and_then(Value::as_str).unwrap_or_else(|| panic!("no channel `{name}` in {found}"));
        let request = Request::post(&format!("/api/v1/channels/{id}/mend"), "{}").bearer(MASTER_KEY);
        let answer = self.gateway.send(&request);
        assert!(answer.status < 300, "{}", answer.text());
    }
}
