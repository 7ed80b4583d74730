//! Groups and their members.

mod bulk;

use std::sync::Arc;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use sluicegate_core::price::RATIO_ONE_PPM;
use sluicegate_core::tenant::{ACCESS_GROUP, AccessGroups, Preference, Source};
use sluicegate_core::{
    Error, ErrorKind, Group, GroupId, Limit, Membership, ModelAccess, ModelName, OrganizationId, Result,
    Role, Scope, ScopeKind, Timestamp, User, UserId,
};

pub use self::bulk::{MemberBulk, MemberDeed, Place};
use super::access::{as_stored, both, check_id, check_limits};
use super::bulk::{Step, check_count, ids_done};
use super::patch::{check_metadata, edit_limits, edit_metadata, patch_access};
use super::seed::Seeds;
use super::seen::etag;
use super::{
    Actor, Admin, Deed, LimitEditor, LimitUse, Limits, Patch, Then, bound, came_second, forbidden, invalid,
    not_found, retried,
};
use crate::credential;
use crate::store::{
    Change, Dimension, Expect, GroupFilter, Listing, Owner, Page, Reach, Stored, Sums, Thing,
};

/// A group to be made.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NewGroup {
    /// Its id. Default: one is made.
    pub id: Option<GroupId>,
    /// Its name for people and for channels' `groups`. Unique within the organization.
    pub alias: Option<String>,
    /// Whose it is. Default: the actor's organization.
    pub organization: Option<OrganizationId>,
    /// Models its members may call; empty is every model.
    pub models: Vec<ModelName>,
    /// Other names under which its keys may ask for models; a key's own come after them.
    pub aliases: IndexMap<ModelName, ModelName>,
    /// Its limits.
    pub limits: Limits,
    /// What its calls cost relative to the price list, in parts per million. Default 1,000,000.
    pub price_ratio_ppm: Option<u32>,
    /// Where its calls go first, in order.
    pub preferences: Vec<Preference>,
    /// Whether every call is refused for the time being.
    pub blocked: bool,
    /// Free data.
    pub metadata: serde_json::Map<String, serde_json::Value>,
    /// Its first members.
    pub members: Vec<NewMember>,
}

/// Stands in a group's free data: limits, written as a group's own are, that everybody has who comes into it from then on, unless they
/// are given one of the same metric.
pub const MEMBER_LIMITS: &str = "member_limits";

/// The limits that whoever comes into a group has, as far as they can be read.
pub fn member_limits(group: &Group) -> Vec<Limit> {
    read_member_limits(&group.metadata).unwrap_or_default()
}

fn read_member_limits(data: &serde_json::Map<String, serde_json::Value>) -> Result<Vec<Limit>> {
    let Some(value) = data.get(MEMBER_LIMITS).filter(|value| !value.is_null()) else { return Ok(Vec::new()) };
    let limits = serde_json::from_value::<Limits>(value.clone())
        .map_err(|why| invalid("metadata", format!("`{MEMBER_LIMITS}` in `metadata`: {why}")))?;
    check_limits(&limits.0)?;
    Ok(limits.0)
}

fn gives_limits(group: &Group) -> bool {
    group.metadata.contains_key(MEMBER_LIMITS)
}

fn write_member_limits(data: &mut serde_json::Map<String, serde_json::Value>, limits: Vec<Limit>) {
    match serde_json::to_value(Limits(limits)) {
        Ok(value) if value.as_object().is_some_and(|map| !map.is_empty()) => {
            data.insert(MEMBER_LIMITS.to_owned(), value);
        }
        _ => drop(data.remove(MEMBER_LIMITS)),
    }
}

/// Makes a member's limits follow what their group gives: what it gave becomes what it gives, and what they lack they get. Limits of
/// their own stay.
fn follow(limits: &mut Vec<Limit>, gave: &[Limit], gives: &[Limit]) {
    limits.retain(|it| !gave.contains(it) || gives.contains(it));
    // Two budgets that a group gives are no limits of the member's own to each other.
    let own: Vec<Limit> = limits.iter().filter(|it| !gives.contains(it)).cloned().collect();
    for given in gives {
        if !limits.contains(given) && !own.iter().any(|own| own.holds_same(given)) {
            limits.push(given.clone());
        }
    }
}

