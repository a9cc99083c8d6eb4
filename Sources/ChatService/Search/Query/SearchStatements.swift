// SQL of the search, the one place where the engines have nothing in common.
//
// PostgreSQL finds candidates by the GIN index, without an order. So it searches one window of time and stops counting
// at `$9`; a row without an id has the count. `OFFSET 0` keeps the planner from reading all of the owner's
// conversations for each candidate. SQLite reads entries newest first and stops at the page's end. Either way the rows'
// owner is tested too: the index only narrows.
import Storage

enum SearchStatements {
    /// Characters of a text that are fetched for its snippet.
    private static let shown = 16_384

    // 1 query, 2 owner, 3 conversation, 4 from, 5 to, 6–8 the place to begin after, 9 most candidates, 10 limit
    private static let types: [SQLType] = [
        .text, .text, .text, .instant, .instant, .instant, .integer, .text, .integer, .integer,
    ]

    static let messages = Statement(
        "search.messages",
        .reads,
        types,
        postgres: """
            WITH candidates AS MATERIALIZED (
                SELECT id, conversation_id, seq, created_at FROM messages
                WHERE search @@ $1::tsquery AND created_at <= $6
                    AND ($4 IS NULL OR created_at >= $4) AND ($5 IS NULL OR created_at < $5)
                LIMIT $9
            ), hits AS MATERIALIZED (
                SELECT n.id, n.created_at, n.seq, c.title
                FROM candidates n CROSS JOIN LATERAL (
                    SELECT c.title FROM conversations c
                    WHERE c.id = n.conversation_id AND c.owner_id = $2 AND c.deleted_at IS NULL
                        AND ($3 IS NULL OR c.id = $3)
                    OFFSET 0
                ) c
                WHERE (n.created_at, n.seq, n.id) < ($6, $7, $8)
                ORDER BY n.created_at DESC, n.seq DESC, n.id DESC LIMIT $10
            )
            SELECT k.candidates, m.id, m.conversation_id, h.title, m.seq, m.role, m.created_at,
                substr(m.content_text, 1, \(shown)) AS found_text, m.created_at AS placed_at, m.seq AS position
            FROM (SELECT COUNT(*) AS candidates FROM candidates) k
            LEFT JOIN hits h ON TRUE LEFT JOIN messages m ON m.id = h.id
            ORDER BY h.created_at DESC, h.seq DESC, h.id DESC
            """,
        sqlite: """
            SELECT 0 AS candidates, m.id, m.conversation_id, c.title, m.seq, m.role, m.created_at,
                substr(m.content_text, 1, \(shown)) AS found_text, r.position / 2048 AS placed_at, r.position
            FROM search_messages s
            CROSS JOIN search_message_rows r ON r.position = s.rowid
            CROSS JOIN messages m ON m.id = r.message_id
            CROSS JOIN conversations c ON c.id = m.conversation_id
            WHERE s.search_messages MATCH $1 AND s.rowid < $7 AND s.rowid >= COALESCE($4, 0) * 2048
                AND c.owner_id = $2 AND c.deleted_at IS NULL AND ($3 IS NULL OR c.id = $3)
                AND m.deleted_at IS NULL
                AND ($4 IS NULL OR m.created_at >= $4) AND ($5 IS NULL OR m.created_at < $5)
            ORDER BY s.rowid DESC LIMIT $10
            """
    )

    static let titles = Statement(
        "search.titles",
        .reads,
        types,
        postgres: """
            WITH candidates AS MATERIALIZED (
                SELECT id, created_at, title, owner_id, deleted_at FROM conversations
                WHERE search @@ $1::tsquery AND created_at <= $6
                    AND ($4 IS NULL OR created_at >= $4) AND ($5 IS NULL OR created_at < $5)
                LIMIT $9
            ), hits AS (
                SELECT id, created_at, title FROM candidates
                WHERE owner_id = $2 AND deleted_at IS NULL AND ($3 IS NULL OR id = $3)
                    AND (created_at, 0, id) < ($6, $7, $8)
                ORDER BY created_at DESC, id DESC LIMIT $10
            )
            SELECT k.candidates, h.id, h.id AS conversation_id, h.title, NULL::bigint AS seq, NULL::text AS role,
                h.created_at, h.title AS found_text, h.created_at AS placed_at, 0::bigint AS position
            FROM (SELECT COUNT(*) AS candidates FROM candidates) k LEFT JOIN hits h ON TRUE
            ORDER BY h.created_at DESC, h.id DESC
            """,
        sqlite: """
            SELECT 0 AS candidates, c.id, c.id AS conversation_id, c.title, NULL AS seq, NULL AS role, c.created_at,
                c.title AS found_text, r.position / 2048 AS placed_at, r.position
            FROM search_titles s
            CROSS JOIN search_title_rows r ON r.position = s.rowid
            CROSS JOIN conversations c ON c.id = r.conversation_id
            WHERE s.search_titles MATCH $1 AND s.rowid < $7 AND s.rowid >= COALESCE($4, 0) * 2048
                AND c.owner_id = $2 AND c.deleted_at IS NULL AND ($3 IS NULL OR c.id = $3)
                AND ($4 IS NULL OR c.created_at >= $4) AND ($5 IS NULL OR c.created_at < $5)
            ORDER BY s.rowid DESC LIMIT $10
            """
    )

    /// Rows without words: usually none.
    static let pendingMessages = Statement(
        "search.pending_messages",
        .reads,
        [.integer],
        """
        SELECT id, version, content_text AS pending_text FROM messages
        WHERE search IS NULL AND content_text IS NOT NULL AND deleted_at IS NULL ORDER BY id LIMIT $1
        """
    )

    static let pendingTitles = Statement(
        "search.pending_titles",
        .reads,
        [.integer],
        """
        SELECT id, version, title AS pending_text FROM conversations
        WHERE search IS NULL AND title IS NOT NULL ORDER BY id LIMIT $1
        """
    )

    // Not if the text has changed in between. It changes nothing else of the row, not even its version.
    static let indexMessage = Statement(
        "search.index_message",
        .writes,
        [.text, .integer, .words],
        "UPDATE messages SET search = $3 WHERE id = $1 AND version = $2 AND search IS NULL AND deleted_at IS NULL"
    )

    static let indexTitle = Statement(
        "search.index_title",
        .writes,
        [.text, .integer, .words],
        "UPDATE conversations SET search = $3 WHERE id = $1 AND version = $2 AND search IS NULL"
    )

    static let isPending = Statement(
        "search.is_pending",
        .reads,
        [],
        """
        SELECT EXISTS (SELECT 1 FROM messages
                WHERE search IS NULL AND content_text IS NOT NULL AND deleted_at IS NULL)
            OR EXISTS (SELECT 1 FROM conversations WHERE search IS NULL AND title IS NOT NULL) AS pending
        """
    )

    static let all =
        [messages, titles, pendingMessages, pendingTitles, indexMessage, indexTitle, isPending]
        + SearchReadiness.all + SearchIndexStatements.all + SearchRebuildStatements.all + SearchPurgeStatements.all
}
