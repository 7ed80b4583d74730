//! Who may do what: every operation by every kind of actor.

use super::*;

/// `boss` is a super administrator; `oa`, `au`, `ga`, `u1` and `u2` are of organization `o1`: its administrator, its auditor,
/// the administrator and a member of group `g1`, and a user in no group; `key` is a key of `g1` that is nobody's; `xa`
/// administers another organization.
const ACTORS: [&str; 9] = ["operator", "boss", "oa", "au", "ga", "u1", "u2", "key", "xa"];

/// `.` done, `F` forbidden, `N` not found, `C` conflict (declared in a file, or the last super administrator), `I` invalid; in the order of [`ACTORS`].
const MATRIX: &[(&str, &str)] = &[
    // operation             op bo oa au ga u1 u2 ke xa
    ("key.info k1", "          .  .  .  .  .  .  N  N  N"),
    ("key.info k2", "          .  .  .  .  .  N  N  .  N"),
    ("key.info kg2", "         .  .  .  .  N  N  N  N  N"),
    ("key.info kf", "          .  .  .  .  N  N  N  N  N"),
    ("key.limits k1", "        .  .  .  F  .  F  N  N  N"),
    ("key.rename k1", "        .  .  .  F  .  .  N  N  N"),
    ("key.unblock k1", "       .  .  .  F  .  F  N  N  N"),
    ("key.block k1", "         .  .  .  F  .  .  N  N  N"),
    ("key.regenerate k1", "    .  .  .  F  .  .  N  N  N"),
    ("key.delete k1", "        .  .  .  F  .  .  N  N  N"),
    ("key.delete k2", "        .  .  .  F  .  N  N  F  N"),
    ("key.delete k3", "        .  .  .  F  N  N  .  N  N"),
    ("key.delete kf", "        C  C  C  C  N  N  N  N  N"),
    ("key.move k1 g2", "       .  .  .  F  N  F  N  N  N"),
    ("key.create g1", "        .  .  .  F  .  .  N  F  N"),
    ("key.create g1 u1", "     .  .  .  F  .  .  N  F  N"),
    ("key.create g1 u2", "     .  .  .  F  N  N  N  F  N"),
    ("key.create g2", "        .  .  .  F  N  N  N  N  N"),
    ("key.create", "           .  .  .  F  I  I  .  F  ."),
    ("key.create in o2", "     .  .  N  N  N  N  N  N  ."),
    ("group.create", "         .  .  .  F  F  F  F  F  ."),
    ("group.info g1", "        .  .  .  .  .  .  N  .  N"),
    ("group.info g2", "        .  .  .  .  N  N  N  N  N"),
    ("group.limits g1", "      .  .  .  F  F  F  N  F  N"),
    ("group.metadata g1", "    .  .  .  F  .  F  N  F  N"),
    ("group.limits gf", "      C  C  C  F  N  N  N  N  N"),
    ("group.delete g1", "      .  .  .  F  F  F  N  F  N"),
    ("member.add g1 u2", "     .  .  .  F  .  F  N  F  N"),
    ("member.add g1 u3", "     N  N  N  F  N  F  N  F  N"),
    ("member.limits g1 u1", "  .  .  .  F  .  F  N  F  N"),
    ("member.remove g1 u1", "  .  .  .  F  .  F  N  F  N"),
    ("user.create", "          .  .  .  F  F  F  F  F  ."),
    ("user.create super", "    .  .  F  F  F  F  F  F  F"),
    ("user.info u1", "         .  .  .  .  .  .  N  N  N"),
    ("user.info u2", "         .  .  .  .  N  N  .  N  N"),
    ("user.limits u1", "       .  .  .  F  F  F  N  N  N"),
    ("user.rename u1", "       .  .  .  F  F  .  N  N  N"),
    ("user.demote boss", "     C  C  F  F  N  N  N  N  N"),
    ("user.promote u1", "      .  .  F  F  F  F  N  N  N"),
    ("user.delete u1", "       .  .  .  F  F  F  N  N  N"),
    ("user.delete boss", "     C  C  F  F  N  N  N  N  N"),
    ("user.limits uf", "       C  C  C  F  N  N  N  N  N"),
    ("organization.create", "  .  .  F  F  F  F  F  F  F"),
    ("organization.info o1", " .  .  .  .  N  N  N  N  N"),
    ("organization.info o2", " .  .  N  N  N  N  N  N  ."),
    ("organization.limits o1", ".  .  F  F  N  N  N  N  N"),
    ("organization.delete o2", "C  C  N  N  N  N  N  N  F"),
    ("channel.list", "         .  .  F  F  F  F  F  F  F"),
    ("channel.create", "       .  .  F  F  F  F  F  F  F"),
    ("channel.delete cf", "    C  C  F  F  F  F  F  F  F"),
    ("policy.put", "           .  .  F  F  F  F  F  F  F"),
    ("policy.put o1", "        .  .  .  F  F  F  F  F  N"),
    ("policy.put g1", "        .  .  .  F  .  F  N  F  N"),
    ("policy.put g2", "        .  .  .  F  N  N  N  N  N"),
    ("policy.put pf", "        C  C  F  F  F  F  F  F  F"),
    ("policy.info all", "      .  .  N  N  N  N  N  N  N"),
    ("policy.info of-o1", "    .  .  .  .  N  N  N  N  N"),
    ("policy.info of-g1", "    .  .  .  .  .  N  N  N  N"),
    ("policy.info pf", "       .  .  N  N  N  N  N  N  N"),
    ("policy.activate all", "  .  .  N  N  N  N  N  N  N"),
    ("policy.activate of-o1", ".  .  .  F  N  N  N  N  N"),
    ("policy.activate of-g1", ".  .  .  F  .  N  N  N  N"),
    ("policy.activate pf", "   C  C  N  N  N  N  N  N  N"),
    ("policy.shadow of-g1", "  .  .  .  F  .  N  N  N  N"),
    ("policy.delete of-o1", "  .  .  .  F  N  N  N  N  N"),
    ("policy.delete of-g1", "  .  .  .  F  .  N  N  N  N"),
    ("audit.verify", "         .  .  F  F  F  F  F  F  F"),
    ("ledger.status", "        .  .  F  F  F  F  F  F  F"),
    ("ledger.held", "          .  .  F  F  F  F  F  F  F"),
    ("ledger.reconcile c", "   N  N  F  F  F  F  F  F  F"),
    ("ledger.audit", "         .  .  F  F  F  F  F  F  F"),
];

