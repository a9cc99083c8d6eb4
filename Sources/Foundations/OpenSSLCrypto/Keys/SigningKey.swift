// The private half: made here, kept encrypted under the master key, and never printed.

import COpenSSL

/// A private key that signs with one algorithm.
package struct SigningKey: Sendable {
    /// What the key signs with.
    package let algorithm: SigningAlgorithm
    /// The public half, with `alg` and `use` set and no `kid`.
    package let publicKey: VerificationKey
    private let handle: KeyHandle

    private init(owning key: OpaquePointer, _ algorithm: SigningAlgorithm) throws(CryptoError) {
        handle = try unsafe KeyHandle(owning: key, algorithm: algorithm, use: .signing)
        publicKey = try VerificationKey(jwk: Self.publicJWK(of: handle))
        self.algorithm = algorithm
    }

    /// A new key: P-256, Ed25519, or RSA of 2048 bits with exponent 65537.
    package static func generate(_ algorithm: SigningAlgorithm) throws(CryptoError) -> SigningKey {
        let type =
            switch algorithm {
            case .es256: "EC"
            case .eddsa: "ED25519"
            case .rs256: "RSA"
            }
        guard let context = unsafe EVP_PKEY_CTX_new_from_name(nil, type, nil) else {
            throw OpenSSL.failure("generating a key")
        }
        defer { unsafe EVP_PKEY_CTX_free(context) }
        try OpenSSL.check(unsafe EVP_PKEY_keygen_init(context), "generating a key")
        switch algorithm {
        case .es256: try OpenSSL.check(unsafe EVP_PKEY_CTX_set_group_name(context, "P-256"), "generating a key")
        case .eddsa: break
        case .rs256: try OpenSSL.check(unsafe EVP_PKEY_CTX_set_rsa_keygen_bits(context, 2048), "generating a key")
        }
        var key: OpaquePointer?
        try OpenSSL.check(unsafe EVP_PKEY_generate(context, &key), "generating a key")
        guard let key = unsafe key else { throw OpenSSL.failure("generating a key") }
        return try unsafe SigningKey(owning: key, algorithm)
    }

    /// Reads what `pkcs8()` wrote.
    ///
    /// - Throws: `.invalidEncoding` for anything but one `PrivateKeyInfo`, `.invalidKey` for a key of another kind
    ///   than the algorithm needs.
    package init(pkcs8: [UInt8], algorithm: SigningAlgorithm) throws(CryptoError) {
        let key: OpaquePointer? = unsafe pkcs8.withUnsafeBufferPointer { bytes -> OpaquePointer? in
            var position = bytes.baseAddress
            guard let info = unsafe d2i_PKCS8_PRIV_KEY_INFO(nil, &position, bytes.count) else { return nil }
            defer { unsafe PKCS8_PRIV_KEY_INFO_free(info) }
            // Bytes behind the key would be bytes that nobody looked at.
            guard unsafe position == bytes.baseAddress.map({ unsafe $0 + bytes.count }) else { return nil }
            return unsafe EVP_PKCS82PKEY(info)
        }
        guard let key = unsafe key else {
            OpenSSL.drainErrors()
            throw .invalidEncoding
        }
        try unsafe self.init(owning: key, algorithm)
    }

    /// Reads a private JWK whose halves belong together.
    package init(privateJWK: PrivateJWK) throws(CryptoError) {
        let algorithm = try KeyImport.algorithm(of: privateJWK.publicMembers)
        try unsafe self.init(owning: KeyImport.privateKey(privateJWK, algorithm), algorithm)
        // An Ed25519 key is made of `d` alone, so that `x` has yet to be compared.
        guard algorithm != .eddsa || publicKey.jwk.x == privateJWK.publicMembers.x else {
            throw .invalidKey(reason: "private and public members do not belong together")
        }
    }

    /// The key as PKCS #8 (RFC 5958) in DER. Not encrypted: the caller seals it before it is stored.
    package func pkcs8() throws(CryptoError) -> [UInt8] { try handle.pkcs8() }

    /// The signature of `message`: r‖s for ES256, 64 bytes for EdDSA, PKCS #1 v1.5 for RS256.
    package func sign(_ message: [UInt8]) throws(CryptoError) -> [UInt8] {
        let signature = try handle.sign(message)
        return algorithm == .es256 ? try ECDSASignature.raw(fromDER: signature) : signature
    }

    private static func publicJWK(of handle: KeyHandle) throws(CryptoError) -> JWK {
        let alg = handle.algorithm.rawValue
        switch handle.algorithm {
        case .es256:
            return JWK(
                kty: "EC",
                crv: "P-256",
                x: Base64URL.encode(try handle.integer(OSSL_PKEY_PARAM_EC_PUB_X, count: 32)),
                y: Base64URL.encode(try handle.integer(OSSL_PKEY_PARAM_EC_PUB_Y, count: 32)),
                alg: alg,
                use: "sig"
            )
        case .eddsa:
            return JWK(
                kty: "OKP",
                crv: "Ed25519",
                x: Base64URL.encode(try handle.rawPublicKey()),
                alg: alg,
                use: "sig"
            )
        case .rs256:
            return JWK(
                kty: "RSA",
                n: Base64URL.encode(try handle.integer(OSSL_PKEY_PARAM_RSA_N)),
                e: Base64URL.encode(try handle.integer(OSSL_PKEY_PARAM_RSA_E)),
                alg: alg,
                use: "sig"
            )
        }
    }
}
