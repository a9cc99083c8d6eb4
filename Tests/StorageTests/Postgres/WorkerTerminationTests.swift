// The server ends a worker's session inside a batch (`pg_terminate_backend`). The progress of the batch decides whether
// the worker runs it again or reports an unknown outcome.
import Storage
import Synchronization
import TestSupport
import Testing

@Suite("A lane's session ended by the server", .needsPostgres)
struct WorkerTerminationTests {
    private static let apply = Statement(
        "tests.apply",
        .writes,
        ["key": .text],
        "INSERT INTO applied (key, times) VALUES (:key, 1) ON CONFLICT (key) DO UPDATE SET times = applied.times + 1"
    )
    private static let all = Statement("tests.applied", .reads, "SELECT key, times FROM applied")
    /// Sleeps only while the table says so, so that a second run does not sleep.
    private static let sleep = Statement(
        "tests.nap",
        .writes,
        "SELECT pg_sleep(seconds) FROM naps WHERE seconds > 0"
    )
    private static let sleepers = Statement(
        "tests.sleepers",
        .reads,
        "SELECT COUNT(*) AS n FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'"
    )
    /// Ends every sleeping session of this database, and returns how many.
    private static let endSleepers = Statement(
        "tests.end_sleepers",
        .writes,
        """
        SELECT COUNT(*) FILTER (WHERE pg_terminate_backend(pid)) AS ended FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event = 'PgSleep'
        """
    )
    private static let endBusy = Statement(
        "tests.end_busy",
        .writes,
        """
        SELECT COUNT(*) FILTER (WHERE pg_terminate_backend(pid)) AS ended FROM pg_stat_activity
        WHERE datname = current_database() AND state <> 'idle' AND pid <> pg_backend_pid()
            AND application_name = 'tessera' AND query LIKE '%applied%'
        """
    )
    private static let stopNaps = Statement("tests.stop_naps", .writes, "UPDATE naps SET seconds = 0")

    private static let tables = """
        CREATE TABLE applied (key text PRIMARY KEY COLLATE "C", times bigint NOT NULL);
        CREATE TABLE naps (seconds float8 NOT NULL);
        INSERT INTO naps VALUES (60);
        """

    @Test("before its commit: the batch is run again, and each of its 32 units is applied once")
    func beforeTheCommit() async throws {
        try await withEmptyDatabase(.postgres) { test async throws in
            try await test.database.withMigrationLock { try $0.execute(script: Self.tables) }
            let other = try await test.openAnother()
            // The first sleeper stops its batch; later transactions are in the second run.
            async let outcomes = outcomes(0..<32, on: test.database, and: [Self.sleep.bind()])
            try await endSleepingWorker(other)
            #expect(await outcomes == [:])
            #expect(try await applied(other) == Dictionary(uniqueKeysWithValues: (0..<32).map { ("unit-\($0)", 1) }))
            await other.close()
        }
    }

    @Test("during its commit: the unit is unknown, is not run again by us, and the lane serves on")
    func duringTheCommit() async throws {
        try await withEmptyDatabase(.postgres) { test async throws in
            // A deferred trigger runs inside the commit, after every statement was answered.
            let script =
                Self.tables + """
                    CREATE FUNCTION nap() RETURNS trigger LANGUAGE plpgsql AS
                    $$ BEGIN PERFORM pg_sleep(seconds) FROM naps WHERE seconds > 0; RETURN NULL; END $$;
                    CREATE CONSTRAINT TRIGGER slow_commit AFTER INSERT OR UPDATE ON applied
                    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION nap();
                    """
            try await test.database.withMigrationLock { try $0.execute(script: script) }
            let other = try await test.openAnother()
            async let outcomes = outcomes(0..<1, on: test.database)
            try await endSleepingWorker(other)
            guard case .outcomeUnknown = await outcomes["unit-0"] else {
                Issue.record("\(await outcomes)")
                return
            }
            // PostgreSQL had not committed, so only a second run could have written it.
            #expect(try await applied(other) == [:])
            #expect(await self.outcomes(1..<33, on: test.database) == [:])
            #expect(try await applied(other).count == 32)
            await other.close()
        }
    }

    @Test("at any moment, 20 times under 64 callers: acknowledged is applied once, refused not, unknown at most once")
    func underLoad() async throws {
        try await withEmptyDatabase(.postgres) { test async throws in
            try await test.database.withMigrationLock { try $0.execute(script: Self.tables) }
            let other = try await test.openAnother()
            let (database, notes) = (test.database, Notes())
            try await withThrowingTaskGroup(of: Void.self) { group in
                for caller in 0..<64 {
                    group.addTask {
                        var number = 0
                        while !notes.isOver.load(ordering: .relaxed) {
                            let key = "unit-\(caller)-\(number)"
                            let error = await self.outcome(key, on: database)
                            notes.outcomes.withLock { $0[key] = .some(error) }
                            number += 1
                        }
                    }
                }
                defer { notes.isOver.store(true, ordering: .relaxed) }
                for _ in 0..<20 {
                    try await eventually("a lane is ended in the middle of its batch") {
                        try await other.run(Self.endBusy.bind()).first?.int("ended") ?? 0 > 0
                    }
                }
            }
            let applied = try await applied(other)
            var (acknowledged, refused, unknown, found) = (0, 0, 0, 0)
            for (key, error) in notes.outcomes.withLock({ $0 }) {
                let times = applied[key] ?? 0
                switch error {
                case nil:
                    acknowledged += 1
                    #expect(times == 1, "\(key)")
                case .unavailable:
                    refused += 1
                    #expect(times == 0, "\(key)")
                case .outcomeUnknown:
                    unknown += 1
                    found += times
                    #expect(times <= 1, "\(key)")
                case .some(let error): Issue.record("\(key): \(error)")
                }
            }
            print(
                """
                20 lanes ended under load: acknowledged \(acknowledged), refused \(refused), unknown \(unknown), \
                of these found \(found)
                """
            )
            #expect(acknowledged > refused + unknown)
            await other.close()
        }
    }

    private final class Notes: Sendable {
        let outcomes = Mutex<[String: StorageError?]>([:])
        let isOver = Atomic(false)
    }

    private func outcomes(
        _ numbers: Range<Int>,
        on database: any SQLDatabase,
        and more: [BoundStatement] = []
    ) async -> [String: StorageError] {
        await withTaskGroup(of: (String, StorageError?).self) { group in
            for number in numbers {
                group.addTask {
                    let key = "unit-\(number)"
                    return (key, await self.outcome(key, on: database, and: number == numbers.lowerBound ? more : []))
                }
            }
            return await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
        }
    }

    private func outcome(
        _ key: String,
        on database: any SQLDatabase,
        and more: [BoundStatement] = []
    ) async -> StorageError? {
        do throws(StorageError) {
            _ = try await database.run(Transaction([Self.apply.bind(["key": key])] + more))
            return nil
        } catch {
            return error
        }
    }

    /// Ends the sleeping session once there is one, and first makes sure that a second run does not sleep.
    private func endSleepingWorker(_ other: any SQLDatabase) async throws {
        try await eventually("the batch sleeps") { try await other.run(Self.sleepers.bind()).first?.int("n") ?? 0 > 0 }
        _ = try await other.run(Self.stopNaps.bind())
        #expect(try await other.run(Self.endSleepers.bind()).first?.int("ended") == 1)
    }

    private func applied(_ database: any SQLDatabase) async throws -> [String: Int] {
        let rows = try await database.run(Self.all.bind()).rows
        return Dictionary(uniqueKeysWithValues: try rows.map { (try $0.text("key"), try $0.int("times")) })
    }
}
