//! Writes usage records behind the calls: batched, in order, and never lost while the process lives and its database
//! comes back.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use sluicegate_core::ledger::Balance;
use sluicegate_core::ports::{Checkpoint, RecordStore};
use sluicegate_core::{Clock, Engine, Error, ErrorKind, RecordEntry, Result, Retry, UsageRecord};
use tokio::sync::{Notify, broadcast, oneshot};
use tokio::time::{Instant, timeout};

use crate::journal::{self, Journal};
use crate::metrics::Metrics;

/// Records are written at the latest this long after their call.
const FLUSH_EVERY: Duration = Duration::from_millis(200);
/// So many are written in one transaction at most.
pub(crate) const BATCH: usize = 2_000;
/// After a failed write, the pause before the next; doubles up to `RETRY_MAX`.
const RETRY: Duration = Duration::from_millis(200);
const RETRY_MAX: Duration = Duration::from_secs(5);
/// A write that takes longer has failed: the database no longer answers.
const WRITE_WITHIN: Duration = Duration::from_secs(60);
// BOUND: so many records wait for who follows them; who is slower misses the oldest, and learns how many.
const FOLLOWED: usize = 1_024;
// BOUND: each of them reads every record.
const FOLLOWERS_MAX: usize = 64;
/// Nobody waits longer for what they read to be complete.
const FLUSH_WITHIN: Duration = Duration::from_secs(10);
/// So long a closing gateway goes on trying to write what is left.
const CLOSE_WITHIN: Duration = Duration::from_secs(15);
/// From so many waiting records on the operator is warned: the database doesn't keep up, or is gone.
const WARN_AT: usize = 20_000;
/// With so many waiting, no further call is taken on.
const FULL_AT: usize = 100_000;

/// The queue of records and the task that empties it. Dropping it ends the task, once everything is written.
pub struct RecordWriter {
    shared: Arc<Shared>,
    engine: Arc<Engine>,
    journal: Option<Journal>,
    /// Who follows what is written down, as it comes.
    followers: broadcast::Sender<Arc<RecordEntry>>,
}

struct Shared {
    queue: Mutex<Queue>,
    wake: Notify,
    /// There is no room: read by each call, so it costs no lock.
    full: AtomicBool,
    /// The database has what the journal's events before this number did.
    stored: AtomicU64,
}

#[derive(Default)]
struct Queue {
    // BOUND: no call is taken on when `FULL_AT` wait, so that there are never more than that and the calls under way.
    // None is thrown away: a lost record is a lost charge.
    records: Vec<RecordEntry>,
    /// Taken out of `records` and not written yet.
    writing: usize,
    /// Who waits for the next turn.
    waiters: Vec<oneshot::Sender<bool>>,
    /// Who waits for the last one.
    closers: Vec<oneshot::Sender<bool>>,
    warned: bool,
    closed: bool,
    /// The task has ended; nothing is written any more.
    done: bool,
}

impl Queue {
    fn waiting(&self) -> usize {
        self.records.len() + self.writing
    }
}

