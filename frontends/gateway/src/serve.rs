//! The way of one call. The only retry loop in the project: the engine says what to try, this does it and reports.

mod count;
mod deliver;
pub(crate) mod standing;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sluicegate_core::call::Unit;
use sluicegate_core::channel::{Translation, UnknownFields};
use sluicegate_core::engine::{Attempt, BoundCaller, Denied, Failure, Queued};
use sluicegate_core::guardrail::GuardrailMarks;
use sluicegate_core::price::Variant;
use sluicegate_core::tenant::RouteUse;
use sluicegate_core::{Call, Channel, Error, ErrorKind, Format, Next, OutcomeClass, Timestamp};
use sluicegate_wire::{
    Addressed, Fault, FaultClass, Headers, Mock, OverlayContext, Prepared, Report, Scanned, count_request,
    input_tokens_request, overlay, scan_addressed,
};
use tokio::time::{Instant, timeout_at};

use crate::answer::{Answer, Inbound, Rejection};
use crate::background::Job;
use crate::body_text::BodyText;
use crate::gateway::Inner;
use crate::guardrail;
use crate::made_up;
use crate::prepare::{Ready, Unsent, Way, prepare};
use crate::queue::Place;
use crate::response::{self, Continued, Keep};
use crate::running::{Running, class_of, class_of_fault, told};
use crate::tokenizer;
use crate::upload::{Form, Upload};
use crate::upstream::{
    MockUpstream, Rest, Special, Target, Upstream, UpstreamBody, UpstreamFault, UpstreamRequest,
    UpstreamResponse,
};
use deliver::deliver;
use standing::Standing;

/// No more of an upstream's error body is read.
const ERROR_BODY_MAX: usize = 64 * 1024;

/// How one try ended: with an answer, or with what to tell the caller if it was the last.
enum Tried {
    Answered(Box<Answer>),
    Failed(Box<Rejection>),
}

/// Reads a request, with the conversation that it goes on from.
///
/// # Errors
/// When it can't be read, or can cost more than may be known where a strict spend limit must hold.
pub(crate) async fn read(
    inner: &Inner,
    caller: &Arc<BoundCaller>,
    inbound: &Inbound,
) -> Result<(Box<Scanned>, Option<Box<Continued>>), Box<Rejection>> {
    let at = inbound.address.as_ref().map(|at| Addressed { model: &at.model, stream: at.stream });
    let scanned = scan_addressed(inbound.format, &inbound.body, at)
        .map(Box::new)
        .map_err(|error| rejection(Report::from(&error), error.kind()))?;
    let (scanned, continued) = response::continued(inner, caller, scanned).await?;
    refuse_unbounded(&scanned, inbound.format, caller.has_strict_spend())?;
    Ok((scanned, continued))
}

/// The call that a request makes.
///
/// # Errors
/// `InvalidRequest` for what no record can keep, and for an answer that may not be made up.
pub(crate) fn asked(
    inner: &Inner,
    scanned: &mut Scanned,
    continued: Option<&Continued>,
    inbound: &Inbound,
) -> Result<Call, Error> {
    if let Some(continued) = continued {
        continued.mark(scanned);
    }
    let mut call = facts_of(inner, scanned, inbound);
    if let Some(continued) = continued {
        continued.bind(&mut call);
    }
    if scanned.facts().mock.is_some() {
        let allowed = inner.engine.snapshot().declared.routing.allow_mock_parameters;
        made_up::permit(allowed, scanned.facts(), &mut call)?;
    }
    keepable(call)
}

