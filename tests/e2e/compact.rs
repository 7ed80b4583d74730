//! What is asked of a response without one being made: how many input tokens it would have, and a shorter conversation in its place.

use serde_json::{Value, json};
use sluicegate_tests::client::{Answer, Request};
use sluicegate_tests::fake::FakeUpstream;
use sluicegate_tests::gateway::{Gateway, MASTER_KEY};

/// What the upstream counts beside words.
const BASE: u64 = 7;
const COUNT: &str = "/v1/responses/input_tokens";
const COMPACT: &str = "/v1/responses/compact";

struct Rig {
    upstream: FakeUpstream,
    gateway: Gateway,
    key: String,
}

impl Rig {
    /// Models that are counted and compacted (`resp`), that chat alone serves, and at upstreams with a fault.
    fn start(name: &str) -> Self {
        let upstream = FakeUpstream::start();
        let at =
            |format: &str, path: &str| json!({"format": format, "url": format!("{}{path}", upstream.url())});
        let channel = |name: &str, provider: &str, model: &str, endpoints: Value| {
            json!({"name": name, "provider": provider, "endpoints": endpoints, "credential": "sk-upstream-0123456789",
                "models": [{"name": name, "upstream": model, "price": {"input": 1, "output": 2}, "max_output": 10_000}]})
        };
        let all = || {
            json!([
                at("openai_responses", "/v1/responses"),
                at("openai_input_tokens", COUNT),
                at("openai_compact", COMPACT)
            ])
        };
        let config = json!({
            "version": 1,
            "server": {"master_key": MASTER_KEY},
            "routing": {"retries": 0, "allowed_fails": 1_000_000},
            "channels": [
                channel("resp", "openai", "gpt-5-mini", all()),
                channel("down", "openai", "gpt-5-mini--status-503", all()),
                channel("refused", "openai", "gpt-5-mini--status-400", all()),
                // It has responses, and answers 404 to a count.
                channel("old", "openai", "gpt-5-mini", json!([at("openai_responses", "/v1/responses"), at("openai_input_tokens", "/v1/nowhere")])),
                channel("chat", "openai", "glm-5", json!([at("openai_chat", "/v1/chat/completions")])),
                channel("claude", "anthropic", "claude-sonnet-4-5", json!([at("anthropic_messages", "/v1/messages")])),
            ],
        });
        let gateway = Gateway::start(name, &config.to_string());
        let key = gateway.new_key(&json!({}));
        Self { upstream, gateway, key }
    }

    fn ask(&self, key: &str, path: &str, body: &Value) -> Answer {
        self.gateway.send(&Request::post(path, body.to_string()).bearer(key))
    }

    fn made(&self, path: &str, body: &Value) -> Value {
        let answer = self.ask(&self.key, path, body);
        assert_eq!(answer.status, 200, "{path} {body}: {}", answer.text());
        answer.json()
    }

    fn counted(&self, by: &str, body: &Value) -> u64 {
        let answer = self.ask(&self.key, COUNT, body);
        assert_eq!(answer.status, 200, "{body}: {}", answer.text());
        assert_eq!(answer.head.get("x-sluicegate-counted-by"), Some(by), "{body}");
        assert_eq!(answer.head.get("x-sluicegate-cost-usd"), Some("0"), "nobody is charged for being told");
        let told = answer.json();
        assert_eq!((told.as_object().unwrap().len(), &told["object"]), (2, &json!("response.input_tokens")));
        told["input_tokens"].as_u64().unwrap()
    }

    fn sent(&self) -> (String, Value) {
        let sent = self.upstream.requests().last().unwrap().clone();
        (sent.path.clone(), sent.json())
    }
}

