import Storage
import StoragePostgres
import TestSupport
import Testing

@Suite("PostgreSQL behind a silent network", .needsPostgres)
struct PostgresPartitionTests {
    private static let write = Statement(
        "tests.write_mark",
        .writes,
        ["id": .integer],
        "INSERT INTO marks (id) VALUES (:id)"
    )
    private static let read = Statement("tests.marks", .reads, "SELECT id FROM marks")

    @Test("a connection that falls silent ends its units in deadlines, and service comes back with the network")
    func partition() async throws {
        try await withPrivateCluster { cluster async throws in
            try await cluster.execute("CREATE TABLE marks (id BIGINT PRIMARY KEY)")
            let network = try await StoppableProxy(to: cluster.port)
            let database = try await PostgresDatabase.connect(
                url: "postgres://tessera@127.0.0.1:\(network.port)/postgres?connect_timeout=2",
                configuration: PostgresConfiguration(
                    readWorkers: 2,
                    limits: WorkLimits(maxWait: .seconds(2)),
                    silence: .seconds(2)
                ),
                logger: .silent
            )
            _ = try await database.run(Self.write.bind(["id": 0]))
            _ = try await database.run(Self.read.bind())
            try await network.goSilent()

            // Two in the queue, two on the wire, two for each new connection; a hang would never end.
            let start = ContinuousClock.now
            let answers = await withTaskGroup(of: (isWrite: Bool, error: StorageError?).self) { group in
                for number in 1...40 {
                    group.addTask {
                        let isWrite = number.isMultiple(of: 2)
                        do throws(StorageError) {
                            _ =
                                try await isWrite
                                ? database.run(Self.write.bind(["id": number])) : database.run(Self.read.bind())
                            return (isWrite, nil)
                        } catch {
                            return (isWrite, error)
                        }
                    }
                }
                return await group.reduce(into: []) { $0.append($1) }
            }
            let time = start.duration(to: .now)
            print("partition: 40 units ended after \(time)")
            #expect(time < .seconds(15))
            for (isWrite, error) in answers {
                switch error {
                case .unavailable: break
                // Only writes on the wire are unknown.
                case .outcomeUnknown: #expect(isWrite)
                default: Issue.record("\(String(describing: error))")
                }
            }
            #expect(answers.contains { if case .outcomeUnknown = $0.error { true } else { false } })

            network.resume()
            var isWritten = false
            try await eventually(within: .seconds(90), "writes and reads are served again") {
                do throws(StorageError) {
                    if !isWritten { _ = try await database.run(Self.write.bind(["id": 100])) }
                    isWritten = true
                    _ = try await database.run(Self.read.bind())
                    return true
                } catch {
                    switch error {
                    case .unavailable, .outcomeUnknown: return false
                    // An earlier attempt with an unknown outcome succeeded.
                    case .uniqueViolation:
                        isWritten = true
                        return false
                    default: throw error
                    }
                }
            }
            let found = Set(try await database.run(Self.read.bind()).rows.map { try $0.int("id") })
            #expect(found.isSuperset(of: [0, 100]))
            await database.close()
        }
    }

    @Test("a server that takes the connection and says nothing does not keep a start waiting")
    func silentFromTheStart() async throws {
        try await withPrivateCluster { cluster async throws in
            let network = try await StoppableProxy(to: cluster.port)
            try await network.goSilent()
            let start = ContinuousClock.now
            let error = await #expect(throws: StorageError.self) {
                let database = try await PostgresDatabase.connect(
                    url: "postgres://tessera@127.0.0.1:\(network.port)/postgres?connect_timeout=2",
                    logger: .silent
                )
                await database.close()
            }
            #expect(start.duration(to: .now) < .seconds(30))
            guard case .unavailable = error else {
                Issue.record("\(String(describing: error))")
                return
            }
        }
    }
}
