-- Who people are at the providers that they sign in through. The identity is issuer and subject; an address may be another
-- person's tomorrow.
CREATE TABLE sg_identity (
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    user_id TEXT NOT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    updated_at BIGINT NOT NULL,
    updated_by TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (issuer, subject)
);
CREATE INDEX sg_identity_user ON sg_identity (user_id);

-- Sign-ins that were finished: none is a second time, on whichever gateway.
CREATE TABLE sg_used_sign_in (
    hash TEXT NOT NULL PRIMARY KEY,
    expires_at BIGINT NOT NULL
);
CREATE INDEX sg_used_sign_in_expires ON sg_used_sign_in (expires_at);