fn limits() -> Patch<Limits> {
    Patch::Set(vec![Limit::strict(Metric::Spend, Window::Day, 1)].into())
}

async fn run(admin: &Admin, actor: &Actor, operation: &str) -> Result<()> {
    let words: Vec<&str> = operation.split(' ').collect();
    let word = |at: usize| words.get(at).copied().unwrap_or_default();
    let (key, user) = (by_id(word(1)), UserId::from(word(2)));
    let key_patch = KeyPatch::default;
    match word(0) {
        "ledger.status" => admin.ledger_status(actor).await.map(drop),
        "ledger.held" => admin.held(actor, &HeldFilter::default(), Page::new(10, 0)).map(drop),
        "ledger.reconcile" => {
            let how = Reconcile { attempt: None, charge: Charge::Free };
            admin.reconcile(actor, &word(1).into(), &how).await.map(drop)
        }
        "ledger.audit" => admin.audit_ledger(actor).await.map(drop),
        "key.info" => admin.key(actor, &key).await.map(drop),
        "key.limits" => {
            admin.update_key(actor, &key, KeyPatch { limits: limits(), ..key_patch() }).await.map(drop)
        }
        "key.rename" => {
            let patch = KeyPatch { alias: Patch::Set("renamed".to_owned()), ..key_patch() };
            admin.update_key(actor, &key, patch).await.map(drop)
        }
        "key.block" => admin.block_key(actor, &key, true).await.map(drop),
        "key.unblock" => admin.block_key(actor, &key, false).await.map(drop),
        "key.regenerate" => admin.regenerate_key(actor, &key, Regenerate::default()).await.map(drop),
        "key.delete" => admin.delete_key(actor, &key).await.map(drop),
        "key.move" => {
            let patch = KeyPatch { group: Patch::Set(word(2).to_owned()), ..key_patch() };
            admin.update_key(actor, &key, patch).await.map(drop)
        }
        "key.create" if word(1) == "in" => {
            let new = NewKey { organization: Some(word(2).into()), ..NewKey::default() };
            admin.create_key(actor, new).await.map(drop)
        }
        "key.create" => {
            let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            let new =
                NewKey { group: some(word(1)), user: some(word(2)).map(UserId::from), ..NewKey::default() };
            admin.create_key(actor, new).await.map(drop)
        }
        "group.create" => admin.create_group(actor, NewGroup::default()).await.map(drop),
        "group.info" => admin.group(actor, word(1)).await.map(drop),
        "group.limits" => admin
            .update_group(actor, word(1), GroupPatch { limits: limits(), ..GroupPatch::default() })
            .await
            .map(drop),
        "group.metadata" => {
            let patch = GroupPatch { metadata: Patch::Clear, ..GroupPatch::default() };
            admin.update_group(actor, word(1), patch).await.map(drop)
        }
        "group.delete" => admin.delete_group(actor, word(1)).await.map(drop),
        "member.add" => admin.add_member(actor, word(1), NewMember::new(word(2))).await.map(drop),
        "member.limits" => {
            let patch = MemberPatch { limits: limits(), ..MemberPatch::default() };
            admin.update_member(actor, word(1), &user, patch).await.map(drop)
        }
        "member.remove" => admin.remove_member(actor, word(1), &user).await.map(drop),
        "user.create" => {
            let role = if word(1) == "super" { Role::SuperAdmin } else { Role::User };
            admin.create_user(actor, NewUser { role, ..NewUser::default() }).await.map(drop)
        }
        "organization.create" => admin.create_organization(actor, NewOrganization::default()).await.map(drop),
        "organization.info" => admin.organization(actor, &word(1).into()).await.map(drop),
        "organization.limits" => {
            let patch = OrganizationPatch { limits: limits(), ..OrganizationPatch::default() };
            admin.update_organization(actor, &word(1).into(), patch).await.map(drop)
        }
        "organization.delete" => admin.delete_organization(actor, &word(1).into()).await.map(drop),
        "channel.list" => admin.channels(actor).await.map(drop),
        "channel.create" => admin
            .create_channel(actor, NewChannel { channel: channel("fresh"), secret: None, entry: None })
            .await
            .map(drop),
        "channel.delete" => admin.delete_channel(actor, &word(1).into()).await.map(drop),
        "policy.put" => {
            let mut new = NewPolicyVersion { text: "fn route(call) {}".to_owned(), ..Default::default() };
            match word(1) {
                "o1" => new.organization = Some("o1".into()),
                "g1" | "g2" => new.group = Some(word(1).to_owned()),
                _ => {}
            }
            let name = if word(1) == "pf" { "pf" } else { "fresh" };
            admin.put_policy(actor, name, new).await.map(drop)
        }
        "policy.info" => admin.policy(actor, word(1)).await.map(drop),
        "policy.activate" => admin.activate_policy(actor, word(1), None, true).await.map(drop),
        "policy.shadow" => admin.shadow_policy(actor, word(1), None).await.map(drop),
        "policy.delete" => admin.delete_policy(actor, word(1)).await.map(drop),
        "audit.verify" => admin.verify_audit(actor, &[]).await.map(drop),
        _ => run_user(admin, actor, word(0), &word(1).into()).await,
    }
}

