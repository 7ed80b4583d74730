//! The keys of a channel, by their fingerprints: never what they are.

use serde::{Deserialize, Serialize};
use sluicegate_core::channel::SecretRef;
use sluicegate_core::{Channel, ChannelId, Error, ErrorKind, OutcomeClass, Result, Secret, Timestamp};

use super::super::seed::Seeds;
use super::super::{Actor, Admin, Deed, Then, invalid, not_found};
use crate::credential::KeyHash;
use crate::secret;
use crate::store::{Change, Expect, SecretChange, StoredChannel};

/// So much of a key's hash tells it from others, in hexadecimal digits.
const FINGERPRINT: usize = 16;

/// Where a key of a channel is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyPlace {
    /// In the database, sealed.
    Sealed,
    /// In an environment variable.
    Env,
    /// In the configuration file.
    File,
}

/// One key of a channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChannelKeyView {
    /// Its place, from 0.
    pub key: u32,
    /// What tells it from others; `None` when it isn't there, or can't be opened.
    pub fingerprint: Option<String>,
    /// Where it is.
    pub place: KeyPlace,
    /// The environment variable.
    pub variable: Option<String>,
    /// It isn't used until then.
    pub out_until: Option<Timestamp>,
    /// The upstream refused it, or it has no balance.
    pub disabled: bool,
}

/// Keys to be added to a channel.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewChannelKeys {
    /// The keys, a line each.
    #[serde(skip_serializing)]
    pub secret: Secret,
}

impl Admin {
    /// The keys of a channel.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`, `Store`.
    pub async fn channel_keys(&self, actor: &Actor, id: &ChannelId) -> Result<Vec<ChannelKeyView>> {
        let channel = self.known_channel(actor, id).await?;
        let sealed = match self.store().channels().await?.into_iter().find(|it| it.channel.value.id == *id) {
            Some(stored) => self.opened(&stored).ok().flatten(),
            None => None,
        };
        let now = self.now();
        let states = self.0.engine.keys(id, now);
        let view = |key: u32| {
            let reference = channel.key(key)?;
            let (place, text, variable) = match reference {
                SecretRef::None => return None,
                SecretRef::Sealed => {
                    (KeyPlace::Sealed, sealed.as_ref().and_then(|it| secret::line(it, key)), None)
                }
                SecretRef::Inline(secret) => (KeyPlace::File, Some(secret.clone()), None),
                SecretRef::Env(name) => {
                    (KeyPlace::Env, self.0.host.variable(name).map(Secret::new), Some(name.clone()))
                }
            };
            let state = states.iter().find(|state| state.key == key);
            Some(ChannelKeyView {
                key,
                fingerprint: text.map(|text| fingerprint(text.expose())),
                place,
                variable,
                out_until: state.and_then(|state| state.out_until),
                disabled: state.is_some_and(|state| state.disabled),
            })
        };
        Ok((0..channel.key_count()).filter_map(view).collect())
    }

    /// Adds keys to a channel whose keys are sealed, or that has none.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`, `InvalidRequest` for what is no key, `Conflict` for one that it has, and when its keys are
    /// elsewhere or it is declared in a file. `Store`.
    pub async fn add_channel_keys(
        &self,
        actor: &Actor,
        id: &ChannelId,
        new: &NewChannelKeys,
    ) -> Result<Vec<ChannelKeyView>> {
        let stored = self.with_sealed_keys(actor, id).await?;
        let before = self.opened(&stored)?;
        let mut keys: Vec<&str> = before.as_ref().map(secret::lines).unwrap_or_default();
        let added = secret::lines(&new.secret);
        if added.is_empty() {
            return Err(invalid("secret", "give the keys to add, a line each"));
        }
        let is_document = |key: &&str| key.starts_with(['{', '[', '-']);
        if keys.iter().chain(&added).any(is_document) {
            let message =
                "a document is a channel's one credential; replace it, or make another channel for it";
            return Err(invalid("secret", message));
        }
        for key in added {
            if keys.contains(&key) {
                let message = format!("the channel has the key `{}` already", fingerprint(key));
                return Err(Error::new(ErrorKind::Conflict, message).with("param", "secret"));
            }
            keys.push(key);
        }
        let text = keys.join("\n");
        self.put_keys(actor, stored, &text, "channel.keys.add").await?;
        self.channel_keys(actor, id).await
    }

