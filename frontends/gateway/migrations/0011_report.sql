-- Sums by the hour, and smaller ones beside them, so that a report reads thousands of rows where there are millions of calls. All
-- are derived in the transaction that appends the records, as sg_daily is. An hour is named by its start and begins where
-- the hours of the configured time zone do.

-- `calls`: every call, refused ones, too. `denials`: those that we refused. `duration_ms`: of calls that ended well, from
-- beginning to end. `firsts` and `first_ms`: streams that had content, and the time until then.
ALTER TABLE sg_daily ADD COLUMN calls BIGINT NOT NULL DEFAULT 0;
ALTER TABLE sg_daily ADD COLUMN denials BIGINT NOT NULL DEFAULT 0;
ALTER TABLE sg_daily ADD COLUMN reasoning_tokens BIGINT NOT NULL DEFAULT 0;
ALTER TABLE sg_daily ADD COLUMN duration_ms BIGINT NOT NULL DEFAULT 0;
ALTER TABLE sg_daily ADD COLUMN firsts BIGINT NOT NULL DEFAULT 0;
ALTER TABLE sg_daily ADD COLUMN first_ms BIGINT NOT NULL DEFAULT 0;
ALTER TABLE sg_daily_label ADD COLUMN calls BIGINT NOT NULL DEFAULT 0;
ALTER TABLE sg_daily_label ADD COLUMN denials BIGINT NOT NULL DEFAULT 0;
ALTER TABLE sg_daily_label ADD COLUMN reasoning_tokens BIGINT NOT NULL DEFAULT 0;
ALTER TABLE sg_daily_label ADD COLUMN duration_ms BIGINT NOT NULL DEFAULT 0;
ALTER TABLE sg_daily_label ADD COLUMN firsts BIGINT NOT NULL DEFAULT 0;
ALTER TABLE sg_daily_label ADD COLUMN first_ms BIGINT NOT NULL DEFAULT 0;

--@sqlite
-- Everything told apart. Rows lie in the order of their key: a range of time is read in one go.
CREATE TABLE sg_hour (
    hour BIGINT NOT NULL,
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
    calls BIGINT NOT NULL,
    denials BIGINT NOT NULL,
    reasoning_tokens BIGINT NOT NULL,
    duration_ms BIGINT NOT NULL,
    firsts BIGINT NOT NULL,
    first_ms BIGINT NOT NULL,
    PRIMARY KEY (hour, organization_id, group_id, user_id, key_id, model, channel_id)
) WITHOUT ROWID;
-- Without users and keys.
CREATE TABLE sg_hour_place (
    hour BIGINT NOT NULL,
    organization_id TEXT NOT NULL,
    group_id TEXT NOT NULL,
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
    calls BIGINT NOT NULL,
    denials BIGINT NOT NULL,
    reasoning_tokens BIGINT NOT NULL,
    duration_ms BIGINT NOT NULL,
    firsts BIGINT NOT NULL,
    first_ms BIGINT NOT NULL,
    PRIMARY KEY (hour, organization_id, group_id, model, channel_id)
) WITHOUT ROWID;
-- Without models and channels.
CREATE TABLE sg_day_owner (
    day TEXT NOT NULL,
    organization_id TEXT NOT NULL,
    group_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    key_id TEXT NOT NULL,
    requests BIGINT NOT NULL,
    failures BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    input_tokens BIGINT NOT NULL,
    output_tokens BIGINT NOT NULL,
    cache_read_tokens BIGINT NOT NULL,
    cache_write_tokens BIGINT NOT NULL,
    spend BIGINT NOT NULL,
    cost BIGINT NOT NULL,
    calls BIGINT NOT NULL,
    denials BIGINT NOT NULL,
    reasoning_tokens BIGINT NOT NULL,
    duration_ms BIGINT NOT NULL,
    firsts BIGINT NOT NULL,
    first_ms BIGINT NOT NULL,
    PRIMARY KEY (day, organization_id, group_id, user_id, key_id)
) WITHOUT ROWID;
-- Without users and keys.
CREATE TABLE sg_day_place (
    day TEXT NOT NULL,
    organization_id TEXT NOT NULL,
    group_id TEXT NOT NULL,
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
    calls BIGINT NOT NULL,
    denials BIGINT NOT NULL,
    reasoning_tokens BIGINT NOT NULL,
    duration_ms BIGINT NOT NULL,
    firsts BIGINT NOT NULL,
    first_ms BIGINT NOT NULL,
    PRIMARY KEY (day, organization_id, group_id, model, channel_id)
) WITHOUT ROWID;
-- As sg_daily_label.
CREATE TABLE sg_hour_label (
    hour BIGINT NOT NULL,
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
    calls BIGINT NOT NULL,
    denials BIGINT NOT NULL,
    reasoning_tokens BIGINT NOT NULL,
    duration_ms BIGINT NOT NULL,
    firsts BIGINT NOT NULL,
    first_ms BIGINT NOT NULL,
    PRIMARY KEY (hour, organization_id, kind, label, group_id, user_id, key_id, model, channel_id)
) WITHOUT ROWID;
-- Of calls that ended well, so many that took about so long, and of streams, until they had content: `bucket` is the quarter of an
-- octave of the milliseconds. `span` is `hour` or `day`, `slot` its start.
CREATE TABLE sg_latency (
    span TEXT NOT NULL,
    slot BIGINT NOT NULL,
    organization_id TEXT NOT NULL,
    group_id TEXT NOT NULL,
    model TEXT NOT NULL,
    bucket BIGINT NOT NULL,
    calls BIGINT NOT NULL,
    firsts BIGINT NOT NULL,
    PRIMARY KEY (span, slot, organization_id, group_id, model, bucket)
) WITHOUT ROWID;
-- Which calls have a tag.
CREATE TABLE sg_record_tag (
    tag TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    call_id TEXT NOT NULL,
    PRIMARY KEY (tag, started_at, call_id)
) WITHOUT ROWID;

