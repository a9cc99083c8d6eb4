import Storage
import StoragePostgres
import TestSupport
import Testing

@Suite("PostgreSQL behind a pooler", .needsPostgres)
struct PostgresPoolerTests {
    private static let one = Statement("tests.one", .reads, ["one": .integer], "SELECT CAST(:one AS BIGINT) AS one")

    @Test(
        "a pooler that lends sessions for a transaction or a statement is refused with the reason",
        arguments: [
            ["pool_mode": "transaction"], ["pool_mode": "statement"],
            ["pool_mode": "transaction", "default_pool_size": "1"],
            ["pool_mode": "transaction", "server_round_robin": "1", "min_pool_size": "5"],
        ]
    )
    func refused(settings: [String: String]) async throws {
        try await withPrivateCluster { cluster async throws in
            let pooler = try await PrivatePooler(to: cluster, settings: settings)
            for _ in 0..<5 { await Self.expectRefusal(pooler.url()) }
        }
    }

    @Test("it is refused also while others use the pool")
    func refusedUnderLoad() async throws {
        try await withPrivateCluster { cluster async throws in
            let pooler = try await PrivatePooler(to: cluster, settings: ["pool_mode": "transaction"])
            let others = try pooler.startOtherClients()
            try await eventually("others use the pool") {
                try await cluster.execute(
                    "SELECT count(*) > 1 FROM pg_stat_activity WHERE application_name = 'pgbench'"
                ).contains("t")
            }
            for _ in 0..<10 { await Self.expectRefusal(pooler.url()) }
            #expect(others.exit == nil, "\(others.output)")
        }
    }

    @Test("a pooler that lends whole sessions works")
    func sessions() async throws {
        try await withPrivateCluster { cluster async throws in
            let pooler = try await PrivatePooler(to: cluster, settings: ["pool_mode": "session"])
            for _ in 0..<3 {
                let database = try await PostgresDatabase.connect(url: pooler.url(), logger: .silent)
                let sum = try await withThrowingTaskGroup(of: Int?.self) { group in
                    for number in 0..<100 {
                        group.addTask { try await database.run(Self.one.bind(["one": number])).first?.int("one") }
                    }
                    return try await group.reduce(0) { $0 + ($1 ?? 0) }
                }
                #expect(sum == 4950)
                #expect(
                    try await database.holdingTransaction { try $0.run(Self.one.bind(["one": 7])).first?.int("one") }
                        == 7
                )
                await database.close()
            }
        }
    }

    private static func expectRefusal(_ url: String) async {
        let error = await #expect(throws: StorageError.self) {
            let database = try await PostgresDatabase.connect(url: url, logger: .silent)
            await database.close()
        }
        #expect("\(String(describing: error))".contains("pool_mode=session"))
    }
}
