// Why a token is not accepted. Nothing in an error repeats what the token said: it may end up in a log, and until the
// signature is right the token's words are a stranger's.

/// The refusal of a token. Two are equal when their codes are.
public struct VerificationError: Error, Sendable, CustomStringConvertible {
    /// A reason to refuse a token.
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        private enum Name: String {
            case malformed, wrongType, unsupportedAlgorithm, algorithmMismatch, unknownKey, invalidSignature
            case missingClaim, wrongIssuer, wrongAudience, expired, issuedInFuture, notYetValid
            case revoked, stale, keysUnavailable, revocationsUnavailable
            case insufficientScope, insufficientRole, insufficientAuthentication
        }

        private let name: Name

        private init(_ name: Name) {
            self.name = name
        }

        /// The reason's name.
        public var description: String { name.rawValue }

        /// Not a compact JWS with a key id and a payload of claims, or a document that is not a JWK set.
        public static let malformed = Code(.malformed)
        /// The header's `typ` is not that of an access token (RFC 9068 §4).
        public static let wrongType = Code(.wrongType)
        /// The header's `alg` is none that is accepted here; `none` and the symmetric ones never are.
        public static let unsupportedAlgorithm = Code(.unsupportedAlgorithm)
        /// The header's `alg` is not the one that its key is for (RFC 8725 §3.1).
        public static let algorithmMismatch = Code(.algorithmMismatch)
        /// The issuer has no key with the header's `kid`, as far as is known here.
        public static let unknownKey = Code(.unknownKey)
        /// The signature is not the key's for this token.
        public static let invalidSignature = Code(.invalidSignature)
        /// A required claim is not there (RFC 9068 §2.2).
        public static let missingClaim = Code(.missingClaim)
        /// `iss` is not the issuer that is trusted here.
        public static let wrongIssuer = Code(.wrongIssuer)
        /// `aud` does not name this service.
        public static let wrongAudience = Code(.wrongAudience)
        /// `exp` has come.
        public static let expired = Code(.expired)
        /// `iat` lies further ahead than clocks differ.
        public static let issuedInFuture = Code(.issuedInFuture)
        /// `nbf` lies further ahead than clocks differ.
        public static let notYetValid = Code(.notYetValid)
        /// The session, the user or the key behind the token was revoked.
        public static let revoked = Code(.revoked)
        /// The token is older than a change of the user that it should tell of; a fresh one will do.
        public static let stale = Code(.stale)
        /// The issuer's keys cannot be had now, so nothing is known of the token: ask again later.
        public static let keysUnavailable = Code(.keysUnavailable)
        /// It is not known which tokens were revoked, or not since long: ask again later.
        public static let revocationsUnavailable = Code(.revocationsUnavailable)
        /// The token is good, and `scope` has less than is required.
        public static let insufficientScope = Code(.insufficientScope)
        /// The token is good, and `role` is none that is required.
        public static let insufficientRole = Code(.insufficientRole)
        /// The token is good, and the user signed in too long ago, or by less than is required (RFC 9470).
        public static let insufficientAuthentication = Code(.insufficientAuthentication)
    }

    /// The reason.
    public let code: Code
    /// The name of the claim at fault, where one is.
    public let claim: String?
    /// The requirement that a good token did not meet, where it was one. It says what the service demands, and nothing
    /// of the token.
    public let requirement: ClaimRequirement?

    /// Makes a refusal.
    ///
    /// - Parameters:
    ///   - code: the reason.
    ///   - claim: the name of the claim at fault, as the standard spells it.
    ///   - requirement: what a good token did not meet.
    public init(_ code: Code, claim: String? = nil, requirement: ClaimRequirement? = nil) {
        self.code = code
        self.claim = claim
        self.requirement = requirement
    }

    /// The reason, and the name of the claim at fault.
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
