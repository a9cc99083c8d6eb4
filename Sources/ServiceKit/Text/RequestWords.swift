// Words and keywords in the text of requests, found by bytes and scalars.

extension RequestText {
    /// An ASCII text of at most 64 bytes in lower case, for comparison with a list of names; otherwise `nil`.
    package var keyword: String? {
        guard byteCount <= 64, utf8.allSatisfy({ $0 < 0x80 }) else { return nil }
        return verbatim.lowercased()
    }

    /// The pieces between an ASCII character.
    package func pieces(
        between separator: Unicode.Scalar,
        maxSplits: Int = .max,
        omittingEmpty: Bool = true
    ) -> [RequestText] {
        utf8.split(
            separator: UInt8(ascii: separator),
            maxSplits: maxSplits,
            omittingEmptySubsequences: omittingEmpty
        ).map { RequestText(String(Substring($0))) }
    }

    /// The text without spaces and tabs at its ends (RFC 9110 §5.6.3, OWS).
    package var trimmingSpaces: RequestText {
        func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }
        let begun = utf8.drop(while: isSpace)
        guard let last = begun.lastIndex(where: { !isSpace($0) }) else { return "" }
        return RequestText(String(Substring(begun[...last])))
    }

    /// The text without white space at its ends.
    package var trimmed: RequestText {
        let begun = unicodeScalars.drop { $0.properties.isWhitespace }
        guard let last = begun.lastIndex(where: { !$0.properties.isWhitespace }) else { return "" }
        return RequestText(String(Substring(begun[...last])))
    }

    /// Whether there is nothing but white space.
    package var isBlank: Bool { unicodeScalars.allSatisfy(\.properties.isWhitespace) }

    /// The words with one space between them.
    package var collapsed: RequestText {
        let words = unicodeScalars.split { $0.properties.isWhitespace }
        return RequestText(words.map { String(Substring($0)) }.joined(separator: " "))
    }
}
