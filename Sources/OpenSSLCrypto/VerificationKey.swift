// What a service needs to trust a token: a public key, tied to one algorithm.

/// A public key that checks signatures of one algorithm.
package struct VerificationKey: Sendable {
    /// Decided by the key's type, never by the token that is checked.
    package let algorithm: SigningAlgorithm
    /// The key as it was given, `kid` included.
    package let jwk: JWK
    private let handle: KeyHandle

    /// Reads a published key.
    ///
    /// - Throws: `.unsupportedAlgorithm` for a type, curve or `alg` other than those of `SigningAlgorithm`;
    ///   `.invalidKey` for members that are missing or malformed, a point off the curve, an RSA modulus below 2048
    ///   bits, a key that is not for signatures, or private members.
    package init(jwk: JWK) throws(CryptoError) {
        // SECURITY: a private key in a published set has leaked, and nothing it signed can be trusted.
        guard !jwk.hasPrivateMembers else { throw .invalidKey(reason: "it carries private members") }
        // RFC 7517 §4.2 and §4.3: both are optional, and if present must allow this use.
        guard jwk.use == nil || jwk.use == "sig", jwk.keyOperations.map({ $0.contains("verify") }) ?? true else {
            throw .invalidKey(reason: "it is not for signatures")
        }
        algorithm = try KeyImport.algorithm(of: jwk)
        handle = try unsafe KeyHandle(
            owning: KeyImport.publicKey(jwk, algorithm),
            algorithm: algorithm,
            use: .verifying
        )
        self.jwk = jwk
    }

    /// Whether both are the same key under the same name: what one has verified, the other would verify too.
    package func isSame(as other: VerificationKey) -> Bool {
        handle === other.handle || (algorithm == other.algorithm && jwk == other.jwk)
    }

    /// Whether `signature` is this key's for `message`: r‖s for ES256, the plain signature otherwise.
    package func isValid(signature: [UInt8], for message: [UInt8]) -> Bool {
        switch algorithm {
        case .es256:
            guard let der = ECDSASignature.der(fromRaw: signature) else { return false }
            return handle.isValid(der, for: message)
        case .eddsa, .rs256:
            return handle.isValid(signature, for: message)
        }
    }
}
