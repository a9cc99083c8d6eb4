-- Clients: services that prove themselves with a secret or a key of their own, and what they may ask for (RFC 6749 §2).

-- migrate:up

CREATE TABLE clients (
    id                         {{text}} NOT NULL PRIMARY KEY,
    name                       {{text}} NOT NULL,
    -- Words with a space between them, as on the wire (RFC 6749 §3.3).
    scopes                     {{text}} NOT NULL DEFAULT '',
    -- `aud` of the client's own tokens; tokens for none of these are inactive to its introspection.
    audiences                  {{text}} NOT NULL,
    -- SHA-256 of 32 random bytes: no password, so nothing slow is needed. NULL for a client that has keys alone.
    secret_hash                {{bytes}},
    secret_created_at          {{instant}},
    -- The secret before that one, good until its date, so that a rotation needs no moment at which both sides change.
    previous_secret_hash       {{bytes}},
    previous_secret_expires_at {{instant}},
    -- Public keys for private_key_jwt, a JWK set (RFC 7517 §5).
    jwks                       {{text}},
    created_at                 {{instant}} NOT NULL,
    updated_at                 {{instant}} NOT NULL,
    disabled_at                {{instant}},
    CHECK ((previous_secret_hash IS NULL) = (previous_secret_expires_at IS NULL))
){{table}};

-- Assertions that were used, until they expire by themselves (RFC 7523 §3, `jti`).
CREATE TABLE client_assertions (
    client_id  {{text}} NOT NULL,
    jti        {{text}} NOT NULL,
    expires_at {{instant}} NOT NULL,
    PRIMARY KEY (client_id, jti)
){{table}};
CREATE INDEX client_assertions_expires_at ON client_assertions (expires_at);

-- migrate:down

DROP TABLE client_assertions;
DROP TABLE clients;
