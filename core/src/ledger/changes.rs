//! What changed: which counters are to be stored, and the log of it all.

use super::ask::{CellId, ReservationId};
use super::cell::Cell;
use super::reservation::{Entry, Phase};
use super::{Ledger, Reservations};
use crate::ids::CallId;
use crate::journal::{Effect, Hold, JournalId, Log};
use crate::time::Timestamp;

#[derive(Debug, Default)]
pub(super) struct Changes {
    /// Counters with balances to be stored.
    pub(super) unstored: Vec<CellId>,
    /// The log, once there is a journal.
    pub(super) log: Option<Log>,
}

impl Changes {
    /// Notes that a counter may have changed: lists it as to be stored, once, and tells the log.
    #[inline]
    pub(super) fn note(&mut self, cell: &mut Cell, id: CellId) {
        if cell.unstored && !cell.listed {
            cell.listed = true;
            self.unstored.push(id);
        }
        if !cell.effects.is_empty() || !cell.carries.is_empty() {
            self.tell_effects(cell, id);
        }
    }

    /// Tells the log what was settled in a counter since it was last told.
    pub(super) fn tell_effects(&mut self, cell: &mut Cell, id: CellId) {
        if let Some(log) = &mut self.log
            && !(cell.effects.is_empty() && cell.carries.is_empty())
        {
            log.name(id.0, &mut cell.named_in, || (*cell.key).clone());
            let effect = |(start, amount): &(i64, i64)| Effect { cell: id.0, start: *start, amount: *amount };
            cell.effects.iter().for_each(|it| log.effect(effect(it)));
            if !cell.carries.is_empty() {
                log.carry(cell.carries.iter().map(effect).collect());
            }
        }
        cell.effects.clear();
        cell.carries.clear();
    }

    /// Tells the log what the reservation that is being made has in a counter. Slots end with the process.
    #[inline]
    pub(super) fn hold(&mut self, cell: &mut Cell, entry: &Entry) {
        let Some(log) = self.log.as_mut().filter(|_| !entry.is_slot) else { return };
        log.name(entry.cell, &mut cell.named_in, || (*cell.key).clone());
        let Entry { cell, start, amount, of_channel, .. } = *entry;
        log.hold(Hold { cell, start, amount, of_channel });
    }
}

impl Ledger {
    /// From here on every change is logged, for a host that writes it to a journal; see [`journal`](crate::journal).
    /// Begins with the head of a segment. `next` is the number of its first event.
    pub fn start_log(&mut self, journal: JournalId, next: u64, now: Timestamp) {
        self.changes.log = Some(Log::new(journal, next));
        self.begin_segment(now);
    }

    /// Begins a new segment of the log with its head: everything that is open or held. Take what was logged before first;
    /// what is taken next begins the new file.
    pub fn begin_segment(&mut self, now: Timestamp) {
        let Self { cells, reservations, changes, .. } = self;
        if let Some(log) = &mut changes.log {
            log.begin(now);
        }
        for (phase, held) in [(Phase::Open, false), (Phase::Held, true)] {
            head(cells, reservations, changes, (phase, held));
        }
        ended(reservations, changes);
        if let Some(log) = &mut changes.log {
            log.ready();
        }
    }

    /// Logs the usage record of a call, or of an amendment, as JSON. Nothing without a log.
    pub fn log_record(&mut self, call: &CallId, json: &[u8]) {
        if let Some(log) = &mut self.changes.log {
            log.record(call.as_str(), json);
        }
        self.reservations.recorded(call);
    }

    /// Appends to `out` what was logged since it was last taken, and says the number of the next event: everything
    /// before it has now been taken. `durable` is the number before which all is known to have reached the disk.
    pub fn take_log(&mut self, out: &mut Vec<u8>, durable: u64) -> u64 {
        self.changes.log.as_mut().map_or(0, |log| log.take(out, durable))
    }

    /// The number of the next event: what is in the balances now is what the events before it did. 0 without a log.
    pub fn log_position(&mut self) -> u64 {
        self.changes.log.as_mut().map_or(0, |log| {
            log.adjust();
            log.next()
        })
    }

    /// Bytes that were logged and not yet taken.
    pub fn log_waiting(&self) -> usize {
        self.changes.log.as_ref().map_or(0, Log::waiting)
    }
}

/// Writes the reservations of one phase into a head.
fn head(
    cells: &mut [Cell],
    reservations: &Reservations,
    changes: &mut Changes,
    (phase, held): (Phase, bool),
) {
    for (ReservationId(id), reservation) in reservations.iter(phase) {
        for entry in &reservation.entries {
            if let Some(cell) = cells.get_mut(entry.cell as usize) {
                changes.hold(cell, entry);
            }
        }
        if let Some(log) = &mut changes.log {
            let call = reservation.call.as_ref().map_or("", |call| call.as_str());
            let what = (call, reservation.attempt.as_slice());
            log.open((id, reservation.since), held, what, reservation.class, reservation.recorded);
        }
    }
}

/// Writes the attempts whose calls have no record yet into a head.
fn ended(reservations: &Reservations, changes: &mut Changes) {
    let Some(log) = &mut changes.log else { return };
    for (_, reservation) in reservations.iter(Phase::Ended) {
        if let (Some(call), Some(ending)) = (&reservation.call, reservation.ending) {
            log.ended(call.as_str(), &reservation.attempt, ending, reservation.recorded);
        }
    }
}
