//! An answer on its way to the caller: read until there is content, looked at, and handed on.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sluicegate_core::{ErrorKind, Format, OutcomeClass};
use sluicegate_wire::{Bridge, BridgeOptions, End, Prepared, Report, Scanned};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::{Due, Tried, fault_rejection, rejection};
use crate::answer::{Answer, AnswerBody, CountedBy};
use crate::gateway::Inner;
use crate::guardrail::{self, Screening};
use crate::raw::RawStream;
use crate::running::{Running, class_of, class_of_fault};
use crate::stream::AnswerStream;
use crate::upstream::{UpstreamFault, UpstreamResponse};

/// The head of a streamed answer waits no longer for guardrails to let something of it through.
const HEAD_WAIT: Duration = Duration::from_secs(5);
/// The upstream answered with success: reads until there is content, so that an error before it can still be answered
/// otherwise, then hands the rest on.
pub(super) async fn deliver(
    inner: &Arc<Inner>,
    mut running: Box<Running>,
    format: Format,
    scanned: &Scanned,
    prepared: Prepared,
    response: UpstreamResponse,
    due: Due,
) -> (Tried, Option<Box<Running>>) {
    if scanned.format() == Format::OpenaiSpeech && !response.is_event_stream {
        return Box::pin(deliver_raw(running, response, due)).await;
    }
    // Whether a single operation streams is what its upstream makes of it.
    let streams = if format.is_single() { response.is_event_stream } else { scanned.facts().stream };
    let options = bridge_options(inner, &running, format, scanned, prepared, &response);
    let mut bridge = Box::new(Bridge::new(BridgeOptions { caller_streams: streams, ..options }));
    // What is translated is no more what it came as.
    let content_type = response.content_type.filter(|_| format == scanned.format());
    let mut body = response.body;
    let mut out: VecDeque<Bytes> = VecDeque::new();
    let watch = running.watch.as_ref().filter(|_| streams);
    let mut screening = watch.map(|watch| Screening::new(watch, scanned.format()));
    let limit = if streams { due.first } else { due.total };
    let mut held_until: Option<Instant> = None;
    // BOUND: the bridge bounds what a frame and a body may hold, the deadline how long they take.
    loop {
        let late = held_until.unwrap_or(limit);
        let chunk = timeout_at(late, body.chunk()).await.unwrap_or_else(|_| match held_until {
            Some(_) => Some(Ok(Bytes::new())),
            None => Some(Err(UpstreamFault::Timeout { sent: true })),
        });
        if !streams && !matches!(chunk, Some(Err(_))) {
            running.note_body(chunk.as_ref().and_then(|chunk| chunk.as_deref().ok()));
        }
        match chunk {
            Some(Ok(chunk)) if chunk.is_empty() => {}
            Some(Ok(chunk)) => bridge.push(chunk, &mut |bytes| hand_on(bytes, &mut screening, &mut out)),
            None => bridge.finish(End::Eof, &mut |bytes| hand_on(bytes, &mut screening, &mut out)),
            Some(Err(fault)) => return broke_early(running, bridge, &fault),
        }
        if let Some(refusal) = screening.as_deref().and_then(Screening::stopped) {
            if let Some(seen) = screening.as_deref().and_then(Screening::marks) {
                guardrail::add(&mut running.facts.guardrails, seen);
            }
            let rejection = running.refuse(refusal, &mut bridge);
            running.settled().await;
            return (Tried::Failed(rejection), None);
        }
        let observed = bridge.observed();
        if streams {
            running.note_input(observed);
        }
        if observed.first_content {
            running.mark_content();
        }
        let waits = screening.as_deref().is_some_and(Screening::waits_at_start);
        if waits && observed.first_content && !bridge.ended() {
            // It is answered when something can be handed on: a refusal until then is one with a status of its own. Later the caller
            // gets signs of life instead.
            let until = *held_until.get_or_insert_with(|| due.total.min(Instant::now() + HEAD_WAIT));
            if observed.closed {
                bridge.finish(End::Eof, &mut |bytes| hand_on(bytes, &mut screening, &mut out));
                return whole(running, bridge, out, streams, screening, content_type).await;
            }
            if Instant::now() < until {
                // Whoever leaves now owes what has come so far.
                running.note_arrived(observed);
                continue;
            }
        }
        if streams && observed.first_content && !bridge.ended() {
            running.note_remaining();
            running.note_told();
            let facts = running.facts.clone();
            let stream = AnswerStream::new(running, bridge, body, out, sleep_until(due.total), screening);
            return (
                Tried::Answered(Box::new(Answer {
                    body: AnswerBody::Stream(Box::new(stream)),
                    content_type: None,
                    facts,
                })),
                None,
            );
        }
        if bridge.ended() {
            return whole(running, bridge, out, streams, screening, content_type).await;
        }
    }
}

