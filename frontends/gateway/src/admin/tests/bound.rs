//! What one thing may hold, who says what a group's calls cost and what a key may do, and changes that exclude each other.

use super::*;

fn limits(count: i64) -> Limits {
    let of_model =
        |n| Limit { model: Some(format!("m{n}").into()), ..Limit::strict(Metric::Requests, Window::Day, n) };
    Limits((1..=count).map(of_model).collect())
}

fn told<T: std::fmt::Debug>(done: Result<T>) -> String {
    done.unwrap_err().message().to_owned()
}

#[tokio::test]
async fn nothing_has_more_limits_than_are_read_with_a_call() {
    let w = world().await;
    let (boss, u2) = (w.actor("operator").await, w.actor("u2").await);
    let many = || limits(33);
    let patch = |limits| KeyPatch { limits: Patch::Set(limits), ..KeyPatch::default() };
    let new = NewKey { limits: many(), ..NewKey::default() };
    for refused in [
        told(w.admin.create_key(&u2, new).await),
        told(w.admin.update_key(&boss, &by_id("k3"), patch(many())).await),
        told(w.admin.create_group(&boss, NewGroup { limits: many(), ..NewGroup::default() }).await),
        told(
            w.admin
                .update_group(&boss, "g1", GroupPatch { limits: Patch::Set(many()), ..GroupPatch::default() })
                .await,
        ),
        told(w.admin.create_user(&boss, NewUser { limits: many(), ..NewUser::default() }).await),
        told(
            w.admin
                .update_user(
                    &boss,
                    &"u1".into(),
                    UserPatch { limits: Patch::Set(many()), ..UserPatch::default() },
                )
                .await,
        ),
        told(w.admin.add_member(&boss, "g1", NewMember { limits: many(), ..NewMember::new("u2") }).await),
        told(
            w.admin
                .update_member(
                    &boss,
                    "g1",
                    &"u1".into(),
                    MemberPatch { limits: Patch::Set(many()), ..MemberPatch::default() },
                )
                .await,
        ),
        told(
            w.admin
                .create_organization(&boss, NewOrganization { limits: many(), ..NewOrganization::default() })
                .await,
        ),
        told(
            w.admin
                .update_organization(
                    &boss,
                    &"o2".into(),
                    OrganizationPatch { limits: Patch::Set(many()), ..OrganizationPatch::default() },
                )
                .await,
        ),
        told(
            w.admin
                .create_channel(
                    &boss,
                    NewChannel {
                        channel: Channel { limits: many().0, ..channel("many") },
                        secret: None,
                        entry: None,
                    },
                )
                .await,
        ),
        told(
            w.admin
                .create_named(
                    &boss,
                    NamedKind::Budget,
                    "many",
                    NamedScope { limits: many().0, ..NamedScope::default() },
                )
                .await,
        ),
    ] {
        assert!(refused.contains("`limits` has 33 limits; at most 32"), "{refused}");
    }
    w.admin.update_key(&boss, &by_id("k3"), patch(limits(32))).await.unwrap();
    // As much data as one likes is no more.
    let much = [("a".to_owned(), "x".repeat(70_000).into())].into_iter().collect();
    let patch = KeyPatch { metadata: Patch::Set(much), ..KeyPatch::default() };
    assert!(told(w.admin.update_key(&u2, &by_id("k3"), patch).await).contains("`metadata` has"));
}

