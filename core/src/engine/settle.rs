//! How an attempt ends: what it is charged, what its channel's health learns, and the record of the call.

use std::sync::Arc;

use super::Engine;
use super::admission::Admission;
use super::attempt::Open;
use super::ceiling;
use super::charges::Charges;
use super::plan::Last;
use super::sanity::{believed, within_bound};
use crate::call::{Call, Format, Unit};
use crate::channel::{Channel, ChannelModel};
use crate::count::{Counting, made_image_tokens};
use crate::decision::{OutcomeClass, Reason};
use crate::health::{self, KeyUse, Took};
use crate::ids::ChannelId;
use crate::journal::Ending;
use crate::ledger::LimitState;
use crate::limit::{Metric, ScopeKind};
use crate::money::format_usd;
use crate::ports::Alert;
use crate::price::{ServiceTier, UsedRates, Variant};
use crate::record::{AttemptRecord, ReplayFacts, UsageRecord, totals};
use crate::snapshot::OnUnknown;
use crate::time::Timestamp;
use crate::usage::{Usage, UsageSource};

/// What a host saw of an attempt.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// How it ended.
    pub class: OutcomeClass,
    /// The upstream's status; `None` when none came.
    pub status: Option<u16>,
    /// Whether anything was sent. What was never sent is never charged.
    pub sent: bool,
    /// The pause that the upstream asked for, in milliseconds.
    pub retry_after_ms: Option<u64>,
    /// What the upstream reported.
    pub reported: Option<Usage>,
    /// Whether it reported something that can't be right, such as a negative number: that is told of.
    pub usage_rejected: bool,
    /// What we counted: what we sent and what was delivered. Charged when nothing credible was reported and a
    /// successful answer had begun.
    pub counted: Usage,
    /// When the first content came; `None` when none did: then no image was made either.
    pub first_byte_at: Option<Timestamp>,
    /// The tier that the upstream says it served the call at; `None` when it says nothing of it.
    pub served_tier: Option<ServiceTier>,
    /// What it says of its units and searches: the size and quality of images, how much was read.
    pub served_variant: Option<Box<Variant>>,
}

impl Outcome {
    /// An attempt that ended like this without any answer.
    pub fn failed(class: OutcomeClass, status: Option<u16>) -> Self {
        Self {
            class,
            status,
            sent: class != OutcomeClass::Unreachable,
            retry_after_ms: None,
            reported: None,
            usage_rejected: false,
            counted: Usage::default(),
            first_byte_at: None,
            served_tier: None,
            served_variant: None,
        }
    }

    /// An attempt that answered and reported this use.
    pub fn answered(usage: Usage) -> Self {
        Self { reported: Some(usage), sent: true, ..Self::failed(OutcomeClass::Ok, Some(200)) }
    }
}

/// What becomes of a reservation.
#[derive(Debug)]
pub(super) enum Charge {
    Settle(Usage, UsageSource),
    Release,
    Hold,
}

impl Engine {
    /// Ends the attempt under way: settles, releases or holds its reservation, and lets the channel's health know.
    /// Does nothing when none is under way, so reporting twice is harmless.
    pub fn observe(&self, admission: &mut Admission, outcome: &Outcome, now: Timestamp) {
        if let Some(open) = admission.open.take() {
            self.end_attempt(admission, open, outcome, now);
        }
    }

    /// The first content of the attempt under way has come. If it finds out whether a benched channel is well again, it
    /// now has; and of a stream it tells how fast its channel is, long before the end. Hosts that can't tell leave it out.
    pub fn answers(&self, admission: &mut Admission, now: Timestamp) {
        let is_stream = admission.call.stream;
        let Some(open) = admission.open.as_mut().filter(|open| !open.answered) else { return };
        open.answered = true;
        if admission.call.mock {
            return;
        }
        let is_probe = std::mem::take(&mut open.lease.is_probe);
        let took = is_stream.then(|| Took::FirstContent(microseconds(open, now)));
        if (is_probe || is_stream)
            && let Some(channel) = admission.runtime.channels.get(open.candidate.channel as usize)
        {
            channel.health.answers(is_probe, took, now);
        }
    }