--@postgres
CREATE TABLE sg_hour (
    hour BIGINT NOT NULL,
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
    calls BIGINT NOT NULL,
    denials BIGINT NOT NULL,
    reasoning_tokens BIGINT NOT NULL,
    duration_ms BIGINT NOT NULL,
    firsts BIGINT NOT NULL,
    first_ms BIGINT NOT NULL,
    PRIMARY KEY (hour, organization_id, group_id, user_id, key_id, model, channel_id)
);
CREATE TABLE sg_hour_place (
    hour BIGINT NOT NULL,
    organization_id TEXT NOT NULL,
    group_id TEXT NOT NULL,
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
    calls BIGINT NOT NULL,
    denials BIGINT NOT NULL,
    reasoning_tokens BIGINT NOT NULL,
    duration_ms BIGINT NOT NULL,
    firsts BIGINT NOT NULL,
    first_ms BIGINT NOT NULL,
    PRIMARY KEY (hour, organization_id, group_id, model, channel_id)
);
CREATE TABLE sg_day_owner (
    day TEXT NOT NULL,
    organization_id TEXT NOT NULL,
    group_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    key_id TEXT NOT NULL,
    requests BIGINT NOT NULL,
    failures BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    input_tokens BIGINT NOT NULL,
    output_tokens BIGINT NOT NULL,
    cache_read_tokens BIGINT NOT NULL,
    cache_write_tokens BIGINT NOT NULL,
    spend BIGINT NOT NULL,
    cost BIGINT NOT NULL,
    calls BIGINT NOT NULL,
    denials BIGINT NOT NULL,
    reasoning_tokens BIGINT NOT NULL,
    duration_ms BIGINT NOT NULL,
    firsts BIGINT NOT NULL,
    first_ms BIGINT NOT NULL,
    PRIMARY KEY (day, organization_id, group_id, user_id, key_id)
);
CREATE TABLE sg_day_place (
    day TEXT NOT NULL,
    organization_id TEXT NOT NULL,
    group_id TEXT NOT NULL,
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
    calls BIGINT NOT NULL,
    denials BIGINT NOT NULL,
    reasoning_tokens BIGINT NOT NULL,
    duration_ms BIGINT NOT NULL,
    firsts BIGINT NOT NULL,
    first_ms BIGINT NOT NULL,
    PRIMARY KEY (day, organization_id, group_id, model, channel_id)
);
CREATE TABLE sg_hour_label (
    hour BIGINT NOT NULL,
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
    calls BIGINT NOT NULL,
    denials BIGINT NOT NULL,
    reasoning_tokens BIGINT NOT NULL,
    duration_ms BIGINT NOT NULL,
    firsts BIGINT NOT NULL,
    first_ms BIGINT NOT NULL,
    PRIMARY KEY (hour, organization_id, kind, label, group_id, user_id, key_id, model, channel_id)
);
CREATE TABLE sg_latency (
    span TEXT NOT NULL,
    slot BIGINT NOT NULL,
    organization_id TEXT NOT NULL,
    group_id TEXT NOT NULL,
    model TEXT NOT NULL,
    bucket BIGINT NOT NULL,
    calls BIGINT NOT NULL,
    firsts BIGINT NOT NULL,
    PRIMARY KEY (span, slot, organization_id, group_id, model, bucket)
);
CREATE TABLE sg_record_tag (
    tag TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    call_id TEXT NOT NULL,
    PRIMARY KEY (tag, started_at, call_id)
);

