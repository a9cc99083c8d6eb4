// SQL of rows without words.
import Storage

enum SearchBackfillStatements {
    /// What has a text and no words. Each is the condition of a partial index.
    private static let pendingMessage = "search IS NULL AND content_text IS NOT NULL AND \(MessageState.live.sql())"
    private static let pendingTitle = "search IS NULL AND title IS NOT NULL"

    private static let pendingMessages = Statement(
        "search.pending_messages",
        .reads,
        ["limit": .integer],
        """
        SELECT id, version, content_text AS pending_text FROM messages
        WHERE \(pendingMessage) ORDER BY id LIMIT :limit
        """
    )

    private static let pendingTitles = Statement(
        "search.pending_titles",
        .reads,
        ["limit": .integer],
        "SELECT id, version, title AS pending_text FROM conversations WHERE \(pendingTitle) ORDER BY id LIMIT :limit"
    )

    // Not if the text has changed in between. It changes nothing else of the row, not even its version.
    private static let indexMessage = Statement(
        "search.index_message",
        .writes,
        ["id": .text, "version": .integer, "words": .words],
        """
        UPDATE messages SET search = :words
        WHERE id = :id AND version = :version AND search IS NULL AND \(MessageState.live.sql())
        """
    )

    private static let indexTitle = Statement(
        "search.index_title",
        .writes,
        ["id": .text, "version": .integer, "words": .words],
        "UPDATE conversations SET search = :words WHERE id = :id AND version = :version AND search IS NULL"
    )

    private static let isPending = Statement(
        "search.is_pending",
        .reads,
        """
        SELECT EXISTS (SELECT 1 FROM messages WHERE \(pendingMessage))
            OR EXISTS (SELECT 1 FROM conversations WHERE \(pendingTitle)) AS pending
        """
    )

    /// Rows without words: usually none.
    static func pending(texts: SearchBackfill.Texts, limit: Int) -> BoundStatement {
        (texts == .messages ? pendingMessages : pendingTitles).bind(["limit": limit])
    }

    /// Adds the words of a row, of the version that they were taken from.
    static func index(texts: SearchBackfill.Texts, id: String, version: Int64, words: IndexedWords?)
        -> BoundStatement
    {
        (texts == .messages ? indexMessage : indexTitle).bind(["id": id, "version": version, "words": words])
    }

    static func anyPending() -> BoundStatement { isPending.bind() }

    static let all = [pendingMessages, pendingTitles, indexMessage, indexTitle, isPending]
}
