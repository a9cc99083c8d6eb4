// A thread with a connection, which serves one queue.
//
// It takes what waits, sends it in one flush and resumes the callers after the commit. There is no timer: a lone
// transaction never waits for others. A batch that the server refused is run again by halves, so that in the end a
// caller sees only its own error.

internal import Foundation
internal import Logging
import Storage

/// One of the threads behind a `PostgresDatabase`.
final class ConnectionWorker {
    private let url: String
    private let schema: String?
    private let purpose: ConnectionPurpose
    private let queue: WorkQueue
    private let slowPool: WorkQueue
    /// How many workers share the queue.
    private let workerCount: Int
    private let configuration: PostgresConfiguration
    private let pace: ReconnectPace
    private let logger: Logger
    private let slow: SlowStatements
    private var connection: Connection?
    /// When the shorter lock timeout ends; `nil` while the usual one is set. A new connection begins with the usual
    /// one.
    private var shortTimeoutEnd: ContinuousClock.Instant?
    /// How many transactions of the batch met a lock.
    private var lockConflicts = 0
    private var isReconnecting = false

    init(
        url: String,
        schema: String?,
        purpose: ConnectionPurpose,
        queue: WorkQueue,
        slowPool: WorkQueue,
        workerCount: Int,
        configuration: PostgresConfiguration,
        pace: ReconnectPace,
        logger: Logger
    ) {
        self.url = url
        self.schema = schema
        self.purpose = purpose
        self.queue = queue
        self.slowPool = slowPool
        self.workerCount = workerCount
        self.configuration = configuration
        self.pace = pace
        self.logger = logger
        self.slow = SlowStatements(threshold: configuration.slow, logger: logger)
    }

    /// Serves the queue until it is closed and empty.
    func serve() {
        // A worker of the slow pool takes one transaction at a time: each is long or waits for a lock.
        let count = purpose == .slow ? 1 : configuration.batchSize
        while let work = queue.take(count: count, weight: configuration.maxBatchWeight, sharedBy: workerCount) {
            var transactions: [PendingTransaction] = []
            for item in work {
                if let transaction = item as? PendingTransaction {
                    transactions.append(transaction)
                } else if let interactive = item as? PostgresWork {
                    do throws(StorageError) {
                        interactive.run(try usableConnection())
                    } catch {
                        interactive.refuse(error)
                    }
                }
            }
            restoreLockTimeout()
            if !transactions.isEmpty { commit(transactions) }
            if lockConflicts > 1 { connection?.setLockTimeout("10ms") }
            lockConflicts = 0
        }
        connection = nil
    }

    // MARK: - Batches

    /// Runs transactions until each has its answer.
    ///
    /// - Parameters:
    ///   - transactions: what to commit together.
    ///   - retries: how often a batch that is *known* not to be committed may still be sent again.
    private func commit(_ transactions: [PendingTransaction], retries: Int = 2) {
        let transactions = inTime(transactions)
        guard !transactions.isEmpty else { return }
        let connection: Connection
        do throws(StorageError) {
            connection = try usableConnection()
        } catch {
            for transaction in transactions { transaction.finish(.failure(error)) }
            return
        }
        let ready: [PendingTransaction]
        do throws(StorageError) {
            ready = try prepare(transactions, connection)
        } catch {
            // Nothing of the transactions themselves has been sent.
            return resend(transactions, "\(error)", retries)
        }
        guard !ready.isEmpty else { return }
        switch slow.watching(ready.map(\.statements), results: \.results, { connection.commit(ready) }) {
        case .committed(let results):
            for (transaction, result) in zip(ready, results) { transaction.finish(result) }
        case .refused(let error, _, _) where error.isStalePlan && retries > 0:
            connection.forgetPreparations()
            commit(ready, retries: retries - 1)
        case .refused(let error, _, _) where error.isReadOnlyServer && purpose != .read:
            // A failover: the session is useless, and another host may be the primary by now. The first search for it
            // is immediate, later ones follow the pace of reconnecting.
            self.connection = nil
            if retries < 2 { pace.failed() }
            resend(ready, "the server takes no writes (\(error.sqlState))", retries)
        case .refused(let error, let statement, let failed?) where error.isCancelled && ready.count > 1:
            // It would reach its time limit again in each half, and delay the rest of the batch each time.
            ready[failed].finish(.failure(error.storageError(statement)))
            commit(Array(ready[..<failed] + ready[(failed + 1)...]))
        case .refused(let error, _, let failed?) where error.isConflict && purpose == .write:
            // The lock may be held for long; the rest of the batch does not wait for it.
            slowPool.adopt(ready[failed])
            shortenLockTimeout()
            commit(Array(ready[..<failed] + ready[(failed + 1)...]))
        case .refused(let error, OrderedLogStatements.lock.name, nil) where error.isConflict && purpose == .write:
            // Another session holds an ordered log. Each part of the batch that appends would wait for it again.
            for transaction in ready where !transaction.logs.isEmpty { slowPool.adopt(transaction) }
            shortenLockTimeout()
            commit(ready.filter(\.logs.isEmpty))
        case .refused where ready.count > 1:
            let half = ready.count / 2
            commit(Array(ready[..<half]))
            commit(Array(ready[half...]))
        case .refused(let error, _, _) where error.isConflict && purpose == .write:
            // The commit failed, which belongs to the batch and not to a transaction.
            slowPool.adopt(ready[0])
        case .refused(let error, _, _) where error.isConflict && retries > 0:
            commit(ready, retries: retries - 1)
        case .refused(let error, let statement, _):
            ready[0].finish(.failure(error.storageError(statement)))
        case .notCommitted(let reason):
            resend(ready, reason, retries)
        case .unknown(let reason) where purpose == .read:
            // A read has no effect, so it can be run again.
            resend(ready, reason, retries)
        case .unknown(let reason):
            logger.warning("outcome unknown", metadata: ["units": "\(ready.count)", "reason": "\(reason)"])
            for transaction in ready { transaction.finish(.failure(.outcomeUnknown(reason: reason))) }
        }
    }

