import Embedded
import Storage
import TestSupport
import Testing

@Suite("migrating")
struct MigratorTests {
    private static let first = """
        -- migrate:up
        CREATE TABLE parents (id {{text}} NOT NULL PRIMARY KEY, name {{text}} NOT NULL){{table}};
        CREATE TABLE children (
            id {{text}} NOT NULL PRIMARY KEY,
            parent_id {{text}} NOT NULL REFERENCES parents (id) ON DELETE CASCADE
        ){{table}};
        INSERT INTO parents (id, name) VALUES ('p', 'Pat');
        INSERT INTO children (id, parent_id) VALUES ('c', 'p');
        -- migrate:down
        DROP TABLE children;
        DROP TABLE parents;
        """

    /// Changes a column's constraint, which SQLite can only do by rebuilding the table.
    private static let rebuild = """
        -- migrate:up
        CREATE TABLE parents_new (
            id TEXT NOT NULL PRIMARY KEY,
            name TEXT NOT NULL CHECK (length(name) > 0)
        ) STRICT;
        INSERT INTO parents_new (id, name) SELECT id, name FROM parents;
        DROP TABLE parents;
        ALTER TABLE parents_new RENAME TO parents;
        -- migrate:down
        ALTER TABLE parents ADD COLUMN unused TEXT;
        """

    private static func migration(_ fileName: String, _ source: String) throws -> Migration {
        try Migration(fileName: fileName, source: source)
    }

    private static func count(_ table: String) -> BoundStatement {
        Statement("tests.count_\(table)", .reads, "SELECT COUNT(*) AS n FROM \(table)").bind()
    }

    private static let race = Statement("tests.race", .reads, "SELECT n FROM races")

    @Test("up, down and up again, for both services", arguments: TestEngine.allCases, ["auth", "chat"])
    func roundTrip(engine: TestEngine, service: String) async throws {
        try await withEmptyDatabase(engine) { test async throws in
            let migrator = Migrator.testing(service: service, migrations: try EmbeddedFile.migrations())
            let names = try await migrator.up(test.database)
            #expect(!names.isEmpty)
            #expect(names.allSatisfy { $0.hasPrefix(service + "_") })
            let made = try await SchemaCatalog.read(test.database)
            #expect(made.tables.count > 1)
            try await migrator.requireCurrent(test.database)
            #expect(try await migrator.up(test.database) == [])

            #expect(try await migrator.down(test.database, steps: names.count) == names.reversed())
            #expect(try await SchemaCatalog.read(test.database).tables.keys.sorted() == ["schema_migrations"])
            await #expect(throws: StorageError.self) { try await migrator.requireCurrent(test.database) }

            #expect(try await migrator.up(test.database) == names)
            #expect(try await SchemaCatalog.read(test.database) == made)
        }
    }

    @Test("what would be taken back is told, newest first, with what drops rows", arguments: TestEngine.allCases)
    func reversal(engine: TestEngine) async throws {
        try await withEmptyDatabase(engine) { test async throws in
            let index = "-- migrate:up\nCREATE INDEX children_parent ON children (parent_id);\n"
            let two = try Self.migration("demo_0002_index.sql", index + "-- migrate:down\nDROP INDEX children_parent;")
            let migrator = Migrator.testing(
                service: "demo",
                migrations: [try Self.migration("demo_0001_first.sql", Self.first), two]
            )
            try await migrator.up(test.database)
            let reversal = try await migrator.reversal(test.database, steps: 5)
            #expect(reversal.map(\.name) == ["demo_0002_index", "demo_0001_first"])
            #expect(reversal.map(\.dropsRows) == [false, true])
            #expect(try await migrator.reversal(test.database).map(\.name) == ["demo_0002_index"])
            // One of a newer program may drop anything.
            let older = Migrator.testing(service: "demo", migrations: [])
            #expect(try await older.reversal(test.database).first?.dropsRows == true)
        }
    }

