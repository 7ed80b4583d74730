//! What reports ask of many keys, groups and labels at once.

use std::collections::BTreeSet;
use std::sync::Arc;

use sluicegate::core::ledger::Balance;
use sluicegate::core::{
    ApiKey, Group, Limit, Membership, Metric, OutcomeClass, Role, Scope, ScopeKind, UsageRecord, User, Window,
};
use sluicegate::store::{
    Change, Dimension, Expect, GroupFilter, GroupName, KeyFilter, LabelQuery, Limited, MemberFilter, Narrow,
    Page, Reach, RecordFilter, SLOW_MS, Store, TroubleQuery, UserFilter,
};

use super::{
    DAY, NEW_YEAR, apply, at, entries, group, key, labelled, membership, organization, put_key, record, user,
};

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
    let name = |it: &GroupName| (it.id.to_string(), it.alias.clone(), it.organization.to_string());
    let mut groups: Vec<_> = groups.iter().map(name).collect();
    groups.sort_unstable();
    let text = str::to_owned;
    assert_eq!(groups, [(text("g1"), Some(text("Research")), text("o1")), (text("g2"), None, text("o2"))]);
    assert_eq!(store.group_names(&["g1", "g2"], &mine).await.unwrap().len(), 1);
    assert!(store.key_names(&[], &Reach::ALL).await.unwrap().is_empty());

    let administrator = User { role: Role::OrganizationAdmin, ..user("u2", "o2") };
    let users = [Change::PutUser(user("u1", "o1"), Expect::New), Change::PutUser(administrator, Expect::New)];
    apply(&*store, &users).await.unwrap();
    for (reach, want) in
        [(&Reach::ALL, &["u1@example.com", "u2@example.com"][..]), (&mine, &["u1@example.com"])]
    {
        let found = store.user_addresses(&["u1", "u2", "none"], reach).await.unwrap();
        let found: BTreeSet<String> = found.into_iter().filter_map(|(_, email)| email).collect();
        assert_eq!(found.iter().map(String::as_str).collect::<Vec<_>>(), want, "{reach:?}");
    }
    for (roles, want) in [
        (&[][..], 2),
        (&[Role::User, Role::GroupAdmin], 1),
        (&[Role::OrganizationAdmin], 1),
        (&[Role::Auditor], 0),
    ] {
        let filter = UserFilter { roles: roles.to_vec(), ..UserFilter::default() };
        assert_eq!(
            store.users(&filter, &Reach::ALL, Page::default()).await.unwrap().total,
            want,
            "{roles:?}"
        );
    }
    for (groups, want) in [(&["g1", "g2"][..], 601), (&["g2", "none"], 1), (&["none"], 0)] {
        let groups = groups.iter().map(|id| (*id).into()).collect();
        let filter = KeyFilter { groups, ..KeyFilter::default() };
        assert_eq!(
            store.keys(&filter, &Reach::ALL, Page::default()).await.unwrap().total,
            want,
            "{filter:?}"
        );
    }
}

pub(super) async fn calls_are_found_by_their_answers(store: Arc<dyn Store>) {
    let of = |call: &str, after: i64, answer: Option<&str>, organization: &str| UsageRecord {
        answer: answer.map(Box::from),
        organization: organization.into(),
        ..record(call, NEW_YEAR + after, "k1", None, None)
    };
    let records = [
        of("a", 0, Some("chatcmpl-1"), "o1"),
        of("b", 1, Some("chatcmpl-1"), "o1"),
        of("c", 2, Some("chatcmpl-1"), "o2"),
        of("d", 3, None, "o1"),
    ];
    store.append(&entries(&records), &[], None).await.unwrap();
    let mine = Reach { organization: Some("o1".into()), narrow: None };
    for (answer, reach, want) in [
        ("chatcmpl-1", &Reach::ALL, Some("c")),
        ("chatcmpl-1", &mine, Some("b")),
        ("chatcmpl-2", &Reach::ALL, None),
        ("", &Reach::ALL, None),
    ] {
        let found = store.call_of_answer(answer, reach).await.unwrap();
        assert_eq!(found.as_ref().map(|id| id.as_str()), want, "{answer} {reach:?}");
    }
}

