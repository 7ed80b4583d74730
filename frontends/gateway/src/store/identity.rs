//! How users sign in, as it is stored.

use std::fmt;

use serde::{Deserialize, Serialize};
use sluicegate_core::{GroupId, Timestamp, UserId};

use crate::admin::Scopes;
use crate::credential::KeyHash;

/// What is hashed or sealed, and still nobody's business: kept, and never printed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hidden(pub String);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// How a user signs in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Whose it is.
    pub user: UserId,
    /// Their password, hashed by argon2id, as a PHC string.
    pub password: Hidden,
    /// Whether they must change it before anything else: somebody else knows it.
    #[serde(default)]
    pub must_change: bool,
    /// What the codes of their second step are made from, sealed; `None` when there is no second step.
    #[serde(default)]
    pub totp: Option<Hidden>,
    /// The same of a second step that isn't confirmed yet.
    #[serde(default)]
    pub totp_pending: Option<Hidden>,
}

/// How far somebody has come with signing in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The password was right; the code of the second step is still missing.
    SecondStep,
    /// They must change their password first.
    ChangePassword,
    /// They are signed in.
    Done,
}

/// A browser that somebody has signed in from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its public id.
    pub id: String,
    /// The hash of what the browser's cookie holds.
    pub hash: KeyHash,
    /// Who.
    pub user: UserId,
    /// When it began.
    pub created_at: Timestamp,
    /// When it was last used, to the minute.
    pub seen_at: Timestamp,
    /// When it ends, however often it is used.
    pub expires_at: Timestamp,
    /// The rest.
    pub facts: SessionFacts,
}

/// What is said of a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionFacts {
    /// How far it has come.
    pub stage: Stage,
    /// The address that it began at.
    #[serde(default)]
    pub address: Option<String>,
    /// What the browser calls itself, cut.
    #[serde(default)]
    pub agent: Option<String>,
}

/// Who somebody is at a provider that they sign in through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The provider.
    pub issuer: String,
    /// Who they are there.
    pub subject: String,
    /// Who they are here.
    pub user: UserId,
    /// Groups that the provider's mapping has put them into.
    #[serde(default)]
    pub granted: Vec<GroupId>,
}

/// A personal access token: somebody's own way to the management API, for programs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AccessToken {
    /// Its public id.
    pub id: String,
    /// Whose it is.
    pub user: UserId,
    /// Its name for people.
    pub name: String,
    /// The token's first and last characters, for people to tell tokens apart.
    pub hint: String,
    /// What it may be used for.
    pub scopes: Scopes,
    /// From when on it is refused.
    pub expires_at: Timestamp,
}

/// An access token and what is known of its use.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredToken {
    /// The token.
    pub token: AccessToken,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last used, to the minute; `None` for never.
    pub used_at: Option<Timestamp>,
}
