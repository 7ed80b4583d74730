//! Sessions: who is signed in, from where, and for how long.

use std::net::IpAddr;

use serde::Serialize;
use sluicegate_core::{Error, ErrorKind, Result, Secret, Timestamp, User, UserId};

use super::{
    AccountView, FREE_BY_ACCOUNT, FREE_BY_ADDRESS, Origin, about, password, random_text, stage_of,
    wrong_code, wrong_credentials,
};
use crate::admin::{Access, Actor, Admin, came_second, not_found};
use crate::credential::{KeyHash, new_id};
use crate::store::{Account, Change, Session, SessionFacts, Stage, Thing, folded_address};

/// Who has given a password has so long to go on, in milliseconds.
pub(super) const UNFINISHED_MS: i64 = 10 * 60_000;
/// That a session is used is written down so often, in milliseconds.
const SEEN_MS: i64 = 60_000;
/// What a browser calls itself is cut here, in characters.
const AGENT_MAX: usize = 200;

/// A session that has just begun, with what opens it.
#[derive(Clone, Debug)]
pub struct SignedIn {
    /// What the browser's cookie is to hold. Shown this once.
    pub secret: Secret,
    /// The session.
    pub view: SessionView,
}

/// Who a session is of.
#[derive(Clone, Debug)]
pub struct Signed {
    /// Who they are. Of an unfinished session somebody who may do nothing.
    pub actor: Actor,
    /// The session.
    pub session: Session,
}

/// A session, as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SessionView {
    /// Its id.
    pub id: String,
    /// Whose it is.
    pub user: UserId,
    /// What is still missing: nothing when it is `done`.
    pub stage: Stage,
    /// When it began.
    pub created_at: Timestamp,
    /// When it was last used, to the minute.
    pub seen_at: Timestamp,
    /// When it ends, however often it is used.
    pub expires_at: Timestamp,
    /// The address that it began at.
    pub address: Option<String>,
    /// What the browser calls itself.
    pub agent: Option<String>,
    /// Whether it is the one that is asked by.
    pub current: bool,
}

impl SessionView {
    fn of(session: &Session, current: bool) -> Self {
        let Session { id, user, created_at, seen_at, expires_at, facts, .. } = session.clone();
        let SessionFacts { stage, address, agent } = facts;
        Self { id, user, stage, created_at, seen_at, expires_at, address, agent, current }
    }
}

impl Signed {
    /// The session, as its owner sees it.
    pub fn view(&self) -> SessionView {
        SessionView::of(&self.session, true)
    }
}

/// Addresses that one party has many of count as one: IPv6 by its network.
pub(super) fn address_name(address: Option<IpAddr>) -> String {
    match address.map(|ip| ip.to_canonical()) {
        Some(IpAddr::V6(v6)) => format!("address {:x}", u128::from(v6) >> 64),
        Some(v4) => format!("address {v4}"),
        None => "address unknown".to_owned(),
    }
}

/// A session is there (still).
pub(super) fn still(user: &UserId, session: &str) -> Change {
    Change::ExpectThere(Thing::Session(user.clone(), session.to_owned()))
}

/// What a change says that was to hold only while a session is there.
pub(super) fn unless_over(error: Error) -> Error {
    if came_second(&error) {
        return Error::new(ErrorKind::Unauthenticated, "the session is over; sign in again");
    }
    error
}

impl Admin {
    /// A session that isn't used for so long is over, in milliseconds.
    fn idle_ms(&self) -> i64 {
        i64::try_from(self.auth().session.idle_ms).unwrap_or(i64::MAX)
    }

