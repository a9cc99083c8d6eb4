-- Clients that end, and sessions for one audience. A deleted client stays as a row without credentials, so that its
-- tokens stay refused when its id is used again. The program before this one neither reads nor writes what is new. It
-- would take a deleted client for a disabled one.

-- migrate:up

-- The refresh tokens of registered clients, for the end of a client. The first party's are most of the table and are
-- not in it.
CREATE INDEX refresh_tokens_client_id ON refresh_tokens (client_id) WHERE client_id <> 'tessera';
ALTER TABLE clients ADD COLUMN deleted_at {{instant}};
-- Whether an assertion of the client may name the token endpoint as its audience, instead of the issuer.
ALTER TABLE clients ADD COLUMN token_endpoint_audience {{boolean}} NOT NULL DEFAULT FALSE;
-- The one audience of a session's access tokens; NULL for all.
ALTER TABLE sessions ADD COLUMN audience {{text}};

-- migrate:down

-- The program before this one would give these sessions tokens for every audience.
DELETE FROM sessions WHERE audience IS NOT NULL;
ALTER TABLE sessions DROP COLUMN audience;
DELETE FROM clients WHERE deleted_at IS NOT NULL;
ALTER TABLE clients DROP COLUMN token_endpoint_audience;
ALTER TABLE clients DROP COLUMN deleted_at;
DROP INDEX refresh_tokens_client_id;
