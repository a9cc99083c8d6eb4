-- The change feed: what happened to whose rows, told by triggers, so that no way of writing can forget to.
--
-- A row of its own for each change of a row's `version`, for each new conversation and each appended message, and one
-- for a conversation that goes, whatever goes with it. Counters are no change: an append moves them, and is told by
-- its messages. They are told when `last_seq` moves over them, so what a unit took back was never told, and a
-- conversation that is made with messages is one row.
--
-- One person's changes become visible in the order of `seq`: `tell_change` takes a number only after it holds the lock
-- of the principal's row, which every unit that writes holds from its beginning. So a reader with `seq > $after` misses
-- nothing of one person's, while numbers of different people commit in any order.
--
-- A tag is told of by itself; which conversations have it is part of their version. A vote is told to who gave it, by its
-- message's id. What goes with its message or conversation, and what is in one that nobody sees yet, is not told.
--
-- Who has been erased is told nothing, and the tables refer to nothing: a change outlives its row. `change_feed` holds
-- the name of the history that the numbers belong to, and the greatest number of those that are gone, so that what was
-- there once is known to have been. `change_horizons` holds the greatest number of one person's that the cleanup may have
-- taken: only who has not had that one has missed something.

-- migrate:up

CREATE TABLE changes (
    seq             {{sequence}},
    principal_id    {{text}} NOT NULL,
    entity          {{text}} NOT NULL,
    entity_id       {{text}} NOT NULL,
    conversation_id {{text}},
    op              {{text}} NOT NULL CHECK (op IN ('insert', 'update', 'delete')),
    version         {{integer}},
    -- The database's own clock: rows that are brought back by an import tell of now.
    at              {{instant}} NOT NULL
){{table}};
CREATE INDEX changes_principal_seq ON changes (principal_id, seq);
CREATE INDEX changes_at ON changes (at);

CREATE TABLE change_feed (
    name   {{text}} NOT NULL PRIMARY KEY,
    epoch  {{text}} NOT NULL,
    newest {{integer}} NOT NULL DEFAULT 0
){{table}};
INSERT INTO change_feed (name, epoch) VALUES ('changes', left(replace(gen_random_uuid()::text, '-', ''), 16));

-- One row for each person of whom the cleanup has taken changes.
CREATE TABLE change_horizons (
    principal_id {{text}} NOT NULL PRIMARY KEY,
    seq          {{integer}} NOT NULL
){{table}};

-- A subquery that locks is not flattened, so the number is taken above it: after the lock.
CREATE FUNCTION tell_change(
    owner text, what text, what_id text, conversation text, happened text, new_version bigint
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO changes (principal_id, entity, entity_id, conversation_id, op, version, at)
    SELECT p.id, what, what_id, conversation, happened, new_version, clock_timestamp()
    FROM (
        SELECT id FROM principals WHERE principals.id = owner AND erased_at IS NULL FOR NO KEY UPDATE
    ) AS p;
END $$;

CREATE FUNCTION tell_conversation() RETURNS trigger LANGUAGE plpgsql AS $$
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

CREATE FUNCTION tell_message() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM tell_change(
        (SELECT owner_id FROM conversations WHERE id = NEW.conversation_id),
        'message', NEW.id, NEW.conversation_id,
        CASE WHEN OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL THEN 'delete' ELSE 'update' END,
        NEW.version
    );
    RETURN NULL;
END $$;

CREATE FUNCTION tell_tag() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        PERFORM tell_change(OLD.owner_id, 'tag', OLD.id, NULL, 'delete', NULL);
    ELSE
        PERFORM tell_change(NEW.owner_id, 'tag', NEW.id, NULL, lower(TG_OP), NULL);
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION tell_vote() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    vote votes;
BEGIN
    IF TG_OP = 'DELETE' THEN vote := OLD; ELSE vote := NEW; END IF;
    PERFORM tell_change(vote.user_id, 'vote', m.id, c.id, lower(TG_OP), NULL)
    FROM messages m JOIN conversations c ON c.id = m.conversation_id
    WHERE m.id = vote.message_id AND m.deleted_at IS NULL AND c.version > 0;
    RETURN NULL;
END $$;

CREATE TRIGGER conversations_tell_insert AFTER INSERT ON conversations
    FOR EACH ROW WHEN (NEW.version > 0) EXECUTE FUNCTION tell_conversation();
CREATE TRIGGER conversations_tell_update AFTER UPDATE ON conversations
    FOR EACH ROW WHEN (NEW.version <> OLD.version OR NEW.last_seq > OLD.last_seq) EXECUTE FUNCTION tell_conversation();
CREATE TRIGGER conversations_tell_delete AFTER DELETE ON conversations
    FOR EACH ROW WHEN (OLD.version > 0) EXECUTE FUNCTION tell_conversation();
CREATE TRIGGER messages_tell_update AFTER UPDATE ON messages
    FOR EACH ROW WHEN (NEW.version <> OLD.version) EXECUTE FUNCTION tell_message();
CREATE TRIGGER tags_tell AFTER INSERT OR DELETE ON tags FOR EACH ROW EXECUTE FUNCTION tell_tag();
CREATE TRIGGER tags_tell_update AFTER UPDATE ON tags
    FOR EACH ROW WHEN (NEW.name <> OLD.name) EXECUTE FUNCTION tell_tag();
CREATE TRIGGER votes_tell AFTER INSERT OR DELETE ON votes FOR EACH ROW EXECUTE FUNCTION tell_vote();
CREATE TRIGGER votes_tell_update AFTER UPDATE ON votes
    FOR EACH ROW WHEN (NEW.value <> OLD.value) EXECUTE FUNCTION tell_vote();

-- migrate:down

DROP TRIGGER votes_tell_update ON votes;
DROP TRIGGER votes_tell ON votes;
DROP TRIGGER tags_tell_update ON tags;
DROP TRIGGER tags_tell ON tags;
DROP TRIGGER messages_tell_update ON messages;
DROP TRIGGER conversations_tell_delete ON conversations;
DROP TRIGGER conversations_tell_update ON conversations;
DROP TRIGGER conversations_tell_insert ON conversations;
DROP FUNCTION tell_vote();
DROP FUNCTION tell_tag();
DROP FUNCTION tell_message();
DROP FUNCTION tell_conversation();
DROP FUNCTION tell_change(text, text, text, text, text, bigint);
DROP TABLE change_horizons;
DROP TABLE change_feed;
DROP TABLE changes;
