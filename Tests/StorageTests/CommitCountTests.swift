// Micro-batching by PostgreSQL's own counters. Each test has a database of its own, so nobody else's commits count.
import Storage
import Synchronization
import TestSupport
import Testing

@Suite("commits, counted by PostgreSQL")
struct CommitCountTests {
    private static let add = Statement(
        "tests.add",
        .writes,
        [.integer],
        "UPDATE counters SET value = value + 1 WHERE id = $1"
    )
    private static let total = Statement(
        "tests.total",
        .reads,
        [],
        "SELECT CAST(SUM(value) AS BIGINT) AS n FROM counters"
    )

    @Test("10,000 updates of 64 callers are fewer than 2,000 transactions")
    func manyCallers() async throws {
        let committed = try await commits(of: 10_000, callers: 64)
        #expect(committed < 2_000)
        // At most 64 units travel in one batch.
        #expect(committed >= 10_000 / 64)
    }

    @Test("10,000 updates of one caller are 10,000 transactions: nobody waits for company")
    func oneCaller() async throws {
        let committed = try await commits(of: 10_000, callers: 1)
        #expect(committed >= 10_000)
        // A few more are the server's own and those of the count.
        #expect(committed < 10_100)
    }

    /// How many transactions PostgreSQL counted while `callers` ran `units` updates of single rows, each one applied.
    private func commits(of units: Int, callers: Int) async throws -> Int {
        try await withEmptyDatabase(.postgres) { test async throws in
            let database = test.database
            try await database.withMigrationLock {
                try $0.execute(
                    script: """
                        CREATE TABLE counters (id bigint PRIMARY KEY, value bigint NOT NULL);
                        INSERT INTO counters SELECT id, 0 FROM generate_series(0, 999) AS id;
                        """
                )
            }
            _ = try await database.run(Self.total())
            let before = try await TransactionCounts.read(database)
            let next = Next()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<callers {
                    group.addTask {
                        while true {
                            let unit = next.number.add(1, ordering: .relaxed).oldValue
                            guard unit < units else { return }
                            _ = try await database.run(Self.add(unit % 1_000))
                        }
                    }
                }
                try await group.waitForAll()
            }
            let after = try await TransactionCounts.read(database)
            #expect(try await database.run(Self.total()).first?.int("n") == units)
            #expect(after.rolledBack == before.rolledBack)
            return after.committed - before.committed
        }
    }

    private final class Next: Sendable {
        let number = Atomic(0)
    }
}
