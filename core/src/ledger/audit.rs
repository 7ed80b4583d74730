//! Whether balances are what usage records say.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::cell::Cell;
use super::reservation::Phase;
use super::window::bucket_ms;
use super::{CellId, Ledger};
use crate::decision::Reason;
use crate::ids::CallId;
use crate::journal::{CounterKey, Fate, Tried, record_of};
use crate::limit::{Metric, Scope, ScopeKind, Window};
use crate::record::{AttemptRecord, UsageRecord};
use crate::tenant::matches_pattern;
use crate::time::Timestamp;

/// How a counter stands in one window, for an audit; of a rolling window in one bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Book {
    /// The counter.
    pub key: CounterKey,
    /// When the window began.
    pub start: Timestamp,
    /// When it ends.
    pub end: Timestamp,
    /// What is settled in it.
    pub settled: i64,
    /// Of that, what no record says: carried in, or (negative) set back.
    pub carried: i64,
    /// What is held in it.
    pub held: i64,
    /// What the held reservations that are listed hold in it.
    pub listed: i64,
    /// Whether a limit counts here now.
    pub bound: bool,
}

/// A balance that isn't what the records say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Whose counter, of what, over which time, for which model.
    #[serde(flatten)]
    pub counter: CounterKey,
    /// When its window began.
    pub window_start: Timestamp,
    /// Whether it is what is held that differs, and not what is settled.
    pub of_held: bool,
    /// What the balance is.
    pub balance: i64,
    /// What it should be: what the records say and what was carried; or what the listed reservations hold.
    pub expected: i64,
}

/// Compares balances with usage records: taken in before, while and after the records are read, so that a ledger in use
/// can be audited.
#[derive(Debug)]
pub struct Audit {
    grouped_users: bool,
    counters: Vec<Counter>,
    of: HashMap<Scope, Vec<usize>>,
}

#[derive(Debug)]
struct Counter {
    key: CounterKey,
    /// The open window; of a rolling one, everything that is still in it.
    from: i64,
    to: i64,
    /// The first balances, by the window's or bucket's start.
    before: BTreeMap<i64, (i64, i64)>,
    recorded: BTreeMap<i64, i64>,
    /// What was counted before and isn't in any record yet.
    pending: BTreeMap<i64, i64>,
    bound: bool,
    /// Kept out of the comparison: its records aren't all there.
    skip: bool,
    /// What it should be comes from sums, and not from records.
    summed: bool,
    /// When limits were put on it: calls that were under way then may or may not be counted.
    put: Vec<(i64, i64)>,
}

impl Audit {
    /// Begins with the balances as they stand, and the calls that have no record yet. `grouped_users`: whether users'
    /// limits also count what is used in groups.
    pub fn new(
        books: &[Book],
        unrecorded: &[UsageRecord],
        open: &[UsageRecord],
        grouped_users: bool,
    ) -> Self {
        let mut it = Self { grouped_users, counters: Vec::new(), of: HashMap::new() };
        let mut known: HashMap<&CounterKey, usize> = HashMap::new();
        for book in books {
            let at = *known.entry(&book.key).or_insert_with(|| {
                it.of.entry(book.key.scope.clone()).or_default().push(it.counters.len());
                it.counters.push(Counter {
                    key: book.key.clone(),
                    from: book.start.as_ms(),
                    to: book.end.as_ms(),
                    before: BTreeMap::new(),
                    recorded: BTreeMap::new(),
                    pending: BTreeMap::new(),
                    // A customer's or a tag's may have begun after its window did.
                    bound: book.bound && !book.key.scope.is_named(),
                    // Records don't tell whose use is in a shared one.
                    skip: book.key.scope.is_shared(),
                    summed: false,
                    put: Vec::new(),
                });
                it.counters.len() - 1
            });
            if let Some(counter) = it.counters.get_mut(at) {
                counter.from = counter.from.min(book.start.as_ms());
                counter.to = counter.to.max(book.end.as_ms());
                counter.before.insert(book.start.as_ms(), (book.settled, book.carried));
            }
        }
        unrecorded.iter().for_each(|record| it.count(record, false, |counter| &mut counter.pending));
        open.iter().for_each(|record| it.count(record, true, |counter| &mut counter.pending));
        it
    }

