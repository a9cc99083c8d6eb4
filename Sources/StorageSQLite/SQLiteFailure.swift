// From SQLite's result codes to the closed set of storage errors.

internal import GRDB
import Storage

enum SQLiteFailure {
    /// Runs `body` and says in storage's words why it failed.
    static func mapping<T>(_ statement: String, _ body: () throws -> T) throws(StorageError) -> T {
        do {
            return try body()
        } catch {
            throw map(error, statement)
        }
    }

    /// The engine's code as text, for messages; never the statement's values.
    static func code(of error: any Error) -> String {
        guard let error = error as? DatabaseError else { return "unexpected \(type(of: error))" }
        return "SQLite \(error.extendedResultCode.rawValue)"
    }

    private static func map(_ error: any Error, _ statement: String) -> StorageError {
        if let error = error as? StorageError { return error }
        let code = code(of: error)
        guard let error = error as? DatabaseError else { return .statementFailed(statement: statement, code: code) }
        switch error.extendedResultCode {
        case .SQLITE_CONSTRAINT_UNIQUE, .SQLITE_CONSTRAINT_PRIMARYKEY, .SQLITE_CONSTRAINT_ROWID:
            return .uniqueViolation(statement: statement)
        case .SQLITE_CONSTRAINT_FOREIGNKEY: return .foreignKeyViolation(statement: statement)
        case .SQLITE_CONSTRAINT_NOTNULL: return .notNullViolation(statement: statement)
        case .SQLITE_CONSTRAINT_CHECK: return .checkViolation(statement: statement)
        default: break
        }
        switch error.resultCode {
        case .SQLITE_BUSY, .SQLITE_LOCKED: return .conflict(statement: statement, code: code)
        case .SQLITE_FULL, .SQLITE_IOERR, .SQLITE_CANTOPEN, .SQLITE_NOMEM, .SQLITE_PROTOCOL, .SQLITE_INTERRUPT,
            .SQLITE_CORRUPT, .SQLITE_NOTADB:
            return .unavailable(reason: code)
        default: return .statementFailed(statement: statement, code: code)
        }
    }
}
