import ChatService
import Storage
import Testing

@Suite("Words of a text")
struct SearchTextTests {
    @Test(
        "are folded and split the same whatever form they came in",
        arguments: [
            ("Hello, World!", "hello world"),
            ("Caf\u{E9} CAFE\u{301} cafe", "cafe cafe cafe"),
            ("Straße STRASSE", "strasse strasse"),
            ("ΟΔΥΣΣΕΎΣ Οδυσσεύς", "οδυσσευσ οδυσσευσ"),
            ("ＡＢＣ１２ ﬁne ²", "abc12 fine 2"),
            ("https://example.com/a-b?c=1", "https example com a b c 1"),
            ("don't well-known snake_case", "don t well known snake case"),
            ("東京都", "東京 京都 都"),
            ("iPhone東京", "iphone 東京 京"),
            ("東", "東"),
            ("か\u{3099}く がく", "がく く がく く"),
            ("ｶﾞｸ", "ガク ク"),
            ("\u{1112}\u{1161}\u{11AB}국 한국", "한국 국 한국 국"),
            ("ship 🚀👍🏽!", "ship 🚀 👍"),
            ("so\u{AD}ft zero\u{200B}width", "soft zero width"),
            ("Привет Ёлка", "привет елка"),
            ("", ""),
            ("... -- !!", ""),
            ("İstanbul", "istanbul"),
        ]
    )
    func words(text: String, expected: String) {
        #expect(SearchText.words(of: text)?.text == expected)
    }

    @Test("no text has no words")
    func none() {
        #expect(SearchText.words(of: nil) == nil)
    }

    @Test("no more are taken than either engine can hold")
    func limits() throws {
        let many = try #require(SearchText.words(of: (0..<40_000).map { "w\($0)" }.joined(separator: " ")))
        #expect(many.text.split(separator: " ").count == 16_000)
        let heavy = (0..<4000).map { "\($0)" + String(repeating: "x", count: 200) }.joined(separator: " ")
        let bytes = try #require(SearchText.words(of: heavy)).text.utf8.count
        #expect((250_000...270_000).contains(bytes))
        let long = try #require(SearchText.words(of: String(repeating: "é", count: 5000)))
        #expect(long.text == String(repeating: "e", count: 128))
        let wide = try #require(SearchText.words(of: String(repeating: "ж", count: 5000)))
        #expect(wide.text == String(repeating: "ж", count: 64))
        // From the 256th time, a word keeps its position and loses its name.
        let same = try #require(SearchText.words(of: String(repeating: "a ", count: 300) + "b"))
        let words = same.text.split(separator: " ")
        #expect(words.count == 301)
        #expect(words.count { $0 == "a" } == 255)
        #expect(words.last == "b")
        // Cut between two characters.
        let cut = try #require(SearchText.words(of: "x" + String(repeating: " 🚀", count: 200_000)))
        #expect(!cut.text.unicodeScalars.contains("\u{FFFD}"))
        // A run without spaces is not one word.
        let run = try #require(SearchText.words(of: String(repeating: "東京", count: 4000)))
        #expect(run.text.split(separator: " ").count == 8000)
    }
}
