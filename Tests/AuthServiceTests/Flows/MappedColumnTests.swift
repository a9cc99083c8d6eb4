// The columns of docs/schema-mapping.md that auth reads: each is changed past the API, and what reads it answers so.
import AuthService
import HTTPTypes
import ServiceKit
import Storage
import TestSupport
import Testing

@Suite("Columns of auth in the mapping")
struct MappedColumnTests {
    private static let at = Instant(seconds: 1_700_000_000)

    @Test("a user's columns are the members of these names", arguments: TestEngine.allCases)
    func user(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let admin = try await node.makeAdmin()
            let ada = try await node.signUp()
            func read(_ member: String) async throws -> AnswerJSON? {
                let user = try await node.send(.get, "/v1/admin/users/\(ada.userID)", token: admin.access).json
                #expect(user["id"]?.string == ada.userID)
                return user[member]
            }
            func set(_ column: String, _ value: any SQLBindable) async throws {
                let sql = "UPDATE users SET \(column) = :value WHERE id = :id"
                #expect(try await node.execute(sql, ["value": value, "id": ada.userID]) == 1)
            }
            for (column, text) in [
                ("email", "x@example.com"), ("name", "X"), ("first_name", "Y"), ("last_name", "Z"),
                ("avatar_url", "https://x.example/x.png"), ("role", "premium"),
            ] {
                #expect(try await read(column)?.string != text)
                try await set(column, text)
                #expect(try await read(column)?.string == text, "\(column)")
            }
            for column in ["last_login_at", "created_at", "updated_at"] {
                try await set(column, Self.at)
                #expect(try await read(column)?.string.flatMap { Instant(rfc3339: $0) } == Self.at, "\(column)")
            }
            try await set("is_active", false)
            #expect(try await read("is_active")?.boolean == false)
        }
    }

    @Test("a session's columns are the members of these names", arguments: TestEngine.allCases)
    func session(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let admin = try await node.makeAdmin()
            let ada = try await node.signUp()
            func read(_ member: String) async throws -> AnswerJSON? {
                let list = try await node.send(.get, "/v1/admin/sessions?user_id=\(ada.userID)", token: admin.access)
                let session = list.json["data"]?.array?.first
                #expect(session?["id"]?.string == ada.sessionID)
                #expect(session?["user_id"]?.string == ada.userID)
                return session?[member]
            }
            func set(_ column: String, _ value: any SQLBindable) async throws {
                let sql = "UPDATE sessions SET \(column) = :value WHERE id = :id"
                #expect(try await node.execute(sql, ["value": value, "id": ada.sessionID]) == 1)
            }
            for (column, text) in [("ip_address", "192.0.2.99"), ("user_agent", "curl/8")] {
                try await set(column, text)
                #expect(try await read(column)?.string == text, "\(column)")
            }
            let day: Duration = .seconds(86_400)
            for (column, at) in [
                ("created_at", Self.at), ("absolute_expires_at", node.clock.now + day * 40),
                ("expires_at", node.clock.now + day * 30),
            ] {
                try await set(column, at)
                #expect(try await read(column)?.string.flatMap { Instant(rfc3339: $0) } == at, "\(column)")
            }
        }
    }

    @Test("what proves a user is found by these columns", arguments: TestEngine.allCases)
    func proofs(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let ada = try await node.signUp()
            let bob = try await node.signUp("bob@example.com")
            func logIn() async throws -> Int { try await node.logInAnswer().status }
            let changes: [(String, String)] = [
                (
                    "UPDATE users SET email_key = 'other' WHERE id = :id",
                    "UPDATE users SET email_key = email WHERE id = :id"
                ),
                (
                    "UPDATE accounts SET provider_id = 'other' WHERE user_id = :id",
                    "UPDATE accounts SET provider_id = 'password' WHERE user_id = :id"
                ),
                (
                    "UPDATE accounts SET user_id = '\(bob.userID)', provider_id = 'moved' WHERE user_id = :id",
                    "UPDATE accounts SET user_id = :id, provider_id = 'password' WHERE provider_id = 'moved'"
                ),
                (
                    "UPDATE accounts SET password_hash = replace(password_hash, '$argon2id$', '$argon2$') WHERE user_id = :id",
                    "UPDATE accounts SET password_hash = replace(password_hash, '$argon2$', '$argon2id$') WHERE user_id = :id"
                ),
            ]
            for (change, back) in changes {
                #expect(try await logIn() == 200)
                #expect(try await node.execute(change, ["id": ada.userID]) == 1)
                #expect(try await logIn() != 200, "\(change)")
                #expect(try await node.execute(back, ["id": ada.userID]) == 1)
            }
            #expect(try await logIn() == 200)
        }
    }

    @Test("a refresh token and a cookie are found, and removed, by these columns", arguments: TestEngine.allCases)
    func secrets(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            for change in ["generation = generation + 5", "id = 'ffffffffffffffffffffffffffffffff'"] {
                let ada = try await node.signUp("user\(change.count)@example.com")
                let sql = "UPDATE refresh_tokens SET \(change) WHERE session_id = :session"
                #expect(try await node.execute(sql, ["session": ada.sessionID]) == 1)
                #expect(try await node.refresh(ada.refresh).status == 401, "\(change)")
            }
            _ = try await node.signUp()
            let before = try await node.count("refresh_tokens")
            let old = node.clock.now - .seconds(90 * 86_400)
            try await node.execute("UPDATE refresh_tokens SET expires_at = :old", ["old": old])
            _ = try await node.service.cleanup.run()
            #expect(before > 0)
            #expect(try await node.count("refresh_tokens") == 0)
            let answer = try await node.send(
                .post,
                "/v1/login?cookie=true",
                #"{"email":"ada@example.com","password":"\#(AuthNode.password)"}"#,
                headers: [.origin: "https://auth.test"]
            )
            let cookie = String(try #require(answer.headers[.setCookie]).prefix { $0 != ";" })
            #expect(try await node.send(.get, "/v1/session", headers: [.cookie: cookie]).status == 200)
            try await node.execute("UPDATE sessions SET token_hash = NULL")
            #expect(try await node.send(.get, "/v1/session", headers: [.cookie: cookie]).status == 401)
        }
    }
}
