// SQL of `sessions`.
//
// Conditions that another transaction may change under us stand in a statement *after* the one that takes the user's
// row: on PostgreSQL a statement that waits for a lock re-reads the locked row only, its subqueries keep the snapshot
// from before the wait, and a login with the old password would survive a reset.
import Storage

enum SessionStatements {
    /// Zero rows unless the user is active and the password is still the one that was verified.
    static let insertIfPassword = Statement(
        "sessions.insert_if_password",
        .writes,
        [.text, .text, .bytes, .text, .text, .text, .instant, .instant, .instant, .text],
        """
        INSERT INTO sessions (
            id, user_id, token_hash, ip_address, user_agent, amr, auth_time, created_at, updated_at, last_seen_at,
            expires_at, absolute_expires_at, required_version, global_version)
        SELECT $1, u.id, $3, $4, $5, $6, $7, $7, $7, $7, $8, $9, u.token_version, g.integer_value
        FROM users u
        JOIN accounts a ON a.user_id = u.id AND a.provider_id = 'password'
        JOIN settings g ON g.key = 'global_token_version'
        WHERE u.id = $2 AND u.is_active AND a.password_hash = $10
        RETURNING id
        """
    )

    static let state = Statement(
        "sessions.state",
        .reads,
        [.text],
        "SELECT \(SessionState.columns) FROM sessions s \(SessionState.joins) WHERE s.id = $1"
    )

    /// With the whole user, whom an answer shows.
    static let stateWithUser = Statement(
        "sessions.state_with_user",
        .reads,
        [.text],
        "SELECT \(columnsWithUser) FROM sessions s \(SessionState.joins) WHERE s.id = $1"
    )

    static let stateByCookie = Statement(
        "sessions.state_by_cookie",
        .reads,
        [.bytes],
        "SELECT \(columnsWithUser) FROM sessions s \(SessionState.joins) WHERE s.token_hash = $1"
    )

    private static let columnsWithUser = SessionState.columns(Session.joinedColumns, User.joinedColumns)

    /// Moves the idle end when enough of the idle period is used up, never past the absolute end.
    static let slide = Statement(
        "sessions.slide",
        .writes,
        [.text, .instant, .instant, .instant],
        """
        UPDATE sessions SET
            expires_at = CASE WHEN absolute_expires_at < $3 THEN absolute_expires_at ELSE $3 END,
            last_seen_at = $2, updated_at = $2
        WHERE id = $1 AND revoked_at IS NULL AND expires_at < $4 AND expires_at < absolute_expires_at
        """
    )

    // MARK: Ends

    static let revoke = Statement(
        "sessions.revoke",
        .writes,
        [.text, .instant, .text],
        """
        UPDATE sessions SET revoked_at = $2, revoke_reason = $3, updated_at = $2
        WHERE id = $1 AND revoked_at IS NULL
        """
    )

    static let revokeOfUser = Statement(
        "sessions.revoke_of_user",
        .writes,
        [.text, .text, .instant, .text],
        """
        UPDATE sessions SET revoked_at = $3, revoke_reason = $4, updated_at = $3
        WHERE user_id = $1 AND revoked_at IS NULL AND ($2 IS NULL OR id <> $2)
        """
    )

    static let revokeOfUserIfPassword = Statement(
        "sessions.revoke_of_user_if_password",
        .writes,
        [.text, .text, .instant, .text, .text],
        """
        UPDATE sessions SET revoked_at = $3, revoke_reason = $4, updated_at = $3
        WHERE user_id = $1 AND revoked_at IS NULL AND ($2 IS NULL OR id <> $2)
            AND EXISTS (
                SELECT 1 FROM accounts
                WHERE accounts.user_id = $1 AND accounts.provider_id = 'password' AND accounts.password_hash = $5)
        """
    )

    static let revokeOfInactive = Statement(
        "sessions.revoke_of_inactive",
        .writes,
        [.text, .instant],
        """
        UPDATE sessions SET revoked_at = $2, revoke_reason = 'user_deactivated', updated_at = $2
        WHERE user_id = $1 AND revoked_at IS NULL
            AND EXISTS (SELECT 1 FROM users WHERE users.id = $1 AND NOT users.is_active)
        """
    )

    /// After a role change, tokens that carry an older version are stale in every session of the user.
    static let requireCurrentVersion = Statement(
        "sessions.require_current_version",
        .writes,
        [.text, .instant],
        """
        UPDATE sessions SET required_version = (SELECT token_version FROM users WHERE users.id = $1)
        WHERE user_id = $1 AND revoked_at IS NULL
            AND EXISTS (SELECT 1 FROM users WHERE users.id = $1 AND users.updated_at = $2)
        """
    )

