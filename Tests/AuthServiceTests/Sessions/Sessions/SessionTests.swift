import AuthService
import HTTPTypes
import OpenSSLCrypto
import ServiceKit
import Storage
import TestSupport
import Testing

@Suite("Sessions and access tokens")
struct SessionTests {
    @Test("an access token is an RFC 9068 token of less than 700 characters", arguments: TestEngine.allCases)
    func claims(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let ada = try await node.signUp()
            let jws = try JWS.parse(ada.access)
            #expect(jws.header.typ == "at+jwt" && jws.header.alg == "ES256" && jws.header.kid != nil)
            #expect(ada.access.count < 700)
            let claims = try JSONElement.parse(jws.payload)
            #expect(claims["iss"]?.string == "https://auth.test")
            #expect(claims["sub"]?.string == ada.userID)
            #expect(claims["aud"]?.array?.map(\.string) == ["tessera", "chat"])
            #expect(claims["sid"]?.string == ada.sessionID)
            #expect(claims["client_id"]?.string == "tessera")
            #expect(claims["role"]?.string == "user" && claims["kind"]?.string == "user")
            #expect(claims["ver"]?.integer == 1 && claims["gver"]?.integer == 1)
            #expect(claims["amr"]?.array?.map(\.string) == ["pwd"])
            #expect(claims["auth_time"]?.integer != nil && claims["email_verified"]?.boolean == false)
            let lifetime = try #require(claims["exp"]?.integer) - (try #require(claims["iat"]?.integer))
            #expect((570...600).contains(lifetime))
        }
    }

    @Test(
        "every signing algorithm signs tokens that auth accepts",
        arguments: TestEngine.allCases,
        SigningAlgorithm.allCases
    )
    func algorithms(engine: TestEngine, algorithm: SigningAlgorithm) async throws {
        try await withNode(engine, NodeOptions(algorithm: algorithm)) { node in
            let ada = try await node.signUp()
            #expect(try JWS.parse(ada.access).header.alg == algorithm.rawValue)
            #expect(try await node.me(ada.access).status == 200)
            let jwks = try await node.send(.get, "/.well-known/jwks.json")
            #expect(
                jwks.json["keys"]?.array?.allSatisfy { $0["alg"]?.string == algorithm.rawValue && $0["d"] == nil }
                    == true
            )
        }
    }

    @Test("forged, expired, misdirected and unsigned tokens get 401 with a challenge", arguments: TestEngine.allCases)
    func badTokens(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let ada = try await node.signUp()
            let parts = ada.access.split(separator: ".").map(String.init)
            let none = Base64URL.encode(Array(#"{"alg":"none","typ":"at+jwt"}"#.utf8)) + ".\(parts[1])."
            let foreign = try JWS.sign(
                payload: JWS.parse(ada.access).payload,
                type: "at+jwt",
                keyID: try #require(JWS.parse(ada.access).header.kid),
                key: try SigningKey.generate(.es256)
            )
            for bad in [none, foreign, ada.access + "x", "\(parts[0]).\(parts[1]).", "x", "a.b.c"] {
                let answer = try await node.me(bad)
                #expect(answer.status == 401 && answer.code == "token_invalid", "\(bad)")
                #expect(answer.headers[.wwwAuthenticate]?.contains(#"error="invalid_token""#) == true)
            }
            let missing = try await node.send(.get, "/v1/me")
            #expect(missing.code == "token_missing" && missing.headers[.wwwAuthenticate] == #"Bearer realm="tessera""#)
            node.clock.advance(.seconds(601))
            #expect(try await node.me(ada.access).code == "token_expired")
        }
    }

    @Test(
        "a role change makes older tokens stale; the session lives, and a refresh carries the new role",
        arguments: TestEngine.allCases
    )
    func roleChange(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let admin = try await node.makeAdmin()
            let ada = try await node.signUp()
            let path = "/v1/admin/users/\(ada.userID)"
            #expect(try await node.send(.patch, path, #"{"role":"PREMIUM"}"#, token: admin.access).status == 200)
            let stale = try await node.me(ada.access)
            #expect(stale.status == 401 && stale.code == "token_stale")
            let access = try #require(try await node.refresh(ada.refresh).json["access_token"]?.string)
            #expect(try await node.me(access).json["role"]?.string == "premium")
            #expect(
                try await node.count("events WHERE kind = 'user.tokens_revoked' AND data LIKE '%\"min_ver\":2%'") == 1
            )
            // A stale token may still log out.
            let other = try await node.logIn()
            #expect(try await node.send(.patch, path, #"{"role":"user"}"#, token: admin.access).status == 200)
            #expect(try await node.me(other.access).code == "token_stale")
            #expect(try await node.send(.post, "/v1/logout", token: other.access).status == 204)
            #expect(try await node.refresh(other.refresh).code == "session_revoked")
        }
    }

    @Test("the same role again changes nothing and tells nothing", arguments: TestEngine.allCases)
    func sameRole(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let admin = try await node.makeAdmin()
            let ada = try await node.signUp()
            let path = "/v1/admin/users/\(ada.userID)"
            #expect(try await node.send(.patch, path, #"{"role":"premium"}"#, token: admin.access).status == 200)
            let access = try #require(try await node.refresh(ada.refresh).json["access_token"]?.string)
            #expect(try await node.send(.patch, path, #"{"role":"premium"}"#, token: admin.access).status == 200)
            #expect(try await node.me(access).status == 200)
            #expect(try await node.count("events WHERE kind = 'user.tokens_revoked'") == 1)
        }
    }

    @Test("a user lists their sessions, revokes one, the others, and logs out", arguments: TestEngine.allCases)
    func ownSessions(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let first = try await node.signUp()
            let second = try await node.logIn()
            let third = try await node.logIn()
            let list = try await node.send(.get, "/v1/me/sessions", token: first.access)
            #expect(list.json["data"]?.array?.map { $0["id"]?.string } == [third, second, first].map(\.sessionID))
            #expect(list.json["data"]?.array?.map { $0["current"]?.boolean } == [false, false, true])

            #expect(
                try await node.send(.delete, "/v1/me/sessions/\(second.sessionID)", token: first.access).status == 204
            )
            #expect(try await node.me(second.access).code == "session_revoked")
            #expect(try await node.refresh(second.refresh).code == "session_revoked")

            let others = try await node.send(.post, "/v1/me/sessions/revoke-others", token: first.access)
            #expect(others.json["revoked"]?.integer == 1)
            #expect(try await node.me(third.access).status == 401)
            #expect(try await node.me(first.access).status == 200, "the caller's token stays good")

            #expect(try await node.send(.post, "/v1/logout", token: first.access).status == 204)
            #expect(try await node.me(first.access).status == 401)
            #expect(try await node.refresh(first.refresh).code == "session_revoked")
            #expect(
                try await node.send(.post, "/v1/logout", token: first.access).status == 204,
                "once more is no error"
            )
            let fourth = try await node.logIn()
            #expect(try await node.send(.post, "/v1/logout", #"{"refresh_token":"\#(fourth.refresh)"}"#).status == 204)
            #expect(try await node.me(fourth.access).status == 401)
        }
    }

    @Test("what belongs to somebody else is 404", arguments: TestEngine.allCases)
    func isolation(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let ada = try await node.signUp()
            let eve = try await node.signUp("eve@example.com")
            #expect(try await node.send(.delete, "/v1/me/sessions/\(ada.sessionID)", token: eve.access).status == 404)
            #expect(try await node.me(ada.access).status == 200)
            for path in ["users", "sessions", "keys"] {
                #expect(try await node.send(.get, "/v1/admin/\(path)", token: eve.access).code == "role_required")
                #expect(try await node.send(.get, "/v1/admin/\(path)").status == 401)
            }
        }
    }

    @Test("a password change ends the other sessions and keeps this one", arguments: TestEngine.allCases)
    func passwordChange(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let ada = try await node.signUp()
            let other = try await node.logIn()
            let body = #"{"current_password":"\#(AuthNode.password)","password":"another long password"}"#
            #expect(try await node.send(.post, "/v1/password/change", body, token: ada.access).status == 204)
            #expect(try await node.me(ada.access).status == 200)
            #expect(try await node.refresh(ada.refresh).status == 200)
            #expect(try await node.me(other.access).code == "session_revoked")
            #expect(try await node.refresh(other.refresh).code == "session_revoked")
            #expect(try await node.logInAnswer().status == 401)
            #expect(try await node.logInAnswer(password: "another long password").status == 200)
            #expect(try await node.count("events WHERE data LIKE '%\"except_sid\":\"\(ada.sessionID)\"%'") == 1)
            #expect(
                try await node.send(.post, "/v1/password/change", body, token: ada.access).violations
                    == ["current_password incorrect"]
            )
        }
    }

    @Test(
        "a profile keeps what is not sent, clears what is null, and metadata byte for byte",
        arguments: TestEngine.allCases
    )
    func profile(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let ada = try await node.signUp()
            let body = #"{"name":" Ada  Lovelace ","first_name":"Ada","metadata":{ "b":1.0, "a":[ ]}}"#
            let changed = try await node.send(.patch, "/v1/me", body, token: ada.access)
            #expect(changed.json["name"]?.string == "Ada Lovelace")
            #expect(changed.json["metadata"]?.raw == #"{ "b":1.0, "a":[ ]}"#)
            let cleared = try await node.send(.patch, "/v1/me", #"{"first_name":null}"#, token: ada.access)
            #expect(cleared.json["first_name"]?.isNull == true && cleared.json["name"]?.string == "Ada Lovelace")
            // A user cannot become an admin.
            let role = try await node.send(.patch, "/v1/me", #"{"role":"admin"}"#, token: ada.access)
            #expect(role.status == 400 && role.json["errors"]?.array?.first?["code"]?.string == "unknown_field")
            #expect(try await node.send(.delete, "/v1/me", token: ada.access).status == 204)
            #expect(try await node.me(ada.access).code == "user_inactive")
            #expect(try await node.logInAnswer().status == 401)
            for table in ["users", "accounts", "sessions", "refresh_tokens"] {
                #expect(try await node.count(table) == 0)
            }
            #expect(try await node.count("events WHERE kind = 'user.deleted' AND user_id = '\(ada.userID)'") == 1)
        }
    }

    @Test(
        "an address is one user in every spelling, and no answer tells whether it exists",
        arguments: TestEngine.allCases
    )
    func addresses(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            _ = try await node.signUp("Zo\u{E9}@Example.com")
            let again = #"{"email":" zoe\u0301@EXAMPLE.com","password":"\#(AuthNode.password)"}"#
            #expect(try await node.send(.post, "/v1/signup", again).code == "email_taken")
            #expect(try await node.send(.post, "/v1/login", again).status == 200)
            let wrong = try await node.logInAnswer("zo\u{E9}@example.com", password: "wrong password")
            let unknown = try await node.logInAnswer("nobody@example.com", password: "wrong password")
            let impossible = try await node.logInAnswer("not an address", password: "wrong password")
            // They cost a hash, too: a quick answer would tell as much as another one.
            #expect(node.barrier.comparedWithNothing == 2)
            for answer in [unknown, impossible] {
                #expect(
                    answer.status == wrong.status && answer.code == wrong.code && answer.json.names == wrong.json.names
                )
            }
        }
    }

    @Test("no password, token or hash is in audit log or events", arguments: TestEngine.allCases)
    func secretsStayOut(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let ada = try await node.signUp()
            _ = try await node.logInAnswer(password: "a wrong secret")
            let next = try #require(try await node.refresh(ada.refresh).json["refresh_token"]?.string)
            node.clock.advance(.seconds(60))
            _ = try await node.refresh(ada.refresh)
            var text = ""
            for table in ["audit_log", "events"] {
                let columns =
                    table == "events"
                    ? "kind, user_id, session_id, data" : "actor, action, target, user_agent, outcome, details"
                for row in try await node.query("SELECT \(columns) FROM \(table)") { text += "\(row.values)" }
            }
            #expect(text.contains("session.login"))
            for secret in [AuthNode.password, "a wrong secret", ada.access, ada.refresh, next, "argon2"] {
                #expect(!text.contains(secret))
            }
            // The stored form of a refresh token opens nothing.
            let stored = try await node.query("SELECT * FROM refresh_tokens").map { "\($0.values)" }.joined()
            #expect(!stored.contains(String(ada.refresh.dropFirst(30).prefix(20))))
        }
    }
}
