// Characters that a JSON string must escape (RFC 8259 §7).

enum JSONEscapes {
    /// The number of bytes before the first that must be escaped.
    static func plainPrefix(of utf8: UnsafeBufferPointer<UInt8>) -> Int {
        let bytes = UnsafeRawBufferPointer(utf8)
        var index = 0
        // Eight at once: most of an answer is text.
        while index + 8 <= bytes.count, !holdsEscaped(bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self)) {
            index += 8
        }
        while index < bytes.count, !isEscaped(bytes[index]) { index += 1 }
        return index
    }

    static func isEscaped(_ byte: UInt8) -> Bool {
        byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\")
    }

    /// Whether any of eight bytes must be escaped. A byte below a limit has its top bit set by the subtraction, and had
    /// it clear before. A borrow may reach the next byte, so the result does not say which byte it is.
    private static func holdsEscaped(_ word: UInt64) -> Bool {
        let ones: UInt64 = 0x0101_0101_0101_0101
        let tops: UInt64 = 0x8080_8080_8080_8080
        let quotes = word ^ (ones &* UInt64(UInt8(ascii: "\"")))
        let backslashes = word ^ (ones &* UInt64(UInt8(ascii: "\\")))
        let controls = (word &- (ones &* 0x20)) & ~word
        return (controls | ((quotes &- ones) & ~quotes) | ((backslashes &- ones) & ~backslashes)) & tops != 0
    }

    /// The most bytes that one byte becomes.
    static let maxLength = 6

    static func append(_ byte: UInt8, to out: inout OutputSpan<UInt8>) {
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"): append(UInt8(ascii: "\\"), byte, to: &out)
        case 0x0A: append(UInt8(ascii: "\\"), UInt8(ascii: "n"), to: &out)
        case 0x0D: append(UInt8(ascii: "\\"), UInt8(ascii: "r"), to: &out)
        case 0x09: append(UInt8(ascii: "\\"), UInt8(ascii: "t"), to: &out)
        case 0..<0x20:
            append(UInt8(ascii: "\\"), UInt8(ascii: "u"), to: &out)
            append(UInt8(ascii: "0"), UInt8(ascii: "0"), to: &out)
            append(digit(byte >> 4), digit(byte & 0xF), to: &out)
        default: out.append(byte)
        }
    }

    private static func append(_ first: UInt8, _ second: UInt8, to out: inout OutputSpan<UInt8>) {
        out.append(first)
        out.append(second)
    }

    private static func digit(_ value: UInt8) -> UInt8 {
        value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + value - 10
    }
}
