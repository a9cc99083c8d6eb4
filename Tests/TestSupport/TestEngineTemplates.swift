// The migrated templates, one for each engine and service in a test process.

internal import Embedded
internal import Foundation
internal import OpenSSLCrypto
package import Storage

/// Makes each template once, however many tests ask at the same moment.
actor TestTemplates {
    static let shared = TestTemplates()

    private var templates: [String: Task<String, any Error>] = [:]

    /// The address of the template, which has no open connection.
    func template(
        _ engine: TestEngine,
        named name: String,
        prepare: @Sendable @escaping (any SQLDatabase) async throws -> Void
    ) async throws -> String {
        let key = "\(engine.rawValue) \(name)"
        if let known = templates[key] { return try await known.value }
        let task = Task {
            let url = try await engine.makeEmpty(named: "template_\(name)")
            let database = try await engine.open(url)
            do {
                try await prepare(database)
                await database.close()
                return url
            } catch {
                await database.close()
                throw error
            }
        }
        templates[key] = task
        return try await task.value
    }
}

extension EmbeddedFile {
    /// Every embedded migration, of both services.
    package static func migrations() throws(StorageError) -> [Migration] {
        try all(under: "migrations/").map { file throws(StorageError) in
            try Migration(fileName: String(file.path.dropFirst("migrations/".count)), source: file.text)
        }
    }
}

extension Migrator {
    /// A service's migrator with the embedded migrations.
    package static func embedded(_ service: String) throws -> Migrator {
        testing(service: service, migrations: try EmbeddedFile.migrations())
    }

    /// A migrator with the checksum that the program uses and a clock that tells the time of the test.
    package static func testing(service: String, migrations: [Migration]) -> Migrator {
        Migrator(
            service: service,
            migrations: migrations,
            checksum: { Hex.encode(SHA256.digest($0)) },
            clock: { Instant(microseconds: Int64(Date().timeIntervalSince1970 * 1_000_000)) }
        )
    }
}
