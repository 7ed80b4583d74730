//! Accounts, sessions, access tokens, and the trail of events read forwards.

use std::sync::Arc;

use sluicegate::admin::Scopes;
use sluicegate::core::{ErrorKind, Retry, Role, User};
use sluicegate::credential::KeyHash;
use sluicegate::store::{
    AccessToken, Account, AuditFilter, Change, Expect, Forget, Hidden, Identity, KeyRef, Page, Reach,
    Session, SessionFacts, Stage, Store, Thing,
};

use super::{Chain, apply, at, event, key, user};

fn account(id: &str) -> Account {
    let password = Hidden("$argon2id$x".to_owned());
    Account {
        user: id.into(),
        password,
        must_change: true,
        totp: Some(Hidden("v1:x".to_owned())),
        totp_pending: None,
    }
}

fn session(id: &str, user: &str, created: i64, expires: i64) -> Session {
    let facts = SessionFacts { stage: Stage::SecondStep, address: Some("::1".to_owned()), agent: None };
    let hash = KeyHash::of(id);
    let (created_at, expires_at) = (at(created), at(expires));
    Session { id: id.to_owned(), hash, user: user.into(), created_at, seen_at: created_at, expires_at, facts }
}

fn token(id: &str, user: &str) -> AccessToken {
    let scopes = Scopes::try_from(vec!["keys:read".to_owned()]).unwrap();
    let (name, hint) = ("n".to_owned(), "h".to_owned());
    AccessToken { id: id.to_owned(), user: user.into(), name, hint, scopes, expires_at: at(9) }
}

