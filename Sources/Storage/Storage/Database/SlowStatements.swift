// The slow-statement log: names of statements, numbers of rows, milliseconds. Never a parameter or a row.

package import Logging

/// Logs what took longer than a threshold.
///
/// A batch is one line, because its transactions share one round trip and one commit, and the server does not report
/// progress in between.
package struct SlowStatements: Sendable {
    private let threshold: Duration
    private let logger: Logger

    package init(threshold: Duration, logger: Logger) {
        self.threshold = threshold
        self.logger = logger
    }

    /// Runs a batch, and writes a line when it took at least the threshold.
    ///
    /// - Parameters:
    ///   - transactions: the statements of each transaction.
    ///   - results: the transactions' results, where the outcome has any.
    ///   - body: runs the batch.
    /// - Returns: what `body` returns.
    package func watching<Outcome>(
        _ transactions: @autoclosure () -> [[BoundStatement]],
        results: (Outcome) -> [Result<[SQLResult], StorageError>]?,
        _ body: () -> Outcome
    ) -> Outcome {
        let start = ContinuousClock.now
        let outcome = body()
        let elapsed = start.duration(to: .now)
        if elapsed >= threshold { report(transactions(), results(outcome), elapsed) }
        return outcome
    }

    private func report(
        _ transactions: [[BoundStatement]],
        _ results: [Result<[SQLResult], StorageError>]?,
        _ elapsed: Duration
    ) {
        var names: [String] = []
        var tally: [String: (count: Int, rows: Int)] = [:]
        for (index, transaction) in transactions.enumerated() {
            let rows = results.flatMap { try? $0[index].get() }
            for (position, bound) in transaction.enumerated() {
                let name = bound.statement.name
                if tally[name] == nil { names.append(name) }
                tally[name, default: (0, 0)].count += 1
                tally[name, default: (0, 0)].rows += rows?[position].affected ?? 0
            }
        }
        let statements = names.map { name in
            let (count, rows) = tally[name] ?? (0, 0)
            return "\(name)\(count > 1 ? " x\(count)" : "") rows=\(rows)"
        }
        logger.warning(
            "slow sql",
            metadata: [
                "statements": "\(statements.joined(separator: ", "))", "units": "\(transactions.count)",
                "ms": "\(elapsed.wholeMicroseconds / 1000)",
            ]
        )
    }
}
