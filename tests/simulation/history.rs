//! One history: a few hundred steps of calls, time, changes and crashes, all decided by a seed.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use sluicegate::ManualClock;
use sluicegate::core::engine::{Admission, BoundCaller, Next};
use sluicegate::core::journal::JournalId;
use sluicegate::core::ports::RecordStore as _;
use sluicegate::core::{
    Call, Clock, Engine, Format, Metric, Mode, Outcome, OutcomeClass, Timestamp, Usage, UsageRecord,
};
use sluicegate::journal::{self, Batch, Disk, Durability, Journal, JournalOptions, Opening};

use crate::check;
use crate::disk::{Crash, Handle, Moment, Operation, SimDisk};
use crate::rng::Rng;
use crate::store::SimStore;
use crate::world::World;

/// 2026-03-29 at 00:30 in Berlin, half an hour before the clocks go forward there.
const START_MS: i64 = 1_774_737_000_000;

/// Where histories crashed, and how often.
pub type Coverage = BTreeMap<(Crash, Option<(Operation, Moment)>), u64>;

/// What all histories together did.
#[derive(Default)]
pub struct Report {
    pub coverage: Coverage,
    pub steps: u64,
    pub calls: u64,
    pub denied: u64,
    pub recoveries: u64,
    pub held: u64,
}

/// A process.
pub struct Node {
    pub engine: Engine,
    pub callers: Vec<Arc<BoundCaller>>,
    journal: Journal,
    queue: Vec<UsageRecord>,
    /// Taken for the database, which doesn't have it yet.
    batch: Batch,
    flights: Vec<Flight>,
}

struct Flight {
    admission: Box<Admission>,
    /// When its next attempt may be made; `None`: one is under way.
    waits: Option<Timestamp>,
}

