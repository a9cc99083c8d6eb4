// One form for each JSON value, for comparing values instead of the bytes that write them. White space, the order of
// members, escapes in strings, and the way a number is written (`1`, `1.0`, `10e-1`) make no difference.
//
// The form is for hashing and comparing alone: strings are counted instead of quoted, so it is not JSON.

extension JSONElement {
    /// Equal for equal values (RFC 8259), and different for different ones.
    package var canonicalBytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(byteCount)
        appendCanonical(to: &bytes)
        return bytes
    }

    private func appendCanonical(to bytes: inout [UInt8]) {
        switch kind {
        case .null: bytes.append(UInt8(ascii: "z"))
        case .boolean(let value): bytes.append(UInt8(ascii: value ? "t" : "f"))
        case .number(let text): Self.append(Self.canonicalNumber(text), "n", to: &bytes)
        case .string(let text): Self.append(text.verbatim, "s", to: &bytes)
        case .array(let elements):
            bytes.append(contentsOf: "a\(elements.count):".utf8)
            for element in elements { element.appendCanonical(to: &bytes) }
        case .object(let members):
            bytes.append(contentsOf: "o\(members.count):".utf8)
            let sorted = members.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
            for member in sorted {
                Self.append(member.name.verbatim, "s", to: &bytes)
                member.value.appendCanonical(to: &bytes)
            }
        }
    }

    private static func append(_ text: String, _ kind: String, to bytes: inout [UInt8]) {
        bytes.append(contentsOf: "\(kind)\(text.utf8.count):".utf8)
        bytes.append(contentsOf: text.utf8)
    }

    /// The digits without zeros at either end, and the power of ten behind them. An exponent of more digits than
    /// `Int` has stays as it is written.
    private static func canonicalNumber(_ text: String) -> String {
        let isNegative = text.utf8.first == UInt8(ascii: "-")
        let parts = text.utf8.split(whereSeparator: { $0 == UInt8(ascii: "e") || $0 == UInt8(ascii: "E") })
        guard let mantissa = parts.first, let written = parts.count > 1 ? Int(Substring(parts[1])) : 0 else {
            return text
        }
        let halves = mantissa.split(separator: UInt8(ascii: "."))
        var digits = halves.joined().filter { $0 != UInt8(ascii: "-") }[...]
        digits = digits.drop { $0 == UInt8(ascii: "0") }
        let fraction = halves.count > 1 ? halves[1].count : 0
        let (begin, overflows) = written.subtractingReportingOverflow(fraction)
        guard !overflows else { return text }
        let length = digits.count
        while digits.last == UInt8(ascii: "0") { digits.removeLast() }
        let (exponent, isTooLarge) = begin.addingReportingOverflow(length - digits.count)
        guard !isTooLarge else { return text }
        guard !digits.isEmpty else { return "0" }
        return "\(isNegative ? "-" : "")\(String(decoding: digits, as: UTF8.self))e\(exponent)"
    }
}
