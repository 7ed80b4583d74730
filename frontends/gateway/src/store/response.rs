//! Responses that callers want kept.

use std::sync::Arc;

use sluicegate_core::{Caller, ChannelId, GroupId, OrganizationId, Timestamp};

/// A response that is kept, with its request's own input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptResponse {
    /// Whom it belongs to: nobody else finds it.
    pub owner: ResponseOwner,
    /// Its id, as its caller knows it.
    pub id: String,
    /// The response that it goes on from.
    pub previous: Option<String>,
    /// The channel that keeps it as well, under the same id; empty when none does.
    pub channel: ChannelId,
    /// What its conversation is known by.
    pub conversation: u64,
    /// Tokens of thoughts that are in none of its items, and that the channel may count as input when it goes on.
    pub unseen: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it is as good as gone.
    pub expires_at: Timestamp,
    /// Input items, as a JSON list.
    pub input: Arc<str>,
    /// The response, as JSON.
    pub body: Arc<str>,
}

/// A response that somebody works on in the background.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseWork {
    /// Whose it is.
    pub owner: ResponseOwner,
    /// Its id.
    pub id: String,
    /// Somebody wants it ended.
    pub cancelled: bool,
}

/// Whom a response belongs to: a user within a group, a group, a user, or a key that belongs to nobody.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ResponseOwner(pub(super) Arc<str>);

impl ResponseOwner {
    /// The owner of what this caller makes. Keys of the same user and group share it, so that it survives their rotation.
    pub fn of(caller: &Caller) -> Self {
        let key = caller.key.as_ref().filter(|_| caller.user.is_none() && caller.group.is_none());
        let parts = [
            Some(caller.organization.as_str()),
            caller.group.as_ref().map(|id| id.as_str()),
            caller.user.as_ref().map(|id| id.as_str()),
            key.map(|id| id.as_str()),
        ];
        Self(list(&parts).into())
    }

    /// The owner of what keys of a group make that belong to no user.
    pub fn of_group(organization: &OrganizationId, group: &GroupId) -> Self {
        Self(list(&[Some(organization.as_str()), Some(group.as_str()), None, None]).into())
    }

    /// The user that it is, in whatever group. One whose id no database can hold is nobody.
    pub(super) fn user(&self) -> Option<String> {
        let [_, _, user, _]: [Option<String>; 4] = serde_json::from_str(&self.0).ok()?;
        user.filter(|id| !id.contains('\0'))
    }

    /// What tells its organization from any other.
    pub(crate) fn organization(&self) -> &str {
        // The first of the list, as it is written there.
        let list = self.0.strip_prefix('[').unwrap_or(&self.0);
        let mut parts = serde_json::Deserializer::from_str(list).into_iter::<serde::de::IgnoredAny>();
        let first = parts.next().map_or(0, |_| parts.byte_offset());
        list.get(..first).unwrap_or(list)
    }
}

/// A list of JSON: no id can be taken for two.
fn list(parts: &[Option<&str>]) -> String {
    serde_json::Value::from(parts.iter().map(|part| serde_json::Value::from(*part)).collect::<Vec<_>>())
        .to_string()
}
