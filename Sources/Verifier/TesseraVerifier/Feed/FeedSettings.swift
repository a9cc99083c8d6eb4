// What a follower of the revocation feed may be told, and what it tells.

/// How well the revocations are known.
public enum RevocationState: Sendable, Hashable {
    /// The stream is open, and everything that it had to tell has been heard.
    case current
    /// What happened after this moment is not known: it is when the issuer was heard from last.
    case stale(since: ContinuousClock.Instant)
}

/// What becomes of tokens while the revocations are not current.
///
/// Before they have been current once, every token is refused with `.revocationsUnavailable`, whatever the
/// policy: a process that starts knows nothing yet of what was revoked a minute ago.
public enum StalePolicy: Sendable, Hashable {
    /// Tokens stand until they expire, by what was known last. A revocation may then take as long as a token lives.
    case serve
    /// Tokens are refused with `.revocationsUnavailable`, a 503, once the revocations have been stale for longer. A
    /// silent connection is noticed after three heartbeats, so less than 15 seconds has no effect there.
    case refuse(after: Duration)
}

/// The times by which the feed is followed. The defaults suit an issuer with tokens of ten minutes.
public struct FeedPace: Sendable {
    /// The longest that a token may live, and as much as clocks differ besides: how far back a start reads the feed, and
    /// how long a revocation is remembered. A token that was made longer ago is refused with `.stale`.
    public var tokenLifetime: Duration = .seconds(900)
    /// How often the issuer says that it is there.
    public var heartbeat: Duration = .seconds(5)
    /// How long a token for the feed may take.
    public var timeout: Duration = .seconds(5)
    /// The pause after a stream that ended; it doubles with each further attempt that fails.
    public var firstRetry: Duration = .milliseconds(100)
    /// The longest pause between attempts.
    public var longestRetry: Duration = .seconds(5)

    /// Makes the default pace.
    public init() {}

    /// After so long without a byte a connection is dead.
    var longestSilence: Duration { heartbeat * 3 }

    /// A random half to whole of the pause, so that a thousand followers do not come back together.
    func pause(afterFailures failures: Int) -> Duration {
        min(firstRetry * (1 << min(max(failures - 1, 0), 16)), longestRetry) * Double.random(in: 0.5...1)
    }
}