/// Serves one request.
pub(crate) async fn serve(
    inner: &Arc<Inner>,
    upstream: &dyn Upstream,
    mut inbound: Inbound,
    upload: Option<Upload>,
    job: Option<&mut Job>,
) -> Result<Answer, Box<Rejection>> {
    inner.records.check_room().map_err(Rejection::new)?;
    let mut standing = Standing::of(inner);
    let caller = inner.caller(inbound.credential.as_ref()).await.map_err(Rejection::new)?;
    let path = inbound.path.as_deref().unwrap_or_default();
    caller.caller.routes.check(path, &[RouteUse::Inference]).map_err(Rejection::new)?;
    let form = match upload {
        Some(upload) => Some(Box::pin(take_form(inner, &mut inbound, upload)).await.map_err(Rejection::new)?),
        None => None,
    };
    let (scanned, continued) = Box::pin(read(inner, &caller, &inbound)).await?;
    let (mut scanned, looked, marks) = if inner.guardrails.is_idle(&caller, &scanned.facts().guardrails) {
        (scanned, None, None)
    } else {
        let guardrail::Watched { scanned, looked, marks } =
            Box::pin(guardrail::request(inner, &caller, scanned, &mut inbound)).await?;
        (scanned, looked, Some(marks))
    };
    if let Some(form) = &form {
        let (files, bytes) = form.files();
        scanned.with_files(files, bytes);
    }
    let call = asked(inner, &mut scanned, continued.as_deref(), &inbound).map_err(Rejection::new)?;
    let (now, seed) = (inner.clock.now(), inner.seed());
    let text = || BodyText::of(&scanned);
    let mut admission = match inner.engine.admit_with_text(call.clone(), &caller, now, seed, &text) {
        Ok(admission) => admission,
        Err(denied) => return Err(deny(inner, &caller, call, &denied, (now, seed), inbound.explain, marks)),
    };
    let by_name = admission.has_strict_spend_by_name();
    if tokenizer::AVAILABLE {
        admission.can_count();
    }
    // What is moved from one step to the next stays where it is: futures hold two places for each argument.
    let mut running = Box::new(Running::new(Arc::clone(inner), admission));
    running.explain = inbound.explain;
    // What is only counted, or compacted, is no response that somebody goes on from.
    let is_made = inbound.format == scanned.format();
    running.keep = is_made.then(|| Keep::begin(inner, &caller, &scanned, continued.as_deref())).flatten();
    let shown = continued.as_deref().filter(|_| is_made).map(Continued::shown).unwrap_or_default();
    running.facts.guardrails = marks.unwrap_or_default();
    running.expected = scanned.facts().expected;
    refuse_unbounded(&scanned, inbound.format, by_name).inspect_err(|rejection| {
        running.finish(Some(rejection.error.kind().as_str()));
    })?;
    if let Some(admission) = running.admission() {
        admission.be_patient();
    }
    let shown = match &job {
        Some(job) => shown.background(job.id()),
        None => shown,
    };
    if let Some(job) = job {
        let Running { keep, facts, .. } = &mut *running;
        let begun = job.admitted(inner, keep.as_deref_mut(), scanned.body(), &shown, facts).await;
        if let Err(error) = begun {
            running.finish(Some(error.kind().as_str()));
            return Err(Box::new(Rejection::new(error)));
        }
    }
    running.shown = (!shown.is_empty()).then(|| Arc::new(shown));
    // Its own channel has the conversation; what was masked in it is sent instead.
    let original = continued.as_deref().filter(|_| looked.is_none());
    let scanned_for = |attempt: &Attempt| {
        let first = original.and_then(|it| it.at(attempt)).unwrap_or(&scanned);
        (first, &*scanned)
    };
    let mut last: Option<Box<Rejection>> = None;
    let mut place: Option<Place> = None;
    // BOUND: the engine bounds attempts and time.
    loop {
        if standing.has_changed(inner) {
            let path = inbound.path.as_deref().unwrap_or_default();
            let found = standing::caller(inner, inbound.credential.as_ref(), path).await;
            if let Some(refused) = standing::refused(inner, &running, found) {
                drop(place.take());
                return Err(ended(running, Box::new(Rejection::new(refused))).await);
            }
        }
        let Some(admission) = running.admission() else { return Err(Box::new(lost())) };
        match inner.engine.next(admission, inner.clock.now()) {
            Next::Try(attempt) => {
                // Its reservation is made: the next in line may look.
                place = None;
                running.begin(&attempt);
                if let Some(looked) = &looked {
                    if let Some(refusal) = looked.unseen(inner, attempt.model.as_str()) {
                        running.observe(OutcomeClass::Inexpressible, None, None);
                        last = Some(refusal.rejection());
                        continue;
                    }
                    running.watch = looked.watch(inner, attempt.model.as_str());
                }
                let (answer, back) = attempt_once(
                    inner,
                    upstream,
                    running,
                    &attempt,
                    scanned_for(&attempt),
                    (&inbound, form.as_ref()),
                )
                .await;
                match (answer, back) {
                    (Tried::Answered(answer), _) => return Ok(*answer),
                    (Tried::Failed(rejection), Some(same)) => {
                        if form.as_ref().and_then(Form::rest).is_some_and(Rest::is_taken) {
                            // What was sent of the body is gone: there is nothing to try again with.
                            return Err(ended(same, rejection).await);
                        }
                        last = Some(rejection);
                        running = same;
                    }
                    (Tried::Failed(rejection), None) => return Err(rejection),
                }
            }
            Next::Queue(queued) => place = stand_in_line(inner, &mut running, place, queued).await,
            Next::Wait(until) => tokio::time::sleep(until_duration(until, inner.clock.now())).await,
            Next::Count(with) => {
                let counted = tokenizer::input_bound(&scanned, with).await;
                if let Some(admission) = running.admission() {
                    admission.counted(with, counted);
                }
            }
            Next::Refill(_) => return Err(Box::new(lost())),
            Next::Done(failure) => {
                // The next in line needn't wait for what is written of this call.
                drop(place.take());
                if inbound.format.counts_tokens() {
                    match Box::pin(count::after(&failure, running, &scanned, inbound.format)).await {
                        Ok(answer) => return Ok(answer),
                        Err(same) => running = same,
                    }
                }
                return Err(end_without_answer(inner, running, &failure, last).await);
            }
        }
    }
}

