//! How an attempt ends: what it is charged, what its channel's health learns, and the record of the call.

use std::sync::Arc;

use super::Engine;
use super::admission::{Admission, Last, Open};
use crate::decision::{OutcomeClass, Reason};
use crate::health;
use crate::ledger::Amounts;
use crate::money::Rounding;
use crate::ports::Alert;
use crate::price::RATIO_ONE_PPM;
use crate::record::{AttemptRecord, ReplayFacts, UsageRecord};
use crate::snapshot::OnUnknown;
use crate::time::Timestamp;
use crate::usage::{Usage, UsageSource};

/// No model reads or writes this many tokens in one call: an upstream that reports more is wrong.
const ABSURD_TOKENS: u64 = 16_777_216;

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
    /// What we counted: what we sent and what was delivered. Charged when nothing credible was reported and a
    /// successful answer had begun.
    pub counted: Usage,
    /// When the first content came.
    pub first_byte_at: Option<Timestamp>,
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
            counted: Usage::default(),
            first_byte_at: None,
        }
    }

    /// An attempt that answered and reported this use.
    pub fn answered(usage: Usage) -> Self {
        Self { reported: Some(usage), sent: true, ..Self::failed(OutcomeClass::Ok, Some(200)) }
    }
}

/// What becomes of a reservation.
enum Charge {
    Settle(Usage, UsageSource),
    Release,
    Hold,
}

impl Engine {
    /// Ends the attempt under way: settles, releases or holds its reservation, and lets the channel's health know.
    /// Does nothing when none is under way, so reporting twice is harmless.
    pub fn observe(&self, admission: &mut Admission, outcome: &Outcome, now: Timestamp) {
        if let Some(open) = admission.open.take() {
            self.end_attempt(admission, open, outcome, None, now);
        }
    }

    /// Ends an attempt. `charge` overrides what the outcome would be charged.
    fn end_attempt(
        &self,
        admission: &mut Admission,
        open: Open,
        outcome: &Outcome,
        charge: Option<Charge>,
        now: Timestamp,
    ) {
        let runtime = Arc::clone(&admission.runtime);
        let Some((channel, model)) = runtime.snapshot.resolve(open.candidate) else { return };

        let on_unknown = runtime.snapshot.declared.quota.on_unknown;
        let charge = charge.unwrap_or_else(|| decide_charge(on_unknown, admission, &open, outcome));
        if outcome.reported.as_ref().is_some_and(is_absurd) {
            self.alert(Alert::AbsurdUsage { channel: channel.id.clone() });
        }
        let (usage, source, held) = match charge {
            Charge::Settle(usage, source) => (usage, source, false),
            Charge::Release => (Usage::default(), UsageSource::None, false),
            Charge::Hold => (Usage::default(), UsageSource::None, true),
        };
        let charged = matches!(charge, Charge::Settle(..));
        let ratio = admission.caller.caller.price_ratio_ppm;
        let (spend, cost) = if charged {
            let cost = model.price.cost(&usage, RATIO_ONE_PPM, Rounding::HalfEven);
            let spend = if ratio == RATIO_ONE_PPM {
                cost
            } else {
                model.price.cost(&usage, ratio, Rounding::HalfEven)
            };
            (spend, cost)
        } else {
            (0, 0)
        };
        self.end_reservation(&open, &charge, spend, cost, now);
        self.learn(admission, &open, outcome, now);

        admission.explanation.push(Reason::Attempt { channel: channel.id.clone(), outcome: outcome.class });
        admission.records.push(AttemptRecord {
            channel: channel.id.clone(),
            model: open.model,
            upstream_model: open.upstream_model,
            outcome: outcome.class,
            status: outcome.status,
            started_at: open.started_at,
            duration_ms: u32::try_from(now.since_ms(open.started_at).max(0)).unwrap_or(u32::MAX),
            ceiling: open.ceiling,
            reserved: open.sizes.bound.spend,
            spend,
            cost,
            priced: model.price.is_known(),
            usage,
            usage_source: source,
            held,
        });
        if outcome.class != OutcomeClass::Ok {
            admission.note_failure(open.ranked_at, outcome.class);
        }
        admission.first_byte_at = admission.first_byte_at.or(outcome.first_byte_at);
        admission.last = Some(Last {
            class: outcome.class,
            ranked_at: open.ranked_at,
            retry_after_ms: outcome.retry_after_ms,
            at: now,
        });
    }

    fn end_reservation(&self, open: &Open, charge: &Charge, spend: i64, cost: i64, now: Timestamp) {
        let mut ledger = self.ledger.lock();
        match charge {
            Charge::Settle(usage, _) => {
                let amounts = |spend| Amounts {
                    input_tokens: i64::try_from(usage.input_tokens()).unwrap_or(i64::MAX),
                    output_tokens: i64::try_from(usage.output_tokens()).unwrap_or(i64::MAX),
                    spend,
                };
                let settlement = ledger.settle(open.reservation, amounts(spend), amounts(cost), now);
                drop(ledger);
                for debt in settlement.into_iter().flat_map(|settlement| settlement.debts) {
                    let over = debt.settled.saturating_sub(debt.limit.max);
                    self.alert(Alert::Debt {
                        limit: format!(
                            "{} {} {}",
                            debt.kind.as_str(),
                            debt.limit.metric.as_str(),
                            debt.limit.window
                        ),
                        over,
                    });
                }
            }
            Charge::Release => {
                ledger.release(open.reservation, now);
            }
            Charge::Hold => {
                ledger.hold(open.reservation, now);
            }
        }
    }

