// Everything that a service may ask of a database.
//
// A *transaction* is an ordered list of bound statements that commit together. Its parameters are known before it
// starts, so an engine can send many callers' transactions in one flush and one commit. There is no branch inside: a
// statement that depends on an earlier one tests what that one left behind. An outcome that a caller can provoke is
// zero rows, never an SQL error.

/// The engine behind a database. Statements are the same on both, so little code asks: the migrator, a restore, and
/// chat's full-text search and notification of changes.
package enum SQLEngine: String, Sendable, CaseIterable {
    case sqlite, postgres

    /// The length of a text column in bytes. PostgreSQL reads it beside the value; SQLite has `octet_length` from 3.43
    /// on.
    package func octets(of column: String) -> String {
        self == .postgres ? "octet_length(\(column))" : "LENGTH(CAST(\(column) AS BLOB))"
    }

    /// The sum of an integer column as an integer; 0 without rows. It is capped at a value that can still be added to,
    /// because an overflow would fail the reader's request. SQLite's own SUM fails there, and its TOTAL is exact up to
    /// 2⁵³ (sqlite.org/lang_aggfunc.html#sumunc).
    package func sum(of column: String) -> String {
        let greatest = "4000000000000000000"
        return self == .postgres
            ? "CAST(LEAST(COALESCE(SUM(\(column)), 0), \(greatest)) AS bigint)"
            : "CAST(MIN(TOTAL(\(column)), \(greatest)) AS integer)"
    }
}

/// How a transaction is scheduled. The engine distinguishes reads from writes by the statements' effects.
package enum TransactionPriority: Sendable {
    /// The hot path: shares a worker and a commit with other transactions.
    case normal
    /// Known to be long (an erasure, a bulk revocation): runs in the slow pool.
    case long
}

/// A database as the features see it.
package protocol SQLDatabase: Sendable {
    var engine: SQLEngine { get }

    /// Runs the statements in order and commits them together, or none of them.
    ///
    /// - Returns: the result of each statement, after the commit is durable.
    /// - Throws: `StorageError`; only `.outcomeUnknown` means that the transaction may have committed.
    func run(_ transaction: Transaction, priority: TransactionPriority) async throws(StorageError) -> TransactionResults

    /// Runs a script that may not be inside a transaction, and holds the database's migration lock while `body` runs.
    /// See `Migrator`.
    func withMigrationLock<T: Sendable>(_ body: @Sendable @escaping (any SQLMigrationConnection) throws -> T)
        async throws -> T

    /// Removes the bytes of deleted rows from disk, as far as the engine can at once: SQLite empties its log. On
    /// PostgreSQL they remain until autovacuum has run.
    ///
    /// - Returns: whether it is done; `false` while readers of an older state need the log, or after a failure.
    func reclaimDeletedBytes() async -> Bool

    /// Hints that an ordered log may have grown, in any process; see `LogChanges`. Ends when the database closes.
    func changes(of log: OrderedLog) -> AsyncStream<Void>

    /// Finishes what was sent and closes every connection. Later transactions are `.unavailable`.
    func close() async
}

/// A database with an interactive transaction, which a suite needs to hold a lock for as long as it wants. A service is
/// handed an `SQLDatabase`, which has none.
package protocol InteractiveDatabase: SQLDatabase {
    /// Runs `body` in one serial transaction on the engine's own thread; an error rolls back and is rethrown. It may be
    /// run again after a rollback, so it changes nothing but the database.
    func holdingTransaction<T: Sendable>(_ body: @Sendable @escaping (any SQLTransaction) throws -> T)
        async throws -> T
}

/// An open transaction.
package protocol SQLTransaction {
    @discardableResult
    func run(_ statement: BoundStatement) throws(StorageError) -> SQLResult
}

/// The migrator's connection: holds the migration lock and decides where transactions begin and end.
package protocol SQLMigrationConnection: SQLTransaction {
    /// Executes a script of several statements without parameters.
    func execute(script: String) throws(StorageError)
}

extension SQLDatabase {
    package func run(_ transaction: Transaction) async throws(StorageError) -> TransactionResults {
        try await run(transaction, priority: .normal)
    }

    /// Runs a transaction of one statement.
    package func run(
        _ statement: BoundStatement,
        priority: TransactionPriority = .normal
    ) async throws(StorageError) -> SQLResult {
        let results = try await run(Transaction([statement]), priority: priority)
        guard let result = results.all.first else { throw .invalidRow(column: "(no result)") }
        return result
    }
}
