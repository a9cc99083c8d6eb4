// Reads the issuer's events as pages, for a service that stores something about users.
//
// A verifier follows the stream (`RevocationFeed`) and keeps its cursor in memory. A service that acts on events stores
// its cursor beside the effects and moves both in one transaction. So it passes the cursor in, and gets the bytes of a
// page (docs/events.md describes them). `EventNews` says when there is something to read.
public import AsyncHTTPClient
public import Logging
import NIOCore
import NIOHTTP1

/// Reads pages of the event feed with a service's own credentials.
public struct EventPages: Sendable {
    /// Why there is no page.
    public enum Failure: Error, Sendable, Hashable {
        /// The feed has a gap after this cursor: start again without one.
        case cursorGone
        /// The issuer answered with this status.
        case status(UInt)
        /// Redirects are not followed.
        case redirected
    }

    /// SECURITY: a page of 1,000 events is under 8 MiB. The limit ends an endless answer.
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
    ///   - client: an HTTP client with your settings. You shut it down.
    ///   - logger: passed to the HTTP client.
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

    /// Returns the JSON of one page.
    ///
    /// - Parameters:
    ///   - cursor: `next_cursor` of the previous page; `nil` for the oldest event.
    ///   - kinds: the wanted kinds of events.
    ///   - limit: the maximum number of events, 1 to 1,000.
    /// - Returns: the body of the answer.
    /// - Throws: `Failure`, or an error of the HTTP client.
    public func read(after cursor: String?, kinds: [String], limit: Int) async throws -> [UInt8] {
        var address = "\(url)?kinds=\(kinds.joined(separator: ","))&limit=\(limit)"
        if let cursor { address += "&after=\(ClientCredentials.encoded(cursor))" }
        var request = HTTPClientRequest.ofIssuer(address)
        request.headers.add(name: "Authorization", value: "Bearer \(try await tokens.token())")
        request.headers.add(name: "Accept", value: "application/json")
        let response = try await client.execute(request, timeout: TimeAmount(timeout), logger: logger)
        // SECURITY: the feed decides whose data is erased, so it must come from the configured address.
        guard response.history.count <= 1 else { throw Failure.redirected }
        switch response.status {
        case .ok: break
        // 400: the issuer cannot read the cursor.
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
