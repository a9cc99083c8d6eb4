/// Why a text is refused.
package struct JSONSyntaxError: Error, Sendable, Equatable, CustomStringConvertible {
    package enum Reason: Sendable, Equatable {
        case unexpectedEnd
        case unexpectedCharacter
        case unknownWord
        case leadingZero
        case fractionWithoutDigit
        case exponentWithoutDigit
        case unterminatedString
        case controlCharacter
        case invalidUTF8
        case unknownEscape
        case malformedUnicodeEscape
        case loneSurrogate
        case escapedNUL
        case missingName
        case missingColon
        case unfinishedObject
        case unfinishedArray
        case textAfterValue
        /// Which one counts is where readers differ, and what an attack needs (RFC 8259 §4, RFC 8725 §2.4).
        case duplicateName(String)
        case tooDeep(limit: Int)
        case tooManyMembers(limit: Int)
    }

    package let reason: Reason
    /// The byte at which reading stopped.
    package let offset: Int

    init(_ reason: Reason, at offset: Int) {
        self.reason = reason
        self.offset = offset
    }

    package var description: String { "\(reason) at byte \(offset)" }
}

extension JSONSyntaxError.Reason: CustomStringConvertible {
    /// What the `detail` of the error `invalid_json` says.
    package var description: String {
        switch self {
        case .unexpectedEnd: "unexpected end"
        case .unexpectedCharacter: "unexpected character"
        case .unknownWord: "unknown word"
        case .leadingZero: "leading zero"
        case .fractionWithoutDigit: "digit expected after the point"
        case .exponentWithoutDigit: "digit expected in the exponent"
        case .unterminatedString: "unterminated string"
        case .controlCharacter: "control character in a string"
        case .invalidUTF8: "invalid UTF-8"
        case .unknownEscape: "unknown escape"
        case .malformedUnicodeEscape: "bad \\u escape"
        case .loneSurrogate: "lone surrogate"
        case .escapedNUL: "U+0000 is not stored"
        case .missingName: "expected a member name"
        case .missingColon: "expected a colon"
        case .unfinishedObject: "expected a comma or the end of the object"
        case .unfinishedArray: "expected a comma or the end of the array"
        case .textAfterValue: "text after the value"
        case .duplicateName: "the same member twice"
        case .tooDeep(let limit): "nested more than \(limit) deep"
        case .tooManyMembers(let limit): "more than \(limit) members"
        }
    }
}
