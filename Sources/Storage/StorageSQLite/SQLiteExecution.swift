// Runs bound statements through GRDB.

internal import Foundation
internal import GRDB
import Storage

extension GRDB.Database {
    /// Runs one statement on this connection, prepared once and cached.
    func run(_ bound: BoundStatement) throws(StorageError) -> SQLResult {
        try SQLiteFailure.mapping(bound.statement.name) {
            let statement = try cachedStatement(sql: bound.statement.text(for: .sqlite))
            statement.setUncheckedArguments(Self.arguments(bound))
            guard statement.columnCount > 0 else {
                try statement.execute()
                return SQLResult(rows: [], affected: changesCount)
            }
            let columns = Columns(statement.columnNames)
            var builder = RowBuilder(columns)
            let cursor = try GRDB.Row.fetchCursor(statement)
            // To the end: only then has a RETURNING statement finished its changes.
            while let row = try cursor.next() {
                // `SELECT *` of a table that has changed since the statement was prepared.
                guard row.count == columns.names.count else { throw StorageError.invalidRow(column: "*") }
                for value in row.databaseValues { Self.append(value, to: &builder) }
            }
            let rows = builder.rows()
            return SQLResult(rows: rows, affected: rows.count)
        }
    }

    func runAll(_ statements: [BoundStatement]) throws(StorageError) -> [SQLResult] {
        try statements.map { bound throws(StorageError) in try run(bound) }
    }

    /// Runs a transaction so that it alone is undone when it fails.
    ///
    /// - Throws: when the surrounding transaction is gone or the savepoint cannot be ended.
    func runInSavepoint(_ transaction: [BoundStatement]) throws(StorageError) -> Result<[SQLResult], StorageError> {
        try control("SAVEPOINT batched")
        do throws(StorageError) {
            let results = try runAll(transaction)
            try control("RELEASE batched")
            return .success(results)
        } catch {
            guard isInsideTransaction else { throw error }
            try control("ROLLBACK TO batched")
            try control("RELEASE batched")
            return .failure(error)
        }
    }

    /// Commits, and classifies a failure.
    func commit(_ results: [Result<[SQLResult], StorageError>]) -> SQLiteCommit {
        do {
            try cachedStatement(sql: "COMMIT").execute()
            return .committed(results)
        } catch {
            // Still open after a deferred constraint failed or the file was busy: what is open is not committed.
            let stillOpen = isInsideTransaction
            rollBackQuietly()
            if stillOpen || SQLiteFailure.leavesNoCommitRecord(error) {
                return .rolledBack(SQLiteFailure.map(error, "COMMIT"))
            }
            return .unknown(.outcomeUnknown(reason: SQLiteFailure.reason(of: error)))
        }
    }

    /// Runs a statement that begins or ends a transaction or a savepoint.
    func control(_ sql: String) throws(StorageError) {
        try SQLiteFailure.mapping(sql) { try cachedStatement(sql: sql).execute() }
    }

    /// Ends the transaction if one is open.
    func rollBackQuietly() {
        if isInsideTransaction { try? control("ROLLBACK") }
    }

    // MARK: - Values

    /// `?1…?n` are bound as a list. `$1…$n` are names to SQLite, so they are bound by name: SQLite would give a list to
    /// the parameters in the order in which they first appear, and `$2, $1` would silently swap the values.
    private static func arguments(_ bound: BoundStatement) -> StatementArguments {
        let values = bound.values
        if bound.statement.isNumbered { return StatementArguments(values.map(databaseValue)) }
        var named: [String: (any DatabaseValueConvertible)?] = [:]
        named.reserveCapacity(values.count)
        for (index, value) in values.enumerated() {
            named[names[safe: index] ?? String(index + 1)] = databaseValue(value)
        }
        return StatementArguments(named)
    }

    private static let names = (1...64).map(String.init)

    private static func databaseValue(_ value: SQLValue) -> DatabaseValue {
        switch value {
        case .null: .null
        case .boolean(let boolean): (boolean ? 1 : 0).databaseValue
        case .integer(let integer): integer.databaseValue
        case .text(let text): text.databaseValue
        case .bytes(let bytes): Data(bytes).databaseValue
        case .instant(let instant): instant.microseconds.databaseValue
        case .words(let words): words.text.databaseValue
        }
    }

    private static func append(_ value: DatabaseValue, to row: inout RowBuilder) {
        switch value.storage {
        case .null: row.appendNull()
        case .int64(let integer): row.append(integer)
        case .string(let text): row.append(text)
        case .blob(let data): data.withUnsafeBytes { row.append(bytes: $0) }
        // No column holds one; a whole result of an aggregate becomes an integer.
        case .double(let double): row.append(Int64(exactly: double).map(SQLValue.integer) ?? .text(String(double)))
        }
    }
}

extension Array {
    fileprivate subscript(safe index: Int) -> Element? {
        indices.contains(index) ? self[index] : nil
    }
}
