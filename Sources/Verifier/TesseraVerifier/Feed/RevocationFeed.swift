// Follows the issuer's revocation feed, so that a revoked token is refused a moment later without a request to the
// issuer.
//
// A start reads back as far as a valid token could need (`?since=`), and only then judges tokens. After that the stream
// brings each revocation as it happens. A stream that ends is resumed at its position (`Last-Event-ID`), so nothing is
// missed. If the issuer no longer has that position (410), the feed is read back again. A connection that is silent for
// three heartbeats is dead. An event that comes twice has no further effect.
public import AsyncHTTPClient
public import Logging
import Metrics
import Synchronization

/// Follows the revocation feed. Run it as long as the service runs. The module's documentation lists its metrics.
public final class RevocationFeed: RevocationSource {
    private let url: String
    private let client: HTTPClient
    private let tokens: ServiceTokens
    private let policy: StalePolicy
    private let pace: FeedPace
    private let clock: @Sendable () -> Int64
    private let logger: Logger
    private let lifetime: Int64
    private let replica: Mutex<RevocationReplica>
    private let waiting = Mutex<[Int: CheckedContinuation<Void, Never>]>([:])
    private let waiters = Atomic<Int>(0)
    private let connections = Atomic<Int>(0)
    private let keys: RemoteKeySource?
    private let news: EventNews?
    private let unjudged = Counter(label: "tessera_verifier_unjudged_total")

    /// Makes a follower.
    ///
    /// - Parameters:
    ///   - url: of the feed, for example `https://auth.example.com/v1/events`. Redirects are refused.
    ///   - credentials: of a client with the scope `events`.
    ///   - policy: what happens to tokens while the revocations are not current.
    ///   - pace: how far back to read, and how often to try again.
    ///   - keys: the keys of the same issuer. They are fetched when the feed reports a change and when it reconnects.
    ///     While the feed is current, no timer fetches them.
    ///   - client: an HTTP client with your settings, without a limit on the duration of a response. You shut it down.
    ///   - clock: the time in seconds since 1970, the same as the verifier's.
    ///   - logger: records when the feed becomes current and when it is lost.
    public convenience init(
        url: String,
        credentials: ClientCredentials,
        policy: StalePolicy = .serve,
        pace: FeedPace = FeedPace(),
        keys: RemoteKeySource? = nil,
        client: HTTPClient? = nil,
        clock: @escaping @Sendable () -> Int64 = TokenRequirements.systemClock,
        logger: Logger
    ) {
        self.init(
            url: url,
            credentials: credentials,
            policy: policy,
            pace: pace,
            keys: keys,
            news: nil,
            client: client,
            clock: clock,
            logger: logger
        )
    }

    /// The same, with `news` of events that are read as pages.
    package init(
        url: String,
        credentials: ClientCredentials,
        policy: StalePolicy = .serve,
        pace: FeedPace = FeedPace(),
        keys: RemoteKeySource? = nil,
        news: EventNews?,
        client: HTTPClient? = nil,
        clock: @escaping @Sendable () -> Int64 = TokenRequirements.systemClock,
        logger: Logger
    ) {
        let client = client ?? KeySetDownload.sharedClient
        self.url = url
        self.client = client
        self.tokens = ServiceTokens(
            credentials,
            scope: "events",
            client: client,
            timeout: pace.timeout,
            logger: logger
        )
        self.policy = policy
        self.pace = pace
        self.keys = keys
        self.news = news
        self.clock = clock
        self.logger = logger
        self.lifetime = max(1, pace.tokenLifetime.components.seconds)
        self.replica = Mutex(RevocationReplica(lifetime: lifetime, now: .now))
    }

    // MARK: - State

    /// Whether the revocations are current.
    public var state: RevocationState { replica.withLock(\.state) }

    /// Whether tokens are judged, for a readiness check. False until the revocations have been current once, and while
    /// the policy refuses.
    public var isReady: Bool { replica.withLock { $0.suffices(policy) { .now } } }

    /// How many revocations are remembered.
    public var count: Int { replica.withLock(\.revocations.count) }

