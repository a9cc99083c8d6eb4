/// Whether this process knows the current revocations.
public enum RevocationState: Sendable, Hashable {
    /// The stream is open, and every event so far has been read.
    case current
    /// Later revocations are unknown: the issuer last sent something at this moment.
    case stale(since: ContinuousClock.Instant)
}

/// What happens to tokens while the revocations are not current.
///
/// Until they have been current once, every token is refused with `.revocationsUnavailable` under either policy. A
/// process that starts does not know what was revoked a minute ago.
public enum StalePolicy: Sendable, Hashable {
    /// Tokens are valid until they expire, by the last known revocations. A revocation may take as long as a token
    /// lives.
    case serve
    /// Tokens are refused with `.revocationsUnavailable`, a 503, once the revocations have been stale for longer. A
    /// silent connection is noticed after three heartbeats, so less than 15 seconds has no effect there.
    case refuse(after: Duration)
}

/// Durations for following the feed. The defaults suit an issuer with tokens of ten minutes.
public struct FeedPace: Sendable {
    /// The longest lifetime of a token, plus clock differences. It is how far back a start reads the feed, and how long
    /// a revocation is remembered. An older token is refused with `.stale`.
    public var tokenLifetime: Duration = .seconds(900)
    /// How often the issuer sends a heartbeat.
    public var heartbeat: Duration = .seconds(5)
    /// How long a request for a token may take.
    public var timeout: Duration = .seconds(5)
    /// The pause after a stream ended; it doubles with each further failure.
    public var firstRetry: Duration = .milliseconds(100)
    /// The longest pause between attempts.
    public var maxRetryInterval: Duration = .seconds(5)

    /// Makes the default pace.
    public init() {}

    /// A connection that is silent for longer is dead.
    var maxSilence: Duration { heartbeat * 3 }

    /// A random half to whole of the pause, so that a thousand followers do not return together.
    func pause(afterFailures failures: Int) -> Duration {
        min(firstRetry * (1 << min(max(failures - 1, 0), 16)), maxRetryInterval) * Double.random(in: 0.5...1)
    }
}
