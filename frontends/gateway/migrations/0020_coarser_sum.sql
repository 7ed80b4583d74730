-- Coarser sums for long times: a report by two things over months read a row for almost every call of the days at its ends.

--@sqlite
-- Everything told apart, by the third of a month: `day` is the 1st, the 11th or the 21st, with which it begins.
CREATE TABLE sg_third (
    day TEXT NOT NULL,
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
    PRIMARY KEY (day, organization_id, group_id, user_id, key_id, model, channel_id)
) WITHOUT ROWID;
-- As sg_label_day, by the month.
CREATE TABLE sg_label_month (
    kind TEXT NOT NULL,
    month TEXT NOT NULL,
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
    PRIMARY KEY (kind, month, organization_id, label, group_id)
) WITHOUT ROWID;
-- Labels with models and channels.
CREATE TABLE sg_label_model_day (
    kind TEXT NOT NULL,
    day TEXT NOT NULL,
    organization_id TEXT NOT NULL,
    label TEXT NOT NULL,
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
    PRIMARY KEY (kind, day, organization_id, label, model, channel_id)
) WITHOUT ROWID;
CREATE TABLE sg_label_model_month (
    kind TEXT NOT NULL,
    month TEXT NOT NULL,
    organization_id TEXT NOT NULL,
    label TEXT NOT NULL,
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
    PRIMARY KEY (kind, month, organization_id, label, model, channel_id)
) WITHOUT ROWID;

--@postgres
-- Nobody may add to the sums that these are made of while they are made: in the order in which a batch is written.
LOCK TABLE sg_record IN SHARE MODE;
LOCK TABLE sg_daily, sg_daily_label, sg_label_day IN SHARE MODE;
CREATE TABLE sg_third (
    day TEXT NOT NULL,
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
    PRIMARY KEY (day, organization_id, group_id, user_id, key_id, model, channel_id)
);
CREATE TABLE sg_label_month (
    kind TEXT NOT NULL,
    month TEXT NOT NULL,
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
    PRIMARY KEY (kind, month, organization_id, label, group_id)
);
CREATE TABLE sg_label_model_day (
    kind TEXT NOT NULL,
    day TEXT NOT NULL,
    organization_id TEXT NOT NULL,
    label TEXT NOT NULL,
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
    PRIMARY KEY (kind, day, organization_id, label, model, channel_id)
);
CREATE TABLE sg_label_model_month (
    kind TEXT NOT NULL,
    month TEXT NOT NULL,
    organization_id TEXT NOT NULL,
    label TEXT NOT NULL,
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
    PRIMARY KEY (kind, month, organization_id, label, model, channel_id)
);

--@all
-- Who used the most, day by day: a row a day of each.
CREATE INDEX sg_day_owner_key ON sg_day_owner (key_id, day);
CREATE INDEX sg_day_owner_user ON sg_day_owner (user_id, day);
INSERT INTO sg_third (day, organization_id, group_id, user_id, key_id, model, channel_id, requests, failures, attempts, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, spend, cost, calls, denials, reasoning_tokens, duration_ms, firsts, first_ms)
    SELECT substr(day, 1, 8) || CASE WHEN substr(day, 9, 2) < '11' THEN '01' WHEN substr(day, 9, 2) < '21' THEN '11' ELSE '21' END, organization_id, group_id, user_id, key_id, model, channel_id, SUM(requests), SUM(failures), SUM(attempts), SUM(input_tokens), SUM(output_tokens), SUM(cache_read_tokens), SUM(cache_write_tokens), SUM(spend), SUM(cost), SUM(calls), SUM(denials), SUM(reasoning_tokens), SUM(duration_ms), SUM(firsts), SUM(first_ms)
    FROM sg_daily GROUP BY substr(day, 1, 8) || CASE WHEN substr(day, 9, 2) < '11' THEN '01' WHEN substr(day, 9, 2) < '21' THEN '11' ELSE '21' END, organization_id, group_id, user_id, key_id, model, channel_id;
INSERT INTO sg_label_month (month, kind, organization_id, label, group_id, requests, failures, attempts, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, spend, cost, calls, denials, reasoning_tokens, duration_ms, firsts, first_ms)
    SELECT substr(day, 1, 8) || '01', kind, organization_id, label, group_id, SUM(requests), SUM(failures), SUM(attempts), SUM(input_tokens), SUM(output_tokens), SUM(cache_read_tokens), SUM(cache_write_tokens), SUM(spend), SUM(cost), SUM(calls), SUM(denials), SUM(reasoning_tokens), SUM(duration_ms), SUM(firsts), SUM(first_ms)
    FROM sg_label_day GROUP BY substr(day, 1, 8) || '01', kind, organization_id, label, group_id;
INSERT INTO sg_label_model_day (day, kind, organization_id, label, model, channel_id, requests, failures, attempts, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, spend, cost, calls, denials, reasoning_tokens, duration_ms, firsts, first_ms)
    SELECT day, kind, organization_id, label, model, channel_id, SUM(requests), SUM(failures), SUM(attempts), SUM(input_tokens), SUM(output_tokens), SUM(cache_read_tokens), SUM(cache_write_tokens), SUM(spend), SUM(cost), SUM(calls), SUM(denials), SUM(reasoning_tokens), SUM(duration_ms), SUM(firsts), SUM(first_ms)
    FROM sg_daily_label GROUP BY day, kind, organization_id, label, model, channel_id;
INSERT INTO sg_label_model_month (month, kind, organization_id, label, model, channel_id, requests, failures, attempts, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, spend, cost, calls, denials, reasoning_tokens, duration_ms, firsts, first_ms)
    SELECT substr(day, 1, 8) || '01', kind, organization_id, label, model, channel_id, SUM(requests), SUM(failures), SUM(attempts), SUM(input_tokens), SUM(output_tokens), SUM(cache_read_tokens), SUM(cache_write_tokens), SUM(spend), SUM(cost), SUM(calls), SUM(denials), SUM(reasoning_tokens), SUM(duration_ms), SUM(firsts), SUM(first_ms)
    FROM sg_label_model_day GROUP BY substr(day, 1, 8) || '01', kind, organization_id, label, model, channel_id;
