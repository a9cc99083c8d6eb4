-- Answers of admins' writes, kept for a day, so that a request that is repeated with its `Idempotency-Key` is done once.

-- migrate:up

CREATE TABLE idempotency_keys (
    principal_id {{text}} NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    key          {{text}} NOT NULL,
    -- Method and path.
    route        {{text}} NOT NULL,
    -- Keyed by the master ring: a body may hold a password.
    request_hash {{text}} NOT NULL,
    -- Tells the attempt that made the row from others.
    seed         {{text}} NOT NULL,
    -- The user that was made or changed, who is read again for a later answer.
    target_id    {{text}},
    -- The answer; NULL until the attempt is done.
    status       {{integer}},
    body         {{text}},
    made_at      {{instant}} NOT NULL,
    -- Until then no other attempt takes over from one that never ended.
    held_until   {{instant}} NOT NULL,
    expires_at   {{instant}} NOT NULL,
    PRIMARY KEY (principal_id, key)
){{table}};
CREATE INDEX idempotency_keys_expires_at ON idempotency_keys (expires_at);

-- migrate:down

DROP TABLE idempotency_keys;
