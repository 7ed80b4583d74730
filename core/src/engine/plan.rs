//! The plan: which candidate is asked next, after which pause, and when a call is over.

use std::sync::Arc;

use smallvec::SmallVec;

use super::Engine;
use super::admission::Admission;
use super::attempt::{Attempt, Fit, Open};
use super::candidate::Considered;
use super::line::Queued;
use crate::channel::Channel;
use crate::count::Tokenizer;
use crate::decision::{Denial, Exclusion, LimitHit, OutcomeClass, Reason, SkipReason};
use crate::ids::ModelName;
use crate::ledger::{CellId, LimitState, Refusal};
use crate::limit::{Metric, WhenShort};
use crate::time::Timestamp;

/// What to do next.
#[derive(Debug)]
pub enum Next {
    /// Send this. Its reservation is made; report how it ends with [`Engine::observe`].
    Try(Box<Attempt>),
    /// Only open reservations are in the way: wait in this line for a turn, then ask again with
    /// [`Admission::take_turn`]. Only for [patient](Admission::be_patient) hosts.
    Queue(Queued),
    /// Nothing before then: a pause before a channel that has failed is asked again.
    Wait(Timestamp),
    /// The escrow of these counters is used up: refill it, then ask again.
    Refill(SmallVec<[CellId; 4]>),
    /// A strict limit is too small for the bound by bytes: count the text of the prompt, tell [`Admission::counted`], then
    /// ask again. Only hosts that said that they can ([`Admission::can_count`]) are asked, once for each tokenizer.
    Count(Tokenizer),
    /// The call is over without an answer.
    Done(Failure),
}

/// Why a call ended without an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Failure {
    /// Nothing was sent.
    Denied(Denial),
    /// The last attempt failed like this; its upstream's error is the call's.
    Upstream(OutcomeClass),
}

/// How the last attempt ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Last {
    pub(super) class: OutcomeClass,
    /// The channel's index in the snapshot.
    pub(super) channel: u32,
    pub(super) at: Timestamp,
    /// One of the channel's keys failed, and others are left: the channel needn't be avoided.
    pub(super) of_key: bool,
}

/// A pause before a candidate is asked again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    until: Timestamp,
    at: usize,
}

/// Where a plan leads.
pub(super) enum Step {
    /// This candidate is to be asked.
    Candidate(usize),
    Wait(Timestamp),
    Done(Failure),
}

impl Engine {
    /// What to do next. Call it after [`Engine::admit`], after each [`Engine::observe`], and when a wait is over.
    pub fn next(&self, admission: &mut Admission, now: Timestamp) -> Next {
        if admission.open.is_some() {
            // INVARIANT: one attempt at a time; a host that asks again before it has reported is told to wait for itself.
            return Next::Wait(now);
        }
        admission.begin_anew(now);
        let next = self.find_next(admission, now);
        self.tell_failures(admission, now);
        // Whoever is to count first has its turn still.
        if !matches!(next, Next::Count(_)) {
            admission.waits.turn = None;
        }
        next
    }

    fn find_next(&self, admission: &mut Admission, now: Timestamp) -> Next {
        // BOUND: each turn tries, waits or ends, or takes a candidate out for good.
        loop {
            match admission.step(now) {
                Step::Candidate(at) => match self.reserve(admission, at, now) {
                    Fit::Fits(attempt) => return Next::Try(attempt),
                    Fit::Refill(cells) => return Next::Refill(cells),
                    Fit::Count(tokenizer) => return Next::Count(tokenizer),
                    Fit::Out => {}
                },
                Step::Wait(until) => return Next::Wait(until),
                Step::Done(failure) => {
                    return match admission.queue(&failure, now) {
                        Some(queued) => Next::Queue(queued),
                        None => Next::Done(failure),
                    };
                }
            }
        }
    }
}

