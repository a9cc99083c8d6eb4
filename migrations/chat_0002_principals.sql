-- What the mirror of auth's users needs: a place in auth's event feed, erasures with their receipts, and leases.

-- migrate:up

-- One node at a time does a job; a lease that ran out may be taken by another.
CREATE TABLE job_leases (
    name         {{text}} NOT NULL PRIMARY KEY,
    holder       {{text}} NOT NULL,
    expires_at   {{instant}} NOT NULL
){{table}};

-- How far auth's events have taken effect here. The place moves in the unit of the effect, or neither happens.
CREATE TABLE auth_feed (
    name     {{text}} NOT NULL PRIMARY KEY,
    -- As auth gave it; empty before the first event.
    cursor   {{text}} NOT NULL DEFAULT '',
    -- The unit that moved it last, by a name of that unit's own.
    mover    {{text}},
    moved_at {{instant}}
){{table}};
INSERT INTO auth_feed (name) VALUES ('deletions'), ('profiles');

-- A person is erased once, and this is the receipt. It outlives the job.
CREATE TABLE erasures (
    id           {{text}} NOT NULL PRIMARY KEY,
    principal_id {{text}} NOT NULL UNIQUE REFERENCES principals (id) ON DELETE CASCADE,
    reason       {{text}} NOT NULL CHECK (reason IN ('user_deleted', 'requested', 'admin', 'operator')),
    requested_by {{text}},
    requested_at {{instant}} NOT NULL,
    completed_at {{instant}}
){{table}};
CREATE INDEX erasures_open ON erasures (requested_at, id) WHERE completed_at IS NULL;

-- Rows that went, counted in the unit that removed them.
CREATE TABLE erasure_counts (
    erasure_id {{text}} NOT NULL REFERENCES erasures (id) ON DELETE CASCADE,
    entity     {{text}} NOT NULL,
    removed    {{integer}} NOT NULL,
    PRIMARY KEY (erasure_id, entity)
){{table}};

-- All of a person's conversations, trash included, in an order that nothing changes.
CREATE INDEX conversations_owner_id ON conversations (owner_id, id);
-- Few have been refused lately; every node asks who.
CREATE INDEX principals_deactivated_at ON principals (deactivated_at) WHERE deactivated_at IS NOT NULL;
CREATE INDEX principals_erased_at ON principals (erased_at) WHERE erased_at IS NOT NULL;

-- migrate:down

DROP INDEX principals_erased_at;
DROP INDEX principals_deactivated_at;
DROP INDEX conversations_owner_id;
DROP TABLE erasure_counts;
DROP TABLE erasures;
DROP TABLE auth_feed;
DROP TABLE job_leases;
