//! The Anthropic format: messages, models.

use serde_json::{Value, json};

use super::answer::{Answer, Ask, Finish, Tool, word_count};
use super::behaviour::{Behaviour, UsageFault};
use super::deliver::Reply;
use super::openai::faulty;
use super::{choice, hosted, strict};

/// Every parameter that is known.
const KNOWN: &[&str] = &[
    "model",
    "max_tokens",
    "messages",
    "system",
    "metadata",
    "stop_sequences",
    "stream",
    "temperature",
    "top_p",
    "top_k",
    "tools",
    "tool_choice",
    "thinking",
    "output_config",
    "service_tier",
    "context_management",
    "container",
    "mcp_servers",
    "cache_control",
    "inference_geo",
];
/// Every field of a tool that is known.
const TOOL: &[&str] = &[
    "type",
    "name",
    "description",
    "input_schema",
    "strict",
    "cache_control",
    "defer_loading",
    "allowed_callers",
    "input_examples",
    "eager_input_streaming",
];
/// The most blocks with a cache mark.
const CACHE_MARKS: usize = 4;

/// An error in the format's shape.
pub(super) fn error(status: u16, message: &str) -> Reply {
    let kind = match status {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        400..=499 => "invalid_request_error",
        504 => "timeout_error",
        529 => "overloaded_error",
        _ => "api_error",
    };
    let body =
        json!({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_fake"});
    Reply::json(status, &body)
}

/// The list of models.
pub(super) fn models() -> Reply {
    let one = json!({"type": "model", "id": "claude-sonnet-4-5", "display_name": "Fake", "created_at": "2025-09-29T00:00:00Z"});
    Reply::json(
        200,
        &json!({"data": [one], "has_more": false, "first_id": "claude-sonnet-4-5", "last_id": "claude-sonnet-4-5"}),
    )
}

/// A message, whole or as a stream.
pub(super) fn messages(body: &Value, behaviour: &Behaviour, serial: u64) -> Reply {
    let ask = match read(body) {
        Ok(ask) => ask,
        Err(message) => return error(400, &message),
    };
    let answer = ask.answer(behaviour.pad);
    let id = format!("msg_fake{serial}");
    if !ask.stream || behaviour.plain_json {
        return Reply::json(200, &whole(&ask, &answer, behaviour, (&id, serial)));
    }
    let fault = json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}});
    Reply::stream(stream(&ask, &answer, behaviour, (&id, serial)), frame(&fault))
}

fn read(body: &Value) -> Result<Ask, String> {
    // Other servers of this format take more than Anthropic does.
    let is_others = body["model"].as_str().is_some_and(|model| model.starts_with("kimi"));
    if let Some(unknown) = strict::unknown(body, KNOWN).filter(|_| !is_others) {
        return Err(format!("{unknown}: Extra inputs are not permitted"));
    }
    choice::anthropic(body)?;
    choice::ranges(body, &[("temperature", 0.0, 1.0), ("top_p", 0.0, 1.0)])?;
    let messages = body["messages"].as_array().filter(|m| !m.is_empty()).ok_or("messages: field required")?;
    let most = body["max_tokens"].as_u64().filter(|m| *m > 0).ok_or("max_tokens: field required")?;
    let mut ask = Ask {
        model: body["model"].as_str().ok_or("model: field required")?.to_owned(),
        stream: body["stream"] == true,
        messages: messages.len() as u64,
        max_output: Some(most),
        one_call: body.pointer("/tool_choice/disable_parallel_tool_use") == Some(&json!(true)),
        reasoning: matches!(body.pointer("/thinking/type"), Some(t) if t == "enabled" || t == "adaptive"),
        as_json: body.pointer("/output_config/format/type") == Some(&json!("json_schema")),
        ..Ask::default()
    };
    if let Some(why) = body.pointer("/output_config/format/schema").and_then(strict::open) {
        return Err(format!("output_config.format.schema: {why}"));
    }
    thinking_fits(body, ask.reasoning)?;
    model_fits(body, messages, &ask)?;
    if cache_marks(body) > CACHE_MARKS {
        return Err(format!("A maximum of {CACHE_MARKS} blocks with cache_control may be provided."));
    }
    if let Some(budget) = body.pointer("/thinking/budget_tokens").and_then(Value::as_u64)
        && !(1024..most).contains(&budget)
    {
        return Err("thinking.budget_tokens: must be at least 1024 and below max_tokens".into());
    }
    if !body["stop_sequences"].is_null() {
        let stops = body["stop_sequences"].as_array().ok_or("stop_sequences: must be a list")?;
        ask.stops = stops.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    }
    if !body["system"].is_null() {
        ask.messages += 1;
        for block in blocks(&body["system"])? {
            if block["type"] != "text" {
                return Err("system: only text blocks are supported".into());
            }
            fields_of(&block)?;
            ask.words += word_count(text_of(&block));
        }
    }
    if messages[0]["role"] != "user" {
        return Err("messages: first message must use the \"user\" role".into());
    }
    let mut open: Vec<String> = Vec::new();
    for (n, message) in messages.iter().enumerate() {
        read_message(&mut ask, &mut open, message).map_err(|what| format!("messages.{n}: {what}"))?;
    }
    if !open.is_empty() {
        return Err("`tool_use` ids were found without `tool_result` blocks immediately after".into());
    }
    if body.pointer("/tool_choice/type") != Some(&json!("none")) {
        for tool in body["tools"].as_array().map_or(&[][..], Vec::as_slice) {
            if let Some(own) = hosted::anthropic(tool) {
                own?;
                continue;
            }
            if let Some(unknown) = strict::unknown(tool, TOOL) {
                return Err(format!("tools: {unknown}: Extra inputs are not permitted"));
            }
            let name = tool["name"].as_str().ok_or("tools: name: field required")?.to_owned();
            if !tool["input_schema"].is_object() {
                return Err("tools: input_schema: field required".into());
            }
            if let Some(why) = strict::open(&tool["input_schema"]).filter(|_| tool["strict"] == true) {
                return Err(format!("tools: {name}: input_schema: {why}"));
            }
            ask.tools.push(Tool { name, schema: tool["input_schema"].clone() });
        }
    }
    ask.demanded = body.pointer("/tool_choice/name").and_then(Value::as_str).map(str::to_owned);
    Ok(ask)
}

