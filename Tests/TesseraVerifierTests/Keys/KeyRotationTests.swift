import Synchronization
import TesseraVerifier
import TestSupport
import Testing

@Suite("Key rotation")
struct KeyRotationTests {
    @Test("while keys rotate under load, no good token is refused")
    func rotation() async throws {
        let remote = ScriptedIssuer()
        var issuers = [try TestIssuer(), try TestIssuer()]
        try remote.publish(issuers[0], issuers[1], lifetime: .milliseconds(1))
        let source = remote.source(pace: .quick, standingClock: false)
        let verifier = verifier(source)
        let clients = Clients(token: try issuers[0].token())
        try await source.whileRunning {
            try await withThrowingTaskGroup { group in
                for _ in 0..<4 {
                    group.addTask {
                        while !Task.isCancelled {
                            for token in clients.tokens { _ = try await verifier.verify(token) }
                            clients.countRound()
                            await Task.yield()
                        }
                    }
                }
                for _ in 0..<5 {
                    // The next key was published; once known it signs, and one after it is published.
                    let next = issuers[1]
                    try await eventually("the next key is known") { source.snapshot().contains(next.kid) }
                    clients.receive(try next.token())
                    let reached = clients.rounds + 20
                    try await eventually("tokens of both are accepted") { clients.rounds >= reached }
                    let previous = issuers[0]
                    issuers = [next, try TestIssuer()]
                    try remote.publish(previous, issuers[0], issuers[1], lifetime: .milliseconds(1))
                }
                group.cancelAll()
                try await group.waitForAll()
            }
        }
    }

    /// A token of the current key, and one of the previous key.
    private final class Clients: Sendable {
        private let state: Mutex<(tokens: [String], rounds: Int)>

        init(token: String) {
            state = Mutex(([token], 0))
        }

        var tokens: [String] { state.withLock(\.tokens) }
        var rounds: Int { state.withLock(\.rounds) }

        func receive(_ token: String) {
            state.withLock { $0.tokens = $0.tokens.suffix(1) + [token] }
        }

        func countRound() {
            state.withLock { $0.rounds += 1 }
        }
    }

    @Test("a key that signs before it was ever fetched is found at once, without the background service")
    func emergencyRotation() async throws {
        let (old, new) = (try TestIssuer(), try TestIssuer())
        let remote = ScriptedIssuer()
        try remote.publish(old)
        let verifier = verifier(remote.source())
        _ = try await verifier.verify(try old.token())
        remote.pass(.seconds(5))
        try remote.publish(new)
        _ = try await verifier.verify(try new.token())
        // The new set replaced the whole old one.
        #expect(refusal(verifier, try old.token()) == .unknownKey)
    }
}
