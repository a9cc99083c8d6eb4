// The operator's commands: remove the words of deleted rows now, and rebuild the index.
import ServiceKit
import Storage

package struct SearchCommands: Sendable {
    private let database: any SQLDatabase
    private let clock: Clock
    private let lease: JobLease

    init(database: any SQLDatabase, clock: Clock, ids: IDGenerator) {
        self.database = database
        self.clock = clock
        lease = JobLease("search", holder: ids.name(), database: database, clock: clock)
    }

    /// How long a purge waits for readers of an older state. Those of requests are gone in moments.
    private static let maxWait: Duration = .seconds(60)

    /// Removes the words of deleted rows from SQLite's file. PostgreSQL's VACUUM does so by itself.
    ///
    /// - Returns: what was done; a pass that a reader blocked for a minute is unfinished.
    package func purge() async throws -> SearchPurge.Report {
        try await alone {
            let purge = SearchPurge(database: database, clock: clock)
            // A pass that is under way does not have what was deleted since it began.
            let isUnderWay = try await isPurging()
            var report = try await finish(purge)
            if isUnderWay, report.unfinished == 0 {
                let second = try await finish(purge)
                report.passes += second.passes
                report.unfinished = second.unfinished
            }
            // If a rebuild is cheaper.
            _ = try await persistently {
                try await SearchRebuild(database: database).run(while: { try await lease.hold() })
            }
            return report
        }
    }

    /// Rebuilds the index while the service runs. PostgreSQL searches continue.
    ///
    /// - Returns: the number of indexed rows; `nil` if the engine does not report it.
    package func rebuild() async throws -> Int? {
        if database.engine == .postgres {
            for index in ["messages_search", "conversations_search"] { try await reindex(index) }
            return nil
        }
        return try await alone {
            try await SearchIndex.beginRebuild(in: database, because: "tessera search rebuild")
            return try await persistently {
                try await SearchRebuild(database: database).run(while: { try await lease.hold() }).rows
            }
        }
    }

    private func isPurging() async throws -> Bool {
        for table in SearchTable.allCases where database.engine == .sqlite {
            if try await SearchIndex.status(of: table, in: database).isPurging { return true }
        }
        return false
    }

    /// One pass of each index that has changed, to its end or until a reader has blocked it for a minute.
    private func finish(_ purge: SearchPurge) async throws -> SearchPurge.Report {
        let deadline = ContinuousClock.now + Self.maxWait
        var report = try await persistently { try await purge.run(isForced: true, while: { try await lease.hold() }) }
        while report.unfinished > 0, ContinuousClock.now < deadline {
            try await Task.sleep(for: .milliseconds(200))
            let further = try await persistently { try await purge.run(while: { try await lease.hold() }) }
            report.passes += further.passes
            report.unfinished = further.unfinished
        }
        return report
    }

    /// Goes on with a pass when a busy service has kept the writer's lock for the time of a conflict, five seconds:
    /// SQLite does not give the lock to the one that has waited longest.
    private func persistently<T>(_ pass: () async throws -> T) async throws -> T {
        for _ in 1..<20 {
            do { return try await pass() } catch StorageError.conflict { continue }
        }
        return try await pass()
    }

    /// Neither may be inside a transaction (PostgreSQL manual, "REINDEX").
    private func reindex(_ index: String) async throws {
        try await database.withMigrationLock { connection in
            // Left by an interrupted attempt.
            try connection.execute(script: "DROP INDEX CONCURRENTLY IF EXISTS \(index)_ccnew")
            try connection.execute(script: "REINDEX INDEX CONCURRENTLY \(index)")
        }
    }

    /// Runs `body` once no other process works on the index.
    private func alone<T>(_ body: () async throws -> T) async throws -> T {
        while try await !lease.hold() { try await Task.sleep(for: .milliseconds(200)) }
        do {
            let result = try await body()
            await lease.release()
            return result
        } catch {
            await lease.release()
            throw error
        }
    }
}
