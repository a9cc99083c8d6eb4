// Both engines and an independent model find the same.
//
// Texts consist of pieces whose words are known, so the model need not split text. The pieces are what search engines
// treat differently.
import ServiceKit
import TestSupport
import Testing

@Suite("Search parity")
struct SearchParityTests {
    @Test("500 texts, 300 queries: SQLite, PostgreSQL and the model agree")
    func parity() async throws {
        var random = SeededGenerator(seed: 20_261_121)
        let texts = (0..<500).map { _ in Self.text(&random) }
        let queries = (0..<300).map { _ in Self.query(&random, texts) }
        var answers: [TestEngine: [[String]]] = [:]
        for engine in TestEngine.allCases { answers[engine] = try await Self.ask(engine, texts, queries) }
        var hits = 0
        for (number, query) in queries.enumerated() {
            let model = texts.indices.reversed().filter { query.matches(texts[$0].words) }.map { "m-\($0)" }
            for engine in TestEngine.allCases {
                #expect(answers[engine]?[number] == model, "\(engine): \(query.text)")
            }
            hits += model.count
        }
        // Not a comparison of nothing with nothing.
        #expect(hits > 1000, "\(hits)")
    }

    private static func ask(_ engine: TestEngine, _ texts: [Text], _ queries: [Query]) async throws -> [[String]] {
        let found = Found()
        try await withChat(engine) { chat in
            let id = try await chat.conversation(#"{"title":"-"}"#)
            for start in stride(from: 0, to: texts.count, by: 100) {
                let messages = texts[start..<(start + 100)].enumerated().map { offset, text in
                    JSONWriter.object { writer in
                        writer.field("id", "m-\(start + offset)")
                        writer.field("role", "user")
                        writer.field("content", text.surface)
                    }.string
                }
                try await chat.append("{\"messages\":[\(messages.joined(separator: ","))]}", to: id)
            }
            for query in queries {
                let pages = try await chat.pages("/v1/search?limit=100&q=\(escaped(query.text))")
                await found.add(pages.flatMap { $0 }.compactMap { $0["id"]?.string })
            }
        }
        return await found.all
    }

    private actor Found {
        var all: [[String]] = []
        func add(_ ids: [String]) { all.append(ids) }
    }

    struct Text: Sendable {
        let surface: String
        let words: [String]
    }

    private static let pieces: [(surfaces: [String], words: [String])] = [
        (["café", "Cafe\u{301}", "CAFÉ", "cafe"], ["cafe"]), (["naïve", "NAIVE"], ["naive"]),
        (["straße", "STRASSE"], ["strasse"]), (["Ångström", "angstrom"], ["angstrom"]),
        (["Ελλάδα", "ΕΛΛΑΔΑ"], ["ελλαδα"]),
        (["Привет", "ПРИВЕТ"], ["привет"]), (["東京都"], ["東京", "京都", "都"]), (["京都"], ["京都", "都"]),
        (["ガイド", "ｶﾞｲﾄﾞ"], ["ガイ", "イド", "ド"]), (["한국어"], ["한국", "국어", "어"]), (["中"], ["中"]),
        (["https://example.com/moon-tides?id=42"], ["https", "example", "com", "moon", "tides", "id", "42"]),
        (["moon"], ["moon"]), (["Moon-Tides", "moon/tides", "moon_tides"], ["moon", "tides"]), (["tide"], ["tide"]),
        (["well-known"], ["well", "known"]), (["42", "４２"], ["42"]), (["3.14"], ["3", "14"]),
        (["1,000"], ["1", "000"]),
        (["🚀"], ["🚀"]), (["👍🏽", "👍"], ["👍"]), (["v2.0-rc1"], ["v2", "0", "rc1"]), (["can't", "can’t"], ["can", "t"]),
        (["the", "The", "THE"], ["the"]), (["and"], ["and"]), (["NOT"], ["not"]), (["ﬁne"], ["fine"]),
        (["user@example.com"], ["user", "example", "com"]), (["C++"], ["c"]), (["สวัสดี"], ["สว", "วส", "สด", "ด"]),
    ]

    private static func text(_ random: inout SeededGenerator) -> Text {
        var surface = ""
        var words: [String] = []
        for _ in 0..<Int.random(in: 1...6, using: &random) {
            let piece = pieces[Int.random(in: 0..<pieces.count, using: &random)]
            surface += (piece.surfaces.randomElement(using: &random) ?? "")
            surface += [" ", ", ", "\n", " – ", " (", ") "].randomElement(using: &random) ?? " "
            words += piece.words
        }
        return Text(surface: surface, words: words)
    }

    struct Term: Sendable {
        let words: [String]
        let isPrefix: Bool

        func matches(_ text: [String]) -> Bool {
            guard text.count >= words.count else { return false }
            return (0...(text.count - words.count)).contains { start in
                words.indices.allSatisfy { index in
                    let word = text[start + index]
                    return isPrefix && index == words.count - 1 ? word.hasPrefix(words[index]) : word == words[index]
                }
            }
        }
    }

    struct Query: Sendable {
        let text: String
        let wanted: [Term]
        let unwanted: [Term]

        func matches(_ words: [String]) -> Bool {
            wanted.allSatisfy { $0.matches(words) } && !unwanted.contains { $0.matches(words) }
        }
    }

    /// A query term, as typed and as meant.
    private static func term(_ random: inout SeededGenerator, _ texts: [Text]) -> (String, Term) {
        let parts: [(String, Term)] = [
            ("東京", Term(words: ["東京"], isPrefix: false)), ("京都", Term(words: ["京都"], isPrefix: false)),
            ("都", Term(words: ["都"], isPrefix: true)), ("국어", Term(words: ["국어"], isPrefix: false)),
            ("example.com", Term(words: ["example", "com"], isPrefix: false)),
            ("mo*", Term(words: ["mo"], isPrefix: true)),
            ("tide*", Term(words: ["tide"], isPrefix: true)),
            ("\"moon ti\"*", Term(words: ["moon", "ti"], isPrefix: true)),
            ("καφές", Term(words: ["καφεσ"], isPrefix: false)), ("ｶﾞｲﾄﾞ", Term(words: ["ガイ", "イド"], isPrefix: false)),
            ("un-known", Term(words: ["un", "known"], isPrefix: false)),
            ("cafe\u{301}", Term(words: ["cafe"], isPrefix: false)),
        ]
        switch Int.random(in: 0..<4, using: &random) {
        case 0: return parts[Int.random(in: 0..<parts.count, using: &random)]
        case 1:
            let words = texts[Int.random(in: 0..<texts.count, using: &random)].words.filter(Self.isSpaced)
            let start = Int.random(in: 0..<max(1, words.count - 1), using: &random)
            let phrase = Array(words.dropFirst(start).prefix(2))
            guard !phrase.isEmpty else { return parts[0] }
            return ("\"\(phrase.joined(separator: " "))\"", Term(words: phrase, isPrefix: false))
        default:
            let piece = pieces[Int.random(in: 0..<pieces.count, using: &random)]
            guard piece.words.allSatisfy(Self.isSpaced), let surface = piece.surfaces.randomElement(using: &random)
            else {
                return parts[Int.random(in: 0..<parts.count, using: &random)]
            }
            return (surface, Term(words: piece.words, isPrefix: false))
        }
    }

    private static func isSpaced(_ word: String) -> Bool {
        word.unicodeScalars.allSatisfy { $0.value < 0x0E00 || $0.value > 0xFFFF }
    }

    private static func query(_ random: inout SeededGenerator, _ texts: [Text]) -> Query {
        var typed: [String] = []
        var wanted: [Term] = []
        var unwanted: [Term] = []
        for _ in 0..<Int.random(in: 1...2, using: &random) {
            let (text, term) = term(&random, texts)
            typed.append(text)
            wanted.append(term)
        }
        if Int.random(in: 0..<3, using: &random) == 0 {
            let (text, term) = term(&random, texts)
            typed.append("-" + text)
            unwanted.append(term)
        }
        return Query(text: typed.joined(separator: " "), wanted: wanted, unwanted: unwanted)
    }
}
