//! What an audit says of balances and the records beside them.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use jiff::tz::TimeZone;
use sluicegate_core::journal::{AttemptFacts, Ending, JournalId};
use sluicegate_core::ledger::{Amounts, Ask, Audit, BoundLimit, Difference, Ledger, Reserve};
use sluicegate_core::{
    CallId, Format, Limit, Metric, OutcomeClass, Scope, ScopeKind, ScopeLimits, Timestamp, Usage,
    UsageRecord, UsageSource, Window,
};

struct World {
    ledger: Ledger,
    limits: Vec<BoundLimit>,
}

fn at(ms: i64) -> Timestamp {
    Timestamp::from_ms(ms)
}

impl World {
    fn new() -> Self {
        let mut ledger = Ledger::new(TimeZone::UTC);
        ledger.start_log(JournalId(1), 0, at(0));
        let limits = [
            (Metric::TotalTokens, Window::Day),
            (Metric::Requests, Window::Lifetime),
            (Metric::Spend, Window::RollingMs(3_600_000)),
        ];
        let limits = limits.map(|(metric, window)| Limit::strict(metric, window, 1_000_000)).to_vec();
        let scope = Scope::new(ScopeKind::Key, "k");
        let limits = ledger.bind(0, &ScopeLimits { scope, limits }).to_vec();
        Self { ledger, limits }
    }

    /// A call that uses so many tokens, or whose end nobody knows; its record, as the journal would have it.
    fn call(&mut self, id: &str, used: Option<u64>, now: i64) -> Option<UsageRecord> {
        let bound = Amounts { input_tokens: 50, output_tokens: 50, spend: 500 };
        let call = CallId::from(id);
        let ask = Ask {
            call: &call,
            tenant: &self.limits,
            named: &[],
            turn: None,
            channel: &[],
            model: "m",
            asked_as: "m",
            bound,
            estimate: bound,
            channel_bound: bound,
            channel_estimate: bound,
            count_request: true,
            attempt: Some(AttemptFacts {
                number: 1,
                admitted_at: at(now),
                format: Format::OpenaiChat,
                stream: false,
                requested: "m",
                organization: "o",
                key: Some("k"),
                user: None,
                group: None,
                customer: None,
                tags: [&[], &[]],
                seed: 0,
                snapshot: 1,
                input_bound: None,
                input_estimate: 0,
                max_output: None,
                choices: 1,
                price_ratio_ppm: 1_000_000,
                channel: "c",
                model: "m",
                upstream_model: "m",
                ceiling: None,
                bound,
                bound_cost: 500,
                priced: true,
            }),
        };
        let Reserve::Granted(grant) = self.ledger.try_reserve(&ask, at(now)) else { panic!("it fits") };
        let used = used?;
        let ending = Ending {
            class: OutcomeClass::Ok,
            status: Some(200),
            usage: Usage { input_uncached: used, ..Usage::default() },
            source: UsageSource::Reported,
            spend: i64::try_from(used).unwrap() * 3,
            cost: 0,
            service_tier: None,
            exchange: None,
            at: at(now + 5),
        };
        self.ledger.end(grant.id, &ending, at(now + 5)).unwrap();
        let record = self.ledger.record_of_dropped(&call).unwrap();
        self.ledger.log_record(&call, b"{}");
        Some(record)
    }

    fn audit(&mut self, records: &[UsageRecord], now: i64) -> Vec<Difference> {
        let books = self.ledger.books(at(now));
        let (unrecorded, open) = self.ledger.unrecorded();
        let mut audit = Audit::new(&books, &unrecorded, &open, false);
        records.iter().for_each(|record| audit.add(record));
        audit.finish(&self.ledger.books(at(now))).0
    }
}

#[test]
fn balances_and_records_are_told_apart_where_they_differ() {
    let mut w = World::new();
    let mut records: Vec<UsageRecord> =
        (0..4i64).map(|n| w.call(&format!("c{n}"), Some(10), n * 200_000).unwrap()).collect();
    assert_eq!(w.audit(&records, 700_000), []);
    // Under way: it counts as a request, and has no record.
    w.call("open", None, 700_000);
    assert_eq!(w.audit(&records, 700_001), []);

    let lost = records.pop().unwrap();
    let found = w.audit(&records, 700_001);
    let named: Vec<_> =
        found.iter().map(|it| (it.counter.metric, it.balance - it.expected, it.of_held)).collect();
    let want = [(Metric::TotalTokens, 10), (Metric::Requests, 1), (Metric::Spend, 30)];
    assert_eq!(named, want.map(|(metric, more)| (metric, more, false)), "the call under way is allowed for");
    records.push(lost.clone());
    records.push(lost);
    let twice = w.audit(&records, 700_001);
    assert_eq!(
        twice.len(),
        2,
        "a record that is there twice, of a call that is under way for all that requests say: {twice:?}"
    );
    assert!(twice.iter().all(|it| it.balance < it.expected));
}

