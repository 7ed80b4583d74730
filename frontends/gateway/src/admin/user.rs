//! Users.

mod bulk;

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use sluicegate_core::tenant::Source;
use sluicegate_core::{
    Membership, ModelAccess, ModelName, OrganizationId, Result, Role, Scope, ScopeKind, Secret, Timestamp,
    User, UserId,
};

pub use self::bulk::{UserBulk, UserDeed};
use super::access::{as_stored, both, check_id, check_limits};
use super::bulk::{Step, check_places};
use super::group::{Place, member_role, placed_in};
use super::patch::{edit_limits, patch_access};
use super::seed::Seeds;
use super::seen::etag;
use super::{
    Actor, Admin, Deed, LimitEditor, LimitUse, Limits, MemberView, Patch, Then, bound, came_second,
    forbidden, invalid, retried,
};
use crate::credential;
use crate::store::{
    Change, Dimension, Expect, Listing, Owner, Page, RecordFilter, Stored, Sums, UserFilter, folded_address,
};

/// A user to be made.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NewUser {
    /// Their id. Default: one is made.
    pub id: Option<UserId>,
    /// Their e-mail address. Unique.
    pub email: Option<String>,
    /// Their name for people.
    pub alias: Option<String>,
    /// Whose they are. Default: the actor's organization.
    pub organization: Option<OrganizationId>,
    /// What they may do.
    pub role: Role,
    /// Models they may call by keys without a group; empty is every model.
    pub models: Vec<ModelName>,
    /// Their limits, over all their keys without a group.
    pub limits: Limits,
    /// Groups that they are put into, by id or alias.
    pub groups: Vec<String>,
    /// The same, with what they are in each.
    #[serde(skip)]
    pub places: Vec<(String, Place)>,
    /// Whether every call is refused for the time being.
    pub blocked: bool,
    /// Free data.
    pub metadata: serde_json::Map<String, serde_json::Value>,
    /// Their first password, which they change when they sign in.
    #[serde(skip)]
    pub password: Option<Secret>,
}

/// A change to a user.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UserPatch {
    /// Their e-mail address.
    pub email: Patch<String>,
    /// Their name.
    pub alias: Patch<String>,
    /// What they may do.
    pub role: Option<Role>,
    /// Models they may call.
    pub models: Patch<Vec<ModelName>>,
    /// Their limits, all of them.
    pub limits: Patch<Limits>,
    /// Changes single limits, after `limits`.
    #[serde(skip)]
    pub edit_limits: Option<LimitEditor>,
    /// Whether every call is refused for the time being.
    pub blocked: Option<bool>,
    /// Free data, all of it.
    pub metadata: Patch<serde_json::Map<String, serde_json::Value>>,
}

impl UserPatch {
    /// Whether it only touches what users may change about themselves: their name.
    fn is_cosmetic(&self) -> bool {
        self.email.is_keep()
            && self.role.is_none()
            && self.models.is_keep()
            && self.limits.is_keep()
            && self.edit_limits.is_none()
            && self.blocked.is_none()
            && self.metadata.is_keep()
    }
}

/// A user, as people see them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UserView {
    /// The user.
    #[serde(flatten)]
    pub user: User,
    /// The tag of their present state, for `if-match`.
    pub etag: String,
    /// When they were written down first: what lists are sorted by.
    #[serde(skip)]
    pub stored_at: Timestamp,
    /// Who created them.
    pub created_by: String,
    /// When they were last changed.
    pub updated_at: Timestamp,
    /// Who changed them last.
    pub updated_by: String,
    /// The groups that they are in, as far as the one who asks may see.
    pub memberships: Vec<MemberView>,
    /// What they have used in all.
    pub used: Sums,
    /// How their limits stand.
    pub limit_states: Vec<LimitUse>,
}

/// A user with nothing but an id.
pub(super) fn plain(id: UserId, organization: OrganizationId, now: Timestamp) -> Result<User> {
    check_id("user", id.as_str())?;
    Ok(User {
        id,
        email: None,
        alias: None,
        organization,
        role: Role::User,
        access: ModelAccess::ALL,
        limits: Vec::new(),
        blocked: false,
        metadata: serde_json::Map::new(),
        source: Source::Database,
        created_at: now,
    })
}

