// Keeps a fault of the search's index away from requests that do not search.
import Logging
import Storage

/// Begins to rebuild an index that made a transaction fail, and runs a write again without it.
struct SearchFaultGuard: DatabaseDecorator {
    let base: any SQLDatabase
    let logger: Logger

    func run(
        _ transaction: Transaction,
        priority: UnitPriority
    ) async throws(StorageError) -> TransactionResults {
        do throws(StorageError) {
            return try await base.run(transaction, priority: priority)
        } catch {
            guard engine == .sqlite, case .damaged(let reason, let isInVirtualTable) = error else { throw error }
            // A read says which: the indexes are the only virtual tables. For a write SQLite may say nothing of where the
            // damage is. Without the index the write shows it; if it fails again, the damage is in the rows, and no harm was
            // done to an index that can be made anew.
            guard isInVirtualTable || !transaction.onlyReads else { throw error }
            if try await SearchIndex.beginRebuild(in: base, because: reason) {
                logger.error("the search index is damaged and will be rebuilt", metadata: ["error": "\(error)"])
            }
            if transaction.onlyReads { throw error }
            return try await base.run(transaction, priority: priority)
        }
    }
}
