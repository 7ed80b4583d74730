//! One suite for every store: SQLite in memory, SQLite in a file, and PostgreSQL where `SLUICEGATE_TEST_POSTGRES` gives an
//! address (each test makes a schema of its own there anew).

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::sync::Arc;

use jiff::tz::TimeZone;
use sha2::{Digest as _, Sha256};
use sluicegate::core::call::Format;
use sluicegate::core::ledger::Balance;
use sluicegate::core::record::{AttemptRecord, ReplayFacts};
use sluicegate::core::snapshot::{Attachment, PolicySource};
use sluicegate::core::{
    ApiKey, ErrorKind, Group, KeyId, Limit, Membership, Metric, ModelAccess, Organization, OutcomeClass,
    RecordEntry, Retry, Role, Scope, ScopeKind, Timestamp, Usage, UsageRecord, UsageSource, User, Window,
};
use sluicegate::credential::KeyHash;
use sluicegate::store::{
    self, AuditChain, AuditFilter, Change, Dimension, Expect, Forget, Forgotten, GroupFilter, KeyFilter,
    KeyRef, LABEL_OVERFLOW, LABELS_PER_DAY, Narrow, NewEvent, Owner, Page, Reach, RecordFilter, SecretChange,
    Since, Store, Sums, UserFilter,
};

/// The suite: each test runs on each store.
macro_rules! contract {
    ($($test:ident,)+) => {
        mod sqlite_memory {$(
            #[tokio::test]
            async fn $test() {
                super::$test(super::open("memory").await).await;
            }
        )+}
        mod sqlite_file {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                let dir = tempfile::tempdir().unwrap();
                super::$test(super::open(&dir.path().join("x.db").display().to_string()).await).await;
            }
        )+}
        mod postgres {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                if let Some(address) = super::schema(stringify!($test)).await {
                    super::$test(super::open(&address).await).await;
                }
            }
        )+}
    };
}

#[path = "store_contract/condition.rs"]
mod condition;
#[path = "store_contract/identity.rs"]
mod identity;
#[path = "store_contract/migration.rs"]
mod migration;
#[path = "store_contract/name.rs"]
mod name;
#[path = "store_contract/once.rs"]
mod once;
#[path = "store_contract/policy.rs"]
mod policy;
#[path = "store_contract/report.rs"]
mod report;
#[path = "store_contract/response.rs"]
mod response;

use condition::{
    addresses_are_one_whatever_their_case, an_organization_with_something_left_stays,
    channels_have_names_of_their_own, members_are_those_that_were_seen,
    of_two_that_exclude_each_other_one_is_made, what_is_gone_holds_nothing_new,
    what_something_names_isnt_removed,
};
use identity::{
    events_say_where_from_and_are_read_forwards, somebody_who_may_do_everything_is_left,
    ways_to_sign_in_are_kept_and_go_with_their_user, who_is_new_has_had_no_key_in_hand,
};
use name::{
    calls_are_found_by_their_answers, many_are_named_at_once, names_of_keys_are_sorted,
    troubles_are_counted_where_they_were, users_of_labels_are_counted, who_has_limits_is_found,
};
use once::{
    lists_are_sorted, of_two_writers_one_comes_second, requests_are_begun_once_until_they_are_forgotten,
    steps_are_all_taken_or_none, what_was_changed_meanwhile_isnt_removed,
};
use report::{
    a_month_becomes_one_sum_at_once, a_page_of_the_log_is_bounded, days_of_other_zones_equal_the_records,
    latencies_are_counted_where_they_were, long_times_equal_the_records,
    reports_are_filtered_and_stay_within_reach, reports_equal_the_records, the_log_is_read_page_by_page,
};
use response::{
    conversations_are_kept_in_the_order_of_what_was_said, conversations_of_an_owner_are_bounded,
    conversations_of_any_length_are_read_page_by_page, responses_are_kept_for_their_owner_and_in_their_order,
    what_a_user_made_as_a_caller_is_forgotten_without_anybody_elses,
    what_became_of_a_response_takes_its_place, what_was_kept_for_a_group_goes_with_it,
    what_was_kept_for_a_user_goes_with_them, who_works_on_a_response_is_known_to_all,
};

contract! {
    keys_are_found_with_all_their_parts,
    changes_are_all_or_nothing,
    versions_tell_who_came_second,
    retired_hashes_open_a_key_for_a_while,
    what_is_deleted_takes_along_what_hangs_on_it,
    reach_hides_what_lies_outside,
    lists_are_filtered_and_paged,
    groups_are_found_by_id_before_alias,
    of_namesakes_none_is_taken_for_the_one_that_was_meant,
    what_something_names_isnt_removed,
    what_was_kept_for_a_user_goes_with_them,
    what_was_kept_for_a_group_goes_with_it,
    channels_and_settings_are_kept,
    records_are_appended_once,
    what_amends_a_record_is_no_further_call,
    daily_sums_follow_attempts_and_zone,
    usage_is_summed_by_owner_and_time,
    balances_are_replaced_and_restored,
    events_follow_each_other_without_a_gap,
    text_of_any_kind_is_kept,
    a_batch_of_any_size_is_stored,
    old_records_are_forgotten_and_their_sums_stay,
    sums_by_label_follow_the_records,
    labels_of_a_day_are_bounded,
    days_of_old_months_become_one,
    a_month_becomes_one_sum_at_once,
    every_attempt_is_found,
    many_are_named_at_once,
    who_has_limits_is_found,
    names_of_keys_are_sorted,
    calls_are_found_by_their_answers,
    users_of_labels_are_counted,
    troubles_are_counted_where_they_were,
    reports_equal_the_records,
    long_times_equal_the_records,
    days_of_other_zones_equal_the_records,
    reports_are_filtered_and_stay_within_reach,
    latencies_are_counted_where_they_were,
    the_log_is_read_page_by_page,
    a_page_of_the_log_is_bounded,
    responses_are_kept_for_their_owner_and_in_their_order,
    what_became_of_a_response_takes_its_place,
    who_works_on_a_response_is_known_to_all,
    conversations_are_kept_in_the_order_of_what_was_said,
    conversations_of_an_owner_are_bounded,
    conversations_of_any_length_are_read_page_by_page,
    what_a_user_made_as_a_caller_is_forgotten_without_anybody_elses,
    requests_are_begun_once_until_they_are_forgotten,
    what_was_changed_meanwhile_isnt_removed,
    of_two_writers_one_comes_second,
    steps_are_all_taken_or_none,
    lists_are_sorted,
    what_is_gone_holds_nothing_new,
    an_organization_with_something_left_stays,
    members_are_those_that_were_seen,
    of_two_that_exclude_each_other_one_is_made,
    channels_have_names_of_their_own,
    addresses_are_one_whatever_their_case,
    ways_to_sign_in_are_kept_and_go_with_their_user,
    who_is_new_has_had_no_key_in_hand,
    somebody_who_may_do_everything_is_left,
    events_say_where_from_and_are_read_forwards,
}

async fn open(address: &str) -> Arc<dyn Store> {
    let store = store::open(address, TimeZone::get("Asia/Shanghai").unwrap()).await.unwrap();
    store.ping().await.unwrap();
    store
}

/// A fresh schema's address, or nothing, loudly, where there is no PostgreSQL.
async fn schema(test: &str) -> Option<String> {
    let Ok(address) = std::env::var("SLUICEGATE_TEST_POSTGRES") else {
        eprintln!("SKIPPED on postgres: {test} (set SLUICEGATE_TEST_POSTGRES to run it)");
        return None;
    };
    let name = format!("contract_{test}");
    let pool = sqlx::PgPool::connect(&address).await.unwrap();
    for statement in [format!("DROP SCHEMA IF EXISTS {name} CASCADE"), format!("CREATE SCHEMA {name}")] {
        sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&pool).await.unwrap();
    }
    let join = if address.contains('?') { '&' } else { '?' };
    Some(format!("{address}{join}options=-c%20search_path%3D{name}"))
}

struct Chain;

impl AuditChain for Chain {
    fn link(&self, previous: &str, seq: i64, event: &NewEvent, detail: &str) -> String {
        format!("{previous}>{seq}:{} {detail}", event.action)
    }
}

fn at(ms: i64) -> Timestamp {
    Timestamp::from_ms(ms)
}

fn event(action: &str) -> NewEvent {
    NewEvent {
        at: at(1_000),
        actor: "tester".to_owned(),
        action: action.to_owned(),
        target: "t".to_owned(),
        organization: Some("o1".into()),
        group: None,
        user: None,
        detail: serde_json::json!({"n": 1}),
        address: None,
        credential: None,
    }
}

