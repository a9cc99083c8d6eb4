// A node whose event log has another epoch at each read, as with two databases behind one address. It starts over
// without a busy loop.
import AuthService
import Storage
import Synchronization
import TestSupport
import Testing

@Suite("A log that is lost again and again")
struct LostLogTests {
    /// Returns another epoch at each read while enabled, and hints only on request.
    private final class TurningDatabase: DatabaseDecorator {
        private struct State {
            var turns = true
            var looks = 0
            var reads = 0
            var hints: AsyncStream<Void>.Continuation?
        }

        let base: any SQLDatabase
        private let state = Mutex(State())
        /// Ends a busy loop, so that the test ends.
        private static let most = 500

        init(_ base: any SQLDatabase) { self.base = base }

        func turn(_ turns: Bool) { state.withLock { $0.turns = turns } }

        var reads: Int { state.withLock(\.reads) }

        var isFollowed: Bool { state.withLock { $0.hints != nil } }

        func hint() { _ = state.withLock(\.hints)?.yield() }

        func run(
            _ transaction: Transaction,
            priority: TransactionPriority
        ) async throws(StorageError) -> TransactionResults {
            let isRead = transaction.statements.contains { $0.statement.name == "events.after" }
            let reads = state.withLock { state in
                if isRead { state.reads += 1 }
                return state.reads
            }
            if isRead, reads > Self.most { throw .unavailable(reason: "the test says so") }
            var results = try await base.run(transaction, priority: priority).all
            for (index, statement) in transaction.statements.enumerated()
            where statement.statement.name == "events.state" {
                results[index] = turned(results[index])
            }
            return TransactionResults(results)
        }

        private func turned(_ result: SQLResult) -> SQLResult {
            let look = state.withLock { state -> Int? in
                state.looks += 1
                return state.turns ? state.looks : nil
            }
            guard let look else { return result }
            guard let columns = result.first?.columns else { return result }
            var builder = RowBuilder(columns)
            for row in result.rows {
                for (name, value) in zip(columns.names, row.values) {
                    builder.append(name == "epoch" ? .text("epoch\(look)") : value)
                }
            }
            return SQLResult(rows: builder.rows(), affected: result.affected)
        }

        func changes(of log: OrderedLog) -> AsyncStream<Void> {
            let (stream, continuation) = AsyncStream.makeStream(of: Void.self)
            state.withLock { $0.hints = continuation }
            return stream
        }
    }

    @Test(
        "a follower whose place is gone again and again reads once for each hint, and is current when the log stands still",
        arguments: TestEngine.allCases
    )
    func bounded(engine: TestEngine) async throws {
        try await withSeparateNodes(
            engine,
            rings: [AuthNode.ring(1)],
            configure: InProcessRevocationTests.patient,
            wrap: { TurningDatabase($1) }
        ) { nodes in
            let node = nodes[0]
            let database = try #require(node.database as? TurningDatabase)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await node.service.following.run() }
                defer { group.cancelAll() }
                try await eventually("it follows") { database.isFollowed }
                for hint in 1...20 {
                    database.hint()
                    // The first loss is handled at once; the others wait for the next hint.
                    try await eventually("hint \(hint) is followed") { database.reads >= hint + 1 }
                    #expect(!node.service.following.isCurrent)
                }
                // Enough transactions to notice a reader that continues by itself.
                for _ in 0..<100 { _ = try await node.query("SELECT seq FROM events LIMIT 1") }
                #expect(database.reads == 21, "without a hint nothing is read")
                database.turn(false)
                database.hint()
                try await node.eventuallyCurrent()
                #expect(database.reads == 22)
            }
        }
    }
}
