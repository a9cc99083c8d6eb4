// The syntax of queries, for both engines.
//
//     words          all of them, anywhere
//     "a phrase"     these words, in this order, next to each other; also a word with punctuation inside (foo-bar)
//     -word -"…"     none of these; only beside a wanted word
//     begin*         words with this beginning, from two letters on
//
// One `-` before a word or a phrase excludes it; more are a part of what is looked for, so `--flag` finds that flag.
//
// Any other text is refused with a reason. Only words of `WordScanner`, which have letters and digits alone, reach an
// engine. So the engines' own syntax cannot be used or broken.
import ServiceKit

struct SearchQuery: Sendable, Hashable {
    /// Unicode scalars of a query.
    static let maxLength = 1024
    /// Words that are looked for, in all.
    static let maxWords = 32

    struct Phrase: Sendable, Hashable {
        let words: [String]
        /// Whether the last word is only a beginning.
        let isPrefix: Bool
    }

    private typealias Scalars = Substring.UnicodeScalarView

    let wanted: [Phrase]
    let unwanted: [Phrase]

    /// Throws `query_unsearchable` without any wanted word, or with too many.
    init(_ text: RequestText) throws(APIError) {
        var wanted: [Phrase] = []
        var unwanted: [Phrase] = []
        var rest = text.unicodeScalars[...]
        while let (piece, isNegated) = Self.next(&rest) {
            guard let phrase = Self.phrase(piece) else { continue }
            if isNegated { unwanted.append(phrase) } else { wanted.append(phrase) }
        }
        guard !wanted.isEmpty else {
            throw APIError(.queryUnsearchable, detail: "A query needs at least one word to look for.")
        }
        guard (wanted + unwanted).reduce(0, { $0 + $1.words.count }) <= Self.maxWords else {
            throw APIError(.queryUnsearchable, detail: "A query may hold at most \(Self.maxWords) words.")
        }
        self.wanted = wanted
        self.unwanted = unwanted
    }

    /// The next word or quoted piece, with a following asterisk.
    private static func next(_ rest: inout Scalars) -> (piece: Scalars, isNegated: Bool)? {
        rest = rest.drop(while: \.properties.isWhitespace)
        guard let first = rest.first else { return nil }
        var isNegated = false
        if first == "-", let second = rest.dropFirst().first, !second.properties.isWhitespace, second != "-" {
            isNegated = true
            rest.removeFirst()
        }
        if rest.first == "\"" {
            rest.removeFirst()
            var inside = rest.prefix { $0 != "\"" }
            rest = rest[inside.endIndex...].dropFirst()
            guard rest.first == "*" else { return (inside, isNegated) }
            rest.removeFirst()
            inside.append("*")
            return (inside, isNegated)
        }
        let word = rest.prefix { !$0.properties.isWhitespace && $0 != "\"" }
        rest = rest[word.endIndex...]
        return (word, isNegated)
    }

    private static func phrase(_ piece: Scalars) -> Phrase? {
        var words: [ScannedWord] = []
        WordScanner.scan(Array(String(piece).utf8)) { word in
            words.append(word)
            return words.count <= maxWords
        }
        // The last character of a run is indexed alone only at the run's end, and the text may continue. Alone it
        // stands for every pair that begins with it.
        if words.count > 1, let last = words.last, last.endsRun,
            words[words.count - 2].range.upperBound == last.range.upperBound
        {
            words.removeLast()
            return Phrase(words: words.map(\.text), isPrefix: false)
        }
        guard let last = words.last else { return nil }
        let asked = piece.last == "*" && last.text.unicodeScalars.count > 1
        return Phrase(words: words.map(\.text), isPrefix: last.endsRun || asked)
    }
}

extension SearchQuery {
    /// `?q=`.
    static let parameter = QueryParameter<SearchQuery>("q", ParameterSchema(type: "string", maxLength: maxLength)) {
        text,
        name throws(APIError) in
        guard !text.hasMore(scalarsThan: maxLength) else {
            let detail = "must have at most \(maxLength) characters"
            throw APIError.field(name, "too_long", detail, .atMost(maxLength))
        }
        return try SearchQuery(text)
    }
}
