-- What is found without looking through everything.

-- Under which owners something is, or was, kept for a user: what one made as a caller is found by it. An owner is a JSON list of
-- organization, group, user and key.
CREATE TABLE sg_user_owner (
    user_id TEXT NOT NULL,
    owner TEXT NOT NULL,
    PRIMARY KEY (user_id, owner)
);
--@sqlite
INSERT INTO sg_user_owner (user_id, owner)
    SELECT json_extract(owner, '$[2]'), owner
    FROM (SELECT owner FROM sg_response UNION SELECT owner FROM sg_conversation) kept
    WHERE json_extract(owner, '$[2]') IS NOT NULL;
--@postgres
-- A character that no text can hold here is in nobody's id.
INSERT INTO sg_user_owner (user_id, owner)
    SELECT user_id, owner
    FROM (SELECT CASE WHEN strpos(owner, '\u0000') = 0 THEN CAST(owner AS JSON) ->> 2 END AS user_id, owner
          FROM (SELECT owner FROM sg_response UNION SELECT owner FROM sg_conversation) kept) named
    WHERE user_id IS NOT NULL;
--@all
-- Calls that took five minutes or longer: few, and asked for.
CREATE INDEX sg_record_slow ON sg_record (started_at) WHERE duration_ms >= 300000;
