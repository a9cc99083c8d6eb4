import ServiceKit
// The verifier's refusals in auth's own words.
import TesseraVerifierHummingbird

enum TokenFailures {
    static func apiError(_ failure: TokenFailure) -> APIError {
        APIError(ErrorCode(rawValue: failure.code) ?? .tokenInvalid, headers: failure.headers)
    }

    static func apiError(_ error: VerificationError) -> APIError {
        apiError(TokenFailure(error))
    }
}
