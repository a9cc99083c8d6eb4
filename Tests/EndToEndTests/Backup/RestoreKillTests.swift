// A restore is killed midway, as by a power loss: the old data is there, or all of the new with its sessions ended.
// Never a mixture, and never the backup with live sessions.
import Foundation
import Storage
import TestSupport
import Testing

@Suite("Restore, killed")
struct RestoreKillTests {
    @Test("kill -9 in the middle of a restore leaves the old data or all of the new", arguments: Engine.allCases)
    func killed(engine: Engine) async throws {
        let installation = try await Installation(engine, Installation.quickHashing)
        var server = try await installation.startAuth()
        let ada = try await installation.auth.signUp("ada@example.com")
        #expect(try await server.terminate() == .status(0))
        // Large enough to be killed in the middle.
        try await Self.fill(installation, rows: engine == .sqlite ? 60_000 : 20_000)
        try await installation.run("backup", "--service", "auth", "--to", installation.backupPath())
        server = try await installation.startAuth()
        let grace = try await installation.auth.signUp("grace@example.com")
        #expect(grace.status == 201)
        #expect(try await server.terminate() == .status(0))
        var before = try await installation.rows("auth", ["users", "sessions", "settings", "events"])

        var inTheMiddle = 0
        var outcomes = ["old": 0, "new": 0]
        // The timing of a kill depends on the machine: a busy one needs more rounds.
        for round in 0..<40 where round < 5 || inTheMiddle == 0 {
            let restore = try installation.start(
                ["restore", "--service", "auth", "--from", installation.backupPath(), "--yes"],
                settings: [:],
                input: ""
            )
            try await eventually("the restore is at the database itself") {
                restore.output.contains("auth: restore") || restore.exit != nil
            }
            // Later in each round, so that the kills hit different steps.
            if round % 5 > 0 { try await Task.sleep(for: .milliseconds(round % 5 * 15)) }
            restore.kill()
            let exit = try await restore.waitForExit()
            // SQLite's sign of an unfinished transaction.
            let journal = installation.folder.appending(path: "data/auth.sqlite-journal").path
            let hasJournal = FileManager.default.fileExists(atPath: journal)
            let rows = try await Self.whenFree(installation)
            if exit == .signal(9), rows == before, engine == .postgres || hasJournal { inTheMiddle += 1 }
            if rows == before {
                outcomes["old", default: 0] += 1
                continue
            }
            outcomes["new", default: 0] += 1
            let versions = try await installation.versions()
            #expect(versions.epoch != nil && versions.global > 1, "round \(round): the new data without its epoch")
            #expect(rows["users"]?.count == 1, "round \(round): \(rows["users"] ?? [])")
            let newest = try await installation.newestEntries()
            #expect(newest.event.hasPrefix("all.tokens_revoked "), "round \(round): \(newest)")
            // The next restore begins another epoch, so its data differs too.
            before = rows
        }
        print("restore killed on \(engine): \(inTheMiddle) kills in the middle, outcomes \(outcomes)")
        #expect(inTheMiddle >= 1, "no kill fell into the middle: \(outcomes)")
        if outcomes["new"] == 0 {
            server = try await installation.startAuth()
            let me = try await installation.auth.get("/v1/me", token: grace["access_token"].string)
            #expect(me.status == 200, "the old data is served with its sessions: \(me.text)")
            #expect(try await server.terminate() == .status(0))
        }

        // Leftovers of killed restores do no harm.
        try await installation.run("restore", "--service", "auth", "--from", installation.backupPath(), "--yes")
        server = try await installation.startAuth()
        for grant in [ada, grace] {
            let me = try await installation.auth.get("/v1/me", token: grant["access_token"].string)
            #expect(me["code"].string == "session_revoked", "\(me.text)")
        }
        #expect(try await installation.auth.logIn("ada@example.com").status == 200)
        #expect(try await installation.auth.logIn("grace@example.com").status == 401)
        #expect(try await server.terminate() == .status(0))
        if engine == .sqlite {
            let data = installation.folder.appending(path: "data").path
            let left = try FileManager.default.contentsOfDirectory(atPath: data)
            #expect(left.filter { $0.contains("restoring") || $0.contains("journal") } == [])
        }
    }

    /// About a kilobyte each.
    private static func fill(_ installation: Installation, rows: Int) async throws {
        let insert = Statement(
            "test.fill",
            .writes,
            ["count": .integer, "at": .instant, "text": .text],
            """
            INSERT INTO audit_log (at, action, outcome, details)
            SELECT :at, 'test.fill', 'success', :text || CAST(n AS TEXT)
            FROM (
                WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :count)
                SELECT n FROM numbers
            ) AS filling
            """
        )
        let text = (0..<1000).map { _ in String(UInt8.random(in: 0..<36), radix: 36) }.joined()
        try await installation.withDatabase("auth") { database in
            _ = try await database.run(
                insert.bind(["count": Int64(rows), "at": Instant(seconds: 1_800_000_000), "text": text]),
                priority: .long
            )
        }
    }

    /// The rows once the server has ended the restore's session and rolled it back.
    private static func whenFree(_ installation: Installation) async throws -> [String: [[SQLValue]]] {
        var rows: [String: [[SQLValue]]] = [:]
        try await eventually("the tables can be read") {
            guard let read = try? await installation.rows("auth", ["users", "sessions", "settings", "events"]) else {
                return false
            }
            rows = read
            return true
        }
        return rows
    }
}
