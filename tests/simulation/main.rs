//! Thousands of histories of calls, crashes and repairs, each decided by its seed, over the ledger, the journal and the
//! recovery that are shipped. Only disk, database, upstreams and clock are simulated, at their ports.
//!
//! `cargo xtask simulate` runs it with other numbers than these: `SLUICEGATE_SIM_HISTORIES=n` runs so many histories
//! (default 10,000), from seed `SLUICEGATE_SIM_FIRST=n` on (default 0), and `SLUICEGATE_SIM_STEPS=n` makes them so long
//! (default 200). `SLUICEGATE_SIM_SEED=n` runs one, as it failed. A seed means the same history as long as the simulation
//! itself isn't changed.
#![expect(unreachable_pub, reason = "the modules of a test have no crate around them")]
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that can't go on fails")]

mod check;
mod disk;
mod history;
mod rng;
mod store;
mod world;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use history::{Coverage, History, Report};

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

/// A history in which something didn't hold.
struct Violation {
    seed: u64,
    what: String,
    told: String,
}

#[test]
fn no_cap_is_passed_and_nothing_settled_is_lost_or_doubled() {
    let steps = setting("SLUICEGATE_SIM_STEPS").unwrap_or(200);
    let one = setting("SLUICEGATE_SIM_SEED");
    let first = one.or(setting("SLUICEGATE_SIM_FIRST")).unwrap_or_default();
    let histories = one.map_or(setting("SLUICEGATE_SIM_HISTORIES").unwrap_or(10_000), |_| 1);
    let began = Instant::now();
    let (all, violation) = run(first, histories, steps);
    if let Some(Violation { seed, what, told }) = violation {
        println!("violation in history {}: {what}", seed - first + 1);
        println!("its last steps:\n{told}");
        panic!("run it again with: cargo xtask simulate --seed {seed} --steps {steps}");
    }
    println!(
        "{histories} histories from seed {first} in {:.1} s: {} steps, {} operations on disk and database, 0 violations",
        began.elapsed().as_secs_f64(),
        all.steps,
        all.operations
    );
    println!(
        "  {} calls, {} denied, {} recoveries, {} calls found under way",
        all.calls, all.denied, all.recoveries, all.held
    );
    for ((crash, hit), count) in &all.coverage {
        match hit {
            Some((operation, moment)) => println!("  {crash:?} {moment:?} {operation:?}: {count}"),
            None => println!("  {crash:?} between operations: {count}"),
        }
    }
    println!("  {} of {} places to crash were met", all.coverage.len(), points());
    if histories * steps >= 2_000_000 {
        assert_eq!(all.coverage.len(), points(), "some place to crash was never met: {:?}", all.coverage);
    }
}

/// Runs histories on all processors until one fails.
fn run(first: u64, histories: u64, steps: u64) -> (Report, Option<Violation>) {
    let (next, end) = (AtomicU64::new(first), first + histories);
    let worker = || {
        let mut report = Report::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= end {
                return (report, None);
            }
            let mut history = History::new(seed);
            if let Err(why) = catch_unwind(AssertUnwindSafe(|| history.run(steps, &mut report))) {
                next.store(end, Ordering::Relaxed);
                return (report, Some(Violation { seed, what: message(&*why), told: history.told() }));
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let done: Vec<_> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().map(|worker| worker.join().expect("its panics were caught")).collect()
    });
    let (mut all, mut violations) = (Report::default(), Vec::new());
    for (report, violation) in done {
        add(&mut all, report);
        violations.extend(violation);
    }
    (all, violations.into_iter().min_by_key(|violation| violation.seed))
}

/// What a panic said.
fn message(why: &(dyn Any + Send)) -> String {
    let text = why.downcast_ref::<&str>().copied();
    text.or_else(|| why.downcast_ref::<String>().map(String::as_str)).unwrap_or("a panic").to_owned()
}

fn add(all: &mut Report, one: Report) {
    let Report { coverage, steps, operations, calls, denied, recoveries, held } = one;
    let merge = |into: &mut Coverage, from: Coverage| {
        from.into_iter().for_each(|(point, count)| *into.entry(point).or_default() += count);
    };
    merge(&mut all.coverage, coverage);
    all.steps += steps;
    all.operations += operations;
    all.calls += calls;
    all.denied += denied;
    all.recoveries += recoveries;
    all.held += held;
}

/// Two kinds of crash, six operations, before, amid and after each, or between them.
fn points() -> usize {
    2 * (6 * 3 + 1)
}
