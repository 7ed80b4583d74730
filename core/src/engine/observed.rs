//! What a decision saw of the world when it was made, read from its record: for replays. How channels were doing and what the
//! ledger answered can't be derived again from times in milliseconds; everything else the engine decides anew.

use std::collections::HashSet;
use std::sync::Arc;

use parking_lot::Mutex;

use super::admission::Admission;
use super::ceiling::Ceiling;
use super::standing::Told;
use crate::decision::{CeilingReason, Exclusion, Explanation, Reason};
use crate::health::HealthView;
use crate::ids::{ChannelId, ModelName};
use crate::ledger::CellId;
use crate::ports::Hook;
use crate::record::UsageRecord;
use crate::snapshot::Strategy;
use crate::time::Timestamp;

/// Counters on which a replay has used other amounts than the record says: there the recorded answers hold no longer.
// BOUND: counters of the ledger.
pub(super) type Moved = Arc<Mutex<HashSet<CellId>>>;

/// One record, as far as it answers what the engine asks of the world.
pub(super) struct Observed {
    pub(super) record: Arc<UsageRecord>,
    pub(super) moved: Moved,
    /// What is said of the model that is being tried, as a range of the reasons; `None` when it wasn't tried.
    about: Option<(usize, usize)>,
    /// Where the next model is looked for.
    from: usize,
    /// Reasons that have had their effect, a bit for each.
    used: [u64; Explanation::MAX.div_ceil(64)],
    /// The recorded attempt that was granted last, by its place in the record.
    granted: Option<usize>,
    /// Its ceiling, where a limit had lowered it.
    clamped: Option<u64>,
}

/// What the ledger answered.
pub(super) enum Said {
    Granted,
    /// By this limit, of the channel's own or not.
    Refused(Reason, bool),
}

impl Observed {
    pub(super) fn new(record: Arc<UsageRecord>, moved: Moved) -> Self {
        let used = Default::default();
        Self { record, moved, about: None, from: 0, used, granted: None, clamped: None }
    }

    fn reasons(&self) -> &[Reason] {
        self.record.replay.explanation.reasons()
    }

    /// This model is considered from here on.
    pub(super) fn enter(&mut self, model: &ModelName) {
        let reasons = self.reasons();
        let is = |reason: &Reason| matches!(reason, Reason::Model { model: it, .. } if it == model);
        let ahead = reasons.iter().skip(self.from).position(is).map(|at| at + self.from);
        // A policy may try models in another order.
        let found = ahead.or_else(|| reasons.iter().position(is));
        self.about = found.map(|at| {
            let len =
                reasons.iter().skip(at + 1).take_while(|it| !matches!(it, Reason::Model { .. })).count();
            (at + 1, at + 1 + len)
        });
        if let Some(at) = found {
            self.from = at + 1;
        }
    }

    /// What is said of the model, each reason with its place.
    fn about(&self) -> impl Iterator<Item = (usize, &Reason)> {
        let (start, end) = self.about.unwrap_or_default();
        self.reasons().iter().enumerate().take(end).skip(start)
    }

    fn is_ranked(&self, id: &ChannelId) -> bool {
        self.about().any(|(_, it)| matches!(it, Reason::Ranked { channel, .. } if channel == id))
    }

    /// Whether the channel could be asked when the model was considered, and if not, why; `None` when the record doesn't tell.
    pub(super) fn availability(&self, id: &ChannelId) -> Option<Result<(), Exclusion>> {
        if self.is_ranked(id) {
            return Some(Ok(()));
        }
        self.about().find_map(|(_, it)| match it {
            Reason::Excluded { channel, why: why @ (Exclusion::Cooldown | Exclusion::Broken) }
                if channel == id =>
            {
                Some(Err(*why))
            }
            Reason::Excluded { channel, why: Exclusion::Tags } if channel == id => Some(Ok(())),
            _ => None,
        })
    }

    /// How the channel was doing as scripts saw it.
    pub(super) fn seen(&self, id: &ChannelId) -> Option<(u64, u32, u32)> {
        self.about().find_map(|(_, it)| match it {
            Reason::Seen { channel, latency_us, in_flight, failures } if channel == id => {
                Some((*latency_us, *in_flight, *failures))
            }
            _ => None,
        })
    }

    /// What the channel was ranked by, if that was by this strategy.
    pub(super) fn score(&self, id: &ChannelId, strategy: Strategy) -> Option<u64> {
        self.about().find_map(|(_, it)| match it {
            Reason::Ranked { channel, by, score, .. } if channel == id && *by == strategy => Some(*score),
            _ => None,
        })
    }

    /// Whether the channel had more than its share of the calls under way; `None` where affinity hadn't ranked it.
    pub(super) fn was_full(&self, id: &ChannelId) -> Option<bool> {
        self.about().find_map(|(_, it)| match it {
            Reason::Ranked { channel, by: Strategy::Affinity, full, .. } if channel == id => Some(*full),
            _ => None,
        })
    }

    /// What became of the channel next, after it was ranked: out, or asked.
    fn next(&self, id: &ChannelId) -> Option<(usize, &Reason)> {
        if !self.is_ranked(id) {
            return None;
        }
        self.about().find(|(at, it)| {
            let of_channel = match it {
                Reason::Excluded { channel, why } => channel == id && *why != Exclusion::Policy,
                Reason::Attempt { channel, .. } => channel == id,
                _ => false,
            };
            of_channel && !self.is_used(*at)
        })
    }