impl Admin {
    /// Makes a user.
    ///
    /// # Errors
    /// `Forbidden`, also for a role above the actor's own; `NotFound` for an organization or group that the actor can't
    /// see, `InvalidRequest`, `Conflict` when the id or e-mail address is taken, `Store`.
    pub async fn create_user(&self, actor: &Actor, new: NewUser) -> Result<UserView> {
        let id = retried(came_second, || async {
            let (step, _) = self.made_user(actor, new.clone()).await?;
            self.write(actor, step.deed, step.changes, step.seeds, Then::Callers).await?;
            Ok(UserId::from(step.id))
        })
        .await?;
        self.user(actor, &id).await
    }

    /// What makes a new user, and that user.
    pub(super) async fn made_user(&self, actor: &Actor, new: NewUser) -> Result<(Step, User)> {
        let organization = self.organization_for(actor, new.organization.as_ref()).await?;
        if !actor.runs(&organization) || new.role > actor.role() {
            return Err(forbidden("make such users"));
        }
        check_places("groups", new.groups.len() + new.places.len())?;
        let now = self.now();
        let id = match new.id {
            Some(id) => id,
            None => UserId::from(credential::new_id(now)?),
        };
        if self.declared().user(&id).is_some() {
            self.refuse_declared(Source::File, || format!("user `{id}`"))?;
        }
        let user = User {
            email: new.email.filter(|email| !email.is_empty()),
            alias: new.alias.filter(|alias| !alias.is_empty()),
            role: new.role,
            access: ModelAccess::only(new.models),
            limits: new.limits.0,
            blocked: new.blocked,
            metadata: new.metadata,
            ..plain(id.clone(), organization.clone(), now)?
        };
        bound::check(None, &user)?;
        let mut changes = vec![Change::PutUser(user.clone(), Expect::New)];
        let mut seeds = self.seeds_of_new(&changes).await?;
        let plain = new.groups.into_iter().map(|name| (name, Place::default()));
        for (name, place) in plain.chain(new.places) {
            let name = &name;
            let group = self.resolve_group(actor, name).await?;
            if group.value.organization != organization {
                return Err(invalid(
                    "groups",
                    format!("group `{name}` belongs to another organization than the user"),
                ));
            }
            let (membership, expect) = placed_in(&group, &id, member_role(place.role)?, place.limits.0)?;
            check_limits(&membership.limits)?;
            // Who has been there before has used something of it.
            let owner = Owner::Membership(membership.group.clone(), id.clone());
            seeds.extend(self.seeds(&owner, &[], &membership.limits).await?);
            changes.extend(expect);
            changes.push(Change::PutMembership(membership, Expect::New));
        }
        let mut deed =
            Deed::new("user.create", format!("user {id}")).of(&organization, None, Some(&id)).whole(&user);
        if let Some(password) = &new.password {
            changes.push(self.first_password(actor, &user, password).await?);
            deed = deed.with("password", "given");
        }
        let step = Step { id: id.to_string(), deed, changes, seeds, outcome: "created" };
        Ok((step, user))
    }

    /// A user.
    ///
    /// # Errors
    /// `NotFound`, `Store`.
    pub async fn user(&self, actor: &Actor, id: &UserId) -> Result<UserView> {
        let stored = self.find_user(actor, id).await?;
        self.0.host.flush_records().await?;
        let totals = self.seen_use(actor, &[id.as_str()]).await?;
        let used = totals.get(id.as_str()).copied().unwrap_or_default();
        let memberships = self.stamped_memberships(None, Some(id)).await?;
        Ok(self.user_view(actor, stored, memberships, used))
    }

    /// What each of these users has used, as far as the actor may see it: of its members a group's administrator sees what they used
    /// in that group.
    async fn seen_use(&self, actor: &Actor, ids: &[&str]) -> Result<HashMap<String, Sums>> {
        let reach = actor.reach();
        if reach.narrow.is_none() {
            return self.store().totals(Dimension::User, ids).await;
        }
        let mut all = HashMap::new();
        // BOUND: those of a page.
        for id in ids {
            let filter = RecordFilter { user: Some(UserId::from(*id)), ..RecordFilter::default() };
            let sums = self.store().daily(&filter, &reach, &[], Page::new(1, 0)).await?;
            all.extend(sums.items.into_iter().map(|row| ((*id).to_owned(), row.sums)));
        }
        Ok(all)
    }

