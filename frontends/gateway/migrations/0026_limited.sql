-- What lists are read by, and who has limits at all: of many only those are looked at that have any.
ALTER TABLE sg_key ADD COLUMN limited BIGINT NOT NULL DEFAULT 0;
ALTER TABLE sg_group ADD COLUMN limited BIGINT NOT NULL DEFAULT 0;
ALTER TABLE sg_user ADD COLUMN limited BIGINT NOT NULL DEFAULT 0;
ALTER TABLE sg_membership ADD COLUMN limited BIGINT NOT NULL DEFAULT 0;
-- A text within holds no bare quotation marks; free data that look so are looked at in vain, and nothing else. Of keys, groups and
-- users it is said where names are, below.
UPDATE sg_membership SET limited = 1 WHERE body LIKE '%"limits":[{%';
CREATE INDEX sg_key_limited ON sg_key (created_at DESC, id) WHERE limited = 1;
CREATE INDEX sg_key_limited_in ON sg_key (organization_id, created_at DESC, id) WHERE limited = 1;
CREATE INDEX sg_group_limited ON sg_group (created_at DESC, id) WHERE limited = 1;
CREATE INDEX sg_user_limited ON sg_user (created_at DESC, id) WHERE limited = 1;
CREATE INDEX sg_membership_limited ON sg_membership (created_at DESC, group_id, user_id) WHERE limited = 1;

-- The order of lists, and names that are looked for without the organization.
CREATE INDEX sg_key_created ON sg_key (created_at DESC, id);
CREATE INDEX sg_key_created_in ON sg_key (organization_id, created_at DESC, id);
CREATE INDEX sg_group_created ON sg_group (created_at DESC, id);
CREATE INDEX sg_group_created_in ON sg_group (organization_id, created_at DESC, id);
CREATE INDEX sg_user_created ON sg_user (created_at DESC, id);
CREATE INDEX sg_user_created_in ON sg_user (organization_id, created_at DESC, id);
CREATE INDEX sg_key_name ON sg_key (alias);
CREATE INDEX sg_group_name ON sg_group (alias);

-- What is searched: ids, names and addresses, a line each, in lower case. It is filled behind the steps whenever a gateway starts,
-- where it is empty: nodes of earlier versions leave it so.
ALTER TABLE sg_key ADD COLUMN names TEXT NOT NULL DEFAULT '';
ALTER TABLE sg_group ADD COLUMN names TEXT NOT NULL DEFAULT '';
ALTER TABLE sg_user ADD COLUMN names TEXT NOT NULL DEFAULT '';
CREATE INDEX sg_key_unnamed ON sg_key (id) WHERE names = '';
CREATE INDEX sg_group_unnamed ON sg_group (id) WHERE names = '';
CREATE INDEX sg_user_unnamed ON sg_user (id) WHERE names = '';

-- Events of one, or of one kind, whether there are many or few.
CREATE INDEX sg_audit_target ON sg_audit (target, seq);
CREATE INDEX sg_audit_actor ON sg_audit (actor, seq);
CREATE INDEX sg_audit_group ON sg_audit (group_id, seq);
CREATE INDEX sg_audit_user ON sg_audit (user_id, seq);
CREATE INDEX sg_audit_action ON sg_audit (action, seq);
--@sqlite
CREATE INDEX sg_audit_family ON sg_audit (substr(action, 1, instr(action, '.')), seq);
--@postgres
CREATE INDEX sg_audit_family ON sg_audit (substr(action, 1, strpos(action, '.')), seq);
