// Base64 as tokens need it: one text per value.
//
// A lenient decoder accepts several texts for the same bytes (padding or none, either alphabet, spare bits that
// are not zero), so an altered token could still verify. RFC 4648 §3.5 allows a decoder to refuse non-zero
// trailing bits; here it is always done, and so is every character outside of the alphabet (§3.3).

/// RFC 4648 §5 without padding, as JOSE uses it (RFC 7515 §2).
package enum Base64URL {
    /// The text of `bytes`.
    package static func encode(_ bytes: [UInt8]) -> String {
        Base64Codec.url.encode(bytes, padded: false)
    }

    /// The bytes of `text`; `nil` when it is not exactly what `encode` would have written.
    package static func decode(_ text: some StringProtocol) -> [UInt8]? {
        Base64Codec.url.decode(Array(text.utf8)[...], padded: false)
    }

    /// The bytes of text given as UTF-8.
    package static func decode(utf8 text: ArraySlice<UInt8>) -> [UInt8]? {
        Base64Codec.url.decode(text, padded: false)
    }
}

/// RFC 4648 §4, the alphabet with `+` and `/`.
package enum Base64 {
    /// The text of `bytes`; PHC strings leave the padding out.
    package static func encode(_ bytes: [UInt8], padded: Bool = true) -> String {
        Base64Codec.standard.encode(bytes, padded: padded)
    }

    /// The bytes of `text`; `nil` when it is not exactly what `encode` would have written.
    package static func decode(_ text: some StringProtocol, padded: Bool = true) -> [UInt8]? {
        Base64Codec.standard.decode(Array(text.utf8)[...], padded: padded)
    }
}

/// One alphabet, as tables for both directions.
struct Base64Codec: Sendable {
    static let url = Base64Codec(last: "-_")
    static let standard = Base64Codec(last: "+/")

    private let characters: [UInt8]
    /// The value of each byte; 0xFF for those outside of the alphabet.
    private let values: [UInt8]

    private init(last: String) {
        let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789" + last
        characters = Array(alphabet.utf8)
        var values = [UInt8](repeating: 0xFF, count: 256)
        for (value, character) in characters.enumerated() { values[Int(character)] = UInt8(value) }
        self.values = values
    }

    func encode(_ bytes: [UInt8], padded: Bool) -> String {
        var out: [UInt8] = []
        out.reserveCapacity((bytes.count + 2) / 3 * 4)
        var index = 0
        while index + 3 <= bytes.count {
            let word = UInt32(bytes[index]) << 16 | UInt32(bytes[index + 1]) << 8 | UInt32(bytes[index + 2])
            out.append(characters[Int(word >> 18)])
            out.append(characters[Int(word >> 12 & 63)])
            out.append(characters[Int(word >> 6 & 63)])
            out.append(characters[Int(word & 63)])
            index += 3
        }
        switch bytes.count - index {
        case 1:
            let word = UInt32(bytes[index])
            out.append(characters[Int(word >> 2)])
            out.append(characters[Int(word << 4 & 63)])
            if padded { out += [UInt8(ascii: "="), UInt8(ascii: "=")] }
        case 2:
            let word = UInt32(bytes[index]) << 8 | UInt32(bytes[index + 1])
            out.append(characters[Int(word >> 10)])
            out.append(characters[Int(word >> 4 & 63)])
            out.append(characters[Int(word << 2 & 63)])
            if padded { out.append(UInt8(ascii: "=")) }
        default: break
        }
        return String(decoding: out, as: UTF8.self)
    }

    func decode(_ text: ArraySlice<UInt8>, padded: Bool) -> [UInt8]? {
        var end = text.endIndex
        if padded {
            guard text.count % 4 == 0 else { return nil }
            var padding = 0
            while padding < 2, end > text.startIndex, text[end - 1] == UInt8(ascii: "=") {
                end -= 1
                padding += 1
            }
        }
        let count = end - text.startIndex
        guard count % 4 != 1 else { return nil }
        var out: [UInt8] = []
        out.reserveCapacity(count * 3 / 4)
        // The high bits of every value, or-ed: one look at the end tells whether a byte was outside the alphabet.
        var seen: UInt8 = 0
        var index = text.startIndex
        while index + 4 <= end {
            let (a, b) = (values[Int(text[index])], values[Int(text[index + 1])])
            let (c, d) = (values[Int(text[index + 2])], values[Int(text[index + 3])])
            seen |= a | b | c | d
            out.append(a << 2 | b >> 4)
            out.append(b << 4 | c >> 2)
            out.append(c << 6 | d)
            index += 4
        }
        switch end - index {
        case 2:
            let (a, b) = (values[Int(text[index])], values[Int(text[index + 1])])
            guard b & 0x0F == 0 else { return nil }
            seen |= a | b
            out.append(a << 2 | b >> 4)
        case 3:
            let (a, b, c) = (values[Int(text[index])], values[Int(text[index + 1])], values[Int(text[index + 2])])
            guard c & 0x03 == 0 else { return nil }
            seen |= a | b | c
            out.append(a << 2 | b >> 4)
            out.append(b << 4 | c >> 2)
        default: break
        }
        return seen & 0xC0 == 0 ? out : nil
    }
}