impl Admission {
    /// Which candidate is to be asked, now or after a pause, or that the call is over.
    pub(super) fn step(&mut self, now: Timestamp) -> Step {
        if let Some(waiting) = self.waiting.filter(|waiting| now < waiting.until) {
            return Step::Wait(waiting.until);
        }
        // BOUND: each turn ends, or enters a model that hasn't been entered yet.
        loop {
            if let Some(failure) = self.spent(now) {
                return Step::Done(failure);
            }
            if let Some(step) = self.pick(now) {
                return step;
            }
            if !self.next_model(now) {
                return Step::Done(self.failure());
            }
        }
    }

    /// Whether the call may make no further attempt, and as what it then ends.
    fn spent(&self, now: Timestamp) -> Option<Failure> {
        if self.over {
            return Some(self.failure());
        }
        let last = self.last?;
        let routing = &self.runtime.snapshot.declared.routing;
        // INVARIANT: an answer ends a call (it isn't retryable); a host that asks for more after one gets the same end.
        // BOUND: what a format can't say was sent to nobody: there are as many such as channels have formats, for each model.
        let sent = self.records.iter().filter(|it| it.outcome != OutcomeClass::Inexpressible).count();
        let is_enough = u32::try_from(sent).unwrap_or(u32::MAX) >= routing.max_attempts;
        let over = !last.class.is_retryable() || is_enough || now >= self.deadline();
        over.then_some(Failure::Upstream(last.class))
    }

    fn failure(&self) -> Failure {
        match self.last {
            Some(last) => Failure::Upstream(last.class),
            None => Failure::Denied(self.why_nothing()),
        }
    }

    /// The next candidate of the current model; `None` when it has none left.
    fn pick(&mut self, now: Timestamp) -> Option<Step> {
        if self.has_retried_enough() {
            return None;
        }
        let last = self.last;
        if let Some(waited) = self.waiting.take()
            && self.is_available(waited.at, now).is_ok()
        {
            return Some(Step::Candidate(waited.at));
        }
        let avoided = last.filter(|last| last.class.is_transient() && !last.of_key).map(|last| last.channel);
        if let Some(at) = self.fresh(avoided, now) {
            return Some(Step::Candidate(at));
        }
        self.again(avoided, now)
    }

    /// Whether no further attempt is made at the current model, whichever candidates it has left.
    fn has_retried_enough(&self) -> bool {
        let Some(last) = self.last.filter(|_| self.attempts_of_model > 0) else { return false };
        let own = self.retries_by.of(last.class);
        // Neither another channel of this model nor a pause changes what the prompt is. What one of them finds objectionable
        // another may not: whoever says so has it tried, unless there is a model for that.
        let is_hopeless = match last.class {
            OutcomeClass::ContextTooLong => true,
            OutcomeClass::ContentPolicy => own.is_none() || !self.fallbacks().is_empty(),
            _ => false,
        };
        if is_hopeless || self.retries_by.is_empty() {
            return is_hopeless || self.attempts_of_model > self.retries;
        }
        let failures = |of: &dyn Fn(OutcomeClass) -> bool| {
            // BOUND: attempts of one call.
            let here = self.records.iter().filter(|it| Some(&it.model) == self.models.last());
            here.filter(|it| !it.key_fault && it.outcome != OutcomeClass::Inexpressible && of(it.outcome))
                .count()
        };
        match own {
            Some(retries) => failures(&|class| class == last.class) > retries as usize,
            None => failures(&|class| self.retries_by.of(class).is_none()) > self.retries as usize,
        }
    }

    /// The best candidate that hasn't been asked in this call, on another channel than the one that just failed.
    fn fresh(&mut self, avoided: Option<u32>, now: Timestamp) -> Option<usize> {
        for at in 0..self.considered.ranked.len() {
            let Some(r) = self.considered.ranked.get(at).filter(|r| !r.out && r.failures == 0) else {
                continue;
            };
            if Some(r.candidate.channel) == avoided {
                continue;
            }
            match self.is_available(at, now) {
                Ok(()) => return Some(at),
                // Benched since it was ranked, or another call finds out whether it is well again.
                Err((why, until)) => {
                    self.exclude(at, why);
                    self.note_denial(Denial::NoChannel { retry_at: Some(until) });
                }
            }
        }
        None
    }

