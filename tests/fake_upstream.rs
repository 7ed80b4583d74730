//! The scripted upstream does what its documentation says: what the other
//! tests rely on.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};
use sluicegate_tests::client::{Answer, Request};
use sluicegate_tests::fake::{FakeUpstream, Outcome, Step};

const LONG: Duration = Duration::from_secs(5);

fn post(upstream: &FakeUpstream, path: &str, body: &Value) -> Answer {
    let request = Request::post(path, body.to_string()).header("anthropic-version", "2023-06-01");
    request.send(&upstream.address(), LONG).unwrap()
}

fn chat(model: &str, text: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": text}]})
}

fn chat_stream(model: &str, text: &str) -> Value {
    let mut body = chat(model, text);
    body["stream"] = json!(true);
    body["stream_options"] = json!({"include_usage": true});
    body
}

#[test]
fn a_chat_answer_has_text_and_counts() {
    let upstream = FakeUpstream::start();
    let answer = post(&upstream, "/v1/chat/completions", &chat("m", "hello you")).json();
    assert_eq!(answer["choices"][0]["message"]["content"], "echo: hello you");
    assert_eq!(answer["usage"]["prompt_tokens"], 5);
    assert_eq!(answer["usage"]["completion_tokens"], 3);
    let record = &upstream.requests()[0];
    assert_eq!(record.json(), chat("m", "hello you"));
    assert_eq!(record.header("content-type"), Some("application/json"));
}

#[test]
fn a_stream_folds_to_the_same_text() {
    let upstream = FakeUpstream::start();
    let answer = post(&upstream, "/v1/chat/completions", &chat_stream("m--split-3", "Schöne Grüße 你好"));
    let events = answer.events();
    assert_eq!(events.last().unwrap(), "[DONE]");
    let parsed: Vec<Value> = events.iter().filter_map(|e| serde_json::from_str(e).ok()).collect();
    let text: String = parsed.iter().filter_map(|e| e["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(text, "echo: Schöne Grüße 你好");
    assert_eq!(parsed.last().unwrap()["usage"]["completion_tokens"], 4);
}

#[test]
fn a_tool_call_comes_in_fragments() {
    let upstream = FakeUpstream::start();
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}});
    let mut body = chat_stream("m", "in parallel please");
    body["tools"] = json!([{"type": "function", "function": {"name": "weather", "parameters": schema}}]);
    let answer = post(&upstream, "/v1/chat/completions", &body);
    let mut arguments = [String::new(), String::new()];
    for event in answer.events().iter().filter_map(|e| serde_json::from_str::<Value>(e).ok()) {
        for call in event["choices"][0]["delta"]["tool_calls"].as_array().into_iter().flatten() {
            let index = usize::try_from(call["index"].as_u64().unwrap()).unwrap();
            arguments[index].push_str(call["function"]["arguments"].as_str().unwrap());
        }
    }
    assert_eq!(arguments, [r#"{"city":"in parallel please"}"#, r#"{"city":"in parallel please"}"#]);
}

#[test]
fn a_message_stream_is_in_order() {
    let upstream = FakeUpstream::start();
    let body = json!({"model": "c", "max_tokens": 2000, "stream": true, "thinking": {"type": "enabled", "budget_tokens": 1024},
        "messages": [{"role": "user", "content": "hi"}]});
    let events = post(&upstream, "/v1/messages", &body).events();
    let kinds: Vec<String> = events
        .iter()
        .map(|e| serde_json::from_str::<Value>(e).unwrap()["type"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(kinds[..3], ["message_start", "content_block_start", "ping"]);
    assert_eq!(kinds[kinds.len() - 3..], ["content_block_stop", "message_delta", "message_stop"]);
    assert!(events.iter().any(|e| e.contains("signature_delta")));
}

#[test]
fn what_the_real_services_refuse_is_refused() {
    let upstream = FakeUpstream::start();
    let lonely = json!({"model": "m", "messages": [{"role": "tool", "tool_call_id": "x", "content": "1"}]});
    assert_eq!(post(&upstream, "/v1/chat/completions", &lonely).status, 400);
    let no_ceiling = chat("c", "hi");
    assert_eq!(post(&upstream, "/v1/messages", &no_ceiling).status, 400);
    let unanswered = json!({"model": "c", "max_tokens": 5, "messages": [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "x", "input": {}}]},
        {"role": "user", "content": "and?"}]});
    assert_eq!(post(&upstream, "/v1/messages", &unanswered).status, 400);
    upstream.demand_key("right");
    let answer = post(&upstream, "/v1/messages", &chat("c", "hi"));
    assert_eq!((answer.status, answer.json()["error"]["type"].as_str()), (401, Some("authentication_error")));
}

