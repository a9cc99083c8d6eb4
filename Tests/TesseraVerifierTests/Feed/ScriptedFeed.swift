// An issuer's feed over a real socket, whose every byte the test decides.
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import Logging
import NIOCore
import Synchronization
import TesseraVerifier
import TestSupport

final class ScriptedFeed: Sendable {
    struct Asked: Sendable {
        let since: String?
        let kinds: String?
        let lastEventID: String?
        let authorization: String?
    }

    private struct State {
        var asked: [Asked] = []
        var streams: [AsyncStream<ByteBuffer>.Continuation] = []
        /// Statuses for the next requests of the feed, instead of a stream.
        var refusals: [HTTPResponse.Status] = []
        /// The first bytes of the next streams.
        var openings: [String] = []
        var tokens = 0
        var refusedTokens = 0
        var isLocked = false
        var isClosed = false
    }

    static let id = "chat:1"
    static let secret = "s3cret/with:colon"

    private let state = Mutex(State())

    var asked: [Asked] { state.withLock(\.asked) }

    var tokens: Int { state.withLock(\.tokens) }

    var refusedTokens: Int { state.withLock(\.refusedTokens) }

    func refuse(_ statuses: HTTPResponse.Status...) { state.withLock { $0.refusals += statuses } }

    /// Begins the next streams with these bytes. The default is `caught_up` at `e:0`.
    func open(with texts: String...) { state.withLock { $0.openings += texts } }

    func lock(_ isLocked: Bool) { state.withLock { $0.isLocked = isLocked } }

    func send(_ text: String) {
        for stream in state.withLock(\.streams) { stream.yield(ByteBuffer(string: text)) }
    }

    func cut() {
        let streams = state.withLock { state in
            defer { state.streams = [] }
            return state.streams
        }
        for stream in streams { stream.finish() }
    }

    /// Ends every stream, and those that are requested later: an open request would keep the server from stopping.
    private func close() {
        state.withLock { $0.isClosed = true }
        cut()
    }

    static func event(_ id: String, _ kind: String, _ data: String) -> String {
        "id: \(id)\nevent: \(kind)\ndata: {\"id\":\"\(id)\",\"kind\":\"\(kind)\",\"data\":\(data)}\n\n"
    }

    static func caughtUp(_ id: String) -> String { "id: \(id)\nevent: caught_up\ndata: {\"cursor\":\"\(id)\"}\n\n" }

    private func stream(_ request: Request) -> Response {
        let query = request.uri.queryParameters
        let asked = Asked(
            since: query["since"].map(String.init),
            kinds: query["kinds"].map(String.init),
            lastEventID: HTTPField.Name("Last-Event-ID").flatMap { request.headers[$0] },
            authorization: request.headers[.authorization]
        )
        let (stream, continuation) = AsyncStream.makeStream(of: ByteBuffer.self)
        let (refusal, opening) = state.withLock { state in
            state.asked.append(asked)
            if !state.refusals.isEmpty { return (state.refusals.removeFirst() as HTTPResponse.Status?, "") }
            if state.isClosed { continuation.finish() } else { state.streams.append(continuation) }
            let opening = state.openings.isEmpty ? Self.caughtUp("e:0") : state.openings.removeFirst()
            return (nil, opening)
        }
        if let refusal { return Response(status: refusal) }
        continuation.yield(ByteBuffer(string: "retry: 1000\n\n" + opening))
        return Response(
            status: .ok,
            headers: [.contentType: "text/event-stream"],
            body: ResponseBody(asyncSequence: stream)
        )
    }

    private func token(_ request: Request) async throws -> Response {
        // chat%3A1:s3cret%2Fwith%3Acolon
        let isRight = request.headers[.authorization] == "Basic Y2hhdCUzQTE6czNjcmV0JTJGd2l0aCUzQWNvbG9u"
        let form = String(buffer: try await request.body.collect(upTo: 1000))
        guard isRight, form == "grant_type=client_credentials&scope=events", !state.withLock(\.isLocked) else {
            state.withLock { $0.refusedTokens += 1 }
            return Response(status: .unauthorized)
        }
        let number = state.withLock { state in
            state.tokens += 1
            return state.tokens
        }
        let body = "{\"access_token\":\"t\(number)\",\"token_type\":\"Bearer\",\"expires_in\":600,\"scope\":\"events\"}"
        return Response(status: .ok, body: .init(byteBuffer: ByteBuffer(string: body)))
    }

    func withFollower(
        policy: StalePolicy = .serve,
        pace: FeedPace = .quick,
        keys: RemoteKeySource? = nil,
        news: EventNews? = nil,
        secret: String = ScriptedFeed.secret,
        clock: @escaping @Sendable () -> Int64 = { TestIssuer.now },
        _ body: @escaping @Sendable (RevocationFeed) async throws -> Void
    ) async throws {
        state.withLock { $0.isClosed = false }
        let router = Router()
        router.get("v1/events") { request, _ in self.stream(request) }
        router.post("oauth2/token") { request, _ in try await self.token(request) }
        var logger = Logger(label: "test.feed")
        logger.logLevel = .critical
        let quiet = logger
        let application = Application(
            router: router,
            configuration: .init(address: .hostname("127.0.0.1", port: 0)),
            logger: logger
        )
        try await application.test(.live) { client in
            let url = "http://127.0.0.1:\(client.port ?? 0)"
            let feed = RevocationFeed(
                url: "\(url)/v1/events",
                credentials: ClientCredentials(tokenEndpoint: "\(url)/oauth2/token", id: Self.id, secret: secret),
                policy: policy,
                pace: pace,
                keys: keys,
                news: news,
                clock: clock,
                logger: quiet
            )
            let following = Task { await feed.run() }
            let outcome: Result<Void, any Error>
            do { outcome = .success(try await body(feed)) } catch { outcome = .failure(error) }
            following.cancel()
            await following.value
            self.close()
            try outcome.get()
        }
    }
}

extension FeedPace {
    /// Short retries, and a long timeout for silence.
    static var quick: FeedPace {
        var pace = FeedPace()
        pace.firstRetry = .milliseconds(5)
        pace.maxRetryInterval = .milliseconds(20)
        return pace
    }
}
