// SQL of forks.
//
// A fork's message has the id `<fork>.<seq>`. So both engines can compute the ids and parents of a copy, and INSERT …
// SELECT copies rows inside the database.
import ServiceKit
import Storage

enum ForkStatements {
    /// Messages of one transaction, if they are small (see MessageBatch).
    static let batchSize = MessageBatch.rows

    private static func isLive(_ table: String) -> String {
        "CASE WHEN \(MessageState.live.sql(table)) THEN 1 ELSE 0 END"
    }

    // Walks up from a message, which may be deleted. `live` counts the messages that are not, the row's included.
    private static func branch(from message: String, of conversation: String, atMost: String) -> String {
        """
        WITH RECURSIVE branch (id, parent_id, is_live, step, live) AS (
            SELECT m.id, m.parent_id, \(isLive("m")), 1, \(isLive("m"))
            FROM messages m WHERE m.id = \(message) AND m.conversation_id = \(conversation)
            UNION ALL
            SELECT m.id, m.parent_id, \(isLive("m")), branch.step + 1, branch.live + \(isLive("m"))
            FROM branch JOIN messages m ON m.id = branch.parent_id AND m.conversation_id = \(conversation)
            WHERE branch.step < \(atMost)
        )
        """
    }

    // Changes when a message up to the tip is edited or deleted.
    private static func count(_ conversation: String, _ last: String) -> String {
        """
        (SELECT COUNT(*) FROM messages m
         WHERE m.conversation_id = \(conversation) AND m.seq <= \(last) AND \(MessageState.live.sql("m")))
        """
    }
    private static func versions(_ conversation: String, _ last: String) -> String {
        """
        (SELECT CAST(COALESCE(SUM(m.version), 0) AS bigint) FROM messages m
         WHERE m.conversation_id = \(conversation) AND m.seq <= \(last))
        """
    }

    private static let sourceParameters: StatementParameters = [
        "conversation": .text, "owner": .text, "message": .text,
    ]

    private static let source = Statement(
        "forks.source",
        .reads,
        sourceParameters,
        """
        SELECT c.id, t.id AS tip_id, COALESCE(t.seq, 0) AS tip_seq, t.deleted_at AS tip_deleted_at,
            \(count("c.id", "COALESCE(t.seq, 0)")) AS live_count,
            \(versions("c.id", "COALESCE(t.seq, 0)")) AS version_sum
        FROM conversations c
        LEFT JOIN messages t ON t.id = COALESCE(:message, c.head_message_id) AND t.conversation_id = c.id
        WHERE c.id = :conversation AND c.owner_id = :owner AND \(ConversationState.live.sql("c"))
        """
    )

    /// The conversation and the message to fork at: the named one, or else its head.
    static func source(_ conversation: String, owner: String, at message: String?) -> BoundStatement {
        source.bind(["conversation": conversation, "owner": owner, "message": message])
    }

    private static let marks = Statement("forks.marks", .reads, sourceParameters) { engine in
        let octets = MessageBatch.octets("m", engine)
        let isNext = "branch.place >= \(batchSize) OR branch.bytes + \(octets) > \(MessageBatch.bytes)"
        return """
            WITH RECURSIVE branch (id, parent_id, is_live, step, live, place, bytes) AS (
                SELECT m.id, m.parent_id, \(isLive("m")), 1, \(isLive("m")), 1, \(octets)
                FROM messages m
                WHERE m.id = COALESCE(
                        :message, (SELECT c.head_message_id FROM conversations c WHERE c.id = :conversation)
                    )
                    AND m.conversation_id = :conversation
                UNION ALL
                SELECT m.id, m.parent_id, \(isLive("m")), branch.step + 1, branch.live + \(isLive("m")),
                    CASE WHEN \(isNext) THEN 1 ELSE branch.place + 1 END,
                    CASE WHEN \(isNext) THEN 0 ELSE branch.bytes END + \(octets)
                FROM branch JOIN messages m ON m.id = branch.parent_id AND m.conversation_id = :conversation
            )
            SELECT id, parent_id, step, live, is_live, place, bytes FROM branch
            WHERE (place = 1 OR parent_id IS NULL)
                AND EXISTS (
                    SELECT 1 FROM conversations c
                    WHERE c.id = :conversation AND c.owner_id = :owner AND \(ConversationState.live.sql("c"))
                )
            ORDER BY step
            """
    }

