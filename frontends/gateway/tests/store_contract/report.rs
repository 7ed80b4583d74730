//! Sums for reports: equal to the records, whichever table they are read from.

use super::migration::run;
use super::*;

use std::collections::{BTreeMap, BTreeSet};

use sluicegate::store::{ReportFilter, ReportQuery, ReportRows, Split};

const HOUR: i64 = 3_600_000;

/// Calls of three days: some refused, failed, retried elsewhere, amended later, with and without owners and labels.
fn history() -> Vec<UsageRecord> {
    let mut records = Vec::new();
    for n in 0..240_i64 {
        let at_ms = NEW_YEAR - 8 * HOUR + n * HOUR * 3 / 10 + n * 7;
        let key = format!("k{}", n % 5);
        let group = (n % 3 != 0).then(|| format!("g{}", n % 4));
        let user = (n % 7 != 0).then(|| format!("u{}", n % 6));
        let mut it = record(&format!("c{n:03}"), at_ms, &key, group.as_deref(), user.as_deref());
        it.model = format!("m{}", n % 3).as_str().into();
        it.organization = if n % 11 == 0 { "o2".into() } else { "o1".into() };
        it.tags = (0..n % 3).map(|tag| format!("t{tag}")).collect();
        it.customer = (n % 4 == 0).then(|| format!("customer {}", n % 2));
        it.stream = n % 2 == 0;
        it.ended_at = at(at_ms + 100 + n);
        match n % 10 {
            // Refused: nothing was sent.
            3 => {
                it.attempts.clear();
                it.outcome = OutcomeClass::Denied;
                it.error = Some("insufficient_quota".to_owned());
            }
            // Failed.
            5 => it.outcome = OutcomeClass::ServerError,
            // Tried elsewhere first, an hour before midnight in Shanghai perhaps.
            7 => it.attempts.push(attempt("c2", at_ms + HOUR / 2, 3, 2, 17 + n)),
            // Read from a cache.
            8 => {
                for attempt in &mut it.attempts {
                    attempt.usage.cache_read = 40 + n.unsigned_abs();
                    attempt.usage.output_reasoning = 2;
                }
            }
            _ => {}
        }
        it.spend = it.attempts.iter().map(|attempt| attempt.spend).sum();
        records.push(it);
    }
    // What was held is reconciled a day later.
    let mut amendment = record("c001~1", NEW_YEAR + DAY, "k1", Some("g1"), Some("u1"));
    amendment.amends = Some("c001".into());
    records.push(amendment);
    records
}

/// What a record says, told apart like a report.
fn expected(records: &[UsageRecord], query: &ReportQuery) -> ReportRows {
    let zone = &query.zone;
    let mut rows = ReportRows::new();
    for it in records {
        let text = |id: Option<String>| id.unwrap_or_default();
        let mut add = |at_ms: i64, channel: &str, sums: Sums| {
            if at_ms < query.from.as_ms() || at_ms >= query.to.as_ms() {
                return;
            }
            let slot = match query.split {
                Split::None => query.from.as_ms(),
                Split::Hour => at_ms.div_euclid(HOUR) * HOUR,
                Split::Day | Split::Month => {
                    let zoned = jiff::Timestamp::from_millisecond(at_ms).unwrap().to_zoned(zone.clone());
                    let day = match query.split {
                        Split::Month => zoned.first_of_month().unwrap(),
                        _ => zoned,
                    };
                    day.start_of_day().unwrap().timestamp().as_millisecond()
                }
            };
            let mut whose = vec![Vec::new()];
            for by in &query.by {
                let values = match by {
                    Dimension::Organization => vec![it.organization.to_string()],
                    Dimension::Group => vec![text(it.group.as_ref().map(ToString::to_string))],
                    Dimension::User => vec![text(it.user.as_ref().map(ToString::to_string))],
                    Dimension::Key => vec![text(it.key.as_ref().map(ToString::to_string))],
                    Dimension::Model => vec![it.model.to_string()],
                    Dimension::Channel => vec![channel.to_owned()],
                    Dimension::Customer => it.customer.iter().cloned().collect(),
                    Dimension::Tag => it.tags.to_vec(),
                    Dimension::Day => Vec::new(),
                };
                whose = whose
                    .into_iter()
                    .flat_map(|before: Vec<String>| {
                        values.iter().map(move |value| [before.clone(), vec![value.clone()]].concat())
                    })
                    .collect();
            }
            for by in whose {
                rows.entry((at(slot), by)).or_default().add(&sums);
            }
        };
        let is_ok = it.outcome == OutcomeClass::Ok;
        if it.amends.is_none() {
            let first = it.first_byte_at.filter(|_| it.stream).map(|first| first.since_ms(it.started_at));
            let last = it.attempts.last().map_or("", |last| last.channel.as_str());
            let call = Sums {
                requests: i64::from(!it.attempts.is_empty()),
                failures: i64::from(!is_ok),
                calls: 1,
                denials: i64::from(it.outcome == OutcomeClass::Denied),
                duration_ms: if is_ok { it.ended_at.since_ms(it.started_at) } else { 0 },
                firsts: i64::from(first.is_some()),
                first_ms: first.unwrap_or_default(),
                ..Sums::default()
            };
            add(it.started_at.as_ms(), last, call);
        }
        for attempt in &it.attempts {
            let count = |n: u64| i64::try_from(n).unwrap();
            let used = Sums {
                attempts: i64::from(it.amends.is_none()),
                input_tokens: count(attempt.usage.input_tokens()),
                output_tokens: count(attempt.usage.output_tokens()),
                cache_read_tokens: count(attempt.usage.cache_read),
                reasoning_tokens: count(attempt.usage.output_reasoning),
                spend: attempt.spend,
                cost: attempt.cost,
                ..Sums::default()
            };
            add(attempt.started_at.as_ms(), attempt.channel.as_str(), used);
        }
    }
    rows.retain(|_, sums| *sums != Sums::default());
    rows
}

