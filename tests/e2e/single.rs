//! Single operations over sockets: images, speech, transcripts, moderations, rankings, completions, counts of tokens, and what is
//! passed through.

use serde_json::{Value, json};
use sluicegate_tests::client::{Answer, Request};
use sluicegate_tests::fake::{Behaviour, FakeUpstream, Step};
use sluicegate_tests::gateway::{Gateway, Launch, MASTER_KEY};

use super::MIB;

struct Rig {
    upstream: FakeUpstream,
    gateway: Gateway,
}

const KEY: &str = "sk-single-0123456789abcdef0123456789abcdef";
const UPSTREAM_KEY: &str = "sk-upstream-0123456789";

impl Rig {
    fn start(name: &str) -> Self {
        let upstream = FakeUpstream::start();
        upstream.demand_key(UPSTREAM_KEY);
        let url = upstream.url();
        let priced = |name: &str, upstream: &str, price: Value| json!({"name": name, "upstream": upstream, "price": price});
        let tokens = json!({"input": 10, "output": 40});
        let config = json!({
            "version": 1,
            "channels": [
                {
                    "name": "all", "provider": "openai", "url": format!("{url}/v1"), "credential": UPSTREAM_KEY,
                    "pass_through": {"paths": ["/files", "/odd"], "fee": 0.5},
                    "models": [
                        priced("old", "davinci-002", json!({"input": 2, "output": 2})),
                        priced("image", "gpt-image-1", tokens.clone()),
                        priced("picture", "dall-e-3", json!({"per_unit": 0.04})),
                        priced("sized", "dall-e-3", json!({"per_image": [
                            {"size": "1024x1024", "quality": "standard", "price": 0.04},
                            {"size": "1024x1792", "quality": "standard", "price": 0.08},
                            {"size": "1024x1792", "quality": "hd", "price": 0.12},
                        ]})),
                        priced("plain", "qwen3-8b", tokens.clone()),
                        priced("relayed", "openai/gpt-4o-mini", tokens.clone()),
                        priced("packed", "qwen3-8b--gzip", tokens.clone()),
                        priced("speech", "tts-1", json!({"per_unit": 0.000015})),
                        priced("speech-sse", "gpt-4o-mini-tts", json!({"input": 0.6, "output": 10, "audio_output": 12})),
                        priced("hear", "whisper-1", json!({"per_unit": 0.0001})),
                        priced("hear-tokens", "gpt-4o-transcribe", json!({"input": 2.5, "output": 10})),
                        priced("omni-moderation-latest", "omni-moderation-latest", json!({"input": 0, "output": 0})),
                        priced("rank", "rerank-v3.5", json!({"per_unit": 0.002})),
                    ],
                },
                {
                    "name": "claude", "provider": "anthropic", "url": url, "credential": UPSTREAM_KEY,
                    "models": [priced("claude", "claude-sonnet-4-5", json!({"input": 3, "output": 15}))],
                },
                {
                    "name": "known", "provider": "groq", "url": format!("{url}/v1"), "credential": UPSTREAM_KEY,
                    "pass_through": {"paths": ["/chat/completions", "/responses", "/odd"], "fee": 0.5},
                    "models": [priced("known-8b", "qwen3-8b", json!({"input": 1000, "output": 4000}))],
                },
                {
                    "name": "thinker", "provider": "dashscope", "url": format!("{url}/v1"), "credential": UPSTREAM_KEY,
                    "pass_through": {"paths": ["/chat/completions"], "fee": 0.1},
                    "models": [priced("thinks", "qwen3.6-plus", json!({"input": 100, "output": 1000}))],
                },
                {
                    "name": "unpriced", "provider": "openai", "url": format!("{url}/v1"), "credential": UPSTREAM_KEY,
                    "pass_through": {"paths": ["/odd", "/files"]}, "models": [],
                },
                {
                    "name": "seeker", "provider": "openai", "url": format!("{url}/v1"), "credential": UPSTREAM_KEY,
                    "web_search": true, "models": [priced("seeker", "qwen3-8b", tokens.clone())],
                },
                {
                    "name": "both", "provider": "azure", "credential": UPSTREAM_KEY, "auth": "bearer",
                    "endpoints": [
                        {"format": "openai_chat", "url": format!("{url}/v1/chat/completions")},
                        {"format": "openai_responses", "url": format!("{url}/v1/responses")},
                    ],
                    "models": [
                        priced("codex", "gpt-5.3-codex", tokens.clone()),
                        priced("chat", "gpt-4o-mini", tokens.clone()),
                    ],
                },
                {
                    "name": "down", "provider": "anthropic", "url": url, "credential": UPSTREAM_KEY,
                    "models": [
                        priced("down", "claude-sonnet-4-5--status-500", json!({"input": 3, "output": 15})),
                        priced("refused", "claude-sonnet-4-5--status-400", json!({"input": 3, "output": 15})),
                    ],
                },
            ],
            "routing": {"retries": 0},
            "keys": [
                {"id": "k", "credential": KEY},
                {"id": "narrow", "credential": format!("{KEY}-narrow"), "models": ["speech"]},
                {"id": "through", "credential": format!("{KEY}-through"), "models": ["providers/known", "known-8b"]},
                {"id": "below", "credential": format!("{KEY}-below"), "models": ["providers/known", "providers/known/*"]},
                {"id": "capped", "credential": format!("{KEY}-capped"), "limits": {"spend": {"day": "1.5 USD"}}},
                {"id": "poor", "credential": format!("{KEY}-poor"), "limits": {"spend": {"day": "0.1 USD"}}},
            ],
        });
        let launch = Launch { config: Some(config.to_string()), ..Launch::bare() }
            .variable("SLUICEGATE_MASTER_KEY", MASTER_KEY);
        Self { upstream, gateway: Gateway::launch(name, launch) }
    }

