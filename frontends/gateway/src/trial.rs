//! Asking one channel something, by hand: whether it answers, which models it has, what is left of its account. These are
//! the operator's own requests: no limit counts them, no record is kept, and the channel's health learns nothing of them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use sluicegate_core::channel::{Endpoint, Timeouts};
use sluicegate_core::ports::SecretResolver;
use sluicegate_core::{Channel, Error, ErrorKind, Format, OutcomeClass, Result, Secret, Usage};
use sluicegate_wire::{Bridge, BridgeOptions, End, Fault};
use tokio::time::{Instant, timeout_at};

use crate::gateway::Inner;
use crate::probe;
use crate::running::{class_of, class_of_fault};
use crate::secret::{self, Secrets};
use crate::serve::read_some;
use crate::upstream::{
    HttpUpstream, Method, MockUpstream, Special, Target, Upstream, UpstreamBody, UpstreamFault,
    UpstreamRequest, Url,
};

/// A list of models, or an account's balance, is no longer than this, in bytes.
// BOUND: memory of an answer.
const TOLD_MAX: usize = 4 << 20;
/// So much of a model's answer is shown, in characters.
const SHOWN_MAX: usize = 4_000;

/// A small call through one channel.
#[derive(Clone, Debug)]
pub struct Trial {
    /// The channel, which need not be saved.
    pub channel: Channel,
    /// Its credential, where it isn't that of the saved channel.
    pub secret: Option<Secret>,
    /// Which of its keys.
    pub key: u32,
    /// Which of its endpoints.
    pub endpoint: Endpoint,
    /// The upstream's name of the model.
    pub model: String,
    /// What is said to it.
    pub prompt: String,
    /// Output tokens at most.
    pub max_output: u32,
    /// Whether it is asked for a stream.
    pub stream: bool,
    /// It has so long, in milliseconds.
    pub timeout_ms: u64,
}

/// How a small call ended.
#[derive(Clone, Debug, Default)]
pub struct Trialled {
    /// How it ended.
    pub class: Option<OutcomeClass>,
    /// The upstream's status, if it gave one.
    pub status: Option<u16>,
    /// What the upstream said against it, or why it wasn't reached.
    pub message: Option<String>,
    /// The upstream's id of the request.
    pub request_id: Option<String>,
    /// Until the answer's head, in milliseconds; the connection is a new one.
    pub head_ms: Option<u64>,
    /// Until the first content of a stream.
    pub first_content_ms: Option<u64>,
    /// Until the end.
    pub total_ms: u64,
    /// What it says it used.
    pub usage: Option<Usage>,
    /// The model that it says it served.
    pub served_model: Option<String>,
    /// The beginning of what it answered.
    pub answer: Option<String>,
}

/// The credential of a channel that isn't saved yet, else the saved one's.
struct Given<'a> {
    own: Option<&'a Secret>,
    rest: &'a Secrets,
}

impl SecretResolver for Given<'_> {
    fn channel_secret(&self, channel: &Channel, key: u32) -> Result<Option<Secret>> {
        let Some(own) = self.own else { return self.rest.channel_secret(channel, key) };
        let missing = || Error::new(ErrorKind::InvalidRequest, format!("the credential has no key {key}"));
        secret::line(own, key).ok_or_else(missing).map(Some)
    }
}

fn target(inner: &Inner, trial: &Trial) -> Result<Arc<Target>> {
    let secrets = Given { own: trial.secret.as_ref(), rest: inner.secrets() };
    let target = Target::of(&trial.channel, &trial.endpoint, trial.key, &secrets)
        .map_err(|error| Error::new(ErrorKind::InvalidRequest, error.message().to_owned()))?;
    Ok(Arc::new(target))
}

/// Makes the call.
///
/// # Errors
/// `InvalidRequest` when the channel can't be sent to as it is.
pub(crate) async fn call(inner: &Inner, trial: &Trial) -> Result<Trialled> {
    let (format, model) = (trial.endpoint.format, trial.model.as_str());
    let target = target(inner, trial)?.for_call(model, trial.stream);
    let body = probe::question(format, model, &trial.prompt, trial.max_output, trial.stream);
    let body = probe::heeded(body.to_string().into(), format, &trial.channel.quirks, model);
    let target = probe::headed(target, &trial.channel, &body, format, model);
    let is_mock = target.is_mock();
    let request = UpstreamRequest { stream: trial.stream, ..plain(inner, trial, target, body) };
    let begun = Instant::now();
    let deadline = begun + Duration::from_millis(trial.timeout_ms);
    let upstream = HttpUpstream::default();
    let sent =
        async { if is_mock { MockUpstream.send(request).await } else { upstream.send(request).await } };
    let sent = timeout_at(deadline, sent).await.unwrap_or(Err(UpstreamFault::Timeout { sent: true }));
    let mut told = Trialled::default();
    let mut response = match sent {
        Ok(response) => response,
        Err(fault) => {
            told.class = Some(class_of_fault(&fault).0);
            told.message = Some(fault.to_string());
            told.total_ms = since(begun);
            return Ok(told);
        }
    };
    told.head_ms = Some(since(begun));
    told.status = Some(response.status);
    told.request_id.clone_from(&response.request_id);
    if !(200..300).contains(&response.status) {
        let body = read_some(&mut response.body, deadline).await;
        let fault = Fault::classify_at(&trial.channel.quirks.errors, response.status, &body);
        told.class = Some(class_of(fault.class));
        told.message = Some(fault.message);
        told.total_ms = since(begun);
        return Ok(told);
    }
    let streams = response.is_event_stream;
    read_answer(&mut told, response.body, (format, streams), begun, deadline).await;
    Ok(told)
}

