//! Conversations that callers make, and responses that are worked on in the background: kept by the gateway, for upstreams that know
//! of neither.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sluicegate_tests::client::{Answer, Request};
use sluicegate_tests::fake::FakeUpstream;
use sluicegate_tests::gateway::{Gateway, Launch, MASTER_KEY};

struct Rig {
    upstream: FakeUpstream,
    gateway: Gateway,
    key: String,
}

fn config(upstream: &FakeUpstream) -> String {
    let channel = |name: &str, provider: &str, format: &str, path: &str, model: &str| {
        json!({"name": name, "provider": provider, "endpoints": [{"format": format, "url": format!("{}{path}", upstream.url())}],
            "credential": "sk-upstream-0123456789", "models": [{"name": name, "upstream": model, "price": {"input": 1, "output": 2}}]})
    };
    json!({
        "version": 1,
        "server": {"master_key": MASTER_KEY, "responses": {"background_per_owner": 2, "conversations_per_owner": 8, "conversation_bytes_per_owner": "64KiB"}},
        "routing": {"retries": 0, "allowed_fails": 1_000_000},
        "channels": [
            channel("resp", "openai", "openai_responses", "/v1/responses", "gpt-5-mini"),
            channel("chat", "openai", "openai_chat", "/v1/chat/completions", "glm-5"),
            channel("claude", "anthropic", "anthropic_messages", "/v1/messages", "claude-sonnet-4-5"),
            channel("slow", "openai", "openai_chat", "/v1/chat/completions", "glm-5--delay-20000"),
            channel("steady", "openai", "openai_chat", "/v1/chat/completions", "glm-5--chunk-delay-300"),
            channel("cut", "openai", "openai_responses", "/v1/responses", "gpt-5-mini--cut-6"),
            channel("down", "openai", "openai_chat", "/v1/chat/completions", "glm-5--status-500"),
        ],
    })
    .to_string()
}

impl Rig {
    fn start(name: &str) -> Self {
        let upstream = FakeUpstream::start();
        let gateway = Gateway::start(name, &config(&upstream));
        let key = gateway.new_key(&json!({}));
        Self { upstream, gateway, key }
    }

    fn send(&self, key: &str, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let request = match body {
            Some(body) => Request { body: body.to_string().into_bytes(), ..Request::new(method, path) }
                .header("content-type", "application/json"),
            None => Request::new(method, path),
        };
        self.gateway.send(&request.bearer(key))
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        let answer = self.send(&self.key, "POST", path, Some(body));
        assert_eq!(answer.status, 200, "{path} {body}: {}", answer.text());
        answer.json()
    }

    fn get(&self, path: &str) -> Value {
        let answer = self.send(&self.key, "GET", path, None);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.json()
    }

    /// The events of a stream.
    fn events(&self, method: &str, path: &str, body: Option<&Value>) -> Vec<Value> {
        let answer = self.send(&self.key, method, path, body);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.events().iter().map(|data| serde_json::from_str(data).unwrap()).collect()
    }

    /// A response when it isn't worked on any more.
    fn ended(&self, id: &Value) -> Value {
        let path = format!("/v1/responses/{}", id.as_str().unwrap());
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            let response = self.get(&path);
            if response["status"] != "in_progress" {
                return response;
            }
            assert!(Instant::now() < until, "{response}");
            std::thread::yield_now();
        }
    }
}

fn text_of(response: &Value) -> String {
    let items = response["output"].as_array().unwrap();
    let parts = items.iter().filter_map(|item| item["content"].as_array()).flatten();
    parts.filter_map(|part| part["text"].as_str()).collect()
}

fn error_of(answer: &Answer) -> (u16, String) {
    (answer.status, answer.json()["error"]["message"].as_str().unwrap_or_default().to_owned())
}

