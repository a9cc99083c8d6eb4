// One node at a time runs a job. The holder renews the lease; another node may take an expired one. Correctness does
// not depend on it: the jobs' transactions are conditional, so two holders would only repeat work.
package import Storage
import Synchronization

/// The statements of the table in which a service keeps the leases of its jobs.
package protocol JobLeaseStatements: Sendable {
    /// Zero rows while another holder's lease is valid.
    static func take(job: String, holder: String, until end: Instant, at now: Instant) -> BoundStatement
    /// Ends this holder's lease; the table may keep the `result`.
    static func release(job: String, holder: String, result: String?, at now: Instant) -> BoundStatement
}

package struct JobLeaseTable: Sendable {
    /// How long a lease lasts without a renewal.
    let time: Duration
    /// How often another node tries to take the lease.
    let retryInterval: Duration
    let statements: any JobLeaseStatements.Type

    package init(time: Duration, retryInterval: Duration, statements: any JobLeaseStatements.Type) {
        self.time = time
        self.retryInterval = retryInterval
        self.statements = statements
    }
}

package final class JobLease: Sendable {
    private struct State {
        var heldUntil: ContinuousClock.Instant?
        var askAt = ContinuousClock.now
    }

    private let job: String
    private let holder: String
    private let table: JobLeaseTable
    private let database: any SQLDatabase
    private let clock: Clock
    private let state = Mutex(State())

    /// `holder` names this node, and no other.
    package init(_ job: String, holder: String, in table: JobLeaseTable, of database: any SQLDatabase, clock: Clock) {
        self.job = job
        self.holder = holder
        self.table = table
        self.database = database
        self.clock = clock
    }

    /// Whether this node has the job; takes or renews the lease when due.
    package func hold() async throws -> Bool {
        let (held, askAt) = state.withLock { ($0.heldUntil, $0.askAt) }
        let asked = ContinuousClock.now
        if let held, held - table.time / 2 > asked { return true }
        if held == nil, askAt > asked { return false }
        let now = clock.now()
        let take = table.statements.take(job: job, holder: holder, until: now + table.time, at: now)
        let isHeld = try await database.run(take).affected > 0
        state.withLock { state in
            state.heldUntil = isHeld ? asked + table.time : nil
            state.askAt = asked + table.retryInterval
        }
        return isHeld
    }

    /// Lets another node take it at once.
    package func release(result: String? = nil) async {
        guard state.withLock({ $0.heldUntil }) != nil else { return }
        state.withLock { $0.heldUntil = nil }
        // If this fails the lease expires.
        let release = table.statements.release(job: job, holder: holder, result: result, at: clock.now())
        _ = try? await database.run(release)
    }
}
