import Storage

enum MessageStatements {
    static let columns = "\(summaryColumns), content_text, parts"

    /// Without the content, which only the request limits.
    private static let summaryColumns = """
        id, seq, parent_id, author_id, role, type, status, model, tokens_in, tokens_out, \
        tokens_total, created_at, updated_at, edited_at, version, metadata
        """

    /// `columns`, with the content only where a condition holds.
    static func columns(contentIf condition: String) -> String {
        """
        \(summaryColumns), CASE WHEN \(condition) THEN content_text END AS content_text,
            CASE WHEN \(condition) THEN parts END AS parts
        """
    }

    /// Whether the conversation `:conversation` is visible to the caller `:owner`.
    static let isVisible = """
        EXISTS (
            SELECT 1 FROM conversations c
            WHERE c.id = :conversation AND \(ConversationState.live.sql(of: ":owner", "c"))
        )
        """

    private static let insert = Statement(
        "messages.insert",
        .writes,
        [
            "id": .text, "conversation": .text, "owner": .text, "is_new": .boolean, "number": .integer,
            "follows_head": .boolean, "parent": .text, "author": .text, "role": .text, "type": .text, "status": .text,
            "model": .text, "tokens_in": .integer, "tokens_out": .integer, "tokens_total": .integer, "now": .instant,
            "metadata": .text, "text": .text, "parts": .text, "words": .words,
        ],
        """
        INSERT INTO messages
            (id, conversation_id, seq, parent_id, author_id, role, type, status, model, tokens_in, tokens_out,
             tokens_total, created_at, updated_at, metadata, content_text, parts, search, skip_seq)
        SELECT :id, c.id, c.last_seq + :number, CASE WHEN :follows_head THEN c.head_message_id ELSE :parent END,
            :author, :role, :type, :status, :model, :tokens_in, :tokens_out, :tokens_total, :now, :now, :metadata, :text,
            :parts, :words,
            \(BranchLeafStatements.skip(after: "CASE WHEN :follows_head THEN c.head_message_id ELSE :parent END"))
        FROM conversations c
        WHERE c.id = :conversation AND \(ConversationState.live.sql(of: ":owner", "c"))
            AND (\(ConversationState.incomplete.sql("c"))) = :is_new
            AND \(Principals.mayWrite(principal: ":owner"))
            AND (:parent IS NULL OR EXISTS (
                SELECT 1 FROM messages p
                WHERE p.id = :parent AND \(MessageState.live.sql(in: ":conversation", "p"))
            ))
        ON CONFLICT (id) DO NOTHING
        RETURNING seq, parent_id
        """
    )

    /// The message at `last_seq + number` (see ConversationCounterStatements).
    static func insert(
        draft: MessageDraft,
        number: Int,
        after parent: MessageDraft.Parent,
        in conversation: String,
        isNew: Bool,
        by caller: Caller,
        at now: Instant
    ) -> BoundStatement {
        let followsHead = parent == .head
        let parentID: String? = if case .message(let id) = parent { id } else { nil }
        return insert.bind([
            "id": draft.id, "conversation": conversation, "owner": caller.id, "is_new": isNew, "number": number,
            "follows_head": followsHead, "parent": parentID, "author": draft.author(caller),
            "role": draft.role.rawValue, "type": draft.type.rawValue, "status": draft.status.rawValue,
            "model": draft.model, "tokens_in": draft.tokensIn, "tokens_out": draft.tokensOut,
            "tokens_total": draft.tokensTotal, "now": now, "metadata": draft.metadata, "text": draft.contentText,
            "parts": draft.parts, "words": draft.searchWords,
        ])
    }

    private static let undoInsert = Statement(
        "messages.take_back",
        .writes,
        ["conversation": .text, "count": .integer],
        """
        DELETE FROM messages
        WHERE \(MessageState.isInserted("messages"))
            AND :count > (SELECT COUNT(*) FROM messages m WHERE \(MessageState.isInserted("m")))
        """
    )

    /// Removes this transaction's messages above `last_seq`, if they are fewer than `count`.
    static func undoInserts(into conversation: String, ifFewerThan count: Int) -> BoundStatement {
        undoInsert.bind(["conversation": conversation, "count": count])
    }

    private static let enforceQuota = Statement(
        "usage.enforce",
        .writes,
        ["conversation": .text, "count": .integer, "owner": .text, "day": .text, "limit": .integer]
    ) { engine in
        """
        DELETE FROM messages
        WHERE \(MessageState.isInserted("messages")) AND :limit < (
                SELECT \(engine.sum(of: "t.messages")) FROM usage_totals t WHERE t.user_id = :owner AND t.day = :day
            ) + (
                SELECT COUNT(*) FROM messages m WHERE \(MessageState.isInserted("m")) AND m.role = 'user'
            )
        """
    }

    /// Removes this transaction's messages above `last_seq` if with them the caller has more than `limit` own messages
    /// on a day. Affects rows if it refuses.
    static func enforceQuota(limit: Int64, of owner: String, on day: UsageDay, in conversation: String, count: Int)
        -> BoundStatement
    {
        enforceQuota.bind([
            "conversation": conversation, "count": count, "owner": owner, "day": day.text, "limit": limit,
        ])
    }

    private static let isTaken = Statement(
        "messages.is_taken",
        .reads,
        ["id": .text],
        "SELECT id FROM messages WHERE id = :id"
    )

    /// In any conversation.
    static func isTaken(id: String) -> BoundStatement { isTaken.bind(["id": id]) }

    private static func get(name: String, columns: String) -> Statement {
        Statement(
            name,
            .reads,
            ["conversation": .text, "owner": .text, "message": .text],
            """
            SELECT \(columns) FROM messages
            WHERE id = :message AND \(MessageState.live.sql(in: ":conversation")) AND \(isVisible)
            """
        )
    }

    private static let getPlain = get(name: "messages.get", columns: columns)
    private static let getWithSiblings = get(name: "messages.get_with_siblings", columns: MessageSiblings.columns)
    private static let isLeaf = get(name: "messages.is_leaf", columns: "id")

    static func get(message: String, in conversation: String, owner: String, siblings: Bool) -> BoundStatement {
        let statement = siblings ? getWithSiblings : getPlain
        return statement.bind(["conversation": conversation, "owner": owner, "message": message])
    }

    /// Whether the message can be the leaf of a branch.
    static func isLeaf(message: String, in conversation: String, owner: String) -> BoundStatement {
        isLeaf.bind(["conversation": conversation, "owner": owner, "message": message])
    }

    static let all =
        [insert, undoInsert, enforceQuota, isTaken, getPlain, getWithSiblings, isLeaf] + MessagePages.all
        + BranchLeafStatements.all
        + MessageChangeStatements.all
}
