//! Counters that can be forgotten: those of end customers and tags, whose names anybody can make up.

use super::{CellId, Ledger};
use crate::limit::{Scope, ScopeKind};
use crate::time::Timestamp;

impl Ledger {
    /// The counters of end customers and tags, those that were restored at the start among them.
    pub(crate) fn named_cells(&self) -> impl Iterator<Item = (CellId, &Scope)> {
        let named = |kind| matches!(kind, ScopeKind::Customer | ScopeKind::Tag);
        (0..)
            .map(CellId)
            .zip(&self.cells)
            .filter(move |(id, cell)| named(cell.key.scope.kind) && self.index.get(&*cell.key) == Some(id))
            .map(|(id, cell)| (id, &cell.key.scope))
    }

    /// Whether a counter is idle: its windows have ended, or nothing was ever counted in them, and everything about it is
    /// stored.
    pub(crate) fn is_idle(&mut self, cell: CellId, now: Timestamp) -> bool {
        let Self { zone, cells, changes, .. } = self;
        let Some(it) = cells.get_mut(cell.0 as usize) else { return false };
        it.roll(now, zone);
        changes.note(it, cell);
        it.is_idle()
    }

    /// Forgets an idle counter; `false` and nothing when it isn't idle. Its id may mean another one from now on: nobody
    /// may still have it.
    pub(crate) fn forget(&mut self, cell: CellId, now: Timestamp) -> bool {
        if !self.is_idle(cell, now) {
            return false;
        }
        let Some(it) = self.cells.get(cell.0 as usize) else { return false };
        // A place that is free already has no name.
        if self.index.get(&*it.key) != Some(&cell) {
            return false;
        }
        self.index.remove(&*it.key);
        self.free.push(cell.0);
        true
    }
}
