//! Thousands of histories of calls, crashes and repairs, each decided by its seed, over the ledger, the journal and the
//! recovery that are shipped. Only disk, database, upstreams and clock are simulated, at their ports.
//!
//! `SLUICEGATE_SIM_SEED=n` runs one history, as it failed; `SLUICEGATE_SIM_HISTORIES=n` runs so many (default 10,000), and
//! `SLUICEGATE_SIM_STEPS=n` makes them so long (default 200).
#![expect(unreachable_pub, reason = "the modules of a test have no crate around them")]
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that can't go on fails")]

mod check;
mod disk;
mod history;
mod rng;
mod store;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

use history::{Coverage, History, Report};

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

#[test]
fn no_cap_is_passed_and_nothing_settled_is_lost_or_doubled() {
    let steps = setting("SLUICEGATE_SIM_STEPS").unwrap_or(200);
    if let Some(seed) = setting("SLUICEGATE_SIM_SEED") {
        History::new(seed).run(steps, &mut Report::default());
        return;
    }
    let histories = setting("SLUICEGATE_SIM_HISTORIES").unwrap_or(10_000);
    let next = AtomicU64::new(0);
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let reports: Vec<Result<Report, String>> = std::thread::scope(|scope| {
        let worker = || {
            let mut report = Report::default();
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= histories {
                    return Ok(report);
                }
                let mut history = History::new(seed);
                if catch_unwind(AssertUnwindSafe(|| history.run(steps, &mut report))).is_err() {
                    next.store(histories, Ordering::Relaxed);
                    return Err(format!(
                        "SLUICEGATE_SIM_SEED={seed} SLUICEGATE_SIM_STEPS={steps}\n{}",
                        history.told()
                    ));
                }
            }
        };
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().map(|worker| worker.join().expect("its panics were caught")).collect()
    });
    let mut all = Report::default();
    for report in reports {
        match report {
            Ok(report) => add(&mut all, report),
            Err(failed) => panic!("a history fails; run it again with {failed}"),
        }
    }
    println!(
        "{histories} histories, {} steps, {} calls, {} denied, {} recoveries, {} calls found under way",
        all.steps, all.calls, all.denied, all.recoveries, all.held
    );
    for ((crash, hit), count) in &all.coverage {
        match hit {
            Some((operation, moment)) => println!("  {crash:?} {moment:?} {operation:?}: {count}"),
            None => println!("  {crash:?} between operations: {count}"),
        }
    }
    if histories >= 10_000 {
        assert_eq!(all.coverage.len(), points(), "some place to crash was never met: {:?}", all.coverage);
    }
}

fn add(all: &mut Report, one: Report) {
    let Report { coverage, steps, calls, denied, recoveries, held } = one;
    let merge = |into: &mut Coverage, from: Coverage| {
        from.into_iter().for_each(|(point, count)| *into.entry(point).or_default() += count);
    };
    merge(&mut all.coverage, coverage);
    all.steps += steps;
    all.calls += calls;
    all.denied += denied;
    all.recoveries += recoveries;
    all.held += held;
}

/// Two kinds of crash, six operations, before, amid and after each, or between them.
fn points() -> usize {
    2 * (6 * 3 + 1)
}