    @Test("every way to lose rows counts, and an index is none")
    func rows() {
        let losing = ["DROP TABLE a", "ALTER TABLE a DROP COLUMN b", "delete from a", "TRUNCATE a"]
        let keeping = ["DROP INDEX a", "DROP TRIGGER a", "UPDATE a SET b = NULL", "ALTER TABLE a ADD COLUMN c TEXT"]
        for sql in losing { #expect(MigrationSection(sql: sql, usesTransaction: true).dropsRows, "\(sql)") }
        for sql in keeping { #expect(!MigrationSection(sql: sql, usesTransaction: true).dropsRows, "\(sql)") }
    }

    @Test("status tells what is pending, what ran, and what a newer program ran", arguments: TestEngine.allCases)
    func status(engine: TestEngine) async throws {
        try await withEmptyDatabase(engine) { test async throws in
            let one = try Self.migration("demo_0001_first.sql", Self.first)
            let two = try Self.migration(
                "demo_0002_second.sql",
                "-- migrate:up\nCREATE TABLE x (id {{text}}){{table}};\n-- migrate:down\nDROP TABLE x;"
            )
            let migrator = Migrator.testing(service: "demo", migrations: [two, one])
            #expect(try await migrator.status(test.database).map(\.appliedAt) == [nil, nil])
            #expect(try await migrator.up(test.database, to: 1) == ["demo_0001_first"])
            let status = try await migrator.status(test.database)
            #expect(status.map(\.name) == ["demo_0001_first", "demo_0002_second"])
            #expect(status.map { $0.appliedAt != nil } == [true, false])
            try await migrator.up(test.database)

            let older = Migrator.testing(service: "demo", migrations: [one])
            #expect(try await older.status(test.database).map(\.isKnown) == [true, false])
            try await older.requireCurrent(test.database)
            await #expect(throws: StorageError.self) { try await older.down(test.database) }
        }
    }

    @Test("a migration edited after it ran is refused", arguments: TestEngine.allCases)
    func edited(engine: TestEngine) async throws {
        try await withEmptyDatabase(engine) { test async throws in
            try await Migrator.testing(service: "demo", migrations: [Self.migration("demo_0001_first.sql", Self.first)])
                .up(test.database)
            let changed = Migrator.testing(
                service: "demo",
                migrations: [try Self.migration("demo_0001_first.sql", Self.first + "\n-- one more word")]
            )
            for attempt in [
                { _ = try await changed.up(test.database) }, { _ = try await changed.down(test.database) },
                { try await changed.requireCurrent(test.database) },
            ] as [() async throws -> Void] {
                let error = await #expect(throws: StorageError.self) { try await attempt() }
                guard case .schema(let reason) = error else {
                    Issue.record("\(String(describing: error))")
                    continue
                }
                #expect(reason.contains("demo_0001_first was edited"))
            }
            #expect(try await changed.status(test.database).first?.wasEdited == true)
        }
    }

    @Test(
        "a migration that fails half-way leaves nothing, and the next run resumes there",
        arguments: TestEngine.allCases
    )
    func failure(engine: TestEngine) async throws {
        try await withEmptyDatabase(engine) { test async throws in
            let one = try Self.migration("demo_0001_first.sql", Self.first)
            let broken =
                "-- migrate:up\nCREATE TABLE half (id {{text}}){{table}};\nINSERT INTO nowhere VALUES (1);\n-- migrate:down\n"
            let failing = Migrator.testing(
                service: "demo",
                migrations: [one, try Self.migration("demo_0002_half.sql", broken)]
            )
            await #expect(throws: StorageError.self) { try await failing.up(test.database) }
            #expect(try await SchemaCatalog.read(test.database).tables["half"] == nil)
            #expect(try await failing.status(test.database).map { $0.appliedAt != nil } == [true, false])

            let fixed = broken.replacing("INSERT INTO nowhere VALUES (1);", with: "")
            let repaired = Migrator.testing(
                service: "demo",
                migrations: [one, try Self.migration("demo_0002_half.sql", fixed)]
            )
            #expect(try await repaired.up(test.database) == ["demo_0002_half"])
        }
    }

    @Test("stamp records without running", arguments: TestEngine.allCases)
    func stamp(engine: TestEngine) async throws {
        try await withEmptyDatabase(engine) { test async throws in
            let migrator = Migrator.testing(
                service: "demo",
                migrations: [try Self.migration("demo_0001_first.sql", Self.first)]
            )
            #expect(try await migrator.stamp(test.database, to: 1) == ["demo_0001_first"])
            #expect(try await migrator.up(test.database) == [])
            try await migrator.requireCurrent(test.database)
            #expect(try await SchemaCatalog.read(test.database).tables["parents"] == nil)
        }
    }

    @Test("of many processes that migrate at once each migration runs once", arguments: TestEngine.allCases)
    func race(engine: TestEngine) async throws {
        try await withEmptyDatabase(engine) { test async throws in
            var migrations = [
                try Self.migration(
                    "demo_0001_races.sql",
                    "-- migrate:up\nCREATE TABLE races (n {{integer}}){{table}};\n-- migrate:down\nDROP TABLE races;"
                )
            ]
            for number in 2...6 {
                migrations.append(
                    try Self.migration(
                        "demo_000\(number)_race.sql",
                        "-- migrate:up\nINSERT INTO races (n) VALUES (\(number));\n-- migrate:down\nDELETE FROM races WHERE n = \(number);"
                    )
                )
            }
            let migrator = Migrator.testing(service: "demo", migrations: migrations)
            let applied = try await withThrowingTaskGroup(of: [String].self) { group in
                for _ in 0..<4 {
                    group.addTask {
                        let database = try await test.openAnother()
                        do {
                            let names = try await migrator.up(database)
                            await database.close()
                            return names
                        } catch {
                            await database.close()
                            throw error
                        }
                    }
                }
                return try await group.reduce(into: []) { $0 += $1 }
            }
            #expect(applied.sorted() == migrations.map(\.name).sorted())
            #expect(
                try await test.database.run(Self.race.bind()).rows.map { try $0.int("n") }.sorted() == [2, 3, 4, 5, 6]
            )
        }
    }

    @Test("on SQLite a parent table is made again and keeps its children")
    func rebuiltParent() async throws {
        try await withEmptyDatabase(.sqlite) { test async throws in
            let migrator = Migrator.testing(
                service: "demo",
                migrations: [
                    try Self.migration("demo_0001_first.sql", Self.first),
                    try Self.migration("demo_0002_rebuild.sqlite.sql", Self.rebuild),
                ]
            )
            try await migrator.up(test.database)
            #expect(try await test.database.run(Self.count("parents")).first?.int("n") == 1)
            #expect(try await test.database.run(Self.count("children")).first?.int("n") == 1)
            // The rebuilt table keeps its constraint and the child's reference.
            let empty = Statement("tests.empty_name", .writes, "INSERT INTO parents (id, name) VALUES ('q', '')")
            await #expect(throws: StorageError.checkViolation(statement: "tests.empty_name")) {
                try await test.database.run(empty.bind())
            }
            let orphan = Statement(
                "tests.orphan",
                .writes,
                "INSERT INTO children (id, parent_id) VALUES ('d', 'nobody')"
            )
            await #expect(throws: StorageError.foreignKeyViolation(statement: "tests.orphan")) {
                try await test.database.run(orphan.bind())
            }
        }
    }

    @Test("on SQLite a migration that leaves a child without its parent is refused and undone")
    func orphanedChild() async throws {
        try await withEmptyDatabase(.sqlite) { test async throws in
            let migrator = Migrator.testing(
                service: "demo",
                migrations: [
                    try Self.migration("demo_0001_first.sql", Self.first),
                    try Self.migration("demo_0002_loss.sql", "-- migrate:up\nDELETE FROM parents;\n-- migrate:down\n"),
                ]
            )
            let error = await #expect(throws: StorageError.self) { try await migrator.up(test.database) }
            #expect("\(String(describing: error))".contains("rows without parent"))
            #expect(try await test.database.run(Self.count("parents")).first?.int("n") == 1)
        }
    }

    @Test(
        "an engine's own file replaces the common one, and a number used twice is refused",
        arguments: TestEngine.allCases
    )
    func variants(engine: TestEngine) async throws {
        func source(_ table: String) -> String {
            "-- migrate:up\nCREATE TABLE \(table) (id {{text}}){{table}};\n-- migrate:down\nDROP TABLE \(table);"
        }
        let common = try Self.migration("demo_0001_x.sql", source("common"))
        let postgres = try Self.migration("demo_0001_x.postgres.sql", source("special"))
        try await withEmptyDatabase(engine) { test async throws in
            try await Migrator.testing(service: "demo", migrations: [postgres, common]).up(test.database)
            let tables = try await SchemaCatalog.read(test.database).tables.keys
            #expect(tables.contains(engine == .postgres ? "special" : "common"))
            #expect(tables.count == 2)
            let twice = Migrator.testing(
                service: "demo",
                migrations: [common, try Self.migration("demo_0001_y.sql", source("y"))]
            )
            await #expect(throws: StorageError.self) { try await twice.up(test.database) }
        }
    }

    @Test("on PostgreSQL an index is built outside a transaction where the section asks for it", .needsPostgres)
    func concurrently() async throws {
        try await withEmptyDatabase(.postgres) { test async throws in
            let migrator = Migrator.testing(
                service: "demo",
                migrations: [
                    try Self.migration("demo_0001_first.sql", Self.first),
                    try Self.migration(
                        "demo_0002_index.sql",
                        "-- migrate:up transaction:false\nCREATE INDEX CONCURRENTLY parents_name ON parents (name);\n"
                            + "-- migrate:down transaction:false\nDROP INDEX CONCURRENTLY parents_name;\n"
                    ),
                ]
            )
            try await migrator.up(test.database)
            #expect(try await SchemaCatalog.read(test.database).tables["parents"]?.indexes.count == 2)
            try await migrator.down(test.database)
            #expect(try await SchemaCatalog.read(test.database).tables["parents"]?.indexes.count == 1)
        }
    }
}