/// Somebody's new place in a group, with limits of their own, and what the group gives its members beside them.
///
/// # Errors
/// `InvalidRequest` when what the group gives can't be read: a cap, for one, would be missing.
pub(super) fn placed(group: &Group, user: &UserId, role: Role, own: Vec<Limit>) -> Result<Membership> {
    let mut limits = own;
    follow(&mut limits, &[], &read_member_limits(&group.metadata)?);
    Ok(Membership { group: group.id.clone(), user: user.clone(), role, limits })
}

/// A user to be put into a group.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewMember {
    /// Who.
    pub user: UserId,
    /// What they may do in it: `user` or `group_admin`.
    #[serde(default)]
    pub role: Role,
    /// Their limits within the group.
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
    /// Their limits within the group, all of them.
    pub limits: Patch<Limits>,
    /// Changes single limits, after `limits`.
    #[serde(skip)]
    pub edit_limits: Option<LimitEditor>,
}

/// A change to a group.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GroupPatch {
    /// Its name.
    pub alias: Patch<String>,
    /// Models its members may call.
    pub models: Patch<Vec<ModelName>>,
    /// Changes the list of these models, after `models`.
    #[serde(skip)]
    pub edit_models: Option<ModelEdit>,
    /// Other names for models.
    pub aliases: Patch<IndexMap<ModelName, ModelName>>,
    /// Its limits, all of them.
    pub limits: Patch<Limits>,
    /// Changes single limits, after `limits`.
    #[serde(skip)]
    pub edit_limits: Option<LimitEditor>,
    /// What its calls cost relative to the price list, in parts per million.
    pub price_ratio_ppm: Patch<u32>,
    /// Where its calls go first.
    pub preferences: Patch<Vec<Preference>>,
    /// Whether every call is refused for the time being.
    pub blocked: Option<bool>,
    /// Free data, all of it.
    pub metadata: Patch<serde_json::Map<String, serde_json::Value>>,
    /// Changes single members of the free data, after `metadata`; null removes one.
    #[serde(skip)]
    pub edit_metadata: serde_json::Map<String, serde_json::Value>,
    /// Changes the limits that whoever comes into it has ([`MEMBER_LIMITS`]): they stay where the free data is replaced. Those who are
    /// in it follow: whoever has what it gave, or nothing of the kind, has what it gives.
    #[serde(skip)]
    pub edit_member_limits: Option<LimitEditor>,
}

/// A change of a list of models that takes what is in it as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelEdit {
    /// These are allowed, too. Where all are, all stay so.
    Add(Vec<ModelName>),
    /// These aren't allowed any more. Where none is left, none is allowed.
    Remove(Vec<ModelName>),
    /// These in the place of all that aren't named as access groups.
    Models(Vec<ModelName>),
    /// These in the place of all that are. Where none is left, none is allowed.
    AccessGroups(Vec<ModelName>),
    /// These in the place of all. Where none is left of a list that named access groups, none is allowed.
    All(Vec<ModelName>),
}

/// Stands in a list that allows nothing: there is no such model.
const NO_MODEL: &str = "no-default-models";

impl ModelEdit {
    /// `groups` are the access groups that there are: a list may name one bare.
    pub(super) fn apply(self, access: &mut ModelAccess, groups: &AccessGroups) {
        let is_group = |name: &ModelName| name.as_str().starts_with(ACCESS_GROUP);
        let mut names = access.patterns().to_vec();
        // Whose last group goes isn't left with every model.
        let had_groups = names.iter().any(|name| is_group(name) || groups.contains_key(name.as_str()));
        match self {
            Self::Add(_) if names.is_empty() => return,
            Self::Add(more) => {
                names.retain(|name| name.as_str() != NO_MODEL);
                for name in more {
                    if !names.contains(&name) {
                        names.push(name);
                    }
                }
            }
            Self::Remove(gone) => {
                let before = names.len();
                names.retain(|name| !gone.contains(name));
                if before > 0 && names.is_empty() {
                    names.push(NO_MODEL.into());
                }
            }
            Self::Models(models) => {
                names.retain(is_group);
                names.splice(0..0, models);
                if had_groups && names.is_empty() {
                    names.push(NO_MODEL.into());
                }
            }
            Self::AccessGroups(groups) => {
                let before = names.len();
                names.retain(|name| !is_group(name) && name.as_str() != NO_MODEL);
                names.extend(groups);
                if before > 0 && names.is_empty() {
                    names.push(NO_MODEL.into());
                }
            }
            Self::All(all) => {
                names = all;
                if had_groups && names.is_empty() {
                    names.push(NO_MODEL.into());
                }
            }
        }
        *access = ModelAccess::only(names);
    }

