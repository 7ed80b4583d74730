//! Formats that only upstreams speak, Cohere's and Ollama's own: callers of every format at upstreams that are as strict as the
//! real ones.

use serde_json::{Value, json};
use sluicegate_tests::client::{Answer, Request};
use sluicegate_tests::fake::FakeUpstream;
use sluicegate_tests::gateway::{Gateway, Launch, MASTER_KEY};

use super::gemini::{FACES, Rig, SCHEMA, failing, follow_up, request, said, text_of};

const KEY: &str = "sk-upstream-0123456789";
/// Name, provider, format, path, the upstream's model.
const NATIVES: [(&str, &str, &str, &str, &str); 2] = [
    ("cohere", "cohere", "cohere_chat", "/v2/chat", "command-a-plus-05-2026"),
    ("ollama", "ollama", "ollama_chat", "/api/chat", "qwen3:8b"),
];

fn rig(name: &str) -> Rig {
    let upstream = FakeUpstream::start();
    upstream.demand_key(KEY);
    let mut channels = Vec::new();
    let mut add = |name: &str, at: (&str, &str, &str), model: &str| {
        let (provider, format, path) = at;
        channels.push(json!({
            "name": name, "provider": provider, "credential": KEY,
            "endpoints": [{"format": format, "url": format!("{}{path}", upstream.url())}],
            "models": [{"name": name, "upstream": model, "price": {"input": 1, "output": 2}}],
        }));
    };
    for (name, provider, format, path, model) in NATIVES {
        add(name, (provider, format, path), model);
        for ending in ["status-429", "status-503", "status-400", "error-4", "cut-4", "plain", "nonsense"] {
            for face in FACES {
                let of = format!("{name}.{}", failing(ending, face, true));
                add(&of, (provider, format, path), &format!("{model}--{ending}"));
            }
        }
    }
    // By the catalogue: whatever the provider speaks.
    channels.push(json!({
        "name": "local", "provider": "ollama", "url": upstream.url(), "credential": KEY,
        "models": [{"name": "local", "upstream": "llama3.2", "price": {"input": 1, "output": 2}}],
    }));
    channels.push(json!({
        "name": "command", "provider": "cohere", "url": upstream.url(), "credential": KEY,
        "models": [{"name": "command", "upstream": "command-a-03-2025", "price": {"input": 1, "output": 2}}],
    }));
    // And such as lack what others have, or search by themselves.
    let tiers = json!({"input": 1000, "output": 2000, "service_tiers": [{"tier": "priority", "input": 7000, "output": 9000}]});
    for (name, provider, path, format, model, price) in [
        ("tierless", "mistral", "/v1/chat/completions", "openai_chat", "mistral-large-latest", tiers),
        (
            "searches",
            "openai",
            "/v1/responses",
            "openai_responses",
            "gpt-4.1",
            json!({"input": 1, "output": 2}),
        ),
        (
            "looks",
            "anthropic",
            "/v1/messages",
            "anthropic_messages",
            "claude-sonnet-4-5",
            json!({"input": 1, "output": 2}),
        ),
    ] {
        // What another than OpenAI's own address searches an operator must say.
        channels.push(json!({
            "name": name, "provider": provider, "credential": KEY, "web_search": name != "tierless",
            "endpoints": [{"format": format, "url": format!("{}{path}", upstream.url())}],
            "models": [{"name": name, "upstream": model, "price": price}],
        }));
    }
    let routing = json!({"retries": 0, "allowed_fails": 1_000_000});
    let config = json!({"version": 1, "channels": channels, "routing": routing}).to_string();
    let gateway = Gateway::launch(name, Launch::of(&config).variable("SLUICEGATE_MASTER_KEY", MASTER_KEY));
    let key = gateway.new_key(&json!({}));
    Rig { upstream, gateway, key }
}

fn responses(rig: &Rig, model: &str, stream: bool, input: &Value) -> Answer {
    let body = json!({"model": model, "input": input, "stream": stream});
    rig.gateway.send(&Request::post("/v1/responses", body.to_string()).bearer(&rig.key))
}

