//! Requests keep their meaning from format to format.

use std::collections::HashMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::ir::{Block, OutputFormat, Role, Source as Media, ToolKind};
use crate::{Addressed, scan_addressed};

/// The formats that have callers, each with a model that takes what is asked here.
const ALL: [(Format, &str); 4] = [
    (Format::OpenaiChat, "gpt-4o-mini"),
    (Format::OpenaiResponses, "gpt-4o-mini"),
    (Format::AnthropicMessages, "claude-sonnet-4-5"),
    (Format::GeminiGenerate, "gemini-3-pro-preview"),
];

fn text() -> impl Strategy<Value = String> {
    "[a-zé\"\\\\\n ]{0,6}[a-z]"
}

/// A turn of the user's, and the assistant's that follows, with results of what it calls.
fn exchange() -> impl Strategy<Value = Vec<Value>> {
    let picture = prop_oneof![
        Just("https://x.test/a.png".to_owned()),
        Just("data:image/png;base64,iVBORw0KGgoAAAA".to_owned()),
    ];
    let asked = (text(), proptest::option::of(picture)).prop_map(|(said, picture)| match picture {
        None => json!({"role": "user", "content": said}),
        Some(url) => json!({"role": "user", "content": [
            {"type": "text", "text": said}, {"type": "image_url", "image_url": {"url": url}},
        ]}),
    });
    let call = (prop_oneof![Just("look"), Just("wait")], proptest::option::of(text()), text());
    let calls = proptest::collection::vec(call, 0..3);
    (asked, proptest::option::of(text()), calls).prop_map(|(asked, said, calls)| {
        let args = |given: &Option<String>| given.as_ref().map_or(json!({}), |at| json!({"at": at, "n": 12}));
        let made = |(n, (name, given, _)): (usize, &(&str, Option<String>, String))| {
            json!({"id": format!("call_{n}"), "type": "function",
                "function": {"name": name, "arguments": args(given).to_string()}})
        };
        let mut turns = vec![asked];
        if !calls.is_empty() {
            let made: Vec<Value> = calls.iter().enumerate().map(made).collect();
            turns.push(json!({"role": "assistant", "content": said, "tool_calls": made}));
            for (n, (_, _, result)) in calls.iter().enumerate() {
                turns.push(json!({"role": "tool", "tool_call_id": format!("call_{n}"), "content": result}));
            }
        } else if let Some(said) = said {
            turns.push(json!({"role": "assistant", "content": said}));
        }
        turns
    })
}

fn body() -> impl Strategy<Value = Value> {
    let schema = json!({"type": "object", "properties": {"at": {"type": "string"}}, "required": ["at"], "additionalProperties": false});
    let tools = json!([
        {"type": "function", "function": {"name": "look", "description": "Looks.", "parameters": schema}},
        {"type": "function", "function": {"name": "wait", "description": "Waits.", "parameters": {"type": "object"}}},
    ]);
    let choice = prop_oneof![
        Just(Value::Null),
        Just(json!("auto")),
        Just(json!("none")),
        Just(json!("required")),
        Just(json!({"type": "function", "function": {"name": "wait"}})),
    ];
    let form = prop_oneof![
        Just(Value::Null),
        Just(
            json!({"type": "json_schema", "json_schema": {"name": "response", "strict": true, "schema": schema}})
        ),
    ];
    let exchanges = proptest::collection::vec(exchange(), 0..4);
    let rest = (
        proptest::option::of(text()),
        choice,
        form,
        proptest::option::of(16u64..9_000),
        proptest::option::of(prop_oneof![Just(0.5), Just(1.0), Just(0.0)]),
        proptest::collection::vec(text(), 0..3),
    );
    (exchanges, text(), any::<bool>(), rest).prop_map(
        move |(exchanges, last, stream, (system, choice, form, most, temperature, stops))| {
            let mut messages: Vec<Value> =
                system.map(|said| json!({"role": "system", "content": said})).into_iter().collect();
            messages.extend(exchanges.into_iter().flatten());
            messages.push(json!({"role": "user", "content": last}));
            let mut body = json!({"model": "m", "messages": messages, "tools": tools, "stream": stream});
            for (name, value) in [
                ("tool_choice", choice),
                ("response_format", form),
                ("max_tokens", json!(most)),
                ("temperature", json!(temperature)),
                ("stop", json!(stops)),
            ] {
                if !value.is_null() {
                    body[name] = value;
                }
            }
            body
        },
    )
}

fn read(format: Format, body: &str) -> Request {
    let (v, losses) = (Val::trusted(body), &mut Losses::default());
    match format {
        Format::AnthropicMessages => anthropic::request(v, &[], losses),
        Format::GeminiGenerate => gemini::request(v, &[], losses),
        Format::OpenaiResponses => openai_responses::request(v, &[], losses),
        _ => openai_chat::request(v, &[], losses),
    }
    .unwrap()
}

fn parsed(json: &str) -> Value {
    serde_json::from_str(json).unwrap()
}

