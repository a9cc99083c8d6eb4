// The program of schema N-1 works on schema N, so that nodes can be replaced one by one and a program can be rolled
// back without its schema.
//
// Two proofs for every migration: what it does to existing tables, and that the previous program's statements still
// run.
import AuthService
import ChatService
import Embedded
import Storage
import StorageConformance
import TestSupport
import Testing

@Suite("a schema and the program before it")
struct SchemaCompatibilityTests {
    @Test(
        "no migration takes or tightens what the program before it relies on",
        arguments: TestEngine.allCases,
        ["auth", "chat"]
    )
    func additive(engine: TestEngine, service: String) async throws {
        let all = try EmbeddedFile.migrations()
        let migrator = Migrator.testing(service: service, migrations: all)
        try await withEmptyDatabase(engine) { test async throws in
            let numbers = try await migrator.status(test.database).map(\.number)
            #expect(numbers.first == 1)
            var before = SchemaCatalog()
            for number in numbers {
                try await migrator.up(test.database, to: number)
                let after = try await SchemaCatalog.read(test.database)
                #expect(after.losses(since: before) == [], "\(service) \(number)")
                #expect(number > 1 || after.tables.count > 1)
                before = after
            }
        }
    }

    @Test("what would break the program before is noticed", .needsPostgres)
    func noticed() async throws {
        let breaking = [
            "DROP TABLE job_leases", "ALTER TABLE users DROP COLUMN avatar_url",
            "ALTER TABLE users RENAME COLUMN name TO full_name", "ALTER TABLE users ALTER COLUMN name SET NOT NULL",
            "ALTER TABLE sessions ALTER COLUMN required_version TYPE text",
            "ALTER TABLE users ALTER COLUMN role DROP DEFAULT", "ALTER TABLE users ADD COLUMN motto text NOT NULL",
            "ALTER TABLE users ADD CHECK (length(name) < 5)", "CREATE UNIQUE INDEX one_name ON users (name)",
            "ALTER TABLE accounts DROP CONSTRAINT accounts_provider_id_account_id_key",
            "ALTER TABLE events ADD FOREIGN KEY (user_id) REFERENCES users (id)",
        ]
        let harmless = [
            "CREATE TABLE more (id text PRIMARY KEY, n bigint CHECK (n > 0))",
            "ALTER TABLE users ADD COLUMN motto text",
            "ALTER TABLE users ADD COLUMN rank bigint NOT NULL DEFAULT 0", "DROP INDEX users_name_key",
            "CREATE INDEX users_kind ON users (kind)",
            "ALTER TABLE sessions ALTER COLUMN required_version DROP NOT NULL",
        ]
        for (changes, isBreaking) in [(breaking, true), (harmless, false)] {
            for change in changes {
                try await withDatabase(.postgres, service: "auth") { database async throws in
                    let before = try await SchemaCatalog.read(database)
                    try await database.withMigrationLock { try $0.execute(script: change) }
                    let losses = try await SchemaCatalog.read(database).losses(since: before)
                    #expect(losses.isEmpty != isBreaking, "\(change): \(losses)")
                }
            }
        }
    }

    @Test("the statements of the program before run on the schema of today", arguments: TestEngine.allCases)
    func statements(engine: TestEngine) async throws {
        for (service, statements) in [("auth", PreviousStatements.auth), ("chat", PreviousStatements.chat)] {
            #expect(statements.count > 1)
            try await withDatabase(engine, service: service) { database async throws in
                #expect(try await StatementTrial.violations(about: statements, on: database) == [])
            }
        }
    }

    @Test(
        "the migrator of the program before finds nothing to do, and does not take back what it does not know",
        arguments: TestEngine.allCases,
        ["auth", "chat"]
    )
    func migrator(engine: TestEngine, service: String) async throws {
        // A later migration, which only the next program knows.
        let today = try EmbeddedFile.migrations().filter { $0.service == service }
        let last = try #require(today.map(\.number).max())
        let next = try Migration(
            fileName: "\(service)_\(String(repeating: "0", count: 4 - "\(last + 1)".count))\(last + 1)_next.sql",
            source:
                "-- migrate:up\nCREATE TABLE of_the_next (id {{text}}){{table}};\n-- migrate:down\nDROP TABLE of_the_next;"
        )
        try await withTestDatabase(engine, service: service) { test async throws in
            try await Migrator.testing(service: service, migrations: today + [next]).up(test.database)
            let before = Migrator.testing(service: service, migrations: today)
            try await before.requireCurrent(test.database)
            #expect(try await before.up(test.database) == [])
            await #expect(throws: StorageError.self) { try await before.down(test.database) }
            #expect(try await SchemaCatalog.read(test.database).tables["of_the_next"] != nil)
            let statements = service == "auth" ? AuthService.allStatements : ChatService.allStatements
            #expect(try await StatementTrial.violations(about: statements, on: test.database) == [])
        }
    }
}

extension SchemaCatalog {
    /// What the program of `before` would miss. A non-unique index may change: it affects time, not results.
    fileprivate func losses(since before: SchemaCatalog) -> [String] {
        before.tables.sorted { $0.key < $1.key }.flatMap { name, old -> [String] in
            guard let new = tables[name] else { return ["\(name) is gone"] }
            var losses: [String] = []
            for column in old.columns {
                guard let now = new.columns.first(where: { $0.name == column.name }) else {
                    losses.append("\(name).\(column.name) is gone")
                    continue
                }
                if now.type != column.type { losses.append("\(name).\(column.name) has another type") }
                if column.isNullable, !now.isNullable { losses.append("\(name).\(column.name) may not be NULL now") }
                if column.hasDefault, !now.hasDefault { losses.append("\(name).\(column.name) lost its default") }
            }
            for column in new.columns where !old.columns.contains(where: { $0.name == column.name }) {
                if !column.isNullable, !column.hasDefault { losses.append("\(name).\(column.name) is required") }
            }
            // ON CONFLICT needs the unique index that it names; a new one refuses rows.
            if new.indexes.filter(\.isUnique) != old.indexes.filter(\.isUnique) {
                losses.append("\(name) has other unique keys")
            }
            if !new.foreignKeys.isSubset(of: old.foreignKeys) { losses.append("\(name) has a new reference") }
            if new.checks > old.checks { losses.append("\(name) has a new check") }
            return losses
        }
    }
}
