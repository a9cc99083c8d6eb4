// The issuer's events as pages, for a service that keeps something about users and must know what became of them.
//
// A verifier follows the stream (`RevocationFeed`) and keeps its cursor in memory. A service that acts on events keeps
// its cursor where its effects are, in its own database, and moves both at once; so here it brings the cursor along and
// gets the bytes of a page (docs/events.md has their form). `EventNews` says when there is something to read.
public import AsyncHTTPClient
public import Logging
import NIOCore
import NIOHTTP1

/// Reads pages of the event feed with a service's own credentials.
public struct EventPages: Sendable {
    /// Why there is no page.
    public enum Failure: Error, Sendable, Hashable {
        /// The feed cannot be followed from this place without a hole: begin anew, without a place.
        case cursorGone
        /// The issuer answered with this status.
        case status(UInt)
        /// Redirects are not followed.
        case redirected
    }

    /// SECURITY: a page of 1,000 events of ours is under 8 MiB; an endless answer ends there.
    private static let maximumSize = 8 << 20

    private let url: String
    private let client: HTTPClient
    private let tokens: ServiceTokens
    private let timeout: Duration
    private let logger: Logger

    /// Makes a reader.
    ///
    /// - Parameters:
    ///   - url: of the feed, for example `https://auth.example.com/v1/events`.
    ///   - credentials: of a client with the scope `events`.
    ///   - timeout: how long a page or a token may take.
    ///   - client: an HTTP client with settings of your own; it stays yours to shut down.
    ///   - logger: handed to the HTTP client.
    public init(
        url: String,
        credentials: ClientCredentials,
        timeout: Duration = .seconds(10),
        client: HTTPClient? = nil,
        logger: Logger
    ) {
        let client = client ?? KeySetDownload.sharedClient
        self.url = url
        self.client = client
        self.tokens = ServiceTokens(credentials, scope: "events", client: client, timeout: timeout, logger: logger)
        self.timeout = timeout
        self.logger = logger
    }

    /// The JSON of one page.
    ///
    /// - Parameters:
    ///   - cursor: `next_cursor` of the page before; `nil` to begin with the oldest event.
    ///   - kinds: the kinds of events that are wanted.
    ///   - limit: how many at most, from 1 to 1,000.
    /// - Returns: the body of the answer.
    /// - Throws: `Failure`, or what the HTTP client throws.
    public func read(after cursor: String?, kinds: [String], limit: Int) async throws -> [UInt8] {
        var address = "\(url)?kinds=\(kinds.joined(separator: ","))&limit=\(limit)"
        if let cursor { address += "&after=\(ClientCredentials.encoded(cursor))" }
        var request = HTTPClientRequest.ofIssuer(address)
        request.headers.add(name: "Authorization", value: "Bearer \(try await tokens.token())")
        request.headers.add(name: "Accept", value: "application/json")
        let response = try await client.execute(request, timeout: TimeAmount(timeout), logger: logger)
        // SECURITY: whoever controls the feed decides whose data is erased, so it comes from the configured address.
        guard response.history.count <= 1 else { throw Failure.redirected }
        switch response.status {
        case .ok: break
        // 400: a place that the issuer cannot even read.
        case .gone,
            .badRequest where cursor != nil:
            throw Failure.cursorGone
        case .unauthorized:
            tokens.forget()
            throw Failure.status(response.status.code)
        default:
            throw Failure.status(response.status.code)
        }
        return Array(try await response.body.collect(upTo: Self.maximumSize).readableBytesView)
    }
}
