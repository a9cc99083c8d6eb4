// The versions of a message: an edited question and a regenerated answer are siblings of the first one, with the same
// parent (or all are roots). A reader shows the position among them, and the previous and next version.
//
// Each fact is a range of the index of live messages by (conversation_id, parent_id, seq). Counting stops at 1,000 on
// either side, so that no tree makes a page expensive. On a page the first and the last of some siblings are looked up,
// and the others follow from them: between two live siblings of a page, none is missing in it.
import ServiceKit
import Storage

struct MessageSiblings: Sendable {
    /// On each side.
    static let maxCounted: Int64 = 1000

    let previousID: String?
    let nextID: String?
    /// Where the branches through these two end.
    var leaves: [String: BranchLeaf] = [:]
    let earlier: Int64
    let later: Int64

    init(_ row: Row) throws(StorageError) {
        previousID = try row.optionalText("sibling_before")
        nextID = try row.optionalText("sibling_after")
        earlier = try min(row.integer("siblings_before"), Self.maxCounted)
        later = try min(row.integer("siblings_after"), Self.maxCounted)
    }

    func writeMembers(to writer: inout JSONWriter) {
        writer.field("position", earlier + 1)
        writer.field("count", earlier + 1 + later)
        writer.field("previous_id", previousID)
        writer.field("next_id", nextID)
        writer.field("previous_leaf_id", previousID.map { leaves[$0]?.newest ?? $0 })
        writer.field("next_leaf_id", nextID.map { leaves[$0]?.newest ?? $0 })
    }

    /// `MessageStatements.columns` of the table `messages`, and these facts.
    static let columns = "\(MessageStatements.columns), \(facts)"

    /// `columns` of the messages that `rows` selects, a page in the order of `seq`, and these facts.
    static func page(_ columns: String, of rows: String, order: String) -> String {
        """
        SELECT \(columns), CASE WHEN nth = 1 THEN \(one("s.seq < messages.seq", "DESC")) ELSE before_it END AS sibling_before,
            CASE WHEN nth = shown THEN \(one("s.seq > messages.seq", "ASC")) ELSE after_it END AS sibling_after,
            MAX(CASE WHEN nth = 1 THEN \(count("s.seq < messages.seq")) END) OVER (PARTITION BY messages.parent_id)
                + nth - 1 AS siblings_before,
            MAX(CASE WHEN nth = shown THEN \(count("s.seq > messages.seq")) END) OVER (PARTITION BY messages.parent_id)
                + shown - nth AS siblings_after
        FROM (
            SELECT page.*, ROW_NUMBER() OVER siblings AS nth, COUNT(*) OVER (PARTITION BY page.parent_id) AS shown,
                LAG(page.id) OVER siblings AS before_it, LEAD(page.id) OVER siblings AS after_it
            FROM (\(rows)) AS page WINDOW siblings AS (PARTITION BY page.parent_id ORDER BY page.seq)
        ) AS messages
        ORDER BY messages.\(order)
        """
    }

    /// These facts alone, of one message.
    private static let facts = """
        \(one("s.seq < messages.seq", "DESC")) AS sibling_before,
            \(one("s.seq > messages.seq", "ASC")) AS sibling_after,
            \(count("s.seq < messages.seq")) AS siblings_before,
            \(count("s.seq > messages.seq")) AS siblings_after
        """

    // The orders name the whole key of the index: PostgreSQL does not see that `IS NULL` leaves one value, and an index
    // without the parent cannot take its place.

    private static func one(_ side: String, _ direction: String) -> String {
        either {
            """
            SELECT s.id FROM messages s WHERE \($0) AND \(side)
            ORDER BY s.parent_id \(direction), s.seq \(direction) LIMIT 1
            """
        }
    }

    private static func count(_ side: String) -> String {
        either {
            """
            SELECT COUNT(*) FROM (
                SELECT 1 FROM messages s WHERE \($0) AND \(side) ORDER BY s.parent_id, s.seq LIMIT \(maxCounted)
            ) AS counted
            """
        }
    }

    /// `NULL = NULL` is not true, and PostgreSQL uses no index for a comparison that treats NULL as equal.
    private static func either(_ select: (String) -> String) -> String {
        let siblings = "s.conversation_id = messages.conversation_id AND \(MessageState.live.sql("s"))"
        return """
            CASE WHEN messages.parent_id IS NULL
                THEN (\(select("\(siblings) AND s.parent_id IS NULL")))
                ELSE (\(select("\(siblings) AND s.parent_id = messages.parent_id")))
            END
            """
    }
}
