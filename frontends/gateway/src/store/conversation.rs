//! Conversations that callers make, and what is in them.

use std::sync::Arc;

use sluicegate_core::Timestamp;

use super::ResponseOwner;

/// A conversation with more items isn't put together, and gets no more.
// BOUND: of what one call makes the database read, and of the memory that it takes.
pub const CONVERSATION_ITEMS_MAX: u64 = 4_096;
/// Nor is one with more bytes of items.
pub const CONVERSATION_BYTES_MAX: u64 = 64 << 20;

/// A conversation that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptConversation {
    /// Whom it belongs to: nobody else finds it.
    pub owner: ResponseOwner,
    /// Its id.
    pub id: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it is as good as gone, with its items; later with each that is added.
    pub expires_at: Timestamp,
    /// What its caller says of it, as a JSON object.
    pub metadata: Arc<str>,
    /// So many items are in it. The store counts them.
    pub items: u64,
    /// So many bytes they have. The store counts them.
    pub bytes: u64,
}

/// An item of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConversationItem {
    /// Its id, which others in the conversation may have as well.
    pub id: String,
    /// The item, as JSON.
    pub body: Arc<str>,
}

/// What an owner has of conversations, or may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConversationShare {
    /// So many conversations.
    pub conversations: u64,
    /// So many bytes of items in all of them.
    pub bytes: u64,
}

/// Whether something was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    /// It was.
    Yes,
    /// There is no such conversation.
    Missing,
    /// There is no room for it, and nothing was added.
    Full(Full),
}

/// What there is too much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// Conversations of the owner's.
    Conversations,
    /// Bytes in all conversations of the owner's.
    OwnerBytes,
    /// Items in the conversation.
    Items,
    /// Bytes in the conversation.
    Bytes,
}

/// Which items of a conversation.
#[derive(Clone, Copy, Debug)]
pub struct ItemsAsked<'a> {
    /// Those behind the item of this id.
    pub after: Option<&'a str>,
    /// At most so many; fewer, and at least one, where they are large.
    pub limit: usize,
    /// The oldest first, or the newest.
    pub ascending: bool,
}

/// Some items of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemPage {
    /// They, in the order that was asked for.
    pub items: Vec<ConversationItem>,
    /// Whether more of them follow.
    pub more: bool,
}
