// Races between nodes that share only the database: many rounds in which only the locks decide.
import AuthService
import HTTPTypes
import ServiceKit
import Storage
import TestSupport
import Testing

@Suite("Contention")
struct ContentionTests {
    /// Runs `change` among logins with the old password, many times, and returns the surviving sessions of each round.
    private func race(
        _ engine: TestEngine,
        rounds: Int = 10,
        _ change: @Sendable @escaping (AuthNode, AuthNode.LoggedIn) async throws -> Void,
        _ check: @Sendable @escaping (AuthNode, AuthNode.LoggedIn, [AuthNode.Answer]) async throws -> Void
    ) async throws {
        try await withSeparateNodes(engine) { nodes in
            let node = nodes[0]
            for round in 0..<rounds {
                let email = "user\(round)@example.com"
                let user = try await node.signUp(email)
                let answers = try await inParallel(9) { index -> AuthNode.Answer? in
                    if index == 4 {
                        try await change(node, user)
                        return nil
                    }
                    return try await nodes[index % 2].logInAnswer(email)
                }
                let logins = answers.compactMap(\.self)
                #expect(logins.allSatisfy { [200, 401, 403].contains($0.status) }, "\(logins.map(\.text))")
                try await check(node, user, logins)
            }
        }
    }

    private func expectDead(_ node: AuthNode, _ logins: [AuthNode.Answer]) async throws {
        for login in logins where login.status == 200 {
            let access = try #require(login.json["access_token"]?.string)
            let refresh = try #require(login.json["refresh_token"]?.string)
            #expect([401, 403].contains(try await node.me(access).status))
            #expect([401, 403].contains(try await node.refresh(refresh).status))
        }
    }

    @Test("logins among a password change leave no session of the old password", arguments: TestEngine.allCases)
    func passwordChange(engine: TestEngine) async throws {
        let body = #"{"current_password":"\#(AuthNode.password)","password":"another long password"}"#
        try await race(engine) { node, user in
            let changed = try await node.send(.post, "/v1/password/change", body, token: user.access)
            #expect(changed.status == 204, "\(changed.text)")
        } _: { node, user, logins in
            try await expectDead(node, logins)
            let living = "sessions WHERE revoked_at IS NULL AND user_id = '\(user.userID)'"
            #expect(try await node.count(living) == 1, "the session that changed it")
            #expect(try await node.me(user.access).status == 200)
        }
    }

    @Test("logins among a deactivation leave no session", arguments: TestEngine.allCases)
    func deactivation(engine: TestEngine) async throws {
        try await race(engine) { node, user in
            _ = try await node.service.userStates.deactivate(user.userID, actor: nil, from: .commandLine)
        } _: { node, user, logins in
            try await expectDead(node, logins)
            #expect(try await node.count("sessions WHERE revoked_at IS NULL AND user_id = '\(user.userID)'") == 0)
        }
    }

    @Test("logins among a deletion leave no row", arguments: TestEngine.allCases)
    func deletion(engine: TestEngine) async throws {
        try await race(engine) { node, user in
            try await node.service.userStates.delete(user.userID, actor: nil, from: .commandLine)
        } _: { node, user, logins in
            try await expectDead(node, logins)
            for table in ["sessions", "refresh_tokens", "accounts"] {
                #expect(try await node.count("\(table) WHERE user_id = '\(user.userID)'") == 0, "\(table)")
            }
        }
    }

    @Test("of password changes at once exactly one is made", arguments: TestEngine.allCases)
    func passwordChanges(engine: TestEngine) async throws {
        try await withSeparateNodes(engine) { nodes in
            let node = nodes[0]
            let ada = try await node.signUp()
            let answers = try await inParallel(16) { index in
                let body = #"{"current_password":"\#(AuthNode.password)","password":"long password \#(index)"}"#
                return (index, try await nodes[index % 2].send(.post, "/v1/password/change", body, token: ada.access))
            }
            let made = answers.filter { $0.1.status == 204 }
            #expect(made.count == 1)
            #expect(answers.filter { $0.1.violations == ["current_password incorrect"] }.count == 15)
            #expect(try await node.count("events WHERE kind = 'user.tokens_revoked'") == 1)
            #expect(try await node.count("audit_log WHERE action = 'password.change'") == 1)
            let winner = try #require(made.first?.0)
            #expect(try await node.logInAnswer(password: "long password \(winner)").status == 200)
        }
    }

