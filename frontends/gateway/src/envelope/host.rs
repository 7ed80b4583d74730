//! A gateway for hosts that aren't Rust: with the runtime that it lives on, driven by text.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use sluicegate_core::channel::Translation;
use sluicegate_core::engine::{Attempt, BoundCaller, Failure};
use sluicegate_core::guardrail::GuardrailMarks;
use sluicegate_core::record::told_losses;
use sluicegate_core::tenant::RouteUse;
use sluicegate_core::{
    Call, CallId, Error, ErrorKind, ModelName, Next, Outcome, OutcomeClass, Result, Secret, ServiceTier,
    Timestamp, Usage, UsageSource,
};
use sluicegate_wire::{Bridge, BridgeOptions, End, Fault as WireFault, Observed, Reply, Scanned, Side, scan};

use super::answer::{
    Answer, Completed, CompletedFacts, Explained, Failed, Fault, RemainingLimit, Step, Tried,
};
use super::calls::{Calls, OpenCall, OpenWatch};
use super::request::{Ask, CallFacts, HostOptions, ReportRequest, ReportedOutcome, Request, Verb};
use crate::answer::{AnswerBody, Inbound};
use crate::body_text::BodyText;
use crate::clock::ManualClock;
use crate::gateway::{Gateway, Options, Worker};
use crate::guardrail::{self, Looked};
use crate::load::ConfigText;
use crate::made_up;
use crate::running::class_of;
use crate::serve::{self, prepare_attempt, sent_variant};
use crate::tokenizer;

/// A gateway and its runtime. Every method may be called from any thread.
pub struct Host {
    worker: Worker,
    manual: Option<Arc<ManualClock>>,
    open: Mutex<Calls>,
    closed: AtomicBool,
    /// Last, so that it outlives what runs on it.
    runtime: tokio::runtime::Runtime,
}

impl Host {
    /// Opens a host. `options` is JSON: see [`HostOptions`].
    ///
    /// # Errors
    /// `InvalidRequest` when the options can't be read, `Config` with everything that is wrong with the configuration,
    /// `Store` when the database can't be opened.
    pub fn open(options: &str) -> Result<Self> {
        let options: HostOptions =
            serde_json::from_str(options).map_err(|why| unreadable("the options", &why))?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("sluicegate")
            .enable_all()
            .build()
            .map_err(|why| Error::new(ErrorKind::Internal, "no runtime could be started").with_source(why))?;
        let manual = options.manual_clock_ms.map(|ms| Arc::new(ManualClock::new(Timestamp::from_ms(ms))));
        let gateway = runtime.block_on(Gateway::open(gateway_options(options, manual.clone())?))?;
        // The connections of this worker live on the host's one runtime thread.
        let worker = gateway.worker();
        Ok(Self { worker, manual, open: Mutex::default(), closed: AtomicBool::new(false), runtime })
    }

    /// The gateway's worker, for typed calls.
    pub fn worker(&self) -> &Worker {
        &self.worker
    }

    /// The runtime that it lives on.
    pub fn runtime(&self) -> &tokio::runtime::Runtime {
        &self.runtime
    }

    /// Handles one request and answers it, both JSON. Never fails: an error is an answer.
    pub fn handle(&self, request: &str) -> String {
        self.respond(request).to_json()
    }

    /// Handles one request in JSON. Never fails: an error is an answer.
    pub fn respond(&self, request: &str) -> Answer {
        match serde_json::from_str::<Request>(request) {
            Ok(request) => self.answer(request).unwrap_or_else(|error| Answer::error(&error)),
            Err(why) => Answer::error(&unreadable("the request", &why)),
        }
    }