fn question(by: &[Dimension], split: Split, from: i64, to: i64) -> ReportQuery {
    ReportQuery {
        from: at(from),
        to: at(to),
        zone: TimeZone::get("Asia/Shanghai").unwrap(),
        filter: ReportFilter::default(),
        by: by.to_vec(),
        labelled: None,
        split,
        only: None,
        sums: None,
    }
}

pub(super) async fn reports_equal_the_records(store: Arc<dyn Store>) {
    use Dimension::{Channel, Customer, Group, Key, Model, Organization, Tag, User};
    let records = history();
    // In batches, of which one comes twice.
    for batch in [&records[..100], &records[80..], &records[..10]] {
        store.append(&entries(batch), &[], None).await.unwrap();
    }
    let (start, end) = (NEW_YEAR - 8 * HOUR, NEW_YEAR + 4 * DAY);
    for by in [
        &[][..],
        &[Organization],
        &[Group],
        &[User],
        &[Key],
        &[Model],
        &[Channel],
        &[Customer],
        &[Tag],
        &[Group, Model],
        &[Key, Channel],
        &[User, Organization],
        &[Tag, Model],
    ] {
        for split in [Split::None, Split::Hour, Split::Day] {
            // Days, hours around a day, and a month with days and hours around it.
            for (from, to) in [
                (start, end),
                (NEW_YEAR - 3 * HOUR, NEW_YEAR + DAY + 5 * HOUR),
                (NEW_YEAR - 2 * DAY - 11 * HOUR, NEW_YEAR + 40 * DAY + 5 * HOUR),
            ] {
                let query = question(by, split, from, to);
                let mut found = store.report(&query, &Reach::ALL).await.unwrap();
                found.retain(|_, sums| *sums != Sums::default());
                assert_eq!(found, expected(&records, &query), "{by:?} {split:?} {from}");
            }
        }
    }
    // The hours of some users are looked up one by one.
    let (here, theirs) = (question(&[User], Split::Hour, start, end), ["u1", "u2", ""].map(str::to_owned));
    for (by, shown) in
        [(&[User][..], 0), (&[Group, User][..], 1), (&[User, Organization][..], 0), (&[User, Model][..], 0)]
    {
        let plain = ReportQuery { by: by.to_vec(), ..here.clone() };
        let mut want = expected(&records, &plain);
        want.retain(|(_, by), _| theirs.contains(&by[shown]));
        assert!(want.len() > 20, "{by:?}: {}", want.len());
        let only: BTreeSet<Vec<String>> = want.keys().map(|(_, by)| by.clone()).collect();
        let query = ReportQuery { only: Some(only.into_iter().collect()), ..plain };
        assert_eq!(store.report(&query, &Reach::ALL).await.unwrap(), want, "{by:?}");
    }
    for by in [&[][..], &[Group]] {
        let mut query = question(by, Split::Hour, start, end);
        let theirs: Vec<_> = records.iter().filter(|it| it.user == Some("u1".into())).cloned().collect();
        let want = expected(&theirs, &query);
        assert!(want.len() > 5, "{by:?}");
        query.filter.user = Some("u1".into());
        assert_eq!(store.report(&query, &Reach::ALL).await.unwrap(), want, "{by:?}");
    }
    // Calls that have tags, each as often as it has them.
    for split in [Split::None, Split::Day, Split::Hour] {
        let query = question(&[Tag], split, start, end);
        let mut want = ReportRows::new();
        for ((at, _), sums) in expected(&records, &query) {
            want.entry((at, Vec::new())).or_default().add(&sums);
        }
        let query = ReportQuery { by: Vec::new(), labelled: Some(Tag), ..query };
        let mut found = store.report(&query, &Reach::ALL).await.unwrap();
        found.retain(|_, sums| *sums != Sums::default());
        assert_eq!(found, want, "{split:?}");
    }
    // December and January.
    for by in [&[][..], &[Organization], &[Group], &[Key], &[Model, Channel], &[User, Model]] {
        let query = question(by, Split::Month, NEW_YEAR - 31 * DAY, NEW_YEAR + 31 * DAY);
        let mut found = store.report(&query, &Reach::ALL).await.unwrap();
        found.retain(|_, sums| *sums != Sums::default());
        assert_eq!(found, expected(&records, &query), "{by:?}");
    }
    // All that was spent is what the records say, and what daily sums say.
    let spent: i64 = records.iter().map(|it| it.spend).sum();
    let all = store.report(&question(&[], Split::None, start, end), &Reach::ALL).await.unwrap();
    assert_eq!(all.values().map(|sums| sums.spend).sum::<i64>(), spent);
    assert_eq!(total(&*store).await.spend, spent);
}

/// Some of the same calls every eight days, from the 1st of January to the 10th of March.
fn long_history(step: usize) -> Vec<UsageRecord> {
    let mut records = Vec::new();
    for (n, at_ms) in (0..70).step_by(8).map(|days| (days, days * DAY)) {
        for mut it in history().into_iter().skip(usize::try_from(n).unwrap() % 7).step_by(step) {
            it.call = format!("{}-{n}", it.call).as_str().into();
            it.amends = it.amends.map(|call| format!("{call}-{n}").as_str().into());
            it.started_at = it.started_at.plus_ms(at_ms);
            it.ended_at = it.ended_at.plus_ms(at_ms);
            it.attempts.iter_mut().for_each(|tried| tried.started_at = tried.started_at.plus_ms(at_ms));
            it.first_byte_at = it.first_byte_at.map(|first| first.plus_ms(at_ms));
            records.push(it);
        }
    }
    records
}

