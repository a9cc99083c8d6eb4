-- Full-text search: the words of a message, or of a title, in the row that they index.
--
-- `search` is made in Swift, once for both engines (Sources/ChatService/Search). The triggers add where the row
-- belongs, as lexemes that no text can hold: its owner, its conversation, its role, and its owner's piece of time in
-- four widths (4096 s, times 16, 256 and 4096). So one index finds an owner's newest hits window by window, without
-- a look at anybody else's rows; docs/decisions/0022-search.md has the measurements.

-- migrate:up

ALTER TABLE messages ADD COLUMN search tsvector;
ALTER TABLE conversations ADD COLUMN search tsvector;

-- `ts_filter` keeps what has a position, which is what a text has: a copied row is scoped anew. One query and one
-- expression, because each step of PL/pgSQL costs a microsecond and appending waits for them.
CREATE FUNCTION messages_search() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    owner text;
    second bigint;
BEGIN
    IF NEW.deleted_at IS NOT NULL THEN
        NEW.search := NULL;
        RETURN NEW;
    END IF;
    SELECT substr(encode(sha256(convert_to(c.owner_id, 'UTF8')), 'hex'), 1, 12),
        least(greatest(floor(extract(epoch FROM NEW.created_at))::bigint, 0), 4294967295)
    INTO owner, second FROM conversations c WHERE c.id = NEW.conversation_id;
    NEW.search := ts_filter(NEW.search, '{d}') || array_to_tsvector(ARRAY[
        '§o' || owner,
        '§t' || owner || '.0.' || to_hex(second >> 12), '§t' || owner || '.1.' || to_hex(second >> 16),
        '§t' || owner || '.2.' || to_hex(second >> 20), '§t' || owner || '.3.' || to_hex(second >> 24),
        '§c' || substr(encode(sha256(convert_to(NEW.conversation_id, 'UTF8')), 'hex'), 1, 12), '§r' || NEW.role
    ]);
    RETURN NEW;
END
$$;
CREATE TRIGGER messages_search_insert BEFORE INSERT ON messages
    FOR EACH ROW WHEN (NEW.search IS NOT NULL) EXECUTE FUNCTION messages_search();
CREATE TRIGGER messages_search_update BEFORE UPDATE OF search, deleted_at ON messages
    FOR EACH ROW WHEN (NEW.search IS NOT NULL) EXECUTE FUNCTION messages_search();

CREATE FUNCTION conversations_search() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    owner CONSTANT text := substr(encode(sha256(convert_to(NEW.owner_id, 'UTF8')), 'hex'), 1, 12);
    second CONSTANT bigint := least(greatest(floor(extract(epoch FROM NEW.created_at))::bigint, 0), 4294967295);
BEGIN
    NEW.search := ts_filter(NEW.search, '{d}') || array_to_tsvector(ARRAY[
        '§o' || owner,
        '§t' || owner || '.0.' || to_hex(second >> 12), '§t' || owner || '.1.' || to_hex(second >> 16),
        '§t' || owner || '.2.' || to_hex(second >> 20), '§t' || owner || '.3.' || to_hex(second >> 24)
    ]);
    RETURN NEW;
END
$$;
CREATE TRIGGER conversations_search_insert BEFORE INSERT ON conversations
    FOR EACH ROW WHEN (NEW.search IS NOT NULL) EXECUTE FUNCTION conversations_search();
-- Appending writes the same value back: nothing to do, and nothing done.
CREATE TRIGGER conversations_search_update BEFORE UPDATE OF search ON conversations
    FOR EACH ROW WHEN (NEW.search IS DISTINCT FROM OLD.search AND NEW.search IS NOT NULL)
    EXECUTE FUNCTION conversations_search();

-- The pending list is read by every search: small enough not to be felt, large enough to merge several messages.
CREATE INDEX messages_search ON messages USING gin (search)
    WITH (fastupdate = on, gin_pending_list_limit = 512) WHERE search IS NOT NULL;
CREATE INDEX conversations_search ON conversations USING gin (search)
    WITH (fastupdate = on, gin_pending_list_limit = 512) WHERE search IS NOT NULL;
-- What the backfill has yet to do; empty most of the time.
CREATE INDEX messages_search_pending ON messages (id)
    WHERE search IS NULL AND content_text IS NOT NULL AND deleted_at IS NULL;
CREATE INDEX conversations_search_pending ON conversations (id) WHERE search IS NULL AND title IS NOT NULL;

-- migrate:down

DROP TRIGGER messages_search_insert ON messages;
DROP TRIGGER messages_search_update ON messages;
DROP TRIGGER conversations_search_insert ON conversations;
DROP TRIGGER conversations_search_update ON conversations;
DROP FUNCTION messages_search();
DROP FUNCTION conversations_search();
DROP INDEX messages_search_pending;
DROP INDEX conversations_search_pending;
ALTER TABLE messages DROP COLUMN search;
ALTER TABLE conversations DROP COLUMN search;
