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

CREATE OR REPLACE FUNCTION tell_conversation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        PERFORM tell_change(NEW.owner_id, 'conversation', NEW.id, NEW.id, 'insert', NEW.version);
        RETURN NULL;
    END IF;
    IF TG_OP = 'DELETE' THEN
        PERFORM tell_change(OLD.owner_id, 'conversation', OLD.id, OLD.id, 'delete', NULL);
        RETURN NULL;
    END IF;
    -- Ended, live or in the trash.
    IF OLD.version > 0 AND NEW.version < 0 THEN
        PERFORM tell_change(NEW.owner_id, 'conversation', NEW.id, NEW.id, 'delete', NULL);
    -- What is in the trash is told of when it comes back.
    ELSIF NEW.version <> OLD.version AND NEW.version > 0
        AND (OLD.version <= 0 OR OLD.deleted_at IS NULL OR NEW.deleted_at IS NULL)
    THEN
        PERFORM tell_change(
            NEW.owner_id, 'conversation', NEW.id, NEW.id,
            CASE
                WHEN OLD.version <= 0 OR (OLD.deleted_at IS NOT NULL AND NEW.deleted_at IS NULL) THEN 'insert'
                WHEN OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL THEN 'delete'
                ELSE 'update'
            END,
            NEW.version
        );
    END IF;
    IF NEW.last_seq > OLD.last_seq AND OLD.version > 0 THEN
        INSERT INTO changes (principal_id, entity, entity_id, conversation_id, op, version, at)
        SELECT p.id, 'message', m.id, NEW.id, 'insert', m.version, clock_timestamp()
        FROM (
            SELECT id FROM principals WHERE principals.id = NEW.owner_id AND erased_at IS NULL FOR NO KEY UPDATE
        ) AS p
        JOIN messages m ON m.conversation_id = NEW.id AND m.seq > OLD.last_seq AND m.seq <= NEW.last_seq
        ORDER BY m.seq;
    END IF;
    RETURN NULL;
END $$;

-- migrate:down

CREATE OR REPLACE FUNCTION tell_conversation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        PERFORM tell_change(NEW.owner_id, 'conversation', NEW.id, NEW.id, 'insert', NEW.version);
        RETURN NULL;
    END IF;
    IF TG_OP = 'DELETE' THEN
        PERFORM tell_change(OLD.owner_id, 'conversation', OLD.id, OLD.id, 'delete', OLD.version);
        RETURN NULL;
    END IF;
    -- Below 1: out of sight, on its way in or out. What goes from the trash was told when it went there.
    -- What is in the trash is told of when it comes back.
    IF NEW.version <> OLD.version AND (NEW.version > 0 OR (OLD.version > 0 AND OLD.deleted_at IS NULL))
        AND (OLD.version <= 0 OR OLD.deleted_at IS NULL OR NEW.deleted_at IS NULL)
    THEN
        PERFORM tell_change(
            NEW.owner_id, 'conversation', NEW.id, NEW.id,
            CASE
                WHEN OLD.version <= 0 OR (OLD.deleted_at IS NOT NULL AND NEW.deleted_at IS NULL) THEN 'insert'
                WHEN OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL THEN 'delete'
                ELSE 'update'
            END,
            NEW.version
        );
    END IF;
    IF NEW.last_seq > OLD.last_seq AND OLD.version > 0 THEN
        INSERT INTO changes (principal_id, entity, entity_id, conversation_id, op, version, at)
        SELECT p.id, 'message', m.id, NEW.id, 'insert', m.version, clock_timestamp()
        FROM (
            SELECT id FROM principals WHERE principals.id = NEW.owner_id AND erased_at IS NULL FOR NO KEY UPDATE
        ) AS p
        JOIN messages m ON m.conversation_id = NEW.id AND m.seq > OLD.last_seq AND m.seq <= NEW.last_seq
        ORDER BY m.seq;
    END IF;
    RETURN NULL;
END $$;

DROP TABLE stream_tickets;
ALTER TABLE conversations DROP COLUMN read_seq;
ALTER TABLE messages DROP COLUMN skip_seq;
