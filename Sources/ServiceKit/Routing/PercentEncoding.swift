// Percent-encoding (RFC 3986 §2.1), read strictly. The URL Standard leaves a malformed escape as it stands. Two readers
// that guess differently see two texts, so here it is refused.

/// Why bytes are no percent-encoded text.
package enum PercentEncodingFault: Error, Sendable, Equatable {
    /// A percent sign without two hexadecimal digits.
    case malformedEscape
    /// Not UTF-8 once it is decoded.
    case notUTF8
    /// No database text holds U+0000.
    case nul
}

package enum PercentEncoding {
    /// The text of a part, decoded once. In a form or a query (`plusIsSpace`) `+` is a space.
    package static func decode(
        _ part: some Collection<UInt8>,
        plusIsSpace: Bool
    ) throws(PercentEncodingFault) -> String {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(part.count)
        var iterator = part.makeIterator()
        while let byte = iterator.next() {
            switch byte {
            case UInt8(ascii: "+") where plusIsSpace: bytes.append(0x20)
            case UInt8(ascii: "%"):
                guard let high = iterator.next().flatMap(digit), let low = iterator.next().flatMap(digit) else {
                    throw .malformedEscape
                }
                bytes.append(high << 4 | low)
            default: bytes.append(byte)
            }
        }
        guard !bytes.contains(0) else { throw .nul }
        guard let text = String(validating: bytes, as: UTF8.self) else { throw .notUTF8 }
        return text
    }

    /// Appends a path segment in its one spelling: `pchar` of RFC 3986 §3.3 as it is, everything else escaped.
    static func encode(segment: some Sequence<UInt8>, into bytes: inout [UInt8]) {
        for byte in segment {
            if isPathCharacter(byte) {
                bytes.append(byte)
            } else {
                bytes += [UInt8(ascii: "%"), hex(byte >> 4), hex(byte & 15)]
            }
        }
    }

    /// A character of a path segment that needs no escape: unreserved, sub-delims, `:` and `@`.
    static func isPathCharacter(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
        case UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "~"): true
        case UInt8(ascii: "!"), UInt8(ascii: "$"), UInt8(ascii: "&"), UInt8(ascii: "'"), UInt8(ascii: "("),
            UInt8(ascii: ")"), UInt8(ascii: "*"), UInt8(ascii: "+"), UInt8(ascii: ","), UInt8(ascii: ";"),
            UInt8(ascii: "="):
            true
        case UInt8(ascii: ":"), UInt8(ascii: "@"): true
        default: false
        }
    }

    static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }

    private static func hex(_ value: UInt8) -> UInt8 {
        value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "A") + value - 10
    }
}
