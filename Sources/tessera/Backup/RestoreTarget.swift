// The database that a restore will replace, looked at before anything is touched.
import AuthService
import Logging
import Storage
import StoragePostgres
import StorageSQLite

struct RestoreTarget: Sendable {
    /// Holds no table at all.
    let isEmpty: Bool
    /// The version that auth's newest tokens carry, as far as this database knows.
    let globalVersion: Int64?

    /// Throws when the database holds anything but this service, or more of it than this program knows.
    static func inspect(_ url: DatabaseURL, _ service: MigrateCommand.Service, logger: Logger) async throws
        -> RestoreTarget
    {
        var target: RestoreTarget?
        try await MigrateCommand.with(service, at: url, logger) { opened in
            target = try await inspect(opened, service)
        }
        return target ?? RestoreTarget(isEmpty: true, globalVersion: nil)
    }

    /// The same for a database that is open.
    static func inspect(_ opened: ServiceDatabase, _ service: MigrateCommand.Service) async throws -> RestoreTarget {
        let database = opened.database
        let anyTable =
            switch database.engine {
            case .sqlite: SQLiteBackup.anyTable
            case .postgres: PostgresScript.anyTable
            }
        if try await database.run(anyTable()).isEmpty { return RestoreTarget(isEmpty: true, globalVersion: nil) }
        let status = try await opened.migrator.status(database).filter { $0.appliedAt != nil }
        guard !status.isEmpty else {
            throw StartFailure("the database there holds tables, but not those of \(service.rawValue)")
        }
        if let newer = status.first(where: { !$0.isKnown }) {
            throw StartFailure("\(newer.name) there is of a newer tessera: use that one, or an empty database")
        }
        try opened.migrator.requireOwn(try await ServiceDatabase.records(in: database))
        let version = service == .auth ? try await Recovery(database: database).globalVersion() : nil
        return RestoreTarget(isEmpty: false, globalVersion: version)
    }
}
