// Group commit.
//
// One SQL transaction, a savepoint for each waiting transaction, one commit; callers resume only after it. A
// transaction that fails is rolled back to its savepoint, and the others are not affected. Some errors (a full disk, an
// interrupt) make SQLite roll back the *whole* SQL transaction by itself, with the savepoints already released. So
// after every error the writer checks whether the SQL transaction is still open, and if not runs the transactions again
// one by one.

internal import Logging
import Storage

/// The thread that owns the writing connection.
struct SQLiteWriter {
    let connection: SQLiteConnection
    let queue: WorkQueue
    let batchSize: Int
    let walLimit: Int
    let slow: SlowStatements
    let logger: Logger
    /// Called with the logs that a commit has added to.
    let appended: @Sendable (Set<OrderedLog>) -> Void
    private var batches = 0
    private var nextOptimize = ContinuousClock.now + .seconds(60)

    init(
        connection: SQLiteConnection,
        queue: WorkQueue,
        configuration: SQLiteConfiguration,
        slow: SlowStatements,
        logger: Logger,
        appended: @escaping @Sendable (Set<OrderedLog>) -> Void
    ) {
        self.appended = appended
        self.connection = connection
        self.queue = queue
        self.batchSize = configuration.batchSize
        self.walLimit = configuration.walLimit
        self.slow = slow
        self.logger = logger
    }

    /// Serves the queue until it is closed and empty.
    mutating func run() {
        while let work = queue.take(count: batchSize, weight: 1 << 20) {
            var transactions: [PendingTransaction] = []
            for item in work {
                if let transaction = item as? PendingTransaction {
                    transactions.append(transaction)
                } else if let interactive = item as? SQLiteWork {
                    interactive.run(connection)
                }
            }
            if !transactions.isEmpty { commit(transactions) }
            performMaintenance()
        }
        connection.optimize()
    }

    /// After the callers have their answers.
    private mutating func performMaintenance() {
        batches &+= 1
        guard batches.isMultiple(of: 64) else { return }
        if connection.walSize > walLimit { connection.emptyLog(maxWait: .milliseconds(250)) }
        guard ContinuousClock.now >= nextOptimize else { return }
        nextOptimize = .now + .seconds(3600)
        connection.optimize()
    }

    private func commit(_ transactions: [PendingTransaction]) {
        let statements = transactions.map(\.statements)
        switch slow.watching(statements, results: \.results, { connection.commit(statements) }) {
        case .committed(let results):
            for (transaction, result) in zip(transactions, results) { transaction.finish(result) }
            let logs = transactions.reduce(into: Set<OrderedLog>()) { $0.formUnion($1.logs) }
            if !logs.isEmpty { appended(logs) }
        case .rolledBack(let error) where transactions.count == 1:
            transactions[0].finish(.failure(error))
        case .rolledBack(let error):
            logger.debug(
                "batch rolled back, its transactions run singly",
                metadata: ["units": "\(transactions.count)", "error": "\(error)"]
            )
            for transaction in transactions { commit([transaction]) }
        case .unknown(let error):
            logger.warning("outcome unknown", metadata: ["units": "\(transactions.count)", "error": "\(error)"])
            for transaction in transactions { transaction.finish(.failure(error)) }
        case .notBegun(let error):
            for transaction in transactions { transaction.finish(.failure(error)) }
        }
    }
}

/// The outcome of a group commit.
enum SQLiteCommit {
    /// Durable; a transaction that failed was left out and has its error here.
    case committed([Result<[SQLResult], StorageError>])
    /// Nothing of the batch took effect.
    case rolledBack(StorageError)
    /// The SQL transaction could not start, so running the transactions again at once would not help.
    case notBegun(StorageError)
    /// The disk failed during the commit, so the commit record may or may not be in the file.
    case unknown(StorageError)

    /// What each transaction returned, once they are durable.
    var results: [Result<[SQLResult], StorageError>]? {
        if case .committed(let results) = self { results } else { nil }
    }
}
