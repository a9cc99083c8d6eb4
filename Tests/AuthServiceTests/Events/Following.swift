// Nodes that follow their own event log, as in production, and ways to prevent it.
import AuthService
import HTTPTypes
import Storage
import Synchronization
import TestSupport
import Testing

extension AuthNode {
    static func whileFollowing(_ nodes: [AuthNode], _ body: () async throws -> Void) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for node in nodes { group.addTask { try await node.service.following.run() } }
            defer { group.cancelAll() }
            for node in nodes { try await node.eventuallyCurrent() }
            try await body()
        }
    }

    func eventuallyCurrent() async throws {
        try await eventually("the node judges tokens from memory") { service.following.isCurrent }
    }

    /// A gateway's answer about a token: 200 or the code.
    func validated(_ token: String) async throws -> String {
        let answer = try await send(.get, "/v1/validate", token: token)
        return answer.status == 200 ? "200" : answer.code ?? "\(answer.status)"
    }

    func isActive(_ token: String, to client: TestClient) async throws -> Bool? {
        let answer = try await form("/oauth2/introspect", [("token", token)], headers: client.basic)
        return answer.json["active"]?.boolean
    }

    /// Without those of the node's own follower.
    func transactionsOfRequests() throws -> [[String]] {
        let transactions = try #require(database as? CountingDatabase).transactions
        return transactions.filter { !$0.allSatisfy { $0.hasPrefix("events.") } }
    }

    func forgetTransactions() throws { try #require(database as? CountingDatabase).forget() }
}

/// Forwards everything but reads of the event log, which can fail or hang.
final class BlindDatabase: DatabaseDecorator {
    enum Sight: Sendable { case clear, fails, hangs }

    let base: any SQLDatabase
    private let state = Mutex(Sight.clear)
    private let reads = Mutex(0)

    init(_ base: any SQLDatabase) { self.base = base }

    var sight: Sight {
        get { state.withLock { $0 } }
        set { state.withLock { $0 = newValue } }
    }

    var blindReads: Int { reads.withLock { $0 } }

    func run(
        _ transaction: Transaction,
        priority: TransactionPriority
    ) async throws(StorageError) -> TransactionResults {
        if transaction.statements.contains(where: {
            ["events.after", "events.first_since"].contains($0.statement.name)
        }) {
            if sight != .clear { reads.withLock { $0 += 1 } }
            if sight == .fails { throw .unavailable(reason: "the test says so") }
            while sight == .hangs, !Task.isCancelled { try? await Task.sleep(for: .milliseconds(2)) }
        }
        return try await base.run(transaction, priority: priority)
    }
}
