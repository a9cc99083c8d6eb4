// Notices what this process appends to the event log, at the one place that every unit passes.
//
// Whoever reads the log in this process is told before the unit's caller goes on, so that no answer can come between a
// revocation and its effect here. A unit that failed is told of as well: it may have committed.
import Storage

struct AppendNotingDatabase: SQLDatabase {
    let base: any SQLDatabase
    let appended: @Sendable () -> Void

    var engine: SQLEngine { base.engine }

    func run(_ unit: [BoundStatement], priority: UnitPriority) async throws(StorageError) -> [SQLResult] {
        let appends = unit.contains { $0.statement.effect == .appends(Events.log) }
        defer { if appends { appended() } }
        return try await base.run(unit, priority: priority)
    }

    /// Nothing of a service appends in a transaction; if it does one day, a notification tells of it.
    func transaction<T: Sendable>(
        _ body: @Sendable @escaping (any SQLTransaction) throws -> T
    ) async throws -> T {
        try await base.transaction(body)
    }

    func withMigrationLock<T: Sendable>(
        _ body: @Sendable @escaping (any SQLMigrationConnection) throws -> T
    ) async throws -> T {
        try await base.withMigrationLock(body)
    }

    func changes(of log: OrderedLog) -> AsyncStream<Void> { base.changes(of: log) }

    func close() async { await base.close() }
}
