// A thread with a connection that serves one line of waiting work.
//
// It takes whatever waits, sends it in one flush and resumes the callers after the commit. There is no timer: a
// lone unit never waits for company. A batch that the server refused is run again by halves, so that in the end a
// caller sees only its own error.

internal import Foundation
internal import Logging
import Storage

/// One of the threads behind a `PostgresDatabase`.
final class Lane {
    private let url: String
    private let purpose: ConnectionPurpose
    private let queue: WorkQueue<PostgresWork>
    private let patient: WorkQueue<PostgresWork>
    /// How many lanes draw from the same line.
    private let siblings: Int
    private let configuration: PostgresConfiguration
    private let pace: ReconnectPace
    private let logger: Logger
    private let slow: SlowStatements
    private var connection: Connection?
    /// Set while waits for locks are shorter; a new connection begins with the usual ones.
    private var hurriesUntil: ContinuousClock.Instant?
    /// How many units of the batch met a lock.
    private var locksMet = 0
    private var isReconnecting = false

    init(
        url: String,
        purpose: ConnectionPurpose,
        queue: WorkQueue<PostgresWork>,
        patient: WorkQueue<PostgresWork>,
        siblings: Int,
        configuration: PostgresConfiguration,
        pace: ReconnectPace,
        logger: Logger
    ) {
        self.url = url
        self.purpose = purpose
        self.queue = queue
        self.patient = patient
        self.siblings = siblings
        self.configuration = configuration
        self.pace = pace
        self.logger = logger
        self.slow = SlowStatements(threshold: configuration.slow, logger: logger)
    }

    /// Serves the line until it is closed and empty.
    func serve() {
        // A patient lane takes one unit at a time: what came there is long or waits for a lock.
        let count = purpose == .patient ? 1 : configuration.batch
        while let work = queue.take(count: count, weight: configuration.batchWeight, sharedBy: siblings) {
            var units: [PendingUnit] = []
            for item in work {
                switch item {
                case .unit(let unit): units.append(unit)
                case .transaction(let run, let refuse):
                    do throws(StorageError) {
                        run(try usableConnection())
                    } catch {
                        refuse(error)
                    }
                }
            }
            endHurry()
            if !units.isEmpty { commit(units) }
            if locksMet > 1 { connection?.setLockTimeout("10ms") }
            locksMet = 0
        }
        connection = nil
    }

    // MARK: - Batches

    /// Runs units until each has its answer.
    ///
    /// - Parameters:
    ///   - units: what to commit together.
    ///   - retries: how often a batch that is *known* not to be committed may still be sent again.
    private func commit(_ units: [PendingUnit], retries: Int = 2) {
        let units = inTime(units)
        guard !units.isEmpty else { return }
        let connection: Connection
        do throws(StorageError) {
            connection = try usableConnection()
        } catch {
            for unit in units { unit.finish(.failure(error)) }
            return
        }
        let ready: [PendingUnit]
        do throws(StorageError) {
            ready = try prepare(units, connection)
        } catch {
            // Nothing of the units themselves has been sent.
            return resend(units, "\(error)", retries)
        }
        guard !ready.isEmpty else { return }
        switch slow.watching(ready.map(\.statements), results: \.results, { connection.commit(ready) }) {
        case .committed(let results):
            for (unit, result) in zip(ready, results) { unit.finish(result) }
        case .refused(let error, _, _) where error.isStalePlan && retries > 0:
            connection.forgetPreparations()
            commit(ready, retries: retries - 1)
        case .refused(let error, _, _) where error.isReadOnlyServer && purpose != .read:
            // A failover: the session is of no more use, another host may be the primary by now. The first time it is
            // looked for at once, then at the pace of reconnecting.
            self.connection = nil
            if retries < 2 { pace.failed() }
            resend(ready, "the server takes no writes (\(error.sqlState))", retries)
        case .refused(let error, let statement, let unit?) where error.isCancelled && ready.count > 1:
            // It would run into its limit again in each half, and the neighbours wait for it each time.
            ready[unit].finish(.failure(error.storageError(statement)))
            commit(Array(ready[..<unit] + ready[(unit + 1)...]))
        case .refused(let error, _, let unit?) where error.isConflict && purpose == .write:
            // Whoever holds the lock may hold it for long; the neighbours in this lane do not wait with it.
            patient.adopt(.unit(ready[unit]))
            hurry()
            commit(Array(ready[..<unit] + ready[(unit + 1)...]))
        case .refused(let error, OrderedLogStatements.lock.name, nil) where error.isConflict && purpose == .write:
            // Another session holds an ordered log; each part of the batch that appends would wait for it again.
            for unit in ready where !unit.logs.isEmpty { patient.adopt(.unit(unit)) }
            hurry()
            commit(ready.filter(\.logs.isEmpty))
        case .refused where ready.count > 1:
            let half = ready.count / 2
            commit(Array(ready[..<half]))
            commit(Array(ready[half...]))
        case .refused(let error, _, _) where error.isConflict && purpose == .write:
            // At the commit, which is the batch's and not a unit's.
            patient.adopt(.unit(ready[0]))
        case .refused(let error, _, _) where error.isConflict && retries > 0:
            commit(ready, retries: retries - 1)
        case .refused(let error, let statement, _):
            ready[0].finish(.failure(error.storageError(statement)))
        case .notCommitted(let reason):
            resend(ready, reason, retries)
        case .unknown(let reason) where purpose == .read:
            // A read has no effect to be unsure about.
            resend(ready, reason, retries)
        case .unknown(let reason):
            logger.warning("outcome unknown", metadata: ["units": "\(ready.count)", "reason": "\(reason)"])
            for unit in ready { unit.finish(.failure(.outcomeUnknown(reason: reason))) }
        }
    }

