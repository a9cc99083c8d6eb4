// `private_key_jwt`: every claim of an assertion counts, each assertion is valid once, and the key decides the
// algorithm.
import AuthService
import Foundation
import HTTPTypes
import OpenSSLCrypto
import ServiceKit
import Storage
import TestSupport
import Testing

@Suite("Client assertions")
struct ClientAssertionTests {
    /// The members of a valid assertion, as JSON; `nil` removes one.
    private func assertion(
        _ node: AuthNode,
        _ client: TestClient,
        _ changes: [String: String?] = [:],
        type: String = "JWT",
        kid: String = "k1",
        key: SigningKey? = nil
    ) throws -> String {
        let now = node.clock.now.seconds
        var members: [String: String?] = [
            "iss": #""\#(client.id)""#, "sub": #""\#(client.id)""#, "aud": #""https://auth.test""#,
            "exp": "\(now + 300)", "iat": "\(now)", "jti": #""\#(UUID().uuidString)""#,
        ]
        for (name, value) in changes { members[name] = .some(value) }
        let text = members.compactMap { name, value in value.map { "\"\(name)\":\($0)" } }.joined(separator: ",")
        let signer = try key ?? #require(client.key)
        return try JWS.sign(payload: Array("{\(text)}".utf8), type: type, keyID: kid, key: signer)
    }

    private func send(_ node: AuthNode, _ assertion: String, _ more: [(String, String)] = []) async throws
        -> AuthNode.Answer
    {
        try await node.token(
            [
                ("grant_type", "client_credentials"), ("client_assertion_type", AuthNode.assertionType),
                ("client_assertion", assertion),
            ] + more
        )
    }

    @Test(
        "a client's own key is as good as a secret, in every algorithm",
        arguments: TestEngine.allCases,
        SigningAlgorithm.allCases
    )
    func accepted(engine: TestEngine, algorithm: SigningAlgorithm) async throws {
        try await withNode(engine) { node in
            let client = try await node.makeKeyClient(algorithm: algorithm)
            let answer = try await send(node, try assertion(node, client))
            #expect(answer.status == 200 && answer.json["scope"]?.string == "events", "\(answer.text)")
            #expect(try await send(node, try assertion(node, client), [("client_id", client.id)]).status == 200)
            let good: [[String: String?]] = [
                ["iat": nil], ["nbf": "\(node.clock.now.seconds)"], ["exp": "\(node.clock.now.seconds + 1)"],
            ]
            for changes in good {
                #expect(try await send(node, try assertion(node, client, changes)).status == 200, "\(changes)")
            }
        }
    }