    /// Signs in by password. The session's stage says what is still missing.
    ///
    /// # Errors
    /// `Unauthenticated` when there is no such account or the password is another one, `RateLimited` after too many such tries,
    /// `Forbidden` when the user is blocked or passwords open nothing, `Store`.
    pub async fn sign_in(&self, login: &str, given: &Secret, origin: &Origin) -> Result<SignedIn> {
        if !self.auth().password.sign_in {
            let message = "passwords open nothing here; sign in through a provider of /api/v1/session/oidc";
            return Err(Error::new(ErrorKind::Forbidden, message));
        }
        let now = self.now();
        let by_address = address_name(origin.address);
        // Somebody's id and address are two ways to guess at one account.
        let called = self.user_called(login).await?;
        let by_account = match &called {
            Some(user) => format!("account {}", user.id),
            // Nobody's address waits like somebody's, in whatever case.
            None if login.contains('@') => format!("login {}", folded_address(login)),
            None => format!("login {login}"),
        };
        let tries = [(&*by_account, FREE_BY_ACCOUNT), (&*by_address, FREE_BY_ADDRESS)];
        self.throttle().begin_all(&tries, now)?;
        let found = match called {
            Some(user) => self.store().account(&user.id).await?.map(|account| (user, account)),
            None => None,
        };
        let hash = found.as_ref().map(|(_, account)| &account.value.password);
        let is_right = password::is_right(given, hash).await;
        let is_right = self.throttle().judged(&[&by_address, &by_account], is_right)?;
        let (user, account) = match found {
            Some(found) if is_right => found,
            Some((user, _)) => {
                self.note_refusal(&user, origin, "password");
                return Err(wrong_credentials());
            }
            None => return Err(wrong_credentials()),
        };
        self.throttle().forgive(&by_address);
        self.throttle().clear(&by_account);
        self.refuse_blocked(&user).await?;
        let stage = match account.value.totp {
            Some(_) => Stage::SecondStep,
            None => stage_of(&account.value),
        };
        // The password was right for the account as it was read: one that was reset meanwhile opens nothing.
        let same = Change::ExpectVersion(Thing::Account(user.id.clone()), account.version);
        let signed = self.begin_session(&user, stage, origin, vec![same]).await;
        signed.map_err(|error| if came_second(&error) { wrong_credentials() } else { error })
    }

    /// Finishes signing in by a code of the second step, or a backup code.
    ///
    /// # Errors
    /// `Unauthenticated` when the code isn't right or was used before, `RateLimited` after too many such tries, `Store`.
    pub async fn sign_in_by_code(&self, signed: &Signed, code: &Secret, origin: &Origin) -> Result<SignedIn> {
        let (session, now) = (&signed.session, self.now());
        if session.facts.stage != Stage::SecondStep {
            return Err(Error::new(ErrorKind::Conflict, "this session needs no code; it has none missing"));
        }
        let user = self.user_by_id(&session.user).await?.ok_or_else(wrong_code)?;
        let account = self.account(&user.id).await?.value;
        if let Err(error) = self.take_code(&account, code, now).await {
            if error.kind() == ErrorKind::Unauthenticated {
                self.note_refusal(&user, origin, "code");
            }
            return Err(error);
        }
        // A password that was reset meanwhile has ended it.
        let ended =
            vec![still(&session.user, &session.id), Change::EndSession(user.id.clone(), session.id.clone())];
        let signed = self.begin_session(&user, stage_of(&account), origin, ended).await;
        signed.map_err(unless_over)
    }

    /// Begins a session, with what else changes.
    pub(super) async fn begin_session(
        &self,
        user: &User,
        stage: Stage,
        origin: &Origin,
        mut changes: Vec<Change>,
    ) -> Result<SignedIn> {
        let (secret, session) = self.new_session(&user.id, stage, origin)?;
        changes.push(Change::AddSession(session.clone()));
        let deed = about("session.begin", user).whole(&SessionView::of(&session, false));
        let actor = self.own_actor(user, &session, origin.address).await?;
        self.write_account(&actor, deed, changes).await?;
        Ok(SignedIn { secret, view: SessionView::of(&session, true) })
    }

    pub(super) fn new_session(
        &self,
        user: &UserId,
        stage: Stage,
        origin: &Origin,
    ) -> Result<(Secret, Session)> {
        let (now, text) = (self.now(), random_text()?);
        let whole = i64::try_from(self.auth().session.absolute_ms).unwrap_or(i64::MAX);
        let lasts = if stage == Stage::Done { whole } else { UNFINISHED_MS };
        let agent = origin.agent.as_deref().map(|agent| agent.chars().take(AGENT_MAX).collect());
        let session = Session {
            id: new_id(now)?,
            hash: KeyHash::of(&text),
            user: user.clone(),
            created_at: now,
            seen_at: now,
            expires_at: now.plus_ms(lasts),
            facts: SessionFacts { stage, address: origin.address.map(|ip| ip.to_string()), agent },
        };
        Ok((Secret::new(text), session))
    }

