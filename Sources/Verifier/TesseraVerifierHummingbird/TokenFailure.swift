// A refusal in HTTP (RFC 6750 §3). The service gives it a body in its own error format.
public import HTTPTypes
public import Hummingbird
import TesseraVerifier

/// Why a request is refused, and the headers of its answer.
public struct TokenFailure: Sendable {
    /// The reason. Clients switch on the raw value.
    public enum Reason: String, Sendable, CaseIterable {
        /// A token is required and missing.
        case missing = "token_missing"
        /// Not an access token of this issuer for this service, or a service's own token where a user's is required.
        case invalid = "token_invalid"
        /// Past its `exp`.
        case expired = "token_expired"
        /// The token predates a change. The session is valid: a refresh returns a good token.
        case stale = "token_stale"
        /// Its session was revoked.
        case revoked = "session_revoked"
        /// The user is deactivated or deleted.
        case userInactive = "user_inactive"
        /// The issuer's keys are unavailable, so the token cannot be judged.
        case keysUnavailable = "keys_unavailable"
        /// The revocations are unknown.
        case revocationsUnavailable = "revocations_unavailable"
        /// The token is valid, but lacks a scope.
        case insufficientScope = "insufficient_scope"
        /// The token is valid, but its role may not do this.
        case insufficientRole = "role_required"
        /// The token is valid, but the user must sign in again or with a further method.
        case insufficientAuthentication = "insufficient_user_authentication"
    }

    /// The reason.
    public let reason: Reason
    /// The verifier's error, for logs; `nil` if there was no token.
    public let error: VerificationError?
    /// `WWW-Authenticate` for 401, `Retry-After` for 503.
    public let headers: HTTPFields

    /// 401, 403 for a valid token that does not suffice, or 503 for one that could not be judged.
    public var status: HTTPResponse.Status {
        switch reason {
        case .keysUnavailable, .revocationsUnavailable: .serviceUnavailable
        // RFC 9470 §3: another sign-in helps, so it is 401 and not 403.
        case .missing, .invalid, .expired, .stale, .revoked, .insufficientAuthentication: .unauthorized
        case .userInactive, .insufficientScope, .insufficientRole: .forbidden
        }
    }

    /// The code that clients switch on, for example `token_expired`.
    public var code: String { reason.rawValue }

    /// The refusal as Hummingbird's error, with the code as its message.
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
            case .userInactive: .userInactive
            case .keysUnavailable: .keysUnavailable
            case .revocationsUnavailable: .revocationsUnavailable
            case .insufficientScope: .insufficientScope
            case .insufficientRole: .insufficientRole
            case .insufficientAuthentication: .insufficientAuthentication
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
            // §3.1: the challenge names what a better token would have. One error code covers all of them.
            case .insufficientScope, .insufficientRole:
                [.wwwAuthenticate: "\(realm), error=\"insufficient_scope\"\(Self.parameters(error?.requirement))"]
            case .insufficientAuthentication:
                [.wwwAuthenticate: "\(realm), error=\"\(reason.rawValue)\"\(Self.parameters(error?.requirement))"]
            // No better token helps.
            case .userInactive: [:]
            case .invalid, .expired, .stale, .revoked:
                [.wwwAuthenticate: "\(realm), error=\"invalid_token\", error_description=\"\(reason.rawValue)\""]
            }
    }

    /// The requirement, as parameters of the challenge: `scope` (RFC 6750 §3), `max_age` (RFC 9470 §3).
    private static func parameters(_ requirement: ClaimRequirement?) -> String {
        guard let requirement else { return "" }
        if let scopes = requirement.scopes { return ", scope=\"\(quoted(scopes.joined(separator: " ")))\"" }
        if let seconds = requirement.maxAgeInSeconds { return ", max_age=\"\(seconds)\"" }
        return ""
    }

    /// RFC 9110 §5.6.4: what a quoted string must escape.
    private static func quoted(_ text: String) -> String {
        text.reduce(into: "") { $0 += $1 == "\"" || $1 == "\\" ? "\\\($1)" : String($1) }
    }
}
