//! Ollama's own chat, in lines of JSON. The real one passes over names that it doesn't know; this one refuses them, so that
//! nothing is sent in vain.

use serde_json::{Value, json};

use super::answer::{Answer, Ask, Finish, Tool, word_count};
use super::behaviour::{Behaviour, UsageFault};
use super::deliver::Reply;
use super::openai::faulty;
use super::strict;

const KNOWN: &[&str] = &[
    "model",
    "messages",
    "tools",
    "think",
    "format",
    "options",
    "stream",
    "keep_alive",
    "logprobs",
    "top_logprobs",
];
const OPTIONS: &[&str] = &[
    "num_ctx",
    "num_predict",
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "seed",
    "stop",
    "presence_penalty",
    "frequency_penalty",
    "repeat_penalty",
];
const CREATED: &str = "2026-11-20T10:00:00.000000001Z";

/// Whether this is a path of its own.
pub(super) fn asked(path: &str) -> bool {
    path.ends_with("/api/chat")
}

/// An error in the format's shape.
pub(super) fn error(status: u16, message: &str) -> Reply {
    Reply::json(status, &json!({ "error": message }))
}

/// An answer, whole or in lines.
pub(super) fn chat(body: &Value, behaviour: &Behaviour) -> Reply {
    let ask = match read(body) {
        Ok(ask) => ask,
        Err(message) => return error(400, &message),
    };
    let answer = ask.answer(behaviour.pad);
    let call = |call: &super::ToolCall| {
        let arguments: Value = serde_json::from_str(&call.arguments).unwrap_or(Value::Null);
        json!({"function": {"name": call.name, "arguments": arguments}})
    };
    let calls: Vec<Value> = answer.calls.iter().map(call).collect();
    if !ask.stream || behaviour.plain_json {
        let mut message = json!({"role": "assistant", "content": answer.text});
        if let Some(thought) = &answer.thought {
            message["thinking"] = json!(thought);
        }
        if !calls.is_empty() {
            message["tool_calls"] = json!(calls);
        }
        return Reply::json(200, &last(line(&ask, message), &answer, behaviour));
    }
    let mut lines = Vec::new();
    for piece in Answer::pieces(answer.thought.as_deref().unwrap_or("")) {
        lines.push(line(&ask, json!({"role": "assistant", "content": "", "thinking": piece})));
    }
    for piece in Answer::pieces(&answer.text) {
        lines.push(line(&ask, json!({"role": "assistant", "content": piece})));
    }
    if !calls.is_empty() {
        lines.push(line(&ask, json!({"role": "assistant", "content": "", "tool_calls": calls})));
    }
    lines.push(last(line(&ask, json!({"role": "assistant", "content": ""})), &answer, behaviour));
    let text = |line: &Value| format!("{line}\n").into_bytes();
    let fault = text(&json!({"error": "an error was encountered while running the model"}));
    Reply::stream(lines.iter().map(text).collect(), fault).of_type("application/x-ndjson")
}

fn line(ask: &Ask, message: Value) -> Value {
    json!({"model": ask.model, "created_at": CREATED, "message": message, "done": false})
}

fn last(mut line: Value, answer: &Answer, behaviour: &Behaviour) -> Value {
    line["done"] = json!(true);
    line["done_reason"] = json!(if answer.finish == Finish::Length { "length" } else { "stop" });
    line["total_duration"] = json!(1_000);
    if behaviour.usage != UsageFault::Missing {
        let (input, output) = faulty(behaviour.usage, answer.input, answer.output);
        line["prompt_eval_count"] = json!(input);
        line["eval_count"] = json!(output);
    }
    line
}

fn check(value: &Value, known: &[&str], at: &str) -> Result<(), String> {
    strict::unknown(value, known).map_or(Ok(()), |name| Err(format!("json: unknown field \"{at}{name}\"")))
}

fn read(body: &Value) -> Result<Ask, String> {
    check(body, KNOWN, "")?;
    let options = &body["options"];
    check(options, OPTIONS, "options.")?;
    let think = &body["think"];
    if !think.is_null() && !think.is_boolean() && !matches!(think.as_str(), Some("low" | "medium" | "high")) {
        return Err("invalid think value".into());
    }
    let mut ask = Ask {
        model: body["model"].as_str().ok_or("model is required")?.to_owned(),
        // Unless it is told otherwise.
        stream: body["stream"] != false,
        max_output: options["num_predict"].as_u64(),
        reasoning: *think == true || think.is_string(),
        as_json: body["format"] == "json" || body["format"].is_object(),
        ..Ask::default()
    };
    for stop in options["stop"].as_array().into_iter().flatten() {
        ask.stops.push(stop.as_str().ok_or("options.stop: texts only")?.to_owned());
    }
    for message in body["messages"].as_array().ok_or("messages is required")? {
        read_message(&mut ask, message)?;
    }
    for tool in body["tools"].as_array().into_iter().flatten() {
        check(tool, &["type", "function"], "tools.")?;
        check(&tool["function"], &["name", "description", "parameters"], "tools.function.")?;
        let name = tool["function"]["name"].as_str().ok_or("a tool has no name")?.to_owned();
        ask.tools.push(Tool { name, schema: tool["function"]["parameters"].clone() });
    }
    Ok(ask)
}

fn read_message(ask: &mut Ask, message: &Value) -> Result<(), String> {
    let known = ["role", "content", "images", "thinking", "tool_calls", "tool_name", "tool_call_id"];
    check(message, &known, "messages.")?;
    let text = message["content"].as_str().ok_or("json: cannot unmarshal content into a string")?.to_owned();
    ask.messages += 1;
    ask.words += word_count(&text);
    for image in message["images"].as_array().into_iter().flatten() {
        image.as_str().filter(|data| is_base64(data)).ok_or("illegal base64 data")?;
    }
    match message["role"].as_str() {
        Some("system") => {}
        Some("user") => {
            ask.text = text;
            ask.results.clear();
        }
        Some("assistant") => {
            ask.results.clear();
            for call in message["tool_calls"].as_array().into_iter().flatten() {
                if !call["function"]["arguments"].is_object() {
                    return Err("json: cannot unmarshal arguments into an object".into());
                }
            }
        }
        Some("tool") => ask.results.push(text),
        _ => return Err("invalid role".into()),
    }
    Ok(())
}

/// Whether this is data, and neither an address nor one that holds data.
fn is_base64(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=');
    !text.is_empty() && text.bytes().all(plain)
}
