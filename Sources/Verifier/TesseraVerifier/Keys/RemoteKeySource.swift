// The issuer's keys over HTTP, fetched ahead of need.
//
// An issuer publishes a key well before it signs with it, so a verifier that fetches the set as often as the answer's
// max-age asks knows every key in time, and no request waits for a fetch. Looking for an unknown key is the exception:
// after an emergency rotation, or before the first fetch. While the issuer is down the last good set stays: the tokens
// that it vouches for end by themselves. A set that arrives replaces the old one whole, so a key that was taken out is
// gone with it. Beside a `RevocationFeed`, which says when keys change, the set is not fetched by the clock.
public import AsyncHTTPClient
public import Logging
public import ServiceLifecycle
import Synchronization

/// Fetches and caches an issuer's JWK set. Run it as a `Service`, so that it stays fresh.
///
/// Nothing is fetched before `run()` or the first token. An issuer that cannot be reached stops nothing: tokens are
/// then refused with `.keysUnavailable`, a 503, until it can.
public final class RemoteKeySource: KeySource, Service {
    private struct State {
        var keys = KeySet([:])
        var entityTag: String?
        /// The one fetch under way.
        var underWay: Task<Void, any Error>?
        /// When the set is to be fetched again, unless the feed confirms it.
        var dueAt: ContinuousClock.Instant?
        /// Until when the feed would have said that the keys have changed.
        var confirmedUntil: ContinuousClock.Instant?
        /// When it is to be fetched again in any case.
        var latestAt: ContinuousClock.Instant?
        /// How often the keys have changed, or may have, as the feed says.
        var changes = 0
        /// How many of these changes had been heard of when the set at hand was asked for.
        var changesFetched = 0
        /// When a fetch was last begun on behalf of an unknown key.
        var lookedAt: ContinuousClock.Instant?
        /// Fetches that failed since the last that did not.
        var failures = 0
    }

    private let pace: KeyRefreshPace
    private let logger: Logger
    private let now: @Sendable () -> ContinuousClock.Instant
    private let fetch: @Sendable (_ entityTag: String?) async throws -> KeySetAnswer
    private let state = Mutex(State())

    /// Makes a source.
    ///
    /// - Parameters:
    ///   - url: of the JWK set, for example `https://auth.example.com/.well-known/jwks.json`. Redirects are refused.
    ///     Use `http` only where nobody can change what is on the wire: who can, decides which tokens are good.
    ///   - client: an HTTP client with settings of your own, such as a private certificate authority; it stays yours to
    ///     shut down. By default one that all sources of the process share.
    ///   - pace: how often, and for how long, to ask.
    ///   - logger: told when the keys change and when they cannot be fetched.
    public convenience init(
        url: String,
        client: HTTPClient? = nil,
        pace: KeyRefreshPace = KeyRefreshPace(),
        logger: Logger
    ) {
        let client = client ?? KeySetDownload.sharedClient
        let download = KeySetDownload(url: url, client: client, timeout: pace.timeout, logger: logger)
        self.init(pace: pace, logger: logger, fetch: { try await download.fetch(unless: $0) })
    }

    /// Makes a source that fetches by other means.
    ///
    /// - Parameters:
    ///   - pace: how often to ask.
    ///   - logger: told when the keys change and when they cannot be fetched.
    ///   - now: the time, for the limit on looks for unknown keys.
    ///   - fetch: fetches the set, given the entity tag of the one at hand.
    package init(
        pace: KeyRefreshPace,
        logger: Logger,
        now: @escaping @Sendable () -> ContinuousClock.Instant = { .now },
        fetch: @escaping @Sendable (_ entityTag: String?) async throws -> KeySetAnswer
    ) {
        self.pace = pace
        self.logger = logger
        self.now = now
        self.fetch = fetch
    }

    /// The last good set; empty before the first.
    public func snapshot() -> KeySet {
        state.withLock(\.keys)
    }

    /// Fetches the set once more, unless that was done for another unknown key just now.
    ///
    /// - Parameter keyID: the `kid` of a token's header.
    /// - Throws: `.keysUnavailable` when the issuer could not be asked: the key may exist.
    public func refresh(afterUnknownKeyID keyID: String) async throws {
        // A fetch that is under way may have been answered before the key was published, so it is waited for, but if
        // it brings no such key it does not stand for the look that this one is owed.
        if let underWay = state.withLock(\.underWay) {
            try? await underWay.value
        }
        if snapshot().contains(keyID) { return }
        let (look, isReachable) = state.withLock { state in
            // SECURITY: anyone can make up key ids; they all together cause one fetch per interval.
            let isTooSoon = state.lookedAt.map { now() < $0 + pace.unknownKeyInterval(state.keys) } ?? false
            if state.underWay == nil, !isTooSoon {
                state.lookedAt = now()
                start(&state)
            }
            return (state.underWay, state.failures == 0)
        }
        if let look {
            try await look.value
        } else if !isReachable {
            throw VerificationError(.keysUnavailable)
        }
    }

