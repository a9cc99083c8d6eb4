// Text of requests is measured, cut and compared by bytes and scalars alone.
import HTTPTypes
import StrictJSON
import Testing

@testable import ServiceKit

@Suite("Text of requests")
struct RequestTextTests {
    /// Marks that Unicode puts into another order, so that a comparison of characters sorts all of them.
    static let marks = String(repeating: "\u{301}", count: 15_000) + String(repeating: "\u{316}", count: 15_000)

    @Test("texts are equal where every byte is")
    func equality() {
        #expect(RequestText("\u{E9}") != RequestText("e\u{301}"))
        #expect(Set<RequestText>(["a", "a", "\u{E9}", "e\u{301}"]).count == 3)
        #expect(RequestText("e\u{301}").begins(with: "e"))
        #expect(RequestText("ab").dropping(prefix: "a") == "b")
        #expect(RequestText("ab").dropping(prefix: "b") == nil)
    }

    @Test(
        "a text is cut at a scalar, whatever its scalars have of bytes",
        arguments: ["abcdef", "éééé", "€€€€", "𝒳𝒳𝒳", "a\u{301}\u{301}", "e€𝒳é"]
    )
    func cut(text: String) {
        for limit in 0...16 {
            let beginning = RequestText(text).prefix(bytes: limit)
            #expect(beginning.byteCount <= limit)
            #expect(text.unicodeScalars.starts(with: beginning.unicodeScalars))
            // One scalar more would not have fitted.
            let next = text.unicodeScalars.dropFirst(beginning.unicodeScalars.count).first
            #expect(next.map { beginning.byteCount + UTF8.width($0) > limit } ?? true)
        }
    }

    @Test("limits count scalars, of one byte or of four")
    func limits() {
        for letter in ["a", "é", "€", "𝒳"] {
            let text = RequestText(String(repeating: letter, count: 200))
            #expect(!text.hasMore(scalarsThan: 200))
            #expect(text.hasMore(scalarsThan: 199))
        }
        #expect(!RequestText("").hasMore(scalarsThan: 0))
        #expect(RequestText("a\u{301}").hasMore(scalarsThan: 1))
    }

    @Test("words are found by scalars, and keywords are short and ASCII")
    func words() {
        #expect(RequestText("\u{A0} a\u{2003}b\t\n").collapsed == "a b")
        #expect(RequestText("\u{A0} a b\u{2003}").trimmed == "a b")
        #expect(RequestText(" \u{A0}").isBlank && RequestText("").isBlank)
        // A mark behind a space makes one character with it, and is no white space.
        #expect(!RequestText(" \u{301}").isBlank)
        #expect(RequestText(" \t a b\t ").trimmingSpaces == "a b")
        #expect(RequestText("a,,b").pieces(between: ",") == ["a", "b"])
        #expect(RequestText("a,,b").pieces(between: ",", omittingEmpty: false) == ["a", "", "b"])
        // A mark behind a comma does not hide it.
        #expect(RequestText("a,\u{301}b").pieces(between: ",") == ["a", "\u{301}b"])
        #expect(RequestText("MiXed-1").keyword == "mixed-1")
        #expect(RequestText("é").keyword == nil && RequestText(String(repeating: "a", count: 65)).keyword == nil)
    }

    @Test("fields that are lists have elements, over several lines too")
    func elements() {
        let fields: HTTPFields = [.accept: "a , b,", .accept: ",\tc"]
        #expect(fields.elements(.accept) == ["a", "b", "c"])
    }

    /// Each would sort the marks a few thousand times, and take minutes, if it compared characters.
    @Test("60 KB of marks cost no more than other bytes", .timeLimit(.minutes(1)))
    func linear() throws {
        let text = RequestText(Self.marks)
        for _ in 0..<3000 {
            #expect(text != "a" && !text.begins(with: "\u{316}") && text.hasMore(scalarsThan: 1024))
            #expect(text.prefix(bytes: 512).byteCount == 512)
            #expect(text.keyword == nil)
        }
        #expect(Set([text, RequestText(Self.marks + "a")]).count == 2)
        let json = "{\"\(Self.marks)\":1,\"known\":\"\(Self.marks)\"}"
        for _ in 0..<100 {
            let element = try JSONElement.parse(json)
            #expect(element["known"]?.text == text)
            var body = try JSONBody(element)
            #expect(body.text("known") == nil)
            let refusal = #expect(throws: APIError.self) { try body.finish() }
            #expect(refusal?.fields.map(\.code) == ["too_long", "unknown_field"])
            #expect(refusal?.fields.allSatisfy { $0.field.utf8.count <= 64 } == true)
            let form = try FormBody(Array("\(Self.marks)=1&known=\(Self.marks)".utf8))
            #expect(form["known"] == text)
        }
    }
}
