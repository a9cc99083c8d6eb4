// One HTTP request for a JWK set: conditional, bounded in time and size, and told how long its answer is good for.
import AsyncHTTPClient
import Logging
import NIOCore
import NIOHTTP1

/// What the issuer answered.
package struct KeySetAnswer: Sendable {
    /// The document and its entity tag.
    package enum Content: Sendable {
        /// `304`: what was fetched before still holds.
        case unchanged
        case document([UInt8], entityTag: String?)
    }

    package let content: Content
    /// How long the answer is fresh; `nil` where it does not say.
    package let lifetime: Duration?

    package init(_ content: Content, lifetime: Duration? = nil) {
        self.content = content
        self.lifetime = lifetime
    }
}

/// Fetches a JWK set from one address.
struct KeySetDownload: Sendable {
    /// SECURITY: no set of public keys comes near 1 MiB; an endless answer ends there.
    private static let maximumSize = 1 << 20

    /// A client that fails at once where nobody listens. Those that retry by themselves would use up the time in which
    /// a request waits for an unknown key; the source retries anyway.
    static let sharedClient: HTTPClient = {
        var configuration = HTTPClient.Configuration(redirectConfiguration: .disallow)
        configuration.connectionPool.retryConnectionEstablishment = false
        return HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
    }()

    let url: String
    let client: HTTPClient
    let timeout: Duration
    let logger: Logger

    enum Failure: Error {
        case status(UInt)
        case redirected
    }

    /// Fetches the set, unless it still is the one with this entity tag (RFC 9110 §13.1.2).
    func fetch(unless entityTag: String?) async throws -> KeySetAnswer {
        var request = HTTPClientRequest.ofIssuer(url)
        request.headers.add(name: "Accept", value: "application/jwk-set+json, application/json")
        if let entityTag { request.headers.add(name: "If-None-Match", value: entityTag) }
        let response = try await client.execute(request, timeout: TimeAmount(timeout), logger: logger)
        // SECURITY: whoever controls the keys is the issuer, so they come from the configured address or not at all.
        guard response.history.count <= 1 else { throw Failure.redirected }
        let lifetime = Self.lifetime(
            cacheControl: response.headers[canonicalForm: "Cache-Control"].map(String.init),
            age: response.headers.first(name: "Age")
        )
        switch response.status {
        case .notModified where entityTag != nil:
            return KeySetAnswer(.unchanged, lifetime: lifetime)
        case .ok:
            let body = try await response.body.collect(upTo: Self.maximumSize)
            let tag = response.headers.first(name: "ETag")
            return KeySetAnswer(.document(Array(body.readableBytesView), entityTag: tag), lifetime: lifetime)
        default:
            throw Failure.status(response.status.code)
        }
    }

    /// The freshness lifetime (RFC 9111 §4.2.1) of an answer that has spent `age` seconds in caches (§4.2.3).
    ///
    /// - Parameters:
    ///   - cacheControl: the directives of the answer.
    ///   - age: the `Age` field.
    /// - Returns: zero for an answer that must not be reused unasked; `nil` where nothing is said.
    static func lifetime(cacheControl: [String], age: String?) -> Duration? {
        let directives = cacheControl.map { $0.lowercased().filter { $0 != "\"" } }
        if directives.contains("no-store") || directives.contains("no-cache") { return .zero }
        let maxAge = directives.lazy.compactMap { $0.hasPrefix("max-age=") ? Int64($0.dropFirst(8)) : nil }.first
        guard let maxAge, maxAge >= 0 else { return nil }
        let spent = age.flatMap { Int64($0) } ?? 0
        return .seconds(max(0, maxAge - min(max(spent, 0), maxAge)))
    }
}
