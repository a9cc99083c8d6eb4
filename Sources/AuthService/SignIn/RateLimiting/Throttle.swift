// Counting attempts, so that guessing is slow and a login for its owner is not.
//
// Counters live in the database, shared by all nodes, and are written in units of their own: a refused login is still
// counted. An attempt is counted *before* its password is looked at, so that a hundred guesses sent at once are a
// hundred guesses. Per account: ten free attempts in a quarter of an hour, then a delay that grows from 1 to 300
// seconds; no lock is permanent and a success forgets all. Per network (IPv4 /32, IPv6 /64): a number of requests of
// each endpoint class in a window.
//
// SECURITY: an account's key is the SHA-256 of its address: known and unknown addresses are counted alike, and the
// table is no list of customers.
import OpenSSLCrypto
package import ServiceKit
package import Storage

/// What is counted per network.
package enum EndpointClass: String, Sendable {
    case signup, login, refreshFailure = "refresh_failure", clientFailure = "client_failure"

    /// Requests in a window.
    var limit: Int64 {
        switch self {
        case .signup: 300
        case .login: 600
        case .refreshFailure, .clientFailure: 300
        }
    }

    var window: Duration { .seconds(60) }
}

/// Too many requests from a network, or attempts on an account.
package struct RateLimited: Error, Sendable {
    /// After how many seconds the next one is worth it, at least 1.
    let seconds: Int

    init(until end: Instant, at now: Instant) {
        seconds = max(1, Int((end.since(now).wholeMicroseconds + 999_999) / 1_000_000))
    }
}

/// How long the next attempt waits: after the last free one, after the first too many, and so on.
struct ThrottleDelays: Sendable {
    let first: Duration
    let second: Duration
    let third: Duration
    let fourth: Duration
    let fifth: Duration
    let later: Duration
}

package struct Throttle: Sendable {
    let database: any SQLDatabase
    let clock: Clock
    let isOn: Bool

    private static let freeAttempts = 10
    private static let delays = ThrottleDelays(
        first: .seconds(1),
        second: .seconds(4),
        third: .seconds(15),
        fourth: .seconds(60),
        fifth: .seconds(120),
        later: .seconds(300)
    )
    /// How long without an attempt until an account's count begins anew.
    private static let quiet: Duration = .seconds(15 * 60)

    /// Counts a request from a network.
    ///
    /// - Returns: what refuses it past the limit of its class.
    func admit(_ endpoint: EndpointClass, from origin: Origin) async throws(StorageError) -> RateLimited? {
        guard isOn else { return nil }
        let now = clock.now()
        let key = "\(endpoint.rawValue):net:\(origin.address.network)"
        let counted = ThrottleStatements.countRequest(key: key, until: now + endpoint.window, at: now)
        guard let row = try await database.run(counted).first, try row.integer("count") > endpoint.limit else {
            return nil
        }
        return RateLimited(until: try row.instant("window_ends_at"), at: now)
    }

    /// Counts an attempt on an account.
    ///
    /// - Returns: what refuses it while a delay runs.
    func attempt(on account: String) async throws(StorageError) -> RateLimited? {
        guard isOn else { return nil }
        let now = clock.now()
        let key = Self.key(account)
        let end = now + Self.quiet
        var transaction = Transaction()
        transaction.add(ThrottleStatements.take(key: key, until: end))
        let before = transaction.add(ThrottleStatements.read(key: key))
        transaction.add(
            ThrottleStatements.countAttempt(
                key: key,
                until: end,
                free: Self.freeAttempts,
                delays: Self.delays,
                at: now
            )
        )
        let results = try await database.run(transaction)
        guard let blocked = try results[before].first?.optionalInstant("blocked_until"), blocked > now else {
            return nil
        }
        return RateLimited(until: blocked, at: now)
    }

    /// Forgets an account's attempts after a success.
    func succeeded(on account: String) async throws(StorageError) {
        guard isOn else { return }
        _ = try await database.run(ThrottleStatements.clear(key: Self.key(account)))
    }

    private static func key(_ account: String) -> String {
        "login:account:\(Hex.encode(SHA256.digest(Array(account.utf8))))"
    }
}
