// Reads the members of one JSON object, one after another, with the eyes of a suspicious verifier.
//
// A general decoder keeps one of two members with the same name and says nothing, and it yields a dictionary for
// three short strings on every request. This reader shows every member that is there, refuses what RFC 8259 does
// not allow, and copies text only.

/// The members of a JSON object given as UTF-8.
struct JSONObjectReader {
    private let bytes: [UInt8]
    private var index = 0
    private var isOpen = false

    /// How deep values may be nested: no real header comes close, and a hostile one must not exhaust the stack.
    private static let maximumDepth = 8

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    /// The next member's name, and its value if that is text; `nil` after the last one.
    ///
    /// - Throws: `.invalidHeader` where the bytes are not one JSON object.
    mutating func nextMember() throws(JWSError) -> (name: String, text: String?)? {
        skipSpace()
        if !isOpen {
            try expect("{")
            isOpen = true
            skipSpace()
            if take("}") { return try finish() }
        } else if take("}") {
            return try finish()
        } else {
            try expect(",")
            skipSpace()
        }
        let name = try string()
        skipSpace()
        try expect(":")
        skipSpace()
        if peek == UInt8(ascii: "\"") { return (name, try string()) }
        try skipValue(depth: 1)
        return (name, nil)
    }

    private mutating func finish() throws(JWSError) -> (name: String, text: String?)? {
        skipSpace()
        guard index == bytes.count else { throw .invalidHeader }
        return nil
    }

    // MARK: - Values

    private mutating func skipValue(depth: Int) throws(JWSError) {
        guard depth <= Self.maximumDepth else { throw .invalidHeader }
        switch peek {
        case UInt8(ascii: "\""): _ = try string()
        case UInt8(ascii: "{"): try skipList(until: "}", depth: depth, named: true)
        case UInt8(ascii: "["): try skipList(until: "]", depth: depth, named: false)
        case UInt8(ascii: "t"): try expect("true")
        case UInt8(ascii: "f"): try expect("false")
        case UInt8(ascii: "n"): try expect("null")
        default: try skipNumber()
        }
    }

    private mutating func skipList(until end: StaticString, depth: Int, named: Bool) throws(JWSError) {
        index += 1
        skipSpace()
        if take(end) { return }
        repeat {
            skipSpace()
            if named {
                _ = try string()
                skipSpace()
                try expect(":")
                skipSpace()
            }
            try skipValue(depth: depth + 1)
            skipSpace()
        } while take(",")
        try expect(end)
    }

    /// RFC 8259 §6: no leading zero, a digit on both sides of the point, a digit in the exponent.
    private mutating func skipNumber() throws(JWSError) {
        _ = take("-")
        if !take("0") { try skipDigits() }
        if take(".") { try skipDigits() }
        if take("e") || take("E") {
            if !take("+") { _ = take("-") }
            try skipDigits()
        }
    }

    private mutating func skipDigits() throws(JWSError) {
        let start = index
        while let byte = peek, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) { index += 1 }
        guard index > start else { throw .invalidHeader }
    }

    // MARK: - Text

    private mutating func string() throws(JWSError) -> String {
        try expect("\"")
        let start = index
        // Nearly all text is as it stands: one look for its end, one copy. ASCII is valid as it is.
        var seen: UInt8 = 0
        while let byte = peek, byte >= 0x20, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\") {
            seen |= byte
            index += 1
        }
        if seen < 0x80, peek == UInt8(ascii: "\"") {
            defer { index += 1 }
            return String(decoding: bytes[start..<index], as: UTF8.self)
        }
        var out = Array(bytes[start..<index])
        while let byte = peek {
            index += 1
            switch byte {
            case UInt8(ascii: "\""):
                guard let text = String(validating: out, as: UTF8.self) else { throw .invalidHeader }
                return text
            case UInt8(ascii: "\\"): try appendEscape(to: &out)
            case 0..<0x20: throw .invalidHeader
            default: out.append(byte)
            }
        }
        throw .invalidHeader
    }

    private mutating func appendEscape(to out: inout [UInt8]) throws(JWSError) {
        guard let byte = peek else { throw .invalidHeader }
        index += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): out.append(byte)
        case UInt8(ascii: "b"): out.append(0x08)
        case UInt8(ascii: "f"): out.append(0x0C)
        case UInt8(ascii: "n"): out.append(0x0A)
        case UInt8(ascii: "r"): out.append(0x0D)
        case UInt8(ascii: "t"): out.append(0x09)
        case UInt8(ascii: "u"): out += try escapedScalar()
        default: throw .invalidHeader
        }
    }

    /// The UTF-8 of `\uXXXX`, or of two of them that form a surrogate pair; a lone surrogate is no character.
    private mutating func escapedScalar() throws(JWSError) -> [UInt8] {
        let unit = try codeUnit()
        guard (0xD800...0xDBFF).contains(unit) else { return try utf8(of: unit) }
        try expect("\\u")
        let low = try codeUnit()
        guard (0xDC00...0xDFFF).contains(low) else { throw .invalidHeader }
        return try utf8(of: 0x10000 + (unit - 0xD800) << 10 + (low - 0xDC00))
    }

    private func utf8(of value: UInt32) throws(JWSError) -> [UInt8] {
        guard let scalar = Unicode.Scalar(value) else { throw .invalidHeader }
        return Array(String(scalar).utf8)
    }

    private mutating func codeUnit() throws(JWSError) -> UInt32 {
        guard index + 4 <= bytes.count else { throw .invalidHeader }
        let digits = String(decoding: bytes[index..<index + 4], as: UTF8.self)
        guard let pair = Hex.decode(digits), pair.count == 2 else { throw .invalidHeader }
        index += 4
        return UInt32(pair[0]) << 8 | UInt32(pair[1])
    }

    // MARK: - Bytes

    private var peek: UInt8? { index < bytes.count ? bytes[index] : nil }

    private mutating func skipSpace() {
        while let byte = peek, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { index += 1 }
    }

    private mutating func take(_ text: StaticString) -> Bool {
        let wanted = unsafe UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount)
        guard wanted.count <= bytes.count - index else { return false }
        for offset in 0..<wanted.count where unsafe bytes[index + offset] != wanted[offset] { return false }
        index += wanted.count
        return true
    }

    private mutating func expect(_ text: StaticString) throws(JWSError) {
        guard take(text) else { throw .invalidHeader }
    }
}
