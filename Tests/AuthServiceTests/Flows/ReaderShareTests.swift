// One account's reads leave the readers to others, in auth too.
import AuthService
import Storage
import Synchronization
import TestSupport
import Testing

@Suite("Shares of the readers in auth")
struct ReaderShareTests {
    /// Holds reads about some keys on their way to the engine.
    private final class HoldingDatabase: DatabaseDecorator {
        private struct State {
            var held: Set<String> = []
            var running: [String: Int] = [:]
            var most: [String: Int] = [:]
            var gates: [(key: String, gate: CheckedContinuation<Void, Never>)] = []
        }

        let base: any SQLDatabase
        private let state = Mutex(State())

        init(_ base: any SQLDatabase) { self.base = base }

        func hold(_ keys: String...) { state.withLock { $0.held = Set(keys) } }

        func running(_ key: String) -> Int { state.withLock { $0.running[key] ?? 0 } }

        func most(_ key: String) -> Int { state.withLock { $0.most[key] ?? 0 } }

        /// Holds no more about a key.
        func letGo(_ key: String) {
            let gates = state.withLock { state in
                state.held.remove(key)
                let gates = state.gates.filter { $0.key == key }
                state.gates.removeAll { $0.key == key }
                state.running[key] = nil
                return gates
            }
            for (_, gate) in gates { gate.resume() }
        }

        func run(
            _ transaction: Transaction,
            priority: TransactionPriority
        ) async throws(StorageError) -> TransactionResults {
            if transaction.onlyReads, case .text(let key)? = transaction.statements.first?.values.first {
                await withCheckedContinuation { (gate: CheckedContinuation<Void, Never>) in
                    let isHeld = state.withLock { state in
                        guard state.held.contains(key) else { return false }
                        state.running[key, default: 0] += 1
                        state.most[key] = max(state.most[key] ?? 0, state.running[key] ?? 0)
                        state.gates.append((key, gate))
                        return true
                    }
                    if !isHeld { gate.resume() }
                }
            }
            return try await base.run(transaction, priority: priority)
        }
    }

    @Test("an account has its share, and another's read is not behind the rest", arguments: TestEngine.allCases)
    func shares(engine: TestEngine) async throws {
        try await withDatabase(engine, service: "auth") { own async throws in
            let database = HoldingDatabase(own)
            try await AuthNode.serve(try AuthNode.configuration(), on: database, TestClock(step: .microseconds(1))) {
                node in
                let ada = try await node.signUp("ada@example.com")
                let alan = try await node.signUp("alan@example.com")
                database.hold(ada.sessionID, alan.sessionID)
                let share = engine == .sqlite ? 2 : 1
                try await withThrowingTaskGroup(of: Int.self) { group in
                    for _ in 0..<40 { group.addTask { try await node.me(ada.access).status } }
                    try await eventually("her first reads are in the engine's line") {
                        database.running(ada.sessionID) == share
                    }
                    group.addTask { try await node.me(alan.access).status }
                    try await eventually("his is there, too") { database.running(alan.sessionID) == 1 }
                    database.letGo(alan.sessionID)
                    #expect(try await group.next() == 200)
                    #expect(database.most(ada.sessionID) == share)
                    database.letGo(ada.sessionID)
                    for try await status in group { #expect(status == 200) }
                }
            }
        }
    }

    @Test("sign-ins have no account yet, and one network brings many people", arguments: TestEngine.allCases)
    func networks(engine: TestEngine) async throws {
        try await withDatabase(engine, service: "auth") { own async throws in
            let database = HoldingDatabase(own)
            try await AuthNode.serve(try AuthNode.configuration(), on: database, TestClock(step: .microseconds(1))) {
                node in
                let email = "ada@example.com"
                _ = try await node.signUp(email)
                database.hold(email)
                try await withThrowingTaskGroup(of: Int.self) { group in
                    for _ in 0..<20 { group.addTask { try await node.logInAnswer(email).status } }
                    try await eventually("all are in the engine's line") { database.running(email) == 20 }
                    database.letGo(email)
                    for try await status in group { #expect(status == 200) }
                }
            }
        }
    }
}
