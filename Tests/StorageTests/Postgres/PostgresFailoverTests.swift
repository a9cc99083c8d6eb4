import Foundation
import Logging
import Storage
import StoragePostgres
import Synchronization
import TestSupport
import Testing

@Suite("PostgreSQL failover", .needsPostgres)
struct PostgresFailoverTests {
    private static let write = Statement(
        "tests.write_mark",
        .writes,
        ["id": .integer],
        "INSERT INTO marks (id) VALUES (:id)"
    )
    private static let marks = Statement("tests.marks", .reads, "SELECT id FROM marks")
    private static let address = Statement(
        "tests.address",
        .reads,
        "SELECT CAST(inet_server_port() AS BIGINT) AS port"
    )
    private static let table = "CREATE TABLE marks (id BIGINT PRIMARY KEY)"

    @Test("of several hosts the one that takes writes is meant, for reads too, wherever it stands in the list")
    func standbyFirst() async throws {
        try await withPrivateCluster { primary async throws in
            try await primary.execute(Self.table)
            try await primary.withStandby { standby async throws in
                let database = try await PostgresDatabase.connect(
                    url: Self.url(standby, primary),
                    logger: .silent
                )
                _ = try await database.run(Self.write.bind(["id": 1]))
                #expect(try await database.run(Self.marks.bind()).rows.count == 1)
                #expect(try await database.run(Self.address.bind()).first?.int("port") == primary.port)
                #expect(
                    try await database.holdingTransaction { try $0.run(Self.address.bind()).first?.int("port") }
                        == primary.port
                )
                await database.close()

                // An operator may allow reads of a standby; its writes are unavailable, not a fault.
                let stale = try await PostgresDatabase.connect(url: standby.url(), logger: .silent)
                #expect(try await stale.run(Self.address.bind()).first?.int("port") == standby.port)
                await Self.expectUnavailable { _ = try await stale.run(Self.write.bind(["id": 2])) }
                await Self.expectUnavailable {
                    try await stale.holdingTransaction { _ = try $0.run(Self.write.bind(["id": 2])) }
                }
                await Self.expectUnavailable {
                    try await stale.withMigrationLock { try $0.execute(script: "DROP TABLE marks") }
                }
                await stale.close()
            }
        }
    }

    @Test(
        "a server that was restarted while its connections were idle costs no unit an error",
        arguments: [false, true]
    )
    func restartedWhileIdle(isCrash: Bool) async throws {
        try await withPrivateCluster { cluster async throws in
            try await cluster.execute(Self.table)
            let database = try await PostgresDatabase.connect(
                url: cluster.url(),
                configuration: PostgresConfiguration(readWorkers: 1, slowConnections: 1),
                logger: .silent
            )
            for round in 1...3 {
                // A statement that is new to the connection and one that is not.
                _ = try await database.run(Self.write.bind(["id": round]))
                #expect(try await database.run(Self.marks.bind()).rows.count == round)
                #expect(try await database.run(Self.marks.bind(), priority: .long).rows.count == round)
                try await cluster.stop(isCrash ? .immediate : .fast)
                try await cluster.start()
            }
            _ = try await database.run(Self.write.bind(["id": 4]))
            #expect(try await database.run(Self.address.bind()).first?.int("port") == cluster.port)
            await database.close()
        }
    }

    @Test("a primary that is made read-only loses its lanes to the new one without a failed unit")
    func switchover() async throws {
        try await withPrivateCluster { primary async throws in
            try await primary.execute(Self.table)
            try await primary.withStandby { standby async throws in
                let database = try await PostgresDatabase.connect(url: Self.url(primary, standby), logger: .silent)
                let writers = Writers(database)
                try await writers.run { acknowledged async throws in
                    try await eventually("writes before") { acknowledged() >= 100 }
                    try await standby.promote()
                    // Only the workers' target matters; their writes so far are on the old server alone.
                    try await primary.execute(
                        "ALTER SYSTEM SET default_transaction_read_only = on",
                        "SELECT pg_reload_conf()"
                    )
                    let asked = writers.lastAsked
                    try await eventually("writes after") {
                        let count = try await standby.execute("SELECT count(*) FROM marks WHERE id > \(asked)")
                        return Int(count.trimmingCharacters(in: .newlines)) ?? 0 >= 100
                    }
                }
                #expect(writers.refused.isEmpty && writers.unknown.isEmpty, "\(writers.errors)")
                let last = try #require(writers.acknowledged.max())
                #expect(try await standby.execute("SELECT count(*) FROM marks WHERE id >= \(last)").contains("1"))
                await database.close()
            }
        }
    }

    @Test(
        "when the synchronous standby is promoted under load, no acknowledged write is lost and service is back in 5 s"
    )
    func promotion() async throws {
        try await withPrivateCluster { primary async throws in
            try await primary.execute(Self.table)
            try await primary.withStandby(synchronous: true) { standby async throws in
                let database = try await PostgresDatabase.connect(url: Self.url(primary, standby), logger: .silent)
                let writers = Writers(database)
                try await writers.run { acknowledged async throws in
                    try await eventually("writes before") { acknowledged() >= 500 }
                    // The kill comes during writes, because they wait for the standby.
                    try await standby.whileSilent {
                        try await eventually("a commit waits for the standby") {
                            try await primary.execute(
                                "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
                            ).hasPrefix("1")
                        }
                        try await primary.stop(.immediate)
                    }
                    // It began after this moment, so only the standby can have acknowledged it.
                    let last = writers.lastAsked
                    // PostgreSQL's own part depends on the machine, so the bound holds from the end of its promotion.
                    async let promoted: ContinuousClock.Instant = {
                        try await standby.promote()
                        return .now
                    }()
                    try await eventually("writes after") { writers.acknowledged.contains { $0 > last } }
                    let served = ContinuousClock.now
                    let back = max(.zero, try await promoted.duration(to: served))
                    print("promotion: served again \(back) after it was complete")
                    #expect(back < .seconds(5))
                    let count = acknowledged()
                    try await eventually("more writes after") { acknowledged() >= count + 200 }
                }
                let found = Set(try await database.run(Self.marks.bind()).rows.map { try $0.int("id") })
                let (acknowledged, refused, unknown) = (writers.acknowledged, writers.refused, writers.unknown)
                let kept = unknown.intersection(found).count
                print(
                    "promotion: acknowledged \(acknowledged.count), refused \(refused.count), unknown \(unknown.count),",
                    "of which kept \(kept); found \(found.count)"
                )
                #expect(acknowledged.subtracting(found).isEmpty, "lost")
                #expect(refused.intersection(found).isEmpty, "said to be not committed, and is")
                #expect(found.subtracting(acknowledged).subtracting(unknown).isEmpty)
                #expect(!unknown.isEmpty)
                await database.close()
            }
        }
    }

    @Test("a commit whose wait for the synchronous standby was cancelled has an unknown outcome")
    func cancelledWait() async throws {
        // The standby does not exist.
        try await withPrivateCluster(settings: ["synchronous_standby_names": "'nobody'"]) { cluster async throws in
            try await cluster.execute("SET synchronous_commit = local", Self.table)
            let database = try await PostgresDatabase.connect(url: cluster.url(), logger: .silent)
            let writes: [(String, @Sendable () async throws -> Void)] = [
                ("a unit", { _ = try await database.run(Self.write.bind(["id": 1])) }),
                ("a long unit", { _ = try await database.run(Self.write.bind(["id": 2]), priority: .long) }),
                (
                    "a transaction",
                    { try await database.holdingTransaction { _ = try $0.run(Self.write.bind(["id": 3])) } }
                ),
                (
                    "a script",
                    { try await database.withMigrationLock { try $0.execute(script: "INSERT INTO marks VALUES (4)") } }
                ),
                (
                    "a statement of a migration",
                    { try await database.withMigrationLock { _ = try $0.run(Self.write.bind(["id": 5])) } }
                ),
            ]
            for (name, write) in writes {
                let caller = Task { try await write() }
                try await eventually("\(name) waits for the standby") {
                    try await cluster.execute(
                        "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
                    ).contains("t")
                }
                let error = await #expect(throws: StorageError.self, "\(name)") { try await caller.value }
                guard case .outcomeUnknown = error else {
                    Issue.record("\(name): \(String(describing: error))")
                    continue
                }
            }
            // Committed on this server each time, and the connections stay usable.
            #expect(try await database.run(Self.marks.bind()).rows.count == writes.count)
            await database.close()
        }
    }

    private static func url(_ first: PrivateCluster, _ second: PrivateCluster) -> String {
        "postgres://tessera@127.0.0.1:\(first.port),127.0.0.1:\(second.port)/postgres"
    }

    private static func expectUnavailable(_ body: () async throws -> Void) async {
        let error = await #expect(throws: StorageError.self) { try await body() }
        guard case .unavailable = error else {
            Issue.record("\(String(describing: error))")
            return
        }
    }
}

