// The events of a deletion. They are appended before the row goes, and only if it will go: whether it will is a condition
// that the owner of `users` knows.
import Storage

struct UserDeletionEvents: Sendable {
    private let tokensRevoked: Statement
    private let deleted: Statement

    /// - Parameter condition: which row of `users` is about to be deleted, as SQL; `:id` is the user's id.
    init(ifUser condition: String) {
        tokensRevoked = Statement(
            "users.deleted_tokens_event",
            .appends(Events.log),
            ["id": .text, "now": .instant],
            """
            INSERT INTO events (at, kind, user_id, data)
            SELECT :now, 'user.tokens_revoked', id,
                '{"user_id":"' || id || '","min_ver":' || CAST(token_version + 1 AS TEXT) || '}'
            FROM users WHERE \(condition)
            """
        )
        deleted = Statement(
            "users.deleted_event",
            .appends(Events.log),
            ["id": .text, "now": .instant],
            """
            INSERT INTO events (at, kind, user_id, data)
            SELECT :now, 'user.deleted', id, '{"user_id":"' || id || '"}' FROM users
            WHERE \(condition)
            """
        )
    }

    /// `user.tokens_revoked`, for followers that look at revocations alone, and `user.deleted`. No token of the user has the
    /// version that comes after the last.
    func append(user: String, at now: Instant) -> [BoundStatement] {
        [tokensRevoked, deleted].map { $0.bind(["id": user, "now": now]) }
    }

    var all: [Statement] { [tokensRevoked, deleted] }
}
