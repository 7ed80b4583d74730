//! Balances: what is stored and restored, and an operator's reset.

use super::cell::{Cell, Change, Tally};
use super::{Balance, CellId, Ledger, line};
use crate::limit::Metric;
use crate::time::Timestamp;

impl Ledger {
    /// Adds a stored balance, at start; of a rolling window one for each bucket. Those of one counter come oldest first:
    /// one whose window is before another's is ignored. One of a window that hasn't begun yet opens that window: the
    /// clock has gone back since.
    pub fn seed(&mut self, balance: &Balance) {
        if balance.metric == Metric::Concurrency {
            return;
        }
        let cell = self.cell(&balance.scope, balance.metric, balance.window, balance.model.as_ref());
        let change = Change {
            settled: balance.settled.max(0),
            held: balance.held.max(0),
            reserved: 0,
            carried: balance.carried,
        };
        self.restore(cell, balance.window_start.as_ms(), change);
    }

    /// Counts what was used before its counter was there, as usage records say: it is stored and logged like what is
    /// settled now. What belongs into a window that has passed is ignored.
    pub fn plant(&mut self, balance: &Balance, now: Timestamp) {
        if balance.metric == Metric::Concurrency {
            return;
        }
        let id = self.cell(&balance.scope, balance.metric, balance.window, balance.model.as_ref());
        let Self { zone, cells, changes, .. } = self;
        let Some(cell) = cells.get_mut(id.0 as usize) else { return };
        cell.roll(now, zone);
        cell.change(balance.window_start.as_ms(), Change::settle(balance.settled.max(0)));
        changes.note(cell, id);
    }

    /// Adds to the window that began at `start` without listing it as to be stored. Returns where and what was added;
    /// `None` if the window has passed.
    pub(super) fn restore(&mut self, cell: CellId, start: i64, change: Change) -> Option<(i64, i64)> {
        let Self { zone, cells, .. } = self;
        let cell = cells.get_mut(cell.0 as usize)?;
        // Not to the present: what a window has over a corrected limit is carried once that limit is bound.
        cell.roll_restored(Timestamp::from_ms(start), zone);
        cell.restore(start, change).map(|(start, done)| (start, done.held))
    }

    /// An operator sets a counter back: nothing is settled in its open window any more. What is reserved by attempts
    /// under way and what is listed as held still counts. A window that was opened by a clock that has since gone back
    /// is given up for the present one, once nothing is open in it.
    pub fn reset(&mut self, cell: CellId, now: Timestamp) {
        self.clear(cell, now, |cell, held| cell.reset(held));
    }

    /// An operator sets a counter back to `to`. What is left counts as used now: of a rolling window, in the bucket under way.
    /// Returns what had been settled; `None` when it wasn't more, and nothing has changed.
    pub fn set_back(&mut self, cell: CellId, to: i64, now: Timestamp) -> Option<i64> {
        let it = self.cells.get_mut(cell.0 as usize)?;
        it.roll(now, &self.zone);
        let before = it.open.settled;
        if before <= to.max(0) {
            return None;
        }
        self.reset(cell, now);
        let Self { cells, changes, .. } = self;
        if let Some(it) = cells.get_mut(cell.0 as usize) {
            it.add(Change::carry(to.max(0)));
            changes.note(it, cell);
        }
        Some(before)
    }

    /// Empties a counter that is then counted anew from usage records, with [`Self::plant`]. Like [`Self::reset`], but
    /// nobody gave anything up.
    pub fn restate(&mut self, cell: CellId, now: Timestamp) {
        self.clear(cell, now, |cell, held| cell.restate(held));
    }

    fn clear(&mut self, cell: CellId, now: Timestamp, empty: impl Fn(&mut Cell, &dyn Fn(i64) -> i64)) {
        let Some(start) = self.cells.get(cell.0 as usize).map(|it| it.span.start) else { return };
        let listed: Vec<(i64, i64)> = self.held_in(cell);
        let Self { zone, cells, changes, freed, .. } = self;
        let Some(it) = cells.get_mut(cell.0 as usize) else { return };
        empty(it, &|bucket| {
            listed
                .iter()
                .filter(|(start, _)| *start == bucket)
                .fold(0, |sum, (_, held)| sum.saturating_add(*held))
        });
        if now.as_ms() < start && !it.open.is_open() && it.past.is_empty() {
            it.reopen(now, zone);
        }
        it.roll(now, zone);
        line::note(it, cell, freed);
        changes.note(it, cell);
    }

    /// Every counter's balance in its open window (of a rolling one: in each bucket), where it isn't zero.
    pub fn balances(&mut self, now: Timestamp) -> Vec<Balance> {
        let Self { zone, cells, changes, .. } = self;
        let mut balances = Vec::new();
        for (id, cell) in (0..).map(CellId).zip(cells) {
            cell.roll(now, zone);
            changes.note(cell, id);
            collect(cell, Which::NonZero, &mut balances);
        }
        balances
    }

    /// The balances that have changed since they were last taken, as absolute values: those of windows that have just
    /// ended too, and zeros. For a store that writes behind.
    pub fn take_dirty(&mut self, now: Timestamp) -> Vec<Balance> {
        let Self { zone, cells, changes, .. } = self;
        let mut balances = Vec::new();
        let mut unstored = std::mem::take(&mut changes.unstored);
        unstored.retain(|id| {
            let Some(cell) = cells.get_mut(id.0 as usize) else { return false };
            cell.roll(now, zone);
            changes.tell_effects(cell, *id);
            collect(cell, Which::Dirty, &mut balances);
            cell.stored()
        });
        changes.unstored = unstored;
        balances
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Which {
    NonZero,
    Dirty,
}

fn collect(cell: &Cell, which: Which, balances: &mut Vec<Balance>) {
    // Slots are reserved, never settled: there is nothing to store.
    if cell.metric == Metric::Concurrency {
        return;
    }
    let mut push = |start: i64, tally: Tally, dirty: bool| {
        let wanted = match which {
            Which::NonZero => tally.settled != 0 || tally.held != 0 || tally.carried != 0,
            Which::Dirty => dirty,
        };
        if wanted {
            balances.push(Balance {
                scope: cell.key.scope.clone(),
                metric: cell.key.metric,
                window: cell.key.window,
                model: cell.key.model.clone(),
                window_start: Timestamp::from_ms(start),
                settled: tally.settled,
                held: tally.held,
                carried: tally.carried,
            });
        }
    };
    if which == Which::Dirty {
        cell.past.iter().for_each(|past| push(past.span.start, past.tally, past.dirty));
    }
    match &cell.ring {
        Some(ring) => {
            ring.live_buckets(cell.span.ordinal).for_each(|(start, tally, dirty)| push(start, tally, dirty))
        }
        None => push(cell.span.start, cell.open, cell.dirty),
    }
}
