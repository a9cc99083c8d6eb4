// Text that a caller wrote: in a body, a query, a form or a header, or stored from one of them.
//
// SECURITY: a `String` counts, cuts, compares and hashes by what Unicode takes for one character. That walks the text
// and sorts each run of combining marks, in time that is not linear: 60 KB of mixed marks take a second. This type
// knows bytes and scalars alone. Limits are measured on it first, and only a text within its limit is normalised or
// folded.
package import Storage

package struct RequestText: Sendable, Hashable {
    /// The text for what neither counts, cuts nor compares it: a parameter of a statement, an answer, a parser of
    /// bytes.
    package let verbatim: String

    package init(_ text: String) {
        var text = text
        text.makeContiguousUTF8()
        verbatim = text
    }

    package var utf8: String.UTF8View { verbatim.utf8 }
    package var unicodeScalars: String.UnicodeScalarView { verbatim.unicodeScalars }

    package var isEmpty: Bool { verbatim.isEmpty }
    package var byteCount: Int { utf8.count }

    /// Whether there are more Unicode scalars than `limit`: what `maxLength` counts (JSON Schema Validation §6.3.1). A
    /// text that is far longer is not walked.
    package func hasMore(scalarsThan limit: Int) -> Bool {
        if byteCount <= limit { return false }
        return byteCount > 4 * limit || unicodeScalars.count > limit
    }

    /// The beginning, of at most `limit` bytes and whole scalars.
    package func prefix(bytes limit: Int) -> RequestText {
        guard byteCount > limit else { return self }
        var end = utf8.index(utf8.startIndex, offsetBy: limit)
        // A scalar's later bytes are 10xxxxxx.
        while end > utf8.startIndex, utf8[end] & 0xC0 == 0x80 { end = utf8.index(before: end) }
        return RequestText(String(verbatim[..<end]))
    }

    package func begins(with beginning: RequestText) -> Bool { utf8.starts(with: beginning.utf8) }

    /// What follows a beginning; `nil` for a text that begins otherwise.
    package func dropping(prefix beginning: RequestText) -> RequestText? {
        begins(with: beginning) ? RequestText(String(Substring(utf8.dropFirst(beginning.byteCount)))) : nil
    }

    // MARK: Equal where every byte is (RFC 8259 §8.3)

    package static func == (left: RequestText, right: RequestText) -> Bool {
        left.byteCount == right.byteCount && left.utf8.elementsEqual(right.utf8)
    }

    package func hash(into hasher: inout Hasher) {
        var text = verbatim
        text.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
    }
}

extension RequestText: ExpressibleByStringLiteral {
    package init(stringLiteral text: String) { self.init(text) }
}

extension RequestText: SQLBindable {
    package var sqlValue: SQLValue { .text(verbatim) }
}
