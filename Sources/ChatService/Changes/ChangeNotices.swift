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
                logger.debug("other nodes were not notified of changes", metadata: ["error": "\(error)"])
            }
            try? await Task.sleep(for: Self.pause)
        }
    }
}