    /// Whether there are keys, for who asks whether a service is ready: without any it can judge no token.
    ///
    /// Where there are none it looks for them, no more often than for unknown keys, so that a service that started before
    /// its issuer is ready soon after it.
    ///
    /// - Throws: `.keysUnavailable` while there are none.
    public func requireKeys() async throws {
        guard snapshot().isEmpty else { return }
        // No key has this id.
        try await refresh(afterUnknownKeyID: "")
        guard snapshot().isEmpty else { return }
        throw VerificationError(.keysUnavailable)
    }

    /// Keeps the set fresh until graceful shutdown or cancellation.
    ///
    /// - Throws: nothing; `Service` asks for the word. A fetch that fails is logged and made up for.
    public func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                // In this order: before the first fetch it is due now.
                let (due, now) = (self.due, self.now())
                if now >= due {
                    // Failures are logged where they happen, and the next attempt is due already.
                    try? await self.fetchOnce()
                } else {
                    // Not for longer than a second: the feed may have said meanwhile that the keys have changed.
                    let next = min(due, now + .seconds(1))
                    guard (try? await Task.sleep(until: next, clock: .continuous)) != nil else { return }
                }
            }
        }
    }

    // MARK: - Beside a feed

    /// The feed is current: for so long it would say that the keys have changed.
    func confirm(for duration: Duration) {
        state.withLock { $0.confirmedUntil = now() + duration }
    }

    /// The keys have changed, or may have: they are fetched within a second.
    func expire() {
        state.withLock { state in
            state.changes += 1
            state.dueAt = now()
        }
    }

    /// When the set is to be fetched.
    var due: ContinuousClock.Instant {
        state.withLock { state in
            guard let dueAt = state.dueAt else { return now() }
            guard state.changes == state.changesFetched, state.failures == 0, let confirmedUntil = state.confirmedUntil,
                let latestAt = state.latestAt
            else { return dueAt }
            return min(max(dueAt, confirmedUntil), latestAt)
        }
    }

    // MARK: - Fetching

    private func fetchOnce() async throws {
        let task = state.withLock { state in
            if state.underWay == nil { start(&state) }
            return state.underWay
        }
        // Shutting down does not wait for an issuer that does not answer.
        try await withTaskCancellationHandler {
            try await task?.value
        } onCancel: {
            task?.cancel()
        }
    }

    /// Begins a fetch, as a task of its own because its waiters come and go. The caller holds the lock and has seen
    /// that none is under way.
    private func start(_ state: inout State) {
        let (entityTag, changes) = (state.entityTag, state.changes)
        state.underWay = Task {
            do {
                self.accept(try await self.read(unless: entityTag), changes)
            } catch {
                self.fail(error)
                throw VerificationError(.keysUnavailable)
            }
        }
    }

    /// A fetched set, or `nil` where the one at hand still holds.
    private struct Outcome {
        let fresh: (keys: KeySet, entityTag: String?)?
        let lifetime: Duration?
    }

    private func read(unless entityTag: String?) async throws -> Outcome {
        let answer = try await fetch(entityTag)
        switch answer.content {
        case .unchanged:
            return Outcome(fresh: nil, lifetime: answer.lifetime)
        case .document(let bytes, let tag):
            let keys = try KeySet(jwks: bytes)
            // An issuer of tokens has a key. Without one it is broken, and the set at hand is better than none.
            guard !keys.isEmpty else { throw VerificationError(.keysUnavailable) }
            return Outcome(fresh: (keys, tag), lifetime: answer.lifetime)
        }
    }

    /// `changes`: what had been heard of when the set was asked for.
    private func accept(_ outcome: Outcome, _ changes: Int) {
        let changed = state.withLock { state in
            state.underWay = nil
            state.failures = 0
            state.changesFetched = changes
            // What changed while this set was on its way may be missing in it.
            let isOutdated = state.changes != changes
            state.dueAt = isOutdated ? now() : now() + pace.interval(forLifetime: outcome.lifetime)
            state.latestAt = now() + pace.longestInterval
            guard let fresh = outcome.fresh else { return nil as [String]? }
            let isNew = fresh.keys.keyIDs != state.keys.keyIDs
            state.keys = fresh.keys
            state.entityTag = fresh.entityTag
            return isNew ? fresh.keys.keyIDs : nil
        }
        if let changed { logger.info("the issuer's keys have changed", metadata: ["kids": "\(changed)"]) }
    }

    private func fail(_ error: any Error) {
        let (failures, isEmpty) = state.withLock { state in
            state.underWay = nil
            state.failures += 1
            state.dueAt = now() + pace.interval(afterFailures: state.failures)
            return (state.failures, state.keys.isEmpty)
        }
        guard !Task.isCancelled else { return }
        logger.warning(
            "the issuer's keys cannot be fetched",
            metadata: [
                "error": "\(error)", "failures": "\(failures)", "serving": isEmpty ? "none" : "the last good keys",
            ]
        )
    }
}
