//! End customers and tags with limits, and budgets that several things share, as far as they live in the database. For super
//! administrators: whoever calls may name any customer and tag, in every organization.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use sluicegate_core::snapshot::Declared;
use sluicegate_core::tenant::Source;
use sluicegate_core::{ApiKey, Error, ErrorKind, KeyId, Limit, Metric, ModelName, Result, Timestamp, Window};

use super::access::{as_stored, check_id};
use super::access_group::GivenTo;
use super::bulk::{Step, check_count, ids_done};
use super::scope::area_of_action;
use super::seed::Seeds;
use super::{Access, Actor, Admin, Deed, Then, bound, came_second, forbidden, invalid, not_found, retried};
use crate::store::{Change, Dimension, Expect, KeyRef, Owner, Reach, Stored, StoredKey, Thing};

/// What a name is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NamedKind {
    /// An end customer.
    Customer,
    /// A tag of calls.
    Tag,
    /// Limits that are written once and given to several.
    Budget,
    /// What a channel was made of, where another dialect made it: its `metadata`.
    Model,
    /// Models under one name, which lists of models may name.
    AccessGroup,
}

impl NamedKind {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Tag => "tag",
            Self::Budget => "budget",
            Self::Model => "model",
            Self::AccessGroup => "access_group",
        }
    }

    /// The words for it.
    const fn words(self) -> &'static str {
        match self {
            Self::AccessGroup => "access group",
            other => other.as_str(),
        }
    }

    const fn actions(self) -> [&'static str; 3] {
        match self {
            Self::Customer => ["customer.create", "customer.update", "customer.delete"],
            Self::Tag => ["tag.create", "tag.update", "tag.delete"],
            Self::Budget => ["budget.create", "budget.update", "budget.delete"],
            Self::Model => ["model.create", "model.update", "model.delete"],
            Self::AccessGroup => ["access_group.create", "access_group.update", "access_group.delete"],
        }
    }

    /// The setting that holds it.
    pub(super) fn setting(self, name: &str) -> String {
        format!("{}/{name}", self.as_str())
    }
}

/// An end customer, a tag or a budget.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct NamedScope {
    /// What people call it, or say of it.
    pub alias: Option<String>,
    /// Its limits.
    pub limits: Vec<Limit>,
    /// The budget whose limits it has, where it has none of its own.
    pub budget: Option<String>,
    /// Whether every call that names it is refused.
    pub blocked: bool,
    /// The keys that have a budget's limits.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub holders: Vec<KeyId>,
    /// The models that an access group holds: names, or beginnings of names that end in `*`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<ModelName>,
    /// Free data.
    pub metadata: serde_json::Map<String, serde_json::Value>,
}

/// Changes one as it stands when the change is made.
pub(super) type Edit<'a> = &'a (dyn Fn(&mut NamedScope) -> Result<()> + Send + Sync);

/// Puts what is stored beside what a file declares, which wins by name.
pub(crate) fn add_named(all: &mut Declared, settings: &[(String, Stored<serde_json::Value>)]) {
    let read = |kind: NamedKind| {
        settings.iter().filter_map(move |(name, stored)| {
            let name = name.strip_prefix(kind.as_str())?.strip_prefix('/')?;
            Some((name, serde_json::from_value::<NamedScope>(stored.value.clone()).ok()?))
        })
    };
    for (name, it) in read(NamedKind::AccessGroup) {
        all.access_groups.entry(name.to_owned()).or_insert(it.models);
    }
    let budgets: Vec<_> = read(NamedKind::Budget).collect();
    for (kind, scopes) in [(NamedKind::Customer, &mut all.customers), (NamedKind::Tag, &mut all.tags)] {
        for (name, it) in read(kind) {
            let budget = || it.budget.as_ref().and_then(|id| budgets.iter().find(|(known, _)| known == id));
            let mut limits = match it.limits.is_empty() {
                true => budget().map(|(_, budget)| budget.limits.clone()).unwrap_or_default(),
                false => it.limits.clone(),
            };
            if it.blocked {
                limits.push(Limit::strict(Metric::Requests, Window::Lifetime, 0));
            }
            // Who has none of their own has those of everybody who isn't declared.
            if !limits.is_empty() {
                scopes.declared.entry(name.to_owned()).or_insert(limits);
            }
        }
    }
}

