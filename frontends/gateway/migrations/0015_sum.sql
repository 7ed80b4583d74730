-- Sums that are smaller than those they take the place of. Groups with models and channels were almost as many as with users and keys,
-- and cost as much to write; times by model were asked for by nobody. Months make long times short.

--@sqlite
-- By the hour: of groups alone, and of models and channels.
CREATE TABLE sg_group_hour (
    hour BIGINT NOT NULL,
    organization_id TEXT NOT NULL,
    group_id TEXT NOT NULL,
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
    PRIMARY KEY (hour, organization_id, group_id)
) WITHOUT ROWID;
CREATE TABLE sg_model_hour (
    hour BIGINT NOT NULL,
    organization_id TEXT NOT NULL,
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
    PRIMARY KEY (hour, organization_id, model, channel_id)
) WITHOUT ROWID;
-- By the day, likewise.
CREATE TABLE sg_group_day (
    day TEXT NOT NULL,
    organization_id TEXT NOT NULL,
    group_id TEXT NOT NULL,
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
    PRIMARY KEY (day, organization_id, group_id)
) WITHOUT ROWID;
CREATE TABLE sg_model_day (
    day TEXT NOT NULL,
    organization_id TEXT NOT NULL,
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
    PRIMARY KEY (day, organization_id, model, channel_id)
) WITHOUT ROWID;
-- By the month, named by its first day: everything told apart.
CREATE TABLE sg_month (
    month TEXT NOT NULL,
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
    PRIMARY KEY (month, organization_id, group_id, user_id, key_id, model, channel_id)
) WITHOUT ROWID;
-- Of labels: by the hour alone, by the day with groups.
CREATE TABLE sg_label_hour (
    kind TEXT NOT NULL,
    hour BIGINT NOT NULL,
    organization_id TEXT NOT NULL,
    label TEXT NOT NULL,
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
    PRIMARY KEY (kind, hour, organization_id, label)
) WITHOUT ROWID;
CREATE TABLE sg_label_day (
    kind TEXT NOT NULL,
    day TEXT NOT NULL,
    organization_id TEXT NOT NULL,
    label TEXT NOT NULL,
    group_id TEXT NOT NULL,
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
    PRIMARY KEY (kind, day, organization_id, label, group_id)
) WITHOUT ROWID;
-- Of calls that ended well, so many that took about so long, and of streams, until they had content, as sg_latency had them. `span` is
-- `hour` or `day` for each group, `hour_all` or `day_all` for an organization's groups together, whose `group_id` is empty.
CREATE TABLE sg_took (
    span TEXT NOT NULL,
    slot BIGINT NOT NULL,
    organization_id TEXT NOT NULL,
    group_id TEXT NOT NULL,
    bucket BIGINT NOT NULL,
    calls BIGINT NOT NULL,
    firsts BIGINT NOT NULL,
    PRIMARY KEY (span, slot, organization_id, group_id, bucket)
) WITHOUT ROWID;

--@postgres
-- What a node of the version before writes meanwhile would be in the old sums alone. Each append begins with records, and goes on in
-- this order.
LOCK TABLE sg_record IN SHARE MODE;
LOCK TABLE sg_day_place, sg_day_owner, sg_daily, sg_hour_place, sg_hour, sg_latency, sg_daily_label, sg_hour_label IN ACCESS EXCLUSIVE MODE;
CREATE TABLE sg_group_hour (
    hour BIGINT NOT NULL,
    organization_id TEXT NOT NULL,
    group_id TEXT NOT NULL,
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
    PRIMARY KEY (hour, organization_id, group_id)
);
CREATE TABLE sg_model_hour (
    hour BIGINT NOT NULL,
    organization_id TEXT NOT NULL,
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
    PRIMARY KEY (hour, organization_id, model, channel_id)
);
CREATE TABLE sg_group_day (
    day TEXT NOT NULL,
    organization_id TEXT NOT NULL,
    group_id TEXT NOT NULL,
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
    PRIMARY KEY (day, organization_id, group_id)
);
CREATE TABLE sg_model_day (
    day TEXT NOT NULL,
    organization_id TEXT NOT NULL,
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
    PRIMARY KEY (day, organization_id, model, channel_id)
);
CREATE TABLE sg_month (
    month TEXT NOT NULL,
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
    PRIMARY KEY (month, organization_id, group_id, user_id, key_id, model, channel_id)
);
CREATE TABLE sg_label_hour (
    kind TEXT NOT NULL,
    hour BIGINT NOT NULL,
    organization_id TEXT NOT NULL,
    label TEXT NOT NULL,
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
    PRIMARY KEY (kind, hour, organization_id, label)
);
CREATE TABLE sg_label_day (
    kind TEXT NOT NULL,
    day TEXT NOT NULL,
    organization_id TEXT NOT NULL,
    label TEXT NOT NULL,
    group_id TEXT NOT NULL,
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
    PRIMARY KEY (kind, day, organization_id, label, group_id)
);
CREATE TABLE sg_took (
    span TEXT NOT NULL,
    slot BIGINT NOT NULL,
    organization_id TEXT NOT NULL,
    group_id TEXT NOT NULL,
    bucket BIGINT NOT NULL,
    calls BIGINT NOT NULL,
    firsts BIGINT NOT NULL,
    PRIMARY KEY (span, slot, organization_id, group_id, bucket)
);

