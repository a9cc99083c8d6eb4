import Foundation
import TestSupport
import Testing

@Suite("Two nodes on one PostgreSQL")
struct TwoNodeTests {
    @Test("with different first ring keys, each node accepts what the other issued")
    func differentFirstKeys() async throws {
        let (keyA, keyB) = (Installation.masterKey(), Installation.masterKey())
        let installation = try await Installation(.postgres, ["TESSERA_MASTER_KEY": "\(keyA),\(keyB)"])
        let secondPort = try FreePort.take()
        let first = try await installation.startAuth()
        let second = try await installation.startAuth(settings: [
            "TESSERA_MASTER_KEY": "\(keyB),\(keyA)",
            "TESSERA_AUTH_PORT": "\(secondPort)",
            "TESSERA_METRICS_ADDRESS": "127.0.0.1:\(try FreePort.take())",
        ])
        let one = installation.auth
        let two = Client(base: "http://127.0.0.1:\(secondPort)")

        for (here, there) in [(one, two), (two, one)] {
            let email = "user-\(UUID().uuidString.prefix(8).lowercased())@example.com"
            let signup = try await here.signUp(email)
            #expect(signup.status == 201)
            #expect(try await there.get("/v1/me", token: signup["access_token"].string).status == 200)
            #expect(try await there.logIn(email).status == 200)

            // The refresh token alternates: issued here, used there, used here.
            let afterThere = try await there.refresh(signup["refresh_token"].string)
            #expect(afterThere.status == 200)
            let afterHere = try await here.refresh(afterThere["refresh_token"].string)
            #expect(afterHere.status == 200)
            #expect(try await here.get("/v1/me", token: afterThere["access_token"].string).status == 200)

            // A logout at one node is a logout at both.
            let logout = try await there.post("/v1/logout", token: afterHere["access_token"].string)
            #expect(logout.status == 204)
            #expect(try await here.refresh(afterHere["refresh_token"].string).status == 401)
        }
        let keySets = try await [one, two].asyncMap { try await $0.get("/.well-known/jwks.json").json }
        #expect(keySets[0] == keySets[1])
        #expect(try await first.terminate() == .status(0))
        #expect(try await second.terminate() == .status(0))
    }

    @Test("a node that lacks the first key of another says 503 to its tokens, and goes on when it has the key")
    func missingKey() async throws {
        let (keyA, keyB) = (Installation.masterKey(), Installation.masterKey())
        let installation = try await Installation(.postgres, ["TESSERA_MASTER_KEY": keyA])
        let secondPort = try FreePort.take()
        var behind = try await installation.startAuth()
        let ahead = try await installation.startAuth(settings: [
            "TESSERA_MASTER_KEY": "\(keyB),\(keyA)",
            "TESSERA_AUTH_PORT": "\(secondPort)",
            "TESSERA_METRICS_ADDRESS": "127.0.0.1:\(try FreePort.take())",
        ])
        let signup = try await Client(base: "http://127.0.0.1:\(secondPort)").signUp("ada@example.com")
        let token = signup["refresh_token"].string
        let early = try await installation.auth.refresh(token)
        #expect(early.status == 503 && early["code"].string == "key_unknown", "\(early.text)")
        let form = "token=\(token ?? "")"
        let revoked = try await installation.auth.form("/oauth2/revoke", form)
        #expect(revoked.status == 503, "\(revoked.text)")
        #expect(try await behind.terminate() == .status(0))
        behind = try await installation.startAuth(settings: ["TESSERA_MASTER_KEY": "\(keyA),\(keyB)"])
        #expect(try await installation.auth.refresh(token).status == 200)
        #expect(try await behind.terminate() == .status(0))
        #expect(try await ahead.terminate() == .status(0))
    }

    @Test("a node whose ring lacks the key that encrypted the signing key does not start as if all were well")
    func strangerKey() async throws {
        let installation = try await Installation(.postgres)
        let first = try await installation.startAuth()
        try await first.terminate()
        let stranger = try installation.start(
            "auth",
            "--migrate",
            settings: ["TESSERA_MASTER_KEY": Installation.masterKey()]
        )
        #expect(try await stranger.waitForExit() != .status(0))
        #expect(stranger.output.contains("TESSERA_MASTER_KEY"), "\(stranger.output)")
    }
}

extension Client {
    fileprivate func refresh(_ token: String?) async throws -> Answer {
        try await post("/v1/token/refresh", ["refresh_token": .string(token ?? "")])
    }
}

extension Array {
    fileprivate func asyncMap<Result>(_ transform: (Element) async throws -> Result) async rethrows -> [Result] {
        var results: [Result] = []
        for element in self { results.append(try await transform(element)) }
        return results
    }
}
