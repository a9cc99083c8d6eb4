import COpenSSL

/// SHA-256 (FIPS 180-4).
package enum SHA256 {
    package static func digest(_ bytes: [UInt8]) -> [UInt8] {
        var out = [UInt8](repeating: 0, count: 32)
        unsafe bytes.withUnsafeBytes { bytes in
            unsafe out.withUnsafeMutableBytes { unsafe DigestContext.sha256(bytes, into: $0) }
        }
        return out
    }

    /// The digest of text in UTF-8, without an allocation.
    package static func digest(of text: String) -> SHA256Digest {
        var words: InlineArray<4, UInt64> = [0, 0, 0, 0]
        let utf8 = text.utf8Span.span
        var out = words.mutableSpan
        unsafe utf8.withUnsafeBytes { bytes in
            unsafe out.withUnsafeMutableBytes { unsafe DigestContext.sha256(bytes, into: $0) }
        }
        return SHA256Digest(words[0], words[1], words[2], words[3])
    }
}

package struct SHA256Digest: Sendable, Hashable {
    private let words: (UInt64, UInt64, UInt64, UInt64)

    init(_ a: UInt64, _ b: UInt64, _ c: UInt64, _ d: UInt64) {
        words = (a, b, c, d)
    }

    package var prefix: UInt64 { words.0 }

    package static func == (a: Self, b: Self) -> Bool { a.words == b.words }

    /// The bits are already random. To choose them would mean to find collisions.
    package func hash(into hasher: inout Hasher) { hasher.combine(words.0) }
}

/// HMAC with SHA-256 (RFC 2104, FIPS 198-1).
package enum HMACSHA256 {
    package static func authenticationCode(for message: [UInt8], key: [UInt8]) -> [UInt8] {
        HMACSHA256Key(key).authenticationCode(for: message)
    }

    /// Compares in constant time.
    package static func isValid(_ code: [UInt8], for message: [UInt8], key: [UInt8]) -> Bool {
        constantTimeEqual(code, authenticationCode(for: message, key: key))
    }
}

/// A key of HMAC-SHA256, prepared once: fetching the implementation and hashing the key costs as much as a short
/// message.
///
/// SAFETY: `init` alone writes the template; each code is made with a copy of it.
@safe package final class HMACSHA256Key: @unchecked Sendable {
    private let template: OpaquePointer

    package init(_ key: [UInt8]) {
        guard let context = unsafe EVP_MAC_CTX_new(FetchedAlgorithms.shared.hmac) else {
            preconditionFailure("OpenSSL: no memory for HMAC")
        }
        // An empty array has no address, and OpenSSL reads a null key as "the key set before".
        let bytes = key.isEmpty ? [0] : key
        OpenSSL.require(unsafe tessera_hmac_sha256_init(context, bytes, key.count), "HMAC key")
        unsafe template = context
    }

    deinit { unsafe EVP_MAC_CTX_free(template) }

    package func authenticationCode(for message: [UInt8]) -> [UInt8] {
        guard let context = unsafe EVP_MAC_CTX_dup(template) else {
            preconditionFailure("OpenSSL: no memory for HMAC")
        }
        defer { unsafe EVP_MAC_CTX_free(context) }
        var out = [UInt8](repeating: 0, count: 32)
        var written = 0
        OpenSSL.require(unsafe EVP_MAC_update(context, message, message.count), "HMAC")
        OpenSSL.require(unsafe EVP_MAC_final(context, &out, &written, out.count), "HMAC")
        precondition(written == out.count, "OpenSSL: an HMAC with SHA-256 has 32 bytes")
        return out
    }
}

/// HKDF with SHA-256 (RFC 5869).
package enum HKDFSHA256 {
    /// Derives `count` bytes, 0 to 8160.
    ///
    /// - `material`: a key with enough entropy, never a password.
    /// - `salt`: empty for the salt of 32 zero bytes (§2.2).
    /// - `info`: the purpose. Keys for different purposes are independent.
    package static func deriveKey(
        from material: [UInt8],
        salt: [UInt8] = [],
        info: [UInt8],
        count: Int
    ) -> [UInt8] {
        precondition((0...255 * 32).contains(count), "RFC 5869 §2.3: at most 255 blocks")
        // §2.2 Extract. HMAC pads a short key with zeros, so the empty and the zero salt are the same.
        let pseudorandomKey = HMACSHA256.authenticationCode(for: material, key: salt)
        // §2.3 Expand: T(n) = HMAC(PRK, T(n-1) ‖ info ‖ n).
        var out: [UInt8] = []
        var block: [UInt8] = []
        var counter: UInt8 = 1
        while out.count < count {
            block = HMACSHA256.authenticationCode(for: block + info + [counter], key: pseudorandomKey)
            out += block
            counter &+= 1
        }
        return Array(out.prefix(count))
    }
}

/// Whether two byte strings are equal, in time that depends on their lengths only.
package func constantTimeEqual(_ a: [UInt8], _ b: [UInt8]) -> Bool {
    // SECURITY: a comparison that stops early would reveal how many leading bytes were right.
    guard a.count == b.count else { return false }
    return unsafe CRYPTO_memcmp(a, b, a.count) == 0
}
