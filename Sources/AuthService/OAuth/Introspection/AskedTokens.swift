// Judges tokens that somebody else was sent: gateways ask about each request, introspecting services too.
//
// A token that is known here costs a look-up: its signature was checked before, and what was revoked is in memory. Where
// memory cannot tell, the rows can: while this node is behind its event log, and for a key that it has not seen.
import HTTPTypes
import Metrics
import TesseraVerifierHummingbird

struct AskedTokens: Sendable {
    private let remembering: TokenVerifier
    private let looking: TokenVerifier
    private let lookups = Counter(label: "tessera_auth_revocation_lookups_total")

    /// `verifier`: demands no audience, since whom a token is for is compared with who asks.
    init(_ verifier: TokenVerifier, revocations: FollowedRevocations, rows: TokenLookup) {
        remembering = verifier.asking(revocations: revocations)
        looking = verifier.asking(lookup: rows)
    }

    /// The claims of a token that stands, whomever it is for.
    ///
    /// - Throws: `VerificationError` or `TokenRefusal`; or a fault.
    func claims(of token: String) async throws -> AccessTokenClaims {
        do throws(VerificationError) {
            return try known(token)
        } catch {
            switch error.code {
            case .revocationsUnavailable, .unknownKey, .keysUnavailable: break
            default: throw error
            }
        }
        lookups.increment()
        return try await looking.verify(token)
    }

    /// Without the `async` of its caller, so that the `verify` is the one that waits for nothing.
    private func known(_ token: String) throws(VerificationError) -> AccessTokenClaims {
        try remembering.verify(token)
    }

    /// The claims of a token that stands and is for one of the audiences; `nil` for one that is not, whatever the reason.
    ///
    /// - Throws: `VerificationError` when there are no keys to verify with; or a fault.
    func claims(of token: String, for audiences: [String]) async throws -> AccessTokenClaims? {
        do {
            let claims = try await claims(of: token)
            return audiences.contains(where: claims.audience.contains) ? claims : nil
        } catch let error as VerificationError where error.code != .keysUnavailable {
            return nil
        } catch is TokenRefusal {
            return nil
        }
    }
}
