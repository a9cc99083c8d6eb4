// SQL of forks.
//
// A fork's message has the id `<fork>.<seq>`. So both engines can compute the ids and parents of a copy, and INSERT …
// SELECT copies rows inside the database.
import ServiceKit
import Storage

enum ForkStatements {
    private static func isLive(table: String) -> String {
        "CASE WHEN \(MessageState.live.sql(table)) THEN 1 ELSE 0 END"
    }

    /// Up the parents from a message, which may be deleted. `live` counts the messages that are not, the row's
    /// included. A parent's number is lower than its child's.
    private static func branch(from message: String, of conversation: String, atMost steps: String, engine: SQLEngine)
        -> String
    {
        """
        WITH RECURSIVE branch (id, parent_id, seq, is_live, step, live) AS (
            SELECT m.id, m.parent_id, m.seq, \(isLive(table: "m")), 1, \(isLive(table: "m"))
            FROM messages m WHERE m.id = \(message) AND \(OnePlan.check("m.conversation_id = \(conversation)"))
            UNION ALL
            SELECT m.id, m.parent_id, m.seq, \(isLive(table: "m")), branch.step + 1, branch.live + \(isLive(table: "m"))
            FROM branch \(OnePlan.each("messages", as: "m", where: "m.id = branch.parent_id", engine))
            WHERE branch.step < \(steps) AND m.conversation_id = \(conversation) AND m.seq < branch.seq
        )
        """
    }

    // MARK: Where the branch lies

    private static let source = Statement(
        "forks.source",
        .reads,
        ["conversation": .text, "owner": .text, "message": .text]
    ) { engine in
        """
        SELECT c.id, t.id AS tip_id, COALESCE(t.seq, 0) AS tip_seq, t.deleted_at AS tip_deleted_at,
            COALESCE((
                SELECT h.seq FROM changes h WHERE \(changes(after: "0", engine: engine))
                ORDER BY h.principal_id DESC, h.seq DESC LIMIT 1
            ), 0) AS last_change
        FROM conversations c
        LEFT JOIN messages t ON t.id = COALESCE(:message, c.head_message_id)
            AND \(OnePlan.check("t.conversation_id = :conversation"))
        WHERE c.id = :conversation AND \(ConversationState.live.sql(of: ":owner", "c"))
        """
    }

    /// The owner's changes after a number.
    private static func changes(after number: String, engine: SQLEngine) -> String {
        OnePlan.rows(of: "h.principal_id", is: ":owner", past: "h.seq", after: number, engine)
    }

    /// The conversation, the message to fork at (the one that is named, or else its head), and the owner's last change,
    /// which is read no later than the messages.
    static func source(of conversation: String, owner: String, at message: String?) -> BoundStatement {
        source.bind(["conversation": conversation, "owner": owner, "message": message])
    }

    private static let walk = Statement(
        "forks.walk",
        .reads,
        ["conversation": .text, "message": .text, "steps": .integer]
    ) { engine in
        """
        \(branch(from: ":message", of: ":conversation", atMost: ":steps", engine: engine))
        SELECT branch.id, branch.parent_id, branch.seq, branch.is_live, \(MessageBatch.octets("m", engine)) AS bytes
        FROM branch \(OnePlan.each("messages", as: "m", where: "m.id = branch.id", engine))
        ORDER BY branch.step
        """
    }

    /// So many `steps` up from a message, which is the first row.
    static func walk(conversation: String, from message: String, steps: Int) -> BoundStatement {
        walk.bind(["conversation": conversation, "message": message, "steps": steps])
    }

    // MARK: Making the fork

    private static let begin = Statement(
        "forks.begin",
        .writes,
        [
            "fork": .text, "owner": .text, "source": .text, "title": .text, "tip": .text, "now": .instant,
            "words": .words,
        ],
        """
        INSERT INTO conversations
            (id, owner_id, title, title_source, model, visibility, forked_from_conversation_id,
             forked_from_message_id, created_at, updated_at, deleted_at, version, has_tags, settings, metadata,
             search)
        SELECT :fork, c.owner_id, COALESCE(:title, c.title),
            CASE WHEN :title IS NULL THEN c.title_source ELSE 'user' END,
            c.model, 'private', c.id, :tip, :now, :now, :now, \(ConversationState.versions.incomplete), c.has_tags,
            c.settings, c.metadata, CASE WHEN :title IS NULL THEN c.search ELSE :words END
        FROM conversations c
        WHERE c.id = :source AND \(ConversationState.live.sql(of: ":owner", "c"))
            AND \(Principals.mayWrite(principal: ":owner"))
        ON CONFLICT DO NOTHING
        RETURNING id
        """
    )

    /// Makes the unfinished fork; `title` replaces the source's.
    static func begin(
        fork: String,
        of source: String,
        owner: String,
        title: RequestText?,
        tip: String?,
        at now: Instant
    )
        -> BoundStatement
    {
        begin.bind([
            "fork": fork, "owner": owner, "source": source, "title": title, "tip": tip, "now": now,
            "words": SearchText.words(of: title),
        ])
    }

