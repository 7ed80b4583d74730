-- Hours of users: those of a few users over weeks were looked up row by row among everything that their keys did at each model and channel.

--@sqlite
-- The hours of one user are found one by one; all users of an hour lie together, where they are written and forgotten.
CREATE TABLE sg_hour_by_user (
    hour BIGINT NOT NULL,
    user_id TEXT NOT NULL,
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
    PRIMARY KEY (hour, user_id, organization_id, group_id)
) WITHOUT ROWID;
--@postgres
-- Nobody may add to the sums that these are made of while they are made: in the order in which a batch is written.
LOCK TABLE sg_record IN SHARE MODE;
LOCK TABLE sg_hour IN SHARE MODE;
CREATE TABLE sg_hour_by_user (
    hour BIGINT NOT NULL,
    user_id TEXT NOT NULL,
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
    PRIMARY KEY (hour, user_id, organization_id, group_id)
);

--@all
INSERT INTO sg_hour_by_user (hour, user_id, organization_id, group_id, requests, failures, attempts, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, spend, cost, calls, denials, reasoning_tokens, duration_ms, firsts, first_ms)
    SELECT hour, user_id, organization_id, group_id, SUM(requests), SUM(failures), SUM(attempts), SUM(input_tokens), SUM(output_tokens), SUM(cache_read_tokens), SUM(cache_write_tokens), SUM(spend), SUM(cost), SUM(calls), SUM(denials), SUM(reasoning_tokens), SUM(duration_ms), SUM(firsts), SUM(first_ms)
    FROM sg_hour GROUP BY hour, user_id, organization_id, group_id;
-- All sums are compared anew with what they are made of.
DELETE FROM sg_rollup WHERE id = 2;
