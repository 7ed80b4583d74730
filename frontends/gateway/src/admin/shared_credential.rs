//! Credentials that several channels share by name, as LiteLLM's do. They are kept sealed; each channel that names one holds what
//! it says under its own seal, so that calls need nobody but the channel.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sluicegate_core::{ChannelId, Error, ErrorKind, Result, Retry, Secret};

use super::access::check_id;
use super::channel::{ChannelPatch, PatchedChannel};
use super::named::{NamedKind, NamedScope};
use super::seed::Seeds;
use super::seen::etag;
use super::{Actor, Admin, Deed, Then, came_second, forbidden, invalid, not_found, retried};
use crate::store::{Change, Expect, Stored, Thing};

/// A credential that channels share.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SharedCredential {
    /// What isn't secret of it: where it is sent, a version, a region.
    pub values: Map<String, Value>,
    /// The names of what is secret of it.
    pub secrets: Vec<String>,
    /// Free data.
    pub info: Map<String, Value>,
    /// Its secret values, sealed.
    #[serde(skip_serializing_if = "Option::is_none")]
    sealed: Option<String>,
}

/// A change to a credential, and what the channels that name it become by it.
pub struct CredentialChange {
    /// What isn't secret of it.
    pub values: Map<String, Value>,
    /// What is.
    pub secrets: Map<String, Value>,
    /// Free data.
    pub info: Map<String, Value>,
    /// The channels that name it, each with the tag of the state that it was worked out from, as they shall be.
    pub channels: Vec<(ChannelId, String, ChannelPatch)>,
}

/// The setting that holds one.
pub(super) fn setting(name: &str) -> String {
    format!("credential/{name}")
}

/// Where a model's entry says by name which credential it has.
const NAMED_AT: &str = "/metadata/litellm_params/litellm_credential_name";

/// The credential that a model's entry names.
pub(super) fn credential_of(entry: &NamedScope) -> Option<&str> {
    entry.metadata.get("litellm_params")?.get("litellm_credential_name")?.as_str()
}

/// Models' entries, by the model's id.
type Entries = Vec<(String, Stored<NamedScope>)>;

fn purpose(name: &str) -> String {
    format!("credential\0{name}")
}

impl Admin {
    /// Every credential, by name.
    ///
    /// # Errors
    /// `Forbidden`, `Store`.
    pub async fn shared_credentials(&self, actor: &Actor) -> Result<Vec<(String, Stored<SharedCredential>)>> {
        only_super(actor)?;
        let mut all = Vec::new();
        for (setting, stored) in self.store().settings().await? {
            if let Some(name) = setting.strip_prefix("credential/") {
                all.push((name.to_owned(), read(stored)?));
            }
        }
        Ok(all)
    }

    /// One of them.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`, `Store`.
    pub async fn shared_credential(&self, actor: &Actor, name: &str) -> Result<Stored<SharedCredential>> {
        only_super(actor)?;
        let stored = self.store().setting(&setting(name)).await?;
        stored.map(read).transpose()?.ok_or_else(|| not_found("credential", name))
    }

    /// What a credential says, its secrets included: for channels that are made of it. Nobody is answered it.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`, `Store`; `Config` when it was sealed under another master secret.
    pub async fn opened_credential(&self, actor: &Actor, name: &str) -> Result<Map<String, Value>> {
        let it = self.shared_credential(actor, name).await?.value;
        let mut all = it.values.clone();
        all.extend(self.open(name, &it)?);
        Ok(all)
    }

    /// The secret values of one.
    ///
    /// # Errors
    /// `Config` when it was sealed under another master secret.
    fn open(&self, name: &str, it: &SharedCredential) -> Result<Map<String, Value>> {
        let Some(sealed) = &it.sealed else { return Ok(Map::new()) };
        let opened = self.0.host.sealer()?.open_text(&purpose(name), sealed);
        let values = opened.and_then(|secret| serde_json::from_str(secret.expose()).ok());
        values.ok_or_else(|| {
            let message = format!(
                "the credential `{name}` can't be opened: the master secret isn't the one it was sealed under; enter it again"
            );
            Error::new(ErrorKind::Config, message)
        })
    }

