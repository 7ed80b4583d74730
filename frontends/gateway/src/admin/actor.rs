//! Who administers.

use std::net::IpAddr;

use sluicegate_core::{Caller, Error, ErrorKind, GroupId, KeyId, OrganizationId, Result, Role, User, UserId};

use super::key::{all_of, is_bounded};
use super::scope::{Access, Scopes};
use super::seen::Seen;
use super::{Admin, forbidden};
use crate::store::{KeyRef, Narrow, Reach};

/// Who administers, and what they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    name: String,
    role: Role,
    organization: Option<OrganizationId>,
    user: Option<UserId>,
    key: Option<KeyId>,
    member_of: Vec<GroupId>,
    admin_of: Vec<GroupId>,
    address: Option<IpAddr>,
    credential: Option<String>,
    session: Option<String>,
    scopes: Option<Scopes>,
    issuers: Option<String>,
    /// Whether the key that they act by has bounds of its own.
    bounded: bool,
    pub(super) seen: Option<Seen>,
}

impl Actor {
    /// Whoever holds the master key, or runs the command line on the machine itself: may do everything.
    pub fn operator() -> Self {
        Self {
            name: "master key".to_owned(),
            role: Role::SuperAdmin,
            organization: None,
            user: None,
            key: None,
            member_of: Vec::new(),
            admin_of: Vec::new(),
            address: None,
            credential: None,
            session: None,
            scopes: None,
            issuers: None,
            bounded: false,
            seen: None,
        }
    }

    /// Somebody of whom nothing is known yet: may do nothing.
    pub(crate) fn unknown() -> Self {
        Self { name: "unknown".to_owned(), role: Role::User, ..Self::operator() }
    }

    /// What a user is called who administers.
    pub(crate) fn user_name(id: &UserId) -> String {
        format!("user {id}")
    }

    /// The same, connecting from there.
    #[must_use]
    pub(crate) fn from(self, address: Option<IpAddr>) -> Self {
        Self { address, ..self }
    }

    /// The same, by this credential.
    #[must_use]
    pub(crate) fn by(self, credential: String) -> Self {
        Self { credential: Some(credential), ..self }
    }

    /// The same, by this session.
    #[must_use]
    pub(crate) fn in_session(self, id: &str) -> Self {
        Self { session: Some(id.to_owned()), ..self }
    }

    /// The same, as far as these scopes go.
    #[must_use]
    pub(crate) fn within(self, scopes: Scopes) -> Self {
        Self { scopes: Some(scopes), ..self }
    }

    /// The same, changing things only as they have seen them.
    #[must_use]
    pub fn having_seen(self, seen: Option<Seen>) -> Self {
        Self { seen, ..self }
    }

    /// The gateway itself: what it does without being asked.
    pub(crate) fn gateway() -> Self {
        Self { name: "gateway".to_owned(), ..Self::operator() }
    }

    /// An issuer whose word counts, for what it lets people be.
    pub(crate) fn issuer(id: &str) -> Self {
        Self { name: format!("issuer {id}"), ..Self::operator() }
    }

    /// Whoever makes a user of themselves.
    pub(crate) fn registration() -> Self {
        Self { name: "registration".to_owned(), ..Self::operator() }
    }

    /// What the audit trail calls them.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Their role.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Their organization; `None` for all.
    pub fn organization(&self) -> Option<&OrganizationId> {
        self.organization.as_ref()
    }

    /// The user that they are, if they are one.
    pub fn user(&self) -> Option<&UserId> {
        self.user.as_ref()
    }

    /// The key that they act by, if it is one.
    pub fn key(&self) -> Option<&KeyId> {
        self.key.as_ref()
    }

    /// The groups that they are in.
    pub fn member_of(&self) -> &[GroupId] {
        &self.member_of
    }

    /// The groups that they administer.
    pub fn admin_of(&self) -> &[GroupId] {
        &self.admin_of
    }

    /// The address that they connect from, where that is known.
    pub fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// The credential that they act by, as the audit trail calls it.
    pub fn credential(&self) -> Option<&str> {
        self.credential.as_deref()
    }

    /// The session that they act by, if it is one.
    pub fn session(&self) -> Option<&String> {
        self.session.as_ref()
    }

    /// Whether they act by an access token, which goes no further than its scopes.
    pub(crate) fn is_confined(&self) -> bool {
        self.scopes.is_some()
    }

