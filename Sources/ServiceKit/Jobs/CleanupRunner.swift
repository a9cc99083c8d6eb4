// The cleanup of a service: the steps of its areas, one after the other, on one node at a time.
//
// A node takes the lease first. If it dies, another may take the expired lease. The command and the admin endpoint run
// the same pass at once. A pass may be repeated, and interrupted anywhere.
package import Logging
import Metrics
package import Storage

/// The rows that a pass removed, by kind.
package struct CleanupReport: Sendable {
    package private(set) var counts: [(name: String, count: Int)] = []

    package var total: Int { counts.reduce(0) { $0 + $1.count } }

    package func write(to writer: inout JSONWriter) {
        writer.object { writer in
            for (name, count) in counts { writer.key(named: name) { $0.integer(Int64(count)) } }
        }
    }

    /// Several steps may remove rows of one name.
    mutating func add(_ count: Int, as name: String) {
        if let index = counts.firstIndex(where: { $0.name == name }) {
            counts[index].count += count
        } else {
            counts.append((name, count))
        }
    }
}

package struct CleanupRunner: Sendable {
    private let database: any SQLDatabase
    private let clock: Clock
    private let steps: [CleanupStep]
    private let lease: JobLease
    private let lastRunLabel: String

    /// `lastRunLabel`: the metric of the last pass's end.
    package init(
        database: any SQLDatabase,
        clock: Clock,
        steps: [CleanupStep],
        lease: JobLease,
        lastRunLabel: String
    ) {
        self.database = database
        self.clock = clock
        self.steps = steps
        self.lease = lease
        self.lastRunLabel = lastRunLabel
    }

    package func run(every interval: Duration, logger: Logger) async {
        await PeriodicJob(every: interval, failure: "cleanup failed", logger: logger).run {
            if let report = try await runIfFree(), report.total > 0 {
                logger.info("cleaned up", metadata: ["rows": "\(report.total)"])
            }
        }
    }

    /// `nil` if another node runs a pass.
    package func runIfFree() async throws -> CleanupReport? {
        guard try await lease.hold() else { return nil }
        do {
            let report = try await run { [lease] in _ = try await lease.hold() }
            await lease.release(result: "\(report.total)")
            return report
        } catch {
            await lease.release()
            throw error
        }
    }

    /// Runs without the lease: concurrent passes do no harm.
    package func run() async throws -> CleanupReport { try await run {} }

    private func run(_ renew: @escaping @Sendable () async throws -> Void) async throws -> CleanupReport {
        var report = CleanupReport()
        for step in steps {
            var pass = CleanupPass(database: database, clock: clock, renew: renew)
            try await step.run(&pass)
            for name in step.names {
                let count = pass.removed[name] ?? 0
                report.add(count, as: name)
                Counter(label: "tessera_cleanup_rows_total", dimensions: [("what", name)]).increment(by: count)
            }
        }
        Gauge(label: lastRunLabel).record(clock.now().seconds)
        return report
    }
}
