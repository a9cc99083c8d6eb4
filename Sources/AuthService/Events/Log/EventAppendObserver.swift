// Notices appends to the event log by this process, where every transaction passes.
//
// The reader in this process is notified before the transaction's caller continues, so no answer comes between a
// revocation and its effect here. A failed transaction counts too: it may have committed.
import Storage

struct EventAppendObserver: DatabaseDecorator {
    let base: any SQLDatabase
    let appended: @Sendable () -> Void

    func run(
        _ transaction: Transaction,
        priority: TransactionPriority
    ) async throws(StorageError) -> TransactionResults {
        let appends = transaction.statements.contains { $0.statement.effect == .appends(Events.log) }
        defer { if appends { appended() } }
        return try await base.run(transaction, priority: priority)
    }
}
