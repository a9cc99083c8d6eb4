// A really full disk: a small file system in memory (`withSmallDisk`).
import Foundation
import Logging
import Storage
import StorageSQLite
import TestSupport
import Testing

@Suite("A full disk under SQLite", .needsPrograms)
struct FullDiskTests {
    @Test("units are unavailable, never unknown and never half there; with room again they are committed")
    func fullDisk() async throws {
        try await withSmallDisk(megabytes: 4) { disk in
            let file = DiskFile(folder: disk.folder)
            let database = try await file.make()
            try disk.fill(leaving: 512 << 10)
            let first = await Self.add(0..<256, to: database)
            #expect(first.committed.count > 0)
            #expect(first.unavailable.count > 0)
            #expect(first.others.isEmpty, "\(first.others)")
            #expect(try await file.ids(in: database) == first.committed)
            // What recovery would find after a crash now.
            #expect(try await file.idsAfterCrash() == first.committed)

            // This does not change while the disk is full, however small the transaction.
            try disk.fill()
            let second = await Self.add(256..<320, to: database)
            #expect(second.others.isEmpty, "\(second.others)")
            #expect(second.unavailable.count == 64)

            try disk.makeRoom()
            let missing = first.unavailable.union(second.unavailable)
            let third = await Self.add(missing, to: database)
            #expect(third.committed == missing)
            #expect(try await file.ids(in: database) == Set(0..<320))
            #expect(try await file.isIntact(database))
            await database.close()
        }
    }

    @Test("a disk that is full when the file is opened is a reason not to open it, and no more than that")
    func fullAtTheStart() async throws {
        try await withSmallDisk(megabytes: 4) { disk in
            let file = DiskFile(folder: disk.folder)
            let database = try await file.make()
            #expect(await Self.add(0..<10, to: database).committed.count == 10)
            await database.close()
            try disk.fill()
            let error = await #expect(throws: StorageError.self) { try await file.open() }
            guard case .unavailable(let reason) = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect(reason.contains(file.path))
            try disk.makeRoom()
            let again = try await file.open()
            #expect(try await file.ids(in: again) == Set(0..<10))
            #expect(try await file.isIntact(again))
            await again.close()
        }
    }

    @Test("a unit that finds no space before the commit fails alone, and its 31 neighbours are applied once")
    func oneTooLarge() async throws {
        try await withSmallDisk(megabytes: 4) { disk in
            let file = DiskFile(folder: disk.folder)
            let database = try await file.make()
            // The file is limited to 64 pages: SQLite reports "full" in the statement, as when a transaction larger
            // than its cache meets a full disk, and rolls back the whole batch itself.
            _ = try await database.run(Statement("tests.limit", .writes, "PRAGMA max_page_count = 64").bind())
            let outcome = await Self.add(0..<32, to: database) { $0 == 20 ? 512 << 10 : 16 }
            #expect(outcome.committed == Set(0..<32).subtracting([20]))
            #expect(outcome.unavailable == [20])
            #expect(try await file.ids(in: database) == outcome.committed)
            await database.close()
        }
    }

    /// Adds a row for each id, all at once, and sorts the ids by outcome.
    private static func add(
        _ ids: some Sequence<Int>,
        to database: any SQLDatabase,
        bytes: @Sendable @escaping (Int) -> Int = { _ in 4096 }
    ) async -> (committed: Set<Int>, unavailable: Set<Int>, others: [String]) {
        await withTaskGroup(of: (Int, StorageError?).self) { group in
            for id in ids {
                group.addTask {
                    do throws(StorageError) {
                        try await DiskFile.add(id, bytes: bytes(id), to: database)
                        return (id, nil)
                    } catch {
                        return (id, error)
                    }
                }
            }
            var (committed, unavailable, others): (Set<Int>, Set<Int>, [String]) = ([], [], [])
            for await (id, error) in group {
                switch error {
                case nil: committed.insert(id)
                case .unavailable: unavailable.insert(id)
                case .some(let error): others.append("\(id): \(error)")
                }
            }
            return (committed, unavailable, others)
        }
    }
}

/// A database with one table of numbered rows, in a folder that it does not own.
struct DiskFile: Sendable {
    let folder: URL
    var path: String { folder.appending(path: "\(name).sqlite").path }
    private let name = "disk-\(UUID().uuidString)"

    /// Two statements, so that half of it could be there.
    static func add(_ id: Int, bytes: Int, to database: any SQLDatabase) async throws(StorageError) {
        let row = insert.bind(["id": Int64(id), "filling": [UInt8](repeating: 0x5A, count: bytes)])
        let mark = insert.bind(["id": Int64(-id - 1), "filling": []])
        _ = try await database.run(Transaction([row, mark]))
    }

    private static let insert = Statement(
        "tests.add",
        .writes,
        ["id": .integer, "filling": .bytes],
        "INSERT INTO numbered (id, filling) VALUES (:id, :filling)"
    )

    func make() async throws -> SQLiteDatabase {
        let database = try await open()
        try await database.withMigrationLock {
            try $0.execute(script: "CREATE TABLE numbered (id INTEGER PRIMARY KEY, filling BLOB NOT NULL) STRICT")
        }
        return database
    }

    func open() async throws -> SQLiteDatabase {
        try await SQLiteDatabase.open(
            path: path,
            logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
        )
    }

    /// Throws if only half of a transaction is there.
    func ids(in database: any SQLDatabase) async throws -> Set<Int> {
        let all = Statement("tests.all", .reads, "SELECT id FROM numbered")
        let ids = Set(try await database.run(all.bind()).rows.map { row throws(StorageError) in try row.int("id") })
        let rows = ids.filter { $0 >= 0 }
        guard ids.count == 2 * rows.count, rows.allSatisfy({ ids.contains(-$0 - 1) }) else {
            throw HalfATransaction(ids: ids.sorted())
        }
        return rows
    }

    /// The ids that recovery finds in a copy of the file and its WAL, without the shared memory that says how much of
    /// the WAL counts. No writer may be active.
    func idsAfterCrash() async throws -> Set<Int> {
        let copy = DiskFile(
            folder: FileManager.default.temporaryDirectory.appending(path: "tessera-crash-\(UUID().uuidString)")
        )
        try FileManager.default.createDirectory(at: copy.folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: copy.folder) }
        for suffix in ["", "-wal"] {
            try FileManager.default.copyItem(atPath: path + suffix, toPath: copy.path + suffix)
        }
        let recovered = try await copy.open()
        let ids = try await copy.ids(in: recovered)
        #expect(try await isIntact(recovered))
        await recovered.close()
        return ids
    }

    func isIntact(_ database: any SQLDatabase) async throws -> Bool {
        let check = Statement("tests.integrity", .reads, "PRAGMA integrity_check")
        return try await database.run(check.bind()).rows.map(\.values) == [[.text("ok")]]
    }

    private struct HalfATransaction: Error {
        let ids: [Int]
    }
}
