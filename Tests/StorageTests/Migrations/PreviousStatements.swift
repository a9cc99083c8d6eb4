// Statements of the program for the previous schema, word for word, that the current program has changed or dropped.
// During a rolling update both run on this schema. A new migration replaces this list; ServiceStatementTests executes
// the unchanged statements.
import AuthService
import Storage

enum PreviousStatements {
    private static let client = """
        id, name, scopes, audiences, secret_hash, secret_created_at, previous_secret_hash, \
        previous_secret_expires_at, jwks, created_at, updated_at, disabled_at, tokens_valid_from
        """

    static let auth = [
        Statement(
            "refresh_tokens.insert",
            .writes,
            ["id": .text, "session": .text, "client": .text, "now": .instant],
            """
            INSERT INTO refresh_tokens (id, session_id, user_id, client_id, generation, rotated_at, expires_at, created_at)
            SELECT :id, id, user_id, :client, 0, :now, absolute_expires_at, :now FROM sessions WHERE id = :session
            """
        ),
        Statement(
            "refresh_tokens.rotate",
            .writes,
            ["id": .text, "generation": .integer, "now": .instant, "idle_start": .instant, "client": .text],
            """
            UPDATE refresh_tokens SET generation = generation + 1, rotated_at = :now
            WHERE id = :id AND generation = :generation AND client_id = :client AND rotated_at > :idle_start
                AND expires_at > :now
            RETURNING generation
            """
        ),
        Statement(positional: "clients.by_id", .reads, [.text], "SELECT \(client) FROM clients WHERE id = $1"),
        Statement(positional: "clients.list", .reads, [], "SELECT \(client) FROM clients ORDER BY created_at, id"),
        Statement(
            positional: "clients.insert",
            .writes,
            [.text, .text, .text, .text, .bytes, .instant, .text, .instant],
            """
            INSERT INTO clients (
                id, name, scopes, audiences, secret_hash, secret_created_at, jwks, created_at, updated_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)
            ON CONFLICT (id) DO NOTHING
            RETURNING \(client)
            """
        ),
        Statement(
            positional: "clients.update",
            .writes,
            [.text, .text, .text, .text, .boolean, .text, .boolean, .instant, .instant],
            """
            UPDATE clients SET
                name = COALESCE($2, name), scopes = COALESCE($3, scopes),
                audiences = COALESCE($4, audiences),
                jwks = CASE WHEN $5 THEN $6 ELSE jwks END,
                disabled_at = CASE
                    WHEN $7 IS NULL THEN disabled_at WHEN $7 THEN COALESCE(disabled_at, $8) ELSE NULL END,
                tokens_valid_from = CASE
                    WHEN $7 AND disabled_at IS NULL
                        AND (tokens_valid_from IS NULL OR tokens_valid_from < $9) THEN $9
                    ELSE tokens_valid_from END,
                updated_at = $8
            WHERE id = $1
            RETURNING \(client)
            """
        ),
        Statement(
            positional: "clients.rotate_secret",
            .writes,
            [.text, .bytes, .instant, .instant],
            """
            UPDATE clients SET
                previous_secret_hash = CASE WHEN $4 IS NULL THEN NULL ELSE secret_hash END,
                previous_secret_expires_at = CASE
                    WHEN $4 IS NULL OR secret_hash IS NULL THEN NULL ELSE $4 END,
                secret_hash = $2, secret_created_at = $3, updated_at = $3
            WHERE id = $1
            RETURNING \(client)
            """
        ),
        Statement(positional: "clients.delete", .writes, [.text], "DELETE FROM clients WHERE id = $1"),
        Statement(
            positional: "events.client_disabled",
            .appends(Events.log),
            [.instant, .text, .text],
            """
            INSERT INTO events (at, kind, data)
            SELECT $1, 'client.tokens_revoked', $3 FROM clients WHERE id = $2 AND disabled_at = $1
            """
        ),
        Statement(
            positional: "events.client_will_be_deleted",
            .appends(Events.log),
            [.instant, .text, .text],
            """
            INSERT INTO events (at, kind, data)
            SELECT $1, 'client.tokens_revoked', $3 FROM clients WHERE id = $2
            """
        ),
        Statement(
            positional: "sessions.insert_if_password",
            .writes,
            [
                .text, .text, .bytes, .text, .text, .text, .instant, .instant, .instant, .text,
            ],
            """
            INSERT INTO sessions (
                id, user_id, token_hash, ip_address, user_agent, amr, auth_time, created_at, updated_at, last_seen_at,
                expires_at, absolute_expires_at, required_version, global_version)
            SELECT $1, u.id, $3, $4, $5, $6, $7, $7, $7, $7, $8, $9,
                u.token_version, g.integer_value
            FROM users u
            JOIN accounts a ON a.user_id = u.id AND a.provider_id = 'password'
            JOIN settings g ON g.key = 'global_token_version'
            WHERE u.id = $2 AND u.is_active AND a.password_hash = $10
            RETURNING id
            """
        ),
    ]

    static let chat = [
        Statement(
            positional: "conversations.insert",
            .writes,
            [.text, .text, .text, .text, .text, .text, .text, .instant, .integer, .text, .text],
            """
            INSERT INTO conversations
                (id, owner_id, title, title_source, model, slug, visibility, created_at, updated_at, version,
                 settings, metadata)
            SELECT $1, principals.id, $3, $4, $5, $6, $7, $8, $8, $9, $10, $11
            FROM principals WHERE principals.id = $2 AND is_active AND erased_at IS NULL
            ON CONFLICT DO NOTHING
            RETURNING id, owner_id, title, title_source, model, slug, visibility, pinned_at, archived_at,
                archive_reason, forked_from_conversation_id, forked_from_message_id, head_message_id, last_seq,
                message_count, tokens_in, tokens_out, last_message_at, created_at, updated_at, version, settings,
                metadata
            """
        ),
        Statement(
            positional: "conversations.older",
            .reads,
            [.text, .boolean, .boolean, .instant, .text, .integer],
            """
            SELECT id, owner_id, title, title_source, model, slug, visibility, pinned_at, archived_at,
                archive_reason, forked_from_conversation_id, forked_from_message_id, head_message_id, last_seq,
                message_count, tokens_in, tokens_out, last_message_at, created_at, updated_at, version
            FROM conversations
            WHERE owner_id = $1 AND deleted_at IS NULL
                AND ($2 IS NULL OR (archived_at IS NOT NULL) = $2)
                AND ($3 IS NULL OR (pinned_at IS NOT NULL) = $3) AND (updated_at, id) < ($4, $5)
            ORDER BY updated_at DESC, id DESC LIMIT $6
            """
        ),
        Statement(
            positional: "conversations.trash",
            .writes,
            [.text, .text, .integer, .instant],
            """
            UPDATE conversations SET deleted_at = $4, updated_at = $4, version = version + 1
            WHERE id = $1 AND owner_id = $2 AND deleted_at IS NULL AND ($3 IS NULL OR version = $3)
                AND EXISTS (SELECT 1 FROM principals WHERE principals.id = $2 AND is_active AND erased_at IS NULL)
            RETURNING id
            """
        ),
    ]
}
