//! One admitted call: which attempts it may make, one after another.

use std::sync::Arc;

use smallvec::SmallVec;

use super::candidate::{self, Considered, Ranked};
use super::ceiling::{self, Ceiling, Sizes};
use super::{BoundCaller, Engine, Runtime};
use crate::call::Call;
use crate::channel::{Channel, ChannelModel, Endpoint, Timeouts};
use crate::decision::{
    CeilingReason, Denial, Exclusion, Explanation, LimitHit, OutcomeClass, Reason, SkipReason,
};
use crate::ids::{ChannelId, ModelName};
use crate::ledger::{Ask, CellId, Refusal, ReservationId, Reserve};
use crate::limit::WhenShort;
use crate::ports::{Alert, RouteView, Verdict};
use crate::record::AttemptRecord;
use crate::time::Timestamp;

/// How many names an "unknown model" answer lists at most.
const MAX_NAMES: usize = 32;

/// A call that was let in. The host drives it with [`Engine::next`] and [`Engine::observe`], then ends it with
/// [`Engine::finish`]. It must be finished, also when the caller leaves: an attempt that is open then keeps its
/// reservation.
pub struct Admission {
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) call: Call,
    pub(crate) caller: Arc<BoundCaller>,
    pub(crate) explanation: Explanation,
    pub(crate) policy_ceiling: Option<u64>,
    pub(crate) seed: u64,
    pub(crate) health_digest: u64,
    pub(crate) admitted_at: Timestamp,
    pub(crate) records: SmallVec<[AttemptRecord; 1]>,
    pub(crate) open: Option<Open>,
    pub(crate) last: Option<Last>,
    pub(crate) first_byte_at: Option<Timestamp>,
    random: u64,
    /// The models to try: the requested one, then fallbacks as they come up.
    models: SmallVec<[ModelName; 2]>,
    model_at: usize,
    considered: Considered,
    retries_left: u32,
    attempts_of_model: u32,
    count_request: bool,
    wait_until: Option<Timestamp>,
    fallback: Option<Vec<ModelName>>,
    /// Why nothing could be tried: the most telling reason so far.
    denial: Option<Denial>,
}

/// The attempt under way.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) reservation: ReservationId,
    pub(crate) ranked_at: usize,
    pub(crate) candidate: crate::snapshot::Candidate,
    pub(crate) ceiling: Option<u64>,
    pub(crate) sizes: Sizes,
    pub(crate) model: ModelName,
    pub(crate) upstream_model: ModelName,
    pub(crate) started_at: Timestamp,
}

/// How the last attempt ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Last {
    pub(crate) class: OutcomeClass,
    pub(crate) ranked_at: usize,
    pub(crate) retry_after_ms: Option<u64>,
    pub(crate) at: Timestamp,
}

/// What to do next.
#[derive(Debug)]
pub enum Next {
    /// Send this. Its reservation is made; report how it ends with [`Engine::observe`].
    Try(Box<Attempt>),
    /// Nothing before then: a pause between two attempts at the same channel.
    Wait(Timestamp),
    /// The escrow of these counters is used up: refill it, then ask again.
    Refill(SmallVec<[CellId; 4]>),
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

/// A call that was refused, and every reason why.
#[derive(Clone, Debug, PartialEq)]
pub struct Denied {
    /// Why.
    pub denial: Denial,
    /// What led to it.
    pub explanation: Explanation,
}

/// One try: where, as what, and within which bounds.
#[derive(Clone, Debug)]
pub struct Attempt {
    runtime: Arc<Runtime>,
    /// Counts from 1 within a call.
    pub number: u32,
    /// The model group that it is for: the requested one or a fallback.
    pub model: ModelName,
    /// The name to send upstream.
    pub upstream_model: ModelName,
    /// The output ceiling to send, in tokens for each choice; `None` leaves what the caller sent as it is.
    pub ceiling: Option<u64>,
    /// Whether a limit made the ceiling lower than what the caller asked or would have got.
    pub clamped: bool,
    /// Time limits, all set.
    pub timeouts: Timeouts,
    /// The call as a whole must be over by then.
    pub deadline: Timestamp,
    /// The reservation, for journals.
    pub reservation: ReservationId,
    /// What is reserved, in nano-USD at the caller's prices.
    pub reserved: i64,
    /// Whether the model has a known price.
    pub priced: bool,
    channel: u32,
    endpoint: u32,
}

impl Attempt {
    /// The channel to send to.
    ///
    /// # Panics
    /// Never: an attempt is only made for a channel of its own snapshot.
    pub fn channel(&self) -> &Channel {
        // INVARIANT: `channel` was resolved in this snapshot when the attempt was made, and snapshots don't change.
        &self.runtime.snapshot.channels()[self.channel as usize]
    }

