import Storage

struct SearchIndexStatements: Sendable {
    private static let messages = SearchIndexStatements(.messages)
    private static let titles = SearchIndexStatements(.titles)

    static func of(_ table: SearchTable) -> SearchIndexStatements { table == .messages ? messages : titles }

    private let readStatus: Statement
    private let probeIndex: Statement
    private let saveTriggers: Statement
    private let setDraining: Statement
    private let dropTriggers: [Statement]

    private init(_ table: SearchTable) {
        readStatus = table.statement(
            "status_of",
            .reads,
            """
            SELECT x.state, x.filled_to, x.reason, x.purge_began_at, x.is_purging, x.purged_structure,
                (SELECT CAST(d.block AS BLOB) FROM search_messages_data d WHERE d.id = 10) AS structure
            FROM search_indexes x WHERE x.name = 'messages'
            """
        )
        // No entry has the word, so little but the structure is read.
        probeIndex = table.statement(
            "probe",
            .reads,
            "SELECT rowid AS position FROM search_messages WHERE search_messages MATCH '\"§\"' LIMIT 1"
        )
        saveTriggers = table.statement(
            "save_triggers_of",
            .writes,
            """
            INSERT INTO search_triggers (name, index_name, sql)
            SELECT name, 'messages', sql FROM sqlite_schema
            WHERE type = 'trigger'
                AND name IN ('messages_search_insert', 'messages_search_update', 'messages_search_delete')
            ON CONFLICT (name) DO UPDATE SET sql = excluded.sql
            """
        )
        setDraining = table.statement(
            "begin_rebuild_of",
            .writes,
            """
            UPDATE search_indexes SET state = 'draining', filled_to = '', reason = :reason, purge_began_at = NULL,
                is_purging = 0, purged_structure = NULL
            WHERE name = 'messages' AND state <> 'draining'
            """,
            ["reason": .text]
        )
        dropTriggers = ["insert", "update", "delete"].map { event in
            table.statement("drop_\(event)_trigger_of", .writes, "DROP TRIGGER IF EXISTS messages_search_\(event)")
        }
    }

    func status() -> BoundStatement { readStatus.bind() }

    /// Fails if the index cannot be opened.
    func probe() -> BoundStatement { probeIndex.bind() }

    /// Adds the removal of the triggers.
    ///
    /// - Returns: a handle whose result says whether the index was not draining already.
    func beginRebuild(because reason: String, in transaction: inout Transaction) -> Transaction.Handle {
        transaction.add(saveTriggers.bind())
        let began = transaction.add(setDraining.bind(["reason": reason]))
        for trigger in dropTriggers { transaction.add(trigger.bind()) }
        return began
    }

    static let all = messages.list + titles.list

    private var list: [Statement] { [readStatus, probeIndex, saveTriggers, setDraining] + dropTriggers }
}
