// What a JSON string cannot hold as it is (RFC 8259 §7).

enum JSONEscapes {
    /// How many bytes there are before the first that must be escaped.
    static func plainPrefix(of utf8: UnsafeBufferPointer<UInt8>) -> Int {
        let bytes = UnsafeRawBufferPointer(utf8)
        var index = 0
        // Eight at once: texts are most of what a service tells.
        while index + 8 <= bytes.count, !holdsEscaped(bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self)) {
            index += 8
        }
        while index < bytes.count, !isEscaped(bytes[index]) { index += 1 }
        return index
    }

    static func isEscaped(_ byte: UInt8) -> Bool {
        byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\")
    }

    /// Whether any of eight bytes must be escaped. What is below a number has its top bit set by subtracting that, and had
    /// not before. A borrow may reach into the next byte, so this tells whether there is one and not which.
    private static func holdsEscaped(_ word: UInt64) -> Bool {
        let ones: UInt64 = 0x0101_0101_0101_0101
        let tops: UInt64 = 0x8080_8080_8080_8080
        let quotes = word ^ (ones &* UInt64(UInt8(ascii: "\"")))
        let backslashes = word ^ (ones &* UInt64(UInt8(ascii: "\\")))
        let controls = (word &- (ones &* 0x20)) & ~word
        return (controls | ((quotes &- ones) & ~quotes) | ((backslashes &- ones) & ~backslashes)) & tops != 0
    }

    /// The most bytes that stand for one.
    static let longest = 6

    /// Appends what stands for a byte of a string: itself, unless it must be escaped.
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