    /// The user themselves, as whoever does something by a session.
    async fn own_actor(&self, user: &User, session: &Session, address: Option<IpAddr>) -> Result<Actor> {
        let actor = self.actor_of(&user.id).await?.ok_or_else(|| not_found("user", user.id.as_str()))?;
        Ok(actor.from(address).by(format!("session {}", session.id)))
    }

    /// Who is signed in by what a cookie holds; `None` when the session is over or never was.
    ///
    /// # Errors
    /// `Forbidden` when the user, or their organization, is blocked; `Store`.
    pub async fn signed(&self, secret: &Secret, address: Option<IpAddr>) -> Result<Option<Signed>> {
        let hash = KeyHash::of(secret.expose());
        let Some(session) = self.store().session(&hash).await? else { return Ok(None) };
        let now = self.now();
        if now >= session.expires_at || now >= session.seen_at.plus_ms(self.idle_ms()) {
            return Ok(None);
        }
        let Some(user) = self.user_by_id(&session.user).await? else { return Ok(None) };
        self.refuse_blocked(&user).await?;
        if session.facts.stage != Stage::Done {
            return Ok(Some(Signed { actor: Actor::unknown().from(address), session }));
        }
        if now.as_ms() - session.seen_at.as_ms() >= SEEN_MS {
            self.store().see_session(&hash, now).await?;
        }
        let actor = self.own_actor(&user, &session, address).await?.in_session(&session.id);
        Ok(Some(Signed { actor, session }))
    }

    /// Sessions of a user that aren't over, newest first.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound` for a user whom the actor can't see, `Store`.
    pub async fn sessions(&self, actor: &Actor, user: &UserId) -> Result<Vec<SessionView>> {
        actor.may("account", Access::Read)?;
        let user = self.user_to_manage(actor, user).await?;
        let now = self.now();
        let mut all = self.store().sessions(&user.id).await?;
        all.retain(|it| now < it.expires_at && now < it.seen_at.plus_ms(self.idle_ms()));
        Ok(all.iter().map(|it| SessionView::of(it, actor.session() == Some(&it.id))).collect())
    }

    /// Ends one session of a user.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound` for a user or session that the actor can't see, `Store`.
    pub async fn end_session(&self, actor: &Actor, user: &UserId, id: &str) -> Result<()> {
        let user = self.user_to_manage(actor, user).await?;
        if !self.store().sessions(&user.id).await?.iter().any(|it| it.id == id) {
            return Err(not_found("session", id));
        }
        let end = Change::EndSession(user.id.clone(), id.to_owned());
        let deed = about("session.end", &user).whole(&serde_json::json!({"session": id}));
        self.write_account(actor, deed, vec![end]).await
    }

    /// Signs out: ends the session that is asked by, whatever its stage.
    ///
    /// # Errors
    /// `Store`.
    pub async fn sign_out(&self, signed: &Signed) -> Result<()> {
        let session = &signed.session;
        let Some(user) = self.user_by_id(&session.user).await? else { return Ok(()) };
        let end = Change::EndSession(user.id.clone(), session.id.clone());
        let deed = about("session.end", &user).whole(&serde_json::json!({"session": session.id}));
        self.write_account(&signed.actor, deed, vec![end]).await
    }

    /// Ends every session of a user.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound` for a user whom the actor can't see, `Store`.
    pub async fn end_sessions(&self, actor: &Actor, user: &UserId) -> Result<()> {
        let user = self.user_to_manage(actor, user).await?;
        let deed = about("session.end_all", &user);
        self.write_account(actor, deed, vec![Change::EndSessions(user.id.clone())]).await
    }

    pub(in crate::admin) async fn user_by_id(&self, id: &UserId) -> Result<Option<User>> {
        let found = self.find_user_within(&crate::store::Reach::ALL, id).await?;
        Ok(found.map(|stored| stored.value))
    }

    pub(super) async fn account_view(&self, account: &Account) -> Result<AccountView> {
        Ok(AccountView {
            user: account.user.clone(),
            second_step: account.totp.is_some(),
            backup_codes: self.store().backup_codes(&account.user).await?,
            must_change: account.must_change,
        })
    }
}
