// A client's own name for one refresh, sent with each try of it. See docs/decisions/0045-retry-keys.md.
package import ServiceKit

/// 16 to 128 of RFC 3986's unreserved characters, made at random before the first try.
package struct RetryKey: Sendable, Hashable {
    let text: RequestText

    static let name: RequestText = "retry_key"
    private static let length = 16...128

    /// `nil` for another form.
    package init?(_ text: RequestText) {
        guard Self.length.contains(text.byteCount), text.utf8.allSatisfy(Self.isUnreserved) else { return nil }
        self.text = text
    }

    var bytes: [UInt8] { Array(text.utf8) }

    private static func isUnreserved(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
            UInt8(ascii: "~"):
            true
        default: false
        }
    }

    /// `nil` if absent; another form is an error of the field.
    static func read(from body: inout JSONBody) -> RetryKey? {
        guard let text = body.text(name.verbatim, max: length.upperBound) else { return nil }
        if let key = RetryKey(text) { return key }
        let isShort = text.byteCount < length.lowerBound
        body.addError(
            name.verbatim,
            isShort ? "too_short" : "invalid",
            "must have \(length.lowerBound) to \(length.upperBound) letters, digits and any of -._~"
        )
        return nil
    }
}
