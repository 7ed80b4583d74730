//! Invitations: a text with which somebody sets their own password, once and within a week. Whoever administers them makes it, and
//! passes it on; nothing is sent to anybody.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sluicegate_core::{Error, ErrorKind, Result, Secret, Timestamp, User, UserId};

use super::account::{about_user, fresh};
use super::session::address_name;
use super::{Origin, SignedIn, about, password, random_text};
use crate::admin::{Access, Actor, Admin, forbidden, not_found};
use crate::credential::KeyHash;
use crate::store::{Account, Change, Expect, Reach, Stage, Stored, Thing};

/// What every invitation begins with.
pub const INVITATION_PREFIX: &str = "sginv_";
/// So long one lasts, in milliseconds: a week.
const LASTS_MS: i64 = 7 * 86_400_000;
/// From one address so many are tried before the next one has to wait.
const FREE: u32 = 10;

/// What is kept of an invitation. A user has one at most.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    /// The hash of its text.
    hash: String,
    /// When its user was made: another one of the same id isn't invited.
    user_since: Timestamp,
    /// Whom its text was shown to, as the audit trail calls them.
    by: String,
    expires_at: Timestamp,
    accepted_at: Option<Timestamp>,
}

/// An invitation, as people see it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct InvitationView {
    /// Who is invited.
    pub user: UserId,
    /// Until when.
    pub expires_at: Timestamp,
    /// When they accepted it; `None` when they haven't.
    pub accepted_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who made it.
    pub created_by: String,
}

/// An invitation that was just made.
#[derive(Clone, Debug)]
pub struct IssuedInvitation {
    /// Its text, shown this once.
    pub secret: Secret,
    /// Where the console takes it: of `auth.public_url`, else a path of the gateway. It stands where browsers send nobody.
    pub url: Secret,
    /// What is known of it.
    pub view: InvitationView,
}

fn setting(user: &UserId) -> String {
    format!("invitation/{user}")
}

/// The user that an invitation is for, and its hash; `None` of what is none.
fn read(text: &str) -> Option<(UserId, String)> {
    use base64::Engine as _;
    let (user, _) = text.trim().strip_prefix(INVITATION_PREFIX)?.split_once('.')?;
    let user = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(user).ok()?;
    Some((UserId::from(String::from_utf8(user).ok()?), KeyHash::of(text.trim()).to_string()))
}

fn written(user: &UserId) -> Result<String> {
    use base64::Engine as _;
    let user = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(user.as_str());
    Ok(format!("{INVITATION_PREFIX}{user}.{}", random_text()?))
}

/// One that never was, is over, was accepted or taken back: nobody learns which.
fn void() -> Error {
    let message = "this invitation doesn't count, or not any more; ask who sent it for another one";
    Error::new(ErrorKind::Forbidden, message).with("param", "invitation")
}

fn view_of(user: &UserId, stored: &Stored<Kept>) -> InvitationView {
    InvitationView {
        user: user.clone(),
        expires_at: stored.value.expires_at,
        accepted_at: stored.value.accepted_at,
        created_at: stored.created_at,
        created_by: stored.created_by.clone(),
    }
}

fn put(user: &UserId, kept: &Kept, expect: Expect) -> Result<Change> {
    let value = serde_json::to_value(kept).map_err(|why| {
        Error::new(ErrorKind::Internal, "an invitation couldn't be written").with_source(why)
    })?;
    Ok(Change::PutSetting(setting(user), value, expect))
}

