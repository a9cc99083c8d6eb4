// Verifiers for tokens that are not meant for auth: each audience has one of its own, made when it is first asked for.
//
// The audiences are those of registered clients, so there are few; a token is judged by the same code as everywhere.
import HTTPTypes
import Synchronization
import TesseraVerifierHummingbird
import WebSupport

final class AudienceVerifiers: Sendable {
    private let make: @Sendable (_ audience: String) -> TokenVerifier
    private let made = Mutex<[String: TokenVerifier]>([:])

    private static let most = 256

    init(make: @escaping @Sendable (_ audience: String) -> TokenVerifier) {
        self.make = make
    }

    func verifier(for audience: String) -> TokenVerifier {
        made.withLock { made in
            if let known = made[audience] { return known }
            if made.count >= Self.most { made = [:] }
            let verifier = make(audience)
            made[audience] = verifier
            return verifier
        }
    }

    /// The claims of a token that stands and is for one of the audiences; `nil` for one that does not.
    ///
    /// - Throws: what says that it could not be told: a storage fault, keys that cannot be had.
    func claims(of token: String, for audiences: [String]) async throws -> AccessTokenClaims? {
        for audience in audiences {
            do {
                return try await verifier(for: audience).verify(token)
            } catch let error as VerificationError where error.code == .wrongAudience {
                continue
            } catch let error as VerificationError where error.code == .keysUnavailable {
                throw TokenFailures.apiError(error)
            } catch is VerificationError {
                return nil
            } catch let error as APIError where [.unauthorized, .forbidden].contains(error.status) {
                return nil
            }
        }
        return nil
    }
}