async fn read_answer(
    told: &mut Trialled,
    mut body: Box<dyn UpstreamBody>,
    (format, streams): (Format, bool),
    begun: Instant,
    deadline: Instant,
) {
    let caller = if speaks(format) { Format::OpenaiChat } else { format };
    let mut options = BridgeOptions::new(caller, format);
    options.upstream_streams = streams;
    options.max_body_bytes = TOLD_MAX;
    let (mut bridge, mut out) = (Bridge::new(options), Vec::new());
    let mut put = |bytes: Bytes| out.extend_from_slice(&bytes);
    let mut broken = None;
    // BOUND: by the deadline, and the bridge's own bounds.
    loop {
        match timeout_at(deadline, body.chunk()).await {
            Err(_) => broken = Some(UpstreamFault::Timeout { sent: true }),
            Ok(Some(Err(fault))) => broken = Some(fault),
            Ok(Some(Ok(chunk))) => {
                bridge.push(chunk, &mut put);
                if told.first_content_ms.is_none() && bridge.observed().first_content {
                    told.first_content_ms = Some(since(begun));
                }
                continue;
            }
            Ok(None) => {}
        }
        break;
    }
    bridge.finish(End::Eof, &mut put);
    told.total_ms = since(begun);
    let observed = bridge.observed();
    told.usage = observed.usage;
    told.served_model.clone_from(&observed.served_model);
    (told.class, told.message) = match (&broken, &observed.error) {
        (Some(fault), _) => (Some(class_of_fault(fault).0), Some(fault.to_string())),
        (None, Some(fault)) => (Some(class_of(fault.class)), Some(fault.message.clone())),
        (None, None) => (Some(OutcomeClass::Ok), None),
    };
    told.answer = said(&out).map(|text| text.chars().take(SHOWN_MAX).collect());
}

/// Formats whose answers are a conversation's next turn.
fn speaks(format: Format) -> bool {
    matches!(
        format,
        Format::OpenaiChat
            | Format::AnthropicMessages
            | Format::OpenaiResponses
            | Format::GeminiGenerate
            | Format::CohereChat
            | Format::OllamaChat
    )
}

/// What a model said, from an answer in OpenAI's format.
fn said(body: &[u8]) -> Option<String> {
    let answer: Value = serde_json::from_slice(body).ok()?;
    answer.pointer("/choices/0/message/content")?.as_str().map(str::to_owned)
}

/// Gets what an upstream tells of itself at one address.
///
/// # Errors
/// `InvalidRequest` when the channel can't be sent to as it is, `UpstreamUnavailable`, `UpstreamTimeout`, and what its
/// refusal means, with its own words.
pub(crate) async fn get(inner: &Inner, trial: &Trial, url: &str) -> Result<Value> {
    let url = Url::parse(url).map_err(|_| {
        Error::new(ErrorKind::InvalidRequest, "the channel's address is none; write a whole URL")
    })?;
    let target = target(inner, trial)?.for_call(&trial.model, false);
    let special = Special { method: Some(Method::GET), url: Some(url), rest: None };
    let request =
        UpstreamRequest { special: Some(Arc::new(special)), ..plain(inner, trial, target, Bytes::new()) };
    let deadline = Instant::now() + Duration::from_millis(trial.timeout_ms);
    let upstream = HttpUpstream::default();
    let sent = timeout_at(deadline, upstream.send(request)).await;
    let mut response = sent.unwrap_or(Err(UpstreamFault::Timeout { sent: true })).map_err(|fault| {
        let (_, report) = class_of_fault(&fault);
        Error::new(report.kind, format!("{}: {fault}", report.message))
    })?;
    if !(200..300).contains(&response.status) {
        let body = read_some(&mut response.body, deadline).await;
        let fault = Fault::classify_at(&trial.channel.quirks.errors, response.status, &body);
        let kind = match class_of(fault.class) {
            OutcomeClass::Auth => ErrorKind::UpstreamAuth,
            OutcomeClass::RateLimited | OutcomeClass::Overloaded => ErrorKind::UpstreamOverloaded,
            OutcomeClass::ServerError => ErrorKind::UpstreamUnavailable,
            _ => ErrorKind::UpstreamRejected,
        };
        let message = format!("the upstream refused with status {}: {}", response.status, fault.message);
        return Err(Error::new(kind, message));
    }
    let mut body = Vec::new();
    // BOUND: by the deadline and TOLD_MAX.
    while let Ok(Some(Ok(chunk))) = timeout_at(deadline, response.body.chunk()).await {
        if body.len() + chunk.len() > TOLD_MAX {
            return Err(Error::new(ErrorKind::UpstreamUnavailable, "the upstream's answer is too long"));
        }
        body.extend_from_slice(&chunk);
    }
    serde_json::from_slice(&body).map_err(|_| {
        Error::new(ErrorKind::UpstreamUnavailable, "the upstream's answer is no JSON, or broke off")
    })
}

fn plain(inner: &Inner, trial: &Trial, target: Arc<Target>, body: Bytes) -> UpstreamRequest {
    let routing = inner.engine.snapshot().declared.routing.timeouts;
    let total = Some(trial.timeout_ms);
    let timeouts = Timeouts { total_ms: total, first_byte_ms: total, ..trial.channel.timeouts.or(routing) };
    UpstreamRequest { target, headers: Vec::new(), body, timeouts, stream: false, special: None }
}

fn since(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX)
}
