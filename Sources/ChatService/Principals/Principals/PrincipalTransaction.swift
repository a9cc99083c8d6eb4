// A transaction of a person's writes: the person's row is its lock, and it includes the request's `Idempotency-Key`.
import ServiceKit
import Storage

/// Begins by making or locking the caller's row. Each later statement requires `Principals.mayWrite` of that row, under
/// the lock.
struct PrincipalTransaction: Sendable {
    private(set) var base: Transaction
    private let state: Transaction.Handle
    /// Claimed before the writes and settled after them; see Idempotency.swift.
    private let attempt: IdempotentAttempt?
    private let caller: Caller

    init(by caller: Caller, at now: Instant) {
        self.init(by: caller, at: now, once: nil, target: "")
    }

    /// The writes make or change `target`, once for each key.
    init(by caller: Caller, at now: Instant, once attempt: IdempotentAttempt?, target: String) {
        base = Transaction(subject: caller.id)
        base.add(PrincipalStatements.touch(caller: caller, at: now))
        state = base.add(PrincipalStatements.state(of: caller.id))
        self.attempt = attempt
        self.caller = caller
        guard let attempt else { return }
        base.add(IdempotencyStatements.claim(attempt: attempt, of: caller.id, target: target))
        base.add(IdempotencyStatements.close(attempt: attempt, of: caller.id))
    }

    @discardableResult
    mutating func add(_ statement: BoundStatement) -> Transaction.Handle { base.add(statement) }

    @discardableResult
    mutating func add(contentsOf statements: some Sequence<BoundStatement>) -> [Transaction.Handle] {
        base.add(contentsOf: statements)
    }

    /// The statements, and after them those that settle the key. `record` reads its attempt.
    func closed() -> (transaction: Transaction, record: Transaction.Handle?) {
        guard let attempt else { return (base, nil) }
        var transaction = base
        transaction.add(IdempotencyStatements.release(attempt: attempt, of: caller.id))
        let record = transaction.add(IdempotencyStatements.read(attempt: attempt, of: caller.id))
        transaction.add(IdempotencyStatements.open(of: caller.id))
        return (transaction, record)
    }

    /// Throws `user_inactive` if the person is deactivated or erased.
    func requireActive(_ results: TransactionResults) throws {
        guard let row = results[state].first else { throw APIError(.internalError) }
        guard try row.boolean("is_active"), try row.optionalInstant("erased_at") == nil else {
            throw APIError(.userInactive)
        }
    }

    fileprivate func earlier(_ results: TransactionResults, _ record: Transaction.Handle?) throws -> IdempotencyRecord?
    {
        guard let attempt, let record else { return nil }
        return try attempt.earlier(results[record].first)
    }
}

struct PrincipalResults: Sendable {
    fileprivate let base: TransactionResults
    /// The result of an earlier attempt; then no statement of this one has done anything.
    let earlier: IdempotencyRecord?

    subscript(handle: Transaction.Handle) -> SQLResult { base[handle] }
}

extension SQLDatabase {
    /// - Throws: `user_inactive` if the person may not write, `idempotency_key_reused` if the key came with another
    ///   request. Then no statement has changed anything.
    func run(
        _ transaction: PrincipalTransaction,
        priority: TransactionPriority = .normal
    ) async throws -> PrincipalResults {
        let (closed, record) = transaction.closed()
        let results = try await run(closed, priority: priority)
        try transaction.requireActive(results)
        return PrincipalResults(base: results, earlier: try transaction.earlier(results, record))
    }
}

extension Transaction {
    /// For cleanup of a person's rows in any state: takes the lock of the principal's row first.
    init(behind principal: String) {
        self.init(subject: principal)
        add(PrincipalStatements.lock(id: principal))
    }
}