--@all
INSERT INTO sg_group_hour (hour, organization_id, group_id, requests, failures, attempts, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, spend, cost, calls, denials, reasoning_tokens, duration_ms, firsts, first_ms)
    SELECT hour, organization_id, group_id, SUM(requests), SUM(failures), SUM(attempts), SUM(input_tokens), SUM(output_tokens), SUM(cache_read_tokens), SUM(cache_write_tokens), SUM(spend), SUM(cost), SUM(calls), SUM(denials), SUM(reasoning_tokens), SUM(duration_ms), SUM(firsts), SUM(first_ms)
    FROM sg_hour GROUP BY hour, organization_id, group_id;
INSERT INTO sg_model_hour (hour, organization_id, model, channel_id, requests, failures, attempts, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, spend, cost, calls, denials, reasoning_tokens, duration_ms, firsts, first_ms)
    SELECT hour, organization_id, model, channel_id, SUM(requests), SUM(failures), SUM(attempts), SUM(input_tokens), SUM(output_tokens), SUM(cache_read_tokens), SUM(cache_write_tokens), SUM(spend), SUM(cost), SUM(calls), SUM(denials), SUM(reasoning_tokens), SUM(duration_ms), SUM(firsts), SUM(first_ms)
    FROM sg_hour GROUP BY hour, organization_id, model, channel_id;
INSERT INTO sg_group_day (day, organization_id, group_id, requests, failures, attempts, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, spend, cost, calls, denials, reasoning_tokens, duration_ms, firsts, first_ms)
    SELECT day, organization_id, group_id, SUM(requests), SUM(failures), SUM(attempts), SUM(input_tokens), SUM(output_tokens), SUM(cache_read_tokens), SUM(cache_write_tokens), SUM(spend), SUM(cost), SUM(calls), SUM(denials), SUM(reasoning_tokens), SUM(duration_ms), SUM(firsts), SUM(first_ms)
    FROM sg_daily GROUP BY day, organization_id, group_id;
INSERT INTO sg_model_day (day, organization_id, model, channel_id, requests, failures, attempts, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, spend, cost, calls, denials, reasoning_tokens, duration_ms, firsts, first_ms)
    SELECT day, organization_id, model, channel_id, SUM(requests), SUM(failures), SUM(attempts), SUM(input_tokens), SUM(output_tokens), SUM(cache_read_tokens), SUM(cache_write_tokens), SUM(spend), SUM(cost), SUM(calls), SUM(denials), SUM(reasoning_tokens), SUM(duration_ms), SUM(firsts), SUM(first_ms)
    FROM sg_daily GROUP BY day, organization_id, model, channel_id;
INSERT INTO sg_month (month, organization_id, group_id, user_id, key_id, model, channel_id, requests, failures, attempts, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, spend, cost, calls, denials, reasoning_tokens, duration_ms, firsts, first_ms)
    SELECT substr(day, 1, 8) || '01', organization_id, group_id, user_id, key_id, model, channel_id, SUM(requests), SUM(failures), SUM(attempts), SUM(input_tokens), SUM(output_tokens), SUM(cache_read_tokens), SUM(cache_write_tokens), SUM(spend), SUM(cost), SUM(calls), SUM(denials), SUM(reasoning_tokens), SUM(duration_ms), SUM(firsts), SUM(first_ms)
    FROM sg_daily GROUP BY substr(day, 1, 8) || '01', organization_id, group_id, user_id, key_id, model, channel_id;
INSERT INTO sg_label_hour (kind, hour, organization_id, label, requests, failures, attempts, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, spend, cost, calls, denials, reasoning_tokens, duration_ms, firsts, first_ms)
    SELECT kind, hour, organization_id, label, SUM(requests), SUM(failures), SUM(attempts), SUM(input_tokens), SUM(output_tokens), SUM(cache_read_tokens), SUM(cache_write_tokens), SUM(spend), SUM(cost), SUM(calls), SUM(denials), SUM(reasoning_tokens), SUM(duration_ms), SUM(firsts), SUM(first_ms)
    FROM sg_hour_label GROUP BY kind, hour, organization_id, label;
INSERT INTO sg_label_day (kind, day, organization_id, label, group_id, requests, failures, attempts, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, spend, cost, calls, denials, reasoning_tokens, duration_ms, firsts, first_ms)
    SELECT kind, day, organization_id, label, group_id, SUM(requests), SUM(failures), SUM(attempts), SUM(input_tokens), SUM(output_tokens), SUM(cache_read_tokens), SUM(cache_write_tokens), SUM(spend), SUM(cost), SUM(calls), SUM(denials), SUM(reasoning_tokens), SUM(duration_ms), SUM(firsts), SUM(first_ms)
    FROM sg_daily_label GROUP BY kind, day, organization_id, label, group_id;
INSERT INTO sg_took (span, slot, organization_id, group_id, bucket, calls, firsts)
    SELECT span, slot, organization_id, group_id, bucket, SUM(calls), SUM(firsts) FROM sg_latency
    GROUP BY span, slot, organization_id, group_id, bucket;
INSERT INTO sg_took (span, slot, organization_id, group_id, bucket, calls, firsts)
    SELECT span || '_all', slot, organization_id, '', bucket, SUM(calls), SUM(firsts) FROM sg_took
    GROUP BY span, slot, organization_id, bucket;
DROP TABLE sg_hour_place;
DROP TABLE sg_day_place;
DROP TABLE sg_latency;
