// A cleanup removes everything, in steps of whatever size.
import Storage
import Synchronization
import Testing

@testable import ServiceKit

@Suite("Steps of a cleanup")
struct CleanupStepTests {
    /// A table of which each statement removes at most what it is asked for.
    private final class Rows: SQLDatabase {
        let engine = SQLEngine.sqlite
        private let state: Mutex<(left: Int, limits: [Int64])>

        init(_ count: Int) { state = Mutex((count, [])) }

        var left: Int { state.withLock { $0.left } }
        var limits: [Int64] { state.withLock { $0.limits } }

        func run(
            _ transaction: Transaction,
            priority: TransactionPriority
        ) async throws(StorageError) -> TransactionResults {
            TransactionResults(
                transaction.statements.map { bound in
                    guard case .integer(let limit)? = bound.values.last else { return SQLResult(rows: [], affected: 0) }
                    return state.withLock { state in
                        let removed = min(Int(limit), state.left)
                        state.left -= removed
                        state.limits.append(limit)
                        return SQLResult(rows: [], affected: removed)
                    }
                }
            )
        }

        func withMigrationLock<T: Sendable>(
            _ body: @Sendable @escaping (any SQLMigrationConnection) throws -> T
        ) async throws -> T { throw StorageError.overloaded }

        func reclaimDeletedBytes() async -> Bool { true }
        func changes(of log: OrderedLog) -> AsyncStream<Void> { AsyncStream { $0.finish() } }
        func close() async {}
    }

    private static let remove = Statement(
        "rows.remove",
        .writes,
        ["now": .instant, "limit": .integer],
        "DELETE FROM rows WHERE id IN (SELECT id FROM rows WHERE at < :now LIMIT :limit)"
    )

    @Test("a smaller step that is full is not the last one")
    func sizes() async throws {
        for slow in 0...4 {
            let rows = Rows(1300)
            var pass = CleanupPass(database: rows, clock: .system, renew: {})
            for _ in 0..<slow { pass.size.took(.seconds(1)) }
            let first = pass.size.count
            let step = CleanupStep("rows") { Self.remove.bind(["now": $0, "limit": $1]) }
            try await step.run(&pass)
            #expect(rows.left == 0 && pass.removed == ["rows": 1300])
            #expect(rows.limits.first == first)
            #expect(rows.limits.allSatisfy { (31...500).contains($0) })
            #expect(rows.limits.reduce(0, +) >= 1300)
        }
    }
}
