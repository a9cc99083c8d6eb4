// Chat cleans up after itself: keys that nobody will repeat, reservations that nobody will settle, changes that nobody
// comes back for, the trash once it is old enough, and what a process that died left half-made or half-removed.
//
// One node at a time: a lease that ran out (a node died) may be taken by another. Every pass is safe to repeat and to
// stop half-way, and goes in units of 500 rows. Rows of a person are removed behind the lock of that person's row, as
// everything else that is written for them.
import Hummingbird
import Logging
import Metrics
import OpenSSLCrypto
import ServiceKit
import ServiceLifecycle
package import Storage

package struct ChatCleanup: Sendable {
    let database: any SQLDatabase
    let clock: Clock
    let trash: Trash
    let trashRetention: Duration
    let changes: ChangeCleanup
    let lease: JobLease

    private static let owners: Int64 = 100

    /// Rows removed, by what they were.
    package typealias Counts = [(name: String, count: Int)]

    /// One pass, if no other node is at it; `nil` when one is.
    package func runIfFree() async throws -> Counts? {
        guard try await lease.hold() else { return nil }
        let counts: Counts
        do {
            counts = try await run { _ = try await lease.hold() }
        } catch {
            await lease.release()
            throw error
        }
        await lease.release()
        return counts
    }

    /// One pass, lease or no lease: its statements harm nobody who does the same.
    package func run() async throws -> Counts {
        try await run {}
    }

    /// `renew` is called again and again.
    private func run(_ renew: () async throws -> Void) async throws -> Counts {
        var removed = Trash.Removed()
        let expired = clock.now() - trashRetention
        try await eachOwner({ TrashRemovalStatements.ownersOfTrash(until: expired, limit: Self.owners) }) { owner in
            try await renew()
            try await removed.add(trash.end(of: owner, before: expired))
        }
        let abandoned = clock.now() - Trash.abandonedAfter
        try await eachOwner({ TrashRemovalStatements.ownersOfEnded(until: abandoned, limit: Self.owners) }) { owner in
            try await renew()
            try await removed.add(trash.removeEnded(of: owner, before: abandoned))
        }
        // Behind the lock of their person's row, as whoever else writes them.
        let unsettled = clock.now() - Reservations.abandonedAfter
        var reservations = 0
        try await eachOwner({ ReservationStatements.ownersOfExpired(before: unsettled, limit: Self.owners) }) { owner in
            try await renew()
            var transaction = Transaction(behind: owner)
            let deleted = transaction.add(ReservationStatements.deleteExpired(of: owner, before: unsettled))
            reservations += try await database.run(transaction, priority: .long)[deleted].affected
        }
        let counts: Counts = [
            (
                "chat_idempotency_keys",
                try await remove { IdempotencyStatements.deleteExpired(at: clock.now(), limit: $0) }
            ),
            ("chat_reservations", reservations),
            ("chat_changes", try await changes.run(renew)),
            ("chat_trash_conversations", removed.conversations),
            ("chat_trash_messages", removed.messages),
        ]
        for (name, count) in counts {
            Counter(label: "tessera_cleanup_rows_total", dimensions: [("what", name)]).increment(by: count)
        }
        Gauge(label: "tessera_chat_cleanup_last_run_seconds").record(clock.now().seconds)
        return counts
    }

    /// Runs a statement that removes up to so many rows until it finds fewer.
    private func remove(_ some: (_ batch: Int64) -> BoundStatement) async throws -> Int {
        var count = 0
        while true {
            let affected = try await database.run(some(Trash.batch), priority: .long).affected
            count += affected
            if affected < Int(Trash.batch) { return count }
        }
    }

    /// Runs `body` for owners until there are none. One that stays is left for the next pass.
    private func eachOwner(
        _ find: () -> BoundStatement,
        _ body: (String) async throws -> Void
    ) async throws {
        var done: Set<String> = []
        while true {
            let found = try await database.run(find(), priority: .long).rows.map { try $0.text("owner_id") }
            let owners = found.filter { done.insert($0).inserted }
            if owners.isEmpty { return }
            for owner in owners { try await body(owner) }
        }
    }
}

extension Trash.Removed {
    fileprivate mutating func add(_ other: Trash.Removed) {
        conversations += other.conversations
        messages += other.messages
    }
}

/// Runs a pass every so often until shutdown; a failure is logged and tried again at the next tick.
struct ChatCleanupService: Service {
    let cleanup: ChatCleanup
    let interval: Duration
    let logger: Logger

    func run() async throws {
        for await _ in PeriodicTicks(every: interval).cancelOnGracefulShutdown() {
            do {
                let total = try await cleanup.runIfFree()?.reduce(0) { $0 + $1.count } ?? 0
                if total > 0 { logger.info("cleaned up", metadata: ["rows": "\(total)"]) }
            } catch {
                logger.error("cleanup failed", metadata: ["error": "\(error)"])
            }
        }
    }
}
