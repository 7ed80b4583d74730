//! One attempt: what it may use, and the reservation that holds it.

use std::sync::Arc;

use parking_lot::Mutex;
use smallvec::SmallVec;

use super::admission::Admission;
use super::candidate::Ranked;
use super::ceiling::{self, Ceiling, Sizes};
use super::charges::Charges;
use super::observed::Said;
use super::plan::{limit_reason, refusal_reason};
use super::{ChannelRuntime, Engine, Runtime, candidate};
use crate::call::{Call, Format};
use crate::channel::{Channel, ChannelModel, Endpoint, KeyMode, Timeouts};
use crate::count::Tokenizer;
use crate::decision::{CeilingReason, Denial, Exclusion, Reason};
use crate::health::ChannelHealth;
use crate::ids::{ChannelId, GroupId, KeyId, ModelName, UserId};
use crate::journal::AttemptFacts;
use crate::ledger::{self, Ask, BoundLimit, CellId, Grant, Ledger, Refusal, ReservationId, Reserve};
use crate::price::Variant;
use crate::snapshot::Candidate;
use crate::time::Timestamp;

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
    /// Whether its model is a cheaper one than was asked for, because a limit leaves no more.
    pub downgraded: bool,
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
    extra_input: u64,
    key: u32,
}

impl Attempt {
    /// Input tokens that the channel's own changes of the body may add: they are reserved.
    pub fn extra_input(&self) -> u64 {
        self.extra_input
    }

    /// Which of the channel's keys to send it with, from 0.
    pub fn key(&self) -> u32 {
        self.key
    }

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

/// The attempt under way.
pub(super) struct Open {
    pub(super) lease: Lease,
    pub(super) ranked_at: usize,
    pub(super) candidate: Candidate,
    pub(super) ceiling: Option<u64>,
    pub(super) sizes: Sizes,
    /// The upstream has said what the input is.
    pub(super) input_known: bool,
    /// Its first content has come.
    pub(super) answered: bool,
    pub(super) model: ModelName,
    pub(super) upstream_model: ModelName,
    pub(super) started_at: Timestamp,
    /// Of a channel with several: which one.
    pub(super) key: Option<u32>,
    /// What is asked of the images, where the channel changed that.
    pub(super) variant: Option<Box<Variant>>,
    /// The caller's service tier wasn't sent.
    pub(super) asks_no_tier: bool,
}

impl Open {
    /// The input that it is taken to have when nobody reports it: as estimated, and never more than was reserved.
    pub(super) fn input_estimate(&self, call: &Call) -> u64 {
        call.input_estimate.min(u64::try_from(self.sizes.bound.input_tokens).unwrap_or(0))
    }
}

/// What an attempt has taken: a reservation, and a place among its channel's calls under way.
pub(super) struct Lease {
    ledger: Arc<Mutex<Ledger>>,
    health: Arc<ChannelHealth>,
    pub(super) reservation: ReservationId,
    pub(super) is_probe: bool,
    since: Timestamp,
    ended: bool,
}

impl Lease {
    /// Its end is seen to: nothing is left to do when it is dropped.
    pub(super) fn end(&mut self) {
        self.ended = true;
    }
}

impl Drop for Lease {
    /// The host lost the call: nobody knows what the attempt used.
    fn drop(&mut self) {
        if !self.ended {
            self.ledger.lock().hold(self.reservation, self.since);
            self.health.cancel(self.is_probe);
        }
    }
}

/// How a candidate stands with the ledger.
pub(super) enum Fit<T> {
    Fits(T),
    Refill(SmallVec<[CellId; 4]>),
    /// It may fit once its text is counted.
    Count(Tokenizer),
    /// It is out, and the reasons are noted.
    Out,
}

/// How the ledger answers one ask.
pub(super) enum Answer<T> {
    Fits(T),
    Refill(SmallVec<[CellId; 4]>),
    Short(Box<Refusal>),
}

/// Where an attempt would go, and as what.
#[derive(Clone, Copy)]
struct Target<'a> {
    channel: &'a ChannelId,
    model: &'a ChannelModel,
    upstream_model: &'a ModelName,
    ceiling: Option<u64>,
    /// What the call costs relative to the price that it is charged by.
    ratio_ppm: u32,
}

/// A candidate that fits, and as what.
pub(super) struct Fitting<T> {
    pub(super) answer: T,
    pub(super) ceiling: Option<Ceiling>,
    pub(super) sizes: Sizes,
    upstream_model: ModelName,
}

