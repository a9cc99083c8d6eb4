// Data that an earlier program left, as Tests/Fixtures/upgrade has it (its README says how it is made).
import Foundation
import Storage
import TestSupport
import Testing

/// One folder of fixtures: both services on both engines, and what the clients have of each.
struct Fixture: Sendable, CustomTestStringConvertible {
    let name: String

    var testDescription: String { name }

    private static let folder = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Fixtures/upgrade")

    /// Every fixture that there is: a new one is tested by being there.
    static let all: [Fixture] = {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        return names.filter { !$0.contains(".") }.sorted().map(Fixture.init)
    }()

    /// What the clients have, and what they were answered.
    func facts(_ engine: TestEngine) throws -> Facts {
        let file = Self.folder.appending(path: "\(name)/\(engine.rawValue).json")
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return try decoder.decode(Facts.self, from: Data(contentsOf: file))
    }

    /// Runs `body` with a database that holds the rows of a service as the earlier program left them.
    func withRows<T>(
        _ engine: TestEngine,
        _ service: String,
        _ body: (any SQLDatabase) async throws -> T
    ) async throws -> T {
        let file = Self.folder.appending(path: "\(name)/\(service).\(engine.rawValue).sql.gz")
        return try await withTestDatabase(engine, template: "\(name)_\(service)") { database in
            let script = try await Self.unpacked(file)
            try await database.withMigrationLock { try $0.execute(script: script) }
        } body: {
            try await body($0.database)
        }
    }

    private static func unpacked(_ file: URL) async throws -> String {
        try await ServerProcess(
            executable: URL(filePath: "/usr/bin/env"),
            arguments: ["gzip", "-dc", file.path],
            environment: [:],
            folder: FileManager.default.temporaryDirectory
        ).waitForSuccess()
    }
}
