// A refusal as HTTP says it.
public import HTTPTypes
public import Hummingbird
public import TesseraVerifier

/// Why a request is refused, with what its answer must carry.
public struct TokenFailure: Sendable {
    /// The reason, as a service's own error would name it.
    public enum Reason: String, Sendable {
        /// No token where one is required.
        case missing = "token_missing"
        /// Not a token of this issuer for this service.
        case invalid = "token_invalid"
        /// Past its end.
        case expired = "token_expired"
        /// Older than a change it must know of.
        case stale = "token_stale"
        /// Its session or user was revoked.
        case revoked = "session_revoked"
        /// The issuer's keys are not known yet.
        case keysUnavailable = "keys_unavailable"
    }

    /// The reason.
    public let reason: Reason
    /// 401, or 503 when the token could not be judged.
    public let status: HTTPResponse.Status
    /// `WWW-Authenticate` (RFC 6750 §3), or `Retry-After`.
    public let headers: HTTPFields

    init(_ error: VerificationError, realm: String) {
        let reason: Reason =
            switch error.code {
            case .expired: .expired
            case .stale: .stale
            case .revoked: .revoked
            case .keysUnavailable: .keysUnavailable
            default: .invalid
            }
        self.init(reason, realm: realm)
    }

    init(_ reason: Reason, realm: String) {
        self.reason = reason
        switch reason {
        case .keysUnavailable:
            self.status = .serviceUnavailable
            self.headers = [.retryAfter: "1"]
        case .missing:
            // RFC 6750 §3.1: no error code when the request carried no token.
            self.status = .unauthorized
            self.headers = [.wwwAuthenticate: "Bearer realm=\"\(realm)\""]
        default:
            self.status = .unauthorized
            self.headers = [
                .wwwAuthenticate:
                    "Bearer realm=\"\(realm)\", error=\"invalid_token\", error_description=\"\(reason.rawValue)\""
            ]
        }
    }

    /// The refusal as Hummingbird's own error.
    public var httpError: HTTPError { HTTPError(status, headers: headers, message: reason.rawValue) }
}
