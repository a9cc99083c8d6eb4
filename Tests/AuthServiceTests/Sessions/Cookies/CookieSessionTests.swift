import AuthService
import HTTPTypes
import OpenSSLCrypto
import ServiceKit
import Storage
import TestSupport
import Testing

@Suite("Cookie sessions")
struct CookieSessionTests {
    private static let credentials = #"{"email":"ada@example.com","password":"\#(AuthNode.password)"}"#
    private static let own: HTTPFields = [.origin: "https://auth.test"]

    private func cookie(_ node: AuthNode) async throws -> String {
        let answer = try await node.send(.post, "/v1/login?cookie=true", Self.credentials, headers: Self.own)
        try #require(answer.status == 200, "\(answer.text)")
        return String(try #require(answer.headers[.setCookie]).prefix { $0 != ";" })
    }

    @Test("a session in use slides to its absolute end, and no further", arguments: TestEngine.allCases)
    func slides(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            _ = try await node.signUp()
            let pair = try await cookie(node)
            for day in stride(from: 10, through: 80, by: 10) {
                node.clock.advance(.seconds(10 * 86_400))
                #expect(try await node.send(.get, "/v1/session", headers: [.cookie: pair]).status == 200, "day \(day)")
            }
            node.clock.advance(.seconds(9 * 86_400))
            let last = try await node.send(.get, "/v1/session", headers: [.cookie: pair])
            #expect(last.json["session"]?["expires_at"]?.string == last.json["session"]?["absolute_expires_at"]?.string)
            node.clock.advance(.seconds(86_401))
            #expect(try await node.send(.get, "/v1/me", headers: [.cookie: pair]).code == "session_expired")

            let idle = try await cookie(node)
            node.clock.advance(.seconds(14 * 86_400 + 1))
            #expect(try await node.send(.get, "/v1/session", headers: [.cookie: idle]).code == "session_expired")
        }
    }

    @Test("an access token never outlives its session", arguments: TestEngine.allCases)
    func tokenEnds(engine: TestEngine) async throws {
        try await withConfiguredNode(engine) {
            $0.sessionAbsolute = .seconds(3600)
        } _: { node in
            _ = try await node.signUp()
            let pair = try await cookie(node)
            node.clock.advance(.seconds(3600 - 20))
            let session = try await node.send(.get, "/v1/session", headers: [.cookie: pair])
            let left = try #require(session.json["expires_in"]?.integer)
            #expect((1...20).contains(left))
        }
    }

