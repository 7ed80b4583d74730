//! What a group gives its members, what they have of their own, and who comes while it changes.

use super::*;
use crate::store::AuditedChange;

fn spend(usd: i64) -> Limit {
    Limit::strict(Metric::Spend, Window::Day, usd * 1_000_000_000)
}

/// A change by which a group gives its members this of spend a day.
fn giving(usd: i64) -> GroupPatch {
    let given = serde_json::json!({"spend": {"day": format!("{usd} USD")}});
    let data = serde_json::Map::from_iter([(MEMBER_LIMITS.to_owned(), given)]);
    GroupPatch { metadata: Patch::Set(data), ..GroupPatch::default() }
}

fn own(limits: &[Limit]) -> MemberPatch {
    MemberPatch { limits: Patch::Set(Limits(limits.to_vec())), ..MemberPatch::default() }
}

impl World {
    async fn give(&self, usd: i64) -> Result<GroupView> {
        self.admin.update_group(&Actor::operator(), "g1", giving(usd)).await
    }

    /// What a member of `g1` may spend a day, in USD, and whether the group gives it.
    async fn cap(&self, user: &str) -> Option<(i64, bool)> {
        let members = self.store.memberships(Some(&"g1".into()), Some(&user.into())).await.unwrap();
        let member = &members.first().unwrap().value;
        let limit = member.limits.iter().find(|it| it.metric == Metric::Spend)?;
        let given = member.given.as_ref().is_some_and(|given| given.contains(limit));
        Some((limit.max / 1_000_000_000, given))
    }
}

#[tokio::test]
async fn what_a_group_gives_is_its_members_at_once_but_for_what_is_their_own() {
    let w = world().await;
    let operator = Actor::operator();
    let view = w.give(3).await.unwrap();
    assert!(view.members.iter().all(|it| it.membership.limits == [spend(3)]), "{:?}", view.members);
    w.admin.add_member(&operator, "g1", NewMember::new("u2")).await.unwrap();
    // By hand, and the same as what the group gives by and by.
    w.admin.update_member(&operator, "g1", &"u1".into(), own(&[spend(5)])).await.unwrap();
    for usd in [5, 7] {
        w.give(usd).await.unwrap();
        assert_eq!(w.cap("u1").await, Some((5, false)), "{usd}");
        assert_eq!(w.cap("u2").await, Some((usd, true)), "{usd}");
    }
    // By hand what it gives already; and by an editor, as dialects say it.
    w.admin.update_member(&operator, "g1", &"u2".into(), own(&[spend(7)])).await.unwrap();
    assert_eq!(w.cap("u2").await, Some((7, false)));
    assert_eq!(w.cap("ga").await, Some((7, true)));
    let edit = LimitEditor::new(|limits| *limits = vec![spend(7)]);
    let same = MemberPatch { edit_limits: Some(edit), ..MemberPatch::default() };
    w.admin.update_member(&operator, "g1", &"ga".into(), same).await.unwrap();
    w.give(9).await.unwrap();
    for user in ["u1", "u2", "ga"] {
        let usd = if user == "u1" { 5 } else { 7 };
        assert_eq!(w.cap(user).await, Some((usd, false)), "{user}");
        let none = MemberPatch { limits: Patch::Clear, ..MemberPatch::default() };
        w.admin.update_member(&operator, "g1", &user.into(), none).await.unwrap();
        assert_eq!(w.cap(user).await, Some((9, true)), "{user}");
    }
    // A role alone changes nothing of them; data without what it gives takes it from all.
    let role = MemberPatch { role: Some(Role::GroupAdmin), ..MemberPatch::default() };
    w.admin.update_member(&operator, "g1", &"u2".into(), role).await.unwrap();
    assert_eq!(w.cap("u2").await, Some((9, true)));
    let none = GroupPatch { metadata: Patch::Clear, ..GroupPatch::default() };
    let view = w.admin.update_group(&operator, "g1", none).await.unwrap();
    assert!(view.members.iter().all(|it| it.membership.limits.is_empty()), "{:?}", view.members);
}

