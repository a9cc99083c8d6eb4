// SQL of `?q=` of the list of conversations: those whose titles match.
//
// The order is the list's, by `updated_at`, which an index of words lacks. Both engines choose by their statistics:
// they walk the list and filter it, or find the matches and sort them.
import Storage

enum ConversationTitleStatements {
    private typealias List = ConversationListStatements

    private static func statement(name: String, more: StatementParameters, columns: String, rest: String)
        -> Statement
    {
        let before = """
            SELECT \(columns) FROM conversations WHERE \(List.filter)
                AND (:tag_key IS NULL OR \(List.hasTag(key: ":tag_key")))
            """
        return Statement(
            name,
            .reads,
            List.parameters + ["tag_key": .text, "words": .text] + more,
            postgres: "\(before) AND search @@ :words::tsquery \(rest)",
            sqlite: """
                \(before) AND :words IS NOT NULL AND id IN (
                    SELECT r.conversation_id FROM search_titles s
                    CROSS JOIN search_title_rows r ON r.position = s.rowid WHERE s.search_titles MATCH :words
                ) \(rest)
                """
        )
    }

    private static func page(name: String, more: StatementParameters, rest: String) -> Statement {
        statement(name: name, more: more, columns: ConversationStatements.summaryColumns, rest: rest)
    }

    private static let older = page(name: "conversations.older_matching", more: List.cursor, rest: List.beforeCursor)
    private static let newer = page(name: "conversations.newer_matching", more: List.cursor, rest: List.afterCursor)
    private static let numbered = page(name: "conversations.numbered_matching", more: List.offset, rest: List.atOffset)
    private static let count = statement(
        name: "conversations.count_matching",
        more: [:],
        columns: "COUNT(*) AS total",
        rest: ""
    )

    /// Words in the engine's syntax, and a tag.
    struct Query: Sendable {
        let words: String
        let tag: TagName?

        init(matching query: SearchQuery, tag: TagName?, owner: String, engine: SQLEngine) {
            let scope = SearchScope(engine: engine, owner: owner)
            words = engine == .sqlite ? query.fts5(scope) : query.tsquery(scope, in: [])
            self.tag = tag
        }

        fileprivate var values: StatementValues { ["tag_key": tag?.key, "words": words] }
    }

    static func page(
        of filter: ConversationListStatements.Filter,
        matching query: Query,
        at place: ConversationListStatements.Place,
        limit: Int64
    ) -> BoundStatement {
        let statement =
            switch place {
            case .older: older
            case .newer: newer
            case .offset: numbered
            }
        return statement.bind(filter.values + query.values + place.values(limit: limit))
    }

    static func count(of filter: ConversationListStatements.Filter, matching query: Query) -> BoundStatement {
        count.bind(filter.values + query.values)
    }

    static let all = [older, newer, numbered, count]
}
