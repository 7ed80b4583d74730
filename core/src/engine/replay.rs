//! Replays: the engine in virtual time over recorded calls. No upstream is asked.
//!
//! Each call is admitted when it came, by the configuration and the scripts of this engine. What the world answered is taken from
//! its record as far as it is there: how channels were doing, what the ledger said, and how attempts ended at the channels
//! that were really asked. Elsewhere it is simulated (channels' health and the ledger live in virtual time like in the
//! gateway) or estimated: an attempt that was never made answers, with the tokens that the call used, as fast as the
//! channel's other calls. Under the configuration and the scripts that the calls were decided by, every decision comes out
//! as it was recorded.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::admission::{Admission, LazyText};
use super::observed::{Moved, Observed};
use super::settle::{Charge, Outcome};
use super::{BoundCaller, Denied, Engine, Failure, Next};
use crate::call::Call;
use crate::decision::{Denial, OutcomeClass, Reason};
use crate::error::ErrorKind;
use crate::ledger::{Amounts, Ask};
use crate::ports::Hook;
use crate::record::{AttemptRecord, UsageRecord};
use crate::replay::Estimates;
use crate::time::Timestamp;
use crate::usage::{Usage, UsageSource};

/// A call that waits in line where none was recorded looks again after so long, in milliseconds.
const LOOK_AGAIN_MS: i64 = 50;

/// An engine that replays. Feed it records in the order in which they came.
pub struct Replay {
    engine: Arc<Engine>,
    estimates: Estimates,
    moved: Moved,
    // BOUND: calls under way at one time of the replay.
    calls: HashMap<u64, UnderWay>,
    /// When, in which order, and to which call something happens next: one event for each.
    events: BTreeMap<(Timestamp, u64), u64>,
    count: u64,
}

/// A call, as it was and as it would have been.
#[derive(Clone, Debug)]
pub struct Replayed {
    /// As it was.
    pub recorded: Arc<UsageRecord>,
    /// As it would have been.
    pub replayed: UsageRecord,
    /// Attempts of the latter that were never made, so that how they ended is an estimate.
    pub estimated: u32,
    /// Scripts asked of the prompt what the record doesn't know: they were told that it isn't there.
    pub unheard: bool,
}

impl Replayed {
    /// Whether it is the same decision: refused alike, or the same attempts in the same order with the same end.
    pub fn is_same(&self) -> bool {
        let (a, b) = (&*self.recorded, &self.replayed);
        let each = |it: &AttemptRecord| {
            (it.channel.clone(), it.model.clone(), it.upstream_model.clone(), it.outcome, it.ceiling)
        };
        a.outcome == b.outcome
            && a.error == b.error
            && a.attempts.len() == b.attempts.len()
            && a.attempts.iter().zip(&b.attempts).all(|(a, b)| each(a) == each(b))
    }
}

struct UnderWay {
    admission: Box<Admission>,
    record: Arc<UsageRecord>,
    /// The attempt under way: as recorded (by its place), or an estimate.
    open: Option<Open>,
    estimated: u32,
    /// The next recorded attempt, as long as all goes as recorded.
    at: Option<usize>,
}

#[derive(Clone, Copy)]
enum Open {
    Recorded(usize),
    Estimated,
}

impl Replay {
    /// A replay by this engine, which nobody else uses, with estimates from the same records.
    pub fn new(engine: impl Into<Arc<Engine>>, estimates: Estimates) -> Self {
        let engine = engine.into();
        let (calls, events) = (HashMap::new(), BTreeMap::new());
        Self { engine, estimates, moved: Moved::default(), calls, events, count: 0 }
    }

    /// The engine, to bind callers with.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Counts what a call from before the replay used, or what an amendment says that one did.
    pub fn remember(&mut self, record: &UsageRecord, caller: &Arc<BoundCaller>) {
        let mut admission = self.admission(record, caller);
        self.engine.bind_named(&mut admission, record.started_at);
        for (number, attempt) in record.attempts.iter().enumerate() {
            let channels = admission.runtime.snapshot.channels();
            let place = channels.iter().position(|channel| channel.id == attempt.channel);
            let channel = place.and_then(|at| admission.runtime.channels.get(at));
            let used = |spend| Amounts {
                input_tokens: i64::try_from(attempt.usage.input_tokens()).unwrap_or(i64::MAX),
                output_tokens: i64::try_from(attempt.usage.output_tokens()).unwrap_or(i64::MAX),
                spend,
            };
            let (tenant, list) = (used(attempt.spend), used(attempt.cost));
            let ask = Ask {
                call: &record.call,
                tenant: &caller.limits,
                named: &admission.named.limits,
                channel: channel.map_or(&[], |channel| &channel.limits),
                model: record.attempts.first().unwrap_or(attempt).model.as_str(),
                asked_as: record.model.as_str(),
                bound: tenant,
                estimate: tenant,
                channel_bound: list,
                channel_estimate: list,
                count_request: number == 0 && record.amends.is_none(),
                attempt: None,
                turn: None,
            };
            self.engine.ledger.lock().count_recorded(&ask, (tenant, list), attempt.started_at);
        }
    }

