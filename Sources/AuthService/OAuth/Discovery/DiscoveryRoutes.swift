import Hummingbird
import OpenSSLCrypto
import ServiceKit

struct DiscoveryRoutes: Sendable {
    let issuer: String
    let publicURL: String
    let algorithm: SigningAlgorithm

    func mount(on router: RouteGroup<AuthRequestContext>) {
        router.get(".well-known/openid-configuration", query: .ignored) { _, _ in
            Response.cacheable(metadata())
        }
        router.get(".well-known/oauth-authorization-server", query: .ignored) { _, _ in
            Response.cacheable(metadata())
        }
    }

    /// RFC 8414 §2: only what exists. There is no authorization endpoint, since no grant uses one.
    private func metadata() -> JSONWriter {
        let methods = ["client_secret_basic", "client_secret_post", "private_key_jwt"]
        let algorithms = SigningAlgorithm.allCases.map(\.rawValue)
        return JSONWriter.object { writer in
            writer.field("issuer", issuer)
            writer.field("jwks_uri", "\(publicURL)/.well-known/jwks.json")
            writer.field("token_endpoint", "\(publicURL)/oauth2/token")
            // `none`: the first party refreshes and logs out without a secret, since it cannot keep one.
            writer.field("token_endpoint_auth_methods_supported", methods + ["none"])
            writer.field("token_endpoint_auth_signing_alg_values_supported", algorithms)
            writer.field("introspection_endpoint", "\(publicURL)/oauth2/introspect")
            writer.field("introspection_endpoint_auth_methods_supported", methods)
            writer.field("introspection_endpoint_auth_signing_alg_values_supported", algorithms)
            writer.field("revocation_endpoint", "\(publicURL)/oauth2/revoke")
            writer.field("revocation_endpoint_auth_methods_supported", methods + ["none"])
            writer.field("revocation_endpoint_auth_signing_alg_values_supported", algorithms)
            writer.field("scopes_supported", ClientScope.all)
            writer.field("response_types_supported", [])
            writer.field("grant_types_supported", OAuthTokenRoutes.grantTypes)
            writer.field("subject_types_supported", ["public"])
            writer.field("id_token_signing_alg_values_supported", [algorithm.rawValue])
        }
    }
}
