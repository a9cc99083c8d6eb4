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

    private static let rangeParameters: StatementParameters = [
        "conversation": .text, "owner": .text, "edge": .integer, "offset": .integer,
    ]

    private static let later = MessagePage(
        "messages.later",
        rangeParameters,
        order: "place",
        page: { _ in "WITH page (message, place) AS (\(range("id, seq", ">", "")))" }
    ) { columns, _ in range(columns, ">", "") }

    private static let earlier = MessagePage(
        "messages.earlier",
        rangeParameters,
        order: "place DESC",
        page: { _ in "WITH page (message, place) AS (\(range("id, seq", "<", "DESC")))" }
    ) { columns, _ in range(columns, "<", "DESC") }

    private static func range(_ columns: String, _ side: String, _ direction: String) -> String {
        """
        SELECT \(columns) FROM messages
        WHERE conversation_id = :conversation AND \(MessageState.live.sql()) AND \(liveSequence) \(side) :edge
            AND \(MessageStatements.isVisible)
        ORDER BY \(liveSequence) \(direction) LIMIT :limit OFFSET :offset
        """
    }

    /// The live messages after a number, or before it with the newest first. `offset`: how many to skip, up to 10,000.
    static func ofConversation(
        id conversation: String,
        owner: String,
        isLater: Bool,
        edge: Int64,
        offset: Int64 = 0,
        limit: Int64,
        pass: MessagePage.Pass,
        siblings: Bool
    ) -> BoundStatement {
        (isLater ? later : earlier).read(
            pass: pass,
            siblings: siblings,
            limit: limit,
            values: ["conversation": conversation, "owner": owner, "edge": edge, "offset": offset]
        )
    }

    /// The leaf in `:leaf`, or else the conversation's head.
    private static let leaf =
        "COALESCE(:leaf, (SELECT c.head_message_id FROM conversations c WHERE c.id = :conversation))"

    // The conversation is compared with the row below, not with `:conversation`. For a condition on `messages` alone,
    // SQLite may build a Bloom filter, for which it reads the whole table.
    private static let maxTombstones = 10_000

    // The conversation is compared with the row below, not with `:conversation`: for a condition that a row of
    // `messages` can fail by itself, SQLite may build a Bloom filter, and for that it reads the whole table.
    //
    // A deleted message gives its children to its parent, so a walk from a live message meets only live ones. A walk
    // from the edge of a page may pass messages that were deleted since.
    private static let towardsRoot: MessagePage = {
        func branch(_ engine: SQLEngine) -> String {
            """
            WITH RECURSIVE branch (message, conversation, above, place, is_live, shown, step) AS (
                SELECT m.id, m.conversation_id, m.parent_id, m.seq, \(MessageState.live.sql("m")),
                    CASE WHEN \(MessageState.live.sql("m")) THEN 1 ELSE 0 END, 1
                FROM messages m
                WHERE \(OnePlan.check("m.conversation_id = :conversation")) AND m.id = CASE
                        WHEN :edge IS NULL THEN \(leaf)
                        ELSE (
                            SELECT e.parent_id FROM messages e
                            WHERE e.id = :edge AND \(OnePlan.check("e.conversation_id = :conversation"))
                        )
                    END
                    AND EXISTS (
                        SELECT 1 FROM messages l
                        WHERE l.id = \(leaf) AND \(MessageState.live.sql(in: ":conversation", "l"))
                    )
                    AND \(MessageStatements.isVisible)
                UNION ALL
                SELECT p.id, p.conversation_id, p.parent_id, p.seq, \(MessageState.live.sql("p")),
                    branch.shown + CASE WHEN \(MessageState.live.sql("p")) THEN 1 ELSE 0 END, branch.step + 1
                FROM branch \(OnePlan.each("messages", as: "p", where: "p.id = branch.above", engine))
                WHERE branch.shown < :limit AND branch.step < :limit + \(maxTombstones)
                    AND p.conversation_id = branch.conversation AND p.seq < branch.place
            )
            """
        }
        let page = "SELECT message, place FROM branch WHERE is_live ORDER BY place DESC LIMIT :limit"
        return MessagePage(
            "messages.towards_root",
            ["conversation": .text, "owner": .text, "leaf": .text, "edge": .text],
            order: "place DESC",
            page: { "\(branch($0)), page (message, place) AS (\(page))" }
        ) { columns, engine in
            """
            \(branch(engine))
            SELECT \(columns) FROM branch
            \(OnePlan.each("messages", as: "messages", where: "messages.id = branch.message", engine))
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
            pass: pass,
            siblings: siblings,
            limit: limit,
            values: ["conversation": conversation, "owner": owner, "leaf": leaf, "edge": edge]
        )
    }

    private static let towardsLeaf: MessagePage = {
        func page(_ engine: SQLEngine) -> String {
            """
            WITH RECURSIVE branch (message, conversation, above, place) AS (
                SELECT m.id, m.conversation_id, m.parent_id, m.seq FROM messages m
                WHERE m.id = \(leaf) AND \(MessageState.live.sql(in: ":conversation", "m"))
                    AND m.seq > :edge AND \(MessageStatements.isVisible)
                UNION ALL
                SELECT p.id, p.conversation_id, p.parent_id, p.seq
                FROM branch \(OnePlan.each("messages", as: "p", where: "p.id = branch.above", engine))
                WHERE branch.place > :edge AND p.conversation_id = branch.conversation AND p.seq < branch.place
            ), page (message, place) AS (
                SELECT branch.message, branch.place FROM branch WHERE branch.place > :edge
                ORDER BY branch.place LIMIT :limit
            )
            """
        }
        return MessagePage(
            "messages.towards_leaf",
            ["conversation": .text, "owner": .text, "leaf": .text, "edge": .integer],
            order: "place",
            page: page
        ) { columns, engine in
            """
            \(page(engine))
            SELECT \(columns) FROM page
            \(OnePlan.each("messages", as: "messages", where: "messages.id = page.message", engine))
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
            pass: pass,
            siblings: siblings,
            limit: limit,
            values: ["conversation": conversation, "owner": owner, "leaf": leaf, "edge": edge]
        )
    }

    static let all = [later, earlier, towardsRoot, towardsLeaf].flatMap(\.statements)
}