    /// Everybody has failed once: those whose failure may pass are asked again, least failed first, never the one that
    /// just failed while another may serve.
    fn again(&mut self, avoided: Option<u32>, now: Timestamp) -> Option<Step> {
        let last = self.last?;
        let routing = self.runtime.snapshot.declared.routing;
        let backoff = self.backoff_ms(routing.backoff_ms, routing.backoff_max_ms);
        // BOUND: each turn ends or takes a candidate out.
        loop {
            let (at, r) = self
                .considered
                .ranked
                .iter()
                .enumerate()
                .filter(|(_, r)| !r.out)
                .min_by_key(|(at, r)| (Some(r.candidate.channel) == avoided, r.failures, *at))?;
            // What hasn't been asked yet owes nobody a pause, though its channel has failed under another model.
            let pause = if r.failures == 0 { 0 } else { backoff };
            let rested = last.at.plus_ms(pause);
            let mut until = rested.max(r.not_before.unwrap_or(last.at));
            // What the upstream itself asked for is the channel's pause, not the plan's.
            let mut why = if until > rested { Exclusion::Cooldown } else { Exclusion::JustFailed };
            if let Err((reason, benched)) = self.is_available(at, until.max(now)) {
                (why, until) = (reason, until.max(benched));
            }
            let longest = last.at.plus_ms(i64::try_from(routing.backoff_max_ms).unwrap_or(i64::MAX));
            if until > longest || until >= self.deadline() {
                self.exclude(at, why);
                continue;
            }
            if until <= now {
                return Some(Step::Candidate(at));
            }
            self.waiting = Some(Waiting { until, at });
            return Some(Step::Wait(until));
        }
    }

    /// Exponential with jitter. Half fixed, half random: callers that failed together don't return together.
    fn backoff_ms(&mut self, first_ms: u64, max_ms: u64) -> i64 {
        let doubled = first_ms.saturating_mul(1 << self.attempts_of_model.saturating_sub(1).min(16));
        let backoff = doubled.min(max_ms);
        let jittered = backoff / 2 + if backoff >= 2 { self.random() % (backoff / 2 + 1) } else { 0 };
        i64::try_from(jittered).unwrap_or(i64::MAX)
    }

    fn is_available(&self, at: usize, now: Timestamp) -> Result<(), (Exclusion, Timestamp)> {
        let channel = self.considered.ranked.get(at).map(|r| r.candidate.channel as usize);
        if let Some(observed) = self.observed.as_deref()
            && let Some(declared) = channel.and_then(|at| self.runtime.snapshot.channels().get(at))
            && let Some(said) = observed.still_available(&declared.id)
        {
            return said.map_err(|why| (why, Timestamp::MAX));
        }
        let channel = channel.and_then(|at| self.runtime.channels.get(at));
        channel.map_or(Ok(()), |channel| channel.health.available(now, self.call.stream).map(|_| ()))
    }

    /// Goes on to the next fallback model that has a candidate; false when there is none.
    pub(super) fn next_model(&mut self, now: Timestamp) -> bool {
        let runtime = Arc::clone(&self.runtime);
        let declared = &runtime.snapshot.declared;
        // BOUND: configured lists are finite, and no model is entered twice.
        let downgrades = self.downgrades();
        for named in downgrades.iter().cloned().chain(self.fallbacks()) {
            if self.models.len() > declared.routing.max_fallbacks as usize {
                return false;
            }
            // A fallback never widens access.
            let (model, allowed) = if self.names_fallbacks() {
                self.meant(&named)
            } else {
                let model = runtime.snapshot.unalias(&named);
                (model.clone(), self.caller.caller.may_call_as(&[named.as_str(), model.as_str()]))
            };
            if self.models.contains(&model) {
                continue;
            }
            if allowed && self.enter_model(&model, now) {
                self.is_downgraded = downgrades.contains(&named);
                if self.is_downgraded
                    && let Some(from) = self.models.first().cloned()
                {
                    self.explanation.push(Reason::Downgraded { from, to: model.clone() });
                }
                let is_barred = !self.is_downgraded && self.is_barred(&model, now);
                if !is_barred {
                    if !self.considered.ranked.is_empty() {
                        return true;
                    }
                    self.note_why_nothing(&model);
                    continue;
                }
                self.considered = Considered::default();
            }
            let why = match (allowed, self.models.last() == Some(&model)) {
                (false, _) => SkipReason::Access,
                (true, false) => SkipReason::Unknown,
                (true, true) => SkipReason::Policy,
            };
            let skipped = Reason::Skipped { model, why };
            if !self.explanation.reasons().contains(&skipped) {
                self.explanation.push(skipped);
            }
        }
        false
    }

