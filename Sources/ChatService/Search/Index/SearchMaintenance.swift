// Maintains the search's index: running rebuilds, rows of older programs, and words of deleted rows.
import Logging
import ServiceKit
import ServiceLifecycle
import Storage

/// Checks the index at the start and every second, and further work every minute.
struct SearchMaintenanceService: Service {
    let database: any SQLDatabase
    let clock: Clock
    /// One process at a time rebuilds and purges; the backfill needs no lease.
    let lease: JobLease
    let logger: Logger
    var interval: Duration = .seconds(1)
    /// Checks between two runs of the backfill and the purge.
    var ticksPerRun = 60

    func run() async throws {
        await attempt("looking at the search index failed", inspect)
        var ticks = 0
        await PeriodicJob(every: interval, failure: "rebuilding the search index failed", logger: logger)
            .run(startsAtOnce: true) {
                if ticks.isMultiple(of: ticksPerRun) {
                    await attempt("filling the search index failed", backfill)
                    await attempt("purging the search index failed", purge)
                }
                ticks += 1
                try await rebuild()
            }
        await lease.release()
    }

    private func attempt(_ message: String, _ work: () async throws -> Void) async {
        do {
            try await work()
        } catch {
            logger.error("\(message)", metadata: ["error": "\(error)"])
        }
    }

    /// Otherwise the next write would find a faulty index, and wait for it.
    private func inspect() async throws {
        guard database.engine == .sqlite else { return }
        for table in SearchTable.allCases where try await SearchIndex.status(of: table, in: database).state == .ready {
            do {
                _ = try await database.run(SearchIndexStatements.of(table).probe())
            } catch StorageError.damaged(let reason, _) {
                try await SearchIndex.beginRebuild(of: [table], in: database, because: reason)
            }
        }
    }

    private func backfill() async throws {
        let count = try await SearchBackfill(database: database).run()
        if count > 0 { logger.info("search index filled", metadata: ["rows": "\(count)"]) }
    }

    private func purge() async throws {
        let purge = SearchPurge(database: database, clock: clock)
        guard try await purge.isDue(), try await lease.hold() else { return }
        let passes = try await purge.run(while: mayGoOn).passes
        if passes > 0 { logger.info("search index purged", metadata: ["indexes": "\(passes)"]) }
        await lease.release()
    }

    private func rebuild() async throws {
        guard database.engine == .sqlite else { return }
        guard try await !SearchReadiness.isReady(database.run(SearchReadiness.check())), try await lease.hold() else {
            return
        }
        logger.notice("rebuilding the search index")
        let report = try await SearchRebuild(database: database).run(while: mayGoOn)
        if report.isFinished {
            logger.notice(
                "search index rebuilt",
                metadata: ["rows": "\(report.rows)", "reason": "\(report.reason ?? "")"]
            )
        }
        await lease.release()
    }

    private func mayGoOn() async throws -> Bool {
        if Task.isShuttingDownGracefully { return false }
        return try await lease.hold()
    }
}
