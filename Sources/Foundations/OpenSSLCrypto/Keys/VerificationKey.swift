/// A public key, bound to one algorithm. It is looked up for every token, so a copy is one reference.
package struct VerificationKey: Sendable {
    private let storage: Storage

    /// From the key's type, never from a token.
    package var algorithm: SigningAlgorithm { storage.algorithm }
    /// With `kid`.
    package var jwk: JWK { storage.jwk }

    /// Reads a published key.
    ///
    /// - Throws: `.unsupportedAlgorithm` for a type, curve or `alg` that `SigningAlgorithm` lacks. `.invalidKey` for
    ///   missing or malformed members, a point off the curve, an RSA modulus below 2048 bits, a key that is not for
    ///   signatures, or private members.
    package init(jwk: JWK) throws(CryptoError) {
        // SECURITY: a published private key has leaked, and its signatures prove nothing.
        guard !jwk.hasPrivateMembers else { throw .invalidKey(reason: "it carries private members") }
        // RFC 7517 §4.2 and §4.3: both are optional, and if present must allow this use.
        guard jwk.use == nil || jwk.use == "sig", jwk.keyOperations.map({ $0.contains("verify") }) ?? true else {
            throw .invalidKey(reason: "it is not for signatures")
        }
        let algorithm = try KeyImport.algorithm(of: jwk)
        let handle = try unsafe KeyHandle(
            owning: KeyImport.publicKey(jwk, algorithm),
            algorithm: algorithm,
            use: .verifying
        )
        storage = Storage(algorithm: algorithm, jwk: jwk, handle: handle)
    }

    private final class Storage: Sendable {
        let algorithm: SigningAlgorithm
        let jwk: JWK
        let handle: KeyHandle

        init(algorithm: SigningAlgorithm, jwk: JWK, handle: KeyHandle) {
            self.algorithm = algorithm
            self.jwk = jwk
            self.handle = handle
        }
    }

    /// Whether both are the same key under the same name, so that a signature valid for one is valid for the other.
    package func isSame(as other: VerificationKey) -> Bool {
        storage === other.storage || (algorithm == other.algorithm && jwk == other.jwk)
    }

    /// Takes r‖s for ES256, the plain signature otherwise.
    package func isValid(signature: [UInt8], for message: [UInt8]) -> Bool {
        switch algorithm {
        case .es256:
            guard let der = ECDSASignature.der(fromRaw: signature) else { return false }
            return storage.handle.isValid(der, for: message)
        case .eddsa, .rs256:
            return storage.handle.isValid(signature, for: message)
        }
    }
}