    /// Replays a call, after everything that was to happen before it came. Calls that are over are added to `over`.
    pub fn run(&mut self, record: UsageRecord, caller: &Arc<BoundCaller>, over: &mut Vec<Replayed>) {
        let now = record.started_at;
        self.until(now, over);
        let record = Arc::new(record);
        if is_refused_by_guardrail(&record) && record.attempts.is_empty() {
            // The text that it was for is in no record, and the engine was never asked.
            over.push(self.refuse_again(record, caller));
            return;
        }
        let mut admission = self.admission(&record, caller);
        admission.observed = Some(Box::new(Observed::new(Arc::clone(&record), Arc::clone(&self.moved))));
        let seed = admission.seed;
        // The record says what scripts were told of it.
        if let Err(denied) = self.engine.let_in(&mut admission, now, &LazyText::none()) {
            let replayed = self.engine.refuse(call_of(&record), caller, &denied, now, seed);
            let unheard = admission.is_unheard();
            over.push(Replayed { recorded: record, replayed, estimated: 0, unheard });
            return;
        }
        let mut call = UnderWay { admission, record, open: None, estimated: 0, at: Some(0) };
        let first = call.record.attempts.first().map_or(call.record.ended_at, |first| first.started_at);
        if self.is_moved(&call) {
            call.admission.be_patient();
        } else {
            call.stand_in_line(first.max(now));
        }
        self.count += 1;
        if first <= now {
            self.next(self.count, call, now, over);
        } else {
            self.put(self.count, call, first.max(now));
        }
    }

    /// Lets everything happen that is still to happen.
    pub fn finish_all(&mut self, over: &mut Vec<Replayed>) {
        self.until(Timestamp::MAX, over);
    }

    fn admission(&self, record: &UsageRecord, caller: &Arc<BoundCaller>) -> Box<Admission> {
        let mut admission = Box::new(Admission::new(
            self.engine.runtime(),
            call_of(record),
            Arc::clone(caller),
            record.started_at,
            record.replay.seed,
        ));
        admission.counted = record.replay.counted;
        admission
    }

    /// Refuses a call as its host did before it was let in.
    fn refuse_again(&self, record: Arc<UsageRecord>, caller: &Arc<BoundCaller>) -> Replayed {
        let denial = Denial::Guardrail { guardrail: String::new(), message: None };
        let denied = Denied { denial, explanation: record.replay.explanation.clone() };
        let (at, seed) = (record.started_at, record.replay.seed);
        let mut replayed = self.engine.refuse(call_of(&record), caller, &denied, at, seed);
        (replayed.ended_at, replayed.replay.health) = (record.ended_at, record.replay.health);
        replayed.guardrails.clone_from(&record.guardrails);
        Replayed { recorded: record, replayed, estimated: 0, unheard: false }
    }

    /// Whether the counters of the call's own limits aren't what they were.
    fn is_moved(&self, call: &UnderWay) -> bool {
        let moved = self.moved.lock();
        let Admission { caller, named, .. } = &*call.admission;
        !moved.is_empty() && caller.limits.iter().chain(&named.limits).any(|it| moved.contains(&it.cell))
    }

    fn until(&mut self, now: Timestamp, over: &mut Vec<Replayed>) {
        // BOUND: each event brings its call nearer to its end, and calls are bounded in attempts and time.
        while let Some(entry) = self.events.first_entry().filter(|entry| entry.key().0 <= now) {
            let ((at, _), id) = entry.remove_entry();
            let Some(call) = self.calls.remove(&id) else { continue };
            match call.open {
                Some(_) => self.end(id, call, at, over),
                None => self.next(id, call, at, over),
            }
        }
    }

    fn put(&mut self, id: u64, call: UnderWay, at: Timestamp) {
        self.count += 1;
        self.events.insert((at, self.count), id);
        self.calls.insert(id, call);
    }

