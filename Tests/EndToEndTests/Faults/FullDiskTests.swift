// The disk fills up under the running service, and gets room again. Only a PostgreSQL that stopped without room for its
// log is restarted.
import Foundation
import NIOHTTP1
import TestSupport
import Testing

@Suite("A full disk under the service", .serialized)
struct FullDiskTests {
    @Test("on SQLite: 503 database_unavailable and nothing else, reads go on, and with room again so do writes")
    func sqlite() async throws {
        try await withSmallDisk(megabytes: 16) { disk in
            let installation = try await Installation.forCrashes([
                "TESSERA_AUTH_DATABASE_URL": "sqlite:\(disk.folder.path)/auth.sqlite",
                "TESSERA_CHAT_DATABASE_URL": "sqlite:\(disk.folder.path)/chat.sqlite",
            ])
            let (log, service) = try await fill(disk, under: installation, refusing: 256, readable: true)
            #expect(try await service.terminate() == .status(0))
            // A full disk never causes an unknown outcome.
            #expect(log.unknown.isEmpty, "\(log.reasons)")
            try await expectDurable(installation, .sqlite, log, "full disk under SQLite")
        }
    }

    @Test(
        "PostgreSQL's tables: 503 database_unavailable and nothing else, reads go on, and with room again so do writes"
    )
    func postgresTables() async throws {
        try await withSmallDisk(megabytes: 32) { disk in
            try await withDurableCluster { cluster in
                let space = disk.folder.appending(path: "tables")
                try await cluster.makeFolder(space)
                try await cluster.execute("CREATE TABLESPACE small LOCATION '\(space.path)'")
                let installation = try await Installation.forCrashes(on: cluster, tablespace: "small")
                let (log, service) = try await fill(disk, under: installation, refusing: 256, readable: true)
                #expect(try await service.terminate() == .status(0))
                #expect(log.unknown.isEmpty, "\(log.reasons)")
                try await expectDurable(installation, .postgres, log, "full disk under PostgreSQL's tables")
            }
        }
    }

    @Test("PostgreSQL's log: the server gives up, the service says 503, and after a start with room again goes on")
    func postgresLog() async throws {
        // Several times what the migrations write, so that removing the ballast makes room.
        try await withSmallDisk(megabytes: 48) { disk in
            let wal = disk.folder.appending(path: "wal")
            try await withDurableCluster(wal: wal) { cluster in
                let installation = try await Installation.forCrashes(on: cluster)
                // Without room for its log PostgreSQL panics, tries to recover, and stops.
                let postmaster = try cluster.postmaster
                let (log, service) = try await fill(disk, under: installation, refusing: 64, readable: false) {
                    _ = try await postmaster.waitForExit()
                } afterwards: {
                    try await cluster.start()
                }
                #expect(try await service.terminate() == .status(0))
                #expect(postmaster.output.contains("No space left on device"))
                try await expectDurable(installation, .postgres, log, "full disk under PostgreSQL's log")
            }
        }
    }

    /// Fills the disk under load until `refusing` transactions were refused, makes room, and checks that writes
    /// continue.
    private func fill(
        _ disk: SmallDisk,
        under installation: Installation,
        refusing: Int,
        readable: Bool,
        until settled: () async throws -> Void = {},
        afterwards: () async throws -> Void = {}
    ) async throws -> (CrashLog, ServerProcess) {
        let service = try await installation.startDev()
        let signup = try await installation.auth.signUp("reader@example.com")
        let token = signup["access_token"].string
        let writer = try await CrashWriter(installation)
        try await writer.waitForAcknowledgements(256)
        try disk.fill()
        try await eventually(within: .seconds(60), "units are refused") {
            try await writer.counts()["refused"] ?? 0 >= refusing
        }
        try await settled()
        if readable {
            #expect(try await installation.chat.get("/v1/conversations", token: token).status == 200)
            try await eventually("the node says that writing fails") {
                try await installation.chat.get("/readyz").status == 503
            }
        } else {
            #expect(try await installation.chat.get("/readyz").status == 503)
        }
        // A full disk still has the bytes that were just freed, so one small transaction may commit.
        var refusal = try await installation.chat.post("/v1/conversations", ["title": "no room"], token: token)
        try await eventually("a unit is refused") {
            if refusal.status != 201 { return true }
            refusal = try await installation.chat.post("/v1/conversations", ["title": "no room"], token: token)
            return false
        }
        #expect(refusal.status == 503)
        #expect(refusal["code"].string == "database_unavailable")
        #expect(refusal.headers["Retry-After"] == ["1"])
        try disk.makeRoom()
        try await afterwards()
        try await writer.waitForAcknowledgements(256)
        try await eventually("the node is ready again") { try await installation.chat.get("/readyz").status == 200 }
        return (try await writer.stop(), service)
    }

    private func expectDurable(
        _ installation: Installation,
        _ engine: TestEngine,
        _ log: CrashLog,
        _ what: String
    ) async throws {
        #expect(log.odd.isEmpty, "answers that are none of the three: \(log.odd.prefix(10))")
        let verdict = try await installation.audit(log, on: engine)
        print("\(what): \(verdict.summary)")
        verdict.expectClean()
    }
}
