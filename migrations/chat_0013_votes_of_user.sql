-- A person's votes in the order in which an export and an erasure walk them, so that a page or a batch is one range. The
-- index is built beside writes. With chat_0014 it takes the place of the index on the person alone.

-- migrate:up transaction:false

CREATE INDEX {{concurrently}} votes_user_message ON votes (user_id, message_id);

-- migrate:down transaction:false

DROP INDEX {{concurrently}} votes_user_message;
