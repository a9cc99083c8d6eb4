import AuthService
import HTTPTypes
import OpenSSLCrypto
import ServiceKit
import Storage
import TestSupport
import Testing

@Suite("Admin: clients")
struct AdminClientTests {
    private static let path = "/v1/admin/clients"

    @Test("a client is made, works, is changed, disabled, taken back and removed", arguments: TestEngine.allCases)
    func life(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let admin = try await node.makeAdmin()
            func send(_ method: HTTPRequest.Method, _ path: String, _ body: String? = nil) async throws
                -> AuthNode.Answer
            {
                try await node.send(method, Self.path + path, body, token: admin.access)
            }
            let made = try await send(.post, "", #"{"name":"Nightly worker","scopes":["events"]}"#)
            #expect(made.status == 201 && made.headers[.cacheControl] == "no-store", "\(made.text)")
            let id = try #require(made.json["id"]?.string)
            let secret = try #require(made.json["secret"]?.string)
            #expect(secret.hasPrefix("tcs_") && secret.utf8.count == 53)
            #expect(made.json["audiences"]?.raw == #"["tessera"]"# && made.json["jwks"]?.isNull == true)
            let client = TestClient(id: id, secret: secret)
            func token() async throws -> AuthNode.Answer {
                try await node.token([("grant_type", "client_credentials")], headers: client.basic)
            }
            #expect(try await token().json["scope"]?.string == "events")

            for answer in [try await send(.get, "/\(id)"), try await send(.get, "")] {
                #expect(answer.status == 200 && answer.text.contains("Nightly worker"))
                #expect(!answer.text.contains("tcs_") && !answer.text.contains("hash"), "\(answer.text)")
            }
            let changed = try await send(.patch, "/\(id)", #"{"name":"Worker","scopes":["events","introspect"]}"#)
            #expect(changed.status == 200 && changed.json["name"]?.string == "Worker" && changed.json["secret"] == nil)
            #expect(try await token().json["scope"]?.string == "events introspect")

            #expect(try await send(.patch, "/\(id)", #"{"disabled":true}"#).json["disabled_at"]?.string != nil)
            #expect(try await token().error == "invalid_client")
            #expect(try await send(.patch, "/\(id)", #"{"disabled":false}"#).json["disabled_at"]?.isNull == true)
            #expect(try await token().status == 200)

            #expect(try await send(.delete, "/\(id)").status == 204)
            #expect(try await token().error == "invalid_client")
            for (method, path, body) in [
                (HTTPRequest.Method.get, "/\(id)", nil), (.delete, "/\(id)", nil), (.patch, "/\(id)", #"{"name":"x"}"#),
                (.post, "/\(id)/rotate-secret", "{}"),
            ] as [(HTTPRequest.Method, String, String?)] {
                #expect(try await send(method, path, body).status == 404, "\(method) \(path)")
            }
            let audit = try await node.query(
                "SELECT action, actor, outcome FROM audit_log WHERE target = :id ORDER BY seq",
                ["id": id]
            )
            #expect(
                try audit.map { try $0.text("action") } == [
                    "client.create", "client.update", "client.disable", "client.enable", "client.delete",
                ]
            )
            #expect(try audit.allSatisfy { try $0.text("actor") == admin.userID })
        }
    }

    @Test(
        "a rotation shows the new secret once and says until when the old one is good",
        arguments: TestEngine.allCases
    )
    func rotation(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let admin = try await node.makeAdmin()
            let client = try await node.makeClient()
            let path = "\(Self.path)/worker/rotate-secret"
            let rotated = try await node.send(.post, path, #"{"overlap_seconds":60}"#, token: admin.access)
            #expect(rotated.status == 200, "\(rotated.text)")
            let secret = try #require(rotated.json["secret"]?.string)
            #expect(secret != client.secret)
            let end = try #require(Instant(rfc3339: rotated.json["previous_secret_expires_at"]?.string ?? ""))
            #expect((59...60).contains(end.seconds - node.clock.now.seconds))
            let plain = try await node.send(.post, path, token: admin.access)
            #expect(plain.status == 200 && plain.json["secret"]?.string != secret, "a body is not needed")
            let leaked = try await node.send(.post, path, #"{"overlap_seconds":0}"#, token: admin.access)
            #expect(leaked.json["previous_secret_expires_at"]?.isNull == true)
            for bad in [#"{"overlap_seconds":-1}"#, #"{"overlap_seconds":7776001}"#, #"{"overlap":1}"#, "[]"] {
                #expect(
                    try await node.send(.post, path, bad, token: admin.access).code == "validation_failed",
                    "\(bad)"
                )
            }
        }
    }

    @Test("what makes no sense is refused by name, and ids are unique", arguments: TestEngine.allCases)
    func refused(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let admin = try await node.makeAdmin()
            let long = (0..<6).map { "\"\($0)\(String(repeating: "l", count: 180))\"" }.joined(separator: ",")
            let many = (0...50).map { "\"s\($0)\"" }.joined(separator: ",")
            let cases: [(body: String, field: String)] = [
                (#"{}"#, "name"), (#"{"name":" "}"#, "name"),
                (#"{"name":"\#(String(repeating: "n", count: 201))"}"#, "name"),
                (#"{"name":"x","id":"tessera"}"#, "id"), (#"{"name":"x","id":"a:b"}"#, "id"),
                (#"{"name":"x","id":""}"#, "id"),
                (#"{"name":"x","id":"a b"}"#, "id"),
                (#"{"name":"x","id":"\#(String(repeating: "i", count: 49))"}"#, "id"),
                (#"{"name":"x","scopes":["a b"]}"#, "scopes"), (#"{"name":"x","scopes":["a","a"]}"#, "scopes"),
                (#"{"name":"x","scopes":[""]}"#, "scopes"), (#"{"name":"x","scopes":["\""]}"#, "scopes"),
                (#"{"name":"x","scopes":["é"]}"#, "scopes"), (#"{"name":"x","scopes":[\#(many)]}"#, "scopes"),
                (#"{"name":"x","scopes":[\#(long)]}"#, "scopes"), (#"{"name":"x","scopes":"events"}"#, "scopes"),
                (#"{"name":"x","audiences":[]}"#, "audiences"),
                (#"{"name":"x","audiences":["a b"]}"#, "audiences"),
                (#"{"name":"x","scopes":["events"],"audiences":["billing"]}"#, "audiences"),
                (#"{"name":"x","jwks":{}}"#, "jwks"), (#"{"name":"x","jwks":{"keys":[]}}"#, "jwks"),
                (#"{"name":"x","jwks":"k"}"#, "jwks"),
                (#"{"name":"x","jwks":{"keys":[{"kty":"oct","k":"AA"}]}}"#, "jwks"),
                (#"{"name":"x","secret":"mine"}"#, "secret"),
            ]
            for (body, field) in cases {
                let answer = try await node.send(.post, Self.path, body, token: admin.access)
                #expect(answer.status == 400 && answer.code == "validation_failed", "\(body) \(answer.text)")
                #expect(
                    answer.json["errors"]?.array?.contains { $0["field"]?.string == field } == true,
                    "\(answer.text)"
                )
            }
            #expect(try await node.count("clients") == 0)

            let body = #"{"name":"x","id":"worker"}"#
            let answers = try await inParallel(8) { _ in
                try await node.send(.post, Self.path, body, token: admin.access).status
            }
            #expect(answers.count { $0 == 201 } == 1 && answers.count { $0 == 409 } == 7, "\(answers)")
            #expect(try await node.count("audit_log WHERE action = 'client.create'") == 1)
            let patch = try await node.send(
                .patch,
                "\(Self.path)/worker",
                #"{"scopes":["events"],"audiences":["billing"]}"#,
                token: admin.access
            )
            #expect(patch.code == "validation_failed", "\(patch.text)")
        }
    }

    @Test("public keys are shown as they were given, and make a secret unnecessary", arguments: TestEngine.allCases)
    func keys(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let admin = try await node.makeAdmin()
            let jwks = try AuthNode.jwks([(try SigningKey.generate(.es256), "k1")])
            let made = try await node.send(
                .post,
                Self.path,
                #"{"name":"x","id":"k","jwks":\#(jwks)}"#,
                token: admin.access
            )
            #expect(made.status == 201 && made.json["secret"] == nil, "\(made.text)")
            #expect(made.json["jwks"]?.raw == jwks && made.json["secret_created_at"]?.isNull == true)
            let none = try await node.send(.patch, "\(Self.path)/k", #"{"jwks":null}"#, token: admin.access)
            #expect(none.json["jwks"]?.isNull == true)
        }
    }
}
