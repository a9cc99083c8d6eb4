// How often an issuer is asked for its keys. The answer's own lifetime decides, within bounds that keep a wrong header
// from causing a flood or a day of blindness.

/// The times by which keys are fetched. The defaults suit an issuer that publishes each key minutes before it signs.
public struct KeyRefreshPace: Sendable {
    /// How long one fetch may take.
    public var timeout: Duration = .seconds(5)
    /// How long an answer is taken to be fresh that does not say.
    public var defaultLifetime: Duration = .seconds(300)
    /// The least time between two scheduled fetches, whatever the answer says.
    public var shortestInterval: Duration = .seconds(10)
    /// The most time between two scheduled fetches, whatever the answer says.
    public var longestInterval: Duration = .seconds(3600)
    /// The least time between two fetches on behalf of unknown keys.
    public var unknownKeyInterval: Duration = .seconds(5)
    /// The pause after a first failed fetch; it doubles with each further one.
    public var firstRetry: Duration = .milliseconds(250)
    /// The longest pause after failed fetches.
    public var longestRetry: Duration = .seconds(5)

    /// Makes the default pace.
    public init() {}

    /// The pause after an answer: a fifth to three tenths before its end, so that a slow or failed fetch is made up
    /// for in time and services that started together do not ask together.
    func interval(forLifetime lifetime: Duration?) -> Duration {
        let share = (lifetime ?? defaultLifetime) * Double.random(in: 0.7...0.8)
        return min(max(share, shortestInterval), longestInterval)
    }

    /// The pause after a failed fetch.
    func interval(afterFailures failures: Int) -> Duration {
        min(firstRetry * (1 << min(max(failures - 1, 0), 16)), longestRetry)
    }

    /// The pause between looks for unknown keys. Where no key is known every token is a reason to look, and a service
    /// that started before its issuer should not keep its users waiting for long.
    func unknownKeyInterval(_ known: KeySet) -> Duration {
        known.isEmpty ? min(unknownKeyInterval, .seconds(1)) : unknownKeyInterval
    }
}
