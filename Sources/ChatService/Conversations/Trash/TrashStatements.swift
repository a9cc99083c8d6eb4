// SQL of the trash. Expired rows are neither listed nor restored, whether the cleanup has run or not.
import ServiceKit
import Storage

enum TrashStatements {
    private static let trash = Statement(
        "conversations.trash",
        .writes,
        ["id": .text, "owner": .text, "expected": .integer, "now": .instant],
        """
        UPDATE conversations SET deleted_at = :now, updated_at = :now, version = version + 1
        WHERE id = :id AND \(ConversationState.live.sql(of: ":owner"))
            AND (:expected IS NULL OR version = :expected)
            AND \(Principals.mayWrite(principal: ":owner"))
        RETURNING id
        """
    )

    static func trash(id: String, owner: String, expected: Int64?, at now: Instant) -> BoundStatement {
        trash.bind(["id": id, "owner": owner, "expected": expected, "now": now])
    }

    private static let columns = ConversationStatements.summaryColumns + ", deleted_at"
    private static let cursor: StatementParameters = [
        "owner": .text, "instant": .instant, "id": .text, "limit": .integer,
    ]

    private static let older = Statement(
        "trash.older",
        .reads,
        cursor,
        """
        SELECT \(columns) FROM conversations
        WHERE owner_id = :owner AND \(ConversationState.inTrash.sql()) AND (deleted_at, id) < (:instant, :id)
        ORDER BY deleted_at DESC, id DESC LIMIT :limit
        """
    )

    private static let newer = Statement(
        "trash.newer",
        .reads,
        cursor,
        """
        SELECT \(columns) FROM conversations
        WHERE owner_id = :owner AND \(ConversationState.inTrash.sql()) AND (deleted_at, id) > (:instant, :id)
        ORDER BY deleted_at, id LIMIT :limit
        """
    )

    /// In the direction of the page.
    static func page(of owner: String, direction: PageRequest.Direction, from cursor: Cursor, limit: Int64)
        -> BoundStatement
    {
        let statement = direction == .forward ? older : newer
        return statement.bind(["owner": owner, "instant": cursor.instant, "id": cursor.id, "limit": limit])
    }

    private static let count = Statement(
        "trash.count",
        .reads,
        ["owner": .text, "since": .instant],
        """
        SELECT COUNT(*) AS total FROM conversations
        WHERE owner_id = :owner AND deleted_at > :since AND \(ConversationState.complete.sql())
        """
    )

    static func count(of owner: String, since instant: Instant) -> BoundStatement {
        count.bind(["owner": owner, "since": instant])
    }

    private static let current = Statement(
        "trash.current",
        .reads,
        ["id": .text, "owner": .text, "since": .instant],
        """
        SELECT \(ConversationStatements.columns), deleted_at FROM conversations
        WHERE id = :id AND \(ConversationState.complete.sql(of: ":owner"))
            AND (\(ConversationState.live.sql()) OR deleted_at > :since)
        """
    )

    /// A conversation that is live, or in the trash since an instant.
    static func current(id: String, owner: String, since instant: Instant) -> BoundStatement {
        current.bind(["id": id, "owner": owner, "since": instant])
    }

    private static let restore = Statement(
        "trash.restore",
        .writes,
        ["id": .text, "owner": .text, "expected": .integer, "now": .instant, "since": .instant],
        """
        UPDATE conversations SET
            deleted_at = NULL,
            slug = CASE WHEN slug IS NULL OR EXISTS (
                SELECT 1 FROM conversations o
                WHERE o.owner_id = :owner AND o.slug = conversations.slug AND \(ConversationState.live.sql("o"))
            ) THEN NULL ELSE slug END,
            updated_at = :now,
            version = version + 1
        WHERE id = :id AND \(OnePlan.check("deleted_at > :since")) AND \(ConversationState.complete.sql(of: ":owner"))
            AND (:expected IS NULL OR version = :expected)
            AND \(Principals.mayWrite(principal: ":owner"))
        RETURNING \(ConversationStatements.columns)
        """
    )

    /// Restores a conversation trashed since an instant, with its slug if that is free.
    static func restore(id: String, owner: String, expected: Int64?, since instant: Instant, at now: Instant)
        -> BoundStatement
    {
        restore.bind(["id": id, "owner": owner, "expected": expected, "now": now, "since": instant])
    }

    // MARK: Ending

    private static let end = Statement(
        "trash.end",
        .writes,
        ["id": .text, "owner": .text, "expected": .integer, "now": .instant],
        """
        UPDATE conversations SET deleted_at = :now, version = \(ConversationState.versions.ended)
        WHERE id = :id AND \(ConversationState.complete.sql(of: ":owner"))
            AND (:expected IS NULL OR version = :expected)
            AND \(Principals.mayWrite(principal: ":owner"))
        RETURNING id
        """
    )

    /// Ends a conversation, live or in the trash.
    static func end(id: String, owner: String, expected: Int64?, at now: Instant) -> BoundStatement {
        end.bind(["id": id, "owner": owner, "expected": expected, "now": now])
    }

    private static let endSome = Statement(
        "trash.end_some",
        .writes,
        ["owner": .text, "until": .instant, "limit": .integer]
    ) { engine in
        let batch = """
            SELECT o.id FROM conversations o
            WHERE o.owner_id = :owner AND o.deleted_at <= :until AND \(ConversationState.complete.sql("o"))
            ORDER BY o.deleted_at, o.id LIMIT :limit
            """
        return """
            UPDATE conversations SET version = \(ConversationState.versions.ended)
            WHERE \(OnePlan.among("id", batch, engine)) AND \(OnePlan.check("deleted_at <= :until"))
                AND \(ConversationState.complete.sql(of: ":owner"))
            """
    }

    /// Ends a batch that was trashed until an instant.
    static func endSome(of owner: String, trashedUntil instant: Instant) -> BoundStatement {
        endSome.bind(["owner": owner, "until": instant, "limit": Trash.batchSize])
    }

    static let all =
        [trash, older, newer, count, current, restore, end, endSome]
        + MassDeletionStatements.all + TrashRemovalStatements.all
}