#[test]
fn what_is_said_in_a_conversation_goes_before_what_follows() {
    let rig = Rig::start("conversations");
    for model in ["resp", "chat", "claude"] {
        let opened = json!({"items": [{"role": "user", "content": "zero"}, {"role": "assistant", "content": "so"}], "metadata": {"a": "b"}});
        let made = rig.post("/v1/conversations", &opened);
        let id = made["id"].as_str().unwrap();
        assert!(
            id.starts_with("conv_") && made["object"] == "conversation" && made["metadata"]["a"] == "b",
            "{made}"
        );
        let first = rig.post("/v1/responses", &json!({"model": model, "input": "one", "conversation": id}));
        assert_eq!(text_of(&first), "echo: one");
        let second = rig.post(
            "/v1/responses",
            &json!({"model": model, "input": "two", "conversation": {"id": id}, "stream": false}),
        );
        assert_eq!(text_of(&second), "echo: two");
        let of = json!({ "id": id });
        assert_eq!((&first["conversation"], &second["conversation"]), (&of, &of), "{model}");
        assert_eq!(rig.get(&format!("/v1/responses/{}", second["id"].as_str().unwrap())), second);
        let sent = rig.upstream.requests().last().unwrap().json();
        let said = if model == "resp" { &sent["input"] } else { &sent["messages"] };
        assert_eq!(said.as_array().unwrap().len(), 5, "{sent}");
        assert!(sent.get("conversation").is_none_or(Value::is_null), "nobody else knows it: {sent}");

        let path = format!("/v1/conversations/{id}");
        let listed = rig.get(&format!("{path}/items?order=asc"));
        let items = listed["data"].as_array().unwrap();
        let roles: Vec<_> = items.iter().filter_map(|item| item["role"].as_str()).collect();
        assert_eq!(roles, ["user", "assistant", "user", "assistant", "user", "assistant"], "{listed}");
        assert!(items.iter().all(|item| item["id"].is_string() && item["type"] == "message"), "{listed}");
        let newest = rig.get(&format!("{path}/items?limit=1"));
        assert_eq!((&newest["data"][0], &newest["has_more"]), (&items[5], &json!(true)));

        // Items come and go.
        let added = rig
            .post(&format!("{path}/items"), &json!({"items": [{"role": "user", "content": "by the way"}]}));
        let item = format!("{path}/items/{}", added["data"][0]["id"].as_str().unwrap());
        assert_eq!(rig.get(&item), added["data"][0]);
        assert_eq!(rig.send(&rig.key, "DELETE", &item, None).json()["id"], id);
        assert_eq!(rig.send(&rig.key, "GET", &item, None).status, 404);
        assert_eq!(rig.post(&path, &json!({"metadata": {"c": "d"}}))["metadata"], json!({"c": "d"}));
        assert_eq!(rig.get(&path)["metadata"], json!({"c": "d"}));

        // Streamed, each event that holds the response says it, too.
        let streamed = json!({"model": model, "input": "four", "conversation": id, "stream": true});
        let events = rig.events("POST", "/v1/responses", Some(&streamed));
        let told: Vec<_> = events.iter().filter_map(|event| event["response"].get("conversation")).collect();
        assert_eq!(told, [&of, &of, &of], "{model}: created, in progress, completed");

        // Whoever goes on from a response that was made in it has all that went before.
        let third = json!({"model": model, "input": "three", "previous_response_id": second["id"]});
        assert_eq!(text_of(&rig.post("/v1/responses", &third)), "echo: three");
        let sent = rig.upstream.requests().last().unwrap().json();
        if model == "resp" {
            // Its own channel was sent all of it, and keeps it too.
            assert_eq!(sent["previous_response_id"], second["id"], "{sent}");
        } else {
            assert_eq!(sent["messages"].as_array().unwrap().len(), 7, "{sent}");
        }

        assert_eq!(rig.send(&rig.key, "DELETE", &path, None).json()["deleted"], true);
        assert_eq!(rig.send(&rig.key, "GET", &path, None).status, 404);
    }
}

