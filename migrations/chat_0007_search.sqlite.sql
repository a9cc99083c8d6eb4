-- Full-text search: the words of a message, or of a title, in the row that they index.
--
-- `search` is made in Swift, once for both engines (Sources/ChatService/Search): words between single spaces, in
-- order. The triggers keep an FTS5 entry for each row, with words in front that no text can hold: its owner, its
-- conversation, its role. The tables are contentless, so the words are stored in the rows alone; `ascii` splits
-- them at the spaces and leaves every byte past 0x7F as it is.

-- migrate:up

ALTER TABLE messages ADD COLUMN search TEXT;
ALTER TABLE conversations ADD COLUMN search TEXT;

CREATE VIRTUAL TABLE search_messages USING fts5(words, content = '', columnsize = 0, tokenize = 'ascii');
CREATE VIRTUAL TABLE search_titles USING fts5(words, content = '', columnsize = 0, tokenize = 'ascii');

-- Where the entries of messages stand: `position` is the time in 1/2048 µs, so that entries come newest first as they
-- are read. An entry that is up to 2 s late goes behind the newest, since FTS5 takes ascending numbers in one piece;
-- an older one (an import) goes where its time is.
CREATE TABLE search_message_rows (
    position INTEGER PRIMARY KEY,
    message_id TEXT NOT NULL UNIQUE,
    -- What deleting the entry needs to know, when the rows around it may be gone already.
    scope    TEXT NOT NULL
) STRICT;

CREATE TRIGGER messages_search_insert AFTER INSERT ON messages WHEN NEW.search IS NOT NULL AND NEW.deleted_at IS NULL BEGIN
    INSERT INTO search_message_rows (position, message_id, scope)
    SELECT CASE
            WHEN (SELECT max(position) FROM search_message_rows) IS NULL OR (min(max(NEW.created_at, 0), 4500000000000000) * 2048) > (SELECT max(position) FROM search_message_rows)
            THEN (min(max(NEW.created_at, 0), 4500000000000000) * 2048)
            WHEN (min(max(NEW.created_at, 0), 4500000000000000) * 2048) > (SELECT max(position) FROM search_message_rows) - 2000000 * 2048
            THEN (SELECT max(position) FROM search_message_rows) + 1
            ELSE coalesce(
                (SELECT max(position) + 1 FROM search_message_rows
                 WHERE position >= (min(max(NEW.created_at, 0), 4500000000000000) * 2048) AND position < (min(max(NEW.created_at, 0), 4500000000000000) * 2048) + 1000 * 2048),
                (min(max(NEW.created_at, 0), 4500000000000000) * 2048)
            )
        END, NEW.id,
        '§o' || lower(hex((SELECT c.owner_id FROM conversations c WHERE c.id = NEW.conversation_id)))
            || ' §c' || lower(hex(NEW.conversation_id)) || ' §r' || NEW.role;
    INSERT INTO search_messages (rowid, words)
    SELECT r.position, r.scope || ' ' || NEW.search FROM search_message_rows r WHERE r.message_id = NEW.id;
END;
CREATE TRIGGER messages_search_update AFTER UPDATE OF search, deleted_at ON messages
WHEN (OLD.search IS NOT NULL OR NEW.search IS NOT NULL) AND (OLD.search IS NOT NEW.search
    OR OLD.deleted_at IS NOT NEW.deleted_at) BEGIN
    INSERT INTO search_messages (search_messages, rowid, words)
    SELECT 'delete', r.position, r.scope || ' ' || OLD.search FROM search_message_rows r WHERE r.message_id = OLD.id;
    DELETE FROM search_message_rows WHERE message_id = OLD.id AND (NEW.search IS NULL OR NEW.deleted_at IS NOT NULL);
    INSERT INTO search_message_rows (position, message_id, scope)
    SELECT CASE
            WHEN (SELECT max(position) FROM search_message_rows) IS NULL OR (min(max(NEW.created_at, 0), 4500000000000000) * 2048) > (SELECT max(position) FROM search_message_rows)
            THEN (min(max(NEW.created_at, 0), 4500000000000000) * 2048)
            WHEN (min(max(NEW.created_at, 0), 4500000000000000) * 2048) > (SELECT max(position) FROM search_message_rows) - 2000000 * 2048
            THEN (SELECT max(position) FROM search_message_rows) + 1
            ELSE coalesce(
                (SELECT max(position) + 1 FROM search_message_rows
                 WHERE position >= (min(max(NEW.created_at, 0), 4500000000000000) * 2048) AND position < (min(max(NEW.created_at, 0), 4500000000000000) * 2048) + 1000 * 2048),
                (min(max(NEW.created_at, 0), 4500000000000000) * 2048)
            )
        END, NEW.id,
        '§o' || lower(hex((SELECT c.owner_id FROM conversations c WHERE c.id = NEW.conversation_id)))
            || ' §c' || lower(hex(NEW.conversation_id)) || ' §r' || NEW.role
    WHERE NEW.search IS NOT NULL AND NEW.deleted_at IS NULL
        AND NOT EXISTS (SELECT 1 FROM search_message_rows r WHERE r.message_id = NEW.id);
    INSERT INTO search_messages (rowid, words)
    SELECT r.position, r.scope || ' ' || NEW.search FROM search_message_rows r WHERE r.message_id = NEW.id;
