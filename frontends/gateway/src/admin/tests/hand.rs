//! What a key does in the hands of somebody else than its user.

use super::*;

/// The world, and in `g1`: `boss`, `oa`, `ob` (another administrator of `o1`), and `gb`, who administers `g1` and `g2`.
async fn world_of_many() -> World {
    let w = world().await;
    let mut changes = vec![
        Change::PutUser(user("ob", "o1", "organization_admin"), Expect::New),
        Change::PutUser(user("gb", "o1", "user"), Expect::New),
    ];
    for (group, user, role) in [
        ("g1", "boss", Role::User),
        ("g1", "oa", Role::User),
        ("g1", "au", Role::User),
        ("g1", "gb", Role::GroupAdmin),
        ("g2", "gb", Role::GroupAdmin),
    ] {
        let it = Membership { group: group.into(), user: user.into(), role, limits: Vec::new(), given: None };
        changes.push(Change::PutMembership(it, Expect::New));
    }
    w.admin.commit(&Actor::operator(), Deed::new("test.many", String::new()), changes).await.unwrap();
    w
}

fn for_user(group: Option<&str>, user: &str) -> NewKey {
    NewKey { group: group.map(str::to_owned), user: Some(user.into()), ..NewKey::default() }
}

fn to_user(user: &str) -> KeyPatch {
    KeyPatch { user: Patch::Set(user.into()), ..KeyPatch::default() }
}

impl World {
    async fn holder_of(&self, secret: &Secret) -> Actor {
        self.actor_by(secret.expose()).await.unwrap()
    }
}

#[tokio::test]
async fn nobody_gets_a_key_of_somebody_above_them() {
    let w = world_of_many().await;
    for (who, group, owner, allowed) in [
        ("ga", Some("g1"), "boss", false),
        ("ga", Some("g1"), "oa", false),
        ("ga", Some("g1"), "au", false),
        ("ga", Some("g1"), "gb", false),
        ("ga", Some("g1"), "u1", true),
        ("ga", Some("g1"), "ga", true),
        ("gb", Some("g1"), "ga", true),
        ("oa", None, "boss", false),
        ("oa", Some("g1"), "boss", false),
        ("oa", None, "ob", true),
        ("oa", None, "ga", true),
        ("boss", None, "oa", true),
        ("operator", None, "boss", true),
    ] {
        let (actor, note) = (w.actor(who).await, format!("{who} {owner}"));
        let outcome = |done: Result<()>| match done {
            Ok(()) => true,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Forbidden, "{note}: {error}");
                false
            }
        };
        let made = w.admin.create_key(&actor, for_user(group, owner)).await.map(drop);
        assert_eq!(outcome(made), allowed, "{note}: create");

        let mine = w.admin.create_key(&actor, for_user(group, who)).await;
        let mine = match mine {
            Ok(mine) => mine,
            // The operator is no user.
            Err(_) => {
                w.admin.create_key(&actor, NewKey { user: None, ..for_user(Some("g1"), who) }).await.unwrap()
            }
        };
        let mine = KeyRef::Id(mine.view.key.id);
        let given = w.admin.update_key(&actor, &mine, to_user(owner)).await.map(drop);
        assert_eq!(outcome(given), allowed, "{note}: patch");

        let theirs = w.admin.create_key(&Actor::operator(), for_user(Some("g1"), owner)).await.unwrap();
        let theirs = KeyRef::Id(theirs.view.key.id);
        let again = w.admin.regenerate_key(&actor, &theirs, Regenerate::default()).await.map(drop);
        assert_eq!(outcome(again), allowed, "{note}: regenerate");
        let limits = KeyPatch { blocked: Some(true), ..KeyPatch::default() };
        w.admin.update_key(&actor, &theirs, limits).await.unwrap();
    }
}

#[tokio::test]
async fn putting_somebody_into_ones_group_first_gives_no_key_of_theirs() {
    let w = world().await;
    let ga = w.actor("ga").await;
    let member = NewMember::new("boss");
    w.admin.add_member(&ga, "g1", member).await.unwrap();
    let error = w.admin.create_key(&ga, for_user(Some("g1"), "boss")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden);
    assert!(error.message().contains("user `boss` may do more than you"), "{error}");
}

