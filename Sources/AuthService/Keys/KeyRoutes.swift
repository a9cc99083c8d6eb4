// What the world may know of the keys: the JWKS.
import HTTPTypes
import Hummingbird
import OpenSSLCrypto
import ServiceKit

struct KeyRoutes: Sendable {
    let keys: SigningKeys

    func mount(on router: RouterGroup<AuthRequestContext>) {
        router.get(".well-known/jwks.json") { request, _ in
            Response.cacheable(keys.published.jwks, request)
        }
    }
}

extension Response {
    /// Seconds; half of what a verifier may take to learn of a new key, which is published 15 minutes ahead.
    private static let maxAge = 300

    /// The keys and the discovery metadata: the only public, cacheable answers here.
    static func cacheable(_ body: JSONWriter, _ request: Request) -> Response {
        let tag = "\"\(Hex.encode(Array(SHA256.digest(body.bytes).prefix(12))))\""
        let headers: HTTPFields = [.cacheControl: "public, max-age=\(maxAge)", .eTag: tag]
        // RFC 9110 §13.1.2: a list, compared weakly, or `*`.
        let known = request.headers[values: .ifNoneMatch].joined(separator: ",").split(separator: ",")
            .map { $0.filter { $0 != " " && $0 != "\t" } }
        if known.contains(where: { $0 == "*" || $0 == tag || $0 == "W/\(tag)" }) {
            return Response(status: .notModified, headers: headers)
        }
        return .json(body, headers: headers)
    }
}