    fn learn(&self, admission: &Admission, open: &Open, outcome: &Outcome, now: Timestamp) {
        let Some(channel) = admission.runtime.channels.get(open.candidate.channel as usize) else { return };
        let latency_us = outcome.first_byte_at.map(|at| {
            u64::try_from(at.since_ms(open.started_at).max(0)).unwrap_or(0).saturating_mul(1000).max(1)
        });
        let verdict =
            channel.health.end(outcome.class, latency_us, outcome.retry_after_ms, channel.tolerance, now);
        let Some((id, _)) =
            admission.runtime.snapshot.resolve(open.candidate).map(|(c, m)| (c.id.clone(), m))
        else {
            return;
        };
        match verdict {
            health::Verdict::Counted => {}
            health::Verdict::Benched(until) => self.alert(Alert::Cooldown { channel: id, until }),
            health::Verdict::Broken => {
                let why = match outcome.class {
                    OutcomeClass::NoBalance => "the upstream says that its account has no balance",
                    _ => "the upstream refuses the channel's credential",
                };
                self.alert(Alert::ChannelBroken { channel: id, why: why.to_owned() });
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
        let outcome = admission.last.map_or(OutcomeClass::Denied, |last| last.class);
        admission.into_record(outcome, error, now)
    }

    /// Ends a call whose attempt its host lost track of: nobody knows whether the upstream answered. What is reserved
    /// becomes held: it counts against its limits until it is reconciled or its window ends.
    pub fn abandon(&self, mut admission: Box<Admission>, now: Timestamp) -> UsageRecord {
        if let Some(open) = admission.open.take() {
            self.end_attempt(
                &mut admission,
                open,
                &Outcome::failed(OutcomeClass::Timeout, None),
                Some(Charge::Hold),
                now,
            );
        }
        let outcome = admission.last.map_or(OutcomeClass::Denied, |last| last.class);
        admission.into_record(outcome, Some("cancelled"), now)
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
        admission.into_record(OutcomeClass::Denied, Some(code), now)
    }
}

/// What the attempt is charged.
fn decide_charge(on_unknown: OnUnknown, admission: &Admission, open: &Open, outcome: &Outcome) -> Charge {
    let reported = outcome.reported.filter(|usage| !is_absurd(usage));
    match outcome.class {
        OutcomeClass::Ok => match reported {
            Some(usage) => Charge::Settle(usage, UsageSource::Reported),
            None => Charge::Settle(outcome.counted, UsageSource::Counted),
        },
        // A success that began: input plus what was really delivered.
        OutcomeClass::Broken | OutcomeClass::ClientGone | OutcomeClass::Timeout if began(outcome) => {
            match reported.filter(|usage| usage.output_tokens() >= outcome.counted.output_tokens()) {
                Some(usage) => Charge::Settle(usage, UsageSource::Reported),
                None => {
                    let input = reported.map_or(outcome.counted, |usage| Usage {
                        output_visible: outcome.counted.output_visible,
                        output_reasoning: 0,
                        audio_out: 0,
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
                    let input = admission
                        .call
                        .input_estimate
                        .min(u64::try_from(open.sizes.bound.input_tokens).unwrap_or(0));
                    Charge::Settle(Usage { input_uncached: input, ..Usage::default() }, UsageSource::Counted)
                }
            }
        }
        _ => Charge::Release,
    }
}

fn began(outcome: &Outcome) -> bool {
    outcome.status.is_some_and(|status| (200..300).contains(&status))
}

fn is_absurd(usage: &Usage) -> bool {
    usage.input_tokens() > ABSURD_TOKENS || usage.output_tokens() > ABSURD_TOKENS
}

impl Admission {
    fn into_record(
        self: Box<Self>,
        outcome: OutcomeClass,
        error: Option<&str>,
        now: Timestamp,
    ) -> UsageRecord {
        let total = |pick: fn(&Usage) -> u64| {
            self.records.iter().fold(0u64, |sum, attempt| sum.saturating_add(pick(&attempt.usage)))
        };
        let usage = Usage {
            input_uncached: total(|u| u.input_uncached),
            cache_read: total(|u| u.cache_read),
            cache_write: total(|u| u.cache_write),
            cache_write_1h: total(|u| u.cache_write_1h),
            audio_in: total(|u| u.audio_in),
            output_visible: total(|u| u.output_visible),
            output_reasoning: total(|u| u.output_reasoning),
            audio_out: total(|u| u.audio_out),
        };
        let spend = self.records.iter().fold(0i64, |sum, attempt| sum.saturating_add(attempt.spend));
        let caller = &self.caller.caller;
        let mut tags = self.call.tags.clone();
        tags.extend(caller.tags.iter().cloned());
        UsageRecord {
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
            spend,
            usage,
            replay: ReplayFacts {
                seed: self.seed,
                snapshot: self.runtime.snapshot.version,
                policy: self.runtime.policy_digest,
                health: self.health_digest,
                input_bound: self.call.input_bound,
                input_estimate: self.call.input_estimate,
                max_output: self.call.max_output,
                choices: self.call.choices,
                price_ratio_ppm: caller.price_ratio_ppm,
                explanation: self.explanation,
            },
            call: self.call.id,
            attempts: self.records,
        }
    }
}
