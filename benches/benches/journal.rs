//! What the journal costs, on a real file, beside its targets. Percentiles and throughput, so it measures by itself.
//!
//! `cargo bench -p sluicegate-benches --bench journal`; files go below the target directory.
#![allow(clippy::expect_used, reason = "a bench that can't run fails by panicking")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use sluicegate::journal::{self, Disk, Durability, Journal, JournalOptions, Opening, OsDisk};
use sluicegate::{Clock, SystemClock};
use sluicegate_benches::{ENDING, NOW, World, ask, call, usage};
use sluicegate_core::engine::BoundCaller;
use sluicegate_core::ids::CallId;
use sluicegate_core::journal::JournalId;
use sluicegate_core::ledger::{Balance, Ledger, ReservationId, Reserve};
use sluicegate_core::ports::{Checkpoint, RecordStore};
use sluicegate_core::{Next, Outcome, RecordEntry, Result, UsageRecord};

/// What the gateway allocates with.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Calls that are timed one by one.
const CALLS: usize = 200_000;
/// Syncs that the disk is judged by.
const SYNCS: usize = 300;
const IN_FLIGHT: usize = 256;
const EVENTS: u64 = 1_000_000;
/// A gateway writes its checkpoints as often.
const CHECKPOINT_EVERY: Duration = Duration::from_millis(200);

fn main() {
    // Cargo passes `--bench`; a name that isn't ours means another bench.
    let mut names = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).peekable();
    if names.peek().is_some() && !names.any(|name| "journal".contains(&name)) {
        return;
    }
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder for the journals");
    println!("{:<58} {:>12}  {:>12}", "journal", "measured", "target");
    process(folder.path());
    power(folder.path());
    recovery(folder.path());
}

/// One figure beside its target, which it must not pass.
fn most(what: &str, measured: f64, target: f64, unit: &str) {
    let verdict = if measured <= target { "met" } else { "MISSED" };
    println!("{what:<58} {measured:>9.2} {unit:<3} {:>9} {unit:<3} {verdict}", format!("<= {target}"));
}

fn figure(what: &str, measured: f64, unit: &str) {
    println!("{what:<58} {measured:>9.2} {unit}");
}

/// The value below which so much of all lies, in microseconds.
fn quantile(sorted: &[Duration], part: f64) -> f64 {
    let at = (sorted.len() as f64 * part) as usize;
    sorted.get(at.min(sorted.len().saturating_sub(1))).map_or(0.0, |it| it.as_secs_f64() * 1e6)
}

/// A gateway's ledger with a journal in a folder of its own.
struct Node {
    world: World,
    ledger: Arc<Mutex<Ledger>>,
    journal: Option<Journal>,
    record: UsageRecord,
    /// The record as it is written, made once: to see what the journal alone costs.
    json: Option<Vec<u8>>,
    call: CallId,
}

impl Node {
    fn new(folder: &Path, durability: Option<Durability>) -> Self {
        let world = World::new(&[]).expect("no script");
        let ledger = world.engine.shared_ledger();
        let journal = durability.map(|durability| {
            let disk: Arc<dyn Disk> = Arc::new(OsDisk::open(folder).expect("a folder"));
            let clock: Arc<dyn Clock> = Arc::new(SystemClock);
            let options = JournalOptions { durability, ..JournalOptions::default() };
            let journal = Journal::start(Arc::clone(&ledger), disk, clock, options, (JournalId(1), 0), &[])
                .expect("a journal");
            journal.sync_in_background().expect("a thread");
            journal
        });
        let record = record(&world);
        Self { world, ledger, journal, record, json: None, call: CallId::from("call-0190f5a2-7c1e") }
    }

    fn reserve(&self, caller: &BoundCaller) -> ReservationId {
        match self.ledger.lock().try_reserve(&ask(&self.call, caller), NOW) {
            Reserve::Granted(grant) => grant.id,
            _ => unreachable!("nothing refuses it"),
        }
    }

    /// What the gateway does when a call is over.
    fn settle(&self, id: ReservationId) {
        self.ledger.lock().end(id, &ENDING, NOW);
        if self.journal.is_none() {
            return;
        }
        match &self.json {
            Some(json) => self.ledger.lock().log_record(&self.call, json),
            None => {
                let entry = RecordEntry::from(self.record.clone());
                self.ledger.lock().log_record(&self.call, entry.json().as_bytes());
            }
        }
    }

