//! Who is in a group, as what, and with which limits.

use serde::{Deserialize, Serialize};
use sluicegate_core::tenant::Source;
use sluicegate_core::{Error, ErrorKind, Group, GroupId, Limit, Membership, Result, Role, User, UserId};

use super::given::{as_read, read_member_limits};
use crate::admin::access::check_limits;
use crate::admin::bulk::Step;
use crate::admin::seed::Seeds;
use crate::admin::seen::etag;
use crate::admin::{
    Actor, Admin, Deed, LimitEditor, LimitUse, Limits, Patch, Then, bound, came_second, invalid, not_found,
    retried, user,
};
use crate::store::{Change, Expect, Owner, Reach, Stored, Thing};

/// A user to be put into a group.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewMember {
    /// Who.
    pub user: UserId,
    /// What they may do in it: `user` or `group_admin`.
    #[serde(default)]
    pub role: Role,
    /// Their own limits within the group, beside those that it gives its members.
    #[serde(default)]
    pub limits: Limits,
    /// Whether a user who doesn't exist yet is made along with it.
    #[serde(skip)]
    pub create_user: bool,
    /// The address of a user who is made.
    #[serde(skip)]
    pub email: Option<String>,
}

impl NewMember {
    /// A plain member.
    pub fn new(user: impl Into<UserId>) -> Self {
        let (role, limits) = (Role::User, Limits::default());
        Self { user: user.into(), role, limits, create_user: false, email: None }
    }
}

/// A change to a membership.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MemberPatch {
    /// What they may do in the group.
    pub role: Option<Role>,
    /// Their own limits within the group, all of them. What the group gives its members comes beside them, unless one of these
    /// [holds the same](Limit::holds_same).
    pub limits: Patch<Limits>,
    /// Changes single limits, after `limits`: it is shown all of the member's, and those that it sets are the member's own.
    #[serde(skip)]
    pub edit_limits: Option<LimitEditor>,
}

/// One member, as people see it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MemberView {
    /// The membership.
    #[serde(flatten)]
    pub membership: Membership,
    /// The tag of its present state, for `if-match`.
    pub etag: String,
    /// How its limits stand.
    pub limit_states: Vec<LimitUse>,
}

/// Somebody's new place in a group, with limits of their own, and what the group gives its members beside them.
///
/// # Errors
/// `InvalidRequest` when what the group gives can't be read: a cap, for one, would be missing.
fn placed(group: &Group, user: &UserId, role: Role, own: Vec<Limit>) -> Result<Membership> {
    let gives = read_member_limits(&group.metadata)?;
    Ok(Membership::new(group.id.clone(), user.clone(), role, own, &gives))
}

/// The same in a group that is there, and what must hold until it is made.
///
/// # Errors
/// As [`placed`].
pub(in crate::admin) fn placed_in(
    group: &Stored<Group>,
    user: &UserId,
    role: Role,
    own: Vec<Limit>,
) -> Result<(Membership, Option<Change>)> {
    Ok((placed(&group.value, user, role, own)?, as_read(group)))
}

/// A member's own limits after a change. What it sets is theirs, also where the group gives the same.
fn own_after(before: &Membership, patch: MemberPatch, gives: &[Limit]) -> Vec<Limit> {
    let own: Vec<Limit> = match patch.limits {
        Patch::Keep => before.own_limits(gives),
        Patch::Clear => Vec::new(),
        // Whoever sends back what was shown before it was kept whose they are doesn't mean the group's.
        Patch::Set(Limits(all)) if before.given.is_none() => {
            all.into_iter().filter(|it| !gives.contains(it)).collect()
        }
        Patch::Set(Limits(all)) => all,
    };
    let Some(editor) = patch.edit_limits else { return own };
    let shown = before.with_limits(own.clone(), gives);
    let (mut all, mut alone) = (shown.limits, own);
    editor.edit(&mut all);
    // What it makes of the member's own by themselves tells what it sets from what it leaves.
    editor.edit(&mut alone);
    let given = shown.given.unwrap_or_default();
    all.retain(|it| !given.contains(it) || alone.iter().any(|own| own.holds_same(it)));
    all
}

impl Admin {
    /// Puts a user into a group.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound` for a group or user that the actor can't see, `Conflict` when the user is in it already
    /// or the group is declared in a file, `Store`.
    pub async fn add_member(
        &self,
        actor: &Actor,
        id_or_alias: &str,
        member: NewMember,
    ) -> Result<MemberView> {
        let mut added = self.add_members(actor, id_or_alias, vec![member]).await?;
        added.pop().ok_or_else(|| invalid("member", "name a member"))
    }

