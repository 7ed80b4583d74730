//! Channels that live in the database. For super administrators: channels belong to the whole installation.

use serde::{Deserialize, Serialize};
use sluicegate_core::tenant::Source;
use sluicegate_core::{
    Channel, ChannelId, Error, ErrorKind, Result, Scope, ScopeKind, Secret, SecretRef, Timestamp,
};

use super::access::{as_stored, check_id, check_limits};
use super::{Actor, Admin, Deed, LimitUse, forbidden, invalid, not_found};
use crate::credential;
use crate::secret;
use crate::store::{Change, Dimension, Expect, Owner, SecretChange, Stored, StoredChannel, Sums};

/// A channel to be made.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewChannel {
    /// The channel. An empty id stands for one to be made. Its `secret` must be none, or name an environment variable.
    pub channel: Channel,
    /// Its credential, to be sealed.
    #[serde(default, skip_serializing)]
    pub secret: Option<Secret>,
}

/// A change to a channel.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelPatch {
    /// The channel as it shall be. Its id and where it was declared stay.
    pub channel: Channel,
    /// Its credential, to be sealed. Left out, the one it has stays; unless where the channel sends it, or how, has
    /// changed: then it must be entered again, so that it can't be sent to somebody else.
    #[serde(default, skip_serializing)]
    pub secret: Option<Secret>,
}

/// A channel, as people see it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChannelView {
    /// The channel, without any credential.
    #[serde(flatten)]
    pub channel: Channel,
    /// Whether it has a credential, here or in an environment variable.
    pub has_secret: bool,
    /// Who created it.
    pub created_by: String,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Who changed it last.
    pub updated_by: String,
    /// What was used of it in all; its cost is at list prices.
    pub used: Sums,
    /// How its limits stand.
    pub limit_states: Vec<LimitUse>,
}

impl Admin {
    /// Makes a channel and takes it into use.
    ///
    /// # Errors
    /// `Forbidden`, also where the database takes no channels; `InvalidRequest`, `Conflict` when the id or name is taken, `Config` when the credential can't be
    /// sealed, `Store`.
    pub async fn create_channel(&self, actor: &Actor, new: NewChannel) -> Result<ChannelView> {
        only_super(actor)?;
        if !self.0.host.takes_channels() {
            let message = "the database takes no channels here: `store_models` is false; set STORE_MODEL_IN_DB=true, or \
                           write the channel into the file";
            return Err(Error::new(ErrorKind::Forbidden, message));
        }
        let now = self.now();
        let mut channel = new.channel;
        if channel.id.as_str().is_empty() {
            channel.id = ChannelId::from(credential::new_id(now)?);
        }
        check_id("id", channel.id.as_str())?;
        channel.source = Source::Database;
        self.check_channel(&channel).await?;
        let secret = self.seal(&mut channel, new.secret.as_ref())?.unwrap_or(SecretChange::Clear);
        let deed = Deed::new("channel.create", format!("channel {}", channel.id)).whole(&shown(&channel));
        self.commit(actor, deed, vec![Change::PutChannel(channel.clone(), secret, Expect::New)]).await?;
        self.0.host.reload().await?;
        self.channel(actor, &channel.id).await
    }

    /// A channel.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`, `Store`.
    pub async fn channel(&self, actor: &Actor, id: &ChannelId) -> Result<ChannelView> {
        let all = self.channels(actor).await?;
        all.into_iter().find(|view| view.channel.id == *id).ok_or_else(|| not_found("channel", id.as_str()))
    }

    /// Every channel, declared ones first.
    ///
    /// # Errors
    /// `Forbidden`, `Store`.
    pub async fn channels(&self, actor: &Actor) -> Result<Vec<ChannelView>> {
        only_super(actor)?;
        let snapshot = self.0.engine.snapshot();
        let declared = snapshot.channels().iter().filter(|channel| channel.source == Source::File);
        let mut all: Vec<StoredChannel> = declared
            .map(|it| StoredChannel { channel: as_stored(it.clone(), Timestamp::default()), secret: None })
            .collect();
        let stored = self.store().channels().await?;
        all.extend(stored);
        let ids: Vec<&str> = all.iter().map(|it| it.channel.value.id.as_str()).collect();
        let totals = self.store().totals(Dimension::Channel, &ids).await?;
        let view = |stored: &StoredChannel| {
            let used = totals.get(stored.channel.value.id.as_str()).copied().unwrap_or_default();
            self.channel_view(stored, used)
        };
        Ok(all.iter().map(view).collect())
    }

    /// Changes a channel and takes it into use.
    ///
    /// # Errors
    /// As [`create_channel`](Self::create_channel); `NotFound`; `Conflict` also when it is declared in a file.
    pub async fn update_channel(
        &self,
        actor: &Actor,
        id: &ChannelId,
        patch: ChannelPatch,
    ) -> Result<ChannelView> {
        let stored = self.channel_to_change(actor, id).await?;
        let before = &stored.channel.value;
        let mut after = Channel { id: before.id.clone(), source: Source::Database, ..patch.channel };
        self.check_channel(&after).await?;
        let moved = secret::destination(before)? != secret::destination(&after)?;
        let secret = match self.seal(&mut after, patch.secret.as_ref())? {
            Some(change) => change,
            None if moved => {
                after.secret = SecretRef::None;
                SecretChange::Clear
            }
            None => {
                after.secret = before.secret.clone();
                SecretChange::Keep
            }
        };
        let deed =
            Deed::new("channel.update", format!("channel {id}")).changed(&shown(before), &shown(&after));
        let put = Change::PutChannel(after.clone(), secret, Expect::Version(stored.channel.version));
        let owner = Owner::Channel(id.clone());
        self.commit_limits(actor, deed, vec![put], &owner, (&before.limits, &after.limits)).await?;
        self.0.host.reload().await?;
        self.channel(actor, id).await
    }

