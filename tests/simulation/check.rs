//! What must hold.

use std::collections::{BTreeMap, BTreeSet};

use sluicegate::core::ledger::window_start;
use sluicegate::core::{Metric, ScopeKind, Timestamp, Window};

use crate::history::{History, Node, is_counted, is_strict};

/// How one limit stands: what is settled, and what is reserved or held besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stand {
    settled: i64,
    open: i64,
}

/// How every limit of every tenant stands, in an order that a restart doesn't change.
pub fn stand(node: &Node, now: Timestamp) -> Vec<Stand> {
    let mut ledger = node.engine.ledger();
    let limits = node.callers.iter().flat_map(|caller| caller.limits());
    limits
        .filter(|bound| is_counted(bound.limit.metric))
        .map(|bound| {
            let state = ledger.state(bound, now);
            Stand { settled: state.settled, open: state.reserved.saturating_add(state.held) }
        })
        .collect()
}

/// The promise: settled + reserved + held ≤ max, at every instant.
pub fn within(history: &History, node: &Node) {
    if !history.excused {
        strict(history, node, history.clock());
    }
}

/// The same, right after something was granted: also when limits were lowered before, unless an upstream used more than
/// its ceiling.
pub fn strict(history: &History, node: &Node, now: Timestamp) {
    if history.excused {
        return;
    }
    let mut ledger = node.engine.ledger();
    for bound in node.callers.iter().flat_map(|caller| caller.limits()) {
        if is_strict(bound.limit.mode) {
            let state = ledger.state(bound, now);
            let used = state.settled + state.reserved + state.held;
            assert!(used <= bound.limit.max, "{} passes its max: {state:?}", bound.name);
        }
    }
}

/// After a crash every limit stands as it stood when everything was last confirmed, or as it stood at the end, or in
/// between: what was confirmed isn't lost, what never happened isn't there, and what was under way is held.
pub fn recovered(history: &History, confirmed: &[Stand], ended: &[Stand], now: &[Stand]) {
    assert_eq!(confirmed.len(), now.len());
    for (at, ((before, end), now)) in confirmed.iter().zip(ended).zip(now).enumerate() {
        let settled = before.settled.min(end.settled)..=before.settled.max(end.settled);
        let (used, last) = (before.settled + before.open, end.settled + end.open);
        let used = used.min(last)..=used.max(last);
        // A window that the clock has left since isn't open after a start by a clock that went back.
        let told = history.warped
            || settled.contains(&now.settled) && used.contains(&(now.settled + now.open));
        assert!(told, "limit {at} stood as {before:?}, then as {end:?}, and is found as {now:?}");
    }
}

/// Each call that ended and was confirmed has its record, and no other has one.
pub fn records(history: &History, confirmed: &BTreeSet<String>, ended: &BTreeSet<String>) {
    let tables = history.store.tables.lock().unwrap();
    for call in confirmed {
        assert!(tables.records.contains_key(call), "{call} was settled, and its record is lost");
    }
    for call in tables.records.keys() {
        assert!(ended.contains(call), "{call} never ended, and has a record");
    }
}

/// Balances are what the records say, counter by counter and window by window.
pub fn books(history: &History, node: &Node) {
    if history.warped || history.by_hand {
        return;
    }
    let zone = node.engine.snapshot().declared.quota.time_zone.clone();
    let tables = history.store.tables.lock().unwrap();
    let mut ledger = node.engine.ledger();
    for caller in &node.callers {
        for bound in caller.limits() {
            let (metric, window) = (bound.limit.metric, bound.limit.window);
            // Requests of calls that nobody finished have no record, and what is carried belongs to no call.
            if !is_strict(bound.limit.mode)
                || matches!(metric, Metric::Requests | Metric::Concurrency)
                || matches!(window, Window::RollingMs(_))
            {
                continue;
            }
            let scope = caller.caller.chain[bound.link as usize].scope.clone();
            let state = ledger.state(bound, history.clock());
            let open = window_start(window, history.clock(), &zone);
            let mut sum = 0;
            let mut seen = BTreeMap::new();
            for record in tables.records.values() {
                let is_theirs = match scope.kind {
                    ScopeKind::Key => record.key.as_ref().is_some_and(|key| key.as_str() == &*scope.id),
                    ScopeKind::Group => record.group.as_ref().is_some_and(|group| group.as_str() == &*scope.id),
                    _ => true,
                };
                for attempt in record.attempts.iter().filter(|_| is_theirs) {
                    if window_start(window, attempt.started_at, &zone) != open {
                        continue;
                    }
                    let used = match metric {
                        Metric::InputTokens => attempt.usage.input_tokens() as i64,
                        Metric::OutputTokens => attempt.usage.output_tokens() as i64,
                        Metric::TotalTokens => attempt.usage.total_tokens() as i64,
                        _ => attempt.spend,
                    };
                    // What is held was used by nobody yet.
                    if !attempt.held {
                        sum += used;
                        seen.insert(record.call.to_string(), used);
                    }
                }
            }
            assert_eq!(state.settled, sum, "{} of {scope} isn't what its records say: {seen:?}", bound.name);
        }
    }
}
