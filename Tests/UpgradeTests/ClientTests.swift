import Foundation
import HTTPTypes
import OpenSSLCrypto
import Storage
import TestSupport
import Testing

@Suite("Upgrade: clients and keys")
struct ClientTests {
    @Test(
        "each secret works, the one before it until its date, and none of a disabled client",
        arguments: Fixture.all,
        TestEngine.allCases
    )
    func secrets(fixture: Fixture, engine: TestEngine) async throws {
        try await withUpgraded(fixture, engine) { upgraded in
            for (id, client) in upgraded.facts.clients {
                guard let secret = client.secret else { continue }
                let answer = try await upgraded.serviceToken(id, secret)
                #expect(answer.status == (client.isEnabled ? 200 : 401), "\(id): \(answer.text)")
                guard let previous = client.previousSecret, let end = client.previousSecretExpiresAt else { continue }
                #expect(try await upgraded.serviceToken(id, previous).status == 200, "\(id)")
                upgraded.clock.set(try Facts.instant(end) + .seconds(1))
                #expect(try await upgraded.serviceToken(id, previous).error == "invalid_client", "\(id)")
                #expect(try await upgraded.serviceToken(id, secret).status == 200, "\(id)")
                upgraded.clock.set(try Facts.instant(upgraded.facts.madeAt))
            }
        }
    }

    @Test(
        "a client's own key signs for it, and an assertion that was used before is used up",
        arguments: Fixture.all,
        TestEngine.allCases
    )
    func assertions(fixture: Fixture, engine: TestEngine) async throws {
        try await withUpgraded(fixture, engine) { upgraded in
            for (id, client) in upgraded.facts.clients {
                guard let used = client.usedAssertion, let encoded = client.privateKey else { continue }
                let key = try SigningKey(pkcs8: try #require(Base64.decode(encoded)), algorithm: .es256)
                // Everything but its id is the same.
                var claims = String(decoding: try JWS.parse(used).payload, as: UTF8.self)
                let id = try #require(try JSONValue(parsing: claims)["jti"].string, "\(id)")
                claims = claims.replacing(id, with: id + "2")
                let fresh = try JWS.sign(payload: Array(claims.utf8), type: "JWT", keyID: "signer-1", key: key)
                #expect(try await upgraded.serviceToken(assertion: used).error == "invalid_client")
                let answer = try await upgraded.serviceToken(assertion: fresh)
                #expect(answer.status == 200, "\(answer.text)")
            }
        }
    }

    @Test(
        "the next key signs after a rotation, and tokens of the keys before are good",
        arguments: Fixture.all,
        TestEngine.allCases
    )
    func rotation(fixture: Fixture, engine: TestEngine) async throws {
        try await withUpgraded(fixture, engine, later: .seconds(1200)) { upgraded in
            #expect(try await upgraded.auth.count("signing_keys") == 3)
            let admin = try upgraded.facts.token("root")
            let rotated = try await upgraded.auth.send(.post, "/v1/admin/keys/rotate", token: admin)
            #expect(rotated.status == 200, "\(rotated.text)")
            let user = try upgraded.facts.user("ada")
            let fresh = try #require(try await upgraded.logIn(user.email, user.password).json["access_token"].string)
            var keys: Set<String?> = []
            for token in [fresh, try upgraded.facts.token("ada"), try upgraded.facts.token("ada of the first key")] {
                keys.insert(try JWS.parse(token).header.kid)
                #expect(try await upgraded.auth.send(.get, "/v1/me", token: token).status == 200)
                #expect(try await upgraded.chat.send(.get, "/v1/tags", token: token).status == 200)
            }
            #expect(keys.count == 3)
        }
    }
}

extension Upgraded {
    func serviceToken(_ id: String, _ secret: String) async throws -> Answer {
        let credentials = Base64.encode(Array("\(id):\(secret)".utf8))
        let headers = ["Authorization": "Basic \(credentials)"]
        return try await auth.form("/oauth2/token", "grant_type=client_credentials", headers: headers)
    }

    func serviceToken(assertion: String) async throws -> Answer {
        let type = "urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer"
        let form = "grant_type=client_credentials&client_assertion_type=\(type)&client_assertion=\(assertion)"
        return try await auth.form("/oauth2/token", form)
    }
}
