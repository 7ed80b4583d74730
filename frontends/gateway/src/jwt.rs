//! Tokens of other issuers as credentials of calls.
//!
//! A token is checked before anything is done by it: its algorithm is one of its issuer's, one of the issuer's keys has signed it,
//! it is for us, and it is its time. What it says then names a user, a group, an organization; each must be one of the issuer's
//! organization, and what isn't there is answered like what is another's. It opens calls and no management, unless a LiteLLM file
//! names the scope of tokens that administer.

mod caller;
mod key;
mod provider;
mod token;

use std::sync::Arc;
use std::time::Duration;

use sluicegate_config::JwtIssuer;
use sluicegate_core::engine::BoundCaller;
use sluicegate_core::{Caller, Result, Timestamp};

pub(crate) use caller::{is_of_domain, user_id};
pub(crate) use provider::Provider;
pub use provider::Providers;
pub(crate) use token::{Claims, claim, text, texts};

use crate::admin::Admin;
use crate::credential::KeyHash;
use crate::directory::Directory;
use token::{Token, refused};

/// The ids of the keys that tokens' calls are recorded under begin with this.
const KEY_PREFIX: &str = "jwt:";
/// Checked tokens that are remembered.
const REMEMBERED: u64 = 10_000;
/// And for how long: an issuer's key that was taken back counts no longer than this.
const REMEMBERED_FOR: Duration = Duration::from_secs(600);

/// Whether a caller calls by another issuer's token.
pub fn is_by_token(caller: &Caller) -> bool {
    caller.key.as_ref().is_some_and(|key| key.as_str().starts_with(KEY_PREFIX))
}

/// The issuers whose tokens open calls.
pub(crate) struct Issuers {
    issuers: Vec<Issuer>,
    checked: moka::sync::Cache<[u8; 32], Arc<Checked>>,
}

struct Issuer {
    settings: JwtIssuer,
    keys: key::Keys,
}

/// A token that was checked.
struct Checked {
    issuer: usize,
    claims: Claims,
    ends_at: Timestamp,
}

/// What a token is looked up in.
pub(crate) struct Around<'a> {
    pub(crate) directory: &'a Directory,
    pub(crate) admin: &'a Admin,
    pub(crate) now: Timestamp,
}

impl Issuers {
    /// # Errors
    /// `Config` when an issuer's keys can't be read.
    pub(crate) fn new(settings: &[JwtIssuer]) -> Result<Self> {
        let issuer = |settings: &JwtIssuer| -> Result<Issuer> {
            Ok(Issuer { keys: key::Keys::new(settings)?, settings: settings.clone() })
        };
        Ok(Self {
            issuers: settings.iter().map(issuer).collect::<Result<_>>()?,
            checked: moka::sync::Cache::builder()
                .max_capacity(REMEMBERED)
                .time_to_live(REMEMBERED_FOR)
                .build(),
        })
    }

    /// Whether a credential is to be looked at here.
    pub(crate) fn is_theirs(&self, credential: &str) -> bool {
        !self.issuers.is_empty() && token::is_one(credential)
    }

    /// Who calls by a token.
    ///
    /// # Errors
    /// `Unauthenticated` saying why it doesn't count, `Forbidden` when whom it names may not call, `UpstreamUnavailable` when
    /// its issuer's keys can't be fetched, `Store`.
    pub(crate) async fn caller(
        &self,
        hash: &KeyHash,
        credential: &str,
        around: &Around<'_>,
    ) -> Result<Arc<BoundCaller>> {
        let checked = self.checked(hash, credential, around.now).await?;
        // INVARIANT: the index is one of this list, which never changes.
        let Some(issuer) = self.issuers.get(checked.issuer) else { return Err(refused("it is nobody's")) };
        caller::caller(&issuer.settings, &checked.claims, checked.ends_at, hash, around).await
    }

    /// Whether a token says that whoever has it may do everything: its issuer, and its subject if it says one. `None` for tokens
    /// that open calls alone.
    ///
    /// # Errors
    /// As of [`caller`](Self::caller).
    pub(crate) async fn administers(
        &self,
        hash: &KeyHash,
        credential: &str,
        now: Timestamp,
    ) -> Result<Option<(String, Option<String>)>> {
        if !self.issuers.iter().any(|it| it.settings.admin_scope.is_some()) {
            return Ok(None);
        }
        let checked = self.checked(hash, credential, now).await?;
        let Some(Issuer { settings, .. }) = self.issuers.get(checked.issuer) else { return Ok(None) };
        let Some(scope) = &settings.admin_scope else { return Ok(None) };
        let said = token::words(claim(&checked.claims, &settings.claims.scopes));
        Ok(said.contains(scope).then(|| (settings.id.clone(), text(checked.claims.get("sub")))))
    }

    async fn checked(&self, hash: &KeyHash, credential: &str, now: Timestamp) -> Result<Arc<Checked>> {
        if let Some(checked) = self.checked.get(&hash.0).filter(|it| now < it.ends_at) {
            return Ok(checked);
        }
        let checked = Arc::new(self.check(credential, now).await?);
        self.checked.insert(hash.0, Arc::clone(&checked));
        Ok(checked)
    }

    async fn check(&self, credential: &str, now: Timestamp) -> Result<Checked> {
        let named = Token::read(credential)?;
        let is_named =
            |it: &Issuer| it.settings.issuer.is_some() && it.settings.issuer.as_deref() == named.issuer();
        // Several addresses of keys may stand for an issuer without a name.
        let by_name = self.issuers.iter().any(is_named);
        let mut refusal = refused("its issuer isn't known here");
        for (index, issuer) in self.issuers.iter().enumerate() {
            if if by_name { !is_named(issuer) } else { issuer.settings.issuer.is_some() } {
                continue;
            }
            match issuer.check(credential, now).await {
                Ok((claims, ends_at)) => return Ok(Checked { issuer: index, claims, ends_at }),
                Err(error) => refusal = error,
            }
        }
        Err(refusal)
    }
}

impl Issuer {
    async fn check(&self, credential: &str, now: Timestamp) -> Result<(Claims, Timestamp)> {
        let token = Token::read(credential)?;
        token.check_algorithm(&self.settings)?;
        let keys = self.keys.of(token.kid.as_deref(), &token.algorithm, now).await?;
        token.checked(&self.settings, &keys, now)
    }
}
