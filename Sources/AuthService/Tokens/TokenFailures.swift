// The verifier's refusals in auth's own words.
import TesseraVerifierHummingbird
import WebSupport

enum TokenFailures {
    static func apiError(_ failure: TokenFailure) -> APIError {
        APIError(ErrorCode(rawValue: failure.reason.rawValue) ?? .tokenInvalid, headers: failure.headers)
    }

    static func apiError(_ error: VerificationError) -> APIError {
        switch error.code {
        case .expired: APIError(.tokenExpired)
        case .revoked: APIError(.sessionRevoked)
        case .stale: APIError(.tokenStale)
        case .keysUnavailable: .retry(.keysUnavailable, afterSeconds: 1)
        default: APIError(.tokenInvalid)
        }
    }
}
