// Token buckets: a rate that is kept over time, and a burst after a pause.
//
// A bucket is one instant, at which it will be full again; a request moves that on by the time of one token, and is
// refused where it would then lie further ahead than a whole bucket takes to fill (the generic cell rate algorithm). A
// bucket that is full is like none, so it is forgotten.
import Synchronization

/// So many requests a second over time, and so many at once.
package struct RequestRate: Sendable, Hashable {
    package let perSecond: Int
    package let burst: Int

    package init(perSecond: Int, burst: Int) {
        self.perSecond = perSecond
        self.burst = burst
    }
}

/// What a bucket said to a request.
package struct RequestVerdict: Sendable, Hashable {
    /// The name of the limit.
    package let policy: String
    package let rate: RequestRate
    /// Requests that would be let through now.
    package let remaining: Int
    /// Seconds until the bucket is full.
    package let reset: Int
    /// Seconds until a refused request would be let through; `nil` for one that was.
    package let retryAfter: Int?
}

/// The buckets of many owners, in memory.
package final class TokenBuckets: Sendable {
    /// When the bucket of each owner is full, in nanoseconds since the start.
    private struct State {
        var fullAt: [String: Int64] = [:]
    }

    private let policy: String
    private let rate: RequestRate
    private let limit: Int
    private let token: Int64
    private let start = ContinuousClock.now
    private let state = Mutex(State())

    /// `limit`: the most buckets that are kept.
    package init(policy: String, rate: RequestRate, limit: Int = 100_000) {
        self.policy = policy
        self.rate = rate
        self.limit = limit
        token = max(1, 1_000_000_000 / Int64(rate.perSecond))
    }

    /// How many buckets are not known to be full.
    package var count: Int { state.withLock { $0.fullAt.count } }

    /// Takes a token of an owner's bucket, if there is one.
    package func take(_ owner: String, at now: ContinuousClock.Instant = .now) -> RequestVerdict {
        let now = (now - start).nanoseconds
        let whole = Int64(rate.burst) * token
        let (fullAt, isRefused) = state.withLock { state in
            let before = max(now, state.fullAt[owner] ?? now)
            guard before + token - now <= whole else { return (before, true) }
            if state.fullAt.count >= limit, state.fullAt[owner] == nil { makeRoom(&state, at: now) }
            state.fullAt[owner] = before + token
            return (before + token, false)
        }
        return RequestVerdict(
            policy: policy,
            rate: rate,
            remaining: isRefused ? 0 : Int((whole - (fullAt - now)) / token),
            reset: Self.seconds(fullAt - now),
            retryAfter: isRefused ? max(1, Self.seconds(fullAt + token - now - whole)) : nil
        )
    }

    /// Forgets the buckets that are full; where none is, the tenth that is fullest. An owner whose bucket is forgotten
    /// gets a burst more.
    private func makeRoom(_ state: inout State, at now: Int64) {
        state.fullAt = state.fullAt.filter { $0.value > now }
        guard state.fullAt.count > limit - limit / 10 else { return }
        let order = state.fullAt.values.sorted()
        let bound = order[order.count / 10]
        state.fullAt = state.fullAt.filter { $0.value > bound }
    }

    private static func seconds(_ nanoseconds: Int64) -> Int { Int((nanoseconds + 999_999_999) / 1_000_000_000) }
}

extension Duration {
    fileprivate var nanoseconds: Int64 { components.seconds * 1_000_000_000 + components.attoseconds / 1_000_000_000 }
}
