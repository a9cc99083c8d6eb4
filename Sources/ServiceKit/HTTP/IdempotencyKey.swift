// The header field `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header-07 §2.1).
package import HTTPTypes

package enum IdempotencyKey {
    /// A string of RFC 8941, in quotes; most clients omit the quotes.
    ///
    /// - Parameter headers: of the request.
    /// - Returns: the key, `nil` for a request without one.
    /// - Throws: `validation_failed` for a malformed one, and for several.
    package static func read(_ headers: HTTPFields) throws(APIError) -> String? {
        let values = headers.texts(.idempotencyKey)
        guard let value = values.first else { return nil }
        let quote = UInt8(ascii: "\"")
        var text = value.utf8[...]
        if text.count >= 2, text.first == quote, text.last == quote { text = text.dropFirst().dropLast() }
        let isPlain = text.allSatisfy { (0x21...0x7E).contains($0) && $0 != quote }
        guard values.count == 1, (1...255).contains(text.count), isPlain else {
            throw .field("Idempotency-Key", "invalid", "must be 1 to 255 printable ASCII characters")
        }
        return String(Substring(text))
    }
}