    /// Takes access group `name` out of a list of models, and with `is_bare` its name alone, too; whether it was there.
    pub(super) fn forget_group(access: &mut ModelAccess, name: &str, is_bare: bool) -> bool {
        let mut gone = vec![ModelName::from(format!("{ACCESS_GROUP}{name}"))];
        if is_bare {
            gone.push(name.into());
        }
        let is_there = gone.iter().any(|name| access.patterns().contains(name));
        Self::Remove(gone).apply(access, &AccessGroups::default());
        is_there
    }
}

impl GroupPatch {
    /// Whether it only touches what a group's own administrators may change: its free data. Budgets, prices, models and
    /// the name that channels know it by are given to it from above.
    fn is_cosmetic(&self) -> bool {
        self.alias.is_keep()
            && self.models.is_keep()
            && self.edit_models.is_none()
            && self.aliases.is_keep()
            && self.limits.is_keep()
            && self.edit_limits.is_none()
            && self.price_ratio_ppm.is_keep()
            && self.preferences.is_keep()
            && self.blocked.is_none()
    }
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

/// A group, as people see it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupView {
    /// The group.
    #[serde(flatten)]
    pub group: Group,
    /// The tag of its present state, for `if-match`.
    pub etag: String,
    /// When it was written down first: what lists are sorted by.
    #[serde(skip)]
    pub stored_at: Timestamp,
    /// Who created it.
    pub created_by: String,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Who changed it last.
    pub updated_by: String,
    /// Its members; of somebody who only is a member, themselves.
    pub members: Vec<MemberView>,
    /// What it has used in all.
    pub used: Sums,
    /// How its limits stand.
    pub limit_states: Vec<LimitUse>,
}

impl Admin {
    /// Makes a group.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound` for an organization or user that the actor can't see, `InvalidRequest`, `Conflict` when
    /// the id or alias is taken, `Store`.
    pub async fn create_group(&self, actor: &Actor, new: NewGroup) -> Result<GroupView> {
        let organization = self.organization_for(actor, new.organization.as_ref()).await?;
        if !actor.runs(&organization) {
            return Err(forbidden("make groups"));
        }
        let price_ratio_ppm = new.price_ratio_ppm.unwrap_or(RATIO_ONE_PPM);
        check_ratio(actor, RATIO_ONE_PPM, price_ratio_ppm)?;
        check_metadata(&new.metadata)?;
        read_member_limits(&new.metadata)?;
        let now = self.now();
        let id = match new.id {
            Some(id) => id,
            None => GroupId::from(credential::new_id(now)?),
        };
        check_id("id", id.as_str())?;
        let alias = new.alias.filter(|alias| !alias.is_empty());
        let declared = self.declared();
        for name in std::iter::once(id.as_str()).chain(alias.as_deref()) {
            if let Some(group) = declared.group(name) {
                self.refuse_declared(Source::File, || format!("group `{}`", group.id))?;
            }
        }
        let group = Group {
            id: id.clone(),
            alias,
            organization: organization.clone(),
            access: ModelAccess::only(new.models),
            aliases: new.aliases,
            limits: new.limits.0,
            price_ratio_ppm,
            prices: Arc::default(),
            preferences: new.preferences,
            channels_of: Vec::new(),
            blocked: new.blocked,
            metadata: new.metadata,
            source: Source::Database,
            created_at: now,
        };
        bound::check(None, &group)?;
        let mut changes = vec![Change::PutGroup(group.clone(), Expect::New)];
        for member in &new.members {
            changes.extend(self.changes_for_member(actor, &group, member).await?);
        }
        let deed =
            Deed::new("group.create", format!("group {id}")).of(&organization, Some(&id), None).whole(&group);
        let seeds = self.seeds_of_new(&changes).await?;
        self.write(actor, deed, changes, seeds, Then::Callers).await?;
        self.group(actor, id.as_str()).await
    }