    /// The cheaper models to try because of a limit, in order.
    fn downgrades(&self) -> Vec<ModelName> {
        let groups = &self.runtime.snapshot.declared.model_groups;
        let of = |model: &ModelName| groups.get(model).map(|group| &group.downgrade_to);
        let of_first = self.models.first().and_then(of).filter(|list| !list.is_empty());
        match self.downgrades && !self.objectionable {
            true => of_first.or_else(|| of(&self.call.model)).cloned().unwrap_or_default(),
            false => Vec::new(),
        }
    }

    /// Whether the caller's own list counts. What a script says goes before it.
    fn names_fallbacks(&self) -> bool {
        self.call.fallbacks.is_some() && self.advice.fallback.is_none()
    }

    /// The models to fall back to as things stand, in order.
    fn fallbacks(&self) -> Vec<ModelName> {
        if let Some(own) = self.call.fallbacks.as_ref().filter(|_| self.names_fallbacks()) {
            return own.clone();
        }
        // Whoever says that there is none means none of any kind.
        if self.advice.fallback.as_ref().is_some_and(Vec::is_empty) {
            return Vec::new();
        }
        let declared = &self.runtime.snapshot.declared;
        let configured = |kind: &indexmap::IndexMap<ModelName, Vec<ModelName>>| {
            let of_first = self.models.first().and_then(|first| kind.get(first));
            of_first.or_else(|| kind.get(&self.call.model)).cloned().unwrap_or_default()
        };
        // Whoever knows how it failed and names what to try means that and nothing else.
        if let (Some(models), true) = (&self.advice.fallback, self.advice.answers_failure) {
            return models.clone();
        }
        // What is wrong with the prompt stays wrong with it, however a fallback fails after that.
        if self.objectionable {
            return configured(&declared.fallbacks.content_policy);
        }
        let mut queue = Vec::new();
        if self.too_long {
            queue.extend(configured(&declared.fallbacks.context_window));
        }
        match &self.advice.fallback {
            Some(models) => queue.extend(models.iter().cloned()),
            None => {
                queue.extend(configured(&declared.fallbacks.general));
                queue.extend(declared.fallbacks.default.iter().cloned());
            }
        }
        queue
    }

    /// Takes a candidate out that the ledger refused, and remembers why.
    pub(super) fn refused(&mut self, at: usize, refusal: &Refusal) {
        let limit = &refusal.state.limit;
        if refusal.of_channel {
            self.exclude(at, Exclusion::ChannelLimit);
            let resets_at = Some(refusal.state.resets_at)
                .filter(|at| *at != Timestamp::MAX && limit.metric != Metric::Concurrency);
            self.note_denial(Denial::NoChannel { retry_at: resets_at });
            return;
        }
        self.exclude(at, Exclusion::Unaffordable);
        self.note_line(refusal);
        self.downgrades |= refusal.downgrades;
        let hit = LimitHit::of(&refusal.state, refusal.asked);
        self.note_denial(Denial::Limit(LimitHit { busy: refusal.line.is_some(), ..hit }));
        // Another candidate may cost less, but each is one call; and a limit may say that nothing cheaper is looked for.
        self.over = refusal.denies || matches!(limit.metric, Metric::Requests | Metric::Concurrency);
    }

    /// Notes whether what the attempt made last reported can't be right.
    pub(super) fn note_usage_rejected(&mut self, rejected: bool) {
        if let Some(record) = self.records.last_mut() {
            record.usage_rejected = rejected;
        }
    }