    fn commit(&self) -> u64 {
        self.journal.as_ref().map_or(0, |journal| journal.commit().expect("a disk with room"))
    }

    async fn durable(&self, before: u64) {
        if let Some(journal) = &self.journal {
            journal.durable(before).await.expect("a sound disk");
        }
    }

    /// Does what the gateway's checkpoints do to the journal, as long as `work` goes on.
    fn with_checkpoints<T>(&self, work: impl FnOnce() -> T) -> T {
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    std::thread::park_timeout(CHECKPOINT_EVERY);
                    let Some(journal) = &self.journal else { continue };
                    let position = {
                        let mut ledger = self.ledger.lock();
                        ledger.take_dirty(NOW);
                        ledger.log_position()
                    };
                    journal.commit().and_then(|_| journal.checkpointed(position)).expect("a disk with room");
                }
            });
            let done = work();
            over.store(true, Ordering::Relaxed);
            done
        })
    }
}

fn record(world: &World) -> UsageRecord {
    let Ok(mut admission) = world.engine.admit(call(), &world.caller, NOW, 7) else {
        unreachable!("nothing refuses it")
    };
    let Next::Try(_) = world.engine.next(&mut admission, NOW) else { unreachable!("nothing refuses it") };
    world.engine.observe(&mut admission, &Outcome::answered(usage()), NOW);
    world.engine.finish(admission, None, NOW)
}

/// How long each of many calls takes: reserved, written, settled, written.
fn calls(node: &Node) -> Vec<Duration> {
    let one = || {
        let began = Instant::now();
        let id = node.reserve(&node.world.caller);
        node.commit();
        node.settle(id);
        node.commit();
        began.elapsed()
    };
    (0..CALLS / 20).for_each(|_| {
        one();
    });
    let mut took: Vec<_> = node.with_checkpoints(|| (0..CALLS).map(|_| one()).collect());
    took.sort_unstable();
    took
}

fn process(folder: &Path) {
    let node = |name: &str| Node::new(&folder.join(name), Some(Durability::Process));
    let memory = calls(&Node::new(folder, None));
    let process = node("process");
    let json = RecordEntry::from(process.record.clone()).json().as_bytes().to_vec();
    let written = calls(&Node { json: Some(json), ..process });
    let recorded = calls(&node("records"));
    let before = quantile(&memory, 0.5);
    figure("a reservation and its settlement in memory, median", before, "us");
    figure("the same, p99.9: the machine's own", quantile(&memory, 0.999), "us");
    most("process: what the journal adds, median", quantile(&written, 0.5) - before, 3.0, "us");
    most("process: all of it, p99.9", quantile(&written, 0.999) / 1e3, 2.0, "ms");
    figure("process: and to make the usage record, median", quantile(&recorded, 0.5) - before, "us");
    most("process: with that, p99.9", quantile(&recorded, 0.999) / 1e3, 2.0, "ms");
}

/// How long the disk takes to make a small write durable, without a journal.
fn bare_syncs(folder: &Path) -> Vec<Duration> {
    let disk = OsDisk::open(&folder.join("bare")).expect("a folder");
    let file = disk.create(1, 32 << 20).and_then(|file| disk.sync_names().map(|()| file)).expect("a file");
    let mut took: Vec<_> = (0..SYNCS)
        .map(|at| {
            let began = Instant::now();
            file.write_at(at as u64 * 400, &[7; 400]).and_then(|()| file.sync()).expect("a sound disk");
            began.elapsed()
        })
        .collect();
    took.sort_unstable();
    took
}

