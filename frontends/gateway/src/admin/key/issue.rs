//! Issuing keys: whose a new one is, and what makes it.

use sluicegate_core::tenant::Source;
use sluicegate_core::{
    ApiKey, Error, ErrorKind, Group, KeyId, ModelAccess, OrganizationId, Result, Role, Secret, User, UserId,
};

use super::{IssuedKey, KeyStep, NewKey, expiry};
use crate::admin::access::as_stored;
use crate::admin::patch::check_metadata;
use crate::admin::seed::Seeds;
use crate::admin::{
    Actor, Admin, Deed, NewUser, Then, UserView, bound, came_second, forbidden, invalid, not_found, retried,
    user,
};
use crate::credential::{self, KeyHash};
use crate::store::{Change, Expect, KeyRef, Reach, Stored, Sums, Thing};

/// Whose a new key is.
struct KeyOwner {
    organization: OrganizationId,
    group: Option<Group>,
    user: Option<User>,
    new_user: bool,
    /// Whether whoever issues it administers where it belongs.
    is_run: bool,
}

impl Admin {
    /// Issues a key.
    ///
    /// # Errors
    /// `Forbidden` when the actor may not, `NotFound` for a group, user or organization that they can't see,
    /// `InvalidRequest`, `Conflict` when the alias or the chosen credential is taken, `Store`.
    pub async fn create_key(&self, actor: &Actor, new: NewKey) -> Result<IssuedKey> {
        // Of two that take the same budget at once.
        retried(came_second, || self.try_create_key(actor, new.clone())).await
    }

    async fn try_create_key(&self, actor: &Actor, new: NewKey) -> Result<IssuedKey> {
        let (step, secret) = self.new_key(actor, new).await?;
        let event = self.write(actor, step.deed, step.changes, step.seeds, Then::Callers).await?;
        let stored = Stored { created_by: actor.name().to_owned(), ..as_stored(step.key, event.event.at) };
        let stored = Stored { updated_by: actor.name().to_owned(), version: 1, ..stored };
        let hash = KeyHash::of(secret.expose());
        let view = self.key_view(&stored, Some(hash), Sums::default());
        Ok(IssuedKey { secret, view })
    }

    /// What makes a new key, and its credential.
    pub(super) async fn new_key(&self, actor: &Actor, new: NewKey) -> Result<(KeyStep, Secret)> {
        let owner = self.owner_of_new_key(actor, &new).await?;
        self.key_of(actor, new, owner).await
    }

    /// Makes a user, and a key of theirs: both, or neither.
    ///
    /// # Errors
    /// As [`create_user`](Self::create_user) and [`create_key`](Self::create_key).
    pub async fn create_user_with_key(
        &self,
        actor: &Actor,
        user: NewUser,
        key: NewKey,
    ) -> Result<(UserView, IssuedKey)> {
        // Of two that take the same budget at once.
        let (id, key, secret) =
            retried(came_second, || self.try_create_user_with_key(actor, &user, &key)).await?;
        let issued = IssuedKey { secret, view: self.key(actor, &KeyRef::Id(key)).await? };
        Ok((self.user(actor, &id).await?, issued))
    }

    async fn try_create_user_with_key(
        &self,
        actor: &Actor,
        user: &NewUser,
        key: &NewKey,
    ) -> Result<(UserId, KeyId, Secret)> {
        let (made, user) = self.made_user(actor, user.clone()).await?;
        let group = match key.group.as_deref().filter(|name| !name.is_empty()) {
            Some(name) => Some(self.resolve_group(actor, name).await?.value),
            None => None,
        };
        if let Some(group) = &group {
            same_organization(&user.organization, &group.organization, "group")?;
        }
        let organization = user.organization.clone();
        let owner = KeyOwner { organization, group, user: Some(user.clone()), new_user: false, is_run: true };
        let (step, secret) = self.key_of(actor, key.clone(), owner).await?;
        let id = step.key.id.clone();
        let deeds = vec![(made.deed, made.changes), (step.deed, step.changes)];
        self.write_all(actor, deeds, made.seeds, Then::Callers).await?;
        Ok((user.id, id, secret))
    }

