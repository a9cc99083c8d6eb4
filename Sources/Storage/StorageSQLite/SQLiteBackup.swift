// Copies and replaces a SQLite database that is in service, through SQLite's backup API
// (https://sqlite.org/backup.html).
//
// The source of a copy is read in one transaction. Otherwise SQLite would start over at every commit of another
// process, and never finish under constant load. The price is that the WAL cannot be reset meanwhile and grows.
//
// A file is replaced in place, inside one transaction of its own journal, and not by a rename. A process that dies in
// the middle leaves a hot journal, with which the next to open the file restores the old contents. No process can be
// left with a descriptor of a file that has no name any more, and no WAL of the old file can be applied to the new one.

internal import Foundation
internal import GRDB
package import Storage

/// Why a file could not be copied or replaced.
package enum SQLiteBackupError: Error, Sendable, Hashable, CustomStringConvertible {
    /// Another process has the database open.
    case inUse
    /// SQLite cannot read the file, or its own check found it damaged.
    case damaged(String)

    package var description: String {
        switch self {
        case .inUse: "another process has it open"
        case .damaged(let what): "it is damaged or no SQLite database (\(what))"
        }
    }
}

package enum SQLiteBackup {
    /// Called with the bytes done and the bytes in all; on another thread.
    package typealias Progress = @Sendable (_ done: Int, _ total: Int) -> Void

    /// Whether a database holds anything at all.
    package static let anyTable = Statement(
        "backup.any_table_sqlite",
        .reads,
        "SELECT name FROM sqlite_master LIMIT 1"
    )

    private static let pagesPerStep: CInt = 256

    /// Copies the database, which other processes may be writing to, into an empty file, as it is at one moment after
    /// the call. When this returns, the copy is checked, complete in one file, and on disk.
    package static func copy(from source: String, to destination: String, progress: @escaping Progress) async throws {
        try await OwnThread.run("sqlite-backup") {
            try mapping(source) {
                let from = try DatabaseQueue(path: source, configuration: settings(wait: 30))
                let to = try DatabaseQueue(path: destination, configuration: settings(wait: 0))
                try from.writeWithoutTransaction { db in
                    try db.execute(sql: "BEGIN DEFERRED")
                    // The first read takes the snapshot.
                    _ = try Int.fetchOne(db, sql: "SELECT COUNT(*) FROM sqlite_master")
                    try move(db, to, progress)
                    try db.execute(sql: "COMMIT")
                }
                try to.close()
                try from.close()
            }
            try seal(destination)
        }
    }

    /// Makes the file complete without others beside it. Throws if SQLite finds anything wrong with it.
    package static func check(_ path: String) async throws {
        try await OwnThread.run("sqlite-check") { try seal(path) }
    }

    /// Throws `inUse` while another process has the database open. A remaining WAL is moved into the file.
    package static func requireUnused(_ path: String) async throws {
        try await OwnThread.run("sqlite-lock") {
            try mapping(path) {
                let queue = try DatabaseQueue(path: path, configuration: settings(wait: 2))
                try takeAlone(queue)
                try queue.close()
            }
        }
    }

    /// Replaces the contents of `target` by those of `source` in one transaction, while no other process has it open.
    package static func replace(_ target: String, with source: String, progress: @escaping Progress) async throws {
        try await OwnThread.run("sqlite-restore") {
            try mapping(target) {
                let from = try DatabaseQueue(path: source, configuration: settings(wait: 0))
                let to = try DatabaseQueue(path: target, configuration: settings(wait: 2))
                try takeAlone(to)
                try from.writeWithoutTransaction { db in try move(db, to, progress) }
                try to.close()
                try from.close()
            }
        }
    }

    // MARK: - Steps

    private static func move(_ db: Database, _ to: DatabaseQueue, _ progress: @escaping Progress) throws {
        let pageSize = try Int.fetchOne(db, sql: "PRAGMA page_size") ?? 4096
        try to.writeWithoutTransaction { destination in
            try db.backup(to: destination, pagesPerStep: pagesPerStep) { step in
                progress(step.completedPageCount * pageSize, step.totalPageCount * pageSize)
            }
        }
    }

    /// Leaves the connection with the exclusive lock of the file until it closes. In WAL mode every open connection
    /// holds a shared lock on the file, so this fails while there is another one, idle or not.
    private static func takeAlone(_ queue: DatabaseQueue) throws {
        try queue.writeWithoutTransaction { db in
            try db.execute(sql: "PRAGMA locking_mode = EXCLUSIVE")
            guard try String.fetchOne(db, sql: "PRAGMA journal_mode = DELETE") == "delete" else {
                throw SQLiteBackupError.inUse
            }
            // EXTRA: the transaction ends with the removal of its journal, which is on disk when it returns.
            try db.execute(sql: "PRAGMA synchronous = EXTRA")
            try db.execute(sql: "BEGIN EXCLUSIVE; COMMIT")
        }
    }

    private static func seal(_ path: String) throws {
        try mapping(path) {
            let queue = try DatabaseQueue(path: path, configuration: settings(wait: 0))
            try queue.writeWithoutTransaction { db in
                _ = try String.fetchOne(db, sql: "PRAGMA journal_mode = DELETE")
                let violations = try String.fetchAll(db, sql: "PRAGMA integrity_check(1)")
                guard violations == ["ok"] else {
                    throw SQLiteBackupError.damaged("integrity_check")
                }
                guard try GRDB.Row.fetchOne(db, sql: "PRAGMA foreign_key_check") == nil else {
                    throw SQLiteBackupError.damaged("foreign_key_check")
                }
            }
            try queue.close()
        }
    }

    private static func settings(wait seconds: Double) -> GRDB.Configuration {
        var settings = GRDB.Configuration()
        settings.busyMode = seconds > 0 ? .timeout(seconds) : .immediateError
        settings.foreignKeysEnabled = false
        settings.allowsUnsafeTransactions = true
        settings.label = "tessera.sqlite.backup"
        return settings
    }

    private static func mapping<T>(_ path: String, _ body: () throws -> T) throws -> T {
        do {
            return try body()
        } catch let error as DatabaseError {
            switch error.resultCode {
            case .SQLITE_BUSY, .SQLITE_LOCKED: throw SQLiteBackupError.inUse
            case .SQLITE_NOTADB, .SQLITE_CORRUPT: throw SQLiteBackupError.damaged(SQLiteFailure.code(of: error))
            case .SQLITE_FULL: throw StorageError.unavailable(reason: "the disk is full")
            default: throw StorageError.unavailable(reason: SQLiteFailure.code(of: error))
            }
        }
    }
}
