// How many requests one account may send, on every way in.
import Foundation
import NIOHTTP1
import TestSupport
import Testing

@Suite("Limits of requests")
struct RequestLimitTests {
    private static let settings = [
        "TESSERA_PERSON_REQUESTS_PER_SECOND": "1", "TESSERA_PERSON_REQUESTS_BURST": "20",
        "TESSERA_ADDRESS_REQUESTS_PER_SECOND": "1", "TESSERA_ADDRESS_REQUESTS_BURST": "40",
    ]

    /// Sends until a request is refused, and checks how.
    ///
    /// - Returns: how many were not.
    private static func passed(_ policy: String, _ send: () async throws -> Client.Answer) async throws -> Int {
        for count in 0..<200 {
            let answer = try await send()
            guard answer.status == 429 else {
                #expect(answer.headers["RateLimit"].first?.hasPrefix("\"\(policy)\";r=") == true, "\(answer.headers)")
                #expect(answer.headers["RateLimit-Policy"].first?.hasPrefix("\"\(policy)\";q=") == true)
                continue
            }
            #expect(answer.headers["Content-Type"] == ["application/problem+json"])
            #expect(answer["code"].string == "rate_limited")
            #expect(answer.headers["Retry-After"] == ["1"])
            #expect(answer.headers["RateLimit"] == ["\"\(policy)\";r=0;t=1"])
            return count
        }
        Issue.record("nothing was refused")
        return 200
    }

    /// Whether one of a few requests is refused. A token that has just come back lets one through.
    private static func isRefused(_ send: () async throws -> Client.Answer) async throws -> Bool {
        for _ in 0..<5 {
            if try await send().status == 429 { return true }
        }
        return false
    }

    @Test("a person's requests are limited in each service, wherever they come from, and another's are not touched")
    func persons() async throws {
        let installation = try await Installation(.sqlite, Self.settings)
        let node = try await installation.startDev()
        let ada = try await BoundsInstallation.person("ada", installation)
        let grace = try await BoundsInstallation.person("grace", installation)
        let (auth, chat) = (installation.auth, installation.chat)
        // A token comes back each second.
        let burst = 20...30
        let passed0 = try await Self.passed("person") { try await auth.get("/v1/me", token: ada) }
        #expect(burst.contains(passed0))
        #expect(try await Self.isRefused { try await auth.get("/v1/me/sessions", token: ada) })
        let passed1 = try await Self.passed("person") { try await chat.get("/v1/tags", token: ada) }
        #expect(burst.contains(passed1))
        #expect(try await Self.isRefused { try await chat.post("/v1/conversations", ["title": "t"], token: ada) })
        #expect(try await Self.isRefused { try await chat.get("/v1/changes", token: ada) })
        // What a gateway asks about a person is one thing, what the person asks another.
        let passed2 = try await Self.passed("asked") { try await auth.get("/v1/validate", token: ada) }
        #expect(burst.contains(passed2))
        for (client, path) in [(auth, "/v1/me"), (chat, "/v1/tags"), (auth, "/v1/validate")] {
            #expect(try await client.get(path, token: grace).status == 200)
        }
        #expect(try await node.terminate() == .status(0))
    }

    @Test("an address counts only for requests without a valid token, and health is never refused")
    func addresses() async throws {
        let installation = try await Installation(.sqlite, Self.settings)
        let node = try await installation.startDev()
        let ada = try await BoundsInstallation.person("ada", installation)
        let chat = installation.chat
        let passed3 = try await Self.passed("address") { try await chat.get("/v1/tags") }
        #expect((40...60).contains(passed3))
        for path in ["/v1/tags", "/openapi.yaml", "/nowhere"] {
            #expect(try await Self.isRefused { try await chat.get(path) }, "\(path)")
            #expect(try await Self.isRefused { try await chat.get(path, token: "not.a.token") }, "\(path)")
        }
        #expect(try await chat.get("/v1/tags", token: ada).status == 200)
        #expect(try await chat.get("/healthz").status == 200)
        #expect(try await chat.get("/readyz").status == 200)
        // Each service counts by itself; keys are for services.
        #expect(try await installation.auth.get("/v1/session").status == 401)
        let passed4 = try await Self.passed("address") { try await installation.auth.get("/v1/session") }
        #expect((20...60).contains(passed4))
        // Credentials that are not looked at before are none.
        for path in ["/v1/login", "/v1/logout", "/v1/token/refresh"] {
            let isRefused = try await Self.isRefused {
                try await installation.auth.post(path, [:], token: "not.a.token")
            }
            #expect(isRefused, "\(path)")
        }
        #expect(try await installation.auth.get("/.well-known/jwks.json").status == 200)
        #expect(try await installation.auth.get("/v1/me", token: ada).status == 200)
        #expect(try await node.terminate() == .status(0))
    }

    @Test("one session's refreshes are limited, from whichever door")
    func refreshes() async throws {
        let installation = try await Installation(
            .sqlite,
            Self.settings.merging(["TESSERA_ADDRESS_REQUESTS_BURST": "1000"]) { $1 }
        )
        let node = try await installation.startAuth()
        let auth = installation.auth
        let token = try #require(try await auth.signUp("ada@example.com")["refresh_token"].string)
        // Within the grace period each yields the same successor.
        var passed = 0
        while passed < 100, try await auth.post("/v1/token/refresh", ["refresh_token": .string(token)]).status == 200 {
            passed += 1
        }
        #expect((20...40).contains(passed))
        let form = "grant_type=refresh_token&refresh_token=\(token)"
        #expect(try await Self.isRefused { try await auth.form("/oauth2/token", form) })
        #expect(try await node.terminate() == .status(0))
    }

    @Test("with TESSERA_RATE_LIMITS=off nothing is refused, and nothing is said of limits")
    func off() async throws {
        let installation = try await Installation(
            .sqlite,
            Self.settings.merging(["TESSERA_RATE_LIMITS": "off"]) { $1 }
        )
        let node = try await installation.startDev()
        let ada = try await BoundsInstallation.person("ada", installation)
        for _ in 0..<60 {
            let answer = try await installation.auth.get("/v1/me", token: ada)
            #expect(answer.status == 200 && answer.headers["RateLimit"].isEmpty)
            #expect(try await installation.chat.get("/v1/tags").status == 401)
        }
        #expect(try await node.terminate() == .status(0))
    }
}
