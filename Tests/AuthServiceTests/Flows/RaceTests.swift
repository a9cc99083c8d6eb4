import AuthService
import HTTPTypes
import ServiceKit
import Storage
import TestSupport
import Testing

@Suite("Races")
struct RaceTests {
    @Test("64 parallel refreshes of one token give one successor value", arguments: TestEngine.allCases)
    func parallelRefreshes(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let ada = try await node.signUp()
            let answers = try await inParallel(64) { _ in try await node.refresh(ada.refresh) }
            #expect(answers.allSatisfy { $0.status == 200 })
            #expect(Set(answers.map { $0.json["refresh_token"]?.string }).count == 1)
            #expect(try await node.query("SELECT generation FROM refresh_tokens").first?.int("generation") == 1)
        }
    }

    @Test(
        "of 64 parallel signups with one address exactly one is 201 and the rest are 409",
        arguments: TestEngine.allCases
    )
    func parallelSignups(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let answers = try await inParallel(64) { index in
                let email = index % 2 == 0 ? "ada@example.com" : " ADA@Example.com "
                return try await node.send(
                    .post,
                    "/v1/signup",
                    #"{"email":"\#(email)","password":"\#(AuthNode.password)"}"#
                )
            }
            #expect(answers.filter { $0.status == 201 }.count == 1)
            #expect(answers.filter { $0.status == 409 && $0.code == "email_taken" }.count == 63)
            for table in ["users", "accounts", "sessions", "refresh_tokens", "events WHERE kind = 'user.created'"] {
                #expect(try await node.count(table) == 1, "\(table)")
            }
        }
    }

    @Test("64 parallel revokes of one session write one event", arguments: TestEngine.allCases)
    func parallelRevokes(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let admin = try await node.makeAdmin()
            let ada = try await node.signUp()
            let answers = try await inParallel(64) { _ in
                try await node.send(.delete, "/v1/admin/sessions/\(ada.sessionID)", token: admin.access)
            }
            #expect(answers.allSatisfy { $0.status == 204 })
            #expect(try await node.count("events WHERE kind = 'session.revoked'") == 1)
            #expect(try await node.me(ada.access).status == 401)
        }
    }

    @Test("a refresh that races a revoke never yields a living session", arguments: TestEngine.allCases)
    func refreshAgainstRevoke(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let admin = try await node.makeAdmin()
            for round in 0..<20 {
                let user = try await node.signUp("user\(round)@example.com")
                let answers = try await inParallel(9) { index in
                    index == 4
                        ? try await node.send(.delete, "/v1/admin/sessions/\(user.sessionID)", token: admin.access)
                        : try await node.refresh(user.refresh)
                }
                for answer in answers where answer.status == 200 {
                    let access = try #require(answer.json["access_token"]?.string)
                    let next = try #require(answer.json["refresh_token"]?.string)
                    #expect(try await node.me(access).status == 401)
                    #expect(try await node.refresh(next).status == 401)
                }
            }
        }
    }

    /// Holds a login after its password check, runs `change`, and lets it continue.
    private func login(
        _ engine: TestEngine,
        against change: @Sendable @escaping (AuthNode, AuthNode.LoggedIn) async throws -> Void
    ) async throws {
        try await withNode(engine) { node in
            let ada = try await node.signUp()
            node.barrier.holdNext()
            let held = Task { try await node.logInAnswer() }
            try await eventually(within: .seconds(20), "the login waits") { node.barrier.holds }
            try await change(node, ada)
            node.barrier.release()
            let answer = try await held.value
            #expect(answer.status == 401, "\(answer.text)")
            #expect(answer.json["access_token"] == nil)
            #expect(try await node.count("sessions WHERE revoked_at IS NULL AND id <> '\(ada.sessionID)'") == 0)
        }
    }

    private static let passwordChange =
        #"{"current_password":"\#(AuthNode.password)","password":"another long password"}"#

    @Test("a login that races a password change opens no session with the old password", arguments: TestEngine.allCases)
    func loginAgainstPasswordChange(engine: TestEngine) async throws {
        try await login(engine) { node, ada in
            let changed = try await node.send(.post, "/v1/password/change", Self.passwordChange, token: ada.access)
            #expect(changed.status == 204, "\(changed.text)")
        }
    }

    @Test(
        "of two password changes that race, the one that verified an old password loses",
        arguments: TestEngine.allCases
    )
    func passwordChangeAgainstPasswordChange(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let ada = try await node.signUp()
            node.barrier.holdNext()
            let held = Task {
                try await node.send(.post, "/v1/password/change", Self.passwordChange, token: ada.access)
            }
            try await eventually(within: .seconds(20), "the first change waits") { node.barrier.holds }
            let other = #"{"current_password":"\#(AuthNode.password)","password":"the password that stays"}"#
            #expect(try await node.send(.post, "/v1/password/change", other, token: ada.access).status == 204)
            node.barrier.release()
            #expect(try await held.value.violations == ["current_password incorrect"])
            #expect(try await node.logInAnswer(password: "the password that stays").status == 200)
            #expect(try await node.logInAnswer(password: "another long password").status == 401)
        }
    }

    @Test("a login that races a deactivation opens no session", arguments: TestEngine.allCases)
    func loginAgainstDeactivation(engine: TestEngine) async throws {
        try await login(engine) { node, ada in
            _ = try await node.service.userStates.deactivate(ada.userID, actor: nil, from: .commandLine)
        }
    }

    @Test("a login that races a deletion opens no session", arguments: TestEngine.allCases)
    func loginAgainstDeletion(engine: TestEngine) async throws {
        try await login(engine) { node, ada in
            try await node.service.userStates.delete(ada.userID, actor: nil, from: .commandLine)
        }
    }

    @Test("two admins who demote each other at once leave one admin", arguments: TestEngine.allCases)
    func mutualDemotion(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let one = try await node.makeAdmin("one@example.com")
            let two = try await node.makeAdmin("two@example.com")
            _ = try await inParallel(8) { index in
                let (actor, target) = index % 2 == 0 ? (one, two) : (two, one)
                return try await node.send(
                    .patch,
                    "/v1/admin/users/\(target.userID)",
                    #"{"role":"user"}"#,
                    token: actor.access
                )
            }
            #expect(try await node.count("users WHERE role = 'admin' AND is_active") == 1)
        }
    }

    @Test("guesses sent at once are all counted", arguments: TestEngine.allCases)
    func parallelGuesses(engine: TestEngine) async throws {
        try await withNode(engine, NodeOptions(rateLimits: true)) { node in
            _ = try await node.signUp()
            let answers = try await inParallel(64) { _ in try await node.logInAnswer(password: "wrong password") }
            #expect(answers.filter { $0.status == 401 }.count == 10)
            #expect(answers.filter { $0.status == 429 }.count == 54)
        }
    }
}