async fn run_user(admin: &Admin, actor: &Actor, operation: &str, id: &UserId) -> Result<()> {
    let patch = match operation {
        "user.info" => return admin.user(actor, id).await.map(drop),
        "user.delete" => return admin.delete_user(actor, id).await.map(drop),
        "user.limits" => UserPatch { limits: limits(), ..UserPatch::default() },
        "user.rename" => UserPatch { alias: Patch::Set("renamed".to_owned()), ..UserPatch::default() },
        "user.demote" => UserPatch { role: Some(Role::User), ..UserPatch::default() },
        "user.promote" => UserPatch { role: Some(Role::SuperAdmin), ..UserPatch::default() },
        other => panic!("no operation `{other}`"),
    };
    admin.update_user(actor, id, patch).await.map(drop)
}

/// A policy for everybody, one of organization `o1`, and one of group `g1`.
async fn put_policies(admin: &Admin) {
    for (name, organization, group) in
        [("all", None, None), ("of-o1", Some("o1".into()), None), ("of-g1", None, Some("g1".to_owned()))]
    {
        let text = "fn route(call) {}".to_owned();
        let new = NewPolicyVersion { text, organization, group, ..NewPolicyVersion::default() };
        admin.put_policy(&Actor::operator(), name, new).await.unwrap();
    }
}

