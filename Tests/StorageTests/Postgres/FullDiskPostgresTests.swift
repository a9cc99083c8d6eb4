import Foundation
import Logging
import Storage
import StoragePostgres
import TestSupport
import Testing

@Suite("A full disk under PostgreSQL", .needsPostgres)
struct FullDiskPostgresTests {
    private static let add = Statement(
        "tests.add",
        .writes,
        ["id": .integer, "filling": .bytes],
        "INSERT INTO numbered (id, filling) VALUES (:id, :filling)"
    )
    private static let all = Statement("tests.all", .reads, "SELECT id FROM numbered")

    @Test("units are unavailable, never unknown and never half there; with room again they are committed")
    func fullTablespace() async throws {
        try await withSmallDisk(megabytes: 16) { disk in
            try await withDurableCluster { cluster async throws in
                let space = disk.folder.appending(path: "tables")
                try await cluster.makeFolder(space)
                try await cluster.execute("CREATE TABLESPACE small LOCATION '\(space.path)'")
                let database = try await PostgresDatabase.connect(
                    url: cluster.url("postgres"),
                    logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
                )
                let table = """
                    CREATE TABLE numbered (id bigint PRIMARY KEY USING INDEX TABLESPACE small, filling bytea NOT NULL)
                    TABLESPACE small;
                    ALTER TABLE numbered ALTER filling SET STORAGE PLAIN
                    """
                try await database.withMigrationLock { try $0.execute(script: table) }
                try disk.fill(leaving: 512 << 10)
                let first = await Self.add(0..<256, to: database)
                #expect(first.committed.count > 0)
                #expect(first.refused.count > 0)
                #expect(first.others.isEmpty, "\(first.others)")
                #expect(try await Self.ids(database) == first.committed)

                try disk.makeRoom()
                let second = await Self.add(first.refused, to: database)
                #expect(second.committed == first.refused)
                #expect(try await Self.ids(database) == Set(0..<256))
                await database.close()
            }
        }
    }

    /// Adds two rows for each number in one transaction, all at once, and sorts the numbers by outcome.
    private static func add(
        _ numbers: some Sequence<Int>,
        to database: any SQLDatabase
    ) async -> (committed: Set<Int>, refused: Set<Int>, others: [String]) {
        await withTaskGroup(of: (Int, StorageError?).self) { group in
            for number in numbers {
                group.addTask {
                    do throws(StorageError) {
                        let row = add.bind(["id": Int64(number), "filling": [UInt8](repeating: 0x5A, count: 4000)])
                        _ = try await database.run(
                            Transaction([row, add.bind(["id": Int64(-number - 1), "filling": []])])
                        )
                        return (number, nil)
                    } catch {
                        return (number, error)
                    }
                }
            }
            return await group.reduce(into: ([], [], [])) { sorted, outcome in
                switch outcome.1 {
                case nil: sorted.committed.insert(outcome.0)
                case .unavailable: sorted.refused.insert(outcome.0)
                case .some(let error): sorted.others.append("\(outcome.0): \(error)")
                }
            }
        }
    }

    private static func ids(_ database: any SQLDatabase) async throws -> Set<Int> {
        let ids = Set(try await database.run(all.bind()).rows.map { row throws(StorageError) in try row.int("id") })
        let numbers = ids.filter { $0 >= 0 }
        #expect(ids == numbers.union(numbers.map { -$0 - 1 }), "half a unit")
        return numbers
    }
}