impl Admin {
    /// Makes one and takes it into use.
    ///
    /// # Errors
    /// `Forbidden`, `InvalidRequest`, `NotFound` for its budget, `Conflict` when the name is taken, `Store`.
    pub async fn create_named(
        &self,
        actor: &Actor,
        kind: NamedKind,
        name: &str,
        new: NamedScope,
    ) -> Result<Stored<NamedScope>> {
        // Its budget may be removed at the same time.
        retried(came_second, || self.create_named_and(actor, kind, name, new.clone(), Vec::new())).await
    }

    /// The same with other changes in one step.
    pub(super) async fn create_named_and(
        &self,
        actor: &Actor,
        kind: NamedKind,
        name: &str,
        new: NamedScope,
        more: Vec<Change>,
    ) -> Result<Stored<NamedScope>> {
        let step = self.made_named(actor, kind, name, &new, more).await?;
        self.write(actor, step.deed, step.changes, step.seeds, Then::Channels).await?;
        self.named(actor, kind, name).await
    }

    /// What makes one, and what is changed along with it.
    pub(super) async fn made_named(
        &self,
        actor: &Actor,
        kind: NamedKind,
        name: &str,
        new: &NamedScope,
        more: Vec<Change>,
    ) -> Result<Step> {
        only_super(actor, kind)?;
        check_id("name", name)?;
        self.check_named(actor, None, new).await?;
        self.refuse_declared_name(kind, name)?;
        let [action, ..] = kind.actions();
        let mut deed = Deed::new(action, format!("{} {name}", kind.words())).whole(new);
        tell_holders(&mut deed, &more);
        let mut changes = still_budget(None, new);
        changes.push(put(kind, name, new, Expect::New)?);
        changes.extend(more);
        Ok(Step { id: name.to_owned(), deed, changes, seeds: Seeds::new(), outcome: "created" })
    }

    /// Whether they may change these at all: asked before anything that a request names is looked up.
    ///
    /// # Errors
    /// `Forbidden`.
    pub fn may_change_named(&self, actor: &Actor, kind: NamedKind) -> Result<()> {
        let [action, ..] = kind.actions();
        actor.may(area_of_action(action), Access::Write)?;
        only_super(actor, kind)
    }

    /// One of them.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`, `Store`.
    pub async fn named(&self, actor: &Actor, kind: NamedKind, name: &str) -> Result<Stored<NamedScope>> {
        only_super(actor, kind)?;
        if let Some(it) = self.declared_names(kind).get(name) {
            return Ok(of_file(it));
        }
        let stored = self.store().setting(&kind.setting(name)).await?;
        stored.map(read).transpose()?.ok_or_else(|| not_found(kind.words(), name))
    }

    /// All of them, declared ones first, then by name.
    ///
    /// # Errors
    /// `Forbidden`, `Store`.
    pub async fn all_named(
        &self,
        actor: &Actor,
        kind: NamedKind,
    ) -> Result<Vec<(String, Stored<NamedScope>)>> {
        only_super(actor, kind)?;
        let declared = self.declared_names(kind);
        let mut all: Vec<_> = declared.iter().map(|(name, it)| (name.clone(), of_file(it))).collect();
        for (setting, stored) in self.store().settings().await? {
            let name = setting.strip_prefix(kind.as_str()).and_then(|rest| rest.strip_prefix('/'));
            if let Some(name) = name.filter(|name| !declared.contains_key(*name)) {
                all.push((name.to_owned(), read(stored)?));
            }
        }
        Ok(all)
    }

    /// What was spent by calls that name each of these end customers, or tags, in nano-USD; those without any are left out. Calls
    /// that have ended before are in it.
    ///
    /// # Errors
    /// `Forbidden`, `Store`.
    pub async fn spent_by_named(
        &self,
        actor: &Actor,
        kind: NamedKind,
        names: &[&str],
    ) -> Result<HashMap<String, i64>> {
        only_super(actor, kind)?;
        let of = match kind {
            NamedKind::Customer => Dimension::Customer,
            NamedKind::Tag => Dimension::Tag,
            // No sums are kept of these.
            NamedKind::Budget | NamedKind::Model | NamedKind::AccessGroup => return Ok(HashMap::new()),
        };
        self.0.host.flush_records().await?;
        let totals = self.store().totals(of, names).await?;
        Ok(totals.into_iter().map(|(name, sums)| (name, sums.spend)).collect())
    }