    /// The endpoint to send to.
    ///
    /// # Panics
    /// Never, likewise.
    pub fn endpoint(&self) -> &Endpoint {
        &self.channel().endpoints[self.endpoint as usize]
    }

    /// The channel's index in its snapshot, for hosts that keep one client per channel.
    pub fn channel_index(&self) -> usize {
        self.channel as usize
    }
}

impl Engine {
    /// Lets a call in, or refuses it. Nothing is reserved yet.
    ///
    /// `seed` is the call's only source of randomness: the same arguments give the same decision.
    ///
    /// # Errors
    /// [`Denied`] with the denial and every reason behind it.
    pub fn admit(
        &self,
        call: Call,
        caller: &Arc<BoundCaller>,
        now: Timestamp,
        seed: u64,
    ) -> Result<Box<Admission>, Box<Denied>> {
        let mut admission = Box::new(Admission::new(self.runtime(), call, Arc::clone(caller), now, seed));
        let outcome = admission.check_caller(now).and_then(|()| self.route(&mut admission, now));
        match outcome {
            Ok(()) => Ok(admission),
            Err(denial) => {
                Err(Box::new(Denied { denial, explanation: std::mem::take(&mut admission.explanation) }))
            }
        }
    }

    fn route(&self, admission: &mut Admission, now: Timestamp) -> Result<(), Denial> {
        let runtime = Arc::clone(&admission.runtime);
        let requested = admission.resolve_alias();
        if !admission.enter_model(&requested, now) {
            return Err(admission.unknown_model());
        }
        self.apply_policy(&runtime, admission, now)?;
        admission.health_digest = candidate::health_digest(&admission.considered.ranked);
        if admission.considered.ranked.is_empty() && !admission.next_model(now) {
            return Err(admission.why_nothing());
        }
        Ok(())
    }

    /// Runs the scripts and keeps to what they may do.
    fn apply_policy(
        &self,
        runtime: &Arc<Runtime>,
        admission: &mut Admission,
        now: Timestamp,
    ) -> Result<(), Denial> {
        if !runtime.policy.applies(&admission.caller.caller) {
            return Ok(());
        }
        let runs = runtime.policy.route(&RouteView {
            call: &admission.call,
            caller: &admission.caller.caller,
            candidates: &candidate::views(runtime, &admission.considered.ranked),
            now,
            seed: admission.seed,
        });
        for run in runs {
            let described = run.error.clone().unwrap_or_else(|| describe(&run.verdict));
            admission.explanation.push(Reason::Policy {
                policy: run.policy.to_string(),
                verdict: described,
                fuel: run.fuel,
            });
            if let Some(error) = run.error {
                self.alert(Alert::PolicyFailed { policy: run.policy.to_string(), error });
            }
            if let Some(message) = run.verdict.deny {
                return Err(Denial::Policy { policy: run.policy.to_string(), message });
            }
            admission.advise(run.verdict, now)?;
        }
        Ok(())
    }

    /// What to do next. Call it after [`Engine::admit`], after each [`Engine::observe`], and when a wait is over.
    pub fn next(&self, admission: &mut Admission, now: Timestamp) -> Next {
        if admission.open.is_some() {
            // INVARIANT: one attempt at a time; a host that asks again before it has reported is told to wait for itself.
            return Next::Wait(now);
        }
        if let Some(until) = admission.wait_until.filter(|until| now < *until) {
            return Next::Wait(until);
        }
        // BOUND: each turn either tries, ends, or takes a candidate or a model out for good.
        loop {
            if let Some(failure) = admission.spent(now) {
                return Next::Done(failure);
            }
            match admission.pick(now) {
                Pick::Candidate(at) => match self.reserve(admission, at, now) {
                    Some(next) => return next,
                    None => continue,
                },
                Pick::Wait(until) => {
                    admission.wait_until = Some(until);
                    return Next::Wait(until);
                }
                Pick::Nothing => {
                    if !admission.next_model(now) {
                        return Next::Done(admission.failure());
                    }
                }
            }
        }
    }

