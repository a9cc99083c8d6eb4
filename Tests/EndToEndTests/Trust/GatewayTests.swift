// Real gateways with the configurations of docs/gateways, in front of a service that returns what has reached it. A
// client's claims about itself must not get there, and neither may a request that Tessera refuses.
import Foundation
import NIOHTTP1
import TestSupport
import Testing

@Suite("Gateways")
struct GatewayTests {
    private static let identity = [
        "x-auth-user", "x-auth-session", "x-auth-client", "x-auth-role", "x-auth-kind", "x-auth-scope",
        "x-auth-email-verified",
    ]

    @Test("lets through whom Tessera knows, as Tessera knows them, and nobody else", arguments: Gateway.allCases)
    func identity(gateway: Gateway) async throws {
        let (installation, auth, service, port) = try await start()
        let signup = try await installation.auth.signUp("ada@example.com")
        let token = try #require(signup["access_token"].string)
        let user = try #require(signup["user"]["id"].string)
        let other = try #require(try await installation.auth.logIn("ada@example.com")["access_token"].string)
        let running = try await gateway.start(installation, servicePort: port)

        let stranger = try await running.send("GET", "/x")
        #expect(stranger.status == 401)
        #expect(stranger.headers.first(name: "WWW-Authenticate")?.hasPrefix("Bearer") == true)
        for bad in try ["x", "x.y.z"] + TokenInteroperabilityTests.tampered(token) {
            let answer = try await running.get("/x", token: bad)
            #expect(answer.status == 401, "\(bad): \(answer.text)")
        }

        // With every header that a client could forge, once and twice.
        let known = try await installation.auth.get("/v1/validate", token: token)
        #expect(known.headers.first(name: "X-Auth-User") == user)
        let forged = Self.identity.flatMap { [($0, "forged"), ($0.uppercased(), "forged")] }
        let answer = try await running.send("GET", "/a/b?c=d", [("Authorization", "Bearer \(token)")] + forged)
        #expect(answer.status == 200, "\(answer.text)")
        #expect(answer["path"].string == "/a/b?c=d")
        for name in Self.identity {
            let seen = answer["headers"][name].array.map(\.string)
            let value = known.headers.first(name: name) ?? ""
            #expect(seen == [value] || (value.isEmpty && seen.isEmpty), "\(name): \(seen)")
        }
        try await expectNoOtherSpelling(gateway, running, token)

        let body = String(repeating: "0123456789abcdef", count: 4096)
        let posted = try await running.send("POST", "/post", [("Authorization", "Bearer \(token)")], body: body)
        #expect(posted.status == 200)
        #expect(posted["method"].string == "POST")
        #expect(posted["body"].string == body)
        #expect(posted["headers"]["x-auth-user"].array == [.string(user)])

        // The token's text is still valid. Only a gateway that asks auth can refuse it.
        #expect(try await installation.auth.post("/v1/logout", token: token).status == 204)
        #expect(try await running.get("/x", token: token).status == (gateway == .envoyJWT ? 200 : 401))
        #expect(try await running.get("/x", token: other).status == 200)

        try await auth.terminate()
        let orphaned = try await running.get("/x", token: other)
        #expect(orphaned.status == gateway.statusWithoutTessera)
        #expect(orphaned["headers"] == .null || gateway == .envoyJWT)

        #expect(!running.process.output.contains(token))
        try await running.process.terminate()
        service.kill()
    }

    @Test(
        "a session cookie counts, but not for what another site sends",
        arguments: Gateway.allCases.filter(\.forwards)
    )
    func cookie(gateway: Gateway) async throws {
        let (installation, auth, service, port) = try await start()
        let running = try await gateway.start(installation, servicePort: port)
        let signup = try await installation.auth.signUp("ada@example.com")
        let user = try #require(signup["user"]["id"].string)
        let origin = installation.auth.base
        let login = try await RunningGateway(process: auth, client: installation.auth).send(
            "POST",
            "/v1/login?cookie=true",
            [("Origin", origin), ("Content-Type", "application/json")],
            body: #"{"email":"ada@example.com","password":"\#(Client.password)"}"#
        )
        let cookie = String(try #require(login.headers.first(name: "Set-Cookie")).prefix { $0 != ";" })

        let read = try await running.send("GET", "/x", [("Cookie", cookie)])
        #expect(read.status == 200)
        #expect(read["headers"]["x-auth-user"].array == [.string(user)])
        let own = try await running.send("POST", "/x", [("Cookie", cookie), ("Origin", origin)], body: "own")
        #expect(own.status == 200)
        #expect(own["body"].string == "own")
        // Nor does it help to claim a GET.
        for said in [[], [("X-Original-Method", "GET")], [("X-Forwarded-Method", "GET")]] {
            let fields = [("Cookie", cookie), ("Origin", "https://elsewhere.example")] + said
            let foreign = try await running.send("POST", "/x", fields, body: "foreign")
            #expect(foreign.status == 403, "\(said): \(foreign.text)")
        }
        #expect(try await running.send("POST", "/x", [("Cookie", cookie)], body: "unknown").status == 403)
        let invented = try await running.send("GET", "/x", [("Cookie", cookie + "A")])
        #expect(invented.status == 401)

        try await running.process.terminate()
        try await auth.terminate()
        service.kill()
    }

    /// CGI gives services `X_Auth_User` and `X-Auth-User` as the same variable.
    private func expectNoOtherSpelling(_ gateway: Gateway, _ running: RunningGateway, _ token: String) async throws {
        let names = Self.identity.flatMap { [$0.replacing("-", with: "_"), "X_Auth-\($0.dropFirst(7))"] }
        for name in names + ["x-auth-email_verified"] {
            let answer = try await running.send("GET", "/x", [("Authorization", "Bearer \(token)"), (name, "forged")])
            #expect(answer.status == (gateway == .apache ? 403 : 200), "\(name): \(answer.text)")
            #expect(!answer.text.contains("forged"), "\(name): \(answer.text)")
        }
    }

    private func start() async throws -> (Installation, auth: ServerProcess, service: ServerProcess, port: Int) {
        let installation = try await Installation(.sqlite)
        let auth = try await installation.startAuth()
        let port = try FreePort.take()
        let service = try ServerProcess(
            executable: Installation.python,
            arguments: [
                Installation.repository.appending(path: "Tests/Interop/echo_service.py").path, String(port),
            ],
            environment: [:],
            folder: installation.folder
        )
        try await service.waitUntilReady(port: port, path: "/")
        return (installation, auth, service, port)
    }
}
