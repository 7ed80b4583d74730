//! A policy's life over HTTP and the command line: put, tried in the shadow, taken into use, and taken back by itself.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sluicegate_tests::client::{Answer, Request};
use sluicegate_tests::fake::FakeUpstream;
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

/// Asks for a replay of everything, as a table or not.
fn replay(gateway: &Gateway, key: &str, asked: &Value, accept: &str) -> Answer {
    let mut body = json!({"from": "2020-01-01"});
    asked.as_object().unwrap().iter().for_each(|(name, value)| body[name] = value.clone());
    gateway.send(&Request::post("/api/v1/replay", body.to_string()).bearer(key).header("accept", accept))
}

#[test]
fn recorded_calls_are_replayed_over_the_api() {
    let gateway = Gateway::start("replay-api", CONFIG);
    let key = gateway.new_key(&json!({}));
    let json = "application/json";
    let early = replay(&gateway, MASTER_KEY, &json!({}), json);
    assert_eq!(early.status, 404, "{}", early.text());
    for _ in 0..5 {
        assert_eq!(call(&gateway, &key).status, 200);
    }

    // Under what is in force nothing differs.
    let same = replay(&gateway, MASTER_KEY, &json!({}), json);
    assert_eq!(same.status, 200, "{}", same.text());
    let same = same.json();
    assert_eq!(
        (&same["records"]["calls"], &same["records"]["changed"], &same["limited"]),
        (&json!(5), &json!(0), &json!(false))
    );
    assert_eq!(same["total"]["recorded"], same["total"]["replayed"]);

    // A text, a draft, and only the first calls.
    let deny =
        json!({"policies": [{"name": "shut", "text": "fn admit(call) { deny(\"shut\"); }"}], "limit": 3});
    let denied = replay(&gateway, MASTER_KEY, &deny, json).json();
    assert_eq!(
        (&denied["total"]["replayed"]["denied"], &denied["records"]["calls"], &denied["limited"]),
        (&json!(3), &json!(3), &json!(true))
    );
    done(&gateway, "PUT", "/turn", &json!({"text": SECOND}));
    let draft = json!({"policies": [{"name": "turn", "version": 1}]});
    let moved = replay(&gateway, MASTER_KEY, &draft, json).json();
    let channels = moved["by"]["channel"].as_array().unwrap();
    let second = channels.iter().find(|row| name(row["value"].as_str().unwrap()) == "second").unwrap();
    assert_eq!((&second["recorded"]["calls"], &second["replayed"]["calls"]), (&json!(0), &json!(5)));

    let table = replay(&gateway, MASTER_KEY, &draft, "text/csv");
    assert_eq!(table.head.get("content-type"), Some("text/csv; charset=utf-8"));
    assert!(table.text().starts_with("dimension,value,recorded_calls,replayed_calls,"), "{}", table.text());
    assert!(table.text().contains("\ntotal,,5,5,"), "{}", table.text());

    // What makes no sense is told, and others' use is nobody's affair.
    for (asked, status, part) in [
        (json!({"from": "yesterday"}), 400, "`yesterday` is no time"),
        (json!({"from": "now"}), 400, "must be before"),
        (json!({"limit": 0}), 400, "between 1 and 1000000"),
        (json!({"policies": [{"name": "turn", "version": 9}]}), 404, "no version 9"),
        (json!({"policies": [{"name": "x", "text": "fn route(call) { prefr(1); }"}]}), 400, "line 1"),
        (json!({"form": 1}), 400, "unknown field"),
    ] {
        let answer = replay(&gateway, MASTER_KEY, &asked, json);
        assert_eq!(answer.status, status, "{asked}: {}", answer.text());
        assert!(answer.text().contains(part), "{asked}: {}", answer.text());
    }
    assert_eq!(replay(&gateway, &key, &json!({}), json).status, 403);
    let running = gateway.send(&Request::new("GET", "/api/v1/replay").bearer(MASTER_KEY)).json();
    assert_eq!(running, json!({"running": null}), "none is running any more");
}

