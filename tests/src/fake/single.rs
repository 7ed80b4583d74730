//! Single operations as OpenAI, Cohere and Anthropic serve them: strict about what they are sent.

use serde_json::{Value, json};

use super::anthropic;
use super::behaviour::Behaviour;
use super::deliver::Reply;
use super::openai::error;
use super::strict;
use crate::http::Head;

/// The answer to a path that is one of ours; `None` for any other.
pub(super) fn answer(head: &Head, path: &str, body: &[u8]) -> Option<Reply> {
    let operation = path.strip_prefix("/v1").or_else(|| path.strip_prefix("/v2"))?;
    let reply = match (head.word(0), operation) {
        (
            "POST",
            "/images/edits" | "/images/variations" | "/audio/transcriptions" | "/audio/translations",
        ) => form(head, operation, body),
        ("POST", "/completions") => object(
            body,
            &["model", "prompt", "max_tokens", "n", "best_of", "stream", "stream_options", "user", "echo"],
            completion,
        ),
        ("POST", "/images/generations") => object(
            body,
            &["model", "prompt", "n", "size", "quality", "response_format", "stream", "partial_images"],
            images,
        ),
        ("POST", "/audio/speech") => object(
            body,
            &["model", "input", "voice", "response_format", "instructions", "speed", "stream_format"],
            speech,
        ),
        ("POST", "/moderations") => object(body, &["model", "input"], moderation),
        ("POST", "/rerank") => {
            object(body, &["model", "query", "documents", "top_n", "return_documents"], rerank)
        }
        ("POST", "/messages/count_tokens") => {
            if head.get("anthropic-version").is_none() {
                return Some(error(400, "anthropic-version: header is required"));
            }
            object(body, &["model", "messages", "system", "tools", "tool_choice", "thinking"], |body| {
                let behaviour = Behaviour::from_model(body["model"].as_str().unwrap_or_default())?;
                Ok(match behaviour.status {
                    Some(status) if status >= 400 => anthropic::error(status, "as asked"),
                    _ => Reply::json(200, &json!({"input_tokens": 42})),
                })
            })
        }
        // What only a passed call asks for.
        ("GET", "/files") => Ok(Reply::json(200, &json!({"object": "list", "data": []}))),
        ("GET", "/responses/resp_1") => {
            let usage = json!({"input_tokens": 1_000, "output_tokens": 500, "total_tokens": 1_500});
            Ok(Reply::json(200, &json!({"id": "resp_1", "object": "response", "usage": usage})))
        }
        ("DELETE", "/files/file-1") => Ok(Reply::json(200, &json!({"id": "file-1", "deleted": true}))),
        ("POST", "/files") => Ok(Reply::json(200, &json!({"id": "file-1", "bytes": body.len()}))),
        ("POST", "/odd") => Ok(Reply::json(422, &json!({"detail": "no"}))),
        _ => return None,
    };
    Some(reply.unwrap_or_else(|what| error(400, &what)))
}

fn object(
    body: &[u8],
    known: &[&str],
    answer: impl Fn(&Value) -> Result<Reply, String>,
) -> Result<Reply, String> {
    let value: Value = serde_json::from_slice(body).map_err(|_| "the body could not be parsed as JSON")?;
    let fields = value.as_object().ok_or("the body is no object")?;
    if let Some(unknown) = fields.keys().find(|name| !known.contains(&name.as_str())) {
        return Err(format!("Unrecognized request argument supplied: {unknown}"));
    }
    if value["model"].as_str().is_none_or(str::is_empty) {
        return Err("you must provide a model parameter".to_owned());
    }
    answer(&value)
}

fn event(kind: &str, value: &Value) -> Vec<u8> {
    let mut value = value.clone();
    value["type"] = kind.into();
    format!("event: {kind}\ndata: {value}\n\n").into_bytes()
}

