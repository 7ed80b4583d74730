//! A database that keeps what it confirmed, and sometimes what it didn't.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use sluicegate::core::journal::{CounterKey, JournalId};
use sluicegate::core::ledger::Balance;
use sluicegate::core::ports::{Checkpoint, RecordStore};
use sluicegate::core::{Error, ErrorKind, RecordEntry, Result, Timestamp, UsageRecord};

use crate::disk::{Operation, SimDisk};

#[derive(Default)]
pub struct Tables {
    pub records: BTreeMap<String, UsageRecord>,
    pub balances: BTreeMap<(CounterKey, Timestamp), Balance>,
    positions: BTreeMap<JournalId, u64>,
    /// It takes nothing at the moment.
    pub down: bool,
}

pub struct SimStore {
    disk: Arc<SimDisk>,
    pub tables: Mutex<Tables>,
}

impl SimStore {
    pub fn new(disk: Arc<SimDisk>) -> Self {
        Self { disk, tables: Mutex::default() }
    }
}

#[async_trait::async_trait]
impl RecordStore for SimStore {
    async fn append(
        &self,
        records: &[RecordEntry],
        balances: &[Balance],
        checkpoint: Option<Checkpoint>,
    ) -> Result<()> {
        let done = self.disk.operate(Operation::Database, |amid| {
            let mut tables = self.tables.lock().unwrap();
            if tables.down || amid() {
                // A transaction that isn't confirmed is no transaction.
                return Err(io::Error::other("the database is down"));
            }
            for record in records {
                tables.records.entry(record.call.to_string()).or_insert_with(|| record.record().unwrap());
            }
            for balance in balances {
                tables.balances.insert((balance.key(), balance.window_start), balance.clone());
            }
            if let Some(Checkpoint { journal, position }) = checkpoint {
                tables.positions.insert(journal, position);
            }
            Ok(())
        });
        done.map_err(|why| Error::new(ErrorKind::Store, why.to_string()))
    }

    async fn position(&self, journal: JournalId) -> Result<u64> {
        Ok(self.tables.lock().unwrap().positions.get(&journal).copied().unwrap_or_default())
    }

    async fn balances(&self) -> Result<Vec<Balance>> {
        Ok(self.tables.lock().unwrap().balances.values().cloned().collect())
    }
}
