// The master ring is rolled node by node, and an entry of it ends.
import HTTPTypes
import OpenSSLCrypto
import ServiceKit
import Storage
import Synchronization
import TestSupport
import Testing

@testable import AuthService

extension AuthNode {
    /// What a running node does every five seconds.
    func maintainKeys() async throws {
        try await service.ring.maintain()
        try await service.keys.maintain()
    }
}

/// Tokens that must stay good.
private final class Living: Sendable {
    private let tokens = Mutex<[String]>([])

    func add(_ token: String) { tokens.withLock { $0.append(token) } }

    func take() -> [String] {
        tokens.withLock { tokens in
            defer { tokens = [] }
            return tokens
        }
    }
}

@Suite("Rolling the master ring")
struct RingWithdrawalTests {
    private static let (keyA, keyB) = (AuthNode.ring(1), AuthNode.ring(2, first: 1).split(separator: ",")[0])

    /// After which a node counts as gone.
    private static let silence: Duration = .seconds(181)

    /// Runs two nodes with these rings on one database, as processes that were just started.
    private func stage(
        _ rings: [String],
        _ shared: any SQLDatabase,
        _ clock: TestClock,
        _ body: @Sendable @escaping ([AuthNode]) async throws -> Void
    ) async throws {
        try await AuthNode.serve(try AuthNode.configuration(ring: rings[0]), on: shared, clock) { first in
            try await first.service.beginServing()
            try await AuthNode.serve(try AuthNode.configuration(ring: rings[1]), on: shared, clock) { second in
                try await second.service.beginServing()
                try await body([first, second])
            }
        }
        // Their rows stay, as after a crash, until they are too old.
        clock.advance(Self.silence)
    }

