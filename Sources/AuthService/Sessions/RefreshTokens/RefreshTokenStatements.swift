// SQL of `refresh_tokens`. One row per session and client; no indexed column changes at a refresh.
import Storage

enum RefreshTokenStatements {
    /// The row of a session that this unit has just made; zero rows when it made none.
    static let insert = Statement(
        "refresh_tokens.insert",
        .writes,
        [.text, .text, .text, .instant],
        """
        INSERT INTO refresh_tokens (id, session_id, user_id, client_id, generation, rotated_at, expires_at, created_at)
        SELECT $1, id, user_id, $3, 0, $4, absolute_expires_at, $4 FROM sessions WHERE id = $2
        """
    )

    /// `$2` the generation presented, `$3` now, `$4` the oldest last use that is not idle, `$5` who presents it.
    ///
    /// Whether session and user still stand is for `state` to say, once: a session that ended never stands again, so
    /// what its row counts no longer matters.
    static let rotate = Statement(
        "refresh_tokens.rotate",
        .writes,
        [.text, .integer, .instant, .instant, .text],
        """
        UPDATE refresh_tokens SET generation = generation + 1, rotated_at = $3
        WHERE id = $1 AND generation = $2 AND client_id = $5 AND rotated_at > $4 AND expires_at > $3
        RETURNING generation
        """
    )

    /// What the rotation left behind, read with a snapshot of its own: a revocation that committed while the rotation
    /// waited is seen here.
    static let state = Statement(
        "refresh_tokens.state",
        .reads,
        [.text],
        """
        SELECT r.client_id AS refresh_client_id, r.generation AS refresh_generation,
            r.rotated_at AS refresh_rotated_at,
            \(SessionState.columns(Session.joinedColumns(refreshedAt: "r.rotated_at"), UserStanding.joinedColumns))
        FROM refresh_tokens r JOIN sessions s ON s.id = r.session_id \(SessionState.joins)
        WHERE r.id = $1
        """
    )

    static let deleteExpired = Statement(
        "refresh_tokens.delete_expired",
        .writes,
        [.instant, .integer],
        """
        DELETE FROM refresh_tokens WHERE id IN (
            SELECT id FROM refresh_tokens WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)
        """
    )

    static let all = [insert, rotate, state, deleteExpired]
}