    /// The upstream has said what the input of the attempt under way is, before its end: what was reserved beyond that is
    /// freed. Heeded once, and only where the first word is the last: from Anthropic itself, for a call whose body bounds its
    /// input. Hosts that can't tell leave it out: the attempt's end frees the same.
    pub fn input_known(&self, admission: &mut Admission, input: &Usage, now: Timestamp) {
        let Admission { runtime, call, caller, open, .. } = admission;
        let Some(open) = open.as_mut().filter(|open| !open.input_known) else { return };
        let tokens = i64::try_from(input.input_tokens()).unwrap_or(i64::MAX);
        let Some((channel, model)) = runtime.snapshot.resolve(open.candidate) else { return };
        let bound = open.sizes.bound;
        if model.counting != Counting::Anthropic
            || call.input_bound.is_none()
            || tokens == 0
            || tokens >= bound.input_tokens
        {
            return;
        }
        open.input_known = true;
        let (variant, billed) = (call.variant.as_deref(), call.billed.as_deref());
        let charges =
            Charges::of_call(&caller.caller, &open.model, (channel, model), open.started_at, variant, billed);
        let (tenant, list) = ceiling::of_known_input(call, model, input, bound.output_tokens, &charges);
        let freed = {
            let mut ledger = self.ledger.lock();
            ledger.shrink(open.lease.reservation, tenant, list, now);
            ledger.take_freed()
        };
        self.tell(&freed);
    }

    fn end_attempt(&self, admission: &mut Admission, mut open: Open, outcome: &Outcome, now: Timestamp) {
        open.lease.end();
        let runtime = Arc::clone(&admission.runtime);
        let reported = believed(outcome, admission, &open);
        let usage_rejected = outcome.usage_rejected || outcome.reported.is_some() && reported.is_none();
        if usage_rejected && let Some((channel, _)) = runtime.snapshot.resolve(open.candidate) {
            self.alert(Alert::AbsurdUsage { channel: channel.id.clone() });
        }
        let of_key = self.learn(admission, &open, outcome, now) && !admission.has_failed_with(&open);
        let charge =
            decide_charge(runtime.snapshot.declared.quota.on_unknown, admission, &open, outcome, reported);
        admission.first_byte_at = admission.first_byte_at.or(outcome.first_byte_at);
        if outcome.class != OutcomeClass::Ok && !of_key {
            admission.note_failure(&open, outcome.class, outcome.retry_after_ms, now);
        }
        let how = (outcome.class, outcome.status, outcome.retry_after_ms);
        // What was served is charged, not what was asked for; and where nothing is said, what was sent.
        let asked = admission.call.service_tier.filter(|_| !open.asks_no_tier);
        let tier = outcome.served_tier.unwrap_or_else(|| ServiceTier::unsaid(asked));
        let variant = served_variant(admission, &open, outcome);
        self.close(admission, open, how, (tier, variant), &charge, now);
        admission.note_usage_rejected(usage_rejected);
        admission.note_key_fault(of_key);
        self.ask_on_error(admission, outcome.class, now);
    }

    /// Charges an attempt, as one that was served at `tier` and of which `variant` is known, and writes it down.
    pub(super) fn close(
        &self,
        admission: &mut Admission,
        open: Open,
        (class, status, retry_after_ms): (OutcomeClass, Option<u16>, Option<u64>),
        (tier, variant): (ServiceTier, Option<Variant>),
        charge: &Charge,
        now: Timestamp,
    ) {
        let runtime = Arc::clone(&admission.runtime);
        // INVARIANT: an attempt is only made for a candidate of its own snapshot.
        let Some((channel, model)) = runtime.snapshot.resolve(open.candidate) else { return };
        let (usage, source) = match charge {
            Charge::Settle(usage, source) => (*usage, *source),
            Charge::Release | Charge::Hold => (Usage::default(), UsageSource::None),
        };
        let charges = Charges::of_call(
            &admission.caller.caller,
            &open.model,
            (channel, model),
            open.started_at,
            variant.as_ref(),
            admission.call.billed.as_deref(),
        );
        let is_settled = matches!(charge, Charge::Settle(..));
        let (spend, cost) = if is_settled { charges.costs(&usage, tier) } else { (0, 0) };
        let priced = is_priced(&admission.call, channel, model, &usage);
        let rates =
            if is_settled && priced { charges.list().used(&usage, tier) } else { UsedRates::default() };
        let service_tier = Some(tier).filter(|tier| is_settled && *tier != ServiceTier::Standard);
        let exchange = charges.list().exchange().filter(|_| is_settled);
        let ending = Ending { class, status, usage, source, spend, cost, service_tier, exchange, at: now };
        self.end_reservation(admission, &open, channel, charge, &ending);
        admission.explanation.push(Reason::Attempt { channel: channel.id.clone(), outcome: class });
        admission.records.push(AttemptRecord {
            channel: channel.id.clone(),
            model: open.model,
            upstream_model: open.upstream_model,
            outcome: class,
            status,
            started_at: open.started_at,
            duration_ms: u32::try_from(now.since_ms(open.started_at).max(0)).unwrap_or(u32::MAX),
            ceiling: open.ceiling,
            reserved: open.sizes.bound.spend,
            spend,
            cost,
            priced,
            service_tier,
            variant: variant.clone().filter(|_| is_settled).map(Box::new),
            exchange,
            rates,
            usage,
            usage_source: source,
            held: matches!(charge, Charge::Hold),
            retry_after_ms,
            usage_rejected: false,
            key: open.key,
            key_fault: false,
        });
        admission.last = Some(Last { class, channel: open.candidate.channel, at: now, of_key: false });
    }

