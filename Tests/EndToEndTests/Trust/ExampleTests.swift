import Foundation
import NIOHTTP1
import TestSupport
import Testing

@Suite("The example service")
struct ExampleTests {
    @Test("it believes tokens without asking, demands a role, and refuses what was revoked")
    func whoAmI() async throws {
        let installation = try await Installation()
        let auth = try await installation.startAuth()
        let port = try FreePort.take()
        let secret = try await installation.makeFollower("who-am-i")
        let process = try installation.start(
            .init(port: port, auth: installation.environment["TESSERA_PUBLIC_URL"] ?? "", secret: secret)
        )
        try await process.waitUntilReady(port: port)
        let example = Client(base: "http://127.0.0.1:\(port)")

        let nobody = try await example.get("/whoami")
        #expect(nobody.status == 401)
        #expect(nobody.headers.first(name: "WWW-Authenticate") == #"Bearer realm="tessera""#)
        let signup = try await installation.auth.signUp("someone@example.com")
        let token = try #require(signup["access_token"].string)
        let (user, session) = (signup["user"]["id"].string ?? "", signup["session"]["id"].string ?? "")
        #expect(try await example.get("/whoami", token: token).text == "\(user) in \(session) as user\n")
        #expect(try await example.get("/admin", token: token).status == 403)
        let admin = try await installation.makeAdmin()
        #expect(try await example.get("/admin", token: admin).status == 200)

        #expect(
            try await installation.auth.send("DELETE", "/v1/admin/sessions/\(session)", token: admin).status == 204
        )
        try await eventually("the revoked token is refused") {
            let answer = try await example.get("/whoami", token: token)
            return answer.status == 401
                && answer.headers.first(name: "WWW-Authenticate")?.contains("session_revoked") == true
        }
        #expect(try await example.get("/whoami", token: admin).status == 200)
        #expect(!process.output.contains(secret) && !process.output.contains(token))
        #expect(try await process.terminate() == .status(0))
        #expect(try await auth.terminate() == .status(0))
    }

    @Test("with a wrong secret it is never ready, and judges no user's token")
    func wrongSecret() async throws {
        let installation = try await Installation()
        let auth = try await installation.startAuth()
        let port = try FreePort.take()
        let process = try installation.start(
            .init(port: port, auth: installation.environment["TESSERA_PUBLIC_URL"] ?? "", secret: "tcs_wrong")
        )
        try await eventually("it tells why") { process.output.contains("revocations are not current") }
        let example = Client(base: "http://127.0.0.1:\(port)")
        #expect(try await example.get("/readyz").status == 503)
        let token = try await installation.auth.signUp("someone@example.com")["access_token"].string
        #expect(try await example.get("/whoami", token: token).status == 503)
        #expect(try await process.terminate() == .status(0))
        #expect(try await auth.terminate() == .status(0))
    }
}
