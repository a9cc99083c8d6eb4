// Restores a SQLite file: prepares a file beside it, then moves the content in with one transaction.
//
// Auth's new epoch begins in the file beside, so the backup's sessions are never valid in the database.
// SQLiteBackup.swift explains why the target is replaced in place.
import AuthService
import ChatService
import Foundation
import Logging
import Storage
import StorageSQLite
import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

struct SQLiteRestore {
    let service: MigrateCommand.Service
    let target: String
    let source: String
    let file: BackupManifest.File
    let logger: Logger
    let progress: ProgressDisplay

    private let lock = RestoreLock()

    private var beside: String { "\(target).restoring" }

    /// Copies the backup beside the target and checks it. The target is only read.
    func prepare() async throws -> RestoreTarget {
        try PrivateFiles.makeFolder(URL(filePath: target).deletingLastPathComponent().path)
        try lock.take(beside)
        removeLogs()
        var found = RestoreTarget(isEmpty: true, globalVersion: nil)
        let attributes = try? FileManager.default.attributesOfItem(atPath: target)
        if let size = attributes?[.size] as? NSNumber, size.intValue > 0 {
            do {
                try await SQLiteBackup.requireUnused(target)
            } catch SQLiteBackupError.inUse {
                throw StartFailure("\(target) is in use: another process has it open")
            } catch let error as SQLiteBackupError {
                throw StartFailure("\(target): \(error); move it away, with its -wal and -shm, and restore again")
            }
            found = try await RestoreTarget.inspect(.sqlite(path: target), service, logger: logger)
        }
        let label = service.rawValue
        let digest = try await FileDigest.compute(source, copyingTo: beside) { [progress, file] done in
            progress.show("\(label): check", done: done, total: max(done, file.bytes))
        }
        guard digest.sha256 == file.sha256 else { throw StartFailure("\(file.name) is not what was backed up") }
        do {
            try await SQLiteBackup.check(beside)
        } catch let error as SQLiteBackupError {
            throw StartFailure("\(file.name): \(error)")
        }
        try await MigrateCommand.with(service, at: .sqlite(path: beside), logger) { opened in
            try opened.migrator.requireKnown(await ServiceDatabase.records(in: opened.database), on: .sqlite)
        }
        return found
    }

    func apply(replacing found: RestoreTarget) async throws -> String? {
        var epoch: String?
        if service == .auth {
            try await MigrateCommand.with(service, at: .sqlite(path: beside), logger) { opened in
                epoch = try await Recovery(database: opened.database)
                    .begin(after: .restore, replacing: found.globalVersion)
            }
        } else {
            try await MigrateCommand.with(service, at: .sqlite(path: beside), logger) { opened in
                let applied = try await opened.migrator.status(opened.database).filter { $0.appliedAt != nil }
                if applied.contains(where: { $0.name.hasSuffix(ChangeHistory.migration) }) {
                    try await ChangeHistory.begin(in: opened.database)
                }
            }
        }
        try await SQLiteBackup.check(beside)
        try PrivateFiles.makeFile(target)
        let label = service.rawValue
        do {
            try await SQLiteBackup.replace(target, with: beside) { [progress] done, total in
                progress.show("\(label): restore", done: done, total: total)
            }
        } catch SQLiteBackupError.inUse {
            throw StartFailure("\(target) is in use: another process has it open")
        }
        discard()
        return epoch
    }

    /// Removes the file beside the target, unless another restore owns it.
    func discard() {
        guard lock.isHeld else { return }
        removeLogs()
        unlink(beside)
        lock.release()
    }

    /// From a run that was killed.
    private func removeLogs() {
        for suffix in ["-wal", "-shm", "-journal"] { unlink(beside + suffix) }
    }
}

/// Excludes a second restore from the prepared file. The process's end, in any way, releases the lock.
private final class RestoreLock: Sendable {
    private let descriptor = Mutex<Int32?>(nil)

    var isHeld: Bool { descriptor.withLock { $0 != nil } }

    /// Makes the file (0600), or empties one that a killed run left.
    func take(_ path: String) throws {
        let opened = Glibc.open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard opened >= 0 else { throw StartFailure("\(path) cannot be made: \(String(cString: strerror(errno)))") }
        // SQLite uses other locks, which this one does not affect.
        guard flock(opened, LOCK_EX | LOCK_NB) == 0, ftruncate(opened, 0) == 0 else {
            close(opened)
            throw StartFailure("another restore is at work on \(path)")
        }
        descriptor.withLock { $0 = opened }
    }

    func release() {
        descriptor.withLock { held in
            if let held { close(held) }
            held = nil
        }
    }

    deinit { release() }
}