    fn next(&mut self, id: u64, mut call: UnderWay, now: Timestamp, over: &mut Vec<Replayed>) {
        if call.has_left() {
            let error = call.record.error.clone();
            // As far as it came.
            if call.says_less() {
                call.admission.be_patient();
                // Whatever is next: nobody is there for it.
                let _ = self.engine.next(&mut call.admission, now);
            }
            return self.finish(call, error.as_deref(), now, over);
        }
        // BOUND: texts are counted once for each tokenizer.
        loop {
            match self.engine.next(&mut call.admission, now) {
                Next::Try(attempt) => {
                    let ends_at = self.begin(&mut call, &attempt, now);
                    return self.put(id, call, ends_at);
                }
                Next::Wait(until) => return self.put(id, call, until.max(now.plus_ms(1))),
                Next::Queue(queued) => {
                    let at = queued.until.min(now.plus_ms(LOOK_AGAIN_MS)).max(now.plus_ms(1));
                    return self.put(id, call, at);
                }
                Next::Count(tokenizer) => {
                    let counted = call.record.replay.counted.by(tokenizer);
                    call.admission.counted(tokenizer, counted);
                }
                Next::Refill(_) => return self.finish(call, Some(ErrorKind::Internal.as_str()), now, over),
                Next::Done(failure) => {
                    let error = match &failure {
                        Failure::Denied(denial) => Some(denial.to_error(now).kind().as_str().to_owned()),
                        Failure::Upstream(class) => call.error_of(*class),
                    };
                    return self.finish(call, error.as_deref(), now, over);
                }
            }
        }
    }

    /// An attempt begins; when it ends.
    fn begin(&mut self, call: &mut UnderWay, attempt: &super::Attempt, now: Timestamp) -> Timestamp {
        let channel = attempt.channel();
        let Some(observed) = call.admission.observed.as_deref_mut() else { return now };
        let (number, as_answered) = observed.take_granted(&channel.id);
        let recorded = number.and_then(|number| Some((number, call.record.attempts.get(number)?)));
        let is_same = |(_, it): &(usize, &AttemptRecord)| {
            it.model == attempt.model && it.upstream_model == attempt.upstream_model
        };
        let goes_on = recorded.filter(is_same);
        if !as_answered || goes_on.is_none_or(|(_, it)| it.reserved != attempt.reserved) {
            self.moves(call, attempt.channel_index());
        }
        match goes_on {
            Some((number, it)) => {
                call.open = Some(Open::Recorded(number));
                call.at = call.at.filter(|at| *at == number);
                now.plus_ms(i64::from(it.duration_ms))
            }
            None => {
                (call.open, call.at) = (Some(Open::Estimated), None);
                call.estimated += 1;
                let timeout = attempt.timeouts.total_ms.unwrap_or(u64::MAX);
                let took = self.estimates.latency_ms(&channel.id).min(timeout);
                now.plus_ms(i64::try_from(took).unwrap_or(i64::MAX)).min(attempt.deadline.max(now))
            }
        }
    }

    /// From here on the counters of this call aren't what they were.
    fn moves(&self, call: &UnderWay, channel: usize) {
        let Admission { runtime, caller, named, .. } = &*call.admission;
        let recorded = |at: &usize| {
            let id = runtime.snapshot.channels().get(*at).map(|channel| &channel.id);
            call.record.attempts.iter().any(|attempt| Some(&attempt.channel) == id)
        };
        let channels = (0..runtime.channels.len()).filter(|at| *at == channel || recorded(at));
        let channels = channels.filter_map(|at| runtime.channels.get(at)).flat_map(|it| &it.limits);
        let all = caller.limits.iter().chain(&named.limits).chain(channels);
        self.moved.lock().extend(all.map(|bound| bound.cell));
    }

    /// The attempt under way ends.
    fn end(&mut self, id: u64, mut call: UnderWay, now: Timestamp, over: &mut Vec<Replayed>) {
        let record = Arc::clone(&call.record);
        let class = match call.open.take() {
            Some(Open::Recorded(number)) => match record.attempts.get(number) {
                Some(attempt) => {
                    self.end_as_recorded(&mut call, attempt, now);
                    attempt.outcome
                }
                None => OutcomeClass::Ok,
            },
            _ => {
                self.end_as_estimated(&mut call, now);
                OutcomeClass::Ok
            }
        };
        let next = call.at.map(|at| at + 1);
        call.at = next;
        let recorded = next.and_then(|at| record.attempts.get(at));
        let was_last = next == Some(record.attempts.len());
        let cancelled = record.error.as_deref() == Some(ErrorKind::Cancelled.as_str());
        if !class.is_retryable() || was_last && cancelled {
            // A caller who left during a pause: as far as it came.
            if class.is_retryable() && call.says_less() {
                let _ = self.engine.next(&mut call.admission, now);
            }
            let error = call.error_of(class);
            let at = if was_last { record.ended_at.max(now) } else { now };
            return self.finish(call, error.as_deref(), at, over);
        }
        let at = match recorded {
            Some(attempt) => attempt.started_at.max(now),
            None if was_last => record.ended_at.max(now),
            None => now,
        };
        if at > now {
            self.put(id, call, at);
        } else {
            self.next(id, call, now, over);
        }
    }