    /// Answers the units whose time is over; what is known not to be committed is not run again for ever. A patient lane
    /// has time.
    private func inTime(_ units: [PendingUnit]) -> [PendingUnit] {
        guard purpose != .patient else { return units }
        let latest = ContinuousClock.now - configuration.limits.patience
        if units.allSatisfy({ $0.submitted >= latest }) { return units }
        return units.filter { unit in
            if unit.submitted >= latest { return true }
            unit.finish(.failure(.unavailable(reason: "the database took too long")))
            return false
        }
    }

    // MARK: - Locks of others

    /// For a second after a lock was met, the lane waits for locks a tenth of its usual time: the row may be held for
    /// long, and each unit that needs it would cost its neighbours the whole of it.
    private func hurry() {
        if hurriesUntil == nil { connection?.setLockTimeout("10ms") }
        hurriesUntil = .now + .seconds(1)
        locksMet += 1
        // A crowd for one row, each of which would cost the others its wait.
        if locksMet == 2 { connection?.setLockTimeout("1ms") }
    }

    private func endHurry() {
        guard let end = hurriesUntil, .now >= end else { return }
        hurriesUntil = nil
        connection?.setLockTimeout(ConnectionPurpose.laneLockTimeout)
    }

    private func resend(_ units: [PendingUnit], _ reason: String, _ retries: Int) {
        if retries > 0 { return commit(units, retries: retries - 1) }
        for unit in units { unit.finish(.failure(.unavailable(reason: reason))) }
    }

    /// Prepares the units' statements and answers the units that can never run.
    private func prepare(_ units: [PendingUnit], _ connection: Connection) throws(StorageError) -> [PendingUnit] {
        var missing: Set<Statement> = []
        var appends = false
        for unit in units {
            for bound in unit.statements where !connection.isPrepared(bound.statement) {
                missing.insert(bound.statement)
            }
            if !unit.logs.isEmpty { appends = true }
        }
        if appends {
            for statement in [OrderedLogStatements.lock, OrderedLogStatements.notify]
            where !connection.isPrepared(statement) { missing.insert(statement) }
        }
        let refused = try connection.prepare(missing)
        if refused.isEmpty { return units }
        return units.filter { unit in
            guard let error = unit.statements.lazy.compactMap({ refused[$0.statement] }).first else { return true }
            if case .conflict = error, purpose == .write {
                // A statement waits for the lock of its table as soon as it is prepared.
                patient.adopt(.unit(unit))
                hurry()
            } else {
                unit.finish(.failure(error))
            }
            return false
        }
    }

    // MARK: - The connection

    /// The lane's connection, opened again after a loss.
    ///
    /// - Throws: `StorageError.unavailable` at once while the last failure is too recent: callers fail fast
    ///   instead of queueing up behind a database that is down.
    private func usableConnection() throws(StorageError) -> Connection {
        if let connection, connection.isUsable() { return connection }
        connection = nil
        guard pace.allowsAttempt else { throw .unavailable(reason: "the database cannot be reached") }
        do throws(StorageError) {
            let opened = try Connection(url: url, purpose: purpose, silence: configuration.silence)
            if isReconnecting { logger.info("connected again", metadata: ["lane": "\(purpose)"]) }
            isReconnecting = false
            pace.succeeded()
            hurriesUntil = nil
            locksMet = 0
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
