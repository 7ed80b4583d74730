//! One governed call, decided and settled in memory: admit, reserve, settle, finish, with the explanation on.
//!
//! Targets, on one core: the median at most 3, 5 and 15 µs with 4, 20 and 200 candidates; a script of ten lines at most 6 µs
//! more with 4, 20 µs more with 20.
#![allow(missing_docs, reason = "criterion makes functions of its own")]
#![allow(clippy::expect_used, reason = "a bench that can't run fails by panicking")]

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use sluicegate_benches::{CANDIDATES_SCRIPT, NOW, SCRIPT, World, call, usage};
use sluicegate_core::{Admission, Call, Next, Outcome, OutcomeClass};

/// What the gateway allocates with.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn admit(world: &World, call: Call, seed: u64) -> Box<Admission> {
    world.engine.admit(call, &world.caller, NOW, seed).unwrap_or_else(|_| unreachable!("nothing refuses it"))
}

fn governed(world: &World, call: Call, seed: u64) {
    let mut admission = admit(world, call, seed);
    black_box(world.engine.next(&mut admission, NOW));
    world.engine.observe(&mut admission, &Outcome::answered(usage()), NOW);
    black_box(world.engine.finish(admission, None, NOW));
}

fn failing_over(world: &World, call: Call, seed: u64) {
    let mut admission = admit(world, call, seed);
    black_box(world.engine.next(&mut admission, NOW));
    // Not the channel's fault, so that it stays in.
    let failed = Outcome::failed(OutcomeClass::Inexpressible, None);
    world.engine.observe(&mut admission, &failed, NOW);
    let Next::Try(attempt) = world.engine.next(&mut admission, NOW) else { unreachable!("another is there") };
    black_box(attempt);
    world.engine.observe(&mut admission, &Outcome::answered(usage()), NOW);
    black_box(world.engine.finish(admission, None, NOW));
}

fn decide(c: &mut Criterion) {
    let mut group = c.benchmark_group("decide");
    let plain = World::new(&[]).expect("no script");
    let scripted = World::new(&[SCRIPT]).expect("the script compiles");
    let mut seed = 0;
    let mut run = |name: &str, world: &World, one: fn(&World, Call, u64)| {
        group.bench_function(name, |b| {
            b.iter_batched(
                call,
                |call| {
                    seed += 1;
                    one(world, call, seed);
                },
                BatchSize::SmallInput,
            );
        });
    };
    run("governed", &plain, governed);
    run("governed, one failover", &plain, failing_over);
    run("governed, ten-line script", &scripted, governed);
    for count in [20, 200] {
        let world = World::with_candidates(count, &[]).expect("no script");
        run(&format!("governed, {count} candidates"), &world, governed);
    }
    for count in [4, 20] {
        let world = World::with_candidates(count, &[CANDIDATES_SCRIPT]).expect("the script compiles");
        run(&format!("governed, ten-line script over {count} candidates"), &world, governed);
    }
    let hooks = [
        SCRIPT,
        "fn admit(call) { tag(\"in\"); } fn finish(call, usage) { if usage.spend > 1 { alert(\"dear\"); } }",
    ];
    let hooked = World::new(&hooks).expect("the scripts compile");
    run("governed, three hooks", &hooked, governed);
    group.bench_function("explain", |b| {
        b.iter_batched(call, |call| plain.engine.explain(call, &plain.caller, NOW, 7), BatchSize::SmallInput);
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(50)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = decide
}
criterion_main!(benches);