/// Callers that write one mark after another, each with its own id, and record the outcomes.
private final class Writers: Sendable {
    private struct Notes {
        var next = 0
        var acknowledged: Set<Int> = []
        var refused: Set<Int> = []
        var unknown: Set<Int> = []
        var errors: Set<StorageError> = []
    }

    private let notes = Mutex(Notes())
    private let database: PostgresDatabase

    init(_ database: PostgresDatabase) { self.database = database }

    var lastAsked: Int { notes.withLock(\.next) }
    var acknowledged: Set<Int> { notes.withLock(\.acknowledged) }
    var refused: Set<Int> { notes.withLock(\.refused) }
    var unknown: Set<Int> { notes.withLock(\.unknown) }
    var errors: Set<StorageError> { notes.withLock(\.errors) }

    /// 16 callers write while `body` runs; its argument counts the acknowledged writes.
    func run(_ body: (_ acknowledged: @Sendable () -> Int) async throws -> Void) async throws {
        let statement = Statement("tests.write_mark", .writes, ["id": .integer], "INSERT INTO marks (id) VALUES (:id)")
        let callers = Task {
            await withTaskGroup(of: Void.self) { group in
                for _ in 0..<16 {
                    group.addTask {
                        while !Task.isCancelled { await self.writeOne(statement) }
                    }
                }
            }
        }
        defer { callers.cancel() }
        try await body { self.acknowledged.count }
        callers.cancel()
        await callers.value
    }

    private func writeOne(_ statement: Statement) async {
        let id = notes.withLock { notes in
            notes.next += 1
            return notes.next
        }
        do throws(StorageError) {
            _ = try await database.run(statement.bind(["id": id]))
            _ = notes.withLock { $0.acknowledged.insert(id) }
        } catch {
            notes.withLock { notes in
                switch error {
                case .outcomeUnknown: notes.unknown.insert(id)
                // The test has ended, and this transaction still waited.
                case .cancelled: return
                default: notes.refused.insert(id)
                }
                notes.errors.insert(error)
            }
            // As a client would, instead of a busy loop.
            try? await Task.sleep(for: .milliseconds(5))
        }
    }
}
