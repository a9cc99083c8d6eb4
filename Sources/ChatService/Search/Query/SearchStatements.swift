// SQL of the search, the one place where the engines have nothing in common.
//
// PostgreSQL finds candidates by the GIN index, without an order, and stops at `:max` of them; a row without an id has
// their number. `OFFSET 0` keeps the planner from reading all of the owner's conversations for each candidate. SQLite
// reads entries newest first and stops at the page's end. Either way the rows' owner is tested too: the index only
// narrows.
import Storage

enum SearchStatements {
    /// Characters of a text that are fetched for its snippet.
    private static let shown = 16_384

    private static let parameters: StatementParameters = [
        "query": .text, "owner": .text, "conversation": .text, "from": .instant, "to": .instant, "time": .instant,
        "position": .integer, "id": .text, "max": .integer, "limit": .integer,
    ]

    private static let messages = Statement(
        "search.messages",
        .reads,
        parameters,
        postgres: """
            WITH candidates AS MATERIALIZED (
                SELECT id, conversation_id, seq, created_at FROM messages
                WHERE search @@ :query::tsquery AND created_at <= :time
                    AND (:from IS NULL OR created_at >= :from) AND (:to IS NULL OR created_at < :to)
                    AND (created_at, seq, id) < (:time, :position, :id)
                LIMIT :max
            ), hits AS MATERIALIZED (
                SELECT n.id, n.created_at, n.seq, c.title
                FROM candidates n CROSS JOIN LATERAL (
                    SELECT c.title FROM conversations c
                    WHERE c.id = n.conversation_id AND c.owner_id = :owner AND \(ConversationState.live.sql("c"))
                        AND (:conversation IS NULL OR c.id = :conversation)
                    OFFSET 0
                ) c
                ORDER BY n.created_at DESC, n.seq DESC, n.id DESC LIMIT :limit
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
            WHERE s.search_messages MATCH :query AND s.rowid < :position AND s.rowid >= COALESCE(:from, 0) * 2048
                AND c.owner_id = :owner AND \(ConversationState.live.sql("c")) AND (:conversation IS NULL OR c.id = :conversation)
                AND \(MessageState.live.sql("m"))
                AND (:from IS NULL OR m.created_at >= :from) AND (:to IS NULL OR m.created_at < :to)
            ORDER BY s.rowid DESC LIMIT :limit
            """
    )

    private static let titles = Statement(
        "search.titles",
        .reads,
        parameters,
        postgres: """
            WITH candidates AS MATERIALIZED (
                SELECT id, created_at, title, owner_id, deleted_at FROM conversations
                WHERE search @@ :query::tsquery AND created_at <= :time
                    AND (:from IS NULL OR created_at >= :from) AND (:to IS NULL OR created_at < :to)
                    AND (created_at, 0, id) < (:time, :position, :id)
                LIMIT :max
            ), hits AS (
                SELECT id, created_at, title FROM candidates
                WHERE owner_id = :owner AND \(ConversationState.live.sql()) AND (:conversation IS NULL OR id = :conversation)
                ORDER BY created_at DESC, id DESC LIMIT :limit
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
            WHERE s.search_titles MATCH :query AND s.rowid < :position AND s.rowid >= COALESCE(:from, 0) * 2048
                AND c.owner_id = :owner AND \(ConversationState.live.sql("c")) AND (:conversation IS NULL OR c.id = :conversation)
                AND (:from IS NULL OR c.created_at >= :from) AND (:to IS NULL OR c.created_at < :to)
            ORDER BY s.rowid DESC LIMIT :limit
            """
    )

    /// Rows without words: usually none.
    static func hits(
        of kind: SearchHit.Kind,
        for query: String,
        owner: String,
        conversation: String?,
        from: Instant?,
        to: Instant?,
        beyond place: SearchCursor,
        position: Int64,
        maxCandidates: Int64,
        limit: Int
    ) -> BoundStatement {
        (kind == .message ? messages : titles).bind([
            "query": query, "owner": owner, "conversation": conversation, "from": from, "to": to, "time": place.time,
            "position": position, "id": place.id, "max": maxCandidates, "limit": limit,
        ])
    }

    static let all =
        [messages, titles]
        + SearchSize.all + SearchReadiness.all + SearchIndexStatements.all + SearchRebuildStatements.all
        + SearchPurgeStatements.all
}
