import Testing

@testable import ChatService

@Suite("Automatic titles")
struct AutomaticTitleTests {
    @Test("white space is collapsed and the cut falls between words")
    func cuts() {
        #expect(AutomaticTitle.make(from: "  a \n\t b  ") == "a b")
        #expect(AutomaticTitle.make(from: " \n ") == nil)
        #expect(AutomaticTitle.make(from: "") == nil)
        let words = Array(repeating: "word", count: 40).joined(separator: " ")
        #expect(AutomaticTitle.make(from: words) == Array(repeating: "word", count: 16).joined(separator: " "))
        let exact = String(repeating: "x", count: 80)
        #expect(AutomaticTitle.make(from: exact + " more") == exact)
        #expect(AutomaticTitle.make(from: exact + "x") == exact)
    }

    @Test("an automatic title can be given back as a title of one's own")
    func bytes() {
        for text in [
            "a" + String(repeating: "\u{301}", count: 1000), String(repeating: "👨‍👩‍👧‍👦", count: 80),
            "short " + "a" + String(repeating: "\u{301}", count: 1000), String(repeating: "👨‍👩‍👧‍👦 ", count: 80),
        ] {
            let title = AutomaticTitle.make(from: text) ?? ""
            #expect((1...ConversationLimits.title).contains(title.utf8.count))
            #expect(text.unicodeScalars.starts(with: title.unicodeScalars))
            #expect(title.count < 2 || text.hasPrefix(title))
        }
    }

    @Test("a character of a thousand marks does not make a title of any size")
    func marks() {
        let text = "e" + String(repeating: "\u{301}", count: 1_000_000)
        #expect((AutomaticTitle.make(from: text)?.unicodeScalars.count ?? 0) <= 1024)
    }
}
