// Maps SQLite's result codes to the closed set of storage errors.

internal import GRDB
import Storage

enum SQLiteFailure {
    /// Runs `body` and maps its error.
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

    /// The code with SQLite's fixed words for it, such as "SQLite 13 (database or disk is full)".
    static func reason(of error: any Error) -> String {
        guard let error = error as? DatabaseError else { return code(of: error) }
        return "SQLite \(error.extendedResultCode)"
    }

    /// Whether a failed COMMIT, after which SQLite rolled back, certainly left no commit record in the file.
    ///
    /// The rollback does not prove it. A commit in a WAL writes the frames, the last of which is the commit record,
    /// syncs the file, and enters the frames in the shared index. If any of these fails, SQLite rolls back in memory,
    /// and the next commit overwrites the frames. But if the process dies before that, recovery reads the file and
    /// accepts a commit record with a valid checksum (https://www.sqlite.org/walformat.html §4.6).
    ///
    /// SQLITE_FULL comes from the first step alone: a write found no space, so the commit record, which is written
    /// last, is incomplete. A failed sync (SQLITE_IOERR_FSYNC) and an index that could not grow (SQLITE_IOERR_SHMSIZE,
    /// SQLITE_NOMEM) come later. After a write that failed for another reason (SQLITE_IOERR_WRITE), what reached the
    /// file is unknown. SQLITE_CORRUPT_VTAB comes before all of them: a virtual table writes its buffers when a commit
    /// begins (xSync, https://www.sqlite.org/vtab.html §2.16).
    static func leavesNoCommitRecord(_ error: any Error) -> Bool {
        guard let error = error as? DatabaseError else { return false }
        return error.resultCode == .SQLITE_FULL || error.extendedResultCode == .SQLITE_CORRUPT_VTAB
    }

    static func map(_ error: any Error, _ statement: String) -> StorageError {
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
        case .SQLITE_FULL, .SQLITE_IOERR, .SQLITE_CANTOPEN, .SQLITE_NOMEM, .SQLITE_PROTOCOL:
            return .unavailable(reason: reason(of: error))
        // Only a read at its deadline is interrupted (SQLiteReader).
        case .SQLITE_INTERRUPT: return .timedOut(statement: statement)
        case .SQLITE_CORRUPT, .SQLITE_NOTADB:
            let isInVirtualTable = error.extendedResultCode == .SQLITE_CORRUPT_VTAB
            return .damaged(reason: reason(of: error), inVirtualTable: isInVirtualTable)
        default: return .statementFailed(statement: statement, code: code)
        }
    }
}