fn last_sent(rig: &Rig) -> (String, Value) {
    let requests = rig.upstream.requests();
    let last = requests.last().unwrap();
    (last.path.clone(), last.json())
}

#[test]
fn every_face_is_served_whole_and_streamed() {
    let rig = rig("native-faces");
    for (model, _, _, path, upstream_model) in NATIVES {
        for stream in [false, true] {
            for face in FACES {
                let how = format!("{face}, {model}, stream {stream}");
                let answer = rig.gateway.send(&request(&rig, face, model, stream, said(face, "hello there")));
                assert_eq!(answer.status, 200, "{how}: {}", answer.text());
                assert!(!answer.broken, "{how}");
                let kind = answer.head.get("content-type").unwrap_or_default();
                assert!(
                    kind.starts_with(if stream { "text/event-stream" } else { "application/json" }),
                    "{how}: {kind}"
                );
                assert_eq!(text_of(face, stream, &answer), "echo: hello there", "{how}: {}", answer.text());
                assert!(
                    answer.text().contains(upstream_model),
                    "{how}: the model is told: {}",
                    answer.text()
                );
                let id = answer.head.get("x-sluicegate-call-id").unwrap_or_default();
                let record = super::guardrail::record(&rig.gateway, id);
                let used = (&record["usage"]["input_uncached"], &record["usage"]["output_visible"]);
                assert_eq!(
                    (used, &record["outcome"]),
                    ((&json!(5), &json!(3)), &json!("ok")),
                    "{how}: {record}"
                );
                let (asked, sent) = last_sent(&rig);
                assert_eq!((asked.as_str(), &sent["stream"]), (path, &json!(stream)), "{how}: {sent}");
            }
            let answer = responses(&rig, model, stream, &json!("hello there"));
            assert!(answer.status == 200 && answer.text().contains("echo: hello there"), "{}", answer.text());
        }
    }
}

#[test]
fn tools_are_called_and_answered() {
    let rig = rig("native-tools");
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    for (model, ..) in NATIVES {
        for face in FACES {
            for (question, calls) in [("weather", 1), ("weather in parallel", 2)] {
                let how = format!("{face}, {model}, {question}");
                let mut body = said(face, question);
                // A dash is none of Cohere's letters: callers get it back.
                body["tools"] = match face {
                    "gemini" => {
                        json!([{"functionDeclarations": [{"name": "the-weather", "parametersJsonSchema": schema}]}])
                    }
                    "openai" => {
                        json!([{"type": "function", "function": {"name": "the-weather", "parameters": schema}}])
                    }
                    _ => json!([{"name": "the-weather", "input_schema": schema}]),
                };
                let answer = rig.gateway.send(&request(&rig, face, model, false, body.clone()));
                assert!(
                    answer.status == 200 && answer.text().contains("the-weather"),
                    "{how}: {}",
                    answer.text()
                );
                let next = follow_up(face, &body, &answer, false, false);
                for stream in [false, true] {
                    let second = rig.gateway.send(&request(&rig, face, model, stream, next.clone()));
                    assert_eq!(second.status, 200, "{how}: {} for {next}", second.text());
                    let want = format!("tools said: {}", ["sunny"; 2][..calls].join("; "));
                    assert_eq!(text_of(face, stream, &second), want, "{how}: {}", second.text());
                }
                // Calls in a stream.
                let streamed = rig.gateway.send(&request(&rig, face, model, true, body));
                assert_eq!(
                    streamed.text().matches("the-weather").count(),
                    calls,
                    "{how}: {}",
                    streamed.text()
                );
            }
        }
    }
}

