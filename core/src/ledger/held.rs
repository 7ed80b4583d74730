//! Reservations whose outcome nobody knows.

use serde::{Deserialize, Serialize};

use super::cell::Change;
use super::reservation::{Entry, Phase};
use super::{Amounts, CellId, Ledger, ReservationId, Settlement, line};
use crate::ids::{CallId, ModelName};
use crate::journal::OpenReservation;
use crate::limit::{Metric, Scope, Window};
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
    /// What it holds.
    pub amounts: Vec<HeldAmount>,
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
        let Self { zone, cells, reservations, changes, freed, .. } = self;
        let Some(reservation) = reservations.get_mut(id).filter(|it| it.phase == Phase::Open) else {
            return false;
        };
        reservation.phase = Phase::Held;
        reservation.since = now;
        for entry in &reservation.entries {
            let Some(cell) = cells.get_mut(entry.cell as usize) else { continue };
            cell.roll(now, zone);
            let held = if entry.is_slot { 0 } else { entry.amount };
            cell.change(entry.start, Change { settled: 0, reserved: -entry.amount, held });
            if entry.is_slot {
                line::note(cell, CellId(entry.cell), freed);
            }
            changes.note(cell, CellId(entry.cell));
        }
        reservation.entries.retain(|entry| !entry.is_slot);
        if let Some(log) = &mut changes.log {
            log.held(id.0, now);
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

    /// The held reservations.
    pub fn held(&self) -> impl Iterator<Item = Held> + '_ {
        self.reservations.iter(Phase::Held).map(|(id, reservation)| Held {
            id,
            since: reservation.since,
            call: reservation.call.clone(),
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
        let (id, entries) = self.reservations.make(Phase::Held, held.since, held.call.clone());
        entries.extend(restored);
        id
    }

    /// What a journal says of a reservation whose outcome nobody knows, as [`Self::restore_held`] takes it.
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
