// JSON (RFC 8259) as a verifier must read it. General decoders keep one of two members with the same name, round
// large integers and take `1.0` for `1`, each silently; then two readers of one token can see two different tokens
// (RFC 7519 §4, RFC 8725 §2.4). This one refuses the first and tells the other two apart.

/// Reads one JSON object from UTF-8.
struct JSONReader {
    enum Value: Sendable, Hashable {
        case text(String)
        case integer(Int64)
        /// A number with a fraction or an exponent, or beyond 64 bits.
        case otherNumber
        case boolean(Bool)
        case null
        case array([Value])
        case object(Members)
    }

    /// The members of an object in the order of the text, no two of the same name.
    ///
    /// A token has some twenty, read in the order in which auth writes them: the next one asked for is mostly the next
    /// one there, which a comparison finds sooner than a hash.
    struct Members: Sendable, Hashable {
        /// SECURITY: each name is compared with all before it. No token of ours has a quarter as many.
        private static let maximumCount = 64

        private var list: [(name: String, value: Value)] = []

        fileprivate init() {
            list.reserveCapacity(20)
        }

        /// Whether there was room for it and its name is new. RFC 8259 §8.3 compares code units; `==` is the quick look,
        /// which takes canonically equivalent names for equal too.
        fileprivate mutating func add(_ name: String, _ value: Value) -> Bool {
            guard list.count < Self.maximumCount,
                !list.contains(where: { $0.name == name && $0.name.utf8.elementsEqual(name.utf8) })
            else { return false }
            list.append((name, value))
            return true
        }

        subscript(name: String) -> Value? {
            list.first { $0.name == name }?.value
        }

        /// The value of `name`, looked for from `place` on and then from the beginning; `place` moves behind it.
        func value(_ name: String, from place: inout Int) -> Value? {
            for index in list.indices {
                let turned = index + place < list.count ? index + place : index + place - list.count
                guard list[turned].name == name else { continue }
                place = turned + 1 < list.count ? turned + 1 : 0
                return list[turned].value
            }
            return nil
        }

        static func == (left: Members, right: Members) -> Bool {
            left.list.elementsEqual(right.list) { $0.name == $1.name && $0.value == $1.value }
        }

        func hash(into hasher: inout Hasher) {
            for member in list {
                hasher.combine(member.name)
                hasher.combine(member.value)
            }
        }
    }

    /// SECURITY: deep nesting must not exhaust the stack. No claim of ours is deeper than an array of strings.
    private static let maximumDepth = 8

    private struct Malformed: Error {}

    private let bytes: [UInt8]
    private var index = 0

    private init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    /// The members of the object that `bytes` are; `nil` when they are anything else.
    static func object(_ bytes: [UInt8]) -> Members? {
        var reader = JSONReader(bytes)
        guard case .object(let members)? = try? reader.value(depth: 0) else { return nil }
        reader.skipSpace()
        return reader.index == bytes.count ? members : nil
    }

    // MARK: - Values

