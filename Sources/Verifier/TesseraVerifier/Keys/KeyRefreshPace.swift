/// When keys are fetched: by the answer's own lifetime, within bounds that protect against a wrong header. The defaults
/// suit an issuer that publishes each key minutes before it signs with it.
public struct KeyRefreshPace: Sendable {
    /// How long one fetch may take.
    public var timeout: Duration = .seconds(5)
    /// The lifetime of an answer that states none.
    public var defaultLifetime: Duration = .seconds(300)
    /// The least time between two scheduled fetches, whatever the answer says.
    public var minInterval: Duration = .seconds(10)
    /// The most time between two scheduled fetches, whatever the answer says.
    public var maxInterval: Duration = .seconds(3600)
    /// The least time between two fetches for unknown keys.
    public var unknownKeyInterval: Duration = .seconds(5)
    /// The pause after a failed fetch; it doubles with each further failure.
    public var firstRetry: Duration = .milliseconds(250)
    /// The longest pause after failed fetches.
    public var maxRetryInterval: Duration = .seconds(5)

    /// Makes the default pace.
    public init() {}

    /// The pause after an answer ends a fifth to three tenths before its lifetime. That leaves time for a failed fetch,
    /// and spreads services that started together.
    func interval(forLifetime lifetime: Duration?) -> Duration {
        let share = (lifetime ?? defaultLifetime) * Double.random(in: 0.7...0.8)
        return min(max(share, minInterval), maxInterval)
    }

    func interval(afterFailures failures: Int) -> Duration {
        min(firstRetry * (1 << min(max(failures - 1, 0), 16)), maxRetryInterval)
    }

    /// The pause between fetches for unknown keys. Without any key every token causes a fetch. A service that started
    /// before its issuer should not keep its users waiting.
    func unknownKeyInterval(_ known: KeySet) -> Duration {
        known.isEmpty ? min(unknownKeyInterval, .seconds(1)) : unknownKeyInterval
    }
}
