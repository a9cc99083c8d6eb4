// Fetches the issuer's keys over HTTP before they are needed.
//
// An issuer publishes a key well before it signs with it. A verifier that follows the answer's max-age knows every key
// in time, and no request waits for a fetch. Exceptions are an emergency rotation and the time before the first fetch.
// While the issuer is down the last good set stays in use, because its tokens expire by themselves. A new set replaces
// the whole old one, so removed keys are gone. Beside a `RevocationFeed`, which reports key changes, no timer fetches
// the set.
public import AsyncHTTPClient
public import Logging
public import ServiceLifecycle
import Synchronization

/// Fetches and caches an issuer's JWK set. Run it as a `Service`, so that it stays fresh.
///
/// It fetches nothing before `run()` or the first token. While the issuer is unreachable and no key is known, tokens
/// are refused with `.keysUnavailable`, a 503.
public final class RemoteKeySource: KeySource, Service {
    private struct State {
        var keys = KeySet([:])
        var entityTag: String?
        /// The one fetch in progress.
        var underWay: Task<Void, any Error>?
        /// The next fetch, unless the feed confirms the set.
        var dueAt: ContinuousClock.Instant?
        /// Until then, the feed would have reported a change of keys.
        var confirmedUntil: ContinuousClock.Instant?
        /// The next fetch in any case.
        var latestAt: ContinuousClock.Instant?
        /// How many changes of keys the feed has reported.
        var changes = 0
        /// How many of them were known when the current set was requested.
        var changesFetched = 0
        /// The start of the last fetch for an unknown key.
        var lookedAt: ContinuousClock.Instant?
        /// Since the last success.
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
    ///     Use `http` only on a network that no attacker can change: the keys decide which tokens are valid.
    ///   - client: an HTTP client with your settings, such as a private certificate authority. You shut it down. By
    ///     default all sources of the process share one.
    ///   - pace: how often to fetch, and how long a fetch may take.
    ///   - logger: records changes of keys and failed fetches.
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
    ///   - pace: how often to fetch.
    ///   - logger: records changes of keys and failed fetches.
    ///   - now: the time, for the limit on fetches for unknown keys.
    ///   - fetch: fetches the set, given the current entity tag.
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

    /// Fetches the set again, unless another unknown key just caused a fetch.
    ///
    /// - Parameter keyID: the `kid` of a token's header.
    /// - Throws: `.keysUnavailable` when the issuer did not answer: the key may exist.
    public func refresh(afterUnknownKeyID keyID: String) async throws {
        // A fetch in progress may have been answered before the key was published. So the caller waits for it, and may
        // start another if the key is still missing.
        if let underWay = state.withLock(\.underWay) {
            try? await underWay.value
        }
        if snapshot().contains(keyID) { return }
        let (underWay, isReachable) = state.withLock { state in
            // SECURITY: anyone can invent key ids, so all of them together cause one fetch per interval.
            let isTooSoon = state.lookedAt.map { now() < $0 + pace.unknownKeyInterval(state.keys) } ?? false
            if state.underWay == nil, !isTooSoon {
                state.lookedAt = now()
                start(&state)
            }
            return (state.underWay, state.failures == 0)
        }
        if let underWay {
            try await underWay.value
        } else if !isReachable {
            throw VerificationError(.keysUnavailable)
        }
    }

    /// Throws while there are no keys, for a readiness check.
    ///
    /// Without keys it looks for them, as often as for unknown keys. So a service that started before its issuer
    /// becomes ready soon after it.
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
    /// - Throws: nothing; `Service` requires the word. A failed fetch is logged and repeated.
    public func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                // In this order: before the first fetch it is due now.
                let (due, now) = (self.due, self.now())
                if now >= due {
                    // The fetch logs its failure, and the next attempt is already due.
                    try? await self.fetchOnce()
                } else {
                    // At most a second: the feed may report a change of keys meanwhile.
                    let next = min(due, now + .seconds(1))
                    guard (try? await Task.sleep(until: next, clock: .continuous)) != nil else { return }
                }
            }
        }
    }

    // MARK: - Beside a feed

    /// The feed is current: for this long it would report a change of keys.
    func confirm(for duration: Duration) {
        state.withLock { $0.confirmedUntil = now() + duration }
    }

    /// The keys may have changed: they are fetched within a second.
    func expire() {
        state.withLock { state in
            state.changes += 1
            state.dueAt = now()
        }
    }

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
        // Shutdown does not wait for an issuer that does not answer.
        try await withTaskCancellationHandler {
            try await task?.value
        } onCancel: {
            task?.cancel()
        }
    }

    /// A task of its own, because its waiters come and go. The caller holds the lock and has checked that no fetch is
    /// running.
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

    /// `nil` if the current set is still valid.
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
            // An issuer of tokens has a key. Without one it is broken, and the old set is better than none.
            guard !keys.isEmpty else { throw VerificationError(.keysUnavailable) }
            return Outcome(fresh: (keys, tag), lifetime: answer.lifetime)
        }
    }

    /// `changes`: the count when the set was requested.
    private func accept(_ outcome: Outcome, _ changes: Int) {
        let changed = state.withLock { state in
            state.underWay = nil
            state.failures = 0
            state.changesFetched = changes
            // This set may lack a change that was reported while it was on its way.
            let isOutdated = state.changes != changes
            state.dueAt = isOutdated ? now() : now() + pace.interval(forLifetime: outcome.lifetime)
            state.latestAt = now() + pace.maxInterval
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
