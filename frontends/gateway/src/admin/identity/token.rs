//! Personal access tokens: somebody's own way to the management API, for programs.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use sluicegate_core::{Error, ErrorKind, Result, Secret, Timestamp, UserId};

use super::session::{still, unless_over};
use super::{about, random_text, sign_in_first};
use crate::admin::key::duration;
use crate::admin::{Access, Actor, Admin, Scopes, invalid, not_found};
use crate::credential::{KeyHash, new_id};
use crate::store::{AccessToken, Change, Expect, StoredToken};

/// Every access token begins so: it is told apart from a key at sight, by people and by scanners.
pub const TOKEN_PREFIX: &str = "sgpat_";
/// A token lives so long when nothing else is said, in milliseconds: 90 days.
const LIFE_MS: i64 = 90 * 86_400_000;
/// And no longer than this, in milliseconds: 366 days.
const LIFE_MAX_MS: i64 = 366 * 86_400_000;
/// Nobody has more.
// BOUND: of what a user can fill the store with.
const TOKENS_MAX: usize = 100;
/// That a token is used is written down so often, in milliseconds.
const SEEN_MS: i64 = 60_000;

/// A token to be made.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// Its name for people.
    pub name: String,
    /// What it may be used for: `read`, `write`, or either of an area such as `keys:write`.
    pub scopes: Scopes,
    /// After which time it is refused, such as `30d`; 366 days at most. Default 90 days.
    #[serde(default)]
    pub ttl: Option<String>,
}

/// A token, as its owner sees it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TokenView {
    /// The token.
    #[serde(flatten)]
    pub token: AccessToken,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last used, to the minute.
    pub used_at: Option<Timestamp>,
}

/// A token that was just made.
#[derive(Clone, Debug)]
pub struct IssuedToken {
    /// The token itself. Shown this once.
    pub secret: Secret,
    /// What is known of it.
    pub view: TokenView,
}

impl From<StoredToken> for TokenView {
    fn from(it: StoredToken) -> Self {
        Self { token: it.token, created_at: it.created_at, used_at: it.used_at }
    }
}

impl Admin {
    /// Makes an access token for oneself.
    ///
    /// # Errors
    /// `Forbidden` without a session, `InvalidRequest`, `Conflict` when there are too many, `Store`.
    pub async fn create_token(&self, actor: &Actor, new: NewToken) -> Result<IssuedToken> {
        let id = actor.user().filter(|_| actor.session().is_some()).ok_or_else(sign_in_first)?;
        let user = self.user_by_id(id).await?.ok_or_else(sign_in_first)?;
        let name = new.name.trim();
        if name.is_empty() || name.chars().count() > 100 {
            return Err(invalid("name", "the name must have 1 to 100 characters"));
        }
        let life = new.ttl.as_deref().map_or(Ok(LIFE_MS), |text| duration("ttl", text))?;
        if life <= 0 || life > LIFE_MAX_MS {
            return Err(invalid("ttl", "a token lives for 366 days at most; make another one then"));
        }
        if self.store().access_tokens(&user.id).await?.len() >= TOKENS_MAX {
            let message = format!("you have {TOKENS_MAX} tokens already; delete some first");
            return Err(Error::new(ErrorKind::Conflict, message));
        }
        let (now, text) = (self.now(), format!("{TOKEN_PREFIX}{}", random_text()?));
        let tail: String = text.chars().skip(text.chars().count() - 4).collect();
        let token = AccessToken {
            id: new_id(now)?,
            user: user.id.clone(),
            name: name.to_owned(),
            hint: format!("{TOKEN_PREFIX}...{tail}"),
            scopes: new.scopes,
            expires_at: now.plus_ms(life),
        };
        // Somebody who was signed out meanwhile makes none any more.
        let by = actor.session().ok_or_else(sign_in_first)?;
        let changes =
            vec![still(&user.id, by), Change::PutAccessToken(token.clone(), KeyHash::of(&text), Expect::New)];
        let written = self.write_account(actor, about("token.create", &user).whole(&token), changes).await;
        written.map_err(unless_over)?;
        let view = TokenView { token, created_at: now, used_at: None };
        Ok(IssuedToken { secret: Secret::new(text), view })
    }

    /// A user's tokens, newest first; their own, or those of somebody whom the actor administers.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound` for a user whom the actor can't see, `Store`.
    pub async fn tokens(&self, actor: &Actor, user: &UserId) -> Result<Vec<TokenView>> {
        actor.may("account", Access::Read)?;
        let user = self.user_to_manage(actor, user).await?;
        Ok(self.store().access_tokens(&user.id).await?.into_iter().map(TokenView::from).collect())
    }

    /// Deletes a token. It is refused from then on.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound` for a user or token that the actor can't see, `Store`.
    pub async fn delete_token(&self, actor: &Actor, user: &UserId, id: &str) -> Result<()> {
        let user = self.user_to_manage(actor, user).await?;
        let tokens = self.store().access_tokens(&user.id).await?;
        let token =
            tokens.into_iter().find(|it| it.token.id == id).ok_or_else(|| not_found("token", id))?.token;
        let deed = about("token.delete", &user).whole(&token);
        self.write_account(actor, deed, vec![Change::DeleteAccessToken(id.to_owned())]).await
    }

    /// Who a token is of, as far as its scopes go; `None` when it is over or nobody's.
    ///
    /// # Errors
    /// `Forbidden` when the user, or their organization, is blocked; `Store`.
    pub async fn token_actor(&self, secret: &Secret, address: Option<IpAddr>) -> Result<Option<Actor>> {
        let Some(found) = self.store().access_token(&KeyHash::of(secret.expose())).await? else {
            return Ok(None);
        };
        let (token, now) = (found.token, self.now());
        if now >= token.expires_at {
            return Ok(None);
        }
        let Some(user) = self.user_by_id(&token.user).await? else { return Ok(None) };
        self.refuse_blocked(&user).await?;
        let Some(actor) = self.actor_of(&token.user).await? else { return Ok(None) };
        if found.used_at.is_none_or(|at| now.as_ms() - at.as_ms() >= SEEN_MS) {
            self.store().see_access_token(&token.id, now).await?;
        }
        Ok(Some(actor.from(address).by(format!("token {}", token.id)).within(token.scopes)))
    }
}
