-- Domains of addresses in Unicode and in punycode are one: `users.email_key` holds UTS #46's form of them from here on. A
-- job recomputes what is there; see EmailKeys.swift. The program before this one neither reads nor writes what is new.

-- migrate:up

-- The key under which the program before this one knows the user, where that is another.
ALTER TABLE users ADD COLUMN former_email_key {{text}};

-- Users who kept their key because another user has the one that their address has today.
CREATE TABLE email_key_conflicts (
    user_id   {{text}} NOT NULL PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    email_key {{text}} NOT NULL
){{table}};

-- migrate:down

UPDATE users SET email_key = former_email_key
WHERE former_email_key IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM users o WHERE o.email_key = users.former_email_key);
DROP TABLE email_key_conflicts;
ALTER TABLE users DROP COLUMN former_email_key;
DELETE FROM settings WHERE key = 'email_key_walk';
