// Why a token is not accepted. The set is closed; equality is by code, and no message repeats what the token said.

/// A refusal of a token.
public struct VerificationError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The reason, for code to switch on.
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        private enum Name: String {
            case malformed, algorithmMismatch, wrongType, unknownKey, invalidSignature, wrongIssuer, wrongAudience
            case expired, issuedInFuture, missingClaim, revoked, stale, keysUnavailable, invalidKeySet
        }

        private let name: Name

        private init(_ name: Name) {
            self.name = name
        }

        public var description: String { name.rawValue }

        /// Not a compact JWS with a JSON payload of the expected shape.
        public static let malformed = Code(.malformed)
        /// The header's `alg` is not the algorithm of the key it names.
        public static let algorithmMismatch = Code(.algorithmMismatch)
        /// The header's `typ` is not `at+jwt` (RFC 9068 §2.1).
        public static let wrongType = Code(.wrongType)
        /// No published key has the header's `kid`.
        public static let unknownKey = Code(.unknownKey)
        /// The signature does not verify.
        public static let invalidSignature = Code(.invalidSignature)
        /// `iss` is not the issuer that is trusted here.
        public static let wrongIssuer = Code(.wrongIssuer)
        /// `aud` does not name this service.
        public static let wrongAudience = Code(.wrongAudience)
        /// `exp` has passed.
        public static let expired = Code(.expired)
        /// `iat` lies further in the future than clocks differ.
        public static let issuedInFuture = Code(.issuedInFuture)
        /// A claim that RFC 9068 §2.2 requires is missing.
        public static let missingClaim = Code(.missingClaim)
        /// The session or user behind the token was revoked.
        public static let revoked = Code(.revoked)
        /// The token is older than a change it must know of.
        public static let stale = Code(.stale)
        /// No key set could be had yet; the token may be good.
        public static let keysUnavailable = Code(.keysUnavailable)
        /// A document is not a JWK set (RFC 7517 §5).
        public static let invalidKeySet = Code(.invalidKeySet)
    }

    /// The reason.
    public let code: Code

    /// Makes a refusal for a reason.
    public init(_ code: Code) {
        self.code = code
    }

    public var description: String { "token refused: \(code)" }
}
