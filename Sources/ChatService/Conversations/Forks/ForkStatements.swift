// SQL of forks.
//
// A message of a fork is named after its place: `<fork>.<seq>`. So both engines can make the ids and the parents of a
// copy by themselves, and rows are copied by INSERT … SELECT without leaving the database.
import Storage

enum ForkStatements {
    /// Messages that one unit copies, where they are small (see MessageBatch).
    static let batch = MessageBatch.rows

    // Up the parents from a message, which may be deleted. `live` counts the messages that are not, the row's included.
    private static func branch(from message: String, of conversation: String, atMost: String) -> String {
        """
        WITH RECURSIVE branch (id, parent_id, is_live, step, live) AS (
            SELECT m.id, m.parent_id, CASE WHEN m.deleted_at IS NULL THEN 1 ELSE 0 END, 1,
                CASE WHEN m.deleted_at IS NULL THEN 1 ELSE 0 END
            FROM messages m WHERE m.id = \(message) AND m.conversation_id = \(conversation)
            UNION ALL
            SELECT m.id, m.parent_id, CASE WHEN m.deleted_at IS NULL THEN 1 ELSE 0 END, branch.step + 1,
                branch.live + CASE WHEN m.deleted_at IS NULL THEN 1 ELSE 0 END
            FROM branch JOIN messages m ON m.id = branch.parent_id AND m.conversation_id = \(conversation)
            WHERE branch.step < \(atMost)
        )
        """
    }

    // What changes when a message up to the tip is edited or deleted.
    private static func count(_ conversation: String, _ last: String) -> String {
        """
        (SELECT COUNT(*) FROM messages m
         WHERE m.conversation_id = \(conversation) AND m.seq <= \(last) AND m.deleted_at IS NULL)
        """
    }
    private static func versions(_ conversation: String, _ last: String) -> String {
        """
        (SELECT CAST(COALESCE(SUM(m.version), 0) AS bigint) FROM messages m
         WHERE m.conversation_id = \(conversation) AND m.seq <= \(last))
        """
    }

    /// The conversation and the message to fork at: `$3`, or else its head.
    static let source = Statement(
        "forks.source",
        .reads,
        [.text, .text, .text],
        """
        SELECT c.id, t.id AS tip_id, COALESCE(t.seq, 0) AS tip_seq, t.deleted_at AS tip_deleted_at,
            \(count("c.id", "COALESCE(t.seq, 0)")) AS live_count,
            \(versions("c.id", "COALESCE(t.seq, 0)")) AS version_sum
        FROM conversations c
        LEFT JOIN messages t ON t.id = COALESCE($3, c.head_message_id) AND t.conversation_id = c.id
        WHERE c.id = $1 AND c.owner_id = $2 AND c.deleted_at IS NULL
        """
    )

    /// Where the pieces of the branch begin, from the tip, and its root. `place` is a message's place in its piece, `bytes`
    /// is what the piece has up to there.
    static let marks = Statement(
        "forks.marks",
        .reads,
        [.text, .text, .text]
    ) { engine in
        let octets = MessageBatch.octets("m", engine)
        let isNext = "branch.place >= \(batch) OR branch.bytes + \(octets) > \(MessageBatch.bytes)"
        return """
            WITH RECURSIVE branch (id, parent_id, is_live, step, live, place, bytes) AS (
                SELECT m.id, m.parent_id, CASE WHEN m.deleted_at IS NULL THEN 1 ELSE 0 END, 1,
                    CASE WHEN m.deleted_at IS NULL THEN 1 ELSE 0 END, 1, \(octets)
                FROM messages m
                WHERE m.id = COALESCE($3, (SELECT c.head_message_id FROM conversations c WHERE c.id = $1))
                    AND m.conversation_id = $1
                UNION ALL
                SELECT m.id, m.parent_id, CASE WHEN m.deleted_at IS NULL THEN 1 ELSE 0 END, branch.step + 1,
                    branch.live + CASE WHEN m.deleted_at IS NULL THEN 1 ELSE 0 END,
                    CASE WHEN \(isNext) THEN 1 ELSE branch.place + 1 END,
                    CASE WHEN \(isNext) THEN 0 ELSE branch.bytes END + \(octets)
                FROM branch JOIN messages m ON m.id = branch.parent_id AND m.conversation_id = $1
            )
            SELECT id, parent_id, step, live, is_live, place, bytes FROM branch
            WHERE (place = 1 OR parent_id IS NULL)
                AND EXISTS (
                    SELECT 1 FROM conversations c WHERE c.id = $1 AND c.owner_id = $2 AND c.deleted_at IS NULL
                )
            ORDER BY step
            """
    }

