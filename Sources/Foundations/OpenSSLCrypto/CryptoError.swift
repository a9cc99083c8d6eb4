// How OpenSSL's failures become Swift errors.
//
// OpenSSL keeps a queue of errors per thread. A call that fails leaves its reasons there, and whoever reads the
// queue next would take them for its own; so each failure drains the queue in the same synchronous function, with
// no suspension between. The text of the queue stays out of the error: for a signature or a tag that does not
// verify it says nothing a caller may act on.

import COpenSSL

/// Why an operation on keys or sealed data was refused.
package enum CryptoError: Error, Sendable, Equatable {
    /// OpenSSL refused an operation that should have worked, for lack of memory or by its configuration.
    case openSSL(operation: String, code: UInt)
    /// The key is malformed, of the wrong kind, too weak, or carries what a public key must not.
    case invalidKey(reason: String)
    /// Bytes or text that should encode something do not.
    case invalidEncoding
    /// A key type or `alg` other than ES256, EdDSA and RS256.
    case unsupportedAlgorithm
    /// Sealed data was altered, or opened with other associated data than it was sealed with.
    case authenticationFailed
    /// Data was sealed with a key that the ring no longer holds.
    case unknownKey(id: UInt8)
    /// The configured ring of master keys cannot be used.
    case invalidKeyRing(reason: String)
}

/// The boundary to OpenSSL's return values.
enum OpenSSL {
    /// Empties this thread's error queue and returns its oldest entry, the cause.
    @discardableResult
    static func drainErrors() -> UInt {
        let first = ERR_get_error()
        ERR_clear_error()
        return UInt(first)
    }

    /// The error of a call that just failed on this thread.
    static func failure(_ operation: String) -> CryptoError {
        .openSSL(operation: operation, code: drainErrors())
    }

    /// Passes when OpenSSL answered 1, its only sign of success: 0 and negative values are both failures.
    static func check(_ result: Int32, _ operation: String) throws(CryptoError) {
        guard result == 1 else { throw failure(operation) }
    }

    /// Stops the process when a primitive that has no caller-provoked failure fails all the same. Only an
    /// OpenSSL without SHA-256, or a machine without memory, gets here, and neither may go on signing in users.
    static func require(_ result: Int32, _ operation: StaticString) {
        precondition(result == 1, "OpenSSL: \(operation) failed")
    }
}

/// OpenSSL's algorithms, looked up once: a fetch by name takes a lock and longer than hashing a short message.
///
/// SAFETY: fetched objects are immutable and reference counted with atomics; they live as long as the process.
@safe struct FetchedAlgorithms: @unchecked Sendable {
    let sha256: OpaquePointer
    let aes256GCM: OpaquePointer
    let hmac: OpaquePointer

    static let shared = FetchedAlgorithms()

    private init() {
        guard
            let sha256 = unsafe EVP_MD_fetch(nil, "SHA256", nil),
            let aes256GCM = unsafe EVP_CIPHER_fetch(nil, "AES-256-GCM", nil),
            let hmac = unsafe EVP_MAC_fetch(nil, "HMAC", nil)
        else { preconditionFailure("OpenSSL offers no SHA-256, AES-256-GCM or HMAC") }
        unsafe self.sha256 = sha256
        unsafe self.aes256GCM = aes256GCM
        unsafe self.hmac = hmac
    }
}