    /// Changes one and takes it into use. A budget's limits reach whatever has them.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`, `InvalidRequest`, `Conflict` when it is declared in a file, `Store`; what `edit` says.
    pub async fn update_named(
        &self,
        actor: &Actor,
        kind: NamedKind,
        name: &str,
        edit: Edit<'_>,
    ) -> Result<Stored<NamedScope>> {
        if kind == NamedKind::Budget {
            // Its keys follow.
            actor.may("keys", Access::Write)?;
        }
        self.update_named_and(actor, kind, name, edit, &GivenTo::default()).await
    }

    /// The same, given to groups and keys in one step.
    pub(super) async fn update_named_and(
        &self,
        actor: &Actor,
        kind: NamedKind,
        name: &str,
        edit: Edit<'_>,
        to: &GivenTo,
    ) -> Result<Stored<NamedScope>> {
        retried(came_second, || async {
            let step = self.changed_named(actor, kind, name, edit, to).await?;
            self.write(actor, step.deed, step.changes, step.seeds, Then::Channels).await
        })
        .await?;
        self.named(actor, kind, name).await
    }

    /// What makes one another.
    async fn changed_named(
        &self,
        actor: &Actor,
        kind: NamedKind,
        name: &str,
        edit: Edit<'_>,
        to: &GivenTo,
    ) -> Result<Step> {
        let stored = self.named(actor, kind, name).await?;
        self.refuse_declared_name(kind, name)?;
        actor.expects(&stored)?;
        let (before, mut after) = (stored.value.clone(), stored.value);
        edit(&mut after)?;
        self.check_named(actor, Some(&before), &after).await?;
        let followers = self.followers(&before, &mut after).await?;
        let given = self.given(actor, name, to).await?;
        let [_, action, _] = kind.actions();
        let mut deed = Deed::new(action, format!("{} {name}", kind.words())).changed(&before, &after);
        let mut changes = still_budget(before.budget.as_ref(), &after);
        changes.push(put(kind, name, &after, Expect::Version(stored.version))?);
        let mut seeds = Seeds::new();
        tell_holders(&mut deed, &given);
        changes.extend(given);
        if let (serde_json::Value::Object(detail), false) = (&mut deed.detail, followers.is_empty()) {
            let keys: Vec<_> = followers.iter().map(|(key, _)| &key.key.value.id).collect();
            detail.insert("keys".to_owned(), serde_json::json!(keys));
        }
        for (stored, after) in followers {
            let owner = Owner::Key(after.id.clone());
            seeds.extend(self.seeds(&owner, &stored.key.value.limits, &after.limits).await?);
            let expect = Expect::Version(stored.key.version);
            changes.push(Change::PutKey {
                key: after,
                hash: stored.hash,
                old_hash_until: None,
                issuers: None,
                expect,
            });
        }
        Ok(Step { id: name.to_owned(), deed, changes, seeds, outcome: "changed" })
    }

    /// Takes several out of use, or back into it: all of them, or none, and then the error names the one that can't be. Whom nobody
    /// has made yet is made, to be refused.
    ///
    /// # Errors
    /// As [`update_named`](Self::update_named); `InvalidRequest` when none is named, one twice, or too many.
    pub async fn block_named(
        &self,
        actor: &Actor,
        kind: NamedKind,
        names: &[String],
        blocked: bool,
    ) -> Result<()> {
        check_count(names.len(), "of them")?;
        let edit = move |it: &mut NamedScope| {
            it.blocked = blocked;
            Ok(())
        };
        let done = retried(came_second, || async {
            let mut prepared = Vec::with_capacity(names.len());
            for name in names {
                let step = match self.changed_named(actor, kind, name, &edit, &GivenTo::default()).await {
                    Err(error) if error.kind() == ErrorKind::NotFound && blocked => {
                        let new = NamedScope { blocked, ..NamedScope::default() };
                        self.made_named(actor, kind, name, &new, Vec::new()).await
                    }
                    step => step,
                };
                prepared.push((Some(name.clone()), step));
            }
            self.all_or_none(actor, kind.words(), prepared, Then::Channels).await
        });
        ids_done(kind.words(), done.await?).map(drop)
    }

