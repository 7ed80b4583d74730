-- Where whoever did something connected from, and the credential that they did it by. Of earlier events neither is known.
ALTER TABLE sg_audit ADD COLUMN address TEXT;
ALTER TABLE sg_audit ADD COLUMN credential TEXT;
-- Append-only, for whoever makes a mistake; whoever means to can remove this as well, and the codes tell.
--@sqlite
CREATE TRIGGER sg_audit_changes BEFORE UPDATE ON sg_audit BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END;
CREATE TRIGGER sg_audit_deletes BEFORE DELETE ON sg_audit BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END;
CREATE TRIGGER sg_audit_replaces BEFORE INSERT ON sg_audit WHEN EXISTS (SELECT 1 FROM sg_audit WHERE seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END;
--@postgres
CREATE FUNCTION sg_audit_is_append_only() RETURNS trigger AS $$
BEGIN
    RAISE EXCEPTION 'the audit trail is append-only';
END
$$ LANGUAGE plpgsql;
CREATE TRIGGER sg_audit_changes BEFORE UPDATE OR DELETE ON sg_audit FOR EACH ROW EXECUTE FUNCTION sg_audit_is_append_only();
CREATE TRIGGER sg_audit_truncates BEFORE TRUNCATE ON sg_audit FOR EACH STATEMENT EXECUTE FUNCTION sg_audit_is_append_only();
--@all
