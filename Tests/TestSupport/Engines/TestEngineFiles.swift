// Test databases are files in a folder of this process, or databases on the test server.

internal import Foundation
internal import Logging
package import Storage
internal import StoragePostgres
internal import StorageSQLite

package struct TestDatabaseError: Error, CustomStringConvertible {
    package let description: String
}

extension TestEngine {
    package func open(_ url: String) async throws -> any InteractiveDatabase {
        var logger = Logger(label: "test.storage")
        logger.logLevel = .error
        switch self {
        case .sqlite: return try await SQLiteDatabase.open(path: Self.path(url), logger: logger)
        case .postgres: return try await PostgresDatabase.connect(url: url, logger: logger)
        }
    }

    func makeEmpty(named name: String) async throws -> String {
        let name = "tessera_\(ProcessInfo.processInfo.processIdentifier)_\(name)_\(Self.random())"
        switch self {
        case .sqlite:
            return "sqlite:" + TestFolder.root.appending(path: name + ".sqlite").path
        case .postgres:
            try await TestServer.shared.execute("CREATE DATABASE \(name) TEMPLATE template0 ENCODING 'UTF8'")
            return try TestServer.url(database: name)
        }
    }

    /// The template must have no connections.
    func copy(of template: String) async throws -> String {
        let name = "tessera_\(ProcessInfo.processInfo.processIdentifier)_\(Self.random())"
        switch self {
        case .sqlite:
            let copy = TestFolder.root.appending(path: name + ".sqlite")
            if FileManager.default.fileExists(atPath: Self.path(template)) {
                try FileManager.default.copyItem(atPath: Self.path(template), toPath: copy.path)
            }
            return "sqlite:" + copy.path
        case .postgres:
            let source = try TestServer.databaseName(template)
            try await TestServer.shared.execute("CREATE DATABASE \(name) TEMPLATE \(source)")
            return try TestServer.url(database: name)
        }
    }

    /// Works in spite of open connections.
    func remove(_ url: String) async throws {
        switch self {
        case .sqlite:
            for suffix in ["", "-wal", "-shm"] { try? FileManager.default.removeItem(atPath: Self.path(url) + suffix) }
        case .postgres:
            try await TestServer.shared.execute("DROP DATABASE \(TestServer.databaseName(url)) WITH (FORCE)")
        }
    }

    private static func path(_ url: String) -> String { String(url.dropFirst("sqlite:".count)) }

    private static func random() -> String { String(UInt64.random(in: 0 ... .max), radix: 36) }
}

/// Removed when the process ends normally.
private enum TestFolder {
    static let root: URL = {
        let process = ProcessInfo.processInfo.processIdentifier
        let folder = FileManager.default.temporaryDirectory.appending(
            path: "tessera-tests-\(process)-\(UUID().uuidString)"
        )
        try? FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        atexit { try? FileManager.default.removeItem(at: TestFolder.root) }
        return folder
    }()
}

/// Started by `scripts/with-postgres`.
private actor TestServer {
    static let shared = TestServer()

    private var administration: (any SQLDatabase)?

    /// For statements outside a transaction. The migration lock serialises them, so that two copies of one template do
    /// not collide; it also waits for an ending backend of the template.
    func execute(_ sql: String) async throws {
        let database = try await connect()
        for attempt in 1... {
            do {
                return try await database.withMigrationLock { try $0.execute(script: sql) }
            } catch StorageError.statementFailed(_, let code) where code.hasPrefix("55006") && attempt < 100 {
                try await Task.sleep(for: .milliseconds(20))
            }
        }
    }

    private func connect() async throws -> any SQLDatabase {
        if let administration { return administration }
        let database = try await PostgresDatabase.connect(
            url: Self.url(database: nil),
            configuration: PostgresConfiguration(readWorkers: 1, slowConnections: 1),
            logger: Logger(label: "test.storage")
        )
        administration = database
        return database
    }

    /// With `nil`, the database of the variable.
    static func url(database: String?) throws -> String {
        // Never skipped: a run on one engine proves only half.
        guard let server = ProcessInfo.processInfo.environment["TESSERA_TEST_POSTGRES_URL"], !server.isEmpty else {
            throw TestDatabaseError(
                description:
                    "TESSERA_TEST_POSTGRES_URL is not set: run the tests with `make test` or `scripts/with-postgres swift test`"
            )
        }
        guard let database else { return server }
        guard var components = URLComponents(string: server) else {
            throw TestDatabaseError(description: "TESSERA_TEST_POSTGRES_URL is not a URL")
        }
        components.path = "/" + database
        return components.string ?? server
    }

    static func databaseName(_ url: String) throws -> String {
        guard let path = URLComponents(string: url)?.path, path.count > 1 else {
            throw TestDatabaseError(description: "\(url) names no database")
        }
        return String(path.dropFirst())
    }
}
