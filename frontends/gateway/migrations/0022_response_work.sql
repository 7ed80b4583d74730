-- Responses that are worked on in the background: by whom, until when that was so, and whether somebody wants it ended. A worker is
-- a process, named by its journal.
CREATE TABLE sg_response_work (
    owner TEXT NOT NULL,
    response_id TEXT NOT NULL,
    worker TEXT NOT NULL,
    seen_at BIGINT NOT NULL,
    cancelled BIGINT NOT NULL,
    PRIMARY KEY (owner, response_id)
);
CREATE INDEX sg_response_work_worker ON sg_response_work (worker);
CREATE INDEX sg_response_work_seen ON sg_response_work (seen_at);
