// Removes what is no longer needed: expired idempotency keys, reservations and changes, the expired trash, and
// leftovers of processes that died.
//
// One node at a time: another node may take an expired lease. A pass may be repeated and interrupted anywhere, and uses
// transactions of 500 rows. A person's rows are removed under the lock of that person's row, as with every other write.
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

    /// By kind of row.
    package typealias Counts = [(name: String, count: Int)]

    /// `nil` if another node runs a pass.
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

    /// Runs without the lease: concurrent passes do no harm.
    package func run() async throws -> Counts {
        try await run {}
    }

    /// `renew` is called repeatedly.
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
        // Under the lock of their person's row, as with every write.
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

    /// Repeats a statement until it removes fewer than a batch.
    private func remove(_ some: (_ batch: Int64) -> BoundStatement) async throws -> Int {
        var count = 0
        while true {
            let affected = try await database.run(some(Trash.batchSize), priority: .long).affected
            count += affected
            if affected < Int(Trash.batchSize) { return count }
        }
    }

    /// Runs `body` for owners until there are none. One that remains is left for the next pass.
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

/// A failure is logged and retried at the next tick.
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
