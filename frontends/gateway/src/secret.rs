//! Channels' credentials: sealed in the database, resolved in memory, never shown.
//!
//! Sealing is XChaCha20-Poly1305 under a key derived from the master secret. The associated data binds the channel's
//! id, the field, and everything that decides where the credential is sent: who can write to the database but doesn't
//! hold the master secret can neither read a credential nor have it sent elsewhere.

mod master;

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256};
use sluicegate_core::ports::SecretResolver;
use sluicegate_core::{Channel, ChannelId, Error, ErrorKind, Result, Secret, SecretRef};

pub use master::{MasterSource, default_path};

use crate::credential::fill_random;
use crate::store::{AuditChain, NewEvent, StoredChannel};

/// How sealed texts begin: the format's version.
const VERSION: &str = "v1:";

/// The master secret, from which every key is derived. 256 bits.
#[derive(Clone)]
pub struct MasterSecret([u8; 32]);

impl std::fmt::Debug for MasterSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MasterSecret(…)")
    }
}

impl MasterSecret {
    /// From a text of any form; it must be at least 32 bytes long.
    ///
    /// # Errors
    /// `Config` when it is shorter.
    pub fn from_text(text: &str) -> Result<Self> {
        let text = text.trim();
        if text.len() < 32 {
            let message =
                "the master secret is shorter than 32 characters; make one with `openssl rand -hex 32`";
            return Err(Error::new(ErrorKind::Config, message));
        }
        Ok(Self(Sha256::digest(text.as_bytes()).into()))
    }

    /// Whether it is the same.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.0 == other.0
    }

    /// A key for one purpose. Keys of different purposes tell nothing about each other.
    fn derive(&self, purpose: &str) -> [u8; 32] {
        keyed(&self.0, &[b"sluicegate\0", purpose.as_bytes()])
    }

    /// The chain that makes changes to the audit trail visible.
    pub fn audit_chain(&self) -> KeyedChain {
        KeyedChain(self.derive("audit trail"))
    }

    /// Seals and opens channels' credentials.
    pub fn sealer(&self) -> Sealer {
        Sealer(
            XChaCha20Poly1305::new(&Key::from(self.derive("channel credential"))),
            self.derive("code of a request"),
        )
    }
}