#[tokio::test]
async fn whose_limits_were_written_down_before_it_was_kept_follows_by_what_they_are() {
    let w = world().await;
    w.give(3).await.unwrap();
    let before = |user: &str, limits: Vec<Limit>| {
        let (role, given) = (Role::User, None);
        let it = Membership { group: "g1".into(), user: user.into(), role, limits, given };
        Change::PutMembership(it, Expect::Any)
    };
    let changes = vec![before("u1", vec![spend(3)]), before("u2", vec![spend(5)])];
    w.admin.commit(&Actor::operator(), Deed::new("test.old", String::new()), changes).await.unwrap();
    // What is sent back as it was shown stays the group's.
    w.admin.update_member(&Actor::operator(), "g1", &"u1".into(), own(&[spend(3)])).await.unwrap();
    for usd in [5, 7] {
        w.give(usd).await.unwrap();
        assert_eq!(w.cap("u1").await, Some((usd, true)));
        assert_eq!(w.cap("u2").await, Some((5, false)));
    }
}

#[tokio::test]
async fn more_members_than_one_step_changes_are_given_their_own_first() {
    let w = world().await;
    let operator = Actor::operator();
    let others: Vec<String> = (0..499).map(|n| format!("m{n}")).collect();
    let mut changes = Vec::new();
    for id in &others {
        changes.push(Change::PutUser(user(id, "o1", "user"), Expect::New));
        let it = Membership::new("g1".into(), id.as_str().into(), Role::User, Vec::new(), &[]);
        changes.push(Change::PutMembership(it, Expect::New));
    }
    // Not by the service, which looks at each.
    let event = w.admin.event_of(&operator, Deed::new("test.many", String::new()));
    let chain = master().audit_chain();
    w.store.apply_all(&[AuditedChange { event, changes }], &chain).await.unwrap();

    let error = w.give(3).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    assert!(error.message().contains("501 members") && error.message().contains("500 at most"), "{error}");
    assert!(error.message().contains("/api/v1/memberships/bulk"), "{error}");
    assert_eq!(w.cap("u1").await, None);

    // As the error says.
    let deed = |set: MemberPatch| MemberBulk {
        items: vec![MemberDeed {
            group: "g1".to_owned(),
            user: "u1".into(),
            add: None,
            set: Some(set),
            remove: false,
            etag: None,
        }],
    };
    assert!(w.admin.change_members(&operator, deed(own(&[spend(3)]))).await.unwrap().done);
    w.give(3).await.unwrap();
    let back = MemberPatch { limits: Patch::Clear, ..MemberPatch::default() };
    assert!(w.admin.change_members(&operator, deed(back)).await.unwrap().done);
    for user in ["u1", "m0", "m498"] {
        assert_eq!(w.cap(user).await, Some((3, true)), "{user}");
    }
}

#[tokio::test]
async fn who_comes_while_it_changes_comes_at_what_it_gives_by_then() {
    let w = world().await;
    let operator = Actor::operator();
    // Prepared on a group that gives nothing yet.
    let new = |id: &str| NewUser {
        id: Some(id.into()),
        organization: Some("o1".into()),
        groups: vec!["g1".to_owned()],
        ..NewUser::default()
    };
    let (step, _) = w.admin.made_user(&operator, new("n1")).await.unwrap();
    w.give(3).await.unwrap();
    let late = w.admin.write(&operator, step.deed, step.changes, step.seeds, Then::Callers).await;
    assert!(came_second(&late.unwrap_err()));
    w.admin.create_user(&operator, new("n1")).await.unwrap();
    assert_eq!(w.cap("n1").await, Some((3, true)));

    // At once, time and again: whichever is first, all have the last.
    let add = |id: String| MemberBulk {
        items: vec![MemberDeed {
            group: "g1".to_owned(),
            user: id.into(),
            add: Some(Place::default()),
            set: None,
            remove: false,
            etag: None,
        }],
    };
    for round in 1..=12_i64 {
        let (user, member) = (format!("r{round}"), format!("s{round}"));
        w.admin.create_user(&operator, NewUser { groups: Vec::new(), ..new(&member) }).await.unwrap();
        let (u1, back) = ("u1".into(), MemberPatch { limits: Patch::Clear, ..MemberPatch::default() });
        w.admin.update_member(&operator, "g1", &u1, own(&[spend(50)])).await.unwrap();
        let (given, made, added, cleared) = tokio::join!(
            w.give(100 + round),
            w.admin.create_user(&operator, new(&user)),
            w.admin.change_members(&operator, add(member.clone())),
            w.admin.update_member(&operator, "g1", &u1, back),
        );
        given.unwrap();
        made.unwrap();
        cleared.unwrap();
        assert!(added.unwrap().done, "{round}");
        for id in [user.as_str(), &member, "u1", "ga"] {
            assert_eq!(w.cap(id).await, Some((100 + round, true)), "{round} {id}");
        }
    }
}