    /// Reserves for the candidate and makes it an attempt; `None` when it is out and another must be picked.
    fn reserve(&self, admission: &mut Admission, at: usize, now: Timestamp) -> Option<Next> {
        let runtime = Arc::clone(&admission.runtime);
        let ranked = admission.considered.ranked.get(at)?;
        let (candidate, endpoint) = (ranked.candidate, ranked.endpoint);
        let (channel, model) = runtime.snapshot.resolve(candidate)?;
        let channel_runtime = runtime.channels.get(candidate.channel as usize)?;

        let mut ceiling = ceiling::initial(&runtime, admission, model);
        // BOUND: twice at most: as asked, then clamped.
        for clamped in [false, true] {
            let sizes = admission.sizes(model, ceiling);
            let ask = admission.ask(&sizes, &channel_runtime.limits);
            let answer = self.ledger.lock().try_reserve(&ask, now);
            match answer {
                Reserve::Granted(grant) => {
                    for state in grant.crossed {
                        let limit = LimitHit::of(&state, 0).to_string();
                        self.alert(Alert::SoftLimit { limit });
                    }
                    let attempt =
                        admission.open_attempt(channel, model, endpoint, at, ceiling, sizes, grant.id, now);
                    channel_runtime.health.begin(now);
                    return Some(Next::Try(Box::new(attempt)));
                }
                Reserve::NeedRefill(cells) => return Some(Next::Refill(cells)),
                Reserve::Denied(refusal) => {
                    let lower = ceiling
                        .filter(|_| !clamped)
                        .and_then(|ceiling| ceiling::clamp(&runtime, admission, model, ceiling, &refusal));
                    match lower {
                        Some(lower) => ceiling = Some(lower),
                        None => {
                            admission.refused(at, channel, &refusal);
                            return None;
                        }
                    }
                }
            }
        }
        // INVARIANT: the second turn has no lower ceiling to offer, so it ended the loop above.
        admission.take_out(at);
        None
    }
}

enum Pick {
    Candidate(usize),
    Wait(Timestamp),
    Nothing,
}

impl Admission {
    pub(crate) fn new(
        runtime: Arc<Runtime>,
        call: Call,
        caller: Arc<BoundCaller>,
        now: Timestamp,
        seed: u64,
    ) -> Self {
        Self {
            runtime,
            call,
            caller,
            explanation: Explanation::default(),
            policy_ceiling: None,
            seed,
            health_digest: 0,
            admitted_at: now,
            records: SmallVec::new(),
            open: None,
            last: None,
            first_byte_at: None,
            random: seed,
            models: SmallVec::new(),
            model_at: 0,
            considered: Considered::default(),
            retries_left: 0,
            attempts_of_model: 0,
            count_request: true,
            wait_until: None,
            fallback: None,
            denial: None,
        }
    }

    /// The call.
    pub fn call(&self) -> &Call {
        &self.call
    }

    /// Who calls.
    pub fn caller(&self) -> &BoundCaller {
        &self.caller
    }

    /// Every reason so far.
    pub fn explanation(&self) -> &Explanation {
        &self.explanation
    }

    /// How many attempts have been made.
    pub fn attempts(&self) -> u32 {
        u32::try_from(self.records.len()).unwrap_or(u32::MAX).saturating_add(u32::from(self.open.is_some()))
    }

    /// The attempts that are over.
    pub fn attempt_records(&self) -> &[AttemptRecord] {
        &self.records
    }

    /// When the call was let in.
    pub fn admitted_at(&self) -> Timestamp {
        self.admitted_at
    }

