// Base64 as tokens need it: one text per value.
//
// A lenient decoder accepts several texts for the same bytes, so an altered token could still verify. This one refuses
// non-zero trailing bits (RFC 4648 §3.5) and every character outside the alphabet (§3.3).

/// RFC 4648 §5 without padding, as JOSE uses it (RFC 7515 §2).
package enum Base64URL {
    package static func encode(_ bytes: [UInt8]) -> String {
        Base64Codec.url.encode(bytes, padded: false)
    }

    package static func append(_ bytes: [UInt8], to text: inout [UInt8]) {
        Base64Codec.url.append(bytes, padded: false, to: &text)
    }

    /// `nil` unless the text is exactly what `encode` would have written.
    package static func decode(_ text: some StringProtocol) -> [UInt8]? {
        Base64Codec.url.decode(Array(text.utf8)[...], padded: false)
    }

    package static func decode(utf8 text: ArraySlice<UInt8>) -> [UInt8]? {
        Base64Codec.url.decode(text, padded: false)
    }
}

/// RFC 4648 §4, the alphabet with `+` and `/`.
package enum Base64 {
    package static func encode(_ bytes: [UInt8], padded: Bool = true) -> String {
        Base64Codec.standard.encode(bytes, padded: padded)
    }

    /// `nil` unless the text is exactly what `encode` would have written.
    package static func decode(_ text: some StringProtocol, padded: Bool = true) -> [UInt8]? {
        Base64Codec.standard.decode(Array(text.utf8)[...], padded: padded)
    }
}

struct Base64Codec: Sendable {
    static let url = Base64Codec(last: "-_")
    static let standard = Base64Codec(last: "+/")

    private let characters: [UInt8]
    /// The value of each byte; 0xFF outside the alphabet.
    private let values: [UInt8]

    private init(last: String) {
        let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789" + last
        characters = Array(alphabet.utf8)
        var values = [UInt8](repeating: 0xFF, count: 256)
        for (value, character) in characters.enumerated() { values[Int(character)] = UInt8(value) }
        self.values = values
    }

    func encode(_ bytes: [UInt8], padded: Bool) -> String {
        var text: [UInt8] = []
        append(bytes, padded: padded, to: &text)
        return String(decoding: text, as: UTF8.self)
    }

    func append(_ bytes: [UInt8], padded: Bool, to text: inout [UInt8]) {
        let rest = bytes.count % 3
        let tail = rest == 0 ? 0 : padded ? 4 : rest + 1
        let start = text.count
        text.append(contentsOf: repeatElement(UInt8(ascii: "="), count: bytes.count / 3 * 4 + tail))
        let (input, alphabet) = (bytes.span, characters.span)
        var out = text.mutableSpan
        var (index, position) = (0, start)
        while index + 3 <= input.count {
            let word = Int(input[index]) << 16 | Int(input[index + 1]) << 8 | Int(input[index + 2])
            out[position] = alphabet[word >> 18]
            out[position + 1] = alphabet[word >> 12 & 63]
            out[position + 2] = alphabet[word >> 6 & 63]
            out[position + 3] = alphabet[word & 63]
            index += 3
            position += 4
        }
        if rest > 0 {
            let word = Int(input[index]) << 16 | (rest == 2 ? Int(input[index + 1]) << 8 : 0)
            out[position] = alphabet[word >> 18]
            out[position + 1] = alphabet[word >> 12 & 63]
            if rest == 2 { out[position + 2] = alphabet[word >> 6 & 63] }
        }
    }

    func decode(_ text: ArraySlice<UInt8>, padded: Bool) -> [UInt8]? {
        var count = text.count
        if padded {
            guard count % 4 == 0 else { return nil }
            for _ in 0..<2 where count > 0 && text[text.startIndex + count - 1] == UInt8(ascii: "=") { count -= 1 }
        }
        let rest = count % 4
        guard rest != 1 else { return nil }
        var bytes = [UInt8](repeating: 0, count: count / 4 * 3 + max(0, rest - 1))
        let (input, table) = (text.span, values.span)
        var out = bytes.mutableSpan
        // All values or-ed: one test at the end finds a byte outside the alphabet.
        var seen: UInt8 = 0
        var (index, position) = (0, 0)
        while index + 4 <= count {
            let (a, b) = (table[Int(input[index])], table[Int(input[index + 1])])
            let (c, d) = (table[Int(input[index + 2])], table[Int(input[index + 3])])
            seen |= a | b | c | d
            out[position] = a << 2 | b >> 4
            out[position + 1] = b << 4 | c >> 2
            out[position + 2] = c << 6 | d
            index += 4
            position += 3
        }
        if rest > 0 {
            let (a, b) = (table[Int(input[index])], table[Int(input[index + 1])])
            let c = rest == 3 ? table[Int(input[index + 2])] : 0
            // RFC 4648 §3.5: bits that belong to no byte must be zero.
            guard (rest == 2 ? b & 0x0F : c & 0x03) == 0 else { return nil }
            seen |= a | b | c
            out[position] = a << 2 | b >> 4
            if rest == 3 { out[position + 1] = b << 4 | c >> 2 }
        }
        return seen & 0xC0 == 0 ? bytes : nil
    }
}