impl Admin {
    /// Invites a user to set their own password: in place of an earlier invitation, which doesn't count any more. For who
    /// administers them.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound` for a user whom the actor can't see, `Conflict` where nobody signs in by password, `Store`.
    pub async fn invite(&self, actor: &Actor, id: &UserId) -> Result<IssuedInvitation> {
        let user = self.invited(actor, id).await?;
        // As for passwords that are given: whoever finds a browser signed in mustn't be able to shut its user out.
        if actor.user() == Some(id) && actor.session().is_some() {
            let message = "change your own password with the current one: PUT /api/v1/session/password";
            return Err(Error::new(ErrorKind::Forbidden, message));
        }
        if !self.takes_passwords() {
            let message =
                "nobody signs in by password here (`auth.password.sign_in`): there is nothing to invite to";
            return Err(Error::new(ErrorKind::Conflict, message));
        }
        let (text, now) = (written(id)?, self.now());
        let kept = Kept {
            hash: KeyHash::of(&text).to_string(),
            user_since: user.created_at,
            by: actor.issuers().to_owned(),
            expires_at: now.plus_ms(LASTS_MS),
            accepted_at: None,
        };
        // The earlier one goes, so that this one's age is its own.
        let before = self.kept_invitation(id).await?;
        let mut changes = Vec::new();
        if let Some(before) = before {
            changes.push(Change::ExpectVersion(Thing::Setting(setting(id)), before.version));
            changes.push(Change::DeleteSetting(setting(id)));
        }
        changes.push(put(id, &kept, Expect::New)?);
        self.write_account(actor, about("account.invite", &user.value), changes).await?;
        let stored = Stored {
            value: kept,
            version: 1,
            created_at: now,
            created_by: actor.name().to_owned(),
            updated_at: now,
            updated_by: actor.name().to_owned(),
        };
        let public = self.public_url().unwrap_or_default();
        let public = public.trim_end_matches('/');
        let url = Secret::new(format!("{public}/login#invitation={text}"));
        Ok(IssuedInvitation { secret: Secret::new(text), url, view: view_of(id, &stored) })
    }

    /// The invitation of a user.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound` also where there is none, `Store`.
    pub async fn invitation(&self, actor: &Actor, id: &UserId) -> Result<InvitationView> {
        let user = self.invited(actor, id).await?;
        let stored =
            self.kept_of(&user).await?.ok_or_else(|| not_found("invitation of user", id.as_str()))?;
        Ok(view_of(id, &stored))
    }

    /// The invitation of this text. One that was replaced or taken back is gone.
    ///
    /// # Errors
    /// As [`invitation`](Self::invitation).
    pub async fn invitation_of(&self, actor: &Actor, text: &str) -> Result<InvitationView> {
        let gone = || Error::new(ErrorKind::NotFound, "there is no such invitation");
        let (id, hash) = read(text).ok_or_else(gone)?;
        let seen = self.invited(actor, &id).await;
        // Whose it is, is told to nobody who doesn't see them.
        let user = seen.map_err(|error| if error.kind() == ErrorKind::NotFound { gone() } else { error })?;
        let stored = self.kept_of(&user).await?.filter(|it| it.value.hash == hash).ok_or_else(gone)?;
        Ok(view_of(&id, &stored))
    }

    /// Takes the invitation of a user back.
    ///
    /// # Errors
    /// As [`invitation`](Self::invitation).
    pub async fn revoke_invitation(&self, actor: &Actor, id: &UserId) -> Result<()> {
        let user = self.invited(actor, id).await?;
        self.kept_of(&user).await?.ok_or_else(|| not_found("invitation of user", id.as_str()))?;
        let changes = vec![Change::DeleteSetting(setting(id))];
        self.write_account(actor, about("account.revoke_invitation", &user.value), changes).await
    }

    /// Whom an invitation is for, as its text says: whether it counts is told to nobody by this.
    pub fn invited_by(text: &str) -> Option<UserId> {
        read(text).map(|(user, _)| user)
    }