/// Refuses a call that was not let in: what the caller is told, and the record.
pub(crate) fn deny(
    inner: &Inner,
    caller: &Arc<BoundCaller>,
    call: Call,
    denied: &Denied,
    (now, seed): (Timestamp, u64),
    explain: bool,
    marks: Option<GuardrailMarks>,
) -> Box<Rejection> {
    let mut rejection = Rejection::new(denied.denial.to_error(now));
    rejection.facts.id = Some(call.id.clone());
    if explain {
        rejection.facts.told = Some(told(inner, caller, &denied.explanation, now));
    }
    let mut record = inner.engine.refuse(call, caller, denied, now, seed);
    if let Some(marks) = marks {
        record.guardrails.clone_from(&marks);
        rejection.facts.guardrails = marks;
    }
    inner.records.push(record);
    Box::new(rejection)
}

/// Reads a form as far as it says what is asked. What it says is then read like a body.
async fn take_form(inner: &Inner, inbound: &mut Inbound, upload: Upload) -> Result<Form, Error> {
    let snapshot = inner.engine.snapshot();
    let mut channels = snapshot.channels().iter();
    // Whoever looks at all fields, or changes them, must see them all.
    let strict = !inner.guardrails.is_empty()
        || channels.any(|it| !it.body_edits.is_empty() || it.unknown_fields != UnknownFields::Pass);
    let form = Form::read(inbound.format, upload, strict).await?;
    inbound.body = form.json();
    Ok(form)
}

/// Ends a call that doesn't go on: what its caller is told, once what it settled is written.
pub(crate) async fn ended(mut running: Box<Running>, mut rejection: Box<Rejection>) -> Box<Rejection> {
    running.finish(Some(rejection.error.kind().as_str()));
    running.settled().await;
    rejection.facts = running.facts.clone();
    rejection
}

/// Waits until it is the call's turn to ask again, or no longer makes sense.
pub(crate) async fn stand_in_line(
    inner: &Inner,
    running: &mut Running,
    place: Option<Place>,
    queued: Queued,
) -> Option<Place> {
    let within = until_duration(queued.until, inner.clock.now());
    let key = running.admission().and_then(|admission| admission.caller().caller.key.clone());
    let place = inner.queue.wait(place, queued.line, key.as_ref(), within).await;
    let admission = running.admission()?;
    match &place {
        Some(_) => admission.take_turn(queued.line.cell),
        None => admission.stop_waiting(),
    }
    place
}

