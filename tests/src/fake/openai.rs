//! The OpenAI format: chat completions, embeddings, models.

use serde_json::{Value, json};

use super::answer::{Answer, Ask, Finish, Tool, word_count};
use super::base64;
use super::behaviour::{Behaviour, UsageFault};
use super::deliver::Reply;
use super::{choice, mistral, strict};

/// When every answer was made, in s since 1970.
const CREATED: u64 = 1_760_000_000;

/// Every parameter that is known.
/// No more stop sequences than these.
const STOPS_MAX: usize = 4;
/// From and to where numbers go.
const RANGES: [(&str, f64, f64); 5] = [
    ("temperature", 0.0, 2.0),
    ("top_p", 0.0, 1.0),
    ("presence_penalty", -2.0, 2.0),
    ("frequency_penalty", -2.0, 2.0),
    ("top_logprobs", 0.0, 20.0),
];
const KNOWN: &[&str] = &[
    "model",
    "messages",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "response_format",
    "max_tokens",
    "max_completion_tokens",
    "n",
    "seed",
    "stop",
    "temperature",
    "top_p",
    "presence_penalty",
    "frequency_penalty",
    "logit_bias",
    "logprobs",
    "top_logprobs",
    "reasoning_effort",
    "verbosity",
    "modalities",
    "audio",
    "prediction",
    "stream",
    "stream_options",
    "service_tier",
    "store",
    "metadata",
    "user",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "web_search_options",
    "functions",
    "function_call",
];
/// Every field of a message that is known.
const MESSAGE: &[&str] = &[
    "role",
    "content",
    "name",
    "tool_calls",
    "tool_call_id",
    "refusal",
    "audio",
    "annotations",
    "function_call",
];
/// What models refuse that reason.
const NOT_WITH_REASONING: &[&str] = &[
    "max_tokens",
    "temperature",
    "top_p",
    "presence_penalty",
    "frequency_penalty",
    "logprobs",
    "top_logprobs",
    "logit_bias",
    "stop",
];
/// The longest id of a call.
const ID_MAX: usize = 40;

/// An error in the format's shape.
pub(super) fn error(status: u16, message: &str) -> Reply {
    let (kind, code) = match status {
        401 => ("invalid_request_error", json!("invalid_api_key")),
        404 => ("invalid_request_error", json!("model_not_found")),
        429 => ("requests", json!("rate_limit_exceeded")),
        400..=499 => ("invalid_request_error", Value::Null),
        _ => ("server_error", Value::Null),
    };
    let body = json!({"error": {"message": message, "type": kind, "param": null, "code": code}});
    Reply::json(status, &body)
}

/// The list of models.
pub(super) fn models() -> Reply {
    let one = |id: &str| json!({"id": id, "object": "model", "created": CREATED, "owned_by": "fake"});
    Reply::json(200, &json!({"object": "list", "data": [one("gpt-4o-mini"), one("text-embedding-3-small")]}))
}

/// Embeddings: numbers that depend on the words.
pub(super) fn embeddings(body: &Value, behaviour: &Behaviour) -> Reply {
    let inputs: Vec<String> = match &body["input"] {
        Value::String(text) => vec![text.clone()],
        Value::Array(list) if list.iter().all(Value::is_number) => vec![body["input"].to_string()],
        Value::Array(list) if !list.is_empty() => list.iter().map(plain).collect(),
        _ => return error(400, "`input` must be a text or a list"),
    };
    let size = body["dimensions"].as_u64().unwrap_or(16) as usize;
    let data: Vec<Value> = inputs
        .iter()
        .enumerate()
        .map(|(index, text)| {
            let seed = text.bytes().fold(7u32, |s, b| s.wrapping_mul(31).wrapping_add(u32::from(b)));
            let floats = (0..size).map(|i| (seed.wrapping_add(i as u32 * 37) % 101) as f32 / 101.0 - 0.5);
            let embedding = if body["encoding_format"] == "base64" {
                json!(base64::encode(&floats.flat_map(f32::to_le_bytes).collect::<Vec<u8>>()))
            } else {
                json!(floats.collect::<Vec<f32>>())
            };
            json!({"object": "embedding", "index": index, "embedding": embedding})
        })
        .collect();
    let tokens: u64 = inputs.iter().map(|t| word_count(t)).sum();
    let mut out = json!({"object": "list", "data": data, "model": body["model"]});
    let (input, _) = faulty(behaviour.usage, tokens, 0);
    if behaviour.usage != UsageFault::Missing {
        out["usage"] = json!({"prompt_tokens": input, "total_tokens": input});
    }
    Reply::json(200, &out)
}

