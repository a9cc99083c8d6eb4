// How an export reads conversations, each with its messages.
import Storage

enum ConversationExport {
    private typealias Bounds = ExportedColumn.Bounds

    /// Tokens of one message: the total may be the sum of both counts.
    private static let tokens: ClosedRange<Int64> = 0...2 * MessageDraft.tokenCounts.upperBound

    // A stream does not survive a move, so `active_stream_id` is left out.
    static let conversation = ExportedEntity(
        name: "conversation",
        columns: [
            ExportedColumn("id", .id), ExportedColumn("owner_id", .person), ExportedColumn("title", .text),
            ExportedColumn("title_source", .text), ExportedColumn("model", .text), ExportedColumn("slug", .text),
            ExportedColumn("visibility", .text), ExportedColumn("pinned_at", .instant),
            ExportedColumn("archived_at", .instant), ExportedColumn("archive_reason", .text),
            ExportedColumn("forked_from_conversation_id", .id), ExportedColumn("forked_from_message_id", .id),
            ExportedColumn("head_message_id", .id), ExportedColumn("last_seq", .integer(Bounds.numbers)),
            ExportedColumn("message_count", .integer(Bounds.numbers)),
            ExportedColumn("tokens_in", .integer(Bounds.sums)),
            ExportedColumn("tokens_out", .integer(Bounds.sums)), ExportedColumn("last_message_at", .instant),
            ExportedColumn("created_at", .instant), ExportedColumn("updated_at", .instant),
            ExportedColumn("deleted_at", .instant), ExportedColumn("version", .integer(Bounds.versions)),
            ExportedColumn("has_tags", .boolean), ExportedColumn("read_seq", .integer(Bounds.numbers)),
            ExportedColumn("settings", .object), ExportedColumn("metadata", .object),
        ]
    )

    static let message = ExportedEntity(
        name: "message",
        columns: [
            ExportedColumn("id", .id), ExportedColumn("conversation_id", .id),
            ExportedColumn("seq", .integer(Bounds.numbers)),
            ExportedColumn("parent_id", .id), ExportedColumn("author_id", .person), ExportedColumn("role", .text),
            ExportedColumn("type", .text), ExportedColumn("status", .text), ExportedColumn("model", .text),
            ExportedColumn("tokens_in", .integer(tokens)), ExportedColumn("tokens_out", .integer(tokens)),
            ExportedColumn("tokens_total", .integer(tokens)), ExportedColumn("created_at", .instant),
            ExportedColumn("updated_at", .instant), ExportedColumn("edited_at", .instant),
            ExportedColumn("deleted_at", .instant), ExportedColumn("version", .integer(Bounds.versions)),
            ExportedColumn("metadata", .object), ExportedColumn("content_text", .text), ExportedColumn("parts", .array),
        ]
    )

    // MARK: Export

    private static let conversations = Statement(
        "export.conversations",
        .reads,
        ["owner": .text, "after": .text, "limit": .integer, "size": .integer]
    ) { engine in
        let order = engine == .postgres ? "owner_id, id" : "id"
        let page = OnePlan.page(of: "owner_id", is: ":owner", after: [("id", ":after")], engine)
        let last = """
            (SELECT MAX(id) FROM (
                SELECT id, SUM(size) OVER (ORDER BY \(order)) - size AS read_before FROM (
                    SELECT owner_id, id, LENGTH(settings) + LENGTH(metadata) AS size FROM conversations
                    WHERE \(ConversationState.complete.sql()) AND \(page) LIMIT :limit
                ) AS few
            ) AS summed WHERE read_before <= :size)
            """
        let rows = OnePlan.rows(of: "owner_id", is: ":owner", past: "id", after: ":after", upTo: last, engine)
        return """
            SELECT \(conversation.columnList) FROM conversations
            WHERE \(ConversationState.complete.sql()) AND \(rows) ORDER BY \(order) LIMIT :limit
            """
    }

    /// Conversations after an id, with the trash and without unfinished imports: at most `limit`, and `size`
    /// characters.
    static func conversations(of owner: String, after id: String, limit: Int64, size: Int64) -> BoundStatement {
        conversations.bind(["owner": owner, "after": id, "limit": limit, "size": size])
    }

    private static let messages = Statement(
        "export.messages",
        .reads,
        [
            "conversation": .text, "owner": .text, "after": .integer, "last": .integer, "size": .integer,
            "limit": .integer,
        ],
        """
        SELECT \(message.columnList) FROM messages
        WHERE conversation_id = :conversation AND seq > :after AND seq <= (
                SELECT MAX(seq) FROM (
                    SELECT seq, SUM(size) OVER (ORDER BY seq) AS total FROM (
                        SELECT seq, LENGTH(parts) + LENGTH(metadata) + COALESCE(LENGTH(content_text), 0) AS size
                        FROM messages
                        WHERE conversation_id = :conversation AND seq > :after AND seq <= :last
                        ORDER BY seq LIMIT :limit
                    ) AS few
                ) AS summed WHERE total <= :size
            )
            AND EXISTS (
                SELECT 1 FROM conversations c WHERE c.id = :conversation AND \(OnePlan.check("c.owner_id = :owner"))
            )
        ORDER BY seq
        """
    )

    /// Messages after a number and up to `last`: at most `limit` of them, and `size` characters; none if the first is
    /// larger.
    static func messages(
        of conversation: String,
        owner: String,
        after seq: Int64,
        upTo last: Int64,
        size: Int64,
        limit: Int64
    ) -> BoundStatement {
        messages.bind([
            "conversation": conversation, "owner": owner, "after": seq, "last": last, "size": size, "limit": limit,
        ])
    }

    static let all = [conversations, messages]
}
