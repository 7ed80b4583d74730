-- Narrower sums: whole times that nothing but a key, a model or a channel is asked of read a row for each of its combinations with
-- everything else.

--@sqlite
-- By the hour: of everybody in an organization, by model alone and by channel alone. What is told apart stands before whose it is, so
-- that rows of a group lie together.
CREATE TABLE sg_organization_hour (
    hour BIGINT NOT NULL,
    organization_id TEXT NOT NULL,
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
    PRIMARY KEY (hour, organization_id)
) WITHOUT ROWID;
CREATE TABLE sg_hour_by_model (
    hour BIGINT NOT NULL,
    model TEXT NOT NULL,
    organization_id TEXT NOT NULL,
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
    PRIMARY KEY (hour, model, organization_id)
) WITHOUT ROWID;
CREATE TABLE sg_hour_by_channel (
    hour BIGINT NOT NULL,
    channel_id TEXT NOT NULL,
    organization_id TEXT NOT NULL,
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
    PRIMARY KEY (hour, channel_id, organization_id)
) WITHOUT ROWID;
-- Keys, by the third of a month: `day` is its first.
CREATE TABLE sg_owner_third (
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
-- Labels by the hour and by the day, whichever they are.
CREATE TABLE sg_label_all_hour (
    kind TEXT NOT NULL,
    hour BIGINT NOT NULL,
    organization_id TEXT NOT NULL,
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
    PRIMARY KEY (kind, hour, organization_id)
) WITHOUT ROWID;
CREATE TABLE sg_label_all_day (
    kind TEXT NOT NULL,
    day TEXT NOT NULL,
    organization_id TEXT NOT NULL,
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
    PRIMARY KEY (kind, day, organization_id)
) WITHOUT ROWID;
-- Labels by key: by the day, the third of a month and the month.
CREATE TABLE sg_label_owner_day (
    kind TEXT NOT NULL,
    day TEXT NOT NULL,
    label TEXT NOT NULL,
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
    PRIMARY KEY (kind, day, label, organization_id, group_id, user_id, key_id)
) WITHOUT ROWID;
CREATE TABLE sg_label_owner_third (
    kind TEXT NOT NULL,
    day TEXT NOT NULL,
    label TEXT NOT NULL,
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
    PRIMARY KEY (kind, day, label, organization_id, group_id, user_id, key_id)
) WITHOUT ROWID;
CREATE TABLE sg_label_owner_month (
    kind TEXT NOT NULL,
    month TEXT NOT NULL,
    label TEXT NOT NULL,
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
    PRIMARY KEY (kind, month, label, organization_id, group_id, user_id, key_id)
) WITHOUT ROWID;

--@postgres
-- Nobody may add to the sums that these are made of while they are made: in the order in which a batch is written.
LOCK TABLE sg_record IN SHARE MODE;
LOCK TABLE sg_group_hour, sg_model_hour, sg_day_owner, sg_label_hour, sg_label_day, sg_daily_label IN SHARE MODE;
CREATE TABLE sg_organization_hour (
    hour BIGINT NOT NULL,
    organization_id TEXT NOT NULL,
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
    PRIMARY KEY (hour, organization_id)
);
CREATE TABLE sg_hour_by_model (
    hour BIGINT NOT NULL,
    model TEXT NOT NULL,
    organization_id TEXT NOT NULL,
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
    PRIMARY KEY (hour, model, organization_id)
);
CREATE TABLE sg_hour_by_channel (
    hour BIGINT NOT NULL,
    channel_id TEXT NOT NULL,
    organization_id TEXT NOT NULL,
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
    PRIMARY KEY (hour, channel_id, organization_id)
);
CREATE TABLE sg_owner_third (
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
CREATE TABLE sg_label_all_hour (
    kind TEXT NOT NULL,
    hour BIGINT NOT NULL,
    organization_id TEXT NOT NULL,
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
    PRIMARY KEY (kind, hour, organization_id)
);
CREATE TABLE sg_label_all_day (
    kind TEXT NOT NULL,
    day TEXT NOT NULL,
    organization_id TEXT NOT NULL,
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
    PRIMARY KEY (kind, day, organization_id)
);
CREATE TABLE sg_label_owner_day (
    kind TEXT NOT NULL,
    day TEXT NOT NULL,
    label TEXT NOT NULL,
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
    PRIMARY KEY (kind, day, label, organization_id, group_id, user_id, key_id)
);
CREATE TABLE sg_label_owner_third (
    kind TEXT NOT NULL,
    day TEXT NOT NULL,
    label TEXT NOT NULL,
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
    PRIMARY KEY (kind, day, label, organization_id, group_id, user_id, key_id)
);
CREATE TABLE sg_label_owner_month (
    kind TEXT NOT NULL,
    month TEXT NOT NULL,
    label TEXT NOT NULL,
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
    PRIMARY KEY (kind, month, label, organization_id, group_id, user_id, key_id)
);

--@all
INSERT INTO sg_organization_hour (hour, organization_id, requests, failures, attempts, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, spend, cost, calls, denials, reasoning_tokens, duration_ms, firsts, first_ms)
    SELECT hour, organization_id, SUM(requests), SUM(failures), SUM(attempts), SUM(input_tokens), SUM(output_tokens), SUM(cache_read_tokens), SUM(cache_write_tokens), SUM(spend), SUM(cost), SUM(calls), SUM(denials), SUM(reasoning_tokens), SUM(duration_ms), SUM(firsts), SUM(first_ms)
    FROM sg_group_hour GROUP BY hour, organization_id;
INSERT INTO sg_hour_by_model (hour, model, organization_id, requests, failures, attempts, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, spend, cost, calls, denials, reasoning_tokens, duration_ms, firsts, first_ms)
    SELECT hour, model, organization_id, SUM(requests), SUM(failures), SUM(attempts), SUM(input_tokens), SUM(output_tokens), SUM(cache_read_tokens), SUM(cache_write_tokens), SUM(spend), SUM(cost), SUM(calls), SUM(denials), SUM(reasoning_tokens), SUM(duration_ms), SUM(firsts), SUM(first_ms)
    FROM sg_model_hour GROUP BY hour, model, organization_id;
INSERT INTO sg_hour_by_channel (hour, channel_id, organization_id, requests, failures, attempts, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, spend, cost, calls, denials, reasoning_tokens, duration_ms, firsts, first_ms)
    SELECT hour, channel_id, organization_id, SUM(requests), SUM(failures), SUM(attempts), SUM(input_tokens), SUM(output_tokens), SUM(cache_read_tokens), SUM(cache_write_tokens), SUM(spend), SUM(cost), SUM(calls), SUM(denials), SUM(reasoning_tokens), SUM(duration_ms), SUM(firsts), SUM(first_ms)
    FROM sg_model_hour GROUP BY hour, channel_id, organization_id;
INSERT INTO sg_owner_third (day, organization_id, group_id, user_id, key_id, requests, failures, attempts, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, spend, cost, calls, denials, reasoning_tokens, duration_ms, firsts, first_ms)
    SELECT substr(day, 1, 8) || CASE WHEN substr(day, 9, 2) < '11' THEN '01' WHEN substr(day, 9, 2) < '21' THEN '11' ELSE '21' END, organization_id, group_id, user_id, key_id, SUM(requests), SUM(failures), SUM(attempts), SUM(input_tokens), SUM(output_tokens), SUM(cache_read_tokens), SUM(cache_write_tokens), SUM(spend), SUM(cost), SUM(calls), SUM(denials), SUM(reasoning_tokens), SUM(duration_ms), SUM(firsts), SUM(first_ms)
    FROM sg_day_owner GROUP BY substr(day, 1, 8) || CASE WHEN substr(day, 9, 2) < '11' THEN '01' WHEN substr(day, 9, 2) < '21' THEN '11' ELSE '21' END, organization_id, group_id, user_id, key_id;
INSERT INTO sg_label_all_hour (hour, kind, organization_id, requests, failures, attempts, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, spend, cost, calls, denials, reasoning_tokens, duration_ms, firsts, first_ms)
    SELECT hour, kind, organization_id, SUM(requests), SUM(failures), SUM(attempts), SUM(input_tokens), SUM(output_tokens), SUM(cache_read_tokens), SUM(cache_write_tokens), SUM(spend), SUM(cost), SUM(calls), SUM(denials), SUM(reasoning_tokens), SUM(duration_ms), SUM(firsts), SUM(first_ms)
    FROM sg_label_hour GROUP BY hour, kind, organization_id;
INSERT INTO sg_label_all_day (day, kind, organization_id, requests, failures, attempts, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, spend, cost, calls, denials, reasoning_tokens, duration_ms, firsts, first_ms)
    SELECT day, kind, organization_id, SUM(requests), SUM(failures), SUM(attempts), SUM(input_tokens), SUM(output_tokens), SUM(cache_read_tokens), SUM(cache_write_tokens), SUM(spend), SUM(cost), SUM(calls), SUM(denials), SUM(reasoning_tokens), SUM(duration_ms), SUM(firsts), SUM(first_ms)
    FROM sg_label_day GROUP BY day, kind, organization_id;
INSERT INTO sg_label_owner_day (day, kind, label, organization_id, group_id, user_id, key_id, requests, failures, attempts, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, spend, cost, calls, denials, reasoning_tokens, duration_ms, firsts, first_ms)
    SELECT day, kind, label, organization_id, group_id, user_id, key_id, SUM(requests), SUM(failures), SUM(attempts), SUM(input_tokens), SUM(output_tokens), SUM(cache_read_tokens), SUM(cache_write_tokens), SUM(spend), SUM(cost), SUM(calls), SUM(denials), SUM(reasoning_tokens), SUM(duration_ms), SUM(firsts), SUM(first_ms)
    FROM sg_daily_label GROUP BY day, kind, label, organization_id, group_id, user_id, key_id;
INSERT INTO sg_label_owner_third (day, kind, label, organization_id, group_id, user_id, key_id, requests, failures, attempts, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, spend, cost, calls, denials, reasoning_tokens, duration_ms, firsts, first_ms)
    SELECT substr(day, 1, 8) || CASE WHEN substr(day, 9, 2) < '11' THEN '01' WHEN substr(day, 9, 2) < '21' THEN '11' ELSE '21' END, kind, label, organization_id, group_id, user_id, key_id, SUM(requests), SUM(failures), SUM(attempts), SUM(input_tokens), SUM(output_tokens), SUM(cache_read_tokens), SUM(cache_write_tokens), SUM(spend), SUM(cost), SUM(calls), SUM(denials), SUM(reasoning_tokens), SUM(duration_ms), SUM(firsts), SUM(first_ms)
    FROM sg_label_owner_day GROUP BY substr(day, 1, 8) || CASE WHEN substr(day, 9, 2) < '11' THEN '01' WHEN substr(day, 9, 2) < '21' THEN '11' ELSE '21' END, kind, label, organization_id, group_id, user_id, key_id;
INSERT INTO sg_label_owner_month (month, kind, label, organization_id, group_id, user_id, key_id, requests, failures, attempts, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, spend, cost, calls, denials, reasoning_tokens, duration_ms, firsts, first_ms)
    SELECT substr(day, 1, 8) || '01', kind, label, organization_id, group_id, user_id, key_id, SUM(requests), SUM(failures), SUM(attempts), SUM(input_tokens), SUM(output_tokens), SUM(cache_read_tokens), SUM(cache_write_tokens), SUM(spend), SUM(cost), SUM(calls), SUM(denials), SUM(reasoning_tokens), SUM(duration_ms), SUM(firsts), SUM(first_ms)
    FROM sg_label_owner_day GROUP BY substr(day, 1, 8) || '01', kind, label, organization_id, group_id, user_id, key_id;
-- All sums are compared anew with what they are made of.
DELETE FROM sg_rollup WHERE id = 2;
