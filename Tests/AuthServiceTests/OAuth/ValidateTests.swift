// `/v1/validate`, as gateways use it: any method, any path behind it, bearer or cookie, and always every field.
import AuthService
import Foundation
import HTTPTypes
import ServiceKit
import Storage
import TestSupport
import Testing

@Suite("Forward authentication")
struct ValidateTests {
    private static let fields = [
        "X-Auth-User", "X-Auth-Session", "X-Auth-Client", "X-Auth-Role", "X-Auth-Kind", "X-Auth-Scope",
        "X-Auth-Email-Verified",
    ]

    private func expect(_ answer: AuthNode.Answer, isOf user: AuthNode.LoggedIn, _ what: String) throws {
        #expect(answer.status == 200, "\(what): \(answer.text)")
        #expect(answer.headers[.cacheControl] == "no-store", "\(what)")
        let values = try Self.fields.map { answer.headers[try #require(HTTPField.Name($0))] }
        #expect(values == [user.userID, user.sessionID, "tessera", "user", "user", "", "false"], "\(what)")
        #expect(answer.text.isEmpty, "\(what)")
    }

    private func cookie(_ node: AuthNode) async throws -> String {
        let body = #"{"email":"ada@example.com","password":"\#(AuthNode.password)"}"#
        let answer = try await node.send(.post, "/v1/login?cookie=true", body, headers: [.origin: "https://auth.test"])
        return String(try #require(answer.headers[.setCookie]).prefix { $0 != ";" })
    }

    @Test("says who is asking, whatever the method and the path behind it", arguments: TestEngine.allCases)
    func anyMethod(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let ada = try await node.signUp()
            let methods = Set(node.operations().filter { $0.path == "/v1/validate" }.map(\.method))
            #expect(methods.count > 30)
            let paths = [
                "/v1/validate", "/v1/validate/", "/v1/validate/v1/admin/users", "/v1/validate/a/b/c?cookie=true&x=%00",
                "/v1/validate/%2f%2e%2e/%00/é", "/v1/validate//a//", "/v1/validate/../me", "/v1/validate/%2e%2e/me",
                "/v1/validate/a/..", "/v1/validate/%zz", "/v1/validate/a\\b", "/v1/validate/x?%zz=%",
            ]
            for method in methods {
                for path in paths {
                    try expect(try await node.send(method, path, token: ada.access), isOf: ada, "\(method) \(path)")
                }
                for path in ["/v1/validate/x", "/v1/validate/../me", "/v1/validate/%zz"] {
                    let stranger = try await node.send(method, path)
                    #expect(stranger.status == 401, "\(method) \(path)")
                    #expect(stranger.headers[.wwwAuthenticate] == #"Bearer realm="tessera""#, "\(method)")
                    #expect(stranger.headers[.cacheControl] == "no-store", "\(method)")
                }
            }
            #expect(try await node.send(.get, "/v1/validated", token: ada.access).status == 404)
        }
    }

    @Test("what a client makes up about itself comes to nothing", arguments: TestEngine.allCases)
    func madeUpFields(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let ada = try await node.signUp()
            var headers: HTTPFields = [.authorization: "Bearer \(ada.access)"]
            for name in Self.fields { headers[try #require(HTTPField.Name(name))] = "admin" }
            try expect(try await node.send(.get, "/v1/validate", headers: headers), isOf: ada, "made up")
            headers[.authorization] = nil
            let stranger = try await node.send(.get, "/v1/validate", headers: headers)
            #expect(stranger.status == 401 && stranger.code == "token_missing")
        }
    }

    @Test("a token that auth itself would refuse is refused", arguments: TestEngine.allCases)
    func refused(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let ada = try await node.signUp()
            let service = try await node.serviceToken(node.makeClient())
            for (token, code) in [
                ("x", "token_invalid"), (ada.access + "A", "token_invalid"), (ada.refresh, "token_invalid"),
                (service, "token_invalid"),
            ] {
                let answer = try await node.send(.get, "/v1/validate", token: token)
                #expect(answer.status == 401 && answer.code == code, "\(answer.text)")
                #expect(answer.headers[.wwwAuthenticate]?.contains(#"error="invalid_token""#) == true)
            }
            _ = try await node.send(.post, "/v1/logout", token: ada.access)
            #expect(try await node.send(.get, "/v1/validate", token: ada.access).code == "session_revoked")
            let eve = try await node.signUp("eve@example.com")
            node.clock.advance(.seconds(601))
            #expect(try await node.send(.get, "/v1/validate", token: eve.access).code == "token_expired")
            await node.database.close()
            let fresh = try await node.send(
                .get,
                "/v1/validate",
                headers: [.cookie: "__Host-tessera=\(Self.someCookie)"]
            )
            #expect(fresh.status == 503)
        }
    }

    private static let someCookie = String(repeating: "A", count: 43)

    @Test("a session cookie is as good, but not for what another site may have caused", arguments: TestEngine.allCases)
    func cookies(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            _ = try await node.signUp()
            let pair = try await cookie(node)
            func answer(
                _ method: HTTPRequest.Method = .get,
                _ more: [String: String] = [:]
            ) async throws -> AuthNode.Answer {
                var headers: HTTPFields = [.cookie: pair]
                for (name, value) in more { headers[try #require(HTTPField.Name(name))] = value }
                return try await node.send(method, "/v1/validate/app", headers: headers)
            }
            let own = ["Origin": "https://auth.test"]
            let good = try await answer()
            #expect(good.status == 200 && good.headers[HTTPField.Name("X-Auth-Role")!] == "user", "\(good.text)")
            #expect(try await answer(.post, own).status == 200)
            #expect(try await answer(.post).code == "csrf_refused")
            #expect(try await answer(.post, ["Origin": "https://evil.test"]).code == "csrf_refused")
            // Gateways that ask with GET name the method of the request.
            for name in ["X-Forwarded-Method", "X-Original-Method"] {
                #expect(try await answer(.get, [name: "GET"]).status == 200)
                #expect(try await answer(.get, [name: "POST"]).code == "csrf_refused", "\(name)")
                #expect(try await answer(.get, own.merging([name: "POST"]) { $1 }).status == 200, "\(name)")
            }
            #expect(try await node.send(.get, "/v1/validate", headers: [.cookie: "__Host-tessera=x"]).status == 401)
            let unknown = "__Host-tessera=\(Self.someCookie)"
            #expect(try await node.send(.get, "/v1/validate", headers: [.cookie: unknown]).status == 401)
            // A cookie does not redeem a bad token.
            #expect(try await answer(.get, ["Authorization": "Bearer x"]).status == 401)
        }
    }
}
