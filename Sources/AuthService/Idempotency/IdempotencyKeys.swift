// `Idempotency-Key` of admins' writes (draft-ietf-httpapi-idempotency-key-header-07): a request that is repeated with
// its key is answered again, and done once.
//
//     1. claim    the key's row, for this attempt's own `seed`. Another attempt's row stays as it is.
//     …           the write, in transactions of its own. One that makes a user notes it in the row (`mark`), so that the
//                 two commit together.
//     2. finish   the row has the answer. Or release it: a refusal is no result, and may be retried.
//
// A process that dies in between leaves a row without an answer. If the row names a user, the request was done. If not,
// another attempt takes over after `hold`: every other write of admins has the same effect when it is repeated.
//
// SECURITY: the row holds no body of a request and no user's data. The body's hash is keyed, because a body may hold a
// password, whose plain hash would let a reader of the table guess it. An answer that shows a user is made again from
// the user's row; once that is gone, so is the answer (410).
import OpenSSLCrypto
import ServiceKit
import Storage

enum IdempotencyError: Error, Sendable {
    /// The key was used for another request.
    case reused
    /// The first request with the key has no answer yet.
    case running
    /// Its owner has as many keys as are kept.
    case tooMany(Int64)
    case fault(any Error)
}

struct IdempotencyKeys: Sendable {
    /// How long an answer is kept.
    static let lifetime: Duration = .seconds(86_400)
    /// How long an attempt may take. Requests end before.
    static let hold: Duration = .seconds(120)
    /// Keys of one admin at a time.
    static let most: Int64 = 1000
    /// The largest answer that is kept, in bytes.
    static let largestAnswer = 64 << 10

    let database: any SQLDatabase
    let clock: Clock
    let ids: IDGenerator
    /// The first one makes hashes, all compare.
    let hashKeys: [[UInt8]]
    /// For tests; `most` elsewhere.
    var mostKeys = Self.most

    init(database: any SQLDatabase, clock: Clock, ids: IDGenerator, ring: MasterKeyRing) {
        self.database = database
        self.clock = clock
        self.ids = ids
        let others = ring.keys.filter { $0.id != ring.primary.id }
        hashKeys = ([ring.primary] + others).map { $0.derive("idempotency-request-v1") }
    }

    enum Claim: Sendable {
        case taken(IdempotentAttempt)
        /// `target`: the user whose row is the answer; otherwise `body`.
        case done(status: Int, target: String?, body: String?)
    }

    /// Takes a key, or finds what was answered to it.
    func claim(
        _ key: String,
        by principal: String,
        route: String,
        body: [UInt8]
    ) async throws(IdempotencyError) -> Claim {
        try await IdempotencyError.catching { try await find(key, by: principal, route: route, body: body) }
    }

    private func find(_ key: String, by principal: String, route: String, body: [UInt8]) async throws -> Claim {
        let message = Array(route.utf8) + [0] + body
        let hashes = hashKeys.map { Hex.encode(HMACSHA256.authenticationCode(for: message, key: $0)) }
        let attempt = IdempotentAttempt(
            principal: principal,
            key: key,
            route: route,
            requestHash: hashes.first ?? "",
            seed: ids.name(bytes: 16),
            at: clock.now()
        )
        var transaction = Transaction()
        transaction.add(IdempotencyStatements.claim(attempt: attempt, most: mostKeys))
        let found = transaction.add(IdempotencyStatements.read(attempt: attempt))
        guard let row = try await database.run(transaction)[found].first else {
            throw IdempotencyError.tooMany(mostKeys)
        }
        if try row.text("seed") == attempt.seed { return .taken(attempt) }
        guard try row.text("route") == route, hashes.contains(try row.text("request_hash")) else {
            throw IdempotencyError.reused
        }
        let target = try row.optionalText("target_id")
        if let status = try row.optionalInteger("status") {
            return .done(status: Int(status), target: target, body: try row.optionalText("body"))
        }
        // The transaction that made the user is committed, and its process did not live to say so.
        if let target { return .done(status: 201, target: target, body: nil) }
        throw IdempotencyError.running
    }

    /// For the transaction that makes a user.
    static func mark(user: String, madeBy attempt: IdempotentAttempt) -> BoundStatement {
        IdempotencyStatements.mark(target: user, madeBy: attempt)
    }

    func finish(_ attempt: IdempotentAttempt, status: Int, target: String?, body: String?) async throws(StorageError) {
        _ = try await database.run(
            IdempotencyStatements.finish(attempt: attempt, status: status, target: target, body: body)
        )
    }

    func release(_ attempt: IdempotentAttempt) async throws(StorageError) {
        _ = try await database.run(IdempotencyStatements.release(attempt: attempt))
    }
}