/// A chat completion, whole or as a stream.
pub(super) fn chat(body: &Value, behaviour: &Behaviour, serial: u64) -> Reply {
    let mistrals = body["model"].as_str().is_some_and(mistral::is_one);
    if let Some((status, why)) = mistral::refused(body).filter(|_| mistrals) {
        return error(status, &why);
    }
    if body["model"].as_str().is_some_and(strict::by_responses_alone) {
        return error(404, "This model is only supported in v1/responses and not in v1/chat/completions.");
    }
    let ask = match read(body) {
        Ok(ask) => ask,
        Err(message) => return error(400, &message),
    };
    let answer = ask.answer(behaviour.pad);
    let id = format!("chatcmpl-fake{serial}");
    let choices = body["n"].as_u64().unwrap_or(1);
    if !(1..=128).contains(&choices) {
        return error(400, "`n` must be from 1 to 128");
    }
    if !ask.stream || behaviour.plain_json {
        return Reply::json(200, &whole(&ask, &answer, behaviour, &id, choices));
    }
    let with_usage = body.pointer("/stream_options/include_usage") == Some(&json!(true));
    let frames = stream(&ask, &answer, behaviour, &id, choices, with_usage);
    let fault = br#"data: {"error":{"message":"the server had an error while answering","type":"server_error","param":null,"code":null}}"#;
    Reply::stream(frames, [fault.as_slice(), b"\n\n"].concat())
}

fn read(body: &Value) -> Result<Ask, String> {
    let messages =
        body["messages"].as_array().filter(|m| !m.is_empty()).ok_or("`messages` must be a list")?;
    let model = body["model"].as_str().ok_or("you must provide a model parameter")?;
    let is_own = strict::by_openai(model);
    if is_own {
        known(body)?;
        choice::ranges(body, &RANGES)?;
        if body["stop"].as_array().is_some_and(|stops| stops.len() > STOPS_MAX) {
            return Err(format!(
                "Invalid 'stop': array too long. Expected an array with maximum length {STOPS_MAX}."
            ));
        }
    }
    // Mistral has words of its own.
    if is_own || !body["tools"].is_null() && !mistral::is_one(model) {
        choice::chat(body, is_own)?;
    }
    if strict::reasons(model)
        && let Some(field) = strict::refused_by_reasoning(body, NOT_WITH_REASONING)
    {
        return Err(format!("Unsupported parameter: '{field}' is not supported with this model."));
    }
    let mut ask = Ask {
        model: model.to_owned(),
        stream: body["stream"] == true,
        messages: messages.len() as u64,
        one_call: body["parallel_tool_calls"] == false,
        as_json: matches!(body.pointer("/response_format/type"), Some(t) if t == "json_object" || t == "json_schema"),
        max_output: body["max_completion_tokens"].as_u64().or(body["max_tokens"].as_u64()),
        reasoning: body["reasoning_effort"].as_str().is_some_and(|e| e != "none"),
        ..Ask::default()
    };
    if !ask.stream && !body["stream_options"].is_null() {
        return Err("The 'stream_options' parameter is only allowed when 'stream' is enabled.".into());
    }
    ask.stops = match &body["stop"] {
        Value::String(stop) => vec![stop.clone()],
        Value::Array(stops) => stops.iter().map(plain).collect(),
        _ => Vec::new(),
    };
    let mut open: Vec<String> = Vec::new();
    for message in messages {
        let text = content(&message["content"])?;
        ask.words += word_count(&text);
        match message["role"].as_str() {
            Some("user") => (ask.text, ask.results) = (text, Vec::new()),
            Some("tool") => {
                let id = message["tool_call_id"].as_str().unwrap_or("");
                let at = open.iter().position(|o| o == id);
                open.remove(at.ok_or(format!("tool_call_id `{id}` answers no call before it"))?);
                ask.results.push(text);
            }
            Some("assistant") => {
                ask.results.clear();
                let calls = message["tool_calls"].as_array().map_or(&[][..], Vec::as_slice);
                open = calls.iter().map(|c| plain(&c["id"])).collect();
                for call in calls {
                    let arguments = plain(&call["function"]["arguments"]);
                    serde_json::from_str::<Value>(&arguments)
                        .map_err(|_| "arguments of a call are no JSON")?;
                }
                if message["content"].is_null() && calls.is_empty() {
                    return Err("an assistant message needs `content` or `tool_calls`".into());
                }
                continue;
            }
            Some("system" | "developer") => {}
            role => return Err(format!("role {role:?} is not known")),
        }
        if message["role"] != "tool" && !open.is_empty() {
            return Err("An assistant message with 'tool_calls' must be followed by tool messages responding to each of them.".into());
        }
    }
    if !open.is_empty() {
        return Err("An assistant message with 'tool_calls' must be followed by tool messages responding to each of them.".into());
    }
    if body["tool_choice"] != "none" {
        for tool in body["tools"].as_array().map_or(&[][..], Vec::as_slice) {
            let function = &tool["function"];
            let name = function["name"].as_str().ok_or("a tool needs a function with a name")?.to_owned();
            ask.tools.push(Tool { name, schema: function["parameters"].clone() });
        }
    }
    ask.demanded = body.pointer("/tool_choice/function/name").and_then(Value::as_str).map(str::to_owned);
    Ok(ask)
}

