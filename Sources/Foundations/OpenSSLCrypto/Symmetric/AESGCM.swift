// AES-256-GCM (NIST SP 800-38D) with a 12-byte nonce and a 16-byte tag.

import COpenSSL

enum AESGCM {
    static let nonceCount = 12
    static let tagCount = 16

    static func seal(
        _ plaintext: [UInt8],
        key: SecretBytes,
        nonce: [UInt8],
        associatedData: [UInt8]
    ) throws(CryptoError) -> [UInt8] {
        let context = try Context()
        try context.start(key: key, nonce: nonce, encrypts: true)
        try context.authenticate(associatedData)
        let ciphertext = try context.update(plaintext)
        try context.finish()
        return ciphertext + (try context.tag())
    }

    /// `.authenticationFailed` unless key, nonce, associated data and every byte match.
    static func open(
        _ sealed: ArraySlice<UInt8>,
        key: SecretBytes,
        nonce: [UInt8],
        associatedData: [UInt8]
    ) throws(CryptoError) -> [UInt8] {
        guard sealed.count >= tagCount else { throw .invalidEncoding }
        let context = try Context()
        try context.start(key: key, nonce: nonce, encrypts: false)
        try context.expect(tag: Array(sealed.suffix(tagCount)))
        try context.authenticate(associatedData)
        // SECURITY: the output of `update` is unauthenticated until `finish` has compared the tags.
        let plaintext = try context.update(Array(sealed.dropLast(tagCount)))
        do { try context.finish() } catch { throw .authenticationFailed }
        return plaintext
    }

    /// An `EVP_CIPHER_CTX` that is used by one call chain and freed with it.
    @safe private struct Context: ~Copyable {
        private let pointer: OpaquePointer

        init() throws(CryptoError) {
            guard let pointer = unsafe EVP_CIPHER_CTX_new() else { throw OpenSSL.failure("AES-GCM context") }
            unsafe self.pointer = pointer
        }

        deinit { unsafe EVP_CIPHER_CTX_free(pointer) }

        func start(key: SecretBytes, nonce: [UInt8], encrypts: Bool) throws(CryptoError) {
            precondition(key.count == 32 && nonce.count == nonceCount, "AES-256-GCM: 32-byte key, 12-byte nonce")
            let result = unsafe key.withUnsafeBytes { key in
                unsafe EVP_CipherInit_ex2(
                    pointer,
                    FetchedAlgorithms.shared.aes256GCM,
                    key.bindMemory(to: UInt8.self).baseAddress,
                    nonce,
                    encrypts ? 1 : 0,
                    nil
                )
            }
            try OpenSSL.check(result, "AES-GCM key")
        }

        func authenticate(_ associatedData: [UInt8]) throws(CryptoError) {
            guard !associatedData.isEmpty else { return }
            guard let length = Int32(exactly: associatedData.count) else { throw .invalidEncoding }
            var written: Int32 = 0
            try OpenSSL.check(
                unsafe EVP_CipherUpdate(pointer, nil, &written, associatedData, length),
                "AES-GCM associated data"
            )
        }

        func update(_ input: [UInt8]) throws(CryptoError) -> [UInt8] {
            guard !input.isEmpty else { return [] }
            guard let length = Int32(exactly: input.count) else { throw .invalidEncoding }
            var out = [UInt8](repeating: 0, count: input.count)
            var written: Int32 = 0
            try OpenSSL.check(unsafe EVP_CipherUpdate(pointer, &out, &written, input, length), "AES-GCM")
            // GCM is a stream cipher: it holds nothing back.
            guard Int(written) == input.count else { throw OpenSSL.failure("AES-GCM") }
            return out
        }

        func finish() throws(CryptoError) {
            var rest = [UInt8](repeating: 0, count: 16)
            var written: Int32 = 0
            try OpenSSL.check(unsafe EVP_CipherFinal_ex(pointer, &rest, &written), "AES-GCM tag")
        }

        func tag() throws(CryptoError) -> [UInt8] {
            var tag = [UInt8](repeating: 0, count: tagCount)
            try OpenSSL.check(
                unsafe EVP_CIPHER_CTX_ctrl(pointer, EVP_CTRL_AEAD_GET_TAG, Int32(tagCount), &tag),
                "AES-GCM tag"
            )
            return tag
        }

        func expect(tag: [UInt8]) throws(CryptoError) {
            var tag = tag
            try OpenSSL.check(
                unsafe EVP_CIPHER_CTX_ctrl(pointer, EVP_CTRL_AEAD_SET_TAG, Int32(tagCount), &tag),
                "AES-GCM tag"
            )
        }
    }
}
