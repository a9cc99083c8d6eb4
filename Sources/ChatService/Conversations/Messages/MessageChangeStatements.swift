// SQL that changes messages which are there: a patch, a deletion, a truncation.
//
// All run after the conversation's lock (ConversationCounters.lock), which is the owner's, and after the statements that
// move counters by what these are about to do (ConversationDeductions.swift): both test the same rows under the same
// lock, so either both do something or neither does.
import Storage

enum MessageChangeStatements {
    /// A message `$3` of the conversation `$1` that is not deleted and has, if it matters, the version `$4`.
    static func isChangeable(_ table: String) -> String {
        """
        \(table).id = $3 AND \(table).conversation_id = $1 AND \(table).deleted_at IS NULL
            AND ($4 IS NULL OR \(table).version = $4)
        """
    }

    /// The conversation is the caller's (`$2`), who may write.
    private static let mayChange = "\(MessageStatements.isVisible) AND \(Principals.mayWrite("$2"))"

    // Pairs of (is it set, to what) for what can be NULL; elsewhere NULL means "leave it". A message that is still being
    // written is not edited by the next piece of it.
    static let change = Statement(
        "messages.change",
        .writes,
        [
            .text, .text, .text, .integer, .boolean, .integer, .boolean, .integer, .boolean, .integer, .instant, .text,
            .text, .boolean, .text, .text, .text, .text, .words,
        ],
        """
        UPDATE messages SET
            type = COALESCE($12, type),
            status = COALESCE($13, status),
            model = CASE WHEN $14 THEN $15 ELSE model END,
            tokens_in = \(TokenChange.tokensIn("messages")),
            tokens_out = \(TokenChange.tokensOut("messages")),
            tokens_total = \(TokenChange.tokensTotal("messages")),
            updated_at = $11,
            edited_at = CASE WHEN $18 <> parts AND status <> 'in_progress' THEN $11 ELSE edited_at END,
            version = version + 1,
            metadata = COALESCE($16, metadata),
            content_text = CASE WHEN $18 IS NULL THEN content_text ELSE $17 END,
            search = CASE WHEN $18 IS NULL THEN search ELSE $19 END,
            parts = COALESCE($18, parts)
        WHERE \(isChangeable("messages")) AND \(mayChange)
        RETURNING \(MessageStatements.columns)
        """
    )

    /// What a tombstone keeps is its place, and the counts that were spent on it.
    private static func wipe(at now: String) -> String {
        """
        deleted_at = \(now), updated_at = \(now), version = version + 1,
            metadata = '{}', content_text = NULL, search = NULL, parts = '[]'
        """
    }

    private static let child =
        "SELECT id FROM messages WHERE conversation_id = $1 AND parent_id = $3 AND deleted_at IS NULL"

    /// The first live children of the message `$3`.
    private static func children(_ engine: SQLEngine) -> String {
        let rows = MessageBatch.rows(
            engine,
            first: "\(child) ORDER BY seq LIMIT 1",
            next: { "\(child) AND seq > \($0).seq ORDER BY seq LIMIT 1" }
        )
        return "WITH RECURSIVE \(rows)"
    }

    /// As `isChangeable`, and its children are no more than one unit moves.
    static func isDeletable(_ table: String, _ engine: SQLEngine) -> String {
        """
        \(isChangeable(table))
            AND (\(children(engine)) SELECT batch.next FROM batch ORDER BY batch.number DESC LIMIT 1) IS NULL
        """
    }

    static let delete = Statement(
        "messages.delete",
        .writes,
        [.text, .text, .text, .integer, .instant]
    ) { engine in
        """
        UPDATE messages SET \(wipe(at: "$5"))
        WHERE \(isDeletable("messages", engine)) AND \(mayChange)
        RETURNING id
        """
    }

