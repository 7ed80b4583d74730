//! Passwords and second steps: made, changed, reset.

use serde::{Deserialize, Serialize};
use sluicegate_core::tenant::Source;
use sluicegate_core::{Error, ErrorKind, Result, Role, Secret, User, UserId};

use super::session::{still, unless_over};
use super::{
    AccountView, Origin, Proof, SecondStepOffer, SignedIn, about, password, second_step, sign_in_first,
    wrong_code,
};
use crate::admin::user::plain;
use crate::admin::{Access, Actor, Admin, DEFAULT_ORGANIZATION, UserView, forbidden, invalid};
use crate::secret::Sealer;
use crate::store::{Account, Change, Expect, Hidden, Stage, Stored};

/// The first super administrator.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetUp {
    /// Their id. Default `admin`.
    #[serde(default)]
    pub id: Option<UserId>,
    /// Their e-mail address.
    #[serde(default)]
    pub email: Option<String>,
    /// Their name for people.
    #[serde(default)]
    pub alias: Option<String>,
    /// Their password.
    pub password: Secret,
}

/// A change of one's own password.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PasswordChange {
    /// The one until now.
    pub current: Secret,
    /// The one from now on.
    pub new: Secret,
}

/// A password that an administrator gives somebody. It must be changed at the next sign-in.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct NewPassword {
    /// The password. Default: one is made.
    pub password: Option<Secret>,
}

/// Words about a user that their password mustn't be made of.
pub(super) fn about_user(user: &User) -> Vec<&str> {
    let email = user.email.as_deref();
    let parts = email.into_iter().flat_map(|email| email.split(['@', '.']));
    [Some(user.id.as_str()), user.alias.as_deref(), email, Some("sluicegate")]
        .into_iter()
        .flatten()
        .chain(parts)
        .collect()
}

impl Admin {
    /// Whether nobody may do everything yet but who holds the administrator's key.
    ///
    /// # Errors
    /// `Store`.
    pub async fn needs_set_up(&self) -> Result<bool> {
        let declared = self.declared();
        Ok(!declared.users().any(|user| user.role == Role::SuperAdmin)
            && !self.store().has_super_admin().await?)
    }

    /// Makes the first super administrator. For who holds the administrator's key.
    ///
    /// # Errors
    /// `Forbidden`; `Conflict` when there is one already; `InvalidRequest` for a password that won't do; `Store`.
    pub async fn set_up(&self, actor: &Actor, new: SetUp) -> Result<UserView> {
        if !actor.is_super() {
            return Err(forbidden("set the gateway up"));
        }
        let id = new.id.unwrap_or_else(|| UserId::from("admin"));
        if self.declared().user(&id).is_some() {
            self.refuse_declared(Source::File, || format!("user `{id}`"))?;
        }
        let user = User {
            email: new.email.filter(|email| !email.is_empty()),
            alias: new.alias.filter(|alias| !alias.is_empty()),
            role: Role::SuperAdmin,
            ..plain(id.clone(), DEFAULT_ORGANIZATION.into(), self.now())?
        };
        password::check(&new.password, self.auth().password.min_length, &about_user(&user))?;
        let account = fresh(&user, password::hash(&new.password).await?);
        if !self.needs_set_up().await? {
            let message = "there is a super administrator already; sign in, or have their password reset";
            return Err(Error::new(ErrorKind::Conflict, message));
        }
        let changes = vec![
            Change::ExpectNoSuperAdmin,
            Change::PutUser(user.clone(), Expect::New),
            Change::PutAccount(account, Expect::Any),
        ];
        self.commit(actor, about("account.set_up", &user).whole(&user), changes).await?;
        self.user(actor, &id).await
    }

