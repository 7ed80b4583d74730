//! Cohere's chat, version 2. It refuses names it doesn't know, ranges it doesn't take, and results without their calls.

use serde_json::{Value, json};

use super::answer::{Answer, Ask, Finish, Tool, word_count};
use super::behaviour::{Behaviour, UsageFault};
use super::deliver::Reply;
use super::openai::faulty;
use super::strict;

const KNOWN: &[&str] = &[
    "model",
    "messages",
    "stream",
    "tools",
    "strict_tools",
    "tool_choice",
    "documents",
    "citation_options",
    "response_format",
    "safety_mode",
    "max_tokens",
    "stop_sequences",
    "temperature",
    "seed",
    "frequency_penalty",
    "presence_penalty",
    "k",
    "p",
    "logprobs",
    "thinking",
    "priority",
];
/// Tokens of its own that each call takes: counted, and not billed.
const TEMPLATE: i64 = 60;

/// Whether this is a path of its own.
pub(super) fn asked(path: &str) -> bool {
    path.ends_with("/v2/chat")
}

/// An error in the format's shape.
pub(super) fn error(status: u16, message: &str) -> Reply {
    Reply::json(status, &json!({"id": "err-1", "message": message}))
}

/// An answer, whole or as a stream.
pub(super) fn chat(body: &Value, behaviour: &Behaviour, serial: u64) -> Reply {
    let ask = match read(body) {
        Ok(ask) => ask,
        Err(message) => return error(400, &format!("invalid request: {message}")),
    };
    let answer = ask.answer(behaviour.pad);
    let id = format!("cohere-fake{serial}");
    if !ask.stream || behaviour.plain_json {
        return Reply::json(200, &whole(body, &answer, behaviour, &id));
    }
    Reply::stream(events(&answer, behaviour, &id), frame(&json!({"message": "the service is not available"})))
}

fn finish(answer: &Answer) -> &'static str {
    match answer.finish {
        Finish::Stop => "COMPLETE",
        Finish::StopText(_) => "STOP_SEQUENCE",
        Finish::Length => "MAX_TOKENS",
        Finish::Tools => "TOOL_CALL",
    }
}

fn usage(answer: &Answer, behaviour: &Behaviour) -> Value {
    let (input, output) = faulty(behaviour.usage, answer.input, answer.output);
    json!({
        "billed_units": {"input_tokens": input, "output_tokens": output},
        "tokens": {"input_tokens": input + TEMPLATE, "output_tokens": output},
        "cached_tokens": behaviour.cached,
    })
}

fn plan(answer: &Answer) -> &'static str {
    if answer.calls.is_empty() { "" } else { "I will use a tool." }
}

fn whole(body: &Value, answer: &Answer, behaviour: &Behaviour, id: &str) -> Value {
    let mut content = Vec::new();
    if let Some(thought) = &answer.thought {
        content.push(json!({"type": "thinking", "thinking": thought}));
    }
    if !answer.text.is_empty() {
        content.push(json!({"type": "text", "text": answer.text}));
    }
    let mut message = json!({"role": "assistant", "content": content});
    if !answer.calls.is_empty() {
        message["tool_plan"] = json!(plan(answer));
        let call = |(n, call): (usize, &super::ToolCall)| json!({"id": format!("{id}_{n}"), "type": "function", "function": {"name": call.name, "arguments": call.arguments}});
        message["tool_calls"] = answer.calls.iter().enumerate().map(call).collect();
    }
    if let Some(document) = body.pointer("/documents/0") {
        let source = json!({"type": "document", "id": document["id"], "document": document["data"]});
        message["citations"] =
            json!([{"start": 0, "end": 4, "text": "echo", "sources": [source], "type": "TEXT_CONTENT"}]);
    }
    let mut out = json!({"id": id, "finish_reason": finish(answer), "message": message});
    if behaviour.usage != UsageFault::Missing {
        out["usage"] = usage(answer, behaviour);
    }
    out
}

