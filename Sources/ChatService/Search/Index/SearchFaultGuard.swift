// Keeps faults of the search's index away from requests that do not search.
import Logging
import Storage

/// Begins the rebuild of a faulty index, and runs a failed write again without it.
struct SearchFaultGuard: DatabaseDecorator {
    let base: any SQLDatabase
    let logger: Logger

    func run(
        _ transaction: Transaction,
        priority: TransactionPriority
    ) async throws(StorageError) -> TransactionResults {
        do throws(StorageError) {
            return try await base.run(transaction, priority: priority)
        } catch {
            guard engine == .sqlite, case .damaged(let reason, let isInVirtualTable) = error else { throw error }
            // A failed read names an index: they are the only virtual tables. For a write SQLite may not say where the
            // damage is. A retry without the index shows it: if it fails again, the damage is in the rows, and the
            // index can be rebuilt.
            guard isInVirtualTable || !transaction.onlyReads else { throw error }
            if transaction.onlyReads, let results = try await again(transaction, priority) { return results }
            if try await SearchIndex.beginRebuild(in: base, because: reason) {
                logger.error("the search index is damaged and will be rebuilt", metadata: ["error": "\(error)"])
            }
            if transaction.onlyReads { throw error }
            return try await base.run(transaction, priority: priority)
        }
    }
    /// Reads a second time. What a rebuild empties reads like damage, and the rebuild may have ended since.
    ///
    /// - Returns: `nil` if the index is damaged. Throws what a rebuild that is under way leaves.
    private func again(
        _ transaction: Transaction,
        _ priority: TransactionPriority
    ) async throws(StorageError) -> TransactionResults? {
        let isReady = try SearchReadiness.isReady(await base.run(SearchReadiness.check()))
        do throws(StorageError) {
            return try await base.run(transaction, priority: priority)
        } catch {
            guard isReady, case .damaged(_, inVirtualTable: true) = error else { throw error }
            return nil
        }
    }
}
