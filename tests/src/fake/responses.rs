//! The OpenAI responses format, as strict as the real service: what it doesn't know it refuses.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::answer::{Answer, Ask, Finish, Tool, word_count};
use super::behaviour::{Behaviour, UsageFault};
use super::deliver::Reply;
use super::openai::{error, faulty};
use super::{choice, hosted, strict};

/// When every answer was made, in s since 1970.
const CREATED: u64 = 1_760_000_000;
/// What stands before a thought that this upstream has encrypted.
const SEAL: &str = "gAAAA-fake:";
/// Every parameter that is known.
const KNOWN: &[&str] = &[
    "model",
    "input",
    "instructions",
    "previous_response_id",
    "store",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "max_output_tokens",
    "max_tool_calls",
    "reasoning",
    "text",
    "include",
    "truncation",
    "service_tier",
    "temperature",
    "top_p",
    "top_logprobs",
    "metadata",
    "prompt_cache_key",
    "prompt_cache_retention",
    "safety_identifier",
    "user",
    "stream",
    "stream_options",
];

/// What a count is asked with, and a compaction.
const COUNTED: &[&str] = &[
    "model",
    "input",
    "instructions",
    "previous_response_id",
    "conversation",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "reasoning",
    "text",
    "truncation",
];
const COMPACTED: &[&str] = &[
    "model",
    "input",
    "instructions",
    "previous_response_id",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "service_tier",
];
/// What each count has beside its words.
pub(super) const COUNT_BASE: u64 = 7;

/// What models refuse that reason.
const NOT_WITH_REASONING: &[&str] = &["temperature", "top_p", "top_logprobs"];

/// The conversations that are stored, by the id of their last response.
pub(super) type Stored = HashMap<String, Vec<Value>>;

/// A response, whole or as a stream.
pub(super) fn responses(body: &Value, behaviour: &Behaviour, serial: u64, stored: &mut Stored) -> Reply {
    let (ask, mut items) = match read(body, stored) {
        Ok(read) => read,
        Err(message) => return error(400, &message),
    };
    let answer = ask.answer(behaviour.pad);
    let id = format!("resp_fake{serial}");
    let output = output(body, &answer, serial);
    if body["store"] != false {
        items.extend(output.iter().cloned());
        stored.insert(id.clone(), items);
    }
    let response = |status: &str, output: &[Value], usage: Option<Value>| {
        let cut = status == "incomplete";
        json!({
            "id": id, "object": "response", "created_at": CREATED, "status": status, "error": null,
            "incomplete_details": cut.then(|| json!({"reason": "max_output_tokens"})), "model": ask.model,
            "instructions": body["instructions"], "output": output, "parallel_tool_calls": true,
            "previous_response_id": body["previous_response_id"], "metadata": {}, "tool_choice": "auto",
            "tools": [], "temperature": 1.0, "top_p": 1.0, "service_tier": "default",
            "store": body["store"] != false, "text": {"format": {"type": "text"}}, "usage": usage,
        })
    };
    let status = if answer.finish == Finish::Length { "incomplete" } else { "completed" };
    let end = response(status, &output, usage(&answer, behaviour));
    if !ask.stream || behaviour.plain_json {
        return Reply::json(200, &end);
    }
    let begun = response("in_progress", &[], None);
    let frames = stream(&answer, &output, &begun, &end, status);
    let number = frames.len();
    let fault = json!({"type": "error", "code": "server_error", "message": "the server had an error while answering", "param": null, "sequence_number": number});
    Reply::stream(frames, format!("event: error\ndata: {fault}\n\n").into_bytes())
}

/// How many input tokens a response would have.
pub(super) fn input_tokens(body: &Value, stored: &Stored) -> Reply {
    match known_alone(body, COUNTED).and_then(|()| read(body, stored)) {
        Ok((ask, _)) => {
            let counted = json!({"object": "response.input_tokens", "input_tokens": COUNT_BASE + ask.words});
            Reply::json(200, &counted)
        }
        Err(message) => error(400, &message),
    }
}