/// What a call reserved couldn't be written, so it isn't sent: nothing was used.
pub(crate) fn unwritten(mut running: Box<Running>, error: Error) -> Box<Rejection> {
    running.observe(OutcomeClass::ClientGone, None, None);
    running.finish(Some(error.kind().as_str()));
    let facts = running.facts.clone();
    Box::new(Rejection { facts, ..Rejection::new(error) })
}

/// The engine asked for something that a node which owns all of every limit can't be asked for.
pub(crate) fn lost() -> Rejection {
    Rejection::new(Error::new(
        ErrorKind::Internal,
        "the call's state was lost; this is a defect, please report it",
    ))
}

pub(crate) fn until_duration(until: Timestamp, now: Timestamp) -> Duration {
    Duration::from_millis(u64::try_from(until.since_ms(now)).unwrap_or(0))
}

pub(crate) fn rejection(report: Report, kind: ErrorKind) -> Box<Rejection> {
    let error = Error::new(kind, report.message.clone());
    Box::new(Rejection { report, ..Rejection::new(error) })
}

/// Fields that cost more than the bound can know, in a call of that format, are refused where a strict spend limit must hold.
pub(crate) fn refuse_unbounded(
    scanned: &Scanned,
    format: Format,
    strict_spend: bool,
) -> Result<(), Box<Rejection>> {
    if !strict_spend {
        return Ok(());
    }
    match scanned.facts().open_ended(format) {
        None => Ok(()),
        Some(field) => {
            let message = format!(
                "`{field}` can cost more than can be known beforehand, and this call has a strict budget; leave it out"
            );
            let mut rejection = Rejection::new(Error::new(ErrorKind::InvalidRequest, message));
            rejection.report.param = Some(field.to_owned());
            Err(Box::new(rejection))
        }
    }
}

/// The call that a request makes, as far as it can be kept.
///
/// # Errors
/// As [`keepable`].
pub(crate) fn read_call(inner: &Inner, scanned: &Scanned, inbound: &Inbound) -> Result<Call, Error> {
    keepable(facts_of(inner, scanned, inbound))
}

fn facts_of(inner: &Inner, scanned: &Scanned, inbound: &Inbound) -> Call {
    let id = inbound.id.clone().unwrap_or_else(|| inner.call_id());
    let mut call = scanned.facts().call(id, inbound.format);
    call.client_ip = inbound.client_ip;
    call.tags.extend(inbound.tags.iter().cloned());
    if let Some((_, client)) = inbound.client_headers.iter().find(|(name, _)| name == "user-agent") {
        call.tags.extend(inner.engine.snapshot().tags_of_client(client));
    }
    call
}

/// No model's name is longer, in bytes. It is part of keys in the database, which have an end there, too.
const MODEL_MAX: usize = 256;
/// What callers say about themselves is cut here, in bytes: it is in each record.
const LABEL_MAX: usize = 512;

/// The call with nothing in it that its record couldn't hold.
///
/// # Errors
/// `InvalidRequest` when the model's name is too long to be one, or a host's id of the call is no id.
pub(crate) fn keepable(mut call: Call) -> Result<Call, Error> {
    if call.model.as_str().len() > MODEL_MAX {
        let message = format!("`model` is longer than {MODEL_MAX} bytes, and no model has such a name");
        return Err(Error::new(ErrorKind::InvalidRequest, message).with("param", "model"));
    }
    if call.id.as_str().contains('~') {
        let message = "a call's id can't hold `~`, which marks what amends a record";
        return Err(Error::new(ErrorKind::InvalidRequest, message));
    }
    for label in call.customer.iter_mut().chain(&mut call.tags) {
        label.truncate(label.floor_char_boundary(LABEL_MAX));
    }
    Ok(call)
}

/// The call is over without an answer: the last upstream's error, or the denial.
pub(crate) async fn end_without_answer(
    inner: &Inner,
    running: Box<Running>,
    failure: &Failure,
    last: Option<Box<Rejection>>,
) -> Box<Rejection> {
    let rejection = match (failure, last) {
        (Failure::Denied(denial), _) => Box::new(Rejection::new(denial.to_error(inner.clock.now()))),
        (Failure::Upstream(_), Some(last)) => last,
        (Failure::Upstream(_), None) => Box::new(lost()),
    };
    ended(running, rejection).await
}