#[test]
fn a_call_explains_itself_as_far_as_its_caller_may_see() {
    let config = CONFIG.replace("models: [m]}", "models: [{name: m, price: {input: 1, output: 2}}]}");
    let config = format!(
        "{config}  - {{name: at-night, script: 'fn route(call) {{ exclude(\"channel:second\"); }}'}}\n\
         quotas: {{limits: {{requests: {{day: 100}}}}}}\n"
    );
    let gateway = Gateway::start("explain-header", &config);
    let key = gateway.new_key(&json!({"rpm_limit": 50}));
    let explained = |key: &str, explain: &str| {
        let body = json!({"model": "m", "max_tokens": 10, "messages": [{"role": "user", "content": "a b"}]});
        let request = Request::post("/v1/chat/completions", body.to_string()).bearer(key);
        let answer = gateway.send(&request.header("x-sluicegate-explain", explain));
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.head.get("x-sluicegate-decision").map(|text| serde_json::from_str::<Value>(text).unwrap())
    };
    let steps = |told: &Value, step: &str| -> Vec<Value> {
        let reasons = told["reasons"].as_array().unwrap();
        reasons.iter().filter(|reason| reason["step"] == step).cloned().collect()
    };
    let limit = |told: &Value, scope: &str| -> Value {
        let limits = told["limits"].as_array().unwrap();
        limits.iter().find(|limit| limit["scope"] == scope).cloned().unwrap_or_default()
    };
    assert_eq!(explained(&key, "false"), None);

    // An ordinary key: its own limits with figures, and of the rest how much there is of it.
    let own = explained(&key, "true").unwrap();
    let counts = [json!({"step": "candidates", "in": 2}), json!({"step": "candidates", "out": 1})];
    assert_eq!(steps(&own, "candidates"), counts, "before the scripts, and by them");
    assert!(steps(&own, "ranked").is_empty() && steps(&own, "excluded").is_empty(), "{own}");
    let effects: Vec<Value> = steps(&own, "policy").into_iter().map(|it| it["effect"].clone()).collect();
    assert_eq!(effects, [json!(["tags"]), json!(["exclude"])]);
    assert_eq!(limit(&own, "key")["max"], 50, "{own}");
    let global = limit(&own, "global");
    assert!(
        global["window"] == "day" && global.get("max").is_none() && global.get("used").is_none(),
        "{own}"
    );
    assert!(!own.to_string().contains("second"), "another channel's name is the operator's affair: {own}");

    // Before a call, too; a whole request has a text that scripts see.
    let script = "fn admit(call) { if call.text_matches(`(?i)nightjar-\\d`) { deny(\"not that\"); } }";
    done(&gateway, "PUT", "/words", &json!({"text": script}));
    done(&gateway, "POST", "/words/activate", &json!({}));
    let ask_first = |says: &str| {
        let body = json!({"model": "m", "messages": [{"role": "user", "content": says}]});
        let asked = json!({"key": key, "body": body}).to_string();
        gateway.send(&Request::post("/api/v1/explain", asked).bearer(MASTER_KEY)).json()
    };
    assert_eq!(ask_first("about Nightjar-1")["denial"]["message"].as_str(), Some("not that"));
    assert_eq!(name(ask_first("about birds")["order"][0]["id"].as_str().unwrap_or_default()), "first");
    let neither = gateway.send(&Request::post("/api/v1/explain", "{}").bearer(MASTER_KEY));
    assert_eq!(neither.status, 400, "{}", neither.text());

    // An administrator: everything.
    let all = explained(MASTER_KEY, "true").unwrap();
    assert_eq!((steps(&all, "ranked").len(), steps(&all, "excluded").len()), (2, 1), "{all}");
    assert!(steps(&all, "policy").iter().all(|it| it["fuel"].as_u64() > Some(0)), "{all}");
    assert_eq!(limit(&all, "global")["max"], 100, "{all}");
}

