// One SQLite connection and its synchronous operations.

internal import Foundation
internal import GRDB
import Storage

/// A connection that one thread uses. GRDB's queue serialises even so, which makes the type Sendable.
final class SQLiteConnection: Sendable {
    enum Role {
        case writer, reader, migrator
    }

    private let queue: DatabaseQueue
    private let path: String
    private let busyMilliseconds: Int64

    init(path: String, role: Role, configuration: SQLiteConfiguration) throws(StorageError) {
        var settings = GRDB.Configuration()
        settings.readonly = role == .reader
        settings.foreignKeysEnabled = role != .migrator
        let seconds = Double(configuration.busyTimeout.wholeMicroseconds) / 1_000_000
        settings.busyMode = .timeout(role == .migrator ? max(60, seconds) : seconds)
        settings.label = "tessera.sqlite"
        self.path = path
        busyMilliseconds = configuration.busyTimeout.wholeMicroseconds / 1000
        // A failed rollback must not stop the process; `commit` checks the state of the transaction itself.
        settings.allowsUnsafeTransactions = true
        do {
            queue = try DatabaseQueue(path: path, configuration: settings)
            try queue.writeWithoutTransaction { db in
                if role != .reader { try db.execute(sql: "PRAGMA journal_mode = WAL") }
                // FULL: a commit that was acknowledged survives a loss of power.
                try db.execute(sql: "PRAGMA synchronous = FULL")
                try db.execute(sql: "PRAGMA temp_store = MEMORY")
                // Zeros over deleted data (sqlite.org/pragma.html#pragma_secure_delete): an erasure must remove it.
                try db.execute(sql: "PRAGMA secure_delete = ON")
                db.add(function: .stringAggregate)
            }
        } catch {
            throw .unavailable(reason: "SQLite could not open \(path): \(SQLiteFailure.reason(of: error))")
        }
    }

    func close() { try? queue.close() }

    /// Ends the statement that runs, from another thread; has no effect if none runs.
    func interrupt() { queue.interrupt() }

    /// Lets SQLite refresh stale statistics. The limit keeps that to milliseconds on tables of any size
    /// (sqlite.org/lang_analyze.html, "Recommended usage patterns").
    func optimize() {
        try? queue.writeWithoutTransaction { db in
            try db.execute(sql: "PRAGMA analysis_limit = 400; PRAGMA optimize")
        }
    }

    /// The size of the write-ahead log in bytes; 0 when there is none.
    var walSize: Int {
        let attributes = try? FileManager.default.attributesOfItem(atPath: path + "-wal")
        return (attributes?[.size] as? NSNumber)?.intValue ?? 0
    }

    /// Moves the whole log into the file and empties it, unless readers of an older state stay longer than `maxWait`.
    ///
    /// SQLite's own checkpoints after a commit do not wait. While readers never pause, they move the pages and can
    /// never reset the log (sqlite.org/wal.html, "Avoiding Excessively Large WAL Files").
    ///
    /// - Returns: whether it is empty. What is in it is durable either way.
    @discardableResult
    func emptyLog(maxWait: Duration) -> Bool {
        let isEmpty = try? queue.writeWithoutTransaction { db in
            let milliseconds = maxWait.wholeMicroseconds / 1000
            try db.execute(sql: "PRAGMA busy_timeout = \(milliseconds)")
            defer { try? db.execute(sql: "PRAGMA busy_timeout = \(busyMilliseconds)") }
            // The first column is 1 where readers or writers were in the way.
            return try Int64.fetchOne(db, sql: "PRAGMA wal_checkpoint(TRUNCATE)") == 0
        }
        return isEmpty ?? false
    }

    /// A number that changes when another connection of any process commits
    /// (sqlite.org/pragma.html#pragma_data_version).
    func dataVersion() throws(StorageError) -> Int64 {
        try SQLiteFailure.mapping("PRAGMA data_version") {
            try queue.writeWithoutTransaction { try Int64.fetchOne($0, sql: "PRAGMA data_version") } ?? 0
        }
    }

    // MARK: - Transactions

    /// Runs a transaction that only reads; several statements see one snapshot.
    func read(_ statements: [BoundStatement]) -> Result<[SQLResult], StorageError> {
        queue.writeWithoutTransaction { db in
            Result { () throws(StorageError) in
                if statements.count == 1 { return [try db.run(statements[0])] }
                try db.control("BEGIN DEFERRED")
                // Ending a transaction that only read cannot lose anything.
                defer { db.rollBackQuietly() }
                return try db.runAll(statements)
            }
        }
    }

    /// Runs transactions in one SQL transaction, each in its savepoint.
    func commit(_ transactions: [[BoundStatement]]) -> SQLiteCommit {
        queue.writeWithoutTransaction { db in
            do throws(StorageError) {
                try db.control("BEGIN IMMEDIATE")
            } catch {
                return .notBegun(error)
            }
            do throws(StorageError) {
                let results = try transactions.map { transaction throws(StorageError) in
                    try transactions.count == 1 ? .success(db.runAll(transaction)) : db.runInSavepoint(transaction)
                }
                return db.commit(results)
            } catch {
                db.rollBackQuietly()
                return .rolledBack(error)
            }
        }
    }

    /// Runs `body` in one transaction; an error rolls back.
    func transaction<T>(_ body: (any SQLTransaction) throws -> T) throws -> T {
        try queue.writeWithoutTransaction { db in
            try db.control("BEGIN IMMEDIATE")
            let transaction = SQLiteTransaction(db: db)
            do {
                let value = try body(transaction)
                // As on PostgreSQL: a transaction in which a statement failed cannot commit any more.
                if let failure = transaction.failure { throw failure }
                switch db.commit([]) {
                case .committed: return value
                case .rolledBack(let error), .notBegun(let error), .unknown(let error): throw error
                }
            } catch {
                db.rollBackQuietly()
                throw error
            }
        }
    }

    func migrate<T>(_ body: (any SQLMigrationConnection) throws -> T) throws -> T {
        try queue.writeWithoutTransaction { db in
            defer { db.rollBackQuietly() }
            return try body(SQLiteMigrationConnection(db: db))
        }
    }
}

/// The connection inside an interactive transaction.
private final class SQLiteTransaction: SQLTransaction {
    private let db: GRDB.Database
    private(set) var failure: StorageError?

    init(db: GRDB.Database) { self.db = db }

    func run(_ statement: BoundStatement) throws(StorageError) -> SQLResult {
        if let failure { throw failure }
        try statement.validate()
        do throws(StorageError) {
            return try db.run(statement)
        } catch {
            failure = error
            throw error
        }
    }
}

/// The migrator's connection, which begins and ends transactions itself.
private final class SQLiteMigrationConnection: SQLMigrationConnection {
    private let db: GRDB.Database

    init(db: GRDB.Database) { self.db = db }

    func run(_ statement: BoundStatement) throws(StorageError) -> SQLResult {
        try statement.validate()
        return try db.run(statement)
    }

    func execute(script: String) throws(StorageError) {
        try SQLiteFailure.mapping("migration script") { try db.execute(sql: script) }
    }
}
