//! The routes as a client meets them, without a socket: a gateway in memory whose only channel is the built-in mock.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use actix_web::dev::Service;
use actix_web::http::Method;
use actix_web::http::header::HeaderMap;
use actix_web::test::{TestRequest, init_service, read_body};
use actix_web::{App, web};
use bytes::Bytes;
use serde_json::{Value, json};
use sluicegate::{Gateway, ManualClock, Options, Secret, Timestamp};
use sluicegate_server::state::State;
use sluicegate_server::{block_on, routes};

const MASTER: &str = "sk-master-0123456789abcdef0123456789abcdef";
const NOW_MS: i64 = 1_795_392_000_000;
/// Where callers are.
const HOME: &str = "10.1.1.1:5000";

/// Every route that a key opens, by method and path; both faces of those that have two.
const OPENED_BY_A_KEY: &[(&str, &str)] = &[
    ("POST", "/v1/chat/completions"),
    ("POST", "/v1/messages"),
    ("POST", "/v1/embeddings"),
    ("GET", "/v1/models"),
    ("GET", "/v1/models/mock"),
    ("GET", "/key/info"),
    ("POST", "/key/generate"),
    ("GET", "/spend/logs"),
    ("GET", "/api/v1/me"),
    ("POST", "/api/v1/keys"),
];

/// An answer, whole.
struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

type Asked = Pin<Box<dyn Future<Output = Answer>>>;

/// The routes over a gateway of their own.
struct Rig {
    send: Box<dyn Fn(TestRequest) -> Asked>,
    clock: Arc<ManualClock>,
}

impl Rig {
    async fn new() -> Self {
        Self::with(&[]).await
    }

    /// With these environment variables.
    async fn with(variables: &'static [(&str, &str)]) -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_ms(NOW_MS)));
        let options = Options {
            variables: Arc::new(|name| {
                variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
            }),
            master_key: Some(Secret::new(MASTER)),
            demo: true,
            clock: clock.clone(),
            ..Options::default()
        };
        let gateway = Gateway::open(options).await.unwrap();
        let state =
            State { worker: gateway.worker(), gateway, body_limit: 1 << 20, trusted_proxies: Arc::from([]) };
        let app = App::new().app_data(web::Data::new(state)).configure(routes::configure);
        let app = Rc::new(init_service(app).await);
        let send = move |request: TestRequest| {
            let app = Rc::clone(&app);
            Box::pin(async move {
                let response = app.call(request.to_request()).await.unwrap();
                let (status, headers) = (response.status().as_u16(), response.headers().clone());
                Answer { status, headers, body: read_body(response).await }
            }) as Asked
        };
        Self { send: Box::new(send), clock }
    }

    /// Asks from [`HOME`] with a key; a body that is null is none.
    async fn ask(&self, method: &str, path: &str, key: &str, body: &Value) -> Answer {
        let mut request = TestRequest::default()
            .method(method.parse::<Method>().unwrap())
            .uri(path)
            .peer_addr(HOME.parse().unwrap());
        if !key.is_empty() {
            request = request.insert_header(("authorization", format!("Bearer {key}")));
        }
        if !body.is_null() {
            request = request.set_payload(body.to_string());
        }
        (self.send)(request).await
    }

    /// What a management call of the administrator's gives.
    async fn manage(&self, path: &str, body: Value) -> Value {
        let answer = self.ask("POST", path, MASTER, &body).await;
        assert!((200..300).contains(&answer.status), "{path} {body}: {}", answer.text());
        answer.json()
    }

    /// A new key with these fields of `/key/generate`.
    async fn key(&self, fields: Value) -> String {
        self.manage("/key/generate", fields).await["key"].as_str().unwrap().to_owned()
    }
}

/// A body that every route of [`OPENED_BY_A_KEY`] can do something with.
fn some_body(method: &str, path: &str) -> Value {
    match (method, path) {
        ("GET", _) => Value::Null,
        (_, "/v1/embeddings") => json!({"model": "mock", "input": "hi"}),
        (_, path) if path.starts_with("/v1/") => {
            json!({"model": "mock", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]})
        }
        _ => json!({}),
    }
}

