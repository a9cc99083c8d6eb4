// A database that records requests, so that a test can count the transactions of a request.
//
// It forwards everything unchanged. It records a transaction as the names of its statements, and a migration as
// such.

package import Storage
internal import Synchronization

package final class CountingDatabase: DatabaseDecorator {
    package let base: any SQLDatabase
    package var wrapped: any SQLDatabase { base }
    private let record = Mutex<[[String]]>([])
    private let interruption = Mutex<(statement: String, body: @Sendable () async -> Void)?>(nil)
    private let reclaiming = Mutex<(@Sendable () async -> Bool)?>(nil)

    package init(_ base: any SQLDatabase) {
        self.base = base
    }

    /// Since the beginning or the last `forget`, each as its statements' names.
    package var transactions: [[String]] { record.withLock { $0 } }

    /// Runs `body` once, before the next transaction with this statement.
    package func interrupt(before statement: String, _ body: @Sendable @escaping () async -> Void) {
        interruption.withLock { $0 = (statement, body) }
    }

    package func forget() {
        record.withLock { $0 = [] }
    }

    package func run(
        _ transaction: Transaction,
        priority: TransactionPriority
    ) async throws(StorageError) -> TransactionResults {
        record.withLock { $0.append(transaction.statements.map(\.statement.name)) }
        let body = interruption.withLock { interruption -> (@Sendable () async -> Void)? in
            guard let next = interruption,
                transaction.statements.contains(where: { $0.statement.name == next.statement })
            else {
                return nil
            }
            interruption = nil
            return next.body
        }
        await body?()
        return try await base.run(transaction, priority: priority)
    }

    package func withMigrationLock<T: Sendable>(
        _ body: @Sendable @escaping (any SQLMigrationConnection) throws -> T
    ) async throws -> T {
        record.withLock { $0.append(["(migration)"]) }
        return try await base.withMigrationLock(body)
    }

    /// Runs `body` before deleted bytes are reclaimed, which it may forbid.
    package func beforeReclaiming(_ body: @Sendable @escaping () async -> Bool) {
        reclaiming.withLock { $0 = body }
    }

    package func reclaimDeletedBytes() async -> Bool {
        if let body = reclaiming.withLock({ $0 }), await !body() { return false }
        return await base.reclaimDeletedBytes()
    }
}
