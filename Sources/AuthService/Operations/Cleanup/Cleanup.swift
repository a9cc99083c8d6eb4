// Removes unneeded rows in small batches, on one node at a time.
//
// A node takes the lease first. If it dies, another may take the expired lease. The command and the admin endpoint run
// the same pass at once. A pass may be repeated, and interrupted anywhere.
import Metrics
import OpenSSLCrypto
package import ServiceKit
package import Storage

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
    let steps: [CleanupStep]
    let holder: String

    private static let batchSize: Int64 = 500
    private static let leaseTime: Duration = .seconds(300)

    /// `nil` if another node runs a pass.
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

    /// Runs without the lease: concurrent passes do no harm.
    package func run() async throws -> CleanupReport {
        var report = CleanupReport()
        for step in steps {
            var count = 0
            while true {
                var transaction = Transaction()
                let batches = step.add(&transaction, clock.now(), Self.batchSize)
                let results = try await database.run(transaction, priority: .long)
                let removed = batches.map { results[$0].affected }
                count += removed.reduce(0, +)
                if removed.allSatisfy({ $0 < Int(Self.batchSize) }) { break }
            }
            report.counts.append((step.name, count))
            Counter(label: "tessera_cleanup_rows_total", dimensions: [("what", step.name)]).increment(by: count)
        }
        Gauge(label: "tessera_cleanup_last_run_seconds").record(clock.now().seconds)
        return report
    }
}
