import HTTPTypes
import ServiceKit
import TestSupport
import Testing

@Suite("Tokens")
struct TokenTests {
    @Test(
        "a token that is absent, expired, forged, unsigned or for somebody else opens nothing",
        arguments: TestEngine.allCases
    )
    func refused(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let tokens = chat.tokens
            try await chat.create(#"{"id":"c"}"#)
            let bad: [(String, String?, String)] = [
                ("absent", nil, "token_missing"),
                ("not a token", "Bearer nonsense", "token_invalid"),
                ("another scheme", "Basic b3duZXI6cHc=", "token_missing"),
                ("expired", "Bearer \(try tokens.token(for: "owner", ["exp": "1000000000"]))", "token_expired"),
                ("forged", "Bearer \(try tokens.forged(for: "owner"))", "token_invalid"),
                ("unsigned", "Bearer \(tokens.unsigned(for: "owner"))", "token_invalid"),
                ("audience", "Bearer \(try tokens.token(for: "owner", ["aud": #""tessera""#]))", "token_invalid"),
                (
                    "issuer", "Bearer \(try tokens.token(for: "owner", ["iss": #""http://evil.test""#]))",
                    "token_invalid"
                ),
                ("subject", "Bearer \(try tokens.token(for: "../owner"))", "token_invalid"),
            ]
            let paths: [(HTTPRequest.Method, String, String?)] = [
                (.get, "/v1/conversations", nil),
                (.post, "/v1/conversations", "{}"),
                (.get, "/v1/conversations/c", nil),
                (.patch, "/v1/conversations/c", #"{"title":"x"}"#),
                (.delete, "/v1/conversations/c", nil),
                (.get, "/v1/conversations/c/messages", nil),
                (.post, "/v1/conversations/c/messages", #"{"role":"user","content":"x"}"#),
                (.get, "/v1/conversations/c/messages/m", nil),
            ]
            for (name, authorization, code) in bad {
                for (method, path, body) in paths {
                    var headers: HTTPFields = [:]
                    if let authorization { headers[.authorization] = authorization }
                    let answer = try await chat.send(method, path, as: nil, body, headers: headers)
                    #expect(answer.status == 401, "\(name): \(method) \(path)")
                    #expect(answer.code == code, "\(name): \(method) \(path)")
                    #expect(answer.headers[.wwwAuthenticate]?.hasPrefix("Bearer") == true, "\(name)")
                    #expect(answer.headers[.contentType] == "application/problem+json")
                }
            }
            try await chat.expectSound("c", count: 0)
        }
    }

    @Test("a service's token is not a user's", arguments: TestEngine.allCases)
    func service(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let token = try chat.tokens.token(
                for: "client_worker",
                ["sid": nil, "kind": nil, "role": nil, "client_id": #""client_worker""#]
            )
            let answer = try await chat.send(
                .get,
                "/v1/conversations",
                as: nil,
                headers: [.authorization: "Bearer \(token)"]
            )
            #expect([401, 403].contains(answer.status))
            #expect(answer.headers[.contentType] == "application/problem+json")
        }
    }

    @Test("a guest who became a user keeps everything", arguments: TestEngine.allCases)
    func upgrade(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let guest = try chat.tokens.token(for: "owner", ["kind": #""guest""#])
            let made = try await chat.send(
                .post,
                "/v1/conversations",
                as: nil,
                #"{"id":"c"}"#,
                headers: [.authorization: "Bearer \(guest)"]
            )
            #expect(made.status == 201)
            try await chat.append(#"{"role":"user","content":"x"}"#, to: "c")
            try await chat.expectSound("c", count: 1)
        }
    }

    @Test("health, readiness and the contract need no token", arguments: TestEngine.allCases)
    func open(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            for path in ["/healthz", "/readyz", "/openapi.yaml"] {
                let answer = try await chat.send(.get, path, as: nil)
                #expect(answer.status == 200, "\(path)")
            }
        }
    }
}