#[test]
fn input_tokens_are_counted_by_openai_or_by_us() {
    let rig = Rig::start("input-tokens");
    assert_eq!(rig.counted("upstream", &json!({"model": "resp", "input": "one two three"})), BASE + 3);
    assert_eq!(rig.sent(), (COUNT.to_owned(), json!({"model": "gpt-5-mini", "input": "one two three"})));
    // Any request for a response can be counted: what isn't among its input isn't sent.
    let whole = json!({"model": "resp", "input": "one", "instructions": "be brief", "stream": true, "store": false,
        "max_output_tokens": 99, "metadata": {"a": "b"}, "user": "u", "temperature": 1, "background": true});
    assert_eq!(rig.counted("upstream", &whole), BASE + 3);
    assert_eq!(rig.sent().1, json!({"model": "gpt-5-mini", "input": "one", "instructions": "be brief"}));
    assert_eq!(rig.counted("upstream", &json!({"model": "resp", "instructions": "be brief"})), BASE + 2);
    let without_version =
        rig.ask(&rig.key, "/responses/input_tokens", &json!({"model": "resp", "input": "a"}));
    assert_eq!(without_version.json()["input_tokens"], BASE + 1);

    let before = rig.upstream.requests().len();
    let long = json!({"model": "chat", "input": "one ".repeat(500)});
    let (short, long) =
        (rig.counted("gateway", &json!({"model": "claude", "input": "one"})), rig.counted("gateway", &long));
    assert!(short > 0 && long > short + 300, "{short} {long}");
    assert_eq!(rig.upstream.requests().len(), before, "who doesn't count isn't asked");
    for model in ["old", "down"] {
        let before = rig.upstream.requests().len();
        assert!(rig.counted("gateway", &json!({"model": model, "input": "one"})) > 0, "{model}");
        assert_eq!(rig.upstream.requests().len(), before + 1, "{model} is asked first");
    }
    let narrow = rig.gateway.new_key(&json!({"models": ["chat"]}));
    for (key, body, status, says) in [
        (&rig.key, json!({"model": "refused", "input": "a"}), 400, "as asked"),
        (&rig.key, json!({"model": "resp", "input": "a", "prompt": {"id": "pmpt_1"}}), 400, "`prompt`"),
        (
            &rig.key,
            json!({"model": "resp", "input": "a", "previous_response_id": "resp_x"}),
            400,
            "no response with the id `resp_x`",
        ),
        (&rig.key, json!({"input": "a"}), 400, "`model` is missing"),
        (&narrow, json!({"model": "resp", "input": "a"}), 404, "`resp`"),
    ] {
        let answer = rig.ask(key, COUNT, &body);
        assert_eq!(answer.status, status, "{body}: {}", answer.text());
        assert!(
            answer.json()["error"]["message"].as_str().is_some_and(|it| it.contains(says)),
            "{body}: {}",
            answer.text()
        );
    }
    // Tools that the provider runs cost nothing while they are only counted.
    let capped = rig.gateway.new_key(&json!({"max_budget": 0.01}));
    let tools = json!({"model": "chat", "input": "a", "tools": [{"type": "web_search"}]});
    assert_eq!(rig.ask(&capped, COUNT, &tools).status, 200);
    assert_eq!(rig.gateway.send(&Request::new("GET", COUNT).bearer(&rig.key)).status, 405);
}

#[test]
fn what_the_gateway_keeps_is_counted_with_what_is_new() {
    let rig = Rig::start("input-tokens-kept");
    // The echo of two words is three.
    let first = rig.made("/v1/responses", &json!({"model": "resp", "input": "one two"}));
    let next = json!({"model": "resp", "input": "three", "previous_response_id": first["id"]});
    assert_eq!(rig.counted("upstream", &next), BASE + 2 + 3 + 1);
    assert_eq!(rig.sent().1["previous_response_id"], first["id"], "its own channel has the conversation");
    let silent = json!({"model": "resp", "previous_response_id": first["id"]});
    assert_eq!(rig.counted("upstream", &silent), BASE + 2 + 3);
    // What another made is sent whole.
    let elsewhere = rig.made("/v1/responses", &json!({"model": "chat", "input": "one two"}));
    let next = json!({"model": "resp", "input": "three", "previous_response_id": elsewhere["id"]});
    assert_eq!(rig.counted("upstream", &next), BASE + 2 + 3 + 1);
    let sent = rig.sent().1;
    assert_eq!(
        (sent["input"].as_array().unwrap().len(), &sent["previous_response_id"]),
        (3, &Value::Null),
        "{sent}"
    );
    // Whoever doesn't count is counted for, with all that went before.
    for model in ["old", "chat"] {
        let alone = rig.counted("gateway", &json!({"model": model, "input": "three"}));
        let all = rig.counted(
            "gateway",
            &json!({"model": model, "input": "three", "previous_response_id": first["id"]}),
        );
        assert!(all > alone, "{model}: {all} {alone}");
    }
    let items = json!([{"type": "message", "role": "user", "content": "one two three four"}]);
    let conversation = rig.made("/v1/conversations", &json!({"items": items}));
    let in_it = json!({"model": "resp", "input": "five", "conversation": conversation["id"], "store": false});
    assert_eq!(rig.counted("upstream", &in_it), BASE + 5);
    let path = format!("/v1/conversations/{}/items", conversation["id"].as_str().unwrap());
    let kept = rig.gateway.send(&Request::new("GET", &path).bearer(&rig.key)).json();
    assert_eq!(kept["data"].as_array().unwrap().len(), 1, "what is only counted isn't said: {kept}");
    let other = rig.gateway.new_key(&json!({}));
    assert_eq!(rig.ask(&other, COUNT, &next).status, 400, "somebody else's conversation");
}

