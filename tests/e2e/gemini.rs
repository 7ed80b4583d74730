//! Gemini's format over sockets: its own clients on upstreams of every format, and clients of every format on a Gemini
//! upstream that is as strict as the real one.

use serde_json::{Value, json};
use sluicegate_tests::client::{Answer, Request};
use sluicegate_tests::fake::FakeUpstream;
use sluicegate_tests::gateway::{Gateway, Launch, MASTER_KEY};

pub(super) const FACES: [&str; 3] = ["gemini", "openai", "anthropic"];
/// Of each generation, and of the other formats.
const MODELS: [&str; 5] = ["g20", "g25", "g3", "chat", "claude"];
const UPSTREAM_KEY: &str = "sk-upstream-0123456789";

pub(super) struct Rig {
    pub(super) upstream: FakeUpstream,
    pub(super) gateway: Gateway,
    pub(super) key: String,
}

fn rig(name: &str) -> Rig {
    let upstream = FakeUpstream::start();
    upstream.demand_key(UPSTREAM_KEY);
    let mut channels = Vec::new();
    let mut add = |name: &str, provider: &str, path: &str, model: &str| {
        let price = json!({"input": 1, "output": 2});
        channels.push(json!({
            "name": name, "provider": provider, "url": format!("{}{path}", upstream.url()), "credential": UPSTREAM_KEY,
            "models": [{"name": name, "upstream": model, "price": price}],
        }));
    };
    for (name, model) in
        [("g20", "gemini-2.0-flash"), ("g25", "gemini-2.5-flash"), ("g3", "gemini-3-pro-preview")]
    {
        add(name, "gemini", "/v1beta", model);
    }
    // What is refused benches its channel: each way to fail has one of its own.
    for ending in
        ["status-429", "status-503", "status-400", "status-401", "error-2", "cut-2", "plain", "nonsense"]
    {
        for face in FACES {
            for stream in [false, true] {
                let model = format!("gemini-2.5-flash--{ending}");
                add(&failing(ending, face, stream), "gemini", "/v1beta", &model);
            }
        }
    }
    add("chat", "openai", "/v1", "gpt-4o-mini");
    add("claude", "anthropic", "", "claude-sonnet-4-5");
    let routing = json!({"retries": 0, "allowed_fails": 1_000_000});
    let config = json!({"version": 1, "channels": channels, "routing": routing}).to_string();
    let gateway = Gateway::launch(name, Launch::of(&config).variable("SLUICEGATE_MASTER_KEY", MASTER_KEY));
    let key = gateway.new_key(&json!({}));
    Rig { upstream, gateway, key }
}

/// The model that fails like this for a face.
pub(super) fn failing(ending: &str, face: &str, stream: bool) -> String {
    format!("{ending}.{face}.{stream}")
}

/// A request of a face. The body is in its format, but for the model and whether to stream.
pub(super) fn request(rig: &Rig, face: &str, model: &str, stream: bool, mut body: Value) -> Request {
    if face == "gemini" {
        let verb = if stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
        return Request::post(&format!("/v1beta/models/{model}:{verb}"), body.to_string())
            .header("x-goog-api-key", &rig.key);
    }
    body["model"] = json!(model);
    body["stream"] = json!(stream);
    if face == "anthropic" {
        body["max_tokens"] = json!(100);
        return Request::post("/v1/messages", body.to_string()).header("x-api-key", &rig.key);
    }
    Request::post("/v1/chat/completions", body.to_string()).bearer(&rig.key)
}

pub(super) fn said(face: &str, text: &str) -> Value {
    match face {
        "gemini" => json!({"contents": [{"role": "user", "parts": [{"text": text}]}]}),
        _ => json!({"messages": [{"role": "user", "content": text}]}),
    }
}

/// The text of an answer, whole or streamed.
pub(super) fn text_of(face: &str, stream: bool, answer: &Answer) -> String {
    let pieces: Vec<Value> = if stream {
        answer.events().iter().filter_map(|event| serde_json::from_str(event).ok()).collect()
    } else {
        vec![answer.json()]
    };
    let mut text = String::new();
    for piece in &pieces {
        let found = match face {
            "gemini" => texts(&piece["candidates"][0]["content"]["parts"]),
            "openai" => {
                let choice = &piece["choices"][0];
                let delta = if stream { &choice["delta"] } else { &choice["message"] };
                delta["content"].as_str().unwrap_or_default().to_owned()
            }
            _ if stream => piece["delta"]["text"].as_str().unwrap_or_default().to_owned(),
            _ => texts(&piece["content"]),
        };
        text.push_str(&found);
    }
    text
}