impl RecordWriter {
    /// Starts the task, on the runtime that this is called on.
    pub(crate) fn start(
        store: Arc<dyn RecordStore>,
        engine: Arc<Engine>,
        clock: Arc<dyn Clock>,
        journal: Option<Journal>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            wake: Notify::new(),
            full: AtomicBool::new(false),
            stored: AtomicU64::new(0),
        });
        let ends = Ends { store, engine: Arc::clone(&engine), clock, journal: journal.clone(), metrics };
        tokio::spawn(run(Arc::clone(&shared), ends));
        Self { shared, engine, journal, followers: broadcast::Sender::new(FOLLOWED) }
    }

    /// Queues a record, and logs it with what its call settled. Before the caller sees the end of their answer,
    /// [`Self::settled`] has it written; what nobody waits for is written along with whatever comes next.
    pub fn push(&self, record: UsageRecord) {
        let entry = RecordEntry::from(record);
        if self.followers.receiver_count() > 0 {
            // Nobody is left who follows: that is no fault of the call's.
            let _ = self.followers.send(Arc::new(entry.clone()));
        }
        if self.journal.is_none() {
            return self.queue(entry);
        }
        // Logged and queued under one lock, which whoever gathers a batch takes first: what the journal's position
        // leaves behind is in the batch that goes with it.
        let mut ledger = self.engine.ledger();
        ledger.log_record(&entry.call, entry.json().as_bytes());
        self.queue(entry);
    }

    /// Writes to the journal what a call that is about to be sent has reserved, and waits for the disk where it must.
    /// In company, those who can go on now log what they have first, so that one write serves them all.
    ///
    /// # Errors
    /// `Store`: the call must not be sent.
    pub async fn commit(&self, in_company: bool) -> Result<()> {
        let Some(journal) = &self.journal else { return Ok(()) };
        write(journal, in_company).await
    }

    /// The journal, where there is one.
    pub fn journal(&self) -> Option<&Journal> {
        self.journal.as_ref()
    }

    /// Leaves little to read for the next start. Everything must be in the database.
    pub fn retire(&self) {
        if let Some(journal) = &self.journal
            && let Err(error) = journal.retire(self.shared.stored.load(Ordering::Acquire))
        {
            tracing::warn!(%error, "the next start has more of the journal to read");
        }
    }

    /// Writes what ended calls have settled, likewise, and waits until it is as safe as it must be before a caller learns
    /// of it.
    pub fn settled(&self, in_company: bool) -> impl Future<Output = ()> + Send + 'static {
        let journal = self.journal.clone();
        async move {
            // The call is over; that no other is admitted says the rest.
            if let Some(journal) = journal
                && let Err(error) = write(&journal, in_company).await
            {
                tracing::error!(%error, "a settled call waits for the journal, and may be held after the next start");
            }
        }
    }

    fn queue(&self, record: RecordEntry) {
        let mut queue = self.shared.queue.lock();
        if queue.done {
            tracing::error!(call = %record.call, "a call ended after its gateway was closed: its record is lost");
            return;
        }
        queue.records.push(record);
        let waiting = queue.waiting();
        if waiting >= WARN_AT && !std::mem::replace(&mut queue.warned, true) {
            tracing::warn!(waiting, "usage records are waiting for the database; check it");
        }
        if waiting >= FULL_AT {
            self.shared.full.store(true, Ordering::Relaxed);
        }
    }

    /// Whether another call may be taken on: what can't be written down isn't served.
    ///
    /// # Errors
    /// `Store` when too many records wait for the database, or the journal can't be written.
    pub fn check_room(&self) -> Result<()> {
        if let Some(journal) = &self.journal {
            journal.ready()?;
        }
        if !self.shared.full.load(Ordering::Relaxed) {
            return Ok(());
        }
        let message = "too many usage records wait for the database, and what can't be written down isn't served; try \
                       again in a moment";
        Err(Error::new(ErrorKind::Store, message).with_retry(Retry::AfterMs(5_000)))
    }

    /// Records from now on, as they come.
    ///
    /// # Errors
    /// `RateLimited` when as many as are let follow them already.
    pub fn follow(&self) -> Result<broadcast::Receiver<Arc<RecordEntry>>> {
        if self.followers.receiver_count() >= FOLLOWERS_MAX {
            let message =
                "as many follow the log of this node as it lets; ask again in a minute, or list the log";
            return Err(Error::new(ErrorKind::RateLimited, message).with_retry(Retry::AfterMs(60_000)));
        }
        Ok(self.followers.subscribe())
    }

    /// How many records wait to be written.
    pub fn waiting(&self) -> usize {
        self.shared.queue.lock().waiting()
    }

    /// Waits until everything queued so far is written. Makes a writer that pauses after a failure try at once.
    ///
    /// # Errors
    /// `Store` as soon as a write fails, and after 10 seconds at the latest. What is queued stays so.
    pub async fn flush(&self) -> Result<()> {
        self.written(FLUSH_WITHIN, |queue| &mut queue.waiters).await
    }

    /// Writes what is queued, then ends the task.
    ///
    /// # Errors
    /// `Store` when the database takes none of it for 15 seconds: what is left is lost.
    pub async fn close(&self) -> Result<()> {
        self.shared.queue.lock().closed = true;
        // The task gives up by itself: more patience is only for one that died with its runtime.
        self.written(CLOSE_WITHIN + FLUSH_WITHIN, |queue| &mut queue.closers).await
    }

    async fn written(
        &self,
        patience: Duration,
        among: fn(&mut Queue) -> &mut Vec<oneshot::Sender<bool>>,
    ) -> Result<()> {
        let (written, wait) = oneshot::channel();
        {
            let mut queue = self.shared.queue.lock();
            match (queue.done, queue.waiting()) {
                (true, 0) => return Ok(()),
                (true, _) => return Err(unwritten()),
                (false, _) => among(&mut queue).push(written),
            }
        }
        self.shared.wake.notify_one();
        match timeout(patience, wait).await {
            Ok(Ok(true)) => Ok(()),
            _ => Err(unwritten()),
        }
    }
}

