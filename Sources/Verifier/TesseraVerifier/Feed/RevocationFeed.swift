// Follows the issuer's revocation feed, so that a token that was revoked is refused here a moment later, without a
// question to anybody.
//
// A start reads back as far as a living token could need (`?since=`), and only then knows enough to judge. After that
// the stream brings each revocation as it happens. A stream that ends is taken up where it was (`Last-Event-ID`), so
// nothing is missed; when the issuer no longer knows that place (410) the feed is read back again. A connection that is
// silent for three heartbeats is dead. Events may come twice, and taking one twice changes nothing.
public import AsyncHTTPClient
public import Logging
import Metrics
import NIOCore
import NIOHTTP1
import Synchronization

/// A follower of the revocation feed. Run it for as long as the service runs. Its metrics are listed in the module's
/// documentation.
public final class RevocationFeed: RevocationSource {
    private enum Failure: Error {
        case status(UInt)
        case redirected
        case notAStream
        case silent
        case ended
    }

    private let url: String
    private let client: HTTPClient
    private let tokens: ServiceTokens
    private let policy: StalePolicy
    private let pace: FeedPace
    private let clock: @Sendable () -> Int64
    private let logger: Logger
    private let lifetime: Int64
    private let knowledge: Mutex<FeedKnowledge>
    private let waiting = Mutex<[Int: CheckedContinuation<Void, Never>]>([:])
    private let waiters = Atomic<Int>(0)
    private let unjudged = Counter(label: "tessera_verifier_unjudged_total")

    /// Makes a follower.
    ///
    /// - Parameters:
    ///   - url: of the feed, for example `https://auth.example.com/v1/events`. Redirects are refused.
    ///   - credentials: of a client with the scope `events`.
    ///   - policy: what becomes of tokens while the revocations are not current.
    ///   - pace: how far back to read, and how often to try again.
    ///   - client: an HTTP client with settings of your own; it stays yours to shut down. It must not limit how long a
    ///     response may take.
    ///   - clock: the time in seconds since 1970, the same as the verifier's.
    ///   - logger: told when the feed is current and when it is not.
    public init(
        url: String,
        credentials: ClientCredentials,
        policy: StalePolicy = .serve,
        pace: FeedPace = FeedPace(),
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
        self.clock = clock
        self.logger = logger
        self.lifetime = max(1, pace.tokenLifetime.components.seconds)
        self.knowledge = Mutex(FeedKnowledge(lifetime: lifetime, now: .now))
    }

    // MARK: - What is known

    /// How well the revocations are known now.
    public var state: RevocationState { knowledge.withLock(\.state) }

    /// Whether tokens are judged: not before the revocations have been current once, and not while the policy refuses.
    /// For the answer to "are you ready?".
    public var isReady: Bool { knowledge.withLock { $0.suffices(policy) { .now } } }

    /// How many revocations are remembered.
    public var count: Int { knowledge.withLock(\.revocations.count) }