    /// Users, declared ones first, then newest first.
    ///
    /// # Errors
    /// `Store`.
    pub async fn users(&self, actor: &Actor, filter: &UserFilter, page: Page) -> Result<Listing<UserView>> {
        let reach = actor.reach();
        let declared = self.declared();
        let in_group = match &filter.group {
            Some(group) => Some(self.memberships(Some(group), None).await?),
            None => None,
        };
        let is_in = |user: &User| in_group.as_ref().is_none_or(|all| all.iter().any(|it| it.user == user.id));
        let of_file = declared.users().filter(|user| matches_filter(filter, user) && is_in(user));
        let seen = self.seen(&reach, of_file.collect()).await?.into_iter();
        let mut file: Vec<Stored<User>> = seen.map(|user| as_stored(user.clone(), user.created_at)).collect();
        file.sort_by(|a, b| a.value.id.cmp(&b.value.id));
        let stored = |page| self.store().users(filter, &reach, page);
        let listing = both(file, page, filter.after.as_ref(), stored).await?;
        let ids: Vec<&str> = listing.items.iter().map(|stored| stored.value.id.as_str()).collect();
        let totals = self.seen_use(actor, &ids).await?;
        let mut memberships = self.members_of_users(&ids).await?;
        Ok(listing.map(|stored| {
            let id = stored.value.id.as_str();
            let used = totals.get(id).copied().unwrap_or_default();
            let memberships = memberships.remove(id).unwrap_or_default();
            self.user_view(actor, stored, memberships, used)
        }))
    }

    /// Changes a user. Users may change their own name.
    ///
    /// # Errors
    /// `Forbidden`, also for a role above the actor's own; `NotFound`, `InvalidRequest`, `Conflict` when the e-mail
    /// address is taken, when the user is declared in a file, or when they are the last super administrator; `Store`.
    pub async fn update_user(&self, actor: &Actor, id: &UserId, patch: UserPatch) -> Result<UserView> {
        retried(came_second, || async {
            let step = self.changed_user(actor, id, patch.clone()).await?;
            self.write(actor, step.deed, step.changes, step.seeds, Then::Callers).await
        })
        .await?;
        self.user(actor, id).await
    }

    /// What makes a user another.
    async fn changed_user(&self, actor: &Actor, id: &UserId, patch: UserPatch) -> Result<Step> {
        let stored = self.find_user(actor, id).await?;
        let before = &stored.value;
        let runs = actor.runs(&before.organization) && before.role <= actor.role();
        let own = actor.user() == Some(id) && actor.role() != Role::Auditor && patch.is_cosmetic();
        if !(runs || own) || patch.role.is_some_and(|role| role > actor.role()) {
            return Err(forbidden("change this of a user"));
        }
        self.refuse_declared(before.source, || format!("user `{id}`"))?;
        actor.expects(&stored)?;
        let mut after = before.clone();
        patch.email.apply(&mut after.email);
        patch.alias.apply(&mut after.alias);
        after.role = patch.role.unwrap_or(after.role);
        patch_access(patch.models, &mut after.access);
        edit_limits(&mut after.limits, patch.limits, patch.edit_limits.as_ref());
        after.blocked = patch.blocked.unwrap_or(after.blocked);
        patch.metadata.apply_or_default(&mut after.metadata);
        bound::check(Some(before), &after)?;
        let deed = Deed::new("user.update", format!("user {id}"))
            .of(&after.organization, None, Some(id))
            .changed(before, &after);
        let mut changes = vec![Change::PutUser(after.clone(), Expect::Version(stored.version))];
        changes.extend(self.keeps_super_admin(before, Some(&after)));
        if after.role != before.role || (after.blocked && !before.blocked) {
            changes.push(Change::EndSessions(id.clone()));
        }
        let seeds = self.seeds(&self.user_as_owner(id), &before.limits, &after.limits).await?;
        let outcome = if after == *before { "same" } else { "changed" };
        Ok(Step { id: id.to_string(), deed, changes, seeds, outcome })
    }

