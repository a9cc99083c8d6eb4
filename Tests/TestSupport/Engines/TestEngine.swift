// A database per test, on either engine.
//
// Migrating takes a while, so each service's schema is migrated once per process into a template. A test gets a copy,
// which takes milliseconds and is removed afterwards. Tests share nothing, so they run in parallel.

internal import Embedded
package import Storage
import Testing

package enum TestEngine: String, CaseIterable, Sendable, CustomTestStringConvertible {
    case sqlite, postgres

    /// Both, except in `make check`.
    package static let allCases: [TestEngine] = TestScope.current == .check ? [.sqlite] : [.sqlite, .postgres]

    package var testDescription: String { rawValue }
}

/// A fresh, migrated database and its address for a second process.
package struct TestDatabase: Sendable {
    package let engine: TestEngine
    /// As in `TESSERA_…_DATABASE_URL`.
    package let url: String
    package let database: any InteractiveDatabase

    package func openAnother() async throws -> any InteractiveDatabase {
        try await engine.open(url)
    }
}

/// Runs `body` with a fresh database, migrated with the embedded migrations of `service`.
package func withDatabase<T>(
    _ engine: TestEngine,
    service: String,
    _ body: (any InteractiveDatabase) async throws -> T
) async throws -> T {
    try await withTestDatabase(engine, service: service) { try await body($0.database) }
}

/// For tests that open the data twice or pass its address to a process. With other `migrations` than the embedded ones
/// `service` must be a unique name in the process.
package func withTestDatabase<T>(
    _ engine: TestEngine,
    service: String,
    migrations: [Migration]? = nil,
    _ body: (TestDatabase) async throws -> T
) async throws -> T {
    try await withTestDatabase(engine, template: service) { database in
        let migrator = Migrator.testing(service: service, migrations: try migrations ?? EmbeddedFile.migrations())
        try await migrator.up(database)
    } body: { test in
        try await body(test)
    }
}

/// Runs `body` with a copy of a database that `prepare` fills, once per process for each name.
package func withTestDatabase<T>(
    _ engine: TestEngine,
    template name: String,
    prepare: @Sendable @escaping (any SQLDatabase) async throws -> Void,
    body: (TestDatabase) async throws -> T
) async throws -> T {
    let time = TestTimes()
    defer { time.end() }
    let template = try await TestTemplates.shared.template(engine, named: name, prepare: prepare)
    let url = try await engine.copy(of: template)
    do {
        let database = try await engine.open(url)
        do {
            let value = try await body(TestDatabase(engine: engine, url: url, database: database))
            await database.close()
            try await engine.remove(url)
            return value
        } catch {
            await database.close()
            throw error
        }
    } catch {
        // The first error counts.
        try? await engine.remove(url)
        throw error
    }
}

/// For tests of migrations.
package func withEmptyDatabase<T>(
    _ engine: TestEngine,
    _ body: (TestDatabase) async throws -> T
) async throws -> T {
    try await withTestDatabase(engine, service: "empty", migrations: [], body)
}