    /// Returns once the revocations are current, or the task is cancelled.
    public func waitUntilCurrent() async {
        let number = waiters.add(1, ordering: .relaxed).newValue
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                waiting.withLock { $0[number] = continuation }
                // Looked at after the continuation is where `catchUp` finds it.
                if Task.isCancelled || state == .current { resume(number) }
            }
        } onCancel: {
            resume(number)
        }
    }

    private func resume(_ number: Int) {
        waiting.withLock { $0.removeValue(forKey: number) }?.resume()
    }

    /// Refuses a token that was revoked, or of which it cannot be told.
    ///
    /// - Parameters:
    ///   - claims: of a token that is genuine, unexpired and for this service.
    ///   - keyID: of the key that signed it.
    /// - Throws: `.revoked` for a session or everybody's tokens, `.stale` for a user's older tokens and for those made
    ///   longer ago than revocations are remembered, `.unknownKey` for a key that was revoked, and
    ///   `.revocationsUnavailable` before the revocations have been current once, or while the policy refuses.
    public func check(_ claims: AccessTokenClaims, keyID: String) throws(VerificationError) {
        let refusal = knowledge.withLock { knowledge -> VerificationError? in
            guard knowledge.suffices(policy, now: { .now }) else { return VerificationError(.revocationsUnavailable) }
            return knowledge.revocations.refusal(of: claims, keyID: keyID)
        }
        if let refusal {
            if refusal.code == .revocationsUnavailable { unjudged.increment() }
            throw refusal
        }
        // SECURITY: what was revoked so long ago is forgotten, so nothing is known of a token that was there then.
        guard claims.issuedAt >= clock() - lifetime else {
            throw VerificationError(.stale, claim: "iat")
        }
    }

    // MARK: - Following

    /// Follows the feed until the task is cancelled.
    public func run() async {
        var failures = 0
        while !Task.isCancelled {
            do {
                try await follow()
            } catch {
                if Task.isCancelled { break }
                failures = knowledge.withLock { $0.lose() } ? 1 : failures + 1
                report(error, failures)
            }
            reportState()
            try? await Task.sleep(for: pace.pause(afterFailures: failures))
        }
        _ = knowledge.withLock { $0.lose() }
    }

    /// Follows one connection to its end, which is always an error.
    private func follow() async throws {
        let pulse = Pulse()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await self.read(pulse) }
            group.addTask {
                while true {
                    let silentAt = pulse.last + self.pace.longestSilence
                    guard silentAt > .now else { throw Failure.silent }
                    try await Task.sleep(until: silentAt, clock: .continuous)
                }
            }
            defer { group.cancelAll() }
            try await group.next()
        }
        throw Failure.ended
    }

    /// When a connection was heard from last, or begun.
    private final class Pulse: Sendable {
        private let instant = Mutex(ContinuousClock.now)

        var last: ContinuousClock.Instant { instant.withLock { $0 } }
        func beat() { instant.withLock { $0 = .now } }
    }

    private func read(_ pulse: Pulse) async throws {
        let position = knowledge.withLock(\.position)
        var request = HTTPClientRequest(url: address(from: position))
        request.headers.add(name: "Authorization", value: "Bearer \(try await tokens.token())")
        request.headers.add(name: "Accept", value: "text/event-stream")
        if let position { request.headers.add(name: "Last-Event-ID", value: position) }
        let response = try await client.execute(request, deadline: .distantFuture, logger: logger)
        // SECURITY: whoever controls the feed could hide revocations, so it comes from the configured address.
        guard response.history.count <= 1 else { throw Failure.redirected }
        switch response.status {
        case .ok: break
        // 400: a position that the issuer cannot even read.
        case .gone,
            .badRequest where position != nil:
            knowledge.withLock { $0.beginAnew() }
            throw Failure.status(response.status.code)
        case .unauthorized:
            tokens.forget()
            throw Failure.status(response.status.code)
        default:
            throw Failure.status(response.status.code)
        }
        let type = response.headers.first(name: "Content-Type")?.lowercased() ?? ""
        guard type.hasPrefix("text/event-stream") else { throw Failure.notAStream }
        Counter(label: "tessera_verifier_feed_connects_total", dimensions: [("outcome", "success")]).increment()
        var parser = EventStreamParser(lastEventID: position)
        for try await chunk in response.body {
            pulse.beat()
            knowledge.withLock { $0.hear(at: .now) }
            try parser.parse(chunk.readableBytesView) { try take($0, at: $1) }
            // Also where no event stood behind the position.
            if let id = parser.lastEventID, !id.isEmpty { knowledge.withLock { $0.move(to: id) } }
            knowledge.withLock { $0.purge(now: clock()) }
            reportState()
        }
    }

    private func address(from position: String?) -> String {
        let query = "kinds=" + Revocation.kinds.joined(separator: ",")
        return position == nil ? "\(url)?since=\(lifetime)s&\(query)" : "\(url)?\(query)"
    }

    private func take(_ event: StreamEvent, at position: String?) throws {
        if event.name == "caught_up" { return catchUp() }
        guard let revocation = try Revocation(kind: event.name, json: event.data) else { return }
        knowledge.withLock { $0.take(revocation, position: position, now: clock()) }
        Counter(label: "tessera_verifier_feed_events_total", dimensions: [("kind", event.name)]).increment()
    }

    private func catchUp() {
        guard knowledge.withLock({ $0.catchUp() }) else { return }
        logger.info("revocations are current", metadata: ["known": "\(count)"])
        let waiting = waiting.withLock { waiting in
            defer { waiting = [:] }
            return waiting
        }
        for continuation in waiting.values { continuation.resume() }
    }

    private func report(_ error: any Error, _ failures: Int) {
        Counter(label: "tessera_verifier_feed_connects_total", dimensions: [("outcome", "failure")]).increment()
        // Services that start together find each other within the first attempts; a long outage is told of now and then.
        logger.log(
            level: failures % 16 == 4 ? .warning : .info,
            "revocations are not current",
            metadata: ["error": "\(error)", "failures": "\(failures)", "known": "\(count)", "policy": "\(policy)"]
        )
    }

    private func reportState() {
        let (state, count) = knowledge.withLock { ($0.state, $0.revocations.count) }
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