    /// Makes a credential.
    ///
    /// # Errors
    /// `Forbidden`, `InvalidRequest`, `Conflict` when the name is taken, `Config` when it can't be sealed, `Store`.
    pub async fn create_credential(
        &self,
        actor: &Actor,
        name: &str,
        new: CredentialChange,
    ) -> Result<Stored<SharedCredential>> {
        only_super(actor)?;
        check_id("credential_name", name)?;
        if self.store().setting(&setting(name)).await?.is_some() {
            let message = format!("there is a credential `{name}` already");
            return Err(Error::new(ErrorKind::Conflict, message).with("param", "credential_name"));
        }
        let it = self.sealed(name, &new)?;
        let deed = Deed::new("channel.credential", format!("credential {name}")).whole(&told(&it));
        let put = put(name, &it, Expect::New)?;
        self.write(actor, deed, vec![put], Seeds::new(), Then::Nothing).await?;
        self.shared_credential(actor, name).await
    }

    /// Changes a credential and every channel that has it, in one step.
    ///
    /// # Errors
    /// As [`create_credential`](Self::create_credential); `NotFound`; what a channel doesn't allow.
    pub async fn update_credential(
        &self,
        actor: &Actor,
        name: &str,
        before: &Stored<SharedCredential>,
        change: CredentialChange,
    ) -> Result<Stored<SharedCredential>> {
        only_super(actor)?;
        actor.expects(before)?;
        let it = self.sealed(name, &change)?;
        let mut deed = Deed::new("channel.credential", format!("credential {name}"))
            .changed(&told(&before.value), &told(&it));
        // One that can't be opened any more is another now, whatever it was.
        let was = self.open(name, &before.value).unwrap_or_default();
        let is_other = |(secret, value): &(&String, &Value)| {
            before.value.secrets.contains(secret) && was.get(*secret) != Some(value)
        };
        let replaced: Vec<&String> = change.secrets.iter().filter(is_other).map(|(name, _)| name).collect();
        if !replaced.is_empty() {
            deed = deed.with("replaced", serde_json::json!(replaced));
        }
        let mut changes = vec![put(name, &it, Expect::Version(before.version))?];
        let (mut seeds, mut told_of, mut mended) = (Seeds::new(), Vec::new(), Vec::new());
        for (id, seen, patch) in change.channels {
            let stored = self.channel_to_change(actor, &id).await?;
            if etag(&stored.channel) != seen {
                let message = format!("channel `{id}` was changed meanwhile; try again");
                return Err(Error::new(ErrorKind::Conflict, message).with_retry(Retry::Now));
            }
            let PatchedChannel { changes: one, seeds: more, is_replaced, .. } =
                self.patched_channel(stored, patch).await?;
            changes.extend(one);
            seeds.extend(more);
            told_of.push(id.clone());
            if is_replaced {
                mended.push(id);
            }
        }
        if let Value::Object(detail) = &mut deed.detail {
            detail.insert("channels".to_owned(), serde_json::json!(told_of));
        }
        self.write(actor, deed, changes, seeds, Then::Channels).await?;
        // What was known of the old credential says nothing of the new one.
        mended.iter().for_each(|id| self.0.engine.mend(id));
        self.shared_credential(actor, name).await
    }

    /// Removes a credential that no channel names.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`, `Conflict` naming who still has it, `Store`.
    pub async fn delete_credential(&self, actor: &Actor, name: &str) -> Result<()> {
        retried(came_second, || self.try_delete_credential(actor, name)).await
    }

