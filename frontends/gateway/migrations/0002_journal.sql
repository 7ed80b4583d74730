-- How far each journal's events are in the tables: the number of the first that isn't. Written in the transaction that
-- writes what they did.
CREATE TABLE sg_journal (
    id TEXT NOT NULL PRIMARY KEY,
    position BIGINT NOT NULL
);
