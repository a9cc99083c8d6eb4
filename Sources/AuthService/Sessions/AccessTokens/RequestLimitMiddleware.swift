// Counts a request for the person whose token it carries, before any row is read for it.
import Hummingbird
import ServiceKit
import TesseraVerifierHummingbird

/// Stands in front of `TokenVerifierMiddleware`, which asks the database whether the token's session stands.
struct RequestLimitMiddleware: RouterMiddleware {
    let counters: RequestCounters
    let verifier: TokenVerifier

    func handle(
        _ request: Request,
        context: AuthRequestContext,
        next: @concurrent (Request, AuthRequestContext) async throws -> Response
    ) async throws -> Response {
        if case .token(let token) = BearerToken.read(request.headers), let claims = signed(token) {
            if claims.isUser {
                try counters.count(person: claims.subject)
            } else {
                RequestScope.current?.identify(.client)
            }
        }
        return try await next(request, context)
    }

    /// What a token says whose signature is right. One that is refused for something else is refused behind this.
    private func signed(_ token: String) -> AccessTokenClaims? {
        // Without `async`, so that this is the `verify` without a lookup.
        do throws(VerificationError) { return try verifier.verify(token) } catch { return nil }
    }
}