    static let bumpGlobalVersion = Statement(
        "sessions.bump_global_version",
        .writes,
        [.instant],
        """
        UPDATE settings SET integer_value = integer_value + 1, updated_at = $1 WHERE key = 'global_token_version'
        RETURNING integer_value
        """
    )

    /// As a bump, and to `$2` at least: tokens that a later history issued may carry more than this row knows of.
    static let raiseGlobalVersion = Statement(
        "sessions.raise_global_version",
        .writes,
        [.instant, .integer],
        """
        UPDATE settings SET integer_value = CASE WHEN integer_value < $2 THEN $2 ELSE integer_value + 1 END,
            updated_at = $1
        WHERE key = 'global_token_version'
        RETURNING integer_value
        """
    )

    static let globalVersion = Statement(
        "sessions.global_version",
        .reads,
        [],
        "SELECT integer_value FROM settings WHERE key = 'global_token_version'"
    )

    /// Marks rows that a global revocation ended already, a batch at a time.
    static let markGloballyRevoked = Statement(
        "sessions.mark_globally_revoked",
        .writes,
        [.instant, .integer],
        """
        UPDATE sessions SET revoked_at = $1, revoke_reason = 'all_revoked', updated_at = $1
        WHERE revoked_at IS NULL AND id IN (
            SELECT id FROM sessions
            WHERE revoked_at IS NULL
                AND global_version < (SELECT integer_value FROM settings WHERE key = 'global_token_version')
            ORDER BY global_version LIMIT $2)
        """
    )

    static let exists = Statement(
        "sessions.exists",
        .reads,
        [.text, .text],
        "SELECT id FROM sessions WHERE id = $1 AND ($2 IS NULL OR user_id = $2)"
    )

    // Ended long enough ago that no token of it can be alive. The idle end never lies past the absolute one. Two
    // statements, since one with OR reads the whole table to find that there is nothing.

    static let deleteExpired = Statement(
        "sessions.delete_expired",
        .writes,
        [.instant, .integer],
        """
        DELETE FROM sessions WHERE id IN (
            SELECT id FROM sessions WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)
        """
    )

    static let deleteRevoked = Statement(
        "sessions.delete_revoked",
        .writes,
        [.instant, .integer],
        """
        DELETE FROM sessions WHERE id IN (
            SELECT id FROM sessions WHERE revoked_at < $1 ORDER BY revoked_at LIMIT $2)
        """
    )

    // MARK: Lists

    // Newest first. `$1`/`$2` the cursor, `$3` the count, `$4` now, `$5` the oldest idle end, `$6` whether the ended
    // show too. A user's list is a statement of its own, so that it is a range of that user's index.
    private static let shown = """
        ($6 OR (s.revoked_at IS NULL AND s.absolute_expires_at > $4 AND s.expires_at > $5 AND s.global_version >= (
            SELECT integer_value FROM settings WHERE key = 'global_token_version')))
        """
    private static let listTypes: [SQLType] = [.instant, .text, .integer, .instant, .instant, .boolean]

    static let listAfter = Statement(
        "sessions.list_after",
        .reads,
        listTypes,
        """
        SELECT \(Session.joinedColumns) FROM sessions s
        WHERE (s.created_at, s.id) < ($1, $2) AND \(shown)
        ORDER BY s.created_at DESC, s.id DESC LIMIT $3
        """
    )

    static let listBefore = Statement(
        "sessions.list_before",
        .reads,
        listTypes,
        """
        SELECT \(Session.joinedColumns) FROM sessions s
        WHERE (s.created_at, s.id) > ($1, $2) AND \(shown)
        ORDER BY s.created_at, s.id LIMIT $3
        """
    )

    /// As `listAfter`, of the user `$7`.
    static let listOfUserAfter = Statement(
        "sessions.list_of_user_after",
        .reads,
        listTypes + [.text],
        """
        SELECT \(Session.joinedColumns) FROM sessions s
        WHERE s.user_id = $7 AND (s.created_at, s.id) < ($1, $2) AND \(shown)
        ORDER BY s.created_at DESC, s.id DESC LIMIT $3
        """
    )

    static let listOfUserBefore = Statement(
        "sessions.list_of_user_before",
        .reads,
        listTypes + [.text],
        """
        SELECT \(Session.joinedColumns) FROM sessions s
        WHERE s.user_id = $7 AND (s.created_at, s.id) > ($1, $2) AND \(shown)
        ORDER BY s.created_at, s.id LIMIT $3
        """
    )

    static let all = [
        insertIfPassword, state, stateWithUser, stateByCookie, slide, revoke, revokeOfUser, revokeOfUserIfPassword,
        revokeOfInactive,
        requireCurrentVersion, bumpGlobalVersion, raiseGlobalVersion, globalVersion, markGloballyRevoked, exists,
        deleteExpired, deleteRevoked, listAfter, listBefore, listOfUserAfter, listOfUserBefore,
    ]
}
