//! One history: a few hundred steps of calls, time, changes and crashes, all decided by a seed.

mod call;
mod change;
mod process;

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use sluicegate::ManualClock;
use sluicegate::core::engine::{Admission, Attempt, BoundCaller, Failure, Next};
use sluicegate::core::journal::{Ending, Fate, JournalId, amendment_id, record_of};
use sluicegate::core::ledger::{Amounts, Held, HeldAmount, ReservationId};
use sluicegate::core::ports::RecordStore as _;
use sluicegate::core::price::Reach;
use sluicegate::core::{
    Call, Clock, Engine, Format, Metric, Outcome, OutcomeClass, RecordEntry, Scope, ScopeKind, Timestamp,
    Usage, UsageRecord, UsageSource,
};
use sluicegate::journal::{self, Batch, Disk, Durability, Journal, JournalOptions, Opening};

use crate::check;
use crate::disk::{Crash, Handle, Moment, Operation, SimDisk};
use crate::rng::Rng;
use crate::store::SimStore;
use crate::world::{Watched, World};

/// 2026-03-29 at 00:30 in Berlin, half an hour before the clocks go forward there.
const START_MS: i64 = 1_774_737_000_000;

/// Where histories crashed, and how often.
pub type Coverage = BTreeMap<(Crash, Option<(Operation, Moment)>), u64>;

/// What all histories together did.
#[derive(Default)]
pub struct Report {
    pub coverage: Coverage,
    pub steps: u64,
    /// On disk and database.
    pub operations: u64,
    pub calls: u64,
    pub denied: u64,
    pub recoveries: u64,
    pub held: u64,
}

/// A process.
pub struct Node {
    pub engine: Engine,
    pub callers: Vec<Arc<BoundCaller>>,
    pub watched: Vec<Watched>,
    journal: Journal,
    queue: Vec<RecordEntry>,
    /// Taken for the database, which doesn't have it yet.
    batch: Batch,
    flights: Vec<Flight>,
}

struct Flight {
    admission: Box<Admission>,
    tenant: usize,
    /// When its next attempt may be made; `None`: one is under way.
    waits: Option<Timestamp>,
    /// The attempt under way.
    tried: Option<Tried>,
    /// What each attempt so far is to be charged.
    due: Vec<Usage>,
    /// An upstream used more than its ceiling.
    lied: bool,
}

/// An attempt under way.
struct Tried {
    reservation: ReservationId,
    channel: String,
    /// The most input and output that an honest upstream uses.
    input: u64,
    output: u64,
    /// Whether the upstream was told.
    ceiling: bool,
    /// It has answered, and said how much input it is.
    began: bool,
}

impl Tried {
    fn new(call: &Call, attempt: &Attempt) -> Self {
        let of_model = attempt.channel().models[0].max_output.unwrap_or_default();
        let ceiling = attempt.ceiling.or(call.max_output).unwrap_or(of_model).min(of_model);
        Self {
            reservation: attempt.reservation,
            channel: attempt.channel().id.to_string(),
            input: call.input_bound.unwrap_or(1),
            output: ceiling * u64::from(call.choices),
            ceiling: attempt.ceiling.or(call.max_output).is_some(),
            began: false,
        }
    }
}

/// What only some histories do: whatever excuses a check would leave it to few of them otherwise.
struct Traits {
    lies: bool,
    warps: bool,
    by_hand: bool,
    lowers: bool,
}

pub struct History {
    rng: Rng,
    world: World,
    clock: Arc<ManualClock>,
    disk: Arc<SimDisk>,
    pub store: Arc<SimStore>,
    options: JournalOptions,
    calls: u64,
    denied: u64,
    /// Calls whose end was confirmed: their records must be there, once.
    confirmed: BTreeSet<String>,
    /// Calls that ended at all.
    ended: BTreeSet<String>,
    traits: Traits,
    /// Scopes of which a limit was lowered, or an upstream used more than its ceiling: they may be above their max...
    pub excused: BTreeSet<Scope>,
    /// ...and after a crash may be so again.
    pub ever_excused: BTreeSet<Scope>,
    /// The clock has gone back: windows aren't those of the times in the records.
    pub warped: bool,
    /// How every limit stood when everything was last confirmed.
    stood: Vec<check::Stand>,
    /// How they stood in the middle of the step, right after something was reserved.
    amid: Vec<check::Stand>,
    /// Whether everything was written then.
    written: bool,
    /// The reservation that ended last in this process.
    last_ended: Option<ReservationId>,
    log: Vec<String>,
}