    fn post(&self, path: &str, body: &Value) -> Answer {
        self.gateway.send(&Request::post(path, body.to_string()).bearer(KEY))
    }

    fn form(&self, path: &str, key: &str, parts: &[(&str, Option<&str>, &[u8])]) -> Answer {
        self.gateway.send(&form(path, parts).bearer(key))
    }
}

fn form(path: &str, parts: &[(&str, Option<&str>, &[u8])]) -> Request {
    let mut body = Vec::new();
    for (name, file, value) in parts {
        body.extend_from_slice(
            format!("--XBOUNDARY\r\nContent-Disposition: form-data; name=\"{name}\"").as_bytes(),
        );
        if let Some(file) = file {
            body.extend_from_slice(format!("; filename=\"{file}\"\r\nContent-Type: audio/wav").as_bytes());
        }
        body.extend_from_slice(b"\r\n\r\n");
        body.extend_from_slice(value);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--XBOUNDARY--\r\n");
    Request { body, ..Request::new("POST", path) }
        .header("content-type", "multipart/form-data; boundary=XBOUNDARY")
}

fn cost(answer: &Answer) -> String {
    answer.head.get("x-sluicegate-cost-usd").unwrap_or_default().to_owned()
}

#[test]
fn each_operation_is_served_and_billed() {
    let rig = Rig::start("single");
    for (path, body, usd, says) in [
        ("/v1/completions", json!({"model": "old", "prompt": "hi"}), "0.000018", "hello there"),
        (
            "/v1/completions",
            json!({"model": "old", "prompt": ["a", "b"], "n": 2, "max_tokens": 3}),
            "0.000032",
            "hello there",
        ),
        (
            "/v1/images/generations",
            json!({"model": "image", "prompt": "a cat", "n": 2}),
            "0.0081",
            "b64_json",
        ),
        (
            "/v1/images/generations",
            json!({"model": "picture", "prompt": "a cat", "n": 2}),
            "0.08",
            "b64_json",
        ),
        ("/v1/moderations", json!({"input": "a"}), "0", "flagged"),
        (
            "/v1/rerank",
            json!({"model": "rank", "query": "q", "documents": ["a", "b"], "top_n": 1}),
            "0.002",
            "relevance_score",
        ),
        (
            "/v2/rerank",
            json!({"model": "rank", "query": "q", "documents": vec!["a"; 101]}),
            "0.004",
            "relevance_score",
        ),
    ] {
        let answer = rig.post(path, &body);
        assert_eq!(answer.status, 200, "{path} {body}: {}", answer.text());
        assert!(answer.text().contains(says), "{path}: {}", answer.text());
        assert_eq!(cost(&answer), usd, "{path} {body}");
    }
    let speech =
        rig.post("/v1/audio/speech", &json!({"model": "speech", "input": "hello", "voice": "alloy"}));
    assert_eq!((speech.status, speech.body.len(), speech.broken), (200, 5_000, false));
    assert_eq!(speech.head.get("content-type"), Some("audio/mpeg"));
    assert_eq!(speech.body[..4], [0, 1, 2, 3]);
    for (path, body, last) in [
        ("/v1/completions", json!({"model": "old", "prompt": "hi", "stream": true}), "[DONE]"),
        (
            "/v1/images/generations",
            json!({"model": "image", "prompt": "a", "stream": true, "partial_images": 1}),
            "image_generation.completed",
        ),
        (
            "/v1/audio/speech",
            json!({"model": "speech-sse", "input": "a", "voice": "v", "stream_format": "sse"}),
            "speech.audio.done",
        ),
    ] {
        let answer = rig.post(path, &body);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        assert!(answer.text().contains(last) && !answer.broken, "{path}: {}", answer.text());
        assert!(answer.head.get("content-type").is_some_and(|kind| kind.starts_with("text/event-stream")));
    }
    let records = rig.gateway.look_up("/api/v1/records?limit=50");
    let of = |format: &str| -> Vec<Value> {
        let all = records["data"].as_array().or(records["items"].as_array()).cloned().unwrap_or_default();
        all.into_iter().filter(|record| record.to_string().contains(format)).collect()
    };
    assert_eq!(of("openai_speech").len(), 2, "{records}");
    assert!(
        of("\"openai_speech\"").iter().any(|record| record.to_string().contains("\"units\":5")),
        "{records}"
    );
}

#[test]
fn completions_of_chat_models_are_served_by_chat() {
    let rig = Rig::start("completions");
    let ask = |model: &str, more: Value| {
        let mut body = json!({"model": model, "prompt": "hello there", "max_tokens": 50});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        rig.post("/v1/completions", &body)
    };
    for (model, path, usd) in [
        ("chat", "/v1/chat/completions", "0.00017"),
        ("claude", "/v1/messages", "0.00006"),
        ("codex", "/v1/responses", "0.00017"),
    ] {
        let answer = ask(model, json!({}));
        assert_eq!(answer.status, 200, "{model}: {}", answer.text());
        let said = answer.json();
        assert_eq!(said["object"], "text_completion", "{said}");
        assert!(said["id"].as_str().is_some_and(|id| id.starts_with("cmpl-")), "{said}");
        let choice =
            json!({"text": "echo: hello there", "index": 0, "logprobs": null, "finish_reason": "stop"});
        assert_eq!(said["choices"], json!([choice]), "{model}");
        assert_eq!(
            (said["usage"]["prompt_tokens"].as_u64(), cost(&answer).as_str()),
            (Some(5), usd),
            "{model}"
        );
        assert_eq!(rig.upstream.requests().last().unwrap().path, path, "{model}");

        let stream = ask(model, json!({"stream": true}));
        assert_eq!(stream.status, 200, "{model}: {}", stream.text());
        let frames: Vec<Value> = stream
            .text()
            .lines()
            .filter_map(|line| line.strip_prefix("data: ").filter(|data| *data != "[DONE]"))
            .map(|data| serde_json::from_str(data).unwrap())
            .collect();
        let texts: String = frames.iter().filter_map(|frame| frame["choices"][0]["text"].as_str()).collect();
        assert_eq!(texts, "echo: hello there", "{model}");
        assert!(frames.iter().all(|frame| frame["object"] == "text_completion" && frame["usage"].is_null()));
        assert!(stream.text().ends_with("data: [DONE]\n\n") && !stream.broken, "{model}");

        // What chat can't say is refused before it is sent, or named.
        let before = rig.upstream.requests().len();
        for (field, value) in [("suffix", json!("x")), ("echo", json!(true)), ("prompt", json!(["a", "b"]))] {
            let refused = ask(model, json!({field: value}));
            assert_eq!((refused.status, &refused.json()["error"]["param"]), (400, &json!(field)), "{model}");
        }
        assert_eq!(rig.upstream.requests().len(), before, "{model}");
        let lossy = ask(model, json!({"best_of": 2}));
        let lost = lossy.head.get("x-sluicegate-loss").unwrap_or_default();
        assert!(lossy.status == 200 && lost.contains("best_of"), "{model}: {lost}");
        let body = json!({"model": model, "prompt": "hello there", "best_of": 2}).to_string();
        let strict =
            Request::post("/v1/completions", body).bearer(KEY).header("x-sluicegate-translation", "strict");
        assert_eq!(rig.gateway.send(&strict).status, 400, "{model}");
    }
    let records = rig.gateway.look_up("/api/v1/records?limit=50");
    assert!(records.to_string().contains("openai_completions"), "{records}");
}

#[test]
fn a_relays_completions_are_asked_what_chat_cannot_say() {
    let rig = Rig::start("relayed");
    for (field, value) in [("echo", json!(true)), ("prompt", json!(["a", "b"]))] {
        let mut body = json!({"model": "relayed", "prompt": "hello there", "max_tokens": 50});
        body[field] = value;
        let answer = rig.post("/v1/completions", &body);
        assert_eq!(answer.status, 200, "{field}: {}", answer.text());
        assert_eq!(rig.upstream.requests().last().unwrap().path, "/v1/completions", "{field}");
    }
}

#[test]
fn a_model_that_responses_alone_serve_is_asked_there() {
    let rig = Rig::start("codex");
    let body = json!({"model": "codex", "messages": [{"role": "user", "content": "hello there"}]});
    let answer = rig.post("/v1/chat/completions", &body);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["choices"][0]["message"]["content"], "echo: hello there");
    assert_eq!(rig.upstream.requests().last().unwrap().path, "/v1/responses");
}

