// SQLite's full-text indexes. They are derived from rows, and never a reason to refuse a write or a start.
//
//     ready → draining → filling → ready
//
// - ready: triggers of the schema maintain an entry for each row.
// - draining: the index is faulty, or is being rebuilt. Its triggers are removed, because a statement that names a
//   virtual table does not compile while the table cannot be opened. Entries are deleted.
// - filling: the triggers are back. Rows without an entry get theirs, in the order of their ids.
//
// The state is a row, so it survives the process and is shared by all processes on the file. A fault begins a rebuild
// (`SearchFaultGuard`); `SearchMaintenanceService` continues it. Searches answer 503 meanwhile. On PostgreSQL an index
// is always ready.
import Storage

enum SearchIndex {
    enum State: String, Sendable, CaseIterable {
        case ready, draining, filling
    }

    struct Status: Sendable {
        let state: State
        /// While filling, rows with ids up to here have their entries.
        let filledTo: String
        let reason: String?
        let purgeBeganAt: Instant?
        let isPurging: Bool
        let purgedStructure: [UInt8]?
        let structure: [UInt8]

        init(_ row: Row) throws(StorageError) {
            guard let state = State(rawValue: try row.text("state")) else { throw .invalidRow(column: "state") }
            self.state = state
            filledTo = try row.text("filled_to")
            reason = try row.optionalText("reason")
            purgeBeganAt = try row.optionalInstant("purge_began_at")
            isPurging = try row.boolean("is_purging")
            purgedStructure = try row.optionalBytes("purged_structure")
            structure = try row.optionalBytes("structure") ?? []
        }
    }

    static func status(of table: SearchTable, in database: any SQLDatabase) async throws(StorageError) -> Status {
        guard let row = try await database.run(SearchIndexStatements.of(table).status()).first else {
            throw .invalidRow(column: "search_indexes")
        }
        return try Status(row)
    }

    /// Takes indexes out of the way of writes. A draining one stays as it is.
    ///
    /// - Returns: whether this call did so.
    @discardableResult
    static func beginRebuild(
        of tables: [SearchTable] = SearchTable.allCases,
        in database: any SQLDatabase,
        because reason: String
    ) async throws(StorageError) -> Bool {
        var transaction = Transaction()
        let began = tables.map { SearchIndexStatements.of($0).beginRebuild(because: reason, in: &transaction) }
        let results = try await database.run(transaction, priority: .long)
        return began.contains { results[$0].affected > 0 }
    }
}