/// What users said, and everything else in one item that only this upstream can read.
pub(super) fn compact(body: &Value, behaviour: &Behaviour, serial: u64, stored: &Stored) -> Reply {
    let read = known_alone(body, COMPACTED).and_then(|()| read(body, stored));
    let (ask, items) = match read {
        Ok(read) => read,
        Err(message) => return error(400, &message),
    };
    let mut output: Vec<Value> = items.into_iter().filter(|item| item["role"] == "user").collect();
    let seal = format!("{SEAL}{}", strict::seal(serial, SEAL));
    output.push(json!({"id": format!("cmp_fake{serial}"), "type": "compaction", "encrypted_content": seal}));
    let answer = Answer { input: COUNT_BASE + ask.words, output: 20, ..ask.answer(0) };
    Reply::json(
        200,
        &json!({
            "id": format!("resp_fake{serial}"), "object": "response.compaction", "created_at": CREATED,
            "output": output, "usage": usage(&answer, behaviour),
        }),
    )
}

fn known_alone(body: &Value, known: &[&str]) -> Result<(), String> {
    let unknown = strict::unknown(body, known);
    unknown.map_or(Ok(()), |unknown| Err(format!("Unknown parameter: '{unknown}'.")))
}

/// The item that is stored, for a reference to it.
fn whole_item(item: &Value, stored: &Stored) -> Result<Value, String> {
    if item["type"] != "item_reference" {
        return Ok(item.clone());
    }
    let found = stored.values().flatten().find(|known| known["id"] == item["id"]);
    found.cloned().ok_or(format!("Item with id '{}' not found.", item["id"].as_str().unwrap_or_default()))
}

/// Reads the request; with it the items of the whole conversation.
fn read(body: &Value, stored: &Stored) -> Result<(Ask, Vec<Value>), String> {
    let fields = body.as_object().ok_or("no object")?;
    if let Some(unknown) = fields.keys().find(|name| !KNOWN.contains(&name.as_str())) {
        return Err(format!("Unknown parameter: '{unknown}'."));
    }
    if strict::reasons(body["model"].as_str().unwrap_or(""))
        && let Some(field) = strict::refused_by_reasoning(body, NOT_WITH_REASONING)
    {
        return Err(format!("Unsupported parameter: '{field}' is not supported with this model."));
    }
    choice::responses(body)?;
    choice::ranges(body, &[("temperature", 0.0, 2.0), ("top_p", 0.0, 1.0), ("top_logprobs", 0.0, 20.0)])?;
    super::openai::holds(&body["text"]["format"], "schema")?;
    if body["text"]["format"]["type"] == "json_object" && !strict::says_json(&body["input"]) {
        return Err("Response input messages must contain the word 'json' in some form to use 'text.format' of type 'json_object'.".into());
    }
    let mut items = match body["previous_response_id"].as_str() {
        None => Vec::new(),
        Some(previous) => stored
            .get(previous)
            .cloned()
            .ok_or(format!("Previous response with id '{previous}' not found."))?,
    };
    match &body["input"] {
        Value::String(text) => items.push(json!({"role": "user", "content": text})),
        Value::Array(list) => {
            for item in list {
                items.push(whole_item(item, stored)?);
            }
        }
        Value::Null if !body["previous_response_id"].is_null() => {}
        _ => return Err("Missing required parameter: 'input'.".into()),
    }
    let mut ask = Ask {
        model: body["model"].as_str().ok_or("you must provide a model parameter")?.to_owned(),
        stream: body["stream"] == true,
        messages: items.len() as u64,
        one_call: body["parallel_tool_calls"] == false,
        as_json: body.pointer("/text/format/type").is_some_and(|kind| kind != "text"),
        max_output: body["max_output_tokens"].as_u64(),
        reasoning: body.pointer("/reasoning/effort").and_then(Value::as_str).is_some_and(|e| e != "none"),
        words: word_count(body["instructions"].as_str().unwrap_or("")),
        ..Ask::default()
    };
    if ask.max_output.is_some_and(|max| max < 16) {
        return Err("Invalid 'max_output_tokens': integer below minimum value.".into());
    }
    let mut calls: Vec<(String, bool)> = Vec::new();
    for (at, item) in items.iter().enumerate() {
        let text = self::item(item, at, items.get(at + 1), &mut calls)?;
        ask.words += word_count(&text);
        let kind = item["type"].as_str().unwrap_or("message");
        match (kind, item["role"].as_str()) {
            ("message", Some("user")) => (ask.text, ask.results) = (text, Vec::new()),
            ("function_call_output" | "custom_tool_call_output", _) => ask.results.push(text),
            ("message", Some("assistant")) | ("function_call", _) => ask.results.clear(),
            _ => {}
        }
    }
    if let Some((open, _)) = calls.iter().find(|(_, answered)| !answered) {
        return Err(format!("No tool output found for function call {open}."));
    }
    if body["tool_choice"] != "none" {
        for (at, tool) in body["tools"].as_array().map_or(&[][..], Vec::as_slice).iter().enumerate() {
            if let Some(own) = hosted::responses(tool, at) {
                own?;
                continue;
            }
            let name =
                tool["name"].as_str().ok_or(format!("Missing required parameter: 'tools[{at}].name'."))?;
            let known = ["type", "name", "description", "parameters", "strict", "format"];
            if let Some(unknown) = strict::unknown(tool, &known) {
                return Err(format!("Unknown parameter: 'tools[{at}].{unknown}'."));
            }
            match tool["type"].as_str() {
                Some("function") => {
                    strict::takes_object(name, &tool["parameters"])?;
                    super::openai::holds(tool, "parameters")?;
                    ask.tools.push(Tool { name: name.into(), schema: tool["parameters"].clone() })
                }
                Some("custom") => ask.tools.push(Tool { name: name.into(), schema: json!("custom") }),
                kind => return Err(format!("Invalid value: {kind:?} in 'tools[{at}].type'.")),
            }
        }
    }
    ask.demanded = body.pointer("/tool_choice/name").and_then(Value::as_str).map(str::to_owned);
    Ok((ask, items))
}

