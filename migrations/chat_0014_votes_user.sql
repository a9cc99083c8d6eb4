-- Drops the index of votes on the person alone, which the one of chat_0013 begins with.

-- migrate:up transaction:false

DROP INDEX {{concurrently}} votes_user;

-- migrate:down transaction:false

CREATE INDEX {{concurrently}} votes_user ON votes (user_id);
