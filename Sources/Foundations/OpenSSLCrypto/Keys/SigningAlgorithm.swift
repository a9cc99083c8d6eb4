// The signature algorithms of access tokens (RFC 7518 §3.1, RFC 8037 §3.1). There are only asymmetric ones: whoever
// can check a token must not be able to make one.

/// What a key signs with. The name is the `alg` of a token's header.
package enum SigningAlgorithm: String, Sendable, CaseIterable {
    /// ECDSA with P-256 and SHA-256; signatures are r‖s, 64 bytes.
    case es256 = "ES256"
    /// Ed25519; signatures are 64 bytes.
    case eddsa = "EdDSA"
    /// RSASSA-PKCS1-v1_5 with SHA-256; signatures are as long as the modulus, at least 256 bytes.
    case rs256 = "RS256"
}