    /// Whether what they act by may be used for this, whatever their role. Only access tokens are confined.
    ///
    /// # Errors
    /// `Forbidden` naming the scope that is missing.
    pub fn may(&self, area: &str, access: Access) -> Result<()> {
        match &self.scopes {
            None => Ok(()),
            Some(scopes) if scopes.allow(area, access) => Ok(()),
            Some(_) if super::AREAS.contains(&area) => {
                let word = if access == Access::Read { "read" } else { "write" };
                let message = format!("the token lacks the scope `{area}:{word}`; make one that has it");
                Err(Error::new(ErrorKind::Forbidden, message))
            }
            Some(_) => Err(forbidden("do this by a token: sign in with a password for it")),
        }
    }

    /// Who has a credential that they issue, one a line: they, and whoever issued the key that they act by, who may have that still.
    pub(super) fn issuers(&self) -> &str {
        self.issuers.as_deref().unwrap_or(&self.name)
    }

    /// Whether the key that they act by may call less than its user: what it makes or loosens would reach further than itself.
    pub(super) fn is_bounded(&self) -> bool {
        self.bounded
    }

    /// Whether they may do all that a user may, or are that user: to act as them gives nothing more then.
    fn stands_for(&self, owner: &Self) -> bool {
        let itself = self.user.is_some() && self.user == owner.user;
        let runs = owner.organization.as_ref().is_some_and(|organization| self.runs(organization));
        self.is_super() || itself || (owner.role <= self.role && runs)
    }

    /// Whether they may have a key in hand that spends in a user's name: of somebody who administers no further than they. It acts
    /// as that user for whom they [stand](Self::stands_for) alone.
    pub(super) fn covers(&self, owner: &Self) -> bool {
        // An auditor reads more than a group's administrator.
        let within =
            owner.role != Role::Auditor && owner.admin_of.iter().all(|it| self.admin_of.contains(it));
        self.stands_for(owner) || (owner.role <= self.role && within)
    }

    /// Whether they may do everything.
    pub fn is_super(&self) -> bool {
        self.role == Role::SuperAdmin
    }

    /// Whether they may do everything within an organization.
    pub fn runs(&self, organization: &OrganizationId) -> bool {
        self.is_super()
            || (self.role == Role::OrganizationAdmin && self.organization.as_ref() == Some(organization))
    }

    /// Whether they may do within a group what its administrators may.
    pub fn runs_group(&self, organization: &OrganizationId, group: &GroupId) -> bool {
        self.runs(organization) || (self.role != Role::Auditor && self.admin_of.contains(group))
    }

    fn reads_organization(&self) -> bool {
        matches!(self.role, Role::SuperAdmin | Role::OrganizationAdmin | Role::Auditor)
    }

    fn narrow(&self, groups: &[GroupId]) -> Reach {
        let narrow = (!self.reads_organization()).then(|| Narrow {
            groups: groups.to_vec(),
            user: self.user.clone(),
            key: self.key.clone(),
        });
        Reach { organization: if self.is_super() { None } else { self.organization.clone() }, narrow }
    }

    /// What they may read of keys, users, records and events: everything, their organization, the groups that they
    /// administer, or what is their own.
    pub fn reach(&self) -> Reach {
        self.narrow(&self.admin_of)
    }

    /// What they may read of groups: those that they are in, too.
    pub fn reach_of_groups(&self) -> Reach {
        self.narrow(&self.member_of)
    }
}

