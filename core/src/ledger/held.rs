//! Reservations whose outcome nobody knows.

use serde::{Deserialize, Serialize};

use super::cell::Change;
use super::reservation::{Entry, Phase};
use super::{Amounts, CellId, Ledger, ReservationId, Settlement, line};
use crate::decision::OutcomeClass;
use crate::ids::{CallId, ModelName};
use crate::journal::{Fate, OpenReservation, Tried, record_of};
use crate::limit::{Metric, Scope, Window};
use crate::record::UsageRecord;
use crate::time::Timestamp;

/// A held reservation: it counts against its limits until it is reconciled or its windows end, and it stays listed until
/// it is reconciled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The reservation.
    pub id: ReservationId,
    /// Since when it is held.
    pub since: Timestamp,
    /// The call that it was made for, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<CallId>,
    /// The attempt that it was made for, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<Tried>,
    /// How whoever made the attempt saw it end; none if they ended first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<OutcomeClass>,
    /// Whether the call's usage record is written.
    #[serde(default)]
    pub recorded: bool,
    /// What it holds.
    pub amounts: Vec<HeldAmount>,
}

impl Held {
    /// What it holds in all, at the caller's prices: what settles it without passing any limit. Metrics that no limit
    /// counts are as they were bounded.
    pub fn reserved(&self) -> Amounts {
        let most = |metric: Metric| {
            let of = |it: &&HeldAmount| !it.of_channel && it.metric == metric;
            self.amounts.iter().filter(of).map(|it| it.amount).max()
        };
        let bound = self.attempt.as_ref().map(|it| it.bound).unwrap_or_default();
        let input_tokens = most(Metric::InputTokens).unwrap_or(bound.input_tokens);
        let output_tokens = most(Metric::OutputTokens).unwrap_or(bound.output_tokens);
        let total = most(Metric::TotalTokens).unwrap_or(i64::MAX);
        let input_tokens = input_tokens.min(total);
        Amounts {
            input_tokens,
            output_tokens: output_tokens.min(total - input_tokens),
            spend: most(Metric::Spend).unwrap_or(bound.spend),
        }
    }
}

/// What a held reservation holds in one counter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldAmount {
    /// Whose counter.
    pub scope: Scope,
    /// Of what.
    pub metric: Metric,
    /// Over which time.
    pub window: Window,
    /// Of which model's calls; `None` of all.
    pub model: Option<ModelName>,
    /// The start of the window (of a rolling one: of the bucket) in which it was reserved.
    pub window_start: Timestamp,
    /// Whether the channel's amounts settle it, or the tenant's.
    pub of_channel: bool,
    /// How much.
    pub amount: i64,
}

impl Ledger {
    /// The outcome of this attempt is unknown: what it reserved is held, and its concurrency slots are free. `false` if
    /// it isn't open.
    pub fn hold(&mut self, id: ReservationId, now: Timestamp) -> bool {
        self.hold_as(id, None, now)
    }

    /// The same, when its host saw how the attempt ended, and goes on to write the call's usage record.
    pub fn hold_as(&mut self, id: ReservationId, class: Option<OutcomeClass>, now: Timestamp) -> bool {
        let Self { zone, cells, reservations, changes, freed, .. } = self;
        let Some(reservation) = reservations.get_mut(id).filter(|it| it.phase == Phase::Open) else {
            return false;
        };
        reservation.phase = Phase::Held;
        reservation.since = now;
        reservation.class = class;
        for entry in &reservation.entries {
            let Some(cell) = cells.get_mut(entry.cell as usize) else { continue };
            cell.roll(now, zone);
            let held = if entry.is_slot { 0 } else { entry.amount };
            cell.change(entry.start, Change { reserved: -entry.amount, held, ..Change::default() });
            if entry.is_slot {
                line::note(cell, CellId(entry.cell), freed);
                cell.unclaim(entry.start);
            }
            changes.note(cell, CellId(entry.cell));
        }
        reservation.entries.retain(|entry| !entry.is_slot);
        if let Some(log) = &mut changes.log {
            log.held(id.0, now, class);
            if let Some(call) = reservation.call.clone() {
                reservations.wait_for_record(call, id);
            }
        } else {
            // Without a journal nobody says when it is written.
            reservation.recorded = true;
        }
        true
    }

    /// The outcome of a held reservation became known. `None` if it isn't held.
    pub fn reconcile(
        &mut self,
        id: ReservationId,
        tenant: Amounts,
        channel: Amounts,
        now: Timestamp,
    ) -> Option<Settlement> {
        self.reservations.get_mut(id).filter(|it| it.phase == Phase::Held)?;
        self.settle(id, tenant, channel, now)
    }

