// The feed's background work: telling the other nodes, and forgetting what is old.
import Logging
import ServiceKit
import ServiceLifecycle
import Storage

/// Tells the other nodes that something was written here, on PostgreSQL.
///
/// Not by a NOTIFY in each unit: a transaction that notifies commits alone, one after the other through the whole
/// server, and appends of different people would wait for each other's disks. One notice in a transaction of its own
/// stands for everything since the last. A node that dies before it sends one leaves the others to find out by
/// themselves, within a second.
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

/// Removes changes that are older than the retention, in small batches. Nodes that do so at once harm nothing.
struct ChangeCleanup: Sendable {
    let changes: Changes
    let retention: Duration

    private static let batch: Int64 = 500

    /// One pass. Returns how many rows went. `renew` is called again and again.
    func run(_ renew: () async throws -> Void) async throws -> Int {
        var count = 0
        while true {
            try await renew()
            let before = changes.clock.now() - retention
            var transaction = Transaction()
            transaction.add(ChangeStatements.keepNewest())
            transaction.add(ChangeStatements.raiseHorizons(before: before, limit: Self.batch))
            let deleted = transaction.add(ChangeStatements.delete(before: before, limit: Self.batch))
            let affected = try await changes.database.run(transaction, priority: .long)[deleted].affected
            count += affected
            if affected < Int(Self.batch) { return count }
        }
    }
}
