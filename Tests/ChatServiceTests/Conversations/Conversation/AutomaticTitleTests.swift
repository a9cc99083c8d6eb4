import ServiceKit
import Testing

@testable import ChatService

@Suite("Automatic titles")
struct AutomaticTitleTests {
    private func title(of text: String) -> String? { AutomaticTitle.make(from: RequestText(text))?.verbatim }

    @Test("white space is collapsed and the cut falls between words")
    func cuts() {
        #expect(AutomaticTitle.make(from: "  a \n\t b  ") == "a b")
        #expect(AutomaticTitle.make(from: " \n ") == nil)
        #expect(AutomaticTitle.make(from: "") == nil)
        let words = Array(repeating: "word", count: 40).joined(separator: " ")
        #expect(title(of: words) == Array(repeating: "word", count: 16).joined(separator: " "))
        let exact = String(repeating: "x", count: 80)
        #expect(title(of: exact + " more") == exact)
        #expect(title(of: exact + "x") == exact)
    }

    @Test("an automatic title can be given back as a title of one's own")
    func bytes() {
        for text in [
            "a" + String(repeating: "\u{301}", count: 1000), String(repeating: "👨‍👩‍👧‍👦", count: 80),
            "short " + "a" + String(repeating: "\u{301}", count: 1000), String(repeating: "👨‍👩‍👧‍👦 ", count: 80),
        ] {
            let title = title(of: text) ?? ""
            #expect((1...AutomaticTitle.maxLength).contains(title.unicodeScalars.count))
            #expect(text.unicodeScalars.starts(with: title.unicodeScalars))
            #expect(title.count < 2 || text.hasPrefix(title))
        }
    }

    @Test("a character of a thousand marks does not make a title of any size")
    func marks() {
        let text = "e" + String(repeating: "\u{301}", count: 1_000_000)
        #expect(title(of: text)?.unicodeScalars.count == AutomaticTitle.maxLength)
    }
}
