//! Changing parts of channels: of one, or of many at once.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sluicegate_core::{Channel, ChannelId, ErrorKind, Result, Secret, SecretRef};

use super::super::bulk::{BulkItem, BulkView};
use super::super::seed::Seeds;
use super::super::{Actor, Admin, Deed, Then, came_second, invalid, retried};
use super::{ChannelPatch, ChannelView, only_super, shown, with_hidden};
use crate::secret;
use crate::store::{Change, Expect, Owner, SecretChange, StoredChannel};

/// No more channels are changed at once.
// BOUND: of one transaction.
const AT_ONCE: usize = 1_000;

/// A change to many channels: those named, or those with a tag.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChannelBulk {
    /// The channels, by id.
    pub ids: Vec<ChannelId>,
    /// Channels with this tag, besides.
    pub tag: Option<String>,
    /// What shall be different, as in a change to one channel.
    pub set: Map<String, Value>,
    /// Tags that they shall have, besides their own.
    pub add_tags: Vec<String>,
    /// Tags that they shall not have.
    pub remove_tags: Vec<String>,
    /// Whether they are removed.
    pub delete: bool,
}

impl Admin {
    /// Changes some fields of a channel; others stay, whoever changes them at the same time.
    ///
    /// # Errors
    /// As [`update_channel`](Self::update_channel); `InvalidRequest` for a field that isn't there, with the nearest that is.
    pub async fn edit_channel(
        &self,
        actor: &Actor,
        id: &ChannelId,
        mut edit: Map<String, Value>,
    ) -> Result<ChannelView> {
        let given = Given::read(edit.remove("secret"))?;
        retried(came_second, || async {
            let stored = self.channel_to_change(actor, id).await?;
            let mut channel = self.edited(&stored.channel.value, &edit)?;
            let secret = given.clone().put(&stored.channel.value, &mut channel)?;
            let patch = ChannelPatch { channel, secret, entry: None, revoke: false };
            self.update_stored(actor, stored, patch).await
        })
        .await
    }

    /// Changes many channels in one step: all of them, or none.
    ///
    /// # Errors
    /// `Forbidden`; `InvalidRequest` when no channel or no change is named; `Store`. What single channels don't allow is in
    /// the answer.
    pub async fn edit_channels(&self, actor: &Actor, bulk: &ChannelBulk) -> Result<BulkView> {
        only_super(actor)?;
        let changes_tags = !bulk.add_tags.is_empty() || !bulk.remove_tags.is_empty();
        if bulk.delete != (bulk.set.is_empty() && !changes_tags) {
            return Err(invalid("set", "say either what shall be different, or `delete`"));
        }
        if bulk.set.contains_key("name") {
            return Err(invalid("set", "a name is one channel's; change it there"));
        }
        let (mut items, mut changes, mut seeds, mut detail) =
            (Vec::new(), Vec::new(), Seeds::new(), Map::new());
        let mut refused = false;
        for (id, stored) in self.picked(actor, bulk).await? {
            let prepared = match stored {
                Ok(stored) => self.prepared(bulk, stored).await,
                Err(error) => Err(error),
            };
            let (outcome, message) = match prepared {
                Ok(None) => ("same", None),
                Ok(Some(one)) => {
                    changes.extend(one.changes);
                    seeds.extend(one.seeds);
                    detail.insert(id.to_string(), one.detail);
                    (if bulk.delete { "deleted" } else { "changed" }, None)
                }
                Err(error) if error.kind() == ErrorKind::Store => return Err(error),
                Err(error) => {
                    refused = true;
                    ("refused", Some(error.message().to_owned()))
                }
            };
            items.push(BulkItem { id: id.to_string(), outcome, message });
        }
        if refused {
            return Ok(BulkView { done: false, items });
        }
        if !changes.is_empty() {
            let action = if bulk.delete { "channel.delete" } else { "channel.update" };
            let target = match &bulk.tag {
                Some(tag) => format!("channels tagged {tag}"),
                None => format!("{} channels", detail.len()),
            };
            let deed = Deed { detail: Value::Object(detail), ..Deed::new(action, target) };
            self.write(actor, deed, changes, seeds, Then::Channels).await?;
        }
        Ok(BulkView { done: true, items })
    }

