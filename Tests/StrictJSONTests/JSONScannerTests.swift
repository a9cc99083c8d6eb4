import StrictJSON
import Testing

@Suite("The JSON scanner")
struct JSONScannerTests {
    private static let limits = JSONLimits(depth: 64)

    private func events(_ text: String) throws(JSONSyntaxError) -> [String] {
        var scanner = JSONScanner(Array(text.utf8), limits: Self.limits)
        var words: [String] = []
        while true {
            switch try scanner.next() {
            case .beginObject: words.append("{")
            case .endObject: words.append("}")
            case .beginArray: words.append("[")
            case .endArray: words.append("]")
            case .name(let name): words.append("\(scanner.string(name)):")
            case .string(let text): words.append("'\(scanner.string(text))'")
            case .number(let number): words.append(scanner.integer(number).map { "\($0)" } ?? "number")
            case .boolean(let value): words.append("\(value)")
            case .null: words.append("null")
            case .end: return words
            }
        }
    }

    private func error(_ bytes: [UInt8], _ limits: JSONLimits = limits) -> JSONSyntaxError? {
        var scanner = JSONScanner(bytes, limits: limits)
        do throws(JSONSyntaxError) {
            while try scanner.next() != .end {}
            return nil
        } catch {
            return error
        }
    }

    private func error(_ text: String, _ limits: JSONLimits = limits) -> JSONSyntaxError? {
        error(Array(text.utf8), limits)
    }

    @Test("a text comes as its events, in order")
    func order() throws {
        #expect(try events(" 7 ") == ["7"])
        #expect(try events("[]") == ["[", "]"])
        #expect(
            try events(#" { "a" : [ 1 , {"b":null} , "x" ] , "" : -2.5 ,"c":{"d":true}, "e":false } "#)
                == [
                    "{", "a:", "[", "1", "{", "b:", "null", "}", "'x'", "]", ":", "number", "c:", "{", "d:", "true",
                    "}",
                    "e:", "false", "}",
                ]
        )
    }

