//! Writes usage records behind the calls: batched, in order, and never lost while the process lives.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use sluicegate_core::{Clock, Engine, UsageRecord};
use tokio::sync::{Notify, oneshot};

use crate::store::Store;

/// Records are written at the latest this long after their call.
const FLUSH_EVERY: Duration = Duration::from_millis(200);
/// So many are written in one transaction at most.
const BATCH: usize = 2_000;
/// After a failed write, the pause before the next; doubles up to `RETRY_MAX`.
const RETRY: Duration = Duration::from_millis(200);
const RETRY_MAX: Duration = Duration::from_secs(5);
/// From so many waiting records on the operator is warned: the database doesn't keep up, or is gone.
const WARN_AT: usize = 100_000;

/// The queue of records and the task that empties it.
#[derive(Clone)]
pub struct RecordWriter {
    shared: Arc<Shared>,
}

struct Shared {
    queue: Mutex<Queue>,
    wake: Notify,
}

#[derive(Default)]
struct Queue {
    // BOUND: memory. Nothing is thrown away: a lost record is a lost charge. Admission stops when the store is gone for
    // long, because keys can't be looked up.
    records: Vec<UsageRecord>,
    waiters: Vec<oneshot::Sender<()>>,
    warned: bool,
    closed: bool,
    done: bool,
}

impl RecordWriter {
    /// Starts the task, on the runtime that this is called on.
    pub fn start(store: Arc<dyn Store>, engine: Arc<Engine>, clock: Arc<dyn Clock>) -> Self {
        let shared = Arc::new(Shared { queue: Mutex::default(), wake: Notify::new() });
        tokio::spawn(run(Arc::clone(&shared), store, engine, clock));
        Self { shared }
    }

    /// Queues a record. Never waits.
    pub fn push(&self, record: UsageRecord) {
        let mut queue = self.shared.queue.lock();
        queue.records.push(record);
        if queue.records.len() >= WARN_AT && !std::mem::replace(&mut queue.warned, true) {
            tracing::warn!(
                waiting = queue.records.len(),
                "usage records are waiting for the database; check it"
            );
        }
    }

    /// How many records wait to be written.
    pub fn waiting(&self) -> usize {
        self.shared.queue.lock().records.len()
    }

    /// Waits until everything queued so far is written.
    pub async fn flush(&self) {
        let (written, wait) = oneshot::channel();
        {
            let mut queue = self.shared.queue.lock();
            if queue.done {
                return;
            }
            queue.waiters.push(written);
        }
        self.shared.wake.notify_one();
        // The task answers every waiter or has ended; either way nothing is left to wait for.
        let _ = wait.await;
    }

    /// Writes what is queued, then ends the task.
    pub async fn close(&self) {
        self.shared.queue.lock().closed = true;
        self.flush().await;
    }
}

async fn run(shared: Arc<Shared>, store: Arc<dyn Store>, engine: Arc<Engine>, clock: Arc<dyn Clock>) {
    loop {
        // Asleep until somebody asks for a flush or the interval is over.
        let _ = tokio::time::timeout(FLUSH_EVERY, shared.wake.notified()).await;
        let (records, waiters, closed) = {
            let mut queue = shared.queue.lock();
            (std::mem::take(&mut queue.records), std::mem::take(&mut queue.waiters), queue.closed)
        };
        write_all(&*store, &engine, &*clock, &records).await;
        let mut queue = shared.queue.lock();
        queue.warned = false;
        queue.done = closed && queue.records.is_empty();
        let done = queue.done;
        drop(queue);
        for waiter in waiters {
            // A waiter that left needs no answer.
            let _ = waiter.send(());
        }
        if done {
            return;
        }
    }
}

/// Writes the records and the balances as they stand after them. Tries until it succeeds.
async fn write_all(store: &dyn Store, engine: &Engine, clock: &dyn Clock, records: &[UsageRecord]) {
    let balances = engine.ledger().take_dirty(clock.now());
    if records.is_empty() && balances.is_empty() {
        return;
    }
    let mut pause = RETRY;
    let last = records.len().div_ceil(BATCH).max(1) - 1;
    for at in 0..=last {
        let batch = records.get(at * BATCH..records.len().min((at + 1) * BATCH)).unwrap_or(&[]);
        // Balances are absolute and already hold what the last record settled, so they go with the last batch.
        let with = if at == last { balances.as_slice() } else { &[] };
        while let Err(error) = store.append(batch, with, None).await {
            tracing::error!(%error, records = batch.len(), "usage records can't be written; trying again");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(RETRY_MAX);
        }
    }
}