    private mutating func value(depth: Int) throws(Malformed) -> Value {
        guard depth < Self.maximumDepth else { throw Malformed() }
        skipSpace()
        switch peek {
        case UInt8(ascii: "{"): return .object(try members(depth: depth))
        case UInt8(ascii: "["): return .array(try elements(depth: depth))
        case UInt8(ascii: "\""): return .text(try text())
        case UInt8(ascii: "t"): return try word("true", .boolean(true))
        case UInt8(ascii: "f"): return try word("false", .boolean(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        default: return try number()
        }
    }

    private mutating func members(depth: Int) throws(Malformed) -> Members {
        var members = Members()
        index += 1
        if takeAfterSpace("}") { return members }
        repeat {
            skipSpace()
            let name = try text()
            guard takeAfterSpace(":") else { throw Malformed() }
            guard members.add(name, try value(depth: depth + 1)) else { throw Malformed() }
        } while takeAfterSpace(",")
        guard takeAfterSpace("}") else { throw Malformed() }
        return members
    }

    private mutating func elements(depth: Int) throws(Malformed) -> [Value] {
        var elements: [Value] = []
        index += 1
        if takeAfterSpace("]") { return elements }
        repeat {
            elements.append(try value(depth: depth + 1))
        } while takeAfterSpace(",")
        guard takeAfterSpace("]") else { throw Malformed() }
        return elements
    }

    private mutating func word(_ word: StaticString, _ value: Value) throws(Malformed) -> Value {
        for letter in word.description.utf8 {
            guard peek == letter else { throw Malformed() }
            index += 1
        }
        return value
    }

    /// §6: no leading zero, a digit on both sides of the point, a digit in the exponent.
    private mutating func number() throws(Malformed) -> Value {
        let start = index
        _ = take("-")
        if !take("0") { try digits() }
        var isInteger = true
        if take(".") {
            isInteger = false
            try digits()
        }
        if take("e") || take("E") {
            isInteger = false
            if !take("+") { _ = take("-") }
            try digits()
        }
        guard isInteger else { return .otherNumber }
        // Eighteen digits fit whatever they are.
        if index - start <= 18 {
            let isNegative = bytes[start] == UInt8(ascii: "-")
            let digits = bytes[(isNegative ? start + 1 : start)..<index]
            let value = digits.reduce(0) { $0 * 10 + Int64($1 & 0x0F) }
            return .integer(isNegative ? -value : value)
        }
        return Int64(String(decoding: bytes[start..<index], as: UTF8.self)).map(Value.integer) ?? .otherNumber
    }

    private mutating func digits() throws(Malformed) {
        let start = index
        while let byte = peek, (0x30...0x39).contains(byte) { index += 1 }
        guard index > start else { throw Malformed() }
    }

    // MARK: - Text

    private mutating func text() throws(Malformed) -> String {
        guard take("\"") else { throw Malformed() }
        let start = index
        // Nearly all text is as it stands: one look for its end, one copy. ASCII is valid as it is.
        var seen: UInt8 = 0
        while let byte = peek, byte >= 0x20, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\") {
            seen |= byte
            index += 1
        }
        if peek == UInt8(ascii: "\"") {
            defer { index += 1 }
            if seen < 0x80 { return String(decoding: bytes[start..<index], as: UTF8.self) }
            guard let text = String(validating: bytes[start..<index], as: UTF8.self) else { throw Malformed() }
            return text
        }
        var out = Array(bytes[start..<index])
        while let byte = peek {
            index += 1
            switch byte {
            case UInt8(ascii: "\""):
                guard let text = String(validating: out, as: UTF8.self) else { throw Malformed() }
                return text
            case UInt8(ascii: "\\"): out += try escaped()
            case 0..<0x20: throw Malformed()
            default: out.append(byte)
            }
        }
        throw Malformed()
    }

    private mutating func escaped() throws(Malformed) -> [UInt8] {
        guard let byte = peek else { throw Malformed() }
        index += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return [byte]
        case UInt8(ascii: "b"): return [0x08]
        case UInt8(ascii: "f"): return [0x0C]
        case UInt8(ascii: "n"): return [0x0A]
        case UInt8(ascii: "r"): return [0x0D]
        case UInt8(ascii: "t"): return [0x09]
        case UInt8(ascii: "u"):
            var code = try codeUnit()
            if (0xD800...0xDBFF).contains(code) {
                guard take("\\"), take("u") else { throw Malformed() }
                let low = try codeUnit()
                guard (0xDC00...0xDFFF).contains(low) else { throw Malformed() }
                code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
            }
            // A lone surrogate is no scalar.
            guard let scalar = Unicode.Scalar(code) else { throw Malformed() }
            return Array(String(scalar).utf8)
        default: throw Malformed()
        }
    }

    private mutating func codeUnit() throws(Malformed) -> UInt32 {
        var unit: UInt32 = 0
        for _ in 0..<4 {
            guard let byte = peek, byte < 0x80, let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
                throw Malformed()
            }
            unit = unit << 4 | UInt32(digit)
            index += 1
        }
        return unit
    }

    // MARK: - Bytes

    private var peek: UInt8? { index < bytes.count ? bytes[index] : nil }

    private mutating func skipSpace() {
        while let byte = peek, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { index += 1 }
    }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard let byte = peek, UInt32(byte) == character.value else { return false }
        index += 1
        return true
    }

    private mutating func takeAfterSpace(_ character: Unicode.Scalar) -> Bool {
        skipSpace()
        return take(character)
    }
}
