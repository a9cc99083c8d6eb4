import ServiceKit
// One node at a time runs a job. The holder renews the lease; another node may take an expired one. Correctness does
// not depend on it: the jobs' transactions are conditional, so two holders would only repeat work.
import Storage
import Synchronization

final class JobLease: Sendable {
    private static let time: Duration = .seconds(15)
    /// How often another node tries to take the lease.
    private static let retryInterval: Duration = .seconds(3)

    private struct State {
        var heldUntil: ContinuousClock.Instant?
        var askAt = ContinuousClock.now
    }

    private let job: String
    private let holder: String
    private let database: any SQLDatabase
    private let clock: Clock
    private let state = Mutex(State())

    /// `holder` names this node, and no other.
    init(_ job: String, holder: String, database: any SQLDatabase, clock: Clock) {
        self.job = job
        self.holder = holder
        self.database = database
        self.clock = clock
    }

    /// Whether this node has the job; takes or renews the lease when due.
    func hold() async throws -> Bool {
        let (held, askAt) = state.withLock { ($0.heldUntil, $0.askAt) }
        let asked = ContinuousClock.now
        if let held, held - Self.time / 2 > asked { return true }
        if held == nil, askAt > asked { return false }
        let now = clock.now()
        let taken = try await database.run(LeaseStatements.take(job, holder, now + Self.time, now))
        let isHeld = taken.affected > 0
        state.withLock { state in
            state.heldUntil = isHeld ? asked + Self.time : nil
            state.askAt = asked + Self.retryInterval
        }
        return isHeld
    }

    /// Lets another node take it at once.
    func release() async {
        guard state.withLock({ $0.heldUntil }) != nil else { return }
        state.withLock { $0.heldUntil = nil }
        // If this fails the lease expires.
        _ = try? await database.run(LeaseStatements.release(job, holder, clock.now()))
    }
}

enum LeaseStatements {
    /// Zero rows while another holder's lease is valid.
    static let take = Statement(
        "leases.take",
        .writes,
        [.text, .text, .instant, .instant],
        """
        INSERT INTO job_leases (name, holder, expires_at) VALUES ($1, $2, $3)
        ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at
        WHERE job_leases.expires_at <= $4 OR job_leases.holder = $2
        """
    )

    static let release = Statement(
        "leases.release",
        .writes,
        [.text, .text, .instant],
        "UPDATE job_leases SET expires_at = $3 WHERE name = $1 AND holder = $2"
    )

    /// For readiness: always changes one row, with its own holder.
    static func writeProbe(at now: Instant) -> BoundStatement { take("readyz", "readyz", now, now) }

    static let all = [take, release]
}