    fn end_reservation(
        &self,
        admission: &Admission,
        open: &Open,
        channel: &Channel,
        charge: &Charge,
        ending: &Ending,
    ) {
        let reservation = open.lease.reservation;
        let mut ledger = self.ledger.lock();
        let settlement = if matches!(charge, Charge::Hold) {
            ledger.hold_as(reservation, Some(ending.class), ending.at);
            None
        } else {
            ledger.end(reservation, ending, ending.at)
        };
        let freed = ledger.take_freed();
        drop(ledger);
        self.tell(&freed);
        for debt in settlement.into_iter().flat_map(|settlement| settlement.debts) {
            let over = debt.settled.saturating_sub(debt.limit.max);
            let limit = limit_text(admission, channel, &debt);
            self.alert(Alert::Debt { limit, over });
        }
    }

    /// Lets the channel's health know; whether it was the fault of one key alone, and the channel has others.
    pub(super) fn learn(
        &self,
        admission: &Admission,
        open: &Open,
        outcome: &Outcome,
        now: Timestamp,
    ) -> bool {
        let Some(channel) = admission.runtime.channels.get(open.candidate.channel as usize) else {
            return false;
        };
        let Some((found, model)) = admission.runtime.snapshot.resolve(open.candidate) else { return false };
        let is_probe = open.lease.is_probe;
        if admission.call.mock || outcome.class == OutcomeClass::Ok && !outcome.sent {
            // Nobody was asked.
            channel.health.cancel(is_probe);
            return false;
        }
        let class = match outcome.class {
            // A wildcard passes on whatever name a caller makes up: that there is no such model is the caller's fault, and
            // must not take the channel from all others.
            OutcomeClass::NotFound if model.group.as_str().ends_with('*') => OutcomeClass::BadRequest,
            class => class,
        };
        let digest = channel.keys.get(open.key.unwrap_or(0) as usize).copied().unwrap_or_default();
        let verdict = channel.health.end_with_key(
            KeyUse { digest, since: open.started_at },
            class,
            took(admission, open, outcome, now),
            outcome.retry_after_ms,
            is_probe,
            channel.tolerance,
            now,
        );
        self.alert_of(&found.id, open.key.unwrap_or(0), outcome.class, verdict);
        verdict.is_of_key()
    }

    /// Tells of what became of a channel, or of one of its keys.
    pub(super) fn alert_of(&self, id: &ChannelId, key: u32, class: OutcomeClass, verdict: health::Verdict) {
        if verdict == health::Verdict::Counted {
            return;
        }
        let id = id.clone();
        match verdict {
            health::Verdict::Counted
            | health::Verdict::KeyRests
            | health::Verdict::KeyBroken { is_news: false, .. } => {}
            health::Verdict::KeyBroken { is_news: true, .. } => {
                let why = why_broken(class).to_owned();
                self.alert(Alert::KeyBroken { channel: id, key, why });
            }
            health::Verdict::Benched(until) => self.alert(Alert::Cooldown { channel: id, until }),
            health::Verdict::Broken => {
                self.alert(Alert::ChannelBroken { channel: id, why: why_broken(class).to_owned() });
            }
        }
    }

