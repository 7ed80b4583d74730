-- The log of an organization, whose administrators and auditors see nothing else of it.
CREATE INDEX sg_record_organization ON sg_record (organization_id, started_at);
