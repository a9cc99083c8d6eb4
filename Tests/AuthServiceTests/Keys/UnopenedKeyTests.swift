// A node that cannot open or read some of the signing keys: what it still does, and what it must not do.
import HTTPTypes
import OpenSSLCrypto
import ServiceKit
import Storage
import TesseraVerifierHummingbird
import TestSupport
import Testing

@testable import AuthService

@Suite("Keys that cannot be opened")
struct UnopenedKeyTests {
    private func current(_ node: AuthNode) async throws -> String {
        try #require(try await node.service.keys.list().first { $0.state == "current" }).kid
    }

    @Test(
        "a node that cannot open the new key signs no more, says why, and verifies what the others sign",
        arguments: TestEngine.allCases
    )
    func behind(engine: TestEngine) async throws {
        try await withSeparateNodes(engine, rings: RingTests.rings) { nodes in
            let (behind, ahead) = (nodes[0], nodes[1])
            let ada = try await behind.signUp()
            // The next key was sealed with the common key; the one after it is sealed with the other.
            try await ahead.service.keys.rotate()
            ahead.clock.advance(.seconds(16 * 60))
            try await ahead.service.keys.rotate()
            let fresh = try await ahead.logIn()
            let leaked = try JWS.parse(fresh.access).header.kid
            try await behind.service.keys.maintain()

            let unready = try await behind.send(.get, "/readyz")
            #expect(unready.status == 503 && unready.code == "key_unknown", "\(unready.text)")
            let reason = unready.json["detail"]?.string ?? ""
            #expect(reason.contains(try #require(leaked)), "\(reason)")
            #expect(reason.contains("master key \(Hex.encode([try AuthNode.keyID(RingTests.rings[1])]))"), "\(reason)")
            #expect(try await ahead.send(.get, "/readyz").status == 200)
            let login = try await behind.logInAnswer()
            #expect(login.status == 503 && login.code == "key_unknown", "\(login.text)")
            #expect(try await behind.me(fresh.access).status == 200, "the public key is no secret")
            let published = try await behind.send(.get, "/.well-known/jwks.json").json["keys"]?.array
            #expect(published?.count == 3)

            // It leaks. The key that replaces it cannot be opened here either.
            try await ahead.service.keys.retire(try #require(leaked), compromised: true)
            try await behind.service.keys.maintain()
            #expect(try await behind.me(fresh.access).code == "token_invalid")
            #expect(try await behind.validated(fresh.access) == "token_invalid")
            let next = try await ahead.logIn()
            #expect(try await behind.me(next.access).status == 200)
            #expect(try await behind.logInAnswer().status == 503)
            // Nothing of it ended a session.
            #expect(try await ahead.refresh(ada.refresh).status == 200)
            // A rotation by hand is for a node that can sign with the next key.
            behind.clock.advance(.seconds(16 * 60))
            let refusal = await #expect(throws: SigningKeyError.self) { try await behind.service.keys.rotate() }
            guard case .unopened? = refusal else {
                Issue.record("\(refusal.debugDescription)")
                return
            }
        }
    }

    @Test(
        "a row that cannot be read takes nothing from the others, and its tokens are 503",
        arguments: TestEngine.allCases,
        ["{", #"{"kty":"AKP","alg":"ML-DSA-65","pub":"AA"}"#]
    )
    func damaged(engine: TestEngine, jwk: String) async throws {
        try await withSeparateNodes(engine) { nodes in
            let (node, other) = (nodes[0], nodes[1])
            let client = try await node.makeClient()
            let old = try await node.signUp()
            try await node.service.keys.rotate()
            let leaked = try await node.logIn()
            let changed = try await node.execute(
                "UPDATE signing_keys SET public_jwk = :jwk WHERE state = 'previous'",
                ["jwk": jwk]
            )
            #expect(changed == 1)
            try await other.service.keys.retire(try #require(JWS.parse(leaked.access).header.kid), compromised: true)
            try await node.service.keys.maintain()

            #expect(try await node.me(leaked.access).code == "token_invalid")
            let unknown = try await node.me(old.access)
            #expect(unknown.status == 503 && unknown.code == "key_unknown", "\(unknown.text)")
            #expect(try await node.validated(old.access) == "key_unknown")
            for path in ["/oauth2/introspect", "/oauth2/revoke"] {
                let answer = try await node.form(
                    path,
                    [("token", old.access)],
                    headers: path.hasSuffix("introspect") ? client.basic : [:]
                )
                #expect(answer.status == 503 && answer.code == "key_unknown", "\(path) \(answer.text)")
            }
            #expect(try await node.me(node.logIn().access).status == 200)
            #expect(try await node.send(.get, "/readyz").status == 200)
            // The set stays a document that every verifier can read.
            let keys = try await node.send(.get, "/.well-known/jwks.json").json["keys"]?.array
            #expect(keys?.isEmpty == false)
        }
    }

    @Test("a compromised key is refused by its id, whatever the rows say", arguments: TestEngine.allCases)
    func refusedByID(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let ada = try await node.signUp()
            let kid = try await current(node)
            node.service.keys.refuse([kid])
            #expect(throws: SigningKeyError.self) { try node.service.keys.signer() }
            // As a read that began before the key was retired would.
            try await node.service.keys.reload()
            #expect(try await node.me(ada.access).code == "token_invalid")
            #expect(throws: SigningKeyError.self) { try node.service.keys.signer() }
            let published = try await node.send(.get, "/.well-known/jwks.json").text
            #expect(!published.contains(kid))
        }
    }

    @Test("the event refuses a compromised key even while no key can be read", arguments: TestEngine.allCases)
    func unreadableTable(engine: TestEngine) async throws {
        try await withSeparateNodes(engine) { nodes in
            let (node, other) = (nodes[0], nodes[1])
            let ada = try await node.signUp()
            let kid = try await current(other)
            try await other.service.keys.retire(kid, compromised: true)
            #expect(try await node.me(ada.access).status == 200, "it has not heard of it")
            try await other.execute("ALTER TABLE signing_keys RENAME TO hidden_keys")
            let following = Task { try await node.service.following.run() }
            try await eventually("the event is read") { node.service.keys.verification.contains(kid) == false }
            // 401 by the key, or 503 while it cannot be looked up; never good.
            #expect(try await node.me(ada.access).status != 200)
            let login = try await node.logInAnswer()
            #expect(login.status == 503, "\(login.text)")
            following.cancel()
            _ = await following.result
            try await other.execute("ALTER TABLE hidden_keys RENAME TO signing_keys")
        }
    }

    @Test("rotation, retirement and compromise are audited with what was there before", arguments: TestEngine.allCases)
    func audited(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let admin = try await node.makeAdmin()
            func kids() async throws -> [String: String] {
                let keys = try await node.service.keys.list()
                return Dictionary(keys.map { ($0.state, $0.kid) }, uniquingKeysWith: { first, _ in first })
            }
            let before = try await kids()
            #expect(try await node.send(.post, "/v1/admin/keys/rotate", token: admin.access).status == 200)
            let between = try await kids()
            try await node.service.keys.retire(try #require(before["current"]), compromised: false)
            try await node.service.keys.retire(try #require(between["current"]), compromised: true)
            let after = try await kids()
            let rows = try await node.query(
                "SELECT action, actor, target, details FROM audit_log WHERE action LIKE 'key.%' ORDER BY seq"
            )
            let seen = try rows.map { row in
                [try row.text("action"), try row.optionalText("actor") ?? "-", try row.text("target")]
                    .joined(separator: " ") + " " + (try row.text("details"))
            }
            func states(_ kid: String?, _ next: String?) -> String {
                #"{"current":"\#(kid ?? "")","next":"\#(next ?? "")"}"#
            }
            func change(_ before: String, _ after: String) -> String { #"{"before":\#(before),"after":\#(after)}"# }
            let (first, second) = (before["current"] ?? "", before["next"] ?? "")
            let (third, fourth) = (between["next"] ?? "", after["next"] ?? "")
            let retired = #"{"state":"retired"}"#
            #expect(
                seen == [
                    "key.rotate \(admin.userID) \(second) \(change(states(first, second), states(second, third)))",
                    "key.retire - \(first) \(change(#"{"state":"previous"}"#, retired))",
                    "key.rotate - \(third) \(change(states(second, third), states(third, fourth)))",
                    "key.compromised - \(second) \(change(#"{"state":"current"}"#, retired))",
                ]
            )
        }
    }
}
