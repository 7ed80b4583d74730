//! Groups and their members.

mod bulk;
mod given;
mod member;

use std::sync::Arc;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use sluicegate_core::price::RATIO_ONE_PPM;
use sluicegate_core::tenant::{ACCESS_GROUP, AccessGroups, Preference, Source};
use sluicegate_core::{
    Group, GroupId, Membership, ModelAccess, ModelName, OrganizationId, Result, Scope, ScopeKind, Timestamp,
};

pub use self::bulk::{MemberBulk, MemberDeed, Place};
pub use self::given::{MEMBER_LIMITS, member_limits};
use self::given::{read_member_limits, write_member_limits};
pub use self::member::{MemberPatch, MemberView, NewMember};
pub(super) use self::member::{member_role, placed_in};
use super::access::{as_stored, both, check_id};
use super::bulk::{Step, check_count, check_places, ids_done};
use super::patch::{check_metadata, edit_limits, edit_metadata, patch_access};
use super::seed::Seeds;
use super::seen::etag;
use super::{
    Access, Actor, Admin, Deed, LimitEditor, LimitUse, Limits, Patch, Then, bound, came_second, forbidden,
    retried,
};
use crate::credential;
use crate::store::{Change, Dimension, Expect, GroupFilter, Listing, Owner, Page, Stored, Sums};

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
    /// Free data, all of it. Where what it gives its members ([`MEMBER_LIMITS`]) is other then, theirs are, in the same step: those of
    /// everybody in it but for limits of their own, and of whom the file puts into it.
    pub metadata: Patch<serde_json::Map<String, serde_json::Value>>,
    /// Changes single members of the free data, after `metadata`; null removes one.
    #[serde(skip)]
    pub edit_metadata: serde_json::Map<String, serde_json::Value>,
    /// Changes the limits that it gives its members ([`MEMBER_LIMITS`]), after `metadata`, where they stay if that doesn't name them.
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
    /// Whether the actor may make groups, and whose these are: for who looks something up before they make one.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound` for an organization that the actor can't see, `Store`.
    pub async fn may_create_group(
        &self,
        actor: &Actor,
        organization: Option<&OrganizationId>,
    ) -> Result<OrganizationId> {
        actor.may("groups", Access::Write)?;
        let organization = self.organization_for(actor, organization).await?;
        match actor.runs(&organization) {
            true => Ok(organization),
            false => Err(forbidden("make groups")),
        }
    }

    /// Makes a group.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound` for an organization or user that the actor can't see, `InvalidRequest`, `Conflict` when
    /// the id or alias is taken, `Store`.
    pub async fn create_group(&self, actor: &Actor, new: NewGroup) -> Result<GroupView> {
        let organization = self.may_create_group(actor, new.organization.as_ref()).await?;
        let price_ratio_ppm = new.price_ratio_ppm.unwrap_or(RATIO_ONE_PPM);
        check_ratio(actor, RATIO_ONE_PPM, price_ratio_ppm)?;
        check_metadata(&new.metadata)?;
        read_member_limits(&new.metadata)?;
        check_places("members", new.members.len())?;
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
    /// `Forbidden`, `NotFound`, `InvalidRequest`, also where more than 500 members would get other limits; `Conflict` when the alias is
    /// taken or the group is declared in a file, `Store`.
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
        if let Some(edit) = patch.edit_member_limits {
            let data = if after.metadata.contains_key(MEMBER_LIMITS) { &after } else { before };
            let was = read_member_limits(&data.metadata)?;
            let mut limits = was.clone();
            edit.edit(&mut limits);
            if limits != was || !after.metadata.contains_key(MEMBER_LIMITS) {
                write_member_limits(&mut after.metadata, limits);
            }
        }
        let gives_other = after.metadata.get(MEMBER_LIMITS) != before.metadata.get(MEMBER_LIMITS);
        if gives_other {
            read_member_limits(&after.metadata)?;
        }
        bound::check(Some(before), &after)?;
        if steers && !actor.runs(&before.organization) {
            return Err(forbidden("change `guardrails` or `tags` in the metadata of a group"));
        }
        let deed = Deed::new("group.update", format!("group {}", after.id))
            .of(&after.organization, Some(&after.id), None)
            .changed(before, &after);
        let mut changes = vec![Change::PutGroup(after.clone(), Expect::Version(stored.version))];
        let owner = Owner::Group(after.id.clone());
        let mut seeds = self.seeds(&owner, &before.limits, &after.limits).await?;
        let mut following = Vec::new();
        if gives_other {
            let (expect, steps) = self.following_members(before, &after).await?;
            changes.insert(0, expect);
            for step in steps {
                seeds.extend(step.seeds);
                following.push((step.deed, step.changes));
            }
        }
        let deeds = std::iter::once((deed, changes)).chain(following).collect();
        self.write_all(actor, deeds, seeds, Then::Callers).await?;
        Ok(after.id)
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

    /// A group whose members the actor may change.
    pub(super) async fn group_to_change(&self, actor: &Actor, id_or_alias: &str) -> Result<Stored<Group>> {
        let stored = self.resolve_group(actor, id_or_alias).await?;
        if !actor.runs_group(&stored.value.organization, &stored.value.id) {
            return Err(forbidden("change this group"));
        }
        self.refuse_declared(stored.value.source, || format!("group `{}`", stored.value.id))?;
        Ok(stored)
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
