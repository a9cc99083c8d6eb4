-- One range for a page of messages, however many tombstones lie between them. A truncation leaves a run of rows that
-- no page shows; by (conversation_id, seq) every later read would step over them all. The key is an expression, not
-- `seq`, so that no planner takes the other index for as good. Rows and columns stay as they are, and the program
-- before this one runs on the schema unchanged.

-- migrate:up

CREATE INDEX messages_conversation_live ON messages (conversation_id, (CASE WHEN deleted_at IS NULL THEN seq END))
    WHERE deleted_at IS NULL;

-- migrate:down

DROP INDEX messages_conversation_live;
