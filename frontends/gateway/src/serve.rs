//! The way of one call. The only retry loop in the project: the engine says what to try, this does it and reports.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sluicegate_core::engine::{Attempt, BoundCaller, Failure};
use sluicegate_core::{Call, Error, ErrorKind, Next, OutcomeClass, Timestamp};
use sluicegate_wire::{
    Bridge, BridgeOptions, Concern, Edits, End, Fault, FaultClass, Prepared, Report, Scanned, scan,
};
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::answer::{Answer, AnswerBody, Inbound, Rejection};
use crate::gateway::Inner;
use crate::running::{Running, class_of, class_of_fault};
use crate::stream::AnswerStream;
use crate::upstream::{
    MockUpstream, Upstream, UpstreamBody, UpstreamFault, UpstreamRequest, UpstreamResponse,
};

/// No more of an upstream's error body is read.
const ERROR_BODY_MAX: usize = 64 * 1024;

/// How one try ended: with an answer, or with what to tell the caller if it was the last.
enum Tried {
    Answered(Box<Answer>),
    Failed(Box<Rejection>),
}

/// Serves one request.
pub(crate) async fn serve(
    inner: &Arc<Inner>,
    upstream: &dyn Upstream,
    inbound: Inbound,
) -> Result<Answer, Box<Rejection>> {
    let caller = inner.caller(inbound.credential.as_ref()).await.map_err(Rejection::new)?;
    let scanned =
        scan(inbound.format, &inbound.body).map_err(|error| rejection(Report::from(&error), error.kind()))?;
    refuse_unbounded(&scanned, &caller)?;
    let call = facts_of(inner, &scanned, &inbound);
    let (now, seed) = (inner.clock.now(), inner.seed());
    let admission = match inner.engine.admit(call.clone(), &caller, now, seed) {
        Ok(admission) => admission,
        Err(denied) => {
            let mut rejection = Rejection::new(denied.denial.to_error(now));
            rejection.facts.id = Some(call.id.clone());
            inner.records.push(inner.engine.refuse(call, &caller, &denied, now, seed));
            return Err(Box::new(rejection));
        }
    };
    let mut running = Running::new(Arc::clone(inner), admission);
    let mut last: Option<Box<Rejection>> = None;
    // BOUND: the engine bounds attempts and time.
    loop {
        let Some(admission) = running.admission() else { return Err(Box::new(lost())) };
        match inner.engine.next(admission, inner.clock.now()) {
            Next::Try(attempt) => {
                running.begin(&attempt);
                let (answer, back) =
                    attempt_once(inner, upstream, running, &attempt, &scanned, &inbound).await;
                match (answer, back) {
                    (Tried::Answered(answer), _) => return Ok(*answer),
                    (Tried::Failed(rejection), Some(same)) => {
                        last = Some(rejection);
                        running = same;
                    }
                    (Tried::Failed(rejection), None) => return Err(rejection),
                }
            }
            Next::Wait(until) => tokio::time::sleep(until_duration(until, inner.clock.now())).await,
            Next::Refill(_) => return Err(Box::new(lost())),
            Next::Done(failure) => return Err(end_without_answer(inner, running, &failure, last)),
        }
    }
}

/// The engine asked for something that a node which owns all of every limit can't be asked for.
fn lost() -> Rejection {
    Rejection::new(Error::new(
        ErrorKind::Internal,
        "the call's state was lost; this is a defect, please report it",
    ))
}

fn until_duration(until: Timestamp, now: Timestamp) -> Duration {
    Duration::from_millis(u64::try_from(until.since_ms(now)).unwrap_or(0))
}

fn rejection(report: Report, kind: ErrorKind) -> Box<Rejection> {
    let error = Error::new(kind, report.message.clone());
    Box::new(Rejection { report, ..Rejection::new(error) })
}

/// Fields that cost more than the bound can know are refused where a strict spend limit must hold.
pub(crate) fn refuse_unbounded(scanned: &Scanned, caller: &BoundCaller) -> Result<(), Box<Rejection>> {
    if !caller.has_strict_spend() {
        return Ok(());
    }
    let facts = scanned.facts();
    let hosted = facts.hosted_tools.first().map(String::as_str);
    let field = hosted
        .or_else(|| facts.fields(Concern::Hosted).next())
        .or_else(|| facts.fields(Concern::Cost).next());
    match field {
        None => Ok(()),
        Some(field) => {
            let message = format!(
                "`{field}` can cost more than can be known beforehand, and this key has a strict budget; leave it out"
            );
            let mut rejection = Rejection::new(Error::new(ErrorKind::InvalidRequest, message));
            rejection.report.param = Some(field.to_owned());
            Err(Box::new(rejection))
        }
    }
}