END;
CREATE TRIGGER messages_search_delete AFTER DELETE ON messages WHEN OLD.search IS NOT NULL BEGIN
    INSERT INTO search_messages (search_messages, rowid, words)
    SELECT 'delete', r.position, r.scope || ' ' || OLD.search FROM search_message_rows r WHERE r.message_id = OLD.id;
    DELETE FROM search_message_rows WHERE message_id = OLD.id;
END;

-- Where the entries of conversations stand: `position` is the time in 1/2048 µs, so that entries come newest first as they
-- are read. An entry that is up to 2 s late goes behind the newest, since FTS5 takes ascending numbers in one piece;
-- an older one (an import) goes where its time is.
CREATE TABLE search_title_rows (
    position INTEGER PRIMARY KEY,
    conversation_id TEXT NOT NULL UNIQUE,
    -- What deleting the entry needs to know, when the rows around it may be gone already.
    scope    TEXT NOT NULL
) STRICT;

CREATE TRIGGER conversations_search_insert AFTER INSERT ON conversations WHEN NEW.search IS NOT NULL BEGIN
    INSERT INTO search_title_rows (position, conversation_id, scope)
    SELECT CASE
            WHEN (SELECT max(position) FROM search_title_rows) IS NULL OR (min(max(NEW.created_at, 0), 4500000000000000) * 2048) > (SELECT max(position) FROM search_title_rows)
            THEN (min(max(NEW.created_at, 0), 4500000000000000) * 2048)
            WHEN (min(max(NEW.created_at, 0), 4500000000000000) * 2048) > (SELECT max(position) FROM search_title_rows) - 2000000 * 2048
            THEN (SELECT max(position) FROM search_title_rows) + 1
            ELSE coalesce(
                (SELECT max(position) + 1 FROM search_title_rows
                 WHERE position >= (min(max(NEW.created_at, 0), 4500000000000000) * 2048) AND position < (min(max(NEW.created_at, 0), 4500000000000000) * 2048) + 1000 * 2048),
                (min(max(NEW.created_at, 0), 4500000000000000) * 2048)
            )
        END, NEW.id,
        '§o' || lower(hex(NEW.owner_id));
    INSERT INTO search_titles (rowid, words)
    SELECT r.position, r.scope || ' ' || NEW.search FROM search_title_rows r WHERE r.conversation_id = NEW.id;
END;
CREATE TRIGGER conversations_search_update AFTER UPDATE OF search ON conversations
WHEN (OLD.search IS NOT NULL OR NEW.search IS NOT NULL) AND (OLD.search IS NOT NEW.search) BEGIN
    INSERT INTO search_titles (search_titles, rowid, words)
    SELECT 'delete', r.position, r.scope || ' ' || OLD.search FROM search_title_rows r WHERE r.conversation_id = OLD.id;
    DELETE FROM search_title_rows WHERE conversation_id = OLD.id AND (NEW.search IS NULL);
    INSERT INTO search_title_rows (position, conversation_id, scope)
    SELECT CASE
            WHEN (SELECT max(position) FROM search_title_rows) IS NULL OR (min(max(NEW.created_at, 0), 4500000000000000) * 2048) > (SELECT max(position) FROM search_title_rows)
            THEN (min(max(NEW.created_at, 0), 4500000000000000) * 2048)
            WHEN (min(max(NEW.created_at, 0), 4500000000000000) * 2048) > (SELECT max(position) FROM search_title_rows) - 2000000 * 2048
            THEN (SELECT max(position) FROM search_title_rows) + 1
            ELSE coalesce(
                (SELECT max(position) + 1 FROM search_title_rows
                 WHERE position >= (min(max(NEW.created_at, 0), 4500000000000000) * 2048) AND position < (min(max(NEW.created_at, 0), 4500000000000000) * 2048) + 1000 * 2048),
                (min(max(NEW.created_at, 0), 4500000000000000) * 2048)
            )
        END, NEW.id,
        '§o' || lower(hex(NEW.owner_id))
    WHERE NEW.search IS NOT NULL
        AND NOT EXISTS (SELECT 1 FROM search_title_rows r WHERE r.conversation_id = NEW.id);
    INSERT INTO search_titles (rowid, words)
    SELECT r.position, r.scope || ' ' || NEW.search FROM search_title_rows r WHERE r.conversation_id = NEW.id;
END;
CREATE TRIGGER conversations_search_delete AFTER DELETE ON conversations WHEN OLD.search IS NOT NULL BEGIN
    INSERT INTO search_titles (search_titles, rowid, words)
    SELECT 'delete', r.position, r.scope || ' ' || OLD.search FROM search_title_rows r WHERE r.conversation_id = OLD.id;
    DELETE FROM search_title_rows WHERE conversation_id = OLD.id;
END;

-- What the backfill has yet to do; empty most of the time.
CREATE INDEX messages_search_pending ON messages (id)
    WHERE search IS NULL AND content_text IS NOT NULL AND deleted_at IS NULL;
CREATE INDEX conversations_search_pending ON conversations (id) WHERE search IS NULL AND title IS NOT NULL;

-- migrate:down

DROP TRIGGER messages_search_insert;
DROP TRIGGER messages_search_update;
DROP TRIGGER messages_search_delete;
DROP TRIGGER conversations_search_insert;
DROP TRIGGER conversations_search_update;
DROP TRIGGER conversations_search_delete;
DROP TABLE search_messages;
DROP TABLE search_titles;
DROP TABLE search_message_rows;
DROP TABLE search_title_rows;
DROP INDEX messages_search_pending;
DROP INDEX conversations_search_pending;
ALTER TABLE messages DROP COLUMN search;
ALTER TABLE conversations DROP COLUMN search;
