//! Pages of other origins: what their browsers are told, on every kind of path and answer.

use serde_json::{Value, json};
use sluicegate_tests::client::{Answer, Request};
use sluicegate_tests::fake::FakeUpstream;
use sluicegate_tests::gateway::{Gateway, Launch, MASTER_KEY};

const PAGE: &str = "https://chat.example.com";
const OTHER: &str = "https://elsewhere.example.org";

const ALLOWED: &str = "access-control-allow-origin";
const EXPOSED: &str = "access-control-expose-headers";

/// Three calls a day.
const KEY: &str = "sk-page-3f8a1c6d9b2e7450a9c4";

/// Paths of callers, one of each kind.
const CALLED: [(&str, &str); 12] = [
    ("POST", "/v1/chat/completions"),
    ("POST", "/chat/completions"),
    ("POST", "/v1/messages"),
    ("POST", "/v1/responses"),
    ("GET", "/v1/responses/resp_1"),
    ("POST", "/responses/compact"),
    ("POST", "/v1beta/models/m:generateContent"),
    ("POST", "/v1/audio/transcriptions"),
    ("GET", "/v1/models"),
    ("GET", "/models"),
    ("PUT", "/providers/chat/files/file-1"),
    // Another such API has it, and this one hasn't: the page is to see why.
    ("POST", "/v1/vector_stores"),
];
/// Paths that cookies open, or that are nobody's.
const MANAGED: [(&str, &str); 12] = [
    ("GET", "/api/v1/me"),
    ("POST", "/api/v1/sessions"),
    ("POST", "/api/v1/keys"),
    ("GET", "/api/v1/openapi.json"),
    ("GET", "/key/info"),
    ("POST", "/key/generate"),
    ("GET", "/v1/model/info"),
    ("GET", "/spend/logs"),
    ("GET", "/metrics"),
    ("GET", "/health/readiness"),
    ("GET", "/"),
    ("GET", "/nowhere"),
];

fn start(name: &str, upstream: &FakeUpstream, server: &Value) -> Gateway {
    let mut server = server.clone();
    server["master_key"] = json!(MASTER_KEY);
    let channels = json!([{"name": "chat", "provider": "openai", "url": format!("{}/v1", upstream.url()), "credential": "sk-upstream-0123456789",
        "pass_through": true, "models": [{"name": "chat", "upstream": "gpt-4o-mini", "price": {"input": 1, "output": 2}}]}]);
    let keys = json!([{"id": "page", "credential": KEY, "limits": {"requests": {"day": 3}}}]);
    let config = json!({"version": 1, "server": server, "channels": channels, "keys": keys});
    Gateway::start(name, &config.to_string())
}

fn preflight(gateway: &Gateway, origin: &str, (method, path): (&str, &str)) -> Answer {
    let request = Request::new("OPTIONS", path).header("origin", origin);
    let request = request.header("access-control-request-method", method);
    gateway.send(
        &request.header("access-control-request-headers", "authorization,content-type,x-stainless-lang"),
    )
}

fn asked(gateway: &Gateway, origin: &str, (method, path): (&str, &str)) -> Answer {
    gateway.send(&Request::new(method, path).header("origin", origin))
}

fn has_cors(answer: &Answer) -> bool {
    answer.head.get(ALLOWED).is_some() || answer.head.get(EXPOSED).is_some()
}

#[test]
fn every_page_may_call_with_a_key_and_none_may_manage() {
    let upstream = FakeUpstream::start();
    let gateway = start("cors", &upstream, &json!({}));
    for called in CALLED {
        let may = preflight(&gateway, PAGE, called);
        assert_eq!(
            (may.status, may.head.get(ALLOWED), may.text().as_str()),
            (200, Some("*"), ""),
            "{called:?}"
        );
        assert!(
            may.head.get("access-control-allow-methods").is_some_and(|all| all.contains(called.0)),
            "{called:?}"
        );
        assert_eq!(
            may.head.get("access-control-allow-headers"),
            Some("authorization,content-type,x-stainless-lang")
        );
        assert_eq!(may.head.get("access-control-max-age"), Some("86400"));
        // Who isn't known is told so, readably.
        let answer = asked(&gateway, PAGE, called);
        assert!(answer.status >= 400, "{called:?}");
        assert_eq!(answer.head.get(ALLOWED), Some("*"), "{called:?}: {}", answer.text());
        assert_eq!(answer.head.get("access-control-allow-credentials"), None, "{called:?}");
    }
    for managed in MANAGED {
        for answer in [preflight(&gateway, PAGE, managed), asked(&gateway, PAGE, managed)] {
            assert!(!has_cors(&answer), "{managed:?}: {:?}", answer.head);
            assert_eq!(answer.head.get("access-control-allow-headers"), None, "{managed:?}");
        }
    }
    assert_eq!(upstream.requests().len(), 0, "nobody is asked");
    // An encoded path is the one that it stands for.
    assert!(!has_cors(&asked(&gateway, PAGE, ("GET", "/v1/mod%65l/info"))));
    // Without an origin nothing is said.
    let plain = gateway.send(&Request::new("GET", "/v1/models").bearer(MASTER_KEY));
    assert!(plain.status == 200 && !has_cors(&plain) && plain.head.get("vary").is_none());
    assert_eq!(gateway.send(&Request::new("OPTIONS", "/v1/models")).status, 405);
}

