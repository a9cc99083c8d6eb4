-- How many living conversations have a tag, in the tag's row: a list of tags that counts them anew reads every one of them.
-- Triggers keep the number, so that no way of writing can forget to. Whoever changes the tags of a conversation, or moves
-- one to the trash or back, holds the lock of the owner's row, so nobody else's unit waits for a tag's.

-- migrate:up

ALTER TABLE tags ADD COLUMN conversation_count {{integer}} NOT NULL DEFAULT 0;
UPDATE tags SET conversation_count = (
    SELECT COUNT(*) FROM conversation_tags ct JOIN conversations c ON c.id = ct.conversation_id
    WHERE ct.tag_id = tags.id AND c.deleted_at IS NULL
);

CREATE TRIGGER conversation_tags_count_insert AFTER INSERT ON conversation_tags
BEGIN
    UPDATE tags SET conversation_count = conversation_count + 1
    WHERE id = NEW.tag_id AND EXISTS (SELECT 1 FROM conversations c WHERE c.id = NEW.conversation_id AND c.deleted_at IS NULL);
END;

-- What goes with its conversation was counted below: that row is gone, or was in the trash.
CREATE TRIGGER conversation_tags_count_delete AFTER DELETE ON conversation_tags
BEGIN
    UPDATE tags SET conversation_count = conversation_count - 1
    WHERE id = OLD.tag_id AND EXISTS (SELECT 1 FROM conversations c WHERE c.id = OLD.conversation_id AND c.deleted_at IS NULL);
END;

CREATE TRIGGER conversations_count_tags AFTER UPDATE OF deleted_at ON conversations
WHEN NEW.has_tags AND (OLD.deleted_at IS NULL) <> (NEW.deleted_at IS NULL)
BEGIN
    UPDATE tags SET conversation_count = conversation_count + CASE WHEN NEW.deleted_at IS NULL THEN 1 ELSE -1 END
    WHERE id IN (SELECT ct.tag_id FROM conversation_tags ct WHERE ct.conversation_id = NEW.id);
END;

CREATE TRIGGER conversations_count_tags_delete BEFORE DELETE ON conversations
WHEN OLD.has_tags AND OLD.deleted_at IS NULL
BEGIN
    UPDATE tags SET conversation_count = conversation_count - 1
    WHERE id IN (SELECT ct.tag_id FROM conversation_tags ct WHERE ct.conversation_id = OLD.id);
END;

-- migrate:down

DROP TRIGGER conversations_count_tags_delete;
DROP TRIGGER conversations_count_tags;
DROP TRIGGER conversation_tags_count_delete;
DROP TRIGGER conversation_tags_count_insert;
ALTER TABLE tags DROP COLUMN conversation_count;
