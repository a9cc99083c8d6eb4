-- Devices on which a user has signed in, and the tokens of deleted users, which get a verdict of their own. The program
-- before this one neither reads nor writes either table.

-- migrate:up

-- A marker names its row; without the row it is worth nothing.
CREATE TABLE devices (
    id           {{text}} NOT NULL PRIMARY KEY,
    user_id      {{text}} NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at   {{instant}} NOT NULL,
    last_used_at {{instant}} NOT NULL,
    expires_at   {{instant}} NOT NULL
){{table}};
CREATE INDEX devices_user_id_last_used_at_id ON devices (user_id, last_used_at, id);
CREATE INDEX devices_expires_at ON devices (expires_at);

-- What the tokens of a deleted user name: the user, refresh tokens and cookies. No row refers to a user.
CREATE TABLE deleted_user_tokens (
    key        {{text}} NOT NULL PRIMARY KEY,
    expires_at {{instant}} NOT NULL
){{table}};
CREATE INDEX deleted_user_tokens_expires_at ON deleted_user_tokens (expires_at);

-- migrate:down

DROP TABLE deleted_user_tokens;
DROP TABLE devices;
DELETE FROM settings WHERE key IN ('password_costs', 'password_cost_seed');