#[test]
fn a_conversation_is_its_owners_alone() {
    let rig = Rig::start("conversations-foreign");
    let other = rig.gateway.new_key(&json!({}));
    let made = rig.post("/v1/conversations", &json!({"items": [{"role": "user", "content": "secret"}]}));
    let (id, item) = (made["id"].as_str().unwrap(), "msg_x");
    let unknown = id.replace("conv_", "conv_x");
    for (method, path, body) in [
        ("GET", "/v1/conversations/ID", None),
        ("POST", "/v1/conversations/ID", Some(json!({"metadata": {}}))),
        ("DELETE", "/v1/conversations/ID", None),
        ("GET", "/v1/conversations/ID/items", None),
        ("POST", "/v1/conversations/ID/items", Some(json!({"items": [{"role": "user", "content": "x"}]}))),
        ("GET", "/v1/conversations/ID/items/ITEM", None),
        ("DELETE", "/v1/conversations/ID/items/ITEM", None),
        ("POST", "/v1/responses", Some(json!({"model": "chat", "input": "x", "conversation": "ID"}))),
    ] {
        let ask = |id: &str| {
            let body: Option<Value> =
                body.as_ref().map(|body| serde_json::from_str(&body.to_string().replace("ID", id)).unwrap());
            rig.send(&other, method, &path.replace("ID", id).replace("ITEM", item), body.as_ref())
        };
        let (foreign, none) = (ask(id), ask(&unknown));
        assert_eq!((foreign.status, none.status), (404, 404), "{method} {path}: {}", foreign.text());
        assert_eq!(foreign.text(), none.text().replace("conv_x", "conv_"), "{method} {path}");
    }
    assert_eq!(rig.get(&format!("/v1/conversations/{id}/items"))["data"].as_array().unwrap().len(), 1);
    assert!(rig.upstream.requests().is_empty(), "nobody was asked");
    for (path, body, why) in [
        ("/v1/conversations", json!({"item": []}), "unknown field `item`"),
        ("/v1/conversations", json!({"items": "a"}), "`items` must be"),
        (
            "/v1/conversations",
            json!({"items": [{"role": "user", "content": "a"}, {"type": "item_reference", "id": "msg_foreign"}]}),
            "give the item itself as `items[1]`",
        ),
        ("/v1/conversations", json!({"items": [{"id": "msg_foreign"}]}), "give the item itself"),
        ("/v1/conversations", json!({"metadata": {"a": 1}}), "`metadata` must have"),
        (
            "/v1/responses",
            json!({"model": "chat", "input": "x", "conversation": id, "store": false}),
            "leave `store` out",
        ),
        (
            "/v1/responses",
            json!({"model": "chat", "input": "x", "conversation": id, "previous_response_id": "resp_1"}),
            "exclude each other",
        ),
    ] {
        let (status, message) = error_of(&rig.send(&rig.key, "POST", path, Some(&body)));
        assert!(status == 400 && message.contains(why), "{body}: {status} {message}");
    }
}

#[test]
fn what_is_worked_on_in_the_background_is_there_later() {
    let rig = Rig::start("background");
    let other = rig.gateway.new_key(&json!({}));
    for model in ["resp", "chat", "claude"] {
        let queued = rig.post("/v1/responses", &json!({"model": model, "input": "one", "background": true}));
        assert_eq!((&queued["status"], &queued["background"]), (&json!("queued"), &json!(true)), "{queued}");
        let done = rig.ended(&queued["id"]);
        assert_eq!(
            (&done["status"], &done["id"], text_of(&done).as_str()),
            (&json!("completed"), &queued["id"], "echo: one")
        );
        assert_eq!(done["background"], true);
        let sent = rig.upstream.requests().last().unwrap().json();
        assert!(sent.get("background").is_none_or(|sent| sent == false), "{sent}");
        // It is a response like any other.
        let next = json!({"model": "claude", "input": "two", "previous_response_id": done["id"]});
        assert_eq!(text_of(&rig.post("/v1/responses", &next)), "echo: two");
        let cancel = format!("/v1/responses/{}/cancel", done["id"].as_str().unwrap());
        assert_eq!(rig.post(&cancel, &json!({}))["status"], "completed", "it was there already");
        assert_eq!(rig.send(&other, "POST", &cancel, None).status, 404);
    }
    let failed = rig.post("/v1/responses", &json!({"model": "down", "input": "one", "background": true}));
    let failed = rig.ended(&failed["id"]);
    assert_eq!(failed["status"], "failed");
    assert!(failed["error"]["message"].is_string(), "{failed}");
    let next = json!({"model": "chat", "input": "two", "previous_response_id": failed["id"]});
    let (status, message) = error_of(&rig.send(&rig.key, "POST", "/v1/responses", Some(&next)));
    assert!(status == 400 && message.contains("is failed"), "{message}");
    // What can't be let in is refused at once.
    let unknown = json!({"model": "nobody", "input": "a", "background": true});
    assert_eq!(rig.send(&rig.key, "POST", "/v1/responses", Some(&unknown)).status, 404);
    let body = json!({"model": "chat", "input": "a", "background": true, "store": false});
    let answer = rig.send(&rig.key, "POST", "/v1/responses", Some(&body));
    assert_eq!(
        (answer.status, &answer.json()["error"]["param"]),
        (400, &json!("store")),
        "{}",
        answer.text()
    );
    let waited = rig.post("/v1/responses", &json!({"model": "chat", "input": "a", "background": false}));
    let cancel = format!("/v1/responses/{}/cancel", waited["id"].as_str().unwrap());
    assert_eq!(rig.send(&rig.key, "POST", &cancel, None).status, 400);
}

