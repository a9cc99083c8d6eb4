// SQL that rebuilds an index from its rows.
//
// It writes FTS5's own tables. Their rows are deleted in steps, because `delete-all` on a large index would block every
// writer. The structure record is replaced by an empty one, because FTS5 cannot open a table with a malformed record.
// `delete-all` follows both, so that FTS5 drops its cached state.
import Storage

struct SearchRebuildStatements: Sendable {
    private static let messages = SearchRebuildStatements(.messages)
    private static let titles = SearchRebuildStatements(.titles)

    static func of(_ table: SearchTable) -> SearchRebuildStatements { table == .messages ? messages : titles }

    private let drains: [Statement]
    private let readTriggers: Statement
    private let resets: [Statement]
    private let setFilling: Statement
    private let forgetTriggers: Statement
    private let readPending: Statement
    private let addWords: Statement
    private let addEntry: Statement
    private let advanceFill: Statement
    private let setReady: Statement

    private static let isDraining = """
        EXISTS (SELECT 1 FROM search_indexes x WHERE x.name = 'messages' AND x.state = 'draining')
        """

    private init(_ table: SearchTable) {
        let isDraining = Self.isDraining
        drains = [
            // Rows 1 and 10 are FTS5's averages and structure.
            table.statement(
                "drain_pages_of",
                .writes,
                """
                DELETE FROM search_messages_data
                WHERE id IN (SELECT id FROM search_messages_data WHERE id > 10 LIMIT :count) AND \(isDraining)
                """,
                ["count": .integer]
            ),
            table.statement(
                "drain_terms_of",
                .writes,
                """
                DELETE FROM search_messages_idx
                WHERE (segid, term) IN (SELECT segid, term FROM search_messages_idx LIMIT :count) AND \(isDraining)
                """,
                ["count": .integer]
            ),
            table.statement(
                "drain_entries_of",
                .writes,
                """
                DELETE FROM search_message_rows
                WHERE position IN (SELECT position FROM search_message_rows LIMIT :count) AND \(isDraining)
                """,
                ["count": .integer]
            ),
        ]
        readTriggers = table.statement(
            "triggers_of",
            .reads,
            """
            SELECT name, sql FROM search_triggers
            WHERE name IN ('messages_search_insert', 'messages_search_update', 'messages_search_delete')
            """
        )
        resets = [
            table.statement(
                "reset_averages_of",
                .writes,
                """
                INSERT INTO search_messages_data (id, block) SELECT 1, x'' WHERE \(isDraining)
                ON CONFLICT (id) DO UPDATE SET block = excluded.block
                """
            ),
            table.statement(
                "reset_structure_of",
                .writes,
                """
                INSERT INTO search_messages_data (id, block) SELECT 10, \(FTS5Structure.emptyRecord) WHERE \(isDraining)
                ON CONFLICT (id) DO UPDATE SET block = excluded.block
                """
            ),
            // The version of SQLite 3.40; newer ones read it.
            table.statement(
                "reset_version_of",
                .writes,
                """
                INSERT INTO search_messages_config (k, v) SELECT 'version', 4 WHERE \(isDraining)
                ON CONFLICT (k) DO NOTHING
                """
            ),
            table.statement(
                "delete_all_of",
                .writes,
                "INSERT INTO search_messages (search_messages) SELECT 'delete-all' WHERE \(isDraining)"
            ),
        ]
        setFilling = table.statement(
            "begin_filling_of",
            .writes,
            "UPDATE search_indexes SET state = 'filling' WHERE name = 'messages' AND state = 'draining'"
        )
        forgetTriggers = table.statement(
            "forget_triggers_of",
            .writes,
            """
            DELETE FROM search_triggers
            WHERE name IN ('messages_search_insert', 'messages_search_update', 'messages_search_delete')
            """
        )
        readPending = table.statement(
            "without_entry_in",
            .reads,
            """
            SELECT s.id, s.created_at, LENGTH(s.search) AS size FROM messages s
            WHERE s.id > :from AND \(table.isIndexed)
                AND NOT EXISTS (SELECT 1 FROM search_message_rows e WHERE e.message_id = s.id)
            ORDER BY s.id LIMIT :count
            """,
            ["from": .text, "count": .integer]
        )
        // By its time, behind others of the same millisecond, as the triggers place late rows.
        let time = "(min(max(s.created_at, 0), 4500000000000000) * 2048)"
        let position = """
            coalesce(
                (SELECT max(e.position) + 1 FROM search_message_rows e
                 WHERE e.position >= \(time) AND e.position < \(time) + 1000 * 2048),
                \(time)
            )
            """
        let isNext = """
            s.id = :id AND \(table.isIndexed)
                AND NOT EXISTS (SELECT 1 FROM search_message_rows e WHERE e.message_id = s.id)
                AND EXISTS (
                    SELECT 1 FROM search_indexes x
                    WHERE x.name = 'messages' AND x.state = 'filling' AND x.filled_to = :from
                )
            """
        addWords = table.statement(
            "add_words_to",
            .writes,
            """
            INSERT INTO search_messages (rowid, words)
            SELECT \(position), \(table.scope) || ' ' || s.search FROM messages s WHERE \(isNext)
            """,
            ["id": .text, "from": .text]
        )
        addEntry = table.statement(
            "add_entry_to",
            .writes,
            """
            INSERT INTO search_message_rows (position, message_id, scope)
            SELECT \(position), s.id, \(table.scope) FROM messages s WHERE \(isNext)
            """,
            ["id": .text, "from": .text]
        )
        advanceFill = table.statement(
            "advance_filling_of",
            .writes,
            """
            UPDATE search_indexes SET filled_to = :to
            WHERE name = 'messages' AND state = 'filling' AND filled_to = :from
            """,
            ["from": .text, "to": .text]
        )
        setReady = table.statement(
            "end_rebuild_of",
            .writes,
            """
            UPDATE search_indexes SET state = 'ready', filled_to = ''
            WHERE name = 'messages' AND state = 'filling' AND filled_to = :from
            """,
            ["from": .text]
        )
    }

    func drain(count: Int) -> [BoundStatement] { drains.map { $0.bind(["count": count]) } }

    func triggers() -> BoundStatement { readTriggers.bind() }

    /// Makes the drained index readable for FTS5, and restores its triggers.
    func beginFilling(with triggers: [Statement]) -> [BoundStatement] {
        (resets + triggers + [forgetTriggers, setFilling]).map { $0.bind() }
    }

    /// By id.
    func pending(after id: String, count: Int) -> BoundStatement { readPending.bind(["from": id, "count": count]) }

    /// Gives rows their entries, if the filling is still at its position. Words first: both statements compute the same
    /// position while the entry does not exist.
    ///
    /// - Returns: a handle whose result says whether it was there.
    func fill(
        ids: [String],
        from: String,
        to last: String,
        in transaction: inout Transaction
    ) -> Transaction.Handle {
        for id in ids {
            transaction.add(addWords.bind(["id": id, "from": from]))
            transaction.add(addEntry.bind(["id": id, "from": from]))
        }
        return transaction.add(advanceFill.bind(["from": from, "to": last]))
    }

    func endRebuild(from: String) -> BoundStatement { setReady.bind(["from": from]) }

    static let all = messages.list + titles.list

    private var list: [Statement] {
        drains + resets
            + [readTriggers, setFilling, forgetTriggers, readPending, addWords, addEntry, advanceFill, setReady]
    }
}
