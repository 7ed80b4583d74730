//! Many memberships at once: users put into groups, changed there or taken out; all of it, or nothing.

use serde::{Deserialize, Serialize};
use sluicegate_core::{Error, ErrorKind, Result, Role, UserId};

use super::{MemberPatch, NewMember};
use crate::admin::bulk::{BulkView, Step, check_count};
use crate::admin::{Actor, Admin, Limits, Then, came_second, invalid, retried};

/// What is to become of many memberships.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MemberBulk {
    /// What is to be done, one membership each.
    pub items: Vec<MemberDeed>,
}

/// What is to become of one membership: one of `add`, `set` and `remove`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemberDeed {
    /// The group, by id or alias.
    pub group: String,
    /// The user.
    pub user: UserId,
    /// That they are put into it, as what.
    #[serde(default)]
    pub add: Option<Place>,
    /// What shall be different.
    #[serde(default)]
    pub set: Option<MemberPatch>,
    /// Whether they are taken out, with their keys in it.
    #[serde(default)]
    pub remove: bool,
    /// The tag of the state that this was decided on: another state is refused.
    #[serde(default)]
    pub etag: Option<String>,
}

/// A user's place in a group.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Place {
    /// What they may do in it: `user` or `group_admin`.
    pub role: Role,
    /// Their limits within the group.
    pub limits: Limits,
}

impl Admin {
    /// Does something with many memberships in one step: all of it, or nothing.
    ///
    /// # Errors
    /// `InvalidRequest` when nothing is named to be done, or too much; `Store`. What single ones don't allow is in the answer.
    pub async fn change_members(&self, actor: &Actor, bulk: MemberBulk) -> Result<BulkView> {
        check_count(bulk.items.len(), "memberships in `items`")?;
        let done = retried(came_second, || async {
            let mut prepared = Vec::with_capacity(bulk.items.len());
            for deed in &bulk.items {
                let called = format!("{}/{}", deed.group, deed.user);
                prepared.push((Some(called), self.prepared_member(actor, deed).await));
            }
            self.all_or_none(actor, "membership", prepared, Then::Callers).await
        });
        done.await.map(BulkView::of)
    }

    async fn prepared_member(&self, actor: &Actor, deed: &MemberDeed) -> Result<Step> {
        let actor = &actor.deciding_on(deed.etag.as_ref());
        let stored = self.group_to_change(actor, &deed.group).await?;
        let group = &stored.value;
        match (&deed.add, &deed.set, deed.remove) {
            (Some(place), None, false) => {
                let Place { role, limits } = place.clone();
                let member = NewMember { role, limits, ..NewMember::new(deed.user.clone()) };
                if !self.memberships(Some(&group.id), Some(&deed.user)).await?.is_empty() {
                    let message = format!("user `{}` is in group `{}` already", deed.user, group.id);
                    return Err(Error::new(ErrorKind::Conflict, message));
                }
                self.new_member(actor, &stored, &member).await
            }
            (None, Some(patch), false) => {
                self.changed_member(actor, &stored, &deed.user, patch.clone()).await
            }
            (None, None, true) => Ok(self.removed_member(actor, group, &deed.user).await?.0),
            _ => Err(invalid(
                "items",
                "an item is a `group` and a `user` with one of `add`, `set` and `remove`",
            )),
        }
    }
}
