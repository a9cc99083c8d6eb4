// Backs up each service's database into one folder. The folder is called `….partial-…` until all of it is on disk, so
// that an incomplete backup is never taken for one.
import Foundation
import Logging
import OpenSSLCrypto
import ServiceKit
import Storage
import StorageSQLite

#if canImport(Glibc)
    import Glibc
#endif

struct BackupSet {
    typealias Service = MigrateCommand.Service

    let settings: Settings
    let logger: Logger
    let progress: ProgressDisplay

    /// Backs up into a new folder at `path`; `force` replaces an earlier backup.
    func take(_ services: [Service], to path: String, force: Bool) async throws -> BackupManifest {
        try refuseToOverwrite(path, force: force)
        let path = path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path
        let parent = URL(filePath: path).deletingLastPathComponent().path
        try PrivateFiles.makeFolder(parent)
        let partial = "\(path).partial-\(Hex.encode(RandomSource.system.bytes(4)))"
        try PrivateFiles.makeFolder(partial)
        do {
            var files: [BackupManifest.File] = []
            for service in services { files.append(try await back(up: service, in: partial)) }
            let manifest = BackupManifest(files: files, at: Clock.system.now())
            try PrivateFiles.write(try manifest.text, to: "\(partial)/\(BackupManifest.name)")
            try PrivateFiles.synchronize(partial)
            try publish(partial, as: path)
            try PrivateFiles.synchronize(parent)
            return manifest
        } catch {
            try? FileManager.default.removeItem(atPath: partial)
            throw error
        }
    }

    private func refuseToOverwrite(_ path: String, force: Bool) throws {
        guard FileManager.default.fileExists(atPath: path) else { return }
        if let names = try? FileManager.default.contentsOfDirectory(atPath: path), names.isEmpty { return }
        guard force else { throw StartFailure("\(path) exists; --force replaces an earlier backup") }
        guard try BackupManifest.read(path) != nil else {
            throw StartFailure("\(path) is no backup of tessera, so --force does not replace it")
        }
    }

    /// The rename itself replaces an empty folder (POSIX rename).
    private func publish(_ partial: String, as path: String) throws {
        guard rename(partial, path) != 0 else { return }
        guard errno == ENOTEMPTY || errno == EEXIST else {
            throw StartFailure("\(path) cannot be made: \(String(cString: strerror(errno)))")
        }
        let old = "\(path).replaced-\(Hex.encode(RandomSource.system.bytes(4)))"
        guard rename(path, old) == 0, rename(partial, path) == 0 else {
            throw StartFailure("\(path) cannot be replaced: \(String(cString: strerror(errno)))")
        }
        try? FileManager.default.removeItem(atPath: old)
    }

    private func back(up service: Service, in folder: String) async throws -> BackupManifest.File {
        let label = service.rawValue
        do {
            let url = try service.url(settings)
            let name: String
            let records: [MigrationRecord]
            switch url {
            case .sqlite(let path):
                name = "\(label).sqlite"
                records = try await copy(sqlite: path, service, to: "\(folder)/\(name)")
            case .postgres(let text, let schema):
                name = "\(label).pgdump"
                records = try await dump(postgres: text, schema, service, to: "\(folder)/\(name)")
            }
            let digest = try await FileDigest.compute("\(folder)/\(name)")
            progress.show(label, done: digest.bytes, total: digest.bytes)
            progress.finish()
            return BackupManifest.File(
                service: label,
                engine: url.engine.rawValue,
                name: name,
                bytes: digest.bytes,
                sha256: digest.sha256,
                migrations: records.map(\.name)
            )
        } catch {
            progress.finish()
            throw StartFailure("\(label): \(Self.reason(error))")
        }
    }

    private func copy(sqlite path: String, _ service: Service, to copy: String) async throws -> [MigrationRecord] {
        // Opening the database would create it.
        guard FileManager.default.fileExists(atPath: path) else {
            throw StartFailure("there is no database at \(path); --service backs up one service alone")
        }
        try PrivateFiles.makeFile(copy)
        try await SQLiteBackup.copy(from: path, to: copy) { [progress] done, total in
            progress.show(service.rawValue, done: done, total: total)
        }
        let opened = try await ServiceDatabase.open(.sqlite(path: copy), service: service.rawValue, logger: logger)
        let records: [MigrationRecord]
        do {
            records = try await ServiceDatabase.records(in: opened.database)
            try opened.migrator.requireOwn(records)
        } catch {
            await opened.database.close()
            throw error
        }
        await opened.database.close()
        // Opening it made it a database with a WAL again.
        try await SQLiteBackup.check(copy)
        return records
    }

    private func dump(
        postgres url: String,
        _ schema: DatabaseSchema,
        _ service: Service,
        to path: String
    ) async throws -> [MigrationRecord] {
        try PrivateFiles.makeFile(path)
        let name: String?
        do {
            name = try await schema.resolve(at: url, for: service.rawValue)
        } catch StorageError.unavailable {
            // pg_dump says why, and what else it misses.
            name = nil
        }
        try await PostgresTools(url: url, schema: name, as: "tessera backup").dump(to: path) {
            [progress] bytes, table in
            progress.show(service.rawValue, done: bytes, remark: table)
        }
        let archive = PostgresArchive(path: path)
        try await archive.check()
        let records = try await archive.migrations().records
        try ServiceDatabase.migrator(of: service.rawValue).requireOwn(records)
        return records
    }

    static func reason(_ error: any Error) -> String {
        switch error {
        case StorageError.schema(let reason): reason
        case StorageError.unavailable(let reason): reason
        case let error as CocoaError: error.localizedDescription
        default: "\(error)"
        }
    }
}
