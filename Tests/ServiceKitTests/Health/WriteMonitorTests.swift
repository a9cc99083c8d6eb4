import ServiceKit
import Storage
import Synchronization
import Testing

@Suite("Whether the database takes writes")
struct WriteMonitorTests {
    private static let write = Statement(
        "test.write",
        .writes,
        ["now": .instant],
        "UPDATE job_leases SET expires_at = :now WHERE name = 'cleanup'"
    )
    private static let read = Statement("test.read", .reads, [:], "SELECT name FROM job_leases")

    @Test("nothing is asked of the database while writes succeed")
    func quiet() async throws {
        let database = StubDatabase()
        let monitor = WriteMonitor(database) { Transaction([Self.write.bind(["now": Instant(seconds: 2)])]) }
        _ = try await monitor.run(Self.read.bind())
        _ = try await monitor.run(Self.write.bind(["now": Instant(seconds: 1)]))
        let before = database.asked
        try await monitor.requireWritable()
        #expect(database.asked == before)
    }

    @Test("after a write that storage refused the node is not ready until a probe succeeds")
    func refused() async throws {
        for fault in [
            StorageError.unavailable(reason: "a test"), .damaged(reason: "a test", inVirtualTable: false),
            .outcomeUnknown(reason: "a test"),
        ] {
            let database = StubDatabase()
            let monitor = WriteMonitor(database) { Transaction([Self.write.bind(["now": Instant(seconds: 2)])]) }
            database.set(fault: fault)
            await #expect(throws: fault) { try await monitor.run(Self.write.bind(["now": Instant(seconds: 1)])) }
            await #expect(throws: fault) { try await monitor.requireWritable() }
            // Reads, and writes that change no row, prove nothing about writes.
            _ = try await monitor.run(Self.read.bind())
            database.set(fault: nil)
            _ = try await monitor.run(Self.write.bind(["now": Instant(seconds: 1)]))
            database.set(fault: fault)
            await #expect(throws: fault) { try await monitor.requireWritable() }
            database.set(fault: nil)
            let before = database.asked
            try await monitor.requireWritable()
            #expect(database.asked == before + 1)
            // The probe's write suffices, and so does one of the service.
            try await monitor.requireWritable()
            #expect(database.asked == before + 1)
        }
    }

    @Test("a write that was refused for what it is, or for load, says nothing of the next")
    func harmless() async throws {
        for fault in [
            StorageError.overloaded, .memoryExhausted, .cancelled, .conflict(statement: "a", code: "b"),
            .uniqueViolation(statement: "a"), .statementFailed(statement: "a", code: "b"), .timedOut(statement: "a"),
        ] {
            let database = StubDatabase()
            let monitor = WriteMonitor(database) { Transaction([Self.write.bind(["now": Instant(seconds: 2)])]) }
            database.set(fault: fault)
            await #expect(throws: fault) { try await monitor.run(Self.write.bind(["now": Instant(seconds: 1)])) }
            try await monitor.requireWritable()
            #expect(database.asked == 1)
        }
    }
}

private final class StubDatabase: SQLDatabase {
    let engine = SQLEngine.sqlite
    private let state = Mutex<(fault: StorageError?, asked: Int)>((nil, 0))

    func set(fault: StorageError?) { state.withLock { $0.fault = fault } }

    var asked: Int { state.withLock { $0.asked } }

    func run(_ transaction: Transaction, priority: TransactionPriority) async throws(StorageError) -> TransactionResults
    {
        let fault = state.withLock { state in
            state.asked += 1
            return state.fault
        }
        if let fault, !transaction.onlyReads { throw fault }
        return TransactionResults(transaction.statements.map { _ in SQLResult(rows: [], affected: 1) })
    }

    func withMigrationLock<T: Sendable>(
        _ body: @Sendable @escaping (any SQLMigrationConnection) throws -> T
    ) async throws -> T {
        throw StorageError.overloaded
    }

    func reclaimDeletedBytes() async -> Bool { true }
    func changes(of log: OrderedLog) -> AsyncStream<Void> { AsyncStream { $0.finish() } }
    func close() async {}
}