    /// Notes whether the failure of the attempt made last was that of one of its channel's keys alone.
    pub(super) fn note_key_fault(&mut self, of_key: bool) {
        if of_key {
            // The channel itself hasn't failed. Its keys, and the attempts of the call as a whole, bound how often.
            self.attempts_of_model = self.attempts_of_model.saturating_sub(1);
        }
        if let Some(last) = &mut self.last {
            last.of_key = of_key;
        }
        if let Some(record) = self.records.last_mut() {
            record.key_fault = of_key;
        }
    }

    /// Whether the key of this attempt has failed in this call before: then it is as if the channel had. However short a pause
    /// its upstream names, nobody is asked again and again without one.
    pub(super) fn has_failed_with(&self, open: &Open) -> bool {
        let channel = self.runtime.snapshot.channels().get(open.candidate.channel as usize);
        let mut records = self.records.iter();
        records.any(|it| {
            it.key == open.key
                && it.outcome != OutcomeClass::Inexpressible
                && channel.is_some_and(|channel| channel.id == it.channel)
        })
    }

    /// Takes a candidate out for the rest of the call.
    pub(super) fn take_out(&mut self, at: usize) {
        if let Some(r) = self.considered.ranked.get_mut(at) {
            r.out = true;
        }
    }

    /// Takes a candidate out and says why.
    pub(super) fn exclude(&mut self, at: usize, why: Exclusion) {
        self.take_out(at);
        let candidate = self.considered.ranked.get(at).map(|r| r.candidate);
        let channel: Option<&Channel> =
            candidate.and_then(|c| self.runtime.snapshot.channels().get(c.channel as usize));
        if let Some(channel) = channel {
            self.explanation.push(Reason::Excluded { channel: channel.id.clone(), why });
            if let Some(observed) = self.observed.as_deref_mut() {
                observed.is_out(&channel.id);
            }
        }
    }

    /// Notes a failure of the candidate; out for this call when asking again can't help.
    pub(super) fn note_failure(
        &mut self,
        open: &Open,
        class: OutcomeClass,
        retry_after_ms: Option<u64>,
        now: Timestamp,
    ) {
        if class == OutcomeClass::Inexpressible {
            // Nothing was sent: no try was wasted. The attempts of the call as a whole stay bounded.
            self.attempts_of_model = self.attempts_of_model.saturating_sub(1);
            if self.speak_otherwise(open.ranked_at) {
                return;
            }
        }
        self.too_long |= class == OutcomeClass::ContextTooLong;
        self.objectionable |= class == OutcomeClass::ContentPolicy;
        // Of several keys one may be back soon, whatever this one was told: its channel's health knows when.
        let by_key = open.key.is_some() && (class.is_permanent() || class == OutcomeClass::RateLimited);
        if let Some(r) = self.considered.ranked.get_mut(open.ranked_at) {
            r.failures = r.failures.saturating_add(1);
            r.out = r.out || !class.is_transient() && !by_key;
            r.not_before = retry_after_ms
                .filter(|_| !by_key)
                .map(|ms| now.plus_ms(i64::try_from(ms).unwrap_or(i64::MAX)));
        }
    }
}

/// How a limit stood when `asked` was asked of it.
pub(super) fn limit_reason(state: &LimitState, asked: i64) -> Reason {
    Reason::Limit {
        reserved: state.reserved,
        held: state.held,
        busy: false,
        then: None,
        scope: state.kind,
        metric: state.limit.metric,
        window: state.limit.window,
        max: state.limit.max,
        used: state.settled.saturating_add(state.reserved).saturating_add(state.held),
        asked,
        ok: asked.max(1) <= state.remaining(),
    }
}

/// How the limit stood that refused, with what is needed to decide the same again.
pub(super) fn refusal_reason(refusal: &Refusal) -> Reason {
    let mut reason = limit_reason(&refusal.state, refusal.asked);
    if let Reason::Limit { busy, then, .. } = &mut reason {
        *busy = refusal.line.is_some();
        *then = match (refusal.denies, refusal.downgrades) {
            (true, _) => Some(WhenShort::Deny),
            (_, true) => Some(WhenShort::Downgrade),
            _ => None,
        };
    }
    reason
}
