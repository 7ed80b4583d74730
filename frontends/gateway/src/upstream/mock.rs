//! The built-in `mock` provider: answers without any network, so that a fresh gateway can be tried at once. It speaks
//! OpenAI chat and embeddings, streams like a model does, and says what it is.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Value, json};
use sluicegate_core::Format;

use super::{Upstream, UpstreamBody, UpstreamFault, UpstreamRequest, UpstreamResponse, WholeBody};

/// The pause between two words of a stream.
const PACE: Duration = Duration::from_millis(15);
/// So much of the caller's own words is echoed, in characters.
const ECHO_CHARS: usize = 400;

/// Answers as the provider `mock`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct MockUpstream;

#[async_trait]
impl Upstream for MockUpstream {
    async fn send(&self, request: UpstreamRequest) -> Result<UpstreamResponse, UpstreamFault> {
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let model = model_of(&body);
        let text = reply(&body);
        let (is_event_stream, body): (bool, Box<dyn UpstreamBody>) = match request.target.format {
            Format::OpenaiEmbeddings => (false, whole(&embeddings(&body, &model))),
            _ if request.stream => (true, Box::new(Paced::new(events(&body, &model, &text)))),
            _ => (false, whole(&completion(&body, &model, &text))),
        };
        Ok(UpstreamResponse::new(200, is_event_stream, body))
    }
}

/// An answer to a chat that says this.
pub(crate) fn saying(request: &UpstreamRequest, text: &str) -> UpstreamResponse {
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let model = model_of(&body);
    let (is_event_stream, body): (bool, Box<dyn UpstreamBody>) = if request.stream {
        (true, Box::new(Paced::new(events(&body, &model, text))))
    } else {
        (false, whole(&completion(&body, &model, text)))
    };
    UpstreamResponse::new(200, is_event_stream, body)
}

/// A refusal as OpenAI words it.
pub(crate) fn refusing(status: u16, code: &str, message: &str) -> UpstreamResponse {
    let body = whole(&json!({"error": {"message": message, "type": "mock", "param": null, "code": code}}));
    UpstreamResponse::new(status, false, body)
}

fn model_of(body: &Value) -> String {
    body.get("model").and_then(Value::as_str).unwrap_or("mock").to_owned()
}

fn whole(value: &Value) -> Box<dyn UpstreamBody> {
    Box::new(WholeBody(Some(Bytes::from(value.to_string()))))
}

/// The last thing that a user said.
fn last_words(body: &Value) -> String {
    let text = |content: &Value| match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            parts.iter().filter_map(|part| part.get("text")?.as_str()).collect::<Vec<_>>().join(" ")
        }
        _ => String::new(),
    };
    let messages = body.get("messages").and_then(Value::as_array);
    let last = messages
        .and_then(|all| all.iter().rev().find(|m| m.get("role").and_then(Value::as_str) == Some("user")));
    let words = last.and_then(|m| m.get("content")).map(text).unwrap_or_default();
    words.chars().take(ECHO_CHARS).collect()
}

fn reply(body: &Value) -> String {
    format!(
        "This is Sluicegate's built-in mock model; no provider was called. You said: {}",
        last_words(body)
    )
}

/// The answer's words within the ceiling, and whether the ceiling cut it. A word counts as a token.
fn within_ceiling(body: &Value, text: &str) -> (Vec<String>, bool) {
    let ceiling = ["max_completion_tokens", "max_tokens"]
        .iter()
        .find_map(|name| body.get(name)?.as_u64())
        .and_then(|n| usize::try_from(n).ok())
        .unwrap_or(usize::MAX);
    let words: Vec<String> = text.split_inclusive(' ').map(str::to_owned).collect();
    let cut = words.len() > ceiling;
    (words.into_iter().take(ceiling).collect(), cut)
}

fn words_in(value: &Value) -> u64 {
    match value {
        Value::String(text) => text.split_whitespace().count() as u64,
        Value::Array(all) => all.iter().map(words_in).sum(),
        Value::Object(all) => all.values().map(words_in).sum(),
        _ => 0,
    }
}

fn usage(body: &Value, output: usize) -> Value {
    let input = body.get("messages").map_or(0, words_in);
    json!({"prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output as u64})
}

fn completion(body: &Value, model: &str, text: &str) -> Value {
    let (words, cut) = within_ceiling(body, text);
    json!({
        "id": "chatcmpl-mock", "object": "chat.completion", "created": 0, "model": model,
        "choices": [{
            "index": 0,
            "message": {"role": "assistant", "content": words.concat()},
            "finish_reason": if cut { "length" } else { "stop" },
        }],
        "usage": usage(body, words.len()),
    })
}

fn events(body: &Value, model: &str, text: &str) -> VecDeque<Bytes> {
    let (words, cut) = within_ceiling(body, text);
    let frame = |choices: Value, usage: Value| {
        let chunk = json!({
            "id": "chatcmpl-mock", "object": "chat.completion.chunk", "created": 0, "model": model,
            "choices": choices, "usage": usage,
        });
        Bytes::from(format!("data: {chunk}\n\n"))
    };
    let delta = |delta: Value, reason: Value| {
        frame(json!([{"index": 0, "delta": delta, "finish_reason": reason}]), Value::Null)
    };
    let mut frames: VecDeque<_> = [delta(json!({"role": "assistant", "content": ""}), Value::Null)].into();
    frames.extend(words.iter().map(|word| delta(json!({"content": word}), Value::Null)));
    frames.push_back(delta(json!({}), json!(if cut { "length" } else { "stop" })));
    let wants_usage = body.pointer("/stream_options/include_usage").and_then(Value::as_bool).unwrap_or(false);
    if wants_usage {
        frames.push_back(frame(json!([]), usage(body, words.len())));
    }
    frames.push_back(Bytes::from_static(b"data: [DONE]\n\n"));
    frames
}

/// Vectors that depend on nothing but the text, of length one and eight dimensions.
fn embeddings(body: &Value, model: &str) -> Value {
    let inputs: Vec<&Value> = match body.get("input") {
        Some(Value::Array(all)) if all.first().is_some_and(|v| !v.is_number()) => all.iter().collect(),
        Some(one) => vec![one],
        None => Vec::new(),
    };
    let data: Vec<Value> = inputs
        .iter()
        .enumerate()
        .map(|(index, input)| json!({"object": "embedding", "index": index, "embedding": vector(&input.to_string())}))
        .collect();
    let tokens = body.get("input").map_or(0, words_in);
    json!({"object": "list", "data": data, "model": model, "usage": {"prompt_tokens": tokens, "total_tokens": tokens}})
}

fn vector(text: &str) -> Vec<f64> {
    let mut sums = [0f64; 8];
    for (at, byte) in text.bytes().enumerate() {
        sums[at % 8] += f64::from(byte);
    }
    let length = sums.iter().map(|x| x * x).sum::<f64>().sqrt().max(1.0);
    sums.iter().map(|x| x / length).collect()
}

/// Frames that arrive one after another at the pace of speech.
struct Paced {
    frames: VecDeque<Bytes>,
    timer: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl Paced {
    fn new(frames: VecDeque<Bytes>) -> Self {
        Self { frames, timer: None }
    }
}

impl UpstreamBody for Paced {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, UpstreamFault>>> {
        if let Some(timer) = &mut self.timer
            && std::future::Future::poll(timer.as_mut(), cx).is_pending()
        {
            return Poll::Pending;
        }
        self.timer = Some(Box::pin(tokio::time::sleep(PACE)));
        Poll::Ready(self.frames.pop_front().map(Ok))
    }
}