/// A call that the upstream refuses, naming this.
fn refused(upstream: &FakeUpstream, path: &str, body: &Value, word: &str) {
    let answer = post(upstream, path, body);
    assert_eq!(answer.status, 400, "{body} should be refused for `{word}`");
    let message = answer.json()["error"]["message"].as_str().unwrap_or("").to_owned();
    assert!(message.contains(word), "`{message}` should name `{word}`");
}

#[test]
fn unknown_parameters_are_refused() {
    let upstream = FakeUpstream::start();
    let with = |mut body: Value, pointer: &str, name: &str| {
        body.pointer_mut(pointer).unwrap()[name] = json!(1);
        body
    };
    for pointer in ["", "/messages/0"] {
        refused(&upstream, "/v1/chat/completions", &with(chat("gpt-4o", "hi"), pointer, "top_k"), "top_k");
        let mut claude = chat("c", "hi");
        claude["max_tokens"] = json!(5);
        refused(&upstream, "/v1/messages", &with(claude, pointer, "seed"), "seed");
    }
    let item = json!({"model": "r", "input": [{"role": "user", "content": "hi"}]});
    for pointer in ["", "/input/0"] {
        refused(&upstream, "/v1/responses", &with(item.clone(), pointer, "stop"), "stop");
    }
    let gemini = json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}], "generationConfig": {}});
    for pointer in ["", "/contents/0", "/contents/0/parts/0", "/generationConfig"] {
        let path = "/v1beta/models/gemini-2.5-flash:generateContent";
        refused(&upstream, path, &with(gemini.clone(), pointer, "strict"), "strict");
    }
    // Servers of others take more than OpenAI's.
    let other = with(chat("qwen-max", "hi"), "", "top_k");
    assert_eq!(post(&upstream, "/v1/chat/completions", &other).status, 200);
}