/// An item's text; refuses what the real service refuses.
fn item(
    item: &Value,
    at: usize,
    next: Option<&Value>,
    calls: &mut Vec<(String, bool)>,
) -> Result<String, String> {
    let kind = item["type"].as_str().unwrap_or("message");
    let prefix = match kind {
        "message" => "msg",
        "reasoning" => "rs",
        "function_call" => "fc",
        "custom_tool_call" => "ctc",
        "function_call_output" | "custom_tool_call_output" => "",
        "web_search_call" => "ws",
        "compaction" => "cmp",
        other => return Err(format!("Invalid value: '{other}' in 'input[{at}].type'.")),
    };
    let known: &[&str] = match kind {
        "message" => &["type", "role", "content", "id", "status", "phase"],
        "reasoning" => &["type", "id", "summary", "content", "encrypted_content", "status"],
        "function_call" => &["type", "id", "call_id", "name", "arguments", "status"],
        "custom_tool_call" => &["type", "id", "call_id", "name", "input", "status"],
        "web_search_call" => &["type", "id", "action", "status"],
        "compaction" => &["type", "id", "encrypted_content"],
        _ => &["type", "id", "call_id", "output", "status"],
    };
    if let Some(unknown) = strict::unknown(item, known) {
        return Err(format!("Unknown parameter: 'input[{at}].{unknown}'."));
    }
    if let Some(id) = item["id"].as_str()
        && !id.starts_with(prefix)
    {
        return Err(format!("Invalid 'input[{at}].id': '{id}'. Expected an ID that begins with '{prefix}'."));
    }
    let call = || {
        item["call_id"].as_str().filter(|id| id.len() <= 64).ok_or(format!("Invalid 'input[{at}].call_id'."))
    };
    match kind {
        "message" => content(&item["content"], item["role"] == "assistant", at),
        "compaction" => verified(&item["encrypted_content"], at).map(|()| String::new()),
        "reasoning" => {
            if !item["encrypted_content"].is_null() {
                verified(&item["encrypted_content"], at)?;
            }
            let follows = next.is_some_and(|next| {
                matches!(
                    next["type"].as_str().unwrap_or("message"),
                    "function_call" | "custom_tool_call" | "web_search_call" | "message" | "reasoning"
                ) && next["role"] != "user"
            });
            if !follows {
                return Err(format!(
                    "Item 'input[{at}]' of type 'reasoning' was provided without its required following item."
                ));
            }
            Ok(String::new())
        }
        "function_call" => {
            let arguments = item["arguments"].as_str().ok_or(format!("Missing 'input[{at}].arguments'."))?;
            serde_json::from_str::<Value>(arguments).map_err(|_| "arguments of a call are no JSON")?;
            calls.push((call()?.to_owned(), false));
            Ok(String::new())
        }
        "web_search_call" => Ok(String::new()),
        "custom_tool_call" => {
            item["input"].as_str().ok_or(format!("Missing 'input[{at}].input'."))?;
            calls.push((call()?.to_owned(), false));
            Ok(String::new())
        }
        _ => {
            let id = call()?;
            let open = calls.iter_mut().find(|(open, answered)| open == id && !answered);
            open.ok_or(format!("No tool call found for function call output with call_id {id}."))?.1 = true;
            content(&item["output"], false, at)
        }
    }
}

