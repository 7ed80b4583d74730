//! Responses, end to end: as a caller's format at upstreams of three formats, as an upstream's for callers of the two others, and
//! the gateway's own store of them.

use serde_json::{Value, json};
use sluicegate_tests::client::{Answer, Request};
use sluicegate_tests::fake::{FakeUpstream, Step};
use sluicegate_tests::gateway::{Gateway, MASTER_KEY};

/// A model at an upstream of each format: `resp`, `chat`, `claude`.
fn start(name: &str, upstream: &FakeUpstream) -> (Gateway, String) {
    let channel = |name: &str, provider: &str, format: &str, path: &str, upstream_model: &str| {
        json!({"name": name, "provider": provider, "endpoints": [{"format": format, "url": format!("{}{path}", upstream.url())}],
            "credential": "sk-upstream-0123456789", "models": [{"name": name, "upstream": upstream_model, "price": {"input": 1, "output": 2}}]})
    };
    let config = json!({
        "version": 1,
        "server": {"master_key": MASTER_KEY},
        "channels": [
            channel("resp", "openai", "openai_responses", "/v1/responses", "gpt-5-mini"),
            channel("chat", "openai", "openai_chat", "/v1/chat/completions", "glm-5"),
            channel("claude", "anthropic", "anthropic_messages", "/v1/messages", "claude-sonnet-4-5"),
        ],
    });
    let gateway = Gateway::start(name, &config.to_string());
    let key = gateway.new_key(&json!({}));
    (gateway, key)
}

fn ask(gateway: &Gateway, key: &str, path: &str, body: &Value) -> Answer {
    gateway.send(&Request::post(path, body.to_string()).bearer(key))
}

fn response(gateway: &Gateway, key: &str, body: &Value) -> Value {
    let answer = ask(gateway, key, "/v1/responses", body);
    assert_eq!(answer.status, 200, "{body}: {}", answer.text());
    answer.json()
}

fn text_of(response: &Value) -> String {
    let items = response["output"].as_array().unwrap();
    let parts = items.iter().filter_map(|item| item["content"].as_array()).flatten();
    parts.filter_map(|part| part["text"].as_str()).collect()
}