#[test]
fn who_may_do_nothing_is_refused_on_every_route() {
    block_on(async {
        let rig = Rig::new().await;
        let good = rig.key(json!({"allowed_ips": ["10.1.0.0/16"]})).await;
        let refused = [
            ("blocked", 403, rig.key(json!({"blocked": true})).await),
            ("address", 403, rig.key(json!({"allowed_ips": ["10.2.0.0/16"]})).await),
            ("expired", 401, rig.key(json!({"duration": "1m"})).await),
            ("isn't known", 401, "sk-nobody-issued-this-key".to_owned()),
            ("no api key", 401, String::new()),
        ];
        rig.clock.set(Timestamp::from_ms(NOW_MS + 60_000));
        for (method, path) in OPENED_BY_A_KEY {
            let body = some_body(method, path);
            let fine = rig.ask(method, path, &good, &body).await;
            assert!(fine.status < 300 || fine.status == 403, "{path}: {}", fine.text());
            // A call's row in LiteLLM's log has a member of that name.
            let said = fine.text().replace("requester_ip_address", "");
            assert!(!said.contains("address"), "{path}: {said}");
            for (why, status, key) in &refused {
                let answer = rig.ask(method, path, key, &body).await;
                // LiteLLM calls a blocked key one that isn't known.
                let theirs = path.starts_with("/key") || path.starts_with("/spend");
                let status = if theirs && *why == "blocked" { 401 } else { *status };
                assert_eq!(answer.status, status, "{why}: {path}: {}", answer.text());
                assert!(answer.text().contains(why), "{why}: {path}: {}", answer.text());
                let shown = match *path {
                    "/v1/messages" => answer.json()["type"] == "error",
                    _ => answer.json()["error"]["message"].is_string(),
                };
                assert!(shown, "{why}: {path} speaks its caller's format: {}", answer.text());
                assert!(answer.headers.contains_key("x-request-id"), "{why}: {path}");
            }
        }
    });
}

/// A body larger than what is taken from just anybody.
fn large() -> Value {
    json!({"model": "mock", "max_tokens": 5, "messages": [{"role": "user", "content": "hi ".repeat(40_000)}]})
}

#[test]
fn what_costs_something_to_take_is_taken_only_from_who_is_known() {
    block_on(async {
        let rig = Rig::new().await;
        let key = rig.key(json!({})).await;
        // Neither is JSON: who is known hears of that, who isn't hears of the key.
        for (packed, body) in [(false, vec![b'x'; 100_000]), (true, b"no gzip".to_vec())] {
            for (key, status) in [(key.as_str(), 400), ("sk-nobody-issued-this-key", 401)] {
                for path in ["/v1/chat/completions", "/v1/messages", "/v1/embeddings", "/key/generate"] {
                    let mut request = TestRequest::post()
                        .uri(path)
                        .peer_addr(HOME.parse().unwrap())
                        .insert_header(("authorization", format!("Bearer {key}")))
                        .set_payload(body.clone());
                    if packed {
                        request = request.insert_header(("content-encoding", "gzip"));
                    }
                    let answer = (rig.send)(request).await;
                    assert_eq!(answer.status, status, "{path} packed {packed}: {}", answer.text());
                }
            }
        }
        let fine = rig.ask("POST", "/v1/chat/completions", &key, &large()).await;
        assert_eq!(fine.status, 200, "{}", fine.text());
    });
}

