-- From when on a client's own tokens are good. A disabling raises it and an enabling leaves it, so that the rows refuse what
-- the event `client.tokens_revoked` made everybody else refuse. The program before this one neither reads nor writes it.

-- migrate:up

ALTER TABLE clients ADD COLUMN tokens_valid_from {{instant}};
-- Who is disabled now has tokens that an enabling must not bring back: those of the next half minute too, as the event said
-- (Events.clientTokensEnd), since a clock that runs ahead could have dated an old one so.
UPDATE clients SET tokens_valid_from = disabled_at + INTERVAL '31 seconds' WHERE disabled_at IS NOT NULL;

-- migrate:down

ALTER TABLE clients DROP COLUMN tokens_valid_from;
