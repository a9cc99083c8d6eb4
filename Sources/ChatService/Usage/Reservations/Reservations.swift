// Reservations: what an answer may cost, set aside before it is generated.
//
// A product that looks how much is left and then spends it lets a hundred requests at once spend it a hundred times. So
// it reserves: one INSERT whose condition is everything used and everything reserved, in a unit that holds the lock of
// the principal's row, so that of requests at the same time each sees what those before it took. What was reserved is
// given back when the product settles it, releases it, or does neither until it expires.
//
// An answer that is appended as a message with its token counts is billed by that; its reservation is then released.
// Settling bills by itself, once, whether the reservation has expired or not: what was used was used. A day after that it
// is forgotten.
//
// SECURITY: a storage fault is 503, never a reservation. Only positive whole numbers get here: a negative one would be
// credit.
import OpenSSLCrypto
import ServiceKit
import Storage

/// Tokens that were set aside.
struct Reservation: Sendable {
    let id: String
    let tokens: Int64
    let model: String?
    let createdAt: Instant
    let expiresAt: Instant
    /// How many more could be reserved; `nil` without a limit.
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
    let random: RandomSource
    let quotas: Quotas

    /// Reservations of one person at a time.
    static let most: Int64 = 1000
    /// How long one that has expired can still be settled.
    static let kept: Duration = .seconds(86_400)
    /// When the cleanup takes it, which has no lock of anybody's: an hour after the last node's clock could settle it.
    static let abandonedAfter: Duration = kept + .seconds(3600)

    /// Sets tokens aside. Throws `quota_exceeded`, `user_inactive`, `idempotency_key_reused`. `attempt` is the request's
    /// key, if it has one: the reservation is told again as it was made, with what remains now.
    func reserve(
        _ tokens: Int64,
        model: String?,
        for duration: Duration,
        by caller: Caller,
        once attempt: IdempotentAttempt? = nil
    ) async throws -> Outcome<Reservation> {
        let now = attempt?.identity.at ?? clock.now()
        let limits = quotas[caller]
        let id = attempt?.identity.ownID ?? UUIDv7.make(milliseconds: now.microseconds / 1000, random: random)
        var transaction = PrincipalTransaction(by: caller, at: now, once: attempt, target: id)
        transaction.add(ReservationStatements.deleteExpired(of: caller.id, before: now - Self.kept))
        let inserted = transaction.add(
            ReservationStatements.insert(
                id: id,
                owner: caller.id,
                model: model,
                tokens: tokens,
                within: limits,
                count: Self.most,
                at: now,
                until: now + duration
            )
        )
        let read = transaction.add(QuotaStanding.read(caller, at: now))
        let results = try await database.run(transaction)
        guard let row = results[read].first else { throw APIError(.internalError) }
        let standing = try QuotaStanding(row, limits: limits, at: now)
        guard !results[inserted].isEmpty else {
            if let record = results.earlier {
                let earlier = Reservation(
                    id: record.target,
                    tokens: tokens,
                    model: model,
                    createdAt: record.identity.at,
                    expiresAt: record.identity.at + duration,
                    remaining: standing.tokensRemaining
                )
                return Outcome(value: earlier, isReplay: true)
            }
            // The one that has least left is the one to tell of.
            let tightest = standing.tokens.min { $0.remaining < $1.remaining }
            if let tightest, tightest.remaining < tokens { throw APIError.quotaExceeded(tightest, at: now) }
            throw APIError.retry(.rateLimited, afterSeconds: Int(duration.components.seconds))
        }
        let made = Reservation(
            id: id,
            tokens: tokens,
            model: model,
            createdAt: now,
            expiresAt: now + duration,
            remaining: standing.tokensRemaining
        )
        return Outcome(value: made, isReplay: false)
    }

    /// Bills what was used in place of what was reserved. Throws `not_found`, `user_inactive`.
    func settle(_ id: String, tokensIn: Int64, tokensOut: Int64, total: Int64, by caller: Caller) async throws {
        let now = clock.now()
        let settlement = ReservationStatements.Settlement(
            id: id,
            owner: caller.id,
            tokensIn: tokensIn,
            tokensOut: tokensOut,
            tokensTotal: total,
            cutoff: now - Self.kept
        )
        var transaction = PrincipalTransaction(by: caller, at: now)
        transaction.add(ReservationStatements.record(settlement, at: now))
        transaction.add(ReservationStatements.count(settlement, on: UsageDay(now)))
        transaction.add(ReservationStatements.spend(settlement))
        try await delete(id, of: caller, at: now, in: &transaction)
    }

    /// Gives back what was reserved. Throws `not_found`, `user_inactive`.
    func release(_ id: String, by caller: Caller) async throws {
        let now = clock.now()
        var transaction = PrincipalTransaction(by: caller, at: now)
        try await delete(id, of: caller, at: now, in: &transaction)
    }

    /// Runs a transaction that ends with the deletion of the reservation. Throws `not_found` where there is none.
    private func delete(
        _ id: String,
        of caller: Caller,
        at now: Instant,
        in transaction: inout PrincipalTransaction
    ) async throws {
        let deleted = transaction.add(
            ReservationStatements.delete(id: id, owner: caller.id, cutoff: now - Self.kept)
        )
        if try await database.run(transaction)[deleted].isEmpty { throw APIError(.notFound) }
    }
}