#[test]
fn what_an_operator_sets_back_is_no_difference_and_what_is_counted_anew_neither() {
    let mut w = World::new();
    let mut records = vec![w.call("a", Some(10), 1_000).unwrap()];
    let cells: Vec<_> = w.limits.iter().map(|bound| bound.cell).collect();
    cells.iter().for_each(|cell| w.ledger.reset(*cell, at(2_000)));
    assert_eq!(w.audit(&records, 2_000), []);
    records.push(w.call("b", Some(7), 3_000).unwrap());
    assert_eq!(w.audit(&records, 3_100), []);
    let day = w.limits[0].clone();
    assert_eq!(w.ledger.state(&day, at(3_100)).settled, 7);

    // Back to a part of it; not to more, which changes nothing.
    assert_eq!(w.ledger.set_back(day.cell, 8, at(3_200)), None);
    assert_eq!(w.ledger.set_back(day.cell, 3, at(3_200)), Some(7));
    assert_eq!(w.ledger.state(&day, at(3_200)).settled, 3);
    assert_eq!(w.audit(&records, 3_200), []);

    // A limit that was put anew: as records say.
    w.ledger.restate(day.cell, at(4_000));
    let mut balance = w.ledger.balances(at(4_000)).into_iter().next().unwrap();
    (balance.scope, balance.metric, balance.window) =
        (Scope::new(ScopeKind::Key, "k"), Metric::TotalTokens, Window::Day);
    (balance.window_start, balance.settled, balance.carried) = (at(0), 17, 0);
    w.ledger.plant(&balance, at(4_000));
    assert_eq!(w.audit(&records, 4_000), []);
    let stands =
        w.ledger.balances(at(4_000)).into_iter().find(|it| it.metric == Metric::TotalTokens).unwrap();
    assert_eq!((stands.settled, stands.carried), (17, 0));
}

#[test]
fn calls_that_were_under_way_when_a_limit_was_put_may_or_may_not_be_counted() {
    let mut w = World::new();
    let counted = w.call("a", Some(10), 1_000).unwrap();
    // Until 2,000, and not counted: as if the limit had come meanwhile.
    let missed = UsageRecord { call: "missed".into(), ended_at: at(2_000), ..counted.clone() };
    let records = [counted, w.call("b", Some(10), 3_000).unwrap(), missed];
    let books = w.ledger.books(at(4_000));
    for (put, differing) in [
        (Some((Some(1_500), 1_600)), false),
        (Some((Some(2_500), 2_600)), true),
        // Some time before.
        (Some((None, 1_600)), false),
        (Some((None, 900)), true),
        (None, true),
    ] {
        let mut audit = Audit::new(&books, &[], &[], false);
        for book in &books {
            match put {
                Some((Some(from), to)) => audit.put_between(&book.key, at(from), at(to)),
                Some((None, to)) => audit.put_before(&book.key, at(to)),
                None => {}
            }
        }
        records.iter().for_each(|record| audit.add(record));
        let (differences, ..) = audit.finish(&books);
        assert_eq!(!differences.is_empty(), differing, "{put:?}: {differences:?}");
    }
}

#[test]
fn what_records_no_longer_say_is_left_out_or_taken_from_sums() {
    let mut w = World::new();
    let records = [w.call("a", Some(10), 1_000).unwrap()];
    let books = w.ledger.books(at(2_000));
    let mut audit = Audit::new(&books, &[], &[], false);
    let old = audit.without(at(86_400_000));
    assert_eq!(old.len(), 3);
    let day = old.iter().find(|key| key.window == Window::Day).unwrap();
    audit.recorded(day, at(0), 10);
    records.iter().for_each(|record| audit.add(record));
    assert_eq!(audit.finish(&books), (vec![], 1, 2));
    // Sums don't tell the calls that a limit never counted which was put nobody knows when.
    for (recorded, is_put, differing) in [(11, false, 1), (11, true, 0), (9, false, 1), (9, true, 1)] {
        let mut audit = Audit::new(&books, &[], &[], false);
        audit.without(at(86_400_000));
        if is_put {
            audit.put_before(day, at(2_000));
        }
        audit.recorded(day, at(0), recorded);
        assert_eq!(audit.finish(&books).0.len(), differing, "{recorded} {is_put}");
    }
}
