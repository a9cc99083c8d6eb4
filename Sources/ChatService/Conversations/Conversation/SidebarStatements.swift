// SQL of a sidebar: the conversations that are not archived, pinned ones first, by their last message. Read markers.
//
// The pinned and the others are a group each, and each group is one range of `conversations_sidebar`. Renaming, tagging
// and marking change neither column of its key, and pinning only moves a row from group to group.
import ServiceKit
import Storage

enum SidebarStatements {
    /// Word for word as in the index.
    private static let rank = "(CASE WHEN pinned_at IS NULL THEN 0 ELSE 1 END)"
    private static let place = "(COALESCE(last_message_at, created_at))"

    private static let parameters: StatementParameters = [
        "owner": .text, "rank": .integer, "instant": .instant, "id": .text, "limit": .integer,
    ]

    private static func rows(older: Bool) -> String {
        let (side, direction) = older ? ("<", "DESC") : (">", "ASC")
        return """
            SELECT \(ConversationStatements.summaryColumns), \(place) AS place FROM conversations
            WHERE owner_id = :owner AND \(ConversationState.live.sql()) AND archived_at IS NULL AND \(rank) = :rank
                AND \(place) \(side)= :instant AND (\(place), id) \(side) (:instant, :id)
            ORDER BY \(place) \(direction), id \(direction) LIMIT :limit
            """
    }

    private static func page(older: Bool, last: Bool) -> Statement {
        let name = "conversations.sidebar_\(older ? "older" : "newer")\(last ? "_with_last" : "")"
        return Statement(name, .reads, parameters) { engine in
            guard last else { return rows(older: older) }
            let newest = """
                last.id = (
                    SELECT id FROM messages WHERE conversation_id = page.id AND \(MessageState.live.sql())
                    ORDER BY \(MessagePages.liveSequence) DESC LIMIT 1
                )
                """
            let direction = older ? "DESC" : "ASC"
            return """
                SELECT page.*, last.id AS last_id, last.seq AS last_number, last.role AS last_role,
                    last.type AS last_type, last.status AS last_status, last.created_at AS last_created_at,
                    substr(last.content_text, 1, \(LastMessage.maxLength)) AS last_text
                FROM (\(rows(older: older))) AS page
                \(OnePlan.eachOrNone("messages", as: "last", where: newest, engine))
                ORDER BY page.place \(direction), page.id \(direction)
                """
        }
    }

    private static let older = (plain: page(older: true, last: false), last: page(older: true, last: true))
    private static let newer = (plain: page(older: false, last: false), last: page(older: false, last: true))

    /// One of the two groups, past a place.
    static func page(
        of owner: String,
        pinned: Bool,
        older isOlder: Bool,
        past cursor: Cursor,
        limit: Int64,
        withLast: Bool
    ) -> BoundStatement {
        let both = isOlder ? older : newer
        return (withLast ? both.last : both.plain).bind([
            "owner": owner, "rank": pinned ? 1 : 0, "instant": cursor.instant, "id": cursor.id, "limit": limit,
        ])
    }

    private static let mark = Statement(
        "conversations.mark_read",
        .writes,
        ["id": .text, "owner": .text, "sequence": .integer],
        """
        UPDATE conversations SET read_seq = CASE WHEN :sequence > last_seq THEN last_seq ELSE :sequence END
        WHERE id = :id AND \(ConversationState.live.sql(of: ":owner"))
            AND \(Principals.mayWrite(principal: ":owner"))
        RETURNING \(ConversationStatements.columns)
        """
    )

    /// Sets the read marker. The row's version and its places in lists stay.
    static func mark(id: String, owner: String, read sequence: Int64) -> BoundStatement {
        mark.bind(["id": id, "owner": owner, "sequence": sequence])
    }

    static let all = [older.plain, older.last, newer.plain, newer.last, mark]
}
