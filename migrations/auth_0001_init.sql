-- Users, the ways in, sessions, refresh tokens, signing keys and the event log of the auth service.
--
-- Placeholders (see docs/architecture.md, "Migrations"): {{text}} {{integer}} {{boolean}} {{instant}} {{bytes}}
-- {{sequence}} and the table suffixes {{table}} and {{hot_table}}. Everything else is one text for both engines.

-- migrate:up

CREATE TABLE users (
    id                {{text}} NOT NULL PRIMARY KEY,
    -- As typed; email_key is the normalised form that decides identity. Both NULL for a guest.
    email             {{text}},
    email_key         {{text}} UNIQUE,
    name              {{text}},
    name_key          {{text}},
    first_name        {{text}},
    last_name         {{text}},
    avatar_url        {{text}},
    kind              {{text}} NOT NULL DEFAULT 'user' CHECK (kind IN ('user', 'guest')),
    role              {{text}} NOT NULL DEFAULT 'user' CHECK (role IN ('user', 'premium', 'admin')),
    is_active         {{boolean}} NOT NULL DEFAULT TRUE,
    -- Bumped when older access tokens of this user must stop working (claim `ver`).
    token_version     {{integer}} NOT NULL DEFAULT 1,
    email_verified_at {{instant}},
    last_login_at     {{instant}},
    created_at        {{instant}} NOT NULL,
    updated_at        {{instant}} NOT NULL,
    deactivated_at    {{instant}},
    metadata          {{text}} NOT NULL DEFAULT '{}',
    CHECK ((email IS NULL) = (email_key IS NULL))
){{hot_table}};
CREATE INDEX users_name_key ON users (name_key);
CREATE INDEX users_created_at_id ON users (created_at, id);

CREATE TABLE accounts (
    id                       {{text}} NOT NULL PRIMARY KEY,
    user_id                  {{text}} NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    provider_id              {{text}} NOT NULL,
    -- The provider's own id of the user; for 'password' the user's id.
    account_id               {{text}} NOT NULL,
    password_hash            {{text}},
    -- Provider tokens, encrypted with the master ring.
    access_token             {{bytes}},
    refresh_token            {{bytes}},
    id_token                 {{bytes}},
    access_token_expires_at  {{instant}},
    refresh_token_expires_at {{instant}},
    scope                    {{text}},
    created_at               {{instant}} NOT NULL,
    updated_at               {{instant}} NOT NULL,
    UNIQUE (provider_id, account_id)
){{table}};
CREATE INDEX accounts_user_id ON accounts (user_id);

CREATE TABLE sessions (
    id                  {{text}} NOT NULL PRIMARY KEY,
    user_id             {{text}} NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    -- SHA-256 of the cookie's secret; NULL when the session has no cookie.
    token_hash          {{bytes}} UNIQUE,
    ip_address          {{text}},
    user_agent          {{text}},
    amr                 {{text}} NOT NULL DEFAULT 'pwd',
    auth_time           {{instant}} NOT NULL,
    created_at          {{instant}} NOT NULL,
    updated_at          {{instant}} NOT NULL,
    last_seen_at        {{instant}} NOT NULL,
    -- The idle end, which slides; absolute_expires_at never moves.
    expires_at          {{instant}} NOT NULL,
    absolute_expires_at {{instant}} NOT NULL,
    -- The least `ver` a token of this session may carry: a role change raises it, revoking the others does not.
    required_version    {{integer}} NOT NULL,
    -- The global token version at creation: one bump of that setting ends every older session at once.
    global_version      {{integer}} NOT NULL,
    revoked_at          {{instant}},
    revoke_reason       {{text}}
){{hot_table}};
CREATE INDEX sessions_user_id_created_at ON sessions (user_id, created_at);
CREATE INDEX sessions_created_at_id ON sessions (created_at, id);
CREATE INDEX sessions_expires_at ON sessions (expires_at);

