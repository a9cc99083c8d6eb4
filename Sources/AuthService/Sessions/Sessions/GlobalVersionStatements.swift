// SQL of the global token version: sessions below it have ended. Its row is in `settings`.
import Storage

enum GlobalVersionStatements {
    private static let bump = Statement(
        "sessions.bump_global_version",
        .writes,
        ["now": .instant],
        """
        UPDATE settings SET integer_value = integer_value + 1, updated_at = :now WHERE key = 'global_token_version'
        RETURNING integer_value
        """
    )

    static func bump(at now: Instant) -> BoundStatement { bump.bind(["now": now]) }

    private static let raise = Statement(
        "sessions.raise_global_version",
        .writes,
        ["now": .instant, "version": .integer],
        """
        UPDATE settings SET integer_value = CASE WHEN integer_value < :version THEN :version ELSE integer_value + 1 END,
            updated_at = :now
        WHERE key = 'global_token_version'
        RETURNING integer_value
        """
    )

    /// Raises by one, and at least to `version`: tokens of a later history may have a higher version than this row.
    static func raise(to version: Int64, at now: Instant) -> BoundStatement {
        raise.bind(["now": now, "version": version])
    }

    private static let currentVersion = Statement(
        "sessions.global_version",
        .reads,
        "SELECT integer_value FROM settings WHERE key = 'global_token_version'"
    )

    static func current() -> BoundStatement { currentVersion.bind() }

    static let all = [bump, raise, currentVersion]
}