fn texts(parts: &Value) -> String {
    let own = |part: &&Value| part["thought"] != true;
    parts.as_array().into_iter().flatten().filter(own).filter_map(|part| part["text"].as_str()).collect()
}

#[test]
fn every_face_gets_an_answer_from_every_format() {
    let rig = rig("gemini-faces");
    for face in FACES {
        for model in MODELS {
            for stream in [false, true] {
                let how = format!("{face}, {model}, stream {stream}");
                let answer = rig.gateway.send(&request(&rig, face, model, stream, said(face, "hello there")));
                assert_eq!(answer.status, 200, "{how}: {}", answer.text());
                assert!(!answer.broken, "{how}");
                assert_eq!(text_of(face, stream, &answer), "echo: hello there", "{how}: {}", answer.text());
                let id = answer.head.get("x-sluicegate-call-id").unwrap_or_default();
                let record = super::guardrail::record(&rig.gateway, id);
                assert_eq!(record["outcome"], "ok", "{how}: {record}");
                // 2 words and 3 for the message; 3 words.
                let (input, output) =
                    (&record["usage"]["input_uncached"], &record["usage"]["output_visible"]);
                assert_eq!((input, output), (&json!(5), &json!(3)), "{how}: {record}");
            }
        }
    }
}

pub(super) const SCHEMA: &str = r#"{"type":"object","properties":{"city":{"type":"string"},"days":{"type":["integer","null"]}},"additionalProperties":false}"#;

/// The question with a tool, the answer's turn, and the results behind it: a second request.
pub(super) fn follow_up(face: &str, asked: &Value, answer: &Answer, stream: bool, bare: bool) -> Value {
    let mut next = asked.clone();
    match face {
        "gemini" => {
            let mut parts = Vec::new();
            let pieces: Vec<Value> = match stream {
                true => answer.events().iter().map(|event| serde_json::from_str(event).unwrap()).collect(),
                false => vec![answer.json()],
            };
            for piece in &pieces {
                let found =
                    piece["candidates"][0]["content"]["parts"].as_array().cloned().unwrap_or_default();
                parts.extend(found.into_iter().filter(|part| part["text"] != ""));
            }
            let results: Vec<Value> = parts
                .iter()
                .filter(|part| part["functionCall"].is_object())
                .map(|part| {
                    let call = &part["functionCall"];
                    let mut response = json!({"name": call["name"], "response": {"result": "sunny"}});
                    if call["id"].is_string() {
                        response["id"] = call["id"].clone();
                    }
                    json!({"functionResponse": response})
                })
                .collect();
            let contents = next["contents"].as_array_mut().unwrap();
            contents.push(json!({"role": "model", "parts": parts}));
            contents.push(json!({"role": "user", "parts": results}));
        }
        "openai" => {
            let mut message = answer.json()["choices"][0]["message"].clone();
            if bare {
                // What clients keep who know nothing of signatures.
                let calls = message["tool_calls"].as_array().unwrap().iter();
                let plain = |call: &Value| json!({"id": call["id"], "type": "function", "function": call["function"]});
                message = json!({"role": "assistant", "content": null, "tool_calls": calls.map(plain).collect::<Value>()});
            }
            let messages = next["messages"].as_array_mut().unwrap();
            messages.push(message.clone());
            // The other way round: the order of the calls is ours to keep.
            for call in message["tool_calls"].as_array().unwrap().iter().rev() {
                messages.push(json!({"role": "tool", "tool_call_id": call["id"], "content": "sunny"}));
            }
        }
        _ => {
            let content = answer.json()["content"].clone();
            let calls = content.as_array().unwrap().iter().filter(|block| block["type"] == "tool_use");
            let result =
                |call: &Value| json!({"type": "tool_result", "tool_use_id": call["id"], "content": "sunny"});
            let results: Value = calls.map(result).collect();
            let messages = next["messages"].as_array_mut().unwrap();
            messages.push(json!({"role": "assistant", "content": content}));
            messages.push(json!({"role": "user", "content": results}));
        }
    }
    next
}

