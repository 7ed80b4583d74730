-- Who issued a key's credential, and so may have it still: a key administers no further than they do. Unset is whoever created
-- the key; whoever regenerated one since stands in the audit trail.
ALTER TABLE sg_key ADD COLUMN issuers TEXT;
UPDATE sg_key SET issuers = (
    SELECT actor FROM sg_audit WHERE action = 'key.regenerate' AND target = 'key ' || sg_key.id ORDER BY seq DESC LIMIT 1
) WHERE id IN (SELECT SUBSTR(target, 5) FROM sg_audit WHERE action = 'key.regenerate');
