-- Where each full-text index stands, so that a fault in one neither stops writes nor is forgotten, and so that the words
-- of deleted rows are removed in passes. See docs/decisions/0027-search-maintenance.md.
--
-- PostgreSQL needs none of it: VACUUM removes the entries of dead rows, and REINDEX makes an index anew.

-- migrate:up

CREATE TABLE search_indexes (
    name             TEXT PRIMARY KEY CHECK (name IN ('messages', 'titles')),
    -- ready: triggers keep the entries. draining: the triggers are away and the entries are being removed.
    -- filling: the triggers are back, and rows without an entry are getting theirs.
    state            TEXT NOT NULL DEFAULT 'ready' CHECK (state IN ('ready', 'draining', 'filling')),
    -- While filling, rows with ids up to here have their entries.
    filled_to        TEXT NOT NULL DEFAULT '',
    -- Why the last rebuild began.
    reason           TEXT,
    -- A pass that removes the words of deleted rows: when the last one began, whether it has yet to end, and FTS5's
    -- structure record as the last one left it. An index with the same record has nothing to remove.
    purge_began_at   INTEGER,
    is_purging       INTEGER NOT NULL DEFAULT 0,
    purged_structure BLOB
) STRICT;
INSERT INTO search_indexes (name) VALUES ('messages'), ('titles');

-- The triggers of an index that is draining, word for word. A statement that names a virtual table cannot even be
-- compiled while that table cannot be opened, so they must not be there.
CREATE TABLE search_triggers (
    name       TEXT PRIMARY KEY,
    index_name TEXT NOT NULL,
    sql        TEXT NOT NULL
) STRICT;

-- migrate:down

-- The program before knows no state. An index that is not whole is emptied, and its rows go back to its backfill.
-- Seven zero bytes are the structure record of an empty index, so that one that cannot be opened can be.
INSERT OR REPLACE INTO search_messages_data (id, block)
SELECT 10, x'00000000000000' FROM search_indexes WHERE name = 'messages' AND state <> 'ready';
INSERT OR REPLACE INTO search_titles_data (id, block)
SELECT 10, x'00000000000000' FROM search_indexes WHERE name = 'titles' AND state <> 'ready';
INSERT INTO search_messages (search_messages)
SELECT 'delete-all' FROM search_indexes WHERE name = 'messages' AND state <> 'ready';
INSERT INTO search_titles (search_titles)
SELECT 'delete-all' FROM search_indexes WHERE name = 'titles' AND state <> 'ready';
DROP TRIGGER IF EXISTS messages_search_insert;
DROP TRIGGER IF EXISTS messages_search_update;
DROP TRIGGER IF EXISTS messages_search_delete;
DROP TRIGGER IF EXISTS conversations_search_insert;
DROP TRIGGER IF EXISTS conversations_search_update;
DROP TRIGGER IF EXISTS conversations_search_delete;
DELETE FROM search_message_rows WHERE EXISTS (SELECT 1 FROM search_indexes WHERE name = 'messages' AND state <> 'ready');
DELETE FROM search_title_rows WHERE EXISTS (SELECT 1 FROM search_indexes WHERE name = 'titles' AND state <> 'ready');
UPDATE messages SET search = NULL
WHERE search IS NOT NULL AND EXISTS (SELECT 1 FROM search_indexes WHERE name = 'messages' AND state <> 'ready');
UPDATE conversations SET search = NULL
WHERE search IS NOT NULL AND EXISTS (SELECT 1 FROM search_indexes WHERE name = 'titles' AND state <> 'ready');
DROP TABLE search_triggers;
DROP TABLE search_indexes;

-- As chat_0007_search made them.
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
