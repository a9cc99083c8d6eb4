-- The conversations that are not archived, pinned ones first, by their last message or, without one, by their making.
-- Each of the two groups is one range. The index is built beside writes.

-- migrate:up transaction:false

CREATE INDEX {{concurrently}} conversations_sidebar ON conversations (
    owner_id, (CASE WHEN pinned_at IS NULL THEN 0 ELSE 1 END), (COALESCE(last_message_at, created_at)), id
) WHERE deleted_at IS NULL AND archived_at IS NULL;

-- migrate:down transaction:false

DROP INDEX {{concurrently}} conversations_sidebar;
