// Errors repeat nothing from the token: they may be logged, and until the signature is verified its text is untrusted.

/// The refusal of a token. Two are equal if their codes are.
public struct VerificationError: Error, Sendable, CustomStringConvertible {
    /// A reason to refuse a token.
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        private enum Name: String {
            case malformed, wrongType, unsupportedAlgorithm, algorithmMismatch, unknownKey, invalidSignature
            case missingClaim, wrongIssuer, wrongAudience, expired, issuedInFuture, notYetValid
            case revoked, stale, userInactive, keysUnavailable, revocationsUnavailable
            case insufficientScope, insufficientRole, insufficientAuthentication
        }

        private let name: Name

        private init(_ name: Name) {
            self.name = name
        }

        /// The reason's name.
        public var description: String { name.rawValue }

        /// Not a compact JWS with a key id and claims, or not a JWK set.
        public static let malformed = Code(.malformed)
        /// The header's `typ` is not that of an access token (RFC 9068 §4).
        public static let wrongType = Code(.wrongType)
        /// The header's `alg` is not accepted; `none` and symmetric algorithms never are.
        public static let unsupportedAlgorithm = Code(.unsupportedAlgorithm)
        /// The header's `alg` differs from its key's (RFC 8725 §3.1).
        public static let algorithmMismatch = Code(.algorithmMismatch)
        /// No known key of the issuer has the header's `kid`.
        public static let unknownKey = Code(.unknownKey)
        /// The signature does not match.
        public static let invalidSignature = Code(.invalidSignature)
        /// A required claim is missing (RFC 9068 §2.2).
        public static let missingClaim = Code(.missingClaim)
        /// `iss` is not the trusted issuer.
        public static let wrongIssuer = Code(.wrongIssuer)
        /// `aud` does not name this service.
        public static let wrongAudience = Code(.wrongAudience)
        /// `exp` has passed.
        public static let expired = Code(.expired)
        /// `iat` is further ahead than clocks may differ.
        public static let issuedInFuture = Code(.issuedInFuture)
        /// `nbf` is further ahead than clocks may differ.
        public static let notYetValid = Code(.notYetValid)
        /// The session, the user or the key behind the token was revoked.
        public static let revoked = Code(.revoked)
        /// The token predates a change of the user; refresh it.
        public static let stale = Code(.stale)
        /// The user is deactivated or deleted.
        public static let userInactive = Code(.userInactive)
        /// The issuer's keys are unavailable, so the token cannot be judged: retry later.
        public static let keysUnavailable = Code(.keysUnavailable)
        /// The revocations are unknown or too old: retry later.
        public static let revocationsUnavailable = Code(.revocationsUnavailable)
        /// The token is valid, but lacks a required scope.
        public static let insufficientScope = Code(.insufficientScope)
        /// The token is valid, but its role is not a required one.
        public static let insufficientRole = Code(.insufficientRole)
        /// The token is valid, but the sign-in is too old or too weak (RFC 9470).
        public static let insufficientAuthentication = Code(.insufficientAuthentication)
    }

    /// The reason.
    public let code: Code
    /// The claim at fault, if there is one.
    public let claim: String?
    /// The requirement that a valid token did not meet. It describes the service, not the token.
    public let requirement: ClaimRequirement?

    /// Makes a refusal.
    ///
    /// - Parameters:
    ///   - code: the reason.
    ///   - claim: the name of the claim at fault, as the standard spells it.
    ///   - requirement: what a valid token did not meet.
    public init(_ code: Code, claim: String? = nil, requirement: ClaimRequirement? = nil) {
        self.code = code
        self.claim = claim
        self.requirement = requirement
    }

    /// The reason, and the claim at fault.
    public var description: String {
        "the token is not accepted: \(code)" + (claim.map { " (\($0))" } ?? "")
    }
}

extension VerificationError: Hashable {
    /// Whether both have the same code.
    public static func == (a: Self, b: Self) -> Bool { a.code == b.code }

    /// Hashes the code.
    public func hash(into hasher: inout Hasher) { hasher.combine(code) }
}
