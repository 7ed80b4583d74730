-- Responses that callers of /v1/responses want kept, by whom they belong to. `input` is the request's own items, `body` the
-- response; both are JSON.
CREATE TABLE sg_response (
    owner TEXT NOT NULL,
    id TEXT NOT NULL,
    previous_id TEXT,
    channel_id TEXT NOT NULL,
    conversation BIGINT NOT NULL,
    unseen BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    input TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (owner, id)
);
CREATE INDEX sg_response_expires ON sg_response (expires_at);