fn bridge_options(
    inner: &Inner,
    running: &Running,
    format: Format,
    scanned: &Scanned,
    prepared: Prepared,
    response: &UpstreamResponse,
) -> BridgeOptions {
    let (caller, streams) = (scanned.format(), scanned.facts().stream);
    let call = running.call();
    BridgeOptions {
        caller_streams: streams,
        upstream_streams: response.is_event_stream || format.streams_lines() && is_lines(response),
        reply: prepared.reply,
        present_model: inner.present_requested.then(|| scanned.facts().models().0.to_owned()),
        shown: running.shown.clone(),
        id: call.map(|call| call.id.as_str().to_owned()).unwrap_or_default(),
        created_s: inner.clock.now().as_ms().div_euclid(1000),
        input_estimate: call.map_or(0, |call| call.input_estimate),
        ..BridgeOptions::new(caller, format)
    }
}

/// Whether an answer comes as lines of JSON.
fn is_lines(response: &UpstreamResponse) -> bool {
    let kind = response.content_type.as_deref().and_then(|kind| kind.split(';').next()).unwrap_or_default();
    ["application/x-ndjson", "application/jsonl"].iter().any(|lines| kind.trim().eq_ignore_ascii_case(lines))
}

/// The connection failed after a success status and before the caller got anything: another try may follow.
fn broke_early(
    mut running: Box<Running>,
    mut bridge: Box<Bridge>,
    fault: &UpstreamFault,
) -> (Tried, Option<Box<Running>>) {
    let (class, report) = class_of_fault(fault);
    bridge.finish(End::ClientGone, &mut |_| {});
    // What was read is lost to the caller and yet may be billed: it is charged as far as it came.
    let observed = bridge.observed();
    let class = match class {
        OutcomeClass::Broken if !observed.first_content && !running.is_within_images() => {
            OutcomeClass::ServerError
        }
        class => class,
    };
    running.observe(class, Some(observed), None);
    let kind = report.kind;
    (Tried::Failed(rejection(report, kind)), Some(running))
}

/// The answer is complete before anything was handed on.
async fn whole(
    mut running: Box<Running>,
    mut bridge: Box<Bridge>,
    mut out: VecDeque<Bytes>,
    streams: bool,
    screening: Option<Box<Screening>>,
    content_type: Option<String>,
) -> (Tried, Option<Box<Running>>) {
    let observed = bridge.observed();
    if let Some(fault) = &observed.error {
        let class = match class_of(fault.class) {
            OutcomeClass::ServerError if !observed.first_content => OutcomeClass::Nonsense,
            class => class,
        };
        let class = if observed.first_content { OutcomeClass::Broken } else { class };
        let rejection = fault_rejection(fault, fault.retry_after_ms);
        running.observe(class, Some(observed), fault.retry_after_ms);
        return (Tried::Failed(rejection), Some(running));
    }
    if running.watch.is_some() {
        // Whoever leaves while services look owes what the answer cost.
        running.note_arrived(observed);
        if let Err(refusal) = Box::pin(look_at_whole(&mut running, &bridge, &mut out, screening)).await {
            let rejection = running.refuse(&refusal, &mut bridge);
            running.settled().await;
            return (Tried::Failed(rejection), None);
        }
    }
    out.iter().for_each(|bytes| running.keep_bytes(bytes));
    running.observe(OutcomeClass::Ok, Some(bridge.observed()), None);
    running.note_losses(&bridge);
    running.finish(None);
    if bridge.caller() == Format::AnthropicCountTokens {
        running.facts.counted_by = Some(CountedBy::Upstream);
    }
    let facts = std::mem::take(&mut running.facts);
    // A stream waits by itself, before its last frames.
    if !streams {
        running.settled().await;
    }
    let body = if streams {
        AnswerBody::Stream(Box::new(AnswerStream::done(running, bridge, out)))
    } else {
        AnswerBody::Full(join(out))
    };
    (Tried::Answered(Box::new(Answer { body, content_type, facts })), None)
}