/// Whether this upstream has sealed it.
fn verified(sealed: &Value, at: usize) -> Result<(), String> {
    let seal = sealed.as_str().and_then(|data| data.strip_prefix(SEAL));
    match seal.is_some_and(|seal| strict::genuine(seal, SEAL)) {
        true => Ok(()),
        false => Err(format!("The encrypted content in 'input[{at}]' could not be verified.")),
    }
}

fn content(value: &Value, spoken: bool, at: usize) -> Result<String, String> {
    let known: &[&str] = if spoken {
        &["output_text", "refusal"]
    } else {
        &["input_text", "input_image", "input_file", "input_audio"]
    };
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Array(parts) => {
            let odd =
                parts.iter().find(|part| !part["type"].as_str().is_some_and(|kind| known.contains(&kind)));
            match odd {
                Some(odd) => Err(format!("Invalid value: {} in 'input[{at}].content'.", odd["type"])),
                None => Ok(parts.iter().filter_map(|p| p["text"].as_str()).collect::<Vec<_>>().join(" ")),
            }
        }
        _ => Err(format!("Invalid type for 'input[{at}].content'.")),
    }
}

fn output(body: &Value, answer: &Answer, serial: u64) -> Vec<Value> {
    let mut items = Vec::new();
    if let Some(thought) = &answer.thought {
        let mut item = json!({"id": format!("rs_fake{serial}"), "type": "reasoning", "summary": []});
        if !body.pointer("/reasoning/summary").is_none_or(Value::is_null) {
            item["summary"] = json!([{"type": "summary_text", "text": thought}]);
        }
        let wanted = body["include"]
            .as_array()
            .is_some_and(|list| list.contains(&json!("reasoning.encrypted_content")));
        if wanted {
            item["encrypted_content"] = json!(format!("{SEAL}{}", strict::seal(serial, SEAL)));
        }
        items.push(item);
    }
    if answer.calls.is_empty() {
        let status = if answer.finish == Finish::Length { "incomplete" } else { "completed" };
        items.push(json!({
            "id": format!("msg_fake{serial}"), "type": "message", "status": status, "role": "assistant",
            "content": [{"type": "output_text", "text": answer.text, "annotations": [], "logprobs": []}],
        }));
    }
    let custom = |name: &str| {
        let tools = body["tools"].as_array().map_or(&[][..], Vec::as_slice);
        tools.iter().any(|tool| tool["name"] == name && tool["type"] == "custom")
    };
    for (n, call) in answer.calls.iter().enumerate() {
        let call_id = format!("call_fake{serial}_{n}");
        items.push(if custom(&call.name) {
            json!({"id": format!("ctc_fake{serial}_{n}"), "type": "custom_tool_call", "status": "completed", "call_id": call_id, "name": call.name, "input": "*** Begin\n+x"})
        } else {
            json!({"id": format!("fc_fake{serial}_{n}"), "type": "function_call", "status": "completed", "call_id": call_id, "name": call.name, "arguments": call.arguments})
        });
    }
    items
}

