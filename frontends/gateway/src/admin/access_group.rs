//! Whom an access group is given to: groups and keys whose lists of models name it.

use sluicegate_core::tenant::{ACCESS_GROUP, AccessGroups};
use sluicegate_core::{GroupId, KeyId, ModelAccess, ModelName, Result};

use super::group::ModelEdit;
use super::named::{Edit, NamedKind, NamedScope};
use super::{Access, Actor, Admin};
use crate::store::{
    After, Change, Expect, GroupFilter, KeyFilter, KeyRef, Order, OrderBy, Page, Reach, Stored, UserFilter,
};

/// Who an access group is to be given to, instead of whoever has it; `None` leaves them as they are.
#[derive(Clone, Debug, Default)]
pub struct GivenTo {
    /// The groups, by id or alias.
    pub groups: Option<Vec<String>>,
    /// The keys.
    pub keys: Option<Vec<KeyRef>>,
}

/// Who has an access group by its id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holders {
    /// The groups.
    pub groups: Vec<GroupId>,
    /// The keys.
    pub keys: Vec<KeyId>,
}

/// A page of everybody there is. Each goes on behind the last one: what is removed meanwhile moves nobody out of sight.
const BY_ID: Page = Page {
    limit: Page::MAX,
    offset: 0,
    order: Some(Order { by: OrderBy::Id, down: false }),
    uncounted: true,
};

fn behind(id: &str) -> Option<After> {
    Some(After { id: id.to_owned(), ..After::default() })
}

fn pattern(id: &str) -> ModelName {
    ModelName::from(format!("{ACCESS_GROUP}{id}"))
}

fn names(access: &ModelAccess, pattern: &ModelName) -> bool {
    access.patterns().contains(pattern)
}

impl Admin {
    /// Makes an access group and gives it to groups and keys, in one step.
    ///
    /// # Errors
    /// As [`create_named`](Self::create_named); `NotFound` for a group or key, `Conflict` for one of a file.
    pub async fn create_access_group(
        &self,
        actor: &Actor,
        id: &str,
        new: NamedScope,
        to: &GivenTo,
    ) -> Result<Stored<NamedScope>> {
        let more = self.given(actor, id, to).await?;
        self.create_named_and(actor, NamedKind::AccessGroup, id, new, more).await
    }

    /// Changes an access group and gives it to these groups and keys, taking it from others, in one step.
    ///
    /// # Errors
    /// As [`update_named`](Self::update_named); `NotFound` for a group or key, `Conflict` for one of a file.
    pub async fn update_access_group(
        &self,
        actor: &Actor,
        id: &str,
        edit: Edit<'_>,
        to: &GivenTo,
    ) -> Result<Stored<NamedScope>> {
        self.update_named_and(actor, NamedKind::AccessGroup, id, edit, to).await
    }

    /// Whether the actor may give access groups, to groups and to keys: for who looks these up.
    ///
    /// # Errors
    /// `Forbidden`.
    pub fn may_give_access_group(&self, actor: &Actor, to_groups: bool, to_keys: bool) -> Result<()> {
        self.may_change_named(actor, NamedKind::AccessGroup)?;
        for (area, is_given) in [("groups", to_groups), ("keys", to_keys)] {
            if is_given {
                actor.may(area, Access::Write)?;
            }
        }
        Ok(())
    }

    /// The groups and keys that have an access group by its id.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`, `Store`.
    pub async fn holders_of_access_group(&self, actor: &Actor, id: &str) -> Result<Holders> {
        self.named(actor, NamedKind::AccessGroup, id).await?;
        let (pattern, declared) = (pattern(id), self.declared());
        let mut holders = Holders::default();
        let of_file = declared.groups().filter(|it| names(&it.access, &pattern)).map(|it| it.id.clone());
        holders.groups.extend(of_file);
        holders.keys.extend(
            declared.keys().filter(|(_, it)| names(&it.access, &pattern)).map(|(_, it)| it.id.clone()),
        );
        self.each_group_and_key(|change| match change {
            Change::PutGroup(it, _) if names(&it.access, &pattern) => holders.groups.push(it.id),
            Change::PutKey { key, .. } if names(&key.access, &pattern) => holders.keys.push(key.id),
            _ => {}
        })
        .await?;
        Ok(holders)
    }

