//! Signing in: accounts, sessions, second steps and access tokens.
//!
//! - A session is a random text that the browser holds and the store knows by its hash. It is another one after every step of
//!   signing in and after every change of how somebody signs in; the old one is over then, and so are all others of theirs.
//! - Whoever is blocked, deleted or lowered is so for the next request: roles are read with each.
//! - No access token reaches anything here: a program can't give itself another way in.

mod account;
mod foreign;
mod invitation;
mod password;
mod registration;
mod second_step;
mod session;
mod throttle;
mod through;
mod token;

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use sluicegate_core::{Error, ErrorKind, Result, Secret, Timestamp, User, UserId};

pub use account::{NewPassword, PasswordChange, SetUp};
pub use invitation::{INVITATION_PREFIX, InvitationView, IssuedInvitation};
pub use password::PASSWORD_BYTES_MAX;
pub use registration::NewRegistration;
pub use session::{SessionView, Signed, SignedIn};
pub use through::{Begun, ProviderAnswer, ProviderView};
pub use token::{IssuedToken, NewToken, TOKEN_PREFIX, TokenView};

use super::{Actor, Admin, Deed, Then, forbidden};
use crate::admin::seed::Seeds;
use crate::credential::fill_random;
use crate::secret::Sealer;
use crate::store::{Account, Change, Hidden, Stage, Stored, folded_address};

/// Tries that are free before the next one has to wait: for one account, and from one address.
const FREE_BY_ACCOUNT: u32 = 5;
const FREE_BY_ADDRESS: u32 = 50;

/// Where somebody signs in from.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// Their address.
    pub address: Option<IpAddr>,
    /// What their browser calls itself.
    pub agent: Option<String>,
}

/// What signing in shares on this node.
#[derive(Default)]
pub(super) struct Doors {
    throttle: throttle::Throttle,
}

/// A code of the second step, and the password that goes with it where that is asked for.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    /// The account's password.
    pub password: Secret,
    /// A code of the second step, or a backup code, where there is a second step.
    #[serde(default)]
    pub code: Option<Secret>,
}

/// What an authenticator is set up with. Shown this once.
#[derive(Clone, Debug, Serialize)]
pub struct SecondStepOffer {
    /// The secret, in base 32, for who types it in.
    pub secret: String,
    /// The same as `otpauth://` address, for a QR code.
    pub url: String,
}

/// How somebody signs in, as far as they may see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AccountView {
    /// Whose it is.
    pub user: UserId,
    /// Whether there is a second step.
    pub second_step: bool,
    /// How many backup codes are left.
    pub backup_codes: u64,
    /// Whether the password must be changed first.
    pub must_change: bool,
}

fn wrong_credentials() -> Error {
    Error::new(
        ErrorKind::Unauthenticated,
        "the name or the password isn't right; check both, and the keyboard's layout",
    )
}

fn wrong_code() -> Error {
    Error::new(
        ErrorKind::Unauthenticated,
        "the code isn't right, or was used already; wait for the next one, or take a backup code",
    )
}

fn sign_in_first() -> Error {
    forbidden("do this by a key or token: sign in with a password for it")
}

impl Admin {
    fn throttle(&self) -> &throttle::Throttle {
        &self.0.doors.throttle
    }

    /// Who is called so, by id or e-mail address.
    pub(super) async fn user_called(&self, login: &str) -> Result<Option<User>> {
        // An id that looks like an address is chosen by whoever makes the user, and mustn't stand before whose address it is.
        if login.contains('@')
            && let Some(user) = self.user_of_address(login).await?
        {
            return Ok(Some(user));
        }
        match self.user_by_id(&UserId::from(login)).await? {
            Some(user) => Ok(Some(user)),
            None => self.user_of_address(login).await,
        }
    }

    async fn user_of_address(&self, login: &str) -> Result<Option<User>> {
        let wanted = folded_address(login);
        let by_email =
            |user: &&User| user.email.as_deref().is_some_and(|email| folded_address(email) == wanted);
        if let Some(user) = self.declared().users().find(by_email) {
            return Ok(Some(user.clone()));
        }
        let filter = crate::store::UserFilter { email: Some(login.to_owned()), ..Default::default() };
        let found =
            self.store().users(&filter, &crate::store::Reach::ALL, crate::store::Page::new(1, 0)).await?;
        Ok(found.items.into_iter().next().map(|stored| stored.value))
    }

    async fn account(&self, user: &UserId) -> Result<Stored<Account>> {
        self.store().account(user).await?.ok_or_else(|| {
            let message = format!("user `{user}` has no password yet; an administrator gives them one");
            Error::new(ErrorKind::NotFound, message)
        })
    }

    /// Whether somebody may see to how this user signs in: it is themselves, or they administer them.
    fn may_manage(actor: &Actor, user: &User) -> bool {
        let own = actor.user() == Some(&user.id);
        own || (actor.runs(&user.organization) && user.role <= actor.role())
    }