fn completion(body: &Value) -> Result<Reply, String> {
    if body["model"].as_str().is_some_and(strict::chats_alone) {
        let why = "This is a chat model and not supported in the v1/completions endpoint. Did you mean to use v1/chat/completions?";
        return Ok(error(404, why));
    }
    let prompts = body["prompt"].as_array().map_or(1, Vec::len);
    let n = body["n"].as_u64().unwrap_or(1) as usize;
    let most = body["max_tokens"].as_u64().unwrap_or(16);
    let made = most.min(5) * (n * prompts) as u64;
    let usage = json!({"prompt_tokens": 4, "completion_tokens": made, "total_tokens": 4 + made});
    let chunk = |text: &str, reason: Value, usage: Value| {
        let choices = json!([{"index": 0, "text": text, "logprobs": null, "finish_reason": reason}]);
        json!({"id": "cmpl-1", "object": "text_completion", "created": 1, "model": body["model"], "choices": choices, "usage": usage})
    };
    if body["stream"] == true {
        let mut frames =
            vec![chunk("hello ", Value::Null, Value::Null), chunk("there", json!("stop"), Value::Null)];
        if body["stream_options"]["include_usage"] == true {
            let mut last = chunk("", Value::Null, usage);
            last["choices"] = json!([]);
            frames.push(last);
        }
        let mut frames: Vec<Vec<u8>> =
            frames.iter().map(|frame| format!("data: {frame}\n\n").into_bytes()).collect();
        frames.push(b"data: [DONE]\n\n".to_vec());
        return Ok(Reply::stream(frames, Vec::new()));
    }
    let choices: Vec<Value> = (0..n * prompts)
        .map(
            |index| json!({"index": index, "text": "hello there", "logprobs": null, "finish_reason": "stop"}),
        )
        .collect();
    Ok(Reply::json(
        200,
        &json!({"id": "cmpl-1", "object": "text_completion", "created": 1, "model": body["model"], "choices": choices, "usage": usage}),
    ))
}

fn images(body: &Value) -> Result<Reply, String> {
    body["prompt"].as_str().ok_or("prompt: a string is required")?;
    let n = body["n"].as_u64().unwrap_or(1);
    let usage = json!({"input_tokens": 10, "output_tokens": 100 * n, "total_tokens": 10 + 100 * n, "input_tokens_details": {"text_tokens": 10, "image_tokens": 0}});
    if body["stream"] == true {
        let frames = vec![
            event("image_generation.partial_image", &json!({"b64_json": "AAAA", "partial_image_index": 0})),
            event("image_generation.completed", &json!({"b64_json": "AAAA", "usage": usage})),
        ];
        return Ok(Reply::stream(frames, Vec::new()));
    }
    let data: Vec<Value> = (0..n).map(|_| json!({"b64_json": "AAAA"})).collect();
    let mut answer = json!({"created": 1, "data": data});
    if body["model"].as_str().is_some_and(|model| model.starts_with("gpt-image")) {
        answer["usage"] = usage;
    }
    Ok(Reply::json(200, &answer))
}

fn speech(body: &Value) -> Result<Reply, String> {
    let text = body["input"].as_str().ok_or("input: a string is required")?;
    body["voice"].as_str().ok_or("voice: a string is required")?;
    if body["stream_format"] == "sse" {
        let usage = json!({"input_tokens": 3, "output_tokens": 30, "total_tokens": 33});
        let frames = vec![
            event("speech.audio.delta", &json!({"audio": "AAAA"})),
            event("speech.audio.done", &json!({"usage": usage})),
        ];
        return Ok(Reply::stream(frames, Vec::new()));
    }
    let sound = (0..=255u8).cycle().take(1_000 * text.len()).collect();
    Ok(Reply::bytes("audio/mpeg", sound))
}

fn moderation(body: &Value) -> Result<Reply, String> {
    let inputs = body["input"].as_array().map_or(1, Vec::len);
    let one = json!({
        "flagged": false, "categories": {"violence": false}, "category_scores": {"violence": 0.01},
        "category_applied_input_types": {"violence": ["text"]}
    });
    let results = vec![one; inputs];
    Ok(Reply::json(200, &json!({"id": "modr-1", "model": body["model"], "results": results})))
}

fn rerank(body: &Value) -> Result<Reply, String> {
    let documents = body["documents"].as_array().ok_or("documents: an array is required")?.len();
    body["query"].as_str().ok_or("query: a string is required")?;
    let most = body["top_n"].as_u64().map_or(documents, |n| documents.min(n as usize));
    let results: Vec<Value> =
        (0..most).map(|index| json!({"index": index, "relevance_score": 1.0 / (index + 1) as f64})).collect();
    let searches = documents.div_ceil(100);
    Ok(Reply::json(
        200,
        &json!({"id": "r-1", "results": results, "meta": {"billed_units": {"search_units": searches}}}),
    ))
}

