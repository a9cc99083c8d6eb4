// SQL that finds the newest leaf below a message, without walking what is below it (decision 0048).
//
// A walk goes up, from a message that may be the leaf. `skip_seq` names an ancestor at least 64 numbers up, so 20,000
// messages are some 400 steps. What is below is looked through only while it is small.
import Storage

enum BranchLeafStatements {
    /// Of a walk towards the root. Rows from before `skip_seq` are passed one by one.
    private static let maxSteps = 2000
    /// Messages that are looked through below the message.
    private static let maxBelow = 200
    /// Of a walk to the newest child, where nothing else says what is below.
    private static let maxDescent = 1000

    /// The skip of a message after the one with the id `parent`. Its distance grows to 64 before there is another one,
    /// so each skip of a walk, except for the first, passes at least 64 numbers.
    static func skip(after parent: String) -> String {
        """
        (SELECT CASE WHEN p.seq - COALESCE(p.skip_seq, 0) >= 64 THEN p.seq ELSE p.skip_seq END
            FROM messages p WHERE p.id = \(parent))
        """
    }

    /// The skip of the message `number` of a chain without gaps.
    static func skip(inChainAt number: String) -> String { "NULLIF((\(number) - 2) / 64 * 64, 0)" }

    /// The id of `target` if the message `leaf` is below it, or is it; else NULL.
    private static func targetIfAbove(_ leaf: String, _ engine: SQLEngine) -> String {
        let next = """
            n.id = CASE WHEN up.skip >= up.goal
                THEN (SELECT s.id FROM messages s WHERE s.conversation_id = up.conversation AND s.seq = up.skip)
                ELSE up.above END
            """
        return """
            (
                WITH RECURSIVE up (id, conversation, place, above, skip, goal, step) AS (
                    SELECT m.id, m.conversation_id, m.seq, m.parent_id, m.skip_seq, target.place, 1 FROM messages m
                    WHERE m.id = \(leaf) AND \(OnePlan.check("m.conversation_id = target.conversation"))
                    UNION ALL
                    SELECT n.id, n.conversation_id, n.seq, n.parent_id, n.skip_seq, up.goal, up.step + 1
                    FROM up \(OnePlan.each("messages", as: "n", where: next, engine))
                    WHERE up.place > up.goal AND up.step < \(maxSteps)
                        AND n.conversation_id = up.conversation AND n.seq < up.place
                )
                SELECT up.id FROM up WHERE up.place = up.goal LIMIT 1
            )
            """
    }

    /// Of the first messages below `target`, and of it.
    private static func below(_ what: String, _ engine: SQLEngine) -> String {
        func child(_ row: String) -> String {
            """
            \(row).conversation_id = down.conversation AND \(row).parent_id = down.id
                AND \(MessageState.live.sql(row))
            """
        }
        // For a condition that a row of the join can fail by itself, SQLite may fill a Bloom filter from the table.
        let find = engine == .sqlite ? "k.id IN (SELECT x.id FROM messages x WHERE \(child("x")))" : child("k")
        // SQLite takes the limit into the recursion; PostgreSQL stops it with its reader.
        return """
            (
                WITH RECURSIVE down (id, conversation, place) AS (
                    SELECT target.id, target.conversation, target.place
                    UNION ALL
                    SELECT k.id, k.conversation_id, k.seq
                    FROM down \(OnePlan.each("messages", as: "k", where: find, engine))
                    \(engine == .sqlite ? "LIMIT \(maxBelow + 1)" : "")
                )
                SELECT \(what) FROM (SELECT down.place FROM down LIMIT \(maxBelow + 1)) AS few
            )
            """
    }

    private static let newest = """
        (SELECT id FROM messages WHERE conversation_id = target.conversation AND \(MessageState.live.sql())
            ORDER BY \(MessagePages.liveSequence) DESC LIMIT 1)
        """

    private static func descent(_ engine: SQLEngine) -> String {
        let next = """
            n.id = (
                SELECT k.id FROM messages k
                WHERE k.conversation_id = walk.conversation AND k.parent_id = walk.id AND \(MessageState.live.sql("k"))
                ORDER BY k.parent_id DESC, k.seq DESC LIMIT 1
            )
            """
        return """
            (
                WITH RECURSIVE walk (id, conversation, place, step) AS (
                    SELECT target.id, target.conversation, target.place, 1
                    UNION ALL
                    SELECT n.id, n.conversation_id, n.seq, walk.step + 1
                    FROM walk \(OnePlan.each("messages", as: "n", where: next, engine))
                    WHERE walk.step < \(maxDescent)
                )
                SELECT walk.id FROM walk ORDER BY walk.place DESC LIMIT 1
            )
            """
    }

    private static let leaf = Statement(
        "branches.leaf",
        .reads,
        ["message": .text, "conversation": .text, "owner": .text]
    ) { engine in
        let hasChildren = """
            EXISTS (
                SELECT 1 FROM messages k WHERE k.conversation_id = target.conversation AND k.parent_id = target.id
                    AND \(MessageState.live.sql("k")) LIMIT 1 OFFSET 0
            )
            """
        let isShown = "\(targetIfAbove("target.head", engine)) IS NOT NULL"
        return """
            SELECT target.id, target.head, CASE WHEN \(isShown) THEN 1 ELSE 0 END AS is_shown, COALESCE(
                    CASE WHEN NOT \(hasChildren) THEN target.id END,
                    CASE WHEN \(targetIfAbove(newest, engine)) IS NOT NULL THEN \(newest) END,
                    CASE WHEN \(below("COUNT(*)", engine)) <= \(maxBelow) THEN (
                        SELECT l.id FROM messages l
                        WHERE l.conversation_id = target.conversation AND l.seq = \(below("MAX(few.place)", engine))
                    ) END,
                    CASE WHEN \(isShown) THEN target.head END,
                    \(descent(engine))
                ) AS leaf
            FROM (
                SELECT m.id, m.conversation_id AS conversation, m.seq AS place, c.head_message_id AS head
                FROM messages m \(OnePlan.each("conversations", as: "c", where: "c.id = m.conversation_id", engine))
                WHERE m.id = :message AND \(MessageState.live.sql(in: ":conversation", "m"))
                    AND \(ConversationState.live.sql(of: ":owner", "c"))
            ) AS target
            """
    }

    /// The leaf below a live message of the owner's, the conversation's head, and whether the message is on its branch.
    static func leaf(below message: String, in conversation: String, owner: String) -> BoundStatement {
        leaf.bind(["message": message, "conversation": conversation, "owner": owner])
    }

    static let all = [leaf]
}
