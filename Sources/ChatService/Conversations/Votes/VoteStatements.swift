import ServiceKit
import Storage

enum VoteStatements {
    private static let columns = "v.conversation_id, v.message_id, v.user_id, v.value, v.created_at, v.updated_at"

    // Of the caller's own conversation, and not deleted.
    private static let votable = """
        messages m CROSS JOIN conversations c
        WHERE m.id = :message AND \(MessageState.live.sql(in: ":conversation", "m"))
            AND c.id = :conversation AND \(ConversationState.live.sql(of: ":voter", "c"))
        """

    private static let set = Statement(
        "votes.set",
        .writes,
        ["conversation": .text, "message": .text, "voter": .text, "value": .integer, "now": .instant],
        """
        INSERT INTO votes (message_id, user_id, conversation_id, value, created_at, updated_at)
        SELECT m.id, :voter, c.id, :value, :now, :now FROM \(votable) AND \(Principals.mayWrite(principal: ":voter"))
        ON CONFLICT (message_id, user_id) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at
        RETURNING conversation_id, message_id, user_id, value, created_at, updated_at
        """
    )

    static func set(value: VoteValue, on message: String, in conversation: String, by voter: String, at now: Instant)
        -> BoundStatement
    {
        set.bind([
            "conversation": conversation, "message": message, "voter": voter, "value": value.number, "now": now,
        ])
    }

    private static let remove = Statement(
        "votes.remove",
        .writes,
        ["conversation": .text, "message": .text, "voter": .text],
        """
        DELETE FROM votes
        WHERE message_id = :message AND user_id = :voter AND conversation_id = :conversation
            AND EXISTS (SELECT 1 FROM \(votable)) AND \(Principals.mayWrite(principal: ":voter"))
        """
    )

    static func remove(on message: String, in conversation: String, by voter: String) -> BoundStatement {
        remove.bind(["conversation": conversation, "message": message, "voter": voter])
    }

    private static let isOpen = Statement(
        "votes.is_open",
        .reads,
        ["conversation": .text, "message": .text, "voter": .text],
        "SELECT m.id FROM \(votable)"
    )

    static func isOpen(message: String, in conversation: String, to voter: String) -> BoundStatement {
        isOpen.bind(["conversation": conversation, "message": message, "voter": voter])
    }

    private static let isVisible = """
        EXISTS (
            SELECT 1 FROM conversations c
            WHERE c.id = :conversation AND \(ConversationState.live.sql(of: ":voter", "c"))
        )
        """

    private static let own = """
        votes v
        WHERE v.conversation_id = :conversation AND v.user_id = :voter AND \(isVisible) AND EXISTS (
                SELECT 1 FROM messages m
                WHERE m.id = v.message_id AND \(OnePlan.check(MessageState.live.sql("m"))) LIMIT 1 OFFSET 0
            )
        """

    private static let cursor: StatementParameters = [
        "conversation": .text, "voter": .text, "instant": .instant, "message": .text, "limit": .integer,
    ]

    private static let later = Statement(
        "votes.later",
        .reads,
        cursor,
        """
        SELECT \(columns) FROM \(own) AND (v.created_at, v.message_id) > (:instant, :message)
        ORDER BY v.created_at, v.message_id LIMIT :limit
        """
    )

    private static let earlier = Statement(
        "votes.earlier",
        .reads,
        cursor,
        """
        SELECT \(columns) FROM \(own) AND (v.created_at, v.message_id) < (:instant, :message)
        ORDER BY v.created_at DESC, v.message_id DESC LIMIT :limit
        """
    )

    static func page(
        in conversation: String,
        of voter: String,
        direction: PageRequest.Direction,
        from cursor: Cursor,
        limit: Int64
    ) -> BoundStatement {
        let statement = direction == .forward ? later : earlier
        return statement.bind([
            "conversation": conversation, "voter": voter, "instant": cursor.instant, "message": cursor.id,
            "limit": limit,
        ])
    }

    private static let count = Statement(
        "votes.count",
        .reads,
        ["conversation": .text, "voter": .text],
        "SELECT COUNT(*) AS total FROM \(own)"
    )

    static func count(in conversation: String, of voter: String) -> BoundStatement {
        count.bind(["conversation": conversation, "voter": voter])
    }

    private static let newest = Statement(
        "votes.newest",
        .reads,
        ["conversation": .text, "voter": .text, "limit": .integer]
    ) { engine in
        let messages = """
            SELECT m.id FROM messages m WHERE m.conversation_id = :conversation AND \(MessageState.live.sql("m"))
            ORDER BY \(MessagePages.liveSequence) DESC LIMIT :limit
            """
        return """
            SELECT \(columns) FROM votes v
            WHERE \(OnePlan.among("v.message_id", messages, engine)) AND \(isVisible)
                AND \(OnePlan.check("v.user_id = :voter AND v.conversation_id = :conversation"))
            ORDER BY v.created_at, v.message_id
            """
    }

    static func newest(in conversation: String, of voter: String) -> BoundStatement {
        newest.bind(["conversation": conversation, "voter": voter, "limit": ConversationLimits.messages])
    }

    static let all = [set, remove, isOpen, later, earlier, count, newest]
}
