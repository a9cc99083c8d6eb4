// What a service may do is the scope of its token (RFC 6749 §3.3). Scopes are given to clients, by admins; a user's
// token has none.
import Hummingbird
import ServiceKit
import TesseraVerifierHummingbird

/// Refuses tokens without the scope; stands behind `TokenVerifierMiddleware`.
struct ScopeMiddleware: RouterMiddleware {
    let scope: String

    func handle(
        _ request: Request,
        context: AuthRequestContext,
        next: @concurrent (Request, AuthRequestContext) async throws -> Response
    ) async throws -> Response {
        guard let claims = context.accessToken else { throw APIError(.tokenMissing) }
        guard claims.scope.contains(scope) else {
            // RFC 6750 §3.1: the challenge may name what is missing.
            let challenge = "Bearer realm=\"tessera\", error=\"insufficient_scope\", scope=\"\(scope)\""
            throw APIError(.insufficientScope, headers: [.wwwAuthenticate: challenge])
        }
        return try await next(request, context)
    }
}