#[test]
fn tools_are_called_and_answered_in_every_face() {
    let rig = rig("gemini-tools");
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    for face in FACES {
        for model in MODELS {
            for (question, calls) in [("weather", 1), ("weather in parallel", 2)] {
                for (stream, bare) in [(false, false), (true, false), (false, true)] {
                    if (stream && face != "gemini") || (bare && face != "openai") {
                        continue;
                    }
                    let how = format!("{face}, {model}, {question}, stream {stream}, bare {bare}");
                    let mut body = said(face, question);
                    body["tools"] = match face {
                        "gemini" => {
                            json!([{"functionDeclarations": [{"name": "weather", "parametersJsonSchema": schema}]}])
                        }
                        "openai" => {
                            json!([{"type": "function", "function": {"name": "weather", "parameters": schema}}])
                        }
                        _ => json!([{"name": "weather", "input_schema": schema}]),
                    };
                    if face == "gemini" && model == "g20" {
                        // Its own byte path hands on what it is given.
                        body["tools"][0]["functionDeclarations"][0] = json!({"name": "weather", "parameters": {"type": "OBJECT", "properties": {"city": {"type": "STRING"}}}});
                    }
                    let answer = rig.gateway.send(&request(&rig, face, model, stream, body.clone()));
                    assert_eq!(answer.status, 200, "{how}: {}", answer.text());
                    let next = follow_up(face, &body, &answer, stream, bare);
                    let second = rig.gateway.send(&request(&rig, face, model, stream, next.clone()));
                    assert_eq!(second.status, 200, "{how}: {} for {next}", second.text());
                    let want = format!("tools said: {}", ["sunny"; 2][..calls].join("; "));
                    assert_eq!(text_of(face, stream, &second), want, "{how}: {}", second.text());
                }
            }
        }
    }
}

#[test]
fn the_byte_path_changes_nothing() {
    let rig = rig("gemini-bytes");
    let body = r#"{ "contents":[{"parts":[{"text":"h\u0069"}]}] , "generation_config":{"temperature":1.50,"max_output_tokens" : 50}}"#;
    for (path, sent) in [
        ("/v1beta/models/g25:generateContent", "/v1beta/models/gemini-2.5-flash:generateContent"),
        (
            "/v1/models/g25:streamGenerateContent?alt=sse",
            "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse",
        ),
    ] {
        rig.upstream.reset();
        let answer = rig.gateway.send(&Request::post(path, body).header("x-goog-api-key", &rig.key));
        assert_eq!(answer.status, 200, "{}", answer.text());
        let requests = rig.upstream.requests();
        let [record] = requests.as_slice() else { panic!("{requests:?}") };
        assert_eq!((record.path.as_str(), record.body.as_slice()), (sent, body.as_bytes()));
        assert_eq!(record.header("x-goog-api-key"), Some(UPSTREAM_KEY));
        assert_eq!(record.header("authorization"), None);
    }
}

