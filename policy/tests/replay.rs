//! Thousands of calls of a small, busy and unlucky world are made by the engine in virtual time, with upstreams that fail, limits
//! that run out and scripts that look at everything. Their records, read back from JSON, are replayed: under the same
//! configuration and scripts every decision must come out as it was recorded.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "replay/world.rs"]
mod world;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use sluicegate_core::decision::SkipReason;
use sluicegate_core::replay::{Dimension, Estimates, Replay, Replayed, Report};
use sluicegate_core::{Denial, Engine, OutcomeClass, Reason, RecordEntry, Snapshot, UsageRecord};
use sluicegate_policy::Policies;
use world::{SCRIPTS, World, caller, declared, sources};

/// A record, as it comes back from the database.
fn read_back(record: &UsageRecord) -> UsageRecord {
    let entry = RecordEntry::from(record.clone());
    let read = entry.record().unwrap();
    assert_eq!(read, *record, "JSON keeps it whole");
    read
}

/// Replays records by these scripts.
fn replay(records: &[UsageRecord], scripts: &[&str], shift_weights: bool) -> Vec<Replayed> {
    let mut estimates = Estimates::default();
    records.iter().for_each(|record| estimates.learn(record));
    let mut declared = declared();
    if shift_weights {
        declared
            .channels
            .iter_mut()
            .for_each(|channel| channel.weight = if channel.id.as_str() == "c" { 100 } else { 1 });
    }
    let policies = Policies::compile(&sources(scripts)).unwrap();
    let mut replay = Replay::new(Engine::new(Snapshot::build(9, declared), Arc::new(policies)), estimates);
    let (mut callers, mut over) = (HashMap::new(), Vec::new());
    for record in records {
        let key = record.key.as_ref().map(|key| key.as_str().to_owned()).unwrap();
        let caller = callers.entry(key).or_insert_with_key(|key| replay.engine().bind(caller(key)));
        let caller = Arc::clone(caller);
        replay.run(read_back(record), &caller, &mut over);
    }
    replay.finish_all(&mut over);
    over
}

fn history(seed: u64, scripts: &[&str]) -> Vec<UsageRecord> {
    let mut world = World::new(seed, scripts);
    world.run(1_000);
    let mut records = world.records;
    // The database gives them by time, then by id.
    records.sort_by(|a, b| (a.started_at, &a.call).cmp(&(b.started_at, &b.call)));
    records
}

#[test]
fn under_the_recorded_policy_every_decision_comes_out_as_recorded() {
    let mut met: BTreeMap<&str, usize> = BTreeMap::new();
    for seed in 0..9 {
        let scripts = if seed % 3 == 0 { &[][..] } else { &SCRIPTS[..] };
        let records = history(seed, scripts);
        records.iter().for_each(|record| note(record, &mut met));
        let over = replay(&records, scripts, false);
        assert_eq!(over.len(), records.len());
        for call in &over {
            let mut want = (*call.recorded).clone();
            want.replay.health = call.replayed.replay.health;
            assert!(call.is_same(), "seed {seed}:\n{want:#?}\n{:#?}", call.replayed);
            assert_eq!(want, call.replayed, "seed {seed}");
            assert_eq!(call.estimated, 0);
            assert!(!call.unheard);
        }
    }
    // A world in which nothing of this happens would prove nothing.
    for what in [
        "ok",
        "refused",
        "retried",
        "fell back",
        "cooldown",
        "channel limit",
        "unaffordable",
        "busy",
        "clamped",
        "downgraded",
        "waited",
        "left",
        "seen",
        "standing",
        "stopped",
        "least_busy",
        "lowest_latency",
        "usage",
        "affinity",
        "lowest_cost",
        "weighted",
        "retry after",
        "policy denial",
        "rewritten",
        "held",
        "tagged",
        "told of the prompt",
        "refused for a word",
        "key fault",
        "last key",
        "own fallbacks",
        "rehearsed",
        "mock",
        "denied for another model",
        "kept from a model",
        "refused by a guardrail",
        "answer refused by a guardrail",
    ] {
        assert!(met.get(what).copied().unwrap_or_default() >= 5, "`{what}` was met too rarely: {met:?}");
    }
}