    /// Puts users into a group: all of them, or none.
    ///
    /// # Errors
    /// As [`add_member`](Self::add_member); `Conflict` also when one is named twice.
    pub async fn add_members(
        &self,
        actor: &Actor,
        id_or_alias: &str,
        members: Vec<NewMember>,
    ) -> Result<Vec<MemberView>> {
        let group = retried(came_second, || async {
            let stored = self.group_to_change(actor, id_or_alias).await?;
            let group = &stored.value;
            let (mut deeds, mut seeds) = (Vec::with_capacity(members.len()), Seeds::new());
            let mut seen: Vec<&UserId> = Vec::new();
            for member in &members {
                let known = self.memberships(Some(&group.id), Some(&member.user)).await?;
                if !known.is_empty() || seen.contains(&&member.user) {
                    let message = match known.is_empty() {
                        false => format!("user `{}` is in group `{}` already", member.user, group.id),
                        true => format!("user `{}` is named twice", member.user),
                    };
                    return Err(Error::new(ErrorKind::Conflict, message));
                }
                seen.push(&member.user);
                let step = self.new_member(actor, &stored, member).await?;
                seeds.extend(step.seeds);
                // Each with an event of their own, which they find.
                deeds.push((step.deed, step.changes));
            }
            self.write_all(actor, deeds, seeds, Then::Callers).await?;
            Ok(group.id.clone())
        })
        .await?;
        let mut added = Vec::with_capacity(members.len());
        for member in &members {
            added.push(self.member(actor, &group, &member.user).await?);
        }
        Ok(added)
    }

    /// What puts one user into a group.
    pub(super) async fn new_member(
        &self,
        actor: &Actor,
        stored: &Stored<Group>,
        member: &NewMember,
    ) -> Result<Step> {
        let group = &stored.value;
        let mut changes = self.changes_for_member(actor, group, member).await?;
        changes.splice(0..0, as_read(stored));
        // Told as they come: with what the group gives.
        let place = placed(group, &member.user, member.role, member.limits.0.clone())?;
        let member = &NewMember { limits: place.limits.into(), ..member.clone() };
        let owner = Owner::Membership(group.id.clone(), member.user.clone());
        let seeds = self.seeds(&owner, &[], &member.limits.0).await?;
        let deed = Deed::new("member.add", format!("group {}", group.id))
            .of(&group.organization, Some(&group.id), Some(&member.user))
            .whole(member);
        Ok(Step { id: format!("{}/{}", group.id, member.user), deed, changes, seeds, outcome: "created" })
    }

    /// Changes a membership.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`, `InvalidRequest`, `Conflict` when it is declared in a file, `Store`.
    pub async fn update_member(
        &self,
        actor: &Actor,
        id_or_alias: &str,
        user: &UserId,
        patch: MemberPatch,
    ) -> Result<MemberView> {
        let group = retried(came_second, || async {
            let stored = self.group_to_change(actor, id_or_alias).await?;
            let step = self.changed_member(actor, &stored, user, patch.clone()).await?;
            self.write(actor, step.deed, step.changes, step.seeds, Then::Callers).await?;
            Ok(stored.value.id)
        })
        .await?;
        self.member(actor, &group, user).await
    }

    /// What makes a membership another.
    pub(super) async fn changed_member(
        &self,
        actor: &Actor,
        group: &Stored<Group>,
        user: &UserId,
        patch: MemberPatch,
    ) -> Result<Step> {
        let stored = self.stored_member(&group.value, user).await?;
        actor.expects(&stored)?;
        let before = &stored.value;
        let mut after =
            Membership { role: member_role(patch.role.unwrap_or(before.role))?, ..before.clone() };
        if patch.limits.is_keep() && patch.edit_limits.is_none() {
            return self.member_with(&group.value, &stored, after).await;
        }
        let gives = read_member_limits(&group.value.metadata)?;
        after = after.with_limits(own_after(before, patch, &gives), &gives);
        let mut step = self.member_with(&group.value, &stored, after).await?;
        step.changes.splice(0..0, as_read(group));
        Ok(step)
    }

