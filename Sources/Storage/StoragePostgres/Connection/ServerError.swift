// What a server's error means for the caller.
//
// The SQLSTATE decides. Messages may quote values and are dropped, except those of class 42, which quote only our own
// SQL.

import Storage

/// An error that the server sent.
struct ServerError: Sendable {
    /// Five characters, for example `23505`.
    let sqlState: String
    /// Only for class 42 (syntax and names).
    let message: String?

    /// Another session held a lock, or the order of locks was unlucky: worth another try.
    var isConflict: Bool {
        switch sqlState {
        case "40001", "40P01", "55P03": true
        default: false
        }
    }

    /// The statement took longer than the session allows, or was cancelled.
    var isCancelled: Bool { sqlState == "57014" }

    /// The prepared statement is missing, or was planned for a table that has changed since.
    var isStalePlan: Bool { sqlState == "0A000" || sqlState == "26000" }

    /// The server takes no writes: it is a standby, or was made read-only. Nothing was committed, and another host may
    /// take the transaction.
    var isReadOnlyServer: Bool { sqlState == "25006" }

    func storageError(_ statement: String) -> StorageError {
        switch sqlState {
        case "23505": return .uniqueViolation(statement: statement)
        case "23503": return .foreignKeyViolation(statement: statement)
        case "23502": return .notNullViolation(statement: statement)
        case "23514": return .checkViolation(statement: statement)
        case _ where isCancelled: return .timedOut(statement: statement)
        case _ where isConflict: return .conflict(statement: statement, code: sqlState)
        default: break
        }
        switch sqlState.prefix(2) {
        // Lost connection; out of disk, memory or connections; shutdown; an I/O error of the server.
        case "08", "53", "57", "58": return .unavailable(reason: "\(statement) ended with \(sqlState)")
        default:
            return .statementFailed(statement: statement, code: message.map { "\(sqlState): \($0)" } ?? sqlState)
        }
    }
}