fn note(record: &UsageRecord, met: &mut BTreeMap<&str, usize>) {
    let mut count = |what, is: bool| *met.entry(what).or_default() += usize::from(is);
    let has = |is: &dyn Fn(&Reason) -> bool| record.replay.explanation.reasons().iter().any(is);
    let excluded = |word: &str| {
        has(&|it| matches!(it, Reason::Excluded { why, .. } if serde_json::to_value(why).unwrap() == word))
    };
    let ranked = |word: &str| {
        has(&|it| matches!(it, Reason::Ranked { by, .. } if serde_json::to_value(by).unwrap() == word))
    };
    count("ok", record.outcome == OutcomeClass::Ok);
    count("refused", record.outcome == OutcomeClass::Denied);
    count("retried", record.attempts.len() > 1);
    count("fell back", has(&|it| matches!(it, Reason::Model { fallback: 1.., .. })));
    count("cooldown", excluded("cooldown"));
    count("channel limit", excluded("channel_limit"));
    count("unaffordable", excluded("unaffordable"));
    count("busy", has(&|it| matches!(it, Reason::Limit { busy: true, .. })));
    count(
        "clamped",
        has(&|it| {
            matches!(it, Reason::Ceiling { why: sluicegate_core::decision::CeilingReason::Clamped, .. })
        }),
    );
    count("downgraded", has(&|it| matches!(it, Reason::Downgraded { .. })));
    count("waited", has(&|it| matches!(it, Reason::Waited { .. })));
    count("left", record.outcome == OutcomeClass::ClientGone);
    count("standing", has(&|it| matches!(it, Reason::Standing { .. })));
    count("stopped", has(&|it| matches!(it, Reason::Policy { verdict, .. } if verdict.contains("stop"))));
    count("seen", has(&|it| matches!(it, Reason::Seen { .. })));
    for by in ["least_busy", "lowest_latency", "usage", "affinity", "lowest_cost", "weighted"] {
        count(by, ranked(by));
    }
    count("retry after", record.attempts.iter().any(|it| it.retry_after_ms.is_some()));
    count("policy denial", record.error.as_deref() == Some("policy_denied"));
    count("rewritten", has(&|it| matches!(it, Reason::Policy { verdict, .. } if verdict.contains("model"))));
    count(
        "denied for another model",
        has(&|it| matches!(it, Reason::Policy { verdict, .. } if verdict.contains("not fast"))),
    );
    count("kept from a model", has(&|it| matches!(it, Reason::Skipped { why: SkipReason::Policy, .. })));
    let guarded = record.error.as_deref() == Some("guardrail_denied");
    count("refused by a guardrail", guarded && record.attempts.is_empty());
    count("answer refused by a guardrail", guarded && !record.attempts.is_empty());
    count("held", record.attempts.iter().any(|it| it.held));
    count("told of the prompt", has(&|it| matches!(it, Reason::Prompt { told, .. } if told.len() == 1)));
    count(
        "refused for a word",
        has(&|it| matches!(it, Reason::Policy { verdict, .. } if verdict.contains("not with us"))),
    );
    let of_keys = |fault| {
        record.attempts.iter().any(|it| {
            it.key.is_some()
                && it.key_fault == fault
                && matches!(it.outcome, OutcomeClass::Auth | OutcomeClass::RateLimited)
        })
    };
    count("key fault", of_keys(true));
    count("last key", of_keys(false));
    count("own fallbacks", record.replay.fallbacks.is_some() && record.attempts.len() > 1);
    count("rehearsed", record.replay.rehearse.is_some() && !record.attempts.is_empty());
    count("mock", record.replay.mock);
    count("tagged", record.replay.sent_tags.is_some());
}

#[test]
fn what_no_record_knows_of_prompts_is_not_found_and_counted() {
    let records = history(1, &SCRIPTS);
    let unheard = |script: &str| {
        let mut report = Report::default();
        replay(&records, &[script], false).iter().for_each(|call| report.add(call));
        report.counts.unheard
    };
    // What a guardrail refused, no script was asked about.
    let asked =
        |it: &&UsageRecord| it.error.as_deref() != Some("guardrail_denied") || !it.attempts.is_empty();
    let all = records.iter().filter(asked).count() as u64;
    assert_eq!(unheard(r#"fn route(call) { if call.text_contains("hello") { tag("greeted"); } }"#), all);
    assert_eq!(
        unheard(
            r#"fn route(call) { if call.text_contains("wEAPONS") || call.text_length > 5 { tag("x"); } }"#
        ),
        0
    );
    assert_eq!(unheard("fn route(call) { }"), 0);
}

#[test]
fn another_policy_moves_traffic_and_its_limits_count_anew() {
    let records = history(1, &SCRIPTS);
    let deny = r#"fn route(call) { if call.key == "k1" { deny("not today"); } exclude("channel:a"); }"#;
    let over = replay(&records, &[deny], false);
    let mut report = Report::default();
    over.iter().for_each(|call| report.add(call));
    assert_eq!(report.counts.calls, records.len() as u64);
    assert!(report.counts.changed > 100, "{:?}", report.counts);
    assert!(report.counts.estimated > 100, "{:?}", report.counts);
    let rows: HashMap<&str, _> = report.rows(Dimension::Channel).collect();
    assert!(rows["a"].recorded.calls > 100);
    assert_eq!(rows["a"].replayed.calls, 0, "nobody is sent there");
    let keys: HashMap<&str, _> = report.rows(Dimension::Key).collect();
    assert_eq!(keys["k1"].replayed.spend, 0);
    assert_eq!(keys["k1"].replayed.denied, keys["k1"].replayed.calls);
    // Both sides are sums of their records.
    let spend = |pick: fn(&Replayed) -> i64| over.iter().map(pick).sum::<i64>();
    assert_eq!(report.total.recorded.spend, spend(|it| it.recorded.spend));
    assert_eq!(report.total.replayed.spend, spend(|it| it.replayed.spend));
}

#[test]
fn more_spend_than_was_recorded_meets_the_limits_that_it_would_have_met() {
    let records = history(0, &[]);
    // Everything goes to the dearest channel, as far as it serves.
    let dear = r#"fn route(call) { prefer("channel:d"); }"#;
    let over = replay(&records, &[dear], false);
    let newly = over.iter().filter(|it| {
        it.recorded.outcome == OutcomeClass::Ok
            && it.replayed.outcome == OutcomeClass::Denied
            && it
                .replayed
                .error
                .as_deref()
                .is_some_and(|code| code == "rate_limited" || code == "insufficient_quota")
    });
    assert!(newly.count() > 5, "dearer calls meet limits that the recorded ones didn't");
    for call in &over {
        // No strict cap is passed in the replay either.
        for reason in call.replayed.replay.explanation.reasons() {
            if let Reason::Limit { used, asked, max, ok, .. } = reason {
                assert_eq!(*ok, (*asked).max(1) <= (max - used).max(0));
            }
        }
    }
    let shifted = replay(&records, &[], true);
    assert!(shifted.iter().any(|it| !it.is_same()), "weights count");
    let denial = Denial::NoChannel { retry_at: None };
    assert_eq!(denial.to_error(records[0].started_at).kind().as_str(), "upstream_unavailable");
}
