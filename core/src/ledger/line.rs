//! Lines: calls that wait until open reservations on a counter end. Who waits, and for how long, is the host's to see to; the
//! ledger lets nobody overtake them, and tells when something was freed.

use smallvec::SmallVec;

use super::cell::Cell;
use super::{CellId, Ledger};

impl Ledger {
    /// One more call waits for this counter. As long as any does, asks that want something of it are refused unless it is
    /// their [turn](super::Ask::turn). Each needs its [`leave_line`](Self::leave_line).
    pub fn join_line(&mut self, cell: CellId) {
        if let Some(cell) = self.cell_mut(cell) {
            cell.awaited = cell.awaited.saturating_add(1);
        }
    }

    /// One call less waits for this counter.
    pub fn leave_line(&mut self, cell: CellId) {
        if let Some(cell) = self.cell_mut(cell) {
            cell.awaited = cell.awaited.saturating_sub(1);
        }
    }

    /// The counters with a line on which something was freed since this was last asked.
    pub fn take_freed(&mut self) -> SmallVec<[CellId; 4]> {
        std::mem::take(&mut self.freed)
    }
}

/// Notes that something was freed, if anybody waits for it.
#[inline]
pub(super) fn note(cell: &Cell, id: CellId, freed: &mut SmallVec<[CellId; 4]>) {
    // BOUND: counters with a line.
    if cell.awaited > 0 && !freed.contains(&id) {
        freed.push(id);
    }
}
