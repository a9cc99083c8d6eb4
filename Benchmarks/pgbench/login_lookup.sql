-- `accounts.credentials_by_email` of Sources/AuthService/Identity/Accounts/AccountStatements.swift.
\set id random(1, :users)
SELECT u.id AS user_id, u.is_active AS is_active, a.password_hash AS password_hash FROM users u CROSS JOIN LATERAL (SELECT a.* FROM accounts a WHERE a.user_id = u.id AND (a.provider_id = 'password') IS TRUE OFFSET 0) AS a WHERE u.email_key = 'user' || :id::int || '@bench.example';
