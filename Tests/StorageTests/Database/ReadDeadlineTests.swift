// A statement that runs for too long ends with an answer, on both engines, and its connection serves the next one. What
// is known to be long does not delay the others.
import Logging
import Storage
import StoragePostgres
import StorageSQLite
import TestSupport
import Testing

@Suite("the time that a statement may take")
struct ReadDeadlineTests {
    /// Takes far longer than any limit here, and ends by itself where no limit does its work.
    private static let endless = Statement(
        "test.endless",
        .reads,
        """
        WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50000000) SELECT COUNT(*) AS n FROM n
        """
    )
    private static let one = Statement("test.one", .reads, "SELECT 1 AS n")
    private static let table = "CREATE TABLE marks (name TEXT NOT NULL PRIMARY KEY, number INTEGER NOT NULL)"
    private static let mark = Statement(
        "test.mark",
        .writes,
        ["name": .text],
        "INSERT INTO marks (name, number) SELECT :name, COUNT(*) FROM marks"
    )

    /// A database whose readers are one, and whose limits are short.
    private func withSQLite(
        limit: Duration,
        longLimit: Duration,
        _ body: (SQLiteDatabase) async throws -> Void
    ) async throws {
        try await withEmptyDatabase(.sqlite) { test async throws in
            let database = try await SQLiteDatabase.open(
                path: String(test.url.dropFirst("sqlite:".count)),
                configuration: SQLiteConfiguration(
                    readers: 1,
                    longReaders: 1,
                    readLimit: limit,
                    longReadLimit: longLimit
                ),
                logger: Logger(label: "test")
            )
            try await body(database)
            await database.close()
        }
    }

    @Test("a read of SQLite is interrupted, in the middle of a transaction too, and its reader goes on")
    func sqlite() async throws {
        try await withSQLite(limit: .milliseconds(200), longLimit: .milliseconds(400)) { database async throws in
            for priority in [TransactionPriority.normal, .long] {
                await #expect(throws: StorageError.timedOut(statement: "test.endless")) {
                    _ = try await database.run(Self.endless.bind(), priority: priority)
                }
                #expect(try await database.run(Self.one.bind(), priority: priority).first?.integer("n") == 1)
                await #expect(throws: StorageError.timedOut(statement: "test.endless")) {
                    let transaction = Transaction([Self.one.bind(), Self.endless.bind(), Self.one.bind()])
                    _ = try await database.run(transaction, priority: priority)
                }
                // The transaction has ended: the same connection can begin another.
                let both = Transaction([Self.one.bind(), Self.one.bind()])
                #expect(try await database.run(both, priority: priority).all.count == 2)
            }
        }
    }

    @Test("a long read of SQLite has a longer limit, and delays no other read")
    func long() async throws {
        try await withSQLite(limit: .milliseconds(200), longLimit: .seconds(3)) { database async throws in
            let begin = ContinuousClock.now
            let long = Task { try await database.run(Self.endless.bind(), priority: .long) }
            for _ in 0..<20 { #expect(try await database.run(Self.one.bind()).first?.integer("n") == 1) }
            let others = ContinuousClock.now - begin
            await #expect(throws: StorageError.timedOut(statement: "test.endless")) { _ = try await long.value }
            #expect(ContinuousClock.now - begin > .seconds(3))
            #expect(others < .seconds(3))
        }
    }

    @Test("of long writes to SQLite one at a time is in the queue, so that others come between")
    func longWrites() async throws {
        try await withSQLite(limit: .seconds(8), longLimit: .seconds(8)) { database async throws in
            try await database.withMigrationLock { try $0.execute(script: Self.table) }
            let gate = Gate()
            async let holder: Void = database.holdingTransaction { _ in gate.enterAndWait() }
            try await eventually("the writer is held") { gate.isEntered }
            let long = (0..<40).map { number in
                Task { try await database.run(Self.mark.bind(["name": "long-\(number)"]), priority: .long) }
            }
            // All of them have begun to wait before the other one comes.
            try await Task.sleep(for: .milliseconds(200))
            let other = Task { try await database.run(Self.mark.bind(["name": "other"])) }
            try await Task.sleep(for: .milliseconds(100))
            gate.open()
            try await holder
            for task in long { #expect(try await task.value.affected == 1) }
            #expect(try await other.value.affected == 1)
            let place = Statement("test.place", .reads, "SELECT number AS n FROM marks WHERE name = 'other'")
            #expect(try await database.run(place.bind()).first?.integer("n") == 1)
        }
    }

    @Test("PostgreSQL's own limit says the same, of reads and of writes", .needsPostgres)
    func postgres() async throws {
        try await withEmptyDatabase(.postgres) { test async throws in
            let database = try await PostgresDatabase.connect(
                url: test.url,
                configuration: PostgresConfiguration(silence: .seconds(2)),
                logger: Logger(label: "test")
            )
            for effect in [Statement.Effect.reads, .writes] {
                let sleep = Statement("test.sleep", effect, "SELECT 1 AS n FROM pg_sleep(20)")
                await #expect(throws: StorageError.timedOut(statement: "test.sleep")) {
                    _ = try await database.run(sleep.bind())
                }
                #expect(try await database.run(Self.one.bind()).first?.integer("n") == 1)
            }
            // A long one has a longer limit.
            let nap = Statement("test.nap", .reads, "SELECT 1 AS n FROM pg_sleep(3)")
            #expect(try await database.run(nap.bind(), priority: .long).first?.integer("n") == 1)
            await database.close()
        }
    }

    @Test("migrations have no limit, requests one of seconds, and what is long one of minutes", .needsPostgres)
    func limits() async throws {
        try await withEmptyDatabase(.postgres) { test async throws in
            let limit = { (effect: Statement.Effect) in
                Statement(
                    "test.limit",
                    effect,
                    "SELECT setting AS limit_ms FROM pg_settings WHERE name = 'statement_timeout'"
                )
                .bind()
            }
            let database = test.database
            #expect(try await database.run(limit(.reads)).first?.text("limit_ms") == "8000")
            #expect(try await database.run(limit(.writes)).first?.text("limit_ms") == "8000")
            #expect(try await database.run(limit(.writes), priority: .long).first?.text("limit_ms") == "300000")
            let statement = limit(.writes)
            let ofMigrations = try await database.withMigrationLock { connection in
                try connection.run(statement).first?.text("limit_ms")
            }
            #expect(ofMigrations == "0")
        }
    }
}
