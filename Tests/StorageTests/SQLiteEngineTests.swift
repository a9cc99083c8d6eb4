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
        [.text, .integer],
        "INSERT INTO settings (key, integer_value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET integer_value = $2"
    )

    private static func pragma(_ name: String) -> BoundStatement {
        Statement("tests.pragma_\(name)", .writes, [], "PRAGMA \(name)")()
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
            async let holder: Void = test.database.transaction { transaction in
                try transaction.run(Self.set("held", 1))
                gate.enterAndWait()
            }
            try await eventually("the file is locked") { gate.isEntered }
            let error = await #expect(throws: StorageError.self) { _ = try await impatient.run(Self.set("mine", 1)) }
            gate.open()
            try await holder
            guard case .conflict = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            _ = try await impatient.run(Self.set("mine", 1))
            await impatient.close()
        }
    }
}