/// Things of a group that a stranger asks for: method, path, body. `KEY`, `HASH`, `ID`, `GROUP` and `USER` stand for them.
const FOREIGN: &[(&str, &str, &str)] = &[
    ("GET", "/key/info?key=KEY", ""),
    ("GET", "/key/info?key=HASH", ""),
    ("GET", "/key/info?key=ID", ""),
    ("POST", "/key/update", r#"{"key":"KEY","max_budget":1}"#),
    ("POST", "/key/update", r#"{"key":"HASH","max_budget":1}"#),
    ("POST", "/key/block", r#"{"key":"KEY"}"#),
    ("POST", "/key/delete", r#"{"keys":["KEY"]}"#),
    ("POST", "/key/delete", r#"{"key_aliases":["theirs"]}"#),
    ("POST", "/key/regenerate", r#"{"key":"HASH"}"#),
    ("POST", "/key/regenerate?key=KEY", "{}"),
    ("GET", "/key/list?team_id=GROUP", ""),
    ("GET", "/team/info?team_id=GROUP", ""),
    ("POST", "/team/update", r#"{"team_id":"GROUP","max_budget":1}"#),
    ("POST", "/team/delete", r#"{"team_ids":["GROUP"]}"#),
    ("POST", "/team/member_add", r#"{"team_id":"GROUP","member":{"role":"user","user_id":"me"}}"#),
    ("GET", "/user/info?user_id=USER", ""),
    ("POST", "/user/update", r#"{"user_id":"USER","max_budget":1}"#),
    ("GET", "/spend/logs?api_key=KEY", ""),
    ("GET", "/api/v1/keys/ID", ""),
    ("GET", "/api/v1/keys/HASH", ""),
    ("PATCH", "/api/v1/keys/ID", r#"{"blocked":true}"#),
    ("DELETE", "/api/v1/keys/ID", ""),
    ("POST", "/api/v1/keys/ID/regenerate", "{}"),
    ("GET", "/api/v1/keys?group=GROUP", ""),
    ("GET", "/api/v1/groups/GROUP", ""),
    ("PATCH", "/api/v1/groups/GROUP", r#"{"blocked":true}"#),
    ("DELETE", "/api/v1/groups/GROUP", ""),
    ("GET", "/api/v1/users/USER", ""),
    ("GET", "/api/v1/records?key=ID", ""),
    ("GET", "/api/v1/records?group=GROUP", ""),
    ("POST", "/api/v1/explain", r#"{"model":"mock","key":"ID"}"#),
    ("POST", "/api/v1/explain", r#"{"model":"mock","key":"KEY"}"#),
];

#[test]
fn foreign_and_unknown_are_the_same_404() {
    block_on(async {
        let rig = Rig::new().await;
        rig.manage("/team/new", json!({"team_id": "theirs-team"})).await;
        let theirs = rig
            .manage(
                "/key/generate",
                json!({"team_id": "theirs-team", "key_alias": "theirs", "user_id": "them"}),
            )
            .await;
        let stranger = rig.key(json!({"user_id": "me"})).await;
        let listed = rig.ask("GET", "/api/v1/keys?alias=theirs", MASTER, &Value::Null).await.json();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let names = [
            ("KEY", text(&theirs["key"])),
            ("HASH", text(&theirs["token"])),
            ("ID", text(&listed["items"][0]["id"])),
            ("GROUP", "theirs-team".to_owned()),
            ("USER", "them".to_owned()),
        ];
        let fill =
            |text: &str| names.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value));
        let mut foreign = Vec::new();
        for (method, path, body) in FOREIGN {
            let body = serde_json::from_str(&fill(body)).unwrap_or(Value::Null);
            let answer = rig.ask(method, &fill(path), &stranger, &body).await;
            assert_eq!(answer.status, 404, "{method} {path} {body}: {}", answer.text());
            assert!(!answer.text().contains(&names[0].1), "{path} repeats the credential: {}", answer.text());
            foreign.push(answer.body);
        }
        rig.manage("/user/delete", json!({"user_ids": ["them"]})).await;
        rig.manage("/team/delete", json!({"team_ids": ["theirs-team"]})).await;
        for ((method, path, body), before) in FOREIGN.iter().zip(foreign) {
            let body = serde_json::from_str(&fill(body)).unwrap_or(Value::Null);
            let answer = rig.ask(method, &fill(path), &stranger, &body).await;
            assert_eq!(answer.body, before, "{method} {path} {body}: {}", answer.text());
        }
    });
}

#[test]
fn what_has_no_effect_is_named_and_what_is_there_twice_refused() {
    block_on(async {
        let rig = Rig::new().await;
        for path in ["/key/list", "/team/list", "/user/list", "/spend/logs", "/spend/keys", "/model/info"] {
            let answer = rig.ask("GET", &format!("{path}?sort_by=spend"), MASTER, &Value::Null).await;
            assert_eq!(answer.status, 200, "{path}: {}", answer.text());
            let said = answer.headers.get("x-sluicegate-warnings").map(|said| said.to_str().unwrap());
            assert_eq!(said, Some("the parameter `sort_by` has no effect here"), "{path}");
            // A filter that is passed over would be answered with everything.
            let answer = rig.ask("GET", &format!("{path}?min_spend=5"), MASTER, &Value::Null).await;
            assert_eq!(answer.status, 400, "{path}: {}", answer.text());
            assert_eq!(answer.json()["error"]["param"], "min_spend", "{path}");
            let answer = rig.ask("GET", path, MASTER, &Value::Null).await;
            assert!(!answer.headers.contains_key("x-sluicegate-warnings"), "{path}");
        }
        let made = rig.manage("/key/generate", json!({"policies": ["x"]})).await;
        assert_eq!(made["warnings"], json!(["`policies` has no effect here"]));
        let twice = TestRequest::post()
            .uri("/key/generate")
            .insert_header(("authorization", format!("Bearer {MASTER}")))
            .peer_addr(HOME.parse().unwrap())
            .set_payload(r#"{"max_budget":1,"max_budget":1000}"#);
        let answer = (rig.send)(twice).await;
        assert_eq!(answer.status, 400, "{}", answer.text());
        assert!(answer.text().contains("`max_budget` is there twice"), "{}", answer.text());
    });
}

/// Bodies that no proper client sends to a management route.
#[test]
fn management_refuses_bad_bodies_in_its_own_format() {
    block_on(async {
        let rig = Rig::new().await;
        let deep = "[".repeat(100_000);
        let bodies: &[(&str, &[u8], u16)] = &[
            ("broken JSON", b"{\"key_alias\":", 400),
            ("a list", b"[]", 400),
            ("a list of values", b"[null,\"alias\"]", 400),
            ("a text", b"\"a\"", 400),
            ("null", b"null", 400),
            ("something after the end", b"{} {}", 400),
            ("a wrong type", b"{\"metadata\":5,\"models\":5,\"limits\":5}", 400),
            ("UTF-8 that is none", b"{\"key_alias\":\"\xff\xfe\"}", 400),
            ("100,000 deep", deep.as_bytes(), 400),
            ("too much", &[b' '; (1 << 20) + 1], 413),
        ];
        for path in ["/key/generate", "/team/new", "/user/new", "/api/v1/keys", "/api/v1/groups"] {
            for (note, body, status) in bodies {
                let request = TestRequest::post()
                    .uri(path)
                    .insert_header(("authorization", format!("Bearer {MASTER}")))
                    .peer_addr(HOME.parse().unwrap())
                    .set_payload(body.to_vec());
                let answer = (rig.send)(request).await;
                // LiteLLM's own routes say where a wrong type is.
                if *note == "a wrong type" && !path.starts_with("/api/") {
                    assert_eq!(answer.status, 422, "{path}: {}", answer.text());
                    assert!(answer.json()["detail"][0]["msg"].is_string(), "{path}: {}", answer.text());
                    continue;
                }
                assert_eq!(answer.status, *status, "{note}: {path}: {}", answer.text());
                let error = &answer.json()["error"];
                assert!(error["message"].is_string() && error["type"].is_string(), "{note}: {path}: {error}");
            }
        }
    });
}

#[test]
fn a_database_that_takes_no_channels_takes_none() {
    block_on(async {
        let channel = json!({"channel": {
            "id": "", "name": "mine", "provider": "openai", "auth": "none", "secret": "none",
            "endpoints": [{"format": "openai_chat", "url": "https://llm.example.com/v1/chat/completions"}],
            "models": [{"group": "m", "upstream": "m"}],
        }});
        for (variables, status) in [(&[][..], 201), (&[("STORE_MODEL_IN_DB", "false")], 403)] {
            let rig = Rig::with(variables).await;
            let answer = rig.ask("POST", "/api/v1/channels", MASTER, &channel).await;
            assert_eq!(answer.status, status, "{}", answer.text());
            assert_eq!(answer.text().contains("STORE_MODEL_IN_DB"), status == 403, "{}", answer.text());
        }
    });
}