fn facts_of(inner: &Inner, scanned: &Scanned, inbound: &Inbound) -> Call {
    let id = inbound.id.clone().unwrap_or_else(|| inner.call_id());
    let mut call = scanned.facts().call(id, inbound.format);
    call.client_ip = inbound.client_ip;
    call.tags.extend(inbound.tags.iter().cloned());
    call
}

/// The call is over without an answer: the last upstream's error, or the denial.
fn end_without_answer(
    inner: &Inner,
    mut running: Running,
    failure: &Failure,
    last: Option<Box<Rejection>>,
) -> Box<Rejection> {
    let mut rejection = match (failure, last) {
        (Failure::Denied(denial), _) => Box::new(Rejection::new(denial.to_error(inner.clock.now()))),
        (Failure::Upstream(_), Some(last)) => last,
        (Failure::Upstream(_), None) => Box::new(lost()),
    };
    running.finish(Some(rejection.error.kind().as_str()));
    rejection.facts = running.facts.clone();
    rejection
}

/// Makes one attempt. Gives the call back when another may follow.
async fn attempt_once(
    inner: &Arc<Inner>,
    upstream: &dyn Upstream,
    mut running: Running,
    attempt: &Attempt,
    scanned: &Scanned,
    inbound: &Inbound,
) -> (Tried, Option<Running>) {
    let failed = |mut running: Running, class, rejection: Box<Rejection>, retry_after_ms| {
        running.observe(class, None, retry_after_ms);
        (Tried::Failed(rejection), Some(running))
    };
    let prepared = match prepare_attempt(inner, attempt, scanned) {
        Ok(prepared) => prepared,
        Err((class, rejection)) => return failed(running, class, rejection, None),
    };
    running.facts.losses = prepared.losses.iter().map(ToString::to_string).collect();
    running.facts.losses.extend(dropped_fields(scanned).map(|field| format!("{field}: dropped")));
    let Some(target) = inner.targets.load().get(attempt.channel(), attempt.endpoint()) else {
        tracing::warn!(channel = %attempt.channel().name, "the channel has no usable address or credential");
        let report = Report::new(
            ErrorKind::UpstreamUnavailable,
            "the channel isn't set up properly: tell the operator",
        );
        return failed(
            running,
            OutcomeClass::Unreachable,
            rejection(report, ErrorKind::UpstreamUnavailable),
            None,
        );
    };
    let request = UpstreamRequest {
        headers: if target.format == inbound.format { inbound.headers.clone() } else { Vec::new() },
        target,
        body: prepared.body.clone(),
        timeouts: attempt.timeouts,
        stream: scanned.facts().stream,
    };
    let deadline = deadline_of(attempt, inner.clock.now());
    running.mark_sent();
    let sent = async {
        if request.target.is_mock() { MockUpstream.send(request).await } else { upstream.send(request).await }
    };
    let sent = timeout_at(first_byte_until(attempt, deadline), sent).await;
    let response = match sent.unwrap_or(Err(UpstreamFault::Timeout { sent: true })) {
        Ok(response) => response,
        Err(fault) => return connection_failed(running, attempt, &fault),
    };
    running.mark_status(response.status);
    running.facts.upstream_request_id.clone_from(&response.request_id);
    if !(200..300).contains(&response.status) {
        return refused(running, attempt, response, deadline).await;
    }
    deliver(inner, running, attempt, scanned, prepared, response, deadline).await
}

fn connection_failed(
    mut running: Running,
    attempt: &Attempt,
    fault: &UpstreamFault,
) -> (Tried, Option<Running>) {
    tracing::debug!(channel = %attempt.channel().name, %fault, "an attempt failed");
    let (class, report) = class_of_fault(fault);
    // Before any status a broken connection is a server that failed: another try may succeed. What was sent may have
    // been worked on, but no provider bills an answer that it didn't begin.
    let class = if class == OutcomeClass::Broken { OutcomeClass::ServerError } else { class };
    running.observe(class, None, None);
    let kind = report.kind;
    (Tried::Failed(rejection(report, kind)), Some(running))
}

