//! What must hold.

use std::collections::{BTreeMap, BTreeSet};

use sluicegate::core::journal::INTERRUPTED;
use sluicegate::core::ledger::{Audit, Balance, Ledger, bucket_ms, window_start};
use sluicegate::core::{Metric, Mode, Scope, ScopeKind, Timestamp, Usage, UsageRecord, Window};

use crate::history::{History, Node};
use crate::world::Watched;

/// How one limit stands: what is settled, and what is reserved or held besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stand {
    settled: i64,
    open: i64,
    /// Whether a start may carry something else into it than the process before did.
    loose: bool,
}

impl Stand {
    fn used(self) -> i64 {
        self.settled + self.open
    }
}

/// How every limit stands whose use outlives a process: slots don't.
pub fn stand(node: &Node, now: Timestamp) -> Vec<Stand> {
    let mut ledger = node.engine.ledger();
    node.watched
        .iter()
        .filter(|of| of.bound.limit.metric != Metric::Concurrency)
        .map(|Watched { bound, changed, .. }| {
            let state = ledger.state(bound, now);
            // A window that a start finds at its end is carried by the limit of then.
            let loose = *changed && bound.limit.mode == Mode::Corrected;
            Stand { settled: state.settled, open: state.reserved.saturating_add(state.held), loose }
        })
        .collect()
}

/// By how much each scope is over one of its strict limits.
fn over<'a>(history: &History, node: &'a Node) -> BTreeMap<&'a Scope, String> {
    let mut ledger = node.engine.ledger();
    let strict = node.watched.iter().filter(|of| of.bound.limit.mode == Mode::Strict);
    strict
        .filter_map(|Watched { scope, bound, .. }| {
            let state = ledger.state(bound, history.clock());
            let used = state.settled + state.reserved + state.held;
            (used > bound.limit.max).then(|| (scope, format!("{} of {scope}: {state:?}", bound.name)))
        })
        .collect()
}

/// The promise: settled + reserved + held ≤ max, at every instant. Excused is a scope whose limit was lowered below what
/// was used, or whose upstream used more than its ceiling, until it is below its max again.
pub fn within(history: &mut History, node: &Node) {
    let over = over(history, node);
    for (scope, found) in &over {
        assert!(history.excused.contains(scope), "a limit is passed: {found}");
    }
    history.excused.retain(|scope| over.contains_key(scope));
}

/// What was just granted fits every limit that it was asked of, whatever happened before.
pub fn granted(history: &History, node: &Node, scopes: &[Scope], is_first: bool) {
    let mut ledger = node.engine.ledger();
    for Watched { scope, bound, .. } in &node.watched {
        // A tenant's requests are counted with a call's first attempt.
        let is_asked = scopes.contains(scope)
            && (is_first || bound.limit.metric != Metric::Requests || scope.kind == ScopeKind::Channel);
        if is_asked && bound.limit.mode == Mode::Strict {
            let state = ledger.state(bound, history.clock());
            let used = state.settled + state.reserved + state.held;
            assert!(used <= bound.limit.max, "granted past a limit: {} of {scope}: {state:?}", bound.name);
        }
    }
}

/// Nothing was freed and nothing was taken.
pub fn same_use(before: &[Stand], after: &[Stand]) {
    for (at, (before, after)) in before.iter().zip(after).enumerate() {
        assert_eq!(before.used(), after.used(), "limit {at} counts something else: {before:?}, {after:?}");
    }
}

/// Nobody is under way and nothing is held, so nothing may count but what is settled.
pub fn nothing_open(history: &History, node: &Node) {
    let mut ledger = node.engine.ledger();
    for Watched { scope, bound, .. } in &node.watched {
        let state = ledger.state(bound, history.clock());
        let name = &bound.name;
        assert_eq!((state.reserved, state.held), (0, 0), "{name} of {scope} is reserved for nobody");
    }
}