async fn apply(store: &dyn Store, changes: &[Change]) -> sluicegate::core::Result<()> {
    store.apply(changes, &event("test"), &Chain).await.map(drop)
}

fn organization(id: &str) -> Organization {
    serde_json::from_value(serde_json::json!({"id": id})).unwrap()
}

fn group(id: &str, alias: Option<&str>, organization: &str) -> Group {
    let value = serde_json::json!({"id": id, "alias": alias, "organization": organization});
    Group {
        limits: vec![Limit::strict(Metric::Spend, Window::Month, 5)],
        ..serde_json::from_value(value).unwrap()
    }
}

fn user(id: &str, organization: &str) -> User {
    let email = format!("{id}@example.com");
    serde_json::from_value(serde_json::json!({"id": id, "organization": organization, "email": email}))
        .unwrap()
}

fn membership(group: &str, user: &str) -> Membership {
    Membership { group: group.into(), user: user.into(), role: Role::User, limits: Vec::new(), given: None }
}

fn key(id: &str, group: Option<&str>, user: Option<&str>, organization: &str) -> ApiKey {
    let value = serde_json::json!({"id": id, "alias": format!("alias {id}"), "organization": organization,
        "group": group, "user": user});
    ApiKey { access: ModelAccess::only(vec!["m*".into()]), ..serde_json::from_value(value).unwrap() }
}

fn put_key(key: ApiKey) -> Change {
    let hash = KeyHash::of(key.id.as_str());
    Change::PutKey { key, hash, old_hash_until: None, issuers: None, expect: Expect::New }
}

/// Organization `o1` with groups `g1` and `g2` and users `u1` (in `g1`) and `u2`; `o2` with group `g3` and user `u3`.
async fn world(store: &dyn Store) {
    apply(
        store,
        &[
            Change::PutOrganization(organization("o1"), Expect::New),
            Change::PutOrganization(organization("o2"), Expect::New),
            Change::PutGroup(group("g1", Some("eng"), "o1"), Expect::New),
            Change::PutGroup(group("g2", None, "o1"), Expect::New),
            Change::PutGroup(group("g3", Some("eng"), "o2"), Expect::New),
            Change::PutUser(user("u1", "o1"), Expect::New),
            Change::PutUser(user("u2", "o1"), Expect::New),
            Change::PutUser(user("u3", "o2"), Expect::New),
            Change::PutMembership(membership("g1", "u1"), Expect::New),
            put_key(key("k1", Some("g1"), Some("u1"), "o1")),
            put_key(key("k2", Some("g2"), None, "o1")),
            put_key(key("k3", None, Some("u2"), "o1")),
            put_key(key("k4", Some("g3"), Some("u3"), "o2")),
        ],
    )
    .await
    .unwrap();
}

async fn keys_are_found_with_all_their_parts(store: Arc<dyn Store>) {
    world(&*store).await;
    let parts = store.key_by_hash(&KeyHash::of("k1"), at(0)).await.unwrap().unwrap();
    assert_eq!(parts.key, key("k1", Some("g1"), Some("u1"), "o1"));
    assert_eq!(parts.group, Some(group("g1", Some("eng"), "o1")));
    assert_eq!(parts.user, Some(user("u1", "o1")));
    assert_eq!(parts.membership, Some(membership("g1", "u1")));
    assert_eq!((parts.organization, parts.retires_at), (Some(organization("o1")), None));

    let parts = store.key_by_hash(&KeyHash::of("k3"), at(0)).await.unwrap().unwrap();
    assert!(parts.group.is_none() && parts.membership.is_none() && parts.user.is_some());
    assert_eq!(store.key_by_hash(&KeyHash::of("nobody's"), at(0)).await.unwrap(), None);
    for by in [KeyRef::Id("k1".into()), KeyRef::Hash(KeyHash::of("k1")), KeyRef::Alias("alias k1".to_owned())]
    {
        assert_eq!(store.key(&by, &Reach::ALL).await.unwrap().unwrap().key.value.id.as_str(), "k1", "{by:?}");
    }
}

async fn changes_are_all_or_nothing(store: Arc<dyn Store>) {
    world(&*store).await;
    let head = store.head().await.unwrap();
    let same_alias = ApiKey { alias: Some("alias k1".to_owned()), ..key("k9", None, None, "o1") };
    let same_hash = Change::PutKey {
        key: key("k9", None, None, "o1"),
        hash: KeyHash::of("k1"),
        old_hash_until: None,
        issuers: None,
        expect: Expect::New,
    };
    for (refused, kind) in [
        (put_key(same_alias.clone()), ErrorKind::Conflict),
        (same_hash, ErrorKind::Conflict),
        (Change::PutGroup(group("g9", Some("eng"), "o1"), Expect::New), ErrorKind::Conflict),
        (Change::PutGroup(group("g1", None, "o1"), Expect::New), ErrorKind::Conflict),
        (
            Change::PutUser(
                User { email: Some("u1@example.com".to_owned()), ..user("u9", "o2") },
                Expect::New,
            ),
            ErrorKind::Conflict,
        ),
        (Change::PutMembership(membership("g1", "u1"), Expect::New), ErrorKind::Conflict),
        (Change::DeleteKey("k9".into()), ErrorKind::NotFound),
        (Change::DeleteGroup("g9".into()), ErrorKind::NotFound),
        (Change::PutUser(user("u9", "o1"), Expect::Version(1)), ErrorKind::Conflict),
    ] {
        let first = Change::PutUser(user("u8", "o1"), Expect::New);
        let error = apply(&*store, &[first, refused.clone()]).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{refused:?}: {error}");
        assert_eq!(store.user(&"u8".into(), &Reach::ALL).await.unwrap(), None, "{refused:?}");
        assert_eq!(store.head().await.unwrap(), head, "{refused:?}");
    }
    // The same alias is free in another organization.
    apply(&*store, &[put_key(ApiKey { organization: "o2".into(), ..same_alias })]).await.unwrap();
}