impl Admin {
    /// Who administers by a credential: the caller that it opens, connecting from `client_ip`. One without a key is the
    /// operator.
    ///
    /// # Errors
    /// `Forbidden` when the key, or somebody whom it belongs to, is blocked, when it has expired, or when it may not be
    /// used from this address. `Store`.
    pub async fn actor(&self, caller: &Caller, client_ip: Option<IpAddr>) -> Result<Actor> {
        let Some(key) = &caller.key else { return Ok(Actor::operator().from(client_ip)) };
        if let Some(scope) = &caller.blocked {
            return Err(Error::new(ErrorKind::Forbidden, format!("the {} is blocked", scope.kind.as_str())));
        }
        if caller.expires_at.is_some_and(|at| at <= self.now()) {
            return Err(Error::new(ErrorKind::Forbidden, "the key has expired; ask for a new one"));
        }
        let allowed = |ip| caller.allowed_ips.iter().any(|net| net.contains(ip));
        if !caller.allowed_ips.is_empty() && !client_ip.is_some_and(allowed) {
            let message = "this key may not be used from your address; ask whoever manages it to allow it";
            return Err(Error::new(ErrorKind::Forbidden, message));
        }
        let (issuers, bounded) = match self.declared().key(&KeyRef::Id(key.clone())) {
            // The file's author is the operator.
            Some((_, declared)) => (None, is_bounded(declared)),
            None => match self.store().key(&KeyRef::Id(key.clone()), &Reach::ALL).await? {
                Some(it) => (Some(it.issuers), is_bounded(&it.key.value)),
                None => (Some(Actor::unknown().name), true),
            },
        };
        let owner = match &caller.user {
            Some(user) => self.actor_of(user).await?,
            None => None,
        };
        let owner = match (owner, &issuers) {
            // In the hands of somebody who may not do what its user may it is nobody's but its own: it sees itself and its group.
            (Some(owner), Some(issuers)) if !self.all_stand_for(issuers, &owner).await? => None,
            (owner, _) => owner,
        };
        let mut actor = owner.unwrap_or_else(|| Actor {
            name: format!("key {key}"),
            role: Role::User,
            organization: Some(caller.organization.clone()),
            user: None,
            key: None,
            member_of: caller.group.iter().cloned().collect(),
            admin_of: Vec::new(),
            ..Actor::operator()
        });
        actor.key = Some(key.clone());
        actor.bounded = bounded;
        // What they issue is in their own hands, too, whoever gave them the key.
        actor.issuers = issuers.map(|names| all_of(&names, &actor.name));
        Ok(actor.from(client_ip).by(format!("key {key}")))
    }

    /// Who administers as a user; `None` when there is no such user.
    ///
    /// # Errors
    /// `Forbidden` when they are blocked. `Store`.
    pub async fn actor_of(&self, id: &UserId) -> Result<Option<Actor>> {
        let declared = self.declared();
        let user = match declared.user(id) {
            Some(user) => Some(user.clone()),
            None => self.store().user(id, &Reach::ALL).await?.map(|stored| stored.value),
        };
        let Some(user) = user else { return Ok(None) };
        if user.blocked {
            return Err(Error::new(ErrorKind::Forbidden, "the user is blocked"));
        }
        self.actor_like(&user).await.map(Some)
    }

    /// Whether each of those who have had a key's credential in hand may do what its user may, now: whoever made a key for
    /// somebody before they were promoted gains nothing by it.
    pub(super) async fn all_stand_for(&self, issuers: &str, owner: &Actor) -> Result<bool> {
        for name in issuers.lines() {
            let stands = match name.strip_prefix("user ") {
                Some(id) if owner.user().is_some_and(|user| user.as_str() == id) => true,
                Some(id) => match self.user_by_id(&id.into()).await?.filter(|user| !user.blocked) {
                    Some(user) => self.actor_like(&user).await?.stands_for(owner),
                    None => false,
                },
                None => match name.strip_prefix("issuer ") {
                    // Whose tokens administer everything, as long as they do.
                    Some(id) => self.auth().jwt.iter().any(|it| it.id == id && it.admin_scope.is_some()),
                    None => [Actor::operator().name(), Actor::gateway().name()].contains(&name),
                },
            };
            if !stands {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Forbids an actor to have a key in hand whose user may do more than they.
    pub(super) async fn refuse_above(&self, actor: &Actor, user: &User) -> Result<()> {
        if actor.covers(&self.actor_like(user).await?) {
            return Ok(());
        }
        let message = format!(
            "user `{}` may do more than you, and so may whoever has a key of theirs; they make it themselves, or somebody \
             does who may do as much",
            user.id
        );
        Err(Error::new(ErrorKind::Forbidden, message))
    }

    /// Who administers as this user.
    async fn actor_like(&self, user: &User) -> Result<Actor> {
        let id = &user.id;
        let memberships = self.memberships(None, Some(id)).await?;
        let member_of: Vec<GroupId> = memberships.iter().map(|it| it.group.clone()).collect();
        // A group administrator by role administers every group they are in; one by membership only that group.
        let admin_of = memberships
            .iter()
            .filter(|it| user.role == Role::GroupAdmin || it.role >= Role::GroupAdmin)
            .map(|it| it.group.clone())
            .collect();
        let organization = (user.role != Role::SuperAdmin).then(|| user.organization.clone());
        let name = Actor::user_name(id);
        Ok(Actor {
            name,
            role: user.role,
            organization,
            user: Some(id.clone()),
            key: None,
            member_of,
            admin_of,
            ..Actor::operator()
        })
    }
}
