//! Requests that are to be done once; removals of what was seen; lists in another order.

use std::sync::Arc;

use sluicegate::core::{ErrorKind, Membership, Retry, Role};
use sluicegate::store::{
    After, AuditChain as _, AuditedChange, Change, Expect, Forget, GroupFilter, Once, Order, OrderBy, Page,
    PolicyState, Reach, Store, Thing,
};

use super::policy::version;
use super::{Chain, apply, at, event, group};

pub(super) async fn requests_are_begun_once_until_they_are_forgotten(store: Arc<dyn Store>) {
    let known =
        |answer: Option<&str>| Once::Known { request: "r".to_owned(), answer: answer.map(Into::into) };
    assert_eq!(store.begin_once("a", "r", at(1), at(100)).await.unwrap(), Once::New);
    assert_eq!(store.begin_once("a", "other", at(2), at(102)).await.unwrap(), known(None));
    store.end_once("a", "sealed").await.unwrap();
    assert_eq!(store.begin_once("a", "r", at(99), at(199)).await.unwrap(), known(Some("sealed")));
    // What was answered isn't left; what wasn't is.
    store.leave_once("a").await.unwrap();
    assert_eq!(store.begin_once("a", "r", at(99), at(199)).await.unwrap(), known(Some("sealed")));
    assert_eq!(store.begin_once("b", "r", at(1), at(100)).await.unwrap(), Once::New);
    store.leave_once("b").await.unwrap();
    assert_eq!(store.begin_once("b", "r", at(1), at(100)).await.unwrap(), Once::New);
    // It ends by itself, and is cleared away then.
    assert_eq!(store.begin_once("a", "r", at(100), at(200)).await.unwrap(), Once::New);
    let ended = Forget { records_before: None, sums_before: None, ended_before: at(1_000) };
    assert!(store.prune(&ended).await.unwrap().rows >= 2);
    assert_eq!(store.begin_once("b", "r", at(1), at(100)).await.unwrap(), Once::New);

    // Of many at once one begins it.
    let tasks = (0..8).map(|_| {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.begin_once("c", "r", at(1), at(100)).await.unwrap() })
    });
    let mut new = 0;
    for task in tasks.collect::<Vec<_>>() {
        new += usize::from(task.await.unwrap() == Once::New);
    }
    assert_eq!(new, 1);
}

pub(super) async fn what_was_changed_meanwhile_isnt_removed(store: Arc<dyn Store>) {
    apply(&*store, &[Change::PutGroup(group("g", None, "o"), Expect::New)]).await.unwrap();
    let removal =
        |version| [Change::ExpectVersion(Thing::Group("g".into()), version), Change::DeleteGroup("g".into())];
    apply(&*store, &[Change::PutGroup(group("g", Some("a"), "o"), Expect::Version(1))]).await.unwrap();
    let error = apply(&*store, &removal(1)).await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Conflict, Retry::Now));
    assert!(store.group("g", &Reach::ALL).await.unwrap().is_some());
    apply(&*store, &removal(2)).await.unwrap();
    assert!(apply(&*store, &removal(2)).await.is_err());
    // The same of a place in a group, and of all versions of a policy.
    let place =
        Membership { group: "g".into(), user: "u".into(), role: Role::User, limits: Vec::new(), given: None };
    apply(&*store, &[Change::PutMembership(place.clone(), Expect::New)]).await.unwrap();
    apply(&*store, &[Change::PutMembership(place, Expect::Any)]).await.unwrap();
    for number in [1, 2] {
        let add = Change::AddPolicyVersion(version("p", number, PolicyState::Draft));
        apply(&*store, &[add]).await.unwrap();
    }
    for expect in [Expect::New, Expect::Version(1)] {
        let put = Change::PutSetting("tag/t".to_owned(), serde_json::json!({}), expect);
        apply(&*store, &[put]).await.unwrap();
    }
    let things = [
        Thing::Membership("g".into(), "u".into()),
        Thing::Policy("p".to_owned()),
        Thing::Setting("tag/t".to_owned()),
    ];
    for thing in things {
        let at = |version| [Change::ExpectVersion(thing.clone(), version)];
        assert!(came_second(apply(&*store, &at(1)).await), "{thing:?}");
        apply(&*store, &at(2)).await.unwrap();
    }
    let none = [
        Thing::Membership("g".into(), "v".into()),
        Thing::Policy("q".to_owned()),
        Thing::Setting("tag/u".to_owned()),
    ];
    for thing in none {
        assert!(came_second(apply(&*store, &[Change::ExpectVersion(thing, 1)]).await));
    }
}

