// A batch of transactions, and its outcome.

import Storage

/// What is known about a batch afterwards. See "What committed means" in docs/architecture.md.
enum BatchOutcome {
    /// The sync arrived and no error before it.
    case committed([Result<[SQLResult], StorageError>])
    /// Known not committed: the server refused a statement of one transaction, or the commit itself. Then it does not
    /// say which transaction was at fault.
    case refused(ServerError, statement: String, transaction: Int?)
    /// Known not committed: the sync was never sent, or the server died before it could reach it.
    case notCommitted(reason: String)
    /// Everything was sent and no answer came, or the synchronous standby may not have it.
    case unknown(reason: String)

    /// What each transaction returned, once it is committed.
    var results: [Result<[SQLResult], StorageError>]? {
        if case .committed(let results) = self { results } else { nil }
    }
}

extension Connection {
    /// Commits several transactions as one, in one round trip. Their statements must be prepared.
    func commit(_ transactions: [PendingTransaction]) -> BatchOutcome {
        let logs = transactions.reduce(into: Set<OrderedLog>()) { $0.formUnion($1.logs) }.sorted {
            $0.lockKey < $1.lockKey
        }
        var steps: [Exchange.Step] = []
        steps.reserveCapacity(transactions.reduce(1 + 2 * logs.count) { $0 + $1.statements.count })
        // The locks come first, before any row lock and always in one order, so that writers of a log wait for each
        // other only here.
        for log in logs { append(OrderedLogStatements.lock.bind(["key": log.lockKey]), to: &steps) }
        var ranges: [Range<Int>] = []
        for transaction in transactions {
            let start = steps.count
            for bound in transaction.statements { append(bound, to: &steps) }
            ranges.append(start..<steps.count)
        }
        for log in logs { append(OrderedLogStatements.notify.bind(["channel": log.channel]), to: &steps) }
        steps.append(.sync)
        renewPlans(before: steps.count)
        notices.standbyMayLack = false
        return verdict(run(steps), steps, ranges)
    }

    private func append(_ bound: BoundStatement, to steps: inout [Exchange.Step]) {
        guard let prepared = preparation(of: bound.statement) else { return }
        steps.append(.execute(prepared, bound))
    }

    private func verdict(_ exchange: Exchange, _ steps: [Exchange.Step], _ ranges: [Range<Int>]) -> BatchOutcome {
        for (index, (step, result)) in zip(steps, exchange.results).enumerated() {
            // The server answers in order. So an error that *it* sent for a step proves that it did not reach the
            // commit, even if the connection ended right after.
            guard case .execute(_, let bound) = step, case .refused(let error) = result else { continue }
            if exchange.lost != nil {
                return .notCommitted(reason: "the server ended the connection with \(error.sqlState)")
            }
            return .refused(
                error,
                statement: bound.statement.name,
                transaction: ranges.firstIndex { $0.contains(index) }
            )
        }
        let syncArrived = if case .done = exchange.results.last ?? nil { true } else { false }
        if let error = exchange.commitError {
            // Without the sync behind it, the error may have come after the commit (a shutdown at that moment).
            return syncArrived
                ? .refused(error, statement: "commit", transaction: nil)
                : .unknown(reason: "the server ended with \(error.sqlState)")
        }
        guard syncArrived else {
            let reason = exchange.lost ?? "the connection was lost"
            return exchange.wasSent ? .unknown(reason: reason) : .notCommitted(reason: reason)
        }
        // Committed on this server, and lost with it if the standby takes over.
        if notices.standbyMayLack {
            return .unknown(reason: "the wait for the synchronous standby was cancelled")
        }
        return .committed(
            ranges.map { range in
                Result { () throws(StorageError) in
                    try exchange.results[range].map { result throws(StorageError) in
                        switch result {
                        case .done(let result, _): result
                        case .unreadable(let error): throw error
                        case .refused, .none: throw .outcomeUnknown(reason: "an answer is missing")
                        }
                    }
                }
            }
        )
    }
}

/// The statements around a batch that appends to an ordered log.
enum OrderedLogStatements {
    /// Held to the end of the transaction, so that sequence numbers become visible in the order they were given.
    static let lock = Statement("storage.lock_log", .writes, ["key": .integer], "SELECT pg_advisory_xact_lock(:key)")
    /// Wakes listeners; the server delivers it at the commit, and never without it.
    static let notify = Statement("storage.notify_log", .writes, ["channel": .text], "SELECT pg_notify(:channel, '')")
}
