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

    // A user's list has its own statements, each a range of that user's index.

    private static func listOfUser(_ name: String, isDescending: Bool) -> Statement {
        Statement(name, .reads, parameters + ["user": .text]) { engine in
            let page = OnePlan.page(
                of: "s.user_id",
                is: ":user",
                after: [("s.created_at", ":instant"), ("s.id", ":id")],
                isDescending: isDescending,
                engine
            )
            return "SELECT \(Session.joinedColumns) FROM sessions s WHERE \(shown) AND \(page) LIMIT :limit"
        }
    }

    private static let listOfUserAfter = listOfUser("sessions.list_of_user_after", isDescending: true)
    private static let listOfUserBefore = listOfUser("sessions.list_of_user_before", isDescending: false)

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