    /// The next random number of this call (SplitMix64, Steele, Lea and Flood 2014).
    pub(crate) fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn check_caller(&self, now: Timestamp) -> Result<(), Denial> {
        let caller = &self.caller.caller;
        if let Some(scope) = &caller.blocked {
            return Err(Denial::Blocked { scope: scope.kind });
        }
        if let Some(at) = caller.expires_at.filter(|at| now >= *at) {
            return Err(Denial::Expired { at });
        }
        let allowed = |ip| caller.allowed_ips.iter().any(|net| net.contains(ip));
        if !caller.allowed_ips.is_empty() && !self.call.client_ip.is_some_and(allowed) {
            return Err(Denial::AddressNotAllowed);
        }
        Ok(())
    }

    fn resolve_alias(&mut self) -> ModelName {
        let asked = self.call.model.clone();
        let meant = self.caller.caller.aliases.get(&asked).unwrap_or(&asked);
        let meant = self.runtime.snapshot.unalias(meant).clone();
        if meant != asked {
            self.explanation.push(Reason::Alias { from: asked, to: meant.clone() });
        }
        meant
    }

    /// Considers a model's candidates; false when there is no such model for this caller.
    fn enter_model(&mut self, model: &ModelName, now: Timestamp) -> bool {
        let runtime = Arc::clone(&self.runtime);
        let caller = &self.caller.caller;
        // A name that the caller asked for by alias is allowed if either name is.
        let allowed = caller.may_call(model.as_str())
            || (self.models.is_empty()
                && self.call.model != *model
                && caller.may_call(self.call.model.as_str()));
        let Some(group) = runtime.snapshot.model_group(model.as_str()).filter(|_| allowed) else {
            return false;
        };
        let fallback = u32::try_from(self.models.len()).unwrap_or(u32::MAX);
        self.explanation.push(Reason::Model { model: model.clone(), fallback });
        self.models.push(model.clone());
        self.model_at = self.models.len() - 1;
        self.considered = candidate::consider(&runtime, self, group, now);
        self.retries_left = group.settings.retries.unwrap_or(runtime.snapshot.declared.routing.retries);
        self.attempts_of_model = 0;
        self.note_why_nothing(model);
        true
    }

    /// Remembers why a model has no candidate at all, unless something more telling is known.
    fn note_why_nothing(&mut self, model: &ModelName) {
        if !self.considered.ranked.is_empty() || self.denial.is_some() {
            return;
        }
        let denial = if let Some(retry_at) = self.considered.back_at {
            Denial::NoChannel { retry_at: Some(retry_at) }
        } else if let Some(largest) = self.considered.too_small {
            Denial::ContextTooLong { largest }
        } else if self.considered.unpriced {
            Denial::Unpriced { model: model.clone() }
        } else {
            Denial::NoChannel { retry_at: None }
        };
        self.denial = Some(denial);
    }

    fn why_nothing(&mut self) -> Denial {
        self.denial.take().unwrap_or(Denial::NoChannel { retry_at: None })
    }

    fn unknown_model(&self) -> Denial {
        let available = self
            .runtime
            .snapshot
            .model_names()
            .into_iter()
            .filter(|name| self.caller.caller.may_call(name.as_str()))
            .take(MAX_NAMES)
            .cloned()
            .collect();
        Denial::UnknownModel { model: self.call.model.clone(), available }
    }

    /// Keeps to a script's advice, as far as it doesn't widen access.
    fn advise(&mut self, verdict: Verdict, now: Timestamp) -> Result<(), Denial> {
        if let Some(max) = verdict.max_output {
            self.policy_ceiling = Some(self.policy_ceiling.map_or(max, |known| known.min(max)));
        }
        self.call.tags.extend(verdict.tags);
        if verdict.fallback.is_some() {
            self.fallback = verdict.fallback;
        }
        if let Some(model) = verdict.model {
            let model = self.runtime.snapshot.unalias(&model).clone();
            self.models.clear();
            self.denial = None;
            if !self.caller.caller.may_call(model.as_str()) || !self.enter_model(&model, now) {
                return Err(self.unknown_model());
            }
        }
        let runtime = Arc::clone(&self.runtime);
        let channel = |r: &Ranked| runtime.snapshot.channels().get(r.candidate.channel as usize);
        for r in &mut self.considered.ranked {
            let Some(c) = channel(r) else { continue };
            if verdict.exclude.iter().any(|x| candidate::matches(c, x)) {
                r.out = true;
                self.explanation.push(Reason::Excluded { channel: c.id.clone(), why: Exclusion::Policy });
            }
        }
        self.considered.ranked.retain(|r| !r.out);
        if !verdict.prefer.is_empty() {
            let place = |r: &Ranked| {
                channel(r)
                    .and_then(|c| verdict.prefer.iter().position(|p| candidate::matches(c, p)))
                    .unwrap_or(usize::MAX)
            };
            self.considered.ranked.sort_by_key(place);
        }
        if let Some(model) = self.models.last().cloned() {
            self.note_why_nothing(&model);
        }
        Ok(())
    }

