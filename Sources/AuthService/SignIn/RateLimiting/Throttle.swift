// Counts attempts, so that guessing is slow and a login is not.
//
// Counters are in the database, shared by all nodes, and have transactions of their own, so that a refused login still
// counts. An attempt is counted *before* its password is checked, so a hundred concurrent guesses count as a hundred.
// Per account: ten free attempts in a quarter of an hour, then a delay that grows from 1 to 300 seconds. No lock is
// permanent, and a success resets the count. Per network (IPv4 /32, IPv6 /64): a number of requests per endpoint class
// and window.
//
// While a delay runs, `+Judgements` lets the owner through all the same. An attempt that ends with 503 is taken back.
//
// SECURITY: an account's key is the SHA-256 of its address. Known and unknown addresses count alike, and the table is
// no list of customers.
import OpenSSLCrypto
import ServiceKit
import Storage

package enum EndpointClass: String, Sendable {
    case signup, login, refreshFailure = "refresh_failure", clientFailure = "client_failure"

    var limit: Int64 {
        switch self {
        case .signup: 300
        case .login: 600
        case .refreshFailure, .clientFailure: 300
        }
    }

    var window: Duration { .seconds(60) }
}

/// What a password is checked for. Each has counters of its own.
enum AttemptPurpose: String, Sendable {
    case login
    /// By a caller who has signed in.
    case passwordChange = "password_change"
}

/// Too many requests from a network, or attempts on an account.
package struct RateLimited: Error, Sendable {
    /// Until a retry is useful, at least 1.
    let seconds: Int

    init(until end: Instant, at now: Instant) {
        seconds = max(1, Int((end.since(now).wholeMicroseconds + 999_999) / 1_000_000))
    }
}

/// An attempt that may be judged, and where it was counted.
enum Attempt: Sendable {
    /// `blocking`: the end of the delay that this attempt began.
    case onAccount(key: String, blocking: Instant?)
    case onDevice(key: String)
    case fromNetwork(NetworkJudgement)
    /// Limits are off.
    case uncounted
}

enum AttemptVerdict: Sendable {
    case counted(Attempt)
    /// A delay runs.
    case delayed(RateLimited)
}

/// The waits after the free attempts.
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
    /// An account's count restarts after this time without an attempt.
    private static let quiet: Duration = .seconds(15 * 60)

    /// Returns a refusal above the limit of the class.
    func admit(_ endpoint: EndpointClass, from clientInfo: ClientInfo) async throws(StorageError) -> RateLimited? {
        guard isOn else { return nil }
        let now = clock.now()
        let key = "\(endpoint.rawValue):net:\(clientInfo.address.network)"
        let counted = ThrottleStatements.countRequest(key: key, until: now + endpoint.window, at: now)
        guard let row = try await database.run(counted).first, try row.integer("count") > endpoint.limit else {
            return nil
        }
        return RateLimited(until: try row.instant("window_ends_at"), at: now)
    }

    /// Counts an attempt, unless a delay runs.
    func attempt(_ purpose: AttemptPurpose, on account: String) async throws(StorageError) -> AttemptVerdict {
        guard isOn else { return .counted(.uncounted) }
        let now = clock.now()
        let key = Self.key(account, purpose)
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
        let after = transaction.add(ThrottleStatements.read(key: key))
        let results = try await database.run(transaction)
        if let blocked = try results[before].first?.optionalInstant("blocked_until"), blocked > now {
            return .delayed(RateLimited(until: blocked, at: now))
        }
        return .counted(.onAccount(key: key, blocking: try results[after].first?.optionalInstant("blocked_until")))
    }

    /// The password was right.
    func succeeded(_ attempt: Attempt) async throws(StorageError) {
        switch attempt {
        case .onAccount(let key, _), .onDevice(let key): _ = try await database.run(ThrottleStatements.clear(key: key))
        // The delay is the guesser's: the owner's success does not end it.
        case .fromNetwork(let judgement): _ = try await database.run(judgement.absolution)
        case .uncounted: break
        }
    }

    /// The attempt ended with 503, and so was no guess.
    func discount(_ attempt: Attempt) async throws(StorageError) {
        let now = clock.now()
        switch attempt {
        case .onAccount(let key, let blocking):
            _ = try await database.run(ThrottleStatements.discount(key: key, blocking: blocking, at: now))
        case .onDevice(let key):
            _ = try await database.run(ThrottleStatements.discount(key: key, blocking: nil, at: now))
        case .fromNetwork(let judgement):
            _ = try await database.run(judgement.withdrawal(at: now))
        case .uncounted: break
        }
    }

    static func key(_ account: String, _ purpose: AttemptPurpose) -> String {
        "\(purpose.rawValue):account:\(digest(account))"
    }

    static func digest(_ account: String) -> String { Hex.encode(SHA256.digest(Array(account.utf8))) }
}
