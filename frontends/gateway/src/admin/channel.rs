//! Channels that live in the database. For super administrators: channels belong to the whole installation.

mod draft;
mod edit;
mod key;
mod trial;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sluicegate_core::edit::BodyEdit;
use sluicegate_core::tenant::Source;
use sluicegate_core::{
    Channel, ChannelId, Error, ErrorKind, Result, Scope, ScopeKind, Secret, SecretRef, Timestamp,
};

use super::access::{as_stored, check_id};
use super::named::{self, NamedKind, NamedScope};
use super::seed::Seeds;
use super::seen::etag;
use super::shared_credential::{self, credential_of};
use super::{Actor, Admin, Deed, LimitUse, Then, bound, forbidden, invalid, not_found};
pub use draft::ChannelDraft;
pub use edit::ChannelBulk;
pub use key::{ChannelKeyView, KeyPlace, NewChannelKeys};
pub use trial::{BalanceView, ChannelTrial, OfferedModel, TrialView};

use crate::credential;
use crate::secret;
use crate::store::{Change, Dimension, Expect, Owner, SecretChange, Stored, StoredChannel, Sums, Thing};

/// A channel to be made.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewChannel {
    /// The channel. An empty id stands for one to be made. Its `secret` must be none, or name an environment variable.
    pub channel: Channel,
    /// Its credential, to be sealed. Several lines are several keys.
    #[serde(default, skip_serializing)]
    pub secret: Option<Secret>,
    /// What another dialect made it of; kept beside it, and gone with it.
    #[serde(skip)]
    pub entry: Option<Map<String, Value>>,
}

/// A change to a channel.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelPatch {
    /// The channel as it shall be. Its id and where it was declared stay.
    pub channel: Channel,
    /// Its credential, to be sealed; an empty one removes it. Left out, the one it has stays; unless where the channel sends it,
    /// or how, has changed: then it must be entered again, so that it can't be sent to somebody else, or its variable named.
    #[serde(default, skip_serializing)]
    pub secret: Option<Secret>,
    /// What another dialect makes it of now; left out, what is kept stays.
    #[serde(skip)]
    pub entry: Option<Map<String, Value>>,
    /// Whether the credential that it has goes where no other one is entered.
    #[serde(skip)]
    pub revoke: bool,
}

