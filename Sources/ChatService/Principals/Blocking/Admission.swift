// Whether a request that is still being answered would be let in again.
//
// An answer that takes minutes outlives the check at its beginning: the token expires, its session is revoked, its
// principal is deactivated or erased. So long answers ask again as they go on (S2).
import Hummingbird
import TesseraVerifierHummingbird

enum Admission {
    /// Judges a request again, whenever it is called: its token, and whether its principal is refused by now.
    static func of(
        _ request: Request,
        _ principal: String,
        verifier: TokenVerifier,
        refused: RefusedPrincipals
    ) -> @Sendable () -> Bool {
        guard case .token(let token) = BearerToken.read(request.headers) else { return { false } }
        return {
            guard !refused.contains(principal) else { return false }
            do throws(VerificationError) {
                _ = try verifier.verify(token)
                return true
            } catch {
                return false
            }
        }
    }
}