    /// The keys that have a budget's limits, each with what it becomes: they follow in the same step, so that none is left behind.
    /// Those that are gone are forgotten.
    // BOUND: the keys that were made with the budget.
    async fn followers(
        &self,
        before: &NamedScope,
        after: &mut NamedScope,
    ) -> Result<Vec<(StoredKey, ApiKey)>> {
        let mut all = Vec::new();
        if before.limits == after.limits {
            return Ok(all);
        }
        let mut holders = Vec::new();
        for id in std::mem::take(&mut after.holders) {
            let Some(stored) = self.store().key(&KeyRef::Id(id.clone()), &Reach::ALL).await? else {
                continue;
            };
            let mut key = stored.key.value.clone();
            key.limits.retain(|limit| !before.limits.contains(limit));
            let new = after.limits.iter().filter(|limit| !key.limits.contains(limit)).cloned();
            let new: Vec<Limit> = new.collect();
            key.limits.extend(new);
            holders.push(id);
            if key != stored.key.value {
                all.push((stored, key));
            }
        }
        after.holders = holders;
        Ok(all)
    }

    /// Removes one. What has a budget's limits keeps them; whatever names an access group does so no more, so that another one of
    /// its name is nobody's yet.
    ///
    /// # Errors
    /// As [`update_named`](Self::update_named).
    pub async fn delete_named(&self, actor: &Actor, kind: NamedKind, name: &str) -> Result<NamedScope> {
        retried(came_second, || async {
            let (step, gone) = self.removed_named(actor, kind, name).await?;
            self.write(actor, step.deed, step.changes, step.seeds, Then::Channels).await?;
            Ok(gone)
        })
        .await
    }

    /// Removes several: all of them, or none, and then the error names the one that can't be.
    ///
    /// # Errors
    /// As [`delete_named`](Self::delete_named); `InvalidRequest` when none is named, one twice, or too many.
    pub async fn delete_all_named(&self, actor: &Actor, kind: NamedKind, names: &[String]) -> Result<()> {
        check_count(names.len(), "of them")?;
        let done = retried(came_second, || async {
            let mut prepared = Vec::with_capacity(names.len());
            for name in names {
                let step = self.removed_named(actor, kind, name).await.map(|(step, _)| step);
                prepared.push((Some(name.clone()), step));
            }
            self.all_or_none(actor, kind.words(), prepared, Then::Channels).await
        });
        ids_done(kind.words(), done.await?).map(drop)
    }

    /// What removes one, and which.
    pub(super) async fn removed_named(
        &self,
        actor: &Actor,
        kind: NamedKind,
        name: &str,
    ) -> Result<(Step, NamedScope)> {
        let stored = self.named(actor, kind, name).await?;
        self.refuse_declared_name(kind, name)?;
        actor.expects(&stored)?;
        let users = self.users_of_budget(actor, kind, name).await?;
        if let Some(user) = users.first() {
            let message = format!("budget `{name}` still limits {user}; give it another one first");
            return Err(Error::new(ErrorKind::Conflict, message));
        }
        let [.., action] = kind.actions();
        let mut deed = Deed::new(action, format!("{} {name}", kind.words())).whole(&stored.value);
        let mut changes = match kind {
            NamedKind::AccessGroup => self.without_access_group(name).await?,
            _ => Vec::new(),
        };
        tell_holders(&mut deed, &changes);
        if kind == NamedKind::Budget {
            // Whoever is given it at the same time would be left without limits.
            changes.push(Change::ExpectUnnamed {
                within: &["customer/", "tag/"],
                at: "/budget",
                name: name.to_owned(),
                besides: Vec::new(),
            });
        }
        changes.splice(0..0, actor.guard(Thing::Setting(kind.setting(name)), &stored));
        changes.push(Change::DeleteSetting(kind.setting(name)));
        let seeds = Seeds::new();
        Ok((Step { id: name.to_owned(), deed, changes, seeds, outcome: "deleted" }, stored.value))
    }

    /// The customers and tags that have a budget's limits.
    async fn users_of_budget(&self, actor: &Actor, kind: NamedKind, name: &str) -> Result<Vec<String>> {
        let mut users = Vec::new();
        if kind != NamedKind::Budget {
            return Ok(users);
        }
        for kind in [NamedKind::Customer, NamedKind::Tag] {
            for (user, it) in self.all_named(actor, kind).await? {
                if it.value.budget.as_deref() == Some(name) {
                    users.push(format!("{} `{user}`", kind.as_str()));
                }
            }
        }
        Ok(users)
    }