/// A channel, as people see it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChannelView {
    /// The channel, without any credential.
    #[serde(flatten)]
    pub channel: Channel,
    /// Whether it has a credential, here or in an environment variable.
    pub has_secret: bool,
    /// The tag of its present state, for `if-match`.
    pub etag: String,
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
    /// `Forbidden`, also when the configuration keeps models to its file; `InvalidRequest`, `Conflict` when the id or name
    /// is taken, `Config` when the credential can't be sealed, `Store`.
    pub async fn create_channel(&self, actor: &Actor, new: NewChannel) -> Result<ChannelView> {
        only_super(actor)?;
        if !self.0.host.stores_models() {
            return Err(Error::new(
                ErrorKind::Forbidden,
                "models are kept to the configuration file here: declare the channel there, or set `store_models` (in a LiteLLM file `store_model_in_db`), or STORE_MODEL_IN_DB=true",
            ));
        }
        let now = self.now();
        let mut channel = new.channel;
        if channel.id.as_str().is_empty() {
            channel.id = ChannelId::from(credential::new_id(now)?);
        }
        check_id("id", channel.id.as_str())?;
        channel.source = Source::Database;
        channel.reserve_edits();
        self.check_channel(None, &channel).await?;
        let secret = self.seal(&mut channel, new.secret.as_ref())?.unwrap_or(SecretChange::Clear);
        let deed = Deed::new("channel.create", format!("channel {}", channel.id)).whole(&shown(&channel));
        let mut changes = vec![Change::PutChannel(Box::new(channel.clone()), secret, Expect::New)];
        changes.extend(kept_entry(&channel.id, new.entry)?);
        // One of this id may have been here before.
        let owner = Owner::Channel(channel.id.clone());
        let seeds = self.seeds(&owner, &[], &channel.limits).await?;
        self.write(actor, deed, changes, seeds, Then::Channels).await?;
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
    /// As [`create_channel`](Self::create_channel); `NotFound`; `Conflict` also when it is declared in a file; `InvalidRequest`
    /// also for another destination without the credential.
    pub async fn update_channel(
        &self,
        actor: &Actor,
        id: &ChannelId,
        patch: ChannelPatch,
    ) -> Result<ChannelView> {
        let stored = self.channel_to_change(actor, id).await?;
        self.update_stored(actor, stored, patch).await
    }

    async fn update_stored(
        &self,
        actor: &Actor,
        stored: StoredChannel,
        patch: ChannelPatch,
    ) -> Result<ChannelView> {
        let id = stored.channel.value.id.clone();
        let PatchedChannel { changes, seeds, deed, is_replaced } =
            self.patched_channel(stored, patch).await?;
        self.write(actor, deed, changes, seeds, Then::Channels).await?;
        if is_replaced {
            // What was known of the old credential says nothing of the new one.
            self.0.engine.mend(&id);
        }
        self.channel(actor, &id).await
    }

    /// The changes that a patch asks for, to be made together with others or by themselves.
    pub(super) async fn patched_channel(
        &self,
        stored: StoredChannel,
        patch: ChannelPatch,
    ) -> Result<PatchedChannel> {
        let before = &stored.channel.value;
        let id = &before.id;
        let mut after = Channel { id: before.id.clone(), source: Source::Database, ..patch.channel };
        uncover(&mut after, before)?;
        after.reserve_edits();
        self.check_channel(Some(before), &after).await?;
        let is_emptied = patch.secret.as_ref().is_some_and(|secret| secret.expose().is_empty());
        if is_emptied {
            // In a variable, too: who sends the whole channel sends that as they saw it.
            after.secret = SecretRef::None;
            after.more_keys.clear();
        }
        let removes = patch.revoke || is_emptied;
        if patch.secret.is_none() && !removes && !matches!(after.secret, SecretRef::Env(_)) {
            refuse_losing(before, &after)?;
        }
        let secret = match self.seal(&mut after, patch.secret.as_ref())? {
            Some(change) => change,
            None if removes || secret::destination(before)? != secret::destination(&after)? => {
                after.secret = SecretRef::None;
                after.more_keys.clear();
                SecretChange::Clear
            }
            None => {
                after.secret = before.secret.clone();
                after.more_keys.clone_from(&before.more_keys);
                SecretChange::Keep
            }
        };
        let deed =
            Deed::new("channel.update", format!("channel {id}")).changed(&shown(before), &shown(&after));
        let deed = self.with_credential(deed, &stored, &secret, patch.secret.as_ref());
        let deed = with_hidden(deed, before, &after);
        let is_replaced = matches!(secret, SecretChange::Set(_)) || after.secret != before.secret;
        let owner = Owner::Channel(id.clone());
        let seeds = self.seeds(&owner, &before.limits, &after.limits).await?;
        let mut changes = kept_entry(id, patch.entry)?;
        changes.push(Change::PutChannel(Box::new(after), secret, Expect::Version(stored.channel.version)));
        Ok(PatchedChannel { changes, seeds, deed, is_replaced })
    }

    /// Removes a channel and takes it out of use.
    ///
    /// # Errors
    /// As [`update_channel`](Self::update_channel).
    pub async fn delete_channel(&self, actor: &Actor, id: &ChannelId) -> Result<Channel> {
        let stored = self.channel_to_change(actor, id).await?.channel;
        let guard = actor.guard(id.into(), &stored);
        let channel = stored.value;
        let deed = Deed::new("channel.delete", format!("channel {id}")).whole(&shown(&channel));
        let gone = self.without_channel(id).await?;
        let changes = guard.into_iter().chain(gone).collect();
        self.write(actor, deed, changes, Seeds::new(), Then::Channels).await?;
        Ok(channel)
    }

    /// The changes by which a channel is gone, with what it was made of.
    async fn without_channel(&self, id: &ChannelId) -> Result<Vec<Change>> {
        let entry = NamedKind::Model.setting(id.as_str());
        let mut changes = vec![Change::DeleteChannel(id.clone())];
        if self.store().setting(&entry).await?.is_some() {
            changes.push(Change::DeleteSetting(entry));
        }
        Ok(changes)
    }

    pub(super) async fn channel_to_change(&self, actor: &Actor, id: &ChannelId) -> Result<StoredChannel> {
        only_super(actor)?;
        if let Some(declared) = self.declared_channel(|channel| channel.id == *id) {
            self.refuse_declared(Source::File, || format!("channel `{}`", declared.id))?;
        }
        let stored = self.store().channels().await?;
        let found = stored.into_iter().find(|it| it.channel.value.id == *id);
        let found = found.ok_or_else(|| not_found("channel", id.as_str()))?;
        actor.expects(&found.channel)?;
        Ok(found)
    }

    fn declared_channel(&self, wanted: impl Fn(&Channel) -> bool) -> Option<Channel> {
        let snapshot = self.0.engine.snapshot();
        snapshot.channels().iter().find(|channel| channel.source == Source::File && wanted(channel)).cloned()
    }

    async fn check_channel(&self, before: Option<&Channel>, channel: &Channel) -> Result<()> {
        bound::check(before, channel)?;
        if let Some(declared) = self.declared_channel(|it| it.id == channel.id || it.name == channel.name) {
            self.refuse_declared(Source::File, || format!("channel `{}`", declared.name))?;
        }
        if channel.endpoints.is_empty() {
            return Err(invalid("endpoints", "the channel has no endpoint; name a format and an address"));
        }
        if let Some(unfit) = channel.body_edits.iter().find_map(BodyEdit::unfit) {
            return Err(invalid("body_edits", format!("{}; {}", unfit.message, unfit.remedy)));
        }
        let stored = self.store().channels().await?;
        let taken =
            |it: &StoredChannel| it.channel.value.name == channel.name && it.channel.value.id != channel.id;
        if channel.name.is_empty() || stored.iter().any(taken) {
            let message = format!("a channel needs a name of its own; `{}` is empty or taken", channel.name);
            return Err(Error::new(ErrorKind::Conflict, message).with("param", "name"));
        }
        if let Some((name, _)) = channel.headers.iter().find(|(_, value)| *value == HIDDEN) {
            let message = format!("the header `{name}` has no value; enter it, since it isn't shown again");
            return Err(invalid("headers", message));
        }
        let is_inline = |key: &SecretRef| matches!(key, SecretRef::Inline(_));
        if is_inline(&channel.secret) || channel.more_keys.iter().any(is_inline) {
            return Err(invalid("secret", "give the credential beside the channel, not in it: it is sealed"));
        }
        refuse_own_variables(channel)
    }

    /// Seals a credential that was entered; `None` when none was, and no environment variable is named either.
    fn seal(&self, channel: &mut Channel, secret: Option<&Secret>) -> Result<Option<SecretChange>> {
        match (secret.filter(|secret| !secret.expose().is_empty()), &channel.secret) {
            (Some(secret), _) => {
                channel.secret = SecretRef::Sealed;
                // BOUND: the body's size bounds the lines.
                channel.more_keys = vec![SecretRef::Sealed; secret::lines(secret).len().saturating_sub(1)];
                let sealed = self.0.host.sealer()?.seal(channel, secret)?;
                Ok(Some(SecretChange::Set(sealed)))
            }
            (None, SecretRef::Env(_)) => {
                channel.more_keys.retain(|key| matches!(key, SecretRef::Env(_)));
                Ok(Some(SecretChange::Clear))
            }
            (None, _) => {
                channel.secret = SecretRef::None;
                Ok(None)
            }
        }
    }

    /// What an event tells of a credential that is another now: never the credential.
    fn with_credential(
        &self,
        deed: Deed,
        stored: &StoredChannel,
        change: &SecretChange,
        entered: Option<&Secret>,
    ) -> Deed {
        if matches!(change, SecretChange::Keep) {
            return deed;
        }
        // One that can't be opened any more has none to tell.
        let before = self.opened(stored).ok().flatten();
        let prints = |secret: Option<&Secret>| secret.map(key::fingerprints).unwrap_or_default();
        let entered = entered.filter(|_| matches!(change, SecretChange::Set(_)));
        let (from, to) = (prints(before.as_ref()), prints(entered));
        let what = match (change, &stored.secret) {
            (SecretChange::Keep, _) | (SecretChange::Clear, None) => return deed,
            (SecretChange::Clear, Some(_)) => "removed",
            (SecretChange::Set(_), None) => "set",
            (SecretChange::Set(_), Some(_)) if from == to => "entered again",
            (SecretChange::Set(_), Some(_)) => "replaced",
        };
        deed.with("credential", what).with("fingerprints", serde_json::json!({"from": from, "to": to}))
    }

    fn channel_view(&self, stored: &StoredChannel, used: Sums) -> ChannelView {
        let channel = stored.channel.value.clone();
        let limit_states =
            self.limit_states(Scope::new(ScopeKind::Channel, channel.id.as_str()), &channel.limits);
        let it: &Stored<Channel> = &stored.channel;
        ChannelView {
            has_secret: channel.secret != SecretRef::None,
            channel: shown(&channel),
            etag: etag(it),
            created_by: it.created_by.clone(),
            updated_at: it.updated_at,
            updated_by: it.updated_by.clone(),
            used,
            limit_states,
        }
    }
}