    @Test("an assertion works once, also for 16 requests at once", arguments: TestEngine.allCases)
    func singleUse(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let client = try await node.makeKeyClient()
            let once = try assertion(node, client)
            let answers = try await inParallel(16) { _ in try await send(node, once).status }
            #expect(answers.count { $0 == 200 } == 1 && answers.count { $0 == 401 } == 15, "\(answers)")
            // The same id in another assertion counts as the same; of another client it does not.
            let jti = #""fixed""#
            #expect(try await send(node, try assertion(node, client, ["jti": jti])).status == 200)
            #expect(try await send(node, try assertion(node, client, ["jti": jti])).error == "invalid_client")
            let other = try await node.makeKeyClient("other")
            #expect(try await send(node, try assertion(node, other, ["jti": jti])).status == 200)

            // Remembered as long as it could be used, and not longer.
            node.clock.advance(.seconds(299))
            _ = try await node.service.cleanup.run()
            #expect(try await node.count("client_assertions") == 3)
            node.clock.advance(.seconds(90))
            _ = try await node.service.cleanup.run()
            #expect(try await node.count("client_assertions") == 0)
            #expect(try await send(node, once).error == "invalid_client")
        }
    }

    @Test("every claim must be right, and a refused assertion uses up nothing", arguments: TestEngine.allCases)
    func refused(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let client = try await node.makeKeyClient()
            let other = try await node.makeKeyClient("other")
            let secretOnly = try await node.makeClient("plain")
            let now = node.clock.now.seconds
            let cases: [[String: String?]] = [
                ["iss": nil], ["sub": nil], ["iss": #""other""#], ["sub": #""other""#], ["iss": "7", "sub": "7"],
                ["iss": #""plain""#, "sub": #""plain""#], ["iss": #""nobody""#, "sub": #""nobody""#],
                ["iss": #""a\u0000""#, "sub": #""a\u0000""#],
                ["aud": nil], ["aud": #""tessera""#], ["aud": #""https://auth.test/""#], ["aud": "[]"], ["aud": "7"],
                ["aud": #"["https://auth.test","https://elsewhere.test"]"#], ["aud": #"["https://auth.test",7]"#],
                ["aud": #"["https://auth.test"]"#], ["aud": #""\#(AuthNode.tokenEndpoint)""#],
                ["exp": nil], ["exp": "\(now)"], ["exp": "\(now - 1)"], ["exp": "\(now + 331)"],
                ["exp": #""\#(now + 60)""#], ["exp": "\(now + 60).5"], ["iat": "\(now + 31)"], ["nbf": "\(now + 31)"],
                ["nbf": #""now""#], ["jti": nil], ["jti": #""""#], ["jti": "7"],
                ["jti": #""\#(String(repeating: "j", count: 257))""#],
            ]
            for changes in cases {
                let answer = try await send(node, try assertion(node, client, changes))
                #expect(answer.status == 401 && answer.error == "invalid_client", "\(changes): \(answer.text)")
            }
            let stranger = try SigningKey.generate(.es256)
            let rsa = try SigningKey.generate(.rs256)
            for (what, text) in [
                ("a stranger's key", try assertion(node, client, key: stranger)),
                ("another algorithm", try assertion(node, client, key: rsa)),
                ("another client's key", try assertion(node, client, key: other.key)),
                ("an unknown kid", try assertion(node, client, kid: "k2")),
                ("an access token's type", try assertion(node, client, type: "at+jwt")),
                ("a logout token's type", try assertion(node, client, type: "logout+jwt")),
                ("a client without keys", try assertion(node, secretOnly, key: stranger)), ("nothing", "x"),
                (
                    "no signature",
                    try assertion(node, client).split(separator: ".").prefix(2).joined(separator: ".") + "."
                ),
                ("a user's token", try await node.signUp().access),
            ] {
                #expect(try await send(node, text).error == "invalid_client", "\(what)")
            }
            let header = Base64URL.encode(Array(#"{"alg":"none","kid":"k1"}"#.utf8))
            let body = try assertion(node, client).split(separator: ".")[1]
            #expect(try await send(node, "\(header).\(body).").error == "invalid_client")
            #expect(try await node.count("client_assertions") == 0)

            // The client named beside the assertion must be the one inside.
            let named = try await send(node, try assertion(node, client), [("client_id", "other")])
            #expect(named.error == "invalid_client")
            let both = try await node.token(
                [
                    ("grant_type", "client_credentials"), ("client_assertion_type", AuthNode.assertionType),
                    ("client_assertion", try assertion(node, client)),
                ],
                headers: secretOnly.basic
            )
            #expect(both.error == "invalid_request", "two methods")
            for type in [[], [("client_assertion_type", "jwt-bearer")]] {
                let parameters = [("grant_type", "client_credentials"), ("client_assertion", "x")] + type
                #expect(try await node.token(parameters).error == "invalid_request")
            }
        }
    }

    @Test(
        "the token endpoint is an audience for the client alone that is allowed to name it, and never in a list",
        arguments: TestEngine.allCases
    )
    func tokenEndpoint(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let client = try await node.makeKeyClient()
            let other = try await node.makeKeyClient("other")
            let admin = try await node.makeAdmin()
            let endpoint: [String: String?] = ["aud": #""\#(AuthNode.tokenEndpoint)""#]
            #expect(try await send(node, try assertion(node, client, endpoint)).error == "invalid_client")
            let allowed = try await node.send(
                .patch,
                "/v1/admin/clients/signer",
                #"{"allow_token_endpoint_audience":true}"#,
                token: admin.access
            )
            #expect(allowed.json["allow_token_endpoint_audience"]?.boolean == true, "\(allowed.text)")
            #expect(try await send(node, try assertion(node, client, endpoint)).status == 200)
            #expect(try await send(node, try assertion(node, client)).status == 200)
            #expect(try await send(node, try assertion(node, other, endpoint)).error == "invalid_client")
            for list in [
                #"["\#(AuthNode.tokenEndpoint)"]"#, #"["https://auth.test","\#(AuthNode.tokenEndpoint)"]"#,
                #""\#(AuthNode.tokenEndpoint)/""#,
            ] {
                #expect(
                    try await send(node, try assertion(node, client, ["aud": list])).error == "invalid_client",
                    "\(list)"
                )
            }
        }
    }

    @Test("a key is replaced with an overlap, and a set that could do harm is refused", arguments: TestEngine.allCases)
    func keySets(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let client = try await node.makeKeyClient()
            let old = try #require(client.key)
            let new = try SigningKey.generate(.eddsa)
            func replace(_ jwks: String?) async throws {
                var change = ClientChange()
                change.jwks = jwks.map { .value($0) } ?? .null
                _ = try await node.service.clients.update(client.id, change, actor: nil, from: .commandLine)
            }
            func works(_ key: SigningKey, _ kid: String) async throws -> Bool {
                try await send(node, try assertion(node, client, kid: kid, key: key)).status == 200
            }
            try await replace(try AuthNode.jwks([(old, "k1"), (new, "k2")]))
            #expect(try await works(old, "k1"))
            #expect(try await works(new, "k2"))
            #expect(try await works(old, "k2") == false, "the kid names the key")
            try await replace(try AuthNode.jwks([(new, "k2")]))
            #expect(try await works(old, "k1") == false)
            // Keys without names are tried in turn.
            try await replace(try AuthNode.jwks([(old, nil), (new, nil)]))
            #expect(try await works(new, "k2") == false, "a kid that no key has")
            try await replace(nil)
            #expect(try await works(new, "k2") == false)

            for bad in [
                "{}", "[]", #"{"keys":[]}"#, #"{"keys":[{"kty":"oct","k":"AAAA"}]}"#, #"{"keys":[{"kty":"EC"}]}"#,
                #"{"keys":["# + #"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","#
                    + #""d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"}]}"#,
                try AuthNode.jwks((0..<11).map { (new, "k\($0)") }),
            ] {
                await #expect(throws: ClientError.self, "\(bad.prefix(40))") { try await replace(bad) }
            }
        }
    }
}