    /// Takes a usage record.
    pub fn add(&mut self, record: &UsageRecord) {
        self.count(record, false, |counter| &mut counter.recorded);
    }

    /// The counters whose windows began before `at`, when not all records from then on are there any more: they are left
    /// out unless [`Self::recorded`] says what they should be.
    pub fn without(&mut self, at: Timestamp) -> Vec<CounterKey> {
        let old = |counter: &&mut Counter| counter.from < at.as_ms();
        let mut keys = Vec::new();
        for counter in self.counters.iter_mut().filter(old) {
            counter.skip = true;
            keys.push(counter.key.clone());
        }
        keys
    }

    /// What a counter that was left out has by sums that outlived its records.
    pub fn recorded(&mut self, key: &CounterKey, start: Timestamp, amount: i64) {
        if let Some(counter) = self.counter(key) {
            (counter.skip, counter.summed) = (false, true);
            counter.recorded = BTreeMap::from([(start.as_ms(), amount)]);
        }
    }

    /// A limit was put on a counter between these times, and none was before: calls that were under way then were let in without
    /// it, and whatever of them is counted there or isn't is right.
    pub fn put_between(&mut self, key: &CounterKey, from: Timestamp, to: Timestamp) {
        if let Some(counter) = self.counter(key) {
            counter.put.push((from.as_ms(), to.as_ms()));
        }
    }

    /// A limit was put on a counter at this time or before, and nobody knows when: whatever of calls that began by then is counted
    /// there or isn't is right. Where sums are all that is left of those, it is compared from above alone.
    pub fn put_before(&mut self, key: &CounterKey, to: Timestamp) {
        if let Some(counter) = self.counter(key) {
            counter.put.push((i64::MIN, to.as_ms()));
        }
    }

    fn counter(&mut self, key: &CounterKey) -> Option<&mut Counter> {
        let mut of_scope = self.of.get(&key.scope)?.iter();
        let at = *of_scope.find(|at| self.counters.get(**at).is_some_and(|it| it.key == *key))?;
        self.counters.get_mut(at)
    }

    /// What differs, with the balances as they stand afterwards; how many counters were compared, and how many weren't.
    /// A counter on which no limit stands any more may have missed calls, and is only compared from above.
    pub fn finish(self, after: &[Book]) -> (Vec<Difference>, usize, usize) {
        let mut stands: HashMap<(&CounterKey, i64), &Book> = HashMap::new();
        let mut differences: Vec<Difference> = Vec::new();
        for book in after {
            stands.insert((&book.key, book.start.as_ms()), book);
            if book.held != book.listed {
                differences.push(Difference {
                    counter: book.key.clone(),
                    window_start: book.start,
                    of_held: true,
                    balance: book.held,
                    expected: book.listed,
                });
            }
        }
        let (mut compared, mut left_out) = (0, 0);
        for counter in &self.counters {
            if counter.skip {
                left_out += 1;
                continue;
            }
            compared += 1;
            let is_unknown = counter.summed && counter.put.iter().any(|(from, _)| *from == i64::MIN);
            let bound = counter.bound && !is_unknown;
            let starts = counter.before.keys().chain(counter.recorded.keys());
            for start in starts.collect::<std::collections::BTreeSet<_>>() {
                let of = |sums: &BTreeMap<i64, i64>| sums.get(start).copied().unwrap_or_default();
                let (before, carried) = counter.before.get(start).copied().unwrap_or_default();
                let later = stands.get(&(&counter.key, *start)).map(|book| book.settled);
                let expected = of(&counter.recorded).saturating_add(carried);
                let most = expected.saturating_add(of(&counter.pending));
                let too_much = before > most;
                let too_little = bound && expected > later.unwrap_or(before).max(before);
                if too_much || too_little {
                    differences.push(Difference {
                        counter: counter.key.clone(),
                        window_start: Timestamp::from_ms(*start),
                        of_held: false,
                        balance: before,
                        expected: if too_much { most } else { expected },
                    });
                }
            }
        }
        (differences, compared, left_out)
    }

