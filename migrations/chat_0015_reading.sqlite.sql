-- What a user interface needs of chat.
--
-- The change feed says when a conversation is gone for good, from the trash or not: `delete` without a version. With one,
-- it went to the trash. The program before reads both as `delete`.
--
-- `stream_tickets`: a browser's EventSource sends no header, so a ticket opens its stream, once. The row has the hash
-- of the ticket, and the access token that asked for it, sealed with a key that only the ticket gives.
--
-- `read_seq`: the number up to which the owner has read. NULL, as in rows from before, is everything.

-- `skip_seq`: the number of an ancestor at least 64 numbers up, so that a walk to a far one is short. NULL in rows from
-- before, from which a walk goes on one by one.

-- migrate:up

ALTER TABLE messages ADD COLUMN skip_seq {{integer}};
ALTER TABLE conversations ADD COLUMN read_seq {{integer}};

CREATE TABLE stream_tickets (
    ticket_hash  {{text}} NOT NULL PRIMARY KEY,
    principal_id {{text}} NOT NULL REFERENCES principals (id) ON DELETE CASCADE,
    sealed_token {{text}} NOT NULL,
    expires_at   {{instant}} NOT NULL
){{table}};
CREATE INDEX stream_tickets_principal ON stream_tickets (principal_id, expires_at);
CREATE INDEX stream_tickets_expires ON stream_tickets (expires_at);

DROP TRIGGER conversations_tell_delete;
DROP TRIGGER conversations_tell_update;
CREATE TRIGGER conversations_tell_update AFTER UPDATE ON conversations
    WHEN NEW.version <> OLD.version OR NEW.last_seq > OLD.last_seq
BEGIN
    -- Ended, live or in the trash; what is in the trash is told of when it comes back.
    INSERT INTO changes (principal_id, entity, entity_id, conversation_id, op, version, at)
    SELECT p.id, 'conversation', NEW.id, NEW.id,
        CASE
            WHEN NEW.version < 0 THEN 'delete'
            WHEN OLD.version <= 0 OR (OLD.deleted_at IS NOT NULL AND NEW.deleted_at IS NULL) THEN 'insert'
            WHEN OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL THEN 'delete'
            ELSE 'update'
        END,
        CASE WHEN NEW.version > 0 THEN NEW.version END,
        CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)
    FROM principals p WHERE p.id = NEW.owner_id AND p.erased_at IS NULL AND NEW.version <> OLD.version
        AND CASE
            WHEN NEW.version < 0 THEN OLD.version > 0
            WHEN NEW.version > 0 THEN OLD.version <= 0 OR OLD.deleted_at IS NULL OR NEW.deleted_at IS NULL
        END;
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
    SELECT p.id, 'conversation', OLD.id, OLD.id, 'delete', NULL,
        CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)
    FROM principals p WHERE p.id = OLD.owner_id AND p.erased_at IS NULL;
END;

-- migrate:down

DROP TRIGGER conversations_tell_delete;
DROP TRIGGER conversations_tell_update;
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

DROP TABLE stream_tickets;
ALTER TABLE conversations DROP COLUMN read_seq;
ALTER TABLE messages DROP COLUMN skip_seq;