    /// Makes the first super administrator that the environment names, unless there is one already.
    ///
    /// # Errors
    /// `Config` when the password won't do, `Store`.
    pub(crate) async fn set_up_from(&self, email: String, password: Secret) -> Result<()> {
        if !self.needs_set_up().await? {
            return Ok(());
        }
        let new = SetUp { id: None, email: Some(email), alias: None, password };
        match self.set_up(&Actor::gateway(), new).await {
            Ok(view) => {
                tracing::info!(user = %view.user.id, "the first super administrator was made from the environment");
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::Conflict => {
                // Another node was faster, or their id or address is somebody's who may less.
                if !self.needs_set_up().await? {
                    return Ok(());
                }
                let message = format!(
                    "the first super administrator can't be made from SLUICEGATE_ADMIN_EMAIL: {}; take another address, or \
                     make them by POST /api/v1/setup with another id",
                    error.message()
                );
                Err(Error::new(ErrorKind::Config, message))
            }
            Err(error) if error.kind() == ErrorKind::InvalidRequest => {
                let message = format!("SLUICEGATE_ADMIN_PASSWORD won't do: {}", error.message());
                Err(Error::new(ErrorKind::Config, message))
            }
            Err(error) => Err(error),
        }
    }

    /// How the actor themselves signs in.
    ///
    /// # Errors
    /// `Forbidden` by a token, `NotFound` when they don't, `Store`.
    pub async fn own_account(&self, actor: &Actor) -> Result<AccountView> {
        actor.may("account", Access::Read)?;
        let id = actor.user().ok_or_else(sign_in_first)?;
        let account = self.account(id).await?;
        self.account_view(&account.value).await
    }

    /// Changes one's own password. Every session is over, and this one goes on under another secret.
    ///
    /// # Errors
    /// `Unauthenticated` when the current one isn't right, `InvalidRequest` when the new one won't do, `RateLimited`, `Store`.
    pub async fn change_password(
        &self,
        signed: &super::Signed,
        change: &PasswordChange,
        origin: &Origin,
    ) -> Result<SignedIn> {
        let session = &signed.session;
        if session.facts.stage == Stage::SecondStep {
            return Err(Error::new(ErrorKind::Forbidden, "give the code of the second step first"));
        }
        let user = self.user_by_id(&session.user).await?.ok_or_else(sign_in_first)?;
        let stored = self.account(&user.id).await?;
        // A second step was taken for this session already.
        let known = Account { totp: None, ..stored.value.clone() };
        let proof = Proof { password: change.current.clone(), code: None };
        self.prove(&known, &proof, self.now()).await?;
        password::check(&change.new, self.auth().password.min_length, &about_user(&user))?;
        if change.new == change.current {
            return Err(invalid("new", "the new password is the old one; take another"));
        }
        let account =
            Account { password: password::hash(&change.new).await?, must_change: false, ..stored.value };
        let changes = vec![
            Change::PutAccount(account, Expect::Version(stored.version)),
            Change::EndSessions(user.id.clone()),
        ];
        self.changed_itself(&user, &session.id, "account.password", changes, origin).await
    }

    /// After a change of how somebody signs in by the session `by`: their sessions are over, and that one goes on under another
    /// secret.
    async fn changed_itself(
        &self,
        user: &User,
        by: &str,
        action: &'static str,
        mut changes: Vec<Change>,
        origin: &Origin,
    ) -> Result<SignedIn> {
        let (secret, session) = self.new_session(&user.id, Stage::Done, origin)?;
        // Somebody who was signed out meanwhile isn't let in again.
        changes.insert(0, still(&user.id, by));
        changes.push(Change::AddSession(session.clone()));
        let actor = self.actor_of(&user.id).await?.ok_or_else(sign_in_first)?;
        let actor = actor.from(origin.address).by(format!("session {}", session.id));
        let written = self.write_account(&actor, about(action, user), changes).await;
        written.map_err(unless_over)?;
        let signed = super::Signed { actor, session };
        Ok(SignedIn { secret, view: signed.view() })
    }

    /// Gives a user a password, which they must change at their next sign-in; their sessions are over, and their
    /// access tokens gone. For who administers them.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound` for a user whom the actor can't see, `InvalidRequest` for a password that won't do, `Store`.
    pub async fn reset_password(&self, actor: &Actor, id: &UserId, new: NewPassword) -> Result<Secret> {
        let user = self.find_user(actor, id).await?.value;
        if !actor.runs(&user.organization) || user.role > actor.role() {
            return Err(forbidden("give this user a password"));
        }
        // Whoever finds a browser signed in mustn't be able to shut its user out.
        if actor.user() == Some(id) && actor.session().is_some() {
            let message = "change your own password with the current one: PUT /api/v1/session/password";
            return Err(Error::new(ErrorKind::Forbidden, message));
        }
        let chosen = match new.password {
            Some(password) => password,
            None => second_step::backup_codes()?.into_iter().next().ok_or_else(sign_in_first)?,
        };
        password::check(&chosen, self.auth().password.min_length, &about_user(&user))?;
        let before = self.store().account(id).await?;
        let expect = before.as_ref().map_or(Expect::New, |stored| Expect::Version(stored.version));
        let hash = password::hash(&chosen).await?;
        let account = match before {
            Some(stored) => Account { password: hash, must_change: true, ..stored.value },
            None => Account { must_change: true, ..fresh(&user, hash) },
        };
        let changes = vec![
            Change::PutAccount(account, expect),
            Change::EndSessions(id.clone()),
            Change::DeleteAccessTokens(id.clone()),
        ];
        self.write_account(actor, about("account.reset_password", &user), changes).await?;
        self.throttle().clear(&format!("account {id}"));
        Ok(chosen)
    }

    /// What gives a user who is made along with it a password, which they must change at their first sign-in.
    ///
    /// # Errors
    /// `Forbidden` by a token, `InvalidRequest` for a password that won't do, and where nobody signs in by one; `RateLimited`.
    pub(in crate::admin) async fn first_password(
        &self,
        actor: &Actor,
        user: &User,
        chosen: &Secret,
    ) -> Result<Change> {
        actor.may("account", Access::Write)?;
        if !self.takes_passwords() {
            let message = "nobody signs in by password here (`auth.password.sign_in`): leave `password` out";
            return Err(invalid("password", message));
        }
        password::check(chosen, self.auth().password.min_length, &about_user(user))?;
        let account = Account { must_change: true, ..fresh(user, password::hash(chosen).await?) };
        Ok(Change::PutAccount(account, Expect::New))
    }

    /// Offers a second step: it counts once a code of it has been given.
    ///
    /// # Errors
    /// `Forbidden` without a session; `Unauthenticated` when the password isn't right; `Conflict` when there is a second step
    /// already; `RateLimited`, `Store`.
    pub async fn offer_second_step(&self, actor: &Actor, proof: &Proof) -> Result<SecondStepOffer> {
        let (_, stored) = self.own(actor).await?;
        if stored.value.totp.is_some() {
            let message = "there is a second step already; remove it before you set up another";
            return Err(Error::new(ErrorKind::Conflict, message));
        }
        self.prove(&stored.value, proof, self.now()).await?;
        let id = stored.value.user.clone();
        let secret = second_step::new_secret()?;
        let pending = Some(self.seal_secret(&id, &secret)?);
        let account = Account { totp_pending: pending, ..stored.value };
        let user = self.user_by_id(&id).await?.ok_or_else(sign_in_first)?;
        let put = Change::PutAccount(account, Expect::Version(stored.version));
        self.write_account(actor, about("account.offer_second_step", &user), vec![put]).await?;
        Ok(SecondStepOffer { url: second_step::address(&secret, &id)?, secret: secret.expose().to_owned() })
    }

    /// Takes an offered second step into use. Returns the backup codes, shown this once, and the session under another secret.
    ///
    /// # Errors
    /// `Forbidden` without a session; `Unauthenticated` when the code isn't right; `Conflict` when none was offered;
    /// `RateLimited`, `Store`.
    pub async fn confirm_second_step(
        &self,
        actor: &Actor,
        code: &Secret,
        origin: &Origin,
    ) -> Result<(Vec<Secret>, SignedIn)> {
        let (user, stored) = self.own(actor).await?;
        let Some(pending) = stored.value.totp_pending.clone() else {
            let message = "no second step was offered; ask for one first";
            return Err(Error::new(ErrorKind::Conflict, message));
        };
        let name = format!("code {}", user.id);
        self.throttle().begin(&name, super::FREE_BY_ACCOUNT, self.now())?;
        let secret = self.open_secret(&user.id, &pending)?;
        let step =
            second_step::step_of(&secret, &user.id, code.expose(), self.now())?.ok_or_else(wrong_code)?;
        if !self.store().take_totp_step(&user.id, step).await? {
            return Err(wrong_code());
        }
        self.throttle().clear(&name);
        let (codes, mut changes) = self.fresh_codes(&user.id)?;
        let account = Account { totp: Some(pending), totp_pending: None, ..stored.value };
        changes.push(Change::PutAccount(account, Expect::Version(stored.version)));
        changes.push(Change::EndSessions(user.id.clone()));
        let by = actor.session().ok_or_else(sign_in_first)?;
        let signed = self.changed_itself(&user, by, "account.second_step", changes, origin).await?;
        Ok((codes, signed))
    }

    /// Replaces the backup codes. Shown this once.
    ///
    /// # Errors
    /// As [`end_second_step`](Self::end_second_step).
    pub async fn renew_backup_codes(&self, actor: &Actor, proof: &Proof) -> Result<Vec<Secret>> {
        let (user, stored) = self.own_with_second_step(actor).await?;
        self.prove(&stored.value, proof, self.now()).await?;
        let (codes, changes) = self.fresh_codes(&user.id)?;
        self.write_account(actor, about("account.backup_codes", &user), changes).await?;
        Ok(codes)
    }

    /// Removes one's own second step. The session goes on under another secret.
    ///
    /// # Errors
    /// `Forbidden` without a session; `Unauthenticated` when password or code isn't right; `Conflict` when there is none;
    /// `RateLimited`, `Store`.
    pub async fn end_second_step(&self, actor: &Actor, proof: &Proof, origin: &Origin) -> Result<SignedIn> {
        let (user, stored) = self.own_with_second_step(actor).await?;
        self.prove(&stored.value, proof, self.now()).await?;
        let changes = without_second_step(stored);
        let by = actor.session().ok_or_else(sign_in_first)?;
        self.changed_itself(&user, by, "account.end_second_step", changes, origin).await
    }

    /// Removes a user's second step: they have lost what makes its codes. Their sessions are over. For who administers them.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound` for a user whom the actor can't see or who has no account, `Store`.
    pub async fn reset_second_step(&self, actor: &Actor, id: &UserId) -> Result<()> {
        let user = self.find_user(actor, id).await?.value;
        if !actor.runs(&user.organization) || user.role > actor.role() || actor.user() == Some(id) {
            return Err(forbidden("remove this user's second step"));
        }
        let changes = without_second_step(self.account(id).await?);
        self.write_account(actor, about("account.reset_second_step", &user), changes).await
    }

    /// The changes by which every second step is sealed under another master secret.
    pub(in crate::admin) async fn resealed_second_steps(&self, new: &Sealer) -> Result<Vec<Change>> {
        let mut changes = Vec::new();
        for stored in self.store().sealed_accounts().await? {
            let (mut account, version) = (stored.value, stored.version);
            for sealed in [&mut account.totp, &mut account.totp_pending].into_iter().flatten() {
                let secret = self.open_secret(&account.user, sealed)?;
                *sealed = new.seal_text(&super::purpose(&account.user), &secret).map(Hidden)?;
            }
            changes.push(Change::PutAccount(account, Expect::Version(version)));
        }
        Ok(changes)
    }

    fn fresh_codes(&self, user: &UserId) -> Result<(Vec<Secret>, Vec<Change>)> {
        let codes = second_step::backup_codes()?;
        let hashes = codes.iter().filter_map(|code| second_step::backup_hash(user, code.expose()));
        let change = Change::SetBackupCodes(user.clone(), hashes.collect());
        Ok((codes, vec![change]))
    }

    /// The actor's own account. For who has signed in.
    async fn own(&self, actor: &Actor) -> Result<(User, Stored<Account>)> {
        let id = actor.user().filter(|_| actor.session().is_some()).ok_or_else(sign_in_first)?;
        let user = self.user_by_id(id).await?.ok_or_else(sign_in_first)?;
        let account = self.account(id).await?;
        Ok((user, account))
    }

    async fn own_with_second_step(&self, actor: &Actor) -> Result<(User, Stored<Account>)> {
        let (user, stored) = self.own(actor).await?;
        if stored.value.totp.is_none() {
            return Err(Error::new(ErrorKind::Conflict, "there is no second step; set one up first"));
        }
        Ok((user, stored))
    }
}

pub(super) fn fresh(user: &User, password: crate::store::Hidden) -> Account {
    Account { user: user.id.clone(), password, must_change: false, totp: None, totp_pending: None }
}

/// Of the account as it was read: a password that was changed meanwhile must stay changed.
fn without_second_step(stored: Stored<Account>) -> Vec<Change> {
    let user = stored.value.user.clone();
    let account = Account { totp: None, totp_pending: None, ..stored.value };
    vec![
        Change::PutAccount(account, Expect::Version(stored.version)),
        Change::SetBackupCodes(user.clone(), Vec::new()),
        Change::EndSessions(user),
    ]
}

#[cfg(test)]
mod tests {
    use sluicegate_core::Timestamp;

    use super::*;

    #[test]
    fn a_second_step_is_removed_from_the_account_that_was_read() {
        let stored = Stored {
            value: fresh(
                &plain("u".into(), "o".into(), Timestamp::default()).unwrap(),
                crate::store::Hidden(String::new()),
            ),
            version: 7,
            created_at: Timestamp::default(),
            created_by: String::new(),
            updated_at: Timestamp::default(),
            updated_by: String::new(),
        };
        let changes = without_second_step(stored);
        assert!(matches!(changes[0], Change::PutAccount(_, Expect::Version(7))), "{changes:?}");
    }
}