    /// What scripts were told of limits the next time that this hook was asked.
    pub(super) fn take_standing(&mut self, of: Hook) -> Option<Told> {
        let is = |(at, it): &(usize, &Reason)| {
            matches!(it, Reason::Standing { hook, .. } if *hook == of) && !self.is_used(*at)
        };
        let (at, said) = self.reasons().iter().enumerate().find(is)?;
        let Reason::Standing { caller, candidates, .. } = said else { return None };
        let told = Told { caller: caller.clone(), candidates: candidates.clone() };
        self.mark(at);
        Some(told)
    }

    fn is_used(&self, at: usize) -> bool {
        self.used.get(at / 64).is_none_or(|bits| bits >> (at % 64) & 1 == 1)
    }

    fn mark(&mut self, at: usize) {
        if let Some(bits) = self.used.get_mut(at / 64) {
            *bits |= 1 << (at % 64);
        }
    }

    /// Whether the channel could be asked when its turn came; `None` when the record doesn't tell.
    pub(super) fn still_available(&self, id: &ChannelId) -> Option<Result<(), Exclusion>> {
        match self.next(id) {
            Some((_, Reason::Excluded { why: why @ (Exclusion::Cooldown | Exclusion::Broken), .. })) => {
                Some(Err(*why))
            }
            Some(_) => Some(Ok(())),
            None => self.is_ranked(id).then_some(Ok(())),
        }
    }

    /// The channel is out: what the record says of that has had its effect.
    pub(super) fn is_out(&mut self, id: &ChannelId) {
        if let Some((at, Reason::Excluded { .. })) = self.next(id) {
            self.mark(at);
        }
    }

    /// What the ledger answered when it was asked for an attempt at the channel.
    fn answer(&mut self, id: &ChannelId) -> Option<Said> {
        let (at, reason) = self.next(id)?;
        match reason {
            Reason::Excluded { why, .. } => {
                let is_channel = match why {
                    Exclusion::ChannelLimit => true,
                    Exclusion::Unaffordable => false,
                    _ => return None,
                };
                let limit = self.reasons().get(at.checked_sub(1)?)?;
                matches!(limit, Reason::Limit { .. }).then(|| Said::Refused(limit.clone(), is_channel))
            }
            _ => {
                self.grant(at);
                Some(Said::Granted)
            }
        }
    }

    fn grant(&mut self, at: usize) {
        self.mark(at);
        let reasons = self.reasons();
        let before = reasons.iter().take(at);
        let number = before.clone().filter(|it| matches!(it, Reason::Attempt { .. })).count();
        // It is noted when the attempt begins, and the attempt when it ends: nothing is noted in between but what hooks said.
        let ceiling = before.rev().find_map(|it| match it {
            Reason::Ceiling { sent, why, .. } => Some((*why == CeilingReason::Clamped).then_some(*sent)),
            Reason::Attempt { .. } | Reason::Model { .. } => Some(None),
            _ => None,
        });
        let record = self.record.attempts.get(number);
        let is_same = |sent: &u64| record.and_then(|attempt| attempt.ceiling) == Some(*sent);
        (self.granted, self.clamped) = (Some(number), ceiling.flatten().filter(is_same));
    }

    /// The recorded attempt that was granted, by its place in the record. Of a channel that was asked for other reasons than
    /// the recorded ones, the next that was made there.
    pub(super) fn take_granted(&mut self, id: &ChannelId) -> (Option<usize>, bool) {
        if let Some(number) = self.granted.take() {
            self.clamped = None;
            return (Some(number), true);
        }
        if let Some((at, Reason::Attempt { .. })) = self.next(id) {
            self.grant(at);
            self.clamped = None;
        }
        (self.granted.take(), false)
    }
}

impl Admission {
    /// How the channel was doing when its model was considered, if the record that is replayed tells.
    pub(super) fn observed_health(
        &self,
        channel: &ChannelId,
        real: impl FnOnce() -> HealthView,
    ) -> Option<Result<HealthView, (Exclusion, Timestamp)>> {
        let observed = self.observed.as_deref()?;
        if let Err(why) = observed.availability(channel)? {
            return Some(Err((why, Timestamp::MAX)));
        }
        let mut view = real();
        if let Some((latency_us, in_flight, failures)) = observed.seen(channel) {
            (view.latency_us, view.in_flight, view.failures) = (latency_us, in_flight, failures);
        }
        Some(Ok(view))
    }

    /// What the ledger answered, if the record that is replayed tells and nothing has changed on the counters since.
    pub(super) fn observed_answer(&mut self, at: usize) -> Option<Said> {
        let observed = self.observed.as_deref_mut()?;
        let candidate = self.considered.ranked.get(at)?.candidate;
        let channel = self.runtime.channels.get(candidate.channel as usize)?;
        let moved = observed.moved.lock();
        if !moved.is_empty() {
            let mut limits = self.caller.limits.iter().chain(&self.named.limits).chain(&channel.limits);
            if limits.any(|bound| moved.contains(&bound.cell)) {
                return None;
            }
        }
        drop(moved);
        let id = &self.runtime.snapshot.channels().get(candidate.channel as usize)?.id;
        observed.answer(id)
    }

    /// The ceiling that a limit had lowered, of the attempt that is granted as it was recorded.
    pub(super) fn observed_ceiling(&self) -> Option<Ceiling> {
        let tokens = self.observed.as_deref()?.clamped?;
        Some(Ceiling { tokens, why: CeilingReason::Clamped })
    }
}
