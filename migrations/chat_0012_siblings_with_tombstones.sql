-- Drops the index of siblings that has the tombstones. Beside the one of chat_0011 it is of no use, and a plan without
-- statistics may take it for the index on (conversation_id, seq): its third column is that number.

-- migrate:up transaction:false

DROP INDEX {{concurrently}} messages_conversation_parent_seq;

-- migrate:down transaction:false

CREATE INDEX {{concurrently}} messages_conversation_parent_seq ON messages (conversation_id, parent_id, seq);