/// Refuses what OpenAI doesn't know.
fn known(body: &Value) -> Result<(), String> {
    let check = |value: &Value, known: &[&str], at: &str| match strict::unknown(value, known) {
        Some(unknown) => Err(format!("Unknown parameter: '{at}{unknown}'.")),
        None => Ok(()),
    };
    check(body, KNOWN, "")?;
    holds(&body["response_format"]["json_schema"], "schema")?;
    if body["response_format"]["type"] == "json_object" && !strict::says_json(&body["messages"]) {
        return Err("'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'.".into());
    }
    for (n, message) in body["messages"].as_array().into_iter().flatten().enumerate() {
        check(message, MESSAGE, &format!("messages[{n}]."))?;
        for part in message["content"].as_array().into_iter().flatten() {
            let own = part["type"].as_str().unwrap_or("");
            if !["text", "image_url", "input_audio", "file", "refusal"].contains(&own) {
                return Err(format!("Invalid value: '{own}' in 'messages[{n}].content'."));
            }
            check(part, &["type", own], &format!("messages[{n}].content[]."))?;
            check(&part["image_url"], &["url", "detail"], &format!("messages[{n}].content[].image_url."))?;
        }
        for call in message["tool_calls"].as_array().into_iter().flatten() {
            let at = format!("messages[{n}].tool_calls[].");
            check(call, &["id", "type", "function", "custom"], &at)?;
            if call["id"].as_str().is_some_and(|id| id.chars().count() > ID_MAX) {
                return Err(format!(
                    "Invalid '{at}id': string too long. Expected a string with maximum length {ID_MAX}."
                ));
            }
            check(&call["function"], &["name", "arguments"], &at)?;
        }
    }
    for tool in body["tools"].as_array().into_iter().flatten() {
        check(tool, &["type", "function", "custom"], "tools[].")?;
        check(&tool["function"], &["name", "description", "parameters", "strict"], "tools[].function.")?;
        let name = tool["function"]["name"].as_str().unwrap_or_default();
        strict::takes_object(name, &tool["function"]["parameters"])?;
        holds(&tool["function"], "parameters")?;
    }
    Ok(())
}

/// Refuses a schema that can't be held to as strictly as its owner says.
pub(super) fn holds(owner: &Value, schema: &str) -> Result<(), String> {
    let why = strict::loose(&owner[schema]).filter(|_| owner["strict"] == true);
    why.map_or(Ok(()), |why| Err(format!("Invalid schema for {}: {why}", owner["name"])))
}

fn content(value: &Value) -> Result<String, String> {
    match value {
        Value::Null => Ok(String::new()),
        Value::String(text) => Ok(text.clone()),
        Value::Array(parts) => {
            Ok(parts.iter().filter_map(|p| p["text"].as_str()).collect::<Vec<_>>().join(" "))
        }
        _ => Err("`content` must be a text or a list of parts".into()),
    }
}

