// SQL of `?q=` of the list of conversations: those whose titles match.
//
// The order is the list's, by `updated_at`, which an index of words lacks. Few matches are looked up first and sorted.
// With many, the list is walked until the page is full. How many there are is counted first, up to a limit: statistics
// would choose badly between the two (docs/decisions/0036-one-plan.md).
import Storage

enum ConversationTitleStatements {
    private typealias List = ConversationListStatements

    private struct Matching {
        let few: Statement
        let many: Statement

        subscript(isFew: Bool) -> Statement { isFew ? few : many }
    }

    private static let parameters = List.parameters + ["tag_key": .text, "words": .text]

    /// Looked up for each conversation.
    private static let isTagged = """
        (:tag_key IS NULL OR EXISTS (
            SELECT 1 FROM conversation_tags ct WHERE ct.conversation_id = conversations.id AND ct.tag_id = (
                SELECT t.id FROM tags t WHERE t.owner_id = :owner AND t.name_key = :tag_key
            ) LIMIT 1 OFFSET 0
        ))
        """

    /// The conversations whose titles match, found by the index of words.
    private static func matches(columns: String, rest: String, engine: SQLEngine) -> String {
        engine == .postgres
            ? """
            SELECT \(columns) FROM (SELECT * FROM conversations WHERE search @@ :words::tsquery OFFSET 0) AS conversations
            WHERE \(List.filter) AND \(isTagged) \(rest)
            """
            // The + keeps the owner's range out of the choice of an index. FTS5 takes no NULL for a query.
            : """
            SELECT \(columns) FROM search_titles s
            CROSS JOIN search_title_rows r ON r.position = s.rowid
            CROSS JOIN conversations ON conversations.id = r.conversation_id
            WHERE :words IS NOT NULL AND s.search_titles MATCH :words AND +\(List.filter) AND \(isTagged) \(rest)
            """
    }

    /// The list, as far as it has to be read for a page of matches.
    private static func walk(rest: String, engine: SQLEngine) -> String {
        let matches =
            engine == .postgres
            ? OnePlan.check("search @@ :words::tsquery")
            // The + keeps the matches out of the choice of an index.
            : """
            +id IN (
                SELECT r.conversation_id FROM search_titles s
                CROSS JOIN search_title_rows r ON r.position = s.rowid WHERE s.search_titles MATCH :words
            )
            """
        return """
            SELECT \(ConversationStatements.summaryColumns) FROM conversations
            WHERE \(List.filter) AND \(isTagged) AND \(matches) \(rest)
            """
    }

    private static func page(name: String, more: StatementParameters, rest: String) -> Matching {
        Matching(
            few: Statement("\(name)_few", .reads, parameters + more) { engine in
                matches(columns: ConversationStatements.summaryColumns, rest: rest, engine: engine)
            },
            many: Statement("\(name)_many", .reads, parameters + more) { engine in walk(rest: rest, engine: engine) }
        )
    }

    private static let older = page(name: "conversations.older_matching", more: List.cursor, rest: List.beforeCursor)
    private static let newer = page(name: "conversations.newer_matching", more: List.cursor, rest: List.afterCursor)
    private static let numbered = page(name: "conversations.numbered_matching", more: List.offset, rest: List.atOffset)
    private static let count = Statement("conversations.count_matching", .reads, parameters) { engine in
        matches(columns: "COUNT(*) AS total", rest: "", engine: engine)
    }

    private static let countSome = Statement(
        "conversations.count_some_matching",
        .reads,
        ["words": .text, "limit": .integer],
        postgres: """
            WITH matching AS MATERIALIZED (SELECT 1 FROM conversations WHERE search @@ :words::tsquery)
            SELECT COUNT(*) AS matches FROM (SELECT 1 FROM matching LIMIT :limit) AS few
            """,
        sqlite: """
            SELECT COUNT(*) AS matches FROM (
                SELECT 1 FROM search_titles s WHERE s.search_titles MATCH :words LIMIT :limit
            )
            """
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

    /// How many titles match, up to a limit, those of trashed conversations included.
    static func countSome(matching query: Query, limit: Int64) -> BoundStatement {
        countSome.bind(["words": query.words, "limit": limit])
    }

    /// A page, with a plan for few or many matches.
    static func page(
        of filter: ConversationListStatements.Filter,
        matching query: Query,
        isOfFew: Bool,
        at place: ConversationListStatements.Place,
        limit: Int64
    ) -> BoundStatement {
        let statements: Matching =
            switch place {
            case .older: older
            case .newer: newer
            case .offset: numbered
            }
        return statements[isOfFew].bind(filter.values + query.values + place.values(limit: limit))
    }

    static func count(of filter: ConversationListStatements.Filter, matching query: Query) -> BoundStatement {
        count.bind(filter.values + query.values)
    }

    static let all = [older, newer, numbered].flatMap { [$0.few, $0.many] } + [count, countSome]
}
