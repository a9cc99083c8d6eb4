// Whose a request is by the token that it carries, before any row is read for it.
import Hummingbird
import ServiceKit
import TesseraVerifierHummingbird

/// For `RequestLimitMiddleware` in front of `TokenVerifierMiddleware`, which asks the database whether the token's
/// session is good.
struct SignedAccount: Sendable {
    let verifier: TokenVerifier

    /// `nil` without a token whose signature is right. One that is refused for something else is refused behind this.
    @Sendable func account(of request: Request, context: AuthRequestContext) -> RequestScope.Account? {
        guard case .token(let token) = BearerToken.read(request.headers), let claims = signed(token) else { return nil }
        return claims.isUser ? .person(claims.subject) : .client
    }

    private func signed(_ token: String) -> AccessTokenClaims? {
        // Without `async`, so that this is the `verify` without a lookup.
        do throws(VerificationError) { return try verifier.verify(token) } catch { return nil }
    }
}
