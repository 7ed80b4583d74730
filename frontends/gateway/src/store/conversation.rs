//! Conversations that callers make, and what is in them.

use std::sync::Arc;

use sluicegate_core::Timestamp;

use super::ResponseOwner;

/// A conversation that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptConversation {
    /// Whom it belongs to: nobody else finds it.
    pub owner: ResponseOwner,
    /// Its id.
    pub id: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it is as good as gone; later with each item.
    pub expires_at: Timestamp,
    /// What its caller says of it, as a JSON object.
    pub metadata: Arc<str>,
}

/// An item of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConversationItem {
    /// Its id, which others in the conversation may have as well.
    pub id: String,
    /// The item, as JSON.
    pub body: Arc<str>,
}