    /// Where the pieces of the branch begin, from the tip, and its root. `place` is a message's place in its piece,
    /// `bytes` is the size of the piece up to there.
    static func marks(_ conversation: String, owner: String, at message: String?) -> BoundStatement {
        marks.bind(["conversation": conversation, "owner": owner, "message": message])
    }

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
        WHERE c.id = :source AND c.owner_id = :owner AND \(ConversationState.live.sql("c"))
            AND \(Principals.mayWrite(":owner"))
        ON CONFLICT DO NOTHING
        RETURNING id
        """
    )

    /// Makes the unfinished fork; `title` replaces the source's.
    static func begin(
        _ fork: String,
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

    // Oldest first: FTS5 takes entries in order of time as one segment.
    private static let copy = Statement(
        "forks.copy",
        .writes,
        [
            "fork": .text, "owner": .text, "source": .text, "message": .text, "number": .integer, "steps": .integer,
        ],
        """
        INSERT INTO messages
            (id, conversation_id, seq, parent_id, author_id, role, type, status, model, tokens_in, tokens_out,
             tokens_total, created_at, updated_at, edited_at, metadata, content_text, parts, search)
        \(branch(from: ":message", of: ":source", atMost: ":steps"))
        SELECT :fork || '.' || CAST(:number - branch.live + 1 AS TEXT), :fork, :number - branch.live + 1,
            CASE WHEN :number - branch.live > 0 THEN :fork || '.' || CAST(:number - branch.live AS TEXT) END,
            m.author_id, m.role, m.type, m.status, m.model, m.tokens_in, m.tokens_out, m.tokens_total,
            m.created_at, m.updated_at, m.edited_at, m.metadata, m.content_text, m.parts, m.search
        FROM branch JOIN messages m ON m.id = branch.id
        WHERE branch.is_live = 1 AND :number - branch.live >= 0 AND \(Principals.mayWrite(":owner"))
            AND EXISTS (
                SELECT 1 FROM conversations f
                WHERE f.id = :fork AND f.owner_id = :owner AND \(ConversationState.incomplete.sql("f"))
                    AND f.forked_from_conversation_id = :source
            )
        ORDER BY branch.step DESC
        ON CONFLICT DO NOTHING
        """
    )

    /// Copies `steps` messages of the branch upwards from `message`, which becomes the fork's message `number`.
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

    private static let finish = Statement(
        "forks.finish",
        .writes,
        [
            "fork": .text, "owner": .text, "count": .integer, "now": .instant, "source": .text, "tip_seq": .integer,
            "live_count": .integer, "version_sum": .integer,
        ],
        """
        UPDATE conversations SET
            last_seq = :count,
            message_count = :count,
            tokens_in = (SELECT COALESCE(SUM(m.tokens_in), 0) FROM messages m WHERE m.conversation_id = :fork),
            tokens_out = (SELECT COALESCE(SUM(m.tokens_out), 0) FROM messages m WHERE m.conversation_id = :fork),
            head_message_id = (SELECT m.id FROM messages m WHERE m.conversation_id = :fork AND m.seq = :count),
            last_message_at = (SELECT m.created_at FROM messages m WHERE m.conversation_id = :fork AND m.seq = :count),
            updated_at = :now,
            deleted_at = NULL,
            version = \(ConversationState.versions.live)
        WHERE id = :fork AND owner_id = :owner AND \(ConversationState.unfinished.sql())
            AND \(Principals.mayWrite(":owner"))
            AND :count = (SELECT COUNT(*) FROM messages m WHERE m.conversation_id = :fork)
            AND EXISTS (
                SELECT 1 FROM conversations c
                WHERE c.id = :source AND c.owner_id = :owner AND \(ConversationState.live.sql("c"))
            )
            AND :live_count = \(count(":source", ":tip_seq"))
            AND :version_sum = \(versions(":source", ":tip_seq"))
        RETURNING \(ConversationStatements.columns)
        """
    )

    /// Makes the fork live if it has all of its messages and no copied one has changed.
    static func finish(_ fork: String, of source: String, owner: String, branch: ForkBranch, at now: Instant)
        -> BoundStatement
    {
        finish.bind([
            "fork": fork, "owner": owner, "count": branch.count, "now": now, "source": source,
            "tip_seq": branch.tipSequence, "live_count": branch.liveCount, "version_sum": branch.versionSum,
        ])
    }

    private static let discard = Statement(
        "forks.discard",
        .writes,
        ["fork": .text, "owner": .text],
        """
        UPDATE conversations SET version = \(ConversationState.versions.ended)
        WHERE id = :fork AND owner_id = :owner AND \(ConversationState.unfinished.sql())
        """
    )

    /// Ends an unfinished fork; the statements of the trash remove it.
    static func discard(_ fork: String, owner: String) -> BoundStatement {
        discard.bind(["fork": fork, "owner": owner])
    }

    static let all = [source, marks, begin, copy, finish, discard]
}
