// The closed set of storage errors.
//
// Descriptions name the statement and the engine's code, never a value: an error may be logged.

/// Why a transaction failed.
package enum StorageError: Error, Sendable, Hashable, CustomStringConvertible {
    /// A uniqueness rule refused the row. Transactions that callers can provoke use `ON CONFLICT DO NOTHING` instead.
    case uniqueViolation(statement: String)
    case foreignKeyViolation(statement: String)
    case notNullViolation(statement: String)
    case checkViolation(statement: String)
    /// Values do not fit the statement's declaration: a mistake of ours, or U+0000 that an edge let through.
    case invalidBinding(statement: String, reason: String)
    /// A row lacked the column or type that the code asked for, which is a mistake of ours, or its text is not UTF-8.
    case invalidRow(column: String)
    /// The engine refused the statement for another reason. `code` is the SQLSTATE or the SQLite result code.
    case statementFailed(statement: String, code: String)
    /// Known not committed, and worth another try: serialization failure, deadlock, lock timeout, busy.
    case conflict(statement: String, code: String)
    /// The database cannot be reached, or the transaction waited too long. Nothing was committed.
    case unavailable(reason: String)
    /// The statement ran for longer than its connection allows. Nothing was committed.
    case timedOut(statement: String)
    /// SQLite found a record or page that it did not write. Nothing was committed. The fault may lie in a table or in
    /// an index that is derived from one. `inVirtualTable`: SQLite said that it lies in a virtual table.
    case damaged(reason: String, inVirtualTable: Bool)
    /// The engine's queue is full. Nothing was sent.
    case overloaded
    /// There was no memory for what the statements return. Nothing was changed.
    case memoryExhausted
    /// The caller was cancelled while the transaction waited. Nothing was sent.
    case cancelled
    /// The connection was lost after the commit was sent, so the commit may have taken effect.
    case outcomeUnknown(reason: String)
    /// The database's schema is not what this program needs, or a migration was edited after it ran.
    case schema(reason: String)

    package var description: String {
        switch self {
        case .uniqueViolation(let statement): "unique violation in \(statement)"
        case .foreignKeyViolation(let statement): "foreign key violation in \(statement)"
        case .notNullViolation(let statement): "not-null violation in \(statement)"
        case .checkViolation(let statement): "check violation in \(statement)"
        case .invalidBinding(let statement, let reason): "invalid binding in \(statement): \(reason)"
        case .invalidRow(let column): "column \(column) is missing, of another type, or not UTF-8"
        case .statementFailed(let statement, let code): "\(statement) failed with \(code)"
        case .conflict(let statement, let code): "\(statement) conflicted (\(code))"
        case .unavailable(let reason): "database unavailable: \(reason)"
        case .timedOut(let statement): "\(statement) took too long"
        case .damaged(let reason, _): "database damaged: \(reason)"
        case .overloaded: "database queue is full"
        case .memoryExhausted: "no memory for the results"
        case .cancelled: "cancelled while waiting for the database"
        case .outcomeUnknown(let reason): "outcome unknown: \(reason)"
        case .schema(let reason): "schema: \(reason)"
        }
    }
}
