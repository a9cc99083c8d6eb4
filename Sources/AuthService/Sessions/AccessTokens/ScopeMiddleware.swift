// A token's scope limits a service (RFC 6749 §3.3). Admins give scopes to clients; a user's token has none.
import Hummingbird
import ServiceKit
import TesseraVerifierHummingbird

/// Behind `TokenVerifierMiddleware`.
struct ScopeMiddleware: RouterMiddleware {
    let scope: String

    func handle(
        _ request: Request,
        context: AuthRequestContext,
        next: @concurrent (Request, AuthRequestContext) async throws -> Response
    ) async throws -> Response {
        guard let claims = context.accessToken else { throw APIError(.tokenMissing) }
        guard claims.scope.contains(scope) else {
            // RFC 6750 §3.1: the challenge may name the missing scope.
            let challenge = "Bearer realm=\"tessera\", error=\"insufficient_scope\", scope=\"\(scope)\""
            throw APIError(.insufficientScope, headers: [.wwwAuthenticate: challenge])
        }
        return try await next(request, context)
    }
}