    fn end_as_recorded(&self, call: &mut UnderWay, attempt: &AttemptRecord, now: Timestamp) {
        let admission = &mut *call.admission;
        // After the first content nothing is tried again.
        let is_last = call.record.attempts.last() == Some(attempt);
        let first = call.record.first_byte_at.filter(|at| {
            let since = at.since_ms(attempt.started_at);
            is_last && (0..=i64::from(attempt.duration_ms)).contains(&since)
        });
        if let Some(first) = first {
            self.engine.answers(admission, first.min(now));
        }
        let Some(mut open) = admission.open.take() else { return };
        open.lease.end();
        let outcome = Outcome {
            status: attempt.status,
            retry_after_ms: attempt.retry_after_ms,
            ..Outcome::failed(attempt.outcome, attempt.status)
        };
        open.key = attempt.key;
        self.engine.learn(admission, &open, &outcome, now);
        admission.first_byte_at = admission.first_byte_at.or(first);
        if attempt.outcome != OutcomeClass::Ok && !attempt.key_fault {
            admission.note_failure(&open, attempt.outcome, attempt.retry_after_ms, now);
        }
        let charge = match (attempt.held, attempt.usage_source) {
            (true, _) => Charge::Hold,
            (_, UsageSource::None) => Charge::Release,
            // What was really used stands, were it too much, but for another ceiling.
            (_, source) if open.ceiling == attempt.ceiling => Charge::Settle(attempt.usage, source),
            (_, source) => {
                let usage = within(attempt.usage, open.ceiling, call.record.replay.choices);
                Charge::Settle(usage, source)
            }
        };
        let how = (attempt.outcome, attempt.status, attempt.retry_after_ms);
        // As it was served.
        let served = (attempt.service_tier.unwrap_or_default(), attempt.variant.as_deref().cloned());
        self.engine.close(admission, open, how, served, &charge, now);
        admission.note_key_fault(attempt.key_fault);
        if !was_lost(&call.record, attempt) {
            self.engine.ask_on_error(admission, attempt.outcome, now);
        }
    }

    fn end_as_estimated(&self, call: &mut UnderWay, now: Timestamp) {
        let ceiling = call.admission.open.as_ref().and_then(|open| open.ceiling);
        let usage = within(self.estimates.usage_of(&call.record), ceiling, call.record.replay.choices);
        let outcome = Outcome { first_byte_at: Some(now), ..Outcome::answered(usage) };
        self.engine.observe(&mut call.admission, &outcome, now);
    }

    fn finish(&self, call: UnderWay, error: Option<&str>, at: Timestamp, over: &mut Vec<Replayed>) {
        let UnderWay { ref admission, ref record, estimated, .. } = call;
        let made = |it: &AttemptRecord, by: &[AttemptRecord]| {
            by.iter().any(|b| b.channel == it.channel && b.spend == it.spend && b.usage == it.usage)
        };
        if record.attempts.len() != admission.records.len()
            || !record.attempts.iter().all(|it| made(it, &admission.records))
        {
            self.moves(&call, usize::MAX);
        }
        let UnderWay { admission, record, at: next, .. } = call;
        let unheard = admission.is_unheard();
        let mut replayed = self.engine.finish(admission, error, at);
        // The same answer is refused again.
        if is_refused_by_guardrail(&record) && next == Some(record.attempts.len()) {
            (replayed.outcome, replayed.error) = (OutcomeClass::Denied, record.error.clone());
            replayed.guardrails.clone_from(&record.guardrails);
        }
        over.push(Replayed { recorded: record, replayed, estimated, unheard });
    }
}