/// Makes one attempt, with the request as its channel is sent it first, or whole. Gives the call back when another may follow.
async fn attempt_once(
    inner: &Arc<Inner>,
    upstream: &dyn Upstream,
    mut running: Box<Running>,
    attempt: &Attempt,
    (mut scanned, whole): (&Scanned, &Scanned),
    (inbound, form): (&Inbound, Option<&Form>),
) -> (Tried, Option<Box<Running>>) {
    let failed = |mut running: Box<Running>, class, rejection: Box<Rejection>, retry_after_ms| {
        running.observe(class, None, retry_after_ms);
        (Tried::Failed(rejection), Some(running))
    };
    let mocked = scanned.facts().mock.as_deref().filter(|_| running.call().is_some_and(|call| call.mock));
    let format = mocked.map_or(attempt.endpoint().format, |_| made_up::format(scanned.format()));
    let counts = inbound.format.counts_tokens();
    if counts && format != inbound.format {
        return Box::pin(count::by_us(running, attempt, whole, inbound.format)).await;
    }
    let found = inner.targets.load().get(attempt.channel(), attempt.endpoint(), attempt.key());
    let mut headers = found.as_deref().and_then(|target| headers_of_call(target, inbound));
    let ready =
        match prepare_attempt(inner, attempt, scanned, (format, inbound.translation), headers.as_mut()) {
            Ok(ready) => ready,
            Err((class, rejection)) => return failed(running, class, rejection, None),
        };
    let drops_tier = ready.drops_tier(scanned);
    let mut prepared = match running.take_ready(ready, scanned.body()) {
        Ok(prepared) => prepared,
        Err((class, rejection)) => return failed(running, class, rejection, None),
    };
    if let Some(admission) = running.admission() {
        admission.sends_variant(sent_variant(attempt.channel(), format, &prepared));
        if drops_tier {
            admission.sends_no_tier();
        }
    }
    let Some(target) = found else {
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
    let body = match form.map_or(Ok(prepared.body.clone()), |form| form.body(&prepared.body)) {
        Ok(body) => body,
        Err(error) => {
            let rejection = rejection(Report::from(&error), error.kind());
            return failed(running, OutcomeClass::BadRequest, rejection, None);
        }
    };
    let rest = form.and_then(Form::rest);
    let model = attempt.upstream_model.as_str();
    let stream = scanned.facts().stream || prepared.streams;
    let target = target.for_call(model, stream);
    let request = |headers: Option<Headers<'_>>, body: Bytes| UpstreamRequest {
        headers: own_headers(target.format, inbound, form, headers.is_some()),
        target: match headers {
            Some(headers) => Arc::clone(&target).with_headers(headers),
            None => Arc::clone(&target),
        },
        body,
        timeouts: attempt.timeouts,
        stream,
        special: rest.map(|rest| Arc::new(Special { rest: Some(rest.clone()), ..Special::default() })),
    };
    // Last of all before it is sent: those who are as far are written and sent one after the other, so that whoever they
    // are sent to is woken once for them all.
    if let Err(error) = inner.records.commit(inner.in_company()).await {
        return (Tried::Failed(unwritten(running, error)), None);
    }
    let due = Due::of(attempt, inner.clock.now());
    if mocked.is_none() {
        running.mark_sent();
    }
    // How long a body takes to come is its sender's affair.
    let first = if rest.is_some() { due.total } else { due.first };
    let mut sent = send(upstream, mocked, request(headers, body), first).await;
    // What its own channel doesn't know any more, or never kept, is sent whole: nothing was answered so far.
    if matches!(&sent, Ok(response) if matches!(response.status, 400 | 404)) && !std::ptr::eq(scanned, whole)
    {
        // What is changed begins anew: the first try's changes aren't there.
        let mut headers = headers_of_call(&target, inbound);
        let ready = prepare_attempt(inner, attempt, whole, (format, inbound.translation), headers.as_mut());
        (scanned, prepared) = match ready.and_then(|ready| running.take_ready(ready, whole.body())) {
            Ok(prepared) => (whole, prepared),
            Err((class, rejection)) => return failed(running, class, rejection, None),
        };
        let again = request(headers, prepared.body.clone());
        sent = send(upstream, mocked, again, first).await;
    }
    let response = match sent {
        Ok(response) => response,
        Err(fault) => {
            if let Some(error) = rest.and_then(Rest::broken) {
                return failed(running, OutcomeClass::BadRequest, Box::new(Rejection::new(error)), None);
            }
            return connection_failed(running, attempt, &fault);
        }
    };
    running.mark_status(response.status);
    running.mark_tier(response.served_tier);
    if let Some(keep) = &mut running.keep {
        keep.made_by(attempt, format, scanned);
    }
    running.facts.upstream_request_id.clone_from(&response.request_id);
    if counts && matches!(response.status, 404 | 405 | 501) {
        // It speaks the format, and doesn't count.
        return Box::pin(count::by_us(running, attempt, whole, inbound.format)).await;
    }
    if !(200..300).contains(&response.status) {
        return Box::pin(refused(running, attempt, response, due.total)).await;
    }
    if let Some(field) = count::passed(format) {
        return Box::pin(count::by_upstream(running, response, due.total, field)).await;
    }
    deliver(inner, running, spoken(format), scanned, prepared, response, due).await
}