    /// A group, by id or alias.
    ///
    /// # Errors
    /// `NotFound`, `Store`.
    pub async fn group(&self, actor: &Actor, id_or_alias: &str) -> Result<GroupView> {
        let stored = self.resolve_group(actor, id_or_alias).await?;
        self.0.host.flush_records().await?;
        let totals = self.store().totals(Dimension::Group, &[stored.value.id.as_str()]).await?;
        let used = totals.get(stored.value.id.as_str()).copied().unwrap_or_default();
        let members = self.stamped_memberships(Some(&stored.value.id), None).await?;
        Ok(self.group_view(actor, stored, members, used))
    }

    /// Groups, declared ones first, then newest first.
    ///
    /// # Errors
    /// `Store`.
    pub async fn groups(
        &self,
        actor: &Actor,
        filter: &GroupFilter,
        page: Page,
    ) -> Result<Listing<GroupView>> {
        let reach = actor.reach_of_groups();
        let declared = self.declared();
        let memberships = match &filter.member {
            Some(user) => self.memberships(None, Some(user)).await?,
            None => Vec::new(),
        };
        let matches = |group: &&Group| {
            let has = |text: &str| {
                let inside = |value: &str| value.to_lowercase().contains(&text.to_lowercase());
                inside(group.id.as_str()) || group.alias.as_deref().is_some_and(inside)
            };
            reach.has_group(group)
                && filter.organization.as_ref().is_none_or(|wanted| group.organization == *wanted)
                && filter.id.as_ref().is_none_or(|wanted| group.id == *wanted)
                && (filter.member.is_none() || memberships.iter().any(|it| it.group == group.id))
                && filter.search.as_deref().is_none_or(has)
        };
        let mut file: Vec<Stored<Group>> =
            declared.groups().filter(matches).map(|it| as_stored(it.clone(), it.created_at)).collect();
        file.sort_by(|a, b| a.value.id.cmp(&b.value.id));
        let stored = |page| self.store().groups(filter, &reach, page);
        let listing = both(file, page, filter.after.as_ref(), stored).await?;
        let ids: Vec<&str> = listing.items.iter().map(|stored| stored.value.id.as_str()).collect();
        let totals = self.store().totals(Dimension::Group, &ids).await?;
        let mut members = self.members_of_groups(&ids).await?;
        Ok(listing.map(|stored| {
            let id = stored.value.id.as_str();
            let used = totals.get(id).copied().unwrap_or_default();
            let members = members.remove(id).unwrap_or_default();
            self.group_view(actor, stored, members, used)
        }))
    }

    /// Changes a group.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`, `InvalidRequest`, `Conflict` when the alias is taken or the group is declared in a file,
    /// `Store`.
    pub async fn update_group(
        &self,
        actor: &Actor,
        id_or_alias: &str,
        patch: GroupPatch,
    ) -> Result<GroupView> {
        let id = retried(came_second, || self.try_update_group(actor, id_or_alias, patch.clone())).await?;
        self.group(actor, id.as_str()).await
    }

