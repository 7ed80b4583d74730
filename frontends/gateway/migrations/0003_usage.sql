-- Records of PostgreSQL lie in partitions by month of `started_at`: what is forgotten is dropped whole, and what is read is
-- mostly in the newest. SQLite has one writer and one file: tables of its own for each month would save neither
-- the deleting nor the file's growth, so there they stay in one table and go in small pieces.

--@postgres
ALTER TABLE sg_record RENAME TO sg_record_before;
ALTER TABLE sg_record_before DROP CONSTRAINT sg_record_pkey;
ALTER INDEX sg_record_time RENAME TO sg_record_before_time;
ALTER INDEX sg_record_group RENAME TO sg_record_before_group;
ALTER INDEX sg_record_user RENAME TO sg_record_before_user;
ALTER INDEX sg_record_key RENAME TO sg_record_before_key;
-- A record never changes, so that it is the same by call and time as by call alone.
CREATE TABLE sg_record (
    call_id TEXT NOT NULL,
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
    body TEXT NOT NULL,
    PRIMARY KEY (call_id, started_at)
) PARTITION BY RANGE (started_at);
CREATE INDEX sg_record_time ON sg_record (started_at);
CREATE INDEX sg_record_group ON sg_record (group_id, started_at) WHERE group_id IS NOT NULL;
CREATE INDEX sg_record_user ON sg_record (user_id, started_at) WHERE user_id IS NOT NULL;
CREATE INDEX sg_record_key ON sg_record (key_id, started_at) WHERE key_id IS NOT NULL;
-- What no month takes: a record is never refused for its time.
CREATE TABLE sg_record_other PARTITION OF sg_record DEFAULT;
-- What was there before becomes the partition of all time up to the end of this month, without being copied.
DO $$
DECLARE
    upto BIGINT;
BEGIN
    upto := EXTRACT(EPOCH FROM date_trunc('month', now() AT TIME ZONE 'UTC') + INTERVAL '1 month') * 1000;
    INSERT INTO sg_record_other SELECT * FROM sg_record_before WHERE started_at >= upto;
    DELETE FROM sg_record_before WHERE started_at >= upto;
    IF EXISTS (SELECT 1 FROM sg_record_before) THEN
        EXECUTE format('ALTER TABLE sg_record ATTACH PARTITION sg_record_before FOR VALUES FROM (MINVALUE) TO (%s)', upto);
    ELSE
        DROP TABLE sg_record_before;
    END IF;
END
$$;

--@all
-- Channels that a call was tried at before its last one. Most calls have none.
CREATE TABLE sg_attempt (
    started_at BIGINT NOT NULL,
    channel_id TEXT NOT NULL,
    call_id TEXT NOT NULL,
    PRIMARY KEY (started_at, channel_id, call_id)
);

-- As sg_daily, of the calls that name an end customer or have a tag; a call with two tags is in both. `kind` is
-- `customer` or `tag`.
CREATE TABLE sg_daily_label (
    day TEXT NOT NULL,
    organization_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    label TEXT NOT NULL,
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
    PRIMARY KEY (day, organization_id, kind, label, group_id, user_id, key_id, model, channel_id)
);
CREATE INDEX sg_daily_label_label ON sg_daily_label (kind, label, day);

-- How many different labels of a kind an organization has on a day. Its row is the lock of whoever adds one.
CREATE TABLE sg_label_count (
    day TEXT NOT NULL,
    organization_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    labels BIGINT NOT NULL,
    PRIMARY KEY (day, organization_id, kind)
);

-- Up to when `records` may be gone, and days' sums (`sums`) may be summed up by month.
CREATE TABLE sg_forgotten (
    what TEXT NOT NULL PRIMARY KEY,
    before BIGINT NOT NULL
);