fn weather() -> Value {
    json!([{"type": "function", "name": "weather", "strict": false,
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": false}}])
}

#[test]
fn callers_of_responses_are_served_at_any_upstream() {
    let upstream = FakeUpstream::start();
    let (gateway, key) = start("responses", &upstream);
    for model in ["resp", "chat", "claude"] {
        let plain =
            json!({"model": model, "input": "hello there", "max_output_tokens": 50, "metadata": {"a": "b"}});
        let whole = response(&gateway, &key, &plain);
        assert_eq!(
            (text_of(&whole).as_str(), &whole["status"]),
            ("echo: hello there", &json!("completed")),
            "{model}"
        );
        assert!(whole["usage"]["input_tokens"].as_u64().unwrap() > 0, "{whole}");
        assert!(whole["id"].as_str().unwrap().starts_with("resp_"), "{whole}");

        // A tool loop, streamed, with the thoughts of the first turn in the second.
        let mut input = json!([{"role": "user", "content": "weather in Rome"}]);
        let mut body = json!({"model": model, "input": input, "tools": weather(), "max_output_tokens": 5000, "stream": true,
            "store": false, "reasoning": {"effort": "low", "summary": "auto"}, "include": ["reasoning.encrypted_content"]});
        let first = streamed(&ask(&gateway, &key, "/v1/responses", &body));
        let call = first["output"].as_array().unwrap().last().unwrap().clone();
        assert_eq!(
            (&call["type"], &call["name"]),
            (&json!("function_call"), &json!("weather")),
            "{model}: {first}"
        );
        assert_ne!(call["id"], call["call_id"]);
        let list = input.as_array_mut().unwrap();
        list.extend(first["output"].as_array().unwrap().iter().cloned());
        list.push(
            json!({"type": "function_call_output", "call_id": call["call_id"], "output": "20 degrees"}),
        );
        body["input"] = input;
        let second = streamed(&ask(&gateway, &key, "/v1/responses", &body));
        assert_eq!(text_of(&second), "tools said: 20 degrees", "{model}: {second}");

        let low = json!({"model": model, "input": "a b c d e f g h i j k l m n o p q r s t", "max_output_tokens": 16});
        let cut = response(&gateway, &key, &low);
        assert_eq!(cut["incomplete_details"]["reason"], "max_output_tokens", "{model}: {cut}");
    }
    // What the caller sent to its own format came as it was.
    let sent: Vec<Value> = upstream.requests().iter().map(|record| record.json()).collect();
    assert!(sent.iter().any(|body| body["metadata"] == json!({"a": "b"}) && body["input"] == "hello there"));
}

/// The response at the end of a stream whose events are as they must be.
fn streamed(answer: &Answer) -> Value {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let events: Vec<Value> = answer.events().iter().map(|data| serde_json::from_str(data).unwrap()).collect();
    let mut open: Option<Value> = None;
    let mut done = Vec::new();
    for (at, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], json!(at), "{event}");
        match event["type"].as_str().unwrap() {
            "response.output_item.added" => {
                assert!(open.is_none(), "{event}");
                assert_eq!(event["output_index"], json!(done.len()));
                open = Some(event["item"]["id"].clone());
            }
            "response.output_item.done" => {
                assert_eq!(open.take().as_ref(), Some(&event["item"]["id"]));
                done.push(event["item"].clone());
            }
            "response.created" | "response.in_progress" | "response.completed" | "response.incomplete" => {}
            _ => assert_eq!(open.as_ref(), Some(&event["item_id"]), "{event}"),
        }
    }
    assert_eq!(
        (&events[0]["type"], &events[1]["type"]),
        (&json!("response.created"), &json!("response.in_progress"))
    );
    let last = events.last().unwrap();
    assert_eq!(last["response"]["output"], json!(done), "{last}");
    last["response"].clone()
}

#[test]
fn an_agent_of_another_format_keeps_its_thoughts() {
    let upstream = FakeUpstream::start();
    let (gateway, key) = start("responses-agent", &upstream);
    let tools = json!([{"name": "weather", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}]);
    let mut body = json!({"model": "resp", "max_tokens": 5000, "thinking": {"type": "enabled", "budget_tokens": 2000},
        "messages": [{"role": "user", "content": "weather in Rome"}], "tools": tools});
    let first = ask(&gateway, &key, "/v1/messages", &body);
    assert_eq!(first.status, 200, "{}", first.text());
    let content = first.json()["content"].clone();
    assert_eq!(content[0]["thinking"], "let me think about that", "{content}");
    assert!(content[0]["signature"].as_str().unwrap().starts_with("sluicegate-seal:openai:"), "{content}");
    let id = content[1]["id"].clone();
    let messages = body["messages"].as_array_mut().unwrap();
    messages.push(json!({"role": "assistant", "content": content}));
    messages.push(json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": id, "content": "20 degrees"}]}));
    let second = ask(&gateway, &key, "/v1/messages", &body);
    assert_eq!(second.status, 200, "{}", second.text());
    assert_eq!(second.json()["content"][1]["text"], "tools said: 20 degrees", "{}", second.text());
    let sent = upstream.requests().last().unwrap().json();
    assert_eq!((&sent["store"], &sent["input"][1]["type"]), (&json!(false), &json!("reasoning")), "{sent}");
    assert!(sent["input"][1]["encrypted_content"].as_str().unwrap().starts_with("gAAAA"), "{sent}");

    // At Anthropic's own the seal of the other would be refused: it doesn't get there.
    body["model"] = json!("claude");
    let third = ask(&gateway, &key, "/v1/messages", &body);
    assert_eq!(third.status, 200, "{}", third.text());
    assert!(!upstream.requests().last().unwrap().json().to_string().contains("sluicegate-seal"));

    let chat = json!({"model": "resp", "messages": [{"role": "user", "content": "hello there"}], "stream": true,
        "stream_options": {"include_usage": true}});
    let chat = ask(&gateway, &key, "/v1/chat/completions", &chat);
    let said: String = chat
        .events()
        .iter()
        .filter_map(|data| serde_json::from_str::<Value>(data).ok())
        .filter_map(|chunk| Some(chunk["choices"][0]["delta"]["content"].as_str()?.to_owned()))
        .collect();
    assert_eq!(said, "echo: hello there", "{}", chat.text());
    assert!(chat.text().ends_with("data: [DONE]\n\n"));
}

#[test]
fn a_patch_tool_works_where_tools_take_objects_only() {
    let upstream = FakeUpstream::start();
    let (gateway, key) = start("responses-custom", &upstream);
    let tools = json!([{"type": "custom", "name": "apply_patch", "description": "Edits files"}]);
    for model in ["resp", "chat", "claude"] {
        for stream in [false, true] {
            let body =
                json!({"model": model, "input": "fix it", "tools": tools, "stream": stream, "store": false});
            let answer = ask(&gateway, &key, "/v1/responses", &body);
            let response = if stream { streamed(&answer) } else { answer.json() };
            let call = &response["output"][0];
            let want = if model == "resp" { "*** Begin\n+x" } else { "fix it" };
            assert_eq!(
                (&call["type"], &call["input"]),
                (&json!("custom_tool_call"), &json!(want)),
                "{model}: {response}"
            );
            let back = json!({"model": model, "tools": tools, "store": false, "input": [{"role": "user", "content": "fix it"}, call,
                {"type": "custom_tool_call_output", "call_id": call["call_id"], "output": "fixed"}]});
            assert_eq!(
                text_of(&super::responses::response(&gateway, &key, &back)),
                "tools said: fixed",
                "{model}"
            );
        }
    }
}

#[test]
fn a_conversation_goes_on_at_any_upstream_and_is_its_owners_alone() {
    let upstream = FakeUpstream::start();
    let (gateway, key) = start("responses-store", &upstream);
    let other = gateway.new_key(&json!({}));
    let get = |key: &str, path: &str| gateway.send(&Request::new("GET", path).bearer(key));
    for model in ["resp", "chat", "claude"] {
        let first = streamed(&ask(
            &gateway,
            &key,
            "/v1/responses",
            &json!({"model": model, "input": "one", "stream": true}),
        ));
        let id = first["id"].as_str().unwrap();
        let second =
            response(&gateway, &key, &json!({"model": model, "input": "two", "previous_response_id": id}));
        assert_eq!(
            (text_of(&second).as_str(), second["previous_response_id"].as_str()),
            ("echo: two", Some(id)),
            "{second}"
        );
        let sent = upstream.requests().last().unwrap().json();
        if model == "resp" {
            // Its own channel has the conversation: the bytes are the caller's.
            assert_eq!(
                (&sent["previous_response_id"], &sent["input"]),
                (&json!(id), &json!("two")),
                "{sent}"
            );
        } else {
            assert_eq!(sent["messages"].as_array().unwrap().len(), 3, "{sent}");
        }
        // Elsewhere it goes on from what is kept here.
        let third = json!({"model": "claude", "input": "three", "previous_response_id": second["id"]});
        assert_eq!(text_of(&response(&gateway, &key, &third)), "echo: three");
        let sent = upstream.requests().last().unwrap().json();
        assert_eq!(sent["messages"].as_array().unwrap().len(), 5, "{sent}");

        let path = format!("/v1/responses/{}", second["id"].as_str().unwrap());
        assert_eq!(get(&key, &path).json(), second);
        let items = get(&key, &format!("{path}/input_items?order=asc&limit=2")).json();
        assert_eq!(
            (&items["has_more"], &items["data"][0]["content"][0]["text"]),
            (&json!(true), &json!("one")),
            "{items}"
        );
        let rest =
            get(&key, &format!("{path}/input_items?order=asc&after={}", items["last_id"].as_str().unwrap()))
                .json();
        assert_eq!(
            (&rest["has_more"], &rest["data"][0]["content"][0]["text"]),
            (&json!(false), &json!("two")),
            "{rest}"
        );

        // A foreign id is answered as one that nobody has.
        let unknown = path.replace("resp_", "resp_x");
        let same = |foreign: Answer, unknown: Answer| {
            assert_eq!(foreign.status, unknown.status);
            assert_eq!(foreign.text(), unknown.text().replace("resp_x", "resp_"));
            foreign.status
        };
        assert_eq!(same(get(&other, &path), get(&other, &unknown)), 404);
        let items = |path: &str| get(&other, &format!("{path}/input_items"));
        assert_eq!(same(items(&path), items(&unknown)), 404);
        let delete = |key: &str, path: &str| gateway.send(&Request::new("DELETE", path).bearer(key));
        assert_eq!(same(delete(&other, &path), delete(&other, &unknown)), 404);
        let go_on = |key: &str, id: &str| {
            ask(
                &gateway,
                key,
                "/v1/responses",
                &json!({"model": model, "input": "x", "previous_response_id": id}),
            )
        };
        let second_id = second["id"].as_str().unwrap();
        assert_eq!(same(go_on(&other, second_id), go_on(&other, &second_id.replace("resp_", "resp_x"))), 400);

        assert_eq!(delete(&key, &path).json()["deleted"], true);
        assert_eq!(
            (get(&key, &path).status, delete(&key, &path).status, go_on(&key, second_id).status),
            (404, 404, 400)
        );
    }
    let unkept = response(&gateway, &key, &json!({"model": "chat", "input": "a", "store": false}));
    assert_eq!(get(&key, &format!("/v1/responses/{}", unkept["id"].as_str().unwrap())).status, 404);
}

#[test]
fn items_of_kept_responses_are_known_by_their_ids() {
    let upstream = FakeUpstream::start();
    let (gateway, key) = start("responses-items", &upstream);
    let other = gateway.new_key(&json!({}));
    for model in ["resp", "chat", "claude"] {
        for stream in [false, true] {
            let how = format!("{model}, stream {stream}");
            let question = json!({"role": "user", "content": "weather"});
            let first = json!({"model": model, "input": [question], "tools": weather(), "stream": stream,
                "reasoning": {"effort": "low"}, "max_output_tokens": 3000});
            let answer = ask(&gateway, &key, "/v1/responses", &first);
            let called = if stream { streamed(&answer) } else { answer.json() };
            let output = called["output"].as_array().unwrap();
            let call = output.iter().find(|item| item["type"] == "function_call").unwrap();
            let refer = |item: &Value| json!({"type": "item_reference", "id": item["id"]});
            let mut input = vec![question];
            input.extend(output.iter().map(refer));
            input.push(
                json!({"type": "function_call_output", "call_id": call["call_id"], "output": "20 degrees"}),
            );
            let mut second = first.clone();
            (second["input"], second["stream"]) = (json!(input), json!(false));
            let said = response(&gateway, &key, &second);
            assert_eq!(text_of(&said), "tools said: 20 degrees", "{how}: {said}");
            let sent = upstream.requests().last().unwrap().json().to_string();
            // Its own channel has the items: the bytes are the caller's.
            assert_eq!(sent.contains("item_reference"), model == "resp", "{how}: {sent}");

            // Elsewhere they are sent whole, and what was made from them is kept whole.
            second["model"] = json!(if model == "claude" { "chat" } else { "claude" });
            let elsewhere = response(&gateway, &key, &second);
            assert_eq!(text_of(&elsewhere), "tools said: 20 degrees", "{how}: {elsewhere}");
            let path = format!("/v1/responses/{}/input_items", elsewhere["id"].as_str().unwrap());
            let items = gateway.send(&Request::new("GET", &path).bearer(&key)).text();
            assert!(
                items.contains("function_call_output") && !items.contains("item_reference"),
                "{how}: {items}"
            );

            // Nobody else's, and not those of a response that is forgotten.
            let refused = |key: &str, why: &str| {
                let answer = ask(&gateway, key, "/v1/responses", &second);
                let error = &answer.json()["error"];
                let told = (answer.status, error["code"].as_str(), error["param"].as_str());
                assert_eq!(told, (400, Some("item_not_found"), Some("input[1]")), "{how}, {why}: {error}");
                let id = second["input"][1]["id"].as_str().unwrap();
                assert!(error["message"].as_str().unwrap().contains(id), "{how}, {why}: {error}");
            };
            refused(&other, "another's");
            let path = format!("/v1/responses/{}", called["id"].as_str().unwrap());
            assert_eq!(gateway.send(&Request::new("DELETE", &path).bearer(&key)).status, 200);
            refused(&key, "forgotten");
        }
    }
}

#[test]
fn what_goes_wrong_is_told_in_the_format() {
    let upstream = FakeUpstream::start();
    let (gateway, key) = start("responses-faults", &upstream);
    for (body, status, says) in [
        (json!({"model": "chat"}), 400, "`input` is missing"),
        (json!({"model": "resp", "input": "a", "background": "yes"}), 501, "`background`"),
        (
            json!({"model": "chat", "input": [{"type": "item_reference", "id": "msg_1"}]}),
            400,
            "no item with the id `msg_1` is kept for this key",
        ),
        (
            json!({"model": "chat", "input": [{"type": "compaction", "id": "cmp_1", "encrypted_content": "sealed"}]}),
            501,
            "`input[0]` is a compacted conversation",
        ),
        (
            json!({"model": "resp", "input": [{"type": "function_call_output", "call_id": "c", "output": "x"}]}),
            400,
            "No tool call found",
        ),
    ] {
        let answer = ask(&gateway, &key, "/v1/responses", &body);
        assert_eq!(answer.status, status, "{body}: {}", answer.text());
        assert!(
            answer.json()["error"]["message"].as_str().unwrap().contains(says),
            "{body}: {}",
            answer.text()
        );
    }
    for model in ["resp", "chat", "claude"] {
        upstream.push(Step::from_json(&json!({"cut_after_chunks": 5})).unwrap());
        let cut = ask(
            &gateway,
            &key,
            "/v1/responses",
            &json!({"model": model, "input": "a b c d", "stream": true}),
        );
        let last: Value = serde_json::from_str(cut.events().last().unwrap()).unwrap();
        assert_eq!(cut.status, 200);
        assert!(matches!(last["type"].as_str(), Some("error" | "response.failed")), "{model}: {last}");
        assert_eq!(last["sequence_number"], json!(cut.events().len() - 1), "{model}: {last}");
    }
}
