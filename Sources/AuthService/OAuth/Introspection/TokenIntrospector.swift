// Judges tokens that were sent to other services, for gateways and introspection.
//
// A cached token costs a look-up: its signature was verified before, and revocations are in memory. While this node is
// behind its event log, or for an unknown key, it reads the rows.
import HTTPTypes
import Metrics
import TesseraVerifierHummingbird

struct TokenIntrospector: Sendable {
    private let remembering: TokenVerifier
    private let looking: TokenVerifier
    private let lookups = Counter(label: "tessera_auth_revocation_lookups_total")

    /// `verifier`: without a required audience, because that depends on the caller.
    init(_ verifier: TokenVerifier, revocations: InProcessRevocations, rows: TokenLookup) {
        remembering = verifier.asking(revocations: revocations)
        looking = verifier.asking(lookup: rows)
    }

    /// The claims of a valid token for any audience.
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

    /// Synchronous, so that it calls the synchronous `verify`.
    private func known(_ token: String) throws(VerificationError) -> AccessTokenClaims {
        try remembering.verify(token)
    }

    /// `nil` unless the token is valid and for one of the audiences.
    ///
    /// - Throws: `VerificationError` without keys to verify with; or a fault.
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
