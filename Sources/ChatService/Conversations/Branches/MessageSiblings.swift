// The versions of a message: an edited question and a regenerated answer are siblings of the first one, with the same
// parent (or all are roots). A reader shows the position among them, and the previous and next version.
//
// Each fact is a range of the index (conversation_id, parent_id, seq). Counting stops at 1,000 on either side, so that
// no tree makes a page expensive.
import ServiceKit
import Storage

struct MessageSiblings: Sendable {
    /// On each side.
    static let maxCounted = 1000

    let previousID: String?
    let nextID: String?
    let earlier: Int64
    let later: Int64

    init(_ row: Row) throws(StorageError) {
        previousID = try row.optionalText("sibling_before")
        nextID = try row.optionalText("sibling_after")
        earlier = try row.integer("siblings_before")
        later = try row.integer("siblings_after")
    }

    func writeMembers(to writer: inout JSONWriter) {
        writer.field("position", earlier + 1)
        writer.field("count", earlier + 1 + later)
        writer.field("previous_id", previousID)
        writer.field("next_id", nextID)
    }

    /// `MessageStatements.columns` of the table `messages`, and these facts.
    static let columns = "\(MessageStatements.columns), \(facts)"

    /// Without the message's own columns.
    static let facts = """
        \(one("s.seq < messages.seq", "DESC")) AS sibling_before,
            \(one("s.seq > messages.seq", "ASC")) AS sibling_after,
            \(count("s.seq < messages.seq")) AS siblings_before,
            \(count("s.seq > messages.seq")) AS siblings_after
        """

    private static func one(_ side: String, _ direction: String) -> String {
        // The order names the whole key of the index; PostgreSQL does not see that `IS NULL` leaves one value.
        either {
            """
            SELECT s.id FROM messages s WHERE \($0) AND \(side)
            ORDER BY s.parent_id \(direction), s.seq \(direction) LIMIT 1
            """
        }
    }

    private static func count(_ side: String) -> String {
        either {
            "SELECT COUNT(*) FROM (SELECT 1 FROM messages s WHERE \($0) AND \(side) LIMIT \(maxCounted)) AS counted"
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