fn deadline_of(attempt: &Attempt, now: Timestamp) -> Instant {
    let left = until_duration(attempt.deadline, now);
    let total = attempt.timeouts.total_ms.map_or(left, |ms| left.min(Duration::from_millis(ms)));
    Instant::now() + total
}

/// When there must be a first byte, counted from now.
fn first_byte_until(attempt: &Attempt, deadline: Instant) -> Instant {
    attempt
        .timeouts
        .first_byte_ms
        .map_or(deadline, |ms| deadline.min(Instant::now() + Duration::from_millis(ms)))
}

/// Fields that callers may not set are left out, and named in the answer's loss report.
fn dropped_fields(scanned: &Scanned) -> impl Iterator<Item = &'static str> + '_ {
    let facts = scanned.facts();
    facts.fields(Concern::Credential).chain(facts.fields(Concern::Routing))
}

/// The body to send for this attempt, or why this channel can't be sent one.
pub(crate) fn prepare_attempt(
    inner: &Inner,
    attempt: &Attempt,
    scanned: &Scanned,
) -> Result<Prepared, (OutcomeClass, Box<Rejection>)> {
    let allowed = &attempt.channel().client_overrides;
    let drop: smallvec::SmallVec<[&str; 4]> =
        dropped_fields(scanned).filter(|field| !allowed.iter().any(|name| name == field)).collect();
    let edits = Edits {
        model: Some(attempt.upstream_model.as_str()),
        max_output: attempt.ceiling,
        include_usage: true,
        drop: &drop,
        ..Edits::default()
    };
    let refused = |error: sluicegate_wire::WireError| {
        // What this channel's format can't say, another's may.
        let class = match error.kind() {
            ErrorKind::NotSupported => OutcomeClass::Inexpressible,
            _ => OutcomeClass::BadRequest,
        };
        (class, rejection(Report::from(&error), error.kind()))
    };
    let prepared = scanned.prepare(&edits, attempt.endpoint().format).map_err(refused)?;
    if inner.strict_translation && !prepared.losses.is_empty() {
        let losses: Vec<_> = prepared.losses.iter().map(ToString::to_string).collect();
        let message = format!(
            "this call can't be translated without loss, and losses are refused here: {}",
            losses.join("; ")
        );
        return Err((
            OutcomeClass::Inexpressible,
            Box::new(Rejection::new(Error::new(ErrorKind::InvalidRequest, message))),
        ));
    }
    Ok(prepared)
}

/// The upstream answered with an error status.
async fn refused(
    mut running: Running,
    attempt: &Attempt,
    mut response: UpstreamResponse,
    deadline: Instant,
) -> (Tried, Option<Running>) {
    let body = read_some(&mut response.body, deadline).await;
    let fault = Fault::classify(response.status, &body);
    let class = class_of(fault.class);
    tracing::debug!(
        channel = %attempt.channel().name, status = response.status, class = fault.class.as_str(), message = %fault.message,
        "an upstream refused"
    );
    running.observe(class, None, response.retry_after_ms);
    let mut rejection = fault_rejection(&fault, response.retry_after_ms);
    rejection.upstream_status =
        matches!(fault.class, FaultClass::BadRequest | FaultClass::ContentPolicy).then_some(response.status);
    (Tried::Failed(rejection), Some(running))
}

fn fault_rejection(fault: &Fault, retry_after_ms: Option<u64>) -> Box<Rejection> {
    let report = Report::from(fault);
    let mut error = Error::new(report.kind, report.message.clone());
    if let Some(ms) = retry_after_ms {
        error = error.with_retry(sluicegate_core::Retry::AfterMs(ms));
    }
    Box::new(Rejection { report, ..Rejection::new(error) })
}

async fn read_some(body: &mut Box<dyn UpstreamBody>, deadline: Instant) -> Vec<u8> {
    let mut read = Vec::new();
    while let Ok(Some(Ok(chunk))) = timeout_at(deadline, body.chunk()).await {
        let room = ERROR_BODY_MAX.saturating_sub(read.len());
        read.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
        if read.len() >= ERROR_BODY_MAX {
            break;
        }
    }
    read
}

