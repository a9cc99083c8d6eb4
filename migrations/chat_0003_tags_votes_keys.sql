-- Tags, votes, the keys that make a retry harmless, and what the trash needs. Existing rows keep their meaning: none has
-- a tag, and nobody is repeating a request.

-- migrate:up

-- A label of one owner. Two spellings with one key are one tag; the first one said is shown.
CREATE TABLE tags (
    id         {{text}} NOT NULL PRIMARY KEY,
    owner_id   {{text}} NOT NULL REFERENCES principals (id) ON DELETE CASCADE,
    name       {{text}} NOT NULL,
    name_key   {{text}} NOT NULL,
    created_at {{instant}} NOT NULL,
    updated_at {{instant}} NOT NULL,
    UNIQUE (owner_id, name_key)
){{table}};
CREATE INDEX tags_owner_created ON tags (owner_id, created_at, id);

CREATE TABLE conversation_tags (
    conversation_id {{text}} NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    tag_id          {{text}} NOT NULL REFERENCES tags (id) ON DELETE CASCADE,
    PRIMARY KEY (conversation_id, tag_id)
){{table}};
CREATE INDEX conversation_tags_tag ON conversation_tags (tag_id, conversation_id);

-- Whether to look for tags at all, so that a list pays for those of the rows that have some.
ALTER TABLE conversations ADD COLUMN has_tags {{boolean}} NOT NULL DEFAULT FALSE;

CREATE TABLE votes (
    message_id      {{text}} NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
    user_id         {{text}} NOT NULL REFERENCES principals (id) ON DELETE CASCADE,
    conversation_id {{text}} NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    value           {{integer}} NOT NULL CHECK (value IN (1, -1)),
    created_at      {{instant}} NOT NULL,
    updated_at      {{instant}} NOT NULL,
    PRIMARY KEY (message_id, user_id)
){{table}};
CREATE INDEX votes_conversation_user ON votes (conversation_id, user_id, created_at, message_id);
CREATE INDEX votes_user ON votes (user_id);

-- What was made for a key, as far as its request does not say it again.
CREATE TABLE idempotency_keys (
    principal_id {{text}} NOT NULL REFERENCES principals (id) ON DELETE CASCADE,
    key          {{text}} NOT NULL,
    route        {{text}} NOT NULL,
    request_hash {{text}} NOT NULL,
    -- Tells the attempt that made the row from others, and gives the ids that the attempt made.
    seed         {{text}} NOT NULL,
    -- The conversation that was made or written to, its last_seq (-1: none) and head before that.
    target_id    {{text}} NOT NULL,
    base_seq     {{integer}} NOT NULL,
    base_head_id {{text}},
    made_at      {{instant}} NOT NULL,
    expires_at   {{instant}} NOT NULL,
    PRIMARY KEY (principal_id, key)
){{table}};
CREATE INDEX idempotency_keys_expires_at ON idempotency_keys (expires_at);

-- TRUE only inside a unit whose key was used before: such a unit writes nothing.
ALTER TABLE principals ADD COLUMN is_replaying {{boolean}} NOT NULL DEFAULT FALSE;

-- The trash: a person's own, newest first, and whatever has been in it for too long.
CREATE INDEX conversations_owner_deleted ON conversations (owner_id, deleted_at, id) WHERE deleted_at IS NOT NULL;
CREATE INDEX conversations_deleted ON conversations (deleted_at, owner_id) WHERE deleted_at IS NOT NULL;
-- Conversations that are being copied or taken apart, which nobody sees.
CREATE INDEX conversations_unmade ON conversations (deleted_at, owner_id, id) WHERE version <= 0;

-- A list of the pinned or the archived is one range, however few they are.
CREATE INDEX conversations_owner_pinned ON conversations (owner_id, updated_at, id)
    WHERE deleted_at IS NULL AND pinned_at IS NOT NULL;
CREATE INDEX conversations_owner_archived ON conversations (owner_id, updated_at, id)
    WHERE deleted_at IS NULL AND archived_at IS NOT NULL;

-- migrate:down

DROP INDEX conversations_owner_archived;
DROP INDEX conversations_owner_pinned;
DROP INDEX conversations_unmade;
DROP INDEX conversations_deleted;
DROP INDEX conversations_owner_deleted;
ALTER TABLE principals DROP COLUMN is_replaying;
DROP TABLE idempotency_keys;
DROP TABLE votes;
ALTER TABLE conversations DROP COLUMN has_tags;
DROP TABLE conversation_tags;
DROP TABLE tags;
