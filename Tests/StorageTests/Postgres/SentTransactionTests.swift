// A cancelled caller's transaction leaves the queue, but never a batch that was sent: it is finished, and its caller
// gets the outcome.
import Logging
import Storage
import StorageSQLite
import Synchronization
import TestSupport
import Testing

@Suite("cancelling")
struct SentTransactionTests {
    private static let mark = Statement(
        "tests.mark",
        .writes,
        ["name": .text],
        "INSERT INTO marks (name) VALUES (:name)"
    )
    private static let marks = Statement("tests.marks", .reads, "SELECT name FROM marks ORDER BY name")
    private static let tables = "-- migrate:up\nCREATE TABLE marks (name {{text}}){{table}};\n-- migrate:down\n"

    private func withMarks(_ engine: TestEngine, _ body: (TestDatabase) async throws -> Void) async throws {
        try await withEmptyDatabase(engine) { test async throws in
            _ = try await Migrator.testing(
                service: "demo",
                migrations: [Migration(fileName: "demo_0001_marks.sql", source: Self.tables)]
            ).up(test.database)
            try await body(test)
        }
    }

    private static func names(_ database: any SQLDatabase) async throws -> [String] {
        try await database.run(marks.bind()).rows.map { try $0.text("name") }
    }

    @Test(
        "on PostgreSQL a unit in the middle is committed as a whole, its neighbour too; the one that waits is gone",
        .needsPostgres
    )
    func postgres() async throws {
        try await withMarks(.postgres) { test async throws in
            let database = test.database
            try await HeldWriter.makeGates(database)
            let sent = Task {
                try await database.run(
                    Transaction([
                        Self.mark.bind(["name": "sent-1"]), HeldWriter.wait.bind(["name": "middle"]),
                        Self.mark.bind(["name": "sent-2"]),
                    ])
                )
            }
            try await HeldWriter.atGate(database)
            let waiting = Task { try await database.run(Self.mark.bind(["name": "waiting"])) }
            let staying = Task { try await database.run(Self.mark.bind(["name": "staying"])) }
            sent.cancel()
            waiting.cancel()
            // Answered while the worker is still inside the batch.
            await #expect(throws: StorageError.cancelled) { try await waiting.value }
            #expect(try await Self.names(database) == [])
            try await HeldWriter.openGate("middle", database)
            // The truth: it is committed.
            #expect(try await sent.value.all.count == 3)
            _ = try await staying.value
            #expect(try await Self.names(database) == ["sent-1", "sent-2", "staying"])
        }
    }

    @Test("on PostgreSQL a long unit in the middle is committed as well", .needsPostgres)
    func longUnit() async throws {
        try await withMarks(.postgres) { test async throws in
            let database = test.database
            try await HeldWriter.makeGates(database)
            let sent = Task {
                try await database.run(
                    Transaction([
                        Self.mark.bind(["name": "long-1"]), HeldWriter.wait.bind(["name": "middle"]),
                        Self.mark.bind(["name": "long-2"]),
                    ]),
                    priority: .long
                )
            }
            try await HeldWriter.atGate(database)
            sent.cancel()
            try await HeldWriter.openGate("middle", database)
            #expect(try await sent.value.all.count == 3)
            #expect(try await Self.names(database) == ["long-1", "long-2"])
        }
    }

    @Test("on SQLite a unit that the writer has taken is committed, though its caller has gone")
    func sqlite() async throws {
        try await withMarks(.sqlite) { test async throws in
            let other = try await SQLiteDatabase.open(
                path: String(test.url.dropFirst("sqlite:".count)),
                configuration: SQLiteConfiguration(
                    busyTimeout: .seconds(60),
                    batchSize: 1,
                    limits: WorkLimits(maxWait: .seconds(3))
                ),
                logger: Logger(label: "test.storage")
            )
            // Another process holds the file, so the writer has taken one transaction and waits to begin it.
            let gate = Gate()
            async let holder: Void = test.database.holdingTransaction { _ in gate.enterAndWait() }
            try await eventually("the file is held") { gate.isEntered }
            let outcomes = Outcomes()
            let callers = ["a", "b"].map { name in
                Task {
                    do throws(StorageError) {
                        _ = try await other.run(
                            Transaction([Self.mark.bind(["name": "\(name)-1"]), Self.mark.bind(["name": "\(name)-2"])])
                        )
                        outcomes.errors.withLock { $0[name] = .some(nil) }
                    } catch {
                        outcomes.errors.withLock { $0[name] = error }
                    }
                }
            }
            // The queue's wait is short, so a transaction without an answer by then was taken.
            try await eventually("one unit is left in line") { outcomes.errors.withLock { $0.count } == 1 }
            for caller in callers { caller.cancel() }
            gate.open()
            try await holder
            for caller in callers { await caller.value }
            let errors = outcomes.errors.withLock { $0 }
            let taken = try #require(errors.first { $0.value == nil }?.key)
            #expect(errors.values.compactMap { $0 } == [.unavailable(reason: "waited too long for a connection")])
            #expect(try await Self.names(other) == ["\(taken)-1", "\(taken)-2"])
            await other.close()
        }
    }

    private final class Outcomes: Sendable {
        let errors = Mutex<[String: StorageError?]>([:])
    }
}
