-- Requests that are to be done once, whoever sends them how often: by a code of who asks and the key that they name. `request` is
-- a code of the request, `answer` is sealed; none while it is under way.
CREATE TABLE sg_once (
    id TEXT NOT NULL PRIMARY KEY,
    request TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    answer TEXT
);
CREATE INDEX sg_once_expires ON sg_once (expires_at);
