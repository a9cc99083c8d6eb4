// A user who is deactivated or deleted gets one verdict at every door, and still logs out.
import AuthService
import HTTPTypes
import ServiceKit
import Storage
import TestSupport
import Testing

@Suite("Inactive users")
struct InactiveUserTests {
    private static let login = #"{"email":"ada@example.com","password":"\#(AuthNode.password)"}"#
    private static let own: HTTPFields = [.origin: "https://auth.test"]

    enum End: String, CaseIterable, Sendable {
        case deactivated, deleted, deletedByThemselves, revokedBefore
    }

    @Test(
        "access token, refresh token and cookie get user_inactive, whatever else ended the session",
        arguments: TestEngine.allCases,
        End.allCases
    )
    func verdict(engine: TestEngine, end: End) async throws {
        try await withNode(engine) { node in
            let ada = try await node.signUp()
            let other = try await node.logIn()
            let page = try await node.send(.post, "/v1/login?cookie=true", Self.login, headers: Self.own)
            let pair = String(try #require(page.headers[values: .setCookie].first).prefix { $0 != ";" })
            let states = node.service.userStates
            switch end {
            case .deactivated: _ = try await states.deactivate(ada.userID, actor: nil, from: .commandLine)
            case .deleted: try await states.delete(ada.userID, actor: nil, from: .commandLine)
            case .deletedByThemselves:
                #expect(try await node.send(.delete, "/v1/me", token: ada.access).status == 204)
            case .revokedBefore:
                #expect(try await node.send(.post, "/v1/logout", token: other.access).status == 204)
                _ = try await states.deactivate(ada.userID, actor: nil, from: .commandLine)
            }
            for one in [ada, other] {
                for answer in [
                    try await node.me(one.access), try await node.refresh(one.refresh),
                    try await node.send(.get, "/v1/validate", token: one.access),
                ] {
                    #expect(answer.status == 403 && answer.code == "user_inactive", "\(answer.text)")
                }
                let form = try await node.form(
                    "/oauth2/token",
                    [("grant_type", "refresh_token"), ("refresh_token", one.refresh)]
                )
                #expect(form.status == 400 && form.error == "invalid_grant", "\(form.text)")
            }
            for path in ["/v1/session", "/v1/me", "/v1/validate"] {
                let answer = try await node.send(.get, path, headers: [.cookie: pair])
                #expect(answer.status == 403 && answer.code == "user_inactive", "\(path) \(answer.text)")
            }
            // There is nothing left to end, which is a success.
            #expect(try await node.send(.post, "/v1/logout", token: other.access).status == 204)
            var headers = Self.own
            headers[.cookie] = pair
            #expect(try await node.send(.post, "/v1/logout", headers: headers).status == 204)
            // What names no user says nothing.
            let forged = String(ada.refresh.dropLast()) + (ada.refresh.last == "A" ? "B" : "A")
            #expect(try await node.refresh(forged).code == "invalid_token")
        }
    }

    @Test("of a deleted user only names of tokens are kept, until those have idled", arguments: TestEngine.allCases)
    func traces(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let ada = try await node.signUp()
            let root = try await node.makeAdmin()
            _ = try await node.send(.post, "/v1/login?cookie=true", Self.login, headers: Self.own)
            // The last admin stays, and keeps no trace.
            #expect(try await node.send(.delete, "/v1/me", token: root.access).code == "last_admin")
            #expect(try await node.count("deleted_user_tokens") == 0)
            #expect(try await node.send(.delete, "/v1/me", token: ada.access).status == 204)
            #expect(try await node.count("deleted_user_tokens") == 4)
            node.clock.advance(.seconds(14 * 86_400 + 1))
            _ = try await node.service.cleanup.run()
            #expect(try await node.count("deleted_user_tokens") == 0)
        }
    }

    @Test("an expired access token still logs out, and a forged one does not", arguments: TestEngine.allCases)
    func logout(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let (ada, eve) = (try await node.signUp(), try await node.signUp("eve@example.com"))
            node.clock.advance(.seconds(3600))
            #expect(try await node.me(ada.access).code == "token_expired")
            for forged in [ada.access + "A", String(ada.access.dropLast(2)), "a.b.c"] {
                #expect(try await node.send(.post, "/v1/logout", token: forged).code == "token_invalid")
            }
            #expect(try await node.refresh(ada.refresh).status == 200)
            #expect(try await node.send(.post, "/v1/logout", token: ada.access).status == 204)
            #expect(try await node.count("sessions WHERE revoke_reason = 'logout'") == 1)
            #expect(try await node.refresh(eve.refresh).status == 200)
            #expect(try await node.send(.post, "/v1/logout", token: ada.access).status == 204, "once more")
            #expect(try await node.count("events WHERE kind = 'session.revoked'") == 1)
        }
    }
}