    /// What keeps the last super administrator from being removed, demoted or blocked: whoever made a mistake must be able to
    /// undo it.
    pub(super) fn keeps_super_admin(&self, before: &User, after: Option<&User>) -> Option<Change> {
        let is_super = |user: &User| user.role == Role::SuperAdmin && !user.blocked;
        let lost = is_super(before) && !after.is_some_and(is_super);
        (lost && !self.declared().users().any(is_super)).then_some(Change::KeepSuperAdmin)
    }

    /// Removes a user, their memberships and their keys. What they used stays in the records.
    ///
    /// # Errors
    /// As [`update_user`](Self::update_user).
    pub async fn delete_user(&self, actor: &Actor, id: &UserId) -> Result<User> {
        let (step, user) = self.removed_user(actor, id).await?;
        self.write(actor, step.deed, step.changes, step.seeds, Then::Callers).await?;
        Ok(user)
    }

    /// What removes a user, and whom.
    async fn removed_user(&self, actor: &Actor, id: &UserId) -> Result<(Step, User)> {
        let stored = self.find_user(actor, id).await?;
        let user = &stored.value;
        if !actor.runs(&user.organization) || user.role > actor.role() {
            return Err(forbidden("delete this user"));
        }
        self.refuse_declared(user.source, || format!("user `{id}`"))?;
        actor.expects(&stored)?;
        let guard = actor.guard(id.into(), &stored);
        let user = stored.value;
        let deed = Deed::new("user.delete", format!("user {id}"))
            .of(&user.organization, None, Some(id))
            .whole(&user);
        let mut changes: Vec<Change> = guard.into_iter().chain([Change::DeleteUser(id.clone())]).collect();
        changes.extend(self.keeps_super_admin(&user, None));
        let step = Step { id: id.to_string(), deed, changes, seeds: Seeds::new(), outcome: "deleted" };
        Ok((step, user))
    }

    fn user_view(
        &self,
        actor: &Actor,
        stored: Stored<User>,
        memberships: Vec<Stored<Membership>>,
        used: Sums,
    ) -> UserView {
        let etag = etag(&stored);
        let user = stored.value;
        let own = actor.user() == Some(&user.id);
        let narrow = actor.reach().narrow;
        let visible = |it: &Stored<Membership>| {
            own || narrow.as_ref().is_none_or(|narrow| narrow.groups.contains(&it.value.group))
        };
        let memberships = memberships.into_iter().filter(visible).map(|it| self.member_view(it)).collect();
        let limit_states = self.limit_states(Scope::new(ScopeKind::User, user.id.as_str()), &user.limits);
        UserView {
            user,
            etag,
            stored_at: stored.created_at,
            created_by: stored.created_by,
            updated_at: stored.updated_at,
            updated_by: stored.updated_by,
            memberships,
            used,
            limit_states,
        }
    }
}

fn matches_filter(filter: &UserFilter, user: &User) -> bool {
    let has = |text: &str| {
        let inside = |value: &str| value.to_lowercase().contains(&text.to_lowercase());
        inside(user.id.as_str())
            || [&user.alias, &user.email].into_iter().flatten().any(|value| inside(value))
    };
    let is_theirs = |wanted: &str| {
        user.email.as_deref().is_some_and(|email| folded_address(email) == folded_address(wanted))
    };
    let is_part = |wanted: &str| {
        user.email.as_deref().is_some_and(|email| folded_address(email).contains(&folded_address(wanted)))
    };
    filter.organization.as_ref().is_none_or(|wanted| user.organization == *wanted)
        && filter.email.as_deref().is_none_or(is_theirs)
        && filter.address.as_deref().is_none_or(is_part)
        && (filter.roles.is_empty() || filter.roles.contains(&user.role))
        && (filter.ids.is_empty() || filter.ids.contains(&user.id))
        && filter.search.as_deref().is_none_or(has)
}
