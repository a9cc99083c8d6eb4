// SQL that removes ended sessions, a batch at a time.
import ServiceKit
import Storage

enum SessionCleanupStatements {
    private static let markGloballyRevoked = Statement(
        "sessions.mark_globally_revoked",
        .writes,
        ["now": .instant, "limit": .integer],
        """
        UPDATE sessions SET revoked_at = :now, revoke_reason = 'all_revoked', updated_at = :now
        WHERE revoked_at IS NULL AND id IN (
            SELECT id FROM sessions
            WHERE revoked_at IS NULL
                AND global_version < (SELECT integer_value FROM settings WHERE key = 'global_token_version')
            ORDER BY global_version LIMIT :limit)
        """
    )

    private static func markGloballyRevoked(at now: Instant, limit: Int64) -> BoundStatement {
        markGloballyRevoked.bind(["now": now, "limit": limit])
    }

    // Ended so long ago that all of its tokens have expired. The idle end is never after the absolute one. Two
    // statements, since one with OR reads the whole table to find nothing.

    private static let deleteExpired = Statement(
        "sessions.delete_expired",
        .writes,
        ["before": .instant, "limit": .integer],
        """
        DELETE FROM sessions WHERE id IN (
            SELECT id FROM sessions WHERE expires_at < :before ORDER BY expires_at LIMIT :limit)
        """
    )

    private static func deleteExpired(before: Instant, limit: Int64) -> BoundStatement {
        deleteExpired.bind(["before": before, "limit": limit])
    }

    private static let deleteRevoked = Statement(
        "sessions.delete_revoked",
        .writes,
        ["before": .instant, "limit": .integer],
        """
        DELETE FROM sessions WHERE id IN (
            SELECT id FROM sessions WHERE revoked_at < :before ORDER BY revoked_at LIMIT :limit)
        """
    )

    private static func deleteRevoked(before: Instant, limit: Int64) -> BoundStatement {
        deleteRevoked.bind(["before": before, "limit": limit])
    }

    /// Rows that a global revocation ended without marking them.
    static let marking = CleanupStep("sessions_marked") { markGloballyRevoked(at: $0, limit: $1) }

    /// An ended session stays visible for a day, and longer than its access tokens can live.
    static func removal(tokenLifetime: Duration) -> CleanupStep {
        CleanupStep("sessions") { transaction, now, limit in
            let day: Duration = .seconds(86_400)
            return [
                transaction.add(deleteExpired(before: now - day - day, limit: limit)),
                transaction.add(deleteRevoked(before: now - day - tokenLifetime, limit: limit)),
            ]
        }
    }

    static let all = [markGloballyRevoked, deleteExpired, deleteRevoked]
}