    /// Takes a key from a channel, for good.
    ///
    /// # Errors
    /// As [`add_channel_keys`](Self::add_channel_keys); `NotFound` also for a key that it doesn't have.
    pub async fn remove_channel_key(&self, actor: &Actor, id: &ChannelId, print: &str) -> Result<()> {
        let stored = self.with_sealed_keys(actor, id).await?;
        let before = self.opened(&stored)?.ok_or_else(|| not_found("key", print))?;
        let keys = secret::lines(&before);
        let left: Vec<&str> = keys.iter().copied().filter(|key| fingerprint(key) != print).collect();
        if left.len() == keys.len() {
            return Err(not_found("key", print));
        }
        let text = left.join("\n");
        self.put_keys(actor, stored, &text, "channel.keys.remove").await
    }

    /// Takes a key that is out into use again.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`, `Store`.
    pub async fn enable_channel_key(
        &self,
        actor: &Actor,
        id: &ChannelId,
        print: &str,
    ) -> Result<ChannelKeyView> {
        let find = async || -> Result<ChannelKeyView> {
            let keys = self.channel_keys(actor, id).await?;
            let found = keys.into_iter().find(|it| it.fingerprint.as_deref() == Some(print));
            found.ok_or_else(|| not_found("key", print))
        };
        let found = find().await?;
        let mut deed = Deed::new("channel.keys.enable", format!("channel {id}"));
        deed.detail = serde_json::json!({"fingerprint": print});
        self.write(actor, deed, Vec::new(), Seeds::new(), Then::Nothing).await?;
        self.0.engine.probe_result(id, found.key, OutcomeClass::Ok, None, self.now());
        find().await
    }

    async fn with_sealed_keys(&self, actor: &Actor, id: &ChannelId) -> Result<StoredChannel> {
        let stored = self.channel_to_change(actor, id).await?;
        match stored.channel.value.secret {
            SecretRef::None | SecretRef::Sealed => Ok(stored),
            _ => {
                let message =
                    format!("the keys of channel `{id}` are in environment variables; change them there");
                Err(Error::new(ErrorKind::Conflict, message))
            }
        }
    }

    pub(super) fn opened(&self, stored: &StoredChannel) -> Result<Option<Secret>> {
        let Some(sealed) = &stored.secret else { return Ok(None) };
        self.0.host.sealer()?.open(&stored.channel.value, sealed).map(Some)
    }

    async fn put_keys(
        &self,
        actor: &Actor,
        stored: StoredChannel,
        text: &str,
        action: &'static str,
    ) -> Result<()> {
        let before: Vec<String> = match self.opened(&stored)? {
            Some(secret) => fingerprints(&secret),
            None => Vec::new(),
        };
        let (id, version) = (stored.channel.value.id.clone(), stored.channel.version);
        let mut after: Channel = stored.channel.value;
        let secret = Secret::new(text);
        let lines = secret::lines(&secret);
        let prints = fingerprints(&secret);
        after.more_keys = vec![SecretRef::Sealed; lines.len().saturating_sub(1)];
        let sealed = if lines.is_empty() {
            after.secret = SecretRef::None;
            SecretChange::Clear
        } else {
            after.secret = SecretRef::Sealed;
            SecretChange::Set(self.0.host.sealer()?.seal(&after, &secret)?)
        };
        let mut deed = Deed::new(action, format!("channel {id}"));
        deed.detail = serde_json::json!({"fingerprints": {"from": before, "to": prints}});
        let put = Change::PutChannel(Box::new(after), sealed, Expect::Version(version));
        self.write(actor, deed, vec![put], Seeds::new(), Then::Channels).await?;
        // Keys are known by their places, which now are others'.
        self.0.engine.mend(&id);
        Ok(())
    }
}

/// What tells the keys of a credential from others, in their order.
pub(super) fn fingerprints(secret: &Secret) -> Vec<String> {
    secret::lines(secret).into_iter().map(fingerprint).collect()
}

fn fingerprint(key: &str) -> String {
    let mut text = KeyHash::of(key).to_string();
    text.truncate(FINGERPRINT);
    text
}