    fn answer(&self, request: Request) -> Result<Answer> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::new(ErrorKind::Cancelled, "this gateway is closed; open another"));
        }
        if tokio::runtime::Handle::try_current().is_ok() {
            let message =
                "this call blocks, and its thread runs asynchronous tasks; make it from a blocking thread";
            return Err(Error::new(ErrorKind::NotSupported, message));
        }
        if request.v != 1 {
            let message = format!("version {} of the envelope isn't known here; send version 1", request.v);
            return Err(Error::new(ErrorKind::NotSupported, message));
        }
        if let (Some(clock), Some(ms)) = (&self.manual, request.now_ms) {
            clock.set(Timestamp::from_ms(ms));
        }
        self.end_overdue();
        match request.verb()? {
            Verb::Decide(ask) => self.decide(*ask),
            Verb::Explain(ask) => self.explain(*ask),
            Verb::Report(report) => self.report(*report),
            Verb::Next(reference) => {
                let (id, open) = self.take(&reference.call)?;
                if open.attempt.is_some() {
                    let message = "this call's attempt hasn't been reported yet; report it first";
                    return self.keep(id, open).and(Err(Error::new(ErrorKind::Conflict, message)));
                }
                self.step(id, open)
            }
            Verb::Cancel(reference) => {
                let (id, open) = self.take(&reference.call)?;
                Ok(self.finish(id, open, Some("cancelled"), |record| Step::Done { record: Box::new(record) }))
            }
            Verb::Remaining(key) => self.remaining(&key.key),
            Verb::Complete(ask) => self.complete(*ask),
        }
    }

    fn now(&self) -> Timestamp {
        self.worker.inner.clock.now()
    }

    fn caller(&self, key: Option<&Secret>) -> Result<Arc<BoundCaller>> {
        self.runtime.block_on(self.worker.inner.caller(key))
    }

    fn decide(&self, ask: Ask) -> Result<Answer> {
        self.worker.inner.records.check_room()?;
        let caller = self.caller(ask.key.as_ref())?;
        caller.caller.routes.check("", &[RouteUse::Inference])?;
        let (call, scanned) = self.facts(&ask)?;
        if scanned.as_ref().is_some_and(|scanned| scanned.format() != call.format) {
            // What is sent would be an answer's request, and charged as one.
            let message = format!(
                "a host can't send `{}` by itself: use `complete`, which asks and answers",
                call.format.as_str()
            );
            return Err(Error::new(ErrorKind::NotSupported, message).with("param", "format"));
        }
        let (call, scanned, watched) = self.watched(&ask, &caller, call, scanned)?;
        if let Some(scanned) = &scanned {
            serve::refuse_unbounded(scanned, call.format, caller.has_strict_spend())
                .map_err(|rejection| rejection.error)?;
        }
        let (now, inner) = (self.now(), &self.worker.inner);
        let (id, seed) = (call.id.clone(), ask.seed.unwrap_or_else(|| inner.seed()));
        match inner
            .engine
            .admit_with_text(call.clone(), &caller, now, seed, &|| BodyText::of_any(scanned.as_ref()))
        {
            Ok(mut admission) => {
                let by_name = admission.has_strict_spend_by_name();
                if let Some(scanned) = &scanned
                    && let Err(rejection) = serve::refuse_unbounded(scanned, scanned.format(), by_name)
                {
                    let code = rejection.error.kind().as_str();
                    self.record(inner.engine.finish(admission, Some(code), now));
                    return Err(rejection.error);
                }
                if tokenizer::AVAILABLE && scanned.is_some() {
                    admission.can_count();
                }
                let deadline = admission.deadline();
                let losses = Vec::new();
                let open =
                    OpenCall { admission, scanned, attempt: None, last: None, deadline, watched, losses };
                self.step(id, open)
            }
            Err(denied) => {
                let mut record = inner.engine.refuse(call, &caller, &denied, now, seed);
                record.guardrails = watched.map(|watched| watched.marks).unwrap_or_default();
                self.record(record.clone());
                let failed = Failed {
                    error: Fault::from(&denied.denial.to_error(now)),
                    denial: Some(denied.denial),
                    record: Some(Box::new(record)),
                    explanation: denied.explanation,
                };
                Ok(Answer {
                    call: Some(id.to_string()),
                    step: Some(Step::Failed(Box::new(failed))),
                    ..Answer::new()
                })
            }
        }
    }

    /// Has guardrails look at a request. What they could only look at elsewhere is refused: nothing gets past them because
    /// a host sends by itself.
    fn watched(
        &self,
        ask: &Ask,
        caller: &Arc<BoundCaller>,
        call: Call,
        scanned: Option<Scanned>,
    ) -> Result<(Call, Option<Scanned>, Option<OpenWatch>)> {
        let inner = &self.worker.inner;
        let asked = scanned.as_ref().map_or(&[][..], |scanned| &scanned.facts().guardrails);
        if inner.guardrails.is_idle(caller, asked) {
            return Ok((call, scanned, None));
        }
        inner.guardrails.check_names(&caller.caller, asked)?;
        let others = call.fallbacks.iter().flatten().map(ModelName::as_str);
        let looked = Looked::new(inner, caller, call.id.clone(), asked, call.model.as_str(), others);
        if let Some(name) = looked.first(inner, Side::Answer) {
            return Err(unwatched(&name, "answers, which this host gets by itself: use `complete`"));
        }
        let Some(scanned) = scanned else {
            return match looked.first(inner, Side::Request) {
                Some(name) => Err(unwatched(&name, "requests: ask with `body`, not with `call`")),
                None => Ok((
                    call,
                    None,
                    Some(OpenWatch { looked: Box::new(looked), marks: GuardrailMarks::new() }),
                )),
            };
        };
        let mut inbound = Inbound {
            client_ip: ask.client_ip,
            id: Some(call.id.clone()),
            ..Inbound::new(scanned.format(), "", Bytes::new())
        };
        let seen = self.runtime.block_on(guardrail::request(inner, caller, Box::new(scanned), &mut inbound));
        let seen = seen.map_err(|rejection| rejection.error)?;
        let mut call = serve::read_call(inner, &seen.scanned, &inbound)?;
        made_up::permit(false, seen.scanned.facts(), &mut call)?;
        let watched = OpenWatch { looked: seen.looked.unwrap_or(Box::new(looked)), marks: seen.marks };
        Ok((call, Some(*seen.scanned), Some(watched)))
    }

    fn explain(&self, ask: Ask) -> Result<Answer> {
        let caller = self.caller(ask.key.as_ref())?;
        let (call, scanned) = self.facts(&ask)?;
        let (now, inner, format) = (self.now(), &self.worker.inner, call.format);
        let bounded = |strict_spend: bool| match &scanned {
            Some(scanned) => serve::refuse_unbounded(scanned, format, strict_spend).map_err(|why| why.error),
            None => Ok(()),
        };
        bounded(caller.has_strict_spend())?;
        let asked = scanned.as_ref().map_or(&[][..], |scanned| &scanned.facts().guardrails);
        inner.guardrails.check_names(&caller.caller, asked)?;
        let seed = ask.seed.unwrap_or_else(|| inner.seed());
        let text = || BodyText::of_any(scanned.as_ref());
        let explained = inner.engine.explain_with_text(call, &caller, now, seed, &text);
        bounded(explained.strict_spend_by_name)?;
        let explained = Explained {
            order: explained.order.iter().map(ToString::to_string).collect(),
            error: explained.denial.as_ref().map(|denial| Fault::from(&denial.to_error(now))),
            denial: explained.denial,
            explanation: explained.explanation,
        };
        Ok(Answer { explained: Some(explained), ..Answer::new() })
    }

    fn remaining(&self, key: &Secret) -> Result<Answer> {
        let caller = self.caller(Some(key))?;
        let now = self.now();
        let mut ledger = self.worker.inner.engine.ledger();
        let limits = caller.limits().iter().map(|bound| {
            let state = ledger.state(bound, now);
            RemainingLimit {
                scope: bound.kind.as_str(),
                metric: bound.limit.metric.as_str(),
                window: bound.limit.window.to_string(),
                max: bound.limit.max,
                settled: state.settled,
                reserved: state.reserved,
                held: state.held,
                remaining: state.remaining(),
            }
        });
        Ok(Answer { remaining: Some(limits.collect()), ..Answer::new() })
    }

    /// The facts of what is asked: given, or read from the body.
    fn facts(&self, ask: &Ask) -> Result<(Call, Option<Scanned>)> {
        let id = self.worker.inner.call_id();
        let (mut call, scanned) = match (&ask.call, &ask.body) {
            (Some(facts), None) => (given(id, facts), None),
            (None, Some(body)) => {
                let format = ask.format.unwrap_or(sluicegate_core::Format::OpenaiChat);
                let scanned = scan(format, &Bytes::from(body.clone()))
                    .map_err(|error| Error::new(error.kind(), error.message().to_owned()))?;
                let mut call = scanned.facts().call(id, format);
                // The host sends by itself: there is nobody to make an answer up.
                made_up::permit(false, scanned.facts(), &mut call)?;
                (call, Some(scanned))
            }
            _ => {
                let message = "name either `call` with the facts or `body` with the request, not both";
                return Err(Error::new(ErrorKind::InvalidRequest, message));
            }
        };
        call.client_ip = ask.client_ip;
        Ok((serve::keepable(call)?, scanned))
    }

    fn report(&self, report: ReportRequest) -> Result<Answer> {
        let (id, mut open) = self.take(&report.call)?;
        let Some(attempt) = open.attempt.take() else {
            let message = "nothing of this call is under way; ask for its next step";
            return self.keep(id, open).and(Err(Error::new(ErrorKind::Conflict, message)));
        };
        let (outcome, error) = outcome_of(&report.outcome, &attempt, open.admission.call(), self.now());
        self.worker.inner.engine.observe(&mut open.admission, &outcome, self.now());
        if outcome.class == OutcomeClass::Ok {
            return Ok(self.finish(id, open, None, |record| Step::Done { record: Box::new(record) }));
        }
        open.last = error;
        self.step(id, open)
    }

    /// Asks the engine what is next, and keeps the call until it is over.
    fn step(&self, id: CallId, mut open: OpenCall) -> Result<Answer> {
        let inner = &self.worker.inner;
        let step = match inner.engine.next(&mut open.admission, self.now()) {
            Next::Try(attempt) => match self.tried(&mut open, &attempt) {
                Ok(tried) => {
                    if let Err(error) = self.runtime.block_on(inner.records.commit(false)) {
                        let outcome = Outcome::failed(OutcomeClass::ClientGone, None);
                        let unsent = Outcome { sent: false, ..outcome };
                        inner.engine.observe(&mut open.admission, &unsent, self.now());
                        let code = error.kind().as_str();
                        self.record(inner.engine.finish(open.admission, Some(code), self.now()));
                        return Err(error);
                    }
                    open.attempt = Some(attempt);
                    open.losses.clone_from(&tried.losses);
                    Step::Try(Box::new(tried))
                }
                Err(error) => {
                    // It can't be sent this way: another channel may take it.
                    let outcome = Outcome::failed(OutcomeClass::Inexpressible, None);
                    inner.engine.observe(
                        &mut open.admission,
                        &Outcome { sent: false, ..outcome },
                        self.now(),
                    );
                    open.last = Some(error);
                    return self.step(id, open);
                }
            },
            Next::Wait(until) => Step::Wait { until_ms: until.as_ms() },
            Next::Count(with) => {
                let counted =
                    open.scanned.as_ref().and_then(|scanned| tokenizer::input_bound_now(scanned, with));
                open.admission.counted(with, counted);
                return self.step(id, open);
            }
            // INVARIANT: this host isn't patient, and owns all of every limit.
            Next::Queue(_) | Next::Refill(_) => {
                return Err(Error::new(
                    ErrorKind::Internal,
                    "this host has no escrow to refill and no line to wait in; this is a defect",
                ));
            }
            Next::Done(failure) => return Ok(self.failed(id, open, failure)),
        };
        self.keep(id.clone(), open)?;
        Ok(Answer { call: Some(id.to_string()), step: Some(step), ..Answer::new() })
    }

    /// Writes a record down, as safely as it must be before the host learns of it.
    fn record(&self, record: sluicegate_core::UsageRecord) {
        let records = &self.worker.inner.records;
        records.push(record);
        self.runtime.block_on(records.settled(false));
    }

    fn keep(&self, id: CallId, open: OpenCall) -> Result<()> {
        let Err(open) = self.open.lock().keep(id, open) else { return Ok(()) };
        let inner = &self.worker.inner;
        self.record(inner.engine.finish(open.admission, Some("cancelled"), self.now()));
        let message = "too many calls are under way without a report; report or cancel them";
        Err(Error::new(ErrorKind::RateLimited, message))
    }

    fn failed(&self, id: CallId, open: OpenCall, failure: Failure) -> Answer {
        let explanation = open.admission.explanation().clone();
        let (error, denial) = match failure {
            Failure::Denied(denial) => (denial.to_error(self.now()), Some(denial)),
            Failure::Upstream(class) => (open.last.clone().unwrap_or_else(|| class_error(class)), None),
        };
        let code = error.kind().as_str();
        self.finish(id, open, Some(code), |record| {
            Step::Failed(Box::new(Failed {
                error: Fault::from(&error),
                denial,
                record: Some(Box::new(record)),
                explanation,
            }))
        })
    }

    fn finish(
        &self,
        id: CallId,
        open: OpenCall,
        error: Option<&str>,
        step: impl FnOnce(sluicegate_core::UsageRecord) -> Step,
    ) -> Answer {
        let inner = &self.worker.inner;
        let mut record = inner.engine.finish(open.admission, error, self.now());
        record.guardrails = open.watched.map(|watched| watched.marks).unwrap_or_default();
        record.losses = told_losses(&open.losses);
        self.record(record.clone());
        Answer { call: Some(id.to_string()), step: Some(step(record)), ..Answer::new() }
    }

    fn tried(&self, open: &mut OpenCall, attempt: &Attempt) -> Result<Tried> {
        let inner = &self.worker.inner;
        if let Some(OpenWatch { looked, .. }) = &open.watched {
            let model = attempt.model.as_str();
            if let Some(refusal) = looked.unseen(inner, model) {
                return Err(refusal.rejection().error);
            }
            if looked.watch(inner, model).is_some() {
                let message = "a guardrail looks at this model's answers, which this host gets by itself: use `complete`";
                return Err(Error::new(ErrorKind::NotSupported, message));
            }
        }
        let channel = attempt.channel();
        let target =
            inner.targets.load().get(channel, attempt.endpoint(), attempt.key()).ok_or_else(|| {
                Error::new(
                    ErrorKind::Config,
                    format!("channel `{}` has no usable address or credential", channel.name),
                )
            })?;
        // Which headers the host's own caller sent isn't known here.
        let mut headers = target.headers_of_call(&[], &[]);
        let mut losses = Vec::new();
        let body = match &open.scanned {
            Some(scanned) => {
                let format = attempt.endpoint().format;
                let ready =
                    prepare_attempt(inner, attempt, scanned, (format, Translation::Drop), headers.as_mut())
                        .map_err(|(_, rejection)| rejection.error)?;
                losses.extend(ready.losses());
                if ready.drops_tier(scanned) {
                    open.admission.sends_no_tier();
                }
                let prepared = ready.prepared;
                open.admission.sends_variant(sent_variant(channel, format, &prepared));
                Some(String::from_utf8_lossy(&prepared.body).into_owned())
            }
            None => None,
        };
        let target = match headers {
            Some(headers) => target.with_headers(headers),
            None => target,
        };
        Ok(Tried {
            number: attempt.number,
            channel: channel.id.to_string(),
            provider: channel.provider.to_string(),
            format: attempt.endpoint().format,
            url: attempt.endpoint().address(attempt.upstream_model.as_str(), open.admission.call().stream),
            headers: target.header_pairs(),
            model: attempt.model.to_string(),
            upstream_model: attempt.upstream_model.to_string(),
            ceiling: attempt.ceiling,
            body,
            losses,
            timeouts: attempt.timeouts,
            deadline_ms: attempt.deadline.as_ms(),
            reserved_nano_usd: attempt.reserved,
            explanation: open.admission.explanation().clone(),
        })
    }

    fn take(&self, call: &str) -> Result<(CallId, OpenCall)> {
        self.open.lock().take(call)
    }

    /// Calls past their deadline end. An attempt without a report is held: nobody knows what became of it.
    fn end_overdue(&self) {
        let now = self.now();
        let overdue = self.open.lock().overdue(now);
        self.abandon(overdue, now);
    }

    fn abandon(&self, calls: Vec<OpenCall>, now: Timestamp) {
        for call in calls {
            self.worker.inner.records.push(self.worker.inner.engine.abandon(call.admission, now));
        }
    }

    /// Sends a request and waits for the whole answer.
    fn complete(&self, ask: Ask) -> Result<Answer> {
        let refuse = |message: &str| Err(Error::new(ErrorKind::InvalidRequest, message));
        let (Some(body), None) = (ask.body, ask.call) else {
            return refuse("a completion is asked for with `body`, the request's text, and without `call`");
        };
        let format = ask.format.unwrap_or(sluicegate_core::Format::OpenaiChat);
        let body = Bytes::from(body);
        // What can't be read is refused below, in the words of whoever serves it.
        if scan(format, &body).is_ok_and(|scanned| scanned.facts().stream) {
            return refuse(
                "this answers in one piece; leave `stream` out of the body, or use a streaming call",
            );
        }
        let inbound = Inbound { client_ip: ask.client_ip, ..Inbound::new(format, "", body) };
        let inbound = Inbound { credential: ask.key, ..inbound };
        let answer = self.runtime.block_on(self.worker.call(inbound)).map_err(|rejection| rejection.error)?;
        let AnswerBody::Full(bytes) = answer.body else {
            return refuse("the answer is a stream; use a streaming call");
        };
        let body = String::from_utf8_lossy(&bytes).into_owned();
        let completed = Completed { body, facts: CompletedFacts::from(&answer.facts) };
        Ok(Answer { completed: Some(Box::new(completed)), ..Answer::new() })
    }

    /// Ends every call that is under way, writes what is left and closes the store. Requests after it are refused.
    /// Closing twice is harmless, and dropping a host closes it, unless that happens on a runtime's own thread.
    pub fn close(&self) {
        if self.closed.swap(true, Ordering::AcqRel) {
            return;
        }
        let open = self.open.lock().drain();
        self.abandon(open, self.now());
        self.runtime.block_on(self.worker.gateway().shutdown());
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // On a thread of some runtime nothing may wait: there it must have been closed before.
        if tokio::runtime::Handle::try_current().is_err() {
            self.close();
        }
    }
}

