//! A token: taken apart, and checked.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openidconnect::JsonWebKey as _;
use openidconnect::core::{CoreJsonWebKey, CoreJwsSigningAlgorithm};
use serde_json::{Map, Value};
use sluicegate_config::JwtIssuer;
use sluicegate_core::{Error, ErrorKind, Result, Timestamp};

/// No token is longer, in bytes.
const TOKEN_MAX: usize = 16 * 1024;
/// An expiry that lies further ahead is a mistake of somebody's, in seconds.
const SECONDS_MAX: f64 = 1e11;

/// What a token says, as far as its signature is good for it.
pub(crate) type Claims = Map<String, Value>;

/// A token, taken apart and not yet believed.
pub(super) struct Token<'a> {
    pub(super) algorithm: CoreJwsSigningAlgorithm,
    pub(super) kid: Option<String>,
    claims: Claims,
    signed: &'a str,
    signature: Vec<u8>,
}

/// Whether a credential has the form of a token: three parts, the first of them a JSON object. No key of ours does.
pub(super) fn is_one(credential: &str) -> bool {
    credential.starts_with("eyJ")
        && credential.len() <= TOKEN_MAX
        && credential.bytes().filter(|byte| *byte == b'.').count() == 2
}

/// Why a token doesn't count.
pub(super) fn refused(why: &str) -> Error {
    Error::new(ErrorKind::Unauthenticated, format!("this token isn't accepted: {why}"))
}

impl<'a> Token<'a> {
    /// Takes a token apart.
    ///
    /// # Errors
    /// `Unauthenticated` when it is none, or one that can't be checked.
    pub(super) fn read(text: &'a str) -> Result<Self> {
        let malformed = || refused("it is no signed JWT");
        let (signed, signature) = text.rsplit_once('.').ok_or_else(malformed)?;
        let (head, body) = signed.split_once('.').ok_or_else(malformed)?;
        let part = |text: &str| -> Result<Map<String, Value>> {
            let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| malformed())?;
            serde_json::from_slice(&bytes).map_err(|_| malformed())
        };
        let (head, claims) = (part(head)?, part(body)?);
        // What must be understood and isn't.
        if head.contains_key("crit") || head.contains_key("zip") {
            return Err(refused("its header asks for what isn't known here"));
        }
        let algorithm = head.get("alg").cloned().unwrap_or_default();
        let kid = match head.get("kid") {
            None => None,
            Some(Value::String(kid)) => Some(kid.clone()),
            Some(_) => return Err(malformed()),
        };
        Ok(Self {
            algorithm: serde_json::from_value(algorithm).map_err(|_| refused("its algorithm isn't known"))?,
            kid,
            claims,
            signed,
            signature: URL_SAFE_NO_PAD.decode(signature).map_err(|_| malformed())?,
        })
    }

    /// Whom it says it is from. Not yet believed.
    pub(super) fn issuer(&self) -> Option<&str> {
        self.claims.get("iss").and_then(Value::as_str)
    }

    /// Whether its issuer may sign so.
    ///
    /// # Errors
    /// `Unauthenticated`.
    pub(super) fn check_algorithm(&self, issuer: &JwtIssuer) -> Result<()> {
        let name = serde_json::to_value(&self.algorithm).unwrap_or_default();
        let allowed = issuer.algorithms.iter().any(|known| name == known.as_str());
        // Whatever is configured: nothing unsigned, and nothing that a public key could have signed.
        let sound = JwtIssuer::ALGORITHMS.iter().any(|known| name == *known);
        if allowed && sound { Ok(()) } else { Err(refused("its algorithm isn't one of its issuer's")) }
    }

    /// What it says, if one of these keys has signed it, for us, and it is its time.
    ///
    /// # Errors
    /// `Unauthenticated`.
    pub(super) fn checked(
        self,
        issuer: &JwtIssuer,
        keys: &[CoreJsonWebKey],
        now: Timestamp,
    ) -> Result<(Claims, Timestamp)> {
        let is_good = |key: &CoreJsonWebKey| {
            key.verify_signature(&self.algorithm, self.signed.as_bytes(), &self.signature).is_ok()
        };
        if !keys.iter().any(is_good) {
            return Err(refused("none of its issuer's keys has signed it"));
        }
        if issuer.issuer.is_some() && self.issuer() != issuer.issuer.as_deref() {
            return Err(refused("it is of another issuer"));
        }
        let audience = texts(self.claims.get("aud"));
        if !issuer.audience.is_empty()
            && !audience.iter().any(|it| issuer.audience.iter().any(|own| own == it))
        {
            return Err(refused("it is for somebody else"));
        }
        let time = |name: &str| match self.claims.get(name) {
            None => Ok(None),
            Some(value) => match value.as_f64().filter(|seconds| (0.0..SECONDS_MAX).contains(seconds)) {
                // INVARIANT: within the range above.
                Some(seconds) => Ok(Some(Timestamp::from_ms((seconds * 1_000.0) as i64))),
                None => Err(refused("one of its times is none")),
            },
        };
        let leeway = i64::try_from(issuer.leeway_ms).unwrap_or_default();
        let ends_at = time("exp")?.ok_or_else(|| refused("it has no end"))?.plus_ms(leeway);
        if now >= ends_at {
            return Err(refused("it has expired; get a new one"));
        }
        for name in ["nbf", "iat"] {
            if time(name)?.is_some_and(|at| at > now.plus_ms(leeway)) {
                return Err(refused("its time hasn't come yet; compare the clocks"));
            }
        }
        Ok((self.claims, ends_at))
    }
}

/// What a claim says; dots lead into objects. A claim of that whole name wins.
pub(crate) fn claim<'c>(claims: &'c Claims, path: &str) -> Option<&'c Value> {
    if let Some(value) = claims.get(path) {
        return Some(value);
    }
    let mut parts = path.split('.');
    let mut value = claims.get(parts.next()?)?;
    for part in parts {
        value = value.as_object()?.get(part)?;
    }
    Some(value)
}

/// A claim that is a text, or a number.
pub(crate) fn text(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A claim that is a text or a list of them.
pub(crate) fn texts(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::Array(items)) => items.iter().filter_map(|item| text(Some(item))).collect(),
        value => text(value).into_iter().collect(),
    }
}

/// A claim that is a list of words, or a text of words with spaces between.
pub(crate) fn words(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::String(text)) => text.split_ascii_whitespace().map(str::to_owned).collect(),
        value => texts(value),
    }
}
