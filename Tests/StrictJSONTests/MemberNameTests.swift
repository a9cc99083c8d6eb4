// A name that comes twice is found, wherever it is and however it is written.
import StrictJSON
import Testing

@Suite("Names of members")
struct MemberNameTests {
    /// The name that came twice.
    private func duplicate(_ text: String) throws(JSONSyntaxError) -> String? {
        var scanner = JSONScanner(Array(text.utf8), limits: JSONLimits(depth: 64))
        do throws(JSONSyntaxError) {
            while try scanner.next() != .end {}
            return nil
        } catch {
            guard case .duplicateName(let name) = error.reason else { throw error }
            return name
        }
    }

    private func object(_ names: some Sequence<String>) -> String {
        "{\(names.map { "\"\($0)\":1" }.joined(separator: ","))}"
    }

    @Test(
        "the same name twice is refused, however it is written",
        arguments: [
            #"{"a":1,"a":2}"#, #"{"\u0061":1,"a":2}"#, #"{"a":1,"\u0061":2}"#, #"{"\u0061":1,"\u0061":2}"#,
            #"{"b":0,"a":{"b":1},"c":[],"a":1}"#, #"[1,{"x":{"a":[{"b":{}}],"a":1}}]"#, #"{"x":1,"a":2,"y":3,"a":4}"#,
        ]
    )
    func twice(text: String) throws {
        #expect(try duplicate(text) == "a")
    }

    @Test("a long name is compared to its end, an empty one is a name")
    func lengths() throws {
        #expect(try duplicate(#"{"abcdefgh1":1,"abcdefgh2":1,"abcdefgh":1,"abcdefg":1,"":1}"#) == nil)
        #expect(try duplicate(#"{"abcdefgh1":1,"abcdefgh2":1,"abcdefgh1":1}"#) == "abcdefgh1")
        #expect(try duplicate(#"{"":1,"a":1,"":1}"#) == "")
        #expect(try duplicate(#"{"é/":1,"\u00e9\/":1}"#) == "é/")
    }

    @Test("objects do not share their names")
    func apart() throws {
        #expect(try duplicate(#"{"a":{"a":{"a":1}},"b":{"a":[{"a":1},{"a":1}]},"c":{"b":1}}"#) == nil)
        #expect(try duplicate(#"[{"\u0061":1},{"a":1},{"\u0061":{"\u0061":1}},{"a":{"\u0061":1}}]"#) == nil)
        // After an inner object is closed, the names of the outer one still count.
        #expect(try duplicate(#"{"a":{"b":1,"c":1},"b":{"d":{}},"a":1}"#) == "a")
        #expect(try duplicate(#"{"\u0061":{"b":1,"\u0063":1},"b":{"d":{}},"a":1}"#) == "a")
    }

    @Test("names that only look the same are two (RFC 8259 §8.3)")
    func canonical() throws {
        #expect(try duplicate("{\"\u{E9}\":1,\"e\u{301}\":2}") == nil)
        #expect(try duplicate("{\"\u{E9}\":1,\"e\\u0301\":2}") == nil)
        #expect(try duplicate("{\"\u{E9}\":1,\"\\u00e9\":2}") == "\u{E9}")
    }

    @Test("a name is found among any number of others", arguments: [31, 32, 33, 34, 100, 5000])
    func many(count: Int) throws {
        let names = (0..<count).map { "n\($0)" }
        #expect(try duplicate(object(names)) == nil)
        #expect(try duplicate("[\(object(names)),\(object(names))]") == nil)
        for again in [0, 30, count - 2, count - 1] {
            #expect(try duplicate(object(names + ["n\(again)"])) == "n\(again)")
            #expect(try duplicate(object(names + ["\\u006e\(again)"])) == "n\(again)")
            #expect(try duplicate(object(["\\u006e\(again)"] + names)) == "n\(again)")
        }
    }

    @Test("a deep text with names on each level keeps them apart")
    func deep() throws {
        // More names than there is room for, so that inner objects come to the sets.
        let outer = object((0..<20).map { "n\($0)" }).dropLast()
        func nested(_ levels: Int, inner: String) -> String {
            String(repeating: outer + ",\"x\":", count: levels) + inner + String(repeating: "}", count: levels)
        }
        #expect(try duplicate(nested(60, inner: "{}")) == nil)
        #expect(try duplicate(nested(60, inner: object(["a", "b", "a"]))) == "a")
        let after = String(repeating: outer + ",\"x\":", count: 60) + "{}" + ",\"n3\":1}"
        #expect(try duplicate(after) == "n3")
    }

    @Test("time stays linear, whatever the names are")
    func linear() throws {
        func time(_ count: Int) throws -> Duration {
            // Every other one has escapes, and all begin alike.
            let text = object((0..<count).map { $0 % 2 == 0 ? "name number \($0)" : "\\u006eame number \($0)" })
            var times: [Duration] = []
            for _ in 0..<3 {
                let begin = ContinuousClock.now
                #expect(try duplicate(text) == nil)
                times.append(ContinuousClock.now - begin)
            }
            return try #require(times.min())
        }
        // Eight times as many take eight times as long; comparing each with each, 64 times.
        let (few, many) = try (time(500), time(4000))
        #expect(many < few * 28, "\(few) \(many)")
    }
}
