// SQL of `refresh_tokens`. One row per session and client; a refresh changes no indexed column.
import ServiceKit
import Storage

enum RefreshTokenStatements {
    private static let insert = Statement(
        "refresh_tokens.insert",
        .writes,
        ["id": .text, "session": .text, "client": .text, "now": .instant, "key_id": .integer],
        """
        INSERT INTO refresh_tokens (
            id, session_id, user_id, client_id, generation, rotated_at, expires_at, created_at, key_id)
        SELECT :id, id, user_id, :client, 0, :now, absolute_expires_at, :now, :key_id FROM sessions WHERE id = :session
        """
    )

    /// Zero rows unless this transaction has just made the session.
    static func insert(
        token: RefreshToken,
        ofSession session: String,
        client: String,
        at now: Instant
    ) -> BoundStatement {
        insert.bind([
            "id": token.rowKey, "session": session, "client": client, "now": now, "key_id": Int64(token.keyID),
        ])
    }

    private static let rotate = Statement(
        "refresh_tokens.rotate",
        .writes,
        [
            "id": .text, "generation": .integer, "now": .instant, "idle_start": .instant, "client": .text,
            "audience": .text, "retry_hash": .bytes, "key_id": .integer,
        ],
        """
        UPDATE refresh_tokens SET generation = generation + 1, rotated_at = :now, retry_hash = :retry_hash,
            key_id = :key_id
        WHERE id = :id AND generation = :generation AND client_id = :client AND rotated_at > :idle_start
            AND expires_at > :now
            AND (:audience IS NULL OR EXISTS (
                SELECT 1 FROM sessions s
                WHERE s.id = refresh_tokens.session_id AND (s.audience IS NULL OR s.audience = :audience)))
        RETURNING generation
        """
    )

    /// Rotates the token, unless it was last used at `idleStart` or before. A rotation without a retry key clears the
    /// hash of the one before.
    ///
    /// A refresh for an audience that the session is not for rotates nothing, so that the client may ask for another.
    ///
    /// It does not check session and user; `state` does. An ended session never revives, so its generation no longer
    /// matters.
    static func rotate(
        token: RefreshToken,
        client: TokenClient,
        idleStart: Instant,
        retryHash: [UInt8]?,
        at now: Instant
    ) -> BoundStatement {
        rotate.bind([
            "id": token.rowKey, "generation": Int64(token.generation), "now": now, "idle_start": idleStart,
            "client": client.id, "audience": client.audience, "retry_hash": retryHash, "key_id": Int64(token.keyID),
        ])
    }

    private static let state = Statement(
        "refresh_tokens.state",
        .reads,
        ["id": .text],
        """
        SELECT r.client_id AS refresh_client_id, r.generation AS refresh_generation,
            r.rotated_at AS refresh_rotated_at, r.retry_hash AS refresh_retry_hash,
            \(SessionState.columns(Session.joinedColumns(refreshedAt: "r.rotated_at"), UserStatus.joinedColumns))
        FROM refresh_tokens r JOIN sessions s ON s.id = r.session_id \(SessionState.joins)
        WHERE r.id = :id
        """
    )

    /// A statement of its own has its own snapshot, so it sees a revocation that committed while the rotation waited.
    static func state(of token: RefreshToken) -> BoundStatement { state.bind(["id": token.rowKey]) }

    private static let deleteOfClient = Statement(
        "refresh_tokens.delete_of_client",
        .writes,
        ["client": .text, "marker": .instant],
        """
        DELETE FROM refresh_tokens WHERE client_id = :client AND client_id <> 'tessera'
            AND EXISTS (SELECT 1 FROM clients c WHERE c.id = :client AND c.updated_at = :marker)
        """
    )

    /// If this transaction set the client's `updated_at` to `marker`. The first party is no client of the table, and
    /// its tokens are not in the index that this uses.
    static func delete(ofClient client: String, marker: Instant) -> BoundStatement {
        deleteOfClient.bind(["client": client, "marker": marker])
    }

    private static let deleteExpired = Statement(
        "refresh_tokens.delete_expired",
        .writes,
        ["before": .instant, "limit": .integer],
        """
        DELETE FROM refresh_tokens WHERE id IN (
            SELECT id FROM refresh_tokens WHERE expires_at < :before ORDER BY expires_at LIMIT :limit)
        """
    )

    static let cleanup = CleanupStep("refresh_tokens") { deleteExpired.bind(["before": $0, "limit": $1]) }

    static let all = [insert, rotate, state, deleteOfClient, deleteExpired]
}