#[test]
fn images_are_billed_by_size_and_quality() {
    let rig = Rig::start("sized");
    let image = |more: Value| {
        let mut body = json!({"model": "sized", "prompt": "a cat"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    for (more, usd) in [
        (json!({}), "0.04"),
        (json!({"size": "1024x1024", "quality": "standard", "n": 2}), "0.08"),
        (json!({"size": "1024x1792"}), "0.08"),
        (json!({"size": "1024x1792", "quality": "hd"}), "0.12"),
        // It isn't listed: nothing is understated.
        (json!({"size": "4096x4096"}), "0.12"),
    ] {
        let answer = rig.post("/v1/images/generations", &image(more.clone()));
        assert_eq!((answer.status, cost(&answer).as_str()), (200, usd), "{more}: {}", answer.text());
    }
}

#[test]
fn a_search_is_asked_of_those_who_search_alone() {
    let rig = Rig::start("seekers");
    for (model, asked) in [("plain", false), ("seeker", true)] {
        let body = json!({
            "model": model, "max_tokens": 50, "messages": [{"role": "user", "content": "news?"}],
            "tools": [{"type": "web_search_20250305", "name": "web_search"}],
        });
        let answer = rig.post("/v1/messages", &body);
        assert_eq!(answer.status, 200, "{model}: {}", answer.text());
        let sent = rig.upstream.requests().last().unwrap().json();
        assert_eq!(sent["web_search_options"].is_object(), asked, "{model}: {sent}");
        let lost = answer.head.get("x-sluicegate-loss").unwrap_or_default().contains("web_search");
        assert_eq!(lost, !asked, "{model}: {:?}", answer.head.get("x-sluicegate-loss"));
    }
}

#[test]
fn forms_go_on_with_the_upstreams_model() {
    let rig = Rig::start("forms");
    let sound = vec![b'x'; 3_000];
    let file = ("file", Some("a.wav"), sound.as_slice());
    let json = rig.form("/v1/audio/transcriptions", KEY, &[("model", None, b"hear"), file]);
    assert_eq!(json.status, 200, "{}", json.text());
    assert_eq!(json.json()["text"], "whisper-1 heard 3000 bytes");
    assert_eq!(cost(&json), "0.0003");
    // The file first, as OpenAI's own example has it.
    let text = rig.form(
        "/v1/audio/transcriptions",
        KEY,
        &[
            file,
            ("model", None, b"hear"),
            ("response_format", None, b"text"),
            ("timestamp_granularities[]", None, b"word"),
            ("timestamp_granularities[]", None, b"segment"),
        ],
    );
    assert_eq!((text.status, text.text().as_str()), (200, "whisper-1 heard 3000 bytes\n"));
    assert!(text.head.get("content-type").is_some_and(|kind| kind.starts_with("text/plain")));
    let sent = String::from_utf8_lossy(&rig.upstream.requests().last().unwrap().body).into_owned();
    assert_eq!(sent.matches("timestamp_granularities[]").count(), 2);
    let stream = rig.form(
        "/v1/audio/transcriptions",
        KEY,
        &[("model", None, b"hear-tokens"), ("stream", None, b"true"), file],
    );
    assert!(stream.text().contains("transcript.text.done"), "{}", stream.text());
    let edit = rig.form(
        "/v1/images/edits",
        KEY,
        &[
            ("model", None, b"image"),
            ("prompt", None, b"a hat"),
            ("n", None, b"2"),
            ("image[]", Some("a.png"), b"png"),
            ("image[]", Some("b.png"), b"png"),
        ],
    );
    assert_eq!(edit.status, 200, "{}", edit.text());
    assert_eq!(cost(&edit), "0.0082");
    for (path, parts, says) in [
        ("/v1/audio/transcriptions", vec![file], "`model` is missing"),
        (
            "/v1/audio/transcriptions",
            vec![("model", None, b"hear".as_slice()), ("model", None, b"image"), file],
            "`model`",
        ),
        (
            "/v1/images/edits",
            vec![("model", None, b"image".as_slice()), ("prompt", None, b"a"), ("n", None, b"many"), file],
            "`n`",
        ),
        ("/v1/audio/translations", vec![("model", None, b"nobody".as_slice()), file], "nobody"),
    ] {
        let answer = rig.form(path, KEY, &parts);
        assert!((400..500).contains(&answer.status), "{path}: {} {}", answer.status, answer.text());
        assert!(answer.text().contains(says), "{path}: {}", answer.text());
    }
    let cut = Request {
        body: b"--XBOUNDARY\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nhear".to_vec(),
        ..form("/v1/audio/transcriptions", &[])
    };
    assert_eq!(rig.gateway.send(&cut.bearer(KEY)).status, 400);
    let plain = rig.post("/v1/audio/transcriptions", &json!({"model": "hear"}));
    assert!(plain.status == 400 && plain.text().contains("multipart/form-data"), "{}", plain.text());
    let unknown = rig.form("/v1/audio/transcriptions", "sk-nobody", &[("model", None, b"hear"), file]);
    assert_eq!(unknown.status, 401);
}

#[test]
fn a_hundred_megabytes_go_through_and_are_not_held() {
    let rig = Rig::start("large");
    let small =
        rig.form("/v1/audio/transcriptions", KEY, &[("model", None, b"hear"), ("file", Some("a.wav"), b"x")]);
    assert_eq!(small.status, 200, "{}", small.text());
    let before = rig.gateway.resident_kib();
    let sound = vec![b'x'; 100 * MIB];
    let request = form(
        "/v1/audio/transcriptions",
        &[("model", None, b"hear"), ("file", Some("a.wav"), &sound), ("language", None, b"de")],
    )
    .bearer(KEY);
    let address = rig.gateway.address().to_owned();
    let sender =
        std::thread::spawn(move || request.send(&address, std::time::Duration::from_secs(60)).unwrap());
    let mut most = before;
    while !sender.is_finished() {
        most = most.max(rig.gateway.resident_kib());
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let answer = sender.join().unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["text"], format!("whisper-1 heard {} bytes", 100 * MIB));
    assert!(most - before < 32 * 1024, "{} KiB more for 100 MiB", most - before);
    // What decides must come before what isn't held.
    let late = form(
        "/v1/audio/transcriptions",
        &[("model", None, b"hear"), ("file", Some("a.wav"), &sound[..8 * MIB]), ("stream", None, b"true")],
    );
    let answer = rig.gateway.send(&late.bearer(KEY));
    assert!(
        answer.status == 400 && answer.text().contains("put it before"),
        "{} {}",
        answer.status,
        answer.text()
    );
    let late = form(
        "/v1/audio/transcriptions",
        &[("file", Some("a.wav"), &sound[..40 * MIB]), ("model", None, b"hear")],
    );
    let answer = rig.gateway.send(&late.bearer(KEY));
    assert!(
        answer.status == 400 && answer.text().contains("put it before the file"),
        "{} {}",
        answer.status,
        answer.text()
    );
}

#[test]
fn limits_and_access_hold_as_for_chat() {
    let rig = Rig::start("limits");
    let ask = |key: &str, path: &str, body: Value| {
        rig.gateway.send(&Request::post(path, body.to_string()).bearer(key))
    };
    let poor = format!("{KEY}-poor");
    // Three images may cost 0.12 USD, and 0.1 is left.
    let image = |n: u64| json!({"model": "picture", "prompt": "a", "n": n});
    let refused = ask(&poor, "/v1/images/generations", image(3));
    assert_eq!(refused.status, 429, "{}", refused.text());
    assert_eq!(rig.upstream.requests().len(), 0);
    assert_eq!(ask(&poor, "/v1/images/generations", image(2)).status, 200);
    assert_eq!(ask(&poor, "/v1/images/generations", image(1)).status, 429);
    let narrow = format!("{KEY}-narrow");
    assert_eq!(ask(&narrow, "/v1/images/generations", image(1)).status, 404);
    assert_eq!(
        ask(&narrow, "/v1/audio/speech", json!({"model": "speech", "input": "a", "voice": "v"})).status,
        200
    );
    // Cohere's SDK gets Cohere's errors.
    let cohere = ask(&narrow, "/v2/rerank", json!({"model": "rank", "query": "q", "documents": ["a"]}));
    assert_eq!(cohere.status, 404);
    assert!(
        cohere.json()["message"].is_string() && cohere.json().get("error").is_none(),
        "{}",
        cohere.text()
    );
}

#[test]
fn tokens_are_counted_by_anthropic_or_by_us() {
    let rig = Rig::start("count");
    let send = |model: &str, more: Value| {
        let mut body = json!({"model": model, "messages": [{"role": "user", "content": "hello there"}]});
        body.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
        let request = Request::post("/v1/messages/count_tokens", body.to_string())
            .header("x-api-key", KEY)
            .header("anthropic-version", "2023-06-01");
        rig.gateway.send(&request)
    };
    let ask = |model: &str, more: Value| {
        let answer = send(model, more);
        assert_eq!(answer.status, 200, "{model}: {}", answer.text());
        assert_eq!(cost(&answer), "0");
        let by = if model == "claude" { "upstream" } else { "gateway" };
        assert_eq!(answer.head.get("x-sluicegate-counted-by"), Some(by), "{model}");
        answer.json()["input_tokens"].as_u64().unwrap()
    };
    assert_eq!(ask("claude", json!({})), 42);
    assert_eq!(rig.upstream.requests().last().unwrap().json()["model"], "claude-sonnet-4-5");
    assert!((5..60).contains(&ask("down", json!({}))), "who fails is stood in for");
    assert_eq!(rig.upstream.requests().last().unwrap().json()["model"], "claude-sonnet-4-5--status-500");
    let refused = send("refused", json!({}));
    assert_eq!((refused.status, refused.head.get("x-sluicegate-counted-by")), (400, None));
    let before = rig.upstream.requests().len();
    let plain = ask("old", json!({}));
    let tools = ask("old", json!({"tools": [{"name": "weather", "input_schema": {"type": "object"}}]}));
    assert!((5..60).contains(&plain) && tools > plain + 300, "{plain} {tools}");
    assert_eq!(rig.upstream.requests().len(), before, "nobody is asked");
    let wrong = Request::post("/v1/messages/count_tokens", "{}").header("x-api-key", KEY);
    assert_eq!(rig.gateway.send(&wrong).json()["type"], "error");
}

#[test]
fn models_are_listed_in_the_callers_manner() {
    let rig = Rig::start("models");
    let get = |path: &str, key: &str| {
        rig.gateway.send(
            &Request::new("GET", path).header("x-api-key", key).header("anthropic-version", "2023-06-01"),
        )
    };
    let page = get("/v1/models?limit=2", KEY).json();
    assert_eq!((page["data"].as_array().unwrap().len(), page["has_more"].clone()), (2, json!(true)));
    let next =
        get(&format!("/v1/models?limit=100&after_id={}", page["last_id"].as_str().unwrap()), KEY).json();
    assert_eq!(next["has_more"], false);
    assert!(next["data"].as_array().unwrap().iter().all(|model| model["type"] == "model"));
    let all = rig.gateway.send(&Request::new("GET", "/v1/models").bearer(KEY)).json();
    assert!(!all.to_string().contains("providers/"), "{all}");
    assert_eq!(get("/v1/models", &format!("{KEY}-narrow")).json()["data"].as_array().unwrap().len(), 1);
    assert_eq!(get("/v1/models/claude", KEY).json()["display_name"], "claude");
    assert_eq!(get("/v1/models/claude", &format!("{KEY}-narrow")).status, 404);
    assert_eq!(get("/v1/models?limit=0", KEY).status, 400);
}

#[test]
fn what_a_channel_lets_through_is_passed_with_its_own_credential() {
    let rig = Rig::start("pass");
    let send =
        |method: &str, path: &str, key: &str| rig.gateway.send(&Request::new(method, path).bearer(key));
    let list = send("GET", "/providers/all/files?limit=2&key=sk-mine", KEY);
    assert_eq!((list.status, list.json()["object"].clone()), (200, json!("list")), "{}", list.text());
    assert_eq!(cost(&list), "");
    let sent = rig.upstream.requests().last().unwrap().clone();
    assert_eq!(sent.path, "/v1/files?limit=2");
    assert_eq!(sent.header("authorization"), Some("Bearer sk-upstream-0123456789"));
    assert_eq!(list.head.get("set-cookie"), None);
    assert_eq!(list.head.get("openai-organization"), None);
    assert_eq!(send("DELETE", "/providers/openai/files/file-1", KEY).json()["deleted"], true);
    let upload = form(
        "/providers/all/files",
        &[("purpose", None, b"batch"), ("file", Some("a.jsonl"), &vec![b'x'; MIB])],
    );
    let answer = rig.gateway.send(&upload.clone().bearer(KEY));
    assert_eq!(answer.json()["bytes"], upload.body.len());
    let odd = rig.gateway.send(&Request::post("/providers/all/odd", "{}").bearer(KEY));
    assert_eq!((odd.status, odd.json()["detail"].clone()), (422, json!("no")), "a refusal passes, too");
    let before = rig.upstream.requests().len();
    for (path, key, status) in [
        ("/providers/all/chat/completions", KEY, 403),
        ("/providers/all/filesystem", KEY, 403),
        ("/providers/all/files/../chat/completions", KEY, 400),
        ("/providers/all/files/%2e%2e/chat/completions", KEY, 400),
        ("/providers/all/files/%252e%252e/chat", KEY, 400),
        ("/providers/all/files/..%2fchat", KEY, 400),
        ("/providers/all//evil.test/files", KEY, 400),
        ("/providers/claude/v1/messages", KEY, 404),
        ("/providers/nobody/files", KEY, 404),
        ("/providers/all/files", "sk-single-0123456789abcdef0123456789abcdef-narrow", 404),
        ("/providers/all/files", "sk-single-0123456789abcdef0123456789abcdef-poor", 429),
        ("/providers/all/files", "sk-nobody", 401),
    ] {
        let answer = send("GET", path, key);
        assert_eq!(answer.status, status, "{path} {}", answer.text());
    }
    assert_eq!(rig.upstream.requests().len(), before, "nothing of it was sent");
    // Whoever asks for such a name as a model isn't passed through.
    let chat = rig.post(
        "/v1/chat/completions",
        &json!({"model": "providers/all", "messages": [{"role": "user", "content": "a"}]}),
    );
    assert_ne!(chat.status, 200, "{}", chat.text());
}

#[test]
fn what_an_upstream_compresses_unasked_is_read() {
    let rig = Rig::start("packed");
    let body = |model: &str, stream: bool| json!({"model": model, "stream": stream, "messages": [{"role": "user", "content": "hello there"}]});
    for (path, model) in
        [("/v1/chat/completions", "packed"), ("/providers/known/chat/completions", "qwen3-8b--gzip")]
    {
        for stream in [false, true] {
            let mut asked = body(model, stream);
            if stream {
                asked["stream_options"] = json!({"include_usage": true});
            }
            let answer = rig.post(path, &asked);
            let text = answer.text();
            assert_eq!((answer.status, answer.head.get("content-encoding")), (200, None), "{path} {text}");
            assert!(text.contains("prompt_tokens"), "{path} {stream}: {text}");
            let id = answer.head.get("x-sluicegate-call-id").unwrap_or_default();
            let record = super::guardrail::record(&rig.gateway, id);
            assert_eq!(record["attempts"][0]["usage_source"], "reported", "{path} {stream}: {record}");
        }
    }
}

#[test]
fn what_is_passed_through_under_a_strict_budget_is_bounded() {
    let rig = Rig::start("pass-bounded");
    let capped = format!("{KEY}-capped");
    let chat = |more: Value| {
        let mut body = json!({"model": "qwen3.6-plus", "messages": [{"role": "user", "content": "hello"}]});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let request = Request::post("/providers/thinker/chat/completions", body.to_string());
        rig.gateway.send(&request.bearer(&capped))
    };
    // Of 1.5 USD a thousandth pays for each token of output: thoughts beside the ceiling don't fit, nor does a ceiling that isn't read.
    for (more, status) in [
        (json!({"max_tokens": 50}), 429),
        (json!({"max_tokens": 50, "enable_thinking": true, "thinking_budget": 100}), 429),
        (json!({"max_completion_tokens": 5_000}), 429),
        (json!({"max_completion_tokens": 50}), 200),
        (json!({"max_tokens": 50, "enable_thinking": false}), 200),
    ] {
        let answer = chat(more.clone());
        assert_eq!(answer.status, status, "{more}: {}", answer.text());
    }
    for (method, path, key, status) in [
        ("POST", "/providers/unpriced/odd", "-capped", 400),
        ("POST", "/providers/unpriced/odd", "", 422),
        ("GET", "/providers/unpriced/files", "-capped", 200),
    ] {
        let request = Request { body: b"{}".to_vec(), ..Request::new(method, path) };
        let answer = rig.gateway.send(&request.bearer(&format!("{KEY}{key}")));
        assert_eq!(answer.status, status, "{method} {path} {key}: {}", answer.text());
    }
}

#[test]
fn a_call_that_is_passed_through_is_charged_by_its_model() {
    let rig = Rig::start("pass-metered");
    let chat = |key: &str, more: Value| {
        let mut body = json!({"model": "qwen3-8b", "max_tokens": 50, "messages": [{"role": "user", "content": "hello there"}]});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let request = Request::post("/providers/known/chat/completions", body.to_string());
        rig.gateway.send(&request.bearer(&format!("{KEY}{key}")))
    };
    let record = |answer: &Answer| {
        assert_eq!(answer.status, 200, "{}", answer.text());
        super::guardrail::record(&rig.gateway, answer.head.get("x-sluicegate-call-id").unwrap_or_default())
    };
    let used = |record: &Value| {
        (record["usage"]["input_uncached"].clone(), record["usage"]["output_visible"].clone())
    };
    let whole = record(&chat("", json!({})));
    assert_eq!(used(&whole), (json!(5), json!(3)), "{whole}");
    // 0.5 for the call, 5 tokens at 0.001 and 3 at 0.004 USD.
    assert_eq!(
        (&whole["spend"], &whole["attempts"][0]["priced"]),
        (&json!(517_000_000), &json!(true)),
        "{whole}"
    );
    // A stream that says nothing of what it used is counted.
    let stream = record(&chat("", json!({"stream": true})));
    assert_eq!(stream["attempts"][0]["usage_source"], "counted", "{stream}");
    assert!(stream["usage"]["output_visible"].as_u64() > Some(2), "{stream}");
    let silent = chat("-capped", json!({"stream": true}));
    assert_eq!((silent.status, silent.json()["error"]["param"].clone()), (400, json!("stream_options")));
    for (key, more, status) in [
        ("-capped", json!({"stream": true, "stream_options": {"include_usage": true}}), 200),
        ("-through", json!({}), 200),
        ("-below", json!({}), 200),
        // The key's models hold here, too, and whoever may not use one learns nothing of it.
        ("-through", json!({"model": "gpt-5-pro"}), 404),
        ("-through", json!({"model": "no-such-model"}), 404),
        ("-below", json!({"model": "gpt-4.1"}), 200),
        ("-narrow", json!({}), 404),
        // What isn't bounded passes no budget, nor does what doesn't fit.
        ("-capped", json!({"tools": [{"type": "web_search"}]}), 400),
        ("-capped", json!({"max_tokens": 5_000}), 429),
        ("", json!({"model": "a,b"}), 400),
        ("", json!({"models": ["gpt-5-pro"]}), 400),
        ("", json!({"messages": 7}), 400),
    ] {
        let answer = chat(key, more.clone());
        assert_eq!(answer.status, status, "{key} {more}: {}", answer.text());
    }
    let odd = |model: &str| chat("-through", json!({"model": model})).text().replace(model, "");
    assert_eq!(odd("gpt-5-pro"), odd("no-such-model"));
    // A refusal has its record, like any other.
    let refused = chat("-through", json!({"model": "gpt-5-pro"}));
    let id = refused.head.get("x-sluicegate-call-id").unwrap_or_default();
    let refused = super::guardrail::record(&rig.gateway, id);
    assert_eq!(
        (&refused["model"], &refused["error"]),
        (&json!("providers/known/gpt-5-pro"), &json!("model_not_found")),
        "{refused}"
    );
    // What broke off is charged what was asked and what came of it.
    let broken = chat("", json!({"model": "qwen3-8b--cut-bytes-200"}));
    let id = broken.head.get("x-sluicegate-call-id").unwrap_or_default().to_owned();
    let broken = super::guardrail::record(&rig.gateway, &id);
    assert_eq!(broken["attempts"][0]["usage_source"], "counted", "{broken}");
    assert_eq!(broken["usage"]["output_visible"], 50, "{broken}");
    // Where all of an error came before, it has delivered nothing; half of one may be anything.
    let error = json!({"error": {"message": "overloaded", "type": "server_error"}}).to_string();
    for kept in [error.len(), error.len() - 1] {
        rig.upstream.push(Step::once(Behaviour {
            body: Some(format!("{error}\n\n")),
            cut_after_bytes: Some(kept),
            ..Behaviour::default()
        }));
        let broken = chat("", json!({}));
        assert!(broken.broken, "{}", broken.text());
        let id = broken.head.get("x-sluicegate-call-id").unwrap_or_default().to_owned();
        let broken = super::guardrail::record(&rig.gateway, &id);
        assert_eq!(broken["attempts"][0]["outcome"], "broken", "{broken}");
        let (input, output) = used(&broken);
        match kept < error.len() {
            false => assert_eq!((input, output), (json!(0), json!(0)), "{broken}"),
            true => assert!(input.as_u64() > Some(5) && output == kept.div_ceil(4), "{broken}"),
        }
    }
    // What has been charged before isn't charged again when it is only looked at.
    let look = rig.gateway.send(&Request::new("GET", "/providers/known/responses/resp_1").bearer(KEY));
    let looked = record(&look);
    assert_eq!(
        (&looked["usage"]["input_uncached"], &looked["spend"]),
        (&json!(0), &json!(500_000_000)),
        "{looked}"
    );
}
