import Storage

enum TrashRemovalStatements {

    private static let removeMessages = Statement(
        "trash.remove_messages",
        .writes,
        ["id": .text, "owner": .text, "limit": .integer]
    ) { engine in
        let ended = """
            SELECT c.id FROM conversations c
            WHERE c.id = :id AND \(ConversationState.ended.sql(of: ":owner", "c"))
            """
        let rows = MessageBatch.rows(engine, of: ended, atMost: ":limit")
        return "DELETE FROM messages WHERE \(OnePlan.among("id", "\(rows) SELECT batch.id FROM batch", engine))"
    }

    /// A batch of messages of an ended conversation.
    static func removeMessages(of id: String, owner: String, limit: Int64 = Trash.batchSize) -> BoundStatement {
        removeMessages.bind(["id": id, "owner": owner, "limit": limit])
    }

    private static let remove = Statement(
        "trash.remove",
        .writes,
        ["id": .text, "owner": .text],
        """
        DELETE FROM conversations
        WHERE id = :id AND \(ConversationState.ended.sql(of: ":owner"))
            AND NOT EXISTS (SELECT 1 FROM messages m WHERE m.conversation_id = :id)
        RETURNING id
        """
    )

    /// An ended conversation without messages.
    static func remove(id: String, owner: String) -> BoundStatement { remove.bind(["id": id, "owner": owner]) }

    private static let batchOfOwner: StatementParameters = ["owner": .text, "until": .instant, "limit": .integer]

    /// Hidden since before an instant. The few hidden ones of all owners have an index of their own; by the owner, all
    /// of their trash would be read.
    private static let isLeftBehind = """
        \(ConversationState.hidden.sql("c")) AND c.deleted_at <= :until AND \(OnePlan.check("c.owner_id = :owner"))
        """

    private static let removeSomeMessages = Statement("trash.remove_some_messages", .writes, batchOfOwner) { engine in
        let ended = """
            SELECT c.id FROM conversations c
            WHERE \(isLeftBehind)
                AND EXISTS (SELECT 1 FROM messages m WHERE m.conversation_id = c.id LIMIT 1 OFFSET 0)
            LIMIT 100
            """
        let rows = MessageBatch.rows(engine, of: ended, atMost: ":limit")
        return "DELETE FROM messages WHERE \(OnePlan.among("id", "\(rows) SELECT batch.id FROM batch", engine))"
    }

    /// A batch of messages of the owner's conversations that are hidden since before an instant.
    static func removeSomeMessages(of owner: String, endedUntil instant: Instant) -> BoundStatement {
        removeSomeMessages.bind(["owner": owner, "until": instant, "limit": Trash.batchSize])
    }

    private static let removeSome = Statement("trash.remove_some", .writes, batchOfOwner) { engine in
        let empty = """
            SELECT c.id FROM conversations c
            WHERE \(isLeftBehind) AND NOT EXISTS (
                SELECT 1 FROM messages m WHERE m.conversation_id = c.id LIMIT 1 OFFSET 0
            )
            LIMIT :limit
            """
        return "DELETE FROM conversations WHERE \(OnePlan.among("id", empty, engine))"
    }

    /// A batch of those without messages.
    static func removeSome(of owner: String, endedUntil instant: Instant) -> BoundStatement {
        removeSome.bind(["owner": owner, "until": instant, "limit": Trash.batchSize])
    }

    private static let owners: StatementParameters = ["until": .instant, "limit": .integer]

    private static let ownersOfExpired = Statement(
        "trash.owners_of_expired",
        .reads,
        owners,
        """
        SELECT owner_id FROM conversations
        WHERE \(ConversationState.inTrash.sql()) AND deleted_at <= :until ORDER BY deleted_at LIMIT :limit
        """
    )

    /// Owners of conversations trashed until an instant; an owner may repeat.
    static func ownersOfTrash(until instant: Instant, limit: Int64) -> BoundStatement {
        ownersOfExpired.bind(["until": instant, "limit": limit])
    }

    private static let ownersOfEnded = Statement(
        "trash.owners_of_ended",
        .reads,
        owners,
        """
        SELECT owner_id FROM conversations
        WHERE \(ConversationState.hidden.sql()) AND deleted_at <= :until ORDER BY deleted_at LIMIT :limit
        """
    )

    /// Owners of conversations hidden since before an instant; an owner may repeat.
    static func ownersOfEnded(until instant: Instant, limit: Int64) -> BoundStatement {
        ownersOfEnded.bind(["until": instant, "limit": limit])
    }

    static let all = [removeMessages, remove, removeSomeMessages, removeSome, ownersOfExpired, ownersOfEnded]
}
