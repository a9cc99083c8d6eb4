// A refresh whose answer was lost, and what a thief could make of that.
import AuthService
import HTTPTypes
import OpenSSLCrypto
import ServiceKit
import Storage
import TestSupport
import Testing

@Suite("Retry keys")
struct RetryKeyTests {
    private static let key = "5f0c9a3e5d0c4d0f8e8f3a1f"
    private static let otherKey = "b1946ac92492d2347c6235b4"
    private static let hour: Duration = .seconds(3600)

    enum Endpoint: String, CaseIterable, Sendable {
        case json, oauth

        /// The successor, or the reason of a refusal.
        func outcome(_ node: AuthNode, _ token: String, _ key: String?) async throws -> (
            successor: String?, reason: String?
        ) {
            let answer: Answer
            switch self {
            case .json: answer = try await RetryKeyTests.refresh(node, token, key)
            case .oauth:
                let form = [("grant_type", "refresh_token"), ("refresh_token", token)]
                answer = try await node.token(form + (key.map { [("retry_key", $0)] } ?? []))
            }
            return (
                answer.json["refresh_token"]?.string,
                answer.status == 200 ? nil : answer.json["error_description"]?.string ?? answer.code
            )
        }
    }

    private static func refresh(_ node: AuthNode, _ token: String, _ key: String?) async throws -> Answer {
        let member = key.map { #","retry_key":"\#($0)""# } ?? ""
        return try await node.send(.post, "/v1/token/refresh", #"{"refresh_token":"\#(token)"\#(member)}"#)
    }

    @Test(
        "a lost answer is given again for a day, to the same key",
        arguments: TestEngine.allCases,
        Endpoint.allCases
    )
    func lostAnswer(engine: TestEngine, endpoint: Endpoint) async throws {
        try await withNode(engine) { node in
            let ada = try await node.signUp()
            let lost = try #require(try await endpoint.outcome(node, ada.refresh, Self.key).successor)
            for wait in [.seconds(11), Self.hour, Self.hour * 22] as [Duration] {
                node.clock.advance(wait)
                #expect(try await endpoint.outcome(node, ada.refresh, Self.key).successor == lost)
            }
            #expect(try await node.query("SELECT generation FROM refresh_tokens").first?.int("generation") == 1)
            #expect(try await endpoint.outcome(node, lost, Self.otherKey).successor != nil)
            #expect(try await node.count("sessions WHERE revoked_at IS NULL") == 1)
        }
    }

    /// What happens after the first refresh, and the key of the repeated one.
    struct Theft: Sendable, CustomTestStringConvertible {
        let testDescription: String
        var firstKey: String? = RetryKeyTests.key
        /// The successor is used with this key.
        var successorKey: String?
        /// The token is presented again with this key, within the grace.
        var earlyKey: String?
        var wait: Duration = .seconds(11)
        let repeatedKey: String?
    }

    static let thefts = [
        Theft(testDescription: "no key", repeatedKey: nil),
        Theft(testDescription: "another key", repeatedKey: otherKey),
        Theft(testDescription: "a key where the first had none", firstKey: nil, repeatedKey: key),
        Theft(testDescription: "the key after a day", wait: .seconds(86_400), repeatedKey: key),
        Theft(testDescription: "the key once the successor was used", successorKey: otherKey, repeatedKey: key),
        Theft(testDescription: "the key of every token of the client", successorKey: key, repeatedKey: key),
        // Within the grace it gets the same successor, as without keys. It does not become the key of the rotation.
        Theft(testDescription: "a key that came second", earlyKey: otherKey, repeatedKey: otherKey),
    ]

    @Test("is theft as before", arguments: TestEngine.allCases, thefts)
    func theft(engine: TestEngine, theft: Theft) async throws {
        for endpoint in Endpoint.allCases {
            try await withNode(engine) { node in
                let ada = try await node.signUp()
                let successor = try #require(try await endpoint.outcome(node, ada.refresh, theft.firstKey).successor)
                if let key = theft.earlyKey {
                    let early = try await endpoint.outcome(node, ada.refresh, key)
                    #expect(early.successor == successor)
                }
                if let key = theft.successorKey {
                    let used = try await endpoint.outcome(node, successor, key)
                    #expect(used.successor != nil)
                }
                node.clock.advance(theft.wait)
                let stolen = try await endpoint.outcome(node, ada.refresh, theft.repeatedKey)
                #expect(stolen.reason == "refresh_token_reused", "\(endpoint)")
                #expect(try await node.count("sessions WHERE revoke_reason = 'refresh_token_reused'") == 1)
                #expect(try await endpoint.outcome(node, successor, theft.repeatedKey).reason == "session_revoked")
            }
        }
    }

    @Test("what the program before this one leaves of a key fits no later token", arguments: TestEngine.allCases)
    func rollingUpdate(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let ada = try await node.signUp()
            let second = try #require(try await Self.refresh(node, ada.refresh, Self.key).json["refresh_token"]?.string)
            // It rotates without a look at the hash.
            try await node.execute("UPDATE refresh_tokens SET generation = generation + 1")
            node.clock.advance(.seconds(11))
            #expect(try await Self.refresh(node, second, Self.key).code == "refresh_token_reused")
        }
    }

    @Test("a session that ended is not opened again by its key", arguments: TestEngine.allCases)
    func endedSession(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let ada = try await node.signUp()
            #expect(try await Self.refresh(node, ada.refresh, Self.key).status == 200)
            _ = try await node.send(.post, "/v1/logout", token: ada.access)
            #expect(try await Self.refresh(node, ada.refresh, Self.key).code == "session_revoked")
        }
    }

