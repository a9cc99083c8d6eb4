// Stored signing keys, and tokens with a right signature and a wrong claim.
import AuthService
import HTTPTypes
import Logging
import OpenSSLCrypto
import ServiceKit
import Storage
import TestSupport
import Testing

@Suite("Signing keys")
struct SigningKeyTests {
    private func currentKey(_ node: AuthNode) async throws -> (kid: String, key: SigningKey) {
        let rows = try await node.query("SELECT kid, private_key FROM signing_keys WHERE state = 'current'")
        let row = try #require(rows.first)
        let kid = try row.text("kid")
        let ring = try MasterKeyRing(base64Ring: AuthNode.ring(1))
        let pkcs8 = try ring.open(
            try row.bytes("private_key"),
            associatedData: Array("signing_keys/\(kid)/private_key".utf8)
        )
        return (kid, try SigningKey(pkcs8: pkcs8, algorithm: .es256))
    }

    /// The payload of a good token with some members replaced; `nil` removes one.
    private func payload(of token: String, _ changes: [String: String?]) throws -> [UInt8] {
        let members = try #require(try JSONElement.parse(JWS.parse(token).payload).object)
        var unseen = changes
        return JSONWriter.object { writer in
            for member in members {
                if let change = unseen.removeValue(forKey: member.name.verbatim) {
                    if let value = change { writer.member(member.name, raw: value) }
                } else {
                    writer.member(member.name, raw: member.value.raw)
                }
            }
            for (name, value) in unseen { if let value { writer.member(RequestText(name), raw: value) } }
        }.bytes
    }