impl UnderWay {
    /// The record tells more than has been decided yet.
    fn says_less(&self) -> bool {
        // What is said of a call that is over is decided last.
        let of_end = |reason: &&Reason| {
            matches!(
                reason,
                Reason::Standing { hook: Hook::Finish, .. } | Reason::Policy { hook: Hook::Finish, .. }
            )
        };
        let recorded = self.record.replay.explanation.reasons();
        let decided = recorded.iter().rev().skip_while(of_end).count();
        self.admission.explanation.reasons().len() < decided
    }

    /// The caller left, or the host refused the call, before anything was sent.
    fn has_left(&self) -> bool {
        self.record.outcome == OutcomeClass::ClientGone && self.record.attempts.is_empty()
    }

    /// The call waited in line, and nothing says why: it does so again, and then looks as it did.
    fn stand_in_line(&mut self, until: Timestamp) {
        let reasons = self.record.replay.explanation.reasons();
        let waited = reasons.iter().find_map(|it| match it {
            Reason::Waited { ms } => Some(*ms),
            _ => None,
        });
        if let Some(ms) = waited {
            self.admission.waited(until.plus_ms(-i64::try_from(ms).unwrap_or(0)));
        }
    }

    /// The code of the error that the caller gets when the last attempt ended like this.
    fn error_of(&self, class: OutcomeClass) -> Option<String> {
        if class == self.record.outcome {
            return self.record.error.clone();
        }
        let kind = match class {
            OutcomeClass::Ok => return None,
            OutcomeClass::ClientGone => ErrorKind::Cancelled,
            OutcomeClass::ContextTooLong => ErrorKind::ContextTooLong,
            OutcomeClass::RateLimited => ErrorKind::RateLimited,
            OutcomeClass::Timeout => ErrorKind::UpstreamTimeout,
            OutcomeClass::Overloaded => ErrorKind::UpstreamOverloaded,
            OutcomeClass::Auth | OutcomeClass::NoBalance => ErrorKind::UpstreamAuth,
            OutcomeClass::BadRequest | OutcomeClass::ContentPolicy | OutcomeClass::Inexpressible => {
                ErrorKind::UpstreamRejected
            }
            _ => ErrorKind::UpstreamUnavailable,
        };
        Some(kind.as_str().to_owned())
    }
}

/// Whether a guardrail has refused the call, or its answer: no limit refuses with this word, and no script.
fn is_refused_by_guardrail(record: &UsageRecord) -> bool {
    record.outcome == OutcomeClass::Denied
        && record.error.as_deref() == Some(ErrorKind::GuardrailDenied.as_str())
}

/// Whether the host lost track of the call during this attempt, which ended both: nobody was asked what to do then.
fn was_lost(record: &UsageRecord, attempt: &AttemptRecord) -> bool {
    let ended_at = attempt.started_at.plus_ms(i64::from(attempt.duration_ms));
    attempt.held
        && record.attempts.last() == Some(attempt)
        && record.error.as_deref() == Some(ErrorKind::Cancelled.as_str())
        && record.ended_at <= ended_at
}

/// The call, as it came in.
fn call_of(record: &UsageRecord) -> Call {
    let facts = &record.replay;
    let sent = facts.sent_tags.map_or(record.tags.len(), |sent| sent as usize);
    Call {
        id: record.call.clone(),
        format: record.format,
        model: record.model.clone(),
        stream: record.stream,
        input_bound: facts.input_bound,
        extra_translated: facts.extra_translated,
        media: facts.media,
        cache_writes: facts.cache_writes,
        input_estimate: facts.input_estimate,
        max_output: facts.max_output,
        extra_output: facts.extra_output,
        units: facts.units,
        choices: facts.choices,
        translated_choices: facts.translated_choices,
        min_output: facts.min_output,
        thinking: facts.thinking,
        needs: facts.needs,
        service_tier: facts.service_tier,
        variant: facts.variant.clone(),
        billed: facts.billed.clone(),
        customer: record.customer.clone(),
        conversation: facts.conversation,
        bound: facts.bound,
        open_ended: facts.open_ended,
        tags: record.tags.iter().take(sent).cloned().collect(),
        client_ip: facts.client_ip,
        fallbacks: facts.fallbacks.clone(),
        rehearse: facts.rehearse,
        mock: facts.mock,
    }
}

/// No upstream writes more than it is let.
fn within(usage: Usage, ceiling: Option<u64>, choices: u32) -> Usage {
    let most = ceiling.map_or(u64::MAX, |tokens| tokens.saturating_mul(u64::from(choices.max(1))));
    let visible = usage.output_visible.min(most);
    Usage { output_visible: visible, ..usage }
}