pub(super) async fn ways_to_sign_in_are_kept_and_go_with_their_user(store: Arc<dyn Store>) {
    let store = &*store;
    let (me, other) = ("me".into(), "other".into());
    assert!(!store.has_super_admin().await.unwrap());
    apply(
        store,
        &[Change::PutUser(user("me", "o1"), Expect::New), Change::PutAccount(account("me"), Expect::New)],
    )
    .await
    .unwrap();
    let kept = store.account(&me).await.unwrap().unwrap();
    assert_eq!((kept.value, kept.version), (account("me"), 1));
    assert_eq!(store.account(&other).await.unwrap(), None);
    let again = apply(store, &[Change::PutAccount(account("me"), Expect::New)]).await.unwrap_err();
    assert_eq!(again.kind(), ErrorKind::Conflict);

    // A half minute's code counts once, and none before it does any more; a change of the account forgets nothing.
    assert!(store.take_totp_step(&me, 5).await.unwrap() && !store.take_totp_step(&me, 5).await.unwrap());
    apply(store, &[Change::PutAccount(account("me"), Expect::Version(1))]).await.unwrap();
    assert!(!store.take_totp_step(&me, 4).await.unwrap() && store.take_totp_step(&me, 6).await.unwrap());
    assert!(!store.take_totp_step(&other, 7).await.unwrap());
    let codes = ["a", "b"].map(KeyHash::of);
    apply(store, &[Change::SetBackupCodes("me".into(), codes.to_vec())]).await.unwrap();
    assert_eq!(store.backup_codes(&me).await.unwrap(), 2);
    assert!(!store.take_backup_code(&other, &codes[0]).await.unwrap());
    assert!(store.take_backup_code(&me, &codes[0]).await.unwrap());
    assert!(!store.take_backup_code(&me, &codes[0]).await.unwrap());

    let all = [session("s1", "me", 1, 100), session("s2", "me", 2, 200), session("s3", "other", 3, 300)];
    apply(store, &all.clone().map(Change::AddSession)).await.unwrap();
    // What is done by a session, or on an account as it was read, is done while it is there, or so.
    let there = |id: &str| Change::ExpectThere(Thing::Session("me".into(), id.to_owned()));
    let same = |version| Change::ExpectVersion(Thing::Account("me".into()), version);
    apply(store, &[there("s1"), same(2)]).await.unwrap();
    for gone in [there("s9"), same(1), Change::ExpectThere(Thing::Session("u1".into(), "s1".to_owned()))] {
        let error = apply(store, std::slice::from_ref(&gone)).await.unwrap_err();
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Conflict, Retry::Now), "{gone:?}");
    }
    assert_eq!(store.session(&all[0].hash).await.unwrap().as_ref(), Some(&all[0]));
    assert_eq!(store.sessions(&me).await.unwrap(), [all[1].clone(), all[0].clone()]);
    store.see_session(&all[0].hash, at(50)).await.unwrap();
    store.see_session(&all[0].hash, at(40)).await.unwrap();
    assert_eq!(store.session(&all[0].hash).await.unwrap().unwrap().seen_at, at(50));
    // Only one's own is ended, and what has ended is forgotten.
    apply(store, &[Change::EndSession("other".into(), "s2".to_owned())]).await.unwrap();
    assert_eq!(store.sessions(&me).await.unwrap().len(), 2);
    let what = Forget { records_before: None, sums_before: None, ended_before: at(101) };
    assert_eq!(store.prune(&what).await.unwrap().rows, 1);
    assert_eq!(store.sessions(&me).await.unwrap().len(), 1);
    apply(store, &[Change::EndSessions("me".into())]).await.unwrap();
    assert_eq!(
        (store.sessions(&me).await.unwrap().len(), store.sessions(&other).await.unwrap().len()),
        (0, 1)
    );

    let mine = token("t1", "me");
    apply(store, &[Change::PutAccessToken(mine.clone(), KeyHash::of("t"), Expect::New)]).await.unwrap();
    let found = store.access_token(&KeyHash::of("t")).await.unwrap().unwrap();
    assert_eq!((found.token, found.created_at, found.used_at), (mine, at(1_000), None));
    store.see_access_token("t1", at(7)).await.unwrap();
    assert_eq!(store.access_tokens(&me).await.unwrap()[0].used_at, Some(at(7)));
    apply(store, &[Change::AddSession(session("s4", "me", 1, 900))]).await.unwrap();
    apply(store, &[Change::DeleteUser("me".into())]).await.unwrap();
    assert_eq!(store.account(&me).await.unwrap(), None);
    assert_eq!(store.backup_codes(&me).await.unwrap(), 0);
    assert!(
        store.sessions(&me).await.unwrap().is_empty() && store.access_tokens(&me).await.unwrap().is_empty()
    );
    assert!(store.access_token(&KeyHash::of("t")).await.unwrap().is_none());

    // Whoever had the id while a file declared them opens nothing of whom it is given to.
    let left =
        Identity { issuer: "i".to_owned(), subject: "s".to_owned(), user: "me".into(), granted: Vec::new() };
    let ways = [
        Change::PutAccount(account("me"), Expect::New),
        Change::SetBackupCodes("me".into(), codes.to_vec()),
        Change::AddSession(session("s5", "me", 1, 900)),
        Change::PutAccessToken(token("t2", "me"), KeyHash::of("t2"), Expect::New),
        Change::PutIdentity(left, Expect::New),
    ];
    apply(store, &ways).await.unwrap();
    assert_eq!(store.identity("i", "s").await.unwrap().unwrap().version, 1);
    apply(store, &[Change::PutUser(user("me", "o1"), Expect::New)]).await.unwrap();
    assert!(store.identity("i", "s").await.unwrap().is_none() && store.account(&me).await.unwrap().is_none());
    assert!(
        store.sessions(&me).await.unwrap().is_empty() && store.access_tokens(&me).await.unwrap().is_empty()
    );
    assert_eq!(store.backup_codes(&me).await.unwrap(), 0);
}

