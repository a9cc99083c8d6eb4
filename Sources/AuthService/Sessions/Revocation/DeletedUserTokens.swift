// What tokens of deleted users name, so that they get the verdict of a deactivated user's: `user_inactive`.
//
// A deletion takes users, sessions and refresh tokens away, and an authentic token of one of them names no row. Its
// names are kept for as long as it could have been used, without any reference to a person.
import OpenSSLCrypto
import ServiceKit
import Storage

struct DeletedUserTokens: Sendable {
    private let keepUser: Statement
    private let keepRefreshTokens: Statement
    private let keepCookies: Statement

    /// - Parameter condition: selects the row of `users` to be deleted, as SQL; `:id` is the user's id.
    init(ifUser condition: String) {
        let conflict = "ON CONFLICT (key) DO UPDATE SET expires_at = excluded.expires_at"
        let parameters: StatementParameters = ["id": .text, "until": .instant]
        keepUser = Statement(
            "users.keep_deleted",
            .writes,
            parameters,
            """
            INSERT INTO deleted_user_tokens (key, expires_at)
            SELECT 'user:' || id, :until FROM users WHERE \(condition) \(conflict)
            """
        )
        keepRefreshTokens = Statement(
            "users.keep_deleted_refresh_tokens",
            .writes,
            parameters,
            """
            INSERT INTO deleted_user_tokens (key, expires_at)
            SELECT 'refresh:' || r.id, :until FROM refresh_tokens r
            WHERE r.user_id = :id AND EXISTS (SELECT 1 FROM users WHERE \(condition)) \(conflict)
            """
        )
        keepCookies = Statement("users.keep_deleted_cookies", .writes, parameters) { engine in
            let hash = engine == .sqlite ? "lower(hex(s.token_hash))" : "encode(s.token_hash, 'hex')"
            return """
                INSERT INTO deleted_user_tokens (key, expires_at)
                SELECT 'cookie:' || \(hash), :until FROM sessions s
                WHERE s.user_id = :id AND \(OnePlan.check("s.token_hash IS NOT NULL"))
                    AND EXISTS (SELECT 1 FROM users WHERE \(condition)) \(conflict)
                """
        }
    }

    /// Before the row goes.
    func keep(user: String, until end: Instant) -> [BoundStatement] {
        all.map { $0.bind(["id": user, "until": end]) }
    }

    var all: [Statement] { [keepUser, keepRefreshTokens, keepCookies] }

    // MARK: Verdicts

    static func find(user: String) -> BoundStatement { DeletedUserTokenStatements.find(key: "user:\(user)") }

    static func find(refreshToken token: RefreshToken) -> BoundStatement {
        DeletedUserTokenStatements.find(key: "refresh:\(token.rowKey)")
    }

    static func find(cookie: SessionCookie) -> BoundStatement {
        DeletedUserTokenStatements.find(key: "cookie:\(Hex.encode(cookie.hash))")
    }
}

enum DeletedUserTokenStatements {
    private static let find = Statement(
        "deleted_user_tokens.find",
        .reads,
        ["key": .text],
        "SELECT key FROM deleted_user_tokens WHERE key = :key"
    )

    static func find(key: String) -> BoundStatement { find.bind(["key": key]) }

    private static let deleteExpired = Statement(
        "deleted_user_tokens.delete_expired",
        .writes,
        ["before": .instant, "limit": .integer],
        """
        DELETE FROM deleted_user_tokens WHERE key IN (
            SELECT key FROM deleted_user_tokens WHERE expires_at < :before ORDER BY expires_at LIMIT :limit)
        """
    )

    static let cleanup = CleanupStep("deleted_user_tokens") { deleteExpired.bind(["before": $0, "limit": $1]) }

    static let all = [find, deleteExpired]
}
