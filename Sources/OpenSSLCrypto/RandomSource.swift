// Where unpredictable bytes come from. Whoever needs randomness is given a source, so that a test can say what
// comes out; the running service is given the system's.

import COpenSSL

/// A source of random bytes.
package struct RandomSource: Sendable {
    /// As many bytes as asked for.
    package let bytes: @Sendable (Int) -> [UInt8]

    /// A source of the test's choosing.
    package init(bytes: @escaping @Sendable (Int) -> [UInt8]) {
        self.bytes = bytes
    }

    /// OpenSSL's generator, seeded by the kernel, safe across `fork`.
    package static let system = RandomSource { count in
        guard count > 0 else { return [] }
        var out = [UInt8](repeating: 0, count: count)
        let result = unsafe RAND_bytes(&out, Int32(count))
        // SECURITY: a process without randomness must not go on with zeros for a key or a token.
        precondition(result == 1, "OpenSSL has no randomness: no key or token may be made")
        return out
    }
}

/// Identifiers that sort by the time they were made (RFC 9562 §5.7).
package enum UUIDv7 {
    /// A new identifier as lower-case text, for example `01934e8a-0f3c-7cc1-9e0a-5d2f6b8c1a47`.
    ///
    /// `milliseconds`: since 1970; earlier times count as 1970.
    /// `random`: fills the 74 bits that are neither time, version nor variant.
    package static func make(milliseconds: Int64, random: RandomSource) -> String {
        let time = UInt64(max(0, milliseconds))
        var bytes = (0..<6).map { UInt8(truncatingIfNeeded: time >> (40 - 8 * UInt64($0))) }
        bytes += random.bytes(10)
        bytes[6] = bytes[6] & 0x0F | 0x70
        bytes[8] = bytes[8] & 0x3F | 0x80
        var text = Array(Hex.encode(bytes).utf8)
        for position in [8, 13, 18, 23] { text.insert(UInt8(ascii: "-"), at: position) }
        return String(decoding: text, as: UTF8.self)
    }
}
