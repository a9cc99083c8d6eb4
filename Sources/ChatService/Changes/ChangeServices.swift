// The feed's background work.
import Logging
import ServiceKit
import ServiceLifecycle
import Storage

/// Notifies the other nodes of writes, on PostgreSQL.
///
/// Not by a NOTIFY in each transaction: those commit one after another through the whole server, and appends of
/// different people would wait for each other's disks. One notice in its own transaction covers everything since the
/// last. If a node dies before its notice, the others find the change within a second.
struct ChangeNotices: Service {
    let feed: ChangeFeed
    let changes: Changes
    let logger: Logger

    /// Between two notices.
    private static let pause: Duration = .milliseconds(50)

    func run() async throws {
        guard changes.database.engine == .postgres else {
            try await gracefulShutdown()
            return
        }
        for await _ in feed.notices().cancelOnGracefulShutdown() where feed.takeNotice() {
            do {
                _ = try await changes.database.run(ChangeStatements.notify(), priority: .long)
            } catch {
                logger.debug("other nodes were not told of changes", metadata: ["error": "\(error)"])
            }
            try? await Task.sleep(for: Self.pause)
        }
    }
}

/// Removes expired changes in small batches. Concurrent nodes do no harm.
struct ChangeCleanup: Sendable {
    let changes: Changes
    let retention: Duration

    private static let batchSize: Int64 = 500

    /// Returns how many rows were removed. `renew` is called repeatedly.
    func run(_ renew: () async throws -> Void) async throws -> Int {
        var count = 0
        while true {
            try await renew()
            let before = changes.clock.now() - retention
            var transaction = Transaction()
            transaction.add(ChangeStatements.keepNewest())
            transaction.add(ChangeStatements.raiseHorizons(before: before, limit: Self.batchSize))
            let deleted = transaction.add(ChangeStatements.delete(before: before, limit: Self.batchSize))
            let affected = try await changes.database.run(transaction, priority: .long)[deleted].affected
            count += affected
            if affected < Int(Self.batchSize) { return count }
        }
    }
}