#[test]
fn answers_say_which_headers_a_page_may_read() {
    let upstream = FakeUpstream::start();
    let gateway = start("cors-answers", &upstream, &json!({}));
    let hello = |stream: bool| {
        let body =
            json!({"model": "chat", "stream": stream, "messages": [{"role": "user", "content": "hi"}]});
        let request = Request::post("/v1/chat/completions", body.to_string()).bearer(KEY);
        gateway.send(&request.header("origin", PAGE).header("x-sluicegate-explain", "true"))
    };
    let exposes = |answer: &Answer, names: &[&str]| {
        assert_eq!(answer.head.get(ALLOWED), Some("*"), "{}", answer.text());
        let exposed: Vec<_> =
            answer.head.get(EXPOSED).unwrap_or_default().split(',').map(str::trim).collect();
        for name in names {
            assert!(exposed.contains(name) && answer.head.get(name).is_some(), "{name}: {exposed:?}");
        }
    };
    let told = [
        "x-request-id",
        "x-sluicegate-cost-usd",
        "x-sluicegate-decision",
        "x-sluicegate-remaining-key-requests-day",
    ];
    exposes(&hello(false), &told);
    let stream = hello(true);
    assert_eq!((stream.status, stream.events().last().map(String::as_str)), (200, Some("[DONE]")));
    exposes(&stream, &["x-request-id", "x-sluicegate-decision"]);
    hello(false);
    let refused = hello(false);
    assert_eq!(refused.status, 429, "{}", refused.text());
    exposes(&refused, &["x-request-id", "retry-after"]);
    let passed = Request::new("GET", "/providers/chat/files")
        .bearer(&gateway.new_key(&json!({"models": ["providers/chat"]})));
    let passed = gateway.send(&passed.header("origin", PAGE));
    assert_eq!(passed.status, 200, "{}", passed.text());
    exposes(&passed, &["content-type"]);
}

#[test]
fn origins_are_those_that_are_configured() {
    let upstream = FakeUpstream::start();
    let chat = ("POST", "/v1/chat/completions");
    let gateway =
        start("cors-some", &upstream, &json!({"cors": {"origins": [PAGE, "http://localhost:3000"]}}));
    for origin in [PAGE, "http://localhost:3000"] {
        for answer in [preflight(&gateway, origin, chat), asked(&gateway, origin, chat)] {
            assert_eq!(answer.head.get(ALLOWED), Some(origin));
            assert!(answer.head.get("vary").is_some_and(|vary| vary.contains("Origin")));
        }
    }
    for origin in [OTHER, "https://chat.example.com:8443", "http://chat.example.com", "null"] {
        let refused = preflight(&gateway, origin, chat);
        assert_eq!((refused.status, refused.head.get(ALLOWED)), (400, None), "{origin}");
        let answer = asked(&gateway, origin, chat);
        assert_eq!((answer.status, answer.head.get(ALLOWED)), (401, None), "{origin}");
    }
    let closed = start("cors-none", &upstream, &json!({"cors": {"origins": []}}));
    for answer in [preflight(&closed, PAGE, chat), asked(&closed, PAGE, chat)] {
        assert!(!has_cors(&answer) && answer.status >= 400);
    }
    let shown = closed.look_up("/api/v1/settings");
    assert_eq!(shown["server"]["cors_origins"], json!([]), "{shown}");
}

#[test]
fn litellms_variable_names_origins_and_a_wrong_one_in_the_file_is_told() {
    let config = json!({"model_list": [], "general_settings": {"master_key": MASTER_KEY}}).to_string();
    let variables = Launch::of(&config)
        .variable("LITELLM_CORS_ORIGINS", "https://chat.example.com, https://slash.example.com/")
        .variable("LITELLM_CORS_ALLOW_CREDENTIALS", "true");
    let gateway = Gateway::launch("cors-litellm", variables);
    let chat = ("POST", "/v1/chat/completions");
    assert_eq!(preflight(&gateway, PAGE, chat).head.get(ALLOWED), Some(PAGE));
    assert_eq!(preflight(&gateway, OTHER, chat).head.get(ALLOWED), None);
    let log = gateway.log();
    for says in ["https://slash.example.com/", "LITELLM_CORS_ALLOW_CREDENTIALS"] {
        assert!(log.contains(says), "{log}");
    }
    let wrong = json!({"version": 1, "server": {"master_key": MASTER_KEY, "cors": {"origins": [PAGE, "https://Chat.example.com"]}}});
    let (ended_well, says) = Gateway::refusal("cors-wrong", Launch::of(&wrong.to_string()));
    assert!(
        !ended_well
            && says.contains("server.cors.origins[1]")
            && says.contains("write `https://chat.example.com`"),
        "{says}"
    );
}
