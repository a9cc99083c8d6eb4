// The source of random bytes is injected, so that a test can choose them.

import COpenSSL
import Synchronization

package struct RandomSource: Sendable {
    package let bytes: @Sendable (Int) -> [UInt8]

    package init(bytes: @escaping @Sendable (Int) -> [UInt8]) {
        self.bytes = bytes
    }

    /// OpenSSL's generator, seeded by the kernel.
    package static let system: RandomSource = {
        let reservoir = RandomReservoir()
        return RandomSource { count in reservoir.take(count) }
    }()
}

/// Random bytes drawn ahead. OpenSSL's generator costs microseconds per call and almost nothing per byte, and a request
/// needs a few bytes several times.
private final class RandomReservoir: Sendable {
    /// The amount drawn at once. A request for more than an eighth of it bypasses the reservoir.
    private static let size = 1024
    /// Taken from the end.
    private let bytes = Mutex<[UInt8]>([])

    func take(_ count: Int) -> [UInt8] {
        guard count > 0 else { return [] }
        guard count <= Self.size / 8 else { return Self.draw(count) }
        return bytes.withLock { bytes in
            if bytes.count < count { bytes = Self.draw(Self.size) }
            let start = bytes.count - count
            let taken = Array(bytes[start...])
            // SECURITY: bytes that were handed out are wiped, so memory that is read later reveals no token.
            for index in start..<bytes.count { bytes[index] = 0 }
            bytes.removeLast(count)
            return taken
        }
    }

    private static func draw(_ count: Int) -> [UInt8] {
        var out = [UInt8](repeating: 0, count: count)
        let result = unsafe RAND_bytes(&out, Int32(count))
        // SECURITY: a process without randomness must not use zeros as a key or token.
        precondition(result == 1, "OpenSSL has no randomness: no key or token may be made")
        return out
    }
}

/// Identifiers that sort by the time they were made (RFC 9562 §5.7).
package enum UUIDv7 {
    /// Lower-case text, such as `01934e8a-0f3c-7cc1-9e0a-5d2f6b8c1a47`.
    ///
    /// - `milliseconds`: since 1970; earlier times count as 1970.
    /// - `random`: fills the 74 bits that are neither time, version nor variant.
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
