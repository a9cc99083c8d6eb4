import Foundation
import Logging
import Storage
import StoragePostgres
import TestSupport
import Testing

@Suite("PostgreSQL over TLS", .needsPostgres)
struct PostgresTLSTests {
    private static let isEncrypted = Statement(
        "tests.is_encrypted",
        .reads,
        "SELECT ssl AS encrypted FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
    )

    @Test("verify-full takes the right certificate only, and sslmode=require in the URL overrides")
    func certificates() async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "tessera-tls-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let authority = try await TestAuthority(in: folder)
        let other = try await TestAuthority(in: folder, name: "other")
        let right = try await authority.issue("right", for: "DNS:localhost", "IP:127.0.0.1")
        let wrongName = try await authority.issue("wrong-name", for: "DNS:db.example.com", "IP:127.0.0.2")
        let wrongAuthority = try await other.issue("wrong-authority", for: "DNS:localhost", "IP:127.0.0.1")

        try await withPrivateCluster(certificate: right) { cluster async throws in
            let verified = "?sslmode=verify-full&sslrootcert=\(authority.certificate.path)"
            for host in ["localhost", "127.0.0.1"] {
                #expect(try await Self.connect(cluster.url(host: host) + verified))
                // Without `sslrootcert` the system's authorities are used, which do not know this one.
                await Self.expectRefusal("certificate verify failed", cluster.url(host: host) + "?sslmode=verify-full")
            }
            // The right name by another authority, and the right authority for another name.
            for (certificate, reason) in [
                (wrongAuthority, "certificate verify failed"), (wrongName, "does not match host name"),
            ] {
                try await cluster.stop()
                try await cluster.install(certificate)
                try await cluster.start()
                for host in ["localhost", "127.0.0.1"] {
                    await Self.expectRefusal(reason, cluster.url(host: host) + verified)
                    #expect(try await Self.connect(cluster.url(host: host) + "?sslmode=require"))
                }
            }
            #expect(try await !Self.connect(cluster.url() + "?sslmode=disable"))
        }
    }

    private static func connect(_ url: String) async throws -> Bool {
        let database = try await PostgresDatabase.connect(url: url, logger: .silent)
        let row = try await database.run(isEncrypted.bind()).first
        await database.close()
        return try row?.boolean("encrypted") ?? false
    }

    private static func expectRefusal(_ reason: String, _ url: String) async {
        let error = await #expect(throws: StorageError.self) { try await connect(url) }
        #expect("\(String(describing: error))".contains(reason))
    }
}

extension Logger {
    /// For tests that provoke log lines.
    static var silent: Logger { Logger(label: "test.storage", factory: { _ in SwiftLogNoOpLogHandler() }) }
}
