// Statements of the program for the schema before this one that the program for this one writes in another way or not at
// all, word for word. During a rolling update both run on this schema. When a migration is added, the statements that its
// program changes take their place here; the others are executed as they are, by ServiceStatementTests.
import Storage

enum PreviousStatements {
    static let auth = [
        Statement(
            "refresh_tokens.rotate",
            .writes,
            [.text, .integer, .instant, .instant],
            """
            UPDATE refresh_tokens SET generation = generation + 1, rotated_at = $3
            WHERE id = $1 AND generation = $2 AND rotated_at > $4 AND expires_at > $3
                AND EXISTS (
                    SELECT 1 FROM sessions s JOIN users u ON u.id = s.user_id
                    JOIN settings g ON g.key = 'global_token_version'
                    WHERE s.id = refresh_tokens.session_id AND s.revoked_at IS NULL AND u.is_active
                        AND s.global_version >= g.integer_value)
            RETURNING generation
            """
        ),
        Statement(
            "refresh_tokens.state",
            .reads,
            [.text],
            """
            SELECT r.generation AS refresh_generation, r.rotated_at AS refresh_rotated_at,
                s.id AS session_id, s.user_id AS session_user_id, s.ip_address AS session_ip_address,
                s.user_agent AS session_user_agent, s.amr AS session_amr, s.auth_time AS session_auth_time,
                s.created_at AS session_created_at, s.last_seen_at AS session_last_seen_at,
                (SELECT MAX(rotated_at) FROM refresh_tokens WHERE refresh_tokens.session_id = s.id)
                    AS session_refreshed_at,
                s.expires_at AS session_expires_at, s.absolute_expires_at AS session_absolute_expires_at,
                s.revoked_at AS session_revoked_at, s.revoke_reason AS session_revoke_reason,
                s.required_version AS session_required_version, s.global_version AS session_global_version,
                g.integer_value AS current_global_version, u.id, u.email, u.name, u.first_name, u.last_name,
                u.avatar_url, u.kind, u.role, u.is_active, u.token_version, u.email_verified_at, u.last_login_at,
                u.created_at, u.updated_at, u.deactivated_at, u.metadata
            FROM refresh_tokens r JOIN sessions s ON s.id = r.session_id
            JOIN users u ON u.id = s.user_id JOIN settings g ON g.key = 'global_token_version'
            WHERE r.id = $1
            """
        ),
    ]

    static let chat = [
        Statement(
            "conversations.insert",
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
            "conversations.older",
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
            "conversations.trash",
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
