// SQL of pages of messages: a whole conversation by number, or one branch of it.
//
// **A conversation's page** is one range of the index on live messages. The key is the expression `liveSequence`, which
// is the number of a message that is not deleted; tombstones are not in that index, so that a page costs its rows and
// not what was truncated between them.
//
// **A branch** is a message and its ancestors. Its page is a walk from parent to parent that ends with the page: from
// the leaf, or from the message at the page's edge, up to the root it costs the page whatever the branch's length.
// Down again, towards the leaf, only the leaf knows the way: that page costs its distance from the leaf, which is what
// a reader has paged through before (decision 0021).
//
// Both end early where their messages are large; see MessagePage.
import Storage

enum MessagePages {
    /// The number of a live message; NULL for a tombstone. Word for word what the index has.
    static let liveSequence = "(CASE WHEN deleted_at IS NULL THEN seq END)"

    // MARK: A whole conversation

    static let later = MessagePage(
        "messages.later",
        [.text, .text, .integer, .integer],
        order: "place",
        page: "WITH page (message, place) AS (\(range("id, seq", ">", "")))"
    ) { columns in range(columns, ">", "") }

    static let earlier = MessagePage(
        "messages.earlier",
        [.text, .text, .integer, .integer],
        order: "place DESC",
        page: "WITH page (message, place) AS (\(range("id, seq", "<", "DESC")))"
    ) { columns in range(columns, "<", "DESC") }

    private static func range(_ columns: String, _ side: String, _ direction: String) -> String {
        """
        SELECT \(columns) FROM messages
        WHERE conversation_id = $1 AND deleted_at IS NULL AND \(liveSequence) \(side) $3
            AND \(MessageStatements.isVisible)
        ORDER BY \(liveSequence) \(direction) LIMIT $4
        """
    }

    // MARK: One branch

    /// The leaf in `$3`, or else the conversation's head.
    private static let leaf = "COALESCE($3, (SELECT c.head_message_id FROM conversations c WHERE c.id = $1))"

    // The conversation is compared with the row below, not with `$1`: for a condition that a row of `messages` can fail
    // by itself, SQLite may build a Bloom filter, and for that it reads the whole table.
    //
    // A deleted message hands its children to its own parent, so a walk that begins at a live message meets live ones
    // alone. One that begins at the edge of a page whose message was deleted since may pass others that were.
    static let towardsRoot: MessagePage = {
        let branch = """
            WITH RECURSIVE branch (message, conversation, above, place, is_live, shown) AS (
                SELECT m.id, m.conversation_id, m.parent_id, m.seq, m.deleted_at IS NULL,
                    CASE WHEN m.deleted_at IS NULL THEN 1 ELSE 0 END
                FROM messages m
                WHERE m.conversation_id = $1 AND m.id = CASE
                        WHEN $4 IS NULL THEN \(leaf)
                        ELSE (SELECT e.parent_id FROM messages e WHERE e.id = $4 AND e.conversation_id = $1)
                    END
                    AND EXISTS (
                        SELECT 1 FROM messages l
                        WHERE l.id = \(leaf) AND l.conversation_id = $1 AND l.deleted_at IS NULL
                    )
                    AND \(MessageStatements.isVisible)
                UNION ALL
                SELECT p.id, p.conversation_id, p.parent_id, p.seq, p.deleted_at IS NULL,
                    branch.shown + CASE WHEN p.deleted_at IS NULL THEN 1 ELSE 0 END
                FROM branch JOIN messages p
                    ON p.id = branch.above AND p.conversation_id = branch.conversation AND p.seq < branch.place
                WHERE branch.shown < $5
            )
            """
        let page = "SELECT message, place FROM branch WHERE is_live ORDER BY place DESC LIMIT $5"
        return MessagePage(
            "messages.towards_root",
            [.text, .text, .text, .text, .integer],
            order: "place DESC",
            page: "\(branch), page (message, place) AS (\(page))"
        ) { columns in
            """
            \(branch)
            SELECT \(columns) FROM branch JOIN messages ON messages.id = branch.message
            WHERE branch.is_live
            ORDER BY branch.place DESC LIMIT $5
            """
        }
    }()

    static let towardsLeaf: MessagePage = {
        let page = """
            WITH RECURSIVE branch (message, conversation, above, place) AS (
                SELECT m.id, m.conversation_id, m.parent_id, m.seq FROM messages m
                WHERE m.conversation_id = $1 AND m.id = \(leaf) AND m.deleted_at IS NULL AND m.seq > $4
                    AND \(MessageStatements.isVisible)
                UNION ALL
                SELECT p.id, p.conversation_id, p.parent_id, p.seq
                FROM branch JOIN messages p
                    ON p.id = branch.above AND p.conversation_id = branch.conversation AND p.seq < branch.place
                WHERE branch.place > $4
            ), page (message, place) AS (
                SELECT branch.message, branch.place FROM branch WHERE branch.place > $4
                ORDER BY branch.place LIMIT $5
            )
            """
        return MessagePage(
            "messages.towards_leaf",
            [.text, .text, .text, .integer, .integer],
            order: "place",
            page: page
        ) { columns in
            """
            \(page)
            SELECT \(columns) FROM page JOIN messages ON messages.id = page.message
            ORDER BY page.place
            """
        }
    }()

    /// Whether a message is there to be the leaf of a branch.
    static let isLeaf = Statement(
        "messages.is_leaf",
        .reads,
        [.text, .text, .text],
        """
        SELECT id FROM messages
        WHERE id = $3 AND conversation_id = $1 AND deleted_at IS NULL AND \(MessageStatements.isVisible)
        """
    )

    static let all = [later, earlier, towardsRoot, towardsLeaf].flatMap(\.statements) + [isLeaf]
}