    async fn key_of(&self, actor: &Actor, new: NewKey, owner: KeyOwner) -> Result<(KeyStep, Secret)> {
        let now = self.now();
        if let Some(user) = &owner.user {
            self.refuse_above(actor, user).await?;
        }
        check_metadata(&new.metadata)?;
        let issued = match &new.key {
            Some(chosen) => credential::custom(chosen.expose())?,
            None => credential::issue()?,
        };
        let id = KeyId::from(credential::new_id(now)?);
        let (mut changes, mut limits) = (Vec::new(), new.limits.0);
        if let Some(budget) = &new.budget {
            let (hold, shared) = self.hold_budget(actor, budget, &id).await?;
            changes.push(hold);
            limits.extend(shared);
        }
        let key = ApiKey {
            id,
            alias: new.alias.filter(|alias| !alias.is_empty()),
            hint: issued.hint.clone(),
            organization: owner.organization.clone(),
            group: owner.group.map(|group| group.id),
            user: owner.user.as_ref().map(|user| user.id.clone()),
            access: ModelAccess::only(new.models),
            aliases: new.aliases,
            limits,
            expires_at: expiry(new.expires_at.into(), new.ttl.as_deref(), None, now)?,
            blocked: new.blocked,
            allowed_ips: new.allowed_ips,
            routes: new.routes,
            tags: new.tags,
            metadata: new.metadata,
            source: Source::Database,
            created_at: now,
        };
        bound::check(None, &key)?;
        match owner.user {
            Some(user) if owner.new_user => changes.push(Change::PutUser(user, Expect::New)),
            Some(user) if !actor.runs(&owner.organization) => {
                changes.push(Change::ExpectFewerKeys(user.id, self.auth().keys_per_user));
            }
            _ => {}
        }
        if let (Some(group), Some(user), false) = (&key.group, &key.user, owner.is_run) {
            // They issue it as a member, and may have been taken out of the group meanwhile.
            let place = Thing::Membership(group.clone(), user.clone());
            let is_declared = self.declared().membership(group, user).is_some();
            changes.extend((!is_declared).then_some(Change::ExpectThere(place)));
        }
        changes.push(Change::PutKey {
            key: key.clone(),
            hash: issued.hash,
            old_hash_until: None,
            issuers: Some(actor.issuers().to_owned()),
            expect: Expect::New,
        });
        let deed = Deed::new("key.create", format!("key {}", key.id))
            .of(&key.organization, key.group.as_ref(), key.user.as_ref())
            .whole(&key);
        Ok((KeyStep { key, deed, changes, seeds: Seeds::new() }, issued.secret))
    }

    /// Whose a new key is, if the actor may issue it to them.
    async fn owner_of_new_key(&self, actor: &Actor, new: &NewKey) -> Result<KeyOwner> {
        let group = match new.group.as_deref().filter(|name| !name.is_empty()) {
            Some(name) => Some(self.resolve_group(actor, name).await?.value),
            None => None,
        };
        let runs_group = group.as_ref().is_some_and(|group| actor.runs_group(&group.organization, &group.id));
        let organization = match (&group, &new.organization) {
            (Some(group), None) => group.organization.clone(),
            (Some(group), Some(named)) => {
                same_organization(named, &group.organization, "group")?;
                group.organization.clone()
            }
            (None, named) => match (named, &new.user) {
                (None, Some(id)) => match self.find_user_within(&actor.reach(), id).await? {
                    Some(user) => user.value.organization,
                    None => self.organization_for(actor, None).await?,
                },
                (named, _) => self.organization_for(actor, named.as_ref()).await?,
            },
        };
        let runs = runs_group || actor.runs(&organization);
        let wanted = match (&new.user, runs) {
            (Some(id), _) => Some(id.clone()),
            (None, true) => None,
            (None, false) => actor.user().cloned(),
        };
        if !runs {
            self.check_own_key(actor, wanted.as_ref(), group.as_ref())?;
        }
        let Some(id) = wanted else {
            return Ok(KeyOwner { organization, group, user: None, new_user: false, is_run: runs });
        };
        // A group's administrator sees its members only.
        if let Some(user) = self.find_user_within(&actor.reach(), &id).await? {
            same_organization(&organization, &user.value.organization, "user")?;
            let user = Some(user.value);
            return Ok(KeyOwner { organization, group, user, new_user: false, is_run: runs });
        }
        if !(new.create_user && actor.runs(&organization))
            || self.find_user_within(&Reach::ALL, &id).await?.is_some()
        {
            return Err(not_found("user", id.as_str()));
        }
        let user = user::plain(id, organization.clone(), self.now())?;
        Ok(KeyOwner { organization, group, user: Some(user), new_user: true, is_run: runs })
    }

    /// What a user may issue who administers nothing: keys for themselves, to spend for a group that they are in.
    fn check_own_key(&self, actor: &Actor, user: Option<&UserId>, group: Option<&Group>) -> Result<()> {
        if actor.role() == Role::Auditor || actor.user().is_none() {
            return Err(forbidden("issue keys"));
        }
        if actor.is_bounded() {
            return Err(reaches_further());
        }
        if user != actor.user() {
            return Err(match user {
                Some(user) => not_found("user", user.as_str()),
                None => forbidden("issue keys that belong to nobody"),
            });
        }
        if group.is_none() && !actor.member_of().is_empty() {
            return Err(invalid("group", "name one of your groups: the key spends for it"));
        }
        Ok(())
    }
}

/// What a key that may call less than its user would make of it.
pub(super) fn reaches_further() -> Error {
    let message = "the key that you ask by has models, limits, routes, addresses, tags, guardrails or an end of its own, and another \
                   one would reach further; sign in for it, or ask an administrator";
    Error::new(ErrorKind::Forbidden, message)
}

pub(super) fn same_organization(
    mine: &OrganizationId,
    theirs: &OrganizationId,
    what: &'static str,
) -> Result<()> {
    match mine == theirs {
        true => Ok(()),
        false => Err(invalid(what, format!("the {what} belongs to another organization than the key"))),
    }
}
