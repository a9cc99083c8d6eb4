-- What each person has used: an append-only ledger, its sums by day and model, and reservations against a quota.
--
-- The ledger outlives what it tells of, so it refers to no conversation and no message. Sums are kept by day alone: a
-- month is at most 31 of them for a model. Nothing is taken over from the messages that are there: the ledger begins
-- with this schema, and `principals.tokens_total` holds what was before.

-- migrate:up

CREATE TABLE usage_events (
    id              {{sequence}},
    user_id         {{text}} NOT NULL REFERENCES principals (id) ON DELETE CASCADE,
    conversation_id {{text}},
    message_id      {{text}},
    model           {{text}},
    -- A correction takes back with negative numbers.
    tokens_in       {{integer}} NOT NULL DEFAULT 0,
    tokens_out      {{integer}} NOT NULL DEFAULT 0,
    tokens_total    {{integer}} NOT NULL DEFAULT 0,
    created_at      {{instant}} NOT NULL
){{table}};
CREATE INDEX usage_events_user_created ON usage_events (user_id, created_at);
-- A correction takes back at most what was billed for its message.
CREATE INDEX usage_events_message ON usage_events (message_id) WHERE message_id IS NOT NULL;

CREATE TABLE usage_totals (
    user_id      {{text}} NOT NULL REFERENCES principals (id) ON DELETE CASCADE,
    -- In UTC, as 2026-11-21.
    day          {{text}} NOT NULL,
    -- Empty where no model was named.
    model        {{text}} NOT NULL,
    -- Messages of the person's own.
    messages     {{integer}} NOT NULL DEFAULT 0,
    tokens_in    {{integer}} NOT NULL DEFAULT 0,
    tokens_out   {{integer}} NOT NULL DEFAULT 0,
    tokens_total {{integer}} NOT NULL DEFAULT 0,
    PRIMARY KEY (user_id, day, model)
){{hot_table}};

CREATE TABLE quota_reservations (
    id         {{text}} NOT NULL PRIMARY KEY,
    user_id    {{text}} NOT NULL REFERENCES principals (id) ON DELETE CASCADE,
    model      {{text}},
    tokens     {{integer}} NOT NULL CHECK (tokens > 0),
    created_at {{instant}} NOT NULL,
    -- Counts against the quota until then.
    expires_at {{instant}} NOT NULL
){{table}};
CREATE INDEX quota_reservations_user_expires ON quota_reservations (user_id, expires_at);
CREATE INDEX quota_reservations_expires ON quota_reservations (expires_at);

-- migrate:down

DROP TABLE quota_reservations;
DROP TABLE usage_totals;
DROP TABLE usage_events;
