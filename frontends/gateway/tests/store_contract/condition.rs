//! What must hold for changes to be made, looked at as they are.

use std::sync::Arc;

use sluicegate::core::{Channel, ErrorKind, Result, Retry, User};
use sluicegate::store::{Change, Expect, Page, Reach, SecretChange, Store, Thing, UserFilter};

use super::{apply, key, organization, put_key, user, world};

fn there(thing: Thing) -> Change {
    Change::ExpectThere(thing)
}

pub(super) async fn what_is_gone_holds_nothing_new(store: Arc<dyn Store>) {
    world(&*store).await;
    for (known, gone) in [
        (Thing::Organization("o1".into()), Thing::Organization("o9".into())),
        (Thing::Group("g1".into()), Thing::Group("g9".into())),
        (Thing::User("u1".into()), Thing::User("u9".into())),
        (Thing::Membership("g1".into(), "u1".into()), Thing::Membership("g2".into(), "u1".into())),
    ] {
        apply(&*store, &[there(known)]).await.unwrap();
        let made = put_key(key("k9", None, None, "o1"));
        let error = apply(&*store, &[there(gone.clone()), made]).await.unwrap_err();
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Conflict, Retry::Now), "{gone:?}");
        assert!(error.message().contains("was removed by somebody else"), "{error}");
    }
    // What is made in the same step is there.
    let new = [Change::PutUser(user("u9", "o1"), Expect::New), there(Thing::User("u9".into()))];
    apply(&*store, &new).await.unwrap();

    let fewer =
        |most| [Change::ExpectFewerKeys("u1".into(), most), put_key(key("k9", None, Some("u1"), "o1"))];
    let error = apply(&*store, &fewer(1)).await.unwrap_err();
    assert!(error.message().contains("user `u1` has 1 keys, and may have 1"), "{error}");
    apply(&*store, &fewer(2)).await.unwrap();
}

pub(super) async fn what_something_names_isnt_removed(store: Arc<dyn Store>) {
    let put = |name: &str, value| Change::PutSetting(name.to_owned(), value, Expect::Any);
    let goes = |besides: &[&str]| {
        let unnamed = Change::ExpectUnnamed {
            within: &["customer/", "tag/"],
            at: "/of/budget",
            name: "b".to_owned(),
            besides: besides.iter().map(|name| (*name).to_owned()).collect(),
        };
        [unnamed, Change::DeleteSetting("budget/b".to_owned())]
    };
    for (name, value, besides, gone) in [
        ("tag/t", serde_json::json!({"of": {"budget": "b"}}), &[][..], false),
        ("tag/t", serde_json::json!({"of": {"budget": "b"}}), &["tag/t"], true),
        ("customer/c", serde_json::json!({"of": {"budget": "b"}}), &["tag/t"], false),
        ("customer/c", serde_json::json!({"of": {"budget": "B"}}), &["tag/t"], true),
        ("customer/c", serde_json::json!({"budget": "b"}), &["tag/t"], true),
        ("Customer/c", serde_json::json!({"of": {"budget": "b"}}), &["tag/t"], true),
        ("customers/c", serde_json::json!({"of": {"budget": "b"}}), &["tag/t"], true),
        ("tag/t", serde_json::json!({"of": "b"}), &[], true),
    ] {
        apply(&*store, &[put("budget/b", serde_json::json!({})), put(name, value.clone())]).await.unwrap();
        match apply(&*store, &goes(besides)).await {
            Ok(()) => assert!(gone, "{name} {value}"),
            Err(error) => {
                assert!(!gone, "{name} {value}: {error}");
                assert_eq!((error.kind(), error.retry()), (ErrorKind::Conflict, Retry::Now));
            }
        }
    }
}

pub(super) async fn members_are_those_that_were_seen(store: Arc<dyn Store>) {
    world(&*store).await;
    let seen = |members: &[(&str, i64)]| {
        let all = members.iter().map(|(user, version)| ((*user).into(), *version)).collect();
        Change::ExpectMembers("g1".into(), all)
    };
    apply(&*store, &[seen(&[("u1", 1)])]).await.unwrap();
    for other in [&[][..], &[("u1", 2)], &[("u2", 1)], &[("u1", 1), ("u2", 1)]] {
        let error = apply(&*store, &[seen(other)]).await.unwrap_err();
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Conflict, Retry::Now), "{other:?}");
    }
    apply(&*store, &[Change::PutMembership(super::membership("g1", "u1"), Expect::Version(1))])
        .await
        .unwrap();
    apply(&*store, &[seen(&[("u1", 2)])]).await.unwrap();
    // A place that is kept with whose its limits are, and one of before that was kept.
    let mut place = super::membership("g1", "u1");
    for given in [Some(Vec::new()), None] {
        place.given = given;
        apply(&*store, &[Change::PutMembership(place.clone(), Expect::Any)]).await.unwrap();
        let kept = store.memberships(Some(&"g1".into()), Some(&"u1".into())).await.unwrap();
        assert_eq!(kept.into_iter().map(|it| it.value).collect::<Vec<_>>(), [place.clone()]);
    }
}

