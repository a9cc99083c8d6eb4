// One of 32 waiting transactions fails, in its middle or as late as the commit. It is undone as a whole, and each of
// the others is applied once, on both engines. MicroBatchTests proves more for PostgreSQL.
import Storage
import TestSupport
import Testing

@Suite("32 units that travel together")
struct BatchFaultTests {
    private static let tables = """
        CREATE TABLE applied (
            key {{text}} NOT NULL PRIMARY KEY, times {{integer}} NOT NULL, CHECK (key <> 'refused')
        ){{table}};
        CREATE TABLE parents (id {{text}} NOT NULL PRIMARY KEY){{table}};
        CREATE TABLE children (
            id {{text}} NOT NULL PRIMARY KEY,
            parent_id {{text}} NOT NULL REFERENCES parents (id) DEFERRABLE INITIALLY DEFERRED
        ){{table}};
        """
    private static let apply = Statement(
        "tests.apply",
        .writes,
        ["key": .text],
        "INSERT INTO applied (key, times) VALUES (:key, 1) ON CONFLICT (key) DO UPDATE SET times = applied.times + 1"
    )
    private static let adopt = Statement(
        "tests.adopt",
        .writes,
        ["id": .text, "parent": .text],
        "INSERT INTO children (id, parent_id) VALUES (:id, :parent)"
    )
    private static let bear = Statement("tests.bear", .writes, ["id": .text], "INSERT INTO parents (id) VALUES (:id)")
    private static let all = Statement("tests.applied", .reads, "SELECT key, times FROM applied")
    private static let children = Statement("tests.children", .reads, "SELECT id FROM children ORDER BY id")

    @Test("one of them refused by a rule: it alone fails, and 31 are applied once", arguments: TestEngine.allCases)
    func refused(engine: TestEngine) async throws {
        try await withTables(engine) { database async throws in
            let before = engine == .postgres ? try await TransactionCounts.read(database) : nil
            let outcomes = try await HeldWriter.submit(
                // The refused transaction wrote something before, which must be undone too.
                (0..<32).map {
                    $0 == 17
                        ? [Self.apply.bind(["key": "undone"]), Self.apply.bind(["key": "refused"])]
                        : [Self.apply.bind(["key": "unit-\($0)"])]
                },
                to: database
            )
            #expect(outcomes[17].error == .checkViolation(statement: "tests.apply"))
            #expect(outcomes.filter { $0.error != nil }.count == 1)
            #expect(try await Self.applied(database) == Self.once((0..<32).filter { $0 != 17 }))
            if let before {
                let failed = try await TransactionCounts.read(database).rolledBack - before.rolledBack
                // Bisection: 32, 16, 8, 4, 2 and 1 transactions.
                #expect((1...6).contains(failed))
            }
        }
    }

    @Test("one of them refused at the commit: it alone fails, and 31 are applied once", arguments: TestEngine.allCases)
    func refusedAtCommit(engine: TestEngine) async throws {
        try await withTables(engine) { database async throws in
            let outcomes = try await HeldWriter.submit(
                (0..<32).map { number in
                    switch number {
                    case 5:
                        [Self.apply.bind(["key": "undone"]), Self.adopt.bind(["id": "orphan", "parent": "nobody"])]
                    // The constraint of this one is checked at the commit.
                    case 6: [Self.adopt.bind(["id": "child", "parent": "parent"]), Self.bear.bind(["id": "parent"])]
                    default: [Self.apply.bind(["key": "unit-\(number)"])]
                    }
                },
                to: database
            )
            guard case .foreignKeyViolation = outcomes[5].error else {
                Issue.record("\(outcomes[5])")
                return
            }
            #expect(outcomes.filter { $0.error != nil }.count == 1)
            #expect(try await Self.applied(database) == Self.once((0..<32).filter { ![5, 6].contains($0) }))
            #expect(try await database.run(Self.children.bind()).rows.map { try $0.text("id") } == ["child"])
        }
    }

    private func withTables(_ engine: TestEngine, _ body: (any SQLDatabase) async throws -> Void) async throws {
        let migration = try Migration(
            fileName: "demo_0001_batch.sql",
            source: "-- migrate:up\n\(Self.tables)\n-- migrate:down\n"
        )
        try await withEmptyDatabase(engine) { test async throws in
            _ = try await Migrator.testing(service: "demo", migrations: [migration]).up(test.database)
            try await body(test.database)
        }
    }

    private static func applied(_ database: any SQLDatabase) async throws -> [String: Int] {
        let rows = try await database.run(all.bind()).rows
        return try Dictionary(uniqueKeysWithValues: rows.map { (try $0.text("key"), try $0.int("times")) })
    }

    private static func once(_ numbers: some Sequence<Int>) -> [String: Int] {
        Dictionary(uniqueKeysWithValues: numbers.map { ("unit-\($0)", 1) })
    }
}
