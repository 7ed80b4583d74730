//! What reports ask of many keys, groups and labels at once.

use std::collections::BTreeSet;
use std::sync::Arc;

use sluicegate::core::OutcomeClass;
use sluicegate::store::{
    Change, Dimension, Expect, LabelQuery, Narrow, Reach, RecordFilter, SLOW_MS, Store, TroubleQuery,
};

use super::{DAY, NEW_YEAR, apply, at, entries, group, key, labelled, organization, put_key, record};

pub(super) async fn many_are_named_at_once(store: Arc<dyn Store>) {
    let mut changes = vec![
        Change::PutOrganization(organization("o1"), Expect::New),
        Change::PutOrganization(organization("o2"), Expect::New),
        Change::PutGroup(group("g1", Some("Research"), "o1"), Expect::New),
        Change::PutGroup(group("g2", None, "o2"), Expect::New),
    ];
    // More than one statement asks for.
    changes.extend((0..600).map(|n| put_key(key(&format!("k{n}"), Some("g1"), None, "o1"))));
    changes.push(put_key(key("theirs", Some("g2"), None, "o2")));
    apply(&*store, &changes).await.unwrap();
    let ids: Vec<String> = (0..600).map(|n| format!("k{n}")).collect();
    let asked: Vec<&str> = ids.iter().map(String::as_str).chain(["theirs", "none", "' OR 1=1 --"]).collect();
    let mine = Reach { organization: Some("o1".into()), narrow: None };
    let one = Reach {
        organization: Some("o1".into()),
        narrow: Some(Narrow { key: Some("k7".into()), ..Narrow::default() }),
    };
    for (reach, want) in [(Reach::ALL, 601), (mine.clone(), 600), (one, 1)] {
        let names = store.key_names(&asked, &reach).await.unwrap();
        let ids: BTreeSet<&str> = names.iter().map(|name| name.id.as_str()).collect();
        assert_eq!((names.len(), ids.len()), (want, want), "{reach:?}");
        assert!(names.iter().all(|name| name.group.is_some()), "{reach:?}");
    }
    let groups = store.group_names(&["g1", "g2", "none"], &Reach::ALL).await.unwrap();
    let mut groups: Vec<_> = groups.iter().map(|(id, alias)| (id.as_str(), alias.as_deref())).collect();
    groups.sort_unstable();
    assert_eq!(groups, [("g1", Some("Research")), ("g2", None)]);
    assert_eq!(store.group_names(&["g1", "g2"], &mine).await.unwrap().len(), 1);
    assert!(store.key_names(&[], &Reach::ALL).await.unwrap().is_empty());
}

pub(super) async fn users_of_labels_are_counted(store: Arc<dyn Store>) {
    let of = |call: &str, user: Option<&str>, tags: &[&str], day: i64| {
        let mut it = labelled(call, None, tags);
        it.started_at = at(NEW_YEAR + day * DAY);
        it.attempts[0].started_at = it.started_at;
        it.user = user.map(Into::into);
        it
    };
    let mut foreign = of("f", Some("u9"), &["b"], 0);
    (foreign.organization, foreign.group, foreign.key) = ("o2".into(), None, None);
    let records = [
        of("a", Some("u1"), &["a"], 0),
        of("b", Some("u1"), &["a", "b"], 0),
        of("c", Some("u2"), &["a"], 1),
        of("d", None, &["c"], 1),
        of("e", None, &["c"], 1),
        foreign,
        of("untagged", Some("u3"), &[], 0),
    ];
    store.append(&entries(&records), &[], None).await.unwrap();
    let days = |from: i64, to: i64| RecordFilter {
        from: Some(at(NEW_YEAR + from * DAY)),
        to: Some(at(NEW_YEAR + to * DAY)),
        ..RecordFilter::default()
    };
    let mine = Reach { organization: Some("o1".into()), narrow: None };
    let narrow = Reach {
        organization: Some("o1".into()),
        narrow: Some(Narrow { user: Some("u2".into()), ..Narrow::default() }),
    };
    let all = RecordFilter::default();
    for (filter, labels, users, limit, reach, want) in [
        (all.clone(), &[][..], true, 9, &Reach::ALL, &["a 2 3", "b 2 2", "c 0 2"][..]),
        (all.clone(), &[], false, 9, &Reach::ALL, &["a 0 3", "b 0 2", "c 0 2"]),
        (all.clone(), &[], false, 1, &Reach::ALL, &["a 0 3"]),
        (all.clone(), &["b", "x"], true, 9, &Reach::ALL, &["b 2 2"]),
        (all.clone(), &[], true, 9, &mine, &["a 2 3", "b 1 1", "c 0 2"]),
        (all.clone(), &[], true, 9, &narrow, &["a 1 1"]),
        (days(0, 1), &[], true, 9, &mine, &["a 1 2", "b 1 1"]),
        (days(1, 2), &[], true, 9, &mine, &["a 1 1", "c 0 2"]),
        (days(1, 2), &[], false, 9, &mine, &["c 0 2", "a 0 1"]),
        (days(5, 9), &[], true, 9, &Reach::ALL, &[]),
        (RecordFilter { user: Some("u1".into()), ..all.clone() }, &[], true, 9, &mine, &["a 1 2", "b 1 1"]),
    ] {
        let labels = labels.iter().map(|label| (*label).to_owned()).collect();
        let query = LabelQuery { of: Dimension::Tag, filter, labels, users, limit };
        let rows = store.label_use(&query, reach).await.unwrap();
        let told: Vec<String> =
            rows.iter().map(|row| format!("{} {} {}", row.label, row.users, row.sums.calls)).collect();
        assert_eq!(told, want, "{query:?} {reach:?}");
    }
}

