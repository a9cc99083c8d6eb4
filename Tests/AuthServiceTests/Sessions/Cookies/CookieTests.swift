import AuthService
import HTTPTypes
import OpenSSLCrypto
import ServiceKit
import Storage
import TestSupport
import Testing

@Suite("Cookies")
struct CookieTests {
    private static let body = #"{"email":"ada@example.com","password":"\#(AuthNode.password)"}"#
    private static let own: HTTPFields = [.origin: "https://auth.test"]

    @Test(
        "a login with ?cookie=true sets the cookie and keeps the refresh token to itself",
        arguments: TestEngine.allCases
    )
    func setsCookie(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            _ = try await node.signUp()
            let answer = try await node.send(.post, "/v1/login?cookie=true", Self.body, headers: Self.own)
            let header = try #require(answer.headers[.setCookie])
            #expect(header.hasPrefix("__Host-tessera="))
            for attribute in ["Path=/", "HttpOnly", "SameSite=Lax", "Secure"] {
                #expect(header.contains("; \(attribute)"))
            }
            #expect(!header.contains("Domain"))
            #expect(answer.json["refresh_token"] == nil)
            let pair = String(header.prefix { $0 != ";" })
            let value = try #require(Base64URL.decode(pair.drop { $0 != "=" }.dropFirst().description))
            let stored = try await node.query("SELECT token_hash FROM sessions WHERE token_hash IS NOT NULL")
            #expect(try stored.map { try $0.bytes("token_hash") } == [SHA256.digest(value)], "only its hash is stored")

            let session = try await node.send(.get, "/v1/session", headers: [.cookie: pair])
            #expect(session.status == 200)
            #expect(try await node.me(try #require(session.json["access_token"]?.string)).status == 200)
            #expect(try await node.send(.get, "/v1/me", headers: [.cookie: "theme=dark; \(pair)"]).status == 200)
            #expect(
                try await node.send(.get, "/v1/me", headers: [.cookie: "\(pair); \(pair)x"]).status == 401,
                "two of the name"
            )
            #expect(
                try await node.send(.get, "/v1/me", headers: [.cookie: "__Host-tessera=AAAA"]).code == "token_invalid"
            )

            var headers = Self.own
            headers[.cookie] = pair
            let out = try await node.send(.post, "/v1/logout", headers: headers)
            #expect(out.status == 204 && out.headers[.setCookie]?.contains("Max-Age=0") == true)
            #expect(try await node.send(.get, "/v1/session", headers: [.cookie: pair]).status == 401)
        }
    }

    @Test("on a plain loopback origin the cookie has another name and no Secure")
    func devCookie() async throws {
        try await withNode(.sqlite, NodeOptions(publicURL: "http://127.0.0.1:8080")) { node in
            let answer = try await node.send(
                .post,
                "/v1/signup?cookie=true",
                Self.body,
                headers: [.origin: "http://127.0.0.1:8080"]
            )
            let header = try #require(answer.headers[.setCookie])
            #expect(answer.status == 201 && header.hasPrefix("tessera_dev=") && !header.contains("Secure"))
        }
    }

    @Test(
        "an unsafe request that carries or sets the cookie must come from an allowed origin",
        arguments: TestEngine.allCases
    )
    func csrf(engine: TestEngine) async throws {
        try await withNode(engine, NodeOptions(corsOrigins: ["https://app.test"])) { node in
            _ = try await node.signUp()
            let login = try await node.send(.post, "/v1/login?cookie=true", Self.body, headers: Self.own)
            let pair = String(try #require(login.headers[.setCookie]).prefix { $0 != ";" })
            let site = try #require(HTTPField.Name("Sec-Fetch-Site"))
            let allowed: [HTTPFields] = [Self.own, [.origin: "https://app.test"], [site: "same-origin"]]
            let refused: [HTTPFields] = [
                [:], [.origin: "https://evil.test"], [.origin: "null"], [site: "cross-site"], [site: "same-site"],
                [.origin: "https://auth.test.evil.test"], [.origin: "http://auth.test"],
            ]
            for (cases, isAllowed) in [(allowed, true), (refused, false)] {
                for headers in cases {
                    let setting = try await node.send(.post, "/v1/login?cookie=true", Self.body, headers: headers)
                    #expect((setting.status == 200) == isAllowed, "\(headers)")
                    #expect((setting.headers[.setCookie] != nil) == isAllowed)
                    var carrying = headers
                    carrying[.cookie] = pair
                    let patch = try await node.send(.patch, "/v1/me", #"{"name":"x"}"#, headers: carrying)
                    #expect((patch.status == 200) == isAllowed, "\(headers) \(patch.text)")
                    if !isAllowed { #expect(patch.code == "csrf_refused") }
                }
            }
            // Without a cookie there is nothing to forge.
            #expect(
                try await node.send(.post, "/v1/login", Self.body, headers: [.origin: "https://evil.test"]).status
                    == 200
            )
        }
    }

    @Test("a configured origin gets credentialed CORS answers, any other gets none")
    func cors() async throws {
        try await withNode(.sqlite, NodeOptions(corsOrigins: ["https://app.test"])) { node in
            let preflight = try await node.send(
                .options,
                "/v1/login",
                headers: [.origin: "https://app.test", .accessControlRequestMethod: "POST"]
            )
            #expect(preflight.status == 204)
            #expect(preflight.headers[.accessControlAllowOrigin] == "https://app.test")
            #expect(preflight.headers[.accessControlAllowCredentials] == "true")
            #expect(preflight.headers[.vary] == "Origin")
            let other = try await node.send(.get, "/healthz", headers: [.origin: "https://evil.test"])
            #expect(other.headers[.accessControlAllowOrigin] == nil && other.headers[.vary] == "Origin")
        }
    }

    @Test(
        "a sign-in from another site that would set the cookie is refused, and says why",
        arguments: TestEngine.allCases
    )
    func crossSite(engine: TestEngine) async throws {
        try await withNode(engine, NodeOptions(corsOrigins: ["https://app.other"])) { node in
            _ = try await node.signUp()
            let before = try await node.rowCounts()
            let site = try #require(HTTPField.Name("Sec-Fetch-Site"))
            for origin in ["https://app.other", "https://auth.test", "https://evil.test", nil] {
                for path in ["/v1/login?cookie=true", "/v1/signup?cookie=1"] {
                    var headers: HTTPFields = [site: "cross-site"]
                    headers[.origin] = origin
                    let answer = try await node.send(.post, path, Self.body, headers: headers)
                    #expect(answer.status == 403 && answer.code == "cookie_cross_site", "\(path) \(answer.text)")
                    #expect(answer.headers[.setCookie] == nil)
                }
            }
            #expect(try await node.rowCounts() == before)
            // Tokens need no site, and a page of the same site keeps its cookie.
            let app: HTTPFields = [site: "cross-site", .origin: "https://app.other"]
            for query in ["", "?cookie=false"] {
                let login = try await node.send(.post, "/v1/login\(query)", Self.body, headers: app)
                #expect(login.status == 200 && login.json["refresh_token"] != nil, "\(login.text)")
            }
            let near: HTTPFields = [site: "same-site", .origin: "https://app.other"]
            let login = try await node.send(.post, "/v1/login?cookie=true", Self.body, headers: near)
            #expect(login.status == 200 && login.headers[.setCookie] != nil)
        }
    }

    @Test("the preflight of a refused origin is 403 with a code, and of a gateway's origin nothing at all")
    func refusedPreflight() async throws {
        try await withNode(.sqlite, NodeOptions(corsOrigins: ["https://app.test"])) { node in
            func preflight(_ path: String, _ origin: String) async throws -> AuthNode.Answer {
                try await node.send(.options, path, headers: [.origin: origin, .accessControlRequestMethod: "POST"])
            }
            let refused = try await preflight("/v1/login", "https://evil.test")
            #expect(refused.status == 403 && refused.code == "origin_refused", "\(refused.text)")
            #expect(refused.headers[.accessControlAllowOrigin] == nil && refused.headers[.vary] == "Origin")
            // SECURITY: a 2xx would let a gateway pass the request on, with the identity that its client wrote.
            for origin in ["https://app.test", "https://evil.test"] {
                for path in ["/v1/validate", "/v1/validate/some/path"] {
                    #expect(try await preflight(path, origin).status == 401, "\(path)")
                }
            }
            // What is no preflight is answered as ever.
            #expect(try await node.send(.options, "/v1/login").status == 405)
        }
    }

    @Test("in development pages of this machine may sign in with the cookie")
    func loopbackOrigins() async throws {
        for isAllowed in [true, false] {
            try await withConfiguredNode(.sqlite, { $0.allowsLoopbackOrigins = isAllowed }) { node in
                _ = try await node.signUp()
                let page: HTTPFields = [.origin: "http://localhost:5173"]
                let login = try await node.send(.post, "/v1/login?cookie=true", Self.body, headers: page)
                #expect((login.headers[.setCookie] != nil) == isAllowed)
                #expect((login.headers[.accessControlAllowOrigin] == "http://localhost:5173") == isAllowed)
            }
        }
    }
}