    /// Returns once the revocations are current, or the task is cancelled.
    public func waitUntilCurrent() async {
        let number = waiters.add(1, ordering: .relaxed).newValue
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                waiting.withLock { $0[number] = continuation }
                // Checked after the continuation is where `catchUp` finds it.
                if Task.isCancelled || state == .current { resume(number) }
            }
        } onCancel: {
            resume(number)
        }
    }

    private func resume(_ number: Int) {
        waiting.withLock { $0.removeValue(forKey: number) }?.resume()
    }

    /// Refuses a token that was revoked or whose state is unknown.
    ///
    /// - Parameters:
    ///   - claims: of a token that is genuine, unexpired and for this service.
    ///   - keyID: of the key that signed it.
    /// - Throws: `.revoked` for a session or for all users' tokens, `.unknownKey` for a revoked key. `.stale` for a
    ///   user's older tokens and for tokens older than revocations are remembered. `.revocationsUnavailable` before the
    ///   revocations have been current once, or while the policy refuses.
    public func check(_ claims: AccessTokenClaims, keyID: String) throws(VerificationError) {
        let refusal = replica.withLock { replica -> VerificationError? in
            guard replica.suffices(policy, now: { .now }) else { return VerificationError(.revocationsUnavailable) }
            return replica.revocations.refusal(of: claims, keyID: keyID)
        }
        if let refusal {
            if refusal.code == .revocationsUnavailable { unjudged.increment() }
            throw refusal
        }
        // SECURITY: older revocations are forgotten, so nothing is known about a token of that age.
        guard claims.issuedAt >= clock() - lifetime else {
            throw VerificationError(.stale, claim: "iat")
        }
    }

    /// Follows the feed until the task is cancelled.
    public func run() async {
        var failures = 0
        while !Task.isCancelled {
            do {
                try await connection().follow(self)
            } catch {
                if Task.isCancelled { break }
                if case FeedConnection.Failure.positionGone = error { replica.withLock { $0.beginAnew() } }
                failures = lose() ? 1 : failures + 1
                report(error, failures)
            }
            reportState()
            try? await Task.sleep(for: pace.pause(afterFailures: failures))
        }
        _ = lose()
    }

    private func lose() -> Bool {
        news?.lost()
        return replica.withLock { $0.lose() }
    }

    private func connection() -> FeedConnection {
        let position = replica.withLock(\.position)
        var kinds = Revocation.kinds
        if keys != nil { kinds.append("keys.rotated") }
        kinds += (news?.kinds ?? []).filter { !kinds.contains($0) }
        let query = "kinds=" + kinds.joined(separator: ",")
        return FeedConnection(
            url: position == nil ? "\(url)?since=\(lifetime)s&\(query)" : "\(url)?\(query)",
            position: position,
            client: client,
            tokens: tokens,
            maxSilence: pace.maxSilence,
            logger: logger
        )
    }

    private func report(_ error: any Error, _ failures: Int) {
        Counter(label: "tessera_verifier_feed_connects_total", dimensions: [("outcome", "failure")]).increment()
        // Services that start together connect within the first attempts. A long outage is logged now and then.
        logger.log(
            level: failures % 16 == 4 ? .warning : .info,
            "revocations are not current",
            metadata: ["error": "\(error)", "failures": "\(failures)", "known": "\(count)", "policy": "\(policy)"]
        )
    }

    private func reportState() {
        let (state, count) = replica.withLock { ($0.state, $0.revocations.count) }
        Gauge(label: "tessera_verifier_revocations").record(count)
        switch state {
        case .current:
            Gauge(label: "tessera_verifier_current").record(1)
            Gauge(label: "tessera_verifier_stale_seconds").record(0)
        case .stale(let since):
            Gauge(label: "tessera_verifier_current").record(0)
            Gauge(label: "tessera_verifier_stale_seconds").record((ContinuousClock.now - since) / .seconds(1))
        }
    }
}

extension RevocationFeed: FeedConsumer {
    func opened() {
        Counter(label: "tessera_verifier_feed_connects_total", dimensions: [("outcome", "success")]).increment()
        // The issuer may have changed. The first connection's keys have just been fetched.
        if connections.add(1, ordering: .relaxed).newValue > 1 { keys?.expire() }
    }

    func heard() {
        replica.withLock { $0.hear(at: .now) }
    }

    func take(_ event: StreamEvent, at position: String?) throws {
        if event.name == "caught_up" { return catchUp() }
        if ["keys.rotated", "keys.revoked"].contains(event.name) { keys?.expire() }
        news?.heard(event.name)
        guard let revocation = try Revocation(kind: event.name, json: event.data) else { return }
        replica.withLock { $0.take(revocation, position: position, now: clock()) }
        Counter(label: "tessera_verifier_feed_events_total", dimensions: [("kind", event.name)]).increment()
    }

    func moved(to position: String?) {
        let isCurrent = replica.withLock { replica in
            // Even if no event came behind the position.
            if let position, !position.isEmpty { replica.move(to: position) }
            replica.purge(now: clock())
            return replica.isCurrent
        }
        if isCurrent {
            news?.isComplete(at: position)
            keys?.confirm(for: pace.maxSilence)
        }
        reportState()
    }

    private func catchUp() {
        let (isNews, wasReadBack) = replica.withLock { replica in
            let wasReadBack = replica.isReadBack
            return (replica.catchUp(), wasReadBack)
        }
        if wasReadBack { news?.readBack() }
        guard isNews else { return }
        logger.info("revocations are current", metadata: ["known": "\(count)"])
        let waiting = waiting.withLock { waiting in
            defer { waiting = [:] }
            return waiting
        }
        for continuation in waiting.values { continuation.resume() }
    }
}