/// A guardrail can't do its work here.
fn unwatched(name: &str, at_what: &str) -> Error {
    let message = format!("the guardrail `{name}` looks at {at_what}");
    Error::new(ErrorKind::NotSupported, message)
}

fn unreadable(what: &str, why: &serde_json::Error) -> Error {
    Error::new(ErrorKind::InvalidRequest, format!("{what} can't be read: {why}"))
}

fn gateway_options(options: HostOptions, manual: Option<Arc<ManualClock>>) -> Result<Options> {
    let path = options.config_path;
    let config = match (options.config, path) {
        (Some(text), path) => Some(ConfigText { path: path.unwrap_or_else(|| "config".to_owned()), text }),
        (None, Some(path)) => Some(ConfigText::read(path)?),
        (None, None) => None,
    };
    let mut all = Options {
        config,
        database: options.database,
        data_dir: options.data_dir.map(Into::into),
        master_key: options.master_key,
        demo: options.demo,
        ..Options::default()
    };
    if let Some(variables) = options.environment {
        all.variables = Arc::new(move |name| variables.get(name).map(|value| value.expose().to_owned()));
    }
    if let Some(clock) = manual {
        all.clock = clock;
    }
    Ok(all)
}

fn given(id: CallId, facts: &CallFacts) -> Call {
    let mut call = Call::new(id, facts.format, facts.model.as_str());
    call.stream = facts.stream;
    call.input_bound = facts.input_bound;
    call.input_estimate = facts.input_estimate.or(facts.input_bound).unwrap_or(0);
    call.max_output = facts.max_output;
    call.min_output = facts.min_output;
    call.extra_output = facts.extra_output;
    call.thinking = facts.thinking;
    call.choices = facts.choices.unwrap_or(1).max(1);
    call.needs = facts.needs;
    call.tags = facts.tags.iter().cloned().collect();
    call.customer.clone_from(&facts.customer);
    call
}

