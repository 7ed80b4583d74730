//! An issuer's keys: fetched, kept for a while, fetched again when a token names one that isn't among them.

use arc_swap::ArcSwapOption;
use std::sync::Arc;

use openidconnect::core::{CoreJsonWebKey, CoreJsonWebKeyUse, CoreJwsSigningAlgorithm};
use openidconnect::{JsonWebKey as _, JsonWebKeySet};
use sluicegate_config::JwtIssuer;
use sluicegate_core::{Error, ErrorKind, Result, Retry, Timestamp};
use tokio::sync::Mutex;

use crate::upstream::{FetchFault, Fetcher};

/// Keys are fetched no more often, in milliseconds, whatever tokens name and however often that fails.
const AGAIN_MS: i64 = 30_000;
/// While its keys can't be fetched, an issuer is known by those that there were, for so long in milliseconds.
const STALE_MS: i64 = 24 * 3_600_000;
/// An issuer has no more keys.
const KEYS_MAX: usize = 100;

/// Where an issuer's keys come from.
enum Source {
    /// From the configuration.
    Fixed,
    /// From this address.
    Url(String),
    /// From where the discovery document of this issuer says.
    Discovery(String),
}

struct Set {
    keys: Vec<CoreJsonWebKey>,
    fetched_at: Timestamp,
}

/// An issuer's keys.
pub(super) struct Keys {
    source: Source,
    ttl_ms: i64,
    fetcher: Fetcher,
    set: ArcSwapOption<Set>,
    /// When they were last asked for. Held while they are fetched: one fetches for all who wait.
    asked_at: Mutex<Option<Timestamp>>,
}

impl Keys {
    /// # Errors
    /// `Config` when the keys of the configuration can't be read.
    pub(super) fn new(issuer: &JwtIssuer) -> Result<Self> {
        let set = match &issuer.jwks {
            Some(text) => {
                let keys = read(text.as_bytes()).map_err(|why| {
                    let message = format!("the keys of `auth.jwt` `{}` can't be used: {why}", issuer.id);
                    Error::new(ErrorKind::Config, message)
                })?;
                Some(Arc::new(Set { keys, fetched_at: Timestamp::default() }))
            }
            None => None,
        };
        let source = match (&set, &issuer.jwks_url, &issuer.issuer) {
            (Some(_), ..) => Source::Fixed,
            (None, Some(url), _) => Source::Url(url.clone()),
            (None, None, name) => Source::Discovery(name.clone().unwrap_or_default()),
        };
        let named = [issuer.jwks_url.as_deref(), issuer.issuer.as_deref()];
        Ok(Self {
            source,
            ttl_ms: i64::try_from(issuer.keys_ttl_ms).unwrap_or(i64::MAX),
            fetcher: Fetcher::new(named.into_iter().flatten())?,
            set: ArcSwapOption::new(set),
            asked_at: Mutex::new(None),
        })
    }

    /// The keys that may have signed a token: those of its `kid`, or all that fit when it names none.
    ///
    /// # Errors
    /// `UpstreamUnavailable` when there are none and none can be fetched.
    pub(super) async fn of(
        &self,
        kid: Option<&str>,
        algorithm: &CoreJwsSigningAlgorithm,
        now: Timestamp,
    ) -> Result<Vec<CoreJsonWebKey>> {
        let set = self.fresh(now, self.ttl_ms).await?;
        let found = fitting(&set, kid, algorithm);
        if !found.is_empty() || matches!(self.source, Source::Fixed) {
            return Ok(found);
        }
        // The issuer may have new keys since.
        let set = self.fresh(now, AGAIN_MS).await?;
        Ok(fitting(&set, kid, algorithm))
    }

    /// Keys that were fetched within this time, or else the newest there are.
    async fn fresh(&self, now: Timestamp, within_ms: i64) -> Result<Arc<Set>> {
        let fine =
            |set: &Arc<Set>| matches!(self.source, Source::Fixed) || now < set.fetched_at.plus_ms(within_ms);
        if let Some(set) = self.set.load_full().filter(fine) {
            return Ok(set);
        }
        let mut asked_at = self.asked_at.lock().await;
        let known = self.set.load_full();
        if let Some(set) = known.clone().filter(fine) {
            return Ok(set);
        }
        let kept = |why: &str| match known.filter(|set| now < set.fetched_at.plus_ms(STALE_MS)) {
            Some(set) => Ok(set),
            None => {
                let message = format!("the issuer's keys can't be fetched: {why}");
                let after = Retry::AfterMs(u64::try_from(AGAIN_MS).unwrap_or_default());
                Err(Error::new(ErrorKind::UpstreamUnavailable, message).with_retry(after))
            }
        };
        // A clock that was set back mustn't keep anybody waiting.
        if asked_at.is_some_and(|at| now >= at && now < at.plus_ms(AGAIN_MS)) {
            return kept("they were asked for a moment ago");
        }
        *asked_at = Some(now);
        match self.fetch().await {
            Ok(keys) => {
                let set = Arc::new(Set { keys, fetched_at: now });
                self.set.store(Some(Arc::clone(&set)));
                Ok(set)
            }
            Err(why) => {
                tracing::warn!(%why, "an issuer's keys can't be fetched; those that there were count on");
                // What is said to callers names no address of ours.
                kept("it doesn't answer as it should")
            }
        }
    }

    async fn fetch(&self) -> std::result::Result<Vec<CoreJsonWebKey>, FetchFault> {
        let url = match &self.source {
            Source::Fixed => return Err(FetchFault("they are in the configuration".to_owned())),
            Source::Url(url) => url.clone(),
            Source::Discovery(issuer) => self.discover(issuer).await?,
        };
        read(&self.fetcher.document(&url).await?).map_err(FetchFault)
    }

    async fn discover(&self, issuer: &str) -> std::result::Result<String, FetchFault> {
        #[derive(serde::Deserialize)]
        struct Document {
            issuer: String,
            jwks_uri: String,
        }
        let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let text = self.fetcher.document(&url).await?;
        let found: Document = serde_json::from_slice(&text)
            .map_err(|why| FetchFault(format!("its discovery document can't be read: {why}")))?;
        if found.issuer != issuer {
            return Err(FetchFault("its discovery document is another issuer's".to_owned()));
        }
        Ok(found.jwks_uri)
    }
}

fn read(text: &[u8]) -> std::result::Result<Vec<CoreJsonWebKey>, String> {
    let set: JsonWebKeySet<CoreJsonWebKey> =
        serde_json::from_slice(text).map_err(|why| format!("they are no JWKS: {why}"))?;
    let mut keys = set.keys().clone();
    // BOUND: each may be tried for a token that names none.
    keys.truncate(KEYS_MAX);
    Ok(keys)
}

fn fitting(set: &Set, kid: Option<&str>, algorithm: &CoreJwsSigningAlgorithm) -> Vec<CoreJsonWebKey> {
    use openidconnect::JwsSigningAlgorithm as _;
    let kind = algorithm.key_type();
    let fits = |key: &&CoreJsonWebKey| {
        let named = key.key_id().map(|id| id.as_str());
        Some(key.key_type()) == kind.as_ref()
            && !matches!(key.key_use(), Some(used) if *used != CoreJsonWebKeyUse::Signature)
            && kid.is_none_or(|kid| named == Some(kid))
    };
    // BOUND: a token without a `kid` costs a few checks, not as many as there are keys.
    set.keys.iter().filter(fits).take(4).cloned().collect()
}
