// The JWKS.
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
    /// Seconds: a third of the 15 minutes for which a new key is published before use.
    private static let maxAge = 300

    /// Keys and discovery metadata are the only public, cacheable answers.
    static func cacheable(_ body: JSONWriter, _ request: Request) -> Response {
        let tag = "\"\(Hex.encode(Array(SHA256.digest(body.bytes).prefix(12))))\""
        let headers: HTTPFields = [.cacheControl: "public, max-age=\(maxAge)", .eTag: tag]
        // RFC 9110 §13.1.2: a list, compared weakly, or `*`.
        let own: [RequestText] = ["*", RequestText(tag), RequestText("W/\(tag)")]
        if request.headers.elements(.ifNoneMatch).contains(where: own.contains) {
            return Response(status: .notModified, headers: headers)
        }
        return .json(body, headers: headers)
    }
}