    /// Ends the call and gives its record. `error` is the stable code of the error that the caller got, if any. An
    /// attempt that is still open ends as one whose caller went away.
    pub fn finish(&self, mut admission: Box<Admission>, error: Option<&str>, now: Timestamp) -> UsageRecord {
        if admission.open.is_some() {
            let mut outcome = Outcome::failed(OutcomeClass::ClientGone, None);
            outcome.sent = true;
            self.observe(&mut admission, &outcome, now);
        }
        self.ask_finish(&mut admission, now);
        admission.into_record(None, error, now)
    }

    /// Ends a call that its host lost track of: nobody knows whether the upstream answered. What is reserved becomes
    /// held: it counts against its limits until it is reconciled or its window ends. The channel's health learns nothing.
    pub fn abandon(&self, mut admission: Box<Admission>, now: Timestamp) -> UsageRecord {
        if let Some(mut open) = admission.open.take() {
            open.lease.end();
            if let Some(channel) = admission.runtime.channels.get(open.candidate.channel as usize) {
                channel.health.cancel(open.lease.is_probe);
            }
            self.close(
                &mut admission,
                open,
                (OutcomeClass::Timeout, None, None),
                (ServiceTier::Standard, None),
                &Charge::Hold,
                now,
            );
        }
        self.ask_finish(&mut admission, now);
        admission.into_record(None, Some("cancelled"), now)
    }

    /// The record of a call that was refused before any attempt.
    pub fn refuse(
        &self,
        call: crate::call::Call,
        caller: &Arc<super::BoundCaller>,
        denied: &super::Denied,
        now: Timestamp,
        seed: u64,
    ) -> UsageRecord {
        let mut admission = Box::new(Admission::new(self.runtime(), call, Arc::clone(caller), now, seed));
        admission.explanation = denied.explanation.clone();
        let code = denied.denial.to_error(now).kind().as_str();
        admission.into_record(Some(OutcomeClass::Denied), Some(code), now)
    }
}

fn why_broken(class: OutcomeClass) -> &'static str {
    match class {
        OutcomeClass::NoBalance => "the upstream says that its account has no balance",
        _ => "the upstream refuses the channel's credential",
    }
}

/// How long the attempt took, if that says how fast its channel is. A timeout is at least as slow as it was waited for.
fn took(admission: &Admission, open: &Open, outcome: &Outcome, now: Timestamp) -> Option<Took> {
    let timed_out = outcome.class == OutcomeClass::Timeout;
    if admission.call.stream {
        // Told when it came, or never: then only a timeout says anything.
        return (timed_out && !open.answered).then(|| Took::FirstContent(microseconds(open, now)));
    }
    (timed_out || outcome.class == OutcomeClass::Ok).then(|| Took::Whole(microseconds(open, now)))
}

/// How long the attempt has been under way; at least 1.
fn microseconds(open: &Open, now: Timestamp) -> u64 {
    u64::try_from(now.since_ms(open.started_at).max(0)).unwrap_or(0).saturating_mul(1000).max(1)
}

/// What the attempt is charged.
fn decide_charge(
    on_unknown: OnUnknown,
    admission: &Admission,
    open: &Open,
    outcome: &Outcome,
    reported: Option<Usage>,
) -> Charge {
    match charge_of(on_unknown, admission, open, outcome, reported) {
        Charge::Settle(..) if admission.call.format.counts_tokens() => Charge::Release,
        Charge::Settle(usage, source) => {
            let (usage, source) = if !made_unsaid(&usage, source, admission, outcome) {
                (usage, source)
            } else if is_charged_by_tokens(admission, open) {
                (with_made(usage, admission, open, outcome), UsageSource::Counted)
            } else {
                (Usage { image_out: 0, ..usage }, source)
            };
            let is_ours = source == UsageSource::Counted;
            Charge::Settle(if is_ours { within_bound(usage, admission, open) } else { usage }, source)
        }
        charge => charge,
    }
}

/// Whether images were made, and nobody says in how many tokens. Those that we counted ourselves are of images in the making.
fn made_unsaid(usage: &Usage, source: UsageSource, admission: &Admission, outcome: &Outcome) -> bool {
    let partial = if source == UsageSource::Counted { usage.image_out } else { 0 };
    admission.call.format.unit() == Some(Unit::Image)
        && (outcome.class == OutcomeClass::Ok || began(outcome))
        && usage.output_tokens() == partial
}

