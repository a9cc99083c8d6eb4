// Statements on a conversation's row for inserts, changes and deletions of its messages.
//
// **The conversation's row is the lock of its messages.** Between transactions no message has a `seq` above `last_seq`.
// A transaction inserts at `last_seq + k`, and moves `last_seq` last, only if the row at `last_seq + n` exists. So all
// rows above `last_seq` are the transaction's own, and can be removed again without their ids.
//
// **Deductions** change the counters by the effect of the next statement, and find the same rows: both run under the
// conversation's lock. `message_count`, `tokens_in` and `tokens_out` are those of live messages. `head_message_id`
// never stays on a deleted message: it moves to the nearest remaining ancestor, else to the newest message of any
// branch, else to nothing. `last_message_at` is the time of the last append, unless no message is left. None of this
// changes the row's own fields, so the version stays.
import ServiceKit
import Storage

enum ConversationCounterStatements {
    private static let lock = Statement(
        "conversations.lock",
        .writes,
        ["conversation": .text, "owner": .text],
        """
        UPDATE conversations SET last_seq = last_seq
        WHERE id = :conversation AND \(ConversationState.live.sql(of: ":owner"))
            AND \(Principals.mayWrite(principal: ":owner"))
        RETURNING id
        """
    )

    /// Takes the row's lock and changes nothing. Later statements see the row under the lock. A condition in the
    /// waiting statement would not: PostgreSQL re-reads only the locked row.
    static func lock(conversation: String, owner: String) -> BoundStatement {
        lock.bind(["conversation": conversation, "owner": owner])
    }

    // An automatic title is a change of the row's own fields; counters are not.
    private static let advance = Statement(
        "conversations.advance",
        .writes,
        [
            "conversation": .text, "owner": .text, "is_new": .boolean, "count": .integer, "tokens_in": .integer,
            "tokens_out": .integer, "head": .text, "now": .instant, "title": .text, "words": .words,
        ],
        """
        UPDATE conversations SET
            last_seq = last_seq + :count,
            message_count = message_count + :count,
            tokens_in = tokens_in + :tokens_in,
            tokens_out = tokens_out + :tokens_out,
            head_message_id = :head,
            last_message_at = :now,
            updated_at = :now,
            title = CASE WHEN title_source IS NULL THEN :title ELSE title END,
            search = CASE WHEN title_source IS NULL THEN :words ELSE search END,
            title_source = CASE WHEN title_source IS NULL AND :title IS NOT NULL THEN 'auto' ELSE title_source END,
            version = CASE
                WHEN \(ConversationState.incomplete.sql()) THEN \(ConversationState.versions.live)
                WHEN title_source IS NULL AND :title IS NOT NULL THEN version + 1
                ELSE version
            END
        WHERE id = :conversation AND \(ConversationState.live.sql(of: ":owner"))
            AND (\(ConversationState.incomplete.sql())) = :is_new
            AND \(Principals.mayWrite(principal: ":owner"))
            AND EXISTS (
                SELECT 1 FROM messages m WHERE m.conversation_id = :conversation AND m.seq = (
                    SELECT c.last_seq FROM conversations c WHERE c.id = :conversation
                ) + :count
            )
        RETURNING \(ConversationStatements.columns)
        """
    )

    /// Moves `last_seq` past `count` inserted messages; no row if some are missing. `isNew`: this transaction makes the
    /// conversation. `head`: the last inserted message. `title` becomes the title if the conversation never had one.
    static func advance(
        conversation: String,
        owner: String,
        isNew: Bool,
        count: Int,
        tokensIn: Int64,
        tokensOut: Int64,
        head: String,
        title: RequestText?,
        at now: Instant
    ) -> BoundStatement {
        advance.bind([
            "conversation": conversation, "owner": owner, "is_new": isNew, "count": count, "tokens_in": tokensIn,
            "tokens_out": tokensOut, "head": head, "now": now, "title": title, "words": SearchText.words(of: title),
        ])
    }

    private static let dropDraft = Statement(
        "conversations.abandon",
        .writes,
        ["conversation": .text, "owner": .text],
        """
        DELETE FROM conversations
        WHERE id = :conversation AND \(ConversationState.incomplete.sql(of: ":owner"))
        """
    )

    /// Removes this transaction's conversation if its messages could not be inserted.
    static func dropDraft(conversation: String, owner: String) -> BoundStatement {
        dropDraft.bind(["conversation": conversation, "owner": owner])
    }

    private static let isOwn = """
        conversations.id = :conversation AND \(ConversationState.live.sql(of: ":owner", "conversations"))
            AND \(Principals.mayWrite(principal: ":owner"))
        """

    private static let adjustTokens = Statement(
        "conversations.adjust_tokens",
        .writes,
        TokenChange.partParameters + ["now": .instant],
        """
        UPDATE conversations SET
            tokens_in = conversations.tokens_in + change.more_in,
            tokens_out = conversations.tokens_out + change.more_out,
            updated_at = :now
        FROM (
            SELECT COALESCE(\(TokenChange.tokensIn("m")), 0) - COALESCE(m.tokens_in, 0) AS more_in,
                COALESCE(\(TokenChange.tokensOut("m")), 0) - COALESCE(m.tokens_out, 0) AS more_out
            FROM messages m WHERE \(TokenChange.isTarget("m"))
        ) AS change
        WHERE \(isOwn)
        """
    )

