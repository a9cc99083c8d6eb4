// The words of a text as a full-text index takes them: bound like any value, written once for both engines.
//
// SQLite stores `text`, which FTS5 splits at its spaces. PostgreSQL stores a `tsvector`, sent in its binary form
// (see BinaryFormat), so that no server parses what was just put together.

/// Words in the order in which they stand in a text. A word holds neither spaces nor U+0000, is shorter than 2 KiB,
/// and occurs at most 255 times; there are at most 16,383 (PostgreSQL manual, "Limitations" of text search).
package struct IndexedWords: Sendable, Hashable {
    /// The words between single spaces.
    package let text: String

    package init(text: String) { self.text = text }

    /// Where each word stands, counted from 1.
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