impl Drop for RecordWriter {
    fn drop(&mut self) {
        self.shared.queue.lock().closed = true;
        self.shared.wake.notify_one();
    }
}

/// Brings what was logged to where it must be.
async fn write(journal: &Journal, in_company: bool) -> Result<()> {
    if in_company {
        tokio::task::yield_now().await;
    }
    let written = journal.commit()?;
    journal.durable(written).await
}

fn unwritten() -> Error {
    let message = "the database doesn't take usage records at the moment; check it, and try again";
    Error::new(ErrorKind::Store, message).with_retry(Retry::AfterMs(1_000))
}

/// What the task works between.
struct Ends {
    store: Arc<dyn RecordStore>,
    engine: Arc<Engine>,
    clock: Arc<dyn Clock>,
    journal: Option<Journal>,
    metrics: Arc<Metrics>,
}

impl Ends {
    /// Brings everything that was logged to where it must be before the database may go ahead of it.
    async fn secure(&self) -> bool {
        let Some(journal) = &self.journal else { return true };
        write(journal, false)
            .await
            .inspect_err(|error| tracing::error!(%error, "no call is admitted"))
            .is_ok()
    }

    /// The database has everything before this.
    fn checkpointed(&self, position: u64) {
        let Some(journal) = self.journal.clone() else { return };
        // Removing and making files waits for the disk.
        tokio::task::spawn_blocking(move || {
            if let Err(error) = journal.checkpointed(position) {
                tracing::warn!(%error, "the journal's old segments stay for now");
            }
        });
    }
}

async fn run(shared: Arc<Shared>, ends: Ends) {
    let mut work = Work::default();
    let mut pause: Option<Duration> = None;
    let mut closing: Option<Instant> = None;
    loop {
        // Asleep until somebody asks for a flush or the interval is over.
        let _ = timeout(pause.unwrap_or(FLUSH_EVERY), shared.wake.notified()).await;
        let (waiters, closed) = {
            let mut queue = shared.queue.lock();
            (std::mem::take(&mut queue.waiters), queue.closed)
        };
        let since = closed.then(|| *closing.get_or_insert_with(Instant::now));
        let within = if closed { CLOSE_WITHIN } else { WRITE_WITHIN };
        // First what an earlier turn left, then all that was queued before somebody began to wait. The journal may be what
        // failed in that turn, and still goes first.
        let mut ok =
            (work.is_done() || ends.secure().await) && work.write(&*ends.store, &shared, within).await;
        if ok {
            let position = work.take(&shared, &ends, closed);
            // The journal first: a database that knew more would count what the journal still calls open.
            ok = ends.secure().await && work.write(&*ends.store, &shared, within).await;
            if let Some(position) = position.filter(|_| ok) {
                shared.stored.store(position, Ordering::Release);
                ends.checkpointed(position);
            }
        }
        for waiter in waiters {
            // A waiter that left needs no answer.
            let _ = waiter.send(ok);
        }
        pause = (!ok).then(|| pause.map_or(RETRY, |last| (last * 2).min(RETRY_MAX)));
        let gives_up = !ok && since.is_some_and(|since| since.elapsed() >= CLOSE_WITHIN);
        if closed && shared.end(gives_up) {
            return;
        }
    }
}

impl Shared {
    /// Ends the writing if nothing is left, or if what is left can't be written. Whether it ended.
    fn end(&self, gives_up: bool) -> bool {
        let mut queue = self.queue.lock();
        let left = queue.waiting();
        if left > 0 && !gives_up {
            return false;
        }
        queue.done = true;
        if left > 0 {
            tracing::error!(
                records = left,
                "the database takes no usage records, and the gateway closes: without a journal they are lost"
            );
        }
        for closer in std::mem::take(&mut queue.closers).into_iter().chain(std::mem::take(&mut queue.waiters))
        {
            let _ = closer.send(left == 0);
        }
        true
    }