#[tokio::test]
async fn a_user_has_so_many_keys_and_administrators_make_more() {
    let auth = AuthSettings { keys_per_user: 3, ..AuthSettings::default() };
    let w = world_with(auth).await;
    let (u2, oa) = (w.actor("u2").await, w.actor("oa").await);
    // `k3` is there already.
    for _ in 0..2 {
        w.admin.create_key(&u2, NewKey::default()).await.unwrap();
    }
    let refused = told(w.admin.create_key(&u2, NewKey::default()).await);
    assert!(refused.contains("user `u2` has 3 keys, and may have 3"), "{refused}");
    let bulk = KeyBulk {
        items: vec![KeyDeed { create: Some(NewKey::default()), ..KeyDeed::default() }],
        ..KeyBulk::default()
    };
    assert!(!w.admin.change_keys(&u2, bulk).await.unwrap().done);
    w.admin.create_key(&oa, NewKey { user: Some("u2".into()), ..NewKey::default() }).await.unwrap();
    w.admin.delete_key(&u2, &by_id("k3")).await.unwrap();
    assert!(w.admin.create_key(&u2, NewKey::default()).await.is_err(), "there are three still");
}

#[tokio::test]
async fn what_counts_against_a_cap_is_for_who_gave_it() {
    let w = world().await;
    let (boss, oa) = (w.actor("boss").await, w.actor("oa").await);
    let ratio = |ppm| GroupPatch { price_ratio_ppm: Patch::Set(ppm), ..GroupPatch::default() };
    let new =
        |id: &str, ppm| NewGroup { id: Some(id.into()), price_ratio_ppm: Some(ppm), ..NewGroup::default() };
    for ppm in [0, 999_999, 1_000_001] {
        assert_eq!(
            w.admin.update_group(&oa, "g1", ratio(ppm)).await.unwrap_err().kind(),
            ErrorKind::Forbidden
        );
        assert_eq!(w.admin.create_group(&oa, new("gn", ppm)).await.unwrap_err().kind(), ErrorKind::Forbidden);
    }
    // What is so already may be said.
    w.admin.update_group(&oa, "g1", ratio(1_000_000)).await.unwrap();
    w.admin.create_group(&oa, new("gn", 1_000_000)).await.unwrap();
    w.admin.update_group(&boss, "g1", ratio(800_000)).await.unwrap();
    w.admin.update_group(&oa, "g1", ratio(800_000)).await.unwrap();
    let back = GroupPatch { price_ratio_ppm: Patch::Clear, ..GroupPatch::default() };
    assert_eq!(w.admin.update_group(&oa, "g1", back).await.unwrap_err().kind(), ErrorKind::Forbidden);
}

#[tokio::test]
async fn who_made_a_key_loosens_nothing_that_an_administrator_has_said() {
    let w = world().await;
    let (u2, oa) = (w.actor("u2").await, w.actor("oa").await);
    let issued = w.admin.create_key(&u2, NewKey::default()).await.unwrap();
    let key = KeyRef::Id(issued.view.key.id);
    let at_most = |count| KeyPatch {
        limits: Patch::Set(Limits(vec![Limit::strict(Metric::Requests, Window::Day, count)])),
        ..KeyPatch::default()
    };
    let named = |name: &str| KeyPatch { alias: Patch::Set(name.to_owned()), ..KeyPatch::default() };
    w.admin.update_key(&u2, &key, at_most(5)).await.unwrap();
    // A name says nothing of what it may do.
    w.admin.update_key(&oa, &key, named("a")).await.unwrap();
    w.admin.update_key(&u2, &key, at_most(6)).await.unwrap();
    w.admin.update_key(&oa, &key, at_most(1)).await.unwrap();
    // Nor does it open the way again.
    w.admin.update_key(&u2, &key, named("b")).await.unwrap();
    for loose in [
        at_most(9),
        KeyPatch { limits: Patch::Clear, ..KeyPatch::default() },
        KeyPatch { models: Patch::Clear, ..KeyPatch::default() },
        KeyPatch { allowed_ips: Patch::Clear, ..KeyPatch::default() },
        KeyPatch { ttl: Some("30d".to_owned()), ..KeyPatch::default() },
    ] {
        let error = w.admin.update_key(&u2, &key, loose).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Forbidden);
    }
    w.admin.update_key(&oa, &key, at_most(9)).await.unwrap();
}

