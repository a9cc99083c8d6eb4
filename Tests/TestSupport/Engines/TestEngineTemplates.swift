internal import Embedded
internal import Foundation
internal import OpenSSLCrypto
package import Storage

/// Makes each template once, however many tests need it at the same time.
actor TestTemplates {
    static let shared = TestTemplates()

    private var templates: [String: Task<String, any Error>] = [:]

    /// The template has no open connection.
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
    package static func migrations() throws(StorageError) -> [Migration] {
        try all(under: "migrations/").map { file throws(StorageError) in
            try Migration(fileName: String(file.path.dropFirst("migrations/".count)), source: file.text)
        }
    }
}

extension Migrator {
    package static func embedded(_ service: String) throws -> Migrator {
        testing(service: service, migrations: try EmbeddedFile.migrations())
    }

    /// With the program's checksum and the test's clock.
    package static func testing(service: String, migrations: [Migration]) -> Migrator {
        Migrator(
            service: service,
            migrations: migrations,
            checksum: { Hex.encode(SHA256.digest($0)) },
            clock: { Instant(microseconds: Int64(Date().timeIntervalSince1970 * 1_000_000)) }
        )
    }
}