pub(super) async fn somebody_who_may_do_everything_is_left(store: Arc<dyn Store>) {
    let store = &*store;
    let with = |id: &str, role: Role, blocked: bool| {
        let mut it = user(id, "o1");
        (it.role, it.blocked) = (role, blocked);
        Change::PutUser(it, Expect::Any)
    };
    apply(store, &[Change::ExpectNoSuperAdmin, with("a", Role::SuperAdmin, false)]).await.unwrap();
    let second =
        apply(store, &[Change::ExpectNoSuperAdmin, with("b", Role::SuperAdmin, false)]).await.unwrap_err();
    assert_eq!(second.kind(), ErrorKind::Conflict);
    assert!(
        store.has_super_admin().await.unwrap()
            && store.user(&"b".into(), &Reach::ALL).await.unwrap().is_none()
    );
    for lost in
        [with("a", Role::User, false), with("a", Role::SuperAdmin, true), Change::DeleteUser("a".into())]
    {
        let error = apply(store, &[lost, Change::KeepSuperAdmin]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
    }
    let swap = [with("b", Role::SuperAdmin, false), Change::DeleteUser("a".into()), Change::KeepSuperAdmin];
    apply(store, &swap).await.unwrap();
}

pub(super) async fn events_say_where_from_and_are_read_forwards(store: Arc<dyn Store>) {
    for n in 1..=5 {
        let mut it = event("test");
        if n > 2 {
            (it.address, it.credential) = (Some("10.0.0.1".to_owned()), Some(format!("session {n}")));
            it.user = Some("u".into());
        }
        store.apply(&[], &it, &Chain).await.unwrap();
    }
    let (seq, mac) = store.audit_head().await.unwrap();
    let stored = store.scan_events(0, 100).await.unwrap();
    assert!(stored.iter().all(|it| it.detail == r#"{"n":1}"#));
    let all: Vec<_> = stored.iter().map(|it| it.event.clone()).collect();
    assert_eq!(all.iter().map(|it| it.seq).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    assert_eq!((seq, &mac), (5, &all[4].mac));
    assert_eq!(all[4].event.credential.as_deref(), Some("session 5"));
    assert_eq!(store.scan_events(3, 1).await.unwrap(), stored[3..4]);
    // A page goes on where the last one ended, and is of the same number of events.
    let filter =
        AuditFilter { address: Some("10.0.0.1".to_owned()), before: Some(5), ..AuditFilter::default() };
    let found = store.events(&filter, &Reach::ALL, Page::new(1, 0)).await.unwrap();
    assert_eq!((found.items, found.total), (vec![all[3].clone()], 3));
    let filter =
        AuditFilter { user: Some("u".into()), organization: Some("o1".into()), ..AuditFilter::default() };
    assert_eq!(store.events(&filter, &Reach::ALL, Page::default()).await.unwrap().total, 3);
    let filter = AuditFilter { group: Some("g".into()), ..AuditFilter::default() };
    assert_eq!(store.events(&filter, &Reach::ALL, Page::default()).await.unwrap().total, 0);
}

/// Somebody whom a file declared is gone and has left keys; another one is made under their id.
pub(super) async fn who_is_new_has_had_no_key_in_hand(store: Arc<dyn Store>) {
    let put = |id: &str, user: &str, issuers: &str| Change::PutKey {
        key: key(id, None, Some(user), "o1"),
        hash: KeyHash::of(id),
        old_hash_until: None,
        issuers: Some(issuers.to_owned()),
        expect: Expect::New,
    };
    apply(&*store, &[put("k1", "a", "user a"), put("k2", "b", "user a\nuser b"), put("k3", "b", "user c")])
        .await
        .unwrap();
    let issuers = async |id: &str| {
        let found = store.key(&KeyRef::Id(id.into()), &Reach::ALL).await.unwrap().unwrap();
        found.issuers
    };
    // Their own keys stay keys, and nobody's who administers; what they have issued for others counts as theirs once they
    // administer.
    apply(&*store, &[Change::PutUser(user("a", "o1"), Expect::New)]).await.unwrap();
    assert_eq!([issuers("k1").await, issuers("k2").await], ["unknown", "user a\nuser b"]);
    let head = User { role: Role::GroupAdmin, ..user("c", "o1") };
    apply(&*store, &[Change::PutUser(head, Expect::New)]).await.unwrap();
    assert_eq!([issuers("k2").await, issuers("k3").await], ["user a\nuser b", "unknown"]);
    // Who is changed is who they were.
    apply(&*store, &[put("k4", "a", "user a"), Change::PutUser(user("a", "o1"), Expect::Version(1))])
        .await
        .unwrap();
    assert_eq!(issuers("k4").await, "user a");
}
