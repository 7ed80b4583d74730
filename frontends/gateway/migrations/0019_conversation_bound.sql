-- What a conversation holds, and where the next item stands, is said by its own row: whatever is added to it touches nothing else
-- of it, and lives as long as it does.
ALTER TABLE sg_conversation ADD COLUMN items BIGINT NOT NULL DEFAULT 0;
ALTER TABLE sg_conversation ADD COLUMN bytes BIGINT NOT NULL DEFAULT 0;
ALTER TABLE sg_conversation ADD COLUMN next_position BIGINT NOT NULL DEFAULT 0;
ALTER TABLE sg_conversation_item ADD COLUMN size BIGINT NOT NULL DEFAULT 0;
-- Bytes, as those of new items are counted: what isn't ASCII has more of them than characters.
--@postgres
UPDATE sg_conversation_item SET size = octet_length(body);
--@sqlite
UPDATE sg_conversation_item SET size = length(CAST(body AS BLOB));
--@all
UPDATE sg_conversation SET
    items = (SELECT COUNT(*) FROM sg_conversation_item i
             WHERE i.owner = sg_conversation.owner AND i.conversation_id = sg_conversation.id),
    bytes = (SELECT CAST(COALESCE(SUM(i.size), 0) AS BIGINT) FROM sg_conversation_item i
             WHERE i.owner = sg_conversation.owner AND i.conversation_id = sg_conversation.id),
    next_position = (SELECT COALESCE(MAX(i.position), -1) + 1 FROM sg_conversation_item i
             WHERE i.owner = sg_conversation.owner AND i.conversation_id = sg_conversation.id);
DROP INDEX sg_conversation_item_expires;
ALTER TABLE sg_conversation_item DROP COLUMN expires_at;
CREATE INDEX sg_conversation_item_id ON sg_conversation_item (owner, conversation_id, id);
-- What an owner has of conversations is summed up with each new one.
CREATE INDEX sg_conversation_share ON sg_conversation (owner, expires_at, bytes);
