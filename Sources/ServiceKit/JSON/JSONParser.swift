// A strict JSON parser (RFC 8259) for input nobody has looked at yet.
//
// Refused besides malformed text: members of the same name twice (which one counts is where parsers differ, and
// attackers live), U+0000 (PostgreSQL cannot store it), lone surrogates, invalid UTF-8, and nesting past 64.

/// Why a text is not JSON that Tessera takes.
package struct JSONSyntaxError: Error, Sendable, Equatable, CustomStringConvertible {
    package let reason: String
    /// The byte at which reading stopped.
    package let offset: Int

    package var description: String { "\(reason) at byte \(offset)" }
}

extension JSONElement {
    /// Parses a whole text: one value with optional white space around it.
    package static func parse(_ bytes: [UInt8]) throws(JSONSyntaxError) -> JSONElement {
        var parser = JSONParser(source: Source(bytes))
        return try parser.document()
    }

    package static func parse(_ text: String) throws(JSONSyntaxError) -> JSONElement {
        try parse(Array(text.utf8))
    }
}

private struct JSONParser {
    static let deepest = 64

    let source: JSONElement.Source
    var index = 0

    init(source: JSONElement.Source) {
        self.source = source
    }

    var bytes: [UInt8] { source.bytes }

    func failure(_ reason: String) -> JSONSyntaxError { JSONSyntaxError(reason: reason, offset: index) }

    mutating func document() throws(JSONSyntaxError) -> JSONElement {
        let element = try value(depth: 0)
        skipWhiteSpace()
        guard index == bytes.count else { throw failure("text after the value") }
        return element
    }

    mutating func skipWhiteSpace() {
        while index < bytes.count, [0x20, 0x09, 0x0A, 0x0D].contains(bytes[index]) { index += 1 }
    }

    mutating func value(depth: Int) throws(JSONSyntaxError) -> JSONElement {
        guard depth < Self.deepest else { throw failure("nested more than \(Self.deepest) deep") }
        skipWhiteSpace()
        guard index < bytes.count else { throw failure("unexpected end") }
        let start = index
        let kind: JSONElement.Kind
        switch bytes[index] {
        case UInt8(ascii: "{"): kind = .object(try members(depth: depth))
        case UInt8(ascii: "["): kind = .array(try elements(depth: depth))
        case UInt8(ascii: "\""): kind = .string(try string())
        case UInt8(ascii: "t"): kind = try literal("true", .boolean(true))
        case UInt8(ascii: "f"): kind = try literal("false", .boolean(false))
        case UInt8(ascii: "n"): kind = try literal("null", .null)
        default: kind = .number(try number())
        }
        return JSONElement(kind: kind, source: source, range: start..<index)
    }

    mutating func literal(_ word: StaticString, _ kind: JSONElement.Kind) throws(JSONSyntaxError) -> JSONElement.Kind {
        for byte in String(describing: word).utf8 {
            guard index < bytes.count, bytes[index] == byte else { throw failure("unknown word") }
            index += 1
        }
        return kind
    }

    /// Steps over `byte` if it comes next after white space.
    mutating func take(_ character: Unicode.Scalar) -> Bool {
        skipWhiteSpace()
        guard index < bytes.count, UInt32(bytes[index]) == character.value else { return false }
        index += 1
        return true
    }

    mutating func members(depth: Int) throws(JSONSyntaxError) -> [JSONElement.Member] {
        index += 1
        var members: [JSONElement.Member] = []
        var names: Set<MemberName> = []
        if take("}") { return members }
        repeat {
            skipWhiteSpace()
            guard index < bytes.count, bytes[index] == UInt8(ascii: "\"") else {
                throw failure("expected a member name")
            }
            let name = try string()
            guard names.insert(MemberName(name)).inserted else { throw failure("the same member twice") }
            guard take(":") else { throw failure("expected a colon") }
            members.append(JSONElement.Member(name: name, value: try value(depth: depth + 1)))
        } while take(",")
        guard take("}") else { throw failure("expected a comma or the end of the object") }
        return members
    }

