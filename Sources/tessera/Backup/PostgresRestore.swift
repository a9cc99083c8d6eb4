// Restores a PostgreSQL database: the dump's script and auth's new epoch, in one transaction.
//
// The script passes through this process, which sends COMMIT last. `psql --single-transaction` would commit at the end
// of its input, and it sees that end also when this process dies in the middle.
import AuthService
import ChatService
import Foundation
import Logging
import Storage
import StoragePostgres

struct PostgresRestore {
    let service: MigrateCommand.Service
    let target: String
    let schema: String
    let source: String
    let file: BackupManifest.File
    let logger: Logger
    let progress: ProgressDisplay

    /// Checks the backup and the target without a change.
    func prepare() async throws -> RestoreTarget {
        let label = service.rawValue
        let digest = try await FileDigest.compute(source) { [progress, file] done in
            progress.show("\(label): check", done: done, total: max(done, file.bytes))
        }
        guard digest.sha256 == file.sha256 else { throw StartFailure("\(file.name) is not what was backed up") }
        let archive = PostgresArchive(path: source)
        try await archive.check()
        let backup = try await archive.migrations()
        try ServiceDatabase.migrator(of: label).requireKnown(backup.records, on: .postgres)
        guard backup.schema == schema else {
            let key = DatabaseSettings.schemaKey(of: label).name
            throw StartFailure(
                "the backup's tables are in the schema \(backup.schema), and this database's in \(schema): "
                    + "\(key)=\(backup.schema) restores them there"
            )
        }
        var found = RestoreTarget(isEmpty: true, globalVersion: nil)
        if try await PostgresCreation.hasSchema(schema, at: target) {
            let url = DatabaseURL.postgres(url: target, schema: .named(schema))
            found = try await RestoreTarget.inspect(url, service, logger: logger)
        }
        // Checked for every service before one of them is replaced, and again when that begins.
        try await tools().run { send in
            try send(Data(PostgresScript.requireUnused.utf8))
        }
        return found
    }

    func apply(replacing found: RestoreTarget) async throws -> String? {
        let tools = try tools()
        let epoch = service == .auth ? NewEpoch(after: .restore, replacing: found.globalVersion) : nil
        let before = try opening()
        let after =
            try epoch.map { try PostgresScript.text(of: $0.transaction.statements) } ?? ChangeHistory.postgresScript
        let label = service.rawValue
        try await tools.run { [progress, source, schema] send in
            try send(Data(before.utf8))
            try PostgresArchive(path: source).script(of: schema, to: send) { bytes in
                progress.show("\(label): restore", done: bytes)
            }
            // A dump's script empties the search path.
            try send(Data("\(PostgresScript.setSearchPath(schema))\n\(after)COMMIT;\n".utf8))
        }
        // A dump has no statistics, and plans are slow until autovacuum runs. A failure does no harm.
        try? await tools.run { send in try send(Data(TableStatistics.refreshScript.utf8)) }
        return epoch?.name
    }

    private func tools() throws -> PostgresTools {
        try PostgresTools(url: target, schema: schema, as: "tessera restore")
    }

    /// Comes before the dump's script. It requires exclusive use of the database and drops the tables of a newer
    /// schema, which would conflict with a later migration.
    private func opening() throws -> String {
        let migrator = try ServiceDatabase.migrator(of: service.rawValue)
        let tables = try migrator.tables(on: .postgres)
        let functions = try migrator.functions(on: .postgres)
        let dropFunctions = functions.map { "DROP FUNCTION IF EXISTS \($0) CASCADE;" }.joined(separator: "\n")
        return """
            BEGIN;
            SET client_min_messages = warning;
            SET LOCAL lock_timeout = '30s';
            \(PostgresScript.takeMigrationLock)
            \(PostgresScript.requireUnused)
            \(PostgresScript.makeSchema(schema))
            DROP TABLE IF EXISTS \(tables.joined(separator: ", ")) CASCADE;
            \(dropFunctions)

            """
    }
}
