import AuthService
import HTTPTypes
import ServiceKit
import Storage
import TestSupport
import Testing

@Suite("Cleanup")
struct CleanupTests {
    private static let day: Duration = .seconds(86_400)

    private func removed(_ report: CleanupReport?, _ name: String) throws -> Int {
        let counts = try #require(report?.counts)
        return try #require(counts.first { $0.name == name }?.count, "\(name)")
    }

    @Test(
        "a session stays until its last use is too long ago, also when its row's own end is behind",
        arguments: TestEngine.allCases
    )
    func living(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let ada = try await node.signUp()
            node.clock.advance(.seconds(23 * 3600))
            // Too soon to move the row's end: from here on the row states an earlier end than the true one.
            let second = try #require(try await node.refresh(ada.refresh).json["refresh_token"]?.string)
            node.clock.advance(Self.day * 14 - .seconds(3600))
            #expect(try removed(try await node.service.cleanup.run(), "sessions") == 0)
            let answer = try await node.refresh(second)
            #expect(answer.status == 200, "\(answer.text)")
            let access = try #require(answer.json["access_token"]?.string)
            let list = try await node.send(.get, "/v1/me/sessions", token: access)
            #expect(list.json["data"]?.array?.map { $0["id"]?.string } == [ada.sessionID])
        }
    }

    @Test("a session that ended is shown for a day, then gone with its tokens", arguments: TestEngine.allCases)
    func ended(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let ada = try await node.signUp()
            _ = try await node.send(.post, "/v1/logout", token: ada.access)
            node.clock.advance(.seconds(3600))
            #expect(try removed(try await node.service.cleanup.run(), "sessions") == 0)
            let admin = try await node.makeAdmin()
            let path = "/v1/admin/users/\(ada.userID)/sessions"
            let shown = try await node.send(.get, "\(path)?ended=true", token: admin.access)
            #expect(shown.json["data"]?.array?.first?["revoke_reason"]?.string == "logout")
            #expect(try await node.send(.get, path, token: admin.access).json["data"]?.array?.isEmpty == true)
            node.clock.advance(Self.day)
            #expect(try removed(try await node.service.cleanup.run(), "sessions") == 1)
            #expect(try await node.count("refresh_tokens WHERE user_id = '\(ada.userID)'") == 0)
            #expect(try await node.count("users") == 2)
        }
    }

    @Test("after revoking everything the rows are marked, in more than one batch", arguments: TestEngine.allCases)
    func marking(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let ada = try await node.signUp()
            // Copies of one session, more than a batch holds.
            try await node.execute(
                """
                INSERT INTO sessions (
                    id, user_id, auth_time, created_at, updated_at, last_seen_at, expires_at, absolute_expires_at,
                    required_version, global_version)
                WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 1200)
                SELECT s.id || '.' || n, s.user_id, s.auth_time, s.created_at, s.updated_at, s.last_seen_at,
                    s.expires_at, s.absolute_expires_at, s.required_version, s.global_version
                FROM sessions s CROSS JOIN numbers
                """
            )
            #expect(try await node.count("sessions") == 1201)
            try await node.service.sessions.revokeEverything(actor: nil, from: .commandLine)
            let fresh = try await node.logIn()
            #expect(try removed(try await node.service.cleanup.run(), "sessions_marked") == 1201)
            #expect(try await node.count("sessions WHERE revoke_reason = 'all_revoked'") == 1201)
            #expect(try await node.me(fresh.access).status == 200)
            #expect(try await node.me(ada.access).code == "session_revoked")
            #expect(try await node.count("events WHERE kind = 'session.revoked'") == 0, "one event told it all")
        }
    }

    @Test("rate counters, old events and old audit rows go; what is young stays", arguments: TestEngine.allCases)
    func retention(engine: TestEngine) async throws {
        try await withNode(engine, NodeOptions(rateLimits: true)) { node in
            _ = try await node.signUp()
            _ = try await node.logInAnswer(password: "wrong password")
            #expect(try await node.count("rate_counters") > 0)
            node.clock.advance(.seconds(901))
            #expect(try removed(try await node.service.cleanup.run(), "rate_counters") > 0)
            #expect(try await node.count("rate_counters") == 0)
            #expect(try await node.count("events") == 1)

            node.clock.advance(Self.day * 8)
            _ = try await node.logInAnswer(password: "wrong password")
            #expect(try removed(try await node.service.cleanup.run(), "events") == 1)
            #expect(try await node.count("rate_counters") > 0)
            let audited = try await node.count("audit_log")
            node.clock.advance(Self.day * 358)
            #expect(
                try removed(try await node.service.cleanup.run(), "audit_log") == audited - 1,
                "the last login is younger"
            )
        }
    }

    @Test(
        "while another node holds the lease nobody else runs; a lease that ran out may be taken",
        arguments: TestEngine.allCases
    )
    func lease(engine: TestEngine) async throws {
        try await withNodes(engine, [NodeOptions(), NodeOptions()]) { nodes in
            let node = nodes[0]
            #expect(try await node.service.cleanup.runIfFree() != nil)
            let end = node.clock.now + .seconds(300)
            let taken = try await node.execute(
                "UPDATE job_leases SET holder = 'another node', expires_at = :end",
                ["end": end]
            )
            #expect(taken == 1)
            for node in nodes { #expect(try await node.service.cleanup.runIfFree() == nil) }
            #expect(try await node.count("job_leases WHERE holder = 'another node'") == 1)
            node.clock.advance(.seconds(301))
            #expect(try await nodes[1].service.cleanup.runIfFree() != nil, "its holder died")
            #expect(try await nodes[0].service.cleanup.runIfFree() != nil, "a lease given back is free")
            #expect(try await node.query("SELECT last_result FROM job_leases").first?.text("last_result") == "0")
        }
    }

    @Test("a pass that fails gives its lease back and leaves the last result", arguments: TestEngine.allCases)
    func failing(engine: TestEngine) async throws {
        try await withNodes(engine, [NodeOptions(), NodeOptions()]) { nodes in
            let node = nodes[0]
            func lastRun() async throws -> (at: Instant, result: String) {
                let rows = try await node.query(
                    "SELECT last_run_at, last_result FROM job_leases WHERE name = 'cleanup'"
                )
                let row = try #require(rows.first)
                return (try row.instant("last_run_at"), try row.text("last_result"))
            }
            #expect(try await node.service.cleanup.runIfFree() != nil)
            let before = try await lastRun()
            node.clock.advance(.seconds(1))
            _ = try await node.execute("ALTER TABLE audit_log RENAME TO hidden_log")
            await #expect(throws: StorageError.self) { try await node.service.cleanup.runIfFree() }
            _ = try await node.execute("ALTER TABLE hidden_log RENAME TO audit_log")
            let after = try await lastRun()
            #expect(after.at == before.at && after.result == before.result)
            #expect(try await nodes[1].service.cleanup.runIfFree() != nil)
        }
    }
}
