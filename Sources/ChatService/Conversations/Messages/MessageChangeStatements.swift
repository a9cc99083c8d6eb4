// SQL that changes messages which are there: a patch, a deletion, a truncation.
//
// All run after the conversation's lock (ConversationCounterStatements.lock), which is the owner's, and after the
// statements that move counters by what these are about to do: both test the same rows under the same lock, so either
// both do something or neither does.
import ServiceKit
import Storage

enum MessageChangeStatements {
    /// A table's row is the live message `:message` of the conversation and has, if it matters, the version `:expected`.
    /// The statements that bill a patch find it likewise.
    private static func isChangeable(_ table: String) -> String { TokenChange.isTarget(table) }

    /// The conversation is the caller's, who may write.
    private static let mayChange = "\(MessageStatements.isVisible) AND \(Principals.mayWrite(":owner"))"

    // MARK: Patching

    // Pairs of (is it set, to what) for what can be NULL; elsewhere NULL means "leave it". A message that is still being
    // written is not edited by the next piece of it.
    private static let change = Statement(
        "messages.change",
        .writes,
        TokenChange.parameters + [
            "now": .instant, "type": .text, "status": .text, "sets_model": .boolean, "model": .text, "metadata": .text,
            "text": .text, "parts": .text, "words": .words,
        ],
        """
        UPDATE messages SET
            type = COALESCE(:type, type),
            status = COALESCE(:status, status),
            model = CASE WHEN :sets_model THEN :model ELSE model END,
            tokens_in = \(TokenChange.tokensIn("messages")),
            tokens_out = \(TokenChange.tokensOut("messages")),
            tokens_total = \(TokenChange.tokensTotal("messages")),
            updated_at = :now,
            edited_at = CASE WHEN :parts <> parts AND status <> 'in_progress' THEN :now ELSE edited_at END,
            version = version + 1,
            metadata = COALESCE(:metadata, metadata),
            content_text = CASE WHEN :parts IS NULL THEN content_text ELSE :text END,
            search = CASE WHEN :parts IS NULL THEN search ELSE :words END,
            parts = COALESCE(:parts, parts)
        WHERE \(isChangeable("messages")) AND \(mayChange)
        RETURNING \(MessageStatements.columns)
        """
    )

    /// Applies a patch; `tokens` finds the message, and `metadata` is the merged whole.
    static func change(_ patch: MessagePatch, tokens: TokenChange, metadata: String?, at now: Instant)
        -> BoundStatement
    {
        change.bind(
            tokens.values + [
                "now": now, "type": patch.type?.rawValue, "status": patch.status?.rawValue,
                "sets_model": patch.model.isPresent, "model": patch.model.value, "metadata": metadata,
                "text": patch.content?.text, "parts": patch.content?.parts,
                "words": SearchText.words(of: patch.content?.text),
            ]
        )
    }

    // MARK: Deleting

    /// What a tombstone keeps is its place, and the counts that were spent on it.
    private static let wipe = """
        deleted_at = :now, updated_at = :now, version = version + 1,
            metadata = '{}', content_text = NULL, search = NULL, parts = '[]'
        """

    private static let child = """
        SELECT id FROM messages WHERE conversation_id = :conversation AND parent_id = :message AND \(MessageState.live.sql())
        """

    /// The first live children of the message.
    private static func children(_ engine: SQLEngine) -> String {
        let rows = MessageBatch.rows(
            engine,
            first: "\(child) ORDER BY seq LIMIT 1",
            next: { "\(child) AND seq > \($0).seq ORDER BY seq LIMIT 1" }
        )
        return "WITH RECURSIVE \(rows)"
    }

    /// As `isChangeable`, and its children are no more than one transaction moves.
    static func isDeletable(_ table: String, _ engine: SQLEngine) -> String {
        """
        \(isChangeable(table))
            AND (\(children(engine)) SELECT batch.next FROM batch ORDER BY batch.number DESC LIMIT 1) IS NULL
        """
    }

    private static let delete = Statement(
        "messages.delete",
        .writes,
        ["conversation": .text, "owner": .text, "message": .text, "expected": .integer, "now": .instant]
    ) { engine in
        """
        UPDATE messages SET \(wipe)
        WHERE \(isDeletable("messages", engine)) AND \(mayChange)
        RETURNING id
        """
    }

