// A transaction of a person's writes: the person's row is its lock, and a request's `Idempotency-Key` is a part of it.
import ServiceKit
import Storage

/// A transaction that begins by making or locking the caller's row. Each later statement requires
/// `Principals.mayWrite` of that row, and sees it as it is under the lock.
struct PrincipalTransaction: Sendable {
    private(set) var base: Transaction
    /// Reads what the row allows.
    private let state: Transaction.Handle
    /// The request's key, which the transaction claims before its writes and settles after them; see Idempotency.swift.
    private let attempt: IdempotentAttempt?
    private let caller: Caller

    init(by caller: Caller, at now: Instant) {
        self.init(by: caller, at: now, once: nil, target: "")
    }

    /// A transaction whose writes make `target`, or do something to it, once for each key.
    init(by caller: Caller, at now: Instant, once attempt: IdempotentAttempt?, target: String) {
        base = Transaction(subject: caller.id)
        base.add(PrincipalStatements.touch(caller, at: now))
        state = base.add(PrincipalStatements.state(caller.id))
        self.attempt = attempt
        self.caller = caller
        guard let attempt else { return }
        base.add(IdempotencyStatements.claim(attempt, of: caller.id, target: target))
        base.add(IdempotencyStatements.close(attempt, of: caller.id))
    }

    /// Appends a statement; see `Transaction.add`.
    @discardableResult
    mutating func add(_ statement: BoundStatement) -> Transaction.Handle { base.add(statement) }

    /// Appends statements; see `Transaction.add`.
    @discardableResult
    mutating func add(contentsOf statements: some Sequence<BoundStatement>) -> [Transaction.Handle] {
        base.add(contentsOf: statements)
    }

    /// What is run: the statements, and after them what settles the key. `record` reads whose the key is then.
    func closed() -> (transaction: Transaction, record: Transaction.Handle?) {
        guard let attempt else { return (base, nil) }
        var transaction = base
        transaction.add(IdempotencyStatements.release(attempt, of: caller.id))
        let record = transaction.add(IdempotencyStatements.read(attempt, of: caller.id))
        transaction.add(IdempotencyStatements.open(caller.id))
        return (transaction, record)
    }

    /// Throws `user_inactive` when the writes were refused because the person is deactivated or erased.
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

/// What the statements of a person's transaction returned.
struct PrincipalResults: Sendable {
    fileprivate let base: TransactionResults
    /// What an earlier attempt at the request did; no statement of this one has done anything then.
    let earlier: IdempotencyRecord?

    /// The result of a statement of the transaction that was run.
    subscript(handle: Transaction.Handle) -> SQLResult { base[handle] }
}

extension SQLDatabase {
    /// Runs a person's transaction.
    ///
    /// - Throws: `user_inactive` when the person may not write, and `idempotency_key_reused` when the key came with
    ///   another request before: no statement has changed anything then.
    func run(
        _ transaction: PrincipalTransaction,
        priority: UnitPriority = .normal
    ) async throws -> PrincipalResults {
        let (closed, record) = transaction.closed()
        let results = try await run(closed, priority: priority)
        try transaction.requireActive(results)
        return PrincipalResults(base: results, earlier: try transaction.earlier(results, record))
    }
}

extension Transaction {
    /// A transaction that tidies up behind a person, whatever their state: it takes the lock of their row first.
    init(behind principal: String) {
        self.init(subject: principal)
        add(PrincipalStatements.lock(principal))
    }
}
