// A database that tells the change feed of each unit that was written through it, and changes nothing else.
//
// Every unit that writes begins with the principal's row (see Principals), so the unit itself says whose streams there
// are to wake. A writing unit that does not is anybody's.
import Storage

struct ChangeTellingDatabase: SQLDatabase {
    private let base: any SQLDatabase
    private let feed: ChangeFeed

    init(_ base: any SQLDatabase, feed: ChangeFeed) {
        self.base = base
        self.feed = feed
    }

    var engine: SQLEngine { base.engine }

    func run(_ unit: [BoundStatement], priority: UnitPriority) async throws(StorageError) -> [SQLResult] {
        let results: [SQLResult]
        do throws(StorageError) {
            results = try await base.run(unit, priority: priority)
        } catch {
            // It may have been.
            if case .outcomeUnknown = error { tell(unit) }
            throw error
        }
        tell(unit)
        return results
    }

    private func tell(_ unit: [BoundStatement]) {
        if let first = unit.first, first.statement.name == PrincipalStatements.touch.name,
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

    func withMigrationLock<T: Sendable>(
        _ body: @Sendable @escaping (any SQLMigrationConnection) throws -> T
    ) async throws -> T {
        try await base.withMigrationLock(body)
    }

    func forgetDeleted() async -> Bool { await base.forgetDeleted() }

    func changes(of log: OrderedLog) -> AsyncStream<Void> { base.changes(of: log) }

    func close() async { await base.close() }
}
