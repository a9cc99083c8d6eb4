// One HTTP request for a JWK set: conditional, with limits on time and size. The answer states its lifetime.
import AsyncHTTPClient
import Logging
import NIOCore
import NIOHTTP1

package struct KeySetAnswer: Sendable {
    package enum Content: Sendable {
        /// `304`: the earlier document is still valid.
        case unchanged
        case document([UInt8], entityTag: String?)
    }

    package let content: Content
    /// `nil` if the answer states none.
    package let lifetime: Duration?

    package init(_ content: Content, lifetime: Duration? = nil) {
        self.content = content
        self.lifetime = lifetime
    }
}

struct KeySetDownload: Sendable {
    /// SECURITY: no set of public keys is near 1 MiB. The limit ends an endless answer.
    private static let maximumSize = 1 << 20

    /// A client that fails at once if nothing listens. A client that retries would use up the time in which a request
    /// waits for an unknown key, and the source retries anyway.
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

    /// Fetches the set unless it still has this entity tag (RFC 9110 §13.1.2).
    func fetch(unless entityTag: String?) async throws -> KeySetAnswer {
        var request = HTTPClientRequest.ofIssuer(url)
        request.headers.add(name: "Accept", value: "application/jwk-set+json, application/json")
        if let entityTag { request.headers.add(name: "If-None-Match", value: entityTag) }
        let response = try await client.execute(request, timeout: TimeAmount(timeout), logger: logger)
        // SECURITY: control over the keys is control over the issuer, so they come from the configured address only.
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
    /// - Returns: zero for an answer that must not be reused; `nil` if it states nothing.
    static func lifetime(cacheControl: [String], age: String?) -> Duration? {
        let directives = cacheControl.map { $0.lowercased().filter { $0 != "\"" } }
        if directives.contains("no-store") || directives.contains("no-cache") { return .zero }
        let maxAge = directives.lazy.compactMap { $0.hasPrefix("max-age=") ? Int64($0.dropFirst(8)) : nil }.first
        guard let maxAge, maxAge >= 0 else { return nil }
        let spent = age.flatMap { Int64($0) } ?? 0
        return .seconds(max(0, maxAge - min(max(spent, 0), maxAge)))
    }
}
