//! Conversations that callers make: what goes before a response in one, and what was said in it.
//!
//! They are kept like responses: under their owner, so that a foreign one is as unknown as one that never was, and for as long after
//! the last that was said as a response is.

use serde_json::{Map, Value, json};
use sluicegate_core::{Caller, Error, ErrorKind, Result, Timestamp, hash};
use sluicegate_wire::conversation::{output_items, references};

use crate::gateway::{Gateway, Inner};
use crate::response::{InputItems, bare, limit_of, named_items, page_of, shown, wrong};
use crate::store::{
    Added, CONVERSATION_BYTES_MAX, CONVERSATION_ITEMS_MAX, ConversationItem, ConversationShare, Full,
    ItemsAsked, KeptConversation, KeptResponse, ResponseOwner,
};

/// So many items are given at a time, at most.
const ITEMS_AT_ONCE: usize = 20;
/// What a caller says of a conversation: so many pairs, of so many characters.
const PAIRS_MAX: usize = 16;
const NAME_MAX: usize = 64;
const VALUE_MAX: usize = 512;

/// Everything that was said in a conversation, as one turn that a response goes on from.
pub(crate) async fn as_turn(inner: &Inner, owner: &ResponseOwner, id: &str) -> Result<KeptResponse> {
    let kept = found(inner, owner, id).await?;
    // What is answered will be added to it, whatever it is: before, there must be room.
    if kept.items >= CONVERSATION_ITEMS_MAX || kept.bytes >= CONVERSATION_BYTES_MAX {
        return Err(full(inner, Full::Items));
    }
    if inner.store.conversation_share(owner, inner.clock.now()).await?.bytes >= most(inner).bytes {
        return Err(full(inner, Full::OwnerBytes));
    }
    let items = inner.store.conversation_items(owner, id).await?;
    let items = items.ok_or_else(|| full(inner, Full::Items))?;
    let all: Vec<&str> = items.iter().map(|item| &*item.body).collect();
    Ok(KeptResponse {
        owner: owner.clone(),
        id: id.to_owned(),
        previous: None,
        // Nobody else has it.
        channel: "".into(),
        conversation: hash::stable(id.as_bytes()),
        unseen: 0,
        created_at: kept.created_at,
        expires_at: kept.expires_at,
        input: "[]".into(),
        body: format!(r#"{{"output":[{}]}}"#, all.join(",")).into(),
    })
}

/// What a response adds to its conversation: what is new of its input, and its output.
pub(crate) fn said(input: &str, response: &KeptResponse) -> Vec<ConversationItem> {
    let made = response.id.strip_prefix("resp_").unwrap_or(&response.id);
    let output = format!("[{}]", output_items(&response.body).join(","));
    let put_out = named_items(&output, &format!("{made}_out"));
    named_items(input, made).into_iter().chain(put_out).filter_map(as_item).collect()
}

fn as_item(item: Value) -> Option<ConversationItem> {
    let id = item.get("id")?.as_str()?.to_owned();
    Some(ConversationItem { id, body: item.to_string().into() })
}

async fn found(inner: &Inner, owner: &ResponseOwner, id: &str) -> Result<KeptConversation> {
    let kept = inner.store.kept_conversation(owner, id, inner.clock.now()).await?;
    kept.ok_or_else(|| missing(id))
}

/// What one owner may have.
fn most(inner: &Inner) -> ConversationShare {
    let bounds = inner.file.host.responses;
    ConversationShare {
        conversations: bounds.conversations_per_owner.into(),
        bytes: bounds.conversation_bytes_per_owner,
    }
}

fn full(inner: &Inner, of: Full) -> Error {
    let most = most(inner);
    let (kind, message) = match of {
        Full::Items | Full::Bytes => (
            ErrorKind::PayloadTooLarge,
            format!(
                "the conversation is too long (there is room for {CONVERSATION_ITEMS_MAX} items and {} MiB): begin a new one, \
                 or delete items of it",
                CONVERSATION_BYTES_MAX >> 20
            ),
        ),
        Full::Conversations => (
            ErrorKind::InsufficientQuota,
            format!(
                "{} conversations are kept for this key's owner, as many as may be (`server.responses.conversations_per_owner`): \
                 delete some",
                most.conversations
            ),
        ),
        Full::OwnerBytes => (
            ErrorKind::InsufficientQuota,
            format!(
                "the conversations that are kept for this key's owner have as many bytes as they may, {} \
                 (`server.responses.conversation_bytes_per_owner`): delete some, or items of them",
                most.bytes
            ),
        ),
    };
    Error::new(kind, message).with("param", "conversation")
}

fn missing(id: &str) -> Error {
    let message = format!("no conversation with the id `{}` is kept for this key", shown(id));
    Error::new(ErrorKind::NotFound, message)
}

fn read(items: &[ConversationItem]) -> Vec<Value> {
    items.iter().filter_map(|item| serde_json::from_str(&item.body).ok()).collect()
}

fn missing_item(id: &str) -> Error {
    let message = format!("the conversation has no item with the id `{}`", shown(id));
    Error::new(ErrorKind::NotFound, message)
}

fn as_told(kept: &KeptConversation) -> Value {
    let metadata: Value = serde_json::from_str(&kept.metadata).unwrap_or_default();
    json!({
        "id": kept.id,
        "object": "conversation",
        "created_at": kept.created_at.as_ms().div_euclid(1000),
        "metadata": metadata,
    })
}

/// What is asked of a conversation: nothing else than these fields.
fn fields(asked: &Value, known: &[&str]) -> Result<Map<String, Value>> {
    let fields = match asked {
        Value::Null => Map::new(),
        Value::Object(fields) => fields.clone(),
        _ => return Err(Error::new(ErrorKind::InvalidRequest, "the body must be a JSON object")),
    };
    if let Some(other) = fields.keys().find(|name| !known.contains(&name.as_str())) {
        let message = format!("unknown field `{}`; there are {}", shown(other), known.join(", "));
        return Err(Error::new(ErrorKind::InvalidRequest, message));
    }
    Ok(fields)
}

fn metadata(fields: &Map<String, Value>) -> Result<String> {
    let said = match fields.get("metadata") {
        None | Some(Value::Null) => return Ok("{}".to_owned()),
        Some(said) => said,
    };
    let fits = |(name, value): (&String, &Value)| {
        let value = value.as_str().is_some_and(|value| value.chars().count() <= VALUE_MAX);
        value && name.chars().count() <= NAME_MAX
    };
    match said.as_object().filter(|pairs| pairs.len() <= PAIRS_MAX && pairs.iter().all(fits)) {
        Some(_) => Ok(said.to_string()),
        None => Err(wrong(
            "metadata",
            format!(
                "`metadata` must have at most {PAIRS_MAX} texts, named by at most {NAME_MAX} characters, each of at most {VALUE_MAX}"
            ),
        )),
    }
}

fn new_items(fields: &Map<String, Value>, made: &str) -> Result<Vec<ConversationItem>> {
    let given = match fields.get("items") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(items)) if items.len() <= ITEMS_AT_ONCE && items.iter().all(Value::is_object) => {
            let given = Value::Array(items.clone()).to_string();
            if let Some((at, _)) = references(format!(r#"{{"input":{given}}}"#).as_bytes()).first() {
                let message = format!(
                    "a conversation keeps items, not references: give the item itself as `items[{at}]`"
                );
                return Err(wrong("items", message));
            }
            given
        }
        Some(_) => {
            let message = format!("`items` must be a list of at most {ITEMS_AT_ONCE} items");
            return Err(wrong("items", message));
        }
    };
    Ok(named_items(&given, made).into_iter().filter_map(as_item).collect())
}

