// Faults that are known not to be committed and may pass: serialization failures, deadlocks, lock timeouts, busy files.
// They are retried a bounded number of times and then become a conflict, which services answer with 503 and
// Retry-After.
import Logging
import Storage
import StorageSQLite
import TestSupport
import Testing

@Suite("conflicts")
struct ConflictRetryTests {
    private static let set = Statement(
        "tests.set",
        .writes,
        ["key": .text, "value": .integer],
        "UPDATE rows SET value = :value WHERE key = :key"
    )
    private static let get = Statement("tests.get", .reads, ["key": .text], "SELECT value FROM rows WHERE key = :key")
    /// A rollback does not reset a sequence, so it counts every attempt.
    private static let attempts = Statement(
        "tests.attempts",
        .reads,
        "SELECT last_value - CASE WHEN is_called THEN 0 ELSE 1 END AS n FROM attempts"
    )

    /// Rows whose updates fail with `code` the first `times` times.
    private static func tables(_ code: String, _ times: Int) -> String {
        """
        CREATE TABLE rows (key text COLLATE "C" PRIMARY KEY, value bigint NOT NULL);
        INSERT INTO rows VALUES ('unlucky', 0), ('neighbour', 0), ('first', 0), ('second', 0);
        CREATE SEQUENCE attempts;
        CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF nextval('attempts') <= \(times) THEN RAISE EXCEPTION 'not now' USING ERRCODE = '\(code)'; END IF;
            RETURN NEW;
        END $$;
        CREATE TRIGGER fail BEFORE UPDATE ON rows FOR EACH ROW WHEN (OLD.key = 'unlucky') EXECUTE FUNCTION fail();
        """
    }

    @Test(
        "a unit that the server refuses twice for its bad luck is tried until it works, and is applied once",
        .needsPostgres,
        arguments: ["40001", "40P01", "55P03"]
    )
    func luckInTheEnd(code: String) async throws {
        try await withEmptyDatabase(.postgres) { test async throws in
            try await test.database.withMigrationLock { try $0.execute(script: Self.tables(code, 2)) }
            let outcomes = try await HeldWriter.submit(
                [[Self.set.bind(["key": "neighbour", "value": 1])], [Self.set.bind(["key": "unlucky", "value": 1])]],
                to: test.database
            )
            #expect(outcomes.map { $0.error } == [nil, nil])
            #expect(try await test.database.run(Self.attempts.bind()).first?.int("n") == 3)
            for key in ["neighbour", "unlucky"] {
                #expect(try await test.database.run(Self.get.bind(["key": key])).first?.int("value") == 1, "\(key)")
            }
        }
    }

    @Test(
        "a unit that the server refuses for ever is a conflict after a handful of attempts; its neighbour is applied",
        .needsPostgres,
        arguments: ["40001", "40P01", "55P03"]
    )
    func noLuck(code: String) async throws {
        try await withEmptyDatabase(.postgres) { test async throws in
            try await test.database.withMigrationLock { try $0.execute(script: Self.tables(code, 1_000)) }
            let outcomes = try await HeldWriter.submit(
                [[Self.set.bind(["key": "neighbour", "value": 1])], [Self.set.bind(["key": "unlucky", "value": 1])]],
                to: test.database
            )
            #expect(outcomes.map { $0.error } == [nil, .conflict(statement: "tests.set", code: code)])
            // Once in its batch, and three times in the slow pool.
            #expect(try await test.database.run(Self.attempts.bind()).first?.int("n") == 4)
            #expect(try await test.database.run(Self.get.bind(["key": "neighbour"])).first?.int("value") == 1)
            #expect(try await test.database.run(Self.get.bind(["key": "unlucky"])).first?.int("value") == 0)
        }
    }

    @Test("the victim of a real deadlock is run again when the other is done", .needsPostgres)
    func deadlock() async throws {
        try await withEmptyDatabase(.postgres) { test async throws in
            let script =
                Self.tables("40001", 0) + """
                    DO $$ BEGIN
                        EXECUTE format('ALTER DATABASE %I SET deadlock_timeout = 20', current_database());
                    END $$;
                    """
            try await test.database.withMigrationLock { try $0.execute(script: script) }
            // Earlier sessions do not have the setting.
            let (first, other) = (try await test.openAnother(), try await test.openAnother())
            try await HeldWriter.makeGates(test.database)
            let before = try await TransactionCounts.read(first)
            let gate = Gate()
            async let holder: Void = other.holdingTransaction { transaction in
                // Its long deadlock timeout makes the other transaction look for the deadlock, and so be its victim.
                try transaction.run(Self.deadlockTimeout.bind())
                try transaction.run(Self.set.bind(["key": "second", "value": 1]))
                gate.enterAndWait()
                try transaction.run(Self.set.bind(["key": "first", "value": 1]))
            }
            try await eventually("the second row is held") { gate.isEntered }
            async let victim = first.run(
                Transaction([
                    Self.set.bind(["key": "first", "value": 2]), HeldWriter.wait.bind(["name": "middle"]),
                    Self.set.bind(["key": "second", "value": 2]),
                ])
            )
            try await HeldWriter.atGate(test.database)
            gate.open()
            try await eventually("the other waits for the first row") {
                try await test.database.run(Self.waiting.bind()).first?.int("n") == 1
            }
            try await HeldWriter.openGate("middle", test.database)
            try await holder
            _ = try await victim
            #expect(try await TransactionCounts.read(first).deadlocks == before.deadlocks + 1)
            for key in ["first", "second"] {
                #expect(try await test.database.run(Self.get.bind(["key": key])).first?.int("value") == 2, "\(key)")
            }
            await first.close()
            await other.close()
        }
    }

    private static let deadlockTimeout = Statement("tests.patience", .writes, "SET LOCAL deadlock_timeout = '30s'")
    private static let waiting = Statement(
        "tests.waiting_for_locks",
        .reads,
        "SELECT COUNT(*) AS n FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    @Test("on SQLite a unit waits for another process that holds the file, and is committed when it lets go")
    func busyFile() async throws {
        let tables = "-- migrate:up\nCREATE TABLE rows (key {{text}}, value {{integer}}){{table}};\n-- migrate:down\n"
        try await withEmptyDatabase(.sqlite) { test async throws in
            _ = try await Migrator.testing(
                service: "demo",
                migrations: [Migration(fileName: "demo_0001_rows.sql", source: tables)]
            ).up(test.database)
            let insert = Statement(
                "tests.insert",
                .writes,
                ["key": .text],
                "INSERT INTO rows (key, value) VALUES (:key, 1)"
            )
            let count = Statement("tests.count", .reads, "SELECT COUNT(*) AS n FROM rows")
            let other = try await SQLiteDatabase.open(
                path: String(test.url.dropFirst("sqlite:".count)),
                configuration: SQLiteConfiguration(busyTimeout: .seconds(60)),
                logger: Logger(label: "test.storage")
            )
            let gate = Gate()
            async let holder: Void = test.database.holdingTransaction { transaction in
                try transaction.run(insert.bind(["key": "holder"]))
                gate.enterAndWait()
            }
            try await eventually("the file is held") { gate.isEntered }
            let waiting = Task { try await other.run(insert.bind(["key": "waiting"])) }
            // Not before the holder: nothing is visible while the file is held.
            #expect(try await other.run(count.bind()).first?.int("n") == 0)
            gate.open()
            try await holder
            _ = try await waiting.value
            #expect(try await other.run(count.bind()).first?.int("n") == 2)
            await other.close()
        }
    }
}