fn keyed(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    // HMAC takes a key of any length; the fallback can't be reached.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return *key };
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

/// Links audit events under a key: who doesn't hold the master secret can't forge a link.
#[derive(Clone)]
pub struct KeyedChain([u8; 32]);

impl KeyedChain {
    /// Its key, sealed, for whoever verifies what was written under it; `place` is its number among those before.
    pub(crate) fn sealed(&self, place: usize, sealer: &Sealer) -> Result<String> {
        sealer.seal_text(&purpose(place), &Secret::new(STANDARD.encode(self.0)))
    }

    /// What [`sealed`](Self::sealed) made; `None` when it was under another master secret, or in another place.
    pub(crate) fn opened(place: usize, sealed: &str, sealer: &Sealer) -> Option<Self> {
        let key = STANDARD.decode(sealer.open_text(&purpose(place), sealed)?.expose()).ok()?;
        key.try_into().ok().map(Self)
    }
}

fn purpose(place: usize) -> String {
    format!("audit trail\0{place}")
}

impl AuditChain for KeyedChain {
    fn link(&self, previous: &str, seq: i64, event: &NewEvent, detail: &str) -> String {
        // Fields in a fixed order, each with its length, so that no two events read the same.
        let [organization, group, user] = [
            event.organization.as_ref().map_or("", |id| id.as_str()),
            event.group.as_ref().map_or("", |id| id.as_str()),
            event.user.as_ref().map_or("", |id| id.as_str()),
        ];
        let (seq, at) = (seq.to_string(), event.at.as_ms().to_string());
        let mut text = Vec::new();
        // Of events that were written before these were kept there is neither, and the code is what it was.
        let origin = [event.address.as_deref(), event.credential.as_deref()];
        let origin = origin.iter().any(Option::is_some).then(|| origin.map(Option::unwrap_or_default));
        for part in [
            previous,
            &seq,
            &at,
            &event.actor,
            &event.action,
            &event.target,
            organization,
            group,
            user,
            detail,
        ]
        .into_iter()
        .chain(origin.into_iter().flatten())
        {
            text.extend_from_slice(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            text.extend_from_slice(part.as_bytes());
        }
        keyed(&self.0, &[&text]).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Seals and opens channels' credentials.
#[derive(Clone)]
pub struct Sealer(XChaCha20Poly1305, [u8; 32]);

impl Sealer {
    /// Seals a channel's credential for where the channel sends it now.
    ///
    /// # Errors
    /// `Internal` when the operating system gives no randomness.
    pub fn seal(&self, channel: &Channel, secret: &Secret) -> Result<String> {
        self.seal_bytes(&associated(channel)?, secret)
    }

    /// Seals a text for one purpose, which must not begin like a channel's.
    ///
    /// # Errors
    /// `Internal` when the operating system gives no randomness.
    pub(crate) fn seal_text(&self, purpose: &str, secret: &Secret) -> Result<String> {
        self.seal_bytes(purpose.as_bytes(), secret)
    }

    /// Opens what [`seal_text`](Self::seal_text) made for this purpose; `None` when it was sealed under another master secret,
    /// or for something else.
    pub(crate) fn open_text(&self, purpose: &str, sealed: &str) -> Option<Secret> {
        self.open_bytes(purpose.as_bytes(), sealed)
    }

    /// A code of these parts that says nothing of them to who doesn't hold the master secret.
    pub(crate) fn code(&self, parts: &[&[u8]]) -> String {
        let mut text = Vec::new();
        for part in parts {
            // Each with its length, so that no two lists read the same.
            text.extend_from_slice(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            text.extend_from_slice(part);
        }
        keyed(&self.1, &[&text]).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn seal_bytes(&self, aad: &[u8], secret: &Secret) -> Result<String> {
        let mut nonce = [0u8; 24];
        fill_random(&mut nonce)?;
        let payload = Payload { msg: secret.expose().as_bytes(), aad };
        let sealed = self
            .0
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_| Error::new(ErrorKind::Internal, "a secret can't be sealed"))?;
        let mut bytes = nonce.to_vec();
        bytes.extend_from_slice(&sealed);
        Ok(format!("{VERSION}{}", STANDARD.encode(bytes)))
    }

    /// Opens what [`seal`](Self::seal) made for this channel as it is now.
    ///
    /// # Errors
    /// `Config` when it was sealed under another master secret, for another channel or for another destination.
    pub fn open(&self, channel: &Channel, sealed: &str) -> Result<Secret> {
        let wrong = || {
            let message = format!(
                "the credential of channel `{}` can't be opened: the master secret isn't the one it was sealed \
                 under, or the channel's destination was changed; enter the credential again",
                channel.id
            );
            Error::new(ErrorKind::Config, message)
        };
        self.open_bytes(&associated(channel)?, sealed).ok_or_else(wrong)
    }

    fn open_bytes(&self, aad: &[u8], sealed: &str) -> Option<Secret> {
        let bytes = STANDARD.decode(sealed.strip_prefix(VERSION)?).ok()?;
        let (nonce, sealed) = bytes.split_first_chunk::<24>()?;
        let opened = self.0.decrypt(&XNonce::from(*nonce), Payload { msg: sealed, aad }).ok()?;
        String::from_utf8(opened).ok().map(Secret::new)
    }

    /// Seals a stored credential anew under another master secret's sealer, for rotation.
    ///
    /// # Errors
    /// As [`open`](Self::open) and [`seal`](Self::seal).
    pub fn reseal(&self, channel: &Channel, sealed: &str, new: &Sealer) -> Result<String> {
        new.seal(channel, &self.open(channel, sealed)?)
    }
}

/// What a sealed credential is bound to.
fn associated(channel: &Channel) -> Result<Vec<u8>> {
    let destination = destination(channel)?;
    Ok(format!("channel\0{}\0secret\0{destination}", channel.id).into_bytes())
}

/// Where a channel sends its credential, and how: addresses, authentication, proxy and whom it trusts.
///
/// # Errors
/// `Internal` when it can't be written down.
pub fn destination(channel: &Channel) -> Result<String> {
    serde_json::to_string(&(&channel.endpoints, &channel.auth, &channel.transport)).map_err(|error| {
        Error::new(ErrorKind::Internal, "a channel's destination can't be written down").with_source(error)
    })
}

/// Looks a variable of the environment up.
pub type Lookup = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// Gives channels' credentials: from the environment, from the file, or sealed from the database.
pub struct Secrets {
    environment: Lookup,
    /// Sealed credentials that were opened when the channels were loaded; the error when one couldn't be.
    opened: ArcSwap<HashMap<ChannelId, Result<Secret>>>,
}

impl Secrets {
    /// A resolver that asks `environment` for variables and knows no sealed credential yet.
    pub fn new(environment: Lookup) -> Self {
        Self { environment, opened: ArcSwap::default() }
    }

    /// Opens the sealed credentials of these channels and forgets all others. Those that can't be opened are reported
    /// when they are asked for.
    pub fn load(&self, channels: &[StoredChannel], sealer: Option<&Sealer>) {
        let open = |stored: &StoredChannel| {
            let (channel, sealed) = (&stored.channel.value, stored.secret.as_deref()?);
            let opened = match sealer {
                Some(sealer) => sealer.open(channel, sealed),
                None => Err(Error::new(
                    ErrorKind::Config,
                    format!(
                        "the credential of channel `{}` is sealed and there is no master secret",
                        channel.id
                    ),
                )),
            };
            Some((channel.id.clone(), opened))
        };
        self.opened.store(Arc::new(channels.iter().filter_map(open).collect()));
    }

    /// A variable of the environment; an empty one is none.
    pub(crate) fn variable(&self, name: &str) -> Option<String> {
        (self.environment)(name).filter(|value| !value.is_empty())
    }

    /// The credential that a reference leads to; `sealed` is for channels only.
    ///
    /// # Errors
    /// `Config` naming the environment variable that is missing or empty.
    pub fn resolve(&self, reference: &SecretRef) -> Result<Option<Secret>> {
        match reference {
            SecretRef::None | SecretRef::Sealed => Ok(None),
            SecretRef::Inline(secret) => Ok(Some(secret.clone())),
            SecretRef::Env(name) => match (self.environment)(name).filter(|value| !value.is_empty()) {
                Some(value) => Ok(Some(Secret::new(value))),
                None => {
                    let message =
                        format!("the environment variable `{name}` isn't set; set it to the credential");
                    Err(Error::new(ErrorKind::Config, message))
                }
            },
        }
    }
}

impl SecretResolver for Secrets {
    fn channel_secret(&self, channel: &Channel, key: u32) -> Result<Option<Secret>> {
        // Never without a credential where one is meant: a key may be gone since the attempt was planned.
        let missing = || {
            let message =
                format!("channel `{}` has no key {key}; enter its keys anew, a line each", channel.id);
            Error::new(ErrorKind::Config, message)
        };
        let reference = channel.key(key).ok_or_else(missing)?;
        match reference {
            SecretRef::Sealed => match self.opened.load().get(&channel.id) {
                Some(opened) if channel.more_keys.is_empty() => opened.clone().map(Some),
                Some(opened) => line(&opened.clone()?, key).ok_or_else(missing).map(Some),
                None => {
                    let message = format!("channel `{}` has no credential; enter it", channel.id);
                    Err(Error::new(ErrorKind::Config, message))
                }
            },
            reference => self.resolve(reference),
        }
    }
}

/// The keys in a credential's text: a line each. A document, such as a service account's JSON, is one.
pub(crate) fn lines(secret: &Secret) -> Vec<&str> {
    let text = secret.expose().trim();
    if text.starts_with(['{', '[', '-']) {
        return vec![text];
    }
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect()
}

/// One of the keys in a credential's text.
pub(crate) fn line(secret: &Secret, key: u32) -> Option<Secret> {
    lines(secret).get(key as usize).map(|line| Secret::new(*line))
}

#[cfg(test)]
mod tests;