    /// What makes a membership this one.
    pub(super) async fn member_with(
        &self,
        group: &Group,
        stored: &Stored<Membership>,
        after: Membership,
    ) -> Result<Step> {
        bound::check(Some(&stored.value), &after)?;
        let user = &stored.value.user;
        let deed = Deed::new("member.update", format!("group {}", group.id))
            .of(&group.organization, Some(&group.id), Some(user))
            .changed(&stored.value, &after);
        let put = Change::PutMembership(after.clone(), Expect::Version(stored.version));
        let owner = Owner::Membership(group.id.clone(), user.clone());
        let seeds = self.seeds(&owner, &stored.value.limits, &after.limits).await?;
        let outcome = if after == stored.value { "same" } else { "changed" };
        Ok(Step { id: format!("{}/{user}", group.id), deed, changes: vec![put], seeds, outcome })
    }

    /// Takes a user out of a group, with the keys that they have in it.
    ///
    /// # Errors
    /// As [`update_member`](Self::update_member).
    pub async fn remove_member(&self, actor: &Actor, id_or_alias: &str, user: &UserId) -> Result<Membership> {
        let group = self.group_to_change(actor, id_or_alias).await?.value;
        let (step, gone) = self.removed_member(actor, &group, user).await?;
        self.write(actor, step.deed, step.changes, step.seeds, Then::Callers).await?;
        Ok(gone)
    }

    /// What takes a user out of a group, and what they were in it.
    pub(super) async fn removed_member(
        &self,
        actor: &Actor,
        group: &Group,
        user: &UserId,
    ) -> Result<(Step, Membership)> {
        let stored = self.stored_member(group, user).await?;
        actor.expects(&stored)?;
        let guard = actor.guard(Thing::Membership(group.id.clone(), user.clone()), &stored);
        let deed = Deed::new("member.remove", format!("group {}", group.id))
            .of(&group.organization, Some(&group.id), Some(user))
            .whole(&stored.value);
        let remove = Change::DeleteMembership(group.id.clone(), user.clone());
        let changes = guard.into_iter().chain([remove]).collect();
        let id = format!("{}/{user}", group.id);
        let step = Step { id, deed, changes, seeds: Seeds::new(), outcome: "deleted" };
        Ok((step, stored.value))
    }

    async fn stored_member(&self, group: &Group, user: &UserId) -> Result<Stored<Membership>> {
        if self.declared().membership(&group.id, user).is_some() {
            self.refuse_declared(Source::File, || {
                format!("the membership of user `{user}` in group `{}`", group.id)
            })?;
        }
        let stored = self.store().memberships(Some(&group.id), Some(user)).await?;
        stored
            .into_iter()
            .next()
            .ok_or_else(|| not_found(&format!("a member of group `{}`,", group.id), user.as_str()))
    }

    pub(super) async fn changes_for_member(
        &self,
        actor: &Actor,
        group: &Group,
        member: &NewMember,
    ) -> Result<Vec<Change>> {
        let role = member_role(member.role)?;
        let membership = placed(group, &member.user, role, member.limits.0.clone())?;
        check_limits(&membership.limits)?;
        let put = Change::PutMembership(membership, Expect::New);
        let user = self.find_user_within(&Reach::ALL, &member.user).await?;
        match user {
            Some(user) if user.value.organization == group.organization => Ok(vec![put]),
            None if member.create_user && actor.runs(&group.organization) => {
                let user = user::plain(member.user.clone(), group.organization.clone(), self.now())?;
                let user = User { email: member.email.clone(), ..user };
                bound::check(None, &user)?;
                Ok(vec![Change::PutUser(user, Expect::New), put])
            }
            // Whoever names an address has never seen the id that was to be made.
            _ => Err(not_found("user", member.email.as_deref().unwrap_or(member.user.as_str()))),
        }
    }

    async fn member(&self, _: &Actor, group: &GroupId, user: &UserId) -> Result<MemberView> {
        let memberships = self.stamped_memberships(Some(group), Some(user)).await?;
        let membership = memberships
            .into_iter()
            .next()
            .ok_or_else(|| not_found(&format!("a member of group `{group}`,"), user.as_str()))?;
        Ok(self.member_view(membership))
    }

    pub(in crate::admin) fn member_view(&self, stored: Stored<Membership>) -> MemberView {
        let (etag, membership) = (etag(&stored), stored.value);
        let limit_states = self.limit_states(membership.scope(), &membership.limits);
        MemberView { membership, etag, limit_states }
    }
}

pub(in crate::admin) fn member_role(role: Role) -> Result<Role> {
    match role {
        Role::User | Role::GroupAdmin => Ok(role),
        _ => Err(invalid("role", "a member's role in a group is `user` or `group_admin`")),
    }
}