    /// Whether the call may make no further attempt, and as what it then ends.
    fn spent(&self, now: Timestamp) -> Option<Failure> {
        let routing = &self.runtime.snapshot.declared.routing;
        let last = self.last?;
        let over = !last.class.is_retryable()
            || self.attempts() >= routing.max_attempts
            || now >= self.deadline()
            // INVARIANT: an answer ends a call; a host that asks for more after one gets the same end.
            || last.class == OutcomeClass::Ok;
        over.then_some(Failure::Upstream(last.class))
    }

    /// When the call as a whole must be over.
    pub fn deadline(&self) -> Timestamp {
        let ms = self.runtime.snapshot.declared.routing.deadline_ms;
        self.admitted_at.plus_ms(i64::try_from(ms).unwrap_or(i64::MAX))
    }

    /// The next candidate of the current model.
    fn pick(&mut self, now: Timestamp) -> Pick {
        if self.attempts_of_model > self.retries_left {
            return Pick::Nothing;
        }
        let Some(last) = self.last.filter(|_| self.attempts_of_model > 0) else {
            return self.fresh().map_or(Pick::Nothing, Pick::Candidate);
        };
        // Neither another channel of this model nor a pause changes what the prompt is.
        if matches!(last.class, OutcomeClass::ContextTooLong | OutcomeClass::ContentPolicy) {
            return Pick::Nothing;
        }
        if let Some(at) = self.fresh() {
            return Pick::Candidate(at);
        }
        // Everybody has failed once: those whose failure may pass are asked again, least failed first, never the one
        // that just failed while another may serve.
        let again = self
            .considered
            .ranked
            .iter()
            .enumerate()
            .filter(|(_, r)| !r.out)
            .min_by_key(|(at, r)| (*at == last.ranked_at, r.failures, *at))
            .map(|(at, _)| at);
        match again {
            Some(at) => self.pause(at, last, now),
            None => Pick::Nothing,
        }
    }

    fn fresh(&self) -> Option<usize> {
        self.considered.ranked.iter().position(|r| !r.out && r.failures == 0)
    }

    /// The pause before a channel is asked again: exponential with jitter, or what the upstream named.
    fn pause(&mut self, at: usize, last: Last, now: Timestamp) -> Pick {
        let routing = self.runtime.snapshot.declared.routing;
        if self.wait_until.take().is_some() {
            return Pick::Candidate(at);
        }
        let doubled =
            routing.backoff_ms.saturating_mul(1 << (self.attempts_of_model.saturating_sub(1)).min(16));
        let backoff = doubled.min(routing.backoff_max_ms);
        // Half fixed, half random: callers that failed together don't return together.
        let jittered = backoff / 2 + if backoff >= 2 { self.random() % (backoff / 2 + 1) } else { 0 };
        let named = last.retry_after_ms.filter(|_| at == last.ranked_at).unwrap_or(0);
        if named > routing.backoff_max_ms {
            return Pick::Nothing;
        }
        let until = last.at.plus_ms(i64::try_from(jittered.max(named)).unwrap_or(i64::MAX));
        if until >= self.deadline() {
            return Pick::Nothing;
        }
        if until <= now { Pick::Candidate(at) } else { Pick::Wait(until) }
    }