pub(super) async fn an_organization_with_something_left_stays(store: Arc<dyn Store>) {
    world(&*store).await;
    let removal = [Change::ExpectEmptyOrganization("o2".into()), Change::DeleteOrganization("o2".into())];
    for (left, gone) in [
        ("1 groups", Change::DeleteGroup("g3".into())),
        ("1 users", Change::DeleteUser("u3".into())),
        ("1 keys", Change::DeleteKey("k8".into())),
    ] {
        if left == "1 users" {
            apply(&*store, &[put_key(key("k8", None, None, "o2"))]).await.unwrap();
        }
        let error = apply(&*store, &removal).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert!(error.message().contains(left), "{left}: {error}");
        apply(&*store, &[gone]).await.unwrap();
    }
    apply(&*store, &removal).await.unwrap();
}

/// Both at once, many times: an organization that goes, and a key that comes; a member who is taken out, and a key of theirs.
pub(super) async fn of_two_that_exclude_each_other_one_is_made(store: Arc<dyn Store>) {
    world(&*store).await;
    for round in 0..12 {
        let (o, k) = (format!("race-{round}"), format!("key-{round}"));
        apply(&*store, &[Change::PutOrganization(organization(&o), Expect::New)]).await.unwrap();
        let goes = vec![
            Change::ExpectEmptyOrganization(o.as_str().into()),
            Change::DeleteOrganization(o.as_str().into()),
        ];
        let comes = vec![there(Thing::Organization(o.as_str().into())), put_key(key(&k, None, None, &o))];
        let done = both(&store, goes, comes).await;
        assert!(done.0.is_ok() != done.1.is_ok(), "{round}: {done:?}");
    }
    for round in 0..12 {
        let k = format!("member-{round}");
        let (group, member) = ("g1".into(), "u1".into());
        let place = Thing::Membership("g1".into(), "u1".into());
        let goes = vec![Change::DeleteMembership(group, member)];
        let comes = vec![there(place), put_key(key(&k, Some("g1"), Some("u1"), "o1"))];
        let (gone, _) = both(&store, goes, comes).await;
        gone.unwrap();
        let left = store.key(&sluicegate::store::KeyRef::Id(k.as_str().into()), &Reach::ALL).await.unwrap();
        assert!(left.is_none(), "a key of who is no member is left");
        let again = super::membership("g1", "u1");
        apply(&*store, &[Change::PutMembership(again, Expect::New)]).await.unwrap();
    }
}

async fn both(store: &Arc<dyn Store>, a: Vec<Change>, b: Vec<Change>) -> (Result<()>, Result<()>) {
    let run = |changes: Vec<Change>| {
        let store = Arc::clone(store);
        tokio::spawn(async move { apply(&*store, &changes).await })
    };
    let (a, b) = (run(a), run(b));
    (a.await.unwrap(), b.await.unwrap())
}

pub(super) async fn channels_have_names_of_their_own(store: Arc<dyn Store>) {
    let put = |id: &str, name: &str, expect| {
        let channel: Channel = serde_json::from_value(serde_json::json!({
            "id": id, "name": name, "provider": "openai", "auth": "bearer", "secret": "none", "models": [],
            "endpoints": [],
        }))
        .unwrap();
        Change::PutChannel(Box::new(channel), SecretChange::Keep, expect)
    };
    let taken = |done: Result<()>| assert!(done.unwrap_err().message().contains("`one` is taken"));
    let (a, b) = (put("a", "one", Expect::New), put("b", "one", Expect::New));
    let done = both(&store, vec![a], vec![b]).await;
    let first = if done.0.is_ok() { "a" } else { "b" };
    taken(if done.0.is_ok() { done.1 } else { done.0 });
    apply(&*store, &[put("c", "two", Expect::New)]).await.unwrap();
    taken(apply(&*store, &[put("c", "one", Expect::Version(1))]).await);
    // Its own is its own.
    apply(&*store, &[put(first, "one", Expect::Version(1))]).await.unwrap();
}

pub(super) async fn addresses_are_one_whatever_their_case(store: Arc<dyn Store>) {
    let person = |id: &str, email: &str| {
        Change::PutUser(User { email: Some(email.to_owned()), ..user(id, "o1") }, Expect::New)
    };
    apply(&*store, &[person("u1", "Bob@Example.com")]).await.unwrap();
    for email in ["bob@example.com", "BOB@EXAMPLE.COM", "Bob@Example.com"] {
        let error = apply(&*store, &[person("u2", email)]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict, "{email}");
        let filter = UserFilter { email: Some(email.to_owned()), ..UserFilter::default() };
        let found = store.users(&filter, &Reach::ALL, Page::default()).await.unwrap();
        // It is shown as it was written.
        assert_eq!(found.items[0].value.email.as_deref(), Some("Bob@Example.com"), "{email}");
    }
    for (part, count) in [("B@EXAMPLE", 1), ("bob", 1), ("bob_example", 0), ("%", 0), ("u1", 0)] {
        let filter = UserFilter { address: Some(part.to_owned()), ..UserFilter::default() };
        let found = store.users(&filter, &Reach::ALL, Page::default()).await.unwrap();
        assert_eq!((found.items.len(), found.total), (count, count as u64), "{part}");
    }
}
