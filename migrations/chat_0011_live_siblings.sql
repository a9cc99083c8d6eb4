-- The siblings of a message without those that were deleted, so that a page with its siblings costs what it shows. The
-- index is built beside writes. With chat_0012 it takes the place of the index that has the tombstones too: every
-- statement that looks for a message's children, of the program before as well, asks for live ones alone.

-- migrate:up transaction:false

CREATE INDEX {{concurrently}} messages_live_siblings ON messages (conversation_id, parent_id, seq) WHERE deleted_at IS NULL;

-- migrate:down transaction:false

DROP INDEX {{concurrently}} messages_live_siblings;
