// Erases a person: everything that the person owns, for good, with a receipt.
//
// States: tombstone → removal of rows, in transactions of at most 500 → bytes reclaimed → completed. Tombstone and
// receipt are one transaction. From that commit on nothing can be written (`Principals.mayWrite` of every write), and
// the job finds the open erasure. If a node dies in the middle, the counts are exact and the next node continues. An
// erasure is final: a later token, a retried request or a repeated event brings nothing back. To start again, delete
// conversations instead.
import Logging
import Metrics
package import ServiceKit
package import Storage

package enum ErasureReason: String, Sendable {
    case userDeleted = "user_deleted"
    case requested, admin
    case `operator`
}

package struct ErasureReceipt: Sendable {
    package let id: String
    package let principal: String
    package let reason: String
    package let requestedAt: Instant
    package let completedAt: Instant?
    package let removed: [(entity: String, count: Int64)]

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
    let blocked: BlockedPrincipals
    let clock: Clock
    let ids: IDGenerator
    let logger: Logger
    /// In order. The rows of one group take turns until none finds anything.
    private let groups: [[ErasedRows]]

    init(
        database: any SQLDatabase,
        steps: [ErasureStep],
        blocked: BlockedPrincipals,
        clock: Clock,
        ids: IDGenerator,
        logger: Logger
    ) {
        self.database = database
        self.blocked = blocked
        self.clock = clock
        self.ids = ids
        self.logger = logger
        groups = steps.map { $0.rows.map(ErasedRows.init) }
    }

    /// How long a request waits for the removal before it answers that it is in progress.
    static let maxWait: Duration = .seconds(5)
    /// How often a request tries to reclaim the bytes; each attempt may block writers for a moment. The job tries once
    /// per pass.
    static let attempts = 8

    /// For a transaction that has set the tombstone.
    func begin(of principal: String, reason: ErasureReason, by requester: String?, at now: Instant) -> BoundStatement {
        let id = ids.make(at: now)
        return ErasureStatements.begin(id: id, principal: principal, reason: reason, requester: requester, at: now)
    }

    /// Erases the caller. A repetition returns the progress. Throws `user_inactive` for a deactivated person.
    func erase(_ caller: Caller) async throws -> ErasureReceipt {
        let now = clock.now()
        var transaction = PrincipalTransaction(by: caller, at: now)
        let erased = transaction.add(Principals.markErased(principal: caller.id, includingInactive: false, at: now))
        transaction.add(begin(of: caller.id, reason: .requested, by: caller.id, at: now))
        let found = transaction.add(ErasureStatements.receipt(of: caller.id))
        // An erased person gets the receipt, not a refusal.
        let results = try await database.run(transaction.base)
        guard let receipt = try ErasureReceipt(results[found].rows) else {
            try transaction.requireActive(results)
            throw APIError(.conflict)
        }
        return try await carriedOn(receipt, begun: results[erased].affected > 0)
    }

    /// Erases a known principal in any state. Throws `not_found`.
    package func erase(_ principal: String, _ reason: ErasureReason, by requester: String?) async throws
        -> ErasureReceipt
    {
        let now = clock.now()
        var transaction = Transaction(subject: principal)
        let erased = transaction.add(Principals.markErased(principal: principal, includingInactive: true, at: now))
        transaction.add(begin(of: principal, reason: reason, by: requester, at: now))
        let found = transaction.add(ErasureStatements.receipt(of: principal))
        let results = try await database.run(transaction)
        guard let receipt = try ErasureReceipt(results[found].rows) else { throw APIError(.notFound) }
        return try await carriedOn(receipt, begun: results[erased].affected > 0)
    }

    private func carriedOn(_ receipt: ErasureReceipt, begun: Bool) async throws -> ErasureReceipt {
        blocked.set(receipt.principal, isBlocked: true)
        if begun {
            logger.notice(
                "erasure begins",
                metadata: [
                    "user_id": "\(receipt.principal)", "reason": "\(receipt.reason)", "erasure": "\(receipt.id)",
                ]
            )
        }
        guard !receipt.isCompleted else { return receipt }
        // Small data is gone when the answer comes; the job removes the rest.
        let deadline = ContinuousClock.now + Self.maxWait
        try await work(receipt.id, attempts: Self.attempts) { ContinuousClock.now < deadline }
        return try await self.receipt(of: receipt.principal) ?? receipt
    }

    package func receipt(of principal: String) async throws -> ErasureReceipt? {
        try ErasureReceipt(try await database.run(ErasureStatements.receipt(of: principal)).rows)
    }

    static func read(receiptOf principal: String) -> BoundStatement { ErasureStatements.receipt(of: principal) }

    /// Erases one person to the end, or until it may not continue. For a request; the job handles all open erasures
    /// together.
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
            guard await database.reclaimDeletedBytes() else { continue }
            try await complete(erasure)
            return true
        }
        return false
    }

    /// Removes rows until there are none, or until it may not continue.
    ///
    /// - Returns: whether there are none. The tombstone prevents later writes.
    func removeRows(_ erasure: String, while mayGoOn: @Sendable () async throws -> Bool) async throws -> Bool {
        for group in groups {
            var found: Bool
            repeat {
                found = false
                for rows in group {
                    guard try await mayGoOn() else { return false }
                    let removed = try await rows.remove(for: erasure, in: database)
                    found = found || removed > 0
                    Counter(label: "tessera_chat_erased_rows_total", dimensions: [("what", rows.entity)])
                        .increment(by: removed)
                }
            } while found
        }
        return true
    }

    /// Completes the receipt, only once no log has the rows any more.
    ///
    /// - Returns: whether this call completed it.
    @discardableResult
    func complete(_ erasure: String) async throws -> Bool {
        let completed = ErasureStatements.complete(erasure: erasure, at: clock.now())
        guard try await database.run(completed, priority: .long).affected > 0 else { return false }
        let rows = try await database.run(ErasureStatements.receipt(erasure: erasure)).rows
        if let receipt = try ErasureReceipt(rows) {
            // Counts only, no content.
            let removed = receipt.removed.map { "\($0.entity) \($0.count)" }.joined(separator: ", ")
            logger.notice(
                "erasure completed",
                metadata: ["user_id": "\(receipt.principal)", "erasure": "\(erasure)", "removed": "\(removed)"]
            )
        }
        return true
    }
}
