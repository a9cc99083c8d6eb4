// What one transaction may cost the others of its worker: a locked table while a statement is prepared, a statement
// timeout, a row that many need.
import Logging
import Storage
import StoragePostgres
import TestSupport
import Testing

@Suite("patience of a PostgreSQL lane", .needsPostgres)
struct WorkerWaitTests {
    private static let tables = """
        CREATE TABLE counters (id bigint PRIMARY KEY, value bigint NOT NULL);
        INSERT INTO counters SELECT i, 0 FROM generate_series(1, 128) AS i;
        CREATE SEQUENCE attempts;
        """
    private static let add = Statement(
        "tests.add",
        .writes,
        ["id": .integer, "value": .integer],
        "UPDATE counters SET value = value + :value WHERE id = :id"
    )
    private static let value = Statement(
        "tests.value",
        .reads,
        ["id": .integer],
        "SELECT value FROM counters WHERE id = :id"
    )
    private static let sum = Statement("tests.sum", .reads, "SELECT SUM(value) AS n FROM counters")
    private static let lockTable = Statement(
        "tests.lock_table",
        .writes,
        "LOCK TABLE counters IN ACCESS EXCLUSIVE MODE"
    )
    /// A rollback does not reset a sequence, so it counts every attempt.
    private static let endless = Statement(
        "tests.endless",
        .writes,
        "SELECT pg_sleep(60) FROM (SELECT nextval('attempts')) AS attempt"
    )
    private static let attempts = Statement(
        "tests.attempts",
        .reads,
        "SELECT last_value - CASE WHEN is_called THEN 0 ELSE 1 END AS n FROM attempts"
    )
    /// Sessions that have waited for a lock for longer than a worker's limit.
    private static let slowOnes = Statement(
        "tests.patient_ones",
        .reads,
        """
        SELECT COUNT(*) AS n FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
            AND query_start < clock_timestamp() - INTERVAL '300 milliseconds'
        """
    )

    private func withTables(_ body: (TestDatabase) async throws -> Void) async throws {
        try await withEmptyDatabase(.postgres) { test async throws in
            try await test.database.withMigrationLock { try $0.execute(script: Self.tables) }
            try await body(test)
        }
    }

    @Test("a unit whose statement is prepared while its table is locked waits for the table, as any other would")
    func preparedUnderLock() async throws {
        try await withTables { test async throws in
            let other = try await test.openAnother()
            let gate = Gate()
            async let holder: Void = other.holdingTransaction { transaction in
                try transaction.run(Self.lockTable.bind())
                gate.enterAndWait()
            }
            try await eventually("the table is locked") { gate.isEntered }
            // This worker has prepared nothing yet.
            let transaction = Task { try await test.database.run(Self.add.bind(["id": 1, "value": 1])) }
            try await eventually("the unit waits for the table") {
                try await test.database.run(Self.slowOnes.bind()).first?.int("n") == 1
            }
            gate.open()
            try await holder
            #expect(try await transaction.value.affected == 1)
            #expect(try await test.database.run(Self.value.bind(["id": 1])).first?.int("value") == 1)
            await other.close()
        }
    }

    @Test("a statement that runs into its limit of time is run once, and its neighbours wait for it once")
    func statementTimeout() async throws {
        try await withTables { test async throws in
            let database = try await PostgresDatabase.connect(
                url: test.url,
                configuration: PostgresConfiguration(
                    limits: WorkLimits(maxWait: .seconds(60)),
                    silence: .seconds(5)
                ),
                logger: .silent
            )
            let outcomes = try await HeldWriter.submit(
                (0..<32).map { $0 == 9 ? [Self.endless.bind()] : [Self.add.bind(["id": $0 + 1, "value": 1])] },
                to: database
            )
            #expect(outcomes[9].error == .timedOut(statement: "tests.endless"))
            #expect(outcomes.filter { $0.error != nil }.count == 1)
            #expect(try await test.database.run(Self.sum.bind()).first?.int("n") == 31)
            #expect(try await test.database.run(Self.attempts.bind()).first?.int("n") == 1)
            await database.close()
        }
    }