    /// So many records were written.
    fn wrote(&self, count: usize) {
        let mut queue = self.queue.lock();
        queue.writing = queue.writing.saturating_sub(count);
        let waiting = queue.waiting();
        queue.warned = queue.warned && waiting >= WARN_AT;
        if waiting < FULL_AT {
            self.full.store(false, Ordering::Relaxed);
        }
    }
}

/// What is being written.
#[derive(Default)]
struct Work {
    /// Those that aren't written yet. Each batch is let go of when it is written: many wait when the database is slow.
    records: std::vec::IntoIter<RecordEntry>,
    balances: Vec<Balance>,
    checkpoint: Option<Checkpoint>,
}

impl Work {
    /// Whether nothing of it is left to write.
    fn is_done(&self) -> bool {
        self.records.len() == 0 && self.balances.is_empty() && self.checkpoint.is_none()
    }

    /// Takes what is queued and the balances, and the position of the journal that both of them have reached. The earlier
    /// work must be done.
    fn take(&mut self, shared: &Shared, ends: &Ends, closed: bool) -> Option<u64> {
        let journal = ends.journal.as_ref().map(Journal::id);
        let batch = journal::gather(&ends.engine.shared_ledger(), journal, ends.clock.now(), closed, || {
            let mut queue = shared.queue.lock();
            queue.writing = queue.records.len();
            std::mem::take(&mut queue.records)
        });
        let snapshot = ends.engine.snapshot();
        batch.records.iter().for_each(|record| ends.metrics.count(record, &snapshot));
        (self.records, self.balances, self.checkpoint) =
            (batch.records.into_iter(), batch.balances, batch.checkpoint);
        self.checkpoint.map(|checkpoint| checkpoint.position)
    }