async fn versions_tell_who_came_second(store: Arc<dyn Store>) {
    world(&*store).await;
    let read = store.group("g1", &Reach::ALL).await.unwrap().unwrap();
    assert_eq!((read.version, read.created_at, read.created_by.as_str()), (1, at(1_000), "tester"));
    let mut first = read.value.clone();
    first.blocked = true;
    apply(&*store, &[Change::PutGroup(first, Expect::Version(1))]).await.unwrap();
    let error =
        apply(&*store, &[Change::PutGroup(read.value.clone(), Expect::Version(1))]).await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Conflict, Retry::Now));
    let now = store.group("g1", &Reach::ALL).await.unwrap().unwrap();
    assert!(now.value.blocked && now.version == 2);
    apply(&*store, &[Change::PutGroup(read.value, Expect::Any)]).await.unwrap();
    let now = store.group("g1", &Reach::ALL).await.unwrap().unwrap();
    assert!(!now.value.blocked && now.version == 3);
    apply(&*store, &[Change::PutGroup(group("new", None, "o1"), Expect::Any)]).await.unwrap();
    assert_eq!(store.group("new", &Reach::ALL).await.unwrap().unwrap().version, 1);

    // Many at once: each reads, adds one, and tries again when it came second. None is lost.
    apply(&*store, &[Change::PutSetting("n".to_owned(), 0.into(), Expect::New)]).await.unwrap();
    let tasks = (0..8).map(|_| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            loop {
                let read = store.setting("n").await.unwrap().unwrap();
                let next = read.value.as_i64().unwrap() + 1;
                let put = Change::PutSetting("n".to_owned(), next.into(), Expect::Version(read.version));
                match apply(&*store, &[put]).await {
                    Ok(()) => return,
                    Err(error) => assert_eq!(error.retry(), Retry::Now, "{error}"),
                }
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    assert_eq!(store.setting("n").await.unwrap().unwrap().value, 8);
}

async fn retired_hashes_open_a_key_for_a_while(store: Arc<dyn Store>) {
    world(&*store).await;
    let put = |hash: &str, until: Option<i64>, version| Change::PutKey {
        key: key("k1", Some("g1"), Some("u1"), "o1"),
        hash: KeyHash::of(hash),
        old_hash_until: until.map(at),
        issuers: None,
        expect: Expect::Version(version),
    };
    apply(&*store, &[put("second", Some(5_000), 1)]).await.unwrap();
    let find = async |hash: &str, now: i64| {
        let parts = store.key_by_hash(&KeyHash::of(hash), at(now)).await.unwrap();
        parts.map(|parts| parts.retires_at.map(Timestamp::as_ms))
    };
    // Whoever administers the key may name it by either.
    let named = async |hash: &str| {
        let found = store.key(&KeyRef::Hash(KeyHash::of(hash)), &Reach::ALL).await.unwrap();
        found.map(|it| it.key.value.id.to_string())
    };
    assert_eq!((named("k1").await.as_deref(), named("second").await.as_deref()), (Some("k1"), Some("k1")));
    assert_eq!(find("second", 9_000).await, Some(None));
    assert_eq!(find("k1", 4_999).await, Some(Some(5_000)));
    assert_eq!(find("k1", 5_000).await, None);
    apply(&*store, &[put("third", None, 2)]).await.unwrap();
    assert_eq!(find("second", 0).await, None, "without grace, the old one stops at once");
    apply(&*store, &[Change::DeleteKey("k1".into())]).await.unwrap();
    assert_eq!((find("k1", 0).await, named("k1").await), (None, None));
}

async fn what_is_deleted_takes_along_what_hangs_on_it(store: Arc<dyn Store>) {
    world(&*store).await;
    let left = async || {
        let keys = store.keys(&KeyFilter::default(), &Reach::ALL, Page::default()).await.unwrap();
        let mut ids: Vec<String> = keys.items.iter().map(|it| it.key.value.id.to_string()).collect();
        ids.sort();
        (ids.join(" "), store.memberships(None, None).await.unwrap().len())
    };
    assert_eq!(left().await, ("k1 k2 k3 k4".to_owned(), 1));
    apply(&*store, &[Change::DeleteMembership("g1".into(), "u1".into())]).await.unwrap();
    assert_eq!(left().await, ("k2 k3 k4".to_owned(), 0));
    apply(&*store, &[Change::PutMembership(membership("g2", "u1"), Expect::New)]).await.unwrap();
    apply(&*store, &[Change::DeleteGroup("g2".into())]).await.unwrap();
    assert_eq!(left().await, ("k3 k4".to_owned(), 0));
    let gone = store.apply(&[Change::DeleteUser("u2".into())], &event("test"), &Chain).await.unwrap();
    assert_eq!(
        gone.event.detail,
        serde_json::json!({"n": 1, "removed": {"keys": {"count": 1, "ids": ["k3"]}}})
    );
    assert_eq!(left().await, ("k4".to_owned(), 0));
    apply(&*store, &[Change::DeleteOrganization("o1".into())]).await.unwrap();
    assert_eq!(store.organizations(&Reach::ALL).await.unwrap().len(), 1);
}

async fn reach_hides_what_lies_outside(store: Arc<dyn Store>) {
    world(&*store).await;
    let organization = Reach { organization: Some("o1".into()), narrow: None };
    let narrow = |groups: &[&str], user: Option<&str>, key: Option<&str>| Reach {
        organization: Some("o1".into()),
        narrow: Some(Narrow {
            groups: groups.iter().map(|id| (*id).into()).collect(),
            user: user.map(Into::into),
            key: key.map(Into::into),
        }),
    };
    for (reach, keys, groups, users) in [
        (Reach::ALL, "k1 k2 k3 k4", "g1 g2 g3", "u1 u2 u3"),
        (organization, "k1 k2 k3", "g1 g2", "u1 u2"),
        (narrow(&["g1"], None, None), "k1", "g1", "u1"),
        (narrow(&["g1"], Some("u2"), None), "k1 k3", "g1", "u1 u2"),
        (narrow(&[], Some("u2"), None), "k3", "", "u2"),
        (narrow(&[], None, Some("k2")), "k2", "", ""),
        (narrow(&["g3"], Some("u3"), Some("k4")), "", "", ""),
        (narrow(&[], None, None), "", "", ""),
    ] {
        let sorted = |mut ids: Vec<String>| {
            ids.sort();
            ids.join(" ")
        };
        let page = Page::default();
        let listed = store.keys(&KeyFilter::default(), &reach, page).await.unwrap();
        assert_eq!(listed.total, u64::try_from(listed.items.len()).unwrap());
        assert_eq!(
            sorted(listed.items.iter().map(|it| it.key.value.id.to_string()).collect()),
            keys,
            "{reach:?}"
        );
        let listed = store.groups(&GroupFilter::default(), &reach, page).await.unwrap().items;
        assert_eq!(sorted(listed.iter().map(|it| it.value.id.to_string()).collect()), groups, "{reach:?}");
        let listed = store.users(&UserFilter::default(), &reach, page).await.unwrap().items;
        assert_eq!(sorted(listed.iter().map(|it| it.value.id.to_string()).collect()), users, "{reach:?}");
        for id in ["k1", "k2", "k3", "k4"] {
            let found = store.key(&KeyRef::Id(id.into()), &reach).await.unwrap().is_some();
            assert_eq!(found, keys.contains(id), "{id} {reach:?}");
        }
        for id in ["g1", "g2", "g3"] {
            let found = store.group(id, &reach).await.unwrap().is_some();
            assert_eq!(found, groups.contains(id), "{id} {reach:?}");
        }
        for id in ["u1", "u2", "u3"] {
            let found = store.user(&id.into(), &reach).await.unwrap().is_some();
            assert_eq!(found, users.contains(id), "{id} {reach:?}");
        }
        let mine = store.organization(&"o2".into(), &reach).await.unwrap().is_some();
        assert_eq!(mine, reach.organization.is_none());
    }
}

async fn lists_are_filtered_and_paged(store: Arc<dyn Store>) {
    let mut changes = Vec::new();
    for n in 0..25 {
        let mut it = key(&format!("k{n:02}"), Some(if n % 2 == 0 { "even" } else { "odd" }), None, "o1");
        it.alias = Some(format!("Key 100%_{n:02}"));
        changes.push(put_key(it));
    }
    apply(&*store, &changes).await.unwrap();
    let list = async |filter: KeyFilter, page: Page| {
        let listing = store.keys(&filter, &Reach::ALL, page).await.unwrap();
        (listing.total, listing.items.iter().map(|it| it.key.value.id.to_string()).collect::<Vec<_>>())
    };
    let search = |text: &str| KeyFilter { search: Some(text.to_owned()), ..KeyFilter::default() };
    let mut seen = Vec::new();
    for number in 1..=4 {
        let (total, ids) = list(KeyFilter::default(), Page::numbered(number, 10)).await;
        assert_eq!(total, 25);
        seen.extend(ids);
    }
    assert_eq!(seen.len(), 25);
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 25, "pages overlap");
    assert_eq!(
        list(KeyFilter { group: Some("odd".into()), ..KeyFilter::default() }, Page::default()).await.0,
        12
    );
    assert_eq!(list(search("key 100%_0"), Page::default()).await.0, 10);
    assert_eq!(list(search("100__"), Page::default()).await.0, 0, "wildcards of the database are plain text");
    assert_eq!(list(search("K07"), Page::default()).await, (1, vec!["k07".to_owned()]));
    let hash = KeyFilter { hash: Some(KeyHash::of("k03")), ..KeyFilter::default() };
    assert_eq!(list(hash, Page::default()).await, (1, vec!["k03".to_owned()]));
    let alias = KeyFilter { alias: Some("Key 100%_04".to_owned()), ..KeyFilter::default() };
    assert_eq!(list(alias, Page::default()).await, (1, vec!["k04".to_owned()]));
    assert_eq!(list(search("'; DROP TABLE sg_key; --"), Page::default()).await.0, 0);
    assert_eq!(list(KeyFilter::default(), Page::new(u32::MAX, u64::MAX)).await, (25, Vec::new()));
}

async fn groups_are_found_by_id_before_alias(store: Arc<dyn Store>) {
    apply(
        &*store,
        &[
            Change::PutGroup(group("a", Some("b"), "o1"), Expect::New),
            Change::PutGroup(group("b", Some("c"), "o1"), Expect::New),
        ],
    )
    .await
    .unwrap();
    for (name, want) in [("a", Some("a")), ("b", Some("b")), ("c", Some("b")), ("d", None)] {
        let found = store.group(name, &Reach::ALL).await.unwrap();
        assert_eq!(found.as_ref().map(|it| it.value.id.as_str()), want, "{name}");
    }
}