    /// The change by which a key is among those that have a budget's limits, and these.
    pub(super) async fn hold_budget(
        &self,
        actor: &Actor,
        budget: &str,
        key: &KeyId,
    ) -> Result<(Change, Vec<Limit>)> {
        let stored = self.named(actor, NamedKind::Budget, budget).await?;
        let mut it = stored.value;
        it.holders.push(key.clone());
        let put = put(NamedKind::Budget, budget, &it, Expect::Version(stored.version))?;
        Ok((put, it.limits))
    }

    async fn check_named(&self, actor: &Actor, before: Option<&NamedScope>, it: &NamedScope) -> Result<()> {
        bound::check(before.map(|it| it.limits.as_slice()), it.limits.as_slice())?;
        if let Some(id) = &it.budget {
            if !it.limits.is_empty() {
                return Err(invalid("budget", "give limits or a budget, not both"));
            }
            self.named(actor, NamedKind::Budget, id).await?;
        }
        Ok(())
    }

    fn declared_names(&self, kind: NamedKind) -> indexmap::IndexMap<String, NamedScope> {
        let file = self.0.host.file();
        let file = &file.declared;
        let limited = |all: &indexmap::IndexMap<String, Vec<Limit>>| {
            let scope = |limits: &Vec<Limit>| NamedScope { limits: limits.clone(), ..NamedScope::default() };
            all.iter().map(|(name, limits)| (name.clone(), scope(limits))).collect()
        };
        match kind {
            NamedKind::Customer => limited(&file.customers.declared),
            NamedKind::Tag => limited(&file.tags.declared),
            NamedKind::AccessGroup => {
                let scope = |models: &Vec<_>| NamedScope { models: models.clone(), ..NamedScope::default() };
                file.access_groups.iter().map(|(name, models)| (name.clone(), scope(models))).collect()
            }
            NamedKind::Budget | NamedKind::Model => indexmap::IndexMap::new(),
        }
    }

    fn refuse_declared_name(&self, kind: NamedKind, name: &str) -> Result<()> {
        match self.declared_names(kind).contains_key(name) {
            true => self.refuse_declared(Source::File, || format!("{} `{name}`", kind.words())),
            false => Ok(()),
        }
    }
}

pub(super) fn put(kind: NamedKind, name: &str, it: &NamedScope, expect: Expect) -> Result<Change> {
    let value = serde_json::to_value(it)
        .map_err(|why| Error::new(ErrorKind::Internal, "a setting couldn't be written").with_source(why))?;
    Ok(Change::PutSetting(kind.setting(name), value, expect))
}

/// The change that fails when a budget that is given anew is gone by then.
fn still_budget(before: Option<&String>, after: &NamedScope) -> Vec<Change> {
    let given = after.budget.iter().filter(|budget| before != Some(*budget));
    given.map(|budget| Change::ExpectThere(Thing::Setting(NamedKind::Budget.setting(budget)))).collect()
}

fn read(stored: Stored<serde_json::Value>) -> Result<Stored<NamedScope>> {
    let Stored { value, version, created_at, created_by, updated_at, updated_by } = stored;
    let value = serde_json::from_value(value)
        .map_err(|why| Error::new(ErrorKind::Store, "a stored setting can't be read").with_source(why))?;
    Ok(Stored { value, version, created_at, created_by, updated_at, updated_by })
}

fn of_file(it: &NamedScope) -> Stored<NamedScope> {
    as_stored(it.clone(), Timestamp::default())
}

/// Whose lists of models change with an access group, for the audit trail.
fn tell_holders(deed: &mut Deed, changes: &[Change]) {
    let touched: Vec<String> = changes.iter().filter_map(super::access_group::target).collect();
    if let (serde_json::Value::Object(detail), false) = (&mut deed.detail, touched.is_empty()) {
        detail.insert("changed".to_owned(), serde_json::json!(touched));
    }
}

pub(super) fn only_super(actor: &Actor, kind: NamedKind) -> Result<()> {
    match (actor.is_super(), kind) {
        (true, _) => Ok(()),
        (false, NamedKind::Customer) => Err(forbidden("see or change end customers")),
        (false, NamedKind::Tag) => Err(forbidden("see or change tags")),
        (false, NamedKind::Budget) => Err(forbidden("see or change budgets")),
        (false, NamedKind::Model) => Err(forbidden("see or change models")),
        (false, NamedKind::AccessGroup) => Err(forbidden("see or change access groups")),
    }
}