#[test]
fn a_conversation_is_compacted_where_openai_serves_it() {
    let rig = Rig::start("compact");
    let body = json!({"model": "resp", "input": [{"role": "user", "content": "one two three"}], "prompt_cache_key": "k"});
    let answer = rig.ask(&rig.key, COMPACT, &body);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let compacted = answer.json();
    assert_eq!(compacted["object"], "response.compaction");
    assert_eq!(compacted.get("previous_response_id"), None, "as the upstream wrote it: {compacted}");
    // Ten tokens at 1 and twenty at 2 USD for a million.
    assert_eq!(answer.head.get("x-sluicegate-cost-usd"), Some("0.00005"));
    let mut sent = body.clone();
    sent["model"] = json!("gpt-5-mini");
    assert_eq!(rig.sent(), (COMPACT.to_owned(), sent), "nothing is written into it");
    let log = rig.gateway.look_up("/spend/logs");
    assert_eq!(log[0]["call_type"], "acompact_responses", "{log}");

    // It is no response that somebody goes on from; its items are.
    let get = Request::new("GET", &format!("/v1/responses/{}", compacted["id"].as_str().unwrap()));
    assert_eq!(rig.gateway.send(&get.bearer(&rig.key)).status, 404);
    let mut items = compacted["output"].as_array().unwrap().clone();
    items.push(json!({"role": "user", "content": "four"}));
    let next = rig.made("/v1/responses", &json!({"model": "resp", "input": items}));
    assert!(next["output"].to_string().contains("echo: four"), "{next}");

    for model in ["resp", "chat"] {
        let kept = rig.made("/v1/responses", &json!({"model": model, "input": "one two"}));
        let from = json!({"model": "resp", "previous_response_id": kept["id"]});
        let usage = rig.made(COMPACT, &from)["usage"].clone();
        assert_eq!(usage["input_tokens"], BASE + 2 + 3, "{model}");
        let sent = rig.sent().1;
        let is_own = model == "resp";
        assert_eq!(
            (sent["previous_response_id"] == kept["id"], sent["input"].is_null()),
            (is_own, is_own),
            "{sent}"
        );
    }
    let capped = rig.gateway.new_key(&json!({"daily_token_limit": 5_000}));
    let before = rig.upstream.requests().len();
    for (key, body, status, says) in [
        (
            &rig.key,
            json!({"model": "chat", "input": "a"}),
            400,
            "nobody who serves the model `chat` compacts conversations",
        ),
        (&rig.key, json!({"model": "old", "input": "a"}), 400, "`openai_compact`"),
        (&rig.key, json!({"model": "resp", "input": "a", "stream": true}), 400, "`stream`"),
        (&rig.key, json!({"model": "resp", "input": "a", "conversation": "conv_1"}), 400, "`conversation`"),
        (
            &rig.key,
            json!({"model": "resp", "previous_response_id": "resp_x"}),
            400,
            "no response with the id `resp_x`",
        ),
        // No ceiling can be sent: the model's longest answer is reserved.
        (&capped, json!({"model": "resp", "input": "a"}), 429, "this call may need"),
    ] {
        let answer = rig.ask(key, COMPACT, &body);
        assert_eq!(answer.status, status, "{body}: {}", answer.text());
        assert!(
            answer.json()["error"]["message"].as_str().is_some_and(|it| it.contains(says)),
            "{body}: {}",
            answer.text()
        );
    }
    assert_eq!(rig.upstream.requests().len(), before, "none of them is sent");
    let roomy = rig.gateway.new_key(&json!({"daily_token_limit": 20_000}));
    assert_eq!(rig.ask(&roomy, COMPACT, &json!({"model": "resp", "input": "a"})).status, 200);
}
