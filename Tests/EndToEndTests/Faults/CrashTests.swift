// kill -9 under load: acknowledged writes are there, and nothing is incomplete.
//
// The writers are a separate process that records an id only after the answer. Every kill comes while at least 32
// requests are open. docs/durability.md explains the printed counts.
import Foundation
import Glibc
import Storage
import TestSupport
import Testing

// Serial, because each test uses both processors.
@Suite("Crashes under load", .serialized)
struct CrashTests {
    private static let rounds = TestScope.rounds(3, long: 20)

    @Test("kill -9 of the service on SQLite loses no acknowledged unit and leaves none half")
    func serviceOnSQLite() async throws {
        let installation = try await Installation.forCrashes()
        try await killService(of: installation, engine: .sqlite, "kill -9 of the service on SQLite")
    }

    @Test("kill -9 of the service on PostgreSQL with fsync=on loses no acknowledged unit and leaves none half")
    func serviceOnPostgres() async throws {
        try await withDurableCluster { cluster in
            let installation = try await Installation.forCrashes(on: cluster)
            try await killService(of: installation, engine: .postgres, "kill -9 of the service on PostgreSQL")
        }
    }

    @Test("kill -9 of PostgreSQL and all its processes loses no acknowledged unit; the service goes on by itself")
    func killPostgres() async throws {
        try await crashPostgres("kill -9 of PostgreSQL") { .family($0, signal: SIGKILL) }
    }

    @Test("an immediate shutdown of PostgreSQL loses no acknowledged unit; the service goes on by itself")
    func immediateShutdown() async throws {
        try await crashPostgres("immediate shutdown of PostgreSQL") { .process($0, signal: SIGQUIT) }
    }

    /// The service starts once and is not notified that its server is back.
    private func crashPostgres(_ what: String, _ victim: (Int32) -> CrashWriter.Victim) async throws {
        try await withDurableCluster { cluster in
            let installation = try await Installation.forCrashes(on: cluster)
            let service = try await installation.startDev()
            let writer = try await CrashWriter(installation)
            var kills: [CrashWriter.Kill] = []
            for _ in 0..<Self.rounds {
                let postmaster = try cluster.postmaster
                kills.append(try await writer.kill(victim(postmaster.identifier)))
                _ = try await postmaster.waitForExit()
                try await cluster.start()
            }
            try await writer.waitForAcknowledgements(64)
            let log = try await writer.stop()
            #expect(try await service.terminate() == .status(0))
            try await expectDurable(installation, .postgres, log, kills, what)
        }
    }

    /// Kills the service repeatedly under the same writers, and audits once at the end: nothing removes a transaction,
    /// so a loss at any kill is still visible.
    private func killService(of installation: Installation, engine: TestEngine, _ what: String) async throws {
        var service = try await installation.startDev()
        let writer = try await CrashWriter(installation)
        var kills: [CrashWriter.Kill] = []
        for _ in 0..<Self.rounds {
            kills.append(try await writer.kill(.process(service.identifier, signal: SIGKILL)))
            #expect(try await service.waitForExit() == .signal(SIGKILL))
            service = try await installation.startDev()
        }
        try await writer.waitForAcknowledgements(64)
        let log = try await writer.stop()
        #expect(try await service.terminate() == .status(0))
        try await expectDurable(installation, engine, log, kills, what)
    }

    private func expectDurable(
        _ installation: Installation,
        _ engine: TestEngine,
        _ log: CrashLog,
        _ kills: [CrashWriter.Kill],
        _ what: String
    ) async throws {
        #expect(kills.count == Self.rounds && kills.allSatisfy { $0.open >= 32 })
        #expect(log.odd.isEmpty, "answers that are none of the three: \(log.odd.prefix(10))")
        // Each kill had something to lose.
        #expect(log.acknowledged.count >= 64 * kills.count)
        let verdict = try await installation.audit(log, on: engine)
        let open = kills.map(\.open)
        print("\(what): \(kills.count) kills, open at each \(open.min() ?? 0)…\(open.max() ?? 0); \(verdict.summary)")
        verdict.expectClean()
    }
}

extension Installation {
    /// Signups are cheap, so that there can be many.
    static func forCrashes(_ settings: [String: String] = [:]) async throws -> Installation {
        let cheap = [
            "TESSERA_RATE_LIMITS": "off", "TESSERA_ARGON2_MEMORY_KIB": "8", "TESSERA_ARGON2_ITERATIONS": "1",
            "TESSERA_LOG_LEVEL": "warning",
        ]
        return try await Installation(.sqlite, cheap.merging(settings) { _, given in given })
    }

    /// As `forCrashes`, with both databases on a cluster that can be killed.
    static func forCrashes(on cluster: PrivateCluster, tablespace: String = "pg_default") async throws -> Installation {
        for name in ["auth", "chat"] { try await cluster.execute("CREATE DATABASE \(name) TABLESPACE \(tablespace)") }
        return try await forCrashes([
            "TESSERA_AUTH_DATABASE_URL": cluster.url("auth"), "TESSERA_CHAT_DATABASE_URL": cluster.url("chat"),
        ])
    }

    /// The service must be stopped.
    func audit(_ log: CrashLog, on engine: TestEngine) async throws -> CrashVerdict {
        let auth = try await engine.open(databaseURL("auth"))
        let chat = try await engine.open(databaseURL("chat"))
        for database in [auth, chat] { try await expectIntact(database, engine) }
        let verdict = CrashVerdict(try await CrashAudit(auth: auth, chat: chat), log)
        await auth.close()
        await chat.close()
        return verdict
    }

    /// The engine's own check of its files.
    private func expectIntact(_ database: any SQLDatabase, _ engine: TestEngine) async throws {
        switch engine {
        case .sqlite:
            let check = Statement("tests.integrity", .reads, "PRAGMA integrity_check")
            #expect(try await database.run(check.bind()).rows.map(\.values) == [[.text("ok")]])
        case .postgres:
            // Checks every index against its table, and so every page of both (amcheck, PostgreSQL manual F.2).
            try await database.withMigrationLock { try $0.execute(script: "CREATE EXTENSION IF NOT EXISTS amcheck") }
            let check = Statement(
                "tests.amcheck",
                .reads,
                """
                SELECT COUNT(CAST(bt_index_parent_check(i.indexrelid, true) AS TEXT)) AS n, COUNT(*) AS indexes
                FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
                WHERE n.nspname = 'public' AND c.relam = (SELECT oid FROM pg_am WHERE amname = 'btree')
                """
            )
            #expect(try await database.run(check.bind()).first?.int("indexes") ?? 0 > 3)
        }
    }
}