impl Gateway {
    /// Makes a conversation: `{items, metadata}`, both optional.
    ///
    /// # Errors
    /// `InvalidRequest` when what is asked isn't that; `NotSupported` where nothing is kept; `InsufficientQuota` when the owner has as
    /// much as may be.
    pub async fn make_conversation(&self, caller: &Caller, asked: &Value) -> Result<Value> {
        let (now, expires_at) = self.lifetime()?;
        let made = bare(&self.inner.call_id()).to_owned();
        let fields = fields(asked, &["items", "metadata"])?;
        let kept = KeptConversation {
            owner: ResponseOwner::of(caller),
            id: format!("conv_{made}"),
            created_at: now,
            expires_at,
            metadata: metadata(&fields)?.into(),
            items: 0,
            bytes: 0,
        };
        let items = new_items(&fields, &made)?;
        match self.inner.store.make_conversation(&kept, &items, most(&self.inner)).await? {
            Added::Full(of) => Err(full(&self.inner, of)),
            Added::Yes | Added::Missing => Ok(as_told(&kept)),
        }
    }

    fn lifetime(&self) -> Result<(Timestamp, Timestamp)> {
        let kept_ms = self.inner.host.load().retention.responses_ms;
        if kept_ms == 0 {
            let message = "conversations aren't kept here (`server.retention.responses` is 0): send what was said in `input`";
            return Err(Error::new(ErrorKind::NotSupported, message));
        }
        let now = self.inner.clock.now();
        Ok((now, now.plus_ms(i64::try_from(kept_ms).unwrap_or(i64::MAX))))
    }