/// Who has limits is known, and of whom something was counted, whatever becomes of them.
pub(super) async fn who_has_limits_is_found(store: Arc<dyn Store>) {
    let limits = vec![Limit::strict(Metric::Requests, Window::Day, 5)];
    let member = |group: &str, user: &str, limits: &[Limit]| {
        Change::PutMembership(Membership { limits: limits.to_vec(), ..membership(group, user) }, Expect::Any)
    };
    let put = |id: &str, limits: &[Limit]| match put_key(key(id, Some("g1"), None, "o1")) {
        Change::PutKey { key, hash, .. } => Change::PutKey {
            key: ApiKey { limits: limits.to_vec(), ..key },
            hash,
            old_hash_until: None,
            issuers: None,
            expect: Expect::Any,
        },
        other => other,
    };
    let user = |limits: &[Limit]| {
        Change::PutUser(User { email: None, limits: limits.to_vec(), ..user("u1", "o1") }, Expect::Any)
    };
    let group = |limits: &[Limit]| {
        Change::PutGroup(Group { limits: limits.to_vec(), ..group("g1", None, "o1") }, Expect::Any)
    };
    let found = async |limited: Limited| {
        let page = Page { uncounted: true, ..Page::default() };
        let limited = Some(limited);
        let keys = KeyFilter { limited, ..KeyFilter::default() };
        let keys = store.keys(&keys, &Reach::ALL, page).await.unwrap();
        let groups = GroupFilter { limited, ..GroupFilter::default() };
        let groups = store.groups(&groups, &Reach::ALL, page).await.unwrap();
        let users = UserFilter { limited, ..UserFilter::default() };
        let users = store.users(&users, &Reach::ALL, page).await.unwrap();
        let members = MemberFilter { limited, ..MemberFilter::default() };
        let members = store.members(&members, Some(9)).await.unwrap();
        assert_eq!((keys.total, groups.total, users.total), (0, 0, 0), "nobody counts");
        let keys: Vec<String> = keys.items.iter().map(|it| it.key.value.id.to_string()).collect();
        (keys.join(" "), groups.items.len(), users.items.len(), members.len())
    };
    let few: &[Limit] = &limits;
    apply(
        &*store,
        &[put("a", few), put("b", &[]), put("c", few), group(few), user(few), member("g1", "u1", few)],
    )
    .await
    .unwrap();
    assert_eq!(found(Limited::Any).await, ("a c".to_owned(), 1, 1, 1));
    assert_eq!(found(Limited::Used).await, (String::new(), 0, 0, 0));
    let count = |kind, id: &str, settled| Balance {
        scope: Scope::new(kind, id),
        metric: Metric::Requests,
        window: Window::Day,
        model: None,
        window_start: at(0),
        settled,
        held: 0,
        carried: 0,
    };
    let balances = [
        count(ScopeKind::Key, "c", 1),
        count(ScopeKind::Key, "a", 0),
        count(ScopeKind::User, "g1", 1),
        count(ScopeKind::Membership, "g1/u1", 1),
    ];
    store.append(&[], &balances, None).await.unwrap();
    assert_eq!(found(Limited::Used).await, ("c".to_owned(), 0, 0, 1));
    // One of them, by whatever it is asked for.
    for (groups, users, want) in
        [(Some("g1"), None, 1), (None, Some("u1"), 1), (Some("g1"), Some("u2"), 0), (Some("g2"), None, 0)]
    {
        let one = |id: Option<&'static str>| id.map(|id| vec![id]);
        let (groups, users) = (one(groups), one(users));
        let filter =
            MemberFilter { groups: groups.as_deref(), users: users.as_deref(), ..MemberFilter::default() };
        assert_eq!(store.members(&filter, None).await.unwrap().len(), want, "{filter:?}");
    }
    for (organization, within, want) in [
        (Some("o1"), None, 1),
        (Some("o2"), None, 0),
        (None, Some(Narrow { groups: vec!["g1".into()], ..Narrow::default() }), 1),
        (None, Some(Narrow { user: Some("u1".into()), ..Narrow::default() }), 1),
        (None, Some(Narrow::default()), 0),
    ] {
        let organization = organization.map(Into::into);
        let filter = MemberFilter {
            organization: organization.as_ref(),
            within: within.as_ref(),
            ..MemberFilter::default()
        };
        assert_eq!(store.members(&filter, Some(9)).await.unwrap().len(), want, "{filter:?}");
    }
    let one = KeyFilter { id: Some("b".into()), ..KeyFilter::default() };
    assert_eq!(store.keys(&one, &Reach::ALL, Page::default()).await.unwrap().total, 1);
    apply(&*store, &[put("a", &[]), put("b", few), group(&[]), user(&[]), member("g1", "u1", &[])])
        .await
        .unwrap();
    assert_eq!(found(Limited::Any).await, ("b c".to_owned(), 0, 0, 0));
}

/// Names of keys come in one order everywhere, a page at a time.
pub(super) async fn names_of_keys_are_sorted(store: Arc<dyn Store>) {
    let named = |id: &str, alias: Option<&str>| {
        put_key(ApiKey { alias: alias.map(str::to_owned), ..key(id, Some("g1"), None, "o1") })
    };
    let changes = [
        named("1", Some("b")),
        named("2", None),
        named("3", Some("B")),
        named("4", Some("é")),
        named("5", Some("a b")),
        named("6", Some("ab")),
    ];
    apply(&*store, &changes).await.unwrap();
    let reach = Reach::ALL;
    let all = store.key_aliases(&KeyFilter::default(), &reach, Page::default()).await.unwrap();
    assert_eq!((all.items, all.total), (["B", "a b", "ab", "b", "é"].map(str::to_owned).to_vec(), 5));
    let page = store.key_aliases(&KeyFilter::default(), &reach, Page::new(2, 1)).await.unwrap();
    assert_eq!((page.items, page.total), (["a b", "ab"].map(str::to_owned).to_vec(), 5));
    // Whatever their case, in any script.
    for (id, alias) in [("7", "Иван"), ("8", "ΣΑΣΑ"), ("9", "Größe")] {
        apply(&*store, &[named(id, Some(alias))]).await.unwrap();
    }
    for (search, want) in [
        ("AB", &["ab"][..]),
        ("É", &["é"]),
        ("6", &["ab"]),
        ("иВа", &["Иван"]),
        ("ΑΣ", &["ΣΑΣΑ"]),
        ("GRÖ", &["Größe"]),
        ("%", &[]),
    ] {
        let filter = KeyFilter { search: Some(search.to_owned()), ..KeyFilter::default() };
        let found = store.key_aliases(&filter, &reach, Page::default()).await.unwrap();
        assert_eq!(found.items, want, "{search}");
    }
    let foreign = Reach { organization: Some("o2".into()), narrow: None };
    assert_eq!(store.key_aliases(&KeyFilter::default(), &foreign, Page::default()).await.unwrap().total, 0);
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