    @Test("requests with one key at once get one successor, even without a grace", arguments: TestEngine.allCases)
    func race(engine: TestEngine) async throws {
        try await withConfiguredNode(engine, { $0.refreshGrace = .zero }) { node in
            let ada = try await node.signUp()
            let answers = try await inParallel(32) { _ in try await Self.refresh(node, ada.refresh, Self.key) }
            #expect(answers.allSatisfy { $0.status == 200 })
            #expect(Set(answers.map { $0.json["refresh_token"]?.string }).count == 1)
            #expect(try await node.query("SELECT generation FROM refresh_tokens").first?.int("generation") == 1)
        }
    }

    @Test("two nodes whose rings begin with different keys give one successor", arguments: TestEngine.allCases)
    func twoRings(engine: TestEngine) async throws {
        let options = [NodeOptions(ring: AuthNode.ring(2, first: 0)), NodeOptions(ring: AuthNode.ring(2, first: 1))]
        try await withNodes(engine, options) { nodes in
            let ada = try await nodes[0].signUp()
            let lost = try await Self.refresh(nodes[1], ada.refresh, Self.key).json["refresh_token"]?.string
            nodes[0].clock.advance(Self.hour)
            #expect(try await Self.refresh(nodes[0], ada.refresh, Self.key).json["refresh_token"]?.string == lost)
        }
    }

    @Test(
        "the row holds neither the key nor its bare hash, and forgets it at the next rotation",
        arguments: TestEngine.allCases
    )
    func stored(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            func hash() async throws -> [UInt8]? {
                try await node.query("SELECT retry_hash FROM refresh_tokens").first?.optionalBytes("retry_hash")
            }
            let ada = try await node.signUp()
            #expect(try await hash() == nil)
            let second = try #require(try await Self.refresh(node, ada.refresh, Self.key).json["refresh_token"]?.string)
            let kept = try #require(try await hash())
            #expect(kept.count == 32 && kept != SHA256.digest(Array(Self.key.utf8)))
            #expect(try await node.refresh(second).status == 200)
            #expect(try await hash() == nil)
        }
    }

    @Test("a key of another form is refused by its name, and rotates nothing")
    func malformed() async throws {
        try await withNode(.sqlite) { node in
            let ada = try await node.signUp()
            let bad = [
                "", "short", "fifteen-letters", "with a space in it", "fünfzehn-und-mehr",
                String(repeating: "a", count: 129),
            ]
            for key in bad {
                let answer = try await Self.refresh(node, ada.refresh, key)
                #expect(answer.status == 400 && answer.code == "validation_failed", "\(key)")
                #expect(answer.json["errors"]?.array?.first?["field"]?.string == "retry_key", "\(key)")
                // A form's empty parameter counts as left out (RFC 6749 §3.2).
                guard !key.isEmpty else { continue }
                let form = [("grant_type", "refresh_token"), ("refresh_token", ada.refresh), ("retry_key", key)]
                #expect(try await node.token(form).error == "invalid_request", "\(key)")
            }
            #expect(try await node.query("SELECT generation FROM refresh_tokens").first?.int("generation") == 0)
            for good in [String(repeating: "a", count: 16), String(repeating: "~", count: 128)] {
                let ada = try await node.logIn()
                #expect(try await Self.refresh(node, ada.refresh, good).status == 200)
            }
        }
    }
}