    async fn try_update_group(&self, actor: &Actor, id_or_alias: &str, patch: GroupPatch) -> Result<GroupId> {
        let stored = self.group_to_change(actor, id_or_alias).await?;
        let before = &stored.value;
        if !actor.runs(&before.organization) && !patch.is_cosmetic() {
            return Err(forbidden("change this of a group"));
        }
        let ratio = match patch.price_ratio_ppm {
            Patch::Keep => before.price_ratio_ppm,
            Patch::Clear => RATIO_ONE_PPM,
            Patch::Set(ratio) => ratio,
        };
        check_ratio(actor, before.price_ratio_ppm, ratio)?;
        actor.expects(&stored)?;
        let (mut after, declared) = (before.clone(), self.declared());
        patch.alias.apply(&mut after.alias);
        let renamed = after.alias.as_deref().filter(|alias| before.alias.as_deref() != Some(alias));
        if let Some(group) = renamed.and_then(|alias| declared.group(alias)) {
            self.refuse_declared(Source::File, || format!("group `{}`", group.id))?;
        }
        patch_access(patch.models, &mut after.access);
        if let Some(edit) = patch.edit_models {
            edit.apply(&mut after.access, &self.0.directory.access_groups());
        }
        patch.aliases.apply_or_default(&mut after.aliases);
        edit_limits(&mut after.limits, patch.limits, patch.edit_limits.as_ref());
        after.price_ratio_ppm = ratio;
        patch.preferences.apply_or_default(&mut after.preferences);
        after.blocked = patch.blocked.unwrap_or(after.blocked);
        let steers = edit_metadata(&mut after.metadata, patch.metadata, patch.edit_metadata)?;
        let members_follow = patch.edit_member_limits.is_some();
        if let Some(edit) = patch.edit_member_limits {
            let data = if after.metadata.contains_key(MEMBER_LIMITS) { &after } else { before };
            let was = read_member_limits(&data.metadata)?;
            let mut limits = was.clone();
            edit.edit(&mut limits);
            if limits != was || !after.metadata.contains_key(MEMBER_LIMITS) {
                write_member_limits(&mut after.metadata, limits);
            }
        }
        if after.metadata.get(MEMBER_LIMITS) != before.metadata.get(MEMBER_LIMITS) {
            read_member_limits(&after.metadata)?;
        }
        bound::check(Some(before), &after)?;
        if steers && !actor.runs(&before.organization) {
            return Err(forbidden("change `guardrails` or `tags` in the metadata of a group"));
        }
        let deed = Deed::new("group.update", format!("group {}", after.id))
            .of(&after.organization, Some(&after.id), None)
            .changed(before, &after);
        let put = Change::PutGroup(after.clone(), Expect::Version(stored.version));
        let owner = Owner::Group(after.id.clone());
        let mut seeds = self.seeds(&owner, &before.limits, &after.limits).await?;
        let mut deeds = vec![(deed, vec![put])];
        if members_follow {
            for step in self.following_members(before, &after).await? {
                seeds.extend(step.seeds);
                deeds.push((step.deed, step.changes));
            }
        }
        self.write_all(actor, deeds, seeds, Then::Callers).await?;
        Ok(after.id)
    }

    /// What makes the members of a group follow what it gives them now. Whom a file puts into it has what the file says.
    async fn following_members(&self, before: &Group, after: &Group) -> Result<Vec<Step>> {
        let (gave, gives) = (member_limits(before), member_limits(after));
        let mut steps = Vec::new();
        if gave == gives {
            return Ok(steps);
        }
        for stored in self.store().memberships(Some(&after.id), None).await? {
            let member = stored.value.clone();
            if self.declared().membership(&after.id, &member.user).is_some() {
                continue;
            }
            let mut limits = member.limits.clone();
            follow(&mut limits, &gave, &gives);
            if limits != member.limits {
                steps.push(self.member_with(after, &stored, Membership { limits, ..member }).await?);
            }
        }
        Ok(steps)
    }

    /// Removes a group, its memberships and its keys. What it used stays in the records.
    ///
    /// # Errors
    /// As [`update_group`](Self::update_group).
    pub async fn delete_group(&self, actor: &Actor, id_or_alias: &str) -> Result<Group> {
        let (step, group) = self.removed_group(actor, id_or_alias).await?;
        self.write(actor, step.deed, step.changes, step.seeds, Then::Callers).await?;
        Ok(group)
    }

    /// Removes several groups: all of them, or none, and then the error names the one that can't be.
    ///
    /// # Errors
    /// As [`delete_group`](Self::delete_group); `InvalidRequest` when none is named, one twice, or too many.
    pub async fn delete_groups(&self, actor: &Actor, ids: &[GroupId]) -> Result<()> {
        check_count(ids.len(), "groups")?;
        let done = retried(came_second, || async {
            let mut prepared = Vec::with_capacity(ids.len());
            for id in ids {
                let step = self.removed_group(actor, id.as_str()).await.map(|(step, _)| step);
                prepared.push((Some(id.to_string()), step));
            }
            self.all_or_none(actor, "group", prepared, Then::Callers).await
        });
        ids_done("group", done.await?).map(drop)
    }