/// Two who have seen the same: one changes it, one removes it, at once. One of them comes second and is told so, whoever it is.
pub(super) async fn of_two_writers_one_comes_second(store: Arc<dyn Store>) {
    let of =
        |n: usize, expect| Change::PutSetting(format!("budget/b{n}"), serde_json::json!({ "n": n }), expect);
    for n in 0..20 {
        apply(&*store, &[of(n, Expect::New)]).await.unwrap();
        let name = format!("budget/b{n}");
        let removal =
            [Change::ExpectVersion(Thing::Setting(name.clone()), 1), Change::DeleteSetting(name.clone())];
        let change = [of(n, Expect::Version(1))];
        let (changed, removed) = match n % 2 {
            0 => tokio::join!(apply(&*store, &change), apply(&*store, &removal)),
            _ => {
                let (removed, changed) = tokio::join!(apply(&*store, &removal), apply(&*store, &change));
                (changed, removed)
            }
        };
        let is_there = store.setting(&name).await.unwrap().is_some();
        assert_eq!((changed.is_ok(), removed.is_ok()), (is_there, !is_there), "{n}");
        assert!(came_second(changed) != came_second(removed), "{n}");
    }
}

fn came_second(done: sluicegate::core::Result<()>) -> bool {
    done.is_err_and(|error| error.kind() == ErrorKind::Conflict && error.retry() == Retry::Now)
}

pub(super) async fn steps_are_all_taken_or_none(store: Arc<dyn Store>) {
    let step = |id: &str, action: &str| AuditedChange {
        changes: vec![Change::PutGroup(group(id, None, "o"), Expect::New)],
        event: event(action),
    };
    let events = store.apply_all(&[step("a", "one"), step("b", "two")], &Chain).await.unwrap();
    assert_eq!(events.iter().map(|it| it.seq).collect::<Vec<_>>(), [1, 2]);
    let stored = store.scan_events(0, 9).await.unwrap();
    assert_eq!(stored.iter().map(|it| it.event.clone()).collect::<Vec<_>>(), events);
    assert_eq!(events[1].mac, Chain.link(&events[0].mac, 2, &events[1].event, &stored[1].detail));
    let error = store.apply_all(&[step("c", "x"), step("a", "y"), step("d", "z")], &Chain).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.context().contains(&("step", "1".to_owned())), "{error:?}");
    assert!(store.group("c", &Reach::ALL).await.unwrap().is_none());
    assert_eq!(store.head().await.unwrap(), 2);
    assert_eq!(store.apply_all(&[], &Chain).await.unwrap(), []);
}

pub(super) async fn lists_are_sorted(store: Arc<dyn Store>) {
    for (id, alias) in [("1", Some("b")), ("2", None), ("3", Some("A"))] {
        apply(&*store, &[Change::PutGroup(group(id, alias, "o"), Expect::New)]).await.unwrap();
    }
    for (text, want) in [
        ("alias", ["2", "3", "1"]),
        ("-alias", ["1", "3", "2"]),
        ("id", ["1", "2", "3"]),
        ("-id", ["3", "2", "1"]),
    ] {
        let page = Page { order: Order::parse(text), ..Page::default() };
        let found = store.groups(&GroupFilter::default(), &Reach::ALL, page).await.unwrap();
        let ids: Vec<_> = found.items.iter().map(|it| it.value.id.to_string()).collect();
        assert_eq!(ids, want, "{text}");
    }
    // They go on behind what is gone by then.
    let after = |alias: &str, id: &str| After { at: 1_000, alias: Some(alias.to_owned()), id: id.to_owned() };
    for (text, behind, want) in [
        ("alias", after("a", "25"), &["3", "1"][..]),
        ("alias", after("A", "3"), &["1"]),
        ("-alias", after("b", "1"), &["3", "2"]),
        ("id", after("", "15"), &["2", "3"]),
        ("-id", after("", "2"), &["1"]),
        ("created_at", after("", "1"), &["2", "3"]),
        ("-created_at", after("", "2"), &["3"]),
        ("updated_at", after("", "3"), &[]),
    ] {
        let page = Page { order: Order::parse(text), ..Page::default() };
        let filter = GroupFilter { after: Some(behind), ..GroupFilter::default() };
        let found = store.groups(&filter, &Reach::ALL, page).await.unwrap();
        let ids: Vec<_> = found.items.iter().map(|it| it.value.id.to_string()).collect();
        assert_eq!(
            (ids.iter().map(String::as_str).collect::<Vec<_>>(), found.total),
            (want.to_vec(), 3),
            "{text}"
        );
    }
    assert_eq!(Order::parse("-updated_at"), Some(Order { by: OrderBy::Updated, down: true }));
    assert_eq!(Order::parse("secret"), None);
}
