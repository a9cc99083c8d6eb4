import Foundation
import Logging
import Storage
import StorageSQLite
import TestSupport
import Testing

@Suite("SQLite")
struct SQLiteEngineTests {
    private static let set = Statement(
        "tests.set",
        .writes,
        ["key": .text, "value": .integer],
        "INSERT INTO settings (key, integer_value) VALUES (:key, :value) ON CONFLICT (key) DO UPDATE SET integer_value = :value"
    )

    private static func pragma(_ name: String) -> BoundStatement {
        Statement("tests.pragma_\(name)", .writes, "PRAGMA \(name)").bind()
    }

    @Test("a commit is synced to the disk, and references are enforced")
    func settings() async throws {
        try await withDatabase(.sqlite, service: "auth") { database async throws in
            #expect(try await database.run(Self.pragma("journal_mode")).first?.values == [.text("wal")])
            #expect(try await database.run(Self.pragma("synchronous")).first?.values == [.integer(2)])
            #expect(try await database.run(Self.pragma("foreign_keys")).first?.values == [.integer(1)])
        }
    }

    @Test("a file in a folder that does not exist is unavailable")
    func missingFolder() async {
        let error = await #expect(throws: StorageError.self) {
            _ = try await SQLiteDatabase.open(path: "/nowhere/at/all.sqlite", logger: Logger(label: "test"))
        }
        guard case .unavailable = error else {
            Issue.record("\(String(describing: error))")
            return
        }
    }

    @Test("when another process keeps the file locked the unit is a conflict, and later it works")
    func busy() async throws {
        try await withTestDatabase(.sqlite, service: "auth") { test async throws in
            let path = String(test.url.dropFirst("sqlite:".count))
            let impatient = try await SQLiteDatabase.open(
                path: path,
                configuration: SQLiteConfiguration(busyTimeout: .milliseconds(20)),
                logger: Logger(label: "test")
            )
            let gate = Gate()
            async let holder: Void = test.database.holdingTransaction { transaction in
                try transaction.run(Self.set.bind(["key": "held", "value": 1]))
                gate.enterAndWait()
            }
            try await eventually("the file is locked") { gate.isEntered }
            let error = await #expect(throws: StorageError.self) {
                _ = try await impatient.run(Self.set.bind(["key": "mine", "value": 1]))
            }
            gate.open()
            try await holder
            guard case .conflict = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            _ = try await impatient.run(Self.set.bind(["key": "mine", "value": 1]))
            await impatient.close()
        }
    }

    @Test("statistics of the tables that were searched are kept when a database closes")
    func statistics() async throws {
        try await withEmptyDatabase(.sqlite) { test async throws in
            let path = String(test.url.dropFirst("sqlite:".count))
            let table =
                "CREATE TABLE kept (id INTEGER PRIMARY KEY, kind INTEGER); CREATE INDEX kept_kind ON kept (kind)"
            try await test.database.withMigrationLock { try $0.execute(script: table) }
            let database = try await SQLiteDatabase.open(path: path, logger: .silent)
            let insert = Statement("tests.keep", .writes, ["kind": .integer], "INSERT INTO kept (kind) VALUES (:kind)")
            let search = Statement("tests.search", .writes, "UPDATE kept SET kind = 8 WHERE kind = 7")
            var inserts = Transaction()
            inserts.add(contentsOf: (0..<1000).map { insert.bind(["kind": $0 % 10]) })
            _ = try await database.run(inserts)
            #expect(try await database.run(search.bind()).affected == 100)
            await database.close()
            let statistics = Statement("tests.statistics", .reads, "SELECT idx, stat FROM sqlite_stat1")
            let again = try await SQLiteDatabase.open(path: path, logger: .silent)
            let rows = try await again.run(statistics.bind()).rows
            #expect(try rows.map { try $0.text("idx") } == ["kept_kind"])
            // About so many rows, and so many of them with one value (sqlite.org/fileformat2.html#stat1tab).
            let numbers = try rows.first?.text("stat").split(separator: " ").compactMap { Int($0) } ?? []
            #expect(numbers.count == 2 && (500...2000).contains(numbers[0]) && (50...400).contains(numbers[1]))
            await again.close()
        }
    }
}
