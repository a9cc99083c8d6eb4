import AuthService
import HTTPTypes
import OpenSSLCrypto
import ServiceKit
import Storage
import TestSupport
import Testing

@Suite("OAuth tokens")
struct OAuthTokenTests {
    private static let grant = [("grant_type", "client_credentials")]

    @Test(
        "a service gets a token for itself, of its audiences and the scopes it asks for",
        arguments: TestEngine.allCases
    )
    func clientCredentials(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let client = try await node.makeClient(
                scopes: ["events", "introspect"],
                audiences: ["tessera", "billing"]
            )
            for (asked, granted) in [(nil, "events introspect"), ("events", "events"), ("introspect events", nil)] {
                let scope = asked.map { [("scope", $0)] } ?? []
                let answer = try await node.token(Self.grant + scope, headers: client.basic)
                #expect(answer.status == 200, "\(answer.text)")
                #expect(answer.json["token_type"]?.string == "Bearer")
                #expect(answer.json["scope"]?.string == granted ?? "events introspect")
                #expect(answer.json["refresh_token"] == nil, "RFC 6749 §4.4.3: none is needed")
                #expect(answer.headers[.cacheControl] == "no-store")
                #expect(answer.headers[HTTPField.Name("Pragma")!] == "no-cache")
                let life = try #require(answer.json["expires_in"]?.integer)
                #expect((570...600).contains(life))

                let token = try #require(answer.json["access_token"]?.string)
                let parsed = try JWS.parse(token)
                #expect(parsed.header.typ == "at+jwt")
                let claims = try JSONElement.parse(parsed.payload)
                #expect(claims["iss"]?.string == "https://auth.test")
                #expect(claims["sub"]?.string == "client_worker")
                #expect(claims["client_id"]?.string == "worker")
                #expect(claims["aud"]?.array?.compactMap(\.string) == ["tessera", "billing"])
                #expect(claims["scope"]?.string == granted ?? "events introspect")
                #expect(claims["exp"]?.integer == node.clock.now.seconds + life)
                for absent in ["sid", "role", "kind", "ver", "gver"] { #expect(claims[absent] == nil, "\(absent)") }
            }
        }
    }

