// Strings (RFC 8259 §7). They are checked where they are found, and built for a caller that asks for them.

private let quotationMark = UInt8(ascii: "\"")
private let backslash = UInt8(ascii: "\\")

extension JSONScanner {
    /// Reads the string whose opening quotation mark is the next byte.
    mutating func text() throws(JSONSyntaxError) -> JSONText {
        let text = try Self.text(in: bytes.span, from: offset + 1, refusingNUL: limits.refusesNUL)
        offset = text.range.upperBound + 1
        return text
    }

    private static func text(
        in bytes: Span<UInt8>,
        from begin: Int,
        refusingNUL: Bool
    ) throws(JSONSyntaxError) -> JSONText {
        var end = begin
        var seen: UInt8 = 0
        var hasEscapes = false
        while true {
            // Nearly all strings are as they stand, so this loop sees nearly all bytes.
            while end < bytes.count, bytes[end] >= 0x20, bytes[end] != quotationMark, bytes[end] != backslash {
                seen |= bytes[end]
                end += 1
            }
            guard end < bytes.count else { throw JSONSyntaxError(.unterminatedString, at: end) }
            if bytes[end] == quotationMark { break }
            guard bytes[end] == backslash else { throw JSONSyntaxError(.controlCharacter, at: end) }
            hasEscapes = true
            let scalar = try escapedScalar(in: bytes, at: &end)
            if refusingNUL, scalar == "\0" { throw JSONSyntaxError(.escapedNUL, at: end) }
        }
        // §8.1. An escape is ASCII and stands for a whole scalar, so what is around it is valid as it is or not at all.
        if seen >= 0x80, (try? UTF8Span(validating: bytes.extracting(begin..<end))) == nil {
            throw JSONSyntaxError(.invalidUTF8, at: end + 1)
        }
        return JSONText(range: begin..<end, hasEscapes: hasEscapes)
    }

    /// The string that a name or a value is.
    ///
    /// Mutating so that the scanner is passed by its address. It is large, and the compiler copies it otherwise.
    package mutating func string(_ text: JSONText) -> String {
        guard text.hasEscapes else { return String(decoding: bytes[text.range], as: UTF8.self) }
        var decoded: [UInt8] = []
        decoded.reserveCapacity(text.range.count)
        let bytes = bytes.span
        var index = text.range.lowerBound
        while index < text.range.upperBound {
            guard bytes[index] == backslash else {
                decoded.append(bytes[index])
                index += 1
                continue
            }
            // It was read once, so reading it again finds its scalar.
            guard let scalar = try? Self.escapedScalar(in: bytes, at: &index) else { break }
            if scalar.isASCII {
                decoded.append(UInt8(truncatingIfNeeded: scalar.value))
            } else if let encoded = UTF8.encode(scalar) {
                decoded.append(contentsOf: encoded)
            }
        }
        return String(decoding: decoded, as: UTF8.self)
    }

    /// The scalar that the escape at `index` stands for; `index` moves behind it.
    private static func escapedScalar(
        in bytes: Span<UInt8>,
        at index: inout Int
    ) throws(JSONSyntaxError) -> Unicode.Scalar {
        index += 1
        guard index < bytes.count else { throw JSONSyntaxError(.unterminatedString, at: index) }
        let byte = bytes[index]
        index += 1
        switch byte {
        case quotationMark, backslash, UInt8(ascii: "/"): return Unicode.Scalar(byte)
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{C}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"): break
        default: throw JSONSyntaxError(.unknownEscape, at: index)
        }
        var code = try codeUnit(in: bytes, at: &index)
        if (0xD800...0xDBFF).contains(code) {
            guard index + 1 < bytes.count, bytes[index] == backslash, bytes[index + 1] == UInt8(ascii: "u") else {
                throw JSONSyntaxError(.loneSurrogate, at: index)
            }
            index += 2
            let low = try codeUnit(in: bytes, at: &index)
            guard (0xDC00...0xDFFF).contains(low) else {
                throw JSONSyntaxError(.loneSurrogate, at: index)
            }
            code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
        }
        guard let scalar = Unicode.Scalar(code) else {
            throw JSONSyntaxError(.loneSurrogate, at: index)
        }
        return scalar
    }

    private static func codeUnit(in bytes: Span<UInt8>, at index: inout Int) throws(JSONSyntaxError) -> UInt32 {
        guard index + 4 <= bytes.count else { throw JSONSyntaxError(.unterminatedString, at: index) }
        var unit: UInt32 = 0
        for place in index..<index + 4 {
            let digit: UInt8
            switch bytes[place] {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = bytes[place] - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = bytes[place] - UInt8(ascii: "a") + 10
            case UInt8(ascii: "A")...UInt8(ascii: "F"): digit = bytes[place] - UInt8(ascii: "A") + 10
            default: throw JSONSyntaxError(.malformedUnicodeEscape, at: index)
            }
            unit = unit << 4 | UInt32(digit)
        }
        index += 4
        return unit
    }
}