    // The oldest first: FTS5 takes entries in the order of time in one piece.
    private static let copy = Statement(
        "forks.copy",
        .writes,
        [
            "fork": .text, "owner": .text, "source": .text, "message": .text, "number": .integer, "steps": .integer,
        ]
    ) { engine in
        """
        INSERT INTO messages
            (id, conversation_id, seq, parent_id, author_id, role, type, status, model, tokens_in, tokens_out,
             tokens_total, created_at, updated_at, edited_at, metadata, content_text, parts, search, skip_seq)
        \(branch(from: ":message", of: ":source", atMost: ":steps", engine: engine))
        SELECT :fork || '.' || CAST(:number - branch.live + 1 AS TEXT), :fork, :number - branch.live + 1,
            CASE WHEN :number - branch.live > 0 THEN :fork || '.' || CAST(:number - branch.live AS TEXT) END,
            m.author_id, m.role, m.type, m.status, m.model, m.tokens_in, m.tokens_out, m.tokens_total,
            m.created_at, m.updated_at, m.edited_at, m.metadata, m.content_text, m.parts, m.search,
            \(BranchLeafStatements.skip(inChainAt: "(:number - branch.live + 1)"))
        FROM branch \(OnePlan.each("messages", as: "m", where: "m.id = branch.id", engine))
        WHERE branch.is_live = 1 AND :number - branch.live >= 0 AND \(Principals.mayWrite(principal: ":owner"))
            AND EXISTS (
                SELECT 1 FROM conversations f
                WHERE f.id = :fork AND \(ConversationState.incomplete.sql(of: ":owner", "f"))
                    AND f.forked_from_conversation_id = :source
            )
        ORDER BY branch.step DESC
        ON CONFLICT DO NOTHING
        """
    }

    /// Copies so many `steps` of the branch up from `message`, which becomes the fork's message `number`.
    static func copy(
        to fork: String,
        from source: String,
        owner: String,
        message: String,
        number: Int64,
        steps: Int64
    ) -> BoundStatement {
        copy.bind([
            "fork": fork, "owner": owner, "source": source, "message": message, "number": number, "steps": steps,
        ])
    }

    private static let add = Statement(
        "forks.add",
        .writes,
        ["fork": .text, "owner": .text, "after": .integer, "last": .integer],
        """
        UPDATE conversations SET
            message_count = conversations.message_count + piece.messages,
            tokens_in = conversations.tokens_in + piece.tokens_in,
            tokens_out = conversations.tokens_out + piece.tokens_out
        FROM (
            SELECT COUNT(*) AS messages, CAST(COALESCE(SUM(m.tokens_in), 0) AS BIGINT) AS tokens_in,
                CAST(COALESCE(SUM(m.tokens_out), 0) AS BIGINT) AS tokens_out
            FROM messages m WHERE m.conversation_id = :fork AND m.seq > :after AND m.seq <= :last
        ) AS piece
        WHERE conversations.id = :fork AND \(ConversationState.unfinished.sql(of: ":owner", "conversations"))
        """
    )

    /// Counts the messages of a piece, which are the fork's numbers past `number` up to `last`.
    static func add(past number: Int64, upTo last: Int64, to fork: String, owner: String) -> BoundStatement {
        add.bind(["fork": fork, "owner": owner, "after": number, "last": last])
    }

    private static let finish = Statement(
        "forks.finish",
        .writes,
        [
            "fork": .text, "owner": .text, "count": .integer, "now": .instant, "source": .text, "tip_seq": .integer,
            "last_change": .integer,
        ]
    ) { engine in
        """
        UPDATE conversations SET
            last_seq = :count,
            head_message_id = (SELECT m.id FROM messages m WHERE m.conversation_id = :fork AND m.seq = :count),
            last_message_at = (SELECT m.created_at FROM messages m WHERE m.conversation_id = :fork AND m.seq = :count),
            updated_at = :now,
            deleted_at = NULL,
            version = \(ConversationState.versions.live)
        WHERE id = :fork AND \(ConversationState.unfinished.sql(of: ":owner")) AND message_count = :count
            AND \(Principals.mayWrite(principal: ":owner"))
            AND EXISTS (
                SELECT 1 FROM conversations c
                WHERE c.id = :source AND \(ConversationState.live.sql(of: ":owner", "c"))
            )
            AND NOT EXISTS (
                SELECT 1 FROM changes h
                WHERE \(changes(after: ":last_change", engine: engine)) AND h.conversation_id = :source
                    AND h.entity = 'message' AND h.op <> 'insert'
                    AND (SELECT m.seq FROM messages m WHERE m.id = h.entity_id) <= :tip_seq
                LIMIT 1 OFFSET 0
            )
        RETURNING \(ConversationStatements.columns)
        """
    }

    /// Makes the fork live if it has all of its messages and no message of the source, up to the tip, was edited or
    /// deleted since the branch was read. The log of changes says that: every change of a message's version is in it.
    static func finish(fork: String, of source: String, owner: String, branch: ForkBranch, at now: Instant)
        -> BoundStatement
    {
        finish.bind([
            "fork": fork, "owner": owner, "count": branch.count, "now": now, "source": source,
            "tip_seq": branch.tipSequence, "last_change": branch.lastChange,
        ])
    }

    private static let discard = Statement(
        "forks.discard",
        .writes,
        ["fork": .text, "owner": .text],
        """
        UPDATE conversations SET version = \(ConversationState.versions.ended)
        WHERE id = :fork AND \(ConversationState.unfinished.sql(of: ":owner"))
        """
    )

    /// Ends a fork that could not be finished; the statements of the trash remove it.
    static func discard(fork: String, owner: String) -> BoundStatement {
        discard.bind(["fork": fork, "owner": owner])
    }

    static let all = [source, walk, begin, copy, add, finish, discard]
}