-- One row per session and client: the table does not grow with refreshes, and nothing of a secret is in it.
CREATE TABLE refresh_tokens (
    id         {{text}} NOT NULL PRIMARY KEY,
    session_id {{text}} NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    user_id    {{text}} NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    client_id  {{text}} NOT NULL DEFAULT 'tessera',
    generation {{integer}} NOT NULL DEFAULT 0,
    rotated_at {{instant}} NOT NULL,
    -- The session's absolute end, set once, so that a refresh changes no indexed column.
    expires_at {{instant}} NOT NULL,
    created_at {{instant}} NOT NULL,
    UNIQUE (session_id, client_id)
){{hot_table}};
CREATE INDEX refresh_tokens_user_id ON refresh_tokens (user_id);
CREATE INDEX refresh_tokens_expires_at ON refresh_tokens (expires_at);

CREATE TABLE signing_keys (
    kid          {{text}} NOT NULL PRIMARY KEY,
    alg          {{text}} NOT NULL CHECK (alg IN ('ES256', 'EdDSA', 'RS256')),
    public_jwk   {{text}} NOT NULL,
    -- PKCS#8, AES-256-GCM under the master ring; table, row and column are its associated data.
    private_key  {{bytes}} NOT NULL,
    state        {{text}} NOT NULL CHECK (state IN ('next', 'current', 'previous', 'retired')),
    created_at   {{instant}} NOT NULL,
    activated_at {{instant}},
    retired_at   {{instant}}
){{table}};
-- Two nodes that rotate at once cannot disagree: the second insert or promotion is refused here.
CREATE UNIQUE INDEX signing_keys_one_current ON signing_keys (alg) WHERE state = 'current';
CREATE UNIQUE INDEX signing_keys_one_next ON signing_keys (alg) WHERE state = 'next';

-- The revocation feed. No foreign keys: the event of a deletion outlives the row it tells of.
CREATE TABLE events (
    seq        {{sequence}},
    at         {{instant}} NOT NULL,
    kind       {{text}} NOT NULL,
    user_id    {{text}},
    session_id {{text}},
    data       {{text}} NOT NULL DEFAULT '{}'
){{table}};
CREATE INDEX events_at ON events (at);

CREATE TABLE audit_log (
    seq        {{sequence}},
    at         {{instant}} NOT NULL,
    actor      {{text}},
    action     {{text}} NOT NULL,
    target     {{text}},
    ip_address {{text}},
    user_agent {{text}},
    outcome    {{text}} NOT NULL,
    details    {{text}} NOT NULL DEFAULT '{}'
){{table}};
CREATE INDEX audit_log_target_seq ON audit_log (target, seq);
CREATE INDEX audit_log_at ON audit_log (at);

CREATE TABLE rate_counters (
    key           {{text}} NOT NULL PRIMARY KEY,
    count         {{integer}} NOT NULL,
    window_ends_at {{instant}} NOT NULL,
    blocked_until {{instant}},
    expires_at    {{instant}} NOT NULL
){{hot_table}};
CREATE INDEX rate_counters_expires_at ON rate_counters (expires_at);

-- One node at a time does a job; a lease that ran out may be taken by another.
CREATE TABLE job_leases (
    name         {{text}} NOT NULL PRIMARY KEY,
    holder       {{text}} NOT NULL,
    expires_at   {{instant}} NOT NULL,
    last_run_at  {{instant}},
    last_result  {{text}}
){{table}};

CREATE TABLE settings (
    key           {{text}} NOT NULL PRIMARY KEY,
    text_value    {{text}},
    integer_value {{integer}},
    updated_at    {{instant}}
){{table}};
INSERT INTO settings (key, integer_value) VALUES ('global_token_version', 1);

-- migrate:down

DROP TABLE settings;
DROP TABLE job_leases;
DROP TABLE rate_counters;
DROP TABLE audit_log;
DROP TABLE events;
DROP TABLE signing_keys;
DROP TABLE refresh_tokens;
DROP TABLE sessions;
DROP TABLE accounts;
DROP TABLE users;
