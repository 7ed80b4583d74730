-- Versions of policies. Of a version only its state changes, and what is said of it: `body` is what was put.
CREATE TABLE sg_policy_version (
    name TEXT NOT NULL,
    number BIGINT NOT NULL,
    organization_id TEXT,
    group_id TEXT,
    state TEXT NOT NULL,
    standing TEXT NOT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    updated_at BIGINT NOT NULL,
    updated_by TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (name, number)
);
-- One version of a policy runs, and one is tried beside it.
CREATE UNIQUE INDEX sg_policy_version_active ON sg_policy_version (name) WHERE state = 'active';
CREATE UNIQUE INDEX sg_policy_version_shadow ON sg_policy_version (name) WHERE state = 'shadow';