    /// Sets the password of whoever is invited, and signs them in. Their other sessions are over; a second step stays.
    ///
    /// # Errors
    /// `Forbidden` when it doesn't count; `InvalidRequest` for a password that won't do; `RateLimited` after too many from one
    /// address; `Store`.
    pub async fn accept_invitation(&self, text: &Secret, new: &Secret, origin: &Origin) -> Result<SignedIn> {
        let now = self.now();
        let place = format!("invitation {}", address_name(origin.address));
        self.throttle().begin(&place, FREE, now)?;
        let Some((id, hash)) = read(text.expose()) else { return Err(void()) };
        let counts = |it: &Stored<Kept>| {
            it.value.hash == hash && it.value.accepted_at.is_none() && it.value.expires_at > now
        };
        let kept = self.kept_invitation(&id).await?.filter(counts).ok_or_else(void)?;
        let user = self.find_user_within(&Reach::ALL, &id).await?.ok_or_else(void)?;
        if user.created_at != kept.value.user_since || !self.takes_passwords() {
            return Err(void());
        }
        // Who invited a colleague gains nothing when the colleague is promoted.
        let owner = self.actor_of(&id).await?.ok_or_else(void)?;
        if !self.all_stand_for(&kept.value.by, &owner).await? {
            return Err(void());
        }
        self.refuse_blocked(&user.value).await?;
        // Many may be invited who share an address.
        self.throttle().clear(&place);
        password::check(new, self.auth().password.min_length, &about_user(&user.value))?;
        let before = self.store().account(&id).await?;
        let expect = before.as_ref().map_or(Expect::New, |stored| Expect::Version(stored.version));
        let hash = password::hash(new).await?;
        let version = before.as_ref().map_or(1, |stored| stored.version + 1);
        let account = match before {
            Some(stored) => Account { password: hash, must_change: false, ..stored.value },
            None => fresh(&user.value, hash),
        };
        let stage = if account.totp.is_some() { Stage::SecondStep } else { Stage::Done };
        let accepted = Kept { accepted_at: Some(now), ..kept.value };
        let changes = vec![
            put(&id, &accepted, Expect::Version(kept.version))?,
            Change::PutAccount(account, expect),
            Change::EndSessions(id.clone()),
        ];
        // What is made of it now may be reset before the session begins.
        let same = Change::ExpectVersion(Thing::Account(id), version);
        self.accepted(&user.value, changes, same, stage, origin).await
    }

    async fn accepted(
        &self,
        user: &User,
        changes: Vec<Change>,
        same: Change,
        stage: Stage,
        origin: &Origin,
    ) -> Result<SignedIn> {
        let actor = self.actor_of(&user.id).await?.ok_or_else(void)?.from(origin.address);
        let done = self.write_account(&actor, about("account.accept_invitation", user), changes).await;
        // Of two who accept it at once the second one has none.
        done.map_err(|error| if error.kind() == ErrorKind::Conflict { void() } else { error })?;
        self.throttle().clear(&format!("account {}", user.id));
        self.begin_session(user, stage, origin, vec![same]).await
    }

    /// The user, whom the actor must be able to invite.
    async fn invited(&self, actor: &Actor, id: &UserId) -> Result<Stored<User>> {
        actor.may("account", Access::Read)?;
        let user = self.find_user(actor, id).await?;
        if !actor.runs(&user.value.organization) || user.value.role > actor.role() {
            return Err(forbidden("invite this user"));
        }
        Ok(user)
    }

    /// The user's own: not that of somebody else who had their id.
    async fn kept_of(&self, user: &Stored<User>) -> Result<Option<Stored<Kept>>> {
        let kept = self.kept_invitation(&user.value.id).await?;
        Ok(kept.filter(|it| it.value.user_since == user.created_at))
    }

    async fn kept_invitation(&self, user: &UserId) -> Result<Option<Stored<Kept>>> {
        let Some(stored) = self.store().setting(&setting(user)).await? else { return Ok(None) };
        let Stored { value, version, created_at, created_by, updated_at, updated_by } = stored;
        let value: Value = value;
        let value = serde_json::from_value(value).map_err(|why| {
            Error::new(ErrorKind::Store, "a stored invitation can't be read").with_source(why)
        })?;
        Ok(Some(Stored { value, version, created_at, created_by, updated_at, updated_by }))
    }
}