    /// Before `messages.change`.
    static func adjustTokens(change: TokenChange, at now: Instant) -> BoundStatement {
        adjustTokens.bind(change.partValues + ["now": now])
    }

    private static let deduct = Statement(
        "conversations.deduct",
        .writes,
        ["conversation": .text, "owner": .text, "message": .text, "expected": .integer, "now": .instant]
    ) { engine in
        """
        UPDATE conversations SET
            message_count = conversations.message_count - 1,
            tokens_in = conversations.tokens_in - COALESCE(gone.tokens_in, 0),
            tokens_out = conversations.tokens_out - COALESCE(gone.tokens_out, 0),
            last_message_at = CASE WHEN conversations.message_count > 1 THEN conversations.last_message_at END,
            head_message_id = CASE
                WHEN conversations.head_message_id <> :message THEN conversations.head_message_id
                ELSE COALESCE(gone.parent_id, (
                    SELECT id FROM messages
                    WHERE conversation_id = :conversation AND \(MessageState.live.sql()) AND id <> :message
                    ORDER BY \(MessagePages.liveSequence) DESC LIMIT 1
                ))
            END,
            updated_at = :now
        FROM (
            SELECT m.parent_id, m.tokens_in, m.tokens_out FROM messages m
            WHERE \(MessageChangeStatements.isDeletable(table: "m", engine: engine))
        ) AS gone
        WHERE \(isOwn)
        """
    }

    /// Before `messages.delete`.
    static func deduct(message: String, from conversation: String, owner: String, expected: Int64?, at now: Instant)
        -> BoundStatement
    {
        deduct.bind([
            "conversation": conversation, "owner": owner, "message": message, "expected": expected, "now": now,
        ])
    }

    private static let deductNewest = Statement(
        "conversations.deduct_newest",
        .writes,
        ["conversation": .text, "owner": .text, "sequence": .integer, "limit": .integer, "now": .instant]
    ) { engine in
        """
        UPDATE conversations SET
            message_count = conversations.message_count - gone.messages,
            tokens_in = conversations.tokens_in - gone.tokens_in,
            tokens_out = conversations.tokens_out - gone.tokens_out,
            last_message_at = CASE
                WHEN conversations.message_count > gone.messages THEN conversations.last_message_at
            END,
            head_message_id = COALESCE(
                (
                    WITH RECURSIVE line (message, conversation, above, place) AS (
                        SELECT h.id, h.conversation_id, h.parent_id, h.seq FROM messages h
                        WHERE h.id = conversations.head_message_id
                        UNION ALL
                        SELECT p.id, p.conversation_id, p.parent_id, p.seq
                        FROM line \(OnePlan.each("messages", as: "p", where: "p.id = line.above", engine))
                        WHERE line.place >= gone.first_seq AND p.conversation_id = line.conversation
                            AND p.seq < line.place
                    )
                    SELECT line.message FROM line WHERE line.place < gone.first_seq
                    ORDER BY line.place DESC LIMIT 1
                ),
                (
                    SELECT id FROM messages
                    WHERE conversation_id = :conversation AND \(MessageState.live.sql())
                        AND \(MessagePages.liveSequence) < gone.first_seq
                    ORDER BY \(MessagePages.liveSequence) DESC LIMIT 1
                )
            ),
            updated_at = :now
        FROM (
            SELECT COUNT(*) AS messages, MIN(seq) AS first_seq,
                CAST(COALESCE(SUM(tokens_in), 0) AS BIGINT) AS tokens_in,
                CAST(COALESCE(SUM(tokens_out), 0) AS BIGINT) AS tokens_out
            FROM messages WHERE \(MessageChangeStatements.isTruncated(engine: engine))
        ) AS gone
        WHERE \(isOwn) AND gone.messages > 0
        """
    }

    /// Before `messages.truncate`.
    static func deductNewest(
        of conversation: String,
        owner: String,
        after sequence: Int64,
        limit: Int,
        at now: Instant
    ) -> BoundStatement {
        deductNewest.bind([
            "conversation": conversation, "owner": owner, "sequence": sequence, "limit": limit, "now": now,
        ])
    }

    private static let remaining = Statement(
        "conversations.remaining",
        .reads,
        ["conversation": .text, "owner": .text, "sequence": .integer],
        """
        SELECT message_count, last_seq, head_message_id, CASE WHEN (
                SELECT \(MessagePages.liveSequence) FROM messages
                WHERE conversation_id = :conversation AND \(MessageState.live.sql())
                ORDER BY \(MessagePages.liveSequence) DESC LIMIT 1
            ) > :sequence THEN 1 ELSE 0 END AS has_more
        FROM conversations
        WHERE id = :conversation AND \(ConversationState.live.sql(of: ":owner"))
        """
    )

    /// What a truncation left, and whether there is more to truncate.
    static func remaining(in conversation: String, owner: String, after sequence: Int64) -> BoundStatement {
        remaining.bind(["conversation": conversation, "owner": owner, "sequence": sequence])
    }

    static let all = [lock, advance, dropDraft, adjustTokens, deduct, deductNewest, remaining]
}