/// A change to a channel, ready to be made.
pub(super) struct PatchedChannel {
    pub(super) changes: Vec<Change>,
    pub(super) seeds: Seeds,
    deed: Deed,
    /// Whether it has another credential.
    pub(super) is_replaced: bool,
}

/// The change by which what a channel was made of is kept.
fn kept_entry(id: &ChannelId, entry: Option<Map<String, Value>>) -> Result<Vec<Change>> {
    match entry {
        None => Ok(Vec::new()),
        // What a channel of this id was made of before is nobody's any more.
        Some(metadata) => {
            let entry = NamedScope { metadata, ..NamedScope::default() };
            // A credential may be removed at the same time.
            let named = credential_of(&entry).map(shared_credential::setting);
            let mut changes: Vec<Change> =
                named.into_iter().map(|name| Change::ExpectThere(Thing::Setting(name))).collect();
            changes.push(named::put(NamedKind::Model, id.as_str(), &entry, Expect::Any)?);
            Ok(changes)
        }
    }
}

/// What stands in the place of what isn't shown.
const HIDDEN: &str = "…";

/// A channel as it may be shown: headers, and a proxy's address, may hold credentials, too.
fn shown(channel: &Channel) -> Channel {
    let mut channel = channel.clone();
    channel.headers.values_mut().for_each(|value| HIDDEN.clone_into(value));
    channel.transport.proxy = channel.transport.proxy.as_deref().map(shown_proxy);
    channel
}