    @Test("a service's token never passes where a user is required", arguments: TestEngine.allCases)
    func noUser(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let token = try await node.serviceToken(node.makeClient())
            let guarded = node.operations().filter { $0.path.hasPrefix("/v1/me") || $0.path.hasPrefix("/v1/admin") }
            #expect(guarded.count > 15)
            for (method, path) in guarded {
                let answer = try await node.send(
                    method,
                    path,
                    method == .post || method == .patch ? "{}" : nil,
                    token: token
                )
                #expect(answer.status == 401, "\(method) \(path)")
                #expect(method == .head || answer.code == "token_invalid", "\(method) \(path) \(answer.text)")
            }
        }
    }

    @Test("a secret is taken in the header and in the body, and nowhere twice", arguments: TestEngine.allCases)
    func methods(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let client = try await node.makeClient()
            let other = try await node.makeClient("other")
            func status(_ parameters: [(String, String)], _ headers: HTTPFields = [:]) async throws -> String {
                let answer = try await node.token(Self.grant + parameters, headers: headers)
                return "\(answer.status) \(answer.error ?? "")"
            }
            #expect(try await status([], client.basic) == "200 ")
            #expect(try await status(client.post) == "200 ")
            #expect(try await status([("client_id", client.id)], client.basic) == "200 ")
            // RFC 6749 §2.3.1: form-encoded before base64, which may encode every character.
            let encoded = "%77orker:\(client.secret.replacing("_", with: "%5F"))"
            let header = "bAsIc   \(Base64.encode(Array(encoded.utf8)))"
            #expect(try await status([], [.authorization: header]) == "200 ")

            #expect(try await status(client.post, client.basic) == "400 invalid_request", "two methods")
            #expect(try await status([("client_secret", client.secret)]) == "400 invalid_request", "no client_id")
            #expect(try await status([("client_id", other.id)], client.basic) == "401 invalid_client")
            #expect(
                try await status([("client_id", client.id), ("client_secret", other.secret)]) == "401 invalid_client"
            )
            var twice = client.basic
            twice.append(HTTPField(name: .authorization, value: try #require(other.basic[.authorization])))
            #expect(try await status([], twice) == "401 invalid_client", "two headers")
        }
    }

    @Test("who is not the client is refused with a challenge, always in the same words", arguments: TestEngine.allCases)
    func strangers(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let client = try await node.makeClient()
            let disabled = try await node.makeClient("disabled")
            var change = ClientChange()
            change.isDisabled = true
            _ = try await node.service.clients.update(disabled.id, change, actor: nil, from: .commandLine)
            let user = try await node.signUp()

            let secret = client.secret
            let flipped = String(secret.dropLast()) + (secret.last == "A" ? "B" : "A")
            func basic(_ text: String) -> HTTPFields {
                [.authorization: "Basic \(Base64.encode(Array(text.utf8)))"]
            }
            let cases: [(what: String, parameters: [(String, String)], headers: HTTPFields)] = [
                ("nobody", [], [:]), ("a public client", [("client_id", "tessera")], [:]),
                ("a client without its secret", [("client_id", client.id)], [:]),
                ("unknown client", [], basic("nobody:\(secret)")), ("disabled client", [], disabled.basic),
                ("wrong secret", [], basic("\(client.id):\(ClientSecret(random: .system).text)")),
                ("altered secret", [], basic("\(client.id):\(flipped)")), ("empty secret", [], basic("\(client.id):")),
                ("no colon", [], basic(client.id)), ("empty id", [], basic(":\(secret)")),
                ("NUL in the id", [], basic("wor%00ker:\(secret)")), ("SQL", [], basic("' OR 1=1 --:\(secret)")),
                ("broken percent", [], basic("work%zzer:\(secret)")),
                ("no base64", [], [.authorization: "Basic \(client.id):\(secret)"]),
                ("a user's token", [], [.authorization: "Bearer \(user.access)"]),
                ("another scheme", [], [.authorization: "Digest username=\"worker\""]),
                ("a refresh token as the secret", [], basic("\(client.id):\(user.refresh)")),
            ]
            for (what, parameters, headers) in cases {
                let answer = try await node.token(Self.grant + parameters, headers: headers)
                #expect(answer.status == 401, "\(what): \(answer.text)")
                #expect(answer.headers[.wwwAuthenticate] == #"Basic realm="tessera""#, "\(what)")
                #expect(
                    answer.text == #"{"error":"invalid_client","error_description":"client authentication failed"}"#
                )
                #expect(
                    answer.headers[.contentType] == "application/json" && answer.headers[.cacheControl] == "no-store"
                )
            }
        }
    }

    @Test("requests that make no sense are refused as RFC 6749 §5.2 says", arguments: TestEngine.allCases)
    func malformed(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let client = try await node.makeClient()
            func send(_ body: String, type: String? = "application/x-www-form-urlencoded") async throws
                -> AuthNode.Answer
            {
                var headers = client.basic
                headers[.contentType] = type ?? "text/plain"
                return try await node.send(.post, "/oauth2/token", body, headers: headers)
            }
            let cases: [(body: String, status: Int, error: String)] = [
                ("", 400, "invalid_request"), ("grant_type=", 400, "invalid_request"),
                ("grant_type=client_credentials&grant_type=client_credentials", 400, "invalid_request"),
                ("grant_type=client_credentials&scope=events&scope=events", 400, "invalid_request"),
                ("grant_type=%", 400, "invalid_request"), ("grant_type=%f", 400, "invalid_request"),
                ("grant_type=%ff", 400, "invalid_request"), ("grant_type=a%00", 400, "invalid_request"),
                ("grant_type=password&username=a&password=b", 400, "unsupported_grant_type"),
                ("grant_type=authorization_code&code=x", 400, "unsupported_grant_type"),
                ("grant_type=Client_Credentials", 400, "unsupported_grant_type"),
                ("grant_type=refresh_token", 400, "invalid_request"),
                ("grant_type=client_credentials&scope=admin", 400, "invalid_scope"),
                ("grant_type=client_credentials&scope=events+admin", 400, "invalid_scope"),
                ("grant_type=client_credentials&scope=events++introspect", 400, "invalid_scope"),
                ("grant_type=client_credentials&scope=Events", 400, "invalid_scope"),
                // RFC 6749 §3.2: "The authorization server MUST ignore unrecognized request parameters."
                ("grant_type=client_credentials&colour=blue&x", 200, ""),
                ("grant_type=client_credentials&scope=", 200, ""),
            ]
            for (body, status, error) in cases {
                let answer = try await send(body)
                #expect(answer.status == status && answer.error ?? "" == error, "\(body): \(answer.text)")
                #expect(answer.headers[.cacheControl] == "no-store")
            }
            for type in ["application/json", "text/plain", "multipart/form-data"] {
                #expect(try await send("grant_type=client_credentials", type: type).error == "invalid_request")
            }
            #expect(try await send("x=" + String(repeating: "a", count: 70_000)).status == 413)
        }
    }

    @Test("both secrets are good during a rotation, the old one until its date", arguments: TestEngine.allCases)
    func rotation(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let first = try await node.makeClient()
            func rotate(_ overlap: Duration) async throws -> TestClient {
                let made = try await node.service.clients.rotateSecret(
                    of: first.id,
                    overlap: overlap,
                    actor: nil,
                    from: .commandLine
                )
                return TestClient(id: first.id, secret: try #require(made.secret).text)
            }
            func works(_ client: TestClient) async throws -> Bool {
                try await node.token(Self.grant, headers: client.basic).status == 200
            }
            let second = try await rotate(.seconds(3600))
            #expect(try await works(first))
            #expect(try await works(second))
            node.clock.advance(.seconds(3599))
            #expect(try await works(first))
            node.clock.advance(.seconds(1))
            #expect(try await works(first) == false)
            #expect(try await works(second))

            let third = try await rotate(.seconds(3600))
            let fourth = try await rotate(.seconds(3600))
            #expect(try await works(second) == false, "two secrets are good, never three")
            #expect(try await works(third))
            #expect(try await works(fourth))
            let fifth = try await rotate(.zero)
            #expect(try await works(fourth) == false, "a leaked secret goes at once")
            #expect(try await works(fifth))
            #expect(try await node.count("audit_log WHERE action = 'client.rotate_secret' AND target = 'worker'") == 4)
        }
    }

    @Test("no secret is stored", arguments: TestEngine.allCases)
    func secretsAreNotStored(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let client = try await node.makeClient()
            let secret = try #require(Base64URL.decode(String(client.secret.dropFirst(4).dropLast(6))))
            #expect(secret.count == 32)
            let row = try #require(try await node.query("SELECT * FROM clients").first)
            #expect(try row.bytes("secret_hash").count == 32)
            #expect(!row.values.contains(.bytes(secret)))
            #expect(!row.values.contains(.text(client.secret)))
        }
    }

    @Test("a storage fault is 503, never a refusal of the client", arguments: TestEngine.allCases)
    func storageFault(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let client = try await node.makeClient()
            await node.database.close()
            let answer = try await node.token(Self.grant, headers: client.basic)
            #expect(answer.status == 503 && answer.headers[.retryAfter] != nil, "\(answer.text)")
        }
    }

    @Test("guesses from one network are bounded, and the client itself is not held up", arguments: TestEngine.allCases)
    func throttled(engine: TestEngine) async throws {
        try await withNode(engine, NodeOptions(rateLimits: true)) { node in
            let client = try await node.makeClient()
            for _ in 0..<300 { #expect(try await node.token(Self.grant).status == 401) }
            #expect(try await node.token(Self.grant).status == 429)
            #expect(try await node.token(Self.grant, headers: client.basic).status == 200)
        }
    }
}