    fn count(&mut self, record: &UsageRecord, requests_only: bool, sums: SumsOf) {
        let Some(first) = record.attempts.first() else { return };
        let served = served_model(record).unwrap_or(first.model.as_str());
        let is_for = |counter: &Counter| {
            let matches = |model: &str, name: &str| matches_pattern(model, name);
            counter.key.model.as_ref().is_none_or(|model| {
                matches(model.as_str(), served) || matches(model.as_str(), record.model.as_str())
            })
        };
        for scope in tenants(record, self.grouped_users) {
            for at in self.of.get(&scope).into_iter().flatten() {
                let Some(counter) = self.counters.get_mut(*at).filter(|it| is_for(it)) else { continue };
                let sums = counter.sums_of(record, sums);
                if counter.key.metric == Metric::Requests {
                    if record.amends.is_none() {
                        counter.note(first.started_at, 1, sums);
                    }
                } else if !requests_only {
                    for attempt in record.attempts.iter().filter(|attempt| !attempt.held) {
                        counter.note(
                            attempt.started_at,
                            amount(attempt, counter.key.metric, attempt.spend),
                            sums,
                        );
                    }
                }
            }
        }
        for attempt in &record.attempts {
            let scope = Scope::new(ScopeKind::Channel, attempt.channel.as_str());
            for at in self.of.get(&scope).into_iter().flatten() {
                let Some(counter) = self.counters.get_mut(*at).filter(|it| is_for(it)) else { continue };
                let sums = counter.sums_of(record, sums);
                if counter.key.metric == Metric::Requests {
                    if record.amends.is_none() {
                        counter.note(attempt.started_at, 1, sums);
                    }
                } else if !requests_only && !attempt.held {
                    counter.note(attempt.started_at, amount(attempt, counter.key.metric, attempt.cost), sums);
                }
            }
        }
    }
}

/// Which sums of a counter are meant.
type SumsOf = fn(&mut Counter) -> &mut BTreeMap<i64, i64>;

impl Counter {
    /// Where a record is noted: what may or may not be counted is what the balance may be more by.
    fn sums_of(&self, record: &UsageRecord, sums: SumsOf) -> SumsOf {
        let (began, ended) = (record.started_at.as_ms(), record.ended_at.as_ms());
        match self.put.iter().any(|(from, to)| began <= *to && ended >= *from) {
            true => |counter| &mut counter.pending,
            false => sums,
        }
    }

    fn note(&mut self, at: Timestamp, amount: i64, sums: SumsOf) {
        let at = at.as_ms();
        if self.skip || self.summed || at < self.from || at >= self.to || amount == 0 {
            return;
        }
        let start = match self.key.window {
            Window::RollingMs(ms) => {
                let width = bucket_ms(ms).max(1);
                at.div_euclid(width).saturating_mul(width)
            }
            _ => self.from,
        };
        let sum = sums(self).entry(start).or_default();
        *sum = sum.saturating_add(amount);
    }
}

fn amount(attempt: &AttemptRecord, metric: Metric, spend: i64) -> i64 {
    let count = |tokens: u64| i64::try_from(tokens).unwrap_or(i64::MAX);
    match metric {
        Metric::InputTokens => count(attempt.usage.input_tokens()),
        Metric::OutputTokens => count(attempt.usage.output_tokens()),
        Metric::TotalTokens => count(attempt.usage.total_tokens()),
        Metric::Spend => spend,
        Metric::Requests | Metric::Concurrency => 0,
    }
}

/// The model that served the request, aliases followed.
fn served_model(record: &UsageRecord) -> Option<&str> {
    record.replay.explanation.reasons().iter().find_map(|reason| match reason {
        Reason::Model { model, fallback: 0 } => Some(model.as_str()),
        _ => None,
    })
}