/// Each attempt is charged what its upstream did, and within its ceiling never more than was reserved.
pub fn charged(record: &UsageRecord, due: &[Usage], lied: bool) {
    let call = &record.call;
    assert_eq!(record.attempts.len(), due.len(), "{call} has another number of attempts");
    for (attempt, due) in record.attempts.iter().zip(due).filter(|(attempt, _)| !attempt.held) {
        assert_eq!(attempt.usage, *due, "{call} is charged something else than was used");
        let (spend, reserved) = (attempt.spend, attempt.reserved);
        assert!(lied || spend <= reserved, "{call} costs {spend}, and only {reserved} was reserved");
    }
}

/// After a crash every limit stands as it stood when everything was last confirmed, or in the middle of what came next, or
/// at its end, or in between: what was confirmed isn't lost, what never happened isn't there, and what was under way is
/// held.
pub fn recovered(history: &History, stood: [&[Stand]; 3], found: &[Stand]) {
    for (at, found) in found.iter().enumerate() {
        let stood: Vec<Stand> = stood.iter().filter_map(|stands| stands.get(at)).copied().collect();
        let fits = |of: fn(Stand) -> i64| {
            let all = || stood.iter().map(|stand| of(*stand));
            let (least, most) = (all().min().unwrap_or_default(), all().max().unwrap_or_default());
            (least..=most).contains(&of(*found))
        };
        // After a clock that went back another window is open than before.
        let told = history.warped || found.loose || fits(|stand| stand.settled) && fits(Stand::used);
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
    let tables = history.store.tables.lock().unwrap();
    let zone = node.engine.snapshot().declared.quota.time_zone.clone();
    let mut ledger = node.engine.ledger();
    let balances = ledger.balances(history.clock());
    audited(&mut ledger, tables.records.values(), history.clock());
    for watched in &node.watched {
        let (metric, window) = (watched.bound.limit.metric, watched.bound.limit.window);
        if metric == Metric::Concurrency {
            continue;
        }
        // The clock never went back: what began later than the window began in it.
        let open = window_start(window, history.clock(), &zone);
        let since = match window {
            Window::RollingMs(length_ms) => open.plus_ms(-59 * bucket_ms(length_ms)),
            _ => open,
        };
        let of = |it: &&Balance| it.scope == watched.scope && (it.metric, it.window) == (metric, window);
        let carried: i64 = balances.iter().filter(of).map(|it| it.carried).sum();
        let recorded: i64 = tables.records.values().map(|record| recorded(watched, since, record)).sum();
        let settled = ledger.state(&watched.bound, history.clock()).settled;
        assert_eq!(
            settled,
            recorded + carried,
            "{} of {}: its records say {recorded}, and {carried} more was carried",
            watched.bound.name,
            watched.scope
        );
    }
}

/// What a record says of a limit, of attempts that were sent from `since` on.
fn recorded(watched: &Watched, since: Timestamp, record: &UsageRecord) -> i64 {
    let (scope, limit) = (&watched.scope, &watched.bound.limit);
    let is_theirs = match scope.kind {
        ScopeKind::Key => record.key.as_ref().is_some_and(|key| key.as_str() == &*scope.id),
        ScopeKind::Group => record.group.as_ref().is_some_and(|group| group.as_str() == &*scope.id),
        _ => true,
    };
    if !is_theirs {
        return 0;
    }
    let of_channel = scope.kind == ScopeKind::Channel;
    // A call counts once for its tenant, an attempt once for its channel.
    let counted = if of_channel || limit.metric != Metric::Requests { usize::MAX } else { 1 };
    let attempts = record.attempts.iter().take(counted);
    let theirs = attempts.filter(|attempt| {
        attempt.started_at >= since && (!of_channel || attempt.channel.as_str() == &*scope.id)
    });
    let amounts = theirs.map(|attempt| match limit.metric {
        Metric::Requests => i64::from(record.amends.is_none()),
        // What is held was used by nobody yet.
        _ if attempt.held => 0,
        Metric::InputTokens => attempt.usage.input_tokens() as i64,
        Metric::OutputTokens => attempt.usage.output_tokens() as i64,
        Metric::TotalTokens => attempt.usage.total_tokens() as i64,
        _ if of_channel => attempt.cost,
        _ => attempt.spend,
    });
    amounts.sum()
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