/// The format in which an operation is asked: those beside the making of an answer have its words.
const fn spoken(format: Format) -> Format {
    match format {
        Format::GeminiCountTokens => Format::GeminiGenerate,
        Format::OpenaiInputTokens | Format::OpenaiCompact => Format::OpenaiResponses,
        format => format,
    }
}

/// What goes on of the caller's headers, and of what kind a form is.
fn own_headers(to: Format, inbound: &Inbound, form: Option<&Form>, is_edited: bool) -> Vec<(String, String)> {
    let goes_on = to == inbound.format && !is_edited;
    let mut headers = if goes_on { inbound.headers.clone() } else { Vec::new() };
    headers.extend(form.map(|form| ("content-type".to_owned(), form.content_type().to_owned())));
    headers
}

/// The headers of a call where its channel changes them, with those that go on by themselves.
fn headers_of_call<'a>(target: &Target, inbound: &'a Inbound) -> Option<Headers<'a>> {
    let own = if target.format == inbound.format { inbound.headers.as_slice() } else { &[] };
    target.headers_of_call(&inbound.client_headers, own)
}

/// Sends a request, or makes its answer up, until its first byte is due.
async fn send(
    upstream: &dyn Upstream,
    mocked: Option<&Mock>,
    request: UpstreamRequest,
    first: Instant,
) -> Result<UpstreamResponse, UpstreamFault> {
    let sent = async {
        if let Some(wanted) = mocked {
            made_up::answer(wanted, &request).await
        } else if request.target.is_mock() {
            MockUpstream.send(request).await
        } else {
            upstream.send(request).await
        }
    };
    timeout_at(first, sent).await.unwrap_or(Err(UpstreamFault::Timeout { sent: true }))
}

fn connection_failed(
    mut running: Box<Running>,
    attempt: &Attempt,
    fault: &UpstreamFault,
) -> (Tried, Option<Box<Running>>) {
    tracing::debug!(channel = %attempt.channel().name, %fault, "an attempt failed");
    let (class, report) = class_of_fault(fault);
    // Before any status a broken connection is a server that failed: another try may succeed. What was sent may have
    // been worked on, but no provider bills an answer that it didn't begin.
    let class = if class == OutcomeClass::Broken { OutcomeClass::ServerError } else { class };
    running.observe(class, None, None);
    let kind = report.kind;
    (Tried::Failed(rejection(report, kind)), Some(running))
}

/// When an attempt that is sent now must have got how far.
#[derive(Clone, Copy)]
pub(crate) struct Due {
    /// To its first content.
    pub(crate) first: Instant,
    /// To its end.
    pub(crate) total: Instant,
}

