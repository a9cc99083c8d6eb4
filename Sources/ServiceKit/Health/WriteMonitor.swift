// Whether the database takes writes, for `/readyz`.
//
// What is known comes from the service's own writes: while the last one succeeded a probe costs nothing. After one that
// the storage refused, a probe writes one row itself, so that a node without traffic learns that writing works again. A
// write that changed no row proves nothing: SQLite does not touch the disk for it.
package import Storage
internal import Synchronization

/// Stands before a database and remembers how the last write ended.
package final class WriteMonitor: DatabaseDecorator {
    package let base: any SQLDatabase
    private let failure = Mutex<StorageError?>(nil)
    private let probe: @Sendable () -> BoundStatement

    /// `probe` changes one row of the service each time that it runs.
    package init(_ base: any SQLDatabase, probe: @escaping @Sendable () -> BoundStatement) {
        self.base = base
        self.probe = probe
    }

    package func run(
        _ transaction: Transaction,
        priority: UnitPriority
    ) async throws(StorageError) -> TransactionResults {
        guard !transaction.onlyReads else { return try await base.run(transaction, priority: priority) }
        do throws(StorageError) {
            let results = try await base.run(transaction, priority: priority)
            if results.all.contains(where: { $0.affected > 0 }) { failure.withLock { $0 = nil } }
            return results
        } catch {
            if error.concernsEveryWrite { failure.withLock { $0 = error } }
            throw error
        }
    }

    /// Passes while writing works. Throws the storage's error when the last write failed and one more fails now.
    package func requireWritable() async throws(StorageError) {
        guard failure.withLock({ $0 }) != nil else { return }
        _ = try await run(probe())
    }
}

extension StorageError {
    /// Whether the next write, whatever it is, is likely to end the same way. A full queue or a lock in the way is load,
    /// and a node that is loaded is still a node to send requests to.
    fileprivate var concernsEveryWrite: Bool {
        switch self {
        case .unavailable, .damaged, .outcomeUnknown: true
        case .uniqueViolation, .foreignKeyViolation, .notNullViolation, .checkViolation, .invalidBinding, .invalidRow,
            .statementFailed, .conflict, .overloaded, .cancelled, .schema:
            false
        }
    }
}
