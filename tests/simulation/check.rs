//! What must hold.

use std::collections::BTreeSet;

use sluicegate::core::journal::INTERRUPTED;
use sluicegate::core::ledger::{Audit, Balance, Ledger, window_start};
use sluicegate::core::{Metric, Mode, ScopeKind, Timestamp, UsageRecord, Window};

use crate::history::{History, Node, is_counted, is_strict};

/// How one limit stands: what is settled, and what is reserved or held besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stand {
    settled: i64,
    open: i64,
    /// Whether what is over the max is carried into the next window.
    carries: bool,
}

/// How every limit of every tenant stands, in an order that a restart doesn't change.
pub fn stand(node: &Node, now: Timestamp) -> Vec<Stand> {
    let mut ledger = node.engine.ledger();
    let limits = node.callers.iter().flat_map(|caller| caller.limits());
    limits
        .filter(|bound| is_counted(bound.limit.metric))
        .map(|bound| {
            let state = ledger.state(bound, now);
            let carries = bound.limit.mode == Mode::Corrected;
            Stand { settled: state.settled, open: state.reserved.saturating_add(state.held), carries }
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

/// After a crash every limit stands as it stood when everything was last confirmed, or in the middle of what came next, or
/// at its end, or in between: what was confirmed isn't lost, what never happened isn't there, and what was under way is
/// held.
pub fn recovered(history: &History, stood: [&[Stand]; 3], found: &[Stand]) {
    for (at, found) in found.iter().enumerate() {
        let stood: Vec<Stand> = stood.iter().filter_map(|stands| stands.get(at)).copied().collect();
        let fits = |of: fn(&Stand) -> i64| {
            let least = stood.iter().map(of).min().unwrap_or_default();
            let most = stood.iter().map(of).max().unwrap_or_default();
            (least..=most).contains(&of(found))
        };
        // After a clock that went back another window is open than before. And a window that a start finds at its end is
        // carried by the limit of then, which may have been lowered since the window was left.
        let excused = history.warped || found.carries && history.excused;
        let told = excused || fits(|stand| stand.settled) && fits(|stand| stand.settled + stand.open);
        assert!(told, "limit {at} stood as {stood:?}, and is found as {found:?}");
    }
}

/// Each call that ended and was confirmed has its record, and no other has one, but for those that a start found without.
pub fn records(history: &History, confirmed: &BTreeSet<String>, ended: &BTreeSet<String>) {
    let tables = history.store.tables.lock().unwrap();
    for call in confirmed {
        assert!(tables.records.contains_key(call), "{call} was settled, and its record is lost");
    }
    for (call, record) in &tables.records {
        let is_found = record.error.as_deref() == Some(INTERRUPTED) || record.amends.is_some();
        assert!(is_found || ended.contains(call), "{call} never ended, and has a record");
    }
}

/// Balances are what the records say, counter by counter and window by window, right after a start or when everything is
/// stored: nothing is charged without a record.
pub fn books(history: &History, node: &Node) {
    if history.warped {
        return;
    }
    let zone = node.engine.snapshot().declared.quota.time_zone.clone();
    let tables = history.store.tables.lock().unwrap();
    let mut ledger = node.engine.ledger();
    let balances = ledger.balances(history.clock());
    audited(&mut ledger, tables.records.values(), history.clock());
    for caller in &node.callers {
        for bound in caller.limits() {
            let (metric, window) = (bound.limit.metric, bound.limit.window);
            if metric == Metric::Concurrency || matches!(window, Window::RollingMs(_)) {
                continue;
            }
            let scope = caller.caller.chain[bound.link as usize].scope.clone();
            let state = ledger.state(bound, history.clock());
            // The clock has never gone back: nothing is later than the open window.
            let open = window_start(window, history.clock(), &zone);
            let of = |it: &&Balance| it.scope == scope && (it.metric, it.window) == (metric, window);
            let carried: i64 = balances.iter().filter(of).map(|it| it.carried).sum();
            let used = |record: &UsageRecord| -> i64 {
                let is_theirs = match scope.kind {
                    ScopeKind::Key => record.key.as_ref().is_some_and(|key| key.as_str() == &*scope.id),
                    ScopeKind::Group => {
                        record.group.as_ref().is_some_and(|group| group.as_str() == &*scope.id)
                    }
                    _ => true,
                };
                let first = record.attempts.first().filter(|_| is_theirs && record.amends.is_none());
                if metric == Metric::Requests {
                    return i64::from(first.is_some_and(|first| first.started_at >= open));
                }
                let attempts = record.attempts.iter().filter(|attempt| {
                    // What is held was used by nobody yet.
                    is_theirs && !attempt.held && attempt.started_at >= open
                });
                let amounts = attempts.map(|attempt| match metric {
                    Metric::InputTokens => attempt.usage.input_tokens() as i64,
                    Metric::OutputTokens => attempt.usage.output_tokens() as i64,
                    Metric::TotalTokens => attempt.usage.total_tokens() as i64,
                    _ => attempt.spend,
                });
                amounts.sum()
            };
            let recorded: i64 = tables.records.values().map(used).sum();
            assert_eq!(
                state.settled,
                recorded + carried,
                "{} of {scope}: its records say {recorded}, and {carried} more was carried",
                bound.name
            );
        }
    }
}

/// The audit that operators have says the same, of rolling windows and of channels too.
fn audited<'a>(ledger: &mut Ledger, records: impl Iterator<Item = &'a UsageRecord>, now: Timestamp) {
    let books = ledger.books(now);
    let (unrecorded, open) = ledger.unrecorded();
    let mut audit = Audit::new(&books, &unrecorded, &open, false);
    records.for_each(|record| audit.add(record));
    let (differences, compared, left_out) = audit.finish(&books);
    assert_eq!(differences, [], "of {compared} counters");
    assert_eq!(left_out, 0);
}
