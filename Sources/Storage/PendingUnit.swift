// A unit on its way through an engine.

/// Bound statements and the caller who waits for their commit.
package struct PendingUnit: Sendable {
    package let statements: [BoundStatement]
    private let reply: Reply<[SQLResult], StorageError>

    package init(_ statements: [BoundStatement], _ reply: Reply<[SQLResult], StorageError>) {
        self.statements = statements
        self.reply = reply
    }

    /// Roughly the bytes of the parameters, plus the messages around them.
    package var weight: Int {
        statements.reduce(0) { sum, bound in
            bound.values.reduce(sum + 64) { sum, value in
                switch value {
                case .text(let text): sum + text.utf8.count
                case .bytes(let bytes): sum + bytes.count
                default: sum + 8
                }
            }
        }
    }

    /// The logs that the unit appends to.
    package var logs: Set<OrderedLog> {
        Set(
            statements.compactMap { bound in
                if case .appends(let log) = bound.statement.effect { log } else { nil }
            }
        )
    }

    /// Resumes the caller. Call once, and with `.success` only after the commit.
    package func finish(_ result: Result<[SQLResult], StorageError>) {
        reply.resume(returning: result)
    }
}

extension [BoundStatement] {
    /// Whether every statement only reads, so that the unit may run beside the writers.
    package var onlyReads: Bool {
        allSatisfy { $0.statement.effect == .reads }
    }
}
