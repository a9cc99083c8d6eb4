// Erasing a person: everything they own goes, for good, and a receipt says how much it was.
//
// States: tombstone → rows going, in units of at most 500 → their bytes let go → completed. The tombstone and the receipt are one unit, so
// from that commit on nothing can be written (`Principals.mayWrite` of every write) and the job is known to
// whoever looks for open erasures; a node that dies in the middle leaves counts that are exact and rows that the next
// one finds. It is for ever: the same person's next token, a retry that waited in a queue or an event that comes twice
// bring nothing back. Somebody who only wants to begin afresh deletes conversations instead.
import Logging
import Metrics
import OpenSSLCrypto
package import ServiceKit
package import Storage

/// Why a person was erased.
package enum ErasureReason: String, Sendable {
    case userDeleted = "user_deleted"
    case requested, admin
    case `operator`
}

/// What is known of an erasure, and what its subject may keep.
package struct ErasureReceipt: Sendable {
    package let id: String
    package let principal: String
    package let reason: String
    package let requestedAt: Instant
    package let completedAt: Instant?
    /// Rows that went, by what they were.
    package let removed: [(entity: String, count: Int64)]

    /// Reads the rows of `ErasureStatements.receipt`.
    init?(_ rows: [Row]) throws(StorageError) {
        guard let first = rows.first else { return nil }
        id = try first.text("id")
        principal = try first.text("principal_id")
        reason = try first.text("reason")
        requestedAt = try first.instant("requested_at")
        completedAt = try first.optionalInstant("completed_at")
        var removed: [(String, Int64)] = []
        for row in rows {
            if let entity = try row.optionalText("entity") { removed.append((entity, try row.integer("removed"))) }
        }
        self.removed = removed
    }

    package var isCompleted: Bool { completedAt != nil }

    package func writeMembers(to writer: inout JSONWriter) {
        writer.field("id", id)
        writer.field("user_id", principal)
        writer.field("status", isCompleted ? "completed" : "running")
        writer.field("reason", reason)
        writer.field("requested_at", requestedAt)
        writer.field("completed_at", completedAt)
        writer.object("removed") { writer in
            for (entity, count) in removed { writer.key(named: entity) { $0.integer(count) } }
        }
    }
}