#[test]
fn gemini_takes_only_what_goes_together() {
    let upstream = FakeUpstream::start();
    let f = json!({"name": "f", "parameters": {"type": "OBJECT", "properties": {"q": {"type": "STRING"}}}});
    let tools = json!([{"functionDeclarations": [f]}]);
    let json_mode = json!({"responseMimeType": "application/json"});
    for (model, rest, word) in [
        ("gemini-2.5-flash", json!({"tools": tools, "generationConfig": json_mode}), "response mime type"),
        ("gemini-3-pro", json!({"tools": tools, "generationConfig": json_mode}), ""),
        (
            "gemini-2.5-flash",
            json!({"tools": [{"functionDeclarations": [f]}, {"googleSearch": {}}]}),
            "combined",
        ),
        ("gemini-2.5-flash", json!({"tools": [{"functionDeclarations": [f, f]}]}), "Duplicate"),
        (
            "gemini-2.5-flash",
            json!({"toolConfig": {"functionCallingConfig": {"mode": "ANY"}}}),
            "without function",
        ),
        (
            "gemini-2.5-flash",
            json!({"tools": tools, "toolConfig": {"functionCallingConfig": {"mode": "SOME"}}}),
            "SOME",
        ),
        (
            "gemini-2.5-flash",
            json!({"tools": tools, "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["g"]}}}),
            "not declared",
        ),
        (
            "gemini-2.5-flash",
            json!({"tools": tools, "toolConfig": {"functionCallingConfig": {"allowedFunctionNames": ["f"]}}}),
            "ANY or VALIDATED",
        ),
        (
            "gemini-2.5-flash",
            json!({"generationConfig": {"responseSchema": {"type": "OBJECT"}}}),
            "response_mime_type",
        ),
        (
            "gemini-2.0-flash",
            json!({"generationConfig": {"responseMimeType": "application/json", "responseJsonSchema": {}}}),
            "response_json_schema",
        ),
        (
            "gemini-2.5-flash",
            json!({"generationConfig": {"responseMimeType": "application/json", "responseSchema": {"type": "OBJECT", "additionalProperties": false}}}),
            "additionalProperties",
        ),
        ("gemini-2.5-flash", json!({"generationConfig": {"seed": 3_000_000_000_u64}}), "seed"),
        ("gemini-2.5-flash", json!({"generationConfig": {"temperature": 2.5}}), "temperature"),
    ] {
        let mut body = json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]});
        body.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        let path = format!("/v1beta/models/{model}:generateContent");
        match word {
            "" => assert_eq!(post(&upstream, &path, &body).status, 200, "{body}"),
            word => refused(&upstream, &path, &body, word),
        }
    }
}