#[test]
fn failures_come_in_the_form_of_the_face() {
    let rig = rig("native-errors");
    for (native, ..) in NATIVES {
        for face in FACES {
            let failing = |ending: &str| format!("{native}.{}", failing(ending, face, true));
            for (ending, status) in [
                ("status-429", 429),
                ("status-503", if face == "anthropic" { 529 } else { 503 }),
                ("status-400", 400),
                ("nonsense", 503),
            ] {
                for stream in [false, true] {
                    let how = format!("{face}, {native}, {ending}, stream {stream}");
                    let asked = request(&rig, face, &failing(ending), stream, said(face, "a b c d e"));
                    let answer = rig.gateway.send(&asked);
                    assert_eq!(answer.status, status, "{how}: {}", answer.text());
                    super::error_of(face, &answer.json()).unwrap_or_else(|why| panic!("{how}: {why}"));
                }
            }
            for ending in ["error-4", "cut-4"] {
                let answer =
                    rig.gateway.send(&request(&rig, face, &failing(ending), true, said(face, "a b c d e")));
                assert_eq!(answer.status, 200, "{face}, {native}, {ending}: {}", answer.text());
                assert!(
                    super::ends_with_error(face, &answer),
                    "{face}, {native}, {ending}: {}",
                    answer.text()
                );
            }
            let answer = rig.gateway.send(&request(&rig, face, &failing("plain"), true, said(face, "a b")));
            assert_eq!(text_of(face, true, &answer), "echo: a b", "{face}, {native}: {}", answer.text());
        }
    }
}