#[test]
fn work_in_the_background_ends_when_it_is_cancelled_or_its_process_does() {
    let upstream = FakeUpstream::start();
    let config = config(&upstream);
    let gateway = Gateway::launch("background-ends", Launch::of(&config));
    let key = gateway.new_key(&json!({}));
    let mut rig = Rig { upstream, gateway, key };
    let body = json!({"model": "slow", "input": "one", "background": true});
    let begun = rig.post("/v1/responses", &body);
    let path = format!("/v1/responses/{}", begun["id"].as_str().unwrap());
    assert_eq!(rig.get(&path)["status"], "in_progress");
    assert_eq!(rig.post(&format!("{path}/cancel"), &json!({}))["status"], "cancelled");
    assert_eq!(rig.get(&path)["status"], "cancelled");
    let forgotten = rig.post("/v1/responses", &body);
    let forgotten = format!("/v1/responses/{}", forgotten["id"].as_str().unwrap());
    assert_eq!(rig.send(&rig.key, "DELETE", &forgotten, None).json()["deleted"], true);
    assert_eq!(rig.send(&rig.key, "GET", &forgotten, None).status, 404, "it doesn't come back");
    let lost = rig.post("/v1/responses", &body);
    rig.gateway.kill();
    rig.gateway.start_again();
    let lost = rig.get(&format!("/v1/responses/{}", lost["id"].as_str().unwrap()));
    assert_eq!(
        (&lost["status"], &lost["error"]["code"]),
        (&json!("failed"), &json!("server_error")),
        "{lost}"
    );
}

fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().filter_map(|event| event["type"].as_str()).collect()
}

#[test]
fn a_stream_in_the_background_is_taken_up_again_behind_any_event() {
    let rig = Rig::start("background-streams");
    for model in ["resp", "chat", "claude"] {
        let body = json!({"model": model, "input": "one two three", "background": true, "stream": true});
        let events = rig.events("POST", "/v1/responses", Some(&body));
        let numbers: Vec<_> = events.iter().map(|event| event["sequence_number"].as_u64().unwrap()).collect();
        assert!(numbers.iter().copied().eq(0..events.len() as u64), "{numbers:?}");
        let kinds = kinds(&events);
        assert_eq!(kinds[..3], ["response.created", "response.queued", "response.in_progress"], "{model}");
        assert_eq!(
            (kinds.last(), events[0]["response"]["status"].as_str()),
            (Some(&"response.completed"), Some("queued"))
        );
        let told: Vec<_> = events.iter().filter(|event| event["response"].is_object()).collect();
        let id = told[0]["response"]["id"].as_str().unwrap();
        assert!(
            told.iter().all(|event| event["response"]["id"] == id && event["response"]["background"] == true)
        );
        let path = format!("/v1/responses/{id}");
        // The end is what is kept.
        assert_eq!(rig.get(&path), events.last().unwrap()["response"]);
        for from in [0, 3, events.len() - 1, events.len()] {
            let path = match from {
                0 => format!("{path}?stream=true"),
                from => format!("{path}?stream=true&starting_after={}", from - 1),
            };
            assert_eq!(rig.events("GET", &path, None), events[from..], "{model}: {path}");
        }
        let other = rig.gateway.new_key(&json!({}));
        let foreign = rig.send(&other, "GET", &format!("{path}?stream=true"), None);
        assert_eq!(foreign.status, 404, "{}", foreign.text());
        assert_eq!(rig.send(&rig.key, "DELETE", &path, None).status, 200);
        assert_eq!(rig.send(&rig.key, "GET", &format!("{path}?stream=true"), None).status, 404);
    }
    // What isn't streamed from its beginning has a beginning and an end.
    let plain = rig.post("/v1/responses", &json!({"model": "chat", "input": "one"}));
    let path = format!("/v1/responses/{}", plain["id"].as_str().unwrap());
    let events = rig.events("GET", &format!("{path}?stream=true"), None);
    assert_eq!(kinds(&events), ["response.created", "response.in_progress", "response.completed"]);
    assert_eq!((&events[0]["response"]["output"], &events[2]["response"]), (&json!([]), &plain));
    let late = rig.events("GET", &format!("{path}?stream=true&starting_after=7"), None);
    assert_eq!((kinds(&late), &late[0]["sequence_number"]), (vec!["response.completed"], &json!(8)));
    for (query, why) in [
        ("stream=yes", "true or false"),
        ("stream=true&starting_after=x", "the number of an event"),
        ("starting_after=1", "give `stream=true` with it"),
    ] {
        let (status, message) = error_of(&rig.send(&rig.key, "GET", &format!("{path}?{query}"), None));
        assert!(status == 400 && message.contains(why), "{query}: {message}");
    }
}

