import Storage

struct TransactionCounts {
    let committed: Int
    let rolledBack: Int
    let deadlocks: Int

    // Sessions report their counts at most once a second; this one reports at the end of its transaction. (PostgreSQL
    // 15, "28.2.2. Viewing Statistics".)
    private static let flush = Statement(
        "tests.flush_counts",
        .writes,
        "SELECT 1 AS flushed FROM pg_stat_force_next_flush()"
    )
    private static let read = Statement(
        "tests.read_counts",
        .reads,
        "SELECT xact_commit, xact_rollback, deadlocks FROM pg_stat_database WHERE datname = current_database()"
    )

    /// All counts so far, including the write worker's.
    static func read(_ database: any SQLDatabase) async throws -> TransactionCounts {
        _ = try await database.run(flush.bind())
        guard let row = try await database.run(read.bind()).first else {
            throw StorageError.invalidRow(column: "datname")
        }
        return TransactionCounts(
            committed: try row.int("xact_commit"),
            rolledBack: try row.int("xact_rollback"),
            deadlocks: try row.int("deadlocks")
        )
    }
}
