//! The tenants and keys that the configuration file declares.

use std::collections::{HashMap, HashSet};

use sluicegate_core::snapshot::Declared;
use sluicegate_core::{
    ApiKey, Group, GroupId, Limit, Membership, Organization, OrganizationId, User, UserId,
};

use crate::credential::KeyHash;
use crate::store::{KeyParts, KeyRef};

/// What a configuration declares, found by id. It wins over what is stored under the same id.
#[derive(Default)]
pub struct DeclaredTenants {
    /// Limits on everybody.
    pub global: Vec<Limit>,
    /// Whether users' own limits also bind the keys that they use in a group.
    pub apply_user_limits_to_group_keys: bool,
    organizations: HashMap<OrganizationId, Organization>,
    groups: HashMap<GroupId, Group>,
    users: HashMap<UserId, User>,
    memberships: HashMap<(GroupId, UserId), Membership>,
    keys: HashMap<KeyHash, ApiKey>,
    /// Those that something declared names, declared or not.
    named: HashSet<OrganizationId>,
}

impl DeclaredTenants {
    /// Indexes what a configuration declares.
    pub(super) fn new(declared: &Declared, keys: impl IntoIterator<Item = (KeyHash, ApiKey)>) -> Self {
        let keys: HashMap<KeyHash, ApiKey> = keys.into_iter().collect();
        let groups = declared.groups.iter().map(|it| &it.organization);
        let users = declared.users.iter().map(|it| &it.organization);
        let all = groups.chain(users).chain(keys.values().map(|it| &it.organization));
        Self {
            named: all.cloned().collect(),
            global: declared.quota.global.clone(),
            apply_user_limits_to_group_keys: declared.quota.apply_user_limits_to_group_keys,
            organizations: declared.organizations.iter().map(|it| (it.id.clone(), it.clone())).collect(),
            groups: declared.groups.iter().map(|it| (it.id.clone(), it.clone())).collect(),
            users: declared.users.iter().map(|it| (it.id.clone(), it.clone())).collect(),
            memberships: declared
                .memberships
                .iter()
                .map(|it| ((it.group.clone(), it.user.clone()), it.clone()))
                .collect(),
            keys,
        }
    }

    /// Whether an organization is there by the file's word: it declares it, or something in it. Who only names it has made it
    /// as much as there was to make before organizations had anything of their own.
    pub fn has_organization(&self, id: &OrganizationId) -> bool {
        self.organizations.contains_key(id) || self.named.contains(id)
    }

    /// A declared organization.
    pub fn organization(&self, id: &OrganizationId) -> Option<&Organization> {
        self.organizations.get(id)
    }

    /// Every declared organization.
    pub fn organizations(&self) -> impl Iterator<Item = &Organization> {
        self.organizations.values()
    }

    /// A declared group, by id, else by alias.
    pub fn group(&self, id_or_alias: &str) -> Option<&Group> {
        self.groups
            .get(id_or_alias)
            .or_else(|| self.groups.values().find(|group| group.alias.as_deref() == Some(id_or_alias)))
    }

    /// Every declared group.
    pub fn groups(&self) -> impl Iterator<Item = &Group> {
        self.groups.values()
    }

    /// A declared user.
    pub fn user(&self, id: &UserId) -> Option<&User> {
        self.users.get(id)
    }

    /// Every declared user.
    pub fn users(&self) -> impl Iterator<Item = &User> {
        self.users.values()
    }

    /// A declared membership.
    pub fn membership(&self, group: &GroupId, user: &UserId) -> Option<&Membership> {
        self.memberships.get(&(group.clone(), user.clone()))
    }

    /// Every declared membership.
    pub fn memberships(&self) -> impl Iterator<Item = &Membership> {
        self.memberships.values()
    }

    /// A declared key and its hash.
    pub fn key(&self, key: &KeyRef) -> Option<(&KeyHash, &ApiKey)> {
        match key {
            KeyRef::Hash(hash) => self.keys.get_key_value(hash),
            KeyRef::Id(id) => self.keys.iter().find(|(_, key)| key.id == *id),
            KeyRef::Alias(alias) => self.keys.iter().find(|(_, key)| key.alias.as_deref() == Some(alias)),
        }
    }

    /// Every declared key and its hash.
    pub fn keys(&self) -> impl Iterator<Item = (&KeyHash, &ApiKey)> {
        self.keys.iter()
    }

    /// The parts of a declared key, as far as they are declared.
    pub(super) fn parts(&self, hash: &KeyHash) -> Option<KeyParts> {
        let key = self.keys.get(hash)?.clone();
        let mut parts =
            KeyParts { key, group: None, user: None, membership: None, organization: None, retires_at: None };
        self.complete(&mut parts);
        Some(parts)
    }

    /// Puts what is declared in the place of what is stored.
    pub(super) fn complete(&self, parts: &mut KeyParts) {
        let key = &parts.key;
        if let Some(group) = key.group.as_ref().and_then(|id| self.groups.get(id)) {
            parts.group = Some(group.clone());
        }
        if let Some(user) = key.user.as_ref().and_then(|id| self.user(id)) {
            parts.user = Some(user.clone());
        }
        if let Some(membership) =
            key.group.as_ref().zip(key.user.as_ref()).and_then(|(g, u)| self.membership(g, u))
        {
            parts.membership = Some(membership.clone());
        }
        if let Some(organization) = self.organization(&key.organization) {
            parts.organization = Some(organization.clone());
        }
    }
}
