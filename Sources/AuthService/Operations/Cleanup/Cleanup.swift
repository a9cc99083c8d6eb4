// Tessera cleans up after itself: rows that nothing can need any more go, in small batches, on one node at a time.
//
// A node that wants to clean takes the lease first; a lease that ran out (a node died) may be taken by another. The
// command and the admin endpoint run the same pass at once. Every pass is safe to repeat and to stop half-way.
import Metrics
import OpenSSLCrypto
package import ServiceKit
package import Storage

/// How many rows a pass removed, by what they were.
package struct CleanupReport: Sendable {
    package var counts: [(name: String, count: Int)] = []

    package var total: Int { counts.reduce(0) { $0 + $1.count } }

    package func write(to writer: inout JSONWriter) {
        writer.object { writer in
            for (name, count) in counts { writer.key(named: name) { $0.integer(Int64(count)) } }
        }
    }
}

package struct Cleanup: Sendable {
    let database: any SQLDatabase
    let clock: Clock
    let eventRetention: Duration
    let auditRetention: Duration
    let accessTokenLifetime: Duration
    /// Names this process in the lease.
    let holder: String

    private static let batch: Int64 = 500
    private static let leaseTime: Duration = .seconds(300)

    private struct Step {
        let name: String
        /// What the transaction begins with, without removing anything.
        var before: (@Sendable (_ now: Instant) -> BoundStatement)?
        /// Each removes a batch at most.
        let statements: @Sendable (_ now: Instant) -> [BoundStatement]
    }

    private var steps: [Step] {
        [
            Step(name: "sessions_marked") { [SessionCleanupStatements.markGloballyRevoked(at: $0, limit: Self.batch)] },
            Step(name: "refresh_tokens") { [RefreshTokenStatements.deleteExpired(before: $0, limit: Self.batch)] },
            // An ended session stays visible for a day, and longer than any access token of it can live.
            Step(name: "sessions") {
                let day: Duration = .seconds(86_400)
                return [
                    SessionCleanupStatements.deleteExpired(before: $0 - day - day, limit: Self.batch),
                    SessionCleanupStatements.deleteRevoked(before: $0 - day - accessTokenLifetime, limit: Self.batch),
                ]
            },
            Step(name: "rate_counters") { [ThrottleStatements.deleteExpired(before: $0, limit: Self.batch)] },
            // A minute after their end no node takes them, however its clock goes.
            Step(name: "client_assertions") {
                [ClientStatements.deleteExpiredAssertions(before: $0 - .seconds(60), limit: Self.batch)]
            },
            // The horizon counts no row: it says what the same unit deletes.
            Step(
                name: "events",
                before: { EventLogStatements.raiseHorizon(before: $0 - eventRetention, limit: Self.batch) }
            ) {
                [EventLogStatements.delete(before: $0 - eventRetention, limit: Self.batch)]
            },
            Step(name: "audit_log") { [AuditStatements.delete(before: $0 - auditRetention, limit: Self.batch)] },
        ]
    }

    /// One pass, if no other node is at it; `nil` when one is.
    package func runIfFree() async throws -> CleanupReport? {
        let now = clock.now()
        let taken = try await database.run(
            CleanupStatements.take(holder: holder, until: now + Self.leaseTime, at: now)
        )
        guard taken.affected > 0 else { return nil }
        let report = try await run()
        _ = try await database.run(
            CleanupStatements.release(holder: holder, result: "\(report.total)", at: clock.now())
        )
        return report
    }

    /// One pass, lease or no lease: its statements harm nobody who does the same.
    package func run() async throws -> CleanupReport {
        var report = CleanupReport()
        for step in steps {
            var count = 0
            while true {
                let now = clock.now()
                var transaction = Transaction()
                if let before = step.before?(now) { transaction.add(before) }
                let batches = transaction.add(contentsOf: step.statements(now))
                let results = try await database.run(transaction, priority: .long)
                let removed = batches.map { results[$0].affected }
                count += removed.reduce(0, +)
                if removed.allSatisfy({ $0 < Int(Self.batch) }) { break }
            }
            report.counts.append((step.name, count))
            Counter(label: "tessera_cleanup_rows_total", dimensions: [("what", step.name)]).increment(by: count)
        }
        Gauge(label: "tessera_cleanup_last_run_seconds").record(clock.now().seconds)
        return report
    }
}