fn frame(event: &Value) -> Vec<u8> {
    let kind = event["type"].as_str().unwrap_or("error");
    format!("event: {kind}\ndata: {event}\n\n").into_bytes()
}

fn events(answer: &Answer, behaviour: &Behaviour, id: &str) -> Vec<Vec<u8>> {
    let mut events = vec![json!({"id": id, "type": "message-start", "delta": {"message": {
        "role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}}})];
    let thought = answer.thought.as_deref().map(|thought| ("thinking", thought));
    let text = (!answer.text.is_empty()).then_some(("text", answer.text.as_str()));
    for (index, (kind, said)) in thought.into_iter().chain(text).enumerate() {
        let part = |fields: Value| json!({"message": {"content": fields}});
        events.push(
            json!({"type": "content-start", "index": index, "delta": part(json!({"type": kind, kind: ""}))}),
        );
        for piece in Answer::pieces(said) {
            events
                .push(json!({"type": "content-delta", "index": index, "delta": part(json!({kind: piece}))}));
        }
        events.push(json!({"type": "content-end", "index": index}));
    }
    for piece in Answer::pieces(plan(answer)) {
        events.push(json!({"type": "tool-plan-delta", "delta": {"message": {"tool_plan": piece}}}));
    }
    for (n, call) in answer.calls.iter().enumerate() {
        let of = |fields: Value| json!({"message": {"tool_calls": fields}});
        let begun = json!({"id": format!("{id}_{n}"), "type": "function", "function": {"name": call.name, "arguments": ""}});
        events.push(json!({"type": "tool-call-start", "index": n, "delta": of(begun)}));
        for fragment in Answer::fragments(&call.arguments) {
            let more = of(json!({"function": {"arguments": fragment}}));
            events.push(json!({"type": "tool-call-delta", "index": n, "delta": more}));
        }
        events.push(json!({"type": "tool-call-end", "index": n}));
    }
    let mut end = json!({"finish_reason": finish(answer)});
    if behaviour.usage != UsageFault::Missing {
        end["usage"] = usage(answer, behaviour);
    }
    events.push(json!({"type": "message-end", "id": id, "delta": end}));
    events.iter().map(frame).collect()
}

fn check(value: &Value, known: &[&str], at: &str) -> Result<(), String> {
    strict::unknown(value, known)
        .map_or(Ok(()), |name| Err(format!("unknown field: parameter '{at}{name}' is not a valid field")))
}

fn read(body: &Value) -> Result<Ask, String> {
    check(body, KNOWN, "")?;
    for (name, least, most) in [
        ("p", 0.01, 0.99),
        ("k", 0.0, 500.0),
        ("presence_penalty", 0.0, 1.0),
        ("frequency_penalty", 0.0, 1.0),
    ] {
        if body[name].as_f64().is_some_and(|n| !(least..=most).contains(&n)) {
            return Err(format!("{name} must be between {least} and {most} inclusive"));
        }
    }
    let mut ask = Ask {
        model: body["model"].as_str().ok_or("model is required")?.to_owned(),
        stream: body["stream"] == true,
        max_output: body["max_tokens"].as_u64(),
        reasoning: body["thinking"]["type"] == "enabled",
        as_json: body["response_format"]["type"] == "json_object",
        ..Ask::default()
    };
    check(&body["thinking"], &["type", "token_budget"], "thinking.")?;
    check(&body["response_format"], &["type", "json_schema"], "response_format.")?;
    if ask.as_json && (body["tools"].is_array() || body["documents"].is_array()) {
        return Err("cannot specify response_format with documents or tools".into());
    }
    for stop in body["stop_sequences"].as_array().into_iter().flatten() {
        ask.stops.push(stop.as_str().ok_or("stop_sequences: texts only")?.to_owned());
    }
    if ask.stops.len() > 5 {
        return Err("too many stop sequences: 5 at most".into());
    }
    for document in body["documents"].as_array().into_iter().flatten() {
        check(document, &["id", "data"], "documents[].")?;
        ask.words += document["data"]["text"].as_str().map_or(0, word_count);
    }
    read_messages(
        &mut ask,
        body["messages"].as_array().filter(|list| !list.is_empty()).ok_or("messages is required")?,
    )?;
    read_tools(&mut ask, body)?;
    Ok(ask)
}

fn read_tools(ask: &mut Ask, body: &Value) -> Result<(), String> {
    for tool in body["tools"].as_array().into_iter().flatten() {
        check(tool, &["type", "function"], "tools[].")?;
        check(&tool["function"], &["name", "description", "parameters"], "tools[].function.")?;
        let name = tool["function"]["name"].as_str().ok_or("a tool has no name")?;
        let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !plain || name.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(format!("invalid tool name {name}"));
        }
        let schema = tool["function"]["parameters"].clone();
        if body["strict_tools"] == true && schema["required"].as_array().is_none_or(Vec::is_empty) {
            return Err("strict tools must have at least one required parameter".into());
        }
        ask.tools.push(Tool { name: name.to_owned(), schema });
    }
    match body["tool_choice"].as_str() {
        None if body["tool_choice"].is_null() => {}
        Some("REQUIRED") => {}
        Some("NONE") => ask.tools.clear(),
        _ => return Err("tool_choice must be REQUIRED or NONE".into()),
    }
    Ok(())
}

fn read_messages(ask: &mut Ask, messages: &[Value]) -> Result<(), String> {
    let mut open: Vec<&str> = Vec::new();
    for (n, message) in messages.iter().enumerate() {
        ask.messages += 1;
        let at = |what: &str| format!("messages[{n}]: {what}");
        let text = content(&message["content"]).map_err(|what| at(&what))?;
        ask.words += word_count(&text);
        match message["role"].as_str() {
            Some("system") => check(message, &["role", "content"], "messages[].")?,
            Some("user") => {
                check(message, &["role", "content"], "messages[].")?;
                if !open.is_empty() {
                    return Err(at("tool results are missing"));
                }
                ask.text = text;
                ask.results.clear();
            }
            Some("tool") => {
                check(message, &["role", "content", "tool_call_id"], "messages[].")?;
                let id = message["tool_call_id"].as_str().unwrap_or_default();
                let place =
                    open.iter().position(|known| *known == id).ok_or_else(|| at("no such tool call"))?;
                open.remove(place);
                ask.results.push(text);
            }
            Some("assistant") => {
                check(message, &["role", "content", "tool_calls", "tool_plan", "citations"], "messages[].")?;
                ask.results.clear();
                for call in message["tool_calls"].as_array().into_iter().flatten() {
                    check(call, &["id", "type", "function"], "messages[].tool_calls[].")?;
                    let given = call["function"]["arguments"].as_str().unwrap_or_default();
                    serde_json::from_str::<serde_json::Map<String, Value>>(given)
                        .map_err(|_| at("arguments must be a JSON object in a text"))?;
                    open.push(call["id"].as_str().ok_or_else(|| at("a call has no id"))?);
                }
                if text.is_empty() && open.is_empty() && !message["content"].is_array() {
                    return Err(at("content or tool_calls is required"));
                }
            }
            _ => return Err(at("role must be one of system, user, assistant, tool")),
        }
    }
    if open.is_empty() { Ok(()) } else { Err("tool results are missing".into()) }
}

fn content(value: &Value) -> Result<String, String> {
    let Value::Array(parts) = value else {
        return Ok(value.as_str().unwrap_or_default().to_owned());
    };
    let mut texts = Vec::new();
    for part in parts {
        match part["type"].as_str() {
            Some("text") => texts.push(part["text"].as_str().ok_or("text is required")?),
            Some("image_url") => {
                part["image_url"]["url"].as_str().ok_or("image_url.url is required")?;
            }
            Some("thinking") => {
                part["thinking"].as_str().ok_or("thinking is required")?;
            }
            _ => return Err("unknown type of content".into()),
        }
    }
    Ok(texts.join(" "))
}