fn read_message(ask: &mut Ask, open: &mut Vec<String>, message: &Value) -> Result<(), String> {
    if let Some(unknown) = strict::unknown(message, &["role", "content"]) {
        return Err(format!("{unknown}: Extra inputs are not permitted"));
    }
    let blocks = blocks(&message["content"])?;
    blocks.iter().try_for_each(fields_of)?;
    let (mut texts, mut results) = (Vec::new(), Vec::new());
    if message["role"] == "assistant" {
        for block in &blocks {
            spoken(block, open)?;
        }
        ask.results.clear();
        return Ok(());
    }
    if message["role"] != "user" {
        return Err(format!("unexpected role {}", message["role"]));
    }
    for block in &blocks {
        match block["type"].as_str() {
            Some("text") if text_of(block).trim().is_empty() => {
                return Err("text content blocks must be non-empty".into());
            }
            Some("text") => texts.push(text_of(block).to_owned()),
            Some("tool_result") => {
                if !texts.is_empty() {
                    return Err("tool_result blocks must come first".into());
                }
                let id = block["tool_use_id"].as_str().unwrap_or("");
                let at = open.iter().position(|o| o == id);
                open.remove(
                    at.ok_or(format!("unexpected `tool_use_id` found in `tool_result` blocks: {id}"))?,
                );
                let inner = self::blocks(&block["content"])?;
                results.push(inner.iter().map(text_of).collect::<Vec<_>>().join(" "));
            }
            Some("image" | "document") => {}
            kind => return Err(format!("block type {kind:?} is not known")),
        }
    }
    if !open.is_empty() {
        return Err("`tool_use` ids were found without `tool_result` blocks immediately after".into());
    }
    ask.words += texts.iter().chain(&results).map(|t| word_count(t)).sum::<u64>();
    ask.results = results;
    if !texts.is_empty() {
        ask.text = texts.join(" ");
    }
    Ok(())
}

/// A block of the assistant's; calls are opened.
fn spoken(block: &Value, open: &mut Vec<String>) -> Result<(), String> {
    match block["type"].as_str() {
        Some("tool_use") => {
            if !block["input"].is_object() {
                return Err("tool_use.input: must be an object".into());
            }
            open.push(block["id"].as_str().ok_or("tool_use.id: field required")?.to_owned());
        }
        Some("thinking") => {
            let thought = block["thinking"].as_str().ok_or("thinking.thinking: field required")?;
            if !strict::genuine(block["signature"].as_str().unwrap_or(""), thought) {
                return Err("Invalid `signature` in `thinking` block".into());
            }
        }
        // This upstream makes none.
        Some("redacted_thinking") => return Err("Invalid `data` in `redacted_thinking` block".into()),
        Some("text") if text_of(block).trim().is_empty() => {
            return Err("text content blocks must be non-empty".into());
        }
        _ => {}
    }
    Ok(())
}

