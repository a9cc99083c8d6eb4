// A key that this node does not know: who looks for it, how often, and the answer if the look fails.
import HTTPTypes
import OpenSSLCrypto
import ServiceKit
import Storage
import Synchronization
import TesseraVerifierHummingbird
import TestSupport
import Testing

@testable import AuthService

@Suite("Looking for a key")
struct LocalKeySourceTests {
    /// A node whose reads can be counted, held and made to fail, and another that makes keys.
    private func withNodes(
        _ engine: TestEngine,
        _ body: @Sendable @escaping (_ node: AuthNode, _ other: AuthNode, _ fails: Switch) async throws -> Void
    ) async throws {
        let fails = Switch()
        try await withSeparateNodes(
            engine,
            wrap: { $0 == 0 ? CountingDatabase(FailingDatabase($1, fails)) : $1 }
        ) { nodes in
            try await body(nodes[0], nodes[1], fails)
        }
    }

    /// Signed with an unpublished key.
    private func forged(_ keyID: String) throws -> String {
        try JWSSigner(type: "at+jwt", keyID: keyID, key: SigningKey.generate(.es256)).sign(Array("{}".utf8))
    }

    /// Concurrent callers while the first one's read is held; `meanwhile` releases it.
    ///
    /// - Returns: for each caller whether the key is there, or `nil` for one that learnt it is unknown.
    private func askAtOnce(
        _ count: Int,
        for keyID: String,
        at node: AuthNode,
        release: @Sendable @escaping () -> Void = {}
    ) async throws -> [Bool?] {
        let database = try #require(node.database as? CountingDatabase)
        let (held, goesOn) = (Switch(), Switch())
        let asked = Mutex(0)
        let time = node.clock
        let source = LocalKeySource(
            keys: node.service.keys,
            clock: Clock {
                asked.withLock { $0 += 1 }
                return time.now
            }
        )
        #expect(!source.snapshot().contains(keyID), "nobody here has seen it")
        database.interrupt(before: "signing_keys.published") {
            held.turnOn()
            try? await eventually("all have asked") { goesOn.isOn }
            release()
        }
        database.forget()
        return try await withThrowingTaskGroup(of: Bool?.self) { group in
            func ask() {
                group.addTask {
                    do { try await source.refresh(afterUnknownKeyID: keyID) } catch { return nil }
                    return source.snapshot().contains(keyID)
                }
            }
            ask()
            try await eventually("the first look is at the rows") { held.isOn }
            for _ in 1..<count { ask() }
            try await eventually("all have asked") { asked.withLock { $0 } == count }
            // Gives a caller that does not wait time to return.
            for _ in 0..<100 { await Task.yield() }
            goesOn.turnOn()
            return try await group.reduce(into: []) { $0.append($1) }
        }
    }

    @Test("who asks while the rows are being read shares that read, and what it finds", arguments: TestEngine.allCases)
    func shared(engine: TestEngine) async throws {
        try await withNodes(engine) { node, other, _ in
            try await other.service.keys.rotate()
            let made = try #require(try await other.service.keys.list().first { $0.state == "next" })
            let found = try await askAtOnce(16, for: made.kid, at: node)
            #expect(found == [Bool?](repeating: true, count: 16), "nobody was told that there is no such key")
            #expect(try #require(node.database as? CountingDatabase).transactions == [["signing_keys.published"]])
        }
    }

    @Test("a shared read that fails tells nobody who waited that there is no such key", arguments: TestEngine.allCases)
    func sharedFailure(engine: TestEngine) async throws {
        try await withNodes(engine) { node, _, fails in
            let found = try await askAtOnce(16, for: "unknown", at: node, release: { fails.turnOn() })
            #expect(found == [Bool?](repeating: nil, count: 16))
        }
    }

    @Test(
        "while the keys cannot be read a token of an unknown key is 503 each time, and 401 once they can",
        arguments: TestEngine.allCases
    )
    func failing(engine: TestEngine) async throws {
        try await withNodes(engine) { node, _, fails in
            fails.turnOn()
            for round in 0..<3 {
                for path in ["/v1/me", "/v1/validate"] {
                    let answer = try await node.send(.get, path, token: try forged("unknown\(round)"))
                    #expect(answer.status == 503, "\(round) \(path): \(answer.text)")
                    #expect(answer.headers[.retryAfter] != nil)
                }
            }
            fails.turnOff()
            for path in ["/v1/me", "/v1/validate"] {
                #expect(try await node.send(.get, path, token: try forged("unknown")).code == "token_invalid")
            }
        }
    }

    @Test("made-up key ids cost one read in five seconds", arguments: TestEngine.allCases)
    func throttled(engine: TestEngine) async throws {
        try await withNodes(engine) { node, _, _ in
            let database = try #require(node.database as? CountingDatabase)
            database.forget()
            for number in 0..<10 {
                #expect(try await node.me(try forged("guess\(number)")).code == "token_invalid")
            }
            #expect(database.transactions == [["signing_keys.published"]])
            node.clock.advance(.seconds(6))
            #expect(try await node.me(try forged("guess")).code == "token_invalid")
            #expect(database.transactions.count == 2)
        }
    }
}
