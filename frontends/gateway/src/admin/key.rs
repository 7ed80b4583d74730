//! Keys.

mod bulk;
mod issue;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use sluicegate_core::tenant::{IpNetwork, RouteAccess, STEERING};
use sluicegate_core::{
    ApiKey, Error, ErrorKind, KeyId, ModelAccess, ModelName, OrganizationId, Result, Role, Scope, ScopeKind,
    Secret, Timestamp, UserId,
};

use self::issue::{reaches_further, same_organization};
use super::access::{as_stored, both};
pub use bulk::{KeyBulk, KeyDeed, KeyOutcome, KeysDone};

use super::patch::{edit_limits, edit_metadata, patch_access};
use super::seed::Seeds;
use super::seen::etag;
use super::{
    Actor, Admin, Deed, LimitEditor, LimitUse, Limits, ModelEdit, Patch, Then, bound, came_second, forbidden,
    invalid, not_found, retried,
};
use crate::credential::{self, KeyHash};
use crate::store::{
    Change, Dimension, Expect, KeyFilter, KeyRef, Listing, Owner, Page, Stored, StoredKey, Sums,
};

/// A key to be issued.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NewKey {
    /// The credential, for those who must choose it themselves; left out, one is made.
    #[serde(skip_serializing)]
    pub key: Option<Secret>,
    /// Its name for people. Unique within the organization.
    pub alias: Option<String>,
    /// Whose it is. Default: its group's, its user's, or the actor's organization.
    pub organization: Option<OrganizationId>,
    /// The group it spends for, by id or alias.
    pub group: Option<String>,
    /// The user it belongs to. Default: a user who makes a key for nobody else makes it for themselves.
    pub user: Option<UserId>,
    /// Models it may call, names or prefixes ending in `*`; empty is every model that its group or user may.
    pub models: Vec<ModelName>,
    /// Other names under which it may ask for models.
    pub aliases: IndexMap<ModelName, ModelName>,
    /// Its limits.
    pub limits: Limits,
    /// From when on it is refused, in milliseconds since 1970.
    pub expires_at: Option<Timestamp>,
    /// After which time it is refused, such as `30d`; instead of `expires_at`.
    pub ttl: Option<String>,
    /// Whether it is refused for the time being.
    pub blocked: bool,
    /// Addresses or networks that it may be used from; empty is anywhere.
    pub allowed_ips: Vec<IpNetwork>,
    /// What it may be used for; empty is everything.
    pub routes: RouteAccess,
    /// Tags put on each of its calls.
    pub tags: Vec<String>,
    /// Free data.
    pub metadata: serde_json::Map<String, serde_json::Value>,
    /// Whether a user who doesn't exist yet is made along with it.
    #[serde(skip)]
    pub create_user: bool,
    /// A budget whose limits it has besides its own, also when they change.
    #[serde(skip)]
    pub budget: Option<String>,
}

/// A change to a key.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KeyPatch {
    /// Its name for people.
    pub alias: Patch<String>,
    /// The group it spends for, by id or alias.
    pub group: Patch<String>,
    /// The user it belongs to.
    pub user: Patch<UserId>,
    /// Models it may call.
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
    /// From when on it is refused.
    pub expires_at: Patch<Timestamp>,
    /// After which time from now it is refused; instead of `expires_at`.
    pub ttl: Option<String>,
    /// Whether it is refused for the time being.
    pub blocked: Option<bool>,
    /// Where it may be used from.
    pub allowed_ips: Patch<Vec<IpNetwork>>,
    /// What it may be used for.
    pub routes: Patch<RouteAccess>,
    /// Tags put on each of its calls.
    pub tags: Patch<Vec<String>>,
    /// Free data, all of it.
    pub metadata: Patch<serde_json::Map<String, serde_json::Value>>,
    /// Changes single members of the free data, after `metadata`; null removes one.
    #[serde(skip)]
    pub edit_metadata: serde_json::Map<String, serde_json::Value>,
}

impl KeyPatch {
    /// Whether it only touches what people see: name, data, and taking the key out of use.
    fn is_cosmetic(&self) -> bool {
        self.group.is_keep()
            && self.user.is_keep()
            && self.models.is_keep()
            && self.edit_models.is_none()
            && self.aliases.is_keep()
            && self.limits.is_keep()
            && self.edit_limits.is_none()
            && self.expires_at.is_keep()
            && self.ttl.is_none()
            && self.blocked != Some(false)
            && self.allowed_ips.is_keep()
            && self.routes.is_keep()
            && self.tags.is_keep()
    }
}

