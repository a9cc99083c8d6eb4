// `?q=` of the list of conversations: the list as ever, of those whose titles hold the words.
//
// The order is the list's own, by `updated_at`, which an index of words does not know. Both engines walk the list and
// keep what matches, or find the matches and put them in order, whichever is less by their own statistics.
import Storage

enum TitleFilter {
    // 1 owner, 2 archived, 3 pinned, 4 tag, 5 words
    private static let types: [SQLType] = [.text, .boolean, .boolean, .text, .text]

    private static func statement(_ name: String, _ more: [SQLType], _ columns: String, _ rest: String) -> Statement {
        let before = """
            SELECT \(columns) FROM conversations WHERE \(ConversationStatements.filter)
                AND ($4 IS NULL OR \(ConversationStatements.hasTag("$4")))
            """
        return Statement(
            name,
            .reads,
            types + more,
            postgres: "\(before) AND search @@ $5::tsquery \(rest)",
            sqlite: """
                \(before) AND $5 IS NOT NULL AND id IN (
                    SELECT r.conversation_id FROM search_titles s
                    CROSS JOIN search_title_rows r ON r.position = s.rowid WHERE s.search_titles MATCH $5
                ) \(rest)
                """
        )
    }

    static let older = statement(
        "conversations.older_matching",
        [.instant, .text, .integer],
        ConversationStatements.summaryColumns,
        "AND (updated_at, id) < ($6, $7) ORDER BY updated_at DESC, id DESC LIMIT $8"
    )

    static let newer = statement(
        "conversations.newer_matching",
        [.instant, .text, .integer],
        ConversationStatements.summaryColumns,
        "AND (updated_at, id) > ($6, $7) ORDER BY updated_at, id LIMIT $8"
    )

    static let numbered = statement(
        "conversations.numbered_matching",
        [.integer, .integer],
        ConversationStatements.summaryColumns,
        "ORDER BY updated_at DESC, id DESC LIMIT $6 OFFSET $7"
    )

    static let count = statement("conversations.count_matching", [], "COUNT(*) AS total", "")

    static let all = [older, newer, numbered, count]

    /// The query as the engine takes it, among one owner's titles.
    static func words(_ query: SearchQuery, of caller: Caller, _ engine: SQLEngine) -> String {
        let scope = SearchScope(engine: engine, owner: caller.id)
        return engine == .sqlite ? query.fts5(scope) : query.tsquery(scope, in: [])
    }
}