fn power(folder: &Path) {
    let bare = quantile(&bare_syncs(folder), 0.5);
    let node = Arc::new(Node::new(&folder.join("power"), Some(Durability::Power)));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_time().build().expect("a runtime");
    let mut alone: Vec<_> = (0..SYNCS)
        .map(|_| {
            let began = Instant::now();
            let id = node.reserve(&node.world.caller);
            runtime.block_on(node.durable(node.commit()));
            let took = began.elapsed();
            node.settle(id);
            runtime.block_on(node.durable(node.commit()));
            took
        })
        .collect();
    alone.sort_unstable();
    let alone = quantile(&alone, 0.5);
    figure("fdatasync of a small write, median", bare, "us");
    figure("power: a reservation alone until it is durable, median", alone, "us");
    most("power: the same in fdatasyncs", alone / bare.max(f64::MIN_POSITIVE), 2.0, "x");
    let (reserved, waits, seconds) = node.with_checkpoints(|| runtime.block_on(many(&node)));
    figure("power: a reservation among 256 until it is durable, median", quantile(&waits, 0.5), "us");
    let rate = reserved as f64 / seconds;
    let verdict = if rate >= 5_000.0 { "met" } else { "MISSED" };
    println!("{:<58} {rate:>9.0} /s  {:>9} /s  {verdict}", "power: reservations at 256 in flight", ">= 5000");
}

/// Many calls at once for two seconds, each made durable when it is reserved and when it is settled: how many, how long
/// the reservations took, and the seconds.
async fn many(node: &Arc<Node>) -> (u64, Vec<Duration>, f64) {
    let (count, began) = (Arc::new(AtomicU64::new(0)), Instant::now());
    let tasks: Vec<_> = (0..IN_FLIGHT)
        .map(|_| {
            let (node, count) = (Arc::clone(node), Arc::clone(&count));
            tokio::spawn(async move {
                let mut waits = Vec::new();
                while began.elapsed() < Duration::from_secs(2) {
                    let asked = Instant::now();
                    let id = node.reserve(&node.world.caller);
                    node.durable(node.commit()).await;
                    waits.push(asked.elapsed());
                    count.fetch_add(1, Ordering::Relaxed);
                    node.settle(id);
                    node.durable(node.commit()).await;
                }
                waits
            })
        })
        .collect();
    let mut waits = Vec::new();
    for task in tasks {
        waits.extend(task.await.expect("a task that ends"));
    }
    waits.sort_unstable();
    (count.load(Ordering::Relaxed), waits, began.elapsed().as_secs_f64())
}

/// A database that has everything up to a position, and takes what comes for nothing.
struct Stored(u64);

#[async_trait::async_trait]
impl RecordStore for Stored {
    async fn append(&self, _: &[RecordEntry], _: &[Balance], _: Option<Checkpoint>) -> Result<()> {
        Ok(())
    }

    async fn position(&self, _: JournalId) -> Result<u64> {
        Ok(self.0)
    }

    async fn balances(&self) -> Result<Vec<Balance>> {
        Ok(Vec::new())
    }
}

/// So many records may wait for the database: with more, no further call is taken on.
const WAITING_MAX: u64 = 100_000;

/// Reservations, settlements and usage records by turns; a database that has all of them, all but those that may wait, or
/// none, as one that was made anew.
fn recovery(folder: &Path) {
    let folder = folder.join("recovery");
    let mut took = Vec::new();
    for left in [0, 3 * WAITING_MAX, u64::MAX] {
        let events = fill(&folder);
        let (world, disk) = (World::new(&[]).expect("no script"), OsDisk::open(&folder).expect("a folder"));
        let (disk, clock): (Arc<dyn Disk>, Arc<dyn Clock>) = (Arc::new(disk), Arc::new(SystemClock));
        let options = JournalOptions::default();
        let opening = Opening { options, fresh: JournalId(2), salvage: false };
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let began = Instant::now();
        let (store, ledger) = (Stored(events.saturating_sub(left)), world.engine.shared_ledger());
        let opened = journal::open(&ledger, &store, &disk, &clock, opening);
        let (_, found) = runtime.block_on(opened).expect("a sound journal");
        assert!(found.events >= EVENTS, "{found:?}");
        took.push(began.elapsed().as_secs_f64());
    }
    let [all, most_of_it, none] = took[..] else { return };
    most("recovery of 10^6 events, of which the database has all", all, 2.0, "s");
    most("the same, of which 100,000 records waited for the database", most_of_it, 2.0, "s");
    figure("the same, of which the database has none", none, "s");
}

/// Writes a journal of so many events; says the number of the next.
fn fill(folder: &Path) -> u64 {
    // What a recovery left there belongs to another journal.
    let _ = std::fs::remove_dir_all(folder);
    let node = Node::new(folder, Some(Durability::Process));
    let mut next = 0;
    while next < EVENTS {
        let id = node.reserve(&node.world.caller);
        node.settle(id);
        next = node.commit();
    }
    next
}