/// Everything a history does is there at once: there is nothing to wait for.
pub fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the simulation never waits"),
    }
}

impl History {
    pub fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let world = World::new(&mut rng);
        let disk = SimDisk::new(seed);
        let durability = if rng.percent(50) { Durability::Power } else { Durability::Process };
        let segment_bytes = *rng.pick(&[2_000, 8_000, 1 << 20]);
        let mut some = |percent| rng.percent(percent);
        let traits = Traits { lies: some(30), warps: some(25), by_hand: some(30), lowers: some(50) };
        Self {
            rng,
            world,
            clock: Arc::new(ManualClock::new(Timestamp::from_ms(START_MS))),
            store: Arc::new(SimStore::new(Arc::clone(&disk))),
            disk,
            options: JournalOptions { durability, segment_bytes },
            calls: 0,
            denied: 0,
            confirmed: BTreeSet::new(),
            ended: BTreeSet::new(),
            traits,
            excused: BTreeSet::new(),
            ever_excused: BTreeSet::new(),
            warped: false,
            stood: Vec::new(),
            amid: Vec::new(),
            written: true,
            last_ended: None,
            log: Vec::new(),
        }
    }

    /// The last steps, for whoever looks into a failure.
    pub fn told(&self) -> String {
        let from = self.log.len().saturating_sub(25);
        self.log[from..].join("\n")
    }

    pub fn run(&mut self, steps: u64, report: &mut Report) {
        let mut node = self.start(report).expect("an empty disk is no reason to fail");
        for _ in 0..steps {
            report.steps += 1;
            self.step(&mut node, report);
            if self.disk.crashed() {
                node = self.restart(node, report);
            }
            self.stood = check::stand(&node, self.clock.now());
            self.amid.clone_from(&self.stood);
            self.written = node.journal.ready().is_ok() && node.engine.ledger().log_waiting() == 0;
            check::within(self, &node);
        }
        self.settle_down(node, report);
        report.operations += self.disk.operations();
        report.denied += self.denied;
    }

    /// What is used of these scopes may be above a max from now on.
    fn excuse(&mut self, scopes: impl IntoIterator<Item = Scope>) {
        for scope in scopes {
            self.ever_excused.insert(scope.clone());
            self.excused.insert(scope);
        }
    }

    /// The scopes that limit an attempt of a tenant on a channel.
    fn scopes(&self, tenant: usize, channel: &str) -> Vec<Scope> {
        let chain = self.world.chains[tenant].iter().map(|link| link.scope.clone());
        chain.chain([Scope::new(ScopeKind::Channel, channel)]).collect()
    }

    fn tell(&mut self, what: impl Into<String>) {
        self.log.push(what.into());
    }

    fn step(&mut self, node: &mut Node, report: &mut Report) {
        match self.rng.below(100) {
            0..33 => self.call(node, report),
            33..66 => self.go_on(node),
            66..78 => self.wait(),
            78..88 => {
                self.checkpoint(node);
            }
            88..90 => self.lose(node),
            90..93 => self.reconcile(node),
            93..95 => self.change_limit(node),
            95 if self.traits.by_hand => self.reset(node),
            95 => self.settle_again(node),
            96 => {
                let full = self.rng.percent(50);
                self.tell(format!("the disk is full: {full}"));
                self.disk.set_full(full);
            }
            97 => {
                let down = self.rng.percent(50);
                self.tell(format!("the database is down: {down}"));
                self.store.tables.lock().unwrap().down = down;
            }
            98 => {
                self.tell("crash");
                self.disk.crash_now();
            }
            _ => {
                let fuse = self.rng.below(6);
                self.tell(format!("crash in {fuse} operations"));
                self.disk.light(fuse);
            }
        }
    }

    /// Writes what was logged. Whether it is as safe as it must be.
    fn commit(&self, node: &Node) -> bool {
        node.journal.commit().is_ok() && (!node.journal.waits() || node.journal.sync().is_ok())
    }

    pub fn clock(&self) -> Timestamp {
        self.clock.now()
    }
}

/// What a call is charged that was sent and of which nobody heard again.
fn read_only(call: &Call) -> Usage {
    Usage { input_uncached: call.input_estimate, ..Usage::default() }
}
