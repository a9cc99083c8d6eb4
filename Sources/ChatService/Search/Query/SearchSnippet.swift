// The part of a text around its matches, as plain text in pieces, each a match or not. So no client has to count
// characters, or trust markup from a message.

struct SearchSnippet {
    /// Bytes around the first match.
    static let before = 60
    static let length = 240

    let text: String
    let isMatch: Bool

    /// In order; the beginning of the text if it has no match.
    static func make(of text: String, _ query: SearchQuery) -> [SearchSnippet] {
        let bytes = SearchText.beginning(of: text)
        let matches = SearchMatches.ranges(in: bytes, query, atMost: 64)
        let first = matches.first ?? 0..<0
        let start = boundary(bytes, max(0, first.lowerBound - before))
        let end = boundary(bytes, min(bytes.count, start + length))
        var pieces: [SearchSnippet] = []
        var place = start
        func add(upTo end: Int, isMatch: Bool) {
            guard end > place else { return }
            pieces.append(SearchSnippet(text: String(decoding: bytes[place..<end], as: UTF8.self), isMatch: isMatch))
            place = end
        }
        if start > 0 { pieces.append(SearchSnippet(text: "…", isMatch: false)) }
        for match in matches where match.upperBound <= end && match.lowerBound >= place {
            add(upTo: match.lowerBound, isMatch: false)
            add(upTo: match.upperBound, isMatch: true)
        }
        add(upTo: end, isMatch: false)
        if end < bytes.count { pieces.append(SearchSnippet(text: "…", isMatch: false)) }
        return pieces
    }

    /// The last character boundary up to `place`.
    private static func boundary(_ bytes: [UInt8], _ place: Int) -> Int {
        var place = place
        while place > 0, place < bytes.count, bytes[place] & 0xC0 == 0x80 { place -= 1 }
        return place
    }
}

enum SearchMatches {
    /// Ordered, without overlaps.
    static func ranges(in utf8: [UInt8], _ query: SearchQuery, atMost limit: Int) -> [Range<Int>] {
        var found: [Range<Int>] = []
        scan(utf8, query) { _, range in
            found.append(range)
            return found.count < limit
        }
        // Pairs overlap, and phrases may.
        var merged: [Range<Int>] = []
        for range in found.sorted(by: { $0.lowerBound < $1.lowerBound }) {
            if let last = merged.last, range.lowerBound < last.upperBound {
                merged[merged.count - 1] = last.lowerBound..<max(last.upperBound, range.upperBound)
            } else {
                merged.append(range)
            }
        }
        return merged
    }

    /// The occurrences of each wanted phrase, and the text's number of words.
    static func count(in utf8: [UInt8], _ query: SearchQuery) -> (occurrences: [Int], words: Int) {
        var occurrences = query.wanted.map { _ in 0 }
        let words = scan(utf8, query) { phrase, _ in
            occurrences[phrase] += 1
            return true
        }
        return (occurrences, words)
    }

    @discardableResult
    private static func scan(_ utf8: [UInt8], _ query: SearchQuery, _ body: (Int, Range<Int>) -> Bool) -> Int {
        let phrases = query.wanted.map { (words: $0.words.map { Array($0.utf8) }, isPrefix: $0.isPrefix) }
        // For each phrase, the matches that have begun: the words so far, and the start.
        var begun: [[(words: Int, start: Int)]] = phrases.map { _ in [] }
        var count = 0
        WordScanner.scan(utf8) { word in
            count += 1
            for (index, phrase) in phrases.enumerated() {
                var next: [(words: Int, start: Int)] = []
                for (matched, start) in begun[index] + [(0, word.range.lowerBound)] {
                    let isLast = matched + 1 == phrase.words.count
                    let fits =
                        isLast && phrase.isPrefix
                        ? word.bytes.starts(with: phrase.words[matched]) : word.bytes == phrase.words[matched]
                    guard fits else { continue }
                    if !isLast {
                        next.append((matched + 1, start))
                    } else if !body(index, start..<word.range.upperBound) {
                        return false
                    }
                }
                begun[index] = next
            }
            return true
        }
        return count
    }
}