    /// What removes a group, and which.
    async fn removed_group(&self, actor: &Actor, id_or_alias: &str) -> Result<(Step, Group)> {
        let stored = self.group_to_change(actor, id_or_alias).await?;
        if !actor.runs(&stored.value.organization) {
            return Err(forbidden("delete this group"));
        }
        actor.expects(&stored)?;
        let guard = actor.guard((&stored.value.id).into(), &stored);
        let group = stored.value;
        let deed = Deed::new("group.delete", format!("group {}", group.id))
            .of(&group.organization, Some(&group.id), None)
            .whole(&group);
        let changes = guard.into_iter().chain([Change::DeleteGroup(group.id.clone())]).collect();
        let id = group.id.to_string();
        Ok((Step { id, deed, changes, seeds: Seeds::new(), outcome: "deleted" }, group))
    }

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
                let step = self.new_member(actor, group, member).await?;
                seeds.extend(step.seeds);
                // Each with an event of their own, which they find.
                deeds.push((step.deed, step.changes));
            }
            // They get what the group gives when they come, and not what it gave before.
            if let Some((_, changes)) = deeds.first_mut().filter(|_| gives_limits(group)) {
                changes.push(Change::ExpectVersion(Thing::Group(group.id.clone()), stored.version));
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
    async fn new_member(&self, actor: &Actor, group: &Group, member: &NewMember) -> Result<Step> {
        let place = placed(group, &member.user, member.role, member.limits.0.clone())?;
        let member = &NewMember { limits: place.limits.into(), ..member.clone() };
        let changes = self.changes_for_member(actor, group, member).await?;
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
            let group = &stored.value;
            let mut step = self.changed_member(actor, group, user, patch.clone()).await?;
            if gives_limits(group) {
                step.changes.push(Change::ExpectVersion(Thing::Group(group.id.clone()), stored.version));
            }
            self.write(actor, step.deed, step.changes, step.seeds, Then::Callers).await?;
            Ok(group.id.clone())
        })
        .await?;
        self.member(actor, &group, user).await
    }

    /// What makes a membership another.
    async fn changed_member(
        &self,
        actor: &Actor,
        group: &Group,
        user: &UserId,
        patch: MemberPatch,
    ) -> Result<Step> {
        let stored = self.stored_member(group, user).await?;
        actor.expects(&stored)?;
        let mut after = stored.value.clone();
        after.role = member_role(patch.role.unwrap_or(after.role))?;
        edit_limits(&mut after.limits, patch.limits, patch.edit_limits.as_ref());
        // Whose limit is taken away one by one has the group's again.
        if patch.edit_limits.is_some() {
            follow(&mut after.limits, &[], &read_member_limits(&group.metadata)?);
        }
        self.member_with(group, &stored, after).await
    }

    /// What makes a membership this one.
    async fn member_with(
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
    async fn removed_member(
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

    /// A group whose members the actor may change.
    pub(super) async fn group_to_change(&self, actor: &Actor, id_or_alias: &str) -> Result<Stored<Group>> {
        let stored = self.resolve_group(actor, id_or_alias).await?;
        if !actor.runs_group(&stored.value.organization, &stored.value.id) {
            return Err(forbidden("change this group"));
        }
        self.refuse_declared(stored.value.source, || format!("group `{}`", stored.value.id))?;
        Ok(stored)
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

    async fn changes_for_member(
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
                let user = super::user::plain(member.user.clone(), group.organization.clone(), self.now())?;
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

    pub(super) fn member_view(&self, stored: Stored<Membership>) -> MemberView {
        let (etag, membership) = (etag(&stored), stored.value);
        let limit_states = self.limit_states(membership.scope(), &membership.limits);
        MemberView { membership, etag, limit_states }
    }

    fn group_view(
        &self,
        actor: &Actor,
        stored: Stored<Group>,
        members: Vec<Stored<Membership>>,
        used: Sums,
    ) -> GroupView {
        let etag = etag(&stored);
        let group = stored.value;
        let all = actor.reach().has_group(&group);
        let members = members
            .into_iter()
            .filter(|it| all || Some(&it.value.user) == actor.user())
            .map(|it| self.member_view(it))
            .collect();
        let limit_states = self.limit_states(Scope::new(ScopeKind::Group, group.id.as_str()), &group.limits);
        GroupView {
            group,
            etag,
            stored_at: stored.created_at,
            created_by: stored.created_by,
            updated_at: stored.updated_at,
            updated_by: stored.updated_by,
            members,
            used,
            limit_states,
        }
    }
}

/// What a group's calls cost counts against its organization's limits, too: whoever set the ratio could lift a cap that was given
/// from above.
fn check_ratio(actor: &Actor, before: u32, after: u32) -> Result<()> {
    match before == after || actor.is_super() {
        true => Ok(()),
        false => Err(forbidden("change the `price_ratio_ppm` of a group")),
    }
}

pub(super) fn member_role(role: Role) -> Result<Role> {
    match role {
        Role::User | Role::GroupAdmin => Ok(role),
        _ => Err(invalid("role", "a member's role in a group is `user` or `group_admin`")),
    }
}
