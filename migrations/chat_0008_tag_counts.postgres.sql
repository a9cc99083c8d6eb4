-- How many living conversations have a tag, in the tag's row: a list of tags that counts them anew reads every one of them.
-- Triggers keep the number, so that no way of writing can forget to. Whoever changes the tags of a conversation, or moves
-- one to the trash or back, holds the lock of the owner's row, so nobody else's unit waits for a tag's.

-- migrate:up

ALTER TABLE tags ADD COLUMN conversation_count {{integer}} NOT NULL DEFAULT 0;
UPDATE tags SET conversation_count = (
    SELECT COUNT(*) FROM conversation_tags ct JOIN conversations c ON c.id = ct.conversation_id
    WHERE ct.tag_id = tags.id AND c.deleted_at IS NULL
);

-- Once for a statement: a tag comes off five hundred conversations at a time.
CREATE FUNCTION count_tagged() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE tags SET conversation_count = conversation_count + changed.count
    FROM (
        SELECT r.tag_id, COUNT(*) AS count FROM rows r JOIN conversations c ON c.id = r.conversation_id
        WHERE c.deleted_at IS NULL GROUP BY r.tag_id
    ) AS changed
    WHERE tags.id = changed.tag_id;
    RETURN NULL;
END $$;
-- What goes with its conversation was counted below: that row is gone, or was in the trash.
CREATE FUNCTION count_untagged() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE tags SET conversation_count = conversation_count - changed.count
    FROM (
        SELECT r.tag_id, COUNT(*) AS count FROM rows r JOIN conversations c ON c.id = r.conversation_id
        WHERE c.deleted_at IS NULL GROUP BY r.tag_id
    ) AS changed
    WHERE tags.id = changed.tag_id;
    RETURN NULL;
END $$;
CREATE TRIGGER conversation_tags_count_insert AFTER INSERT ON conversation_tags
    REFERENCING NEW TABLE AS rows FOR EACH STATEMENT EXECUTE FUNCTION count_tagged();
CREATE TRIGGER conversation_tags_count_delete AFTER DELETE ON conversation_tags
    REFERENCING OLD TABLE AS rows FOR EACH STATEMENT EXECUTE FUNCTION count_untagged();

CREATE FUNCTION count_conversation_tags() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        UPDATE tags SET conversation_count = conversation_count - 1
        WHERE id IN (SELECT ct.tag_id FROM conversation_tags ct WHERE ct.conversation_id = OLD.id);
        RETURN OLD;
    END IF;
    UPDATE tags SET conversation_count = conversation_count + CASE WHEN NEW.deleted_at IS NULL THEN 1 ELSE -1 END
    WHERE id IN (SELECT ct.tag_id FROM conversation_tags ct WHERE ct.conversation_id = NEW.id);
    RETURN NULL;
END $$;
CREATE TRIGGER conversations_count_tags AFTER UPDATE OF deleted_at ON conversations
    FOR EACH ROW WHEN (NEW.has_tags AND (OLD.deleted_at IS NULL) <> (NEW.deleted_at IS NULL))
    EXECUTE FUNCTION count_conversation_tags();
CREATE TRIGGER conversations_count_tags_delete BEFORE DELETE ON conversations
    FOR EACH ROW WHEN (OLD.has_tags AND OLD.deleted_at IS NULL) EXECUTE FUNCTION count_conversation_tags();

-- migrate:down

DROP TRIGGER conversations_count_tags_delete ON conversations;
DROP TRIGGER conversations_count_tags ON conversations;
DROP TRIGGER conversation_tags_count_delete ON conversation_tags;
DROP TRIGGER conversation_tags_count_insert ON conversation_tags;
DROP FUNCTION count_conversation_tags();
DROP FUNCTION count_untagged();
DROP FUNCTION count_tagged();
ALTER TABLE tags DROP COLUMN conversation_count;
