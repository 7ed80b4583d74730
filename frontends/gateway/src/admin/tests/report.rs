//! Reports over many keys, and over many channels.

use sluicegate_core::{OutcomeClass, RecordEntry, UsageRecord};

use super::limits::usage_record;
use super::*;

const DAY: i64 = 86_400_000;

/// A call of each of these keys on a day.
fn calls(day: i64, keys: impl Iterator<Item = usize>) -> Vec<UsageRecord> {
    let call = |n| usage_record(&format!("c{day}-{n}"), NOW + day * DAY, &format!("n{n:05}"), None, None);
    keys.map(call).collect()
}

async fn append(w: &World, records: Vec<UsageRecord>) {
    let entries: Vec<RecordEntry> = records.into_iter().map(RecordEntry::from).collect();
    for piece in entries.chunks(1_000) {
        w.store.append(piece, &[], None).await.unwrap();
    }
}

/// Who used the most today may have been one of many before.
#[tokio::test]
async fn the_time_before_is_told_of_whoever_is_shown() {
    let w = world().await;
    let many = REPORT_TOTALS_MAX;
    // As much as everybody else, and the last by name.
    append(&w, calls(0, 0..=many)).await;
    append(&w, calls(1, many..=many)).await;
    w.clock.set(Timestamp::from_ms(NOW + DAY + DAY / 2));
    let at = |day: i64| Some(Timestamp::from_ms(NOW + day * DAY));
    let usage = UsageQuestion { from: at(1), to: at(2), ..UsageQuestion::default() };
    let all = w.admin.overview(&Actor::operator(), &OverviewQuestion { usage: usage.clone(), top: 3 }).await;
    let all = all.unwrap();
    let told = |row: &TopRow| (row.id.clone(), row.total.spend, row.previous.spend);
    assert_eq!(all.keys.iter().map(told).collect::<Vec<_>>(), [(format!("n{many:05}"), 100, 100)]);
    assert_eq!(all.previous.bucket.metrics.requests, i64::try_from(many).unwrap() + 1);

    // A report that compares reads what it shows of the time before, and all of it in one sum.
    for top in [1, 2] {
        append(&w, calls(2, 5..7)).await;
        let by = vec![By::Key];
        let usage = UsageQuestion {
            from: at(2),
            to: at(3),
            by,
            compare: Some(Compare::Previous),
            top,
            ..usage.clone()
        };
        let found = w.admin.usage_report(&Actor::operator(), &usage).await.unwrap();
        let told: Vec<_> = found.rows.iter().map(|row| row.previous.map(|it| it.requests)).collect();
        assert_eq!(told, vec![Some(0); top], "none of them was there the day before");
        assert_eq!(found.previous.unwrap().metrics.requests, 1, "whoever it was");
    }
}

/// A provider may have more channels than a statement takes arguments.
#[tokio::test]
async fn a_provider_may_have_many_channels() {
    let w = world().await;
    let (channels, keys) = (400, 100);
    let declared = Declared {
        channels: (0..channels).map(|n| channel(&format!("ch{n}"))).collect(),
        ..Declared::default()
    };
    w.engine.swap(Snapshot::build(2, declared), Arc::new(sluicegate_policy::Policies::default()));
    let mut records = Vec::new();
    for day in 0..70 {
        for (n, mut it) in calls(day, 0..keys).into_iter().enumerate() {
            let at = format!("ch{}", (n * 7 + usize::try_from(day).unwrap()) % channels);
            it.attempts.iter_mut().for_each(|it| it.channel = at.as_str().into());
            records.push(it);
        }
    }
    append(&w, records).await;
    w.clock.set(Timestamp::from_ms(NOW + 70 * DAY));
    let usage = UsageQuestion {
        from: Some(Timestamp::from_ms(NOW)),
        to: Some(Timestamp::from_ms(NOW + 70 * DAY)),
        by: vec![By::Key, By::Provider],
        top: 100,
        ..UsageQuestion::default()
    };
    let found = w.admin.usage_report(&Actor::operator(), &usage).await.unwrap();
    assert_eq!((found.rows.len(), found.others), (100, None));
    for row in &found.rows {
        assert_eq!(row.by["provider"], "openai");
        assert_eq!((row.total.requests, row.series.len()), (70, 70));
        assert!(row.series.iter().all(|it| it.requests == 1), "{row:?}");
    }
}

/// Of pairs only what is shown is read whole, and the rest is all without it.
#[tokio::test]
async fn pairs_are_ranked_and_those_shown_told_whole() {
    let w = world().await;
    let mut records = Vec::new();
    for (day, keys) in [(0, 1..3), (31, 2..4), (32, 2..3)] {
        records.extend(calls(day, keys));
    }
    // One that used nothing is there, too.
    let mut denied = calls(15, 9..10).remove(0);
    (denied.attempts, denied.outcome, denied.spend) = (Default::default(), OutcomeClass::Denied, 0);
    records.push(denied);
    append(&w, records).await;
    let to = Timestamp::from_ms(NOW + 33 * DAY);
    w.clock.set(to);
    let shanghai = jiff::tz::TimeZone::get("Asia/Shanghai").unwrap();
    for (granularity, zone) in [
        (Granularity::Hour, None),
        (Granularity::Day, None),
        (Granularity::Week, None),
        (Granularity::Month, None),
        (Granularity::Total, None),
        (Granularity::Day, Some(shanghai)),
    ] {
        for order in [Order::Spend, Order::Requests, Order::TotalTokens] {
            let usage = UsageQuestion {
                from: Some(Timestamp::from_ms(NOW)),
                to: Some(to),
                by: vec![By::Key, By::Model],
                top: 1,
                granularity,
                zone: zone.clone(),
                order,
                ..UsageQuestion::default()
            };
            let found = w.admin.usage_report(&Actor::operator(), &usage).await.unwrap();
            let told = |it: &Metrics| (it.requests, it.denied, it.attempts, it.input_tokens, it.spend);
            let (row, others) = (&found.rows[0], found.others.as_ref().unwrap());
            assert_eq!(row.by["key"], "n00002", "{granularity:?} {order:?}");
            assert_eq!(told(&found.total), (6, 1, 5, 50, 500), "{granularity:?} {order:?}");
            assert_eq!(told(&row.total), (3, 0, 3, 30, 300), "{granularity:?} {order:?}");
            assert_eq!(
                (others.rows, told(&others.total)),
                (3, (3, 1, 2, 20, 200)),
                "{granularity:?} {order:?}"
            );
        }
    }
}