#[test]
fn a_draft_explains_a_call_before_it_is_put() {
    let gateway = Gateway::start("explain-draft", CONFIG);
    let key = gateway.new_key(&json!({}));
    done(&gateway, "PUT", "/turn", &json!({"text": SECOND}));
    done(&gateway, "POST", "/turn/activate", &json!({}));
    let explain = |more: &Value| {
        let mut asked = json!({"model": "m", "key": key});
        asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        gateway.send(&Request::post("/api/v1/explain", asked.to_string()).bearer(MASTER_KEY))
    };
    let drafted = |name: &str, text: &str| explain(&json!({"policy": name, "draft": {"text": text}}));
    let first = |answer: &Answer| {
        let id = answer.json()["order"][0]["id"].as_str().map(|id| name(id).to_owned());
        id.unwrap_or_else(|| panic!("no order: {}", answer.text()))
    };
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "about nightjars"}]});
    assert_eq!(first(&explain(&json!({}))), "second", "what runs");

    // In the place of its policy's version that runs; another name stands beside it.
    let refuses = r#"fn route(call) { deny("not now"); }"#;
    assert_eq!(first(&drafted("turn", "fn route(call) { }")), "first");
    assert_eq!(drafted("turn", refuses).json()["denial"]["message"], "not now");
    assert_eq!(first(&drafted("another", "fn route(call) { }")), "second");
    // A whole request's text is there for it, too.
    let looks = r#"fn admit(call) { if call.text_matches(`nightjar`) { deny("not that"); } }"#;
    let whole = explain(&json!({"body": body, "policy": "another", "draft": {"text": looks}}));
    assert_eq!(whole.json()["denial"]["message"], "not that", "{}", whole.text());
    // One that fails says how.
    let broken = drafted("another", r#"fn route(call) { throw "tired"; }"#);
    assert!(broken.text().contains("tired") && first(&broken) == "second", "{}", broken.text());
    // Whoever it isn't attached to isn't steered by it.
    let elsewhere =
        gateway.send(&Request::post("/api/v1/organizations", r#"{"id": "o-2"}"#).bearer(MASTER_KEY));
    assert_eq!(elsewhere.status, 201, "{}", elsewhere.text());
    let theirs = explain(&json!({"policy": "theirs", "draft": {"text": refuses, "organization": "o-2"}}));
    assert_eq!(first(&theirs), "second");

    // What couldn't be put can't be looked at.
    for (asked, status, says) in [
        (json!({"policy": "turn"}), 400, "as `draft`"),
        (json!({"draft": {"text": refuses}}), 400, "name the `policy`"),
        (
            json!({"policy": "turn", "draft": {"text": "fn route(call) {\n  prefr(1);\n}"}}),
            400,
            "line 2, column 3",
        ),
        (json!({"policy": "turn", "draft": {"text": refuses, "organization": "o-2"}}), 409, "stays there"),
        (json!({"policy": "of-the-file", "draft": {"text": refuses}}), 409, "change it there"),
        (json!({"policy": "turn", "draft": {"text": refuses, "organization": "nowhere"}}), 404, "nowhere"),
    ] {
        let answer = explain(&asked);
        assert_eq!(answer.status, status, "{asked}: {}", answer.text());
        assert!(answer.text().contains(says), "{asked}: {}", answer.text());
    }

    // Nothing came of all that.
    assert_eq!(call(&gateway, &key).status, 200);
    assert_eq!(served_by(&gateway), "second");
    assert_eq!(ask(&gateway, "GET", "/another", &json!({})).status, 404);
    assert_eq!(done(&gateway, "GET", "/turn", &json!({}))["newest"], 1);
}

#[test]
fn whole_requests_are_explained_as_they_would_be_served() {
    let upstream = FakeUpstream::start();
    let limit = json!({"limits": {"spend": {"lifetime": "100 USD"}}});
    let config = json!({
        "version": 1,
        "server": {"master_key": MASTER_KEY},
        "channels": [
            {"name": "resp", "provider": "openai", "endpoints": [{"format": "openai_responses", "url": format!("{}/v1/responses", upstream.url())}],
                "credential": "k", "models": [{"name": "m", "upstream": "gpt-5-mini", "price": {"input": 1, "output": 2}}]},
            {"name": "chat", "provider": "openai", "url": format!("{}/v1", upstream.url()), "credential": "k",
                "models": [{"name": "c", "upstream": "gpt-4o-mini", "price": {"input": 1, "output": 2}}]},
        ],
        "customers": {"named": {"careful": limit}},
        "tags": {"named": {"counted": limit}},
    });
    let gateway = Gateway::start("explain-whole", &config.to_string());
    let (key, capped) = (gateway.new_key(&json!({})), gateway.new_key(&json!({"max_budget": 5})));
    let made = gateway
        .send(&Request::post("/v1/responses", json!({"model": "m", "input": "hi"}).to_string()).bearer(&key));
    let kept = made.json()["id"].as_str().unwrap().to_owned();
    let chat = |more: Value| {
        let mut body = json!({"model": "c", "max_tokens": 10, "messages": [{"role": "user", "content": "hi"}], "web_search_options": {}});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"body": body})
    };
    let goes_on = |id: &str| json!({"format": "openai_responses", "body": {"model": "m", "input": "and", "previous_response_id": id}});
    let gemini = |more: Value| {
        let mut asked = json!({"format": "gemini_generate", "body": {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}});
        asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        asked
    };
    for (asked, key, status, says) in [
        (goes_on(&kept), &key, 200, "resp"),
        (goes_on("resp_nobody"), &key, 400, "resp_nobody"),
        // Somebody else's isn't there.
        (goes_on(&kept), &capped, 400, &*kept),
        (chat(json!({})), &key, 200, "chat"),
        (chat(json!({})), &capped, 400, "web_search_options"),
        (chat(json!({"user": "careless"})), &key, 200, "chat"),
        (chat(json!({"user": "careful"})), &key, 400, "web_search_options"),
        (chat(json!({"tags": ["counted"]})), &key, 400, "web_search_options"),
        (gemini(json!({"model": "c"})), &key, 200, "chat"),
        (gemini(json!({"model": "c", "stream": true})), &key, 200, "chat"),
        (gemini(json!({})), &key, 400, "name the `model`"),
        (gemini(json!({"model": "nobody"})), &key, 200, "model_not_found"),
    ] {
        let mut asked = asked;
        asked["key"] = json!(key);
        let answer = gateway.send(&Request::post("/api/v1/explain", asked.to_string()).bearer(MASTER_KEY));
        assert_eq!(answer.status, status, "{asked}: {}", answer.text());
        assert!(answer.text().contains(says), "{asked}: {}", answer.text());
        // The call itself is refused for the same.
        if let (400, Some(body)) = (status, asked.get("body").filter(|body| body.get("messages").is_some())) {
            let called = gateway.send(&Request::post("/v1/chat/completions", body.to_string()).bearer(key));
            assert_eq!((called.status, called.text().contains(says)), (400, true), "{}", called.text());
        }
    }
}