#[tokio::test]
async fn a_key_whose_organization_is_gone_opens_nothing() {
    let w = world().await;
    let chain = master().audit_chain();
    let event = |action: &str| {
        let deed = Deed::new("test", action.to_owned());
        w.admin.event_of(&Actor::operator(), deed)
    };
    let orphan = Change::PutKey {
        key: key("orphan", "o9", None, None),
        hash: KeyHash::of("orphan"),
        old_hash_until: None,
        issuers: None,
        expect: Expect::New,
    };
    w.store.apply(&[orphan], &event("a"), &chain).await.unwrap();
    assert!(w.directory.find(&KeyHash::of("orphan")).await.unwrap().is_none());
    // The default one is used without being made.
    let plain = Change::PutKey {
        key: key("plain", DEFAULT_ORGANIZATION, None, None),
        hash: KeyHash::of("plain"),
        old_hash_until: None,
        issuers: None,
        expect: Expect::New,
    };
    w.store.apply(&[plain], &event("b"), &chain).await.unwrap();
    assert!(w.directory.find(&KeyHash::of("plain")).await.unwrap().is_some());
}

#[tokio::test]
async fn who_has_more_limits_from_before_can_be_changed() {
    let w = world().await;
    let boss = w.actor("operator").await;
    for kind in [NamedKind::Customer, NamedKind::Tag, NamedKind::Budget] {
        let before = NamedScope { limits: limits(40).0, ..NamedScope::default() };
        let put = super::super::named::put(kind, "n", &before, Expect::New).unwrap();
        w.admin.commit(&boss, Deed::new("tag.create", "tag n".to_owned()), vec![put]).await.unwrap();
        for (count, done) in [(40, true), (41, false), (35, true), (36, false)] {
            let edit = |it: &mut NamedScope| {
                (it.blocked, it.limits) = (true, limits(count).0);
                Ok(())
            };
            let changed = w.admin.update_named(&boss, kind, "n", &edit).await;
            assert_eq!(changed.is_ok(), done, "{kind:?} {count}");
        }
    }
}

#[tokio::test]
async fn what_was_decided_on_before_it_went_isnt_made() {
    let w = world().await;
    let (u1, boss) = (w.actor("u1").await, w.actor("operator").await);
    // Their rights were read, and then they are taken out of the group.
    w.admin.remove_member(&boss, "g1", &"u1".into()).await.unwrap();
    let new = NewKey { group: Some("g1".to_owned()), ..NewKey::default() };
    let error = w.admin.create_key(&u1, new).await.unwrap_err();
    assert!(error.message().contains("membership of user `u1` in group `g1` was removed"), "{error}");

    let chain = master().audit_chain();
    let changes = w.admin.anchored(vec![Change::PutKey {
        key: key("late", "o2", Some("g3"), None),
        hash: KeyHash::of("late"),
        old_hash_until: None,
        issuers: None,
        expect: Expect::New,
    }]);
    w.admin.delete_group(&boss, "g3").await.unwrap();
    let event = w.admin.event_of(&boss, Deed::new("key.create", "key late".to_owned()));
    let error = w.store.apply(&changes, &event, &chain).await.unwrap_err();
    assert!(came_second(&error), "{error}");
}

#[tokio::test]
async fn an_address_is_the_same_whatever_its_case() {
    let w = world().await;
    let boss = w.actor("operator").await;
    let new = |id: &str, email: &str| NewUser {
        id: Some(id.into()),
        email: Some(email.to_owned()),
        organization: Some("o1".into()),
        ..NewUser::default()
    };
    w.admin.create_user(&boss, new("bob", "Bob@Corp.example")).await.unwrap();
    let error = w.admin.create_user(&boss, new("twin", "bob@corp.EXAMPLE")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    let found = w.admin.user_called("BOB@corp.example").await.unwrap().unwrap();
    assert_eq!(found.id.as_str(), "bob");
}
