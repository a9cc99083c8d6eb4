-- A client that lost the answer of a refresh may ask again with the same retry key. The row keeps a hash of the key of its
-- last rotation (see RefreshTokens.swift). The program before this one neither reads nor writes it: the hash is bound to
-- one generation, so what it leaves behind fits nothing.

-- migrate:up

ALTER TABLE refresh_tokens ADD COLUMN retry_hash {{bytes}};

-- migrate:down

ALTER TABLE refresh_tokens DROP COLUMN retry_hash;
