-- Principals, conversations and messages of the chat service.
--
-- Placeholders as in auth_0001_init.sql. Large JSON sits last in its row, so that lists never read it.

-- migrate:up

-- A mirror of who owns rows, made from token claims on first use: no email, no credential.
CREATE TABLE principals (
    id             {{text}} NOT NULL PRIMARY KEY,
    kind           {{text}} NOT NULL DEFAULT 'user',
    display_name   {{text}},
    avatar_url     {{text}},
    is_active      {{boolean}} NOT NULL DEFAULT TRUE,
    tokens_total   {{integer}} NOT NULL DEFAULT 0,
    first_seen_at  {{instant}} NOT NULL,
    last_seen_at   {{instant}} NOT NULL,
    deactivated_at {{instant}},
    -- Set once and for ever: a token still alive must bring nothing back.
    erased_at      {{instant}}
){{table}};

CREATE TABLE conversations (
    id                          {{text}} NOT NULL PRIMARY KEY,
    owner_id                    {{text}} NOT NULL REFERENCES principals (id) ON DELETE CASCADE,
    title                       {{text}},
    title_source                {{text}} CHECK (title_source IN ('user', 'auto', 'import')),
    model                       {{text}},
    slug                        {{text}},
    visibility                  {{text}} NOT NULL DEFAULT 'private' CHECK (visibility IN ('private', 'unlisted', 'public')),
    pinned_at                   {{instant}},
    archived_at                 {{instant}},
    archive_reason              {{text}},
    forked_from_conversation_id {{text}},
    forked_from_message_id      {{text}},
    head_message_id             {{text}},
    active_stream_id            {{text}},
    -- Numbers ever given to a message: 1…last_seq has a row each, tombstones included.
    last_seq                    {{integer}} NOT NULL DEFAULT 0,
    message_count               {{integer}} NOT NULL DEFAULT 0,
    tokens_in                   {{integer}} NOT NULL DEFAULT 0,
    tokens_out                  {{integer}} NOT NULL DEFAULT 0,
    last_message_at             {{instant}},
    created_at                  {{instant}} NOT NULL,
    updated_at                  {{instant}} NOT NULL,
    deleted_at                  {{instant}},
    -- 0 only inside the unit that makes a conversation together with its messages.
    version                     {{integer}} NOT NULL DEFAULT 1,
    settings                    {{text}} NOT NULL DEFAULT '{}',
    metadata                    {{text}} NOT NULL DEFAULT '{}'
){{hot_table}};
-- One direction for both columns: a page is one range of the row value (updated_at, id), read backwards.
CREATE INDEX conversations_owner_updated ON conversations (owner_id, updated_at, id) WHERE deleted_at IS NULL;
-- A conversation in the trash gives its slug back.
CREATE UNIQUE INDEX conversations_owner_slug ON conversations (owner_id, slug) WHERE deleted_at IS NULL;

CREATE TABLE messages (
    id              {{text}} NOT NULL PRIMARY KEY,
    conversation_id {{text}} NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    seq             {{integer}} NOT NULL,
    parent_id       {{text}},
    author_id       {{text}},
    role            {{text}} NOT NULL CHECK (role IN ('user', 'assistant', 'system', 'tool', 'developer')),
    type            {{text}} NOT NULL DEFAULT 'normal' CHECK (type IN ('normal', 'error', 'tool_call')),
    status          {{text}} NOT NULL DEFAULT 'completed'
                    CHECK (status IN ('in_progress', 'completed', 'incomplete', 'error', 'cancelled')),
    model           {{text}},
    tokens_in       {{integer}},
    tokens_out      {{integer}},
    tokens_total    {{integer}},
    created_at      {{instant}} NOT NULL,
    updated_at      {{instant}} NOT NULL,
    edited_at       {{instant}},
    deleted_at      {{instant}},
    version         {{integer}} NOT NULL DEFAULT 1,
    metadata        {{text}} NOT NULL DEFAULT '{}',
    content_text    {{text}},
    -- As the client sent it, byte for byte.
    parts           {{text}} NOT NULL,
    UNIQUE (conversation_id, seq)
){{table}};
CREATE INDEX messages_conversation_parent_seq ON messages (conversation_id, parent_id, seq);

-- migrate:down

DROP TABLE messages;
DROP TABLE conversations;
DROP TABLE principals;