    /// The channels that are meant, each once, and those that can't be changed with why.
    async fn picked(
        &self,
        actor: &Actor,
        bulk: &ChannelBulk,
    ) -> Result<Vec<(ChannelId, Result<StoredChannel>)>> {
        let mut ids: Vec<ChannelId> = Vec::new();
        let tagged = |channel: &Channel| bulk.tag.as_ref().is_some_and(|tag| channel.tags.contains(tag));
        let snapshot = self.0.engine.snapshot();
        let by_tag = snapshot.channels().iter().filter(|channel| tagged(channel)).map(|channel| &channel.id);
        for id in bulk.ids.iter().chain(by_tag) {
            if !ids.contains(id) {
                ids.push(id.clone());
            }
        }
        if ids.is_empty() || ids.len() > AT_ONCE {
            let message = format!("name 1 to {AT_ONCE} channels, by `ids`, or by a `tag` that some have");
            return Err(invalid("ids", message));
        }
        let mut all = Vec::new();
        for id in ids {
            let stored = self.channel_to_change(actor, &id).await;
            all.push((id, stored));
        }
        Ok(all)
    }

    async fn prepared(&self, bulk: &ChannelBulk, stored: StoredChannel) -> Result<Option<Prepared>> {
        let before = &stored.channel.value;
        if bulk.delete {
            let detail = serde_json::to_value(shown(before)).unwrap_or_default();
            let changes = self.without_channel(&before.id).await?;
            return Ok(Some(Prepared { changes, seeds: Seeds::new(), detail }));
        }
        let mut after = self.edited(before, &bulk.set)?;
        after.tags.retain(|tag| !bulk.remove_tags.contains(tag));
        for tag in &bulk.add_tags {
            if !after.tags.contains(tag) {
                after.tags.push(tag.clone());
            }
        }
        after.quirks = before.quirks.clone();
        if after == *before {
            return Ok(None);
        }
        if secret::destination(before)? != secret::destination(&after)? {
            let message = "a new address needs the credential again; change it channel by channel";
            return Err(invalid("set", message));
        }
        after.reserve_edits();
        self.check_channel(Some(before), &after).await?;
        let deed = Deed::new("channel.update", String::new()).changed(&shown(before), &shown(&after));
        let deed = with_hidden(deed, before, &after);
        let owner = Owner::Channel(before.id.clone());
        let seeds = self.seeds(&owner, &before.limits, &after.limits).await?;
        let expect = Expect::Version(stored.channel.version);
        let changes = vec![Change::PutChannel(Box::new(after), SecretChange::Keep, expect)];
        Ok(Some(Prepared { changes, seeds, detail: deed.detail }))
    }
}

/// What a change says of a channel's credential.
#[derive(Clone)]
enum Given {
    /// Nothing.
    Nothing,
    /// It is this one; an empty one is none.
    Text(Secret),
    /// It stands in these variables.
    Variables(Vec<SecretRef>),
}

impl Given {
    fn read(value: Option<Value>) -> Result<Self> {
        let variables: Vec<Value> = match value {
            None | Some(Value::Null) => return Ok(Self::Nothing),
            Some(Value::String(text)) => return Ok(Self::Text(Secret::new(text))),
            Some(Value::Array(all)) => all,
            Some(one) => vec![one],
        };
        let read = |value: Value| {
            let name = value.as_object().filter(|it| it.len() == 1).and_then(|it| it.get("env"))?.as_str()?;
            (!name.is_empty()).then(|| SecretRef::Env(name.to_owned()))
        };
        let named: Option<Vec<SecretRef>> = variables.into_iter().map(read).collect();
        named.filter(|all| !all.is_empty()).map(Self::Variables).ok_or_else(|| {
            let message = "a credential is a text; several keys are a line each. One in a variable of the environment is `{\"env\": \"NAME\"}`, several are a list";
            invalid("secret", message)
        })
    }

    /// What it makes of a channel that may be sent elsewhere now; and the credential to be sealed.
    fn put(self, before: &Channel, after: &mut Channel) -> Result<Option<Secret>> {
        match self {
            // A variable that is there from before was named for the destination before.
            Self::Nothing => super::refuse_losing(before, after).map(|()| None),
            Self::Text(secret) => {
                (after.secret, after.more_keys) = (SecretRef::None, Vec::new());
                Ok(Some(secret))
            }
            Self::Variables(all) => {
                let mut all = all.into_iter();
                after.secret = all.next().unwrap_or_default();
                after.more_keys = all.collect();
                Ok(None)
            }
        }
    }
}

/// A change to one channel of many.
struct Prepared {
    changes: Vec<Change>,
    seeds: Seeds,
    detail: Value,
}
