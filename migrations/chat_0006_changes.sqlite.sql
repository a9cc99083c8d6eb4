-- The change feed, on SQLite. What the triggers tell is what those of PostgreSQL tell; see that file for the story.

-- migrate:up

CREATE TABLE changes (
    seq             {{sequence}},
    principal_id    {{text}} NOT NULL,
    entity          {{text}} NOT NULL,
    entity_id       {{text}} NOT NULL,
    conversation_id {{text}},
    op              {{text}} NOT NULL CHECK (op IN ('insert', 'update', 'delete')),
    version         {{integer}},
    at              {{instant}} NOT NULL
){{table}};
CREATE INDEX changes_principal_seq ON changes (principal_id, seq);
CREATE INDEX changes_at ON changes (at);

CREATE TABLE change_feed (
    name   {{text}} NOT NULL PRIMARY KEY,
    epoch  {{text}} NOT NULL,
    newest {{integer}} NOT NULL DEFAULT 0
){{table}};
INSERT INTO change_feed (name, epoch) VALUES ('changes', lower(hex(randomblob(8))));

CREATE TABLE change_horizons (
    principal_id {{text}} NOT NULL PRIMARY KEY,
    seq          {{integer}} NOT NULL
){{table}};

CREATE TRIGGER conversations_tell_insert AFTER INSERT ON conversations WHEN NEW.version > 0
BEGIN
    INSERT INTO changes (principal_id, entity, entity_id, conversation_id, op, version, at)
    SELECT p.id, 'conversation', NEW.id, NEW.id, 'insert', NEW.version,
        CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)
    FROM principals p WHERE p.id = NEW.owner_id AND p.erased_at IS NULL;
END;

CREATE TRIGGER conversations_tell_update AFTER UPDATE ON conversations
    WHEN NEW.version <> OLD.version OR NEW.last_seq > OLD.last_seq
BEGIN
    INSERT INTO changes (principal_id, entity, entity_id, conversation_id, op, version, at)
    SELECT p.id, 'conversation', NEW.id, NEW.id,
        CASE
            WHEN OLD.version <= 0 OR (OLD.deleted_at IS NOT NULL AND NEW.deleted_at IS NULL) THEN 'insert'
            WHEN OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL THEN 'delete'
            ELSE 'update'
        END,
        NEW.version, CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)
    FROM principals p WHERE p.id = NEW.owner_id AND p.erased_at IS NULL AND NEW.version <> OLD.version
        AND (NEW.version > 0 OR (OLD.version > 0 AND OLD.deleted_at IS NULL))
        AND (OLD.version <= 0 OR OLD.deleted_at IS NULL OR NEW.deleted_at IS NULL);
    INSERT INTO changes (principal_id, entity, entity_id, conversation_id, op, version, at)
    SELECT p.id, 'message', m.id, NEW.id, 'insert', m.version,
        CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)
    FROM principals p JOIN messages m ON m.conversation_id = NEW.id
    WHERE p.id = NEW.owner_id AND p.erased_at IS NULL AND OLD.version > 0
        AND m.seq > OLD.last_seq AND m.seq <= NEW.last_seq
    ORDER BY m.seq;
END;

CREATE TRIGGER conversations_tell_delete AFTER DELETE ON conversations WHEN OLD.version > 0
BEGIN
    INSERT INTO changes (principal_id, entity, entity_id, conversation_id, op, version, at)
    SELECT p.id, 'conversation', OLD.id, OLD.id, 'delete', OLD.version,
        CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)
    FROM principals p WHERE p.id = OLD.owner_id AND p.erased_at IS NULL;
END;

CREATE TRIGGER messages_tell_update AFTER UPDATE ON messages WHEN NEW.version <> OLD.version
BEGIN
    INSERT INTO changes (principal_id, entity, entity_id, conversation_id, op, version, at)
    SELECT p.id, 'message', NEW.id, NEW.conversation_id,
        CASE WHEN OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL THEN 'delete' ELSE 'update' END,
        NEW.version, CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)
    FROM conversations c JOIN principals p ON p.id = c.owner_id
    WHERE c.id = NEW.conversation_id AND p.erased_at IS NULL;
END;

CREATE TRIGGER tags_tell_insert AFTER INSERT ON tags
BEGIN
    INSERT INTO changes (principal_id, entity, entity_id, op, at)
    SELECT p.id, 'tag', NEW.id, 'insert', CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)
    FROM principals p WHERE p.id = NEW.owner_id AND p.erased_at IS NULL;
END;

CREATE TRIGGER tags_tell_update AFTER UPDATE ON tags WHEN NEW.name <> OLD.name
BEGIN
    INSERT INTO changes (principal_id, entity, entity_id, op, at)
    SELECT p.id, 'tag', NEW.id, 'update', CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)
    FROM principals p WHERE p.id = NEW.owner_id AND p.erased_at IS NULL;
END;

CREATE TRIGGER tags_tell_delete AFTER DELETE ON tags
BEGIN
    INSERT INTO changes (principal_id, entity, entity_id, op, at)
    SELECT p.id, 'tag', OLD.id, 'delete', CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)
    FROM principals p WHERE p.id = OLD.owner_id AND p.erased_at IS NULL;
END;

CREATE TRIGGER votes_tell_insert AFTER INSERT ON votes
BEGIN
    INSERT INTO changes (principal_id, entity, entity_id, conversation_id, op, at)
    SELECT p.id, 'vote', m.id, c.id, 'insert', CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)
    FROM messages m JOIN conversations c ON c.id = m.conversation_id JOIN principals p ON p.id = NEW.user_id
    WHERE m.id = NEW.message_id AND m.deleted_at IS NULL AND c.version > 0 AND p.erased_at IS NULL;
END;

CREATE TRIGGER votes_tell_update AFTER UPDATE ON votes WHEN NEW.value <> OLD.value
BEGIN
    INSERT INTO changes (principal_id, entity, entity_id, conversation_id, op, at)
    SELECT p.id, 'vote', m.id, c.id, 'update', CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)
    FROM messages m JOIN conversations c ON c.id = m.conversation_id JOIN principals p ON p.id = NEW.user_id
    WHERE m.id = NEW.message_id AND m.deleted_at IS NULL AND c.version > 0 AND p.erased_at IS NULL;
END;

CREATE TRIGGER votes_tell_delete AFTER DELETE ON votes
BEGIN
    INSERT INTO changes (principal_id, entity, entity_id, conversation_id, op, at)
    SELECT p.id, 'vote', m.id, c.id, 'delete', CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)
    FROM messages m JOIN conversations c ON c.id = m.conversation_id JOIN principals p ON p.id = OLD.user_id
    WHERE m.id = OLD.message_id AND m.deleted_at IS NULL AND c.version > 0 AND p.erased_at IS NULL;
END;

-- migrate:down

DROP TRIGGER votes_tell_delete;
DROP TRIGGER votes_tell_update;
DROP TRIGGER votes_tell_insert;
DROP TRIGGER tags_tell_delete;
DROP TRIGGER tags_tell_update;
DROP TRIGGER tags_tell_insert;
DROP TRIGGER messages_tell_update;
DROP TRIGGER conversations_tell_delete;
DROP TRIGGER conversations_tell_update;
DROP TRIGGER conversations_tell_insert;
DROP TABLE change_horizons;
DROP TABLE change_feed;
DROP TABLE changes;
