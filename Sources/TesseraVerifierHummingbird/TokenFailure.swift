// A refusal in the words of HTTP (RFC 6750 §3). The service gives it a body in its own error format.
public import HTTPTypes
public import Hummingbird
import TesseraVerifier

/// Why a request is refused, and what its answer must carry.
public struct TokenFailure: Sendable {
    /// The reason. The raw value is the code that clients switch on.
    public enum Reason: String, Sendable, CaseIterable {
        /// There is no token, and one is required.
        case missing = "token_missing"
        /// Not an access token of this issuer for this service, or a service's where a user's is required.
        case invalid = "token_invalid"
        /// Past its end.
        case expired = "token_expired"
        /// Older than a change that it should tell of. The session lives: a refresh gives a good one.
        case stale = "token_stale"
        /// Its session was revoked.
        case revoked = "session_revoked"
        /// The issuer's keys cannot be had now, so nothing is known of the token.
        case keysUnavailable = "keys_unavailable"
        /// It is not known now which tokens were revoked.
        case revocationsUnavailable = "revocations_unavailable"
    }

    /// The reason.
    public let reason: Reason
    /// The verifier's own words, for logs; `nil` where there was no token to verify.
    public let error: VerificationError?
    /// `WWW-Authenticate` for 401, `Retry-After` for 503.
    public let headers: HTTPFields

    /// 401, or 503 where the token could not be judged.
    public var status: HTTPResponse.Status {
        switch reason {
        case .keysUnavailable, .revocationsUnavailable: .serviceUnavailable
        case .missing, .invalid, .expired, .stale, .revoked: .unauthorized
        }
    }

    /// The code that clients switch on, for example `token_expired`.
    public var code: String { reason.rawValue }

    /// The refusal as Hummingbird's own error, with the code as its message.
    public var httpError: HTTPError { HTTPError(status, headers: headers, message: code) }

    /// Makes the failure for a token that the verifier refused.
    ///
    /// - Parameters:
    ///   - error: the verifier's refusal.
    ///   - realm: of the challenge.
    public init(_ error: VerificationError, realm: String = "tessera") {
        let reason: Reason =
            switch error.code {
            case .expired: .expired
            case .stale: .stale
            case .revoked: .revoked
            case .keysUnavailable: .keysUnavailable
            case .revocationsUnavailable: .revocationsUnavailable
            default: .invalid
            }
        self.init(reason, error: error, realm: realm)
    }

    init(_ reason: Reason, error: VerificationError? = nil, realm: String) {
        self.reason = reason
        self.error = error
        let realm = "Bearer realm=\"\(Self.quoted(realm))\""
        self.headers =
            switch reason {
            case .keysUnavailable, .revocationsUnavailable: [.retryAfter: "1"]
            // §3.1: a request without a token gets a challenge and no error.
            case .missing: [.wwwAuthenticate: realm]
            // §3.1 has one error code for all of these; the description tells clients apart what they can act on.
            case .invalid, .expired, .stale, .revoked:
                [.wwwAuthenticate: "\(realm), error=\"invalid_token\", error_description=\"\(reason.rawValue)\""]
            }
    }

    /// RFC 9110 §5.6.4: what a quoted string must escape.
    private static func quoted(_ text: String) -> String {
        text.reduce(into: "") { $0 += $1 == "\"" || $1 == "\\" ? "\\\($1)" : String($1) }
    }
}
