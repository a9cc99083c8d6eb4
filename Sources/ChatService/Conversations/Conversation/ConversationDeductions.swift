// The statements of a conversation's row that surround the changing and deleting of its messages, as those of
// ConversationCounters surround appending.
//
// Each moves the counters by what the unit's next statement will do to the messages, and finds the very same rows as
// that one does: both run under the conversation's lock. `message_count`, `tokens_in` and `tokens_out` are those of the
// messages that are not deleted. `head_message_id` is never left on a deleted message: it goes to the nearest ancestor
// that stays; where none does, to the newest message of any branch; and to nothing in a conversation without messages.
// `last_message_at` is when a message was last appended, unless there is none left.
// None of this is a change of the row's own fields, so the version stays.
import Storage

enum ConversationDeductions {
    private static let isOwn = """
        conversations.id = $1 AND conversations.owner_id = $2 AND conversations.deleted_at IS NULL
            AND \(Principals.mayWrite("$2"))
        """

    /// Before `messages.change`.
    static let adjustTokens = Statement(
        "conversations.adjust_tokens",
        .writes,
        [.text, .text, .text, .integer, .boolean, .integer, .boolean, .integer, .boolean, .integer, .instant],
        """
        UPDATE conversations SET
            tokens_in = conversations.tokens_in + change.more_in,
            tokens_out = conversations.tokens_out + change.more_out,
            updated_at = $11
        FROM (
            SELECT COALESCE(\(TokenChange.tokensIn("m")), 0) - COALESCE(m.tokens_in, 0) AS more_in,
                COALESCE(\(TokenChange.tokensOut("m")), 0) - COALESCE(m.tokens_out, 0) AS more_out
            FROM messages m WHERE \(MessageChangeStatements.isChangeable("m"))
        ) AS change
        WHERE \(isOwn)
        """
    )

    /// Before `messages.delete`.
    static let deduct = Statement(
        "conversations.deduct",
        .writes,
        [.text, .text, .text, .integer, .instant]
    ) { engine in
        """
        UPDATE conversations SET
            message_count = conversations.message_count - 1,
            tokens_in = conversations.tokens_in - COALESCE(gone.tokens_in, 0),
            tokens_out = conversations.tokens_out - COALESCE(gone.tokens_out, 0),
            last_message_at = CASE WHEN conversations.message_count > 1 THEN conversations.last_message_at END,
            head_message_id = CASE
                WHEN conversations.head_message_id <> $3 THEN conversations.head_message_id
                ELSE COALESCE(gone.parent_id, (
                    SELECT id FROM messages
                    WHERE conversation_id = $1 AND deleted_at IS NULL AND id <> $3
                    ORDER BY \(MessagePages.liveSequence) DESC LIMIT 1
                ))
            END,
            updated_at = $5
        FROM (
            SELECT m.parent_id, m.tokens_in, m.tokens_out FROM messages m
            WHERE \(MessageChangeStatements.isDeletable("m", engine))
        ) AS gone
        WHERE \(isOwn)
        """
    }

    /// Before `messages.truncate`. Says what is left.
    static let deductNewest = Statement(
        "conversations.deduct_newest",
        .writes,
        [.text, .text, .integer, .integer, .instant]
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
                        FROM line JOIN messages p ON p.id = line.above AND p.conversation_id = line.conversation
                            AND p.seq < line.place
                        WHERE line.place >= gone.first_seq
                    )
                    SELECT line.message FROM line WHERE line.place < gone.first_seq
                    ORDER BY line.place DESC LIMIT 1
                ),
                (
                    SELECT id FROM messages
                    WHERE conversation_id = $1 AND deleted_at IS NULL AND \(MessagePages.liveSequence) < gone.first_seq
                    ORDER BY \(MessagePages.liveSequence) DESC LIMIT 1
                )
            ),
            updated_at = $5
        FROM (
            SELECT COUNT(*) AS messages, MIN(seq) AS first_seq,
                CAST(COALESCE(SUM(tokens_in), 0) AS BIGINT) AS tokens_in,
                CAST(COALESCE(SUM(tokens_out), 0) AS BIGINT) AS tokens_out
            FROM messages WHERE \(MessageChangeStatements.isTruncated(engine))
        ) AS gone
        WHERE \(isOwn) AND gone.messages > 0
        """
    }

    /// What a truncation left, and whether there is more to truncate.
    static let remaining = Statement(
        "conversations.remaining",
        .reads,
        [.text, .text, .integer],
        """
        SELECT message_count, last_seq, head_message_id, CASE WHEN EXISTS (
                SELECT 1 FROM messages
                WHERE conversation_id = $1 AND deleted_at IS NULL AND \(MessagePages.liveSequence) > $3
            ) THEN 1 ELSE 0 END AS has_more
        FROM conversations
        WHERE id = $1 AND owner_id = $2 AND deleted_at IS NULL
        """
    )

    static let all = [adjustTokens, deduct, deductNewest, remaining]
}