/// The upstream answers with what isn't looked at: hands it on once it has begun.
async fn deliver_raw(
    mut running: Box<Running>,
    mut response: UpstreamResponse,
    due: Due,
) -> (Tried, Option<Box<Running>>) {
    let first = timeout_at(due.first, response.body.chunk())
        .await
        .unwrap_or(Some(Err(UpstreamFault::Timeout { sent: true })));
    let failed = match first {
        Some(Ok(piece)) => {
            running.mark_content();
            running.note_remaining();
            running.note_told();
            let facts = running.facts.clone();
            let (pending, deadline) = (VecDeque::from([piece]), sleep_until(due.total));
            let raw = RawStream::new(running, response, pending, OutcomeClass::Ok, deadline, false);
            let body = AnswerBody::Raw(Box::new(raw));
            return (Tried::Answered(Box::new(Answer { body, content_type: None, facts })), None);
        }
        Some(Err(fault)) => class_of_fault(&fault),
        None => (
            OutcomeClass::Nonsense,
            Report::new(ErrorKind::UpstreamUnavailable, "the upstream's answer is empty; try again"),
        ),
    };
    let (class, report) = failed;
    let class = if class == OutcomeClass::Broken { OutcomeClass::ServerError } else { class };
    running.observe(class, None, None);
    let kind = report.kind;
    (Tried::Failed(rejection(report, kind)), Some(running))
}

/// A part of an answer goes on, past the guardrails that look at it.
fn hand_on(bytes: Bytes, screening: &mut Option<Box<Screening>>, out: &mut VecDeque<Bytes>) {
    match screening {
        None => out.push_back(bytes),
        Some(screening) => screening.pass(bytes, out),
    }
}

/// Has guardrails look at an answer that is complete before anything of it was handed on.
async fn look_at_whole(
    running: &mut Running,
    bridge: &Bridge,
    out: &mut VecDeque<Bytes>,
    screening: Option<Box<Screening>>,
) -> Result<(), guardrail::Refusal> {
    let marks = &mut running.facts.guardrails;
    let Some(mut screening) = screening else {
        let Some(watch) = &running.watch else { return Ok(()) };
        let body = join(std::mem::take(out));
        out.push_back(watch.answer(bridge.caller(), body, marks).await?);
        return Ok(());
    };
    screening.finish(out);
    if let Some(seen) = screening.marks() {
        guardrail::add(marks, seen);
    }
    if let Some(refusal) = screening.stopped() {
        return Err(refusal.clone());
    }
    if screening.gathers() {
        let (mut screening, seen, new) = screening.check().await;
        guardrail::add(marks, &seen);
        screening.put(&new?, out);
    }
    Ok(())
}

fn join(mut parts: VecDeque<Bytes>) -> Bytes {
    match (parts.len(), parts.pop_front()) {
        (0, _) | (_, None) => Bytes::new(),
        (1, Some(only)) => only,
        (_, Some(first)) => parts
            .into_iter()
            .fold(first.to_vec(), |mut all, part| {
                all.extend_from_slice(&part);
                all
            })
            .into(),
    }
}
