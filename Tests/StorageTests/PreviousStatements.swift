// Statements of the program for schema 1 that the program for schema 2 writes in another way or not at all, word for word.
// During a rolling update both run on schema 2. When a migration is added, the statements that its program changes take
// their place here; the others are executed as they are, by ServiceStatementTests.
import Storage

enum PreviousStatements {
    static let auth = [
        Statement(
            "throttle.delete_expired",
            .writes,
            [.instant, .integer],
            "DELETE FROM rate_counters WHERE key IN (SELECT key FROM rate_counters WHERE expires_at < $1 LIMIT $2)"
        ),
        Statement(
            "sessions.mark_globally_revoked",
            .writes,
            [.instant, .integer],
            """
            UPDATE sessions SET revoked_at = $1, revoke_reason = 'all_revoked', updated_at = $1
            WHERE id IN (
                SELECT id FROM sessions
                WHERE revoked_at IS NULL
                    AND global_version < (SELECT integer_value FROM settings WHERE key = 'global_token_version')
                LIMIT $2)
            """
        ),
        Statement(
            "sessions.delete_ended",
            .writes,
            [.instant, .instant, .integer],
            """
            DELETE FROM sessions WHERE id IN (
                SELECT id FROM sessions WHERE expires_at < $1 OR absolute_expires_at < $1 OR revoked_at < $2 LIMIT $3)
            """
        ),
        sessions("sessions.list_after", "<", "s.created_at DESC, s.id DESC"),
        sessions("sessions.list_before", ">", "s.created_at, s.id"),
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
            "refresh_tokens.slide",
            .writes,
            [.text, .instant, .instant, .instant],
            """
            UPDATE sessions SET
                expires_at = CASE WHEN absolute_expires_at < $3 THEN absolute_expires_at ELSE $3 END,
                last_seen_at = $2, updated_at = $2
            WHERE id = (SELECT session_id FROM refresh_tokens WHERE id = $1 AND rotated_at = $2)
                AND revoked_at IS NULL AND expires_at < $4 AND expires_at < absolute_expires_at
            """
        ),
        Statement(
            "refresh_tokens.delete_expired",
            .writes,
            [.instant, .integer],
            "DELETE FROM refresh_tokens WHERE id IN (SELECT id FROM refresh_tokens WHERE expires_at < $1 LIMIT $2)"
        ),
        users("users.list_after", "<", "created_at DESC, id DESC"),
        users("users.list_before", ">", "created_at, id"),
        Statement(
            "users.count",
            .reads,
            [.text, .boolean, .text, .text],
            """
            SELECT COUNT(*) AS total FROM users
            WHERE ($1 IS NULL OR role = $1) AND ($2 IS NULL OR is_active = $2)
                AND ($3 IS NULL OR (email_key >= $3 AND email_key < $4) OR (name_key >= $3 AND name_key < $4))
            """
        ),
    ]

    private static func sessions(_ name: String, _ side: String, _ order: String) -> Statement {
        Statement(
            name,
            .reads,
            [.instant, .text, .integer, .text, .instant, .instant, .boolean],
            """
            SELECT s.id AS session_id, s.user_id AS session_user_id, s.ip_address AS session_ip_address,
                s.user_agent AS session_user_agent, s.amr AS session_amr, s.auth_time AS session_auth_time,
                s.created_at AS session_created_at, s.last_seen_at AS session_last_seen_at,
                (SELECT MAX(rotated_at) FROM refresh_tokens WHERE refresh_tokens.session_id = s.id)
                    AS session_refreshed_at,
                s.expires_at AS session_expires_at, s.absolute_expires_at AS session_absolute_expires_at,
                s.revoked_at AS session_revoked_at, s.revoke_reason AS session_revoke_reason,
                s.required_version AS session_required_version, s.global_version AS session_global_version
            FROM sessions s
            WHERE (s.created_at, s.id) \(side) ($1, $2) AND ($4 IS NULL OR s.user_id = $4)
                AND ($7 OR (s.revoked_at IS NULL AND s.absolute_expires_at > $5 AND s.expires_at > $6
                    AND s.global_version >= (
                        SELECT integer_value FROM settings WHERE key = 'global_token_version')))
            ORDER BY \(order) LIMIT $3
            """
        )
    }

    private static func users(_ name: String, _ side: String, _ order: String) -> Statement {
        Statement(
            name,
            .reads,
            [.instant, .text, .integer, .text, .boolean, .text, .text],
            """
            SELECT id, email, name, first_name, last_name, avatar_url, kind, role, is_active, token_version,
                email_verified_at, last_login_at, created_at, updated_at, deactivated_at, metadata
            FROM users
            WHERE (created_at, id) \(side) ($1, $2)
                AND ($4 IS NULL OR role = $4) AND ($5 IS NULL OR is_active = $5)
                AND ($6 IS NULL OR (email_key >= $6 AND email_key < $7) OR (name_key >= $6 AND name_key < $7))
            ORDER BY \(order) LIMIT $3
            """
        )
    }
}