/// How to regenerate a key.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Regenerate {
    /// The new credential, for those who must choose it themselves.
    #[serde(skip_serializing)]
    pub key: Option<Secret>,
    /// For how long the old credential goes on working, such as `1h`. Default: not at all.
    pub grace: Option<String>,
    /// What else of the key shall be different.
    #[serde(skip)]
    pub patch: KeyPatch,
}

/// A key, as people see it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeyView {
    /// The key.
    #[serde(flatten)]
    pub key: ApiKey,
    /// The SHA-256 of its credential; `None` for a declared one whose credential isn't set.
    pub hash: Option<KeyHash>,
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
    /// What it has used in all.
    pub used: Sums,
    /// How its limits stand.
    pub limit_states: Vec<LimitUse>,
    /// Whether its user's own limits hold for its calls, too.
    pub user_limits_apply: bool,
}

/// A key just issued. The only time its credential is shown.
#[derive(Clone, Debug)]
pub struct IssuedKey {
    /// The credential.
    pub secret: Secret,
    /// The key.
    pub view: KeyView,
}

/// What is written down and changed when something becomes of a key.
pub(super) struct KeyStep {
    /// The key as it will be, or was.
    key: ApiKey,
    deed: Deed,
    changes: Vec<Change>,
    seeds: Seeds,
}

/// What an actor may do to a key that they see.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Right {
    /// Anything.
    Full,
    /// What its owner may who made it themselves: anything but giving it away. Until somebody who administers it has said what it
    /// may do: from then on they may what its owner may.
    Maker,
    /// What its owner may: name it, take it out of use, regenerate and delete it.
    Owner,
    /// Nothing.
    None,
}

fn right(actor: &Actor, stored: &StoredKey) -> Right {
    let key = &stored.key.value;
    let of_group = key.group.as_ref().is_some_and(|group| actor.runs_group(&key.organization, group));
    if of_group || actor.runs(&key.organization) {
        return Right::Full;
    }
    let owns = actor.user().is_some() && key.user.as_ref() == actor.user() && actor.role() != Role::Auditor;
    match owns {
        true if stored.key.created_by == actor.name() && !stored.governed && !actor.is_bounded() => {
            Right::Maker
        }
        true => Right::Owner,
        false => Right::None,
    }
}

/// What of a key says what it may do.
pub(super) fn bounds_of(key: &ApiKey) -> impl PartialEq + std::fmt::Debug + '_ {
    let ApiKey { access, aliases, limits, expires_at, allowed_ips, routes, tags, .. } = key;
    (access, aliases, limits, expires_at, allowed_ips, routes, tags)
}

/// Whether a key may call less than whoever it belongs to.
pub(super) fn is_bounded(key: &ApiKey) -> bool {
    let ApiKey { access, limits, expires_at, allowed_ips, routes, tags, metadata, .. } = key;
    *access != ModelAccess::ALL
        || !limits.is_empty()
        || expires_at.is_some()
        || !allowed_ips.is_empty()
        || !routes.is_all()
        || !tags.is_empty()
        || STEERING.iter().any(|name| metadata.contains_key(*name))
}

