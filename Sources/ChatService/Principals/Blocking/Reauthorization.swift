// Whether a request that is still being answered would be accepted again.
//
// An answer of minutes outlives its first check: the token expires, its session is revoked, its principal is
// deactivated or erased. So long answers check again as they go on (S2).
import Hummingbird
import TesseraVerifierHummingbird

enum Reauthorization {
    /// Checks a request's token, and whether its principal is refused.
    static func of(
        _ request: Request,
        _ principal: String,
        verifier: TokenVerifier,
        blocked: BlockedPrincipals
    ) -> @Sendable () -> Bool {
        guard case .token(let token) = BearerToken.read(request.headers) else { return { false } }
        return {
            guard !blocked.contains(principal) else { return false }
            do throws(VerificationError) {
                _ = try verifier.verify(token)
                return true
            } catch {
                return false
            }
        }
    }
}
