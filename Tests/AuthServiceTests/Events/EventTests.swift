// The writing side of the revocation feed: which events are written, when, in which order, and none without its cause.
import AuthService
import HTTPTypes
import ServiceKit
import Storage
import Synchronization
import TestSupport
import Testing

@Suite("Events and audit")
struct EventTests {
    @Test("each action tells its events, in order", arguments: TestEngine.allCases)
    func story(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let admin = try await node.makeAdmin()
            var seq = try await node.events(after: 0).last
            func expect(_ kinds: [String], after action: String, _ place: SourceLocation = #_sourceLocation)
                async throws
            {
                let received = try await node.events(after: seq)
                #expect(received.kinds == kinds, "\(action)", sourceLocation: place)
                seq = received.last
            }
            let ada = try await node.signUp()
            try await expect(["user.created"], after: "signup")
            let second = try await node.logIn()
            let third = try await node.logIn()
            try await expect([], after: "login")
            _ = try await node.refresh(second.refresh)
            try await expect([], after: "refresh")
            _ = try await node.send(.patch, "/v1/me", #"{"name":"Ada"}"#, token: ada.access)
            try await expect(["user.updated"], after: "profile")
            _ = try await node.send(.delete, "/v1/me/sessions/\(second.sessionID)", token: ada.access)
            try await expect(["session.revoked"], after: "revoking one")
            _ = try await node.send(.post, "/v1/me/sessions/revoke-others", token: ada.access)
            try await expect(["user.tokens_revoked"], after: "revoking the others")
            #expect(try await node.me(third.access).status == 401)
            let path = "/v1/admin/users/\(ada.userID)"
            _ = try await node.send(.patch, path, #"{"name":"Countess"}"#, token: admin.access)
            try await expect(["user.updated"], after: "an admin's change of the profile")
            _ = try await node.send(.patch, path, #"{"role":"premium"}"#, token: admin.access)
            try await expect(["user.updated", "user.tokens_revoked"], after: "a change of the role")
            _ = try await node.send(.post, "\(path)/deactivate", token: admin.access)
            try await expect(["user.deactivated", "user.tokens_revoked"], after: "deactivation")
            _ = try await node.send(.post, "\(path)/reactivate", token: admin.access)
            try await expect(["user.reactivated"], after: "reactivation")
            let back = try await node.logIn()
            _ = try await node.send(.post, "/v1/logout", token: back.access)
            try await expect(["session.revoked"], after: "logout")
            _ = try await node.send(.post, "/v1/admin/keys/rotate", token: admin.access)
            try await expect(["keys.rotated"], after: "rotation")
            _ = try await node.send(.delete, path, token: admin.access)
            try await expect(["user.tokens_revoked", "user.deleted"], after: "deletion")
            _ = try await node.send(.post, "/v1/admin/sessions/revoke", #"{"all":true}"#, token: admin.access)
            try await expect(["all.tokens_revoked"], after: "revoking everything")
        }
    }

    @Test(
        "an event says whose tokens of which version are void, and which session is spared",
        arguments: TestEngine.allCases
    )
    func contents(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let ada = try await node.signUp()
            let body = #"{"current_password":"\#(AuthNode.password)","password":"another long password"}"#
            _ = try await node.send(.post, "/v1/password/change", body, token: ada.access)
            _ = try await node.send(.post, "/v1/logout", token: ada.access)
            let rows = try await node.query("SELECT kind, user_id, session_id, data FROM events ORDER BY seq")
            #expect(try rows.map { try $0.text("kind") } == ["user.created", "user.tokens_revoked", "session.revoked"])
            #expect(try rows.allSatisfy { try $0.text("user_id") == ada.userID })
            let revoked = try JSONElement.parse(rows[1].text("data"))
            #expect(revoked["user_id"]?.string == ada.userID)
            #expect(revoked["min_ver"]?.integer == 2)
            #expect(revoked["except_sid"]?.string == ada.sessionID)
            #expect(try rows[2].text("session_id") == ada.sessionID)
            #expect(try JSONElement.parse(rows[2].text("data"))["sid"]?.string == ada.sessionID)
        }
    }

    @Test("what did not happen is not told", arguments: TestEngine.allCases)
    func silence(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let admin = try await node.makeAdmin()
            let ada = try await node.signUp()
            let ended = try await node.logIn()
            _ = try await node.send(.post, "/v1/logout", token: ended.access)
            let before = try await node.events(after: 0).last
            let path = "/v1/admin/users/\(ada.userID)"
            let own = "/v1/admin/users/\(admin.userID)"
            let signup = #"{"email":"ADA@example.com","password":"\#(AuthNode.password)"}"#
            let wrong = #"{"current_password":"wrong password","password":"another long password"}"#
            let requests: [(HTTPRequest.Method, String, String?, token: String?, status: Int)] = [
                (.patch, "/v1/me", "{}", ada.access, 200), (.patch, path, "{}", admin.access, 200),
                (.patch, path, #"{"role":"user"}"#, admin.access, 200),
                (.post, "\(path)/reactivate", nil, admin.access, 200),
                (.patch, own, #"{"role":"user"}"#, admin.access, 409), (.delete, own, nil, admin.access, 409),
                (.delete, "/v1/admin/users/unknown", nil, admin.access, 404),
                (.patch, "/v1/admin/users/unknown", #"{"name":"x"}"#, admin.access, 404),
                (.delete, "/v1/admin/users/unknown/sessions", nil, admin.access, 404),
                (.delete, "/v1/admin/sessions/\(ended.sessionID)", nil, admin.access, 204),
                (.delete, "/v1/me/sessions/\(ended.sessionID)", nil, ada.access, 204),
                (.post, "/v1/logout", #"{"refresh_token":"\#(ended.refresh)"}"#, nil, 204),
                (.post, "/v1/admin/sessions/revoke", #"{"session_ids":["unknown"]}"#, admin.access, 200),
                (.post, "/v1/admin/sessions/revoke", #"{"user_ids":["unknown"]}"#, admin.access, 200),
                (.post, "/v1/signup", signup, nil, 409), (.post, "/v1/password/change", wrong, ada.access, 400),
                (.post, "/v1/token/refresh", #"{"refresh_token":"tsr_guess"}"#, nil, 401),
            ]
            for (method, path, body, token, status) in requests {
                let answer = try await node.send(method, path, body, token: token)
                #expect(answer.status == status, "\(method) \(path) \(answer.text)")
                #expect(try await node.events(after: before).kinds == [], "\(method) \(path) \(body ?? "")")
            }
            #expect(try await node.me(ada.access).status == 200)
        }
    }

    @Test("a reader that follows by seq misses no event, however many are writing", arguments: TestEngine.allCases)
    func noEventIsSkipped(engine: TestEngine) async throws {
        try await withSeparateNodes(engine, rings: [String](repeating: AuthNode.ring(1), count: 3)) { nodes in
            let node = nodes[0]
            var users: [AuthNode.LoggedIn] = []
            for index in 0..<8 { users.append(try await node.signUp("user\(index)@example.com")) }
            let subjects = users
            let isDone = Mutex(false)
            async let writing: Void = {
                defer { isDone.withLock { $0 = true } }
                _ = try await inParallel(subjects.count) { index in
                    for _ in 0..<25 {
                        _ = try await nodes[index % 3].service.sessions.revokeAll(
                            ofUser: subjects[index].userID,
                            reason: .revokedByAdmin,
                            actor: nil,
                            from: .commandLine
                        )
                    }
                }
            }()
            var seen: [Int64] = []
            var wasDone = false
            while !wasDone {
                wasDone = isDone.withLock { $0 }
                let rows = try await node.query(
                    "SELECT seq FROM events WHERE seq > :seen ORDER BY seq",
                    ["seen": seen.last ?? 0]
                )
                seen += try rows.map { try $0.integer("seq") }
            }
            try await writing
            let all = try await node.query("SELECT seq FROM events ORDER BY seq").map { try $0.integer("seq") }
            #expect(seen == all)
            #expect(all.count == 8 + 8 * 25)
        }
    }

    @Test("the audit log says who did what to whom, from where, and what came of it", arguments: TestEngine.allCases)
    func audit(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let admin = try await node.makeAdmin()
            let ada = try await node.signUp()
            _ = try await node.logInAnswer(password: "wrong password")
            _ = try await node.logInAnswer("nobody@example.com")
            let path = "/v1/admin/users/\(ada.userID)"
            _ = try await node.send(.post, "\(path)/deactivate", token: admin.access, headers: [.userAgent: "curl/8"])
            _ = try await node.logInAnswer()
            func rows(_ condition: String, _ values: StatementValues = [:]) async throws -> Int {
                let sql = "SELECT COUNT(*) AS n FROM audit_log WHERE \(condition)"
                return try #require(try await node.query(sql, values).first).int("n")
            }
            let user: StatementValues = ["user": ada.userID]
            let both = user + ["root": admin.userID]
            #expect(try await rows("action = 'user.create' AND actor = :user AND target = :user", user) == 1)
            #expect(try await rows("action = 'session.login' AND outcome = 'success' AND actor = :user", user) == 1)
            #expect(try await rows("action = 'session.login' AND outcome = 'refused' AND target = :user", user) == 2)
            #expect(try await rows("action = 'session.login' AND outcome = 'refused' AND target IS NULL") == 1)
            let deactivation =
                "action = 'user.deactivate' AND actor = :root AND target = :user AND user_agent = 'curl/8'"
            #expect(try await rows(deactivation, both) == 1)
            // An audit row outlives its user.
            _ = try await node.send(.delete, path, token: admin.access)
            #expect(try await rows("action = 'user.delete' AND actor = :root AND target = :user", both) == 1)
            #expect(try await rows("target = :user", user) > 4)
        }
    }
}