    /// Removes a channel and takes it out of use.
    ///
    /// # Errors
    /// As [`update_channel`](Self::update_channel).
    pub async fn delete_channel(&self, actor: &Actor, id: &ChannelId) -> Result<Channel> {
        let channel = self.channel_to_change(actor, id).await?.channel.value;
        let deed = Deed::new("channel.delete", format!("channel {id}")).whole(&shown(&channel));
        self.commit(actor, deed, vec![Change::DeleteChannel(id.clone())]).await?;
        self.0.host.reload().await?;
        Ok(channel)
    }

    /// Seals every channel's credential anew under another master secret. The gateway must then be started with that
    /// one. Returns how many were sealed.
    ///
    /// # Errors
    /// `Forbidden`; `Config` naming the first channel whose credential can't be opened: then nothing has changed.
    pub async fn reseal_channels(&self, actor: &Actor, new: &secret::MasterSecret) -> Result<usize> {
        only_super(actor)?;
        let (old, new) = (self.0.host.sealer()?, new.sealer());
        let mut changes = Vec::new();
        for stored in self.store().channels().await? {
            if let Some(sealed) = &stored.secret {
                let channel = stored.channel.value;
                let sealed = SecretChange::Set(old.reseal(&channel, sealed, &new)?);
                changes.push(Change::PutChannel(channel, sealed, Expect::Version(stored.channel.version)));
            }
        }
        let count = changes.len();
        self.commit(actor, Deed::new("channel.reseal", "all channels".to_owned()), changes).await?;
        Ok(count)
    }

    async fn channel_to_change(&self, actor: &Actor, id: &ChannelId) -> Result<StoredChannel> {
        only_super(actor)?;
        if let Some(declared) = self.declared_channel(|channel| channel.id == *id) {
            self.refuse_declared(Source::File, || format!("channel `{}`", declared.id))?;
        }
        let stored = self.store().channels().await?;
        stored
            .into_iter()
            .find(|it| it.channel.value.id == *id)
            .ok_or_else(|| not_found("channel", id.as_str()))
    }

    fn declared_channel(&self, wanted: impl Fn(&Channel) -> bool) -> Option<Channel> {
        let snapshot = self.0.engine.snapshot();
        snapshot.channels().iter().find(|channel| channel.source == Source::File && wanted(channel)).cloned()
    }

    async fn check_channel(&self, channel: &Channel) -> Result<()> {
        check_limits(&channel.limits)?;
        if let Some(declared) = self.declared_channel(|it| it.id == channel.id || it.name == channel.name) {
            self.refuse_declared(Source::File, || format!("channel `{}`", declared.name))?;
        }
        if channel.endpoints.is_empty() {
            return Err(invalid("endpoints", "the channel has no endpoint; name a format and an address"));
        }
        let stored = self.store().channels().await?;
        let taken =
            |it: &StoredChannel| it.channel.value.name == channel.name && it.channel.value.id != channel.id;
        if channel.name.is_empty() || stored.iter().any(taken) {
            let message = format!("a channel needs a name of its own; `{}` is empty or taken", channel.name);
            return Err(Error::new(ErrorKind::Conflict, message).with("param", "name"));
        }
        if matches!(channel.secret, SecretRef::Inline(_)) {
            return Err(invalid("secret", "give the credential beside the channel, not in it: it is sealed"));
        }
        Ok(())
    }

    /// Seals a credential that was entered; `None` when none was, and no environment variable is named either.
    fn seal(&self, channel: &mut Channel, secret: Option<&Secret>) -> Result<Option<SecretChange>> {
        match (secret.filter(|secret| !secret.expose().is_empty()), &channel.secret) {
            (Some(secret), _) => {
                channel.secret = SecretRef::Sealed;
                let sealed = self.0.host.sealer()?.seal(channel, secret)?;
                Ok(Some(SecretChange::Set(sealed)))
            }
            (None, SecretRef::Env(_)) => Ok(Some(SecretChange::Clear)),
            (None, _) => {
                channel.secret = SecretRef::None;
                Ok(None)
            }
        }
    }

    fn channel_view(&self, stored: &StoredChannel, used: Sums) -> ChannelView {
        let channel = stored.channel.value.clone();
        let limit_states =
            self.limit_states(Scope::new(ScopeKind::Channel, channel.id.as_str()), &channel.limits);
        let it: &Stored<Channel> = &stored.channel;
        ChannelView {
            has_secret: channel.secret != SecretRef::None,
            channel: shown(&channel),
            created_by: it.created_by.clone(),
            updated_at: it.updated_at,
            updated_by: it.updated_by.clone(),
            used,
            limit_states,
        }
    }
}

/// A channel as it may be shown: headers may hold credentials, too.
fn shown(channel: &Channel) -> Channel {
    let mut channel = channel.clone();
    channel.headers.values_mut().for_each(|value| "…".clone_into(value));
    channel
}

fn only_super(actor: &Actor) -> Result<()> {
    match actor.is_super() {
        true => Ok(()),
        false => Err(forbidden("see or change channels")),
    }
}
