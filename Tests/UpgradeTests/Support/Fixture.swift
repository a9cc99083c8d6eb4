// Data of a previous program in Tests/Fixtures/upgrade; its README says how it is made.
import Foundation
import Storage
import TestSupport
import Testing

struct Fixture: Sendable, CustomTestStringConvertible {
    let name: String

    var testDescription: String { name }

    private static let folder = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Fixtures/upgrade")

    /// Every folder is tested.
    static let all: [Fixture] = {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        return names.filter { !$0.contains(".") }.sorted().map(Fixture.init)
    }()

    func facts(_ engine: TestEngine) throws -> Facts {
        let file = Self.folder.appending(path: "\(name)/\(engine.rawValue).json")
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return try decoder.decode(Facts.self, from: Data(contentsOf: file))
    }

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