    mutating func elements(depth: Int) throws(JSONSyntaxError) -> [JSONElement] {
        index += 1
        var elements: [JSONElement] = []
        if take("]") { return elements }
        repeat {
            elements.append(try value(depth: depth + 1))
        } while take(",")
        guard take("]") else { throw failure("expected a comma or the end of the array") }
        return elements
    }

    /// RFC 8259 §6: no leading zeros, no `+`, digits on both sides of the point.
    mutating func number() throws(JSONSyntaxError) -> String {
        let start = index
        func isDigit(_ at: Int) -> Bool { at < bytes.count && (0x30...0x39).contains(bytes[at]) }
        if bytes[index] == UInt8(ascii: "-") { index += 1 }
        guard isDigit(index) else { throw failure("unexpected character") }
        if bytes[index] == UInt8(ascii: "0"), isDigit(index + 1) { throw failure("leading zero") }
        while isDigit(index) { index += 1 }
        if index < bytes.count, bytes[index] == UInt8(ascii: ".") {
            index += 1
            guard isDigit(index) else { throw failure("digit expected after the point") }
            while isDigit(index) { index += 1 }
        }
        if index < bytes.count, bytes[index] | 0x20 == UInt8(ascii: "e") {
            index += 1
            if index < bytes.count, bytes[index] == UInt8(ascii: "+") || bytes[index] == UInt8(ascii: "-") {
                index += 1
            }
            guard isDigit(index) else { throw failure("digit expected in the exponent") }
            while isDigit(index) { index += 1 }
        }
        return String(decoding: bytes[start..<index], as: UTF8.self)
    }

    mutating func string() throws(JSONSyntaxError) -> String {
        index += 1
        var out: [UInt8] = []
        while index < bytes.count {
            let byte = bytes[index]
            switch byte {
            case UInt8(ascii: "\""):
                index += 1
                guard let text = String(validating: out, as: UTF8.self) else { throw failure("invalid UTF-8") }
                return text
            case UInt8(ascii: "\\"):
                index += 1
                try escape(into: &out)
            case 0..<0x20:
                throw failure("control character in a string")
            default:
                out.append(byte)
                index += 1
            }
        }
        throw failure("unterminated string")
    }

    mutating func escape(into out: inout [UInt8]) throws(JSONSyntaxError) {
        guard index < bytes.count else { throw failure("unterminated string") }
        let byte = bytes[index]
        index += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): out.append(byte)
        case UInt8(ascii: "b"): out.append(0x08)
        case UInt8(ascii: "f"): out.append(0x0C)
        case UInt8(ascii: "n"): out.append(0x0A)
        case UInt8(ascii: "r"): out.append(0x0D)
        case UInt8(ascii: "t"): out.append(0x09)
        case UInt8(ascii: "u"):
            let scalar = try escapedScalar()
            out.append(contentsOf: String(Character(scalar)).utf8)
        default: throw failure("unknown escape")
        }
    }

    mutating func escapedScalar() throws(JSONSyntaxError) -> Unicode.Scalar {
        let first = try hex4()
        var code = first
        if (0xD800..<0xDC00).contains(first) {
            guard index + 1 < bytes.count, bytes[index] == UInt8(ascii: "\\"), bytes[index + 1] == UInt8(ascii: "u")
            else {
                throw failure("lone surrogate")
            }
            index += 2
            let second = try hex4()
            guard (0xDC00..<0xE000).contains(second) else { throw failure("lone surrogate") }
            code = 0x10000 + (first - 0xD800) << 10 + (second - 0xDC00)
        }
        guard code != 0 else { throw failure("U+0000 is not stored") }
        guard let scalar = Unicode.Scalar(code) else { throw failure("lone surrogate") }
        return scalar
    }

    mutating func hex4() throws(JSONSyntaxError) -> UInt32 {
        guard index + 4 <= bytes.count else { throw failure("unterminated string") }
        var value: UInt32 = 0
        for byte in bytes[index..<index + 4] {
            guard let digit = Character(Unicode.Scalar(byte)).hexDigitValue, byte < 0x80 else {
                throw failure("bad \\u escape")
            }
            value = value << 4 | UInt32(digit)
        }
        index += 4
        return value
    }
}
