//! Many keys at once: made, changed, given a new credential or removed; all of it, or nothing.

use serde::{Deserialize, Serialize};
use sluicegate_core::{Error, KeyId, Result, Secret};

use super::{IssuedKey, KeyPatch, KeyStep, NewKey, Regenerate};
use crate::admin::bulk::{Step, check_count};
use crate::admin::{Actor, Admin, Then, came_second, invalid, retried};
use crate::store::KeyRef;

/// What is to become of many keys.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KeyBulk {
    /// What is to be done, one key each.
    pub items: Vec<KeyDeed>,
    /// Keys with which all the same is to be done: by id, alias, hash or the key itself.
    pub keys: Vec<String>,
    /// What shall be different about `keys`.
    pub set: Option<KeyPatch>,
    /// Whether `keys` are removed.
    pub delete: bool,
}

/// What is to become of one key: one of `create`, `set`, `regenerate` and `delete`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KeyDeed {
    /// A key to be issued.
    pub create: Option<NewKey>,
    /// The key that is there: by id, alias, hash or the key itself.
    pub key: Option<String>,
    /// What shall be different.
    pub set: Option<KeyPatch>,
    /// That it gets a new credential, and how.
    pub regenerate: Option<Regenerate>,
    /// Whether it is removed.
    pub delete: bool,
    /// The tag of the state that this was decided on: another state is refused.
    pub etag: Option<String>,
}

/// What became of one key of many.
#[derive(Clone, Debug)]
pub struct KeyOutcome {
    /// Which: its id, or what it was named by.
    pub id: Option<String>,
    /// `created`, `changed`, `regenerated`, `deleted`, `same`; or `refused`, and then nothing was done to any.
    pub outcome: &'static str,
    /// Why it was refused.
    pub error: Option<Error>,
    /// A credential that was issued, and its key: shown this once.
    pub issued: Option<IssuedKey>,
}

/// What became of many keys: all of it, or nothing.
#[derive(Clone, Debug)]
pub struct KeysDone {
    /// Whether it was done.
    pub done: bool,
    /// One by one, in the order in which they were named.
    pub items: Vec<KeyOutcome>,
}

impl KeyBulk {
    /// What is to be done, one by one.
    fn deeds(self) -> Result<Vec<KeyDeed>> {
        let with_all = self.set.is_some() || self.delete;
        if with_all == self.keys.is_empty() || (self.set.is_some() && self.delete) {
            let message = "say of `keys` either what shall be different, as `set`, or `delete`";
            return Err(invalid("keys", message));
        }
        let mut deeds = self.items;
        deeds.extend(self.keys.into_iter().map(|key| KeyDeed {
            key: Some(key),
            set: self.set.clone(),
            delete: self.delete,
            ..KeyDeed::default()
        }));
        check_count(deeds.len(), "keys, in `items` or in `keys`")?;
        Ok(deeds)
    }
}

impl Admin {
    /// Does something with many keys in one step: all of it, or nothing.
    ///
    /// # Errors
    /// `InvalidRequest` when nothing is named to be done, or too much; `Store`. What single keys don't allow is in the answer.
    pub async fn change_keys(&self, actor: &Actor, bulk: KeyBulk) -> Result<KeysDone> {
        let deeds = bulk.deeds()?;
        retried(came_second, || self.try_change_keys(actor, &deeds)).await
    }

    async fn try_change_keys(&self, actor: &Actor, deeds: &[KeyDeed]) -> Result<KeysDone> {
        let (mut prepared, mut secrets) = (Vec::with_capacity(deeds.len()), Vec::with_capacity(deeds.len()));
        for deed in deeds {
            let (step, secret) = match self.prepared_deed(actor, deed).await {
                Ok((step, secret)) => (Ok(step), secret),
                Err(error) => (Err(error), None),
            };
            prepared.push((deed.name(), step));
            secrets.push(secret);
        }
        let (done, outcomes) = self.all_or_none(actor, "key", prepared, Then::Callers).await?;
        let mut items = Vec::with_capacity(outcomes.len());
        for (it, secret) in outcomes.into_iter().zip(secrets) {
            let issued = match (secret.filter(|_| done), &it.id) {
                (Some(secret), Some(id)) => {
                    let view = self.key(actor, &KeyRef::Id(KeyId::from(id.as_str()))).await?;
                    Some(IssuedKey { secret, view })
                }
                _ => None,
            };
            items.push(KeyOutcome { id: it.id, outcome: it.outcome, error: it.error, issued });
        }
        Ok(KeysDone { done, items })
    }

    async fn prepared_deed(&self, actor: &Actor, deed: &KeyDeed) -> Result<(Step, Option<Secret>)> {
        let actor = &actor.deciding_on(deed.etag.as_ref());
        let key = match &deed.key {
            Some(name) => Some(self.key_named(actor, name).await?),
            None => None,
        };
        match (&deed.create, key, &deed.set, &deed.regenerate, deed.delete) {
            (Some(new), None, None, None, false) => {
                let (step, secret) = self.new_key(actor, new.clone()).await?;
                Ok((step.told("created"), Some(secret)))
            }
            (None, Some(key), Some(patch), None, false) => {
                let (step, is_same) = self.changed_key(actor, &key, patch).await?;
                Ok((step.told(if is_same { "same" } else { "changed" }), None))
            }
            (None, Some(key), None, Some(how), false) => {
                let (step, secret) = self.regenerated_key(actor, &key, how).await?;
                Ok((step.told("regenerated"), Some(secret)))
            }
            (None, Some(key), None, None, true) => {
                Ok((self.removed_key(actor, &key).await?.told("deleted"), None))
            }
            _ => Err(invalid(
                "items",
                "an item is either a key to `create`, or a `key` with one of `set`, `regenerate` and `delete`",
            )),
        }
    }
}

impl KeyStep {
    /// As one step of several, and what is told of it.
    fn told(self, outcome: &'static str) -> Step {
        let Self { key, deed, changes, seeds } = self;
        Step { id: key.id.to_string(), deed, changes, seeds, outcome }
    }
}

impl KeyDeed {
    /// What the key is called by who asks. What may be a credential isn't repeated.
    fn name(&self) -> Option<String> {
        let named = self.key.as_ref().or(self.create.as_ref().and_then(|new| new.alias.as_ref()))?;
        (!named.starts_with(crate::credential::PREFIX)).then(|| named.clone())
    }
}