    /// Goes on to the next fallback model that has a candidate; false when there is none.
    fn next_model(&mut self, now: Timestamp) -> bool {
        let runtime = Arc::clone(&self.runtime);
        let declared = &runtime.snapshot.declared;
        let Some(first) = self.models.first().cloned() else { return false };
        let configured = |kind: &indexmap::IndexMap<ModelName, Vec<ModelName>>| {
            kind.get(&first).or_else(|| kind.get(&self.call.model)).cloned().unwrap_or_default()
        };
        let class = self.last.map(|last| last.class);
        let too_long = class == Some(OutcomeClass::ContextTooLong)
            || (class.is_none() && matches!(self.denial, Some(Denial::ContextTooLong { .. })));
        let mut queue: Vec<ModelName> = Vec::new();
        if too_long {
            queue.extend(configured(&declared.fallbacks.context_window));
        }
        if class == Some(OutcomeClass::ContentPolicy) {
            queue.extend(configured(&declared.fallbacks.content_policy));
        } else {
            queue.extend(self.fallback.clone().unwrap_or_else(|| configured(&declared.fallbacks.general)));
            queue.extend(declared.fallbacks.default.iter().cloned());
        }
        // BOUND: configured lists are finite, and no model is entered twice.
        for model in queue {
            if self.models.len() > declared.routing.max_fallbacks as usize {
                return false;
            }
            if self.models.contains(&model) {
                continue;
            }
            let why = if !self.caller.caller.may_call(model.as_str()) {
                Some(SkipReason::Access)
            } else if runtime.snapshot.model_group(model.as_str()).is_none() {
                Some(SkipReason::Unknown)
            } else {
                None
            };
            if let Some(why) = why {
                let skipped = Reason::Skipped { model, why };
                if !self.explanation.reasons().contains(&skipped) {
                    self.explanation.push(skipped);
                }
                continue;
            }
            if self.enter_model(&model, now) && !self.considered.ranked.is_empty() {
                return true;
            }
        }
        false
    }

    fn failure(&mut self) -> Failure {
        match self.last {
            Some(last) => Failure::Upstream(last.class),
            None => Failure::Denied(self.why_nothing()),
        }
    }

    /// Takes a candidate out that the ledger refused, and remembers why.
    fn refused(&mut self, at: usize, channel: &Channel, refusal: &Refusal) {
        let state = &refusal.state;
        self.explanation.push(Reason::Limit {
            scope: state.kind,
            metric: state.limit.metric,
            window: state.limit.window,
            max: state.limit.max,
            used: state.settled.saturating_add(state.reserved).saturating_add(state.held),
            asked: refusal.asked,
            ok: false,
        });
        let why = if refusal.of_channel { Exclusion::ChannelLimit } else { Exclusion::Unaffordable };
        self.explanation.push(Reason::Excluded { channel: channel.id.clone(), why });
        self.take_out(at);
        // A limit of the caller's own chain says more than "no channel", and the last one stands for them all.
        if !refusal.of_channel {
            self.denial = Some(Denial::Limit(LimitHit::of(state, refusal.asked)));
        } else if self.denial.is_none() {
            let retry_at = Some(state.resets_at).filter(|at| *at != Timestamp::MAX);
            self.denial = Some(Denial::NoChannel { retry_at });
        }
        if state.limit.when_short == Some(WhenShort::Deny) && !refusal.of_channel && self.last.is_none() {
            // Refused by name: nothing cheaper is looked for within this model.
            self.considered.ranked.iter_mut().for_each(|r| r.out = true);
        }
    }

    pub(crate) fn take_out(&mut self, at: usize) {
        if let Some(r) = self.considered.ranked.get_mut(at) {
            r.out = true;
        }
    }

    /// Notes a failure of the candidate; out for this call when asking again can't help.
    pub(crate) fn note_failure(&mut self, at: usize, class: OutcomeClass) {
        if let Some(r) = self.considered.ranked.get_mut(at) {
            r.failures = r.failures.saturating_add(1);
            r.out = r.out || !class.is_transient();
        }
    }

    pub(crate) fn sizes(&self, model: &ChannelModel, ceiling: Option<Ceiling>) -> Sizes {
        ceiling::sizes(&self.call, model, ceiling.map(|c| c.tokens), self.caller.caller.price_ratio_ppm)
    }

