-- What a call may be found by that its caller only knows the answer of.

-- A hash of the id that the answer has at its upstream. Records from before have none.
ALTER TABLE sg_record ADD COLUMN answer BIGINT;
CREATE INDEX sg_record_answer ON sg_record (answer, started_at) WHERE answer IS NOT NULL;
