// Every way in which a commit on SQLite can fail, provoked below SQLite (Tests/CFaultyDisk). A simulated crash right
// afterwards shows whether "not committed" was true and "unknown" was necessary.
import CFaultyDisk
import Foundation
import Storage
import StorageSQLite
import TestSupport
import Testing

@Suite("Commits that fail on SQLite", .serialized)
struct FailingCommitTests {
    // Result codes (https://www.sqlite.org/rescode.html).
    private static let full: Int32 = 13
    private static let failedWrite: Int32 = 10 | 3 << 8
    private static let failedSync: Int32 = 10 | 4 << 8
    private static let failedGrowth: Int32 = 10 | 19 << 8

    init() {
        precondition(faulty_disk_install() == 0)
    }

    @Test("no space for any one of its writes: known not committed, and a crash does not bring it back")
    func noSpace() async throws {
        try await withFaultyFile { file, database async throws in
            var writes: Int32 = 0
            while true {
                let (error, refused) = await failing(
                    FAULTY_DISK_WRITE,
                    after: writes,
                    Self.full,
                    of: file.path + "-wal"
                ) {
                    () async throws(StorageError) in try await DiskFile.add(Int(writes) + 1, bytes: 8192, to: database)
                }
                if refused == 0 {
                    #expect(error == nil)
                    break
                }
                guard case .unavailable = error else {
                    Issue.record("write \(writes): \(String(describing: error))")
                    return
                }
                #expect(try await file.ids(in: database) == [0])
                #expect(try await file.idsAfterCrash() == [0])
                writes += 1
            }
            // Each page is two writes, a header and itself: the commit record was among the refused.
            #expect(writes >= 6)
            #expect(try await file.ids(in: database) == [0, Int(writes) + 1])
            #expect(try await file.isIntact(database))
        }
    }

    @Test("a write that fails for another reason than space: unknown, not there, and the next unit is committed")
    func failedWrite() async throws {
        try await withFaultyFile { file, database async throws in
            let (error, refused) = await failing(FAULTY_DISK_WRITE, after: 1, Self.failedWrite, of: file.path + "-wal")
            {
                () async throws(StorageError) in try await DiskFile.add(1, bytes: 16, to: database)
            }
            #expect(refused > 0)
            expectUnknown(error)
            try await expectRecovered(file, database)
        }
    }

    @Test("a sync that fails: unknown, since a crash would bring the unit back although it is not there now")
    func failedSync() async throws {
        try await withFaultyFile { file, database async throws in
            let (error, refused) = await failing(FAULTY_DISK_SYNC, Self.failedSync, of: file.path + "-wal") {
                () async throws(StorageError) in try await DiskFile.add(1, bytes: 16, to: database)
            }
            #expect(refused > 0)
            expectUnknown(error)
            #expect(try await file.ids(in: database) == [0])
            #expect(try await file.idsAfterCrash() == [0, 1])
            try await expectRecovered(file, database)
        }
    }

    @Test("no room for the WAL's index after the commit record was written: unknown, since a crash would bring it back")
    func failedGrowth() async throws {
        try await withFaultyFile { file, database async throws in
            // The index grows at the 4063rd page of the WAL. The large cache delays all pages to the commit.
            _ = try await database.run(Statement("tests.cache", .writes, "PRAGMA cache_size = -65536").bind())
            let (error, refused) = await failing(FAULTY_DISK_GROW_SHARED_MEMORY, Self.failedGrowth, of: file.path) {
                () async throws(StorageError) in try await DiskFile.add(1, bytes: 17 << 20, to: database)
            }
            #expect(refused > 0)
            expectUnknown(error)
            #expect(try await file.ids(in: database) == [0])
            #expect(try await file.idsAfterCrash() == [0, 1])
            try await expectRecovered(file, database)
        }
    }

    @Test("a failed sync makes every unit of the group unknown, and none of them is run again")
    func failedSyncOfAGroup() async throws {
        try await withFaultyFile { file, database async throws in
            let (_, refused) = await failing(FAULTY_DISK_SYNC, Self.failedSync, of: file.path + "-wal") {
                () async throws(StorageError) in
                let errors = await withTaskGroup(of: StorageError?.self) { group in
                    for id in 1...32 {
                        group.addTask {
                            do throws(StorageError) {
                                try await DiskFile.add(id, bytes: 16, to: database)
                                return nil
                            } catch {
                                return error
                            }
                        }
                    }
                    return await group.reduce(into: []) { $0.append($1) }
                }
                for error in errors { expectUnknown(error) }
            }
            // A group is one sync, and 32 transactions are at most 32 groups.
            #expect((1...32).contains(refused))
            #expect(try await file.ids(in: database) == [0])
            try await expectRecovered(file, database)
        }
    }

    /// After the fault the next transaction commits, takes the place of the failed one, and survives a crash.
    private func expectRecovered(_ file: DiskFile, _ database: SQLiteDatabase) async throws {
        try await DiskFile.add(100, bytes: 16, to: database)
        #expect(try await file.ids(in: database) == [0, 100])
        #expect(try await file.idsAfterCrash() == [0, 100])
        #expect(try await file.isIntact(database))
    }

    private func expectUnknown(_ error: StorageError?) {
        guard case .outcomeUnknown = error else {
            Issue.record("\(String(describing: error))")
            return
        }
    }

    private func failing(
        _ operation: faulty_disk_operation,
        after count: Int32 = 0,
        _ code: Int32,
        of path: String,
        _ body: () async throws(StorageError) -> Void
    ) async -> (StorageError?, Int32) {
        faulty_disk_fail(path, operation, count, code)
        do throws(StorageError) {
            try await body()
            return (nil, faulty_disk_mend())
        } catch {
            return (error, faulty_disk_mend())
        }
    }

    /// A file with row 0, whose first commits have already created the WAL.
    private func withFaultyFile(_ body: (DiskFile, SQLiteDatabase) async throws -> Void) async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "tessera-faulty-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let file = DiskFile(folder: folder)
        let database = try await file.make()
        do {
            try await DiskFile.add(0, bytes: 16, to: database)
            try await body(file, database)
            await database.close()
        } catch {
            await database.close()
            throw error
        }
    }
}
