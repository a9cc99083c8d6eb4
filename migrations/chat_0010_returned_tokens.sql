-- What corrections took from the sums of a day. Quotas count it: a number that is lowered gives nothing back. The program
-- before this one neither reads nor writes it.

-- migrate:up

ALTER TABLE usage_totals ADD COLUMN tokens_returned {{integer}} NOT NULL DEFAULT 0;

-- migrate:down

ALTER TABLE usage_totals DROP COLUMN tokens_returned;