#[test]
fn errors_come_in_the_form_of_the_face() {
    let rig = rig("gemini-errors");
    for face in FACES {
        for (model, status, word) in [
            ("status-429", 429, "RESOURCE_EXHAUSTED"),
            ("status-503", if face == "anthropic" { 529 } else { 503 }, "UNAVAILABLE"),
            ("status-400", 400, "INVALID_ARGUMENT"),
            ("status-401", 502, "UNAVAILABLE"),
            ("nonsense", 503, "UNAVAILABLE"),
            ("nobody", 404, "NOT_FOUND"),
        ] {
            for stream in [false, true] {
                let how = format!("{face}, {model}, stream {stream}");
                let answer = rig.gateway.send(&request(
                    &rig,
                    face,
                    &failing(model, face, stream),
                    stream,
                    said(face, "a b c d e"),
                ));
                assert_eq!(answer.status, status, "{how}: {}", answer.text());
                let code = super::error_of(face, &answer.json()).unwrap_or_else(|why| panic!("{how}: {why}"));
                if face == "gemini" {
                    assert_eq!(code, word, "{how}");
                }
                if model == "status-429" {
                    // Google says so in the body alone.
                    assert_eq!(answer.head.get("retry-after"), Some("2"), "{how}");
                    assert_eq!(face == "gemini", answer.text().contains(r#""retryDelay":"2s""#), "{how}");
                }
            }
        }
        for model in ["error-2", "cut-2"] {
            let answer = rig.gateway.send(&request(
                &rig,
                face,
                &failing(model, face, true),
                true,
                said(face, "a b c d e"),
            ));
            assert_eq!(answer.status, 200, "{face}, {model}");
            assert!(super::ends_with_error(face, &answer), "{face}, {model}: {}", answer.text());
        }
        let answer =
            rig.gateway.send(&request(&rig, face, &failing("plain", face, true), true, said(face, "a b")));
        assert_eq!(text_of(face, true, &answer), "echo: a b", "{face}: {}", answer.text());
    }
    for (body, param) in [
        (json!({}), "contents"),
        (
            json!({"contents": [{"parts": [{"text": "a"}]}], "generationConfig": {"maxOutputTokens": 1}, "generation_config": {}}),
            "generation_config",
        ),
    ] {
        let answer = rig.gateway.send(&request(&rig, "gemini", "g25", false, body));
        assert_eq!(answer.status, 400);
        let error = &answer.json()["error"];
        assert_eq!((&error["code"], &error["status"]), (&json!(400), &json!("INVALID_ARGUMENT")));
        assert_eq!(error["details"][0]["metadata"]["param"], param, "{error}");
    }
}

#[test]
fn a_gemini_client_finds_what_it_expects() {
    let rig = rig("gemini-client");
    let hello = said("gemini", "hello there").to_string();
    let post = |path: &str| Request::post(path, hello.as_str());
    // Without the word for events a stream is one list.
    for model in ["g25", "chat"] {
        let path = format!("/v1beta/models/{model}:streamGenerateContent");
        let answer = rig.gateway.send(&post(&path).header("x-goog-api-key", &rig.key));
        assert!(answer.head.get("content-type").is_some_and(|kind| kind.starts_with("application/json")));
        let list = answer.json();
        let text: String = list
            .as_array()
            .unwrap()
            .iter()
            .map(|one| texts(&one["candidates"][0]["content"]["parts"]))
            .collect();
        assert_eq!(text, "echo: hello there", "{list}");
        assert!(list.as_array().unwrap().last().unwrap()["usageMetadata"]["totalTokenCount"] == 8, "{list}");
    }
    let path = "/v1beta/models/g25:generateContent";
    for request in [
        post(&format!("{path}?key={}", rig.key)),
        post(path).bearer(&rig.key),
        post(path).header("x-goog-api-key", &rig.key),
        post("/v1/models/g25:generateContent").header("x-goog-api-key", &rig.key),
        post(&format!("/v1alpha/models/g25:generateContent?key={}", rig.key)),
        Request::new("GET", "/v1alpha/models/g25").header("x-goog-api-key", &rig.key),
    ] {
        let answer = rig.gateway.send(&request);
        assert_eq!(answer.status, 200, "{}: {}", request.path, answer.text());
    }
    for (request, status, word) in [
        (post(path), 401, "UNAUTHENTICATED"),
        (post(&format!("{path}?key=sk-unknown")), 401, "UNAUTHENTICATED"),
        (post("/v1beta/models/g25:embedContent").header("x-goog-api-key", &rig.key), 501, "UNIMPLEMENTED"),
        (post("/v1beta/models/nobody:countTokens").header("x-goog-api-key", &rig.key), 404, "NOT_FOUND"),
        (Request::new("GET", "/v1beta/models/nobody").header("x-goog-api-key", &rig.key), 404, "NOT_FOUND"),
        (Request::new("GET", "/v1beta/models"), 401, "UNAUTHENTICATED"),
        (Request::new("GET", "/v1alpha/models"), 401, "UNAUTHENTICATED"),
        (
            Request::new("GET", "/v1beta/models?pageSize=-1").header("x-goog-api-key", &rig.key),
            400,
            "INVALID_ARGUMENT",
        ),
    ] {
        let answer = rig.gateway.send(&request);
        assert_eq!(answer.status, status, "{}: {}", request.path, answer.text());
        assert_eq!(answer.json()["error"]["status"], word, "{}", answer.text());
    }
    let limited = rig.gateway.new_key(&json!({"models": ["g25"]}));
    let list = |key: &str| {
        let answer = rig.gateway.send(&Request::new("GET", "/v1beta/models").header("x-goog-api-key", key));
        answer.json()["models"].as_array().cloned().unwrap_or_default()
    };
    assert!(list(&rig.key).len() > 5);
    assert_eq!(list(&limited).iter().map(|model| &model["name"]).collect::<Vec<_>>(), ["models/g25"]);
    let turned = |query: &str| {
        let path = format!("/v1alpha/models?pageSize=3{query}");
        rig.gateway.send(&Request::new("GET", &path).header("x-goog-api-key", &rig.key)).json()
    };
    let first = turned("");
    let second = turned(&format!("&pageToken={}", first["nextPageToken"].as_str().unwrap()));
    let names = |page: &Value| page["models"].as_array().cloned().unwrap_or_default();
    assert_eq!([names(&first), names(&second)].concat(), list(&rig.key)[..6]);
    let one = rig.gateway.send(&Request::new("GET", "/v1beta/models/g25").header("x-goog-api-key", &limited));
    assert_eq!(one.json()["name"], "models/g25");
}

#[test]
fn tokens_are_counted_by_google_or_by_us() {
    let rig = rig("gemini-count");
    let send = |model: &str, body: &Value| {
        let request = Request::post(&format!("/v1beta/models/{model}:countTokens"), body.to_string());
        rig.gateway.send(&request.header("x-goog-api-key", &rig.key))
    };
    let count = |model: &str, by: &str, body: &Value| {
        let answer = send(model, body);
        assert_eq!(answer.status, 200, "{model}: {}", answer.text());
        assert_eq!(answer.head.get("x-sluicegate-counted-by"), Some(by), "{model}");
        assert_eq!(answer.head.get("x-sluicegate-cost-usd"), Some("0"), "nobody is charged for being told");
        answer.json()["totalTokens"].as_u64().unwrap()
    };
    let (short, mut long) = (said("gemini", "hello"), said("gemini", &"hello ".repeat(1_000)));
    assert_eq!(count("g25", "upstream", &short), 43);
    let sent = rig.upstream.requests().last().unwrap().clone();
    assert_eq!(
        (sent.path.as_str(), sent.json()),
        ("/v1beta/models/gemini-2.5-flash:countTokens", short.clone())
    );
    // Whatever else the model reads stands in a field of its own, with the upstream's name.
    long["model"] = json!("models/g25");
    long["systemInstruction"] = json!({"parts": [{"text": "be brief"}]});
    assert_eq!(count("g25", "upstream", &json!({"generateContentRequest": long})), 43);
    let sent = rig.upstream.requests().last().unwrap().json();
    assert_eq!(sent["generateContentRequest"]["model"], "models/gemini-2.5-flash");
    assert!(sent["generateContentRequest"]["systemInstruction"].is_object());
    let before = rig.upstream.requests().len();
    let less = count("claude", "gateway", &short);
    let more = count("chat", "gateway", &json!({"generateContentRequest": long}));
    assert!(less > 0 && more > less + 500, "{less} {more}");
    assert_eq!(rig.upstream.requests().len(), before, "who doesn't count isn't asked");
    // Who fails is stood in for; what is refused is refused.
    let down = failing("status-503", "gemini", false);
    assert!(count(&down, "gateway", &short) < 43 && rig.upstream.requests().len() > before);
    let refused = send(&failing("status-400", "gemini", false), &short);
    assert_eq!((refused.status, refused.json()["error"]["status"].clone()), (400, json!("INVALID_ARGUMENT")));
    let limited = rig.gateway.new_key(&json!({"models": ["chat"]}));
    let request = Request::post("/v1beta/models/g25:countTokens", short.to_string());
    assert_eq!(rig.gateway.send(&request.header("x-goog-api-key", &limited)).status, 404);
}