/// Refuses fields that blocks of a type don't have.
fn fields_of(block: &Value) -> Result<(), String> {
    let known: &[&str] = match block["type"].as_str() {
        Some("text") => &["type", "text", "cache_control", "citations"],
        Some("image") => &["type", "source", "cache_control"],
        Some("document") => &["type", "source", "title", "context", "citations", "cache_control"],
        Some("tool_use") => &["type", "id", "name", "input", "cache_control", "caller"],
        Some("tool_result") => &["type", "tool_use_id", "content", "is_error", "cache_control"],
        Some("thinking") => &["type", "thinking", "signature"],
        Some("redacted_thinking") => &["type", "data"],
        Some("server_tool_use") => &["type", "id", "name", "input", "cache_control", "caller"],
        Some("web_search_tool_result") => &["type", "tool_use_id", "content", "cache_control", "caller"],
        _ => return Ok(()),
    };
    let unknown = strict::unknown(block, known);
    unknown.map_or(Ok(()), |unknown| {
        Err(format!("{}: {unknown}: Extra inputs are not permitted", plain_type(block)))
    })
}

fn plain_type(block: &Value) -> &str {
    block["type"].as_str().unwrap_or("")
}

/// What doesn't go together with thinking.
fn thinking_fits(body: &Value, thinks: bool) -> Result<(), String> {
    if !thinks {
        return Ok(());
    }
    if body["temperature"].as_f64().is_some_and(|t| t != 1.0) {
        return Err("`temperature` may only be set to 1 when thinking is enabled.".into());
    }
    if !body["top_k"].is_null() {
        return Err("`top_k` must be unset when thinking is enabled.".into());
    }
    if matches!(body.pointer("/tool_choice/type"), Some(t) if t == "any" || t == "tool") {
        return Err("Thinking may not be enabled when tool_choice forces tool use.".into());
    }
    // In a loop of tools the turn that called them must begin with its thought.
    let messages = body["messages"].as_array().map_or(&[][..], Vec::as_slice);
    let [.., asked, answered] = messages else { return Ok(()) };
    let looping = answered.pointer("/content/0/type") == Some(&json!("tool_result"));
    let first = asked.pointer("/content/0/type").and_then(Value::as_str);
    if body["thinking"]["type"] == "enabled"
        && looping
        && !matches!(first, Some("thinking" | "redacted_thinking"))
    {
        return Err(format!(
            "Expected `thinking` or `redacted_thinking`, but found `{}`. When `thinking` is enabled, a final `assistant` message must start with a thinking block.",
            first.unwrap_or("text")
        ));
    }
    Ok(())
}

/// What models don't take any more, or not yet: schemas before 4.5, thinking before 3.7, an answer that is begun from 4.6 on and wherever they think, two ways to sample from 4.5 on.
fn model_fits(body: &Value, messages: &[Value], ask: &Ask) -> Result<(), String> {
    let is_of = |generations: &[&str]| {
        ask.model.contains("claude") && generations.iter().any(|it| ask.model.replace('.', "-").contains(it))
    };
    let is_old = is_of(&["claude-3", "sonnet-4-2025", "opus-4-2025", "sonnet-4-0", "opus-4-0"]);
    let no_schemas = is_old || is_of(&["opus-4-1"]);
    if no_schemas && !body["output_config"]["format"].is_null() {
        return Err("output_config.format: structured outputs are not supported by this model".into());
    }
    if no_schemas && body["tools"].as_array().into_iter().flatten().any(|tool| !tool["strict"].is_null()) {
        return Err("tools: strict: Extra inputs are not permitted".into());
    }
    if is_of(&["claude-3-haiku", "claude-3-opus", "claude-3-sonnet", "claude-3-5"])
        && !body["thinking"].is_null()
    {
        return Err("thinking: this model does not support thinking".into());
    }
    let begun = messages.last().is_some_and(|last| last["role"] == "assistant");
    if begun
        && (ask.reasoning
            || is_of(&["-4-6", "-4-7", "-4-8", "opus-5", "sonnet-5", "haiku-5", "fable", "mythos"]))
    {
        return Err("This model does not support assistant message prefill. The conversation must end with a user message.".into());
    }
    let both = !body["temperature"].is_null() && !body["top_p"].is_null();
    if both && is_of(&["opus-4-1", "-4-5", "-4-6", "-4-7", "-4-8"]) {
        return Err(
            "`temperature` and `top_p` cannot both be specified for this model. Please use only one.".into(),
        );
    }
    Ok(())
}

/// Blocks, tools and results with a cache mark.
fn cache_marks(value: &Value) -> usize {
    match value {
        // A schema may have a property of that name.
        Value::Object(fields) => fields
            .iter()
            .filter(|(name, _)| !matches!(name.as_str(), "input_schema" | "input"))
            .map(|(name, value)| {
                usize::from(name == "cache_control" && !value.is_null()) + cache_marks(value)
            })
            .sum(),
        Value::Array(list) => list.iter().map(cache_marks).sum(),
        _ => 0,
    }
}

