// Nodes with different master rings: what each answers about tokens of a key that it does not hold.
import AuthService
import HTTPTypes
import OpenSSLCrypto
import ServiceKit
import Storage
import TestSupport
import Testing

/// How a node answers about a refresh token, by endpoint.
struct RefreshVerdicts: Equatable {
    var refresh: String
    var grant: String
    var logout: String
    var introspect: String
    var revoke: String

    static func all(_ verdict: String) -> RefreshVerdicts {
        RefreshVerdicts(refresh: verdict, grant: verdict, logout: verdict, introspect: verdict, revoke: verdict)
    }

    static let dead = RefreshVerdicts(
        refresh: "401 invalid_token",
        grant: "400 invalid_grant",
        logout: "401 invalid_token",
        introspect: "200 false",
        revoke: "200"
    )
}

extension AuthNode {
    func verdicts(_ token: String, _ client: TestClient) async throws -> RefreshVerdicts {
        func text(_ answer: Answer) -> String {
            let more = answer.code ?? answer.error ?? answer.json["active"]?.boolean.map { "\($0)" }
            return [String(answer.status), more].compactMap(\.self).joined(separator: " ")
        }
        let grant = [("grant_type", "refresh_token"), ("refresh_token", token)]
        return RefreshVerdicts(
            refresh: text(try await refresh(token)),
            grant: text(try await form("/oauth2/token", grant)),
            logout: text(try await send(.post, "/v1/logout", #"{"refresh_token":"\#(token)"}"#)),
            introspect: text(try await form("/oauth2/introspect", [("token", token)], headers: client.basic)),
            revoke: text(try await form("/oauth2/revoke", [("token", token)]))
        )
    }

    /// A token of the right form that names a key, and that no key made.
    static func madeUp(keyID: UInt8) -> String {
        let text = "tsr_" + Base64URL.encode([keyID] + [UInt8](repeating: 7, count: 52))
        let crc = CRC32.checksum(Array(text.utf8))
        return text + Base64URL.encode((0..<4).map { UInt8(truncatingIfNeeded: crc >> (24 - 8 * UInt32($0))) })
    }

    static func keyID(_ ring: String) throws -> UInt8 { try MasterKeyRing(base64Ring: ring).primary.id }
}

@Suite("Nodes with different master rings")
struct RingTests {
    /// The first holds A; the second begins with B, and holds A too.
    static let rings = [AuthNode.ring(1), AuthNode.ring(2, first: 1)]

    @Test(
        "a token of a key that only another node holds is 503 wherever it is looked up, and stays good",
        arguments: TestEngine.allCases
    )
    func heldElsewhere(engine: TestEngine) async throws {
        try await withSeparateNodes(engine, rings: Self.rings, configure: { $0.rateLimits = true }) { nodes in
            let (behind, ahead) = (nodes[0], nodes[1])
            let client = try await behind.makeClient()
            let ada = try await ahead.signUp()
            // More often than failures are allowed from one address: 503 is no guess.
            for _ in 0..<30 {
                let answer = try await behind.refresh(ada.refresh)
                #expect(answer.status == 503 && answer.code == "key_unknown", "\(answer.text)")
                #expect(answer.headers[.retryAfter] != nil)
            }
            #expect(try await behind.verdicts(ada.refresh, client) == .all("503 key_unknown"))
            #expect(try await behind.me(ada.access).status == 200, "no master key is in an access token")
            #expect(try await behind.validated(ada.access) == "200")
            #expect(try await ahead.refresh(ada.refresh).status == 200)
            #expect(try await behind.count("sessions WHERE revoked_at IS NOT NULL") == 0)
            // A token of the common key is good on both.
            let eve = try await behind.signUp("eve@example.com")
            #expect(try await ahead.refresh(eve.refresh).status == 200)
        }
    }

    @Test("every id that is not registered is 401, and revoking its token is 200", arguments: TestEngine.allCases)
    func unregistered(engine: TestEngine) async throws {
        try await withSeparateNodes(engine, rings: Self.rings) { nodes in
            let client = try await nodes[0].makeClient()
            let registered = try AuthNode.keyID(Self.rings[1])
            for id in UInt8.min...UInt8.max {
                let answer = try await nodes[0].refresh(AuthNode.madeUp(keyID: id))
                let expected = id == registered ? "key_unknown" : "invalid_token"
                #expect(answer.code == expected, "\(id): \(answer.text)")
                #expect(try await nodes[1].refresh(AuthNode.madeUp(keyID: id)).code == "invalid_token", "\(id)")
            }
            let held = try MasterKeyRing(base64Ring: Self.rings[1]).keys.map(\.id)
            let other = try #require((UInt8.min...).first { !held.contains($0) })
            #expect(try await nodes[0].verdicts(AuthNode.madeUp(keyID: other), client) == .dead)
        }
    }

    @Test(
        "while the entries cannot be read a token of an unknown key is 503, and 401 once they can",
        arguments: TestEngine.allCases
    )
    func unreadable(engine: TestEngine) async throws {
        let fails = Switch()
        try await withSeparateNodes(engine, rings: [AuthNode.ring(1)], wrap: { FailingDatabase($1, fails) }) { nodes in
            let token = AuthNode.madeUp(keyID: try AuthNode.keyID(AuthNode.ring(1)) &+ 1)
            fails.turnOn()
            #expect(try await nodes[0].refresh(token).status == 503)
            #expect(try await nodes[0].form("/oauth2/revoke", [("token", token)]).status == 503)
            fails.turnOff()
            #expect(try await nodes[0].refresh(token).code == "invalid_token")
        }
    }

    @Test("many tokens of unknown keys at once share reads that run one by one", arguments: TestEngine.allCases)
    func shared(engine: TestEngine) async throws {
        try await withSeparateNodes(engine, rings: [AuthNode.ring(1)], wrap: { CountingDatabase($1) }) { nodes in
            let database = try #require(nodes[0].database as? CountingDatabase)
            let (held, goesOn) = (Switch(), Switch())
            database.interrupt(before: "ring.entries") {
                held.turnOn()
                try? await eventually("all have asked") { goesOn.isOn }
            }
            database.forget()
            let token = AuthNode.madeUp(keyID: try AuthNode.keyID(AuthNode.ring(1)) &+ 1)
            let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
                func ask() { group.addTask { try await nodes[0].refresh(token).status } }
                ask()
                try await eventually("the first read has begun") { held.isOn }
                for _ in 0..<20 { ask() }
                // Gives a caller that does not wait time to read.
                for _ in 0..<200 { await Task.yield() }
                goesOn.turnOn()
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(statuses == [Int](repeating: 401, count: 21))
            // One for the first, one for those that came while it ran, and some for those that came late.
            #expect((1...10).contains(database.transactions.filter { $0 == ["ring.entries"] }.count))
        }
    }

    @Test("what is registered: ids and fingerprints, once for each key", arguments: TestEngine.allCases)
    func registered(engine: TestEngine) async throws {
        try await withSeparateNodes(engine, rings: Self.rings + Self.rings) { nodes in
            let rows = try await nodes[0].query("SELECT key_id, fingerprint FROM ring_entries ORDER BY registered_at")
            let ring = try MasterKeyRing(base64Ring: AuthNode.ring(2))
            #expect(try rows.map { try $0.integer("key_id") } == ring.keys.map { Int64($0.id) })
            #expect(try rows.map { try $0.text("fingerprint") } == ring.keys.map(\.fingerprint))
            let audited = try await nodes[0].query(
                "SELECT target, details FROM audit_log WHERE action = 'ring.register' ORDER BY seq"
            )
            let expected = ring.keys.map { key in
                let name = #""key":"\#(Hex.encode([key.id]))","fingerprint":"\#(key.fingerprint)""#
                return #"{"before":null,"after":{\#(name),"state":"registered"}}"#
            }
            #expect(try audited.map { try $0.text("details") } == expected)
        }
    }

    @Test(
        "a node whose key has the id of another registered one, or whose first key was withdrawn, does not start",
        arguments: TestEngine.allCases
    )
    func refusedStart(engine: TestEngine) async throws {
        try await withSeparateNodes(engine, rings: [AuthNode.ring(1)]) { nodes in
            func start(_ ring: String) async throws {
                try await AuthNode.serve(
                    try AuthNode.configuration(ring: ring),
                    on: nodes[0].database,
                    nodes[0].clock
                ) { _ in }
            }
            let id = Int64(try AuthNode.keyID(Self.rings[1]))
            try await nodes[0].execute(
                """
                INSERT INTO ring_entries (key_id, fingerprint, registered_at)
                SELECT \(id), 'another', registered_at FROM ring_entries
                """
            )
            let taken = await #expect(throws: RingError.self) { try await start(Self.rings[1]) }
            guard case .idTaken? = taken else {
                Issue.record("\(taken.debugDescription)")
                return
            }
            try await nodes[0].execute("UPDATE ring_entries SET withdrawn_at = registered_at WHERE key_id = \(id)")
            try await start(Self.rings[1])
            try await nodes[0].execute("UPDATE ring_entries SET withdrawn_at = registered_at WHERE key_id = \(id)")
            let withdrawn = await #expect(throws: RingError.self) { try await start(Self.rings[1]) }
            guard case .primaryWithdrawn? = withdrawn else {
                Issue.record("\(withdrawn.debugDescription)")
                return
            }
            // Behind another it may stay.
            try await start(AuthNode.ring(2))
        }
    }
}
