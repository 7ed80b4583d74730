-- The items of responses that are kept, by the ids with which callers refer to them.
CREATE TABLE sg_response_item (
    owner TEXT NOT NULL,
    id TEXT NOT NULL,
    response_id TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (owner, id)
);
CREATE INDEX sg_response_item_response ON sg_response_item (owner, response_id);
CREATE INDEX sg_response_item_expires ON sg_response_item (expires_at);
