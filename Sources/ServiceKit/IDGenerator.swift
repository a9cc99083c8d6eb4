package import OpenSSLCrypto
package import Storage

/// Makes the ids of rows, and names without a meaning.
package struct IDGenerator: Sendable {
    private let random: RandomSource

    package init(_ random: RandomSource) {
        self.random = random
    }

    /// An id that sorts by the time at which it was made (RFC 9562 §5.7).
    package func make(at instant: Instant) -> String {
        UUIDv7.make(milliseconds: instant.microseconds / 1000, random: random)
    }

    /// Random bytes as hexadecimal digits, such as the name of a node.
    package func name(bytes: Int = 8) -> String { Hex.encode(random.bytes(bytes)) }
}
