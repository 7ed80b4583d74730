-- How users sign in. Nothing here opens anything by itself: passwords and backup codes are hashed, ids of sessions and access
-- tokens are kept as their SHA-256, and what second steps are made from is sealed under the master secret.
CREATE TABLE sg_account (
    user_id TEXT NOT NULL PRIMARY KEY,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    updated_at BIGINT NOT NULL,
    updated_by TEXT NOT NULL,
    body TEXT NOT NULL,
    totp_step BIGINT NOT NULL DEFAULT 0
);

CREATE TABLE sg_backup_code (
    user_id TEXT NOT NULL,
    hash TEXT NOT NULL,
    PRIMARY KEY (user_id, hash)
);

-- `seen_at` is written by the minute, not by the request.
CREATE TABLE sg_session (
    hash TEXT NOT NULL PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    user_id TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX sg_session_user ON sg_session (user_id, created_at);
CREATE INDEX sg_session_expires ON sg_session (expires_at);

CREATE TABLE sg_access_token (
    id TEXT NOT NULL PRIMARY KEY,
    hash TEXT NOT NULL UNIQUE,
    user_id TEXT NOT NULL,
    used_at BIGINT NOT NULL DEFAULT 0,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    updated_at BIGINT NOT NULL,
    updated_by TEXT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX sg_access_token_user ON sg_access_token (user_id, created_at);
