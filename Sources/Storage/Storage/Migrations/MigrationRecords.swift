// What a copy of a database says about its schema, checked before the copy is restored.

/// A row of `schema_migrations`, from a database or from a dump of one.
package struct MigrationRecord: Sendable, Hashable {
    package let service: String
    package let number: Int
    package let name: String
    package let checksum: String

    package init(service: String, number: Int, name: String, checksum: String) {
        self.service = service
        self.number = number
        self.name = name
        self.checksum = checksum
    }
}

extension Migrator {
    /// The service's migrations that ran in a database, in order.
    package func records(in database: any SQLDatabase) async throws(StorageError) -> [MigrationRecord] {
        try await AppliedMigration.all(of: service, in: database).values.sorted { $0.number < $1.number }.map {
            MigrationRecord(service: service, number: $0.number, name: $0.name, checksum: $0.checksum)
        }
    }

    /// Throws unless all records are of this service.
    package func requireOwn(_ records: [MigrationRecord]) throws(StorageError) {
        guard records.contains(where: { $0.service == service }) else {
            throw .schema(reason: "it holds no tables of \(service)")
        }
        if let other = records.first(where: { $0.service != service }) {
            throw .schema(reason: "it holds tables of \(other.service) too: each service needs its own database")
        }
    }

    /// Throws unless this program knows every migration that ran, unedited. Later ones may be missing: they can be
    /// applied afterwards.
    ///
    /// - Throws: `StorageError.schema`, which names what is not known.
    package func requireKnown(_ records: [MigrationRecord], on engine: SQLEngine) throws(StorageError) {
        let plan = try plan(for: engine)
        try requireOwn(records)
        for record in records {
            guard let known = plan.first(where: { $0.number == record.number }) else {
                throw .schema(reason: "\(record.name) is of a newer program than this one")
            }
            guard known.name == record.name, checksum(of: known) == record.checksum else {
                throw .schema(reason: "\(record.name) is not the migration of that name in this program")
            }
        }
    }

    /// The names of the tables that this service's migrations create, and the migrator's own.
    package func tables(on engine: SQLEngine) throws(StorageError) -> [String] {
        var names = ["schema_migrations"]
        for migration in try plan(for: engine) {
            let sql = try migration.section(.up).sql
            for match in sql.matches(of: /CREATE TABLE (?:IF NOT EXISTS )?([a-z0-9_]+)/) {
                names.append(String(match.1))
            }
        }
        return names
    }

    /// The names of the functions that they create, which are dropped with no table.
    package func functions(on engine: SQLEngine) throws(StorageError) -> [String] {
        var names: [String] = []
        for migration in try plan(for: engine) {
            let sql = try migration.section(.up).sql
            for match in sql.matches(of: /CREATE (?:OR REPLACE )?FUNCTION ([a-z0-9_]+)/)
            where !names.contains(String(match.1)) {
                names.append(String(match.1))
            }
        }
        return names
    }
}