    pub(crate) fn ask<'a>(&'a self, sizes: &Sizes, channel: &'a [crate::ledger::BoundLimit]) -> Ask<'a> {
        Ask {
            tenant: &self.caller.limits,
            channel,
            model: self.models.first().unwrap_or(&self.call.model).as_str(),
            bound: sizes.bound,
            estimate: sizes.estimate,
            channel_bound: sizes.channel_bound,
            channel_estimate: sizes.channel_estimate,
            count_request: self.count_request,
        }
    }

    #[expect(clippy::too_many_arguments, reason = "every fact of the attempt, once")]
    fn open_attempt(
        &mut self,
        channel: &Channel,
        model: &ChannelModel,
        endpoint: u32,
        at: usize,
        ceiling: Option<Ceiling>,
        sizes: Sizes,
        reservation: ReservationId,
        now: Timestamp,
    ) -> Attempt {
        let group = self.models.get(self.model_at).cloned().unwrap_or_else(|| self.call.model.clone());
        // Without a limit that needs it, what the caller sent goes upstream as it is.
        let binding = self.caller.bounds_output || ceiling.is_some_and(|c| c.why == CeilingReason::Policy);
        let sent = ceiling.filter(|_| binding);
        if let Some(sent) = sent.filter(|sent| sent.why != CeilingReason::Caller) {
            self.explanation.push(Reason::Ceiling {
                asked: self.call.max_output,
                sent: sent.tokens,
                why: sent.why,
            });
        }
        let candidate = self.considered.ranked.get(at).map(|r| r.candidate);
        let candidate = candidate.unwrap_or(crate::snapshot::Candidate { channel: 0, model: 0 });
        let upstream_model = candidate::upstream_name(model, &group);
        self.open = Some(Open {
            reservation,
            ranked_at: at,
            candidate,
            ceiling: sent.map(|c| c.tokens),
            sizes,
            model: group.clone(),
            upstream_model: upstream_model.clone(),
            started_at: now,
        });
        self.count_request = false;
        self.attempts_of_model += 1;
        self.wait_until = None;
        Attempt {
            runtime: Arc::clone(&self.runtime),
            number: self.attempts(),
            model: group,
            upstream_model,
            ceiling: sent.map(|c| c.tokens),
            clamped: sent.is_some_and(|c| c.why == CeilingReason::Clamped),
            timeouts: channel.timeouts.or(self.runtime.snapshot.declared.routing.timeouts),
            deadline: self.deadline(),
            reservation,
            reserved: sizes.bound.spend,
            priced: model.price.is_known(),
            channel: candidate.channel,
            endpoint,
        }
    }

    /// The candidates of the current model, best first.
    pub(crate) fn ranked(&self) -> &[Ranked] {
        &self.considered.ranked
    }

    /// The channels of the current model's candidates, best first: what would be asked, in which order.
    pub fn order(&self) -> Vec<ChannelId> {
        let channels = self.runtime.snapshot.channels();
        self.considered
            .ranked
            .iter()
            .filter(|r| !r.out)
            .filter_map(|r| channels.get(r.candidate.channel as usize).map(|c| c.id.clone()))
            .collect()
    }
}

/// A verdict in one line.
fn describe(verdict: &Verdict) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    let mut part = |name: &str, value: &dyn std::fmt::Debug| {
        let _ = write!(text, "{}{name} {value:?}", if text.is_empty() { "" } else { "; " });
    };
    if let Some(deny) = &verdict.deny {
        part("deny", deny);
    }
    for (name, list) in [("prefer", &verdict.prefer), ("exclude", &verdict.exclude)] {
        if !list.is_empty() {
            part(name, list);
        }
    }
    if let Some(model) = &verdict.model {
        part("model", model);
    }
    if let Some(fallback) = &verdict.fallback {
        part("fallback", fallback);
    }
    if let Some(max) = &verdict.max_output {
        part("max_output", max);
    }
    if !verdict.tags.is_empty() {
        part("tags", &verdict.tags);
    }
    if text.is_empty() { "no opinion".to_owned() } else { text }
}
