// Notices what this process appends to the event log, at the one place that every unit passes.
//
// Whoever reads the log in this process is told before the unit's caller goes on, so that no answer can come between a
// revocation and its effect here. A unit that failed is told of as well: it may have committed.
import Storage

struct AppendNotingDatabase: DatabaseDecorator {
    let base: any SQLDatabase
    let appended: @Sendable () -> Void

    func run(
        _ transaction: Transaction,
        priority: UnitPriority
    ) async throws(StorageError) -> TransactionResults {
        let appends = transaction.statements.contains { $0.statement.effect == .appends(Events.log) }
        defer { if appends { appended() } }
        return try await base.run(transaction, priority: priority)
    }
}