fn whole(ask: &Ask, answer: &Answer, behaviour: &Behaviour, id: &str, choices: u64) -> Value {
    let mut message = json!({"role": "assistant", "content": answer.text, "refusal": null});
    if let Some(thought) = &answer.thought {
        message["reasoning_content"] = json!(thought);
    }
    if !answer.calls.is_empty() {
        message["content"] = Value::Null;
        let call = |(n, c): (usize, &super::ToolCall)| json!({"id": format!("call_{id}_{n}"), "type": "function", "function": {"name": c.name, "arguments": c.arguments}});
        message["tool_calls"] = answer.calls.iter().enumerate().map(call).collect();
    }
    let choice = |index| json!({"index": index, "message": message, "logprobs": null, "finish_reason": finish(answer)});
    let mut out = json!({
        "id": id, "object": "chat.completion", "created": CREATED, "model": ask.model,
        "choices": (0..choices).map(choice).collect::<Vec<_>>(),
        "service_tier": "default", "system_fingerprint": "fp_fake",
    });
    if let Some(usage) = usage(answer, behaviour, choices) {
        out["usage"] = usage;
    }
    out
}

fn stream(
    ask: &Ask,
    answer: &Answer,
    behaviour: &Behaviour,
    id: &str,
    choices: u64,
    with_usage: bool,
) -> Vec<Vec<u8>> {
    let frame = |choices: Value, usage: Option<Value>| {
        let mut chunk = json!({
            "id": id, "object": "chat.completion.chunk", "created": CREATED, "model": ask.model,
            "system_fingerprint": "fp_fake", "choices": choices,
        });
        if with_usage {
            chunk["usage"] = usage.unwrap_or(Value::Null);
        }
        format!("data: {chunk}\n\n").into_bytes()
    };
    let mut frames = Vec::new();
    let mut say = |delta: Value, end: Value| {
        for index in 0..choices {
            frames.push(frame(
                json!([{"index": index, "delta": delta, "logprobs": null, "finish_reason": end}]),
                None,
            ));
        }
    };
    say(json!({"role": "assistant", "content": "", "refusal": null}), Value::Null);
    for piece in Answer::pieces(answer.thought.as_deref().unwrap_or("")) {
        say(json!({ "reasoning_content": piece }), Value::Null);
    }
    for piece in Answer::pieces(&answer.text) {
        say(json!({ "content": piece }), Value::Null);
    }
    for (n, call) in answer.calls.iter().enumerate() {
        let function = json!({"name": call.name, "arguments": ""});
        let first =
            json!({"index": n, "id": format!("call_{id}_{n}"), "type": "function", "function": function});
        say(json!({"tool_calls": [first]}), Value::Null);
        for fragment in Answer::fragments(&call.arguments) {
            say(json!({"tool_calls": [{"index": n, "function": {"arguments": fragment}}]}), Value::Null);
        }
    }
    say(json!({}), json!(finish(answer)));
    if with_usage && let Some(usage) = usage(answer, behaviour, choices) {
        frames.push(frame(json!([]), Some(usage)));
    }
    frames.push(b"data: [DONE]\n\n".to_vec());
    frames
}

fn finish(answer: &Answer) -> &'static str {
    match answer.finish {
        Finish::Stop | Finish::StopText(_) => "stop",
        Finish::Length => "length",
        Finish::Tools => "tool_calls",
    }
}

fn usage(answer: &Answer, behaviour: &Behaviour, choices: u64) -> Option<Value> {
    if behaviour.usage == UsageFault::Missing {
        return None;
    }
    let (input, output) = faulty(behaviour.usage, answer.input + behaviour.cached, answer.output * choices);
    Some(json!({
        "prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output,
        "prompt_tokens_details": {"cached_tokens": behaviour.cached, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": answer.thinking, "audio_tokens": 0},
    }))
}

/// The counts that are reported for the true ones.
pub(super) fn faulty(fault: UsageFault, input: u64, output: u64) -> (i64, i64) {
    let (input, output) = (input as i64, output as i64);
    match fault {
        UsageFault::Negative => (-input - 1, -output - 1),
        UsageFault::Absurd => (1_000_000_000_000, 1_000_000_000_000),
        UsageFault::None | UsageFault::Missing => (input, output),
    }
}

/// A JSON text without its quotes; anything else as JSON.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