    @Test("whatever ends sessions ends the browser's", arguments: TestEngine.allCases)
    func ends(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let admin = try await node.makeAdmin()
            let ada = try await node.signUp()
            func expectEnded(_ pair: String, _ how: String, as code: String = "session_revoked") async throws {
                for path in ["/v1/session", "/v1/me"] {
                    let answer = try await node.send(.get, path, headers: [.cookie: pair])
                    #expect(answer.code == code, "\(how) \(answer.text)")
                }
            }
            var pair = try await cookie(node)
            _ = try await node.send(.post, "/v1/me/sessions/revoke-others", token: ada.access)
            try await expectEnded(pair, "revoking the others")

            pair = try await cookie(node)
            let body = #"{"current_password":"\#(AuthNode.password)","password":"\#(AuthNode.password)"}"#
            #expect(try await node.send(.post, "/v1/password/change", body, token: ada.access).status == 204)
            try await expectEnded(pair, "a change of the password")

            pair = try await cookie(node)
            let path = "/v1/admin/users/\(ada.userID)"
            _ = try await node.send(.post, "\(path)/deactivate", token: admin.access)
            try await expectEnded(pair, "deactivation", as: "user_inactive")
            _ = try await node.send(.post, "\(path)/reactivate", token: admin.access)
            try await expectEnded(pair, "deactivation, for good")

            pair = try await cookie(node)
            try await node.service.sessions.revokeEverything(actor: nil, from: .commandLine)
            try await expectEnded(pair, "revoking everything")

            pair = try await cookie(node)
            _ = try await node.send(.delete, path, token: try await node.logIn("root@example.com").access)
            try await expectEnded(pair, "deletion", as: "user_inactive")
        }
    }

    @Test("a changed role counts at once behind a cookie", arguments: TestEngine.allCases)
    func role(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let admin = try await node.makeAdmin()
            let ada = try await node.signUp()
            let pair = try await cookie(node)
            let users = "/v1/admin/users"
            #expect(try await node.send(.get, users, headers: [.cookie: pair]).code == "role_required")
            _ = try await node.send(.patch, "\(users)/\(ada.userID)", #"{"role":"admin"}"#, token: admin.access)
            #expect(try await node.send(.get, users, headers: [.cookie: pair]).status == 200)
            _ = try await node.send(.patch, "\(users)/\(ada.userID)", #"{"role":"user"}"#, token: admin.access)
            #expect(try await node.send(.get, users, headers: [.cookie: pair]).code == "role_required")
        }
    }

    @Test("a request that must not set a cookie makes nothing at all", arguments: TestEngine.allCases)
    func refusedSetting(engine: TestEngine) async throws {
        try await withNode(engine, NodeOptions(corsOrigins: ["https://app.test"])) { node in
            let before = try await node.rowCounts()
            let evil: HTTPFields = [.origin: "https://evil.test"]
            for query in [
                "cookie=true", "cookie=1", "cookie=TRUE", "x=1&cookie=true", "cookie", "cookie=false&cookie=true",
            ] {
                let answer = try await node.send(.post, "/v1/signup?\(query)", Self.credentials, headers: evil)
                #expect(answer.status == 403 && answer.code == "csrf_refused", "\(query) \(answer.text)")
                #expect(answer.headers[.setCookie] == nil && answer.headers[.accessControlAllowOrigin] == nil)
            }
            let unclear = try await node.send(.post, "/v1/signup?cookie=perhaps", Self.credentials, headers: Self.own)
            #expect(unclear.status == 400 && unclear.json["errors"]?.array?.first?["field"]?.string == "cookie")
            #expect(try await node.rowCounts() == before)

            let plain = try await node.send(.post, "/v1/signup?cookie=false", Self.credentials, headers: Self.own)
            #expect(plain.status == 201 && plain.headers[.setCookie] == nil && plain.json["refresh_token"] != nil)
            let app: HTTPFields = [.origin: "https://app.test"]
            let allowed = try await node.send(.post, "/v1/login?cookie=1", Self.credentials, headers: app)
            #expect(allowed.headers[.setCookie] != nil)
            #expect(allowed.headers[.accessControlAllowOrigin] == "https://app.test")
            #expect(allowed.headers[.accessControlAllowCredentials] == "true")
        }
    }

    @Test("a cookie beside a bearer token is still a cookie to the CSRF check", arguments: TestEngine.allCases)
    func both(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let ada = try await node.signUp()
            let pair = try await cookie(node)
            let evil: HTTPFields = [.cookie: pair, .origin: "https://evil.test"]
            let refused = try await node.send(.patch, "/v1/me", #"{"name":"x"}"#, token: ada.access, headers: evil)
            #expect(refused.code == "csrf_refused")
            // Reads are safe: another site cannot see the answer.
            let read = try await node.send(.get, "/v1/me", headers: evil)
            #expect(read.status == 200 && read.headers[.accessControlAllowOrigin] == nil)
        }
    }

    @Test("deleting oneself and logging out twice clear the cookie", arguments: TestEngine.allCases)
    func clearing(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            _ = try await node.signUp()
            var headers = Self.own
            headers[.cookie] = try await cookie(node)
            for _ in 0..<2 {
                let out = try await node.send(.post, "/v1/logout", headers: headers)
                #expect(out.status == 204)
                let cleared = try #require(out.headers[.setCookie])
                #expect(
                    cleared.hasPrefix("__Host-tessera=;") && cleared.contains("Max-Age=0") && cleared.contains("Secure")
                )
            }
            headers[.cookie] = try await cookie(node)
            let gone = try await node.send(.delete, "/v1/me", headers: headers)
            #expect(gone.status == 204 && gone.headers[.setCookie]?.contains("Max-Age=0") == true)
            #expect(gone.headers[values: .setCookie].count == 1, "no cookie of the device was sent")
            #expect(try await node.count("users") == 0)
        }
    }

    @Test("values that cannot be ours are refused, each bit of ours too", arguments: TestEngine.allCases)
    func forged(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            _ = try await node.signUp()
            let pair = try await cookie(node)
            let secret = try #require(Base64URL.decode(String(pair.dropFirst("__Host-tessera=".count))))
            var values = [
                "", "x", "%", Base64URL.encode(secret + [0]), Base64URL.encode(secret.dropLast().map(\.self)),
            ]
            for index in secret.indices {
                for bit in 0..<8 {
                    var other = secret
                    other[index] ^= 1 << UInt8(bit)
                    values.append(Base64URL.encode(other))
                }
            }
            for value in values {
                let answer = try await node.send(.get, "/v1/me", headers: [.cookie: "__Host-tessera=\(value)"])
                #expect(answer.status == 401 && answer.code == "token_invalid", "\(value)")
            }
            // A development cookie, or a name in another case, is another cookie.
            let value = pair.dropFirst("__Host-tessera=".count)
            for name in ["tessera_dev", "__host-tessera", "__Host-tessera2", "x__Host-tessera"] {
                #expect(
                    try await node.send(.get, "/v1/me", headers: [.cookie: "\(name)=\(value)"]).code == "token_missing"
                )
            }
        }
    }
}
