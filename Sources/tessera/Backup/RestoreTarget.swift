// The database that a restore will replace, inspected before any change.
import AuthService
import Logging
import Storage
import StoragePostgres
import StorageSQLite

struct RestoreTarget: Sendable {
    let isEmpty: Bool
    /// The version in auth's newest tokens, as this database knows it.
    let globalVersion: Int64?

    /// Throws if the database holds anything but this service, or a newer schema than this program's.
    static func inspect(_ url: DatabaseURL, _ service: MigrateCommand.Service, logger: Logger) async throws
        -> RestoreTarget
    {
        var target: RestoreTarget?
        try await MigrateCommand.with(service, at: url, logger) { opened in
            target = try await inspect(opened, service)
        }
        return target ?? RestoreTarget(isEmpty: true, globalVersion: nil)
    }

    static func inspect(_ opened: ServiceDatabase, _ service: MigrateCommand.Service) async throws -> RestoreTarget {
        let database = opened.database
        let anyTable =
            switch database.engine {
            case .sqlite: SQLiteBackup.anyTable
            case .postgres: PostgresScript.anyTable
            }
        if try await database.run(anyTable.bind()).isEmpty { return RestoreTarget(isEmpty: true, globalVersion: nil) }
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