/// Whether what is made is charged in tokens, and not by the piece.
fn is_charged_by_tokens(admission: &Admission, open: &Open) -> bool {
    let found = admission.runtime.snapshot.resolve(open.candidate);
    found.is_some_and(|(channel, model)| admission.call.price(&channel.id, model).is_by_tokens())
}

/// The same with the tokens of the images, by their formula, and those of the prompt.
fn with_made(usage: Usage, admission: &Admission, open: &Open, outcome: &Outcome) -> Usage {
    let call = &admission.call;
    let units = match usage.units {
        // Where no content came, no image did.
        0 if outcome.first_byte_at.is_some() => call.units,
        came => came,
    };
    let variant = served_variant(admission, open, outcome);
    let each = made_image_tokens(open.upstream_model.as_str(), variant.as_ref());
    let input_uncached =
        if usage.input_tokens() == 0 { open.input_estimate(call) } else { usage.input_uncached };
    Usage {
        input_uncached,
        units,
        image_out: each.saturating_mul(units).saturating_add(usage.image_out),
        ..usage
    }
}

/// What was served: as the answer says, and where it doesn't as was sent.
fn served_variant(admission: &Admission, open: &Open, outcome: &Outcome) -> Option<Variant> {
    let asked = open.variant.as_deref().or(admission.call.variant.as_deref());
    Variant::served(asked, outcome.served_variant.as_deref())
}

fn charge_of(
    on_unknown: OnUnknown,
    admission: &Admission,
    open: &Open,
    outcome: &Outcome,
    reported: Option<Usage>,
) -> Charge {
    match outcome.class {
        OutcomeClass::Ok => match reported {
            // Nothing at all for an answer that we saw is no report.
            Some(usage)
                if usage.output_tokens() == 0 && usage.units == 0 && outcome.counted.output_tokens() > 0 =>
            {
                let counted = outcome.counted;
                let input = if usage.input_tokens() == 0 { counted } else { usage };
                let usage = Usage {
                    output_visible: counted.output_visible,
                    audio_out: counted.audio_out,
                    image_out: counted.image_out,
                    ..input
                };
                Charge::Settle(usage, UsageSource::Counted)
            }
            Some(usage) => Charge::Settle(usage, UsageSource::Reported),
            None => Charge::Settle(outcome.counted, UsageSource::Counted),
        },
        // A success that began: input plus what was really delivered.
        OutcomeClass::Broken | OutcomeClass::ClientGone | OutcomeClass::Timeout if began(outcome) => {
            match reported.filter(|usage| usage.output_tokens() >= outcome.counted.output_tokens()) {
                Some(usage) => Charge::Settle(usage, UsageSource::Reported),
                // Whoever leaves between the status and the content takes the count along, and the upstream has read
                // the prompt all the same.
                None if reported.is_none()
                    && outcome.class == OutcomeClass::ClientGone
                    && outcome.counted.input_tokens() == 0 =>
                {
                    let input = open.input_estimate(&admission.call);
                    Charge::Settle(Usage { input_uncached: input, ..outcome.counted }, UsageSource::Counted)
                }
                None => {
                    let input = reported.map_or(outcome.counted, |usage| Usage {
                        output_visible: outcome.counted.output_visible,
                        output_reasoning: 0,
                        audio_out: outcome.counted.audio_out,
                        image_out: outcome.counted.image_out,
                        ..usage
                    });
                    Charge::Settle(input, UsageSource::Counted)
                }
            }
        }
        // Sent, and nobody knows what became of it.
        OutcomeClass::Timeout | OutcomeClass::ClientGone | OutcomeClass::Broken
            if outcome.sent && outcome.status.is_none() =>
        {
            match on_unknown {
                OnUnknown::Free => Charge::Release,
                OnUnknown::Hold => Charge::Hold,
                OnUnknown::Input => {
                    let input = open.input_estimate(&admission.call);
                    Charge::Settle(Usage { input_uncached: input, ..Usage::default() }, UsageSource::Counted)
                }
            }
        }
        _ => Charge::Release,
    }
}