    /// Writes what there is; false when the database didn't take all of it.
    async fn write(&mut self, store: &dyn RecordStore, shared: &Shared, within: Duration) -> bool {
        // BOUND: each turn writes a batch, or is the last.
        while !self.is_done() {
            let left = self.records.as_slice();
            let batch = left.get(..BATCH).unwrap_or(left);
            // Balances are absolute and already hold what the last record settled, so they go with the last batch.
            let is_last = batch.len() == left.len();
            let (with, checkpoint) =
                if is_last { (self.balances.as_slice(), self.checkpoint) } else { (&[][..], None) };
            let failed = match timeout(within, store.append(batch, with, checkpoint)).await {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(error.to_string()),
                // It may have been written all the same: a record that comes again changes nothing.
                Err(_) => Some(format!("the database gives no answer within {} s", within.as_secs())),
            };
            if let Some(error) = failed {
                tracing::error!(%error, records = left.len(), "usage records can't be written; trying again");
                return false;
            }
            if is_last {
                (self.balances, self.checkpoint) = (Vec::new(), None);
            }
            let written = batch.len();
            self.records.by_ref().take(written).for_each(drop);
            shared.wrote(written);
        }
        self.records = Vec::new().into_iter();
        true
    }
}

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;
    use sluicegate_core::journal::JournalId;
    use sluicegate_core::snapshot::Declared;
    use sluicegate_core::{Call, Caller, Format, OrganizationId, Snapshot, Timestamp};

    use super::*;
    use crate::ManualClock;

    #[derive(Clone, Copy, PartialEq, Eq)]
    enum Mood {
        Well,
        Refuses,
        Hangs,
    }

    struct Base {
        mood: Mutex<Mood>,
        written: Mutex<Vec<String>>,
    }

    #[async_trait::async_trait]
    impl RecordStore for Base {
        async fn append(&self, records: &[RecordEntry], _: &[Balance], _: Option<Checkpoint>) -> Result<()> {
            let mood = *self.mood.lock();
            match mood {
                Mood::Well => self.written.lock().extend(records.iter().map(|it| it.call.to_string())),
                Mood::Refuses => return Err(Error::new(ErrorKind::Store, "the database is full")),
                Mood::Hangs => std::future::pending().await,
            }
            Ok(())
        }

        async fn position(&self, _: JournalId) -> Result<u64> {
            Ok(0)
        }

        async fn balances(&self) -> Result<Vec<Balance>> {
            Ok(Vec::new())
        }
    }

    struct World {
        base: Arc<Base>,
        writer: RecordWriter,
        record: UsageRecord,
    }

    /// A writer over a database in this mood, and a record.
    fn world(mood: Mood) -> World {
        let policies = Arc::new(sluicegate_policy::Policies::default());
        let engine = Arc::new(Engine::new(Snapshot::build(1, Declared::default()), policies));
        let now = Timestamp::from_ms(0);
        let caller = engine.bind(Caller::operator(OrganizationId::from("o"), &[]));
        let call = Call::new("c", Format::OpenaiChat, "nothing-serves-it");
        let denied = engine.admit(call.clone(), &caller, now, 1).err().unwrap();
        let record = engine.refuse(call, &caller, &denied, now, 1);
        let base = Arc::new(Base { mood: Mutex::new(mood), written: Mutex::default() });
        let writer = RecordWriter::start(
            base.clone(),
            engine,
            Arc::new(ManualClock::new(now)),
            None,
            Arc::new(Metrics::new(now)),
        );
        World { base, writer, record }
    }

    impl World {
        fn push(&self, id: &str) {
            self.writer.push(UsageRecord { call: id.into(), ..self.record.clone() });
        }

        fn written(&self) -> Vec<String> {
            self.base.written.lock().clone()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_flush_waits_for_is_written_in_order() {
        let w = world(Mood::Well);
        let ids: Vec<String> = (0..BATCH + 5).map(|n| format!("c{n}")).collect();
        ids.iter().for_each(|id| w.push(id));
        w.writer.flush().await.unwrap();
        assert_eq!((w.written(), w.writer.waiting()), (ids, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_flush_says_that_the_database_is_gone_and_nothing_is_lost_meanwhile() {
        for mood in [Mood::Refuses, Mood::Hangs] {
            let w = world(mood);
            w.push("a");
            let since = Instant::now();
            assert_eq!(w.writer.flush().await.unwrap_err().kind(), ErrorKind::Store);
            assert!(since.elapsed() <= FLUSH_WITHIN, "{:?}", since.elapsed());
            w.push("b");
            assert_eq!(w.writer.waiting(), 2);
            *w.base.mood.lock() = Mood::Well;
            tokio::time::sleep(WRITE_WITHIN + RETRY_MAX).await;
            assert_eq!((w.written(), w.writer.waiting()), (vec!["a".to_owned(), "b".to_owned()], 0));
            w.writer.close().await.unwrap();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn no_call_is_taken_on_while_too_many_records_wait() {
        let w = world(Mood::Refuses);
        (1..FULL_AT).for_each(|_| w.push("c"));
        // Those that are being written wait as well as those that are queued.
        w.writer.flush().await.unwrap_err();
        assert!(w.writer.check_room().is_ok());
        w.push("last");
        assert_eq!(w.writer.check_room().unwrap_err().kind(), ErrorKind::Store);
        *w.base.mood.lock() = Mood::Well;
        w.writer.flush().await.unwrap();
        assert!(w.writer.check_room().is_ok());
        assert_eq!(w.written().len(), FULL_AT);
    }

    #[tokio::test(start_paused = true)]
    async fn closing_writes_what_is_left_and_ends_in_time_when_it_cant() {
        let w = world(Mood::Well);
        w.push("a");
        w.writer.close().await.unwrap();
        assert_eq!(w.written(), ["a"]);
        w.push("late");
        assert_eq!(w.writer.waiting(), 0);
        w.writer.close().await.unwrap();

        for mood in [Mood::Refuses, Mood::Hangs] {
            let w = world(mood);
            w.push("a");
            let since = Instant::now();
            assert_eq!(w.writer.close().await.unwrap_err().kind(), ErrorKind::Store);
            assert!(since.elapsed() <= CLOSE_WITHIN + FLUSH_WITHIN, "{:?}", since.elapsed());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_writer_that_is_dropped_writes_what_it_has_and_ends() {
        let World { base, writer, record } = world(Mood::Well);
        writer.push(record);
        let shared = Arc::downgrade(&writer.shared);
        drop(writer);
        tokio::time::sleep(FLUSH_EVERY).await;
        assert_eq!(base.written.lock().len(), 1);
        assert!(shared.upgrade().is_none());
    }
}