/// What a report means, and the error that the call ends with if it was its last attempt.
fn outcome_of(
    reported: &ReportedOutcome,
    attempt: &Attempt,
    call: &Call,
    now: Timestamp,
) -> (Outcome, Option<Error>) {
    let success = reported.status.is_some_and(|status| (200..300).contains(&status));
    let (mut usage, mut served_tier, mut served_variant) = (reported.usage, reported.service_tier, None);
    let mut counted = Usage {
        input_uncached: call.input_estimate,
        output_visible: reported.delivered_tokens.unwrap_or(0),
        ..Usage::default()
    };
    let mut usage_rejected = false;
    let mut came = success;
    let (class, error) = match (reported.class, &reported.body) {
        (Some(class), _) => (class, (class != OutcomeClass::Ok).then(|| class_error(class))),
        (None, Some(body)) if success => match read_success(attempt, body) {
            Ok(observed) => {
                let (found, source) = observed.settlement(call.input_estimate);
                match source {
                    UsageSource::Reported => usage = usage.or(Some(found)),
                    _ if reported.delivered_tokens.is_none() => counted = found,
                    _ => {}
                }
                usage_rejected = observed.usage_rejected && reported.usage.is_none();
                let tier = observed.served_tier.as_deref().and_then(ServiceTier::of_answer);
                served_tier = served_tier.or(tier);
                served_variant = observed.served_variant;
                came = observed.first_content;
                (OutcomeClass::Ok, None)
            }
            Err(fault) => (class_of(fault.class), Some(fault_error(&fault))),
        },
        (None, None) if success => (OutcomeClass::Ok, None),
        (None, body) => match reported.status {
            Some(status) => {
                let errors = &attempt.channel().quirks.errors;
                let fault = WireFault::classify_at(errors, status, body.as_deref().unwrap_or("").as_bytes());
                (class_of(fault.class), Some(fault_error(&fault)))
            }
            None => (OutcomeClass::Timeout, Some(class_error(OutcomeClass::Timeout))),
        },
    };
    let outcome = Outcome {
        class,
        status: reported.status,
        sent: class != OutcomeClass::Unreachable,
        retry_after_ms: reported.retry_after_ms,
        reported: usage,
        usage_rejected,
        counted,
        first_byte_at: came.then_some(now),
        served_tier,
        served_variant,
    };
    (outcome, error)
}