--@all
CREATE INDEX sg_hour_key ON sg_hour (key_id, hour);
CREATE INDEX sg_hour_user ON sg_hour (user_id, hour);
CREATE INDEX sg_hour_group ON sg_hour (group_id, hour);
CREATE INDEX sg_hour_label_label ON sg_hour_label (kind, label, hour);
CREATE INDEX sg_record_tag_time ON sg_record_tag (started_at);

INSERT INTO sg_day_owner SELECT day, organization_id, group_id, user_id, key_id, SUM(requests), SUM(failures), SUM(attempts), SUM(input_tokens), SUM(output_tokens), SUM(cache_read_tokens), SUM(cache_write_tokens), SUM(spend), SUM(cost), SUM(calls), SUM(denials), SUM(reasoning_tokens), SUM(duration_ms), SUM(firsts), SUM(first_ms) FROM sg_daily
    GROUP BY day, organization_id, group_id, user_id, key_id;
INSERT INTO sg_day_place SELECT day, organization_id, group_id, model, channel_id, SUM(requests), SUM(failures), SUM(attempts), SUM(input_tokens), SUM(output_tokens), SUM(cache_read_tokens), SUM(cache_write_tokens), SUM(spend), SUM(cost), SUM(calls), SUM(denials), SUM(reasoning_tokens), SUM(duration_ms), SUM(firsts), SUM(first_ms) FROM sg_daily
    GROUP BY day, organization_id, group_id, model, channel_id;

-- What the log is searched by. Most calls end well, without an error, and name no end customer.
ALTER TABLE sg_record ADD COLUMN error TEXT;
ALTER TABLE sg_record ADD COLUMN customer TEXT;
ALTER TABLE sg_record ADD COLUMN duration_ms BIGINT;
CREATE INDEX sg_record_failed ON sg_record (started_at) WHERE outcome <> 'ok';
CREATE INDEX sg_record_error ON sg_record (error, started_at) WHERE error IS NOT NULL;
CREATE INDEX sg_record_customer ON sg_record (customer, started_at) WHERE customer IS NOT NULL;

-- How far the records of earlier versions have been counted in what is new here: those after this one have not.
CREATE TABLE sg_rollup (
    id BIGINT NOT NULL PRIMARY KEY,
    started_at BIGINT NOT NULL,
    call_id TEXT NOT NULL,
    done BIGINT NOT NULL
);
INSERT INTO sg_rollup (id, started_at, call_id, done)
    SELECT 1, -9000000000000000000, '', CASE WHEN EXISTS (SELECT 1 FROM sg_record) THEN 0 ELSE 1 END;
