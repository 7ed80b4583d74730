//! What things are called, for reports that tell of many.

use sluicegate_core::{GroupId, KeyId, OrganizationId};

use crate::credential::KeyHash;

/// What a key is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyName {
    /// Its id.
    pub id: KeyId,
    /// What it is found by.
    pub hash: KeyHash,
    /// Its name for people.
    pub alias: Option<String>,
    /// Its group.
    pub group: Option<GroupId>,
}

/// What a group is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupName {
    /// Its id.
    pub id: GroupId,
    /// Its name for people.
    pub alias: Option<String>,
    /// Whose it is.
    pub organization: OrganizationId,
}