/// A part of a form: its name, the name of the file if it is one, and its value.
type Part = (String, Option<String>, Vec<u8>);

fn parts(head: &Head, body: &[u8]) -> Result<Vec<Part>, String> {
    let kind = head.get("content-type").unwrap_or_default();
    let boundary =
        kind.strip_prefix("multipart/form-data; boundary=").ok_or("this takes multipart/form-data")?;
    let delimiter = format!("\r\n--{}", boundary.trim_matches('"')).into_bytes();
    let mut whole = b"\r\n".to_vec();
    whole.extend_from_slice(body);
    let find = |from: usize, what: &[u8]| {
        whole
            .get(from..)
            .and_then(|rest| rest.windows(what.len()).position(|window| window == what))
            .map(|at| from + at)
    };
    let mut at = find(0, &delimiter).ok_or("the form has no boundary")? + delimiter.len();
    let mut parts = Vec::new();
    loop {
        if whole.get(at..at + 2) == Some(b"--") {
            return Ok(parts);
        }
        let values = find(at, b"\r\n\r\n").ok_or("a part has no headers")? + 4;
        let end = find(values, &delimiter).ok_or("the form's last boundary is missing")?;
        let headers = String::from_utf8_lossy(&whole[at..values]).into_owned();
        let quoted = |name: &str| {
            let (_, rest) = headers.split_once(&format!(" {name}=\""))?;
            Some(rest.split('"').next()?.to_owned())
        };
        let name = quoted("name").ok_or("a part has no name")?;
        parts.push((name, quoted("filename"), whole[values..end].to_vec()));
        at = end + delimiter.len();
    }
}

fn form(head: &Head, operation: &str, body: &[u8]) -> Result<Reply, String> {
    let parts = parts(head, body)?;
    let text = |wanted: &str| {
        let part = parts.iter().find(|(name, file, _)| name == wanted && file.is_none());
        part.map(|(_, _, value)| String::from_utf8_lossy(value).into_owned())
    };
    let known: &[&str] = if operation.starts_with("/audio") {
        &[
            "model",
            "file",
            "language",
            "prompt",
            "response_format",
            "temperature",
            "stream",
            "timestamp_granularities[]",
            "include[]",
        ]
    } else {
        &["model", "image", "image[]", "mask", "prompt", "n", "size", "response_format", "stream"]
    };
    if let Some((unknown, ..)) = parts.iter().find(|(name, ..)| !known.contains(&name.as_str())) {
        return Err(format!("Unrecognized request argument supplied: {unknown}"));
    }
    let model = text("model").ok_or("you must provide a model parameter")?;
    if parts.iter().filter(|(name, ..)| name == "model").count() > 1 {
        return Err("model stands twice".to_owned());
    }
    let files: Vec<_> = parts.iter().filter(|(_, file, _)| file.is_some()).collect();
    if files.is_empty() {
        return Err("a file is required".to_owned());
    }
    let bytes: usize = files.iter().map(|(_, _, value)| value.len()).sum();
    if operation.starts_with("/images") {
        let n = text("n").map_or(Ok(1), |n| n.parse::<u64>()).map_err(|_| "n is no number")?;
        let data: Vec<Value> = (0..n).map(|_| json!({"b64_json": "AAAA"})).collect();
        let usage = json!({"input_tokens": 20, "output_tokens": 100 * n, "total_tokens": 20 + 100 * n});
        return Ok(Reply::json(200, &json!({"created": 1, "data": data, "usage": usage})));
    }
    let said = format!("{model} heard {bytes} bytes");
    if text("stream").as_deref() == Some("true") {
        let usage = json!({"type": "tokens", "input_tokens": 14, "input_token_details": {"text_tokens": 0, "audio_tokens": 14}, "output_tokens": 4, "total_tokens": 18});
        let frames = vec![
            event("transcript.text.delta", &json!({"delta": said})),
            event("transcript.text.done", &json!({"text": said, "usage": usage})),
        ];
        return Ok(Reply::stream(frames, Vec::new()));
    }
    Ok(match text("response_format").as_deref() {
        Some("text" | "srt" | "vtt") => {
            Reply::bytes("text/plain; charset=utf-8", format!("{said}\n").into_bytes())
        }
        _ => Reply::json(200, &json!({"text": said, "usage": {"type": "duration", "seconds": 3}})),
    })
}
