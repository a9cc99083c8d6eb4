// A batch must protect its members from a neighbour's duplicate, violation, lock or deadlock.
import Foundation
import Logging
import Storage
import StoragePostgres
import TestSupport
import Testing

@Suite("micro-batches on PostgreSQL", .needsPostgres)
struct MicroBatchTests {
    private static let tables = """
        CREATE TABLE counters (id bigint PRIMARY KEY, value bigint NOT NULL CHECK (value >= 0));
        CREATE TABLE items (id text COLLATE "C" PRIMARY KEY, parent bigint REFERENCES counters DEFERRABLE INITIALLY DEFERRED);
        INSERT INTO counters SELECT i, 0 FROM generate_series(1, 64) AS i;
        """
    private static let add = Statement(
        "batch.add",
        .writes,
        ["id": .integer, "value": .integer],
        "UPDATE counters SET value = value + :value WHERE id = :id"
    )
    private static let value = Statement(
        "batch.value",
        .reads,
        ["id": .integer],
        "SELECT value FROM counters WHERE id = :id"
    )
    private static let insert = Statement(
        "batch.insert",
        .writes,
        ["id": .text, "parent": .integer],
        "INSERT INTO items (id, parent) VALUES (:id, :parent) ON CONFLICT DO NOTHING RETURNING id"
    )
    private static let sum = Statement("batch.sum", .reads, "SELECT SUM(value) AS n FROM counters")
    private static let items = Statement("batch.items", .reads, "SELECT COUNT(*) AS n FROM items")

    private func withTables(_ body: (TestDatabase) async throws -> Void) async throws {
        try await withEmptyDatabase(.postgres) { test async throws in
            try await test.database.withMigrationLock { try $0.execute(script: Self.tables) }
            try await body(test)
        }
    }

