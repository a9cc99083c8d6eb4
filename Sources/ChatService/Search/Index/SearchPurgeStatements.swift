import Storage

struct SearchPurgeStatements: Sendable {
    private static let messages = SearchPurgeStatements(.messages)
    private static let titles = SearchPurgeStatements(.titles)

    static func of(_ table: SearchTable) -> SearchPurgeStatements { table == .messages ? messages : titles }

    private let entrySizes: Statement
    private let touchPlaceholder: Statement
    private let mergePages: Statement
    private let beginPurge: Statement
    private let endPurge: Statement

    private init(_ table: SearchTable) {
        entrySizes = table.statement(
            "entry_sizes_of",
            .reads,
            """
            SELECT r.position, COALESCE((SELECT LENGTH(s.search) FROM messages s WHERE s.id = r.message_id), 0) AS size
            FROM search_message_rows r WHERE r.position > :after ORDER BY r.position LIMIT 50
            """,
            ["after": .integer]
        )
        // In this order in one statement: FTS5 writes a segment for each, since both have the same rowid.
        touchPlaceholder = table.statement(
            "touch_placeholder_of",
            .writes,
            "INSERT INTO search_messages (search_messages, rowid, words) VALUES (NULL, -1, '§'), ('delete', -1, '§')"
        )
        mergePages = table.statement(
            "merge",
            .writes,
            "INSERT INTO search_messages (search_messages, rank) VALUES ('merge', :pages)",
            ["pages": .integer]
        )
        beginPurge = table.statement(
            "begin_purge_of",
            .writes,
            """
            UPDATE search_indexes SET is_purging = 1, purge_began_at = :now
            WHERE name = 'messages' AND state = 'ready'
            """,
            ["now": .instant]
        )
        endPurge = table.statement(
            "end_purge_of",
            .writes,
            """
            UPDATE search_indexes SET is_purging = 0, purged_structure = :structure
            WHERE name = 'messages' AND state = 'ready'
            """,
            ["structure": .bytes]
        )
    }

    /// A few entries behind a place, each with the size of its row's words.
    func entries(after place: Int64) -> BoundStatement { entrySizes.bind(["after": place]) }

    /// An entry that is inserted and deleted, which leaves two segments.
    func placeholder() -> BoundStatement { touchPlaceholder.bind() }

    func beginPurge(at now: Instant) -> BoundStatement { beginPurge.bind(["now": now]) }

    /// Merges until so many pages are written. A negative number begins to merge all segments into one.
    func merge(pages: Int) -> BoundStatement { mergePages.bind(["pages": pages]) }

    /// With the structure of the one segment that is left; `nil` if others were written during the pass.
    func endPurge(leaving structure: [UInt8]?) -> BoundStatement { endPurge.bind(["structure": structure]) }

    static let all = messages.list + titles.list

    private var list: [Statement] {
        [entrySizes, touchPlaceholder, mergePages, beginPurge, endPurge]
    }
}