impl Engine {
    /// Reserves for the candidate and makes it an attempt.
    pub(super) fn reserve(&self, admission: &mut Admission, at: usize, now: Timestamp) -> Fit<Box<Attempt>> {
        let answer = |ledger: &mut Ledger, ask: &Ask<'_>| match ledger.try_reserve(ask, now) {
            Reserve::Granted(grant) => Answer::Fits(grant),
            Reserve::NeedRefill(cells) => Answer::Refill(cells),
            Reserve::Denied(refusal) => Answer::Short(Box::new(refusal)),
        };
        let fit = match admission.observed_answer(at) {
            None => self.fit(admission, at, now, false, answer),
            Some(said) => {
                self.fit(admission, at, now, false, |ledger, ask| as_recorded(ledger, ask, &said, now))
            }
        };
        match fit {
            Fit::Fits(fitting) => match self.open_attempt(admission, at, fitting, now) {
                Some(attempt) => Fit::Fits(attempt),
                None => Fit::Out,
            },
            Fit::Refill(cells) => Fit::Refill(cells),
            Fit::Count(tokenizer) => Fit::Count(tokenizer),
            Fit::Out => Fit::Out,
        }
    }

    /// Whether the candidate fits all limits, as asked or with a lower ceiling. `say_all` notes how every limit stands,
    /// and not only the one that refuses. It would begin at `now`: dated prices go by that.
    pub(super) fn fit<T>(
        &self,
        admission: &mut Admission,
        at: usize,
        now: Timestamp,
        say_all: bool,
        answer: impl Fn(&mut Ledger, &Ask<'_>) -> Answer<T>,
    ) -> Fit<Fitting<T>> {
        let runtime = Arc::clone(&admission.runtime);
        let ranked = admission.considered.ranked.get(at).map(|r| (r.candidate, r.endpoint));
        let found = ranked.and_then(|(c, endpoint)| {
            let (declared, model) = runtime.snapshot.resolve(c)?;
            let target = declared.endpoints.get(endpoint as usize)?.format;
            Some((declared, target, model, runtime.channels.get(c.channel as usize)?))
        });
        // INVARIANT: candidates come from this snapshot.
        let Some((declared, format, model, channel)) = found else {
            admission.take_out(at);
            return Fit::Out;
        };
        if candidate::has_no_bound(admission, declared, model, now) {
            // The limits of customers and tags are known behind the scripts only.
            admission.exclude(at, Exclusion::Unpriced);
            let model = admission.group().clone();
            admission.note_denial(Denial::Unpriced { model });
            return Fit::Out;
        }
        let upstream_model = candidate::upstream_name(model, admission.group());
        let thoughts = ceiling::thoughts(&admission.call, declared, model, &upstream_model, format);
        let translated = match admission.call.extra_translated {
            _ if format == admission.call.format => 0,
            extra => extra.at(format, upstream_model.as_str()),
        };
        let choices = admission.call.choices_in(format);
        let way = ceiling::Way { translated, thoughts, choices };
        let mut ceiling =
            admission.observed_ceiling().or_else(|| ceiling::initial(&runtime, admission, model));
        let mut lowered = false;
        // BOUND: twice at most: as asked, then lowered.
        loop {
            let charges = Charges::of_call(
                &admission.caller.caller,
                admission.group(),
                (declared, model),
                now,
                admission.call.variant.as_deref(),
                admission.call.billed.as_deref(),
            );
            let sizes = ceiling::sizes(
                &admission.call,
                &admission.counted,
                model,
                ceiling.map(|c| c.tokens),
                way,
                &charges,
            );
            let target = Target {
                channel: &declared.id,
                model,
                upstream_model: &upstream_model,
                ceiling: admission.would_send(at, ceiling).map(|sent| sent.tokens),
                ratio_ppm: charges.ratio_ppm(),
            };
            let ask = admission.ask(&sizes, &channel.limits, Some(target));
            let said = answer(&mut self.ledger.lock(), &ask);
            let refusal = match said {
                Answer::Fits(answer) => {
                    if say_all {
                        admission.note_limits(&mut self.ledger.lock(), &sizes, &channel.limits, now);
                    }
                    return Fit::Fits(Fitting { answer, ceiling, sizes, upstream_model });
                }
                Answer::Refill(cells) => return Fit::Refill(cells),
                Answer::Short(refusal) => refusal,
            };
            if let Some(tokenizer) =
                ceiling::worth_counting(&runtime, admission, model, &charges, ceiling, way, &refusal)
            {
                return Fit::Count(tokenizer);
            }
            let lower = ceiling.filter(|_| !lowered).and_then(|ceiling| {
                ceiling::clamp(&runtime, admission, model, &charges, ceiling, way, &refusal)
            });
            let Some(lower) = lower else {
                if say_all {
                    admission.note_limits(&mut self.ledger.lock(), &sizes, &channel.limits, now);
                } else {
                    admission.explanation.push(refusal_reason(&refusal));
                }
                admission.refused(at, &refusal);
                return Fit::Out;
            };
            (ceiling, lowered) = (Some(lower), true);
        }
    }

    fn open_attempt(
        &self,
        admission: &mut Admission,
        at: usize,
        fitting: Fitting<Grant>,
        now: Timestamp,
    ) -> Option<Box<Attempt>> {
        let runtime = Arc::clone(&admission.runtime);
        let Fitting { answer: Grant { id, crossed }, ceiling, sizes, upstream_model } = fitting;
        let ranked = admission.considered.ranked.get(at)?;
        let (candidate, endpoint) = (ranked.candidate, ranked.endpoint);
        let (channel, model) = runtime.snapshot.resolve(candidate)?;
        let ChannelRuntime { health, keys, .. } = runtime.channels.get(candidate.channel as usize)?;
        let key = (!channel.more_keys.is_empty()).then(|| {
            let draw = (channel.key_mode == KeyMode::Random).then(|| admission.random());
            health.pick_key(keys, draw, now)
        });
        let lease = Lease {
            ledger: Arc::clone(&self.ledger),
            health: Arc::clone(health),
            reservation: id,
            is_probe: health.begin(now),
            since: now,
            ended: false,
        };
        if !crossed.is_empty() {
            self.alert_crossed(admission, channel, &crossed, now);
        }
        let sent = admission.sent_ceiling(at, ceiling);
        let group = admission.group().clone();
        admission.open = Some(Open {
            lease,
            ranked_at: at,
            candidate,
            ceiling: sent.map(|c| c.tokens),
            sizes,
            input_known: false,
            answered: false,
            model: group.clone(),
            upstream_model: upstream_model.clone(),
            started_at: now,
            key,
            variant: None,
            asks_no_tier: false,
        });
        admission.count_request = false;
        admission.attempts_of_model += 1;
        Some(Box::new(Attempt {
            number: admission.attempts(),
            model: group,
            upstream_model,
            ceiling: sent.map(|c| c.tokens),
            clamped: sent.is_some_and(|c| c.why == CeilingReason::Clamped),
            downgraded: admission.is_downgraded,
            timeouts: channel.timeouts.or(runtime.snapshot.declared.routing.timeouts),
            deadline: admission.deadline(),
            reservation: id,
            reserved: sizes.bound.spend,
            priced: admission.call.price(&channel.id, model).is_known(),
            channel: candidate.channel,
            endpoint,
            extra_input: model.extra_input,
            key: key.unwrap_or(0),
            runtime,
        }))
    }
}