    @Test("each event says where it stands, and the end comes again and again")
    func places() throws {
        let bytes = Array(#" {"a": "b\n", "c" :12 } "#.utf8)
        var scanner = JSONScanner(bytes, limits: Self.limits)
        var places: [Range<Int>] = []
        while try scanner.next() != .end { places.append(scanner.start..<scanner.offset) }
        let texts = places.map { String(decoding: bytes[$0], as: UTF8.self) }
        #expect(texts.dropLast() == ["{", #""a":"#, #""b\n""#, #""c" :"#, "12"])
        #expect(scanner.offset == bytes.count)
        for _ in 0..<2 { #expect(try scanner.next() == .end) }
    }

    @Test("what is passed over is checked all the same")
    func skipping() throws {
        func skipped(_ text: String) throws {
            var scanner = JSONScanner(Array(text.utf8), limits: Self.limits)
            try scanner.skip(scanner.next())
            #expect(scanner.depth == 0)
            #expect(try scanner.next() == .end)
        }
        for text in ["1", "[]", #"{"a":[1,{"b":[]}],"c":{}}"#] { try skipped(text) }
        for text in [#"{"a":[1,{"b":[}]}"#, #"[{"a":1,"a":1}]"#, #"{"a":"\x"}"#, "[1] 2"] {
            #expect(throws: JSONSyntaxError.self, "\(text)") { try skipped(text) }
        }
    }

    @Test(
        "an error says why and where",
        arguments: [
            ("", "unexpected end at byte 0"), ("[1, ", "unexpected end at byte 4"),
            ("+1", "unexpected character at byte 0"), ("[1,]", "unexpected character at byte 3"),
            ("-a", "unexpected character at byte 1"), ("nul", "unknown word at byte 3"),
            ("trues", "text after the value at byte 4"), ("truE", "unknown word at byte 3"),
            ("-012", "leading zero at byte 1"), ("1.e", "digit expected after the point at byte 2"),
            ("1e+", "digit expected in the exponent at byte 3"), ("\"a", "unterminated string at byte 2"),
            ("\"a\nb\"", "control character in a string at byte 2"), (#""\x""#, "unknown escape at byte 3"),
            (#""\u12"#, "unterminated string at byte 3"), (#""\u12g4""#, #"bad \u escape at byte 3"#),
            (#""\ud800a""#, "lone surrogate at byte 7"), (#""\ud800\ud800""#, "lone surrogate at byte 13"),
            (#""\udc00""#, "lone surrogate at byte 7"), ("{1:2}", "expected a member name at byte 1"),
            (#"{"a":1,}"#, "expected a member name at byte 7"), (#"{"a" 1}"#, "expected a colon at byte 5"),
            (#"{"a":1]"#, "expected a comma or the end of the object at byte 6"),
            ("[1}", "expected a comma or the end of the array at byte 2"), ("1 2", "text after the value at byte 2"),
            (#"{"a":1,"a":2}"#, "the same member twice at byte 10"), ("\u{FEFF}1", "unexpected character at byte 0"),
        ]
    )
    func errors(text: String, expected: String) {
        #expect(error(text)?.description == expected)
    }

    @Test("nesting ends at the limit, which is never above what can be followed")
    func depth() {
        func nested(_ count: Int) -> String {
            String(repeating: "[", count: count) + String(repeating: "]", count: count)
        }
        for (limit, effective) in [(1, 1), (8, 8), (64, 64), (1000, 64)] {
            #expect(error(nested(effective), JSONLimits(depth: limit)) == nil)
            let error = error(nested(effective + 1), JSONLimits(depth: limit))
            #expect(error?.reason == .tooDeep(limit: effective))
        }
        // A value without others counts as much as an empty array.
        #expect(error("[1]", JSONLimits(depth: 2)) == nil)
        #expect(error("[1]", JSONLimits(depth: 1))?.reason == .tooDeep(limit: 1))
        #expect(error(String(repeating: "[", count: 1_000_000))?.reason == .tooDeep(limit: 64))
    }

    @Test("members are counted over all objects of a text")
    func members() {
        let limits = JSONLimits(depth: 8, members: 3)
        #expect(error(#"{"a":{"b":1},"c":[{}]}"#, limits) == nil)
        #expect(error(#"{"a":{"b":1},"c":[{"d":1}]}"#, limits)?.reason == .tooManyMembers(limit: 3))
    }

    @Test("an escaped NUL is refused where it cannot be stored")
    func nul() throws {
        #expect(try events(#"["a\u0000"]"#) == ["[", "'a\0'", "]"])
        let limits = JSONLimits(depth: 8, refusesNUL: true)
        #expect(error(#"["a\u0000"]"#, limits)?.description == "U+0000 is not stored at byte 9")
        #expect(error(#"{"a\u0000":1}"#, limits)?.reason == .escapedNUL)
        #expect(error("\"\0\"")?.reason == .controlCharacter)
    }

    @Test(
        "integers are whole numbers that fit",
        arguments: [
            ("0", 0), ("-0", 0), ("-7", -7), ("9223372036854775807", .max), ("-9223372036854775808", .min),
            ("9223372036854775808", nil), ("-9223372036854775809", nil), ("92233720368547758070", nil), ("1.0", nil),
            ("1e3", nil), ("1E0", nil),
        ] as [(String, Int64?)]
    )
    func integers(text: String, value: Int64?) throws {
        #expect(try events(text) == [value.map { "\($0)" } ?? "number"])
    }

    @Test("what is not UTF-8 is refused in names and in strings, also beside escapes (RFC 3629 §3)")
    func invalidUTF8() {
        let wrong: [[UInt8]] = [
            [0x80], [0xFF], [0xC0, 0x80], [0xC3], [0xE0, 0x80, 0xAF], [0xE2, 0x82], [0xED, 0xA0, 0x80],
            [0xF4, 0x90, 0x80, 0x80], [0xF0, 0x9F, 0x98],
        ]
        for bytes in wrong {
            for (before, after) in [("", ""), ("é", "é"), (#"\n"#, #"\u00e9"#), (#"\ud83d\ude00"#, "a")] {
                let string = Array("\"\(before)".utf8) + bytes + Array("\(after)\"".utf8)
                #expect(error(string)?.description == "invalid UTF-8 at byte \(string.count)")
                let object = [UInt8(ascii: "{")] + string + Array(":1}".utf8)
                #expect(error(object)?.reason == .invalidUTF8)
            }
        }
    }
}