impl Due {
    pub(crate) fn of(attempt: &Attempt, now: Timestamp) -> Self {
        let (start, left) = (Instant::now(), until_duration(attempt.deadline, now));
        let within =
            |ms: Option<u64>, most: Duration| ms.map_or(most, |ms| most.min(Duration::from_millis(ms)));
        let total = within(attempt.timeouts.total_ms, left);
        Self { first: start + within(attempt.timeouts.first_byte_ms, total), total: start + total }
    }
}

/// Whether a call goes to a channel whole or not at all. Nobody can ask for less than somebody else does.
pub(crate) fn is_strict(inner: &Inner, channel: &Channel, wanted: Translation) -> bool {
    let own = channel.translation.unwrap_or(inner.translation);
    inner.strict_translation || [own, wanted].contains(&Translation::Strict)
}

/// The request as it is sent in this attempt, or why this channel can't be sent it.
pub(crate) fn prepare_attempt(
    inner: &Inner,
    attempt: &Attempt,
    scanned: &Scanned,
    (format, wanted): (Format, Translation),
    headers: Option<&mut Headers<'_>>,
) -> Result<Ready, (OutcomeClass, Box<Rejection>)> {
    let (asked, format) = (format, spoken(format));
    let refused = |Unsent { report, is_elsewhere }: Unsent| {
        // What this channel's format can't say, another's may.
        let class = if is_elsewhere { OutcomeClass::Inexpressible } else { OutcomeClass::BadRequest };
        let kind = report.kind;
        (class, rejection(*report, kind))
    };
    let (channel, model) = (attempt.channel(), attempt.upstream_model.as_str());
    let is_strict = is_strict(inner, channel, wanted);
    let way = Way { channel, format, model, ceiling: attempt.ceiling, is_strict };
    let mut ready = prepare(scanned, &way).map_err(refused)?;
    let body = &mut ready.prepared.body;
    if !channel.body_edits.is_empty() {
        let context = OverlayContext {
            original_model: scanned.facts().models().0,
            upstream_model: model,
            retry_index: attempt.number.saturating_sub(1),
        };
        let (edits, adds) = (&channel.body_edits, attempt.extra_input());
        let mut none = Headers::default();
        let headers = headers.unwrap_or(&mut none);
        *body =
            overlay(body, format, edits, &context, headers, adds).map_err(|error| refused(error.into()))?;
    }
    match asked {
        Format::GeminiCountTokens => *body = count_request(body, model),
        Format::OpenaiInputTokens => *body = input_tokens_request(body),
        _ => {}
    }
    Ok(ready)
}

/// What is asked of images in the end, where the channel changes bodies; `None` where it doesn't.
pub(crate) fn sent_variant(channel: &Channel, format: Format, prepared: &Prepared) -> Option<Variant> {
    if channel.body_edits.is_empty() || format.unit() != Some(Unit::Image) {
        return None;
    }
    let sent = scan_addressed(format, &prepared.body, None).ok()?;
    Variant::of(sent.facts().size.as_deref(), sent.facts().quality.as_deref())
}

/// The upstream answered with an error status.
async fn refused(
    mut running: Box<Running>,
    attempt: &Attempt,
    mut response: UpstreamResponse,
    deadline: Instant,
) -> (Tried, Option<Box<Running>>) {
    let body = read_some(&mut response.body, deadline).await;
    let fault = Fault::classify_at(&attempt.channel().quirks.errors, response.status, &body);
    let class = class_of(fault.class);
    tracing::debug!(
        channel = %attempt.channel().name, status = response.status, class = fault.class.as_str(), message = %fault.message,
        "an upstream refused"
    );
    let retry_after_ms = response.retry_after_ms.or(fault.retry_after_ms);
    running.observe(class, None, retry_after_ms);
    let mut rejection = fault_rejection(&fault, retry_after_ms);
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

pub(crate) async fn read_some(body: &mut Box<dyn UpstreamBody>, deadline: Instant) -> Vec<u8> {
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

#[cfg(test)]
#[cfg(feature = "sqlite")]
mod tests;
