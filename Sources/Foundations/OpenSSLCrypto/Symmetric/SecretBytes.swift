// Key material and passwords, kept in one place in memory and overwritten when the last owner lets go.
//
// This bounds how long a secret stays readable in a core dump or a stale page. It cannot undo copies made before:
// text that came out of a JSON decoder was already a plain string.

import COpenSSL

/// Bytes that are wiped when no longer used. They have no description, so no log can print them.
///
/// SAFETY: the memory is written in `init` only and freed in `deinit`; between the two, threads only read it.
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

    /// How many bytes there are.
    package var count: Int { unsafe memory.count }

    /// Lends the bytes for the duration of `body`; the pointer must not escape.
    package func withUnsafeBytes<R, E: Error>(_ body: (UnsafeRawBufferPointer) throws(E) -> R) throws(E) -> R {
        try unsafe body(UnsafeRawBufferPointer(memory))
    }

    /// An ordinary copy, for a call that takes an array. It is not wiped.
    func copy() -> [UInt8] { unsafe Array(memory) }
}