/// An alias is unique within an organization only.
async fn of_namesakes_none_is_taken_for_the_one_that_was_meant(store: Arc<dyn Store>) {
    let named = |id: &str, organization: &str| ApiKey {
        alias: Some("ci".to_owned()),
        ..key(id, None, None, organization)
    };
    let mut changes = Vec::new();
    for n in 0..8 {
        let (id, organization) = (format!("{n}"), format!("o{n}"));
        changes.push(put_key(named(&format!("k{id}"), &organization)));
        changes.push(Change::PutGroup(group(&format!("g{id}"), Some("eng"), &organization), Expect::New));
    }
    changes.push(Change::PutGroup(group("rd", None, "o1"), Expect::New));
    changes.push(Change::PutGroup(group("g9", Some("rd"), "o2"), Expect::New));
    apply(&*store, &changes).await.unwrap();

    let reach = |organization: &str| Reach { organization: Some(organization.into()), ..Reach::ALL };
    let ci = KeyRef::Alias("ci".to_owned());
    let error = store.key(&ci, &Reach::ALL).await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Conflict, Retry::Never));
    let told = "more than one key is called `ci`: `k0`, `k1`, `k2`, `k3`, `k4`, …; name it by its id";
    assert_eq!(error.message(), told);
    assert_eq!(store.key(&ci, &reach("o3")).await.unwrap().unwrap().key.value.id.as_str(), "k3");

    let error = store.group("eng", &Reach::ALL).await.unwrap_err();
    assert!(error.message().contains("`g0`, `g1`"), "{error}");
    assert_eq!(store.group("eng", &reach("o7")).await.unwrap().unwrap().value.id.as_str(), "g7");
    // An id is one, whoever is called so.
    assert_eq!(store.group("rd", &Reach::ALL).await.unwrap().unwrap().value.id.as_str(), "rd");
    for (id, want) in [("rd", Some("rd")), ("g9", Some("g9")), ("eng", None), ("nobody", None)] {
        let found = store.group_by_id(&id.into()).await.unwrap();
        assert_eq!(found.as_ref().map(|it| it.value.id.as_str()), want, "{id}");
    }
    assert!(store.group("nobody", &Reach::ALL).await.unwrap().is_none());
}

