// FTS5's structure record: the segments of an index, and their levels.
//
// Row 10 of a `%_data` table. The format is that of fts5_index.c ("Structure Records", `fts5StructureDecode`), of which
// every version of SQLite reads this form:
//
//     4 bytes      configuration cookie
//     varint       number of levels
//     varint       number of segments on all levels
//     varint       write counter
//     per level:   varint segments that a merge under way reads, varint segments
//       per segment: varint id, varint first page, varint last page
//
// A varint is SQLite's: seven bits a byte, highest first, and all eight bits of a ninth byte. FTS5 has a second form,
// marked by FF 00 00 01 after the cookie, for tables with `contentless_delete`; ours have none.
//
// Level 0 has the newest writes. A merge of level n writes to level n + 1. `merge` with a negative number moves all
// segments to a new last level, and levels are never removed. SQLite 3.40 does not limit that, and calls a record of
// more than 2,000 levels malformed.

struct FTS5Structure: Sendable, Hashable {
    struct Level: Sendable, Hashable {
        /// Segments that a running merge reads; 0 without one.
        let merging: Int
        /// Pages of each segment, the oldest first.
        let segments: [Int]
    }

    let levels: [Level]

    /// An empty index, as `delete-all` leaves it.
    static let emptyRecord = "x'00000000000000'"

    var segments: Int { levels.reduce(0) { $0 + $1.segments.count } }

    var pages: Int { levels.reduce(0) { $0 + $1.segments.reduce(0, +) } }

    /// Whether a merge into the oldest segment is unfinished. Only that merge drops an entry together with its
    /// deletion.
    var isMergingIntoOldest: Bool {
        guard let oldest = levels.lastIndex(where: { !$0.segments.isEmpty }), oldest > 0 else { return false }
        return levels[oldest - 1].merging > 0
    }

    /// Whether the oldest segment is on the last level, or there is none. No other level receives a merge into the
    /// oldest.
    var endsWithSegments: Bool { segments == 0 || levels.last?.segments.isEmpty == false }

    /// `nil` for a record of another form, or a malformed one.
    init?(_ record: [UInt8]) {
        var rest = record[...]
        guard rest.count >= 7 else { return nil }
        rest = rest.dropFirst(4)
        guard !rest.starts(with: [0xFF, 0x00, 0x00, 0x01]), let count = Self.varint(&rest),
            let total = Self.varint(&rest),
            Self.varint(&rest) != nil, count <= record.count, total <= record.count
        else { return nil }
        var levels: [Level] = []
        for _ in 0..<count {
            guard let merging = Self.varint(&rest), let segments = Self.varint(&rest), segments <= total else {
                return nil
            }
            var pages: [Int] = []
            for _ in 0..<segments {
                guard Self.varint(&rest) != nil, let first = Self.varint(&rest), let last = Self.varint(&rest) else {
                    return nil
                }
                // A running merge leaves a segment without pages once it has read it.
                pages.append(max(0, last - first + 1))
            }
            levels.append(Level(merging: merging, segments: pages))
        }
        self.levels = levels
        guard segments == total else { return nil }
    }

    private static func varint(_ bytes: inout ArraySlice<UInt8>) -> Int? {
        var value: UInt64 = 0
        for index in 0..<9 {
            guard let byte = bytes.popFirst() else { return nil }
            if index == 8 {
                value = value << 8 | UInt64(byte)
                break
            }
            value = value << 7 | UInt64(byte & 0x7F)
            if byte < 0x80 { break }
        }
        // Far above any number of this record; prevents overflows of the sums above.
        return value <= UInt64(Int32.max) ? Int(value) : nil
    }
}