fn stream(answer: &Answer, output: &[Value], begun: &Value, end: &Value, status: &str) -> Vec<Vec<u8>> {
    let mut frames: Vec<Vec<u8>> = Vec::new();
    let mut say = |kind: &str, fields: Value| {
        let mut event = json!({"type": kind, "sequence_number": frames.len()});
        for (name, value) in fields.as_object().into_iter().flatten() {
            event[name] = value.clone();
        }
        frames.push(format!("event: {kind}\ndata: {event}\n\n").into_bytes());
    };
    say("response.created", json!({ "response": begun }));
    say("response.in_progress", json!({ "response": begun }));
    for (at, item) in output.iter().enumerate() {
        let id = &item["id"];
        let mut open = item.clone();
        for (name, empty) in
            [("content", json!([])), ("summary", json!([])), ("arguments", json!("")), ("input", json!(""))]
        {
            if !open[name].is_null() {
                open[name] = empty;
            }
        }
        say("response.output_item.added", json!({"output_index": at, "item": open}));
        match item["type"].as_str() {
            Some("reasoning") if item["summary"] != json!([]) => {
                let thought = answer.thought.as_deref().unwrap_or("");
                let part = json!({"type": "summary_text", "text": thought});
                say(
                    "response.reasoning_summary_part.added",
                    json!({"item_id": id, "output_index": at, "summary_index": 0, "part": {"type": "summary_text", "text": ""}}),
                );
                for piece in Answer::pieces(thought) {
                    say(
                        "response.reasoning_summary_text.delta",
                        json!({"item_id": id, "output_index": at, "summary_index": 0, "delta": piece}),
                    );
                }
                say(
                    "response.reasoning_summary_text.done",
                    json!({"item_id": id, "output_index": at, "summary_index": 0, "text": thought}),
                );
                say(
                    "response.reasoning_summary_part.done",
                    json!({"item_id": id, "output_index": at, "summary_index": 0, "part": part}),
                );
            }
            Some("message") => {
                let empty = json!({"type": "output_text", "text": "", "annotations": [], "logprobs": []});
                say(
                    "response.content_part.added",
                    json!({"item_id": id, "output_index": at, "content_index": 0, "part": empty}),
                );
                for piece in Answer::pieces(&answer.text) {
                    say(
                        "response.output_text.delta",
                        json!({"item_id": id, "output_index": at, "content_index": 0, "delta": piece, "logprobs": []}),
                    );
                }
                say(
                    "response.output_text.done",
                    json!({"item_id": id, "output_index": at, "content_index": 0, "text": answer.text, "logprobs": []}),
                );
                say(
                    "response.content_part.done",
                    json!({"item_id": id, "output_index": at, "content_index": 0, "part": item["content"][0]}),
                );
            }
            Some(kind @ ("function_call" | "custom_tool_call")) => {
                let (name, field) = if kind == "function_call" {
                    ("function_call_arguments", "arguments")
                } else {
                    ("custom_tool_call_input", "input")
                };
                let given = item[field].as_str().unwrap_or("");
                for piece in Answer::fragments(given) {
                    say(
                        &format!("response.{name}.delta"),
                        json!({"item_id": id, "output_index": at, "delta": piece}),
                    );
                }
                let mut done = json!({"item_id": id, "output_index": at});
                done[field] = json!(given);
                say(&format!("response.{name}.done"), done);
            }
            _ => {}
        }
        say("response.output_item.done", json!({"output_index": at, "item": item}));
    }
    say(&format!("response.{status}"), json!({ "response": end }));
    frames
}

fn usage(answer: &Answer, behaviour: &Behaviour) -> Option<Value> {
    if behaviour.usage == UsageFault::Missing {
        return None;
    }
    let (input, output) = faulty(behaviour.usage, answer.input + behaviour.cached, answer.output);
    Some(json!({
        "input_tokens": input, "input_tokens_details": {"cached_tokens": behaviour.cached},
        "output_tokens": output, "output_tokens_details": {"reasoning_tokens": answer.thinking},
        "total_tokens": input + output,
    }))
}
