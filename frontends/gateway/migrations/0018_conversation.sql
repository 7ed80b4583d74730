-- Conversations that callers of /v1/conversations make, by whom they belong to, and their items in order. `metadata` and `body` are
-- JSON.
CREATE TABLE sg_conversation (
    owner TEXT NOT NULL,
    id TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    metadata TEXT NOT NULL,
    PRIMARY KEY (owner, id)
);
CREATE INDEX sg_conversation_expires ON sg_conversation (expires_at);
CREATE TABLE sg_conversation_item (
    owner TEXT NOT NULL,
    conversation_id TEXT NOT NULL,
    position BIGINT NOT NULL,
    id TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (owner, conversation_id, position)
);
CREATE INDEX sg_conversation_item_expires ON sg_conversation_item (expires_at);
