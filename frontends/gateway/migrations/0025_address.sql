-- Addresses are looked for, and are somebody's alone, whatever the case that they are written in and the space around them; the
-- user's body keeps how it was written. Of several users whose addresses are one then the first keeps theirs, the others are known
-- by their ids.
--@sqlite
-- Without it each user is compared with all.
CREATE INDEX sg_user_folded ON sg_user (lower(trim(email, char(9, 10, 11, 12, 13, 32))));
UPDATE sg_user SET email = NULL WHERE email IS NOT NULL AND EXISTS (
    SELECT 1 FROM sg_user twin WHERE lower(trim(twin.email, char(9, 10, 11, 12, 13, 32))) = lower(trim(sg_user.email, char(9, 10, 11, 12, 13, 32)))
    AND (twin.created_at < sg_user.created_at OR (twin.created_at = sg_user.created_at AND twin.id < sg_user.id))
);
UPDATE sg_user SET email = lower(trim(email, char(9, 10, 11, 12, 13, 32))) WHERE email <> lower(trim(email, char(9, 10, 11, 12, 13, 32)));
DROP INDEX sg_user_folded;
--@postgres
UPDATE sg_user SET email = NULL WHERE email IS NOT NULL AND EXISTS (
    SELECT 1 FROM sg_user twin WHERE lower(btrim(twin.email, E' \t\n\x0b\f\r') COLLATE "C") = lower(btrim(sg_user.email, E' \t\n\x0b\f\r') COLLATE "C")
    AND (twin.created_at < sg_user.created_at OR (twin.created_at = sg_user.created_at AND twin.id < sg_user.id))
);
UPDATE sg_user SET email = lower(btrim(email, E' \t\n\x0b\f\r') COLLATE "C") WHERE email <> lower(btrim(email, E' \t\n\x0b\f\r') COLLATE "C");
--@all

-- Whether somebody who administers a key has had the last word on what it may do: then whoever made it for themselves may as much
-- as its owner, and loosens nothing.
ALTER TABLE sg_key ADD COLUMN governed BIGINT NOT NULL DEFAULT 0;
UPDATE sg_key SET governed = 1 WHERE updated_by <> created_by;