    @Test("10,000 updates of 64 callers take fewer than 2,000 commits, by the server's count; of one caller 10,000")
    func commitsByTheServersCount() async throws {
        for (callers, expected) in [(64, 1..<2_000), (1, 10_000..<11_000)] {
            try await withTables { test async throws in
                let before = try await TransactionCounts.read(test.database)
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for caller in 0..<callers {
                        group.addTask {
                            let share = 10_000 / callers + (caller < 10_000 % callers ? 1 : 0)
                            for _ in 0..<share {
                                _ = try await test.database.run(Self.add.bind(["id": caller + 1, "value": 1]))
                            }
                        }
                    }
                    try await group.waitForAll()
                }
                let commits = try await TransactionCounts.read(test.database).committed - before.committed
                #expect(expected.contains(commits), "\(callers) callers: \(commits) commits")
                #expect(try await test.database.run(Self.sum.bind()).first?.int("n") == 10_000)
            }
        }
    }

    @Test("32 units, 3 of them duplicates: no SQL error at all")
    func duplicatesAreZeroRows() async throws {
        try await withTables { test async throws in
            let before = try await TransactionCounts.read(test.database)
            // 29 names, of which 3 come twice.
            let transactions = (0..<32).map {
                [Self.add.bind(["id": $0 + 1, "value": 1]), Self.insert.bind(["id": "item-\($0 % 29)", "parent": 1])]
            }
            let results = try await HeldWriter.submit(transactions, to: test.database).map { try $0.get() }
            #expect(results.map { $0[1].rows.count }.reduce(0, +) == 29)
            #expect(results.allSatisfy { $0[0].affected == 1 })
            #expect(try await TransactionCounts.read(test.database).rolledBack == before.rolledBack)
        }
    }

    @Test("one violated CHECK among 32: 31 are applied once, one fails with its own error")
    func violatedCheck() async throws {
        try await withTables { test async throws in
            let transactions = (0..<32).map { [Self.add.bind(["id": $0 + 1, "value": $0 == 13 ? -1 : 1])] }
            let results = try await HeldWriter.submit(transactions, to: test.database)
            for (index, result) in results.enumerated() {
                switch (index, result) {
                case (13, .failure(.checkViolation(statement: "batch.add"))): break
                case (13, _), (_, .failure): Issue.record("unit \(index): \(result)")
                default: break
                }
                let value = try await test.database.run(Self.value.bind(["id": index + 1])).first?.int("value")
                #expect(value == (index == 13 ? 0 : 1), "unit \(index)")
            }
        }
    }

    @Test("a deferred constraint fails its unit at the commit, and its 31 neighbours are applied once")
    func deferredConstraint() async throws {
        try await withTables { test async throws in
            let transactions = (0..<32).map {
                [
                    Self.add.bind(["id": $0 + 1, "value": 1]),
                    Self.insert.bind(["id": "item-\($0)", "parent": $0 == 20 ? 999 : 1]),
                ]
            }
            let results = try await HeldWriter.submit(transactions, to: test.database)
            for (index, result) in results.enumerated() {
                switch (index, result) {
                case (20, .failure(.foreignKeyViolation)): break
                case (20, _), (_, .failure): Issue.record("unit \(index): \(result)")
                default: break
                }
            }
            #expect(try await test.database.run(Self.items.bind()).first?.int("n") == 31)
            #expect(try await test.database.run(Self.sum.bind()).first?.int("n") == 31)
        }
    }

    @Test("two processes that write the same rows in opposite orders make progress, and each unit is applied once")
    func oppositeOrders() async throws {
        try await withTables { test async throws in
            // The default of one second per deadlock would make this slow, and the transactions would time out in the
            // queue.
            try await test.database.withMigrationLock {
                try $0.execute(
                    script: """
                        DO $$ BEGIN
                            EXECUTE format('ALTER DATABASE %I SET deadlock_timeout = 20', current_database());
                        END $$;
                        """
                )
            }
            // Earlier sessions do not have the setting.
            let database = try await test.openAnother()
            let folder = FileManager.default.temporaryDirectory.appending(path: "tessera-opposite-\(UUID().uuidString)")
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(at: folder) }
            let script = folder.appending(path: "opposite.sql")
            try """
            BEGIN;
            UPDATE counters SET value = value + 1 WHERE id = 2;
            UPDATE counters SET value = value + 1 WHERE id = 1;
            END;
            """.write(to: script, atomically: true, encoding: .utf8)
            let other = try ServerProcess(
                executable: URL(filePath: "/usr/bin/env"),
                arguments: [
                    "pgbench", "-n", "-c", "4", "-t", "100", "--max-tries=1000", "-f", script.path, test.url,
                ],
                environment: ["PATH": "/usr/bin:/bin"],
                folder: folder
            )
            let applied = try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<8 {
                    group.addTask {
                        var applied = 0
                        for _ in 0..<50 {
                            do throws(StorageError) {
                                _ = try await database.run(
                                    Transaction([
                                        Self.add.bind(["id": 1, "value": 1]), Self.add.bind(["id": 2, "value": 1]),
                                    ])
                                )
                                applied += 1
                            } catch {
                                // A bounded number of deadlocks becomes a conflict, and nothing else.
                                guard case .conflict = error else { throw error }
                            }
                        }
                        return applied
                    }
                }
                return try await group.reduce(0, +)
            }
            let report = try await other.waitForSuccess()
            let theirs = try #require(
                report.firstMatch(of: /transactions actually processed: ([0-9]+)/).flatMap { Int($0.1) }
            )
            await database.close()
            #expect(applied > 0 && theirs == 400, "\(applied) here, \(theirs) there")
            for row in [1, 2] {
                let value = try await test.database.run(Self.value.bind(["id": row])).first?.int("value")
                #expect(value == applied + theirs, "row \(row)")
            }
        }
    }

    @Test("ALTER TABLE under load fails no request, not even one that changes a column's type")
    func alterTable() async throws {
        try await withTables { test async throws in
            let changes = [
                "ALTER TABLE counters ADD COLUMN note text", "ALTER TABLE counters ALTER COLUMN value TYPE integer",
                "ALTER TABLE counters DROP COLUMN note", "ALTER TABLE counters ALTER COLUMN value TYPE bigint",
            ]
            let served = try await withThrowingTaskGroup(of: Int.self) { group in
                for caller in 1...16 {
                    group.addTask {
                        var served = 0
                        while !Task.isCancelled {
                            do throws(StorageError) {
                                _ = try await test.database.run(Self.add.bind(["id": caller, "value": 1]))
                                _ = try await test.database.run(Self.value.bind(["id": caller]))
                            } catch {
                                if case .cancelled = error { break }
                                throw error
                            }
                            served += 1
                        }
                        return served
                    }
                }
                for change in changes {
                    let before = try await test.database.run(Self.sum.bind()).first?.int("n") ?? 0
                    try await test.database.withMigrationLock { try $0.execute(script: change) }
                    try await eventually("units are served after \(change)") {
                        try await test.database.run(Self.sum.bind()).first?.int("n") ?? 0 > before + 200
                    }
                }
                group.cancelAll()
                return try await group.reduce(0, +)
            }
            #expect(served > 400)
        }
    }

    @Test("a row lock held for 5 s delays units that do not need the row by at most 200 ms")
    func heldFor5Seconds() async throws {
        try await withTables { test async throws in
            let other = try await test.openAnother()
            let gate = Gate()
            async let holder: Void = other.holdingTransaction { transaction in
                try transaction.run(Self.add.bind(["id": 1, "value": 1]))
                gate.enterAndWait()
            }
            try await eventually("the row is held") { gate.isEntered }
            let start = ContinuousClock.now
            // As many transactions wait for the row as the slow pool has connections.
            async let needing = withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<3 {
                    group.addTask { _ = try await test.database.run(Self.add.bind(["id": 1, "value": 1])) }
                }
                try await group.waitForAll()
            }
            // The same load on a worker without locks shows what the machine takes at that moment.
            let control = try await PostgresDatabase.connect(url: test.url, logger: Logger(label: "test.storage"))
            async let undisturbed = Self.longestWait(of: control, rows: 33...48, until: start + .seconds(5))
            let longest = try await Self.longestWait(of: test.database, rows: 17...32, until: start + .seconds(5))
            let usual = try await undisturbed
            gate.open()
            try await holder
            try await needing
            await control.close()
            await other.close()
            #expect(longest - usual <= .milliseconds(200), "\(longest) beside a lock, \(usual) without")
            #expect(try await test.database.run(Self.value.bind(["id": 1])).first?.int("value") == 4)
        }
    }

    /// The longest wait of 16 callers.
    private static func longestWait(
        of database: any SQLDatabase,
        rows: ClosedRange<Int>,
        until end: ContinuousClock.Instant
    ) async throws -> Duration {
        try await withThrowingTaskGroup(of: Duration.self) { group in
            for row in rows {
                group.addTask {
                    var longest = Duration.zero
                    var now = ContinuousClock.now
                    while now < end {
                        _ = try await database.run(add.bind(["id": row, "value": 1]))
                        let after = ContinuousClock.now
                        longest = max(longest, now.duration(to: after))
                        now = after
                    }
                    return longest
                }
            }
            return try await group.reduce(.zero) { max($0, $1) }
        }
    }
}
