// Notifies the change feed of each transaction that writes.
//
// A transaction of one person names that person as its subject, and wakes that person's streams. One without a subject
// wakes all.
import Storage

struct ChangeNotifyingDatabase: DatabaseDecorator {
    let base: any SQLDatabase
    private let feed: ChangeFeed

    init(_ base: any SQLDatabase, feed: ChangeFeed) {
        self.base = base
        self.feed = feed
    }

    func run(
        _ transaction: Transaction,
        priority: TransactionPriority
    ) async throws(StorageError) -> TransactionResults {
        let results: TransactionResults
        do throws(StorageError) {
            results = try await base.run(transaction, priority: priority)
        } catch {
            // It may have been committed.
            if case .outcomeUnknown = error { tell(transaction) }
            throw error
        }
        tell(transaction)
        return results
    }

    private func tell(_ transaction: Transaction) {
        if let subject = transaction.subject { return feed.wrote(subject) }
        if !transaction.onlyReads { feed.wrote(nil) }
    }
}
