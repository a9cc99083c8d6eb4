// `POST /oauth2/introspect`: its callers, its answers, and its cost.
import AuthService
import HTTPTypes
import OpenSSLCrypto
import ServiceKit
import Storage
import TestSupport
import Testing

@Suite("Introspection")
struct IntrospectionTests {
    private func introspect(_ node: AuthNode, _ token: String, _ client: TestClient) async throws -> AuthNode.Answer {
        try await node.form("/oauth2/introspect", [("token", token)], headers: client.basic)
    }

    private func expectInactive(_ answer: AuthNode.Answer, _ what: String) {
        #expect(answer.status == 200 && answer.text == #"{"active":false}"#, "\(what): \(answer.text)")
        #expect(answer.headers[.cacheControl] == "no-store")
    }

    @Test("an access token is told with its claims, until it or its session ends", arguments: TestEngine.allCases)
    func accessToken(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let client = try await node.makeClient()
            let ada = try await node.signUp()
            let answer = try await introspect(node, ada.access, client)
            #expect(answer.status == 200 && answer.headers[.cacheControl] == "no-store")
            #expect(answer.json["active"]?.boolean == true)
            #expect(answer.json["token_type"]?.string == "Bearer")
            let claims = try JSONElement.parse(JWS.parse(ada.access).payload)
            for name in ["iss", "sub", "aud", "exp", "iat", "jti", "client_id", "scope", "sid", "role", "kind", "amr"] {
                #expect(answer.json[name]?.raw == claims[name]?.raw, "\(name)")
            }
            for hint in ["access_token", "refresh_token", "nonsense"] {
                let hinted = try await node.form(
                    "/oauth2/introspect",
                    [("token", ada.access), ("token_type_hint", hint)],
                    headers: client.basic
                )
                #expect(hinted.json["active"]?.boolean == true, "a wrong hint costs nothing: \(hint)")
            }

            _ = try await node.send(.post, "/v1/logout", token: ada.access)
            expectInactive(try await introspect(node, ada.access, client), "revoked")
            let eve = try await node.signUp("eve@example.com")
            _ = try await node.service.userStates.setRole(eve.userID, .premium, actor: nil, from: .commandLine)
            expectInactive(try await introspect(node, eve.access, client), "older than a role change")
            let bob = try await node.signUp("bob@example.com")
            node.clock.advance(.seconds(601))
            expectInactive(try await introspect(node, bob.access, client), "expired")
        }
    }

    @Test("a token that is not for the caller's audiences is inactive to it", arguments: TestEngine.allCases)
    func audiences(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let chat = try await node.makeClient("chat", scopes: ["introspect"], audiences: ["chat"])
            let billing = try await node.makeClient("billing", scopes: ["introspect"], audiences: ["billing"])
            let both = try await node.makeClient("both", scopes: ["introspect"], audiences: ["elsewhere", "billing"])
            let ada = try await node.signUp()
            #expect(try await introspect(node, ada.access, chat).json["active"]?.boolean == true)
            expectInactive(try await introspect(node, ada.access, billing), "a user's token")
            let service = try await node.serviceToken(billing)
            let received = try await introspect(node, service, both)
            #expect(
                received.json["active"]?.boolean == true && received.json["sub"]?.string == "client_billing",
                "\(received.text)"
            )
            #expect(received.json["sid"] == nil)
            expectInactive(try await introspect(node, service, chat), "another service's token")
            // Only auth's own audience may introspect a refresh token.
            expectInactive(try await introspect(node, ada.refresh, chat), "a refresh token")
        }
    }

    @Test(
        "a refresh token is active as long as a refresh would be granted, and asking changes nothing",
        arguments: TestEngine.allCases
    )
    func refreshToken(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let client = try await node.makeClient()
            let ada = try await node.signUp()
            let answer = try await introspect(node, ada.refresh, client)
            #expect(answer.json["active"]?.boolean == true, "\(answer.text)")
            #expect(answer.json["token_type"]?.string == "refresh_token")
            #expect(answer.json["sub"]?.string == ada.userID && answer.json["sid"]?.string == ada.sessionID)
            #expect(answer.json["client_id"]?.string == "tessera")
            #expect(answer.json["exp"]?.integer == node.clock.now.seconds + 14 * 86_400)

            let second = try #require(try await node.refresh(ada.refresh).json["refresh_token"]?.string)
            #expect(try await introspect(node, ada.refresh, client).json["active"]?.boolean == true, "within the grace")
            node.clock.advance(.seconds(11))
            expectInactive(try await introspect(node, ada.refresh, client), "rotated")
            // An introspection does not count as reuse.
            #expect(try await introspect(node, second, client).json["active"]?.boolean == true)
            #expect(try await node.refresh(second).status == 200)
            _ = try await node.service.sessions.revokeAll(
                ofUser: ada.userID,
                reason: .revokedByAdmin,
                actor: nil,
                from: .commandLine
            )
            expectInactive(try await introspect(node, second, client), "revoked")
        }
    }

    @Test("whatever is no token is inactive, never an error", arguments: TestEngine.allCases)
    func nonsense(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let client = try await node.makeClient()
            let ada = try await node.signUp()
            let parts = ada.access.split(separator: ".").map(String.init)
            let none = Base64URL.encode(Array(#"{"alg":"none","typ":"at+jwt"}"#.utf8))
            for token in [
                "x", "tsr_", "tsr_" + String(repeating: "A", count: 77), "..", "a.b.c", "\(none).\(parts[1]).",
                "\(parts[0]).\(parts[1]).\(parts[2].dropLast())", ada.access + "A", " " + ada.access, ada.access + "\n",
                client.secret, String(repeating: "a", count: 30_000), String(ada.refresh.dropLast()) + "~", "\u{FEFF}é",
            ] { expectInactive(try await introspect(node, token, client), "\(token.prefix(20))") }
        }
    }

    @Test("only a client with the scope may ask", arguments: TestEngine.allCases)
    func callers(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let client = try await node.makeClient()
            let follower = try await node.makeClient("follower", scopes: ["events"])
            let ada = try await node.signUp()
            let refused = try await introspect(node, ada.access, follower)
            #expect(refused.status == 403 && refused.error == "insufficient_scope", "\(refused.text)")
            for headers in [
                HTTPFields(), [.authorization: "Bearer \(ada.access)"],
                [.authorization: "Bearer \(try await node.serviceToken(client))"],
            ] {
                let answer = try await node.form("/oauth2/introspect", [("token", ada.access)], headers: headers)
                #expect(answer.status == 401 && answer.error == "invalid_client", "\(answer.text)")
                #expect(answer.headers[.wwwAuthenticate] == #"Basic realm="tessera""#)
            }
            #expect(try await node.form("/oauth2/introspect", [], headers: client.basic).error == "invalid_request")
            // A client that this node disabled is refused at once; one that another node disabled, soon.
            var change = ClientChange()
            change.isDisabled = true
            #expect(try await introspect(node, ada.access, client).status == 200)
            _ = try await node.service.clients.update(client.id, change, actor: nil, from: .commandLine)
            #expect(try await introspect(node, ada.access, client).error == "invalid_client")
            change.isDisabled = false
            _ = try await node.service.clients.update(client.id, change, actor: nil, from: .commandLine)
            #expect(try await introspect(node, ada.access, client).status == 200)
            try await node.execute("UPDATE clients SET disabled_at = created_at WHERE id = 'worker'")
            node.clock.advance(.seconds(6))
            #expect(try await introspect(node, ada.access, client).error == "invalid_client")
        }
    }

    @Test("a storage fault is 503 and calls no token inactive", arguments: TestEngine.allCases)
    func storageFault(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let client = try await node.makeClient()
            let ada = try await node.signUp()
            #expect(try await introspect(node, ada.access, client).status == 200)
            await node.database.close()
            for token in [ada.access, ada.refresh] {
                let answer = try await introspect(node, token, client)
                #expect(answer.status == 503 && answer.headers[.retryAfter] != nil, "\(answer.text)")
            }
        }
    }
}
