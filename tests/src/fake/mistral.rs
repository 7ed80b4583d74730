//! What Mistral refuses among chat completions: names that it doesn't know, ids of other lengths, turns in another order.

use serde_json::Value;

use super::strict;

const KNOWN: &[&str] = &[
    "model",
    "messages",
    "temperature",
    "top_p",
    "max_tokens",
    "stream",
    "stop",
    "random_seed",
    "metadata",
    "response_format",
    "tools",
    "tool_choice",
    "presence_penalty",
    "frequency_penalty",
    "n",
    "prediction",
    "parallel_tool_calls",
    "prompt_mode",
    "reasoning_effort",
    "safe_prompt",
];
/// Letters and digits in an id of a call.
const ID: usize = 9;

/// Whether this is one of its models.
pub(super) fn is_one(model: &str) -> bool {
    let families = ["mistral-", "ministral-", "magistral-", "codestral-", "devstral-", "pixtral-"];
    families.iter().any(|family| model.starts_with(family))
}

/// Why it refuses a request, with the status, if it does.
pub(super) fn refused(body: &Value) -> Option<(u16, String)> {
    let messages = body["messages"].as_array().map_or(&[][..], Vec::as_slice);
    unknown(body, messages).map(|name| (422, format!("Extra inputs are not permitted: {name}"))).or_else(
        || {
            let why = ids(messages).or_else(|| order(messages)).or_else(|| ranges(body))?;
            Some((400, why))
        },
    )
}

fn unknown<'a>(body: &'a Value, messages: &'a [Value]) -> Option<&'a str> {
    let of_message = |message: &'a Value| {
        let known: &[&str] = match message["role"].as_str() {
            Some("assistant") => &["role", "content", "tool_calls", "prefix"],
            Some("tool") => &["role", "content", "tool_call_id", "name"],
            _ => &["role", "content"],
        };
        strict::unknown(message, known)
    };
    let of_tool = |tool: &'a Value| {
        let function =
            || strict::unknown(&tool["function"], &["name", "description", "parameters", "strict"]);
        strict::unknown(tool, &["type", "function"]).or_else(function)
    };
    strict::unknown(body, KNOWN)
        .or_else(|| messages.iter().find_map(of_message))
        .or_else(|| body["tools"].as_array()?.iter().find_map(of_tool))
}

fn ids(messages: &[Value]) -> Option<String> {
    let called = messages.iter().flat_map(|message| message["tool_calls"].as_array().into_iter().flatten());
    let all = called.map(|call| &call["id"]).chain(messages.iter().map(|message| &message["tool_call_id"]));
    let fits = |id: &&str| id.len() == ID && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let wrong = all.filter_map(Value::as_str).find(|id| !fits(id))?;
    Some(format!("Tool call id was {wrong} but must be a-z, A-Z, 0-9, with a length of {ID}."))
}

/// Results are followed by the assistant, and it is the user's turn, or a result's, that is answered.
fn order(messages: &[Value]) -> Option<String> {
    let role = |message: &Value| message["role"].as_str().unwrap_or("").to_owned();
    if let Some(other) = messages.iter().map(role).find(|role| role == "developer") {
        return Some(format!("Input should be 'system', 'user', 'assistant' or 'tool', not '{other}'"));
    }
    for pair in messages.windows(2) {
        let (before, after) = (role(&pair[0]), role(&pair[1]));
        if before == "tool" && !matches!(after.as_str(), "tool" | "assistant") {
            return Some(format!("Unexpected role '{after}' after role 'tool'"));
        }
    }
    let last = messages.last()?;
    (role(last) == "assistant" && last["prefix"] != true).then(|| {
        "Expected last role User or Tool (or Assistant with prefix True) for serving but got assistant"
            .to_owned()
    })
}

fn ranges(body: &Value) -> Option<String> {
    let choices = ["auto", "none", "any", "required"];
    if body["tool_choice"].as_str().is_some_and(|word| !choices.contains(&word)) {
        return Some(format!("tool_choice: {} is not known", body["tool_choice"]));
    }
    let named = &body["tool_choice"]["function"]["name"];
    let mut tools = body["tools"].as_array().into_iter().flatten();
    let is_named = body["tool_choice"].is_object();
    if is_named
        && (body["tool_choice"]["type"] != "function"
            || named.is_null()
            || !tools.any(|tool| tool["function"]["name"] == *named))
    {
        return Some(format!("tool_choice: {} is no tool", body["tool_choice"]));
    }
    for (name, most) in [("temperature", 1.5), ("top_p", 1.0)] {
        if body[name].as_f64().is_some_and(|n| !(0.0..=most).contains(&n)) {
            return Some(format!("{name}: must be from 0 to {most}"));
        }
    }
    None
}
