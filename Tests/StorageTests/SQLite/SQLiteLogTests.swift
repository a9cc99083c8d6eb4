import Foundation
import Logging
import Storage
import StorageSQLite
import Testing

@Suite("SQLite's write-ahead log")
struct SQLiteLogTests {
    private static let write = Statement(
        "log.write",
        .writes,
        ["id": .integer, "body": .bytes],
        "INSERT INTO t (id, body) VALUES (:id, :body) ON CONFLICT (id) DO UPDATE SET body = excluded.body"
    )
    /// Keeps its snapshot for a while, so that several of them leave no moment without a reader.
    private static let read = Statement(
        "log.read",
        .reads,
        ["count": .integer],
        """
        WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :count)
        SELECT COUNT(*) AS c FROM n JOIN t ON t.id = n.i % 64
        """
    )

    @Test("its size is bounded under constant load, with readers that never pause")
    func bounded() async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "tessera-wal-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let path = folder.appending(path: "log.sqlite").path
        let limit = 1 << 20
        let database = try await SQLiteDatabase.open(
            path: path,
            configuration: .init(walLimit: limit),
            logger: Logger(label: "test")
        )
        let make = Statement("log.make", .writes, "CREATE TABLE t (id INTEGER PRIMARY KEY, body BLOB NOT NULL)")
        _ = try await database.run(make.bind())
        let body = [UInt8](repeating: 7, count: 8 << 10)
        let largest = try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<6 {
                group.addTask {
                    while !Task.isCancelled { _ = try? await database.run(Self.read.bind(["count": 3_000])) }
                }
            }
            // 32 MiB in all, of which a log that never restarts would keep every byte.
            var largest = 0
            for round in 0..<4096 {
                _ = try await database.run(Self.write.bind(["id": round % 64, "body": body]))
                largest = max(largest, Self.size(path + "-wal"))
            }
            group.cancelAll()
            return largest
        }
        await database.close()
        #expect(largest > limit / 4, "there was a log to bound: \(largest) bytes")
        #expect(largest < 8 * limit, "\(largest) bytes")
    }

    @Test("the log says whether it was emptied: not while somebody needs it")
    func forgotten() async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "tessera-wal-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let path = folder.appending(path: "log.sqlite").path
        let database = try await SQLiteDatabase.open(
            path: path,
            configuration: .init(),
            logger: Logger(label: "test")
        )
        let make = Statement("log.make", .writes, "CREATE TABLE t (id INTEGER PRIMARY KEY, body BLOB NOT NULL)")
        _ = try await database.run(make.bind())
        _ = try await database.run(Self.write.bind(["id": 1, "body": [UInt8](repeating: 7, count: 8 << 10)]))
        // Another process, inside a transaction.
        let other = try await SQLiteDatabase.open(path: path, configuration: .init(), logger: Logger(label: "test"))
        let holder = try await HeldWriter.hold(other)
        #expect(await !database.reclaimDeletedBytes())
        #expect(Self.size(path + "-wal") > 0)
        try await holder.release()
        #expect(await database.reclaimDeletedBytes())
        #expect(Self.size(path + "-wal") == 0)
        await other.close()
        await database.close()
    }

    private static func size(_ path: String) -> Int {
        let attributes = try? FileManager.default.attributesOfItem(atPath: path)
        return (attributes?[.size] as? NSNumber)?.intValue ?? 0
    }
}