    /// Makes the fork's row, out of sight.
    static let begin = Statement(
        "forks.begin",
        .writes,
        [.text, .text, .text, .text, .text, .instant, .words],
        """
        INSERT INTO conversations
            (id, owner_id, title, title_source, model, visibility, forked_from_conversation_id,
             forked_from_message_id, created_at, updated_at, deleted_at, version, has_tags, settings, metadata,
             search)
        SELECT $1, c.owner_id, COALESCE($4, c.title), CASE WHEN $4 IS NULL THEN c.title_source ELSE 'user' END,
            c.model, 'private', c.id, $5, $6, $6, $6, 0, c.has_tags, c.settings, c.metadata,
            CASE WHEN $4 IS NULL THEN c.search ELSE $7 END
        FROM conversations c
        WHERE c.id = $3 AND c.owner_id = $2 AND c.deleted_at IS NULL AND \(Principals.mayWrite("$2"))
        ON CONFLICT DO NOTHING
        RETURNING id
        """
    )

    /// Copies `$6` steps of the branch, the message `$4` to be number `$5`. The oldest first: FTS5 takes entries in
    /// the order of time in one piece.
    static let copy = Statement(
        "forks.copy",
        .writes,
        [.text, .text, .text, .text, .integer, .integer],
        """
        INSERT INTO messages
            (id, conversation_id, seq, parent_id, author_id, role, type, status, model, tokens_in, tokens_out,
             tokens_total, created_at, updated_at, edited_at, metadata, content_text, parts, search)
        \(branch(from: "$4", of: "$3", atMost: "$6"))
        SELECT $1 || '.' || CAST($5 - branch.live + 1 AS TEXT), $1, $5 - branch.live + 1,
            CASE WHEN $5 - branch.live > 0 THEN $1 || '.' || CAST($5 - branch.live AS TEXT) END,
            m.author_id, m.role, m.type, m.status, m.model, m.tokens_in, m.tokens_out, m.tokens_total,
            m.created_at, m.updated_at, m.edited_at, m.metadata, m.content_text, m.parts, m.search
        FROM branch JOIN messages m ON m.id = branch.id
        WHERE branch.is_live = 1 AND $5 - branch.live >= 0 AND \(Principals.mayWrite("$2"))
            AND EXISTS (
                SELECT 1 FROM conversations f
                WHERE f.id = $1 AND f.owner_id = $2 AND f.version = 0 AND f.forked_from_conversation_id = $3
            )
        ORDER BY branch.step DESC
        ON CONFLICT DO NOTHING
        """
    )

    /// Brings the fork into sight if it has all of its `$3` messages and none of what was copied has changed.
    static let finish = Statement(
        "forks.finish",
        .writes,
        [.text, .text, .integer, .instant, .text, .integer, .integer, .integer],
        """
        UPDATE conversations SET
            last_seq = $3,
            message_count = $3,
            tokens_in = (SELECT COALESCE(SUM(m.tokens_in), 0) FROM messages m WHERE m.conversation_id = $1),
            tokens_out = (SELECT COALESCE(SUM(m.tokens_out), 0) FROM messages m WHERE m.conversation_id = $1),
            head_message_id = (SELECT m.id FROM messages m WHERE m.conversation_id = $1 AND m.seq = $3),
            last_message_at = (SELECT m.created_at FROM messages m WHERE m.conversation_id = $1 AND m.seq = $3),
            updated_at = $4,
            deleted_at = NULL,
            version = 1
        WHERE id = $1 AND owner_id = $2 AND version = 0 AND deleted_at IS NOT NULL
            AND \(Principals.mayWrite("$2"))
            AND $3 = (SELECT COUNT(*) FROM messages m WHERE m.conversation_id = $1)
            AND EXISTS (SELECT 1 FROM conversations c WHERE c.id = $5 AND c.owner_id = $2 AND c.deleted_at IS NULL)
            AND $7 = \(count("$5", "$6"))
            AND $8 = \(versions("$5", "$6"))
        RETURNING \(ConversationStatements.columns)
        """
    )

    /// Gives up a fork that could not be finished; the statements of the trash take it apart.
    static let discard = Statement(
        "forks.discard",
        .writes,
        [.text, .text],
        "UPDATE conversations SET version = -1 WHERE id = $1 AND owner_id = $2 AND version = 0 AND deleted_at IS NOT NULL"
    )

    static let all = [source, marks, begin, copy, finish, discard]
}
