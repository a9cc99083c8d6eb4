import AsyncHTTPClient
import Logging
import NIOCore
import NIOHTTP1
import Synchronization

/// Receives what a connection brings, in the order of these functions.
protocol FeedConsumer: Sendable {
    /// The issuer has answered with a stream.
    func opened()
    /// Bytes have arrived.
    func heard()
    /// An error ends the connection and leaves the position before the event.
    func take(_ event: StreamEvent, at position: String?) throws
    /// All events up to the position have been taken.
    func moved(to position: String?)
}

struct FeedConnection: Sendable {
    enum Failure: Error {
        /// The issuer cannot resume at the position without a gap.
        case positionGone
        case status(UInt)
        case redirected
        case notAStream
        case silent
        case ended
    }

    let url: String
    /// The position to resume at; `nil` to begin as the URL says.
    let position: String?
    let client: HTTPClient
    let tokens: ServiceTokens
    /// A connection that is silent for longer is dead.
    let maxSilence: Duration
    let logger: Logger

    /// Follows the connection to its end, which is always an error.
    func follow(_ consumer: some FeedConsumer) async throws {
        let pulse = Pulse()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await read(pulse, consumer) }
            group.addTask {
                while true {
                    let silentAt = pulse.last + maxSilence
                    guard silentAt > .now else { throw Failure.silent }
                    try await Task.sleep(until: silentAt, clock: .continuous)
                }
            }
            defer { group.cancelAll() }
            try await group.next()
        }
        throw Failure.ended
    }

    /// When the connection started or last brought bytes.
    private final class Pulse: Sendable {
        private let instant = Mutex(ContinuousClock.now)

        var last: ContinuousClock.Instant { instant.withLock { $0 } }
        func beat() { instant.withLock { $0 = .now } }
    }

    private func read(_ pulse: Pulse, _ consumer: some FeedConsumer) async throws {
        let body = try await open()
        consumer.opened()
        var parser = EventStreamParser(lastEventID: position)
        for try await chunk in body {
            pulse.beat()
            consumer.heard()
            try parser.parse(chunk.readableBytesView) { try consumer.take($0, at: $1) }
            consumer.moved(to: parser.lastEventID)
        }
    }

    private func open() async throws -> HTTPClientResponse.Body {
        var request = HTTPClientRequest.ofIssuer(url)
        request.headers.add(name: "Authorization", value: "Bearer \(try await tokens.token())")
        request.headers.add(name: "Accept", value: "text/event-stream")
        if let position { request.headers.add(name: "Last-Event-ID", value: position) }
        let response = try await client.execute(request, deadline: .distantFuture, logger: logger)
        // SECURITY: another address could hide revocations, so redirects are refused.
        guard response.history.count <= 1 else { throw Failure.redirected }
        switch response.status {
        case .ok: break
        // 400: the issuer cannot read the position.
        case .gone,
            .badRequest where position != nil:
            throw Failure.positionGone
        case .unauthorized:
            tokens.forget()
            throw Failure.status(response.status.code)
        default:
            throw Failure.status(response.status.code)
        }
        let type = response.headers.first(name: "Content-Type")?.lowercased() ?? ""
        guard type.hasPrefix("text/event-stream") else { throw Failure.notAStream }
        return response.body
    }
}
