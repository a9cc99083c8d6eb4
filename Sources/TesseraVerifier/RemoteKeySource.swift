// The issuer's keys over HTTP, kept fresh in the background.
//
// A verifier must survive auth being down (the last good set stays), a key rotation (the next key is published long
// before it signs, and is fetched by then), and made-up key ids (one fetch at a time, at most one in five seconds).
public import AsyncHTTPClient
public import Logging
import NIOCore
import NIOHTTP1
public import ServiceLifecycle
import Synchronization

/// Fetches and caches a JWK set. Run it as a `Service` so that it refreshes itself.
public final class RemoteKeySource: KeySource, Service {
    private struct State {
        var keys = KeySet([:])
        var etag: String?
        /// When the set should be fetched again.
        var dueAt: ContinuousClock.Instant?
        var lastFetch: ContinuousClock.Instant?
        var inFlight: Task<Void, any Error>?
    }

    private let url: String
    private let client: HTTPClient
    private let logger: Logger
    private let state = Mutex(State())

    /// A document of public keys is small.
    private static let largest = 1 << 20
    private static let timeout = TimeAmount.seconds(5)
    private static let throttle = Duration.seconds(5)
    private static let retry = Duration.seconds(2)

    /// Makes a source; nothing is fetched yet.
    ///
    /// - Parameters:
    ///   - url: of the JWK set.
    ///   - client: the HTTP client.
    ///   - logger: told of failed fetches.
    public init(url: String, client: HTTPClient = .shared, logger: Logger) {
        self.url = url
        self.client = client
        self.logger = logger
    }

    /// The last good set; empty until the first fetch succeeded.
    public func snapshot() -> KeySet {
        state.withLock(\.keys)
    }

    /// Fetches the set, unless that was done within the last five seconds; concurrent callers share one fetch.
    public func refresh(afterUnknownKeyID kid: String) async throws {
        let task: Task<Void, any Error>? = state.withLock { state in
            if let running = state.inFlight { return running }
            if let last = state.lastFetch, last + Self.throttle > .now { return nil }
            return start(&state)
        }
        do {
            try await task?.value
        } catch {
            throw VerificationError(snapshot().isEmpty ? .keysUnavailable : .unknownKey)
        }
    }

    /// Keeps the set fresh until graceful shutdown.
    public func run() async throws {
        try await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                let task = self.state.withLock { $0.inFlight ?? self.start(&$0) }
                do {
                    try await task.value
                } catch {
                    self.logger.warning("the key set could not be fetched", metadata: ["error": "\(type(of: error))"])
                }
                let due = self.state.withLock(\.dueAt) ?? .now + Self.retry
                do {
                    try await Task.sleep(until: max(due, .now + Self.retry), clock: .continuous)
                } catch {
                    return
                }
            }
        }
    }

    /// Starts a fetch; the caller holds the lock, so that there is one at a time.
    private func start(_ state: inout State) -> Task<Void, any Error> {
        state.lastFetch = .now
        let task = Task { try await self.fetch() }
        state.inFlight = task
        return task
    }

    private func fetch() async throws {
        defer { state.withLock { $0.inFlight = nil } }
        var request = HTTPClientRequest(url: url)
        request.headers.add(name: "Accept", value: "application/json")
        if let etag = state.withLock(\.etag) { request.headers.add(name: "If-None-Match", value: etag) }
        let response = try await client.execute(request, timeout: Self.timeout, logger: logger)
        let due = ContinuousClock.now + Self.maxAge(response.headers.first(name: "Cache-Control"))
        if response.status == .notModified {
            state.withLock { $0.dueAt = due }
            return
        }
        guard response.status == .ok else {
            state.withLock { $0.dueAt = nil }
            throw VerificationError(.keysUnavailable)
        }
        let body = try await response.body.collect(upTo: Self.largest)
        let keys = try KeySet(jwks: Array(body.readableBytesView))
        state.withLock { state in
            state.keys = keys
            state.etag = response.headers.first(name: "ETag")
            state.dueAt = due
        }
    }

    /// RFC 9111 §5.2.2.1, between 10 seconds and an hour: nobody's header may make us hammer, or sleep a day.
    static func maxAge(_ cacheControl: String?) -> Duration {
        let directives = cacheControl?.split(separator: ",").map { $0.lowercased().filter { $0 != " " } } ?? []
        let seconds = directives.compactMap { $0.hasPrefix("max-age=") ? Int($0.dropFirst(8)) : nil }.first ?? 300
        return .seconds(min(max(seconds, 10), 3600))
    }
}
