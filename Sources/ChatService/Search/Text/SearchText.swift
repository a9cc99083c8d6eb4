// What part of a text is indexed.
//
// An imported message may be 8 MiB; people search for its beginning. The limits keep an entry well inside both engines'
// limits (PostgreSQL manual, "Limitations" of text search), and its computation to milliseconds. The rest is stored and
// shown, but not searched.
package import ServiceKit
package import Storage

package enum SearchText {
    /// Bytes.
    static let maxTextBytes = 512 * 1024
    static let maxWords = 16_000
    /// Bytes of words.
    static let maxBytes = 256 * 1024
    /// Occurrences of one word. Beyond it a placeholder keeps the positions of its neighbours.
    static let maxOccurrences = 255
    /// Not a word of any text, since it separates words. It may itself be repeated.
    private static let placeholder: [UInt8] = [0xC2, 0xA7]

    /// `nil` without a text.
    @_disfavoredOverload
    package static func words(of text: RequestText?) -> IndexedWords? { words(of: text?.verbatim) }

    package static func words(of text: String?) -> IndexedWords? {
        guard let text else { return nil }
        var out: [UInt8] = []
        var count = 0
        var bytes = 0
        var occurrences: [[UInt8]: Int] = [:]
        WordScanner.scan(beginning(of: text)) { word in
            bytes += word.bytes.count
            guard bytes <= maxBytes else { return false }
            if count > 0 { out.append(0x20) }
            occurrences[word.bytes, default: 0] += 1
            let isCounted = (occurrences[word.bytes] ?? 0) <= maxOccurrences
            out.append(contentsOf: isCounted ? word.bytes : placeholder)
            count += 1
            return count < maxWords
        }
        return IndexedWords(text: String(decoding: out, as: UTF8.self))
    }

    /// The bytes of a text that are looked at.
    static func beginning(of text: String, atMost limit: Int = maxTextBytes) -> [UInt8] {
        Array(RequestText(text).prefix(bytes: limit).utf8)
    }
}
