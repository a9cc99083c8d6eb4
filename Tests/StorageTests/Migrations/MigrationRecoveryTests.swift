// A database whose schema was made in another way is stamped, and then migrates like any other.
import Embedded
import Storage
import TestSupport
import Testing

@Suite("migrating what is already there")
struct MigrationRecoveryTests {
    @Test(
        "an existing database is refused, stamped, and from then on goes down and up like any other",
        arguments: TestEngine.allCases,
        ["auth", "chat"]
    )
    func stampExisting(engine: TestEngine, service: String) async throws {
        try await withEmptyDatabase(engine) { test async throws in
            let database = test.database
            let migrator = Migrator.testing(service: service, migrations: try EmbeddedFile.migrations())
            let names = try await migrator.up(database)
            try await database.withMigrationLock { try $0.execute(script: "DROP TABLE schema_migrations") }
            let unstamped = try await SchemaCatalog.read(database)

            // Without records the first migration runs, meets its own tables and leaves them alone.
            await #expect(throws: StorageError.self) { try await migrator.requireCurrent(database) }
            await #expect(throws: StorageError.self) { try await migrator.up(database) }
            #expect(try await migrator.status(database).allSatisfy { $0.appliedAt == nil })
            var tables = try await SchemaCatalog.read(database).tables
            tables["schema_migrations"] = nil
            #expect(tables == unstamped.tables)

            #expect(try await migrator.stamp(database, to: .max) == names)
            try await migrator.requireCurrent(database)
            #expect(try await migrator.up(database) == [])
            let stamped = try await SchemaCatalog.read(database)
            #expect(try await migrator.down(database, steps: names.count) == names.reversed())
            #expect(try await migrator.up(database) == names)
            #expect(try await SchemaCatalog.read(database) == stamped)
        }
    }

    @Test(
        "stamped half-way, the rest is applied and the schema is whole",
        arguments: TestEngine.allCases,
        ["auth", "chat"]
    )
    func stampHalfway(engine: TestEngine, service: String) async throws {
        let migrator = Migrator.testing(service: service, migrations: try EmbeddedFile.migrations())
        var whole: SchemaCatalog?
        var numbers: [Int] = []
        try await withEmptyDatabase(engine) { test async throws in
            try await migrator.up(test.database)
            // An engine may lack a number.
            numbers = try await migrator.status(test.database).map(\.number)
            whole = try await SchemaCatalog.read(test.database)
        }
        for (index, number) in numbers.enumerated() {
            try await withEmptyDatabase(engine) { test async throws in
                _ = try await migrator.up(test.database, to: number)
                try await test.database.withMigrationLock { try $0.execute(script: "DROP TABLE schema_migrations") }
                _ = try await migrator.stamp(test.database, to: number)
                #expect(try await migrator.up(test.database).count == numbers.count - index - 1)
                #expect(try await SchemaCatalog.read(test.database) == whole)
            }
        }
    }

    @Test(
        "a client that schema auth 4 finds disabled keeps its tokens refused for as long as its event said",
        arguments: TestEngine.allCases
    )
    func disabledClients(engine: TestEngine) async throws {
        try await withEmptyDatabase(engine) { test async throws in
            let database = test.database
            let migrator = Migrator.testing(service: "auth", migrations: try EmbeddedFile.migrations())
            try await migrator.up(database, to: 3)
            // Not on a whole second, because the event truncates it before adding 31.
            let disabled = Instant(microseconds: 1_800_000_000_999_999)
            let insert = Statement(
                "test.insert_client",
                .writes,
                ["id": .text, "at": .instant, "disabled_at": .instant],
                """
                INSERT INTO clients (id, name, audiences, created_at, updated_at, disabled_at)
                VALUES (:id, :id, 'a', :at, :at, :disabled_at)
                """
            )
            let ids: [(String, Instant?)] = [("disabled", disabled), ("enabled", nil)]
            for (id, at) in ids {
                _ = try await database.run(insert.bind(["id": id, "at": Instant(seconds: 1), "disabled_at": at]))
            }

            try await migrator.up(database, to: 4)
            let read = Statement("test.clients", .reads, "SELECT tokens_valid_from FROM clients ORDER BY id")
            let ends = try await database.run(read.bind()).rows.map {
                try $0.optionalInstant("tokens_valid_from")?.seconds
            }
            #expect(ends == [1_800_000_031, nil])
        }
    }
}
