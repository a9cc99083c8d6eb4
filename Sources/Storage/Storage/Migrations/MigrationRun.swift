// The part of the migrator that runs on the engine's thread, under the migration lock.

/// A row of `schema_migrations`.
struct AppliedMigration: Sendable {
    let number: Int
    let name: String
    let checksum: String
    let appliedAt: Instant

    init(_ row: Row) throws(StorageError) {
        number = try row.int("number")
        name = try row.text("name")
        checksum = try row.text("checksum")
        appliedAt = try row.instant("applied_at")
    }

    /// What ran in a database, by number; empty if it was never migrated.
    static func all(of service: String, in database: any SQLDatabase) async throws(StorageError) -> [Int:
        AppliedMigration]
    {
        let exists =
            switch database.engine {
            case .sqlite: MigrationStatements.tableExistsInSQLite
            case .postgres: MigrationStatements.tableExistsInPostgres
            }
        guard try await database.run(exists.bind()).first != nil else { return [:] }
        return try byNumber(await database.run(MigrationStatements.applied(of: service)))
    }

    static func byNumber(_ result: SQLResult) throws(StorageError) -> [Int: AppliedMigration] {
        var applied: [Int: AppliedMigration] = [:]
        for row in result.rows {
            let migration = try AppliedMigration(row)
            applied[migration.number] = migration
        }
        return applied
    }
}

/// Executes migrations on the connection that holds the lock.
struct MigrationRun {
    let connection: any SQLMigrationConnection
    let engine: SQLEngine
    let migrator: Migrator

    /// Creates the table if it is missing, and reads it.
    func prepare() throws(StorageError) -> [Int: AppliedMigration] {
        try connection.execute(
            script: MigrationSection(sql: MigrationStatements.table, usesTransaction: true).script(for: engine)
        )
        return try applied()
    }

    /// Applies a migration and records it; false when another process was faster.
    func apply(_ migration: Migration) throws(StorageError) -> Bool {
        try step(migration, .up) { () throws(StorageError) in
            try record(migration)
        } isDone: { () throws(StorageError) in
            try applied()[migration.number] != nil
        }
    }

    /// Reverts a migration and deletes its record; false when another process was faster.
    func revert(_ migration: Migration) throws(StorageError) -> Bool {
        try step(migration, .down) { () throws(StorageError) in
            try connection.run(MigrationStatements.forget(number: migration.number, of: migrator.service))
        } isDone: { () throws(StorageError) in
            try applied()[migration.number] == nil
        }
    }

    func record(_ migration: Migration) throws(StorageError) {
        let statement = MigrationStatements.record(
            migration: migration,
            of: migrator.service,
            checksum: migrator.checksum(of: migration),
            at: migrator.clock()
        )
        try connection.run(statement)
    }

    private func applied() throws(StorageError) -> [Int: AppliedMigration] {
        try AppliedMigration.byNumber(connection.run(MigrationStatements.applied(of: migrator.service)))
    }

    private func step(
        _ migration: Migration,
        _ direction: Migration.Direction,
        record: () throws(StorageError) -> Void,
        isDone: () throws(StorageError) -> Bool
    ) throws(StorageError) -> Bool {
        let section = try migration.section(direction)
        let script = try section.script(for: engine)
        if engine == .postgres, !section.usesTransaction {
            // Nothing ties the section to its record here. If the process dies between the two, the operator sees the
            // statement's own "already exists" and stamps the migration.
            guard try !isDone() else { return false }
            let isMade = try ConcurrentIndex(script)?.isDone(on: connection) ?? false
            if !isMade { try connection.execute(script: script) }
            try record()
            return true
        }
        try connection.execute(script: engine == .sqlite ? "BEGIN IMMEDIATE" : "BEGIN")
        do throws(StorageError) {
            // SQLite's lock is the transaction itself, so only now is it certain that no other process was faster.
            guard try !isDone() else {
                try connection.execute(script: "ROLLBACK")
                return false
            }
            try connection.execute(script: script)
            try record()
            try checkForeignKeys(after: migration)
            try connection.execute(script: "COMMIT")
            return true
        } catch {
            // The first error is the one to report; a lost connection rolls back by itself.
            _ = try? connection.execute(script: "ROLLBACK")
            throw error
        }
    }

    /// SQLite migrates with foreign keys off, because dropping a parent to rebuild it would delete its children. So
    /// this checks before the commit that every child still has its parent.
    private func checkForeignKeys(after migration: Migration) throws(StorageError) {
        guard engine == .sqlite else { return }
        let violations = try connection.run(MigrationStatements.foreignKeyCheck.bind()).rows
        guard let first = violations.first else { return }
        let (child, parent) = (try first.text("table"), try first.text("parent"))
        throw .schema(
            reason:
                "\(migration.name) leaves \(violations.count) rows without parent, first in \(child) towards \(parent)"
        )
    }
}

/// SQL of the migrator's own table.
private enum MigrationStatements {
    static let table = """
        CREATE TABLE IF NOT EXISTS schema_migrations (
            service    {{text}} NOT NULL,
            number     {{integer}} NOT NULL,
            name       {{text}} NOT NULL,
            checksum   {{text}} NOT NULL,
            applied_at {{instant}} NOT NULL,
            PRIMARY KEY (service, number)
        ){{table}}
        """

    static let tableExistsInSQLite = Statement(
        "migrations.table_exists_sqlite",
        .reads,
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'schema_migrations'"
    )

    static let tableExistsInPostgres = Statement(
        "migrations.table_exists_postgres",
        .reads,
        "SELECT relname FROM pg_class WHERE oid = to_regclass('schema_migrations')"
    )

    private static let applied = Statement(
        "migrations.applied",
        .reads,
        ["service": .text],
        "SELECT number, name, checksum, applied_at FROM schema_migrations WHERE service = :service ORDER BY number"
    )

    private static let record = Statement(
        "migrations.record",
        .writes,
        ["service": .text, "number": .integer, "name": .text, "checksum": .text, "at": .instant],
        """
        INSERT INTO schema_migrations (service, number, name, checksum, applied_at)
        VALUES (:service, :number, :name, :checksum, :at)
        """
    )

    private static let forget = Statement(
        "migrations.forget",
        .writes,
        ["service": .text, "number": .integer],
        "DELETE FROM schema_migrations WHERE service = :service AND number = :number"
    )

    static let foreignKeyCheck = Statement("migrations.foreign_key_check", .reads, "PRAGMA foreign_key_check")

    static func applied(of service: String) -> BoundStatement { applied.bind(["service": service]) }

    static func record(
        migration: Migration,
        of service: String,
        checksum: String,
        at instant: Instant
    ) -> BoundStatement {
        record.bind([
            "service": service, "number": migration.number, "name": migration.name, "checksum": checksum,
            "at": instant,
        ])
    }

    static func forget(number: Int, of service: String) -> BoundStatement {
        forget.bind(["service": service, "number": number])
    }
}