    @Test(
        "rolled in the order of the documentation, no token is refused on any node at any step",
        arguments: TestEngine.allCases
    )
    func rolled(engine: TestEngine) async throws {
        let (a, b) = (Self.keyA, String(Self.keyB))
        let (idA, idB) = (try AuthNode.keyID(a), try AuthNode.keyID(b))
        let steps = [
            [a, a],
            // Behind the others, on one node after the other.
            ["\(a),\(b)", a], ["\(a),\(b)", "\(a),\(b)"],
            // In front.
            ["\(b),\(a)", "\(a),\(b)"], ["\(b),\(a)", "\(b),\(a)"],
        ]
        try await withDatabase(engine, service: "auth") { database async throws in
            let clock = TestClock(step: .microseconds(1))
            let living = Living()
            for (number, rings) in steps.enumerated() {
                try await stage(rings, database, clock) { nodes in
                    for (index, node) in nodes.enumerated() {
                        living.add(try await node.signUp("user-\(number)-\(index)@example.com").refresh)
                    }
                    for node in nodes + nodes.reversed() {
                        for token in living.take() {
                            let answer = try await node.refresh(token)
                            #expect(answer.status == 200, "step \(number): \(answer.text)")
                            let access = try #require(answer.json["access_token"]?.string)
                            for node in nodes { #expect(try await node.me(access).status == 200, "step \(number)") }
                            living.add(try #require(answer.json["refresh_token"]?.string))
                        }
                    }
                    for node in nodes { #expect(try await node.send(.get, "/readyz").status == 200) }
                }
            }
            try await stage(["\(b),\(a)", "\(b),\(a)"], database, clock) { nodes in
                // New signing keys, sealed with B.
                try await nodes[0].service.keys.rotate()
                clock.advance(.seconds(16 * 60))
                try await nodes[1].service.keys.rotate()
                try await nodes[0].service.keys.maintain()
                // A is still needed by the sessions that began with it.
                let use = try #require(
                    try await nodes[0].service.rings.status().entries.first { $0.entry.keyID == idA }?.use
                )
                #expect(use.signingKeys == 0 && use.refreshTokens == 7 && use.unknownTokens == 0)
                await #expect(throws: RingError.self) { try await nodes[0].service.rings.withdraw(idA, losing: false) }
                for token in living.take() {
                    let answer = try await nodes[1].send(.post, "/v1/logout", #"{"refresh_token":"\#(token)"}"#)
                    #expect(answer.status == 204, "\(answer.text)")
                }
                living.add(try await nodes[0].signUp("last@example.com").refresh)
                try await nodes[0].service.rings.withdraw(idA, losing: false)
            }
            for rings in [["\(b),\(a)", b], [b, b]] {
                try await stage(rings, database, clock) { nodes in
                    for node in nodes {
                        let token = try #require(living.take().first)
                        let answer = try await node.refresh(token)
                        #expect(answer.status == 200, "\(answer.text)")
                        living.add(try #require(answer.json["refresh_token"]?.string))
                        #expect(try await node.refresh(AuthNode.madeUp(keyID: idA)).code == "invalid_token")
                    }
                }
            }
            // Two nodes made new tokens with A, then with B, beside each other for a while.
            let primary = Statement(
                "tests.primary",
                .reads,
                "SELECT target FROM audit_log WHERE action = 'ring.primary' ORDER BY seq"
            )
            let audited = try await database.run(primary.bind()).rows.map { try $0.text("target") }
            #expect(audited == [idA, idB, idA, idB].map { Hex.encode([$0]) })
        }
    }

    @Test(
        "an entry in use ends only if what is lost is accepted, and then on every node that holds it",
        arguments: TestEngine.allCases
    )
    func losing(engine: TestEngine) async throws {
        try await withSeparateNodes(engine, rings: [AuthNode.ring(2), AuthNode.ring(2, first: 1)]) { nodes in
            let (first, second) = (nodes[0], nodes[1])
            let (idA, idB) = (try AuthNode.keyID(AuthNode.ring(2)), try AuthNode.keyID(AuthNode.ring(2, first: 1)))
            let client = try await first.makeClient()
            let ada = try await first.signUp()
            let bob = try await second.signUp("bob@example.com")
            let rings = second.service.rings
            for (id, losing) in [(idA, false), (idB, true), (idB &+ 1 == idA ? idB &+ 2 : idB &+ 1, true)] {
                await #expect(throws: RingError.self) { try await rings.withdraw(id, losing: losing) }
            }
            // A running node makes new tokens with it.
            try await first.service.beginServing()
            let held = await #expect(throws: RingError.self) { try await rings.withdraw(idA, losing: true) }
            guard case .isPrimary? = held else {
                Issue.record("\(held.debugDescription)")
                return
            }
            first.clock.advance(Self.silence)
            #expect(try await first.refresh(ada.refresh).status == 200, "nothing was changed by refusals")

            let lost = try await rings.withdraw(idA, losing: true)
            #expect(lost.signingKeys == 2 && lost.refreshTokens == 1)
            try await first.maintainKeys()
            for node in nodes {
                #expect(try await node.verdicts(ada.refresh, client) == .dead)
                #expect(try await node.me(ada.access).code == "token_invalid", "its key was sealed with the entry")
            }
            let again = try #require(try await second.refresh(bob.refresh).json["access_token"]?.string)
            #expect(try await second.me(again).status == 200)
            #expect(try await first.me(again).status == 200)
            // A node that would make new tokens with it is not ready.
            let unready = try await first.send(.get, "/readyz")
            #expect(unready.status == 503 && unready.code == "key_unknown", "\(unready.text)")
            await #expect(throws: RingError.self) { try await rings.withdraw(idA, losing: true) }

            let audited = try await first.query("SELECT details FROM audit_log WHERE action = 'ring.withdraw'")
            let details = try #require(try audited.first.map { try JSONElement.parse($0.text("details")) })
            #expect(details["before"]?["state"]?.string == "registered")
            #expect(details["before"]?["signing_keys"]?.integer == 2)
            #expect(details["before"]?["refresh_tokens"]?.integer == 1)
            #expect(details["after"]?["state"]?.string == "withdrawn")
            #expect(try await first.count("audit_log WHERE action = 'key.lost'") == 2)
            #expect(try await first.count("events WHERE kind = 'keys.revoked'") == 2)
        }
    }

    @Test(
        "a refresh token of the program before counts against every entry until it is used",
        arguments: TestEngine.allCases
    )
    func unknownTokens(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let ada = try await node.signUp()
            try await node.execute("UPDATE refresh_tokens SET key_id = NULL")
            var use = try #require(try await node.service.rings.status().entries.first?.use)
            #expect(use.unknownTokens == 1 && use.refreshTokens == 0 && !use.isUnused)
            #expect(try await node.refresh(ada.refresh).status == 200)
            use = try #require(try await node.service.rings.status().entries.first?.use)
            #expect(use.unknownTokens == 0 && use.refreshTokens == 1)
        }
    }

    @Test(
        "running nodes are listed, silent ones are shown for an hour, and no more than 256",
        arguments: TestEngine.allCases
    )
    func nodes(engine: TestEngine) async throws {
        try await withSeparateNodes(engine, configure: { $0.nodeName = "one\n node" }) { nodes in
            let (gone, stays) = (nodes[0], nodes[1])
            try await gone.service.beginServing()
            try await stays.service.beginServing()
            func shown() async throws -> [Bool] { try await stays.service.rings.status().nodes.map(\.isRunning) }
            #expect(try await shown() == [true, true])
            #expect(try await stays.service.rings.status().nodes.map(\.node.name) == ["onenode", "onenode"])
            for _ in 0..<4 {
                stays.clock.advance(.seconds(60))
                try await stays.maintainKeys()
            }
            #expect(try await shown() == [true, false])
            stays.clock.advance(.seconds(3600))
            try await stays.maintainKeys()
            #expect(try await shown() == [true])
            for number in 0..<300 {
                try await stays.execute(
                    """
                    INSERT INTO ring_nodes (id, name, primary_id, key_ids, started_at, seen_at)
                    SELECT 'n\(number)', '', primary_id, key_ids, started_at, seen_at FROM ring_nodes
                    WHERE name = 'onenode'
                    """
                )
            }
            stays.clock.advance(.seconds(60))
            try await stays.maintainKeys()
            #expect(try await stays.count("ring_nodes") <= 256)
            #expect(try await shown().contains(true))
        }
    }
}
