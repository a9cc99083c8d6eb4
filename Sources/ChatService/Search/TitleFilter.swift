// `?q=` of the list of conversations: the list as ever, of those whose titles hold the words.
//
// The order is the list's own, by `updated_at`, which an index of words does not know. Both engines walk the list and
// keep what matches, or find the matches and put them in order, whichever is less by their own statistics.
import Storage

enum TitleFilter {
    private static let filter = """
        owner_id = $1 AND deleted_at IS NULL
            AND ($2 IS NULL OR (archived_at IS NOT NULL) = $2)
            AND ($3 IS NULL OR (pinned_at IS NOT NULL) = $3)
        """

    /// The words of the query stand in the last parameter.
    private static func statement(_ name: String, _ types: [SQLType], _ before: String, _ after: String) -> Statement {
        let words = "$\(types.count)"
        return Statement(
            name,
            .reads,
            types,
            postgres: "\(before) AND search @@ \(words)::tsquery \(after)",
            sqlite: """
                \(before) AND id IN (
                    SELECT r.conversation_id FROM search_titles s
                    CROSS JOIN search_title_rows r ON r.position = s.rowid WHERE s.search_titles MATCH \(words)
                ) \(after)
                """
        )
    }

    private static let pageTypes: [SQLType] = [.text, .boolean, .boolean, .instant, .text, .integer, .text]

    static let older = statement(
        "conversations.older_matching",
        pageTypes,
        "SELECT \(ConversationStatements.summaryColumns) FROM conversations WHERE \(filter) AND (updated_at, id) < ($4, $5)",
        "ORDER BY updated_at DESC, id DESC LIMIT $6"
    )

    static let newer = statement(
        "conversations.newer_matching",
        pageTypes,
        "SELECT \(ConversationStatements.summaryColumns) FROM conversations WHERE \(filter) AND (updated_at, id) > ($4, $5)",
        "ORDER BY updated_at, id LIMIT $6"
    )

    static let count = statement(
        "conversations.count_matching",
        [.text, .boolean, .boolean, .text],
        "SELECT COUNT(*) AS total FROM conversations WHERE \(filter)",
        ""
    )

    static let all = [older, newer, count]

    /// The query as the engine takes it, among one owner's titles.
    static func words(_ query: SearchQuery, of caller: Caller, _ engine: SQLEngine) -> String {
        let scope = SearchScope(engine: engine, owner: caller.id)
        return engine == .sqlite ? query.fts5(scope) : query.tsquery(scope, in: [])
    }
}
