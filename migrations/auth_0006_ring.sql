-- The entries of the master ring and the nodes that hold them, so that a node can tell a token of another node's entry from
-- one that is not good anywhere. The program before this one neither reads nor writes what is new.

-- migrate:up

-- Nothing here helps to guess a key: the id is in every refresh token, and the fingerprint is derived under a label of its own
-- and cut short.
CREATE TABLE ring_entries (
    key_id        {{integer}} NOT NULL CHECK (key_id BETWEEN 0 AND 255),
    fingerprint   {{text}} NOT NULL,
    registered_at {{instant}} NOT NULL,
    -- When a node that makes new tokens with it first started, or last after another one did.
    primary_at    {{instant}},
    -- From then on nothing of this entry is good.
    withdrawn_at  {{instant}},
    PRIMARY KEY (key_id, fingerprint)
){{table}};
-- A token names its entry by the id alone.
CREATE UNIQUE INDEX ring_entries_one_living ON ring_entries (key_id) WHERE withdrawn_at IS NULL;

-- One row per process, which it renews while it runs.
CREATE TABLE ring_nodes (
    id         {{text}} NOT NULL PRIMARY KEY,
    name       {{text}} NOT NULL,
    -- The entry for new tokens.
    primary_id {{integer}} NOT NULL,
    -- All entries as hexadecimal ids with a space between them, in the order of the ring.
    key_ids    {{text}} NOT NULL,
    started_at {{instant}} NOT NULL,
    seen_at    {{instant}} NOT NULL
){{hot_table}};
CREATE INDEX ring_nodes_seen_at ON ring_nodes (seen_at);

-- The entry that the row's tokens are derived from; NULL until the next refresh of a row of the program before.
ALTER TABLE refresh_tokens ADD COLUMN key_id {{integer}};

-- migrate:down

ALTER TABLE refresh_tokens DROP COLUMN key_id;
DROP TABLE ring_nodes;
DROP TABLE ring_entries;
