// OpenSSL keeps a queue of errors per thread, so a failure that is left there would be read as that of a later call.
// Each failure drains the queue in the same synchronous function. The queue's text stays out of the error: for a
// signature or a tag that does not verify it says nothing useful.

import COpenSSL

package enum CryptoError: Error, Sendable, Equatable {
    /// OpenSSL refused an operation that should have worked: no memory, or its configuration.
    case openSSL(operation: String, code: UInt)
    /// The key is malformed, of the wrong kind, too weak, or has private members where only public ones may be.
    case invalidKey(reason: String)
    case invalidEncoding
    case unsupportedAlgorithm
    /// Sealed data was altered, or opened with other associated data.
    case authenticationFailed
    /// The ring no longer holds the key that sealed the data.
    case unknownKey(id: UInt8)
    case invalidKeyRing(reason: String)
}

enum OpenSSL {
    /// Empties this thread's error queue and returns its oldest entry, which is the cause.
    @discardableResult
    static func drainErrors() -> UInt {
        let first = ERR_get_error()
        ERR_clear_error()
        return UInt(first)
    }

    static func failure(_ operation: String) -> CryptoError {
        .openSSL(operation: operation, code: drainErrors())
    }

    /// OpenSSL reports success with 1 only: 0 and negative values are failures.
    static func check(_ result: Int32, _ operation: String) throws(CryptoError) {
        guard result == 1 else { throw failure(operation) }
    }

    /// Stops the process when a primitive fails that no input can make fail. OpenSSL then lacks SHA-256 or the machine
    /// lacks memory, and sign-in must not go on.
    static func require(_ result: Int32, _ operation: StaticString) {
        precondition(result == 1, "OpenSSL: \(operation) failed")
    }
}

/// OpenSSL's algorithms, fetched once: a fetch by name takes a lock and longer than hashing a short message.
///
/// SAFETY: fetched objects are immutable, reference counted with atomics, and live as long as the process.
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
