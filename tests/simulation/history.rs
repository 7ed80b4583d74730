//! One history: a few hundred steps of calls, time, changes and crashes, all decided by a seed.

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
                let (due, waits, tried, lied) = (Vec::new(), None, None, false);
                node.flights.push(Flight { admission, tenant, waits, tried, due, lied });
                self.next(node, node.flights.len() - 1);
            }
            Err(denied) => {
                self.denied += 1;
                let record = node.engine.refuse(call, caller, &denied, now, seed);
                self.push(node, record);
            }
        }
    }

    /// Asks what is next for a call, and sends it there.
    fn next(&mut self, node: &mut Node, at: usize) {
        let now = self.clock.now();
        match node.engine.next(&mut node.flights[at].admission, now) {
            Next::Try(attempt) => {
                let flight = &mut node.flights[at];
                let tried = Tried::new(flight.admission.call(), &attempt);
                let (tenant, is_first) = (flight.tenant, attempt.number == 1);
                let scopes = self.scopes(tenant, &tried.channel);
                (flight.waits, flight.tried) = (None, Some(tried));
                check::granted(self, node, &scopes, is_first);
                self.amid = check::stand(node, now);
                if !self.commit(node) {
                    self.tell("it can't be written, and isn't sent");
                    let unsent = Outcome { sent: false, ..Outcome::failed(OutcomeClass::ClientGone, None) };
                    self.observe(node, at, &unsent);
                    self.end(node, at, Some("store_unavailable"));
                }
            }
            Next::Wait(until) => {
                node.flights[at].waits = Some(until);
                self.commit(node);
            }
            Next::Done(failure) => {
                self.denied += u64::from(matches!(failure, Failure::Denied(_)));
                self.end(node, at, Some("failed"));
            }
            Next::Queue(_) | Next::Refill(_) | Next::Count(_) => {
                panic!("this node owns everything, waits for nobody and counts nothing")
            }
        }
    }

    fn end(&mut self, node: &mut Node, at: usize, error: Option<&str>) {
        let Flight { admission, tried, mut due, lied, .. } = node.flights.swap_remove(at);
        due.extend(tried.map(|_| read_only(admission.call())));
        let record = node.engine.finish(admission, error, self.clock.now());
        check::charged(&record, &due, lied);
        self.push(node, record);
    }

    /// The gateway learns how the attempt under way ended.
    fn observe(&mut self, node: &mut Node, at: usize, outcome: &Outcome) {
        let flight = &mut node.flights[at];
        let allowed =
            flight.tried.as_ref().filter(|tried| tried.ceiling).map_or(u64::MAX, |tried| tried.output);
        node.engine.observe(&mut flight.admission, outcome, self.clock.now());
        let due = match outcome.class {
            // What nobody reported is counted by us, and by that no more than the upstream was allowed.
            _ if outcome.status == Some(200) => outcome.reported.unwrap_or(Usage {
                output_visible: outcome.counted.output_visible.min(allowed),
                ..outcome.counted
            }),
            OutcomeClass::Timeout => read_only(flight.admission.call()),
            _ => Usage::default(),
        };
        flight.due.push(due);
        if let Some(tried) = flight.tried.take() {
            self.last_ended = Some(tried.reservation);
        }
    }

    /// Somebody ends what has ended.
    fn settle_again(&mut self, node: &Node) {
        let Some(id) = self.last_ended else { return };
        self.tell("settled again");
        let now = self.clock.now();
        let amounts = Amounts { input_tokens: 100, output_tokens: 100, spend: 300_000 };
        let mut ledger = node.engine.ledger();
        assert!(ledger.settle(id, amounts, amounts, now).is_none(), "a reservation is settled twice");
        assert!(!ledger.hold(id, now), "a reservation is held that was settled");
        assert!(!ledger.shrink(id, Amounts::default(), Amounts::default(), now), "it has nothing any more");
    }

    /// As the gateway does: logged and queued under one lock, then written.
    fn push(&mut self, node: &mut Node, record: UsageRecord) {
        let call = record.call.to_string();
        let entry = RecordEntry::from(record);
        {
            let mut ledger = node.engine.ledger();
            ledger.log_record(&entry.call, entry.json().as_bytes());
            node.queue.push(entry);
        }
        self.ended.insert(call.clone());
        if self.commit(node) {
            self.confirmed.insert(call);
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
        if self.rng.percent(15) {
            return self.begin(node, at);
        }
        let outcome = self.outcome(&mut node.flights[at]);
        self.tell(format!("{}: {:?}", node.flights[at].admission.call().id, outcome.class));
        let over = outcome.class;
        self.observe(node, at, &outcome);
        match over {
            OutcomeClass::Ok => self.end(node, at, None),
            OutcomeClass::Broken | OutcomeClass::ClientGone => self.end(node, at, Some("broken")),
            _ => self.next(node, at),
        }
    }

    /// The upstream answers and says how much input it is: what was reserved beyond that is free.
    fn begin(&mut self, node: &mut Node, at: usize) {
        let Flight { admission, tenant, tried: Some(tried), .. } = &mut node.flights[at] else { return };
        let least = admission.call().input_estimate.max(1).min(tried.input);
        tried.input = least + self.rng.below(tried.input - least + 1);
        tried.began = true;
        let (input, output) = (tried.input, tried.output);
        let price = self.world.channels[0].models[0].price.on(self.clock.now());
        let amounts = |ratio| Amounts {
            input_tokens: input as i64,
            output_tokens: output as i64,
            spend: price.bound(input, output, Reach::ALL, ratio),
        };
        let (tenant, channel) = (amounts(self.world.ratio(*tenant)), amounts(1_000_000));
        let done = node.engine.ledger().shrink(tried.reservation, tenant, channel, self.clock.now());
        assert!(done, "an attempt under way has no reservation");
        self.tell(format!("{} has {input} tokens of input", node.flights[at].admission.call().id));
        self.commit(node);
    }

    /// What a flaky upstream does. Never more than the ceiling, but for one in many that lies.
    fn outcome(&mut self, flight: &mut Flight) -> Outcome {
        let Some(tried) = &flight.tried else { return Outcome::failed(OutcomeClass::Timeout, None) };
        let (mut input, mut output) = (tried.input, tried.output);
        if self.rng.percent(85) {
            output = self.rng.below(output.min(60) + 1);
            input = if tried.began { input } else { 1 + self.rng.below(input) };
        }
        if self.traits.lies && self.rng.percent(3) {
            output = 5_000;
            flight.lied = true;
            let scopes = self.scopes(flight.tenant, &tried.channel);
            self.excuse(scopes);
        }
        let usage = Usage { input_uncached: input, output_visible: output, ..Usage::default() };
        let began = |class| Outcome { counted: usage, ..Outcome::failed(class, Some(200)) };
        match self.rng.below(if tried.began { 15 } else { 20 }) {
            0..11 => Outcome::answered(usage),
            // Nothing was reported: it is counted.
            11 => began(OutcomeClass::Ok),
            12 => began(OutcomeClass::Broken),
            13 => began(OutcomeClass::ClientGone),
            14 if tried.began => began(OutcomeClass::Timeout),
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
            _ if self.traits.warps => {
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
        node.batch = journal::gather(&ledger, Some(node.journal.id()), self.clock.now(), false, || {
            std::mem::take(queue)
        });
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
        let before = check::stand(node, self.clock.now());
        if self.rng.percent(50) {
            let record = node.engine.abandon(flight.admission, self.clock.now());
            self.push(node, record);
        } else {
            // The next start writes its record, and an operator who reconciles it.
            drop(flight);
            self.commit(node);
        }
        // Nobody knows what it used: it may have used everything.
        check::same_use(&before, &check::stand(node, self.clock.now()));
    }

    fn reconcile(&mut self, node: &mut Node) {
        let held: Vec<Held> = node.engine.ledger().held().collect();
        if held.is_empty() {
            return;
        }
        let it = self.rng.pick(&held).clone();
        if !it.recorded && it.class.is_some() {
            return self.tell("not reconciled: its call goes on");
        }
        self.tell("reconcile");
        let reserved = if self.rng.percent(50) { Amounts::default() } else { it.reserved() };
        self.reconcile_as(node, &it, reserved);
    }

    /// As the gateway does: the record that the call may lack, then the settlement, then the amendment.
    fn reconcile_as(&mut self, node: &mut Node, held: &Held, used: Amounts) {
        let (call, tried) = (held.call.clone().unwrap(), held.attempt.clone().unwrap());
        let dropped = node.engine.ledger().record_of_dropped(&call);
        if let Some(record) = dropped {
            self.push(node, record);
        }
        // At the list price, whatever the tenant's ratio.
        let of_channel = |it: &&HeldAmount| it.of_channel && it.metric == Metric::Spend;
        let held_cost = held.amounts.iter().filter(of_channel).map(|it| it.amount).max();
        let cost = if used == Amounts::default() { 0 } else { held_cost.unwrap_or(tried.bound_cost) };
        let ending = Ending {
            class: OutcomeClass::Timeout,
            status: None,
            usage: Usage {
                input_uncached: used.input_tokens as u64,
                output_visible: used.output_tokens as u64,
                ..Usage::default()
            },
            source: UsageSource::Counted,
            spend: used.spend,
            cost,
            service_tier: None,
            exchange: None,
            at: self.clock.now(),
        };
        assert!(node.engine.ledger().end(held.id, &ending, self.clock.now()).is_some());
        if self.rng.percent(20) {
            // Nobody comes to write it.
            self.commit(node);
            self.disk.crash_now();
            return;
        }
        let id = amendment_id(&call, tried.number);
        let record = record_of(id, Some(call), vec![(tried, Fate::Ended(ending))]).unwrap();
        self.push(node, record);
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
        let lowers = self.traits.lowers && self.rng.percent(50);
        limit.max = if lowers { limit.max / 2 } else { limit.max * 2 };
        let changed = self.world.chains[tenant][link].clone();
        self.world.changed.insert(changed.scope.clone());
        if lowers {
            self.excuse([changed.scope.clone()]);
        }
        self.tell(format!("{} has another limit", changed.scope));
        for chain in &mut self.world.chains {
            chain
                .iter_mut()
                .filter(|link| link.scope == changed.scope)
                .for_each(|link| link.clone_from(&changed));
        }
        node.callers = (0..self.world.chains.len()).map(|at| self.world.bind(&node.engine, at)).collect();
        node.watched = self.world.watch(&node.engine);
    }

    fn reset(&mut self, node: &mut Node) {
        let cells: Vec<_> = node.watched.iter().map(|of| of.bound.cell).collect();
        if cells.is_empty() {
            return;
        }
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
        let watched = self.world.watch(&engine);
        self.last_ended = None;
        self.excused.clone_from(&self.ever_excused);
        Some(Node {
            engine,
            callers,
            watched,
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
        let flights = node.flights.len();
        drop(node);
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
                check::records(self, &self.confirmed, &self.ended);
                check::books(self, &node);
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
        self.store.tables.lock().unwrap().down = false;
        let held: Vec<_> = node.engine.ledger().held().collect();
        for held in held {
            self.reconcile_as(&mut node, &held, Amounts::default());
            // What would have ended the process does so below.
            self.disk.restart(Crash::Kill);
        }
        assert!(self.checkpoint(&mut node), "nothing is in the way");
        check::nothing_open(self, &node);
        check::records(self, &self.confirmed, &self.ended);
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

/// What a call is charged that was sent and of which nobody heard again.
fn read_only(call: &Call) -> Usage {
    Usage { input_uncached: call.input_estimate, ..Usage::default() }
}