/// The answer that was recorded.
fn as_recorded(ledger: &mut Ledger, ask: &Ask<'_>, said: &Said, now: Timestamp) -> Answer<Grant> {
    if let Said::Refused(reason, of_channel) = said
        && let Some(refusal) = ledger.refuse_as_recorded(ask, reason, *of_channel, now)
    {
        return Answer::Short(Box::new(refusal));
    }
    Answer::Fits(ledger.reserve_as_recorded(ask, now))
}

impl Admission {
    /// The attempt under way asks for this of the images that it is billed for, because its channel changes bodies: it is charged as that
    /// where the answer says nothing. For the host to call before it sends; what was reserved must cover it.
    pub fn sends_variant(&mut self, variant: Option<Variant>) {
        if let Some(open) = &mut self.open {
            open.variant = variant.map(Box::new);
        }
    }

    /// The attempt under way asks for no service tier, because its upstream's format has no place for the one that the caller asked for: where
    /// the answer says nothing, it was served as any other. For the host to call before it sends.
    pub fn sends_no_tier(&mut self) {
        if let Some(open) = &mut self.open {
            open.asks_no_tier = true;
        }
    }

    /// The model group that is tried.
    pub(super) fn group(&self) -> &ModelName {
        self.models.last().unwrap_or(&self.call.model)
    }

