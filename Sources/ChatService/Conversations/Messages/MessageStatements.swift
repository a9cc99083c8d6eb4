// SQL of messages one by one. Pages of them are in MessagePages.swift, their changes in MessageChangeStatements.swift.
import Storage

enum MessageStatements {
    /// Of a message in a conversation that is known.
    static let columns = "\(summaryColumns), content_text, parts"

    /// Without the content, which has no limit but a request's.
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

    /// Whether the conversation `$1` is there for the caller `$2`.
    static let isVisible = """
        EXISTS (
            SELECT 1 FROM conversations c WHERE c.id = $1 AND c.owner_id = $2 AND c.deleted_at IS NULL
        )
        """

    /// One message of a unit, the `$5`th past the line (see ConversationCounters).
    static let insert = Statement(
        "messages.insert",
        .writes,
        [
            .text, .text, .text, .boolean, .integer, .boolean, .text, .text, .text, .text, .text, .text, .integer,
            .integer, .integer, .instant, .text, .text, .text, .words,
        ],
        """
        INSERT INTO messages
            (id, conversation_id, seq, parent_id, author_id, role, type, status, model, tokens_in, tokens_out,
             tokens_total, created_at, updated_at, metadata, content_text, parts, search)
        SELECT $1, c.id, c.last_seq + $5, CASE WHEN $6 THEN c.head_message_id ELSE $7 END,
            $8, $9, $10, $11, $12, $13, $14, $15, $16, $16, $17, $18, $19, $20
        FROM conversations c
        WHERE c.id = $2 AND c.owner_id = $3 AND c.deleted_at IS NULL AND (c.version = 0) = $4
            AND \(Principals.mayWrite("$3"))
            AND ($7 IS NULL OR EXISTS (
                SELECT 1 FROM messages p WHERE p.id = $7 AND p.conversation_id = $2 AND p.deleted_at IS NULL
            ))
        ON CONFLICT (id) DO NOTHING
        RETURNING seq, parent_id
        """
    )

    /// Takes back what this unit inserted past the line, if it is fewer than `$2`.
    static let takeBack = Statement(
        "messages.take_back",
        .writes,
        [.text, .integer],
        """
        DELETE FROM messages
        WHERE conversation_id = $1 AND seq > (SELECT c.last_seq FROM conversations c WHERE c.id = $1)
            AND $2 > (
                SELECT COUNT(*) FROM messages m
                WHERE m.conversation_id = $1
                    AND m.seq > (SELECT c.last_seq FROM conversations c WHERE c.id = $1)
            )
        """
    )

    static let isTaken = Statement(
        "messages.is_taken",
        .reads,
        [.text],
        "SELECT id FROM messages WHERE id = $1"
    )

    static let get = Statement(
        "messages.get",
        .reads,
        [.text, .text, .text],
        """
        SELECT \(columns) FROM messages
        WHERE id = $3 AND conversation_id = $1 AND deleted_at IS NULL AND \(isVisible)
        """
    )

    static let getWithSiblings = Statement(
        "messages.get_with_siblings",
        .reads,
        [.text, .text, .text],
        """
        SELECT \(MessageSiblings.columns) FROM messages
        WHERE id = $3 AND conversation_id = $1 AND deleted_at IS NULL AND \(isVisible)
        """
    )

    static let all =
        [insert, takeBack, isTaken, get, getWithSiblings] + MessagePages.all + MessageChangeStatements.all
}
