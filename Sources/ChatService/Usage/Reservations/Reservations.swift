// Reservations: the possible cost of an answer, set aside before it is generated.
//
// If a product reads the rest and then spends it, a hundred concurrent requests spend it a hundred times. So it
// reserves: one INSERT, conditional on everything used and reserved, under the lock of the principal's row. Each
// concurrent request sees the use by those before it. A reservation ends when the product settles or releases it, or
// when it expires.
//
// A message with token counts is billed by itself; its reservation is then released. A settlement bills once, also
// after the expiry: used tokens count. A day later the reservation is forgotten.
//
// SECURITY: a storage fault is 503, never a reservation. Only positive whole numbers get here: a negative one would be
// credit.
import ServiceKit
import Storage

struct Reservation: Sendable {
    let id: String
    let tokens: Int64
    let model: RequestText?
    let createdAt: Instant
    let expiresAt: Instant
    /// What could still be reserved; `nil` without a limit.
    let remaining: Int64?

    func writeMembers(to writer: inout JSONWriter) {
        writer.field("id", id)
        writer.field("tokens", tokens)
        writer.field("model", model)
        writer.field("created_at", createdAt)
        writer.field("expires_at", expiresAt)
        writer.field("remaining", remaining)
    }
}

struct Reservations: Sendable {
    let database: any SQLDatabase
    let clock: Clock
    let ids: IDGenerator
    let quotas: Quotas

    static let maxCount: Int64 = 1000
    /// How long an expired one can be settled.
    static let retention: Duration = .seconds(86_400)
    /// When the cleanup removes it without a lock: an hour after the last node's clock could settle it.
    static let abandonedAfter: Duration = retention + .seconds(3600)

    /// Throws `quota_exceeded`, `user_inactive`, `idempotency_key_reused`. `attempt`: the request's key; a repetition
    /// returns the same reservation with the current rest.
    func reserve(
        _ tokens: Int64,
        model: RequestText?,
        for duration: Duration,
        by caller: Caller,
        once attempt: IdempotentAttempt? = nil
    ) async throws -> Outcome<Reservation> {
        let now = attempt?.identity.at ?? clock.now()
        let limits = quotas[caller]
        let id = attempt?.identity.ownID ?? ids.make(at: now)
        var transaction = PrincipalTransaction(by: caller, at: now, once: attempt, target: id)
        transaction.add(ReservationStatements.deleteExpired(of: caller.id, before: now - Self.retention))
        let inserted = transaction.add(
            ReservationStatements.insert(
                id: id,
                owner: caller.id,
                model: model,
                tokens: tokens,
                within: limits,
                count: Self.maxCount,
                at: now,
                until: now + duration
            )
        )
        let read = transaction.add(QuotaUsage.read(of: caller, at: now))
        let results = try await database.run(transaction)
        guard let row = results[read].first else { throw APIError(.internalError) }
        let usage = try QuotaUsage(row, limits: limits, at: now)
        guard !results[inserted].isEmpty else {
            if let record = results.earlier {
                let earlier = Reservation(
                    id: record.target,
                    tokens: tokens,
                    model: model,
                    createdAt: record.identity.at,
                    expiresAt: record.identity.at + duration,
                    remaining: usage.tokensRemaining
                )
                return Outcome(value: earlier, isReplay: true)
            }
            // Reports the window with the smallest rest.
            let tightest = usage.tokens.min { $0.remaining < $1.remaining }
            if let tightest, tightest.remaining < tokens { throw APIError.quotaExceeded(tightest, at: now) }
            throw APIError.retry(.rateLimited, afterSeconds: Int(duration.components.seconds))
        }
        let made = Reservation(
            id: id,
            tokens: tokens,
            model: model,
            createdAt: now,
            expiresAt: now + duration,
            remaining: usage.tokensRemaining
        )
        return Outcome(value: made, isReplay: false)
    }

    /// Bills the used tokens instead of the reserved ones. Throws `not_found`, `user_inactive`.
    func settle(_ id: String, tokensIn: Int64, tokensOut: Int64, total: Int64, by caller: Caller) async throws {
        let now = clock.now()
        let settlement = ReservationStatements.Settlement(
            id: id,
            owner: caller.id,
            tokensIn: tokensIn,
            tokensOut: tokensOut,
            tokensTotal: total,
            cutoff: now - Self.retention
        )
        var transaction = PrincipalTransaction(by: caller, at: now)
        transaction.add(ReservationStatements.record(settlement: settlement, at: now))
        transaction.add(ReservationStatements.count(settlement: settlement, on: UsageDay(now)))
        transaction.add(ReservationStatements.spend(settlement: settlement))
        try await delete(id, of: caller, at: now, in: &transaction)
    }

    /// Throws `not_found`, `user_inactive`.
    func release(_ id: String, by caller: Caller) async throws {
        let now = clock.now()
        var transaction = PrincipalTransaction(by: caller, at: now)
        try await delete(id, of: caller, at: now, in: &transaction)
    }

    /// Runs a transaction that ends with the deletion of the reservation. Throws `not_found` without one.
    private func delete(
        _ id: String,
        of caller: Caller,
        at now: Instant,
        in transaction: inout PrincipalTransaction
    ) async throws {
        let deleted = transaction.add(
            ReservationStatements.delete(id: id, owner: caller.id, cutoff: now - Self.retention)
        )
        if try await database.run(transaction)[deleted].isEmpty { throw APIError(.notFound) }
    }
}
