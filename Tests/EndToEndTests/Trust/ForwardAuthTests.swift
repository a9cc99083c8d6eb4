// `/v1/validate` over a socket: a gateway sends what the HTTP parser accepts, which a router test cannot show.
import Foundation
import TestSupport
import Testing

@Suite("Forward authentication over a socket")
struct ForwardAuthTests {
    @Test("every method gets its answer, and a body is neither read nor in the way")
    func methods() async throws {
        let installation = try await Installation()
        let server = try await installation.startAuth()
        let signup = try await installation.auth.signUp("ada@example.com")
        let token = try #require(signup["access_token"].string)
        let user = try #require(signup["user"]["id"].string)

        func answer(_ method: String, _ path: String, _ headers: String, body: String = "") async throws -> String {
            let connection = try RawConnection(port: installation.authPort)
            try connection.send(
                "\(method) \(path) HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\(headers)\r\n\(body)"
            )
            return try await connection.receiveUntilClosed(within: .seconds(60))
        }
        let bearer = "Authorization: Bearer \(token)\r\n"
        for method in [
            "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "MKCOL", "REPORT",
            "SEARCH",
            "M-SEARCH", "PURGE", "LOCK", "LINK",
        ] {
            let good = try await answer(method, "/v1/validate/app/page?cookie=true", bearer)
            #expect(good.hasPrefix("HTTP/1.1 200 "), "\(method): \(good)")
            #expect(
                good.contains("X-Auth-User: \(user)\r\n") && good.contains("X-Auth-Scope: \r\n"),
                "\(method): \(good)"
            )
            let stranger = try await answer(method, "/v1/validate/app/page", "X-Auth-User: \(user)\r\n")
            #expect(stranger.hasPrefix("HTTP/1.1 401 "), "\(method): \(stranger)")
            #expect(!stranger.contains(user), "\(method)")
        }
        // As nginx sends them with `proxy_pass http://tessera/v1/validate$request_uri`: a 400 would become a 500.
        for path in ["/../me", "/%2e%2e/me", "/a/./b", "/..", "/%zz", "/%", "/a\\b", "/%00", "/a%FFb", "//", "/?%zz"] {
            let good = try await answer("GET", "/v1/validate\(path)", bearer)
            #expect(good.hasPrefix("HTTP/1.1 200 ") && good.contains("X-Auth-User: \(user)\r\n"), "\(path): \(good)")
            let stranger = try await answer("GET", "/v1/validate\(path)", "")
            #expect(stranger.hasPrefix("HTTP/1.1 401 "), "\(path): \(stranger)")
        }
        // Far more than auth accepts elsewhere: it belongs to the service behind the gateway.
        let count = 1 << 20
        let big = try await answer(
            "POST",
            "/v1/validate",
            "\(bearer)Content-Length: \(count)\r\n",
            body: String(repeating: "b", count: count)
        )
        #expect(big.hasPrefix("HTTP/1.1 200 "), "\(big.prefix(200))")
        #expect(try await server.terminate() == .status(0))
        #expect(!server.output.contains("app/page"), "a path that is somebody else's was logged")
    }
}