/// Whether what was used has a price. The fee for what is passed through is none for the tokens that it takes.
fn is_priced(call: &Call, channel: &Channel, model: &ChannelModel, usage: &Usage) -> bool {
    let only_fee = call.format == Format::PassThrough && call.billed.is_none();
    call.price(&channel.id, model).is_known() && !(only_fee && usage.total_tokens() > 0)
}

fn began(outcome: &Outcome) -> bool {
    outcome.status.is_some_and(|status| (200..300).contains(&status))
}

/// A limit for operators: whose it is by name, and how it stands.
pub(super) fn limit_text(admission: &Admission, channel: &Channel, state: &LimitState) -> String {
    let limit = &state.limit;
    // A chain has each kind of scope once.
    let mut chain = admission.caller.caller.chain.iter().map(|link| &link.scope);
    let scope = chain.find(|scope| scope.kind == state.kind).or_else(|| admission.named.scope_of(state.cell));
    let whose = match scope {
        Some(scope) if state.kind != ScopeKind::Channel => scope.to_string(),
        _ => format!("{} `{}`", state.kind.as_str(), channel.id),
    };
    let amount =
        |n: i64| if limit.metric == Metric::Spend { format!("{} USD", format_usd(n)) } else { n.to_string() };
    let used = state.settled.saturating_add(state.reserved).saturating_add(state.held);
    format!(
        "{} of {whose}, {}: {} of {}",
        limit.metric.as_str(),
        limit.window,
        amount(used),
        amount(limit.max)
    )
}

impl Admission {
    /// How the call ended.
    pub(super) fn outcome(&self) -> OutcomeClass {
        let without_attempt =
            if self.denial.is_some() { OutcomeClass::Denied } else { OutcomeClass::ClientGone };
        self.last.map_or(without_attempt, |last| last.class)
    }

    /// The record; `outcome` is the last attempt's unless it is given.
    fn into_record(
        self: Box<Self>,
        outcome: Option<OutcomeClass>,
        error: Option<&str>,
        now: Timestamp,
    ) -> UsageRecord {
        let outcome = outcome.unwrap_or_else(|| self.outcome());
        let (usage, spend) = totals(&self.records);
        let caller = &self.caller.caller;
        let mut tags = self.call.tags.clone();
        for tag in &caller.tags {
            // What is summed up by tag must count a call once.
            if !tags.contains(tag) {
                tags.push(tag.clone());
            }
        }
        let sent_tags = u32::try_from(self.sent_tags).ok().filter(|_| self.sent_tags < tags.len());
        UsageRecord {
            answer: None,
            amends: None,
            started_at: self.admitted_at,
            ended_at: now,
            first_byte_at: self.first_byte_at,
            key: caller.key.clone(),
            user: caller.user.clone(),
            group: caller.group.clone(),
            organization: caller.organization.clone(),
            customer: self.call.customer.clone(),
            tags,
            format: self.call.format,
            model: self.call.model.clone(),
            stream: self.call.stream,
            outcome,
            error: error.map(str::to_owned),
            guardrails: crate::guardrail::GuardrailMarks::new(),
            losses: Vec::new(),
            spend,
            usage,
            replay: ReplayFacts {
                seed: self.seed,
                snapshot: self.runtime.snapshot.digest(),
                policy: self.runtime.policy_digest,
                health: self.health_digest,
                input_bound: self.call.input_bound,
                extra_translated: self.call.extra_translated,
                media: self.call.media,
                counted: self.counted,
                cache_writes: self.call.cache_writes,
                input_estimate: self.call.input_estimate,
                conversation: self.call.conversation,
                bound: self.call.bound,
                open_ended: self.call.open_ended,
                max_output: self.call.max_output,
                extra_output: self.call.extra_output,
                units: self.call.units,
                min_output: self.call.min_output,
                thinking: self.call.thinking,
                choices: self.call.choices,
                translated_choices: self.call.translated_choices,
                needs: self.call.needs,
                service_tier: self.call.service_tier,
                variant: self.call.variant,
                billed: self.call.billed,
                client_ip: self.call.client_ip,
                sent_tags,
                fallbacks: self.call.fallbacks,
                rehearse: self.call.rehearse,
                mock: self.call.mock,
                price_ratio_ppm: caller.price_ratio_ppm,
                explanation: self.explanation,
            },
            call: self.call.id,
            attempts: self.records,
        }
    }
}
