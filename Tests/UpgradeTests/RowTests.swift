import Embedded
import Storage
import TestSupport
import Testing

@Suite("Upgrade: rows")
struct RowTests {
    @Test("there is a fixture, and each loads with every row that its maker counted", arguments: TestEngine.allCases)
    func complete(engine: TestEngine) async throws {
        #expect(Fixture.all.map(\.name).contains("turn1"))
        for fixture in Fixture.all {
            for (service, counts) in try fixture.facts(engine).rows {
                try await fixture.withRows(engine, service) { database async throws in
                    let rows = try await TableRows.read(database)
                    #expect(rows.counts.filter { $0.key != "sqlite_sequence" } == counts, "\(fixture.name) \(service)")
                }
            }
        }
    }

    @Test("its schema is the one that its migrations make", arguments: Fixture.all, TestEngine.allCases)
    func schemas(fixture: Fixture, engine: TestEngine) async throws {
        for service in ["auth", "chat"] {
            try await fixture.withRows(engine, service) { rows async throws in
                let migrator = Migrator.testing(service: service, migrations: try EmbeddedFile.migrations())
                let applied = try await migrator.status(rows).filter { $0.appliedAt != nil }.map(\.number)
                let last = try #require(applied.max())
                let left = try await SchemaText.read(rows)
                try await withEmptyDatabase(engine) { fresh async throws in
                    try await migrator.up(fresh.database, to: last)
                    let made = try await SchemaText.read(fresh.database)
                    #expect(left.symmetricDifference(made) == [], "\(service)")
                }
            }
        }
    }

    @Test(
        "each row reads the same after migrating up, and after migrating down again, to the schema of before",
        arguments: Fixture.all,
        TestEngine.allCases
    )
    func upAndDown(fixture: Fixture, engine: TestEngine) async throws {
        for service in ["auth", "chat"] {
            try await fixture.withRows(engine, service) { database async throws in
                // One more than exists, so that there is always one to go up and down.
                let migrations = try EmbeddedFile.migrations() + [Self.probe(service)]
                let migrator = Migrator.testing(service: service, migrations: migrations)
                let rows = try await TableRows.read(database)
                let schema = try await SchemaText.read(database)

                let applied = try await migrator.up(database)
                #expect(applied.last == "\(service)_9999_probe")
                try await migrator.requireCurrent(database)
                #expect(rows.differences(to: try await TableRows.read(database, as: rows)) == [])
                #expect(try await SchemaText.read(database) != schema)

                try await migrator.down(database, steps: applied.count)
                #expect(rows.differences(to: try await TableRows.read(database)) == [])
                #expect(try await TableRows.read(database).columns == rows.columns)
                #expect(try await SchemaText.read(database).symmetricDifference(schema) == [])
            }
        }
    }

    /// A typical migration: a column filled from another, a table, an index.
    private static func probe(_ service: String) throws -> Migration {
        let (table, column) = service == "auth" ? ("users", "created_at") : ("conversations", "created_at")
        return try Migration(
            fileName: "\(service)_9999_probe.sql",
            source: """
                -- migrate:up
                ALTER TABLE \(table) ADD COLUMN probe {{instant}};
                UPDATE \(table) SET probe = \(column);
                CREATE INDEX \(table)_probe ON \(table) (probe);
                CREATE TABLE probes (seq {{sequence}}, said {{text}} NOT NULL){{table}};
                INSERT INTO probes (said) VALUES ('once');
                -- migrate:down
                DROP TABLE probes;
                DROP INDEX \(table)_probe;
                ALTER TABLE \(table) DROP COLUMN probe;
                """
        )
    }

    @Test(
        "a row that is changed, lost or made would be noticed, and so would a lost column",
        arguments: TestEngine.allCases
    )
    func noticed(engine: TestEngine) async throws {
        let fixture = try #require(Fixture.all.first)
        for (change, expected) in [
            ("UPDATE users SET updated_at = created_at, name = 'Ada' WHERE name = 'Ada Lovelace'", "users had: "),
            ("DELETE FROM signing_keys WHERE state = 'next'", "signing_keys had: "),
            ("INSERT INTO settings (key, integer_value) VALUES ('more', 1)", "settings has: "),
            ("ALTER TABLE users DROP COLUMN first_name", "users.first_name is gone"),
            ("DROP TABLE audit_log", "audit_log is gone"),
        ] {
            try await fixture.withRows(engine, "auth") { database async throws in
                let rows = try await TableRows.read(database)
                let schema = try await SchemaText.read(database)
                try await database.withMigrationLock { try $0.execute(script: change) }
                let differences = rows.differences(to: try await TableRows.read(database, as: rows))
                #expect(differences.contains { $0.hasPrefix(expected) }, "\(change)")
                let isSchema = try await SchemaText.read(database) != schema
                #expect(isSchema == (change.hasPrefix("ALTER") || change.hasPrefix("DROP")), "\(change)")
            }
        }
    }
}
