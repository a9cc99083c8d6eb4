import COpenSSL

package struct SigningKey: Sendable {
    package let algorithm: SigningAlgorithm
    /// With `alg` and `use`, without `kid`.
    package let publicKey: VerificationKey
    private let handle: KeyHandle

    private init(owning key: OpaquePointer, _ algorithm: SigningAlgorithm) throws(CryptoError) {
        handle = try unsafe KeyHandle(owning: key, algorithm: algorithm, use: .signing)
        publicKey = try VerificationKey(jwk: Self.publicJWK(of: handle))
        self.algorithm = algorithm
    }

    /// P-256, Ed25519, or RSA of 2048 bits with exponent 65537.
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

    /// Reads the result of `pkcs8()`.
    ///
    /// - Throws: `.invalidEncoding` unless it is exactly one `PrivateKeyInfo`, `.invalidKey` for a key of another kind.
    package init(pkcs8: [UInt8], algorithm: SigningAlgorithm) throws(CryptoError) {
        let key: OpaquePointer? = unsafe pkcs8.withUnsafeBufferPointer { bytes -> OpaquePointer? in
            var position = bytes.baseAddress
            guard let info = unsafe d2i_PKCS8_PRIV_KEY_INFO(nil, &position, bytes.count) else { return nil }
            defer { unsafe PKCS8_PRIV_KEY_INFO_free(info) }
            // Trailing bytes would go unchecked.
            guard unsafe position == bytes.baseAddress.map({ unsafe $0 + bytes.count }) else { return nil }
            return unsafe EVP_PKCS82PKEY(info)
        }
        guard let key = unsafe key else {
            OpenSSL.drainErrors()
            throw .invalidEncoding
        }
        try unsafe self.init(owning: key, algorithm)
    }

    /// Reads a private JWK, and checks that its halves belong together.
    package init(privateJWK: PrivateJWK) throws(CryptoError) {
        let algorithm = try KeyImport.algorithm(of: privateJWK.publicMembers)
        try unsafe self.init(owning: KeyImport.privateKey(privateJWK, algorithm), algorithm)
        // An Ed25519 key is made from `d` alone, so `x` is still to be compared.
        guard algorithm != .eddsa || publicKey.jwk.x == privateJWK.publicMembers.x else {
            throw .invalidKey(reason: "private and public members do not belong together")
        }
    }

    package func pkcs8() throws(CryptoError) -> [UInt8] { try handle.pkcs8() }

    /// r‖s for ES256, 64 bytes for EdDSA, PKCS #1 v1.5 for RS256.
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
