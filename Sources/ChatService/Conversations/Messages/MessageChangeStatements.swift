// SQL that changes existing messages: a patch, a deletion, a truncation.
//
// All run after the lock of the owner's conversation (ConversationCounterStatements.lock), and after the statements
// that move counters by their effect. Both test the same rows under the same lock, so both have an effect or neither.
import ServiceKit
import Storage

enum MessageChangeStatements {
    /// The row is the live message `:message` of the conversation and has the version `:expected`, if that is set. The
    /// statements that bill a patch use it too.
    private static func isChangeable(table: String) -> String { TokenChange.isTarget(table) }

    private static let mayChange = "\(MessageStatements.isVisible) AND \(Principals.mayWrite(principal: ":owner"))"

    // Pairs of (is it set, to what) for what can be NULL; elsewhere NULL means "leave it". The next piece of an
    // incomplete message is not an edit.
    private static let change = Statement(
        "messages.change",
        .writes,
        TokenChange.parameters + [
            "now": .instant, "type": .text, "status": .text, "metadata": .text, "text": .text, "parts": .text,
            "words": .words,
        ],
        """
        UPDATE messages SET
            type = COALESCE(:type, type),
            status = COALESCE(:status, status),
            model = \(TokenChange.model("messages")),
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
        WHERE \(isChangeable(table: "messages")) AND \(mayChange)
        RETURNING \(MessageStatements.columns)
        """
    )

    /// `tokens` finds the message, and `metadata` is the merged whole.
    static func change(patch: MessagePatch, tokens: TokenChange, metadata: String?, at now: Instant)
        -> BoundStatement
    {
        change.bind(
            tokens.values + [
                "now": now, "type": patch.type?.rawValue, "status": patch.status?.rawValue, "metadata": metadata,
                "text": patch.content?.text, "parts": patch.content?.parts,
                "words": SearchText.words(of: patch.content?.text),
            ]
        )
    }

    /// A tombstone keeps its place and its counts.
    private static let wipe = """
        deleted_at = :now, updated_at = :now, version = version + 1,
            metadata = '{}', content_text = NULL, search = NULL, parts = '[]'
        """

    private static let child = """
        SELECT id FROM messages WHERE conversation_id = :conversation AND parent_id = :message AND \(MessageState.live.sql())
        """

    private static func children(engine: SQLEngine) -> String {
        let rows = MessageBatch.rows(
            engine,
            first: "\(child) ORDER BY seq LIMIT 1",
            next: { "\(child) AND seq > \($0).seq ORDER BY seq LIMIT 1" }
        )
        return "WITH RECURSIVE \(rows)"
    }

    /// As `isChangeable`, with no more children than one transaction moves.
    static func isDeletable(table: String, engine: SQLEngine) -> String {
        """
        \(isChangeable(table: table))
            AND (\(children(engine: engine)) SELECT batch.next FROM batch ORDER BY batch.number DESC LIMIT 1) IS NULL
        """
    }

    private static let delete = Statement(
        "messages.delete",
        .writes,
        ["conversation": .text, "owner": .text, "message": .text, "expected": .integer, "now": .instant]
    ) { engine in
        """
        UPDATE messages SET \(wipe)
        WHERE \(isDeletable(table: "messages", engine: engine)) AND \(mayChange)
        RETURNING id
        """
    }

    static func delete(message: String, from conversation: String, owner: String, expected: Int64?, at now: Instant)
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
        WHERE \(OnePlan.among("id", "\(children(engine: engine)) SELECT batch.id FROM batch", engine)) AND \(mayChange)
            AND EXISTS (SELECT 1 FROM messages d WHERE \(isChangeable(table: "d")))
        """
    }

    /// Moves children of a message that will be deleted to its parent, if there are more than `delete` moves. Each can
    /// move without the others.
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
                WHERE d.id = :message AND \(MessageState.tombstone.sql(in: ":conversation", "d"))
            )
        """
    )

    /// Moves a deleted message's children to its parent, so that every branch stays whole.
    static func adoptChildren(of message: String, in conversation: String, owner: String, at now: Instant)
        -> BoundStatement
    {
        adopt.bind(["conversation": conversation, "owner": owner, "message": message, "now": now])
    }

    /// Where a transaction's truncation ends that deletes up to `:limit` messages after the number `:sequence`. A
    /// parent's number is lower than its children's, so a truncation from the newest down never deletes a message that
    /// still has a child.
    static func isTruncated(engine: SQLEngine) -> String {
        // One end of the range is looked up and the other compared: of two, SQLite may look up the wrong one. The sign
        // removes the column's affinity; with it SQLite would not use an index of an expression.
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
        return OnePlan.among("id", "WITH RECURSIVE \(rows) SELECT batch.id FROM batch", engine)
    }

    private static let truncate = Statement(
        "messages.truncate",
        .writes,
        ["conversation": .text, "owner": .text, "sequence": .integer, "limit": .integer, "now": .instant]
    ) { engine in
        "UPDATE messages SET \(wipe) WHERE \(isTruncated(engine: engine)) AND \(mayChange)"
    }

    static func truncate(conversation: String, owner: String, after sequence: Int64, limit: Int, at now: Instant)
        -> BoundStatement
    {
        truncate.bind([
            "conversation": conversation, "owner": owner, "sequence": sequence, "limit": limit, "now": now,
        ])
    }

    static let all = [change, delete, adopt, adoptSome, truncate]
}