fn blocks(content: &Value) -> Result<Vec<Value>, String> {
    match content {
        Value::Null => Ok(Vec::new()),
        Value::String(text) => Ok(vec![json!({"type": "text", "text": text})]),
        Value::Array(blocks) => Ok(blocks.clone()),
        _ => Err("content: must be a text or a list of blocks".into()),
    }
}

fn text_of(block: &Value) -> &str {
    block["text"].as_str().unwrap_or("")
}

fn whole(ask: &Ask, answer: &Answer, behaviour: &Behaviour, (id, serial): (&str, u64)) -> Value {
    let mut content = Vec::new();
    if let Some(thought) = &answer.thought {
        content.push(
            json!({"type": "thinking", "thinking": thought, "signature": strict::seal(serial, thought)}),
        );
    }
    if !answer.text.is_empty() {
        content.push(json!({"type": "text", "text": answer.text}));
    }
    for (n, call) in answer.calls.iter().enumerate() {
        let input: Value = serde_json::from_str(&call.arguments).unwrap_or(Value::Null);
        content.push(
            json!({"type": "tool_use", "id": format!("toolu_{id}_{n}"), "name": call.name, "input": input}),
        );
    }
    let (reason, stop) = finish(answer);
    let mut out = json!({
        "id": id, "type": "message", "role": "assistant", "model": ask.model, "content": content,
        "stop_reason": reason, "stop_sequence": stop,
    });
    if behaviour.usage != UsageFault::Missing {
        out["usage"] = usage(answer.input, answer.output, behaviour);
    }
    out
}

fn stream(ask: &Ask, answer: &Answer, behaviour: &Behaviour, (id, serial): (&str, u64)) -> Vec<Vec<u8>> {
    let mut start = json!({
        "id": id, "type": "message", "role": "assistant", "model": ask.model, "content": [],
        "stop_reason": null, "stop_sequence": null,
    });
    if behaviour.usage != UsageFault::Missing {
        start["usage"] = usage(answer.input, 1, behaviour);
    }
    let mut frames = vec![frame(&json!({"type": "message_start", "message": start}))];
    let mut index = 0;
    let mut block = |start: Value, deltas: Vec<Value>| {
        frames.push(frame(&json!({"type": "content_block_start", "index": index, "content_block": start})));
        if index == 0 {
            frames.push(frame(&json!({"type": "ping"})));
        }
        for delta in deltas {
            frames.push(frame(&json!({"type": "content_block_delta", "index": index, "delta": delta})));
        }
        frames.push(frame(&json!({"type": "content_block_stop", "index": index})));
        index += 1;
    };
    if let Some(thought) = &answer.thought {
        let mut deltas: Vec<Value> =
            Answer::pieces(thought).map(|p| json!({"type": "thinking_delta", "thinking": p})).collect();
        deltas.push(json!({"type": "signature_delta", "signature": strict::seal(serial, thought)}));
        block(json!({"type": "thinking", "thinking": "", "signature": ""}), deltas);
    }
    if !answer.text.is_empty() {
        let deltas = Answer::pieces(&answer.text).map(|p| json!({"type": "text_delta", "text": p})).collect();
        block(json!({"type": "text", "text": ""}), deltas);
    }
    for (n, call) in answer.calls.iter().enumerate() {
        let mut fragments = Answer::fragments(&call.arguments);
        fragments.insert(0, String::new());
        let deltas =
            fragments.iter().map(|f| json!({"type": "input_json_delta", "partial_json": f})).collect();
        block(
            json!({"type": "tool_use", "id": format!("toolu_{id}_{n}"), "name": call.name, "input": {}}),
            deltas,
        );
    }
    let (reason, stop) = finish(answer);
    let mut end = json!({"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": stop}});
    if behaviour.usage != UsageFault::Missing {
        end["usage"] = usage(answer.input, answer.output, behaviour);
    }
    frames.push(frame(&end));
    frames.push(frame(&json!({"type": "message_stop"})));
    frames
}

fn finish(answer: &Answer) -> (&'static str, Value) {
    match &answer.finish {
        Finish::Stop => ("end_turn", Value::Null),
        Finish::StopText(stop) => ("stop_sequence", json!(stop)),
        Finish::Length => ("max_tokens", Value::Null),
        Finish::Tools => ("tool_use", Value::Null),
    }
}

fn usage(input: u64, output: u64, behaviour: &Behaviour) -> Value {
    let (input, output) = faulty(behaviour.usage, input, output);
    json!({
        "input_tokens": input, "cache_creation_input_tokens": 0, "cache_read_input_tokens": behaviour.cached,
        "output_tokens": output, "service_tier": "standard",
    })
}

fn frame(event: &Value) -> Vec<u8> {
    format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or("")).into_bytes()
}
