// Preparing a signature finds the implementation of key and digest by name, under locks: 3 µs, where a copy of a
// prepared context costs 0.2. So every key holds a prepared context, and each call copies it.

import COpenSSL

/// An `EVP_PKEY` with a context prepared for signing or verifying.
///
/// SAFETY: `init` alone writes both objects. Threads may share OpenSSL 3 keys that do not change. `EVP_MD_CTX_copy_ex`
/// only reads the template, and its reference counts are atomic.
@safe final class KeyHandle: @unchecked Sendable {
    enum Use { case signing, verifying }

    private let key: OpaquePointer
    private let template: OpaquePointer
    let algorithm: SigningAlgorithm

    /// Takes over `key`, and frees it also when this throws.
    init(owning key: OpaquePointer, algorithm: SigningAlgorithm, use: Use) throws(CryptoError) {
        guard let template = unsafe EVP_MD_CTX_new() else {
            unsafe EVP_PKEY_free(key)
            throw OpenSSL.failure("key context")
        }
        unsafe self.key = key
        unsafe self.template = template
        self.algorithm = algorithm
        try unsafe Self.requireFit(of: key, algorithm)
        // EdDSA hashes by itself (RFC 8032 §5.1.6) and takes no digest.
        let digest = algorithm == .eddsa ? nil : unsafe FetchedAlgorithms.shared.sha256
        switch use {
        case .signing:
            try OpenSSL.check(unsafe EVP_DigestSignInit(template, nil, digest, nil, key), "preparing to sign")
        case .verifying:
            try OpenSSL.check(unsafe EVP_DigestVerifyInit(template, nil, digest, nil, key), "preparing to verify")
        }
    }

    deinit {
        unsafe EVP_MD_CTX_free(template)
        unsafe EVP_PKEY_free(key)
    }

    private static func requireFit(of key: OpaquePointer, _ algorithm: SigningAlgorithm) throws(CryptoError) {
        switch algorithm {
        case .es256:
            var name = [CChar](repeating: 0, count: 32)
            var length = 0
            guard
                unsafe EVP_PKEY_is_a(key, "EC") == 1,
                unsafe EVP_PKEY_get_group_name(key, &name, name.count, &length) == 1,
                name.prefix(length).elementsEqual("prime256v1".utf8.map { CChar($0) })
            else { throw refused("ES256 needs a P-256 key") }
        case .eddsa:
            guard unsafe EVP_PKEY_is_a(key, "ED25519") == 1 else { throw refused("EdDSA needs an Ed25519 key") }
        case .rs256:
            guard unsafe EVP_PKEY_is_a(key, "RSA") == 1 else { throw refused("RS256 needs an RSA key") }
            // SECURITY: RFC 7518 §3.3, shorter moduli can be factored. The upper bound keeps verification cheap.
            guard (2048...8192).contains(unsafe EVP_PKEY_get_bits(key)) else {
                throw refused("RS256 needs a modulus of 2048 to 8192 bits")
            }
        }
    }

    private static func refused(_ reason: String) -> CryptoError {
        OpenSSL.drainErrors()
        return .invalidKey(reason: reason)
    }

    /// In OpenSSL's form: DER for ECDSA.
    func sign(_ message: [UInt8]) throws(CryptoError) -> [UInt8] {
        let context = try unsafe copyOfTemplate()
        defer { unsafe EVP_MD_CTX_free(context) }
        var signature = [UInt8](repeating: 0, count: Int(unsafe EVP_PKEY_get_size(key)))
        var count = signature.count
        try OpenSSL.check(unsafe EVP_DigestSign(context, &signature, &count, message, message.count), "signing")
        signature.removeLast(signature.count - count)
        return signature
    }

    /// Takes OpenSSL's form. A failure of OpenSSL counts as invalid.
    func isValid(_ signature: [UInt8], for message: [UInt8]) -> Bool {
        guard let context = try? unsafe copyOfTemplate() else { return false }
        defer { unsafe EVP_MD_CTX_free(context) }
        let result = unsafe EVP_DigestVerify(context, signature, signature.count, message, message.count)
        if result != 1 { OpenSSL.drainErrors() }
        return result == 1
    }

    private func copyOfTemplate() throws(CryptoError) -> OpaquePointer {
        guard let context = unsafe EVP_MD_CTX_new() else { throw OpenSSL.failure("signature context") }
        guard unsafe EVP_MD_CTX_copy_ex(context, template) == 1 else {
            unsafe EVP_MD_CTX_free(context)
            throw OpenSSL.failure("signature context")
        }
        return unsafe context
    }

    /// Big-endian and as short as possible, or padded on the left to `count` bytes.
    func integer(_ name: String, count: Int? = nil) throws(CryptoError) -> [UInt8] {
        var number: OpaquePointer?
        try OpenSSL.check(unsafe EVP_PKEY_get_bn_param(key, name, &number), "reading \(name)")
        defer { unsafe BN_clear_free(number) }
        let size = count ?? Int((unsafe BN_num_bits(number) + 7) / 8)
        var bytes = [UInt8](repeating: 0, count: size)
        guard unsafe BN_bn2binpad(number, &bytes, Int32(size)) == Int32(size) else {
            throw OpenSSL.failure("reading \(name)")
        }
        return bytes
    }

    func rawPublicKey() throws(CryptoError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 32)
        var count = bytes.count
        try OpenSSL.check(unsafe EVP_PKEY_get_raw_public_key(key, &bytes, &count), "reading the public key")
        guard count == bytes.count else { throw .invalidKey(reason: "an Ed25519 key has 32 bytes") }
        return bytes
    }

    /// An unencrypted PKCS #8 `PrivateKeyInfo` (RFC 5958) in DER.
    func pkcs8() throws(CryptoError) -> [UInt8] {
        guard let info = unsafe EVP_PKEY2PKCS8(key) else { throw OpenSSL.failure("encoding the key") }
        defer { unsafe PKCS8_PRIV_KEY_INFO_free(info) }
        var encoded: UnsafeMutablePointer<UInt8>?
        let count = unsafe i2d_PKCS8_PRIV_KEY_INFO(info, &encoded)
        guard count > 0, let start = unsafe encoded else { throw OpenSSL.failure("encoding the key") }
        defer { unsafe CRYPTO_clear_free(start, Int(count), nil, 0) }
        return unsafe Array(UnsafeBufferPointer(start: start, count: Int(count)))
    }
}
