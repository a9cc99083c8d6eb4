// The words of a text for a full-text index, bound like any value.
//
// SQLite stores `text`, which FTS5 splits at its spaces. PostgreSQL stores a `tsvector`, sent in its binary form (see
// BinaryFormat), so that the server parses nothing.

/// Words in the order of a text. A word holds neither spaces nor U+0000, is shorter than 2 KiB, and occurs at most 255
/// times. There are at most 16,383 (PostgreSQL manual, "Limitations" of text search).
package struct IndexedWords: Sendable, Hashable {
    /// The words, separated by single spaces.
    package let text: String

    package init(text: String) { self.text = text }

    /// The positions of each word, counted from 1.
    package var positions: [ArraySlice<UInt8>: [UInt16]] {
        var positions: [ArraySlice<UInt8>: [UInt16]] = [:]
        var position: UInt16 = 0
        // Bytes, as the engines compare them.
        for word in Array(text.utf8).split(separator: 0x20) where position < 16_383 {
            position += 1
            if positions[word, default: []].count < 255 { positions[word, default: []].append(position) }
        }
        return positions
    }
}