    @Test("units that run into their limit one after the other end with the time of their callers")
    func timeOfCallers() async throws {
        try await withTables { test async throws in
            let database = try await PostgresDatabase.connect(
                url: test.url,
                configuration: PostgresConfiguration(
                    limits: WorkLimits(maxWait: .seconds(9)),
                    silence: .seconds(8)
                ),
                logger: .silent
            )
            let start = ContinuousClock.now
            let outcomes = try await HeldWriter.submit(Array(repeating: [Self.endless.bind()], count: 16), to: database)
            // One after another, all sixteen would take a hundred seconds.
            #expect(start.duration(to: .now) < .seconds(60))
            for outcome in outcomes {
                switch outcome.error {
                // By the server, or because the callers have waited for too long before their turn.
                case .timedOut, .unavailable: break
                default: Issue.record("\(outcome)")
                }
            }
            #expect(1..<4 ~= (try await test.database.run(Self.attempts.bind()).first?.int("n") ?? 0))
            await database.close()
        }
    }

    @Test("a row that 60 units of a batch need does not hold up their neighbours until it is free")
    func crowdedRow() async throws {
        try await withTables { test async throws in
            let other = try await test.openAnother()
            _ = try await test.database.run(Self.add.bind(["id": 2, "value": 0]))
            let gate = Gate()
            async let holder: Void = other.holdingTransaction { transaction in
                try transaction.run(Self.add.bind(["id": 1, "value": 1]))
                gate.enterAndWait()
            }
            try await eventually("the row is held") { gate.isEntered }
            let needing = Task {
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for _ in 0..<60 {
                        group.addTask { _ = try await test.database.run(Self.add.bind(["id": 1, "value": 1])) }
                    }
                    try await group.waitForAll()
                }
            }
            // A worker without locks shows what the machine takes at that moment.
            async let undisturbed = Self.longestWait(of: other, row: 3)
            let longest = try await Self.longestWait(of: test.database, row: 2)
            let usual = try await undisturbed
            gate.open()
            try await holder
            try await needing.value
            #expect(longest - usual < .milliseconds(1_500), "\(longest) beside a crowd, \(usual) without")
            #expect(try await test.database.run(Self.value.bind(["id": 1])).first?.int("value") == 61)
            await other.close()
        }
    }

    @Test("an ordered log that another session holds delays units that do not append to it by at most 200 ms")
    func heldLog() async throws {
        try await withTables { test async throws in
            let log = OrderedLog(lockKey: 0x7465_7374, channel: "tests_log")
            let append = Statement(
                "tests.append",
                .appends(log),
                ["id": .integer],
                "UPDATE counters SET value = value + 1 WHERE id = :id"
            )
            let other = try await test.openAnother()
            // Prepared before, so that only the log is waited for.
            _ = try await test.database.run(
                Transaction([Self.add.bind(["id": 2, "value": 0]), append.bind(["id": 4])])
            )
            let gate = Gate()
            async let holder: Void = other.holdingTransaction { transaction in
                try transaction.run(append.bind(["id": 1]))
                gate.enterAndWait()
            }
            try await eventually("the log is held") { gate.isEntered }
            let appending = Task {
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for row in 0..<32 {
                        group.addTask { _ = try await test.database.run(append.bind(["id": 64 + row])) }
                    }
                    try await group.waitForAll()
                }
            }
            async let undisturbed = Self.longestWait(of: other, row: 3)
            let longest = try await Self.longestWait(of: test.database, row: 2)
            let usual = try await undisturbed
            gate.open()
            try await holder
            try await appending.value
            #expect(longest - usual <= .milliseconds(200), "\(longest) beside a held log, \(usual) without")
            for row in 64..<96 {
                #expect(
                    try await test.database.run(Self.value.bind(["id": row])).first?.int("value") == 1,
                    "row \(row)"
                )
            }
            await other.close()
        }
    }

    private static func longestWait(of database: any SQLDatabase, row: Int) async throws -> Duration {
        var longest = Duration.zero
        let end = ContinuousClock.now + .seconds(2)
        while ContinuousClock.now < end {
            let start = ContinuousClock.now
            _ = try await database.run(add.bind(["id": row, "value": 1]))
            longest = max(longest, start.duration(to: .now))
        }
        return longest
    }
}