    fn ask<'a>(&'a self, sizes: &Sizes, channel: &'a [BoundLimit], target: Option<Target<'a>>) -> Ask<'a> {
        Ask {
            attempt: target.map(|target| self.facts(sizes, target)),
            call: &self.call.id,
            tenant: &self.caller.limits,
            named: &self.named.limits,
            channel,
            model: self.models.first().unwrap_or(&self.call.model).as_str(),
            asked_as: self.call.model.as_str(),
            bound: sizes.bound,
            estimate: sizes.estimate,
            channel_bound: sizes.channel_bound,
            channel_estimate: sizes.channel_estimate,
            count_request: self.count_request,
            turn: self.waits.turn,
        }
    }

    fn facts<'a>(&'a self, sizes: &Sizes, target: Target<'a>) -> AttemptFacts<'a> {
        let (call, caller) = (&self.call, &self.caller.caller);
        AttemptFacts {
            number: self.attempts().saturating_add(1),
            admitted_at: self.admitted_at,
            format: call.format,
            stream: call.stream,
            requested: call.model.as_str(),
            organization: caller.organization.as_str(),
            key: caller.key.as_ref().map(KeyId::as_str),
            user: caller.user.as_ref().map(UserId::as_str),
            group: caller.group.as_ref().map(GroupId::as_str),
            customer: call.customer.as_deref(),
            tags: [&call.tags, &caller.tags],
            seed: self.seed,
            snapshot: self.runtime.snapshot.digest(),
            input_bound: call.input_bound,
            input_estimate: call.input_estimate,
            max_output: call.max_output,
            choices: call.choices,
            price_ratio_ppm: target.ratio_ppm,
            channel: target.channel.as_str(),
            model: self.group().as_str(),
            upstream_model: target.upstream_model.as_str(),
            ceiling: target.ceiling,
            bound: sizes.bound,
            bound_cost: sizes.channel_bound.spend,
            priced: call.price(target.channel, target.model).is_known(),
        }
    }

    /// Notes how every limit stands that this attempt asks something of.
    fn note_limits(&mut self, ledger: &mut Ledger, sizes: &Sizes, channel: &[BoundLimit], now: Timestamp) {
        let mut reasons: SmallVec<[Reason; 12]> = SmallVec::new();
        let ask = self.ask(sizes, channel, None);
        reasons.extend(ask.limits().filter_map(|(of_channel, bound)| {
            let asked = ledger::asked(&ask, bound, of_channel)?;
            Some(limit_reason(&ledger.state(bound, now), asked))
        }));
        reasons.into_iter().for_each(|reason| self.explanation.push(reason));
    }

    /// The ceiling that goes upstream, noted where it isn't the caller's own. Without a limit or a format that needs one, what
    /// the caller sent goes as it is.
    pub(super) fn sent_ceiling(&mut self, at: usize, ceiling: Option<Ceiling>) -> Option<Ceiling> {
        let sent = self.would_send(at, ceiling)?;
        if sent.why != CeilingReason::Caller {
            let asked = self.call.max_output;
            self.explanation.push(Reason::Ceiling { asked, sent: sent.tokens, why: sent.why });
        }
        Some(sent)
    }

    fn would_send(&self, at: usize, ceiling: Option<Ceiling>) -> Option<Ceiling> {
        let ranked = self.considered.ranked.get(at)?;
        let channel = self.runtime.channels.get(ranked.candidate.channel as usize);
        let needed = self.caller.bounds_output
            || self.named.bounds_output
            || channel.is_some_and(|channel| channel.bounds_output)
            || self.requires_ceiling(ranked);
        ceiling.filter(|c| needed || c.why == CeilingReason::Policy)
    }

    /// Whether the call is translated into a format that can't do without a ceiling.
    fn requires_ceiling(&self, ranked: &Ranked) -> bool {
        let endpoints =
            self.runtime.snapshot.channels().get(ranked.candidate.channel as usize).map(|c| &c.endpoints);
        let format =
            endpoints.and_then(|endpoints| endpoints.get(ranked.endpoint as usize)).map(|e| e.format);
        format == Some(Format::AnthropicMessages) && self.call.format != Format::AnthropicMessages
    }
}
