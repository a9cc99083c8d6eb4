// A database that tells the change feed of each unit that was written through it, and changes nothing else.
//
// Every unit that writes begins with the principal's row (see Principals), so the unit itself says whose streams there
// are to wake. A writing unit that does not is anybody's.
import Storage

struct ChangeTellingDatabase: DatabaseDecorator {
    let base: any SQLDatabase
    private let feed: ChangeFeed

    init(_ base: any SQLDatabase, feed: ChangeFeed) {
        self.base = base
        self.feed = feed
    }

    func run(
        _ transaction: Transaction,
        priority: UnitPriority
    ) async throws(StorageError) -> TransactionResults {
        let results: TransactionResults
        do throws(StorageError) {
            results = try await base.run(transaction, priority: priority)
        } catch {
            // It may have been.
            if case .outcomeUnknown = error { tell(transaction) }
            throw error
        }
        tell(transaction)
        return results
    }

    private func tell(_ transaction: Transaction) {
        if let subject = transaction.subject { return feed.wrote(subject) }
        let unit = transaction.statements
        if let first = unit.first, first.statement.name == "principals.touch",
            case .text(let principal)? = first.values.first
        {
            return feed.wrote(principal)
        }
        if unit.contains(where: { $0.statement.effect != .reads }) { feed.wrote(nil) }
    }

    func transaction<T: Sendable>(_ body: @Sendable @escaping (any SQLTransaction) throws -> T) async throws -> T {
        let result = try await base.transaction(body)
        feed.wrote(nil)
        return result
    }
}