/// Rows with two of their sums.
fn some_of(rows: &ReportRows) -> ReportRows {
    let some = |it: &Sums| Sums { spend: it.spend, calls: it.calls, ..Sums::default() };
    rows.iter().map(|(at, sums)| (at.clone(), some(sums))).collect()
}

/// What is told where those are asked for: the same rows.
async fn some_sums(store: &dyn Store, query: &ReportQuery) -> ReportRows {
    let query = ReportQuery { sums: Some(&["spend", "calls"]), ..query.clone() };
    store.report(&query, &Reach::ALL).await.unwrap()
}

/// Months, thirds of months and days, added or taken away: whatever a long time is made of, it is what the records say.
pub(super) async fn long_times_equal_the_records(store: Arc<dyn Store>) {
    use Dimension::{Channel, Customer, Group, Key, Model, Tag, User};
    let records = long_history(3);
    store.append(&entries(&records), &[], None).await.unwrap();
    let start = NEW_YEAR - 8 * HOUR;
    for by in [
        &[][..],
        &[Group],
        &[User],
        &[Key],
        &[Model],
        &[Tag],
        &[Customer],
        &[Key, Model],
        &[Group, Channel],
        &[Tag, Model],
        &[Customer, Group],
        &[Tag, Key],
    ] {
        for (from, to) in
            [(0, 31), (0, 70), (2, 70), (9, 12), (12, 45), (20, 80), (27, 64), (31, 59), (40, 41)]
        {
            for hours in [0, 5] {
                let query = question(by, Split::None, start + from * DAY - hours * HOUR, start + to * DAY);
                let mut found = store.report(&query, &Reach::ALL).await.unwrap();
                found.retain(|_, sums| *sums != Sums::default());
                let mut some = some_sums(&*store, &query).await;
                some.retain(|at, sums| found.contains_key(at) || *sums != Sums::default());
                assert_eq!(some, some_of(&found), "{by:?} {from} {to}");
                assert_eq!(found, expected(&records, &query), "{by:?} {from} {to}");
            }
        }
    }
    // Who was there only in what is left out, isn't there.
    let once = record("once", start + DAY, "once", None, None);
    store.append(&entries(&[once]), &[], None).await.unwrap();
    let query = question(&[Key], Split::None, start + 2 * DAY, start + 59 * DAY);
    let found = store.report(&query, &Reach::ALL).await.unwrap();
    assert!(found.keys().all(|(_, by)| *by != ["once"]));
}

/// Days of other zones, made of the store's and of hours between: also where clocks change, and at the ends of a time.
pub(super) async fn days_of_other_zones_equal_the_records(store: Arc<dyn Store>) {
    use Dimension::{Channel, Customer, Group, Key, Model, Tag, User};
    let records = long_history(3);
    store.append(&entries(&records), &[], None).await.unwrap();
    // Behind the store's by 8 and 13 or 12 hours, ahead of it by 5 or 4; clocks go forward in March, and back in no month of these.
    for zone in ["UTC", "America/New_York", "Pacific/Auckland", "Pacific/Kiritimati"] {
        let zone = TimeZone::get(zone).unwrap();
        for by in [
            &[][..],
            &[Group],
            &[User],
            &[Key],
            &[Model],
            &[Tag],
            &[Customer],
            &[Key, Channel],
            &[Tag, Model],
            &[Customer, Key],
        ] {
            for (from, to) in [(-40, 90), (-1, 9), (3, 4), (9, 45), (58, 71)] {
                // From the zone's midnights, and from hours between.
                for hours in [0, 7] {
                    let [from, to] = [from, to].map(|days| {
                        let at = jiff::Timestamp::from_millisecond(NEW_YEAR + days * DAY).unwrap();
                        let start = at.to_zoned(zone.clone()).start_of_day().unwrap();
                        start.timestamp().as_millisecond() + hours * HOUR
                    });
                    let query = ReportQuery { zone: zone.clone(), ..question(by, Split::Day, from, to) };
                    let mut found = store.report(&query, &Reach::ALL).await.unwrap();
                    found.retain(|_, sums| *sums != Sums::default());
                    assert_eq!(found, expected(&records, &query), "{zone:?} {by:?} {from} {to}");
                }
            }
        }
        // Of two that are told apart only these.
        let only = vec![vec!["k1".to_owned(), "m1".to_owned()], vec!["k2".to_owned(), "m0".to_owned()]];
        let plain = question(&[Key, Model], Split::Day, NEW_YEAR + 9 * DAY, NEW_YEAR + 45 * DAY);
        let query = ReportQuery { zone, only: Some(only.clone()), ..plain };
        let found = store.report(&query, &Reach::ALL).await.unwrap();
        let mut want = expected(&records, &query);
        want.retain(|(_, by), _| only.contains(by));
        assert!(!want.is_empty());
        assert_eq!(found, want);
    }
}

const FEBRUARY: i64 = NEW_YEAR + 31 * DAY;