async fn channels_and_settings_are_kept(store: Arc<dyn Store>) {
    let channel: sluicegate::core::Channel = serde_json::from_value(serde_json::json!({
        "id": "c1", "name": "one", "provider": "openai", "auth": "bearer", "secret": "sealed", "models": [],
        "endpoints": [{"format": "openai_chat", "url": "https://api.example.com/v1/chat/completions"}],
    }))
    .unwrap();
    let secret = async || store.channels().await.unwrap().pop().unwrap().secret;
    let put = |change, expect| Change::PutChannel(Box::new(channel.clone()), change, expect);
    apply(&*store, &[put(SecretChange::Set("sealed text".to_owned()), Expect::New)]).await.unwrap();
    assert_eq!(store.channels().await.unwrap()[0].channel.value, channel);
    assert_eq!(secret().await.as_deref(), Some("sealed text"));
    apply(&*store, &[put(SecretChange::Keep, Expect::Version(1))]).await.unwrap();
    assert_eq!(secret().await.as_deref(), Some("sealed text"));
    apply(&*store, &[put(SecretChange::Clear, Expect::Version(2))]).await.unwrap();
    assert_eq!(secret().await, None);
    apply(&*store, &[Change::DeleteChannel("c1".into())]).await.unwrap();
    assert!(store.channels().await.unwrap().is_empty());

    let source = serde_json::json!({"source": {"name": "p", "text": "fn route() {}"}, "enabled": true});
    let policy: store::StoredPolicy = serde_json::from_value(source).unwrap();
    assert_eq!(policy.source.attached, Attachment::Everybody);
    let of_a_key = store::StoredPolicy {
        source: PolicySource {
            attached: Attachment::Key("k".into()),
            ..PolicySource::new("q", "fn admit(call) {}")
        },
        ..policy.clone()
    };
    let changes = [
        Change::PutPolicy(policy.clone(), Expect::New),
        Change::PutPolicy(of_a_key.clone(), Expect::New),
        Change::PutSetting("b".to_owned(), serde_json::json!({"x": [1, null]}), Expect::Any),
        Change::PutSetting("a".to_owned(), true.into(), Expect::Any),
    ];
    apply(&*store, &changes).await.unwrap();
    let stored: Vec<_> = store.policies().await.unwrap().into_iter().map(|stored| stored.value).collect();
    assert_eq!(stored, [policy, of_a_key]);
    let settings = store.settings().await.unwrap();
    assert_eq!(settings.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(settings[1].1.value, serde_json::json!({"x": [1, null]}));
    let gone = ["p", "q"].map(|name| Change::DeletePolicy(name.to_owned()));
    apply(&*store, &gone).await.unwrap();
    apply(&*store, &[Change::DeleteSetting("a".to_owned())]).await.unwrap();
    assert!(store.policies().await.unwrap().is_empty() && store.setting("a").await.unwrap().is_none());
}

const DAY: i64 = 86_400_000;
/// 2026-01-01T00:00:00 in Shanghai, where days begin at 16:00 of UTC.
const NEW_YEAR: i64 = 1_767_196_800_000;

fn attempt(channel: &str, started_at: i64, input: u64, output: u64, spend: i64) -> AttemptRecord {
    AttemptRecord {
        channel: channel.into(),
        model: "m1".into(),
        upstream_model: "up".into(),
        outcome: OutcomeClass::Ok,
        status: Some(200),
        started_at: at(started_at),
        duration_ms: 5,
        ceiling: Some(100),
        reserved: spend * 2,
        spend,
        cost: spend * 2,
        priced: true,
        service_tier: None,
        variant: None,
        exchange: None,
        rates: Default::default(),
        usage: Usage { input_uncached: input, cache_read: 1, output_visible: output, ..Usage::default() },
        usage_source: UsageSource::Reported,
        held: false,
        retry_after_ms: None,
        key: None,
        key_fault: false,
        usage_rejected: false,
    }
}

fn entries(records: &[UsageRecord]) -> Vec<RecordEntry> {
    records.iter().cloned().map(RecordEntry::from).collect()
}

fn record(call: &str, started_at: i64, key: &str, group: Option<&str>, user: Option<&str>) -> UsageRecord {
    let attempt = attempt("c1", started_at, 10, 5, 100);
    UsageRecord {
        call: call.into(),
        answer: None,
        amends: None,
        started_at: at(started_at),
        ended_at: at(started_at + 10),
        first_byte_at: Some(at(started_at + 5)),
        key: Some(KeyId::from(key)),
        user: user.map(Into::into),
        group: group.map(Into::into),
        organization: "o1".into(),
        customer: None,
        tags: ["t".to_owned()].into_iter().collect(),
        format: Format::OpenaiChat,
        model: "m1".into(),
        stream: true,
        outcome: OutcomeClass::Ok,
        error: None,
        guardrails: Default::default(),
        losses: Vec::new(),
        spend: attempt.spend,
        usage: attempt.usage,
        attempts: [attempt].into_iter().collect(),
        replay: ReplayFacts::default(),
    }
}

async fn total(store: &dyn Store) -> Sums {
    store.daily(&RecordFilter::default(), &Reach::ALL, &[], Page::default()).await.unwrap().items[0].sums
}

async fn records_are_appended_once(store: Arc<dyn Store>) {
    let (a, b) = (record("a", NEW_YEAR, "k1", None, None), record("b", NEW_YEAR + 1, "k1", None, None));
    store.append(&entries(&[a.clone(), a.clone()]), &[], None).await.unwrap();
    store.append(&entries(&[a.clone(), b.clone()]), &[], None).await.unwrap();
    store.append(&entries(&[b.clone(), a.clone()]), &[], None).await.unwrap();
    store.append(&[], &[], None).await.unwrap();
    let listed = store.records(&RecordFilter::default(), &Reach::ALL, Page::default()).await.unwrap();
    assert_eq!((listed.total, listed.items), (2, vec![b, a]));
    let sums = total(&*store).await;
    assert_eq!(
        (sums.requests, sums.input_tokens, sums.output_tokens, sums.spend, sums.cost),
        (2, 22, 10, 200, 400)
    );

    // Two nodes that replay the same journal at once count it once.
    let many: Vec<UsageRecord> =
        (0..40).map(|n| record(&format!("c{n}"), NEW_YEAR, "k1", None, None)).collect();
    let tasks: Vec<_> = (0..4)
        .map(|_| {
            let (store, many) = (Arc::clone(&store), many.clone());
            tokio::spawn(async move { store.append(&entries(&many), &[], None).await.unwrap() })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(total(&*store).await.requests, 42);
}

async fn what_amends_a_record_is_no_further_call(store: Arc<dyn Store>) {
    let call = record("call", NEW_YEAR, "k1", None, None);
    let mut amendment = record("call~1", NEW_YEAR, "k1", None, None);
    amendment.amends = Some("call".into());
    for _ in 0..2 {
        store.append(&entries(&[call.clone(), amendment.clone()]), &[], None).await.unwrap();
    }
    let sums = total(&*store).await;
    assert_eq!((sums.requests, sums.attempts, sums.spend), (1, 1, 200));
    for since in [Since::Ever, Since::Instant(at(NEW_YEAR - 1))] {
        let sums = store.usage(&Owner::Key("k1".into()), None, since).await.unwrap();
        assert_eq!((sums.requests, sums.spend), (1, 200), "{since:?}");
    }
    let buckets = store.usage_buckets(&Owner::Global, None, at(NEW_YEAR), 60_000).await.unwrap();
    assert_eq!(buckets.iter().map(|(_, sums)| sums.requests).collect::<Vec<_>>(), [1]);
}

async fn daily_sums_follow_attempts_and_zone(store: Arc<dyn Store>) {
    // Came in on new year's eve at c1, went on after midnight at c2.
    let mut long = record("long", NEW_YEAR - 1, "k1", Some("g1"), Some("u1"));
    long.attempts =
        [attempt("c1", NEW_YEAR - 1, 3, 0, 7), attempt("c2", NEW_YEAR, 10, 5, 100)].into_iter().collect();
    let mut refused = record("refused", NEW_YEAR, "k1", Some("g1"), Some("u1"));
    refused.attempts.clear();
    refused.outcome = OutcomeClass::RateLimited;
    store.append(&entries(&[long, refused]), &[], None).await.unwrap();
    let by = [Dimension::Day, Dimension::Channel];
    let rows = store.daily(&RecordFilter::default(), &Reach::ALL, &by, Page::default()).await.unwrap();
    let shown: Vec<_> = rows
        .items
        .iter()
        .map(|row| {
            (row.by.join(" "), row.sums.requests, row.sums.failures, row.sums.attempts, row.sums.spend)
        })
        .collect();
    assert_eq!(
        shown,
        [
            ("2025-12-31 c1".to_owned(), 0, 0, 1, 7),
            ("2025-12-31 c2".to_owned(), 1, 0, 0, 0),
            ("2026-01-01 ".to_owned(), 0, 1, 0, 0),
            ("2026-01-01 c2".to_owned(), 0, 0, 1, 100),
        ]
    );
    let second = store.daily(&RecordFilter::default(), &Reach::ALL, &by, Page::new(2, 2)).await.unwrap();
    assert_eq!((second.total, &second.items[..]), (4, &rows.items[2..]));
    // Behind a row, whether or not it is still there; the total is that of all.
    for (behind, want) in [
        (&rows.items[1].by, &rows.items[2..]),
        (&vec!["2025-12-31".to_owned(), "c1x".to_owned()], &rows.items[1..]),
        (&vec!["2026-01-01".to_owned(), "c2".to_owned()], &rows.items[4..]),
    ] {
        let behind = RecordFilter { behind: behind.clone(), ..RecordFilter::default() };
        let part = store.daily(&behind, &Reach::ALL, &by, Page::default()).await.unwrap();
        assert_eq!((part.total, &part.items[..]), (4, want), "{behind:?}");
    }
    let other = RecordFilter { behind: vec!["2025-12-31".to_owned()], ..RecordFilter::default() };
    let refused = store.daily(&other, &Reach::ALL, &by, Page::default()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidRequest);
    let new_year =
        RecordFilter { from: Some(at(NEW_YEAR)), to: Some(at(NEW_YEAR + DAY)), ..RecordFilter::default() };
    let rows = store.daily(&new_year, &Reach::ALL, &[Dimension::Day], Page::default()).await.unwrap();
    assert_eq!(rows.items.iter().map(|row| row.by[0].as_str()).collect::<Vec<_>>(), ["2026-01-01"]);
    let totals = store.totals(Dimension::Key, &["k1", "k2"]).await.unwrap();
    assert_eq!((totals.len(), totals["k1"].spend, totals["k1"].cache_read_tokens), (1, 107, 2));
}

async fn usage_is_summed_by_owner_and_time(store: Arc<dyn Store>) {
    let mut records = vec![
        record("a", NEW_YEAR - DAY, "k1", Some("g1"), Some("u1")),
        record("b", NEW_YEAR, "k1", Some("g1"), Some("u1")),
        record("c", NEW_YEAR + 61_000, "k2", Some("g1"), Some("u2")),
        record("d", NEW_YEAR + 62_000, "k3", None, Some("u1")),
    ];
    records[3].model = "m2".into();
    store.append(&entries(&records), &[], None).await.unwrap();
    let today = Since::Day("2026-01-01".parse().unwrap());
    let minute = Since::Instant(at(NEW_YEAR + 60_000));
    let user = |ungrouped| Owner::User { user: "u1".into(), ungrouped };
    for (owner, ever, day, last) in [
        (Owner::Key("k1".into()), 2, 1, 0),
        (Owner::Group("g1".into()), 3, 2, 1),
        (Owner::Membership("g1".into(), "u1".into()), 2, 1, 0),
        (user(false), 3, 2, 1),
        (user(true), 1, 1, 1),
        (Owner::Organization("o1".into()), 4, 3, 2),
        (Owner::Organization("o2".into()), 0, 0, 0),
        (Owner::Global, 4, 3, 2),
    ] {
        for (since, want) in [(Since::Ever, ever), (today, day), (minute, last)] {
            let sums = store.usage(&owner, None, since).await.unwrap();
            let got = (sums.requests, sums.input_tokens, sums.output_tokens, sums.total_tokens(), sums.spend);
            assert_eq!(got, (want, want * 11, want * 5, want * 16, want * 100), "{owner:?} {since:?}");
        }
    }
    let channel = store.usage(&Owner::Channel("c1".into()), None, Since::Ever).await.unwrap();
    assert_eq!((channel.requests, channel.spend), (4, 800), "attempts, at list prices");
    let m2 = store.usage(&Owner::Global, Some(&"m2".into()), Since::Ever).await.unwrap();
    assert_eq!(m2.requests, 1);
    let buckets = store.usage_buckets(&Owner::Global, None, at(NEW_YEAR), 60_000).await.unwrap();
    let buckets: Vec<_> =
        buckets.iter().map(|(start, sums)| (start.as_ms() - NEW_YEAR, sums.requests)).collect();
    assert_eq!(buckets, [(0, 1), (60_000, 2)]);

    let narrow = Reach {
        organization: Some("o1".into()),
        narrow: Some(Narrow { groups: Vec::new(), user: Some("u2".into()), key: Some("k3".into()) }),
    };
    let listed = store.records(&RecordFilter::default(), &narrow, Page::default()).await.unwrap();
    assert_eq!(listed.items.iter().map(|it| it.call.as_str()).collect::<Vec<_>>(), ["d", "c"]);
    let sums =
        store.daily(&RecordFilter::default(), &narrow, &[], Page::default()).await.unwrap().items[0].sums;
    assert_eq!(sums.requests, 2);
    let of = |filter: RecordFilter| {
        let store = Arc::clone(&store);
        async move { store.records(&filter, &Reach::ALL, Page::default()).await.unwrap().total }
    };
    for (filter, want) in [
        (RecordFilter { key: Some("k1".into()), ..RecordFilter::default() }, 2),
        (RecordFilter { model: Some("m2".into()), ..RecordFilter::default() }, 1),
        (RecordFilter { call: Some("c".into()), ..RecordFilter::default() }, 1),
        (RecordFilter { outcome: Some(OutcomeClass::Ok), ..RecordFilter::default() }, 4),
        (RecordFilter { outcome: Some(OutcomeClass::Timeout), ..RecordFilter::default() }, 0),
        (
            RecordFilter {
                from: Some(at(NEW_YEAR)),
                to: Some(at(NEW_YEAR + 61_000)),
                ..RecordFilter::default()
            },
            1,
        ),
        (RecordFilter { channel: Some("c9".into()), ..RecordFilter::default() }, 0),
    ] {
        assert_eq!(of(filter.clone()).await, want, "{filter:?}");
    }
}

fn balance(id: &str, window: Window, start: i64, settled: i64, held: i64) -> Balance {
    Balance {
        scope: Scope::new(ScopeKind::Group, id),
        metric: Metric::TotalTokens,
        window,
        model: None,
        window_start: at(start),
        settled,
        held,
        carried: 0,
    }
}

async fn balances_are_replaced_and_restored(store: Arc<dyn Store>) {
    let with_model = Balance { model: Some("m".into()), ..balance("a", Window::Day, 0, 1, 0) };
    let first = [
        balance("a", Window::Day, 0, 1, 2),
        balance("a", Window::Day, DAY, 3, 0),
        balance("a", Window::RollingMs(18_000_000), 0, 4, 0),
        balance("b", Window::Lifetime, 0, i64::MAX, 0),
        with_model.clone(),
    ];
    store.append(&[], &first, None).await.unwrap();
    let twice = [balance("a", Window::Day, DAY, 4, 0), balance("a", Window::Day, DAY, 5, 6)];
    store.append(&entries(&[record("r", 0, "k", None, None)]), &twice, None).await.unwrap();
    let mut stored = store.balances().await.unwrap();
    let mut want = first.to_vec();
    want[1] = balance("a", Window::Day, DAY, 5, 6);
    let by = |it: &Balance| format!("{it:?}");
    stored.sort_by_key(by);
    want.sort_by_key(by);
    assert_eq!(stored, want);
}

async fn events_follow_each_other_without_a_gap(store: Arc<dyn Store>) {
    let tasks: Vec<_> = (0..10)
        .map(|n| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let put = Change::PutSetting(format!("s{n}"), n.into(), Expect::New);
                let event = NewEvent {
                    organization: Some(if n < 5 { "o1" } else { "o2" }.into()),
                    group: (n == 0).then(|| "g1".into()),
                    at: at(n),
                    ..event(if n % 2 == 0 { "key.create" } else { "group.create" })
                };
                store.apply(&[put], &event, &Chain).await.unwrap()
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let all = store.events(&AuditFilter::default(), &Reach::ALL, Page::default()).await.unwrap();
    assert_eq!((all.total, store.head().await.unwrap()), (10, 10));
    let mut previous = String::new();
    for (n, event) in all.items.iter().rev().enumerate() {
        assert_eq!(event.seq, i64::try_from(n).unwrap() + 1);
        previous = Chain.link(&previous, event.seq, &event.event, &event.event.detail.to_string());
        assert_eq!(event.mac, previous);
    }
    let reach = Reach { organization: Some("o1".into()), narrow: None };
    let narrow = Narrow { groups: vec!["g1".into()], user: None, key: None };
    let count = async |filter: &AuditFilter, reach: &Reach| {
        store.events(filter, reach, Page::default()).await.unwrap().total
    };
    assert_eq!(count(&AuditFilter::default(), &reach).await, 5);
    assert_eq!(count(&AuditFilter::default(), &Reach { narrow: Some(narrow), ..reach }).await, 1);
    let enabled = NewEvent { organization: None, at: at(20), ..event("channel.keys.enable") };
    store.apply(&[], &enabled, &Chain).await.unwrap();
    for (action, want) in [
        ("key.create", 5),
        ("key.", 5),
        ("group.", 5),
        ("key.delete", 0),
        ("k.", 0),
        ("channel.", 1),
        ("channel.keys.", 1),
        ("keys.", 0),
        (".", 0),
    ] {
        let filter = AuditFilter { action: Some(action.to_owned()), ..AuditFilter::default() };
        assert_eq!(count(&filter, &Reach::ALL).await, want, "{action}");
    }
    let filter = AuditFilter { from: Some(at(3)), to: Some(at(5)), ..AuditFilter::default() };
    assert_eq!(count(&filter, &Reach::ALL).await, 2);
}

async fn text_of_any_kind_is_kept(store: Arc<dyn Store>) {
    for (n, text) in ["日本語", "a'b\"c", "🦀", "line\nbreak", "{{x}} $1 ?", "%_\\"].iter().enumerate() {
        let id = format!("u{n}");
        let it = User { alias: Some((*text).to_owned()), ..user(&id, "o1") };
        apply(&*store, &[Change::PutUser(it.clone(), Expect::New)]).await.unwrap();
        assert_eq!(store.user(&id.as_str().into(), &Reach::ALL).await.unwrap().unwrap().value, it);
    }
    // What PostgreSQL can't hold must not stop a batch.
    let mut odd = record("odd", NEW_YEAR, "k", None, None);
    odd.model = "m\0x".into();
    odd.customer = Some("\0".to_owned());
    store
        .append(&entries(&[odd.clone(), record("even", NEW_YEAR, "k", None, None)]), &[], None)
        .await
        .unwrap();
    assert_eq!(total(&*store).await.requests, 2);
    let found = store
        .records(
            &RecordFilter { call: Some("odd".into()), ..RecordFilter::default() },
            &Reach::ALL,
            Page::default(),
        )
        .await
        .unwrap();
    assert_eq!(found.items, [odd]);
}

async fn a_batch_of_any_size_is_stored(store: Arc<dyn Store>) {
    let records: Vec<UsageRecord> = (0..333)
        .map(|n| {
            record(
                &format!("r{n}"),
                NEW_YEAR + n,
                &format!("k{}", n % 100),
                Some(&format!("g{}", n % 7)),
                None,
            )
        })
        .collect();
    let balances: Vec<Balance> = (0..150).map(|n| balance(&format!("g{n}"), Window::Day, 0, n, 0)).collect();
    store.append(&entries(&records), &balances, None).await.unwrap();
    assert_eq!(total(&*store).await.requests, 333);
    assert_eq!(store.balances().await.unwrap().len(), 150);
    let ids: Vec<String> = (0..1_200).map(|n| format!("k{n}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    assert_eq!(store.totals(Dimension::Key, &ids).await.unwrap().len(), 100);
    assert!(store.totals(Dimension::Key, &[]).await.unwrap().is_empty());
}

async fn old_records_are_forgotten_and_their_sums_stay(store: Arc<dyn Store>) {
    let records = [record("old", NEW_YEAR, "k", None, None), record("new", NEW_YEAR + DAY, "k", None, None)];
    let balances = [
        balance("g", Window::Day, NEW_YEAR, 1, 0),
        balance("g", Window::Day, NEW_YEAR + DAY, 1, 0),
        balance("g", Window::Lifetime, 0, 1, 0),
        balance("g", Window::Minute, NEW_YEAR + DAY, 1, 0),
        balance("g", Window::Month, NEW_YEAR, 1, 0),
        balance("g", Window::RollingMs(60 * 86_400_000), NEW_YEAR - DAY, 1, 0),
        balance("g", Window::RollingMs(18_000_000), NEW_YEAR, 1, 0),
    ];
    store.append(&entries(&records), &balances, None).await.unwrap();
    assert_eq!(store.records_since().await.unwrap(), at(i64::MIN));
    // A record, a day, a minute and a few hours are over; a month and sixty days aren't. Of a day that has begun all stays.
    let ended_before = at(NEW_YEAR + DAY + 3 * 3_600_000);
    for (records_before, want) in
        [(None, 3), (Some(at(NEW_YEAR + 1)), 0), (Some(at(NEW_YEAR + DAY + 1)), 1), (Some(at(NEW_YEAR)), 0)]
    {
        let gone = store.prune(&Forget { records_before, sums_before: None, ended_before }).await.unwrap();
        assert_eq!((gone.rows, gone.more), (want, false), "{records_before:?}");
    }
    assert_eq!(store.records_since().await.unwrap(), at(NEW_YEAR + DAY));
    let left = store.records(&RecordFilter::default(), &Reach::ALL, Page::default()).await.unwrap();
    assert_eq!((left.total, left.items[0].call.as_str()), (1, "new"));
    let spans: Vec<Window> = store.balances().await.unwrap().iter().map(|it| it.window).collect();
    assert_eq!(spans.len(), 4, "{spans:?}");
    assert!(!spans.contains(&Window::Minute) && !spans.contains(&Window::RollingMs(18_000_000)), "{spans:?}");
    assert_eq!(total(&*store).await.requests, 2);
}

fn labelled(call: &str, customer: Option<&str>, tags: &[&str]) -> UsageRecord {
    UsageRecord {
        customer: customer.map(str::to_owned),
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        ..record(call, NEW_YEAR, "k1", Some("g1"), None)
    }
}

/// Requests by a label, as `label=requests`.
async fn by_label(store: &dyn Store, by: Dimension, filter: &RecordFilter, reach: &Reach) -> Vec<String> {
    let rows = store.daily(filter, reach, &[by], Page::default()).await.unwrap();
    assert_eq!(rows.total, rows.items.len() as u64);
    rows.items.iter().map(|row| format!("{}={}", row.by[0], row.sums.requests)).collect()
}

async fn sums_by_label_follow_the_records(store: Arc<dyn Store>) {
    let mut other = labelled("d", Some("acme"), &["beta"]);
    (other.key, other.group, other.organization) = (Some("k2".into()), Some("g2".into()), "o2".into());
    let records = [
        labelled("a", Some("acme"), &["alpha", "beta", "alpha"]),
        labelled("b", Some(" acme "), &[]),
        labelled("c", Some("b\0b"), &["alpha"]),
        labelled("c2", Some("b\u{fffd}b"), &[]),
        other,
        labelled("e", None, &["", "  "]),
    ];
    // A batch that comes again, or in part, changes nothing.
    store.append(&entries(&records), &[], None).await.unwrap();
    store.append(&entries(&records), &[], None).await.unwrap();
    store.append(&entries(&[records[0].clone(), labelled("f", Some("acme"), &[])]), &[], None).await.unwrap();

    let all = RecordFilter::default();
    let narrow = |groups: &[&str], key: Option<&str>| Reach {
        organization: Some("o1".into()),
        narrow: Some(Narrow {
            groups: groups.iter().map(|id| (*id).into()).collect(),
            user: None,
            key: key.map(Into::into),
        }),
    };
    for (by, filter, reach, want) in [
        (Dimension::Customer, all.clone(), Reach::ALL, &["acme=4", "b\u{fffd}b=2"][..]),
        (Dimension::Tag, all.clone(), Reach::ALL, &["alpha=2", "beta=2"]),
        (Dimension::Tag, RecordFilter { tag: Some("beta".into()), ..all.clone() }, Reach::ALL, &["beta=2"]),
        (Dimension::Tag, RecordFilter { group: Some("g2".into()), ..all.clone() }, Reach::ALL, &["beta=1"]),
        (
            Dimension::Organization,
            RecordFilter { customer: Some("acme".into()), ..all.clone() },
            Reach::ALL,
            &["o1=3", "o2=1"],
        ),
        (Dimension::Customer, all.clone(), narrow(&["g2"], None), &[]),
        (Dimension::Customer, all.clone(), narrow(&["g1"], None), &["acme=3", "b\u{fffd}b=2"]),
        (Dimension::Tag, all.clone(), narrow(&[], Some("k1")), &["alpha=2", "beta=1"]),
        (
            Dimension::Customer,
            RecordFilter { from: Some(at(NEW_YEAR + DAY)), ..all.clone() },
            Reach::ALL,
            &[],
        ),
    ] {
        assert_eq!(by_label(&*store, by, &filter, &reach).await, want, "{by:?} {filter:?} {reach:?}");
    }
    let acme = RecordFilter { customer: Some("acme".into()), ..all.clone() };
    let sums = store.daily(&acme, &Reach::ALL, &[], Page::default()).await.unwrap().items[0].sums;
    assert_eq!((sums.requests, sums.attempts, sums.spend, sums.cost), (4, 4, 400, 800));
    assert_eq!(store.totals(Dimension::Customer, &["acme", "nobody"]).await.unwrap().len(), 1);
    assert_eq!(total(&*store).await.requests, 7);

    let both = store.daily(&acme, &Reach::ALL, &[Dimension::Tag], Page::default()).await.unwrap_err();
    assert_eq!(both.kind(), ErrorKind::InvalidRequest);
    let listed = store.records(&acme, &Reach::ALL, Page::default()).await.unwrap_err();
    assert_eq!(listed.kind(), ErrorKind::InvalidRequest);
}

async fn labels_of_a_day_are_bounded(store: Arc<dyn Store>) {
    let many = |from: usize, to: usize| -> Vec<UsageRecord> {
        (from..to).map(|n| labelled(&format!("r{n}"), Some(&format!("c{n:05}")), &[])).collect()
    };
    store.append(&entries(&many(0, LABELS_PER_DAY - 2)), &[], None).await.unwrap();
    // Two more find room, three don't; who is known goes on being told apart, and so does another organization's.
    let mut known = labelled("again", Some("c00007"), &[]);
    known.started_at = at(NEW_YEAR + 5);
    let mut foreign = labelled("foreign", Some("z"), &[]);
    foreign.organization = "o2".into();
    let rest: Vec<UsageRecord> =
        many(LABELS_PER_DAY - 2, LABELS_PER_DAY + 3).into_iter().chain([known, foreign]).collect();
    store.append(&entries(&rest), &[], None).await.unwrap();
    store.append(&entries(&many(LABELS_PER_DAY + 3, LABELS_PER_DAY + 4)), &[], None).await.unwrap();

    let all = RecordFilter::default();
    let rows = store.daily(&all, &Reach::ALL, &[Dimension::Customer], Page::new(1, 0)).await.unwrap();
    assert_eq!(rows.total, LABELS_PER_DAY as u64 + 2);
    let of = |name: &str| RecordFilter { customer: Some(name.to_owned()), ..RecordFilter::default() };
    for (name, want) in [("c00007", 2), ("c09999", 1), ("c10000", 0), (LABEL_OVERFLOW, 4), ("z", 1)] {
        let rows = store.daily(&of(name), &Reach::ALL, &[], Page::default()).await.unwrap();
        assert_eq!(rows.items[0].sums.requests, want, "{name}");
    }
    // Another day begins anew.
    let mut next = labelled("next", Some("tomorrow"), &[]);
    next.started_at = at(NEW_YEAR + DAY);
    next.attempts[0].started_at = at(NEW_YEAR + DAY);
    store.append(&entries(&[next]), &[], None).await.unwrap();
    let rows = store.daily(&of("tomorrow"), &Reach::ALL, &[], Page::default()).await.unwrap();
    assert_eq!(rows.items[0].sums.requests, 1);
}

async fn days_of_old_months_become_one(store: Arc<dyn Store>) {
    // 40 days of 30 keys each, from new year's day on: more than one piece for January.
    let mut records = Vec::new();
    for day in 0..40 {
        for key in 0..30 {
            let mut it =
                record(&format!("r{day}-{key}"), NEW_YEAR + day * DAY, &format!("k{key}"), None, None);
            it.customer = Some("acme".to_owned());
            records.push(it);
        }
    }
    store.append(&entries(&records), &[], None).await.unwrap();
    let before = total(&*store).await;
    let forget = |sums_before| Forget { records_before: None, sums_before, ended_before: at(i64::MIN) };
    let days = async || {
        let filter = RecordFilter::default();
        store.daily(&filter, &Reach::ALL, &[Dimension::Day], Page::default()).await.unwrap().items
    };
    // January isn't over on its 31st.
    let last = Some(at(NEW_YEAR + 30 * DAY));
    assert_eq!(store.prune(&forget(last)).await.unwrap(), Forgotten::default());
    assert_eq!(days().await.len(), 40);

    let mut pieces = 0;
    while store.prune(&forget(Some(at(NEW_YEAR + 31 * DAY)))).await.unwrap().more {
        pieces += 1;
        assert_eq!(total(&*store).await, before);
    }
    assert_eq!(
        pieces,
        4 * 30 + 2 * 2 + 31,
        "a day, or a third of a month, of each kind of sums at a time, then an hour"
    );
    let rows = days().await;
    assert_eq!(rows.len(), 1 + 9);
    assert_eq!((rows[0].by[0].as_str(), rows[0].sums.requests), ("2026-01-01", 31 * 30));
    assert_eq!(total(&*store).await, before);
    let of = RecordFilter { customer: Some("acme".to_owned()), ..RecordFilter::default() };
    let left = store.daily(&of, &Reach::ALL, &[], Page::default()).await.unwrap().items[0].sums.requests;
    assert_eq!(left, 9 * 30, "February's");
    report::months_are_in_reports(&*store, &before).await;
    let records = store.records(&RecordFilter::default(), &Reach::ALL, Page::new(1, 0)).await.unwrap();
    assert_eq!(records.total, 1_200);
}

async fn every_attempt_is_found(store: Arc<dyn Store>) {
    let mut long = record("long", NEW_YEAR, "k1", None, None);
    long.attempts = [("c1", 1), ("c2", 2), ("c1", 3), ("c3", 4)]
        .iter()
        .map(|(channel, ms)| attempt(channel, NEW_YEAR + ms, 1, 1, 1))
        .collect();
    let records = [long, record("short", NEW_YEAR + 1, "k1", None, None)];
    for _ in 0..2 {
        store.append(&entries(&records), &[], None).await.unwrap();
    }
    let all = RecordFilter::default();
    let day = RecordFilter { from: Some(at(NEW_YEAR)), to: Some(at(NEW_YEAR + 1)), ..all.clone() };
    for (filter, channel, want) in [
        (&all, "c1", &["short", "long"][..]),
        (&all, "c2", &["long"]),
        (&all, "c3", &["long"]),
        (&all, "c4", &[]),
        (&day, "c1", &["long"]),
    ] {
        let filter = RecordFilter { channel: Some(channel.into()), ..filter.clone() };
        let found = store.records(&filter, &Reach::ALL, Page::default()).await.unwrap();
        assert_eq!(found.items.iter().map(|it| it.call.as_str()).collect::<Vec<_>>(), want, "{channel}");
        assert_eq!(found.total, want.len() as u64);
    }
    let forget =
        Forget { records_before: Some(at(NEW_YEAR + DAY)), sums_before: None, ended_before: at(i64::MIN) };
    assert_eq!(store.prune(&forget).await.unwrap().rows, 2 + 2, "records, and the attempts before the last");
}

#[tokio::test]
async fn a_file_is_private_survives_and_refuses_a_changed_history() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.db");
    let address = format!("sqlite:{}", path.display());
    let store = open(&address).await;
    world(&*store).await;
    store.close().await;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let again = open(&address).await;
    assert_eq!(again.keys(&KeyFilter::default(), &Reach::ALL, Page::default()).await.unwrap().total, 4);
    again.close().await;

    let pool = sqlx::SqlitePool::connect(&format!("sqlite://{}", path.display())).await.unwrap();
    sqlx::query("UPDATE sg_migration SET checksum = 'x'").execute(&pool).await.unwrap();
    pool.close().await;
    let error = store::open(&address, TimeZone::UTC).await.err().unwrap();
    assert!(error.message().contains("isn't the one this version knows"), "{error}");
}

/// The newest part of the records' table and all parts, of PostgreSQL.
async fn partitions(pool: &sqlx::PgPool) -> Vec<String> {
    let sql = "SELECT CAST(c.relname AS TEXT) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid \
         WHERE i.inhparent = CAST('sg_record' AS regclass) ORDER BY 1";
    sqlx::query_scalar(sql).fetch_all(pool).await.unwrap()
}

async fn rows_in(pool: &sqlx::PgPool, table: &str) -> i64 {
    let sql = format!("SELECT COUNT(*) FROM {table}");
    sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(pool).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_keeps_records_by_month_and_drops_whole_months() {
    let Some(address) = schema("months").await else { return };
    let store = open(&address).await;
    let pool = sqlx::PgPool::connect(&address).await.unwrap();
    assert_eq!(partitions(&pool).await, ["sg_record_other"]);
    // What came before its month was made moves into it; what no month takes is kept all the same.
    let odd = record("odd", i64::MAX / 2, "k", None, None);
    store
        .append(&entries(&[record("early", NEW_YEAR + 20 * DAY, "k", None, None), odd]), &[], None)
        .await
        .unwrap();
    for _ in 0..2 {
        store.prepare(at(NEW_YEAR + 20 * DAY)).await.unwrap();
        let months = ["sg_record_2026_01", "sg_record_2026_02", "sg_record_2026_03", "sg_record_other"];
        assert_eq!(partitions(&pool).await, months);
    }
    assert_eq!((rows_in(&pool, "sg_record_2026_01").await, rows_in(&pool, "sg_record_other").await), (1, 1));
    let february = record("february", NEW_YEAR + 45 * DAY, "k", None, None);
    let again = record("early", NEW_YEAR + 20 * DAY, "k", None, None);
    store.append(&entries(&[february, again]), &[], None).await.unwrap();
    assert_eq!(rows_in(&pool, "sg_record_2026_02").await, 1);
    assert_eq!((total(&*store).await.requests, rows_in(&pool, "sg_record").await), (3, 3));

    // February has begun where the records end that may go: only January does.
    let what = Forget {
        records_before: Some(at(NEW_YEAR + 50 * DAY)),
        sums_before: None,
        ended_before: at(i64::MIN),
    };
    // Another node that clears away has the turn.
    let mut other = pool.begin().await.unwrap();
    sqlx::query("SELECT pg_advisory_xact_lock(8317151707346069305 + hashtext(current_schema()))")
        .execute(&mut *other)
        .await
        .unwrap();
    assert_eq!(store.prune(&what).await.unwrap(), Forgotten::default());
    other.rollback().await.unwrap();
    assert_eq!(store.prune(&what).await.unwrap(), Forgotten { rows: 1, more: true });
    assert_eq!(store.prune(&what).await.unwrap(), Forgotten::default());
    assert_eq!(partitions(&pool).await, ["sg_record_2026_02", "sg_record_2026_03", "sg_record_other"]);
    assert_eq!((total(&*store).await.requests, rows_in(&pool, "sg_record").await), (3, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_empties_no_audit_trail() {
    let Some(address) = schema("truncate").await else { return };
    let _store = open(&address).await;
    let pool = sqlx::PgPool::connect(&address).await.unwrap();
    let refused = sqlx::query("TRUNCATE sg_audit").execute(&pool).await.unwrap_err();
    assert!(refused.to_string().contains("append-only"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_takes_over_the_records_of_an_earlier_version() {
    let Some(address) = schema("earlier").await else { return };
    let pool = sqlx::PgPool::connect(&address).await.unwrap();
    let run = async |sql: String| {
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&pool).await.unwrap();
    };
    run("CREATE TABLE sg_migration (number BIGINT NOT NULL PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL)".to_owned())
        .await;
    let steps = [
        ("initial", include_str!("../migrations/0001_initial.sql")),
        ("journal", include_str!("../migrations/0002_journal.sql")),
    ];
    for (number, (name, text)) in (1..).zip(steps) {
        let checksum: String = Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
        run(text.to_owned()).await;
        run(format!("INSERT INTO sg_migration VALUES ({number}, '{name}', '{checksum}')")).await;
    }
    let kept = [record("old", NEW_YEAR, "k", None, None), record("future", i64::MAX / 2, "k", None, None)];
    for it in &kept {
        let body = serde_json::to_string(it).unwrap();
        let at = it.started_at.as_ms();
        run(format!("INSERT INTO sg_record VALUES ('{}', {at}, 'o1', NULL, NULL, 'k', 'm', 'c1', 'ok', 1, 1, 1, '{body}')", it.call)).await;
    }
    let store = open(&address).await;
    assert_eq!(partitions(&pool).await, ["sg_record_before", "sg_record_other"]);
    assert_eq!(rows_in(&pool, "sg_record_before").await, 1);
    let listed = store.records(&RecordFilter::default(), &Reach::ALL, Page::default()).await.unwrap();
    assert_eq!(listed.items, [kept[1].clone(), kept[0].clone()]);
    // It takes what comes in this month, too, and a record that comes again changes nothing.
    let now = at(std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis().try_into().unwrap());
    store
        .append(&entries(&[record("new", now.as_ms(), "k", None, None), kept[0].clone()]), &[], None)
        .await
        .unwrap();
    assert_eq!((rows_in(&pool, "sg_record_before").await, total(&*store).await.requests), (2, 1));
    store.prepare(now).await.unwrap();
    assert_eq!(partitions(&pool).await.len(), 2 + 2, "the months after this one");
    // Until it is dropped whole, what is too old goes from it row by row.
    let what = Forget { records_before: Some(now), sums_before: None, ended_before: at(i64::MIN) };
    assert_eq!(store.prune(&what).await.unwrap(), Forgotten { rows: 1, more: false });
    assert_eq!(rows_in(&pool, "sg_record_before").await, 1);
}

#[tokio::test]
async fn a_file_gives_back_the_room_of_what_is_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.db");
    let store = open(&path.display().to_string()).await;
    let mut records: Vec<UsageRecord> =
        (0..4_000).map(|n| record(&format!("r{n}"), NEW_YEAR, "k", None, None)).collect();
    for (n, it) in records.iter_mut().enumerate() {
        it.error = Some(format!("{n}").repeat(1_000));
    }
    store.append(&entries(&records), &[], None).await.unwrap();
    let what =
        Forget { records_before: Some(at(NEW_YEAR + DAY)), sums_before: None, ended_before: at(i64::MIN) };
    let mut pieces = 0;
    while store.prune(&what).await.unwrap().more {
        pieces += 1;
        assert!(pieces < 100);
    }
    assert!(pieces >= 8, "{pieces}");
    store.close().await;
    let left = std::fs::metadata(&path).unwrap().len();
    assert!(left < 6 << 20, "{left} of 16 million bytes are left");
}

#[tokio::test]
async fn addresses_that_make_no_sense_are_explained() {
    for (address, words) in [
        ("", "empty"),
        ("mysql://u:hunter2@h/d", "mysql://"),
        ("sqlite:/nonexistent-dir/x.db", "doesn't exist"),
        ("sqlite:<path>", "placeholder"),
        ("postgres://user:password@host/database", "placeholder"),
    ] {
        let error = store::open(address, TimeZone::UTC).await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Config, "{address}");
        assert!(
            error.message().contains(words) && !error.message().contains("hunter2"),
            "{address}: {error}"
        );
    }
}
