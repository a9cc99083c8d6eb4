// SQL of pages of messages: a whole conversation by number, or one branch of it.
//
// **A conversation's page** is one range of the index on live messages. The key is the expression `liveSequence`.
// Tombstones are not in that index, so a page costs its rows, not the truncated ones in between.
//
// **A branch** is a message and its ancestors. Its page walks from parent to parent. From the leaf, or the message at
// the page's edge, up to the root, the cost is the page's, whatever the branch's length. Towards the leaf only the leaf
// knows the way, so that page costs its distance from the leaf (decision 0021).
//
// Both end early if their messages are large; see MessagePage.
import Storage

enum MessagePages {
    /// The number of a live message; NULL for a tombstone. Word for word as in the index.
    static let liveSequence = "(CASE WHEN \(MessageState.live.sql()) THEN seq END)"

    private static let rangeParameters: StatementParameters = ["conversation": .text, "owner": .text, "edge": .integer]

    private static let later = MessagePage(
        "messages.later",
        rangeParameters,
        order: "place",
        page: "WITH page (message, place) AS (\(range("id, seq", ">", "")))"
    ) { columns in range(columns, ">", "") }

    private static let earlier = MessagePage(
        "messages.earlier",
        rangeParameters,
        order: "place DESC",
        page: "WITH page (message, place) AS (\(range("id, seq", "<", "DESC")))"
    ) { columns in range(columns, "<", "DESC") }

    private static func range(_ columns: String, _ side: String, _ direction: String) -> String {
        """
        SELECT \(columns) FROM messages
        WHERE conversation_id = :conversation AND \(MessageState.live.sql()) AND \(liveSequence) \(side) :edge
            AND \(MessageStatements.isVisible)
        ORDER BY \(liveSequence) \(direction) LIMIT :limit
        """
    }

    /// The live messages after a number, or before it with the newest first.
    static func ofConversation(
        _ conversation: String,
        owner: String,
        isLater: Bool,
        edge: Int64,
        limit: Int64,
        pass: MessagePage.Pass,
        siblings: Bool
    ) -> BoundStatement {
        (isLater ? later : earlier).read(
            pass,
            siblings: siblings,
            limit: limit,
            ["conversation": conversation, "owner": owner, "edge": edge]
        )
    }

    /// The leaf in `:leaf`, or else the conversation's head.
    private static let leaf =
        "COALESCE(:leaf, (SELECT c.head_message_id FROM conversations c WHERE c.id = :conversation))"

    // The conversation is compared with the row below, not with `:conversation`. For a condition on `messages` alone,
    // SQLite may build a Bloom filter, for which it reads the whole table.
    //
    // A deleted message gives its children to its parent, so a walk from a live message meets only live ones. A walk
    // from the edge of a page may pass messages that were deleted since.
    private static let towardsRoot: MessagePage = {
        let branch = """
            WITH RECURSIVE branch (message, conversation, above, place, is_live, shown) AS (
                SELECT m.id, m.conversation_id, m.parent_id, m.seq, \(MessageState.live.sql("m")),
                    CASE WHEN \(MessageState.live.sql("m")) THEN 1 ELSE 0 END
                FROM messages m
                WHERE m.conversation_id = :conversation AND m.id = CASE
                        WHEN :edge IS NULL THEN \(leaf)
                        ELSE (SELECT e.parent_id FROM messages e WHERE e.id = :edge AND e.conversation_id = :conversation)
                    END
                    AND EXISTS (
                        SELECT 1 FROM messages l
                        WHERE l.id = \(leaf) AND l.conversation_id = :conversation AND \(MessageState.live.sql("l"))
                    )
                    AND \(MessageStatements.isVisible)
                UNION ALL
                SELECT p.id, p.conversation_id, p.parent_id, p.seq, \(MessageState.live.sql("p")),
                    branch.shown + CASE WHEN \(MessageState.live.sql("p")) THEN 1 ELSE 0 END
                FROM branch JOIN messages p
                    ON p.id = branch.above AND p.conversation_id = branch.conversation AND p.seq < branch.place
                WHERE branch.shown < :limit
            )
            """
        let page = "SELECT message, place FROM branch WHERE is_live ORDER BY place DESC LIMIT :limit"
        return MessagePage(
            "messages.towards_root",
            ["conversation": .text, "owner": .text, "leaf": .text, "edge": .text],
            order: "place DESC",
            page: "\(branch), page (message, place) AS (\(page))"
        ) { columns in
            """
            \(branch)
            SELECT \(columns) FROM branch JOIN messages ON messages.id = branch.message
            WHERE branch.is_live
            ORDER BY branch.place DESC LIMIT :limit
            """
        }
    }()

    /// Up from a leaf, or from the parent of the message at the `edge`.
    static func towardsRoot(
        in conversation: String,
        owner: String,
        leaf: String?,
        edge: String?,
        limit: Int64,
        pass: MessagePage.Pass,
        siblings: Bool
    ) -> BoundStatement {
        towardsRoot.read(
            pass,
            siblings: siblings,
            limit: limit,
            ["conversation": conversation, "owner": owner, "leaf": leaf, "edge": edge]
        )
    }

    private static let towardsLeaf: MessagePage = {
        let page = """
            WITH RECURSIVE branch (message, conversation, above, place) AS (
                SELECT m.id, m.conversation_id, m.parent_id, m.seq FROM messages m
                WHERE m.conversation_id = :conversation AND m.id = \(leaf) AND \(MessageState.live.sql("m"))
                    AND m.seq > :edge AND \(MessageStatements.isVisible)
                UNION ALL
                SELECT p.id, p.conversation_id, p.parent_id, p.seq
                FROM branch JOIN messages p
                    ON p.id = branch.above AND p.conversation_id = branch.conversation AND p.seq < branch.place
                WHERE branch.place > :edge
            ), page (message, place) AS (
                SELECT branch.message, branch.place FROM branch WHERE branch.place > :edge
                ORDER BY branch.place LIMIT :limit
            )
            """
        return MessagePage(
            "messages.towards_leaf",
            ["conversation": .text, "owner": .text, "leaf": .text, "edge": .integer],
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

    /// Down to a leaf, from the message after the number `edge`.
    static func towardsLeaf(
        in conversation: String,
        owner: String,
        leaf: String?,
        edge: Int64,
        limit: Int64,
        pass: MessagePage.Pass,
        siblings: Bool
    ) -> BoundStatement {
        towardsLeaf.read(
            pass,
            siblings: siblings,
            limit: limit,
            ["conversation": conversation, "owner": owner, "leaf": leaf, "edge": edge]
        )
    }

    static let all = [later, earlier, towardsRoot, towardsLeaf].flatMap(\.statements)
}
