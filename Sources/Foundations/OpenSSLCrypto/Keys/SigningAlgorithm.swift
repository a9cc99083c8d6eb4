// The signature algorithms of access tokens (RFC 7518 §3.1, RFC 8037 §3.1). All are asymmetric: a verifier must not be
// able to make tokens.

/// The raw value is a header's `alg`.
package enum SigningAlgorithm: String, Sendable, CaseIterable {
    /// ECDSA with P-256 and SHA-256; signatures are r‖s, 64 bytes.
    case es256 = "ES256"
    /// Ed25519; signatures are 64 bytes.
    case eddsa = "EdDSA"
    case rs256 = "RS256"
}
