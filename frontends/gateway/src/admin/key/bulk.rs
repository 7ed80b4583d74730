//! Many keys at once: made, changed, given a new credential or removed. All of it in one transaction, or nothing; each with an
//! event of its own, so that whoever may read of a key reads what became of it.

use serde::{Deserialize, Serialize};
use sluicegate_core::{Error, ErrorKind, KeyId, Result, Secret};

use super::{IssuedKey, KeyPatch, KeyStep, NewKey, Regenerate};
use crate::admin::seed::Seeds;
use crate::admin::{Actor, Admin, Deed, Seen, Then, came_second, invalid, retried};
use crate::store::{Change, KeyRef};

/// No more keys are changed at once.
// BOUND: of one transaction, which others wait for.
const AT_ONCE: usize = 500;

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

/// A deed that could be done, and what is told of it then.
struct Prepared {
    step: KeyStep,
    outcome: &'static str,
    secret: Option<Secret>,
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
        if deeds.is_empty() || deeds.len() > AT_ONCE {
            return Err(invalid("items", format!("name 1 to {AT_ONCE} keys, in `items` or in `keys`")));
        }
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
        let (mut items, mut told, mut seen) = (Vec::new(), Vec::new(), Vec::new());
        let (mut steps, mut seeds): (Vec<(Deed, Vec<Change>)>, Seeds) = (Vec::new(), Seeds::new());
        for deed in deeds {
            let prepared = self.prepared_deed(actor, deed).await.and_then(|it| once_each(it, &mut seen));
            let (outcome, error, id) = match prepared {
                Ok(Prepared { outcome: outcome @ "same", step, .. }) => (outcome, None, Some(step.key.id)),
                Ok(it) => {
                    let id = it.step.key.id.clone();
                    steps.push((it.step.deed, it.step.changes));
                    seeds.extend(it.step.seeds);
                    told.push((items.len(), id.clone(), it.secret));
                    (it.outcome, None, Some(id))
                }
                Err(error) if matches!(error.kind(), ErrorKind::Store | ErrorKind::Internal) => {
                    return Err(error);
                }
                Err(error) => ("refused", Some(error), None),
            };
            let id = id.map(|id| id.to_string()).or_else(|| deed.name());
            items.push(KeyOutcome { id, outcome, error, issued: None });
        }
        if items.iter().any(|it| it.error.is_some()) {
            return Ok(KeysDone { done: false, items });
        }
        if !steps.is_empty()
            && let Err(error) = self.write_all(actor, steps, seeds, Then::Callers).await
        {
            return refused_by_one(error, items, &told);
        }
        for (at, id, secret) in told {
            if let (Some(secret), Some(item)) = (secret, items.get_mut(at)) {
                let view = self.key(actor, &KeyRef::Id(id)).await?;
                item.issued = Some(IssuedKey { secret, view });
            }
        }
        Ok(KeysDone { done: true, items })
    }

    async fn prepared_deed(&self, actor: &Actor, deed: &KeyDeed) -> Result<Prepared> {
        let seen = deed.etag.clone().map(|tag| Seen::Tags(vec![tag]));
        let actor = &actor.clone().having_seen(seen);
        let key = match &deed.key {
            Some(name) => Some(self.key_named(actor, name).await?),
            None => None,
        };
        match (&deed.create, key, &deed.set, &deed.regenerate, deed.delete) {
            (Some(new), None, None, None, false) => {
                let (step, secret) = self.new_key(actor, new.clone()).await?;
                Ok(Prepared { step, outcome: "created", secret: Some(secret) })
            }
            (None, Some(key), Some(patch), None, false) => {
                let (step, is_same) = self.changed_key(actor, &key, patch).await?;
                Ok(Prepared { step, outcome: if is_same { "same" } else { "changed" }, secret: None })
            }
            (None, Some(key), None, Some(how), false) => {
                let (step, secret) = self.regenerated_key(actor, &key, how).await?;
                Ok(Prepared { step, outcome: "regenerated", secret: Some(secret) })
            }
            (None, Some(key), None, None, true) => {
                let step = self.removed_key(actor, &key).await?;
                Ok(Prepared { step, outcome: "deleted", secret: None })
            }
            _ => Err(invalid(
                "items",
                "an item is either a key to `create`, or a `key` with one of `set`, `regenerate` and `delete`",
            )),
        }
    }
}

impl KeyDeed {
    /// What the key is called by who asks. What may be a credential isn't repeated.
    fn name(&self) -> Option<String> {
        let named = self.key.as_ref().or(self.create.as_ref().and_then(|new| new.alias.as_ref()))?;
        (!named.starts_with(crate::credential::PREFIX)).then(|| named.clone())
    }
}

/// Refuses to do two things with one key at once: the second would be decided on what the first has made of it.
fn once_each(prepared: Prepared, seen: &mut Vec<KeyId>) -> Result<Prepared> {
    let id = &prepared.step.key.id;
    if seen.contains(id) {
        return Err(invalid("items", format!("key `{id}` is named twice; say once what becomes of it")));
    }
    seen.push(id.clone());
    Ok(prepared)
}

/// The database has refused one of them, such as for an alias that is taken.
fn refused_by_one(
    error: Error,
    mut items: Vec<KeyOutcome>,
    told: &[(usize, KeyId, Option<Secret>)],
) -> Result<KeysDone> {
    let step = error.context().iter().find(|(name, _)| *name == "step");
    let step = step.and_then(|(_, number)| number.parse::<usize>().ok());
    let item = step.and_then(|step| told.get(step)).and_then(|(at, ..)| items.get_mut(*at));
    match item {
        Some(item) if error.kind() == ErrorKind::Conflict && !came_second(&error) => {
            (item.outcome, item.error) = ("refused", Some(error));
            Ok(KeysDone { done: false, items })
        }
        _ => Err(error),
    }
}
