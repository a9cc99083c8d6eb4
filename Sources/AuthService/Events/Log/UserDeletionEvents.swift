// The events of a deletion, appended before the row goes and only if it will go. The owner of `users` provides that
// condition.
import Storage

struct UserDeletionEvents: Sendable {
    private let tokensRevoked: Statement
    private let deleted: Statement

    /// - Parameter condition: selects the row of `users` to be deleted, as SQL; `:id` is the user's id.
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

    /// `user.tokens_revoked` for followers of revocations, and `user.deleted`. The required version is above any token
    /// of the user.
    func append(user: String, at now: Instant) -> [BoundStatement] {
        [tokensRevoked, deleted].map { $0.bind(["id": user, "now": now]) }
    }

    var all: [Statement] { [tokensRevoked, deleted] }
}
