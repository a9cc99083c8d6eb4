import COpenSSL

/// A non-negative integer of OpenSSL. It is wiped when freed, since it may be part of a private key.
@safe struct BigNumber: ~Copyable {
    let pointer: OpaquePointer

    init(_ bytes: [UInt8]) throws(CryptoError) {
        guard
            let count = Int32(exactly: bytes.count),
            let pointer = unsafe BN_bin2bn(bytes, count, nil)
        else { throw OpenSSL.failure("reading an integer") }
        unsafe self.pointer = pointer
    }

    deinit { unsafe BN_clear_free(pointer) }
}