#[test]
fn a_stream_in_the_background_tells_how_it_ended() {
    let rig = Rig::start("background-stream-ends");
    for (model, code) in [("down", None), ("cut", Some("upstream_unavailable"))] {
        let body = json!({"model": model, "input": "one two three", "background": true, "stream": true});
        let events = rig.events("POST", "/v1/responses", Some(&body));
        let last = events.last().unwrap();
        assert_eq!(
            (kinds(&events)[0], last["type"].as_str()),
            ("response.created", Some("response.failed")),
            "{model}"
        );
        assert_eq!(last["response"]["status"], "failed", "{last}");
        assert!(last["response"]["error"]["message"].is_string(), "{last}");
        if let Some(code) = code {
            assert_eq!(last["response"]["error"]["code"], code, "{last}");
        }
        let path = format!("/v1/responses/{}", last["response"]["id"].as_str().unwrap());
        assert_eq!(rig.get(&path), last["response"], "{model}");
    }
    // Cancelled by its id while somebody reads along.
    let begun = rig.post("/v1/responses", &json!({"model": "slow", "input": "one", "background": true}));
    let path = format!("/v1/responses/{}", begun["id"].as_str().unwrap());
    let events = std::thread::scope(|scope| {
        let reading = scope.spawn(|| rig.events("GET", &format!("{path}?stream=true"), None));
        assert_eq!(rig.post(&format!("{path}/cancel"), &json!({}))["status"], "cancelled");
        reading.join().unwrap()
    });
    let last = events.last().unwrap();
    assert_eq!(
        (&last["type"], &last["response"]["status"]),
        (&json!("response.failed"), &json!("cancelled"))
    );
}

#[test]
fn an_owner_has_a_share_of_work_and_of_conversations() {
    let rig = Rig::start("shares");
    let other = rig.gateway.new_key(&json!({}));
    let body = json!({"model": "slow", "input": "one", "background": true});
    let first = rig.post("/v1/responses", &body);
    rig.post("/v1/responses", &body);
    let (status, message) = error_of(&rig.send(&rig.key, "POST", "/v1/responses", Some(&body)));
    assert!(
        status == 429 && message.contains("`server.responses.background_per_owner`"),
        "{status} {message}"
    );
    assert_eq!(rig.send(&other, "POST", "/v1/responses", Some(&body)).status, 200, "others have their own");
    rig.post(&format!("/v1/responses/{}/cancel", first["id"].as_str().unwrap()), &json!({}));
    rig.post("/v1/responses", &body);

    let made: Vec<Value> = (0..8).map(|_| rig.post("/v1/conversations", &json!({}))).collect();
    let one_more = rig.send(&rig.key, "POST", "/v1/conversations", None);
    assert_eq!((one_more.status, &one_more.json()["error"]["code"]), (429, &json!("insufficient_quota")));
    assert!(one_more.text().contains("`server.responses.conversations_per_owner`"), "{}", one_more.text());
    assert_eq!(rig.send(&other, "POST", "/v1/conversations", None).status, 200);
    let path = format!("/v1/conversations/{}", made[0]["id"].as_str().unwrap());
    let large = json!({"items": [{"role": "user", "content": "x".repeat(60_000)}]});
    rig.post(&format!("{path}/items"), &large);
    let beyond = rig.send(&rig.key, "POST", &format!("{path}/items"), Some(&large));
    assert_eq!((beyond.status, &beyond.json()["error"]["code"]), (429, &json!("insufficient_quota")));
    // What a call that was let in is answered is said in any case; then there is no room any more.
    let call = json!({"model": "chat", "input": "y".repeat(5_000), "conversation": made[0]["id"]});
    assert_eq!(rig.send(&rig.key, "POST", "/v1/responses", Some(&call)).status, 200);
    let items = rig.get(&format!("{path}/items?order=asc"));
    assert_eq!(items["data"].as_array().unwrap().len(), 3, "{items}");
    let (status, message) = error_of(&rig.send(&rig.key, "POST", "/v1/responses", Some(&call)));
    assert!(status == 429 && message.contains("delete some"), "{status} {message}");
    for item in items["data"].as_array().unwrap() {
        let item = format!("{path}/items/{}", item["id"].as_str().unwrap());
        assert_eq!(rig.send(&rig.key, "DELETE", &item, None).status, 200);
    }
    assert_eq!(rig.send(&rig.key, "POST", "/v1/responses", Some(&call)).status, 200);
}