pub(super) async fn troubles_are_counted_where_they_were(store: Arc<dyn Store>) {
    let of = |call: &str, hour: i64, outcome: OutcomeClass, ms: i64| {
        let mut it = record(call, NEW_YEAR + hour * 3_600_000, "k1", Some("g1"), None);
        it.ended_at = it.started_at.plus_ms(ms);
        it.outcome = outcome;
        it
    };
    let mut foreign = of("f", 1, OutcomeClass::Timeout, 400_000);
    (foreign.organization, foreign.customer) = ("o2".into(), Some("c".to_owned()));
    let mut denied = of("d", 1, OutcomeClass::Denied, 0);
    (denied.attempts, denied.error) = (Default::default(), Some("rate_limited".to_owned()));
    let records = [
        of("a", 0, OutcomeClass::Ok, 10),
        of("b", 0, OutcomeClass::RateLimited, 10),
        of("c", 0, OutcomeClass::RateLimited, 10),
        of("e", 30, OutcomeClass::RateLimited, 10),
        of("s", 30, OutcomeClass::Ok, SLOW_MS),
        of("t", 30, OutcomeClass::Ok, SLOW_MS - 1),
        foreign,
        denied,
    ];
    store.append(&entries(&records), &[], None).await.unwrap();
    let mine = Reach { organization: Some("o1".into()), narrow: None };
    let all = RecordFilter::default();
    let day = RecordFilter { to: Some(at(NEW_YEAR + DAY)), ..all.clone() };
    for (filter, slow, reach, want) in [
        (
            all.clone(),
            false,
            &Reach::ALL,
            &["0 c1 rate_limited 2", "1  denied 1", "1 c1 timeout 1", "30 c1 rate_limited 1"][..],
        ),
        (all.clone(), false, &mine, &["0 c1 rate_limited 2", "1  denied 1", "30 c1 rate_limited 1"]),
        (day.clone(), false, &mine, &["0 c1 rate_limited 2", "1  denied 1"]),
        (RecordFilter { customer: Some("c".into()), ..day }, false, &Reach::ALL, &["1 c1 timeout 1"]),
        (RecordFilter { model: Some("none".into()), ..all.clone() }, false, &Reach::ALL, &[]),
        (all.clone(), true, &Reach::ALL, &["1 c1 timeout 1", "30 c1 ok 1"]),
        (all.clone(), true, &mine, &["30 c1 ok 1"]),
    ] {
        let query = TroubleQuery { filter, slow };
        let found = store.troubles(&query, reach).await.unwrap();
        let told: Vec<String> = found
            .rows
            .iter()
            .map(|it| {
                let hour = (it.at.as_ms() - NEW_YEAR) / 3_600_000;
                format!("{hour} {} {} {}", it.channel, it.outcome, it.calls)
            })
            .collect();
        assert_eq!(told, want, "{query:?} {reach:?}");
        assert!(found.is_all);
    }
}