    @Test("two nodes that refresh one token at once give one successor", arguments: TestEngine.allCases)
    func refreshesOnTwoNodes(engine: TestEngine) async throws {
        let rings = [AuthNode.ring(2, first: 0), AuthNode.ring(2, first: 1)]
        try await withSeparateNodes(engine, rings: rings) { nodes in
            var token = try await nodes[0].signUp().refresh
            for _ in 0..<5 {
                let presented = token
                let answers = try await inParallel(32) { try await nodes[$0 % 2].refresh(presented) }
                #expect(answers.allSatisfy { $0.status == 200 })
                let successors = Set(answers.compactMap { $0.json["refresh_token"]?.string })
                #expect(successors.count == 1)
                token = try #require(successors.first)
            }
            #expect(try await nodes[0].query("SELECT generation FROM refresh_tokens").first?.int("generation") == 5)
        }
    }

    @Test("a stolen token shown many times at once ends its session once", arguments: TestEngine.allCases)
    func theft(engine: TestEngine) async throws {
        try await withSeparateNodes(engine) { nodes in
            let node = nodes[0]
            let ada = try await node.signUp()
            let other = try await node.logIn()
            _ = try await node.refresh(ada.refresh)
            node.clock.advance(.seconds(11))
            let answers = try await inParallel(32) { try await nodes[$0 % 2].refresh(ada.refresh) }
            let codes: Set<String?> = ["refresh_token_reused", "session_revoked"]
            #expect(answers.allSatisfy { $0.status == 401 && codes.contains($0.code) })
            #expect(answers.contains { $0.code == "refresh_token_reused" })
            #expect(try await node.count("events WHERE kind = 'session.revoked'") == 1)
            #expect(try await node.count("audit_log WHERE action = 'session.revoke'") == 1)
            #expect(try await node.refresh(other.refresh).status == 200, "the user's other sessions live on")
        }
    }

    @Test("deactivations, deletions and role changes at once happen once", arguments: TestEngine.allCases)
    func onceOnly(engine: TestEngine) async throws {
        try await withSeparateNodes(engine) { nodes in
            let node = nodes[0]
            let admin = try await node.makeAdmin()
            let ada = try await node.signUp()
            let path = "/v1/admin/users/\(ada.userID)"
            let roles = try await inParallel(16) {
                try await nodes[$0 % 2].send(.patch, path, #"{"role":"premium"}"#, token: admin.access)
            }
            #expect(roles.allSatisfy { $0.status == 200 && $0.json["role"]?.string == "premium" })
            #expect(
                try await node.query("SELECT token_version FROM users WHERE role = 'premium'").first?.int(
                    "token_version"
                ) == 2
            )
            #expect(try await node.count("events WHERE kind = 'user.tokens_revoked'") == 1)
            let deactivations = try await inParallel(16) {
                try await nodes[$0 % 2].send(.post, "\(path)/deactivate", token: admin.access)
            }
            #expect(deactivations.allSatisfy { $0.status == 200 })
            #expect(try await node.count("events WHERE kind = 'user.deactivated'") == 1)
            let deletions = try await inParallel(16) {
                try await nodes[$0 % 2].send(.delete, path, token: admin.access)
            }
            #expect(deletions.filter { $0.status == 204 }.count == 1)
            #expect(deletions.filter { $0.status == 404 }.count == 15)
            #expect(try await node.count("events WHERE kind = 'user.deleted'") == 1)
        }
    }

    @Test("admins who remove each other at once, in every way, leave an active admin", arguments: TestEngine.allCases)
    func mutualRemoval(engine: TestEngine) async throws {
        try await withSeparateNodes(engine) { nodes in
            let node = nodes[0]
            for round in 0..<4 {
                try await node.execute("DELETE FROM users")
                let admins = [
                    try await node.makeAdmin("one\(round)@example.com"),
                    try await node.makeAdmin("two\(round)@example.com"),
                ]
                _ = try await inParallel(6) { index in
                    let (actor, target) = (admins[index % 2], "/v1/admin/users/\(admins[1 - index % 2].userID)")
                    let node = nodes[index % 2]
                    switch (index / 2 + round) % 3 {
                    case 0: return try await node.send(.delete, target, token: actor.access)
                    case 1: return try await node.send(.post, "\(target)/deactivate", token: actor.access)
                    default: return try await node.send(.patch, target, #"{"role":"user"}"#, token: actor.access)
                    }
                }
                #expect(try await node.count("users WHERE role = 'admin' AND is_active") == 1, "round \(round)")
            }
        }
    }

    @Test("of signups with one address on two nodes exactly one is made", arguments: TestEngine.allCases)
    func signups(engine: TestEngine) async throws {
        try await withSeparateNodes(engine) { nodes in
            let body = #"{"email":"ada@example.com","password":"\#(AuthNode.password)"}"#
            let answers = try await inParallel(32) { try await nodes[$0 % 2].send(.post, "/v1/signup", body) }
            #expect(answers.filter { $0.status == 201 }.count == 1)
            #expect(answers.filter { $0.code == "email_taken" }.count == 31)
            for table in ["users", "accounts", "sessions", "refresh_tokens", "events"] {
                #expect(try await nodes[0].count(table) == 1, "\(table)")
            }
        }
    }
}