impl Admin {
    /// What a key is found by that is named in a path or a body: the key itself, its hash, its id or its alias.
    ///
    /// # Errors
    /// `Store`. Whether there is one is told by who looks for it.
    pub async fn key_named(&self, actor: &Actor, name: &str) -> Result<KeyRef> {
        if let Some(hash) = KeyHash::from_hex(&name.to_ascii_lowercase()) {
            return Ok(KeyRef::Hash(hash));
        }
        let hash = KeyRef::Hash(KeyHash::of(name));
        let id = KeyRef::Id(KeyId::from(name));
        let alias = KeyRef::Alias(name.to_owned());
        // What looks like a credential comes last as its hash again: an error doesn't repeat it then.
        let (tried, last) = match name.starts_with(credential::PREFIX) {
            true => (vec![hash.clone(), id, alias], hash),
            false => (vec![id], alias),
        };
        for reference in tried {
            match self.find_key(actor, &reference).await {
                Ok(_) => return Ok(reference),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(last)
    }

    /// A key.
    ///
    /// # Errors
    /// `NotFound`, `Store`.
    pub async fn key(&self, actor: &Actor, key: &KeyRef) -> Result<KeyView> {
        let (stored, hash) = self.find_key(actor, key).await?;
        self.0.host.flush_records().await?;
        let totals = self.store().totals(Dimension::Key, &[stored.value.id.as_str()]).await?;
        let used = totals.get(stored.value.id.as_str()).copied().unwrap_or_default();
        Ok(self.key_view(&stored, hash, used))
    }

    /// Keys, declared ones first, then newest first.
    ///
    /// # Errors
    /// `NotFound` for a group that the actor can't see, `Store`.
    pub async fn keys(&self, actor: &Actor, filter: &KeyFilter, page: Page) -> Result<Listing<KeyView>> {
        let reach = actor.reach();
        let declared = self.declared();
        let matches = |(hash, key): &(Option<KeyHash>, &ApiKey)| {
            reach.has_key(key) && matches_filter(filter, key, *hash)
        };
        let mut file: Vec<(Stored<ApiKey>, Option<KeyHash>)> = declared
            .keys()
            .map(|(hash, key)| (Some(*hash), key))
            .filter(matches)
            .map(|(hash, key)| (as_stored(key.clone(), key.created_at), hash))
            .collect();
        file.sort_by(|(a, _), (b, _)| a.value.id.cmp(&b.value.id));
        let reach = &reach;
        let listing = both(file, page, filter.after.as_ref(), |page| async move {
            let listing = self.store().keys(filter, reach, page).await?;
            Ok(listing.map(|stored| (stored.key, Some(stored.hash))))
        })
        .await?;
        let ids: Vec<&str> = listing.items.iter().map(|(stored, _)| stored.value.id.as_str()).collect();
        let totals = self.store().totals(Dimension::Key, &ids).await?;
        Ok(listing.map(|(stored, hash)| {
            let used = totals.get(stored.value.id.as_str()).copied().unwrap_or_default();
            self.key_view(&stored, hash, used)
        }))
    }

    /// Changes a key.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`, `InvalidRequest`, `Conflict` when the alias is taken or the key is declared in a file,
    /// `Store`.
    pub async fn update_key(&self, actor: &Actor, key: &KeyRef, patch: KeyPatch) -> Result<KeyView> {
        let id = retried(came_second, || self.try_update_key(actor, key, &patch)).await?;
        self.key(actor, &KeyRef::Id(id)).await
    }

    async fn try_update_key(&self, actor: &Actor, key: &KeyRef, patch: &KeyPatch) -> Result<KeyId> {
        let (step, _) = self.changed_key(actor, key, patch).await?;
        self.write(actor, step.deed, step.changes, step.seeds, Then::Callers).await?;
        Ok(step.key.id)
    }

    /// What makes a key another, and whether it is that already.
    async fn changed_key(&self, actor: &Actor, key: &KeyRef, patch: &KeyPatch) -> Result<(KeyStep, bool)> {
        match self.patched_key(actor, key, patch).await? {
            (_, _, Some(refusal)) => Err(refusal),
            (step, is_same, None) => Ok((step, is_same)),
        }
    }

    /// The same, and why the actor may not have it otherwise than it is.
    async fn patched_key(
        &self,
        actor: &Actor,
        key: &KeyRef,
        patch: &KeyPatch,
    ) -> Result<(KeyStep, bool, Option<Error>)> {
        let (stored, may) = self.key_to_change(actor, key).await?;
        let (before, now) = (&stored.key.value, self.now());
        let is_kept = patch.group.is_keep() && patch.user.is_keep();
        let refusal = match may {
            Right::Full => None,
            Right::Maker if is_kept && patch.blocked != Some(false) => None,
            Right::Owner if patch.is_cosmetic() => None,
            _ => Some(forbidden("change this of a key")),
        };
        if let Some(refusal) = refusal.clone().filter(|_| !is_kept) {
            return Err(refusal);
        }
        let mut after = before.clone();
        let patch = patch.clone();
        let passed_on = !patch.user.is_keep() || !patch.group.is_keep();
        match patch.group {
            Patch::Keep => {}
            Patch::Clear if actor.runs(&before.organization) => after.group = None,
            Patch::Clear => return Err(forbidden("take a key out of its group")),
            Patch::Set(name) => {
                let group = self.resolve_group(actor, &name).await?.value;
                if !actor.runs_group(&group.organization, &group.id) {
                    return Err(forbidden("put a key into this group"));
                }
                same_organization(&before.organization, &group.organization, "group")?;
                after.group = Some(group.id);
            }
        }
        match patch.user {
            Patch::Keep => {}
            Patch::Clear => after.user = None,
            Patch::Set(id) => {
                let user = self.find_user(actor, &id).await?.value;
                same_organization(&before.organization, &user.organization, "user")?;
                after.user = Some(id);
            }
        }
        if passed_on {
            self.refuse_key_above(actor, &after).await?;
        }
        patch.alias.apply(&mut after.alias);
        patch_access(patch.models, &mut after.access);
        if let Some(edit) = patch.edit_models {
            edit.apply(&mut after.access, &self.0.directory.access_groups());
        }
        patch.aliases.apply_or_default(&mut after.aliases);
        edit_limits(&mut after.limits, patch.limits, patch.edit_limits.as_ref());
        after.expires_at = expiry(patch.expires_at, patch.ttl.as_deref(), before.expires_at, now)?;
        after.blocked = patch.blocked.unwrap_or(after.blocked);
        patch.allowed_ips.apply_or_default(&mut after.allowed_ips);
        patch.routes.apply_or_default(&mut after.routes);
        patch.tags.apply_or_default(&mut after.tags);
        let steers = edit_metadata(&mut after.metadata, patch.metadata, patch.edit_metadata)?;
        bound::check(Some(before), &after)?;
        if steers && may == Right::Owner {
            return Err(forbidden("change `guardrails` or `tags` in the metadata of a key"));
        }
        let mut deed = Deed::new("key.update", format!("key {}", after.id))
            .of(&after.organization, after.group.as_ref(), after.user.as_ref())
            .changed(before, &after);
        let left_group = before.group.as_ref().filter(|_| after.group != before.group);
        let left_user = before.user.as_ref().filter(|_| after.user != before.user);
        if left_group.is_some() || left_user.is_some() {
            // Whose it was are told that it went, and not whose it is.
            let left = serde_json::json!({"group": left_group, "user": left_user});
            let leave = Deed { detail: left, ..Deed::new("key.leave", deed.target.clone()) };
            deed.also.push(leave.of(&before.organization, left_group, left_user));
        }
        let put = Change::PutKey {
            key: after.clone(),
            hash: stored.hash,
            old_hash_until: None,
            issuers: None,
            expect: Expect::Version(stored.key.version),
        };
        let mut changes = Vec::new();
        if passed_on {
            let things = self.stored_things(None, after.group.as_ref(), after.user.as_ref());
            changes.extend(things.into_iter().map(Change::ExpectThere));
        }
        if after.user != before.user
            && !actor.runs(&after.organization)
            && let Some(user) = &after.user
        {
            changes.push(Change::ExpectFewerKeys(user.clone(), self.auth().keys_per_user));
        }
        changes.push(put);
        let is_governed = may == Right::Full && stored.key.created_by != actor.name();
        if is_governed && (steers || bounds_of(&after) != bounds_of(before)) {
            changes.push(Change::GovernKey(after.id.clone()));
        }
        let owner = Owner::Key(after.id.clone());
        let seeds = self.seeds(&owner, &before.limits, &after.limits).await?;
        let is_same = after == *before;
        Ok((KeyStep { key: after, deed, changes, seeds }, is_same, refusal))
    }

    /// Gives a key a new credential. Everything else, what it has used included, stays.
    ///
    /// # Errors
    /// As [`update_key`](Self::update_key).
    pub async fn regenerate_key(&self, actor: &Actor, key: &KeyRef, how: Regenerate) -> Result<IssuedKey> {
        let (step, secret) = self.regenerated_key(actor, key, &how).await?;
        self.write(actor, step.deed, step.changes, step.seeds, Then::Callers).await?;
        let view = self.key(actor, &KeyRef::Id(step.key.id)).await?;
        Ok(IssuedKey { secret, view })
    }

    /// What gives a key a new credential, and that.
    async fn regenerated_key(
        &self,
        actor: &Actor,
        key: &KeyRef,
        how: &Regenerate,
    ) -> Result<(KeyStep, Secret)> {
        let (stored, may) = self.key_to_change(actor, key).await?;
        if may == Right::None {
            return Err(forbidden("regenerate this key"));
        }
        let is_itself = actor.key() == Some(&stored.key.value.id);
        if may != Right::Full && actor.is_bounded() && !is_itself {
            return Err(reaches_further());
        }
        self.refuse_key_above(actor, &stored.key.value).await?;
        let now = self.now();
        let issued = match &how.key {
            Some(chosen) => credential::custom(chosen.expose())?,
            None => credential::issue()?,
        };
        let grace = how.grace.as_deref().map(|text| duration("grace", text)).transpose()?;
        let issuers = match grace {
            None => actor.issuers().to_owned(),
            Some(_) => all_of(&stored.issuers, actor.issuers()),
        };
        // Who may change nothing else of it may say what it is.
        let (mut step, is_same, refusal) = self.patched_key(actor, key, &how.patch).await?;
        if let Some(refusal) = refusal.filter(|_| !is_same) {
            return Err(refusal);
        }
        step.key.hint.clone_from(&issued.hint);
        let after = step.key.clone();
        let put = Change::PutKey {
            key: after.clone(),
            hash: issued.hash,
            old_hash_until: grace.map(|ms| now.plus_ms(ms)),
            issuers: Some(issuers),
            expect: Expect::Version(stored.key.version),
        };
        // In the place of the one that would leave the credential as it is.
        for change in step.changes.iter_mut().filter(|it| matches!(it, Change::PutKey { .. })) {
            *change = put.clone();
        }
        let deed = Deed::new("key.regenerate", format!("key {}", after.id))
            .of(&after.organization, after.group.as_ref(), after.user.as_ref())
            .changed(&stored.key.value, &after);
        step.deed = Deed { also: std::mem::take(&mut step.deed.also), ..deed };
        Ok((step, issued.secret))
    }

    /// Removes a key. What it used stays in the records.
    ///
    /// # Errors
    /// As [`update_key`](Self::update_key).
    pub async fn delete_key(&self, actor: &Actor, key: &KeyRef) -> Result<ApiKey> {
        let step = self.removed_key(actor, key).await?;
        self.write(actor, step.deed, step.changes, step.seeds, Then::Callers).await?;
        Ok(step.key)
    }

    /// What removes a key.
    async fn removed_key(&self, actor: &Actor, key: &KeyRef) -> Result<KeyStep> {
        let (stored, may) = self.key_to_change(actor, key).await?;
        if may == Right::None {
            return Err(forbidden("delete this key"));
        }
        let guard = actor.guard((&stored.key.value.id).into(), &stored.key);
        let key = stored.key.value;
        let deed = Deed::new("key.delete", format!("key {}", key.id))
            .of(&key.organization, key.group.as_ref(), key.user.as_ref())
            .whole(&key);
        let changes = guard.into_iter().chain([Change::DeleteKey(key.id.clone())]).collect();
        Ok(KeyStep { key, deed, changes, seeds: Seeds::new() })
    }

    /// Takes a key out of use, or back into it.
    ///
    /// # Errors
    /// As [`update_key`](Self::update_key).
    pub async fn block_key(&self, actor: &Actor, key: &KeyRef, blocked: bool) -> Result<KeyView> {
        self.update_key(actor, key, KeyPatch { blocked: Some(blocked), ..KeyPatch::default() }).await
    }

    /// Forbids an actor what gives them the credential of a key whose user may do more than they.
    async fn refuse_key_above(&self, actor: &Actor, key: &ApiKey) -> Result<()> {
        let Some(id) = &key.user else { return Ok(()) };
        match self.user_by_id(id).await? {
            Some(user) => self.refuse_above(actor, &user).await,
            None => Ok(()),
        }
    }

    /// One key and its hash, without what was used by it.
    ///
    /// # Errors
    /// `NotFound` for one that the actor can't see, `Store`.
    pub async fn find_key(&self, actor: &Actor, key: &KeyRef) -> Result<(Stored<ApiKey>, Option<KeyHash>)> {
        let reach = actor.reach();
        let declared = self.declared();
        if let Some((hash, it)) = declared.key(key).filter(|(_, it)| reach.has_key(it)) {
            return Ok((as_stored(it.clone(), it.created_at), Some(*hash)));
        }
        let stored = self.store().key(key, &reach).await?.ok_or_else(|| unknown_key(key))?;
        Ok((stored.key, Some(stored.hash)))
    }

    pub(super) async fn key_to_change(&self, actor: &Actor, key: &KeyRef) -> Result<(StoredKey, Right)> {
        let (stored, _) = self.find_key(actor, key).await?;
        self.refuse_declared(stored.value.source, || format!("key `{}`", stored.value.id))?;
        let stored = self.store().key(key, &actor.reach()).await?.ok_or_else(|| unknown_key(key))?;
        refuse_retired(key, Some(stored.hash))?;
        let may = right(actor, &stored);
        if may == Right::None || self.is_from_above(actor, &stored.key.value).await? {
            return Err(forbidden("change this key"));
        }
        actor.expects(&stored.key)?;
        Ok((stored, may))
    }

    /// Whether it is a personal key of somebody above the actor: what spends for a group is that group's administrators' affair,
    /// whoever has it.
    async fn is_from_above(&self, actor: &Actor, key: &ApiKey) -> Result<bool> {
        let (None, Some(user)) = (&key.group, &key.user) else { return Ok(false) };
        let owner = self.user_by_id(user).await?;
        Ok(owner.is_some_and(|owner| owner.role > actor.role() && Some(&owner.id) != actor.user()))
    }

    fn key_view(&self, stored: &Stored<ApiKey>, hash: Option<KeyHash>, used: Sums) -> KeyView {
        let key = stored.value.clone();
        let limit_states = self.limit_states(Scope::new(ScopeKind::Key, key.id.as_str()), &key.limits);
        let for_all = self.declared().apply_user_limits_to_group_keys;
        let user_limits_apply = key.user.is_some() && (key.group.is_none() || for_all);
        KeyView {
            key,
            hash,
            etag: etag(stored),
            stored_at: stored.created_at,
            created_by: stored.created_by.clone(),
            updated_at: stored.updated_at,
            updated_by: stored.updated_by.clone(),
            used,
            limit_states,
            user_limits_apply,
        }
    }
}

/// Everybody who is named in either, once.
// BOUND: of those who may regenerate a key; it begins anew with each that leaves the old credential no time.
pub(super) fn all_of(before: &str, more: &str) -> String {
    let mut names: Vec<&str> = Vec::new();
    for name in before.lines().chain(more.lines()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.join("\n")
}

pub(super) fn matches_filter(filter: &KeyFilter, key: &ApiKey, hash: Option<KeyHash>) -> bool {
    let has = |text: &str| {
        let inside = |value: &str| value.to_lowercase().contains(&text.to_lowercase());
        inside(key.id.as_str()) || key.alias.as_deref().is_some_and(inside)
    };
    filter.organization.as_ref().is_none_or(|wanted| key.organization == *wanted)
        && (filter.group.is_none() || filter.group == key.group)
        && (filter.groups.is_empty() || key.group.as_ref().is_some_and(|group| filter.groups.contains(group)))
        && (filter.user.is_none() || filter.user == key.user)
        && (filter.alias.is_none() || filter.alias == key.alias)
        && (filter.hash.is_none() || filter.hash == hash)
        && filter.search.as_deref().is_none_or(has)
}

/// Refuses a change of a key that is named by a hash that it had before: whoever names that one may not know that it has another now.
/// Reading, and setting back what counts, go by either.
///
/// # Errors
/// `Conflict`, naming its present hash.
pub fn refuse_retired(key: &KeyRef, present: Option<KeyHash>) -> Result<()> {
    match (key, present) {
        (KeyRef::Hash(named), Some(present)) if *named != present => {
            let message = format!("the key has another credential by now: name it by its hash, `{present}`");
            Err(Error::new(ErrorKind::Conflict, message).with("param", "key"))
        }
        _ => Ok(()),
    }
}

/// What can't be found is named by what it was asked by; a hash stands for a credential, which isn't repeated.
fn unknown_key(key: &KeyRef) -> Error {
    match key {
        KeyRef::Id(id) => not_found("key", id.as_str()),
        KeyRef::Alias(alias) => not_found("key", alias),
        KeyRef::Hash(_) => Error::new(ErrorKind::NotFound, "the key doesn't exist"),
    }
}

pub(super) fn duration(param: &'static str, text: &str) -> Result<i64> {
    let ms = sluicegate_config::parse_duration_ms(text).map_err(|why| invalid(param, why))?;
    i64::try_from(ms).map_err(|_| invalid(param, format!("`{text}` is too long")))
}

fn expiry(
    at: Patch<Timestamp>,
    ttl: Option<&str>,
    before: Option<Timestamp>,
    now: Timestamp,
) -> Result<Option<Timestamp>> {
    match (at, ttl) {
        (Patch::Keep, None) => Ok(before),
        (Patch::Clear, None) => Ok(None),
        (Patch::Set(at), None) => Ok(Some(at)),
        (Patch::Keep, Some(ttl)) => Ok(Some(now.plus_ms(duration("ttl", ttl)?))),
        (_, Some(_)) => Err(invalid("ttl", "give either `expires_at` or `ttl`, not both")),
    }
}