    /// The changes by which an access group is given to whom it is to be given to, and taken from others. Who may call
    /// everything may already.
    pub(super) async fn given(&self, actor: &Actor, id: &str, to: &GivenTo) -> Result<Vec<Change>> {
        if to.groups.is_none() && to.keys.is_none() {
            return Ok(Vec::new());
        }
        // Taking it from somebody is a change of theirs, and asked for where that is made.
        let of_groups = to.groups.as_ref().is_some_and(|list| !list.is_empty());
        let of_keys = to.keys.as_ref().is_some_and(|list| !list.is_empty());
        self.may_give_access_group(actor, of_groups, of_keys)?;
        let (mut groups, mut keys) = (Vec::new(), Vec::new());
        for name in to.groups.iter().flatten() {
            let group = self.group_to_change(actor, name).await?.value.id;
            groups.push(group);
        }
        for key in to.keys.iter().flatten() {
            let key = self.key_to_change(actor, key).await?.0.key.value.id;
            keys.push(key);
        }
        let (pattern, mut changes) = (pattern(id), Vec::new());
        let edit = |access: &mut ModelAccess, gets: bool| {
            let (before, named) = (access.clone(), vec![pattern.clone()]);
            if gets { ModelEdit::Add(named) } else { ModelEdit::Remove(named) }
                .apply(access, &AccessGroups::default());
            *access != before
        };
        self.each_group_and_key(|change| match change {
            Change::PutGroup(mut it, expect) => {
                let gets = groups.contains(&it.id);
                let is_other = to.groups.is_some() && edit(&mut it.access, gets);
                if is_other {
                    changes.push(Change::PutGroup(it, expect));
                }
            }
            Change::PutKey { mut key, hash, old_hash_until, issuers, expect } => {
                let gets = keys.contains(&key.id);
                let is_other = to.keys.is_some() && edit(&mut key.access, gets);
                if is_other {
                    changes.push(Change::PutKey { key, hash, old_hash_until, issuers, expect });
                }
            }
            _ => {}
        })
        .await?;
        Ok(changes)
    }

    /// The changes by which no list of models names an access group any more. A list that has nothing else allows nothing then. Its
    /// name alone goes, too, unless a model is called so.
    pub(super) async fn without_access_group(&self, id: &str) -> Result<Vec<Change>> {
        let is_bare = self.0.engine.snapshot().model_group(id).is_none();
        let forget = |access: &mut ModelAccess| ModelEdit::forget_group(access, id, is_bare);
        let mut changes = Vec::new();
        self.each_group_and_key(|mut change| {
            let is_other = match &mut change {
                Change::PutGroup(it, _) => forget(&mut it.access),
                Change::PutKey { key, .. } => forget(&mut key.access),
                _ => false,
            };
            if is_other {
                changes.push(change);
            }
        })
        .await?;
        for mut it in self.store().organizations(&Reach::ALL).await? {
            if forget(&mut it.value.access) {
                changes.push(Change::PutOrganization(it.value, Expect::Version(it.version)));
            }
        }
        // BOUND: the users that there are, a page each time.
        let mut which = UserFilter::default();
        loop {
            let users = self.store().users(&which, &Reach::ALL, BY_ID).await?.items;
            let Some(last) = users.last() else { return Ok(changes) };
            which.after = behind(last.value.id.as_str());
            for mut it in users {
                if forget(&mut it.value.access) {
                    changes.push(Change::PutUser(it.value, Expect::Version(it.version)));
                }
            }
        }
    }

    /// Every stored group and key, each as the change that would leave it as it is.
    pub(super) async fn each_group_and_key(&self, mut f: impl FnMut(Change)) -> Result<()> {
        // BOUND: the groups that there are, a page each time; then the keys.
        let mut which = GroupFilter::default();
        loop {
            let groups = self.store().groups(&which, &Reach::ALL, BY_ID).await?.items;
            let Some(last) = groups.last() else { break };
            which.after = behind(last.value.id.as_str());
            for it in groups {
                f(Change::PutGroup(it.value, Expect::Version(it.version)));
            }
        }
        let mut which = KeyFilter::default();
        loop {
            let keys = self.store().keys(&which, &Reach::ALL, BY_ID).await?.items;
            let Some(last) = keys.last() else { return Ok(()) };
            which.after = behind(last.key.value.id.as_str());
            for it in keys {
                f(Change::PutKey {
                    key: it.key.value,
                    hash: it.hash,
                    old_hash_until: None,
                    issuers: None,
                    expect: Expect::Version(it.key.version),
                });
            }
        }
    }
}

/// What a change is to, for the audit trail.
pub(super) fn target(change: &Change) -> Option<String> {
    match change {
        Change::PutGroup(it, _) => Some(format!("group {}", it.id)),
        Change::PutKey { key, .. } => Some(format!("key {}", key.id)),
        Change::PutUser(it, _) => Some(format!("user {}", it.id)),
        Change::PutOrganization(it, _) => Some(format!("organization {}", it.id)),
        _ => None,
    }
}
