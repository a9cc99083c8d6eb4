// The JWKS.
import HTTPTypes
import Hummingbird
import ServiceKit

struct KeyRoutes: Sendable {
    let keys: SigningKeys

    func mount(on router: RouteGroup<AuthRequestContext>) {
        router.get(".well-known/jwks.json", query: .ignored) { _, _ in
            Response.cacheable(keys.published.jwks)
        }
    }
}

extension Response {
    /// Seconds: a third of the 15 minutes for which a new key is published before use.
    private static let maxAge = 300

    /// The keys and the discovery metadata: the only public, cacheable answers here.
    static func cacheable(_ body: JSONWriter) -> Response {
        .json(body, headers: [.cacheControl: "public, max-age=\(maxAge)", .eTag: EntityTag.content(body)])
    }
}