/// What was before February, as of other times.
fn before_february(records: &[UsageRecord], time: impl Fn(i64) -> i64) -> Vec<UsageRecord> {
    let mut records = records.to_vec();
    for it in &mut records {
        let started = it.started_at.as_ms();
        if started < FEBRUARY {
            let by = time(started) - started;
            it.started_at = it.started_at.plus_ms(by);
            it.ended_at = it.ended_at.plus_ms(by);
            it.first_byte_at = it.first_byte_at.map(|first| first.plus_ms(by));
        }
        for tried in it.attempts.iter_mut().filter(|tried| tried.started_at.as_ms() < FEBRUARY) {
            tried.started_at = at(time(tried.started_at.as_ms()));
        }
    }
    records
}

/// Whatever of a month has become one sum already: from the first piece on, it counts on its first day, and whole.
pub(super) async fn a_month_becomes_one_sum_at_once(store: Arc<dyn Store>) {
    use Dimension::{Group, Key, Model, Tag};
    let records = long_history(9);
    store.append(&entries(&records), &[], None).await.unwrap();
    let start = NEW_YEAR;
    let first_of_month = |ms| if ms < NEW_YEAR { NEW_YEAR - 31 * DAY } else { NEW_YEAR };
    let summed_up = before_february(&records, first_of_month);
    // Of hours and labels there is nothing else.
    let forgotten = before_february(&records, |_| NEW_YEAR - 400 * DAY);
    let is_kept = |query: &ReportQuery| query.split != Split::Hour && !query.by.contains(&Tag);
    let mut queries = Vec::new();
    for by in [&[][..], &[Group], &[Key], &[Model, Key], &[Tag]] {
        for (split, from, to) in [
            (Split::None, 0, 45),
            (Split::None, 14, 45),
            (Split::None, -9, 17),
            (Split::None, -31, 17),
            (Split::None, 31, 70),
            (Split::Day, 0, 45),
            (Split::Day, 25, 45),
            (Split::Hour, 25, 33),
            (Split::Month, 0, 59),
        ] {
            let hours = if split == Split::None { 5 } else { 0 };
            for hours in [0, hours] {
                // A month of labels is told by the day.
                if !(split == Split::Month && by.contains(&Tag)) {
                    let (from, to) = (start + from * DAY - hours * HOUR, start + to * DAY + hours * HOUR);
                    queries.push(question(by, split, from, to));
                }
            }
        }
    }
    let told = queries.iter().map(|query| {
        let then = if is_kept(query) { &summed_up } else { &forgotten };
        (query, expected(&records, query), expected(then, query))
    });
    let told: Vec<_> = told.collect();
    let check = async |pieces: usize, every: usize| {
        for (query, before, then) in told.iter().skip(pieces % every).step_by(every) {
            let mut found = store.report(query, &Reach::ALL).await.unwrap();
            found.retain(|_, sums| *sums != Sums::default());
            let told = if pieces == 0 { before } else { then };
            assert_eq!(found, *told, "after {pieces} pieces: {query:?}");
        }
    };
    check(0, 1).await;
    let what = Forget { records_before: None, sums_before: Some(at(FEBRUARY)), ended_before: at(i64::MIN) };
    let mut pieces = 0;
    while store.prune(&what).await.unwrap().more {
        pieces += 1;
        // In turns: there are many pieces.
        check(pieces, 4).await;
    }
    assert!(pieces > 50, "{pieces}");
    check(pieces, 1).await;
    // What comes late, for a month that is one sum already, is in it.
    let late = record("late", start + 9 * DAY, "k1", None, None);
    store.append(&entries(&[late]), &[], None).await.unwrap();
    let query = question(&[], Split::None, start, start + 5 * DAY);
    let found = store.report(&query, &Reach::ALL).await.unwrap();
    let january = summed_up.iter().filter(|it| it.started_at == at(start) && it.amends.is_none()).count();
    assert_eq!(found.values().map(|it| it.calls).sum::<i64>(), 1 + i64::try_from(january).unwrap());
}

