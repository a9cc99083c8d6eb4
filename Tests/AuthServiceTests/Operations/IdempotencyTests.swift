import HTTPTypes
import OpenSSLCrypto
import ServiceKit
import Storage
import TestSupport
import Testing

@testable import AuthService

@Suite("Idempotency-Key of admins")
struct IdempotencyTests {
    private static func key(_ text: String) -> HTTPFields { [.idempotencyKey: text] }

    private static let grace = #"{"email":"grace@example.com","password":"\#(AuthNode.password)","name":"Grace"}"#

    @Test(
        "a user is made once, and the repeated request is answered with the user as it is",
        arguments: TestEngine.allCases
    )
    func creation(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let admin = try await node.makeAdmin()
            func create(_ body: String, _ key: String) async throws -> AuthNode.Answer {
                try await node.send(.post, "/v1/admin/users", body, token: admin.access, headers: Self.key(key))
            }
            let first = try await create(Self.grace, "\"k-1\"")
            #expect(first.status == 201, "\(first.text)")
            #expect(first.headers[.idempotencyReplayed] == nil)
            // With and without the quotes of RFC 8941.
            for key in ["\"k-1\"", "k-1"] {
                let again = try await create(Self.grace, key)
                #expect(again.status == 201 && again.text == first.text, "\(again.text)")
                #expect(again.headers[.idempotencyReplayed] == "true")
            }
            #expect(try await node.count("users") == 2)

            let other = try await create(Self.grace.replacing("Grace", with: "Hopper"), "k-1")
            #expect(other.status == 422 && other.json["code"]?.string == "idempotency_key_reused", "\(other.text)")
            // A refusal is no result: the key may be used again.
            #expect(try await create(Self.grace, "k-2").status == 409)
            #expect(try await create(Self.grace, "k-2").headers[.idempotencyReplayed] == nil)
            #expect(try await node.count("idempotency_keys") == 1)

            let id = try #require(first.json["id"]?.string)
            _ = try await node.send(.delete, "/v1/admin/users/\(id)", token: admin.access)
            let gone = try await create(Self.grace, "k-1")
            #expect(gone.status == 410 && gone.json["code"]?.string == "result_gone", "\(gone.text)")
            node.clock.advance(.seconds(86_401))
            #expect(
                try await node.service.cleanup.run().counts.contains { $0.name == "idempotency_keys" && $0.count == 1 }
            )
            #expect(try await create(Self.grace, "k-1").status == 401, "the token has expired meanwhile")
        }
    }

    @Test("what changes and deletes is answered again too", arguments: TestEngine.allCases)
    func changes(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let admin = try await node.makeAdmin()
            let ada = try await node.signUp()
            let user = "/v1/admin/users/\(ada.userID)"
            let writes: [(HTTPRequest.Method, String, String?, Int)] = [
                (.patch, user, #"{"role":"premium"}"#, 200),
                (.post, "\(user)/deactivate", nil, 200),
                (.post, "\(user)/reactivate", nil, 200),
                (.post, "/v1/admin/sessions/revoke", #"{"user_ids":["\#(ada.userID)"]}"#, 200),
                (.delete, "\(user)/sessions", nil, 200),
                (.post, "/v1/admin/cleanup", nil, 200),
                (.delete, user, nil, 204),
            ]
            for (index, write) in writes.enumerated() {
                func send() async throws -> AuthNode.Answer {
                    let key = Self.key("key-\(index)")
                    return try await node.send(write.0, write.1, write.2, token: admin.access, headers: key)
                }
                let first = try await send()
                #expect(first.status == write.3, "\(write.1): \(first.text)")
                let again = try await send()
                #expect(again.status == first.status && again.text == first.text, "\(write.1): \(again.text)")
                #expect(again.headers[.idempotencyReplayed] == "true", "\(write.1)")
            }
            // Without a key the deletion is not repeated.
            #expect(try await node.send(.delete, user, token: admin.access).status == 404)
        }
    }

    @Test("where the answer holds a secret, and for a malformed key, nothing is done", arguments: TestEngine.allCases)
    func refusals(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let admin = try await node.makeAdmin()
            let client = #"{"id":"worker","name":"Worker"}"#
            func send(_ path: String, _ body: String, _ key: String) async throws -> AuthNode.Answer {
                try await node.send(.post, path, body, token: admin.access, headers: Self.key(key))
            }
            #expect(try await node.send(.post, "/v1/admin/clients", client, token: admin.access).status == 201)
            for path in ["/v1/admin/clients", "/v1/admin/clients/worker/rotate-secret"] {
                let answer = try await send(path, client.replacing("worker", with: "other"), "k")
                #expect(answer.status == 400 && answer.text.contains("Idempotency-Key"), "\(answer.text)")
            }
            for bad in ["", "a b", String(repeating: "k", count: 256), "ö"] {
                let answer = try await send("/v1/admin/users", Self.grace, bad)
                #expect(answer.status == 400, "\(bad): \(answer.text)")
            }
            #expect(try await node.count("clients") == 1)
            #expect(try await node.count("users") == 1)
            #expect(try await node.count("idempotency_keys") == 0)
            // Another role is refused before its key is looked at.
            let ada = try await node.signUp()
            let refused = try await node.send(
                .post,
                "/v1/admin/users",
                Self.grace,
                token: ada.access,
                headers: Self.key("k")
            )
            #expect(refused.status == 403)
            #expect(try await node.count("idempotency_keys") == 0)
        }
    }

    @Test("keys belong to their admin, go with them, and their number is limited", arguments: TestEngine.allCases)
    func owners(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let admin = try await node.makeAdmin()
            let second = try await node.makeAdmin("second@example.com")
            func cleanUp(_ token: String, _ key: String) async throws -> AuthNode.Answer {
                try await node.send(.post, "/v1/admin/cleanup", token: token, headers: Self.key(key))
            }
            #expect(try await cleanUp(admin.access, "k").status == 200)
            #expect(try await cleanUp(second.access, "k").headers[.idempotencyReplayed] == nil)
            #expect(try await node.count("idempotency_keys") == 2)
            _ = try await node.send(.delete, "/v1/admin/users/\(second.userID)", token: admin.access)
            #expect(try await node.count("idempotency_keys") == 1)

            var keys = node.service.features.idempotency
            keys.mostKeys = 3
            func claim(_ key: String) async throws -> IdempotencyKeys.Claim {
                try await keys.claim(key, by: admin.userID, route: "POST /x", body: [])
            }
            for key in ["a", "b"] { _ = try await claim(key) }
            let refused = await #expect(throws: IdempotencyError.self) { try await claim("c") }
            #expect((refused?.lastAnswer as? APIError)?.code == .rateLimited)
            #expect(try await node.count("idempotency_keys") == 3)
        }
    }

    @Test("an attempt that never ended is found done, is waited for, or is taken over", arguments: TestEngine.allCases)
    func abandoned(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let admin = try await node.makeAdmin()
            let keys = node.service.features.idempotency
            func claim() async throws -> IdempotencyKeys.Claim {
                try await keys.claim("k", by: admin.userID, route: "POST /v1/admin/users", body: Array("{}".utf8))
            }
            guard case .taken(let attempt) = try await claim() else {
                Issue.record("a free key was not given")
                return
            }
            let error = await #expect(throws: IdempotencyError.self) { try await claim() }
            let running = error?.lastAnswer as? APIError
            #expect(running?.code == .conflict && running?.headers[.retryAfter] == "1")
            node.clock.advance(IdempotencyKeys.hold + .seconds(1))
            guard case .taken(let next) = try await claim() else {
                Issue.record("a key that was left was not taken over")
                return
            }
            // The first attempt comes back, and its key is another's by now.
            try await keys.finish(attempt, status: 201, target: nil, body: "{}")
            try await keys.release(attempt)
            #expect(try await node.count("idempotency_keys WHERE status IS NULL") == 1)

            // The user and the mark commit together, so the process may end right behind.
            _ = try await node.database.run(IdempotencyKeys.mark(user: admin.userID, madeBy: next))
            try await keys.release(next)
            guard case .done(let status, let target, _) = try await claim() else {
                Issue.record("what was done was not found")
                return
            }
            #expect(status == 201 && target == admin.userID)
        }
    }

    @Test("no row holds a password, a plain hash of one, or a user's address", arguments: TestEngine.allCases)
    func secrets(engine: TestEngine) async throws {
        try await withNodes(engine, [NodeOptions(), NodeOptions(ring: AuthNode.ring(2, first: 1))]) { nodes in
            let admin = try await nodes[0].makeAdmin()
            func create(_ node: AuthNode) async throws -> AuthNode.Answer {
                try await node.send(
                    .post,
                    "/v1/admin/users",
                    Self.grace,
                    token: admin.access,
                    headers: Self.key("k")
                )
            }
            #expect(try await create(nodes[0]).status == 201)
            let row = try #require(
                try await nodes[0].query("SELECT request_hash, body FROM idempotency_keys").first
            )
            #expect(try row.optionalText("body") == nil)
            let hash = try row.text("request_hash")
            #expect(hash.count == 64)
            for message in [Self.grace, "POST /v1/admin/users\0\(Self.grace)"] {
                #expect(hash != Hex.encode(SHA256.digest(Array(message.utf8))))
            }
            // A node with a newer key in front still compares with the older one.
            #expect(try await create(nodes[1]).headers[.idempotencyReplayed] == "true")
        }
    }
}
