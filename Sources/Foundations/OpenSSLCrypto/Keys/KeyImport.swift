// Makes an OpenSSL key of a JWK. It enforces the rules of RFC 7518 §6 against weak keys and against two texts for one
// key. OpenSSL checks that a point is on its curve.

import COpenSSL

enum KeyImport {
    /// Type and curve decide the algorithm; `alg` may only confirm it.
    static func algorithm(of jwk: JWK) throws(CryptoError) -> SigningAlgorithm {
        let algorithm: SigningAlgorithm
        switch (jwk.kty, jwk.crv) {
        case ("EC", "P-256"): algorithm = .es256
        case ("OKP", "Ed25519"): algorithm = .eddsa
        case ("RSA", nil): algorithm = .rs256
        default: throw .unsupportedAlgorithm
        }
        if let alg = jwk.alg, alg != algorithm.rawValue { throw .unsupportedAlgorithm }
        return algorithm
    }

    /// The caller owns the result.
    static func publicKey(_ jwk: JWK, _ algorithm: SigningAlgorithm) throws(CryptoError) -> OpaquePointer {
        switch algorithm {
        case .es256:
            let point = try point(of: jwk)
            guard let key = unsafe tessera_p256_key(point, point.count, nil) else {
                throw invalid("the point is not on P-256")
            }
            return unsafe key
        case .eddsa:
            let x = try bytes(jwk.x, "x", count: 32)
            guard let key = unsafe EVP_PKEY_new_raw_public_key_ex(nil, "ED25519", nil, x, x.count) else {
                throw invalid("x is not an Ed25519 key")
            }
            return unsafe key
        case .rs256:
            let n = try modulus(of: jwk)
            let e = try exponent(of: jwk)
            guard let key = unsafe tessera_rsa_key(n.pointer, e.pointer, nil, nil, nil, nil, nil, nil) else {
                throw invalid("n and e are not an RSA key")
            }
            return unsafe key
        }
    }

    /// The caller owns the result. The private half is checked against the public one.
    static func privateKey(_ jwk: PrivateJWK, _ algorithm: SigningAlgorithm) throws(CryptoError) -> OpaquePointer {
        let key: OpaquePointer?
        switch algorithm {
        case .es256:
            let point = try point(of: jwk.publicMembers)
            let d = try BigNumber(try bytes(jwk.d, "d", count: 32))
            unsafe key = tessera_p256_key(point, point.count, d.pointer)
        case .eddsa:
            let d = try bytes(jwk.d, "d", count: 32)
            unsafe key = EVP_PKEY_new_raw_private_key_ex(nil, "ED25519", nil, d, d.count)
        case .rs256:
            let n = try modulus(of: jwk.publicMembers)
            let e = try exponent(of: jwk.publicMembers)
            let d = try BigNumber(try bytes(jwk.d, "d"))
            let p = try BigNumber(try bytes(jwk.p, "p"))
            let q = try BigNumber(try bytes(jwk.q, "q"))
            let dp = try BigNumber(try bytes(jwk.dp, "dp"))
            let dq = try BigNumber(try bytes(jwk.dq, "dq"))
            let qi = try BigNumber(try bytes(jwk.qi, "qi"))
            unsafe key = tessera_rsa_key(
                n.pointer,
                e.pointer,
                d.pointer,
                p.pointer,
                q.pointer,
                dp.pointer,
                dq.pointer,
                qi.pointer
            )
        }
        guard let key = unsafe key else { throw invalid("the members are not a private key") }
        guard try unsafe isPair(key) else {
            unsafe EVP_PKEY_free(key)
            throw invalid("private and public members do not belong together")
        }
        return unsafe key
    }

    private static func isPair(_ key: OpaquePointer) throws(CryptoError) -> Bool {
        guard let context = unsafe EVP_PKEY_CTX_new_from_pkey(nil, key, nil) else { throw OpenSSL.failure("key check") }
        defer { unsafe EVP_PKEY_CTX_free(context) }
        return unsafe EVP_PKEY_pairwise_check(context) == 1
    }

    /// RFC 7518 §6.2.1: both coordinates at full length. 0x04 marks an uncompressed point (SEC 1 §2.3.3).
    private static func point(of jwk: JWK) throws(CryptoError) -> [UInt8] {
        [0x04] + (try bytes(jwk.x, "x", count: 32)) + (try bytes(jwk.y, "y", count: 32))
    }

    private static func modulus(of jwk: JWK) throws(CryptoError) -> BigNumber {
        let bytes = try bytes(jwk.n, "n")
        // RFC 7518 §6.3.1.1: as few bytes as possible. `KeyHandle` checks the size in bits.
        guard (256...1024).contains(bytes.count), bytes.first != 0, bytes.last.map({ $0 & 1 == 1 }) == true else {
            throw .invalidKey(reason: "n is not an odd modulus of 2048 to 8192 bits without leading zeros")
        }
        // SECURITY: CVE-2017-15361: the private half can be computed from the modulus.
        guard !WeakModulus.isOfInfineon(bytes) else { throw .invalidKey(reason: "n was made by a faulty generator") }
        return try BigNumber(bytes)
    }

    private static func exponent(of jwk: JWK) throws(CryptoError) -> BigNumber {
        let bytes = try bytes(jwk.e, "e")
        // SECURITY: with e = 1 every message is its own signature. Long exponents slow down verification.
        guard (1...8).contains(bytes.count), bytes.first != 0, bytes.last.map({ $0 & 1 == 1 }) == true, bytes != [1]
        else { throw .invalidKey(reason: "e is not an odd exponent above 1 of at most 64 bits") }
        return try BigNumber(bytes)
    }

    private static func bytes(_ text: String?, _ name: String, count: Int? = nil) throws(CryptoError) -> [UInt8] {
        guard let text, let bytes = Base64URL.decode(text), !bytes.isEmpty, count == nil || bytes.count == count else {
            throw .invalidKey(reason: "\(name) is missing or malformed")
        }
        return bytes
    }

    private static func invalid(_ reason: String) -> CryptoError {
        OpenSSL.drainErrors()
        return .invalidKey(reason: reason)
    }
}
