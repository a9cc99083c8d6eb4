import COpenSSL

/// SHA-256 of data that does not fit into memory, fed piece by piece by one thread.
@safe package final class RunningSHA256 {
    // SAFETY: the type is not Sendable, and `deinit` frees the handle.
    private let context: OpaquePointer

    package init() {
        guard let context = unsafe EVP_MD_CTX_new() else { preconditionFailure("OpenSSL: no memory for SHA-256") }
        unsafe self.context = unsafe context
        OpenSSL.require(unsafe EVP_DigestInit_ex2(context, FetchedAlgorithms.shared.sha256, nil), "SHA-256")
    }

    deinit { unsafe EVP_MD_CTX_free(context) }

    package func update(_ bytes: UnsafeRawBufferPointer) {
        OpenSSL.require(unsafe EVP_DigestUpdate(context, bytes.baseAddress, bytes.count), "SHA-256")
    }

    /// Called once, last.
    package func finish() -> [UInt8] {
        var out = [UInt8](repeating: 0, count: 32)
        OpenSSL.require(unsafe EVP_DigestFinal_ex(context, &out, nil), "SHA-256")
        return out
    }
}