    /// How many reservations are open, and how many are held.
    pub fn counts(&self) -> (usize, usize) {
        (self.reservations.iter(Phase::Open).count(), self.reservations.iter(Phase::Held).count())
    }

    /// How many counters there are.
    pub fn counters(&self) -> usize {
        self.index.len()
    }

    /// The usage record of a call that its host has dropped, as far as its attempts are over: they end as they are.
    /// `None` when the call has its record, or isn't known.
    pub fn record_of_dropped(&self, call: &CallId) -> Option<UsageRecord> {
        let attempts = self.reservations.unrecorded(call).filter_map(|it| {
            let fate = it.ending.map_or(Fate::Held(it.since, it.class), Fate::Ended);
            Some((Tried::read(&it.attempt)?, fate))
        });
        record_of(call.clone(), None, attempts.collect())
    }

    /// The held reservations.
    pub fn held(&self) -> impl Iterator<Item = Held> + '_ {
        self.reservations.iter(Phase::Held).map(|(id, reservation)| Held {
            id,
            since: reservation.since,
            call: reservation.call.clone(),
            attempt: Tried::read(&reservation.attempt),
            class: reservation.class,
            recorded: reservation.recorded,
            amounts: reservation
                .entries
                .iter()
                .filter_map(|entry| {
                    let key = &self.cells.get(entry.cell as usize)?.key;
                    Some(HeldAmount {
                        scope: key.scope.clone(),
                        metric: key.metric,
                        window: key.window,
                        model: key.model.clone(),
                        window_start: Timestamp::from_ms(entry.start),
                        of_channel: entry.of_channel,
                        amount: entry.amount,
                    })
                })
                .collect(),
        })
    }

    /// Lists a reservation again that was held (or open, and so has no known outcome) when the host stopped, under a new
    /// id. What it held in windows that have passed doesn't count. Balances seeded beside it must not have it in their
    /// `held` too.
    pub fn restore_held(&mut self, held: &Held) -> ReservationId {
        let mut restored = Vec::with_capacity(held.amounts.len());
        for amount in &held.amounts {
            // Requests were settled and slots freed.
            if matches!(amount.metric, Metric::Requests | Metric::Concurrency) {
                continue;
            }
            let cell = self.cell(&amount.scope, amount.metric, amount.window, amount.model.as_ref());
            let start = amount.window_start.as_ms();
            let kept = self.restore(cell, start, Change { held: amount.amount.max(0), ..Change::default() });
            if let Some(cell) = self.cell_mut(cell) {
                match kept {
                    Some(_) => cell.claim(),
                    None => cell.is_kept = true,
                }
            }
            // INVARIANT: an entry's amount is what its window counts, so that ending it frees no other's.
            let (start, counted) = kept.unwrap_or((start, amount.amount.max(0)));
            restored.push(Entry {
                cell: cell.0,
                of_channel: amount.of_channel,
                is_slot: false,
                start,
                amount: counted,
            });
        }
        let (id, made) = self.reservations.make(Phase::Held, held.since, held.call.clone());
        made.entries.extend(restored);
        (made.class, made.recorded) = (held.class, held.recorded);
        if let Some(attempt) = &held.attempt {
            attempt.facts().put(attempt.started_at, &mut made.attempt);
        }
        if let Some(call) = held.call.clone().filter(|_| !held.recorded) {
            self.reservations.wait_for_record(call, id);
        }
        id
    }

    /// What a journal says of a reservation whose outcome nobody knows, as [`Self::restore_held`] takes it: once the
    /// records are written that the journal says.
    pub fn held_of(open: &OpenReservation) -> Held {
        let amounts = open.holds.iter().map(|(key, start, amount, of_channel)| HeldAmount {
            scope: key.scope.clone(),
            metric: key.metric,
            window: key.window,
            model: key.model.clone(),
            window_start: *start,
            of_channel: *of_channel,
            amount: *amount,
        });
        Held {
            id: ReservationId(0),
            since: open.at,
            call: Some(CallId::from(open.call.as_str())).filter(|call| !call.as_str().is_empty()),
            attempt: open.attempt.clone(),
            class: open.class,
            recorded: true,
            amounts: amounts.collect(),
        }
    }

    /// What listed reservations hold in one counter: when the window began, and how much.
    pub(super) fn held_in(&self, cell: CellId) -> Vec<(i64, i64)> {
        self.reservations
            .iter(Phase::Held)
            .flat_map(|(_, reservation)| &reservation.entries)
            .filter(|entry| entry.cell == cell.0)
            .map(|entry| (entry.start, entry.amount))
            .collect()
    }
}