    async fn try_delete_credential(&self, actor: &Actor, name: &str) -> Result<()> {
        let stored = self.shared_credential(actor, name).await?;
        actor.expects(&stored)?;
        let (naming, left) = self.entries_that_name(actor, name).await?;
        if let Some((model, _)) = naming.first() {
            let message = format!("model `{model}` still has credential `{name}`; give it another one first");
            return Err(Error::new(ErrorKind::Conflict, message));
        }
        let deed = Deed::new("channel.credential", format!("credential {name}")).whole(&told(&stored.value));
        let guard = actor.guard(Thing::Setting(setting(name)), &stored);
        // A model that is given it at the same time would be left without one.
        let unnamed = Change::ExpectUnnamed {
            within: &["model/"],
            at: NAMED_AT,
            name: name.to_owned(),
            besides: left.iter().map(|(model, _)| NamedKind::Model.setting(model)).collect(),
        };
        let changes = guard.into_iter().chain([unnamed, Change::DeleteSetting(setting(name))]).collect();
        self.write(actor, deed, changes, Seeds::new(), Then::Nothing).await.map(drop)
    }

    /// The entries of models that name a credential, by the model's id. What is left of a channel that is gone holds nobody up.
    ///
    /// # Errors
    /// `Forbidden`, `Store`.
    pub async fn entries_naming(&self, actor: &Actor, credential: &str) -> Result<Entries> {
        self.entries_that_name(actor, credential).await.map(|(naming, _)| naming)
    }

    /// The same, and those that are left of channels that are gone.
    async fn entries_that_name(&self, actor: &Actor, credential: &str) -> Result<(Entries, Entries)> {
        let mut all = self.all_named(actor, NamedKind::Model).await?;
        all.retain(|(_, it)| credential_of(&it.value) == Some(credential));
        let channels = self.store().channels().await?;
        let is_there = |id: &str| channels.iter().any(|known| known.channel.value.id.as_str() == id);
        Ok(all.into_iter().partition(|(id, _)| is_there(id)))
    }

    /// The changes by which every credential is sealed under another master secret.
    pub(super) async fn resealed_credentials(&self, new: &crate::secret::Sealer) -> Result<Vec<Change>> {
        let mut changes = Vec::new();
        for (setting, stored) in self.store().settings().await? {
            let Some(name) = setting.strip_prefix("credential/") else { continue };
            let Stored { value: mut it, version, .. } = read(stored)?;
            let secrets = self.open(name, &it)?;
            if !secrets.is_empty() {
                let text = Secret::new(Value::Object(secrets).to_string());
                it.sealed = Some(new.seal_text(&purpose(name), &text)?);
                changes.push(put(name, &it, Expect::Version(version))?);
            }
        }
        Ok(changes)
    }

    fn sealed(&self, name: &str, change: &CredentialChange) -> Result<SharedCredential> {
        if change.values.is_empty() && change.secrets.is_empty() {
            return Err(invalid("credential_values", "a credential without values is none; give `api_key`"));
        }
        let sealed = match change.secrets.is_empty() {
            true => None,
            false => {
                let text = Secret::new(Value::Object(change.secrets.clone()).to_string());
                Some(self.0.host.sealer()?.seal_text(&purpose(name), &text)?)
            }
        };
        Ok(SharedCredential {
            values: change.values.clone(),
            secrets: change.secrets.keys().cloned().collect(),
            info: change.info.clone(),
            sealed,
        })
    }
}

/// What the audit trail is told of one: nothing sealed, either.
fn told(it: &SharedCredential) -> SharedCredential {
    SharedCredential { sealed: None, ..it.clone() }
}

fn put(name: &str, it: &SharedCredential, expect: Expect) -> Result<Change> {
    let value = serde_json::to_value(it).map_err(|why| {
        Error::new(ErrorKind::Internal, "a credential couldn't be written").with_source(why)
    })?;
    Ok(Change::PutSetting(setting(name), value, expect))
}

fn read(stored: Stored<Value>) -> Result<Stored<SharedCredential>> {
    let Stored { value, version, created_at, created_by, updated_at, updated_by } = stored;
    let value = serde_json::from_value(value)
        .map_err(|why| Error::new(ErrorKind::Store, "a stored credential can't be read").with_source(why))?;
    Ok(Stored { value, version, created_at, created_by, updated_at, updated_by })
}

fn only_super(actor: &Actor) -> Result<()> {
    if actor.is_super() { Ok(()) } else { Err(forbidden("see or change credentials")) }
}
