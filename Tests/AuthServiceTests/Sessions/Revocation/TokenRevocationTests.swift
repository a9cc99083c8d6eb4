import AuthService
import HTTPTypes
import OpenSSLCrypto
import ServiceKit
import Storage
import TestSupport
import Testing

@Suite("OAuth revocation")
struct TokenRevocationTests {
    private func revoke(
        _ node: AuthNode,
        _ token: String,
        _ client: TestClient? = nil,
        hint: String? = nil
    ) async throws -> AuthNode.Answer {
        let parameters = [("token", token)] + (hint.map { [("token_type_hint", $0)] } ?? [])
        return try await node.form("/oauth2/revoke", parameters, headers: client?.basic ?? [:])
    }

    @Test("a refresh token and an access token end their session, once, in one event", arguments: TestEngine.allCases)
    func ends(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            for (index, hint) in ["refresh_token", "access_token", nil].enumerated() {
                for isRefresh in [true, false] {
                    let ada = try await node.signUp("ada\(index)\(isRefresh)@example.com")
                    let answer = try await revoke(node, isRefresh ? ada.refresh : ada.access, hint: hint)
                    #expect(answer.status == 200 && answer.text.isEmpty, "\(answer.text)")
                    #expect(answer.headers[.cacheControl] == "no-store")
                    #expect(try await node.refresh(ada.refresh).code == "session_revoked")
                    #expect(try await node.me(ada.access).code == "session_revoked")
                    #expect(try await revoke(node, ada.refresh).status == 200, "it is over, and that is what was asked")
                    #expect(try await node.count("events WHERE session_id = '\(ada.sessionID)'") == 1)
                    let why = "sessions WHERE id = '\(ada.sessionID)' AND revoke_reason = 'logout'"
                    #expect(try await node.count(why) == 1)
                }
            }
        }
    }

    @Test("a token that nobody takes is a success that changes nothing", arguments: TestEngine.allCases)
    func unknown(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let client = try await node.makeClient()
            let ada = try await node.signUp()
            let before = try await node.rowCounts()
            let altered = String(ada.refresh.dropLast()) + (ada.refresh.last == "A" ? "B" : "A")
            for token in ["x", "tsr_x", altered, "a.b.c", ada.access + "A", client.secret] {
                #expect(try await revoke(node, token).status == 200, "\(token)")
                #expect(try await revoke(node, token, client).status == 200, "\(token)")
            }
            #expect(try await node.rowCounts() == before)
            #expect(try await node.refresh(ada.refresh).status == 200)
        }
    }

    @Test("an access token that has expired still ends its session", arguments: TestEngine.allCases)
    func expired(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let client = try await node.makeClient()
            let service = try await node.serviceToken(client)
            let (ada, eve) = (try await node.signUp(), try await node.signUp("eve@example.com"))
            node.clock.advance(.seconds(601))
            #expect(try await revoke(node, ada.access).status == 200)
            #expect(try await node.refresh(ada.refresh).code == "session_revoked")
            #expect(try await revoke(node, service).status == 200, "nothing is left of it")
            #expect(try await node.refresh(eve.refresh).status == 200)
        }
    }

    @Test("what was issued to another client is refused, and stays good", arguments: TestEngine.allCases)
    func otherClients(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let client = try await node.makeClient()
            let ada = try await node.signUp()
            for token in [ada.refresh, ada.access] {
                let answer = try await revoke(node, token, client)
                #expect(answer.status == 400 && answer.error == "invalid_grant", "\(answer.text)")
            }
            #expect(try await node.me(ada.access).status == 200)
            try await node.execute("UPDATE refresh_tokens SET client_id = 'worker'")
            #expect(try await revoke(node, ada.refresh).error == "invalid_grant", "nor is it the first party's now")
            #expect(try await node.me(ada.access).status == 200)
            #expect(try await revoke(node, ada.refresh, client).status == 200)
            #expect(try await node.me(ada.access).code == "session_revoked")
        }
    }

    @Test("a service's token cannot be taken back, and nobody is told that it was", arguments: TestEngine.allCases)
    func serviceTokens(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let client = try await node.makeClient()
            let billing = try await node.makeClient("billing", scopes: [], audiences: ["billing"])
            for owner in [client, billing] {
                let token = try await node.serviceToken(owner)
                let answer = try await revoke(node, token, owner)
                #expect(answer.status == 400 && answer.error == "unsupported_token_type", "\(answer.text)")
            }
            let token = try await node.serviceToken(client)
            #expect(try await revoke(node, token, billing).error == "invalid_grant")
        }
    }

    @Test("who gives false credentials is refused before the token is looked at", arguments: TestEngine.allCases)
    func strangers(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let client = try await node.makeClient()
            let ada = try await node.signUp()
            let wrong = TestClient(id: client.id, secret: ClientSecret(random: .system).text)
            #expect(try await revoke(node, ada.refresh, wrong).status == 401)
            let named = try await node.form("/oauth2/revoke", [("token", ada.refresh), ("client_id", client.id)])
            #expect(named.status == 401 && named.error == "invalid_client")
            #expect(try await node.form("/oauth2/revoke", []).error == "invalid_request")
            #expect(try await node.refresh(ada.refresh).status == 200)
        }
    }

    @Test("a storage fault is 503, never a success", arguments: TestEngine.allCases)
    func storageFault(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let ada = try await node.signUp()
            await node.database.close()
            for token in [ada.refresh, ada.access] {
                let answer = try await revoke(node, token)
                #expect(answer.status == 503 && answer.headers[.retryAfter] != nil, "\(answer.text)")
            }
        }
    }

    @Test("a fault of the transaction that ends the session is no success, and the token stays good for another try")
    func faultWhileEnding() async throws {
        try await withNode(.sqlite) { node in
            let ada = try await node.signUp()
            // The token is found; the event of its end cannot be written.
            _ = try await node.execute("ALTER TABLE events RENAME TO hidden_events")
            for token in [ada.refresh, ada.access] {
                let answer = try await revoke(node, token)
                #expect(answer.status >= 500, "\(answer.text)")
            }
            _ = try await node.execute("ALTER TABLE hidden_events RENAME TO events")
            #expect(try await node.me(ada.access).status == 200)
            #expect(try await revoke(node, ada.refresh).status == 200)
            #expect(try await node.me(ada.access).status == 401)
        }
    }
}
