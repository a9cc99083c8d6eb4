// Numbers (RFC 8259 §6). A double cannot hold every integer, so integers are read as such, and `1.0` is not one.

extension JSONScanner {
    /// Reads the number whose first byte is next. It has no leading zero and no plus, a digit on both sides of the
    /// point, and a digit in the exponent.
    mutating func number() throws(JSONSyntaxError) -> JSONNumber {
        let begin = offset
        if peek == UInt8(ascii: "-") { offset += 1 }
        if peek == UInt8(ascii: "0") {
            offset += 1
            if isDigit { throw error(.leadingZero, at: offset - 1) }
        } else {
            try digits(or: .unexpectedCharacter)
        }
        var isWhole = true
        if peek == UInt8(ascii: ".") {
            isWhole = false
            offset += 1
            try digits(or: .fractionWithoutDigit)
        }
        if peek == UInt8(ascii: "e") || peek == UInt8(ascii: "E") {
            isWhole = false
            offset += 1
            if peek == UInt8(ascii: "+") || peek == UInt8(ascii: "-") { offset += 1 }
            try digits(or: .exponentWithoutDigit)
        }
        return JSONNumber(range: begin..<offset, isWhole: isWhole)
    }

    /// The number as an integer; `nil` where it is beyond 64 bits, or written with a fraction or an exponent.
    package mutating func integer(_ number: JSONNumber) -> Int64? {
        guard number.isWhole else { return nil }
        let isNegative = bytes[number.range.lowerBound] == UInt8(ascii: "-")
        var value: Int64 = 0
        for byte in bytes[number.range].dropFirst(isNegative ? 1 : 0) {
            // Below zero, where there is one integer more.
            let (tenfold, isTooFar) = value.multipliedReportingOverflow(by: 10)
            let (next, isBeyond) = tenfold.subtractingReportingOverflow(Int64(byte - UInt8(ascii: "0")))
            if isTooFar || isBeyond { return nil }
            value = next
        }
        if isNegative { return value }
        return value == .min ? nil : -value
    }

    private var peek: UInt8? { offset < bytes.count ? bytes[offset] : nil }

    private var isDigit: Bool {
        offset < bytes.count && bytes[offset] >= UInt8(ascii: "0") && bytes[offset] <= UInt8(ascii: "9")
    }

    private mutating func digits(or reason: JSONSyntaxError.Reason) throws(JSONSyntaxError) {
        guard isDigit else { throw error(reason) }
        repeat { offset += 1 } while isDigit
    }
}