#[tokio::test]
async fn a_key_that_somebody_else_made_gains_nothing_when_its_user_is_promoted() {
    let w = world().await;
    let ga = w.actor("ga").await;
    let lent = w.admin.create_key(&ga, for_user(Some("g1"), "u1")).await.unwrap();
    // It is nobody's, and makes nothing.
    let by_it = w.holder_of(&lent.secret).await;
    let error = w.admin.create_key(&by_it, for_user(Some("g1"), "u1")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden);
    // What somebody makes is in their hands, also by a key that somebody above gave them.
    let given = w.admin.create_key(&Actor::operator(), for_user(Some("g1"), "ga")).await.unwrap();
    let by_given = w.holder_of(&given.secret).await;
    let passed_on = w.admin.create_key(&by_given, for_user(Some("g1"), "u1")).await.unwrap();
    let own = w.admin.create_key(&w.actor("u1").await, for_user(Some("g1"), "u1")).await.unwrap();
    let issued = w.admin.create_key(&Actor::operator(), for_user(Some("g1"), "u1")).await.unwrap();
    let taken = w.admin.create_key(&w.actor("u1").await, for_user(Some("g1"), "u1")).await.unwrap();
    let id = KeyRef::Id(taken.view.key.id.clone());
    let taken = w.admin.regenerate_key(&ga, &id, Regenerate::default()).await.unwrap();

    for role in [Role::OrganizationAdmin, Role::GroupAdmin, Role::SuperAdmin] {
        let promoted = UserPatch { role: Some(role), ..UserPatch::default() };
        w.admin.update_user(&Actor::operator(), &"u1".into(), promoted).await.unwrap();
        for (note, secret) in
            [("lent", &lent.secret), ("taken", &taken.secret), ("passed on", &passed_on.secret)]
        {
            let holder = w.holder_of(secret).await;
            assert_eq!((holder.role(), holder.admin_of()), (Role::User, &[][..]), "{note} {role:?}");
            assert_eq!(holder.organization().map(|it| it.as_str()), Some("o1"), "{note} {role:?}");
            let error = w.admin.create_organization(&holder, NewOrganization::default()).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Forbidden, "{note} {role:?}");
        }
        for (note, secret) in [("own", &own.secret), ("issued", &issued.secret)] {
            assert_eq!(w.holder_of(secret).await.role(), role, "{note}");
        }
    }

    // Taken over by its user with time for the old one, it is in both hands; without, in theirs alone.
    let u1 = w.actor("u1").await;
    let id = KeyRef::Id(lent.view.key.id.clone());
    let grace = Regenerate { grace: Some("1h".to_owned()), ..Regenerate::default() };
    let both = w.admin.regenerate_key(&u1, &id, grace).await.unwrap();
    assert_eq!(w.holder_of(&lent.secret).await.role(), Role::User);
    assert_eq!(w.holder_of(&both.secret).await.role(), Role::User);
    let alone = w.admin.regenerate_key(&u1, &id, Regenerate::default()).await.unwrap();
    assert_eq!(w.holder_of(&alone.secret).await.role(), Role::SuperAdmin);
}

#[tokio::test]
async fn a_membership_that_is_raised_gives_nothing_to_keys_that_somebody_else_made() {
    let w = world().await;
    let raised = MemberPatch { role: Some(Role::GroupAdmin), ..MemberPatch::default() };
    let lent = w.admin.create_key(&w.actor("ga").await, for_user(Some("g1"), "u1")).await.unwrap();
    w.admin.update_member(&Actor::operator(), "g1", &"u1".into(), raised.clone()).await.unwrap();
    assert!(
        w.holder_of(&lent.secret).await.admin_of().is_empty(),
        "a group's administrator is not its members"
    );
    let member = NewMember { role: Role::GroupAdmin, ..NewMember::new("u1") };
    w.admin.add_member(&Actor::operator(), "g2", member).await.unwrap();
    assert!(w.holder_of(&lent.secret).await.admin_of().is_empty());
}

