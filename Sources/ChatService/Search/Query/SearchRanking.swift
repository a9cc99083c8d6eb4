// `sort=relevance`: the newest hits, the most relevant first.
//
// Both engines use the same formula: the term frequency part of BM25 (Robertson & Zaragoza 2009, k1 = 1.2, b = 0.75),
// summed over the searched phrases. The rarity of a word would be the same for every hit, since each has all words. A
// title counts as a short text, so it comes first. Equals stay newest first.

enum SearchRanking {
    static let considered = 1000
    static let textBytes = 4096
    /// Words of a usual message.
    private static let usualLength = 100.0

    static func sorted(_ hits: [SearchHit], _ query: SearchQuery) -> [SearchHit] {
        let scored = hits.enumerated().map { (index: $0.offset, score: score($0.element, query)) }
        return scored.sorted { $0.score == $1.score ? $0.index < $1.index : $0.score > $1.score }.map { hits[$0.index] }
    }

    static func score(_ hit: SearchHit, _ query: SearchQuery) -> Double {
        let text = SearchText.beginning(of: hit.text, atMost: textBytes)
        let (occurrences, words) = SearchMatches.count(in: text, query)
        let length = 1.2 * (0.25 + 0.75 * Double(words) / usualLength)
        return occurrences.reduce(0.0) { $0 + Double($1) * 2.2 / (Double($1) + length) }
    }
}
