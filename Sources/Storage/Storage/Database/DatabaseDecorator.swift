/// A database that changes or observes part of what passes to another one. Everything that a decorator does not define
/// is forwarded.
package protocol DatabaseDecorator: SQLDatabase {
    var base: any SQLDatabase { get }
}

extension DatabaseDecorator {
    package var engine: SQLEngine { base.engine }

    package func run(
        _ transaction: Transaction,
        priority: TransactionPriority
    ) async throws(StorageError) -> TransactionResults {
        try await base.run(transaction, priority: priority)
    }

    package func withMigrationLock<T: Sendable>(
        _ body: @Sendable @escaping (any SQLMigrationConnection) throws -> T
    ) async throws -> T {
        try await base.withMigrationLock(body)
    }

    package func reclaimDeletedBytes() async -> Bool { await base.reclaimDeletedBytes() }

    package func changes(of log: OrderedLog) -> AsyncStream<Void> { base.changes(of: log) }

    package func close() async { await base.close() }
}