pub(super) async fn reports_are_filtered_and_stay_within_reach(store: Arc<dyn Store>) {
    let records = history();
    store.append(&entries(&records), &[], None).await.unwrap();
    let (start, end) = (NEW_YEAR - 8 * HOUR, NEW_YEAR + 4 * DAY);
    let plain = question(&[Dimension::Key], Split::Day, start, end);
    let of = |keep: &dyn Fn(&UsageRecord) -> bool| -> Vec<UsageRecord> {
        records.iter().filter(|it| keep(it)).cloned().collect()
    };
    let filter = |filter: ReportFilter| ReportQuery { filter, ..plain.clone() };
    type Keep<'a> = &'a dyn Fn(&UsageRecord) -> bool;
    let cases: [(ReportQuery, Reach, Keep<'_>); 7] = [
        (
            filter(ReportFilter { organization: Some("o2".into()), ..ReportFilter::default() }),
            Reach::ALL,
            &|it| it.organization.as_str() == "o2",
        ),
        (
            filter(ReportFilter {
                group: Some("".into()),
                model: Some("m1".into()),
                ..ReportFilter::default()
            }),
            Reach::ALL,
            &|it| it.group.is_none() && it.model.as_str() == "m1",
        ),
        (
            filter(ReportFilter {
                tag: Some("t0".to_owned()),
                user: Some("u2".into()),
                ..ReportFilter::default()
            }),
            Reach::ALL,
            &|it| {
                it.tags.iter().any(|tag| tag == "t0")
                    && it.user.as_ref().is_some_and(|it| it.as_str() == "u2")
            },
        ),
        (
            filter(ReportFilter { customer: Some("customer 0".to_owned()), ..ReportFilter::default() }),
            Reach::ALL,
            &|it| it.customer.as_deref() == Some("customer 0"),
        ),
        (plain.clone(), Reach { organization: Some("o1".into()), narrow: None }, &|it| {
            it.organization.as_str() == "o1"
        }),
        (
            plain.clone(),
            Reach {
                organization: Some("o1".into()),
                narrow: Some(Narrow { groups: vec!["g2".into()], user: Some("u1".into()), key: None }),
            },
            &|it| {
                it.organization.as_str() == "o1"
                    && (it.group.as_ref().is_some_and(|it| it.as_str() == "g2")
                        || it.user.as_ref().is_some_and(|it| it.as_str() == "u1"))
            },
        ),
        (plain.clone(), Reach { organization: None, narrow: Some(Narrow::default()) }, &|_| false),
    ];
    for (query, reach, keep) in cases {
        let mut found = store.report(&query, &reach).await.unwrap();
        found.retain(|_, sums| *sums != Sums::default());
        assert_eq!(found, expected(&of(keep), &query), "{query:?} {reach:?}");
    }
    // Of two that are told apart, only these; and only what was used at a channel.
    let two = question(&[Dimension::Key, Dimension::Model], Split::Hour, start, end);
    let only = vec![vec!["k1".to_owned(), "m1".to_owned()], vec!["k2".to_owned(), "m0".to_owned()]];
    let found =
        store.report(&ReportQuery { only: Some(only.clone()), ..two.clone() }, &Reach::ALL).await.unwrap();
    let mut want = expected(&records, &two);
    want.retain(|(_, by), _| only.contains(by));
    assert_eq!(found, want);
    let none = ReportQuery { only: Some(Vec::new()), ..two.clone() };
    assert!(store.report(&none, &Reach::ALL).await.unwrap().is_empty());
    let at_c2 = ReportFilter { channels: Some(vec!["c2".into()]), ..ReportFilter::default() };
    let query = ReportQuery { filter: at_c2, by: vec![Dimension::Channel], ..plain };
    let found = store.report(&query, &Reach::ALL).await.unwrap();
    let mut want = expected(&records, &query);
    want.retain(|(_, by), _| by == &["c2"]);
    assert_eq!(found, want);
}

pub(super) async fn latencies_are_counted_where_they_were(store: Arc<dyn Store>) {
    let records = history();
    store.append(&entries(&records), &[], None).await.unwrap();
    let spans = [(at(NEW_YEAR - 8 * HOUR), at(NEW_YEAR)), (at(NEW_YEAR), at(NEW_YEAR + 5 * DAY))];
    for (by_day, spans) in [(false, &spans[..]), (true, &[(at(NEW_YEAR - DAY), at(NEW_YEAR + 5 * DAY))])] {
        let found = store.latencies(spans, by_day, &Reach::ALL).await.unwrap();
        for ((from, to), found) in spans.iter().zip(&found) {
            let mut want = sluicegate::store::Latencies::default();
            for it in records.iter().filter(|it| {
                it.started_at >= *from
                    && it.started_at < *to
                    && it.outcome == OutcomeClass::Ok
                    && it.amends.is_none()
            }) {
                let mut count = |counts: fn(&mut sluicegate::store::Latencies) -> &mut BTreeMap<i64, i64>,
                                 ms| {
                    *counts(&mut want).entry(sluicegate::store::Latencies::bucket(ms)).or_default() += 1;
                };
                count(|it| &mut it.calls, it.ended_at.since_ms(it.started_at));
                if it.stream {
                    count(|it| &mut it.firsts, 5);
                }
            }
            assert_eq!(found, &want, "{by_day} {from}");
        }
    }
    let narrow = Narrow { groups: vec!["g1".into()], user: Some("u1".into()), key: None };
    let mine =
        store.latencies(&spans, false, &Reach { organization: None, narrow: Some(narrow) }).await.unwrap();
    let all: i64 = mine.iter().flat_map(|it| it.calls.values()).sum();
    let want = records.iter().filter(|it| {
        it.group.as_ref().is_some_and(|it| it.as_str() == "g1")
            && it.outcome == OutcomeClass::Ok
            && it.amends.is_none()
    });
    assert_eq!(all, i64::try_from(want.count()).unwrap(), "by groups alone");
}

/// Sums of days that became a month's are in reports of whole days, whatever they tell apart; those by the hour are gone.
pub(super) async fn months_are_in_reports(store: &dyn Store, want: &Sums) {
    let whole = |by: &[Dimension]| question(by, Split::None, NEW_YEAR, NEW_YEAR + 60 * DAY);
    for by in [&[][..], &[Dimension::Key], &[Dimension::Model], &[Dimension::Key, Dimension::Model]] {
        let mut all = Sums::default();
        store.report(&whole(by), &Reach::ALL).await.unwrap().values().for_each(|it| all.add(it));
        assert_eq!(all, *want, "{by:?}");
    }
    let hours = question(&[], Split::Hour, NEW_YEAR, NEW_YEAR + 31 * DAY);
    assert!(store.report(&hours, &Reach::ALL).await.unwrap().is_empty());
    let spans = [(at(NEW_YEAR), at(NEW_YEAR + 31 * DAY))];
    for by_day in [false, true] {
        assert!(store.latencies(&spans, by_day, &Reach::ALL).await.unwrap()[0].calls.is_empty());
    }
}

/// A database of an earlier version: with its records and days, and nothing of what came later.
async fn forget_what_is_new(run: impl AsyncFn(String)) {
    for sql in [
        "DELETE FROM sg_hour",
        "DELETE FROM sg_organization_hour",
        "DELETE FROM sg_label_all_hour",
        "DELETE FROM sg_hour_by_model",
        "DELETE FROM sg_hour_by_channel",
        "DELETE FROM sg_hour_by_user",
        "DELETE FROM sg_group_hour",
        "DELETE FROM sg_model_hour",
        "DELETE FROM sg_hour_label",
        "DELETE FROM sg_label_hour",
        "DELETE FROM sg_took",
        "DELETE FROM sg_record_tag",
        "UPDATE sg_record SET error = NULL, customer = NULL, duration_ms = NULL",
        "UPDATE sg_rollup SET done = 0, started_at = -9000000000000000000, call_id = ''",
    ] {
        run(sql.to_owned()).await;
    }
    for table in [
        "sg_daily",
        "sg_daily_label",
        "sg_label_day",
        "sg_day_owner",
        "sg_group_day",
        "sg_model_day",
        "sg_third",
        "sg_month",
        "sg_label_month",
        "sg_label_model_day",
        "sg_label_model_month",
        "sg_owner_third",
        "sg_label_owner_day",
        "sg_label_all_day",
        "sg_label_owner_third",
        "sg_label_owner_month",
    ] {
        let zero = "calls = 0, denials = 0, reasoning_tokens = 0, duration_ms = 0, firsts = 0, first_ms = 0";
        run(format!("UPDATE {table} SET {zero}")).await;
    }
}

/// Records of an earlier version are counted when a store is opened: as if they had just been written.
async fn counts_old_records(address: &str) {
    let run = async |sql: String| run(address, &sql).await;
    let store = open(address).await;
    let mut records = history();
    // Old JSON may hold what a column can't.
    records[7].customer = Some("a\0b".to_owned());
    records[8].tags = ["x\0y".to_owned()].into_iter().collect();
    store.append(&entries(&records), &[], None).await.unwrap();
    let (start, end) = (NEW_YEAR - 8 * HOUR, NEW_YEAR + 4 * DAY);
    let asked = [
        question(&[], Split::Hour, start, end),
        question(&[Dimension::Key, Dimension::Channel], Split::Day, start, end),
        question(&[Dimension::Tag], Split::Hour, start, end),
        question(&[Dimension::Customer], Split::None, start, end),
    ];
    let read = async |store: &dyn Store| {
        let mut all = Vec::new();
        for query in &asked {
            all.push(store.report(query, &Reach::ALL).await.unwrap());
        }
        (all, store.latencies(&[(at(start), at(end))], false, &Reach::ALL).await.unwrap())
    };
    let before = read(&*store).await;
    store.close().await;
    drop(store);
    forget_what_is_new(run).await;
    for _ in 0..2 {
        let store = open(address).await;
        assert_eq!(read(&*store).await, before);
        store.close().await;
    }
}

/// What a node of an earlier version left out of sums that it didn't know is in them again, and nothing else changes.
async fn mends_short_sums(address: &str) {
    let run = async |sql: String| run(address, &sql).await;
    use Dimension::{Channel, Group, Key, Model, Tag, User};
    let store = open(address).await;
    assert_eq!(store.mend(at(NEW_YEAR)).await.unwrap(), 0, "an empty one is whole");
    let records = long_history(3);
    store.append(&entries(&records), &[], None).await.unwrap();
    let (from, to) = (NEW_YEAR + 9 * DAY, NEW_YEAR + 69 * DAY);
    let hours = [&[][..], &[Group], &[Model], &[Channel], &[Tag]];
    let hours_of_a_user = ReportQuery {
        only: Some(vec![vec!["u1".to_owned()]]),
        ..question(&[User], Split::Hour, NEW_YEAR + 9 * DAY, NEW_YEAR + 48 * DAY)
    };
    let asked: Vec<ReportQuery> = [&[Key, Model][..], &[Tag], &[Tag, Model], &[Tag, Key], &[Key]]
        .iter()
        .map(|by| question(by, Split::None, from, to))
        .chain(hours.iter().map(|by| question(by, Split::Hour, from, to)))
        .chain([hours_of_a_user])
        .chain(
            [Split::Day, Split::Hour]
                .map(|split| ReportQuery { labelled: Some(Tag), ..question(&[], split, from, to) }),
        )
        .collect();
    let read = async || {
        let mut all = Vec::new();
        for query in &asked {
            all.push(store.report(query, &Reach::ALL).await.unwrap());
        }
        all
    };
    let before = read().await;
    assert_eq!(store.mend(at(NEW_YEAR)).await.unwrap(), 0);
    // As one of December, of which all months were to come.
    run("DELETE FROM sg_rollup WHERE id = 2".to_owned()).await;
    for (sql, months) in [
        // December has eight hours.
        ("DELETE FROM sg_third WHERE key_id = 'k1'", 4),
        ("UPDATE sg_month SET calls = 0, spend = spend - 1 WHERE model = 'm1'", 4),
        ("DELETE FROM sg_label_month WHERE label = 't0'", 4),
        ("DELETE FROM sg_label_model_month", 8),
        ("UPDATE sg_label_model_day SET requests = 0 WHERE label = 't0'", 4),
        ("DELETE FROM sg_group_hour WHERE group_id = ''", 4),
        ("DELETE FROM sg_label_hour WHERE label = 't1'", 4),
        ("UPDATE sg_organization_hour SET calls = 0", 4),
        ("DELETE FROM sg_hour_by_model", 4),
        ("DELETE FROM sg_hour_by_channel WHERE channel_id = 'c2'", 4),
        ("UPDATE sg_hour_by_user SET spend = spend + 1 WHERE user_id = 'u1'", 4),
        ("DELETE FROM sg_owner_third WHERE key_id = 'k3'", 4),
        ("UPDATE sg_label_all_hour SET calls = calls + 1", 4),
        ("DELETE FROM sg_label_all_day", 4),
        ("DELETE FROM sg_label_owner_day WHERE label = 't0'", 4),
        ("DELETE FROM sg_label_owner_third WHERE key_id = 'k1'", 4),
        ("UPDATE sg_label_owner_month SET spend = 7", 4),
        ("UPDATE sg_day_owner SET spend = spend + 1 WHERE key_id = 'k2'", 4),
    ] {
        run(sql.to_owned()).await;
        assert_ne!(read().await, before, "{sql}");
        let mended = store.mend(at(NEW_YEAR)).await.unwrap();
        assert!(mended > 0 && mended <= months, "{sql}: {mended}");
        assert_eq!(read().await, before, "{sql}");
        run("DELETE FROM sg_rollup WHERE id = 2".to_owned()).await;
    }
    // Once all are compared, those that nobody writes to are left alone.
    let march = at(NEW_YEAR + 68 * DAY);
    assert_eq!(store.mend(march).await.unwrap(), 0);
    run("DELETE FROM sg_month WHERE month < '2026-02-01'".to_owned()).await;
    assert_eq!(store.mend(march).await.unwrap(), 0);
    run("DELETE FROM sg_month WHERE month >= '2026-02-01'".to_owned()).await;
    assert_eq!(store.mend(march).await.unwrap(), 2, "February and March");
    // What is forgotten isn't made again.
    let what = Forget { records_before: None, sums_before: Some(at(FEBRUARY)), ended_before: at(i64::MIN) };
    run("DELETE FROM sg_rollup WHERE id = 2".to_owned()).await;
    assert_eq!(store.mend(march).await.unwrap(), 2, "December and January, at last");
    run("DELETE FROM sg_rollup WHERE id = 2".to_owned()).await;
    for _ in 0..40 {
        assert!(store.prune(&what).await.unwrap().more);
    }
    assert_eq!(store.mend(march).await.unwrap(), 0);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_mends_short_sums() {
    let dir = tempfile::tempdir().unwrap();
    mends_short_sums(&format!("sqlite:{}", dir.path().join("x.db").display())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_mends_short_sums() {
    let Some(address) = schema("short_sums").await else { return };
    mends_short_sums(&address).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_counts_old_records() {
    let dir = tempfile::tempdir().unwrap();
    counts_old_records(&format!("sqlite:{}", dir.path().join("x.db").display())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_counts_old_records() {
    let Some(address) = schema("old_records").await else { return };
    counts_old_records(&address).await;
}

pub(super) async fn the_log_is_read_page_by_page(store: Arc<dyn Store>) {
    use sluicegate::store::{LogCursor, LogFilter};
    let mut records = history();
    // Several that began at once.
    for n in 0..5 {
        records.push(record(&format!("same{n}"), NEW_YEAR + 5 * DAY, "k1", Some("g1"), Some("u1")));
    }
    store.append(&entries(&records), &[], None).await.unwrap();
    records.sort_by_key(|it| std::cmp::Reverse((it.started_at, it.call.clone())));
    let shouted = LogFilter { search: Some("AmE3".to_owned()), ..LogFilter::default() };
    let found = store.log(&shouted, &Reach::ALL, None, 10).await.unwrap().items;
    assert_eq!(found.iter().map(|it| it.call.as_str()).collect::<Vec<_>>(), ["same3"], "whatever its case");
    let base = |base: RecordFilter| LogFilter { base, ..LogFilter::default() };
    let all = RecordFilter::default;
    let narrow = Narrow { groups: vec!["g2".into(), "g1".into()], user: Some("u1".into()), key: None };
    let reaches = [
        Reach::ALL,
        Reach { organization: Some("o2".into()), narrow: None },
        Reach { organization: Some("o1".into()), narrow: Some(narrow) },
        Reach { organization: None, narrow: Some(Narrow { key: Some("k2".into()), ..Narrow::default() }) },
        Reach { organization: None, narrow: Some(Narrow::default()) },
    ];
    let filters = [
        LogFilter::default(),
        base(RecordFilter { group: Some("g1".into()), ..all() }),
        base(RecordFilter { from: Some(at(NEW_YEAR)), to: Some(at(NEW_YEAR + DAY)), ..all() }),
        base(RecordFilter { model: Some("m1".into()), ..all() }),
        base(RecordFilter { channel: Some("c2".into()), ..all() }),
        base(RecordFilter { channel: Some("c1".into()), tag: Some("t0".to_owned()), ..all() }),
        base(RecordFilter { tag: Some("t1".to_owned()), from: Some(at(NEW_YEAR)), ..all() }),
        base(RecordFilter { customer: Some("customer 0".to_owned()), ..all() }),
        base(RecordFilter { outcome: Some(OutcomeClass::ServerError), ..all() }),
        base(RecordFilter { call: Some("c003".into()), ..all() }),
        LogFilter { failed: Some(true), ..LogFilter::default() },
        LogFilter { failed: Some(false), ..LogFilter::default() },
        LogFilter { error: Some("insufficient_quota".to_owned()), ..LogFilter::default() },
        LogFilter { cost_over: Some(150), ..LogFilter::default() },
        LogFilter { duration_over_ms: Some(300), ..LogFilter::default() },
        LogFilter { search: Some("me3".to_owned()), ..LogFilter::default() },
        LogFilter { search: Some("ME3".to_owned()), ..LogFilter::default() },
        LogFilter { search: Some("%".to_owned()), ..LogFilter::default() },
    ];
    for reach in &reaches {
        for filter in &filters {
            let within = |it: &&UsageRecord| {
                let (from, to) = (filter.base.from, filter.base.to);
                reach.has_record(it)
                    && filter.finds(it)
                    && from.is_none_or(|from| it.started_at >= from)
                    && to.is_none_or(|to| it.started_at < to)
            };
            let want: Vec<&str> = records.iter().filter(within).map(|it| it.call.as_str()).collect();
            let (mut found, mut after) = (Vec::new(), None::<LogCursor>);
            for _ in 0..200 {
                let page = store.log(filter, reach, after.as_ref(), 7).await.unwrap();
                assert!(page.items.len() <= 7);
                found.extend(page.items.into_iter().map(|it| it.call.to_string()));
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(found, want, "{filter:?} {reach:?}");
            if let Some(count) = store.log_count(filter, reach).await.unwrap() {
                assert_eq!(count, want.len() as u64, "{filter:?} {reach:?}");
            }
        }
    }
}

/// Of what is found few calls may be wanted, or the asker's to see: so many are looked at for one page, and no more.
pub(super) async fn a_page_of_the_log_is_bounded(store: Arc<dyn Store>) {
    use sluicegate::store::LogFilter;
    const CROWD: usize = 5_050;
    let crowd = |n: usize| UsageRecord {
        organization: "o2".into(),
        ..record(&format!("crowd{n:05}"), NEW_YEAR + DAY, "k9", Some("g9"), Some("u9"))
    };
    let mut records: Vec<UsageRecord> = (0..CROWD).map(crowd).collect();
    records.push(record("before", NEW_YEAR, "k1", Some("g1"), Some("u9")));
    for piece in records.chunks(1_000) {
        store.append(&entries(piece), &[], None).await.unwrap();
    }
    let of = |base: RecordFilter| LogFilter { base, ..LogFilter::default() };
    let user = of(RecordFilter { user: Some("u9".into()), ..RecordFilter::default() });
    let key = of(RecordFilter { key: Some("k9".into()), ..RecordFilter::default() });
    let search = |text: &str| LogFilter { search: Some(text.to_owned()), ..LogFilter::default() };
    let o1 = Reach { organization: Some("o1".into()), narrow: None };
    let narrow = |narrow: Narrow| Reach { organization: None, narrow: Some(narrow) };
    let g1 = narrow(Narrow { groups: vec!["g1".into()], ..Narrow::default() });
    let u1 = narrow(Narrow { user: Some("u1".into()), ..Narrow::default() });
    // What is found in the end, and how many there are; whether a first page says that there is more.
    let o2 = Reach { organization: Some("o2".into()), narrow: None };
    let g9 = narrow(Narrow { groups: vec!["g9".into()], ..Narrow::default() });
    let nobody = of(RecordFilter { user: Some("nobody".into()), ..RecordFilter::default() });
    let own = |it: &LogFilter| LogFilter { is_own: true, ..it.clone() };
    for (filter, reach, want, count, is_more) in [
        // All of them began at once, and the cursor goes on behind that.
        (search("nothing"), Reach::ALL, &[][..], None, true),
        (search("before"), Reach::ALL, &["before"], None, true),
        // A busy user of another organization, of other groups, somebody else: nothing is told of what they do elsewhere.
        (user.clone(), o1.clone(), &["before"], Some(1), false),
        (user.clone(), g1, &["before"], Some(1), false),
        (user.clone(), u1.clone(), &[], Some(0), false),
        (key.clone(), o1.clone(), &[], Some(0), false),
        (key.clone(), u1, &[], Some(0), false),
        (nobody.clone(), o1.clone(), &[], Some(0), false),
        // Nor by how far one gets with one's own.
        (
            of(RecordFilter { user: Some("u1".into()), ..RecordFilter::default() }),
            o2.clone(),
            &[],
            Some(0),
            true,
        ),
        (nobody.clone(), o2.clone(), &[], Some(0), true),
        (nobody, g9, &[], Some(0), true),
        // What is known to be the asker's is found by itself.
        (
            own(&of(RecordFilter { user: Some("u2".into()), ..RecordFilter::default() })),
            o2,
            &[],
            Some(0),
            false,
        ),
    ] {
        let told = format!("{filter:?} {reach:?}");
        assert_eq!(store.log_count(&filter, &reach).await.unwrap(), count, "{told}");
        let mut page = store.log(&filter, &reach, None, 10).await.unwrap();
        assert_eq!(page.next.is_some(), is_more, "no more than 5,000 are looked at, of the asker's: {told}");
        if is_more {
            assert!(page.items.is_empty(), "{told}");
            page = store.log(&filter, &reach, page.next.as_ref(), 10).await.unwrap();
        }
        let found: Vec<&str> = page.items.iter().map(|it| it.call.as_str()).collect();
        assert_eq!((found, page.next), (want.to_vec(), None), "{told}");
    }
    // Pages of what is one's own are full.
    let own = store.log(&own(&key), &Reach { organization: Some("o2".into()), narrow: None }, None, 10).await;
    assert_eq!(own.unwrap().items.len(), 10);
    let mine = narrow(Narrow { groups: vec!["g8".into()], user: Some("u9".into()), key: None });
    let own = store.log(&user, &mine, None, 10).await.unwrap();
    assert_eq!((own.items.len(), store.log_count(&user, &mine).await.unwrap()), (10, Some(5_051)));
}
