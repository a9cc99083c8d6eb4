-- Indexes for what used to read whole tables: a user's sessions page by page, users of a role, and the cleanup's look
-- for sessions that were revoked one by one or all at once. Rows and columns stay as they are, so the program before
-- this one runs on the schema unchanged.

-- migrate:up

-- One range of (created_at, id) within a user; its first two columns replace the index of before.
CREATE INDEX sessions_user_id_created_at_id ON sessions (user_id, created_at, id);
DROP INDEX sessions_user_id_created_at;
CREATE INDEX sessions_revoked_at ON sessions (revoked_at) WHERE revoked_at IS NOT NULL;
CREATE INDEX sessions_living_global_version ON sessions (global_version) WHERE revoked_at IS NULL;
-- Lists by role, and the question whether another admin is left.
CREATE INDEX users_role_created_at_id ON users (role, created_at, id);

-- migrate:down

DROP INDEX users_role_created_at_id;
DROP INDEX sessions_living_global_version;
DROP INDEX sessions_revoked_at;
CREATE INDEX sessions_user_id_created_at ON sessions (user_id, created_at);
DROP INDEX sessions_user_id_created_at_id;
