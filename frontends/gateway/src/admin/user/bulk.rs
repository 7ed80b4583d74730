//! Many users at once: made, changed or removed; all of it, or nothing.

use serde::{Deserialize, Serialize};
use sluicegate_core::{Result, UserId};

use super::{NewUser, UserPatch};
use crate::admin::bulk::{BulkView, Outcome, Step, check_count, ids_done};
use crate::admin::{Actor, Admin, Then, came_second, invalid, retried};

/// What is to become of many users.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UserBulk {
    /// What is to be done, one user each.
    pub items: Vec<UserDeed>,
    /// Users with whom all the same is to be done.
    pub users: Vec<UserId>,
    /// What shall be different about `users`.
    pub set: Option<UserPatch>,
    /// Whether `users` are removed.
    pub delete: bool,
}

/// What is to become of one user: one of `create`, `set` and `delete`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UserDeed {
    /// A user to be made.
    pub create: Option<NewUser>,
    /// The user who is there.
    pub user: Option<UserId>,
    /// What shall be different.
    pub set: Option<UserPatch>,
    /// Whether they are removed.
    pub delete: bool,
    /// The tag of the state that this was decided on: another state is refused.
    pub etag: Option<String>,
}

impl UserBulk {
    /// What is to be done, one by one.
    fn deeds(self) -> Result<Vec<UserDeed>> {
        let with_all = self.set.is_some() || self.delete;
        if with_all == self.users.is_empty() || (self.set.is_some() && self.delete) {
            return Err(invalid(
                "users",
                "say of `users` either what shall be different, as `set`, or `delete`",
            ));
        }
        let mut deeds = self.items;
        deeds.extend(self.users.into_iter().map(|user| UserDeed {
            user: Some(user),
            set: self.set.clone(),
            delete: self.delete,
            ..UserDeed::default()
        }));
        check_count(deeds.len(), "users, in `items` or in `users`")?;
        Ok(deeds)
    }
}

impl UserDeed {
    /// What the user is called by who asks.
    fn name(&self) -> Option<String> {
        let id = self.user.as_ref().or_else(|| self.create.as_ref()?.id.as_ref()).map(ToString::to_string);
        id.or_else(|| self.create.as_ref().and_then(|new| new.email.clone().or_else(|| new.alias.clone())))
    }
}

impl Admin {
    /// Does something with many users in one step: all of it, or nothing.
    ///
    /// # Errors
    /// `InvalidRequest` when nothing is named to be done, or too much; `Store`. What single users don't allow is in the answer.
    pub async fn change_users(&self, actor: &Actor, bulk: UserBulk) -> Result<BulkView> {
        self.users_changed(actor, bulk).await.map(BulkView::of)
    }

    /// The same, where what one user doesn't allow is the error, which names them: the users' ids, in the order of `bulk`.
    ///
    /// # Errors
    /// As of the one that can't be done; `InvalidRequest` when nothing is named to be done, or too much; `Store`.
    pub async fn change_all_users(&self, actor: &Actor, bulk: UserBulk) -> Result<Vec<UserId>> {
        let ids = ids_done("user", self.users_changed(actor, bulk).await?)?;
        Ok(ids.into_iter().map(UserId::from).collect())
    }

    async fn users_changed(&self, actor: &Actor, bulk: UserBulk) -> Result<(bool, Vec<Outcome>)> {
        let deeds = bulk.deeds()?;
        retried(came_second, || async {
            let mut prepared = Vec::with_capacity(deeds.len());
            for deed in &deeds {
                prepared.push((deed.name(), self.prepared_user(actor, deed).await));
            }
            self.all_or_none(actor, "user", prepared, Then::Callers).await
        })
        .await
    }

    async fn prepared_user(&self, actor: &Actor, deed: &UserDeed) -> Result<Step> {
        let actor = &actor.deciding_on(deed.etag.as_ref());
        match (&deed.create, &deed.user, &deed.set, deed.delete) {
            (Some(new), None, None, false) => self.made_user(actor, new.clone()).await.map(|(step, _)| step),
            (None, Some(id), Some(patch), false) => self.changed_user(actor, id, patch.clone()).await,
            (None, Some(id), None, true) => Ok(self.removed_user(actor, id).await?.0),
            _ => Err(invalid(
                "items",
                "an item is either a user to `create`, or a `user` with one of `set` and `delete`",
            )),
        }
    }
}