/// The scopes that a call may count in.
fn tenants(record: &UsageRecord, grouped_users: bool) -> Vec<Scope> {
    let mut scopes = vec![Scope::new(ScopeKind::Global, "")];
    // An operator's call, which nobody owns, counts in no organization.
    if record.key.is_some() || record.user.is_some() {
        scopes.push(Scope::new(ScopeKind::Organization, record.organization.as_str()));
    }
    let mut add = |kind, id: Option<&str>| scopes.extend(id.map(|id| Scope::new(kind, id)));
    add(ScopeKind::Key, record.key.as_ref().map(|id| id.as_str()));
    add(ScopeKind::Group, record.group.as_ref().map(|id| id.as_str()));
    let counts_user = record.group.is_none() || grouped_users;
    add(ScopeKind::User, record.user.as_ref().filter(|_| counts_user).map(|id| id.as_str()));
    if let (Some(group), Some(user)) = (&record.group, &record.user) {
        scopes.push(Scope::new(ScopeKind::Membership, format!("{group}/{user}")));
    }
    let named = |kind, name: &str| Scope::named(kind, record.organization.as_str(), name);
    scopes.extend(record.customer.iter().map(|name| named(ScopeKind::Customer, name)));
    scopes.extend(record.tags.iter().map(|name| named(ScopeKind::Tag, name)));
    scopes
}

impl Ledger {
    /// How every counter stands in its open window, for an audit; of a rolling window each bucket with something in it, and
    /// the one under way.
    pub fn books(&mut self, now: Timestamp) -> Vec<Book> {
        let mut listed: HashMap<(u32, i64), i64> = HashMap::new();
        for (_, reservation) in self.reservations.iter(Phase::Held) {
            for entry in &reservation.entries {
                let sum = listed.entry((entry.cell, entry.start)).or_default();
                *sum = sum.saturating_add(entry.amount);
            }
        }
        let Self { zone, cells, changes, index, .. } = self;
        let mut books = Vec::new();
        for (id, cell) in (0..).map(CellId).zip(cells) {
            // A place that was given up has its old name still.
            if cell.metric == Metric::Concurrency || index.get(&*cell.key) != Some(&id) {
                continue;
            }
            cell.roll(now, zone);
            changes.note(cell, id);
            book(cell, &mut books, |start| listed.get(&(id.0, start)).copied().unwrap_or_default());
        }
        books
    }

    /// The calls whose attempts are over, and that have no usage record yet; and those with an attempt under way, as if it
    /// were held. Both as far as their attempts are known.
    pub fn unrecorded(&self) -> (Vec<UsageRecord>, Vec<UsageRecord>) {
        let mut over: HashMap<&CallId, Vec<(Tried, Fate)>> = HashMap::new();
        let mut open = Vec::new();
        for (_, it) in self.reservations.iter(Phase::Ended) {
            if let (Some(call), Some(tried), Some(ending)) = (&it.call, Tried::read(&it.attempt), it.ending) {
                over.entry(call).or_default().push((tried, Fate::Ended(ending)));
            }
        }
        for (_, it) in self.reservations.iter(Phase::Held).filter(|(_, it)| !it.recorded) {
            if let (Some(call), Some(tried)) = (&it.call, Tried::read(&it.attempt)) {
                over.entry(call).or_default().push((tried, Fate::Held(it.since, it.class)));
            }
        }
        for (_, it) in self.reservations.iter(Phase::Open) {
            if let (Some(call), Some(tried)) = (&it.call, Tried::read(&it.attempt)) {
                let fate = Fate::Held(it.since, None);
                match over.get_mut(call) {
                    Some(attempts) => attempts.push((tried, fate)),
                    None => open.extend(record_of(call.clone(), None, vec![(tried, fate)])),
                }
            }
        }
        let over = over.into_iter().filter_map(|(call, attempts)| record_of(call.clone(), None, attempts));
        (over.collect(), open)
    }
}

fn book(cell: &Cell, books: &mut Vec<Book>, listed: impl Fn(i64) -> i64) {
    let mut push = |start: i64, end: i64, tally: super::cell::Tally| {
        books.push(Book {
            key: (*cell.key).clone(),
            start: Timestamp::from_ms(start),
            end: Timestamp::from_ms(end),
            settled: tally.settled,
            carried: tally.carried,
            held: tally.held,
            listed: listed(start),
            bound: !cell.limits.is_empty(),
        });
    };
    match (&cell.ring, cell.key.window) {
        (Some(ring), Window::RollingMs(ms)) => {
            let width = bucket_ms(ms);
            for (start, tally, _) in ring.live_buckets(cell.span.ordinal) {
                // The first bucket tells from when on something is counted, the last until when.
                push(start, start.saturating_add(width), tally);
            }
        }
        _ => push(cell.span.start, cell.span.end, cell.open),
    }
}