    /// Answers the transactions whose time is over, so that a transaction that is known not to be committed is not run
    /// again for ever. The slow pool has no such limit.
    private func inTime(_ transactions: [PendingTransaction]) -> [PendingTransaction] {
        guard purpose != .slow else { return transactions }
        let latest = ContinuousClock.now - configuration.limits.maxWait
        if transactions.allSatisfy({ $0.submitted >= latest }) { return transactions }
        return transactions.filter { transaction in
            if transaction.submitted >= latest { return true }
            transaction.finish(.failure(.unavailable(reason: "the database took too long")))
            return false
        }
    }

    // MARK: - Locks of others

    /// For a second after a lock conflict, the worker waits for locks a tenth of its usual time. The row may be held
    /// for long, and each transaction that needs it would delay the rest of its batch by the full timeout.
    private func shortenLockTimeout() {
        if shortTimeoutEnd == nil { connection?.setLockTimeout("10ms") }
        shortTimeoutEnd = .now + .seconds(1)
        lockConflicts += 1
        // Many transactions need one row, and each would delay the others.
        if lockConflicts == 2 { connection?.setLockTimeout("1ms") }
    }

    private func restoreLockTimeout() {
        guard let end = shortTimeoutEnd, .now >= end else { return }
        shortTimeoutEnd = nil
        connection?.setLockTimeout(ConnectionPurpose.writeLockTimeout)
    }

    private func resend(_ transactions: [PendingTransaction], _ reason: String, _ retries: Int) {
        if retries > 0 { return commit(transactions, retries: retries - 1) }
        for transaction in transactions { transaction.finish(.failure(.unavailable(reason: reason))) }
    }

    /// Prepares the transactions' statements and answers the transactions that can never run.
    private func prepare(_ transactions: [PendingTransaction], _ connection: Connection) throws(StorageError)
        -> [PendingTransaction]
    {
        var missing: Set<Statement> = []
        var appends = false
        for transaction in transactions {
            for bound in transaction.statements where !connection.isPrepared(bound.statement) {
                missing.insert(bound.statement)
            }
            if !transaction.logs.isEmpty { appends = true }
        }
        if appends {
            for statement in [OrderedLogStatements.lock, OrderedLogStatements.notify]
            where !connection.isPrepared(statement) { missing.insert(statement) }
        }
        let refused = try connection.prepare(missing)
        if refused.isEmpty { return transactions }
        return transactions.filter { transaction in
            guard let error = transaction.statements.lazy.compactMap({ refused[$0.statement] }).first else {
                return true
            }
            if case .conflict = error, purpose == .write {
                // Preparing a statement already waits for the lock of its table.
                slowPool.adopt(transaction)
                shortenLockTimeout()
            } else {
                transaction.finish(.failure(error))
            }
            return false
        }
    }

    // MARK: - The connection

    /// The worker's connection, opened again after a loss.
    ///
    /// - Throws: `StorageError.unavailable` at once while the last failure is too recent: callers fail fast instead of
    ///   queueing for a database that is down.
    private func usableConnection() throws(StorageError) -> Connection {
        if let connection, connection.isUsable() { return connection }
        connection = nil
        guard pace.allowsAttempt else { throw .unavailable(reason: "the database cannot be reached") }
        do throws(StorageError) {
            let opened = try Connection(url: url, schema: schema, purpose: purpose, silence: configuration.silence)
            if isReconnecting { logger.info("connected again", metadata: ["lane": "\(purpose)"]) }
            isReconnecting = false
            pace.succeeded()
            shortTimeoutEnd = nil
            lockConflicts = 0
            connection = opened
            return opened
        } catch {
            isReconnecting = true
            pace.failed()
            logger.warning("cannot connect", metadata: ["lane": "\(purpose)", "error": "\(error)"])
            throw error
        }
    }
}