    /// A conversation that is kept for this caller.
    ///
    /// # Errors
    /// `NotFound` when there is none: never was, or belongs to somebody else, or isn't kept any more.
    pub async fn conversation(&self, caller: &Caller, id: &str) -> Result<Value> {
        Ok(as_told(&found(&self.inner, &ResponseOwner::of(caller), id).await?))
    }

    /// Changes what is said of a conversation: `{metadata}`.
    ///
    /// # Errors
    /// As [`conversation`](Self::conversation); `InvalidRequest`.
    pub async fn change_conversation(&self, caller: &Caller, id: &str, asked: &Value) -> Result<Value> {
        let owner = ResponseOwner::of(caller);
        let metadata = metadata(&fields(asked, &["metadata"])?)?;
        let now = self.inner.clock.now();
        if !self.inner.store.change_conversation(&owner, id, &metadata, now).await? {
            return Err(missing(id));
        }
        self.conversation(caller, id).await
    }

    /// Forgets a conversation with its items. Responses that were made in it stay.
    ///
    /// # Errors
    /// As [`conversation`](Self::conversation).
    pub async fn forget_conversation(&self, caller: &Caller, id: &str) -> Result<()> {
        let owner = ResponseOwner::of(caller);
        let gone = self.inner.store.forget_conversation(&owner, id, self.inner.clock.now()).await?;
        if gone { Ok(()) } else { Err(missing(id)) }
    }

    /// What was said in a conversation, item by item.
    ///
    /// # Errors
    /// As [`conversation`](Self::conversation); `InvalidRequest` when `limit` or `after` make no sense.
    pub async fn conversation_items(&self, caller: &Caller, id: &str, page: &InputItems) -> Result<Value> {
        let limit = limit_of(page)?;
        let owner = ResponseOwner::of(caller);
        found(&self.inner, &owner, id).await?;
        let asked = ItemsAsked { after: page.after.as_deref(), limit, ascending: page.ascending };
        let page = self.inner.store.conversation_page(&owner, id, &asked).await?.ok_or_else(|| {
            wrong("after", format!("no item has the id `{}`", shown(asked.after.unwrap_or_default())))
        })?;
        Ok(page_of(read(&page.items), page.more))
    }

    /// Says something in a conversation: `{items}`.
    ///
    /// # Errors
    /// As [`conversation`](Self::conversation); `InvalidRequest`; `PayloadTooLarge` when they don't fit into it,
    /// `InsufficientQuota` when they don't into all that the owner has.
    pub async fn add_to_conversation(&self, caller: &Caller, id: &str, asked: &Value) -> Result<Value> {
        let owner = ResponseOwner::of(caller);
        let (now, expires_at) = self.lifetime()?;
        let new = new_items(&fields(asked, &["items"])?, bare(&self.inner.call_id()))?;
        if new.is_empty() {
            return Err(wrong("items", "`items` is missing: say what is to be added".to_owned()));
        }
        let (store, most) = (&self.inner.store, most(&self.inner));
        match store.add_to_conversation(&owner, id, &new, (now, expires_at), Some(most)).await? {
            Added::Yes => Ok(page_of(read(&new), false)),
            Added::Missing => Err(missing(id)),
            Added::Full(of) => Err(full(&self.inner, of)),
        }
    }

    /// One item of a conversation.
    ///
    /// # Errors
    /// As [`conversation`](Self::conversation), for the item as well.
    pub async fn conversation_item(&self, caller: &Caller, id: &str, item: &str) -> Result<Value> {
        let owner = ResponseOwner::of(caller);
        found(&self.inner, &owner, id).await?;
        let kept = self.inner.store.conversation_item(&owner, id, item).await?;
        kept.and_then(|it| serde_json::from_str(&it.body).ok()).ok_or_else(|| missing_item(item))
    }

    /// Takes an item out of a conversation, and tells what the conversation is.
    ///
    /// # Errors
    /// As [`conversation_item`](Self::conversation_item).
    pub async fn forget_conversation_item(&self, caller: &Caller, id: &str, item: &str) -> Result<Value> {
        let owner = ResponseOwner::of(caller);
        let kept = found(&self.inner, &owner, id).await?;
        let gone = self.inner.store.forget_conversation_item(&owner, id, item).await?;
        if gone { Ok(as_told(&kept)) } else { Err(missing_item(item)) }
    }
}