/// What a successful body reports, or the error that it really is.
fn read_success(attempt: &Attempt, body: &str) -> std::result::Result<Observed, WireFault> {
    let format = attempt.endpoint().format;
    let reply = Reply::at(&attempt.channel().quirks, attempt.upstream_model.as_str());
    let mut bridge = Bridge::new(BridgeOptions { reply, ..BridgeOptions::new(format, format) });
    bridge.push(Bytes::from(body.to_owned()), &mut |_| {});
    bridge.finish(End::Eof, &mut |_| {});
    let observed = bridge.observed();
    match observed.error.clone() {
        Some(fault) => Err(fault),
        None => Ok(observed.clone()),
    }
}

fn fault_error(fault: &WireFault) -> Error {
    let report = sluicegate_wire::Report::from(fault);
    Error::new(report.kind, report.message)
}

fn class_error(class: OutcomeClass) -> Error {
    let (kind, message) = match class {
        OutcomeClass::Timeout => (ErrorKind::UpstreamTimeout, "the upstream didn't answer in time"),
        OutcomeClass::RateLimited => (ErrorKind::RateLimited, "the upstream limits our rate"),
        OutcomeClass::Overloaded => (ErrorKind::UpstreamOverloaded, "the upstream is overloaded"),
        OutcomeClass::Auth | OutcomeClass::NoBalance => {
            (ErrorKind::UpstreamAuth, "the upstream doesn't accept the channel's credential or balance")
        }
        OutcomeClass::BadRequest | OutcomeClass::ContentPolicy => {
            (ErrorKind::UpstreamRejected, "the upstream refused the request")
        }
        OutcomeClass::ContextTooLong => (ErrorKind::ContextTooLong, "the prompt is too long for the model"),
        OutcomeClass::ClientGone => (ErrorKind::Cancelled, "the caller went away"),
        _ => (ErrorKind::UpstreamUnavailable, "the upstream failed"),
    };
    Error::new(kind, message)
}
