// A database per test, on either engine.
//
// Migrating takes a while and most tests want the same tables, so each service's schema is migrated once per
// process into a template; a test gets a copy, which takes milliseconds, and it is gone afterwards. Nothing is
// shared between tests, so they run side by side.

internal import Embedded
package import Storage
import Testing

/// The engines that every feature is tested on.
package enum TestEngine: String, CaseIterable, Sendable, CustomTestStringConvertible {
    case sqlite, postgres

    /// The engines of this run: both, except in `make check`.
    package static let allCases: [TestEngine] = TestScope.current == .check ? [.sqlite] : [.sqlite, .postgres]

    package var testDescription: String { rawValue }
}

/// A fresh, migrated database and the address under which a second process finds it.
package struct TestDatabase: Sendable {
    package let engine: TestEngine
    /// `sqlite:PATH` or `postgres://…`, as `TESSERA_…_DATABASE_URL` takes it.
    package let url: String
    package let database: any SQLDatabase

    /// Opens the same data again, as a second node would. The caller closes it.
    package func openAnother() async throws -> any SQLDatabase {
        try await engine.open(url)
    }
}

/// Runs `body` with a fresh database, migrated with the embedded migrations of `service`.
package func withDatabase<T>(
    _ engine: TestEngine,
    service: String,
    _ body: (any SQLDatabase) async throws -> T
) async throws -> T {
    try await withTestDatabase(engine, service: service) { try await body($0.database) }
}

/// As `withDatabase`, for tests that open the data twice or hand its address to a process. With other `migrations`
/// than the embedded ones `service` must name them uniquely in the process.
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
        // The first error is the one to tell.
        try? await engine.remove(url)
        throw error
    }
}

/// Runs `body` with an empty database of its own, for tests of migrations.
package func withEmptyDatabase<T>(
    _ engine: TestEngine,
    _ body: (TestDatabase) async throws -> T
) async throws -> T {
    try await withTestDatabase(engine, service: "empty", migrations: [], body)
}
