internal import Synchronization

/// Bound statements and the caller that waits for their commit.
package final class PendingTransaction: QueuedWork {
    package let statements: [BoundStatement]
    /// Roughly the bytes of the parameters, plus the messages around them.
    package let weight: Int
    /// The logs that the transaction appends to.
    package let logs: Set<OrderedLog>
    /// When the caller began to wait.
    package let submitted = ContinuousClock.now
    private let reply: UnsafeContinuation<Result<[SQLResult], StorageError>, Never>
    private let isAnswered = Atomic(false)

    package init(
        _ statements: [BoundStatement],
        _ reply: UnsafeContinuation<Result<[SQLResult], StorageError>, Never>
    ) {
        self.statements = statements
        self.reply = reply
        var weight = 0
        var logs: Set<OrderedLog> = []
        for bound in statements {
            weight += 64
            for value in bound.values {
                switch value {
                case .text(let text): weight += text.utf8.count
                case .bytes(let bytes): weight += bytes.count
                case .words(let words): weight += words.text.utf8.count
                default: weight += 8
                }
            }
            if case .appends(let log) = bound.statement.effect { logs.insert(log) }
        }
        self.weight = weight
        self.logs = logs
    }

    /// A caller never waits for an answer that no engine owes it any more.
    deinit {
        if !isAnswered.load(ordering: .acquiring) {
            reply.resume(returning: .failure(.outcomeUnknown(reason: "the engine dropped it")))
        }
    }

    package var isExclusive: Bool { false }

    /// Resumes the caller; the first answer counts. `.success` only after the commit.
    package func finish(_ result: Result<[SQLResult], StorageError>) {
        if !isAnswered.exchange(true, ordering: .acquiringAndReleasing) { reply.resume(returning: result) }
    }

    package func refuse(_ error: StorageError) { finish(.failure(error)) }
}

extension [BoundStatement] {
    /// Whether every statement only reads, so that the transaction may run beside the writers.
    package var onlyReads: Bool {
        allSatisfy { $0.statement.effect == .reads }
    }
}
