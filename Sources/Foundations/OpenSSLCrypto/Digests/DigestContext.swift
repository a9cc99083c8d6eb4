// OpenSSL's one-call digest allocates its context each time, a fifth of the work for a token of 700 bytes. So every
// thread keeps one.

import COpenSSL

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// One `EVP_MD_CTX` per thread, freed when the thread ends.
enum DigestContext {
    static func sha256(_ bytes: UnsafeRawBufferPointer, into out: UnsafeMutableRawBufferPointer) {
        precondition(out.count == 32, "a SHA-256 digest has 32 bytes")
        // SAFETY: the context belongs to this thread, and nothing below suspends or calls back.
        let context = unsafe ofThisThread()
        let target = unsafe out.assumingMemoryBound(to: UInt8.self).baseAddress
        OpenSSL.require(unsafe EVP_DigestInit_ex2(context, FetchedAlgorithms.shared.sha256, nil), "SHA-256")
        OpenSSL.require(unsafe EVP_DigestUpdate(context, bytes.baseAddress, bytes.count), "SHA-256")
        OpenSSL.require(unsafe EVP_DigestFinal_ex(context, target, nil), "SHA-256")
    }

    private static let key: pthread_key_t = {
        var key = pthread_key_t()
        let result = unsafe pthread_key_create(&key) { unsafe EVP_MD_CTX_free(.init($0)) }
        precondition(result == 0, "no room for another value of a thread")
        return key
    }()

    private static func ofThisThread() -> OpaquePointer {
        if let context = unsafe pthread_getspecific(key) { return OpaquePointer(context) }
        guard
            let context = unsafe EVP_MD_CTX_new(),
            unsafe pthread_setspecific(key, .init(context)) == 0
        else { preconditionFailure("OpenSSL: no memory for SHA-256") }
        return unsafe context
    }
}
