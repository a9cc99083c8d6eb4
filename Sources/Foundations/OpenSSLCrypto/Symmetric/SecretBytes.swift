// This bounds how long a secret stays readable in a core dump or a stale page. Earlier copies are out of reach: a
// decoded JSON string was a plain string.

import COpenSSL

/// Key material or a password, wiped with its last reference. It has no description, so no log can print it.
///
/// SAFETY: the memory is written in `init` and freed in `deinit`; in between, threads only read it.
@safe package final class SecretBytes: @unchecked Sendable {
    private let memory: UnsafeMutableRawBufferPointer

    /// Copies `bytes`; the caller's array is not wiped.
    package init(_ bytes: some Collection<UInt8>) {
        unsafe memory = .allocate(byteCount: bytes.count, alignment: 16)
        unsafe memory.copyBytes(from: bytes)
    }

    deinit {
        if let start = unsafe memory.baseAddress { unsafe OPENSSL_cleanse(start, memory.count) }
        unsafe memory.deallocate()
    }

    package var count: Int { unsafe memory.count }

    /// The pointer must not escape `body`.
    package func withUnsafeBytes<R, E: Error>(_ body: (UnsafeRawBufferPointer) throws(E) -> R) throws(E) -> R {
        try unsafe body(UnsafeRawBufferPointer(memory))
    }

    func copy() -> [UInt8] { unsafe Array(memory) }
}
