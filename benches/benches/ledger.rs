//! Reserving and settling under contention: 1, 2 and 8 threads, all of one key, or each of its own key in one group. Three
//! scopes with three strict limits each.
#![allow(missing_docs, reason = "criterion makes functions of its own")]
#![allow(clippy::expect_used, reason = "a bench that can't run fails by panicking")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use sluicegate_benches::{NOW, USED, World, ask};
use sluicegate_core::engine::BoundCaller;
use sluicegate_core::ids::CallId;
use sluicegate_core::ledger::Reserve;

/// What the gateway allocates with.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn calls(world: &World, caller: &BoundCaller, count: u64) {
    let call = CallId::from("call-0190f5a2-7c1e");
    for _ in 0..count {
        let said = world.engine.ledger().try_reserve(&ask(&call, caller), NOW);
        let Reserve::Granted(grant) = said else { unreachable!("nothing refuses it") };
        black_box(world.engine.ledger().settle(grant.id, USED, USED, NOW));
    }
}

/// How long all threads together take for `count` calls.
fn together(world: &World, callers: &[Arc<BoundCaller>], count: u64) -> Duration {
    let each = count.div_ceil(callers.len() as u64);
    let began = Instant::now();
    std::thread::scope(|scope| {
        for caller in callers {
            scope.spawn(|| calls(world, caller, each));
        }
    });
    began.elapsed()
}

fn ledger(c: &mut Criterion) {
    let world = World::new(&[]).expect("no script");
    let mut group = c.benchmark_group("ledger");
    group.throughput(Throughput::Elements(1));
    for threads in [1, 2, 8] {
        let one_key: Vec<_> = (0..threads).map(|_| Arc::clone(&world.caller)).collect();
        let one_group: Vec<_> = (0..threads).map(|at| world.member(10 + at)).collect();
        for (name, callers) in [("one hot key", one_key), ("one hot group", one_group)] {
            group.bench_function(BenchmarkId::new(name, threads), |b| {
                b.iter_custom(|count| together(&world, &callers, count));
            });
        }
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = ledger
}
criterion_main!(benches);
