// One table of cases for both refresh endpoints: same refusals, same effects.
import AuthService
import HTTPTypes
import OpenSSLCrypto
import ServiceKit
import Storage
import Synchronization
import TestSupport
import Testing

@Suite("Both refresh endpoints")
struct RefreshEndpointTests {
    enum Endpoint: String, CaseIterable, Sendable {
        case json, oauth

        /// `ok`, the reason, or else the status.
        func outcome(_ node: AuthNode, _ token: String) async throws -> (reason: String, refresh: String?) {
            switch self {
            case .json:
                let answer = try await node.refresh(token)
                return (answer.status == 200 ? "ok" : answer.code ?? "", answer.json["refresh_token"]?.string)
            case .oauth:
                let answer = try await node.token([("grant_type", "refresh_token"), ("refresh_token", token)])
                #expect(answer.headers[.cacheControl] == "no-store")
                if answer.status == 200 {
                    #expect(answer.json["access_token"]?.string?.isEmpty == false)
                    #expect(answer.json["token_type"]?.string == "Bearer")
                    #expect(answer.json["session"] == nil && answer.json["user"] == nil)
                    return ("ok", answer.json["refresh_token"]?.string)
                }
                if answer.status == 400 { #expect(answer.error == "invalid_grant", "\(answer.text)") }
                return (answer.json["error_description"]?.string ?? answer.code ?? "", nil)
            }
        }
    }

    /// Brings a new session into a state, and names the token to present.
    struct Case: Sendable, CustomTestStringConvertible {
        let name: String
        let reason: String
        let prepare: @Sendable (AuthNode, AuthNode.LoggedIn) async throws -> String
        var testDescription: String { name }
    }

    static let cases: [Case] = [
        Case(name: "the current token", reason: "ok") { _, ada in ada.refresh },
        Case(name: "the token before it, within the grace", reason: "ok") { node, ada in
            _ = try await node.refresh(ada.refresh)
            node.clock.advance(.seconds(9))
            return ada.refresh
        },
        Case(name: "the token before it, after the grace", reason: "refresh_token_reused") { node, ada in
            _ = try await node.refresh(ada.refresh)
            node.clock.advance(.seconds(11))
            return ada.refresh
        },
        Case(name: "a token two behind", reason: "refresh_token_reused") { node, ada in
            let second = try #require(try await node.refresh(ada.refresh).json["refresh_token"]?.string)
            _ = try await node.refresh(second)
            return ada.refresh
        },
        Case(name: "an altered token", reason: "invalid_token") { _, ada in
            String(ada.refresh.dropLast()) + (ada.refresh.last == "A" ? "B" : "A")
        },
        Case(name: "no token at all", reason: "invalid_token") { _, _ in "hello" },
        Case(name: "an access token", reason: "invalid_token") { _, ada in ada.access },
        Case(name: "a token whose row is gone", reason: "invalid_token") { node, ada in
            try await node.execute("DELETE FROM refresh_tokens")
            return ada.refresh
        },
        Case(name: "another client's token", reason: "invalid_token") { node, ada in
            try await node.execute("UPDATE refresh_tokens SET client_id = 'another'")
            return ada.refresh
        },
        Case(name: "a token of a revoked session", reason: "session_revoked") { node, ada in
            _ = try await node.send(.post, "/v1/logout", token: ada.access)
            return ada.refresh
        },
        Case(name: "a token after everybody was revoked", reason: "session_revoked") { node, ada in
            try await node.service.sessions.revokeEverything(actor: nil, from: .commandLine)
            return ada.refresh
        },
        Case(name: "a token of a session that idled too long", reason: "session_expired") { node, ada in
            node.clock.advance(.seconds(14 * 86_400 + 1))
            return ada.refresh
        },
        Case(name: "a token of a deactivated user", reason: "user_inactive") { node, ada in
            _ = try await node.service.userStates.deactivate(ada.userID, actor: nil, from: .commandLine)
            return ada.refresh
        },
        Case(name: "a token of a deleted user", reason: "user_inactive") { node, ada in
            try await node.service.userStates.delete(ada.userID, actor: nil, from: .commandLine)
            return ada.refresh
        },
        Case(name: "a token of a user who is refused while the session is not", reason: "user_inactive") { node, ada in
            try await node.execute("UPDATE users SET is_active = :active", ["active": false])
            return ada.refresh
        },
        Case(name: "a token while the database is away", reason: "database_unavailable") { node, ada in
            await node.database.close()
            return ada.refresh
        },
    ]

    @Test("say the same and leave the same", arguments: TestEngine.allCases, cases)
    func same(engine: TestEngine, one: Case) async throws {
        let left = Mutex<[[[SQLValue]]]>([])
        for endpoint in Endpoint.allCases {
            try await withConfiguredNode(engine) { node async throws in
                let token = try await one.prepare(node, try await node.signUp())
                let outcome = try await endpoint.outcome(node, token)
                #expect(outcome.reason == one.reason, "\(endpoint)")
                #expect((outcome.refresh != nil) == (one.reason == "ok"), "\(endpoint)")
                guard one.reason != "database_unavailable" else { return }
                // The token's generation, the session's life, and its events.
                let rows =
                    try await node.query("SELECT generation, client_id FROM refresh_tokens")
                    + node.query("SELECT revoke_reason FROM sessions")
                    + node.query("SELECT kind FROM events ORDER BY seq")
                left.withLock { $0.append(rows.map(\.values)) }
            }
        }
        let states = left.withLock(\.self)
        if one.reason != "database_unavailable" { #expect(states.count == 2 && states[0] == states[1]) }
    }

    @Test("a client that authenticates is not the first party: its sessions' tokens are not valid there")
    func registeredClient() async throws {
        for engine in TestEngine.allCases {
            try await withNode(engine) { node in
                let ada = try await node.signUp()
                let client = try await node.makeClient()
                let grant = [("grant_type", "refresh_token"), ("refresh_token", ada.refresh)]
                let refused = try await node.token(grant, headers: client.basic)
                #expect(refused.error == "invalid_grant", "\(refused.text)")
                #expect(try await node.token(grant + [("client_id", "tessera")]).status == 200)

                // The client may refresh its own tokens, and no other client may.
                try await node.execute("UPDATE refresh_tokens SET client_id = 'worker', generation = 0")
                #expect(try await node.token(grant).error == "invalid_grant")
                #expect(
                    try await node.token(grant + [("scope", "events")], headers: client.basic).error == "invalid_scope"
                )
                let own = try await node.token(grant, headers: client.basic)
                #expect(own.status == 200, "\(own.text)")
                let access = try #require(own.json["access_token"]?.string)
                let claims = try JSONElement.parse(JWS.parse(access).payload)
                #expect(claims["client_id"]?.string == "worker" && claims["sub"]?.string == ada.userID)
            }
        }
    }
}
