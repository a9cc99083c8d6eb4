// The checksum at the end of refresh tokens. It is no protection: scanners for leaked secrets use it to recognise a
// token without asking a server.

/// CRC-32 of IEEE 802.3 (reflected, polynomial 0x04C11DB7), as in gzip and PNG.
package enum CRC32 {
    /// 0xCBF43926 for the ASCII digits `123456789`.
    package static func checksum(_ bytes: [UInt8]) -> UInt32 {
        let table = table
        var remainder: UInt32 = 0xFFFF_FFFF
        for byte in bytes { remainder = table[Int(UInt8(truncatingIfNeeded: remainder) ^ byte)] ^ remainder >> 8 }
        return ~remainder
    }

    private static let table: [UInt32] = (0..<256).map { byte in
        (0..<8).reduce(UInt32(byte)) { value, _ in value & 1 == 1 ? value >> 1 ^ 0xEDB8_8320 : value >> 1 }
    }
}