package struct Erasures: Sendable {
    let database: any SQLDatabase
    let refused: RefusedPrincipals
    let clock: Clock
    let random: RandomSource
    let logger: Logger

    /// How long a request waits for its rows to go before it says that they are going.
    static let patience: Duration = .seconds(5)
    /// How often a request asks for the bytes to be let go; each may keep writers waiting for a moment. The job asks once
    /// and comes again.
    static let attempts = 8

    // MARK: Beginning

    /// The receipt, for a unit that has set a tombstone.
    func begin(_ principal: String, _ reason: ErasureReason, by requester: String?, at now: Instant) -> BoundStatement {
        let id = UUIDv7.make(milliseconds: now.microseconds / 1000, random: random)
        return ErasureStatements.begin(id: id, principal: principal, reason: reason, requester: requester, at: now)
    }

    /// Erases the caller. Asked again, it tells how far it is. Throws `user_inactive` for somebody deactivated.
    func erase(_ caller: Caller) async throws -> ErasureReceipt {
        let now = clock.now()
        var transaction = PrincipalTransaction(by: caller, at: now)
        let erased = transaction.add(Principals.markErased(caller.id, includingInactive: false, at: now))
        transaction.add(begin(caller.id, .requested, by: caller.id, at: now))
        let found = transaction.add(ErasureStatements.receipt(of: caller.id))
        // A person that is erased already gets the receipt, not a refusal.
        let results = try await database.run(transaction.base)
        guard let receipt = try ErasureReceipt(results[found].rows) else {
            try transaction.requireActive(results)
            throw APIError(.conflict)
        }
        return try await carriedOn(receipt, begun: results[erased].affected > 0)
    }

    /// Erases somebody whom chat knows, whatever their state. Throws `not_found`.
    package func erase(_ principal: String, _ reason: ErasureReason, by requester: String?) async throws
        -> ErasureReceipt
    {
        let now = clock.now()
        var transaction = Transaction(subject: principal)
        let erased = transaction.add(Principals.markErased(principal, includingInactive: true, at: now))
        transaction.add(begin(principal, reason, by: requester, at: now))
        let found = transaction.add(ErasureStatements.receipt(of: principal))
        let results = try await database.run(transaction)
        guard let receipt = try ErasureReceipt(results[found].rows) else { throw APIError(.notFound) }
        return try await carriedOn(receipt, begun: results[erased].affected > 0)
    }

    private func carriedOn(_ receipt: ErasureReceipt, begun: Bool) async throws -> ErasureReceipt {
        refused.set(receipt.principal, isRefused: true)
        if begun {
            logger.notice(
                "erasure begins",
                metadata: [
                    "user_id": "\(receipt.principal)", "reason": "\(receipt.reason)", "erasure": "\(receipt.id)",
                ]
            )
        }
        guard !receipt.isCompleted else { return receipt }
        // What is small is gone when the answer comes; the job takes the rest.
        let deadline = ContinuousClock.now + Self.patience
        try await work(receipt.id, attempts: Self.attempts) { ContinuousClock.now < deadline }
        return try await self.receipt(of: receipt.principal) ?? receipt
    }

    /// The receipt of somebody who was erased.
    package func receipt(of principal: String) async throws -> ErasureReceipt? {
        try ErasureReceipt(try await database.run(ErasureStatements.receipt(of: principal)).rows)
    }

    /// Reads the rows of a receipt, for a transaction of another feature.
    static func read(receiptOf principal: String) -> BoundStatement { ErasureStatements.receipt(of: principal) }

    // MARK: The steps

    /// Erases one person to the end, or until it may not go on. For a request; the job takes all that are open together.
    ///
    /// - Returns: whether the erasure is complete.
    @discardableResult
    func work(
        _ erasure: String,
        attempts: Int = 1,
        while mayGoOn: @Sendable () async throws -> Bool
    ) async throws -> Bool {
        guard try await removeRows(erasure, while: mayGoOn) else { return false }
        for _ in 0..<attempts {
            guard try await mayGoOn() else { return false }
            guard await database.forgetDeleted() else { continue }
            try await complete(erasure)
            return true
        }
        return false
    }

    /// Removes rows until there are none, or until it may not go on.
    ///
    /// - Returns: whether there are none. Nothing is written afterwards: the tombstone stands.
    func removeRows(_ erasure: String, while mayGoOn: @Sendable () async throws -> Bool) async throws -> Bool {
        for group in EraseStep.groups {
            var found: Bool
            repeat {
                found = false
                for step in group {
                    guard try await mayGoOn() else { return false }
                    let removed = try await step.run(erasure, in: database)
                    found = found || removed > 0
                    Counter(label: "tessera_chat_erased_rows_total", dimensions: [("what", step.entity)])
                        .increment(by: removed)
                }
            } while found
        }
        return true
    }

    /// Says on the receipt that it is done. Only when no log holds the rows any more, whatever ends the process in between.
    ///
    /// - Returns: whether nobody else had said so.
    @discardableResult
    func complete(_ erasure: String) async throws -> Bool {
        let completed = ErasureStatements.complete(erasure: erasure, at: clock.now())
        guard try await database.run(completed, priority: .long).affected > 0 else { return false }
        let rows = try await database.run(ErasureStatements.receipt(erasure: erasure)).rows
        if let receipt = try ErasureReceipt(rows) {
            // Counts, and nothing of what went.
            let removed = receipt.removed.map { "\($0.entity) \($0.count)" }.joined(separator: ", ")
            logger.notice(
                "erasure completed",
                metadata: ["user_id": "\(receipt.principal)", "erasure": "\(erasure)", "removed": "\(removed)"]
            )
        }
        return true
    }
}
