// How much of a person's a plain question may find, on PostgreSQL.
//
// A GIN index finds every row with all words of a question before it returns the first one. Of a person with some
// thousand messages that takes a few milliseconds at most. A person with more is searched by windows of time (see
// Search.swift).
import Storage

enum SearchSize {
    /// The conversations that are counted, and the messages that they may have.
    static let maxConversations: Int64 = 1000
    static let maxMessages: Int64 = 20_000

    private static let statement = Statement(
        "search.owner_size",
        .reads,
        ["owner": .text, "limit": .integer],
        """
        SELECT COUNT(*) AS conversations, CAST(COALESCE(SUM(few.message_count), 0) AS BIGINT) AS messages FROM (
            SELECT c.message_count FROM conversations c WHERE \(OnePlan.group("c.owner_id", is: ":owner"))
            ORDER BY c.owner_id, c.id LIMIT :limit
        ) AS few
        """
    )

    static func of(owner: String) -> BoundStatement {
        statement.bind(["owner": owner, "limit": maxConversations])
    }

    /// Whether one question is enough.
    static func isSmall(_ result: SQLResult) throws(StorageError) -> Bool {
        guard let row = result.first else { return false }
        let (conversations, messages) = (try row.integer("conversations"), try row.integer("messages"))
        return conversations < maxConversations && messages <= maxMessages
    }

    static let all = [statement]
}
