// Whether the full-text indexes have every row.
//
// An index of SQLite may be damaged or in a rebuild; then a search answers 503 `search_rebuilding`. PostgreSQL rebuilds
// an index beside the one in use, so its searches always work.
import ServiceKit
import Storage

enum SearchReadiness {
    private static let isReady = Statement(
        "search.is_ready",
        .reads,
        [:],
        postgres: "SELECT TRUE AS ready",
        sqlite: """
            SELECT NOT EXISTS (
                SELECT 1 FROM search_indexes WHERE name IN ('messages', 'titles') AND state <> 'ready'
            ) AS ready
            """
    )

    static let all = [isReady]

    /// Checked in the snapshot of the transaction that reads an index, so that no page is partial.
    static func check() -> BoundStatement { isReady.bind() }

    static func isReady(_ result: SQLResult) throws(StorageError) -> Bool {
        guard let row = result.first else { return false }
        return try row.boolean("ready")
    }

    /// Runs a transaction that reads an index. Throws `search_rebuilding` if the index is incomplete or unreadable;
    /// then the database's guard has begun its rebuild.
    static func run(_ transaction: Transaction, on database: any SQLDatabase) async throws -> TransactionResults {
        guard database.engine == .sqlite else { return try await database.run(transaction) }
        var transaction = transaction
        let ready = transaction.add(check())
        do {
            let results = try await database.run(transaction)
            guard try isReady(results[ready]) else { throw rebuilding }
            return results
        } catch StorageError.damaged(_, inVirtualTable: true) {
            throw rebuilding
        }
    }

    private static var rebuilding: APIError { .retry(.searchRebuilding, afterSeconds: 5) }
}