    /// Gives children of a message that is to be deleted to its parent, where there are more than `delete` takes: any of
    /// them can hang there without the others.
    static let adoptSome = Statement(
        "messages.adopt_some",
        .writes,
        [.text, .text, .text, .integer, .instant]
    ) { engine in
        """
        UPDATE messages SET
            parent_id = (SELECT d.parent_id FROM messages d WHERE d.id = $3),
            updated_at = $5, version = version + 1
        WHERE id IN (\(children(engine)) SELECT batch.id FROM batch) AND \(mayChange)
            AND EXISTS (SELECT 1 FROM messages d WHERE \(isChangeable("d")))
        """
    }

    /// The children of a message that was deleted become its parent's, so that every branch stays whole.
    static let adopt = Statement(
        "messages.adopt",
        .writes,
        [.text, .text, .text, .instant],
        """
        UPDATE messages SET
            parent_id = (SELECT d.parent_id FROM messages d WHERE d.id = $3),
            updated_at = $4, version = version + 1
        WHERE conversation_id = $1 AND parent_id = $3 AND deleted_at IS NULL AND \(mayChange)
            AND EXISTS (
                SELECT 1 FROM messages d WHERE d.id = $3 AND d.conversation_id = $1 AND d.deleted_at IS NOT NULL
            )
        """
    )

    /// The number of the message down to which a unit truncates that takes up to `$4` messages past the number `$3`. A
    /// parent's number is lower than its children's, so whoever takes messages from the newest down never takes one that
    /// still has a child.
    static func firstTruncated(_ engine: SQLEngine) -> String {
        // One end of the range is looked up and the other compared: of two, SQLite may look up the wrong one. The sign
        // takes the column its affinity, with which SQLite would not use an index of an expression.
        func newest(_ condition: String) -> String {
            """
            SELECT CASE WHEN seq > $3 THEN id END FROM messages
            WHERE conversation_id = $1 AND deleted_at IS NULL \(condition)
            ORDER BY \(MessagePages.liveSequence) DESC LIMIT 1
            """
        }
        let rows = MessageBatch.rows(
            engine,
            first: newest(""),
            next: { newest("AND \(MessagePages.liveSequence) < +\($0).seq") },
            atMost: "$4"
        )
        return "(WITH RECURSIVE \(rows) SELECT MIN(batch.place) FROM batch)"
    }

    /// The messages that a unit truncates. A range with two ends, since PostgreSQL takes one with a single end for a third
    /// of the table.
    static func isTruncated(_ engine: SQLEngine) -> String {
        """
        conversation_id = $1 AND deleted_at IS NULL
            AND \(MessagePages.liveSequence) >= \(firstTruncated(engine))
            AND \(MessagePages.liveSequence) <= (SELECT c.last_seq FROM conversations c WHERE c.id = $1)
        """
    }

    static let truncate = Statement(
        "messages.truncate",
        .writes,
        [.text, .text, .integer, .integer, .instant]
    ) { engine in
        "UPDATE messages SET \(wipe(at: "$5")) WHERE \(isTruncated(engine)) AND \(mayChange)"
    }

    static let all = [change, delete, adopt, adoptSome, truncate]
}

/// What a patch makes of a message's token counts, in SQL: (is it set, to what) in `$5, $6` for those in, `$7, $8` for
/// those out, `$9, $10` for the total. A total that is not said follows the two, as it does for a new message.
enum TokenChange {
    static func tokensIn(_ table: String) -> String { "CASE WHEN $5 THEN $6 ELSE \(table).tokens_in END" }

    static func tokensOut(_ table: String) -> String { "CASE WHEN $7 THEN $8 ELSE \(table).tokens_out END" }

    static func tokensTotal(_ table: String) -> String {
        let parts = (tokensIn(table), tokensOut(table))
        return """
            CASE WHEN $9 THEN $10
                WHEN ($5 OR $7) AND (\(parts.0)) IS NULL AND (\(parts.1)) IS NULL THEN NULL
                WHEN $5 OR $7 THEN COALESCE(\(parts.0), 0) + COALESCE(\(parts.1), 0)
                ELSE \(table).tokens_total
            END
            """
    }
}