pub struct History {
    rng: Rng,
    world: World,
    clock: Arc<ManualClock>,
    disk: Arc<SimDisk>,
    pub store: Arc<SimStore>,
    options: JournalOptions,
    calls: u64,
    /// Calls whose end was confirmed: their records must be there, once.
    confirmed: BTreeSet<String>,
    /// Calls that ended at all.
    ended: BTreeSet<String>,
    /// What calls had used of which nobody was told that it was written: it may be settled without a record.
    pub unconfirmed: Vec<UsageRecord>,
    /// An upstream used more than its ceiling, or a limit was lowered: what is used may be above a max.
    pub excused: bool,
    /// The clock has gone back: windows aren't those of the times in the records.
    pub warped: bool,
    /// What an operator set back or settled by hand: records don't tell of it.
    pub by_hand: bool,
    /// How every limit stood when everything was last confirmed.
    stood: Vec<check::Stand>,
    /// How they stood in the middle of the step, right after something was reserved.
    amid: Vec<check::Stand>,
    /// Whether everything was written then.
    written: bool,
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
        Self {
            rng,
            world,
            clock: Arc::new(ManualClock::new(Timestamp::from_ms(START_MS))),
            store: Arc::new(SimStore::new(Arc::clone(&disk))),
            disk,
            options: JournalOptions { durability, segment_bytes },
            calls: 0,
            confirmed: BTreeSet::new(),
            ended: BTreeSet::new(),
            unconfirmed: Vec::new(),
            excused: false,
            warped: false,
            by_hand: false,
            stood: Vec::new(),
            amid: Vec::new(),
            written: true,
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
            95 => self.reset(node),
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

    fn call(&mut self, node: &mut Node, report: &mut Report) {
        if node.journal.ready().is_err() {
            return self.tell("not ready");
        }
        self.calls += 1;
        report.calls += 1;
        let tenant = self.rng.below(node.callers.len() as u64) as usize;
        let mut call = Call::new(format!("call-{}", self.calls), Format::OpenaiChat, "m");
        call.input_bound = Some(20 + self.rng.below(200));
        call.input_estimate = call.input_bound.unwrap_or_default() / 4;
        call.max_output = self.rng.percent(60).then_some(1).map(|_| 1 + self.rng.below(300));
        call.choices = if self.rng.percent(10) { 2 } else { 1 };
        let (caller, now, seed) = (&node.callers[tenant], self.clock.now(), self.rng.next());
        self.tell(format!("call {} of tenant {tenant}", call.id));
        match node.engine.admit(call.clone(), caller, now, seed) {
            Ok(admission) => {
                node.flights.push(Flight { admission, waits: None });
                self.next(node, node.flights.len() - 1);
            }
            Err(denied) => {
                report.denied += 1;
                let record = node.engine.refuse(call, caller, &denied, now, seed);
                self.push(node, record);
            }
        }
    }

    /// Asks what is next for a call, and sends it there.
    fn next(&mut self, node: &mut Node, at: usize) {
        let now = self.clock.now();
        match node.engine.next(&mut node.flights[at].admission, now) {
            Next::Try(_) => {
                node.flights[at].waits = None;
                check::strict(self, node, now);
                self.amid = check::stand(node, now);
                if !self.commit(node) {
                    self.tell("it can't be written, and isn't sent");
                    let unsent = Outcome { sent: false, ..Outcome::failed(OutcomeClass::ClientGone, None) };
                    node.engine.observe(&mut node.flights[at].admission, &unsent, now);
                    self.end(node, at, Some("store_unavailable"));
                }
            }
            Next::Wait(until) => {
                node.flights[at].waits = Some(until);
                self.commit(node);
            }
            Next::Done(_) => self.end(node, at, Some("failed")),
            Next::Refill(_) | Next::Count(_) => panic!("this node owns everything, and counts nothing"),
        }
    }

    fn end(&mut self, node: &mut Node, at: usize, error: Option<&str>) {
        let flight = node.flights.swap_remove(at);
        let record = node.engine.finish(flight.admission, error, self.clock.now());
        self.push(node, record);
    }

    /// As the gateway does: queued, then logged, then written.
    fn push(&mut self, node: &mut Node, record: UsageRecord) {
        let call = record.call.to_string();
        let json = serde_json::to_vec(&record).unwrap();
        node.queue.push(record.clone());
        node.engine.ledger().log_record(&json);
        self.ended.insert(call.clone());
        if self.commit(node) {
            self.confirmed.insert(call);
        } else {
            self.unconfirmed.push(record);
        }
    }

    /// Something happens to a call under way.
    fn go_on(&mut self, node: &mut Node) {
        if node.flights.is_empty() {
            return;
        }
        let at = self.rng.below(node.flights.len() as u64) as usize;
        if let Some(until) = node.flights[at].waits {
            self.clock.set(self.clock.now().max(until));
            self.stood = check::stand(node, self.clock.now());
            self.amid.clone_from(&self.stood);
            return self.next(node, at);
        }
        let outcome = self.outcome(&node.flights[at].admission);
        self.tell(format!("{}: {:?}", node.flights[at].admission.call().id, outcome.class));
        let over = outcome.class;
        node.engine.observe(&mut node.flights[at].admission, &outcome, self.clock.now());
        match over {
            OutcomeClass::Ok => self.end(node, at, None),
            OutcomeClass::Broken | OutcomeClass::ClientGone => self.end(node, at, Some("broken")),
            _ => self.next(node, at),
        }
    }

    /// What a flaky upstream does. Never more than the ceiling, but for one in many that lies.
    fn outcome(&mut self, admission: &Admission) -> Outcome {
        let call = admission.call();
        let input = 1 + self.rng.below(call.input_bound.unwrap_or(1));
        let most = call.max_output.unwrap_or(200).min(200) * u64::from(call.choices);
        let mut output = self.rng.below(most.min(60) + 1);
        if self.rng.percent(1) {
            output = 5_000;
            self.excused = true;
        }
        let usage = Usage { input_uncached: input, output_visible: output, ..Usage::default() };
        let began = |class| Outcome { counted: usage, ..Outcome::failed(class, Some(200)) };
        match self.rng.below(20) {
            0..11 => Outcome::answered(usage),
            // Nothing was reported: it is counted.
            11 => began(OutcomeClass::Ok),
            12 => began(OutcomeClass::Broken),
            13 => began(OutcomeClass::ClientGone),
            14 => Outcome::failed(OutcomeClass::Timeout, None),
            15 => Outcome::failed(OutcomeClass::RateLimited, Some(429)),
            16 => Outcome::failed(OutcomeClass::Unreachable, None),
            _ => Outcome::failed(OutcomeClass::ServerError, Some(503)),
        }
    }

    fn wait(&mut self) {
        let ms = match self.rng.below(20) {
            0..8 => self.rng.below(500) as i64,
            8..14 => self.rng.below(20_000) as i64,
            14..17 => 60_000,
            17 => 3_600_000,
            18 => 86_400_000,
            _ if self.rng.percent(30) => {
                self.warped = true;
                -(self.rng.below(7_200_000) as i64)
            }
            _ => 1,
        };
        self.tell(format!("{ms} ms pass"));
        self.clock.set(self.clock.now().plus_ms(ms));
    }

    /// As the gateway does: what was taken before first, then the journal, then the database.
    fn checkpoint(&mut self, node: &mut Node) -> bool {
        self.tell("checkpoint");
        if !self.store_batch(node) {
            return false;
        }
        let queue = &mut node.queue;
        let ledger = node.engine.shared_ledger();
        node.batch =
            journal::gather(&ledger, Some(node.journal.id()), self.clock.now(), || std::mem::take(queue));
        self.commit(node) && self.store_batch(node)
    }

    fn store_batch(&mut self, node: &mut Node) -> bool {
        let Batch { records, balances, checkpoint } = &node.batch;
        if records.is_empty() && balances.is_empty() {
            return true;
        }
        // A batch that couldn't be secured when it was taken waits for that.
        if !self.commit(node) || now(self.store.append(records, balances, *checkpoint)).is_err() {
            return false;
        }
        let position = checkpoint.map(|checkpoint| checkpoint.position);
        node.batch = Batch::default();
        // Segments that stay for now are no harm.
        position.is_none_or(|position| node.journal.checkpointed(position).is_ok() || !self.disk.crashed())
    }

    /// A call is dropped by who drove it.
    fn lose(&mut self, node: &mut Node) {
        if node.flights.is_empty() {
            return;
        }
        let at = self.rng.below(node.flights.len() as u64) as usize;
        let flight = node.flights.swap_remove(at);
        self.tell(format!("{} is lost", flight.admission.call().id));
        // A host that forgets a call whose earlier attempts were charged has no record of those.
        let was_charged = flight.admission.attempt_records().iter().any(|it| it.usage != Usage::default());
        if was_charged || self.rng.percent(50) {
            let record = node.engine.abandon(flight.admission, self.clock.now());
            self.push(node, record);
        } else {
            drop(flight);
            self.commit(node);
        }
    }

    fn reconcile(&mut self, node: &mut Node) {
        let held: Vec<_> = node.engine.ledger().held().map(|held| held.id).collect();
        if held.is_empty() {
            return;
        }
        let id = *self.rng.pick(&held);
        self.tell("reconcile");
        node.engine.ledger().release(id, self.clock.now());
        self.commit(node);
    }

    fn change_limit(&mut self, node: &mut Node) {
        let tenant = self.rng.below(self.world.chains.len() as u64) as usize;
        let link = self.rng.below(4) as usize;
        let count = self.world.chains[tenant][link].limits.len() as u64;
        if count == 0 {
            return;
        }
        let at = self.rng.below(count) as usize;
        let limit = &mut self.world.chains[tenant][link].limits[at];
        let max = if self.rng.percent(60) { limit.max * 2 } else { limit.max / 2 };
        self.excused |= max < limit.max;
        limit.max = max;
        let changed = self.world.chains[tenant][link].clone();
        self.tell(format!("{} has another limit", changed.scope));
        for chain in &mut self.world.chains {
            chain
                .iter_mut()
                .filter(|link| link.scope == changed.scope)
                .for_each(|link| link.clone_from(&changed));
        }
        node.callers = (0..self.world.chains.len()).map(|at| self.world.bind(&node.engine, at)).collect();
    }

    fn reset(&mut self, node: &mut Node) {
        let tenant = self.rng.below(node.callers.len() as u64) as usize;
        let cells: Vec<_> = node.callers[tenant].limits().iter().map(|bound| bound.cell).collect();
        if cells.is_empty() {
            return;
        }
        self.by_hand = true;
        self.tell("reset");
        let cell = *self.rng.pick(&cells);
        node.engine.ledger().reset(cell, self.clock.now());
        self.commit(node);
    }

    fn start(&mut self, report: &mut Report) -> Option<Node> {
        let engine = self.world.engine();
        let disk: Arc<dyn Disk> = Arc::new(Handle(Arc::clone(&self.disk)));
        let clock: Arc<dyn Clock> = self.clock.clone();
        let fresh = JournalId(u128::from(self.rng.next()));
        let opening = Opening { options: self.options, fresh, salvage: false };
        let opened = now(journal::open(&engine.shared_ledger(), &*self.store, &disk, &clock, opening));
        let (journal, found) = match opened {
            Ok(opened) => opened,
            Err(_) if self.disk.crashed() => return None,
            Err(why) => panic!("the journal can't be opened: {why}"),
        };
        report.held += found.held as u64;
        let callers = (0..self.world.chains.len()).map(|at| self.world.bind(&engine, at)).collect();
        Some(Node {
            engine,
            callers,
            journal,
            queue: Vec::new(),
            batch: Batch::default(),
            flights: Vec::new(),
        })
    }

    /// The process has ended; another begins, and may end while it begins.
    fn restart(&mut self, node: Node, report: &mut Report) -> Node {
        let ends = check::stand(&node, self.clock.now());
        // What the dead process still knows is lost with it.
        let (flights, now) = (node.flights.len(), self.clock.now());
        let lost = node.flights.into_iter().map(|flight| node.engine.abandon(flight.admission, now));
        self.unconfirmed.extend(lost);
        let powerless = self.options.durability == Durability::Power && self.rng.percent(50);
        let crash = if powerless { Crash::PowerLoss } else { Crash::Kill };
        self.tell(format!("{crash:?} with {flights} calls under way"));
        loop {
            let hit = self.disk.restart(crash);
            *report.coverage.entry((crash, hit)).or_default() += 1;
            self.store.tables.lock().unwrap().down = false;
            if self.rng.percent(25) {
                let fuse = self.rng.below(8);
                self.tell(format!("crash in {fuse} operations of the start"));
                self.disk.light(fuse);
            }
            if let Some(node) = self.start(report)
                && !self.disk.crashed()
            {
                report.recoveries += 1;
                let stands = check::stand(&node, self.clock.now());
                // While nothing could be written, only what was confirmed can be asked for.
                if self.written {
                    check::recovered(self, [&self.stood, &self.amid, &ends], &stands);
                }
                return node;
            }
        }
    }

    /// Everything ends, and the books are compared.
    fn settle_down(&mut self, mut node: Node, report: &mut Report) {
        self.disk.restart(Crash::Kill);
        while !node.flights.is_empty() {
            let last = node.flights.len() - 1;
            self.end(&mut node, last, Some("cancelled"));
        }
        let held: Vec<_> = node.engine.ledger().held().map(|held| held.id).collect();
        for id in held {
            node.engine.ledger().release(id, self.clock.now());
        }
        self.store.tables.lock().unwrap().down = false;
        assert!(self.checkpoint(&mut node), "nothing is in the way");
        check::records(self, &self.confirmed, &self.ended);
        check::books(self, &node);
        drop(node);
        // And once more from the start: nothing is open, nothing new is found.
        let again = self.start(report).expect("nothing is in the way");
        assert_eq!(again.engine.ledger().held().count(), 0, "nothing was under way");
        check::books(self, &again);
    }

    pub fn clock(&self) -> Timestamp {
        self.clock.now()
    }
}

/// Whether a limit can be compared after the fact.
pub fn is_counted(metric: Metric) -> bool {
    metric != Metric::Concurrency
}

/// Whether a limit promises that it holds.
pub fn is_strict(mode: Mode) -> bool {
    mode == Mode::Strict
}