#[test]
fn tools_that_providers_run_are_taken_with_their_own_fields() {
    let upstream = FakeUpstream::start();
    let place = json!({"type": "approximate", "city": "Bern", "region": "BE", "country": "CH", "timezone": "Europe/Zurich"});
    for (path, tool, word) in [
        ("/v1/responses", json!({"type": "web_search"}), ""),
        (
            "/v1/responses",
            json!({"type": "web_search", "search_context_size": "low", "user_location": place, "filters": {"allowed_domains": ["a.org"]}, "external_web_access": true}),
            "",
        ),
        ("/v1/responses", json!({"type": "web_search_preview", "user_location": place}), ""),
        ("/v1/responses", json!({"type": "web_search", "max_uses": 2}), "max_uses"),
        ("/v1/responses", json!({"type": "web_search", "filters": {"sites": []}}), "filters.sites"),
        (
            "/v1/responses",
            json!({"type": "web_search", "user_location": {"street": "x"}}),
            "user_location.street",
        ),
        (
            "/v1/responses",
            json!({"type": "web_search", "search_context_size": "huge"}),
            "search_context_size",
        ),
        ("/v1/responses", json!({"type": "web_search_preview", "filters": {}}), "filters"),
        ("/v1/responses", json!({"type": "web_search_20250305", "name": "web_search"}), "type"),
        ("/v1/messages", json!({"type": "web_search_20250305", "name": "web_search"}), ""),
        (
            "/v1/messages",
            json!({"type": "web_search_20250305", "name": "web_search", "max_uses": 2, "allowed_domains": ["a.org"], "user_location": place, "cache_control": {"type": "ephemeral"}}),
            "",
        ),
        (
            "/v1/messages",
            json!({"type": "web_fetch_20250910", "name": "web_fetch", "max_content_tokens": 9}),
            "",
        ),
        ("/v1/messages", json!({"type": "code_execution_20250825", "name": "code_execution"}), ""),
        ("/v1/messages", json!({"type": "bash_20250124", "name": "bash"}), ""),
        (
            "/v1/messages",
            json!({"type": "text_editor_20250728", "name": "str_replace_based_edit_tool", "max_characters": 9}),
            "",
        ),
        ("/v1/messages", json!({"type": "web_search_20250305", "name": "search"}), "name"),
        (
            "/v1/messages",
            json!({"type": "web_search_20250305", "name": "web_search", "search_context_size": "low"}),
            "search_context_size",
        ),
        (
            "/v1/messages",
            json!({"type": "web_search_20250305", "name": "web_search", "user_location": {"street": "x"}}),
            "street",
        ),
        (
            "/v1/messages",
            json!({"type": "web_search_20250305", "name": "web_search", "allowed_domains": [], "blocked_domains": []}),
            "only one of",
        ),
        ("/v1/messages", json!({"type": "bash_20250124", "name": "bash", "max_uses": 1}), "max_uses"),
        ("/v1/messages", json!({"type": "web_search", "name": "web_search"}), "web_search"),
        ("/v1/messages", json!({"type": "function", "name": "f"}), "function"),
    ] {
        let body = match path {
            "/v1/responses" => json!({"model": "r", "input": "hi", "tools": [tool]}),
            _ => {
                json!({"model": "c", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}], "tools": [tool]})
            }
        };
        match word {
            "" => assert_eq!(post(&upstream, path, &body).status, 200, "{body}"),
            word => refused(&upstream, path, &body, word),
        }
    }
    // What was found goes back as it came.
    let found = json!([
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "q"}},
        {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []},
        {"type": "text", "text": "so"},
    ]);
    let mut body = json!({"model": "c", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": found}, {"role": "user", "content": "and?"}]});
    assert_eq!(post(&upstream, "/v1/messages", &body).status, 200);
    body["messages"][1]["content"][1]["query"] = json!("q");
    refused(&upstream, "/v1/messages", &body, "query");
    let call = json!({"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "q"}});
    let mut body = json!({"model": "r", "input": [{"role": "user", "content": "hi"}, call, {"role": "user", "content": "and?"}]});
    assert_eq!(post(&upstream, "/v1/responses", &body).status, 200);
    body["input"][1]["id"] = json!("fc_1");
    refused(&upstream, "/v1/responses", &body, "begins with 'ws'");
}

#[test]
fn mistral_takes_only_what_it_knows() {
    let upstream = FakeUpstream::start();
    let path = "/v1/chat/completions";
    let hi = json!({"role": "user", "content": "hi"});
    let call = |id: &str| json!({"role": "assistant", "content": "", "tool_calls": [{"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}}]});
    let result = |id: &str| json!({"role": "tool", "tool_call_id": id, "content": "1"});
    let prefix = json!({"role": "assistant", "content": "so", "prefix": true});
    for (messages, rest, word) in [
        (json!([hi, call("abcDEF123"), result("abcDEF123")]), json!({}), ""),
        (json!([hi, call("call_1"), result("call_1")]), json!({}), "length of 9"),
        (json!([hi, call("abcDEF123"), result("abcDEF123"), hi]), json!({}), "'user' after role 'tool'"),
        (json!([hi, call("abcDEF123")]), json!({}), "last role"),
        (json!([hi, prefix]), json!({}), ""),
        (json!([{"role": "developer", "content": "x"}, hi]), json!({}), "developer"),
        (json!([hi]), json!({"tool_choice": "sometimes"}), "tool_choice"),
        (json!([hi]), json!({"temperature": 1.8}), "temperature"),
        (json!([hi]), json!({"seed": 1}), "seed"),
        (json!([hi]), json!({"service_tier": "auto"}), "service_tier"),
        (json!([hi]), json!({"stream_options": {}}), "stream_options"),
        (json!([{"role": "user", "content": "hi", "name": "ann"}]), json!({}), "name"),
    ] {
        let mut body = json!({"model": "mistral-large-latest", "messages": messages});
        body.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        let answer = post(&upstream, path, &body);
        assert_eq!(answer.status == 200, word.is_empty(), "{body}: {}", answer.text());
        assert!(answer.text().contains(word), "`{}` should name `{word}`", answer.text());
    }
}

#[test]
fn choices_and_numbers_are_held_to_what_there_is() {
    let upstream = FakeUpstream::start();
    let chat_tools = json!([{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}]);
    let own_tools =
        json!([{"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}}]);
    let claude_tools = json!([{"name": "f", "input_schema": {"type": "object"}}]);
    let (chats, responses, messages) = ("/v1/chat/completions", "/v1/responses", "/v1/messages");
    let named = |name: &str| json!({"type": "function", "function": {"name": name}});
    let list = json!({"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [named("f")]}});
    let flat = json!({"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]});
    for (path, model, tools, rest, word) in [
        (chats, "gpt-4o", &chat_tools, json!({"tool_choice": named("f")}), ""),
        (chats, "gpt-4o", &chat_tools, json!({"tool_choice": list}), ""),
        (chats, "gpt-4o", &chat_tools, json!({"tool_choice": named("g")}), "not found"),
        (chats, "gpt-4o", &chat_tools, json!({"tool_choice": "any"}), "tool_choice"),
        (
            chats,
            "gpt-4o",
            &chat_tools,
            json!({"tool_choice": {"type": "function", "name": "f"}}),
            "Tool choice",
        ),
        (chats, "gpt-4o", &chat_tools, json!({"tool_choice": {"type": "tool", "name": "f"}}), "tool_choice"),
        (chats, "gpt-4o", &Value::Null, json!({"tool_choice": "auto"}), "tool_choice"),
        (chats, "gpt-4o", &Value::Null, json!({"stop": ["1", "2", "3", "4", "5"]}), "stop"),
        (chats, "gpt-4o", &Value::Null, json!({"temperature": 2.5}), "temperature"),
        (chats, "gpt-4o", &Value::Null, json!({"top_p": "0.5"}), "top_p"),
        (chats, "qwen3", &chat_tools, json!({"tool_choice": "required"}), ""),
        (chats, "qwen3", &chat_tools, json!({"tool_choice": list}), "tool_choice"),
        (chats, "qwen3", &chat_tools, json!({"tool_choice": named("g")}), "tool"),
        (chats, "mistral-large-latest", &chat_tools, json!({"tool_choice": named("f")}), ""),
        (chats, "mistral-large-latest", &chat_tools, json!({"tool_choice": list}), "tool_choice"),
        (responses, "gpt-4o", &own_tools, json!({"tool_choice": flat}), ""),
        (responses, "gpt-4o", &own_tools, json!({"tool_choice": {"type": "function", "name": "f"}}), ""),
        (responses, "gpt-4o", &own_tools, json!({"tool_choice": named("f")}), "tools"),
        (responses, "gpt-4o", &own_tools, json!({"tool_choice": list}), "tool_choice"),
        (responses, "gpt-4o", &own_tools, json!({"tool_choice": {"type": "web_search"}}), "web_search"),
        (responses, "gpt-4o", &Value::Null, json!({"tool_choice": "required"}), "tool_choice"),
        (
            messages,
            "claude-sonnet-4-5",
            &claude_tools,
            json!({"tool_choice": {"type": "tool", "name": "f"}}),
            "",
        ),
        (
            messages,
            "claude-sonnet-4-5",
            &claude_tools,
            json!({"tool_choice": {"type": "tool", "name": "g"}}),
            "not found",
        ),
        (messages, "claude-sonnet-4-5", &claude_tools, json!({"tool_choice": "auto"}), "tool_choice"),
        (
            messages,
            "claude-sonnet-4-5",
            &Value::Null,
            json!({"tool_choice": {"type": "auto"}}),
            "tool_choice",
        ),
        (messages, "claude-sonnet-4-5", &Value::Null, json!({"temperature": 1.5}), "temperature"),
    ] {
        let mut body = match path {
            "/v1/responses" => json!({"model": model, "input": "hi"}),
            "/v1/messages" => {
                json!({"model": model, "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]})
            }
            _ => chat(model, "hi"),
        };
        let all = body.as_object_mut().unwrap();
        all.extend(rest.as_object().unwrap().clone());
        if !tools.is_null() {
            all.insert("tools".into(), tools.clone());
        }
        match word {
            "" => assert_eq!(post(&upstream, path, &body).status, 200, "{body}"),
            word => refused(&upstream, path, &body, word),
        }
    }
}

#[test]
fn a_version_is_demanded() {
    let upstream = FakeUpstream::start();
    let mut body = chat("c", "hi");
    body["max_tokens"] = json!(5);
    assert_eq!(post(&upstream, "/v1/messages", &body).status, 200);
    let bare = Request::post("/v1/messages", body.to_string()).send(&upstream.address(), LONG).unwrap();
    assert_eq!(bare.status, 400);
    assert!(bare.text().contains("anthropic-version"));
}

#[test]
fn models_that_reason_refuse_what_others_take() {
    let upstream = FakeUpstream::start();
    for (field, value) in [("max_tokens", json!(100)), ("temperature", json!(0.5)), ("top_p", json!(0.5))] {
        for (model, status) in [("gpt-5-mini", 400), ("o3", 400), ("gpt-4o", 200)] {
            let mut body = chat(model, "hi");
            body[field] = value.clone();
            assert_eq!(post(&upstream, "/v1/chat/completions", &body).status, status, "{model} {field}");
        }
    }
    let body = json!({"model": "gpt-5-mini", "input": "hi", "temperature": 0.5});
    refused(&upstream, "/v1/responses", &body, "temperature");
}

#[test]
fn openai_serves_its_models_in_some_of_its_formats() {
    let upstream = FakeUpstream::start();
    for (path, model, status) in [
        ("/v1/chat/completions", "gpt-5.3-codex", 404),
        ("/v1/chat/completions", "o1-pro", 404),
        ("/v1/chat/completions", "gpt-5", 200),
        ("/v1/completions", "gpt-4o-mini", 404),
        ("/v1/completions", "gpt-3.5-turbo-instruct", 200),
        ("/v1/completions", "davinci-002", 200),
    ] {
        let body = match path {
            "/v1/completions" => json!({"model": model, "prompt": "hi"}),
            _ => chat(model, "hi"),
        };
        assert_eq!(post(&upstream, path, &body).status, status, "{path} {model}");
    }
}

#[test]
fn later_claudes_refuse_what_earlier_ones_took() {
    let upstream = FakeUpstream::start();
    let begun = json!([{"role": "user", "content": "hi"}, {"role": "assistant", "content": "so"}]);
    let both = |body: &mut Value| {
        body["temperature"] = json!(0.2);
        body["top_p"] = json!(0.9);
    };
    for (model, begins, samples) in [
        ("claude-3-7-sonnet-latest", 200, 200),
        ("claude-sonnet-4-5", 200, 400),
        ("claude-opus-4-6", 400, 400),
    ] {
        let mut body = chat(model, "hi");
        body["max_tokens"] = json!(2000);
        let mut sampled = body.clone();
        both(&mut sampled);
        assert_eq!(post(&upstream, "/v1/messages", &sampled).status, samples, "{model}");
        body["messages"] = begun.clone();
        assert_eq!(post(&upstream, "/v1/messages", &body).status, begins, "{model}");
        body["thinking"] = json!({"type": "enabled", "budget_tokens": 1024});
        refused(&upstream, "/v1/messages", &body, "prefill");
    }
}

#[test]
fn calls_and_results_belong_together() {
    let upstream = FakeUpstream::start();
    let path = "/v1beta/models/gemini-2.5-flash:generateContent";
    let call = json!({"role": "model", "parts": [{"functionCall": {"name": "x", "args": {}}}]});
    let result =
        json!({"role": "user", "parts": [{"functionResponse": {"name": "x", "response": {"output": "1"}}}]});
    let hi = json!({"role": "user", "parts": [{"text": "hi"}]});
    assert_eq!(post(&upstream, path, &json!({"contents": [hi, call, result]})).status, 200);
    refused(&upstream, path, &json!({"contents": [hi, result]}), "function response");
    refused(&upstream, path, &json!({"contents": [hi, call]}), "function response");
    refused(&upstream, path, &json!({"contents": [hi, call, hi]}), "function response");
    let (call, result) = (
        json!({"type": "function_call", "call_id": "c1", "name": "x", "arguments": "{}"}),
        json!({"type": "function_call_output", "call_id": "c1", "output": "1"}),
    );
    refused(&upstream, "/v1/responses", &json!({"model": "r", "input": [call]}), "No tool output");
    refused(&upstream, "/v1/responses", &json!({"model": "r", "input": [result]}), "No tool call");
    let result =
        json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "1"}]});
    let body = json!({"model": "c", "max_tokens": 5, "messages": [result]});
    refused(&upstream, "/v1/messages", &body, "tool_use_id");
}

/// A first answer with a call, and the turn that goes on from it.
#[test]
fn a_changed_signature_is_refused() {
    let upstream = FakeUpstream::start();
    let tool = json!({"name": "x", "input_schema": {"type": "object", "properties": {}}});
    let mut body = json!({"model": "c", "max_tokens": 5000, "tools": [tool], "thinking": {"type": "enabled", "budget_tokens": 1024},
        "messages": [{"role": "user", "content": "go"}]});
    let turn = post(&upstream, "/v1/messages", &body).json()["content"].clone();
    let result = json!([{"type": "tool_result", "tool_use_id": turn[1]["id"], "content": "1"}]);
    body["messages"] = json!([body["messages"][0], {"role": "assistant", "content": turn}, {"role": "user", "content": result}]);
    assert_eq!(post(&upstream, "/v1/messages", &body).status, 200);
    for (pointer, value) in [
        ("/messages/1/content/0/signature", "AAAA"),
        ("/messages/1/content/0/thinking", "I never thought so"),
    ] {
        let mut changed = body.clone();
        *changed.pointer_mut(pointer).unwrap() = json!(value);
        refused(&upstream, "/v1/messages", &changed, "signature");
    }
    let mut without = body.clone();
    without["messages"][1]["content"].as_array_mut().unwrap().remove(0);
    refused(&upstream, "/v1/messages", &without, "thinking");

    let path = "/v1beta/models/gemini-3-pro:generateContent";
    let declared = json!([{"functionDeclarations": [{"name": "x", "parametersJsonSchema": {"type": "object", "properties": {"q": {"type": "string"}}}}]}]);
    let asked = json!({"role": "user", "parts": [{"text": "go"}]});
    let turn = post(&upstream, path, &json!({"contents": [asked], "tools": declared})).json();
    let turn = turn["candidates"][0]["content"].clone();
    let result =
        json!({"role": "user", "parts": [{"functionResponse": {"name": "x", "response": {"output": "1"}}}]});
    let body = json!({"contents": [asked, turn, result]});
    assert_eq!(post(&upstream, path, &body).status, 200);
    for (pointer, value) in
        [("/thoughtSignature", json!("AAAA")), ("/functionCall/args", json!({"q": "stop"}))]
    {
        let mut changed = body.clone();
        *changed.pointer_mut(&format!("/contents/1/parts/0{pointer}")).unwrap() = value;
        refused(&upstream, path, &changed, "thought_signature");
    }

    let thought = |sealed: &str| {
        json!({"model": "r", "input": [{"role": "user", "content": "go"},
            {"type": "reasoning", "summary": [], "encrypted_content": sealed}, {"role": "assistant", "content": "ok"}]})
    };
    let asked = json!({"model": "r", "input": "go", "reasoning": {"effort": "low"}, "include": ["reasoning.encrypted_content"]});
    let answer = post(&upstream, "/v1/responses", &asked).json();
    let sealed = answer["output"][0]["encrypted_content"].as_str().unwrap().to_owned();
    assert_eq!(post(&upstream, "/v1/responses", &thought(&sealed)).status, 200);
    refused(
        &upstream,
        "/v1/responses",
        &thought(&sealed.replace("-fake:0", "-fake:1")),
        "could not be verified",
    );
}

#[test]
fn breaks_off_on_demand() {
    let upstream = FakeUpstream::start();
    let cut = post(&upstream, "/v1/chat/completions", &chat_stream("m--cut-3", "a b c d"));
    assert!(cut.broken && cut.events().len() == 3);
    let cut = post(&upstream, "/v1/chat/completions", &chat("m--cut-bytes-10", "a b c d"));
    assert!(cut.broken && cut.body.len() == 10);
    let told = post(&upstream, "/v1/chat/completions", &chat_stream("m--error-2", "a b c d"));
    assert!(told.broken && told.events()[2].starts_with(r#"{"error""#));
    assert_eq!(upstream.requests()[0].outcome, Outcome::Cut);
}

#[test]
fn pauses_and_hangs_on_demand() {
    let upstream = FakeUpstream::start();
    let slow = post(&upstream, "/v1/chat/completions", &chat("m--delay-150", "a"));
    assert!(slow.first.unwrap() >= Duration::from_millis(150));
    let request = Request::post("/v1/chat/completions", chat("m--hang", "a").to_string());
    assert!(request.send(&upstream.address(), Duration::from_millis(200)).is_err());
    // The record turns to aborted as soon as the upstream sees the close.
    for _ in 0..100 {
        if upstream.requests()[1].outcome == Outcome::Aborted {
            return;
        }
        sleep(Duration::from_millis(20));
    }
    panic!("the hang did not end with its caller");
}

#[test]
fn a_script_is_served_in_order_and_once() {
    let upstream = FakeUpstream::start();
    let steps = json!([{"status": 503, "headers": {"retry-after": "1"}}, {"like": "html"}, {"model": "other", "status": 418}]);
    let pushed =
        Request::post("/_control/script", steps.to_string()).send(&upstream.address(), LONG).unwrap();
    assert_eq!(pushed.status, 200);
    let first = post(&upstream, "/v1/chat/completions", &chat("m", "a"));
    assert_eq!((first.status, first.head.get("retry-after")), (503, Some("1")));
    let second = post(&upstream, "/v1/chat/completions", &chat("m", "a"));
    assert_eq!((second.status, second.head.get("content-type")), (200, Some("text/html")));
    assert_eq!(post(&upstream, "/v1/chat/completions", &chat("m", "a")).status, 200);
    assert_eq!(post(&upstream, "/v1/chat/completions", &chat("other", "a")).status, 418);
    let seen = Request::new("GET", "/_control/requests").send(&upstream.address(), LONG).unwrap().json();
    assert_eq!(seen["requests"].as_array().unwrap().len(), 4);
}

#[test]
fn usage_is_wrong_on_demand() {
    let upstream = FakeUpstream::start();
    upstream.push(Step::from_json(&json!({"usage": "negative"})).unwrap());
    let answer = post(&upstream, "/v1/chat/completions", &chat("m", "a")).json();
    assert!(answer["usage"]["prompt_tokens"].as_i64().unwrap() < 0);
    assert!(
        post(&upstream, "/v1/chat/completions", &chat("m--usage-missing", "a")).json()["usage"].is_null()
    );
    let cached =
        json!({"model": "c--cached-7", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]});
    assert_eq!(post(&upstream, "/v1/messages", &cached).json()["usage"]["cache_read_input_tokens"], 7);
}

#[test]
fn embeddings_depend_on_the_words() {
    let upstream = FakeUpstream::start();
    let answer =
        post(&upstream, "/v1/embeddings", &json!({"model": "e", "input": ["a", "b c"], "dimensions": 4}))
            .json();
    assert_eq!(answer["usage"]["prompt_tokens"], 3);
    assert_ne!(answer["data"][0]["embedding"], answer["data"][1]["embedding"]);
    assert_eq!(answer["data"][0]["embedding"].as_array().unwrap().len(), 4);
}