#[test]
fn pictures_thoughts_and_json_arrive() {
    const PNG: &str = "iVBORw0KGgo=";
    let rig = rig("native-more");
    let image = json!({"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{PNG}")}});
    for (model, ..) in NATIVES {
        let body = json!({
            "messages": [{"role": "user", "content": [{"type": "text", "text": "look"}, image]}],
            "reasoning_effort": "high", "max_tokens": 4000,
        });
        for stream in [false, true] {
            let answer = rig.gateway.send(&request(&rig, "openai", model, stream, body.clone()));
            assert!(answer.text().contains("reasoning_content"), "{model}: {}", answer.text());
            assert_eq!(text_of("openai", stream, &answer), "echo: look", "{model}");
            let (_, sent) = last_sent(&rig);
            assert!(sent.to_string().contains(PNG), "{sent}");
        }
        let schema =
            json!({"type": "object", "properties": {"echo": {"type": "string"}}, "required": ["echo"]});
        let format =
            json!({"type": "json_schema", "json_schema": {"name": "echo", "schema": schema, "strict": true}});
        let body = json!({"messages": [{"role": "user", "content": "as JSON"}], "response_format": format});
        let answer = rig.gateway.send(&request(&rig, "openai", model, false, body));
        assert_eq!(text_of("openai", false, &answer), r#"{"echo":"as JSON"}"#, "{model}: {}", answer.text());
    }
    // What Ollama can't fetch, and what neither has, is refused with the field's name.
    let far = json!({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x.test/a.png"}}]}]});
    let answer = rig.gateway.send(&request(&rig, "openai", "ollama", false, far));
    assert_eq!(
        (answer.status, &answer.json()["error"]["param"]),
        (501, &json!("messages[0]")),
        "{}",
        answer.text()
    );
    let several = json!({"messages": [{"role": "user", "content": "a"}], "n": 2});
    let answer = rig.gateway.send(&request(&rig, "openai", "cohere", false, several));
    assert_eq!((answer.status, &answer.json()["error"]["param"]), (501, &json!("n")), "{}", answer.text());
}

#[test]
fn the_catalogue_knows_what_they_speak() {
    let rig = rig("native-catalogue");
    // Cohere's own format for everybody.
    for face in FACES {
        let answer = rig.gateway.send(&request(&rig, face, "command", true, said(face, "a b")));
        assert_eq!(
            (answer.status, last_sent(&rig).0.as_str()),
            (200, "/v2/chat"),
            "{face}: {}",
            answer.text()
        );
    }
    // Nobody there counts for Anthropic's clients: the gateway does.
    let question =
        json!({"model": "command", "messages": [{"role": "user", "content": "how many tokens is this?"}]});
    let count =
        Request::post("/v1/messages/count_tokens", question.to_string()).header("x-api-key", &rig.key);
    let counted = rig.gateway.send(&count);
    assert!(counted.json()["input_tokens"].as_u64().is_some_and(|n| n > 4), "{}", counted.text());
    // At an Ollama the bytes of chat clients pass, others are translated into its own.
    for (face, path) in
        [("openai", "/v1/chat/completions"), ("gemini", "/api/chat"), ("anthropic", "/api/chat")]
    {
        let answer = rig.gateway.send(&request(&rig, face, "local", true, said(face, "a b")));
        assert_eq!((answer.status, last_sent(&rig).0.as_str()), (200, path), "{face}: {}", answer.text());
    }
    let body = json!({"messages": [{"role": "user", "content": "a"}], "thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 2000});
    let lossy = request(&rig, "anthropic", "local", false, body);
    let losses = rig.gateway.send(&lossy);
    let told = losses.head.get("x-sluicegate-loss").unwrap_or_default();
    assert!(told.contains("approximated thinking.budget_tokens"), "{told}: {}", losses.text());
    for (word, says) in [("strict", "`thinking.budget_tokens`"), ("stric", "x-sluicegate-translation")] {
        let refused = rig.gateway.send(&lossy.clone().header("x-sluicegate-translation", word));
        assert_eq!((refused.status, &refused.json()["type"]), (400, &json!("error")), "{}", refused.text());
        assert!(refused.text().contains(says), "{word}: {}", refused.text());
    }
}

#[test]
fn a_tier_that_a_provider_lacks_is_told_and_not_charged() {
    let rig = rig("native-tier");
    let asked = |face: &str, more: Value| {
        let mut body = said(face, "hello there");
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        rig.gateway.send(&request(&rig, face, "tierless", false, body))
    };
    for (face, more, is_told) in [
        ("openai", json!({"service_tier": "priority"}), true),
        ("openai", json!({"service_tier": "default"}), true),
        // As if nothing were asked.
        ("anthropic", json!({"service_tier": "auto"}), false),
        ("gemini", json!({"serviceTier": "priority"}), true),
        ("openai", json!({}), false),
    ] {
        let answer = asked(face, more.clone());
        assert_eq!(answer.status, 200, "{face} {more}: {}", answer.text());
        assert_eq!(last_sent(&rig).1["service_tier"], Value::Null, "{face} {more}");
        let told = answer.head.get("x-sluicegate-loss").unwrap_or_default();
        assert_eq!(told.contains("dropped service_tier"), is_told, "{face} {more}: {told}");
        // 5 tokens and 3, at what any other call costs.
        let cost = answer.head.get("x-sluicegate-cost-usd").unwrap_or_default();
        assert_eq!(cost, "0.011", "{face} {more}");
    }
    let strict = request(&rig, "openai", "tierless", false, said("openai", "hi"));
    let mut body: Value = serde_json::from_slice(&strict.body).unwrap();
    body["service_tier"] = json!("priority");
    let strict = Request { body: body.to_string().into_bytes(), ..strict };
    let refused = rig.gateway.send(&strict.header("x-sluicegate-translation", "strict"));
    assert_eq!(
        (refused.status, refused.text().contains("`service_tier`")),
        (400, true),
        "{}",
        refused.text()
    );
}

#[test]
fn searches_are_taken_by_those_who_search() {
    let rig = rig("native-search");
    let place = json!({"type": "approximate", "city": "Bern", "country": "CH"});
    let responses = json!({"model": "looks", "input": "hi", "tools": [{"type": "web_search", "search_context_size": "high", "user_location": place, "filters": {"allowed_domains": ["a.org"]}}]});
    let answer = rig.gateway.send(&Request::post("/v1/responses", responses.to_string()).bearer(&rig.key));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let (path, sent) = last_sent(&rig);
    assert_eq!((path.as_str(), &sent["tools"][0]["type"]), ("/v1/messages", &json!("web_search_20250305")));
    let mut body = said("anthropic", "hi");
    body["tools"] = json!([{"type": "web_search_20250305", "name": "web_search", "allowed_domains": ["a.org"], "user_location": place}]);
    let answer = rig.gateway.send(&request(&rig, "anthropic", "searches", false, body));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let (path, sent) = last_sent(&rig);
    assert_eq!((path.as_str(), &sent["tools"][0]["type"]), ("/v1/responses", &json!("web_search")));
}