    @Test("a right signature opens nothing when a claim is wrong", arguments: TestEngine.allCases)
    func wrongClaims(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let ada = try await node.signUp()
            let eve = try await node.signUp("eve@example.com")
            let (kid, key) = try await currentKey(node)
            func answer(_ changes: [String: String?], type: String = "at+jwt", kid: String) async throws
                -> AuthNode.Answer
            {
                let forged = try JWS.sign(
                    payload: try payload(of: ada.access, changes),
                    type: type,
                    keyID: kid,
                    key: key
                )
                return try await node.me(forged)
            }
            // The control: the tool makes valid tokens, so the refusals below mean something.
            #expect(try await answer([:], kid: kid).status == 200)

            let now = node.clock.now.seconds
            let refused: [(changes: [String: String?], code: String)] = [
                (["aud": #"["chat"]"#], "token_invalid"), (["aud": #""tesser""#], "token_invalid"),
                (["aud": nil], "token_invalid"), (["aud": "[]"], "token_invalid"),
                (["iss": #""https://auth.test/""#], "token_invalid"), (["iss": nil], "token_invalid"),
                (["exp": "\(now - 1)"], "token_expired"), (["exp": nil], "token_invalid"),
                (["exp": #""\#(now + 600)""#], "token_invalid"), (["iat": "\(now + 301)"], "token_invalid"),
                (["nbf": "\(now + 301)"], "token_invalid"), (["sub": #""\#(eve.userID)""#], "session_revoked"),
                (["sid": #""\#(eve.sessionID)""#], "session_revoked"), (["sid": #""unknown""#], "session_revoked"),
                (["sid": nil], "session_revoked"), (["ver": "0"], "token_stale"), (["ver": nil], "token_stale"),
                (["role": #""king""#], "token_invalid"), (["client_id": nil], "token_invalid"),
            ]
            for (changes, code) in refused {
                let answer = try await answer(changes, kid: kid)
                #expect(answer.status == 401 && answer.code == code, "\(changes) \(answer.text)")
                #expect(answer.headers[.wwwAuthenticate]?.contains(#"error="invalid_token""#) == true, "\(changes)")
            }
            for type in ["JWT", "jwt", "application/json", "logout+jwt"] {
                #expect(try await answer([:], type: type, kid: kid).code == "token_invalid", "\(type)")
            }
            #expect(try await answer([:], kid: "unknown").code == "token_invalid")
        }
    }

    @Test("a public key is no HMAC secret", arguments: TestEngine.allCases)
    func algorithmConfusion(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let ada = try await node.signUp()
            let (kid, _) = try await currentKey(node)
            let rows = try await node.query("SELECT public_jwk FROM signing_keys WHERE state = 'current'")
            let jwk = try #require(rows.first).text("public_jwk")
            let header = Base64URL.encode(Array(#"{"alg":"HS256","typ":"at+jwt","kid":"\#(kid)"}"#.utf8))
            let input = "\(header).\(ada.access.split(separator: ".")[1])"
            let code = HMACSHA256.authenticationCode(for: Array(input.utf8), key: Array(jwk.utf8))
            #expect(try await node.me("\(input).\(Base64URL.encode(code))").code == "token_invalid")
        }
    }

    @Test(
        "private keys are sealed, and a sealed key copied over another row opens nothing",
        arguments: TestEngine.allCases
    )
    func sealedRows(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let (kid, key) = try await currentKey(node)
            let marker = Array(try key.pkcs8().suffix(24))
            let rows = try await node.query("SELECT kid, private_key FROM signing_keys")
            #expect(rows.count == 2)
            for row in rows {
                let sealed = try row.bytes("private_key")
                #expect(sealed.count > marker.count)
                #expect(!sealed.indices.dropLast(marker.count - 1).contains { sealed[$0...].starts(with: marker) })
            }
            let other = try #require(try rows.first { try $0.text("kid") != kid }).bytes("private_key")
            let copied = try await node.execute(
                "UPDATE signing_keys SET private_key = :key WHERE kid = :kid",
                ["kid": kid, "key": other]
            )
            #expect(copied == 1)
            try await node.service.keys.reload()
            let unready = try await node.send(.get, "/readyz")
            #expect(unready.status == 503 && unready.code == "key_unknown", "\(unready.text)")
            #expect(unready.json["detail"]?.string?.contains(kid) == true)
        }
    }

    @Test(
        "a node without the key that sealed refuses to start; one that has it behind another starts",
        arguments: TestEngine.allCases
    )
    func rings(engine: TestEngine) async throws {
        try await withNodes(engine, [NodeOptions(ring: AuthNode.ring(2, first: 0))]) { nodes in
            let node = nodes[0]
            func start(_ ring: String) async throws {
                let configuration = AuthConfiguration(
                    publicURL: "https://auth.test",
                    masterKeys: try MasterKeyRing(base64Ring: ring)
                )
                _ = try await AuthService(
                    database: node.database,
                    configuration: configuration,
                    isReady: {},
                    contract: "",
                    logger: Logger(label: "test.auth")
                )
            }
            try await start(AuthNode.ring(2, first: 1))
            let stranger = Base64.encode([UInt8](repeating: 0x7A, count: 32))
            await #expect(throws: CryptoError.self) { try await start(stranger) }
        }
    }

    @Test("nodes that start at once agree on one current and one next key", arguments: TestEngine.allCases)
    func startingAtOnce(engine: TestEngine) async throws {
        try await withSeparateNodes(engine) { nodes in
            let node = nodes[0]
            try await node.execute("DELETE FROM signing_keys")
            _ = try await inParallel(8) { try await nodes[$0 % 2].service.keys.reload() }
            #expect(try await node.count("signing_keys WHERE state = 'current'") == 1)
            #expect(try await node.count("signing_keys WHERE state = 'next'") == 1)
            #expect(try await node.count("signing_keys") == 2)
            #expect(try await node.me(node.signUp().access).status == 200)
        }
    }

    @Test("of rotations at once one takes place", arguments: TestEngine.allCases)
    func rotationsAtOnce(engine: TestEngine) async throws {
        try await withSeparateNodes(engine) { nodes in
            let ada = try await nodes[0].signUp()
            let outcomes = try await inParallel(16) { index -> Bool in
                do {
                    try await nodes[index % 2].service.keys.rotate()
                    return true
                } catch SigningKeyError.tooYoung {
                    return false
                }
            }
            #expect(outcomes.contains(true))
            #expect(try await nodes[0].count("signing_keys WHERE state = 'current'") == 1)
            #expect(try await nodes[0].count("signing_keys WHERE state = 'next'") == 1)
            #expect(try await nodes[0].count("signing_keys WHERE state = 'previous'") == 1)
            // Each node signs by the table, and knows the other's tokens.
            for (here, there) in [(nodes[0], nodes[1]), (nodes[1], nodes[0])] {
                #expect(try await there.me(here.logIn().access).status == 200)
                #expect(try await here.me(ada.access).status == 200)
            }
            #expect(try await nodes[0].count("events WHERE kind = 'keys.rotated'") == 1)
        }
    }
}