/// What a request says, however it is put: calls by their number, neighbouring texts as one.
fn meaning(request: &Request) -> Value {
    let mut calls: HashMap<&str, usize> = HashMap::new();
    let mut count = 0;
    let mut turns = Vec::new();
    for turn in &request.messages {
        let mut said: Vec<Value> = Vec::new();
        for block in &turn.blocks {
            let piece = match block {
                Block::Text { text, .. } => match said.last_mut().and_then(|last| last.get_mut("text")) {
                    Some(Value::String(before)) => {
                        before.push_str(text);
                        continue;
                    }
                    _ => json!({"text": text}),
                },
                Block::Image { source: Media::Base64 { data, .. }, .. } => json!({"image": data}),
                Block::Image { source: Media::Url(url), .. } => json!({"image": url}),
                Block::ToolUse { id, name, kind: ToolKind::Function, input, .. } => {
                    // An id may be that of a call in another turn.
                    let number = count;
                    count += 1;
                    calls.insert(id, number);
                    json!({"call": number, "name": name, "input": parsed(input)})
                }
                Block::ToolResult { id, content, is_error: false, .. } => {
                    let text = content.iter().map(|block| match block {
                        Block::Text { text, .. } => text.as_str(),
                        other => panic!("unexpected {other:?}"),
                    });
                    json!({"result": calls[id.as_str()], "said": text.collect::<String>()})
                }
                // What a foreign call is signed with for Google.
                Block::Thinking { text, .. } if text.is_empty() => continue,
                other => panic!("unexpected {other:?}"),
            };
            said.push(piece);
        }
        turns.push(json!({"assistant": turn.role == Role::Assistant, "said": said}));
    }
    let tools = request.tools.iter().map(|tool| {
        let schema = tool.schema.as_deref().map_or(json!({"type": "object"}), parsed);
        let mut schema = schema.as_object().unwrap().clone();
        schema.entry("properties").or_insert(json!({}));
        json!({"name": tool.name, "for": tool.description, "takes": schema})
    });
    let choice = request.tool_choice.clone().unwrap_or(ToolChoice::Auto);
    let form = match &request.format {
        OutputFormat::JsonSchema { schema, .. } => parsed(schema),
        _ => Value::Null,
    };
    let system: Vec<&str> = request.system.iter().map(|said| said.text.as_str()).collect();
    json!({
        "system": system.join("\n\n"), "turns": turns, "tools": tools.collect::<Vec<_>>(), "choice": format!("{choice:?}"),
        "form": form, "most": request.max_output,
        "temperature": request.temperature.as_deref().map(|t| t.parse::<f64>().unwrap()), "stops": request.stop,
    })
}

/// The body in another format, as the model of that format is sent it.
fn put(from: Format, body: &str, (to, model): (Format, &str), stream: bool) -> String {
    let at = Some(Addressed { model: "m", stream });
    let scanned = scan_addressed(from, &Bytes::from(body.to_owned()), at).unwrap();
    let edits = Edits { model: Some(model), ..Edits::default() };
    String::from_utf8(scanned.prepare(&edits, to).unwrap().body.to_vec()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn a_request_means_the_same_in_every_format(body in body()) {
        let stream = body["stream"] == true;
        let body = body.to_string();
        let asked = meaning(&read(Format::OpenaiChat, &body));
        // What a format has no place for is out on the way through it.
        let lacks = |through: &[Format], mut said: Value| {
            if through.contains(&Format::OpenaiResponses) {
                said["stops"] = json!([]);
            }
            // It must be told a ceiling.
            if through.contains(&Format::AnthropicMessages) && said["most"].is_null() {
                said["most"] = json!(DEFAULT_MAX_OUTPUT);
            }
            said
        };
        for first in ALL.into_iter().skip(1) {
            let once = put(Format::OpenaiChat, &body, first, stream);
            let said = meaning(&read(first.0, &once));
            prop_assert_eq!(&said, &lacks(&[first.0], asked.clone()), "to {:?}: {}", first.0, once);
            for second in ALL.into_iter().filter(|second| second.0 != first.0) {
                let twice = put(first.0, &once, second, stream);
                let said = meaning(&read(second.0, &twice));
                let want = lacks(&[first.0, second.0], asked.clone());
                prop_assert_eq!(&said, &want, "{:?} to {:?}: {}", first.0, second.0, twice);
            }
        }
    }
}

#[test]
fn results_of_many_calls_of_a_turn_are_told_apart_in_time() {
    const CALLS: usize = 20_000;
    let call = json!({"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}});
    let result = json!({"role": "function", "name": "f", "content": "r"});
    let turns = std::iter::repeat_n(call, CALLS).chain(std::iter::repeat_n(result, CALLS));
    let messages: Vec<Value> =
        std::iter::once(json!({"role": "user", "content": "hi"})).chain(turns).collect();
    let body = json!({"messages": messages}).to_string();
    let mut losses = Losses::default();
    let request = openai_chat::request(Val::trusted(&body), &[], &mut losses).unwrap();
    let [_, called, answered] = request.messages.as_slice() else { panic!("three turns") };
    let calls = called.blocks.iter().map(|block| match block {
        Block::ToolUse { id, .. } => id,
        _ => panic!("a call"),
    });
    let results = answered.blocks.iter().map(|block| match block {
        Block::ToolResult { id, .. } => id,
        _ => panic!("a result"),
    });
    assert!(calls.eq(results), "each has its own");
}