    static func delete(_ message: String, from conversation: String, owner: String, expected: Int64?, at now: Instant)
        -> BoundStatement
    {
        delete.bind([
            "conversation": conversation, "owner": owner, "message": message, "expected": expected, "now": now,
        ])
    }

    private static let adoptSome = Statement(
        "messages.adopt_some",
        .writes,
        ["conversation": .text, "owner": .text, "message": .text, "expected": .integer, "now": .instant]
    ) { engine in
        """
        UPDATE messages SET
            parent_id = (SELECT d.parent_id FROM messages d WHERE d.id = :message),
            updated_at = :now, version = version + 1
        WHERE id IN (\(children(engine)) SELECT batch.id FROM batch) AND \(mayChange)
            AND EXISTS (SELECT 1 FROM messages d WHERE \(isChangeable("d")))
        """
    }

    /// Gives children of a message that is to be deleted to its parent, where there are more than `delete` takes: any of
    /// them can hang there without the others.
    static func adoptSomeChildren(
        of message: String,
        in conversation: String,
        owner: String,
        expected: Int64?,
        at now: Instant
    ) -> BoundStatement {
        adoptSome.bind([
            "conversation": conversation, "owner": owner, "message": message, "expected": expected, "now": now,
        ])
    }

    private static let adopt = Statement(
        "messages.adopt",
        .writes,
        ["conversation": .text, "owner": .text, "message": .text, "now": .instant],
        """
        UPDATE messages SET
            parent_id = (SELECT d.parent_id FROM messages d WHERE d.id = :message),
            updated_at = :now, version = version + 1
        WHERE conversation_id = :conversation AND parent_id = :message AND \(MessageState.live.sql()) AND \(mayChange)
            AND EXISTS (
                SELECT 1 FROM messages d
                WHERE d.id = :message AND d.conversation_id = :conversation AND \(MessageState.tombstone.sql("d"))
            )
        """
    )

    /// The children of a message that was deleted become its parent's, so that every branch stays whole.
    static func adoptChildren(of message: String, in conversation: String, owner: String, at now: Instant)
        -> BoundStatement
    {
        adopt.bind(["conversation": conversation, "owner": owner, "message": message, "now": now])
    }

    // MARK: Truncating

    /// The number of the message down to which a transaction truncates that takes up to `:limit` messages past the number
    /// `:sequence`. A parent's number is lower than its children's, so a truncation from the newest down never takes a
    /// message that still has a child.
    private static func firstTruncated(_ engine: SQLEngine) -> String {
        // One end of the range is looked up and the other compared: of two, SQLite may look up the wrong one. The sign
        // takes the column its affinity, with which SQLite would not use an index of an expression.
        func newest(_ condition: String) -> String {
            """
            SELECT CASE WHEN seq > :sequence THEN id END FROM messages
            WHERE conversation_id = :conversation AND \(MessageState.live.sql()) \(condition)
            ORDER BY \(MessagePages.liveSequence) DESC LIMIT 1
            """
        }
        let rows = MessageBatch.rows(
            engine,
            first: newest(""),
            next: { newest("AND \(MessagePages.liveSequence) < +\($0).seq") },
            atMost: ":limit"
        )
        return "(WITH RECURSIVE \(rows) SELECT MIN(batch.place) FROM batch)"
    }

    /// The messages that a transaction truncates. A range with two ends, since PostgreSQL takes one with a single end for a
    /// third of the table.
    static func isTruncated(_ engine: SQLEngine) -> String {
        """
        conversation_id = :conversation AND \(MessageState.live.sql())
            AND \(MessagePages.liveSequence) >= \(firstTruncated(engine))
            AND \(MessagePages.liveSequence) <= (SELECT c.last_seq FROM conversations c WHERE c.id = :conversation)
        """
    }

    private static let truncate = Statement(
        "messages.truncate",
        .writes,
        ["conversation": .text, "owner": .text, "sequence": .integer, "limit": .integer, "now": .instant]
    ) { engine in
        "UPDATE messages SET \(wipe) WHERE \(isTruncated(engine)) AND \(mayChange)"
    }

    static func truncate(_ conversation: String, owner: String, after sequence: Int64, limit: Int, at now: Instant)
        -> BoundStatement
    {
        truncate.bind([
            "conversation": conversation, "owner": owner, "sequence": sequence, "limit": limit, "now": now,
        ])
    }

    static let all = [change, delete, adopt, adoptSome, truncate]
}