    async fn user_to_manage(&self, actor: &Actor, id: &UserId) -> Result<User> {
        let user = self.find_user(actor, id).await?.value;
        if Self::may_manage(actor, &user) {
            Ok(user)
        } else {
            Err(forbidden("see to how this user signs in"))
        }
    }

    /// Whether the user, or the organization they are in, is taken out of use. Super administrators are no organization's.
    async fn refuse_blocked(&self, user: &User) -> Result<()> {
        let refuse = |what: &str| Err(Error::new(ErrorKind::Forbidden, format!("the {what} is blocked")));
        if user.blocked {
            return refuse("user");
        }
        if user.role != sluicegate_core::Role::SuperAdmin
            && self.any_organization(&user.organization).await?.is_some_and(|it| it.value.blocked)
        {
            return refuse("organization");
        }
        Ok(())
    }

    /// Checks a password that somebody who is signed in gives again.
    async fn prove(&self, account: &Account, proof: &Proof, now: Timestamp) -> Result<()> {
        let name = format!("account {}", account.user);
        self.throttle().begin(&name, FREE_BY_ACCOUNT, now)?;
        let is_right = password::is_right(&proof.password, Some(&account.password)).await;
        if !self.throttle().judged(&[&name], is_right)? {
            return Err(wrong_credentials());
        }
        self.throttle().clear(&name);
        match (&account.totp, &proof.code) {
            (None, _) => Ok(()),
            (Some(_), None) => Err(super::invalid("code", "there is a second step; give its `code`, too")),
            (Some(_), Some(code)) => self.take_code(account, code, now).await,
        }
    }

    /// Takes a code of the second step, or a backup code: each works once.
    async fn take_code(&self, account: &Account, code: &Secret, now: Timestamp) -> Result<()> {
        let (user, name) = (&account.user, format!("code {}", account.user));
        self.throttle().begin(&name, FREE_BY_ACCOUNT, now)?;
        let step = match &account.totp {
            Some(sealed) => second_step::step_of(&self.open_secret(user, sealed)?, user, code.expose(), now)?,
            None => None,
        };
        let taken = match (step, second_step::backup_hash(user, code.expose())) {
            (Some(step), _) => self.store().take_totp_step(user, step).await?,
            (None, Some(hash)) => self.store().take_backup_code(user, &hash).await?,
            (None, None) => false,
        };
        if !taken {
            return Err(wrong_code());
        }
        self.throttle().clear(&name);
        Ok(())
    }

    fn sealer(&self) -> Result<Sealer> {
        self.0.host.sealer()
    }

    fn seal_secret(&self, user: &UserId, secret: &Secret) -> Result<Hidden> {
        self.sealer()?.seal_text(&purpose(user), secret).map(Hidden)
    }

    fn open_secret(&self, user: &UserId, sealed: &Hidden) -> Result<Secret> {
        let opened = self.sealer()?.open_text(&purpose(user), &sealed.0);
        opened.ok_or_else(|| {
            let message = format!(
                "the second step of user `{user}` can't be checked: the master secret isn't the one it was sealed under; \
                 have an administrator remove the second step"
            );
            Error::new(ErrorKind::Config, message)
        })
    }

    /// Writes down what happened to how somebody signs in.
    async fn write_account(&self, actor: &Actor, deed: Deed, changes: Vec<Change>) -> Result<()> {
        self.write(actor, deed, changes, Seeds::new(), Then::Nothing).await.map(drop)
    }

    /// Writes down that somebody failed to sign in, beside the answer, which must take as long as one about nobody.
    fn note_refusal(&self, user: &User, origin: &Origin, why: &'static str) {
        let (this, user) = (self.clone(), user.clone());
        let actor = Actor::unknown().from(origin.address);
        // BOUND: the throttle lets few tries through.
        tokio::spawn(async move {
            let deed = Deed { detail: serde_json::json!({"why": why}), ..about("session.refuse", &user) };
            if let Err(error) = this.write_account(&actor, deed, Vec::new()).await {
                tracing::warn!(%error, user = %user.id, "a refused sign-in couldn't be written down");
            }
        });
    }
}

/// What a second step's secret is sealed for.
fn purpose(user: &UserId) -> String {
    format!("user\0{user}\0second step")
}

/// A deed that concerns a user's way of signing in.
fn about(action: &'static str, user: &User) -> Deed {
    Deed::new(action, format!("user {}", user.id)).of(&user.organization, None, Some(&user.id))
}

/// The stage after all that has been proved.
fn stage_of(account: &Account) -> Stage {
    if account.must_change { Stage::ChangePassword } else { Stage::Done }
}

/// 256 random bits as text.
fn random_text() -> Result<String> {
    use base64::Engine as _;
    let mut random = [0u8; 32];
    fill_random(&mut random)?;
    Ok(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(random))
}
