// SQL of imported conversations and messages.
//
// An import makes a conversation **invisible**: version 0 and in the trash, until its messages, votes and tags are all
// there. One statement then checks the whole and makes it visible. So no commit shows a conversation with a missing
// number, and the same import completes what a crash left.
import Storage

enum ConversationImport {
    // Each column is a parameter of its name.
    private static let insertConversation: Statement = {
        let entity = ConversationExport.conversation
        // Every parameter must occur in the text, because its type is declared. The finishing statement sets the
        // columns that differ from the export.
        let fresh = ["last_seq": "0", "message_count": "0", "version": "0", "deleted_at": ":hidden_until"]
        let values = entity.columns.map { column in
            let parameter = ":\(column.name)"
            return fresh[column.name].map { "CASE WHEN \(parameter) IS NULL THEN \($0) ELSE \($0) END" } ?? parameter
        }
        return Statement(
            "import.conversation",
            .writes,
            entity.parameters + ["hidden_until": .instant, "words": .words],
            """
            INSERT INTO conversations (\(entity.columnList), search)
            SELECT \(values.joined(separator: ", ")), :words
            WHERE \(Principals.mayWrite(principal: ":owner_id"))
            ON CONFLICT DO NOTHING
            """
        )
    }()

    static func insertConversation(row: [String: SQLValue], words: SQLValue, hiddenUntil: Instant) -> BoundStatement {
        insertConversation.bind(
            ConversationExport.conversation.values(of: row) + ["hidden_until": hiddenUntil, "words": words]
        )
    }

    /// Whether `:conversation_id` is `:owner`'s and being imported. An existing one stays unchanged.
    static let isImporting = """
        EXISTS (
            SELECT 1 FROM conversations c
            WHERE c.id = :conversation_id AND \(ConversationState.unfinished.sql(of: ":owner", "c"))
        )
        """

    private static let insertMessage: Statement = {
        let entity = ConversationExport.message
        return Statement(
            "import.message",
            .writes,
            entity.parameters + ["owner": .text, "words": .words],
            """
            INSERT INTO messages (\(entity.columnList), search, skip_seq)
            SELECT \(entity.parameterList), :words, \(BranchLeafStatements.skip(after: ":parent_id"))
            FROM conversations c
            WHERE c.id = :conversation_id AND \(ConversationState.unfinished.sql(of: ":owner", "c"))
                AND \(Principals.mayWrite(principal: ":owner"))
            ON CONFLICT DO NOTHING
            """
        )
    }()

    /// Inserts a message while its conversation is the owner's and invisible.
    static func insertMessage(row: [String: SQLValue], owner: String, words: SQLValue) -> BoundStatement {
        insertMessage.bind(ConversationExport.message.values(of: row) + ["owner": owner, "words": words])
    }

    private static let finish = Statement(
        "import.finish_conversation",
        .writes,
        ["id": .text, "owner": .text, "last": .integer, "version": .integer, "deleted_at": .instant],
        """
        UPDATE conversations SET version = :version, deleted_at = :deleted_at, last_seq = :last,
            message_count = (SELECT COUNT(*) FROM messages m WHERE m.conversation_id = :id AND \(MessageState.live.sql("m"))),
            tokens_in = \(tokens("tokens_in")), tokens_out = \(tokens("tokens_out")),
            has_tags = has_tags OR EXISTS (SELECT 1 FROM conversation_tags t WHERE t.conversation_id = :id),
            slug = CASE WHEN :deleted_at IS NULL AND EXISTS (
                SELECT 1 FROM conversations o
                WHERE o.owner_id = :owner AND o.slug = conversations.slug AND o.id <> :id
                    AND \(ConversationState.live.sql("o"))
            ) THEN NULL ELSE slug END
        WHERE :version > 0 AND \(Principals.mayWrite(principal: ":owner")) AND \(isWhole)
        RETURNING id
        """
    )

    private static func tokens(_ column: String) -> String {
        """
        (
                SELECT CAST(COALESCE(SUM(m.\(column)), 0) AS bigint) FROM messages m
                WHERE m.conversation_id = :id AND \(MessageState.live.sql("m"))
            )
        """
    }

    /// Whether an unfinished conversation has a row for each number up to `:last`, parents that come before, and a
    /// living head.
    private static let isWhole = """
        conversations.id = :id AND \(ConversationState.unfinished.sql(of: ":owner", "conversations"))
            AND :last = (SELECT COUNT(*) FROM messages m WHERE m.conversation_id = :id AND m.seq >= 1 AND m.seq <= :last)
            AND NOT EXISTS (SELECT 1 FROM messages m WHERE m.conversation_id = :id AND (m.seq < 1 OR m.seq > :last))
            AND NOT EXISTS (
                SELECT 1 FROM messages m WHERE m.conversation_id = :id AND m.parent_id IS NOT NULL AND NOT EXISTS (
                    SELECT 1 FROM messages p
                    WHERE p.id = m.parent_id AND \(OnePlan.check("p.conversation_id = :id AND p.seq < m.seq"))
                    LIMIT 1 OFFSET 0
                )
            )
            AND (conversations.head_message_id IS NULL OR EXISTS (
                SELECT 1 FROM messages h
                WHERE h.id = conversations.head_message_id AND \(MessageState.live.sql(in: ":id", "h"))
            ))
        """

    private static let whole = Statement(
        "import.whole_conversation",
        .reads,
        ["id": .text, "owner": .text, "last": .integer],
        "SELECT id FROM conversations WHERE \(isWhole)"
    )

    /// The conversation, if `finish` would make it visible.
    static func wholeConversation(id: String, owner: String, last: Int64) -> BoundStatement {
        whole.bind(["id": id, "owner": owner, "last": last])
    }

    /// Makes a whole conversation visible, with counts of its messages in place of the file's. A slug that another
    /// conversation of the owner has is dropped. Tags are looked up, since an export is no snapshot.
    static func finish(
        id: String,
        owner: String,
        last: Int64,
        version: Int64,
        deletedAt: SQLValue
    ) -> BoundStatement {
        finish.bind([
            "id": id, "owner": owner, "last": last, "version": version, "deleted_at": deletedAt,
        ])
    }

    private static let state = Statement(
        "import.conversation_state",
        .reads,
        ["id": .text],
        "SELECT owner_id, version FROM conversations WHERE id = :id"
    )

    static func state(id: String) -> BoundStatement { state.bind(["id": id]) }

    private static let drop = Statement(
        "import.abandon_conversation",
        .writes,
        ["id": .text, "owner": .text, "now": .instant],
        """
        UPDATE conversations SET version = \(ConversationState.versions.ended), deleted_at = :now
        WHERE id = :id AND \(ConversationState.unfinished.sql(of: ":owner"))
        """
    )

    /// Marks an unfinished conversation for removal, by `Trash` or else by the cleanup.
    static func drop(id: String, owner: String, at now: Instant) -> BoundStatement {
        drop.bind(["id": id, "owner": owner, "now": now])
    }

    static let all = [insertConversation, insertMessage, finish, whole, state, drop]
}
