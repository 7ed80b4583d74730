-- One text for SQLite and PostgreSQL: BIGINT for every number, TEXT for everything else, 0 and 1 for flags, milliseconds
-- since 1970 for times, nano-USD for money. What is queried is a column; the rest of a thing is JSON in `body`.
-- No foreign keys: an organization, group or user may be declared in a file and have no row.

CREATE TABLE sg_organization (
    id TEXT NOT NULL PRIMARY KEY,
    alias TEXT,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    updated_at BIGINT NOT NULL,
    updated_by TEXT NOT NULL,
    body TEXT NOT NULL
);

CREATE TABLE sg_group (
    id TEXT NOT NULL PRIMARY KEY,
    alias TEXT,
    organization_id TEXT NOT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    updated_at BIGINT NOT NULL,
    updated_by TEXT NOT NULL,
    body TEXT NOT NULL
);
CREATE UNIQUE INDEX sg_group_alias ON sg_group (organization_id, alias);

CREATE TABLE sg_user (
    id TEXT NOT NULL PRIMARY KEY,
    email TEXT UNIQUE,
    alias TEXT,
    organization_id TEXT NOT NULL,
    role TEXT NOT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    updated_at BIGINT NOT NULL,
    updated_by TEXT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX sg_user_organization ON sg_user (organization_id);

CREATE TABLE sg_membership (
    group_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    role TEXT NOT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    updated_at BIGINT NOT NULL,
    updated_by TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (group_id, user_id)
);
CREATE INDEX sg_membership_user ON sg_membership (user_id);

CREATE TABLE sg_key (
    id TEXT NOT NULL PRIMARY KEY,
    hash TEXT NOT NULL UNIQUE,
    alias TEXT,
    organization_id TEXT NOT NULL,
    group_id TEXT,
    user_id TEXT,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    updated_at BIGINT NOT NULL,
    updated_by TEXT NOT NULL,
    body TEXT NOT NULL
);
CREATE UNIQUE INDEX sg_key_alias ON sg_key (organization_id, alias);
CREATE INDEX sg_key_group ON sg_key (group_id);
CREATE INDEX sg_key_user ON sg_key (user_id);

-- Hashes that still open a key for a while after it was regenerated.
CREATE TABLE sg_retired_hash (
    hash TEXT NOT NULL PRIMARY KEY,
    key_id TEXT NOT NULL,
    retires_at BIGINT NOT NULL
);
CREATE INDEX sg_retired_hash_key ON sg_retired_hash (key_id);

CREATE TABLE sg_channel (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    updated_at BIGINT NOT NULL,
    updated_by TEXT NOT NULL,
    body TEXT NOT NULL,
    secret TEXT
);

CREATE TABLE sg_policy (
    name TEXT NOT NULL PRIMARY KEY,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    updated_at BIGINT NOT NULL,
    updated_by TEXT NOT NULL,
    body TEXT NOT NULL
);

CREATE TABLE sg_setting (
    name TEXT NOT NULL PRIMARY KEY,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    updated_at BIGINT NOT NULL,
    updated_by TEXT NOT NULL,
    body TEXT NOT NULL
);

CREATE TABLE sg_record (
    call_id TEXT NOT NULL PRIMARY KEY,
    started_at BIGINT NOT NULL,
    organization_id TEXT NOT NULL,
    group_id TEXT,
    user_id TEXT,
    key_id TEXT,
    model TEXT NOT NULL,
    channel_id TEXT,
    outcome TEXT NOT NULL,
    input_tokens BIGINT NOT NULL,
    output_tokens BIGINT NOT NULL,
    spend BIGINT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX sg_record_time ON sg_record (started_at);
CREATE INDEX sg_record_group ON sg_record (group_id, started_at) WHERE group_id IS NOT NULL;
CREATE INDEX sg_record_user ON sg_record (user_id, started_at) WHERE user_id IS NOT NULL;
CREATE INDEX sg_record_key ON sg_record (key_id, started_at) WHERE key_id IS NOT NULL;

-- Derived from records, in the transaction that appends them. Empty text stands for none.
CREATE TABLE sg_daily (
    day TEXT NOT NULL,
    organization_id TEXT NOT NULL,
    group_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    key_id TEXT NOT NULL,
    model TEXT NOT NULL,
    channel_id TEXT NOT NULL,
    requests BIGINT NOT NULL,
    failures BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    input_tokens BIGINT NOT NULL,
    output_tokens BIGINT NOT NULL,
    cache_read_tokens BIGINT NOT NULL,
    cache_write_tokens BIGINT NOT NULL,
    spend BIGINT NOT NULL,
    cost BIGINT NOT NULL,
    PRIMARY KEY (day, organization_id, group_id, user_id, key_id, model, channel_id)
);
CREATE INDEX sg_daily_group ON sg_daily (group_id, day);
CREATE INDEX sg_daily_user ON sg_daily (user_id, day);
CREATE INDEX sg_daily_key ON sg_daily (key_id, day);

-- Empty text in `model` stands for all models.
CREATE TABLE sg_balance (
    scope_kind TEXT NOT NULL,
    scope_id TEXT NOT NULL,
    metric TEXT NOT NULL,
    span TEXT NOT NULL,
    model TEXT NOT NULL,
    window_start BIGINT NOT NULL,
    settled BIGINT NOT NULL,
    held BIGINT NOT NULL,
    PRIMARY KEY (scope_kind, scope_id, metric, span, model, window_start)
);

-- Append-only. Each event's `mac` covers the one before it.
CREATE TABLE sg_audit (
    seq BIGINT NOT NULL PRIMARY KEY,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    target TEXT NOT NULL,
    organization_id TEXT,
    group_id TEXT,
    user_id TEXT,
    detail TEXT NOT NULL,
    mac TEXT NOT NULL
);
CREATE INDEX sg_audit_organization ON sg_audit (organization_id, seq);

-- The newest event: one row, whose lock makes changes follow each other.
CREATE TABLE sg_audit_head (
    id BIGINT NOT NULL PRIMARY KEY,
    seq BIGINT NOT NULL,
    mac TEXT NOT NULL
);
INSERT INTO sg_audit_head (id, seq, mac) VALUES (1, 0, '');