/// The upstream answered with success: reads until there is content, so that an error before it can still be answered
/// otherwise, then hands the rest on.
async fn deliver(
    inner: &Arc<Inner>,
    mut running: Running,
    attempt: &Attempt,
    scanned: &Scanned,
    prepared: Prepared,
    response: UpstreamResponse,
    deadline: Instant,
) -> (Tried, Option<Running>) {
    let mut bridge = Bridge::new(bridge_options(inner, &running, attempt, scanned, prepared, &response));
    let mut body = response.body;
    let mut out: VecDeque<Bytes> = VecDeque::new();
    let streams = scanned.facts().stream;
    let first = first_byte_until(attempt, deadline);
    // BOUND: the bridge bounds what a frame and a body may hold, the deadline how long they take.
    loop {
        let limit = if streams { first } else { deadline };
        let chunk =
            timeout_at(limit, body.chunk()).await.unwrap_or(Some(Err(UpstreamFault::Timeout { sent: true })));
        match chunk {
            Some(Ok(chunk)) => bridge.push(chunk, &mut |bytes| out.push_back(bytes)),
            None => bridge.finish(End::Eof, &mut |bytes| out.push_back(bytes)),
            Some(Err(fault)) => return broke_early(running, bridge, &fault),
        }
        let observed = bridge.observed();
        if observed.first_content {
            running.mark_content();
        }
        if streams && observed.first_content && !bridge.ended() {
            running.note_remaining();
            let facts = running.facts.clone();
            let stream = AnswerStream::new(running, bridge, body, out, sleep_until(deadline));
            return (
                Tried::Answered(Box::new(Answer { body: AnswerBody::Stream(Box::new(stream)), facts })),
                None,
            );
        }
        if bridge.ended() {
            return whole(running, bridge, out, streams);
        }
    }
}

fn bridge_options(
    inner: &Inner,
    running: &Running,
    attempt: &Attempt,
    scanned: &Scanned,
    prepared: Prepared,
    response: &UpstreamResponse,
) -> BridgeOptions {
    let (caller, streams) = (scanned.format(), scanned.facts().stream);
    let call = running.call();
    BridgeOptions {
        caller_streams: streams,
        upstream_streams: response.is_event_stream,
        reply: prepared.reply,
        present_model: inner.present_requested.then(|| scanned.facts().model.clone()),
        id: call.map(|call| call.id.as_str().to_owned()).unwrap_or_default(),
        created_s: inner.clock.now().as_ms().div_euclid(1000),
        input_estimate: call.map_or(0, |call| call.input_estimate),
        ..BridgeOptions::new(caller, attempt.endpoint().format)
    }
}

/// The connection failed after a success status and before the caller got anything: another try may follow.
fn broke_early(mut running: Running, mut bridge: Bridge, fault: &UpstreamFault) -> (Tried, Option<Running>) {
    let (class, report) = class_of_fault(fault);
    bridge.finish(End::ClientGone, &mut |_| {});
    // What was read is lost to the caller and yet may be billed: it is charged as far as it came.
    let observed = bridge.observed();
    let class = match class {
        OutcomeClass::Broken if !observed.first_content => OutcomeClass::ServerError,
        class => class,
    };
    running.observe(class, Some(observed), None);
    let kind = report.kind;
    (Tried::Failed(rejection(report, kind)), Some(running))
}

/// The answer is complete before anything was handed on.
fn whole(
    mut running: Running,
    bridge: Bridge,
    out: VecDeque<Bytes>,
    streams: bool,
) -> (Tried, Option<Running>) {
    let observed = bridge.observed();
    if let Some(fault) = &observed.error {
        let class = match class_of(fault.class) {
            OutcomeClass::ServerError if !observed.first_content => OutcomeClass::Nonsense,
            class => class,
        };
        let class = if observed.first_content { OutcomeClass::Broken } else { class };
        running.observe(class, Some(observed), None);
        return (Tried::Failed(fault_rejection(fault, None)), Some(running));
    }
    running.observe(OutcomeClass::Ok, Some(observed), None);
    running.finish(None);
    let facts = std::mem::take(&mut running.facts);
    let body = if streams {
        AnswerBody::Stream(Box::new(AnswerStream::done(running, bridge, out)))
    } else {
        AnswerBody::Full(join(out))
    };
    (Tried::Answered(Box::new(Answer { body, facts })), None)
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
