//! Recorded calls, replayed: records a second on one core, from parsed records and from their JSON as the database has it.
//!
//! Targets, on one core: 150,000 records a second without a script, 50,000 with one of ten lines.
#![allow(missing_docs, reason = "criterion makes functions of its own")]
#![allow(clippy::expect_used, reason = "a bench that can't run fails by panicking")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use sluicegate_benches::{NOW, SCRIPT, World, call, usage};
use sluicegate_core::replay::{Estimates, Replay, Report};
use sluicegate_core::{Outcome, RecordEntry, UsageRecord};

/// What the gateway allocates with.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const RECORDS: u64 = 2_000;

/// What a world writes about calls that come one each millisecond and take 40.
fn records(scripts: &[&str]) -> Vec<UsageRecord> {
    let world = World::new(scripts).expect("the script compiles");
    let record = |n: u64| {
        let now = NOW.plus_ms(i64::try_from(n).unwrap_or(0));
        let Ok(mut admission) = world.engine.admit(call(), &world.caller, now, n) else {
            unreachable!("nothing refuses it")
        };
        black_box(world.engine.next(&mut admission, now));
        world.engine.observe(&mut admission, &Outcome::answered(usage()), now.plus_ms(40));
        world.engine.finish(admission, None, now.plus_ms(40))
    };
    (0..RECORDS).map(record).collect()
}

fn replayed(world: World, records: Vec<UsageRecord>) -> Report {
    let World { engine, caller } = world;
    let mut replay = Replay::new(Arc::new(engine), Estimates::default());
    let (mut report, mut over) = (Report::default(), Vec::new());
    for record in records {
        replay.run(record, &caller, &mut over);
        over.drain(..).for_each(|call| report.add(&call));
    }
    replay.finish_all(&mut over);
    over.iter().for_each(|call| report.add(call));
    assert_eq!((report.counts.calls, report.counts.changed), (RECORDS, 0), "all of it comes out the same");
    report
}

fn replay(c: &mut Criterion) {
    let mut group = c.benchmark_group("replay");
    group.throughput(Throughput::Elements(RECORDS));
    for (name, scripts) in [("without a script", &[][..]), ("ten-line script", &[SCRIPT][..])] {
        let records = records(scripts);
        let world = || World::new(scripts).expect("the script compiles");
        group.bench_function(name, |b| {
            b.iter_batched(
                || (world(), records.clone()),
                |(world, records)| replayed(world, records),
                BatchSize::LargeInput,
            );
        });
        let json: Vec<_> =
            records.iter().map(|it| Arc::clone(RecordEntry::from(it.clone()).json())).collect();
        group.bench_function(format!("{name}, from JSON"), |b| {
            let read = |text: &Arc<str>| serde_json::from_str::<UsageRecord>(text);
            b.iter_batched(
                world,
                |world| replayed(world, json.iter().map(|text| read(text).expect("a record")).collect()),
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(2));
    targets = replay
}
criterion_main!(benches);
