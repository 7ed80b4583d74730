//! Users whom others vouch for: found and made by an issuer's word.

use sluicegate_config::JwtIssuer;
use sluicegate_core::{ErrorKind, Group, GroupId, OrganizationId, Result, User, UserId};

use crate::admin::access::as_stored;
use crate::admin::user::plain;
use crate::admin::{Actor, Admin, DEFAULT_ORGANIZATION, Deed};
use crate::jwt::user_id;
use crate::store::{Change, Expect, Stored};

impl Admin {
    /// The user whom an issuer's token names; whose they are is for the asker to look at.
    pub(crate) async fn user_of_issuer(&self, issuer: &JwtIssuer, name: &str) -> Result<Option<User>> {
        // Whoever has signed in through the same issuer is the same by its token.
        if let (Some(issued_by), Some("sub")) = (issuer.issuer.as_deref(), issuer.claims.user.as_deref())
            && let Some(identity) = self.store().identity(issued_by, name).await?
        {
            return self.user_by_id(&identity.value.user).await;
        }
        match user_id(name) {
            Some(id) => self.user_by_id(&id).await,
            None => Ok(None),
        }
    }

    /// Makes the user whom an issuer's token names. `None` when they can't be one: the name is none, or another organization has a
    /// user of it.
    pub(crate) async fn make_user_of_issuer(
        &self,
        issuer: &JwtIssuer,
        name: &str,
        email: Option<String>,
        organization: &OrganizationId,
    ) -> Result<Option<User>> {
        let known = organization.as_str() == DEFAULT_ORGANIZATION
            || self.any_organization(organization).await?.is_some();
        let Some(id) = user_id(name).filter(|_| known) else { return Ok(None) };
        // An address that is somebody's already says nothing about who this is.
        let email = match email {
            Some(email) if self.user_of_address(&email).await?.is_none() => Some(email),
            _ => None,
        };
        let user = User { email, ..plain(id, organization.clone(), self.now())? };
        let actor = Actor::issuer(&issuer.id);
        let mut tries = vec![user.clone()];
        if user.email.is_some() {
            tries.push(User { email: None, ..user });
        }
        for user in tries {
            let deed = Deed::new("user.create", format!("user {}", user.id))
                .of(organization, None, Some(&user.id))
                .whole(&user);
            let changes = vec![Change::PutUser(user.clone(), Expect::New)];
            match self.commit(&actor, deed, changes).await {
                Ok(_) => return Ok(Some(user)),
                // Two calls came at the same time, or the address has been taken meanwhile.
                Err(error) if error.kind() == ErrorKind::Conflict => {
                    if let Some(made) = self.user_by_id(&user.id).await? {
                        return Ok(Some(made).filter(|it| it.organization == *organization));
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// A group, by its id alone.
    pub(crate) async fn group_by_id(&self, id: &GroupId) -> Result<Option<Stored<Group>>> {
        let declared = self.declared();
        if let Some(group) = declared.group(id.as_str()).filter(|group| group.id == *id) {
            return Ok(Some(as_stored(group.clone(), group.created_at)));
        }
        self.store().group_by_id(id).await
    }

    /// Whether a user is in a group.
    pub(crate) async fn is_member(&self, group: &GroupId, user: &UserId) -> Result<bool> {
        Ok(!self.memberships(Some(group), Some(user)).await?.is_empty())
    }
}