#[tokio::test]
async fn a_key_that_a_groups_administrator_made_reaches_nothing_else_of_its_user() {
    let w = world().await;
    // `u1` is in `g2`, too, and `u2` in no group until `ga` takes them into theirs.
    w.admin.add_member(&Actor::operator(), "g2", NewMember::new("u1")).await.unwrap();
    let elsewhere = w.admin.create_key(&w.actor("u1").await, for_user(Some("g2"), "u1")).await.unwrap();
    let ga = w.actor("ga").await;
    w.admin.add_member(&ga, "g1", NewMember::new("u2")).await.unwrap();
    let elsewhere = KeyRef::Id(elsewhere.view.key.id);
    for (owner, other) in [("u1", &elsewhere), ("u2", &by_id("k3"))] {
        let lent = w.admin.create_key(&ga, for_user(Some("g1"), owner)).await.unwrap();
        let holder = w.holder_of(&lent.secret).await;
        let name = format!("key {}", lent.view.key.id);
        assert_eq!(
            (holder.user(), holder.name(), holder.member_of()),
            (None, &*name, &[GroupId::from("g1")][..])
        );
        let (id, grace) = (KeyRef::Id(lent.view.key.id), Regenerate::default);
        w.admin.key(&holder, &id).await.unwrap();
        let unknown = |done: Result<()>| assert_eq!(done.unwrap_err().kind(), ErrorKind::NotFound, "{owner}");
        unknown(w.admin.group(&holder, "g2").await.map(drop));
        unknown(w.admin.create_key(&holder, for_user(Some("g2"), owner)).await.map(drop));
        unknown(w.admin.key(&holder, other).await.map(drop));
        unknown(w.admin.regenerate_key(&holder, other, grace()).await.map(drop));
        unknown(w.admin.sessions(&holder, &owner.into()).await.map(drop));
        unknown(w.admin.tokens(&holder, &owner.into()).await.map(drop));
        let made = w.admin.create_key(&holder, for_user(Some("g1"), owner)).await.unwrap_err();
        assert_eq!(made.kind(), ErrorKind::Forbidden, "{owner}");
    }
    // Whoever runs their organization may do all of that anyway, and so do they themselves.
    for maker in ["oa", "u1"] {
        let given = w.admin.create_key(&w.actor(maker).await, for_user(Some("g1"), "u1")).await.unwrap();
        let holder = w.holder_of(&given.secret).await;
        assert_eq!((holder.name(), holder.member_of().len()), ("user u1", 2), "{maker}");
        w.admin.group(&holder, "g2").await.unwrap();
    }
}

#[tokio::test]
async fn a_key_with_bounds_of_its_own_makes_and_loosens_nothing_beyond_them() {
    let w = world().await;
    let u1 = w.actor("u1").await;
    let other = w.admin.create_key(&u1, for_user(Some("g1"), "u1")).await.unwrap();
    let other = KeyRef::Id(other.view.key.id);
    for (bounds, is_bounded) in [
        (serde_json::json!({}), false),
        (serde_json::json!({"metadata": {"note": "n"}, "alias": "named"}), false),
        (serde_json::json!({"models": ["m"]}), true),
        (serde_json::json!({"limits": {"spend": {"day": "1 USD"}}}), true),
        (serde_json::json!({"routes": ["management"]}), true),
        (serde_json::json!({"allowed_ips": ["10.1.0.0/16"]}), true),
        (serde_json::json!({"ttl": "1d"}), true),
        (serde_json::json!({"tags": ["t"]}), true),
        (serde_json::json!({"metadata": {"guardrails": ["g"]}}), true),
    ] {
        let new = NewKey { group: Some("g1".to_owned()), ..from_json(bounds.clone()) };
        let mine = w.admin.create_key(&u1, new).await.unwrap();
        let holder = w.actor_from(mine.secret.expose(), Some("10.1.2.3")).await.unwrap();
        assert_eq!(holder.name(), "user u1");
        let outcome = |done: Result<()>, what: &str| {
            let refused = done.err().map(|error| error.kind());
            assert_eq!(refused, is_bounded.then_some(ErrorKind::Forbidden), "{bounds}: {what}");
        };
        let id = KeyRef::Id(mine.view.key.id);
        outcome(w.admin.create_key(&holder, for_user(Some("g1"), "u1")).await.map(drop), "make one");
        let again = w.admin.regenerate_key(&holder, &other, Regenerate::default()).await;
        outcome(again.map(drop), "get another's credential");
        for key in [&id, &other] {
            let loose = KeyPatch { models: Patch::Clear, limits: Patch::Clear, ..KeyPatch::default() };
            outcome(w.admin.update_key(&holder, key, loose).await.map(drop), "loosen");
            let named = KeyPatch { alias: Patch::Clear, ..KeyPatch::default() };
            w.admin.update_key(&holder, key, named).await.unwrap();
        }
        let renewed = w.admin.regenerate_key(&holder, &id, Regenerate::default()).await.unwrap();
        let same = w.admin.key(&u1, &id).await.unwrap();
        assert!(key::bounds_of(&renewed.view.key) == key::bounds_of(&same.key));
    }
    // Whoever administers does so by a key with bounds, too: these are of its calls.
    let bounded = NewKey { models: vec!["m".into()], ..for_user(None, "oa") };
    let bounded = w.admin.create_key(&Actor::operator(), bounded).await.unwrap();
    let holder = w.holder_of(&bounded.secret).await;
    w.admin.create_key(&holder, for_user(Some("g1"), "u1")).await.unwrap();
}

