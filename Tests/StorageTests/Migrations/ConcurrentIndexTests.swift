// Indexes that PostgreSQL builds beside writes: what an interrupted run leaves, and several runs at once.
import Storage
import TestSupport
import Testing

@Suite("indexes beside writes", .needsPostgres)
struct ConcurrentIndexTests {
    private static func migrator() throws -> Migrator {
        Migrator.testing(
            service: "demo",
            migrations: [
                try Migration(
                    fileName: "demo_0001_first.sql",
                    source: "-- migrate:up\nCREATE TABLE rows (id {{text}}, name {{text}}){{table}};\n"
                        + "-- migrate:down\nDROP TABLE rows;"
                ),
                try Migration(
                    fileName: "demo_0002_index.sql",
                    source: "-- migrate:up transaction:false\nCREATE INDEX {{concurrently}} rows_name ON rows (name);\n"
                        + "-- migrate:down transaction:false\nDROP INDEX {{concurrently}} rows_name;\n"
                ),
            ]
        )
    }

    private static let state = Statement(
        "test.index_state",
        .reads,
        "SELECT indisvalid AS is_valid FROM pg_index WHERE indexrelid = to_regclass('rows_name')"
    )

    private static func isValid(in database: any SQLDatabase) async throws -> Bool? {
        try await database.run(state.bind()).first?.boolean("is_valid")
    }

    private static func forgetLast(in database: any SQLDatabase) async throws {
        try await database.withMigrationLock {
            try $0.execute(script: "DELETE FROM schema_migrations WHERE number = 2")
        }
    }

    @Test("a build that was interrupted is done again, and one whose record is missing is kept, both ways")
    func interrupted() async throws {
        try await withEmptyDatabase(.postgres) { test async throws in
            let database = test.database
            let migrator = try Self.migrator()
            try await migrator.up(database, to: 1)
            // As an interrupted build leaves it: there, and not valid.
            try await database.withMigrationLock {
                try $0.execute(script: "INSERT INTO rows VALUES ('a', 'same'), ('b', 'same')")
            }
            await #expect(throws: StorageError.self) {
                try await database.withMigrationLock {
                    try $0.execute(script: "CREATE UNIQUE INDEX CONCURRENTLY rows_name ON rows (name)")
                }
            }
            #expect(try await Self.isValid(in: database) == false)
            #expect(try await migrator.up(database) == ["demo_0002_index"])
            #expect(try await Self.isValid(in: database) == true)

            try await Self.forgetLast(in: database)
            #expect(try await migrator.up(database) == ["demo_0002_index"])
            #expect(try await Self.isValid(in: database) == true)

            // Dropped, and the process died before it was recorded.
            try await database.withMigrationLock { try $0.execute(script: "DROP INDEX rows_name") }
            #expect(try await migrator.down(database) == ["demo_0002_index"])
            #expect(try await migrator.up(database) == ["demo_0002_index"])
            #expect(try await migrator.down(database) == ["demo_0002_index"])
            #expect(try await Self.isValid(in: database) == nil)
        }
    }

    @Test("of several processes that migrate at once one builds the index, and none is in its way")
    func race() async throws {
        try await withEmptyDatabase(.postgres) { test async throws in
            let migrator = try Self.migrator()
            let applied = try await withThrowingTaskGroup(of: [String].self) { group in
                for _ in 0..<4 {
                    group.addTask {
                        let database = try await test.openAnother()
                        let names = await Result.of { try await migrator.up(database) }
                        await database.close()
                        return try names.get()
                    }
                }
                return try await group.reduce(into: []) { $0 += $1 }
            }
            #expect(applied.sorted() == ["demo_0001_first", "demo_0002_index"])
            #expect(try await Self.isValid(in: test.database) == true)
        }
    }

    @Test("after a migration the statistics are of what is there, and an empty table has none")
    func statistics() async throws {
        try await withEmptyDatabase(.postgres) { test async throws in
            let database = test.database
            let migrator = try Self.migrator()
            try await migrator.up(database, to: 1)
            let known = Statement(
                "test.known_rows",
                .reads,
                "SELECT CAST(reltuples AS bigint) AS rows FROM pg_class WHERE oid = to_regclass('rows')"
            )
            #expect(try await database.run(known.bind()).first?.integer("rows") == -1)
            try await database.withMigrationLock {
                try $0.execute(script: "INSERT INTO rows SELECT n, n FROM generate_series(1, 500) n")
            }
            try await migrator.up(database)
            #expect(try await database.run(known.bind()).first?.integer("rows") == 500)
        }
    }
}

extension Result where Failure == any Error {
    fileprivate static func of(_ body: () async throws -> Success) async -> Result {
        do {
            return .success(try await body())
        } catch {
            return .failure(error)
        }
    }
}
