// A transaction of a person's writes: the person's row is its lock.
import ServiceKit
import Storage

/// A transaction that begins by making or locking the caller's row. Each later statement requires
/// `PrincipalStatements.mayWrite` of that row, and sees it as it is under the lock.
struct PrincipalTransaction: Sendable {
    private(set) var base: Transaction
    /// Reads what the row allows.
    private let state: Transaction.Handle

    init(by caller: Caller, at now: Instant) {
        base = Transaction(subject: caller.id)
        base.add(
            PrincipalStatements.touch(caller.id, caller.kind, now, now - Principals.seenPrecision)
        )
        state = base.add(PrincipalStatements.state(caller.id))
    }

    /// Appends a statement; see `Transaction.add`.
    @discardableResult
    mutating func add(_ statement: BoundStatement) -> Transaction.Handle { base.add(statement) }

    /// Appends statements; see `Transaction.add`.
    @discardableResult
    mutating func add(contentsOf statements: some Sequence<BoundStatement>) -> [Transaction.Handle] {
        base.add(contentsOf: statements)
    }

    /// Throws `user_inactive` when the writes were refused because the person is deactivated or erased.
    fileprivate func requireActive(_ results: TransactionResults) throws {
        guard let row = results[state].first else { throw APIError(.internalError) }
        guard try row.boolean("is_active"), try row.optionalInstant("erased_at") == nil else {
            throw APIError(.userInactive)
        }
    }
}

extension SQLDatabase {
    /// Runs a person's transaction.
    ///
    /// - Throws: `user_inactive` when the person may not write: no statement has changed anything then.
    func run(
        _ transaction: PrincipalTransaction,
        priority: UnitPriority = .normal
    ) async throws -> TransactionResults {
        let results = try await run(transaction.base, priority: priority)
        try transaction.requireActive(results)
        return results
    }
}
