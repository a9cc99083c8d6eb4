import ServiceKit
import Storage

enum SessionListStatements {
    private static let shown = """
        (:ended OR (s.revoked_at IS NULL AND s.absolute_expires_at > :now AND s.expires_at > :idle_end
            AND s.global_version >= (SELECT integer_value FROM settings WHERE key = 'global_token_version')))
        """

    private static let parameters: StatementParameters = [
        "instant": .instant, "id": .text, "limit": .integer, "now": .instant, "idle_end": .instant, "ended": .boolean,
    ]

    private static let listAfter = Statement(
        "sessions.list_after",
        .reads,
        parameters,
        """
        SELECT \(Session.joinedColumns) FROM sessions s
        WHERE (s.created_at, s.id) < (:instant, :id) AND \(shown)
        ORDER BY s.created_at DESC, s.id DESC LIMIT :limit
        """
    )

    private static let listBefore = Statement(
        "sessions.list_before",
        .reads,
        parameters,
        """
        SELECT \(Session.joinedColumns) FROM sessions s
        WHERE (s.created_at, s.id) > (:instant, :id) AND \(shown)
        ORDER BY s.created_at, s.id LIMIT :limit
        """
    )

    // A user's list has its own statement, so that it is a range of that user's index.

    private static let listOfUserAfter = Statement(
        "sessions.list_of_user_after",
        .reads,
        parameters + ["user": .text],
        """
        SELECT \(Session.joinedColumns) FROM sessions s
        WHERE s.user_id = :user AND (s.created_at, s.id) < (:instant, :id) AND \(shown)
        ORDER BY s.created_at DESC, s.id DESC LIMIT :limit
        """
    )

    private static let listOfUserBefore = Statement(
        "sessions.list_of_user_before",
        .reads,
        parameters + ["user": .text],
        """
        SELECT \(Session.joinedColumns) FROM sessions s
        WHERE s.user_id = :user AND (s.created_at, s.id) > (:instant, :id) AND \(shown)
        ORDER BY s.created_at, s.id LIMIT :limit
        """
    )

    /// `user`: `nil` for all. `idleEnd`: the oldest idle end of a live session. `ended`: whether ended sessions are
    /// included.
    static func page(
        ofUser user: String?,
        direction: PageRequest.Direction,
        from cursor: Cursor,
        limit: Int64,
        idleEnd: Instant,
        ended: Bool,
        at now: Instant
    ) -> BoundStatement {
        let forward = direction == .forward
        let values: StatementValues = [
            "instant": cursor.instant, "id": cursor.id, "limit": limit, "now": now, "idle_end": idleEnd,
            "ended": ended,
        ]
        guard let user else { return (forward ? listAfter : listBefore).bind(values) }
        return (forward ? listOfUserAfter : listOfUserBefore).bind(values + ["user": user])
    }

    static let all = [listAfter, listBefore, listOfUserAfter, listOfUserBefore]
}