/// What an event tells of changes to what isn't shown: where they are.
fn with_hidden(mut deed: Deed, before: &Channel, after: &Channel) -> Deed {
    let is_other =
        |(name, value): &(&String, &String)| before.headers.get(*name).is_some_and(|was| was != *value);
    let names: Vec<&String> = after.headers.iter().filter(is_other).map(|(name, _)| name).collect();
    if !names.is_empty() {
        deed = deed.with("header_values", serde_json::json!(names));
    }
    let address = |it: &Channel| it.transport.proxy.as_deref().map(shown_proxy);
    match address(before) == address(after) && before.transport.proxy != after.transport.proxy {
        true => deed.with("proxy_credential", "replaced"),
        false => deed,
    }
}

/// An address without the user and password that it may name.
fn shown_proxy(address: &str) -> String {
    let start = address.find("://").map_or(0, |at| at + 3);
    let (scheme, rest) = address.split_at(start);
    let authority = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest.get(..authority).and_then(|authority| authority.rfind('@')) {
        Some(at) => format!("{scheme}{HIDDEN}{}", rest.get(at..).unwrap_or_default()),
        None => address.to_owned(),
    }
}

/// Refuses a change that would silently cost the channel its credential, which is never sent elsewhere than it was meant for.
fn refuse_losing(before: &Channel, after: &Channel) -> Result<()> {
    if before.secret == SecretRef::None || secret::destination(before)? == secret::destination(after)? {
        return Ok(());
    }
    let message = "a new address, authentication or transport needs the credential again: give it, name its variable as `{\"env\": \"NAME\"}`, or give an empty text to remove it";
    Err(invalid("secret", message))
}

/// Puts back what [`shown`] hid: who changes one thing of a channel sends the rest as they saw it. Not for another
/// destination: what was meant for the old one must be entered again.
fn uncover(after: &mut Channel, before: &Channel) -> Result<()> {
    let hidden = before.transport.proxy.as_deref().map(shown_proxy);
    if after.transport.proxy == hidden {
        after.transport.proxy.clone_from(&before.transport.proxy);
    }
    if secret::destination(before)? == secret::destination(after)? {
        for (name, value) in after.headers.iter_mut().filter(|(_, value)| *value == HIDDEN) {
            if let Some(known) = before.headers.get(name) {
                value.clone_from(known);
            }
        }
    }
    Ok(())
}

/// Whether a variable of the environment is one that the gateway itself is set up by.
fn is_own_variable(name: &str) -> bool {
    name.starts_with("SLUICEGATE_")
        || ["DATABASE_URL", "LITELLM_MASTER_KEY", "LITELLM_SALT_KEY"].contains(&name)
}

/// Refuses channels that would be sent what opens the gateway itself.
fn refuse_own_variables(channel: &Channel) -> Result<()> {
    let named = std::iter::once(&channel.secret).chain(&channel.more_keys).find_map(|key| match key {
        SecretRef::Env(name) if is_own_variable(name) => Some(name),
        _ => None,
    });
    named.map_or(Ok(()), |name| Err(invalid("secret", of_gateway(name))))
}

fn of_gateway(name: &str) -> String {
    format!("`{name}` is the gateway's own; a channel's credential needs a variable of its own")
}

fn only_super(actor: &Actor) -> Result<()> {
    match actor.is_super() {
        true => Ok(()),
        false => Err(forbidden("see or change channels")),
    }
}
