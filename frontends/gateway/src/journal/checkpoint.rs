//! What goes into the database together.

use parking_lot::Mutex;
use sluicegate_core::journal::JournalId;
use sluicegate_core::ledger::{Balance, Ledger};
use sluicegate_core::ports::Checkpoint;
use sluicegate_core::{RecordEntry, Timestamp};

/// Records, the balances that changed, and the position of the journal that both have reached.
#[derive(Debug, Default)]
pub struct Batch {
    /// The records, in order.
    pub records: Vec<RecordEntry>,
    /// Balances as absolute values.
    pub balances: Vec<Balance>,
    /// The position; none without a journal, or when there is nothing to write.
    pub checkpoint: Option<Checkpoint>,
}

/// Takes what is to be written. `records` empties the queue; whoever fills it does so before they log a record, so that
/// none is left behind by the position. `always` takes the position even when there is nothing else, for a gateway that
/// stops: what it has logged about itself is to be forgotten, too.
pub fn gather(
    ledger: &Mutex<Ledger>,
    journal: Option<JournalId>,
    now: Timestamp,
    always: bool,
    records: impl FnOnce() -> Vec<RecordEntry>,
) -> Batch {
    let (balances, position) = {
        let mut ledger = ledger.lock();
        (ledger.take_dirty(now), ledger.log_position())
    };
    let records = records();
    let is_empty = records.is_empty() && balances.is_empty();
    let checkpoint = journal.filter(|_| always || !is_empty).map(|journal| Checkpoint { journal, position });
    Batch { records, balances, checkpoint }
}