#[tokio::test]
async fn nobody_takes_a_personal_key_of_somebody_above_them_out_of_use() {
    let w = world_of_many().await;
    for (who, owner, allowed) in [
        ("oa", "boss", false),
        ("oa", "ob", true),
        ("oa", "u2", true),
        ("boss", "oa", true),
        ("boss", "boss", true),
    ] {
        let actor = w.actor(who).await;
        let theirs = w.admin.create_key(&Actor::operator(), for_user(None, owner)).await.unwrap();
        let theirs = KeyRef::Id(theirs.view.key.id);
        let outcome = |done: Result<()>| {
            let refused = done.err().map(|error| error.kind());
            assert_eq!(refused, (!allowed).then_some(ErrorKind::Forbidden), "{who} {owner}");
        };
        outcome(w.admin.block_key(&actor, &theirs, true).await.map(drop));
        outcome(w.admin.delete_key(&actor, &theirs).await.map(drop));
    }
}

#[tokio::test]
async fn a_token_makes_nobody_an_administrator() {
    let w = world().await;
    let scopes = || from_json::<Scopes>(serde_json::json!(["read", "write"]));
    let oa = w.actor("oa").await.within(scopes());
    let forbidden = |done: Result<()>, note: &str| {
        assert_eq!(done.unwrap_err().kind(), ErrorKind::Forbidden, "{note}");
    };
    let role = |role| UserPatch { role: Some(role), ..UserPatch::default() };
    let raised = role(Role::OrganizationAdmin);
    forbidden(w.admin.update_user(&oa, &"u1".into(), raised).await.map(drop), "promote");
    let new = NewUser { role: Role::GroupAdmin, ..NewUser::default() };
    forbidden(w.admin.create_user(&oa, new).await.map(drop), "create");
    let raised = MemberPatch { role: Some(Role::GroupAdmin), ..MemberPatch::default() };
    forbidden(w.admin.update_member(&oa, "g1", &"u1".into(), raised).await.map(drop), "raise");
    let member = |role| NewMember { role, ..NewMember::new("u2") };
    forbidden(w.admin.add_member(&oa, "g1", member(Role::GroupAdmin)).await.map(drop), "add");

    w.admin.add_member(&oa, "g1", member(Role::User)).await.unwrap();
    let named = UserPatch { alias: Patch::Set("A".to_owned()), ..UserPatch::default() };
    w.admin.update_user(&oa, &"oa".into(), named).await.unwrap();
    w.admin.update_user(&Actor::operator(), &"u2".into(), role(Role::GroupAdmin)).await.unwrap();
    let other = NewMember::new("u2");
    forbidden(w.admin.add_member(&oa, "g2", other).await.map(drop), "another group of a group administrator");
}

/// What a token may change is what it says, by whatever way the change is asked for.
#[tokio::test]
async fn a_token_changes_nothing_of_another_area() {
    let w = world().await;
    let within = async |scopes: serde_json::Value| w.actor("boss").await.within(from_json::<Scopes>(scopes));
    let users = within(serde_json::json!(["read", "users:write"])).await;
    let keys = within(serde_json::json!(["read", "keys:write"])).await;
    let groups = within(serde_json::json!(["read", "groups:write"])).await;
    let both = within(serde_json::json!(["read", "groups:write", "users:write", "keys:write"])).await;
    let lacks = |done: Result<()>, scope: &str| {
        let error = done.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Forbidden, "{error}");
        assert!(error.message().contains(&format!("lacks the scope `{scope}`")), "{error}");
    };
    let user = |id: &str, groups: &[&str]| NewUser {
        id: Some(id.into()),
        organization: Some("o1".into()),
        groups: groups.iter().map(|&name| name.to_owned()).collect(),
        ..NewUser::default()
    };
    let key_of = |id: &str| NewKey {
        organization: Some("o1".into()),
        user: Some(id.into()),
        create_user: true,
        ..NewKey::default()
    };
    let member = |id: &str| NewMember { create_user: true, ..NewMember::new(id) };
    w.admin.create_user(&users, user("n1", &[])).await.unwrap();
    lacks(w.admin.create_user(&users, user("n2", &["g1"])).await.map(drop), "groups:write");
    lacks(w.admin.create_key(&keys, key_of("n2")).await.map(drop), "users:write");
    w.admin.create_key(&keys, key_of("n1")).await.unwrap();
    lacks(w.admin.add_member(&groups, "g1", member("n2")).await.map(drop), "users:write");
    w.admin.add_member(&groups, "g1", member("n1")).await.unwrap();
    lacks(w.admin.remove_member(&users, "g1", &"n1".into()).await.map(drop), "groups:write");
    assert!(w.admin.user_by_id(&"n2".into()).await.unwrap().is_none());

    w.admin.create_user(&both, user("n2", &["g1"])).await.unwrap();
    w.admin.create_key(&both, key_of("n3")).await.unwrap();
    w.admin.add_member(&both, "g1", member("n4")).await.unwrap();
}
