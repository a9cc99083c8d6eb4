// An ECDSA signature has two forms: r‖s in JOSE (RFC 7518 §3.4), always 64 bytes with P-256, and a DER `SEQUENCE` in
// OpenSSL (RFC 3279 §2.2.3). DER integers drop leading zeros and gain one if they look negative.

import COpenSSL

enum ECDSASignature {
    static let rawCount = 64

    /// `nil` unless there are exactly 64 bytes. The verifier checks the range of r and s.
    static func der(fromRaw raw: [UInt8]) -> [UInt8]? {
        guard raw.count == rawCount else { return nil }
        var der: [UInt8] = [0x30, 0]
        der.reserveCapacity(2 + 2 * 35)
        append(integer: raw[..<32], to: &der)
        append(integer: raw[32...], to: &der)
        der[1] = UInt8(der.count - 2)
        return der
    }

    static func raw(fromDER der: [UInt8]) throws(CryptoError) -> [UInt8] {
        let decoded: OpaquePointer? = unsafe der.withUnsafeBufferPointer { buffer in
            var position = buffer.baseAddress
            return unsafe d2i_ECDSA_SIG(nil, &position, buffer.count)
        }
        guard let signature = unsafe decoded else { throw OpenSSL.failure("reading a signature") }
        defer { unsafe ECDSA_SIG_free(signature) }
        var raw = [UInt8](repeating: 0, count: rawCount)
        let written = unsafe raw.withUnsafeMutableBufferPointer { raw in
            guard let start = raw.baseAddress else { return Int32(0) }
            // BN_bn2binpad refuses numbers of more than 32 bytes.
            return unsafe BN_bn2binpad(ECDSA_SIG_get0_r(signature), start, 32)
                + BN_bn2binpad(ECDSA_SIG_get0_s(signature), start + 32, 32)
        }
        guard written == Int32(rawCount) else { throw OpenSSL.failure("reading a signature") }
        return raw
    }

    /// A DER INTEGER: minimal, with a zero byte before a set high bit. At most 35 bytes, so every length fits into one
    /// byte.
    private static func append(integer bytes: ArraySlice<UInt8>, to der: inout [UInt8]) {
        let digits = bytes.drop { $0 == 0 }
        let isPadded = digits.first.map { $0 & 0x80 != 0 } ?? true
        der.append(0x02)
        der.append(UInt8(digits.count + (isPadded ? 1 : 0)))
        if isPadded { der.append(0) }
        der.append(contentsOf: digits)
    }
}
