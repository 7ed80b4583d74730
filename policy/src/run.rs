//! The state of the run under way.
//!
//! Values in a script must own what they show, so a view of the call can't borrow it. The facts of a run are therefore
//! kept here, once for each thread, and views are mere handles. A run never leaves its thread, never waits and never
//! starts another, so each thread has at most one.

use std::cell::{Cell, RefCell};

use rhai::{EvalAltResult, Position};
use sluicegate_core::ports::{Hook, Verdict};
use sluicegate_core::snapshot::Reach;

use crate::facts::{AttemptFacts, CallFacts, CandidateFacts, UsageFacts};
use crate::sandbox::FUEL;

/// What native functions give to scripts: a value, or an error that ends the run.
pub(crate) type Outcome<T> = Result<T, Box<EvalAltResult>>;

/// How many bytes a native function works through for one operation.
const BYTES_PER_OPERATION: usize = 16;

thread_local! {
    static RUN: RefCell<Option<Run>> = const { RefCell::new(None) };
    static OPERATIONS: Cell<u64> = const { Cell::new(0) };
    static CHARGED: Cell<u64> = const { Cell::new(0) };
    static LIMIT: Cell<u64> = const { Cell::new(FUEL) };
}

/// What a run sees, and what it has said so far.
pub(crate) struct Run {
    pub(crate) hook: Hook,
    pub(crate) call: CallFacts,
    pub(crate) candidates: Vec<CandidateFacts>,
    /// In `on_error`.
    pub(crate) attempt: Option<AttemptFacts>,
    /// In `finish`.
    pub(crate) usage: Option<UsageFacts>,
    pub(crate) verdict: Verdict,
    /// Whose calls the script steers: how far it sees.
    pub(crate) reach: Reach,
    /// Sets apart what different scripts draw from one seed.
    pub(crate) salt: u64,
    /// How many times the script has drawn.
    pub(crate) draws: u64,
}

impl Run {
    pub(crate) fn new(hook: Hook, call: CallFacts) -> Self {
        Self {
            hook,
            call,
            candidates: Vec::new(),
            attempt: None,
            usage: None,
            verdict: Verdict::default(),
            reach: Reach::Everybody,
            salt: 0,
            draws: 0,
        }
    }
}

/// Makes `run` the one under way on this thread.
pub(crate) fn begin(run: Run) {
    RUN.with(|slot| *slot.borrow_mut() = Some(run));
}

/// Ends the run of this thread.
pub(crate) fn end() {
    RUN.with(|slot| *slot.borrow_mut() = None);
}

/// Starts the next script of the run: an empty verdict and a full tank.
pub(crate) fn start_script(salt: u64, reach: Reach) {
    refuel();
    RUN.with(|slot| {
        if let Some(run) = slot.borrow_mut().as_mut() {
            run.verdict = Verdict::default();
            run.salt = salt;
            run.reach = reach;
            run.draws = 0;
        }
    });
}

/// What the script said.
pub(crate) fn take_verdict() -> Verdict {
    RUN.with(|slot| {
        slot.borrow_mut().as_mut().map(|run| std::mem::take(&mut run.verdict)).unwrap_or_default()
    })
}

/// Reads or changes the run under way. An error when there is none: constants are worked out before any call.
pub(crate) fn with<T>(body: impl FnOnce(&mut Run) -> Outcome<T>) -> Outcome<T> {
    RUN.with(|slot| match slot.borrow_mut().as_mut() {
        Some(run) => body(run),
        None => Err("this works inside hooks only: constants are worked out before there is a call".into()),
    })
}

/// Fills the tank.
pub(crate) fn refuel() {
    refuel_to(FUEL);
}

/// Fills the tank with another amount of fuel than calls get.
pub(crate) fn refuel_to(limit: u64) {
    OPERATIONS.set(0);
    CHARGED.set(0);
    LIMIT.set(limit);
}

/// Runs something that has a tank of its own, and puts the one under way back afterwards.
pub(crate) fn aside<T>(body: impl FnOnce() -> T) -> T {
    let tank = (OPERATIONS.get(), CHARGED.get(), LIMIT.get());
    let result = body();
    OPERATIONS.set(tank.0);
    CHARGED.set(tank.1);
    LIMIT.set(tank.2);
    result
}

/// Notes how many operations the script runtime has counted. Whether fuel is left.
pub(crate) fn progress(operations: u64) -> bool {
    // A native function that calls a closure (`map`, `sort`) has the runtime count on from where it was called, and then forget
    // that: what goes back, or stays, was used all the same.
    let before = OPERATIONS.replace(operations);
    if operations <= before {
        CHARGED.set(CHARGED.get() + before - operations + 1);
    }
    operations + CHARGED.get() <= LIMIT.get()
}

/// Charges a native function for the bytes that it is about to work through.
pub(crate) fn charge(bytes: usize) -> Outcome<()> {
    charge_operations((bytes / BYTES_PER_OPERATION) as u64)
}

/// Charges a native function for work that counts as so many operations, before it is done.
pub(crate) fn charge_operations(operations: u64) -> Outcome<()> {
    let charged = CHARGED.get().saturating_add(operations);
    let left = LIMIT.get().saturating_sub(OPERATIONS.get());
    if charged <= left {
        CHARGED.set(charged);
        return Ok(());
    }
    // The tank is empty from here on; what isn't done isn't used.
    CHARGED.set(CHARGED.get().max(left + 1));
    Err(EvalAltResult::ErrorTooManyOperations(Position::NONE).into())
}

/// Operations used since the tank was filled.
pub(crate) fn fuel_used() -> u64 {
    OPERATIONS.get() + CHARGED.get()
}