#[tokio::test]
async fn everybody_may_do_what_their_role_allows_and_nothing_else() {
    let mut wrong = Vec::new();
    // A world that nothing was changed in serves the next cell, too.
    let mut unchanged: Option<(World, bool)> = None;
    for (operation, row) in MATRIX {
        let needs_policies = operation.starts_with("policy");
        let wanted: Vec<&str> = row.split_whitespace().collect();
        assert_eq!(wanted.len(), ACTORS.len(), "{operation}");
        for (name, wanted) in ACTORS.iter().zip(wanted) {
            let w = match unchanged.take() {
                Some((w, has_policies)) if has_policies == needs_policies => w,
                _ => {
                    let w = world().await;
                    if needs_policies {
                        put_policies(&w.admin).await;
                    }
                    w
                }
            };
            let actor = w.actor(name).await;
            let before = w.store.head().await.unwrap();
            let outcome = run(&w.admin, &actor, operation).await;
            let got = match outcome.as_ref().map_err(Error::kind) {
                Ok(()) => ".",
                Err(ErrorKind::Forbidden) => "F",
                Err(ErrorKind::NotFound) => "N",
                Err(ErrorKind::Conflict) => "C",
                Err(ErrorKind::InvalidRequest) => "I",
                Err(_) => "?",
            };
            if got != wanted {
                wrong.push(format!("{operation} by {name}: {got} instead of {wanted} ({outcome:?})"));
            }
            if w.store.head().await.unwrap() == before {
                unchanged = Some((w, needs_policies));
            } else if outcome.is_err() {
                wrong.push(format!("{operation} by {name}: refused, and yet something was changed"));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[tokio::test]
async fn what_is_out_of_sight_looks_like_what_doesnt_exist() {
    let w = world().await;
    let same = |foreign: Error, foreign_id: &str, unknown: Error| {
        let foreign_text = foreign.message().replace(foreign_id, "ID");
        assert_eq!(foreign_text, unknown.message().replace("nowhere", "ID"));
        assert_eq!(format!("{:?}", foreign.context()), format!("{:?}", unknown.context()));
        assert_eq!(foreign.kind(), unknown.kind());
    };
    for name in ["oa", "ga", "u1", "au"] {
        let it = w.actor(name).await;
        let delete = async |id: &str| w.admin.delete_key(&it, &by_id(id)).await.unwrap_err();
        same(delete("k4").await, "k4", delete("nowhere").await);
        let info = async |id: &str| w.admin.group(&it, id).await.unwrap_err();
        same(info("g3").await, "g3", info("nowhere").await);
        let user = async |id: &str| w.admin.user(&it, &id.into()).await.unwrap_err();
        same(user("u3").await, "u3", user("nowhere").await);
        let organization = async |id: &str| w.admin.organization(&it, &id.into()).await.unwrap_err();
        same(organization("o2").await, "o2", organization("nowhere").await);
        let key = async |group: &str| {
            let new = NewKey { group: Some(group.to_owned()), ..NewKey::default() };
            w.admin.create_key(&it, new).await.unwrap_err()
        };
        same(key("g3").await, "g3", key("nowhere").await);
    }
}

#[tokio::test]
async fn lists_hold_what_an_actor_may_see() {
    let w = world().await;
    for (name, keys, groups, users) in [
        ("operator", "k1 k2 k3 k4 kf kg2", "g1 g2 g3 gf", "au boss ga oa u1 u2 u3 uf xa"),
        ("oa", "k1 k2 k3 kf kg2", "g1 g2 gf", "au boss ga oa u1 u2 uf"),
        ("au", "k1 k2 k3 kf kg2", "g1 g2 gf", "au boss ga oa u1 u2 uf"),
        ("ga", "k1 k2", "g1", "ga u1"),
        ("u1", "k1", "g1", "u1"),
        ("u2", "k3", "", "u2"),
        ("key", "k2", "g1", ""),
        ("xa", "k4", "g3", "u3 xa"),
    ] {
        let actor = w.actor(name).await;
        let sorted = |mut ids: Vec<String>| {
            ids.sort();
            ids.join(" ")
        };
        let page = Page::default();
        let listed = w.admin.keys(&actor, &KeyFilter::default(), page).await.unwrap();
        assert_eq!(sorted(listed.items.iter().map(|it| it.key.id.to_string()).collect()), keys, "{name}");
        let listed = w.admin.groups(&actor, &GroupFilter::default(), page).await.unwrap();
        assert_eq!(sorted(listed.items.iter().map(|it| it.group.id.to_string()).collect()), groups, "{name}");
        let listed = w.admin.users(&actor, &UserFilter::default(), page).await.unwrap();
        assert_eq!(sorted(listed.items.iter().map(|it| it.user.id.to_string()).collect()), users, "{name}");
    }
}

#[tokio::test]
async fn members_see_the_group_and_not_each_other() {
    let w = world().await;
    let members = async |name: &str| {
        let view = w.admin.group(&w.actor(name).await, "g1").await.unwrap();
        let mut ids: Vec<String> = view.members.iter().map(|it| it.membership.user.to_string()).collect();
        ids.sort();
        ids.join(" ")
    };
    for (name, want) in [("operator", "ga u1"), ("oa", "ga u1"), ("ga", "ga u1"), ("u1", "u1"), ("key", "")] {
        assert_eq!(members(name).await, want, "{name}");
    }
}
