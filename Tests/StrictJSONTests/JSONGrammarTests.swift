// RFC 8259 case by case, as the JSON Parsing Test Suite does it: what every reader must take, what none may take, and
// what the RFC leaves to the reader.
import StrictJSON
import Testing

@Suite("The grammar of JSON")
struct JSONGrammarTests {
    private func isTaken(_ bytes: [UInt8]) -> Bool {
        var scanner = JSONScanner(bytes, limits: JSONLimits(depth: 64))
        do {
            while try scanner.next() != .end {}
            return true
        } catch {
            return false
        }
    }

    @Test(
        "what is JSON is taken",
        arguments: [
            // Arrays and white space.
            "[[]   ]", "[\"\"]", "[]", "[1\n]", " [1]", "[2] ", "[\t\r\n 1 ,\t2]", "[1,null,null,null,2]",
            "[[[[]]],[]]",
            // Numbers.
            "[0]", "[-0]", "[-0.0]", "[0e+1]", "[0e1]", "[1E22]", "[1E-2]", "[1E+2]", "[123e45]", "[123.456e78]",
            "[20e1]",
            "[-1]", "[-123]", "[1.0]", "[1.000000000000005]",
            "[-0.0000000000000000000000000000000000000000000000000001]",
            "[100000000000000000000000000000000000000]", "[0.4e00669999999999999999999999999999999999999999999999]",
            "[1e-400]", "[123123e100000]", "[-1e+9999]",
            // Objects.
            "{}", "{\"a\":\"b\"}", "{\"a\":\"b\",\"b\":\"a\"}", "{\"\":0}", "{\"foo\\u0000bar\":42}", "{\"a\":[]}",
            "{\"min\":-1.0e+28,\"max\":1.0e+28}", "{\n\"a\":\"b\"\n}", "{\"a\\n\":{\"a\":1},\"b\":{\"a\":1}}",
            // Strings.
            "[\"\\u0060\\u012a\\u12AB\"]", "[\"\\ud801\\udc37\"]", "[\"\\uD83D\\uDE39\\uD83D\\uDC8D\"]",
            "[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"]", "[\"\\\\u0000\"]", "[\"\\\\\\\\n\"]", "[\"a/*b*/c\"]", "[\"\\u0012\"]",
            "[\"\\uFFFF\"]", "[\"\\uFDD0\"]", "[\"\\uDBFF\\uDFFF\"]", "[\"\u{7F}\"]", "[\"\u{2028}\u{2029}\"]",
            "[\"\u{FFFF}\"]", "[\"\u{10FFFF}\"]", "[\"\u{1F600}\u{0308}\"]", "[\"\u{FEFF}\"]", "[\"€𝄞\"]",
            "[\"new\\u000Aline\"]",
            // A text is any value (§2).
            "false", "42", "-0.1", "null", "\"asd\"", "true", "\"\"", " \t\r\n0 \t\r\n",
        ]
    )
    func taken(text: String) {
        #expect(isTaken(Array(text.utf8)))
    }

    @Test(
        "what is not JSON is refused",
        arguments: [
            // Arrays.
            "[1 true]", "[\"\": 1]", "[\"\"],", "[,1]", "[1,,2]", "[\"x\",,]", "[\"x\"]]", "[\"\",]", "[\"x\"", "[x",
            "[3[4]]",
            "[1:2]", "[,]", "[-]", "[   , \"\"]", "[\"a\",\n4\n,1,", "[1,]", "[*]", "[1,\n1\n,1", "[{}", "[", "]", "[[",
            "[}",
            // Numbers.
            "[++1234]", "[+1]", "[+Inf]", "[-01]", "[-1.0.]", "[-2.]", "[-NaN]", "[.-1]", "[.2e-3]", "[0.1.2]",
            "[0.3e+]",
            "[0.3e]", "[0.e1]", "[0E+]", "[0E]", "[0e]", "[1.0e+]", "[1.0e-]", "[1.0e]", "[1 000.0]", "[1eE2]",
            "[2.e+3]",
            "[2.e-3]", "[2.e3]", "[9.e+]", "[Inf]", "[NaN]", "[\u{FF11}]", "[1+2]", "[0x1]", "[0x42]", "[Infinity]",
            "[0e+-1]",
            "[-123.123foo]", "[-Infinity]", "[-foo]", "[- 1]", "[-012]", "[-.123]", "[-1x]", "[1ea]", "[1.]", "[.123]",
            "[1.2a-3]", "[1.8011670033376514H-308]", "[012]", "[1e1.5]", "[--1]", "[00]", "[1_000]",
            // Words.
            "[nul]", "[tru]", "[fals]", "[True]", "[NULL]", "nullx", "[truefalse]", "[undefined]",
            // Objects.
            "[\"x\", truth]", "{[: \"x\"}", "{\"x\", null}", "{\"x\"::\"b\"}", "{🇨🇭}", "{\"a\":\"a\" 123}",
            "{key: 'value'}",
            "{\"a\" b}", "{:\"b\"}", "{\"a\" \"b\"}", "{\"a\":", "{\"a\"", "{1:1}", "{9999E9999:1}", "{null:null}",
            "{\"id\":0,,}",
            "{'a':0}", "{\"id\":0,}", "{\"a\":\"b\"}/**/", "{\"a\":\"b\"}//", "{\"a\":\"b\"}/",
            "{\"a\":\"b\",,\"c\":\"d\"}", "{a: \"b\"}",
            "{\"a\":\"a", "{ \"foo\" : \"bar\", \"a\" }", "{\"a\":\"b\"}#", "{,}", "{", "}", "{]", "{\"a\":1 \"b\":2}",
            "{\"a\":1}}",
            "{\"a\":}", "{{}:1}", "{[]:1}", "{true:1}",
            // Strings.
            "[\"\\uD800\\\"]", "[\"\\uD800\\u\"]", "[\"\\uD800\\u1\"]", "[\"\\uD800\\u1x\"]", "[é]", "[\"\\\u{0}\"]",
            "[\"\\x00\"]",
            "[\"\\\\\\\"]", "[\"\\\t\"]", "[\"\\🌀\"]", "[\"\\\"]", "[\"\\u00A\"]", "[\"\\uD834\\uDd\"]", "[\"\\a\"]",
            "[\"\\uqqqq\"]",
            "[\\n]", "\"", "['single quote']", "abc", "[\"\\", "[\"a\u{0}a\"]", "[\"new\nline\"]", "[\"\t\"]",
            "\"\\UA66D\"", "\"x\"y",
            "[\"\\u00 1\"]", "[\"\\u+123\"]", "[\"\\u-123\"]", "[\"\u{1F}\"]", "\"\\u004\"", "[\"a\\\"]",
            // The whole text.
            "", " ", "<.>", "[<null>]", "[1]x", "aå", "[True]", "1]", "{\"x\": true,", "[][]", "/*a*/1", "# 1",
            "{}\u{0}", "\u{0}1",
            "\u{B}1", "\u{C}1", "\u{A0}1", "\u{2060}1", "\u{85}1", "1\u{2028}", "*", "{\"\":", "[\"a", "[\"\\u",
            "{\"a\":/*c*/1}",
        ]
    )
    func refused(text: String) {
        #expect(!isTaken(Array(text.utf8)))
    }

    @Test(
        "what the RFC leaves to the reader is refused where two readers could differ",
        arguments: [
            // A lone surrogate is no character (§8.2).
            "[\"\\uDADA\"]", "[\"\\uD888\\u1234\"]", "[\"\\uD800\\n\"]", "[\"\\uDd1ea\"]", "[\"\\uD800\\uD800\\n\"]",
            "[\"\\ud800\"]", "[\"\\ud800abc\"]", "[\"\\uDd1e\\uD834\"]", "[\"\\uDFAA\"]", "{\"\\uDFAA\":0}",
            // A byte order mark (§8.1).
            "\u{FEFF}{}", "\u{FEFF}", " \u{FEFF}1",
            // A name that comes twice (§4).
            "{\"a\":\"b\",\"a\":\"c\"}", "{\"a\":\"b\",\"a\":\"b\"}",
            // Nesting without end (§9).
            String(repeating: "[", count: 65) + String(repeating: "]", count: 65),
            String(repeating: "{\"a\":", count: 65),
        ]
    )
    func open(text: String) {
        #expect(!isTaken(Array(text.utf8)))
    }

    @Test("text in another encoding than UTF-8 is refused (§8.1)")
    func encodings() {
        for text in ["1", "[\"é\"]", "{\"a\":null}"] {
            let little: [UInt8] = text.utf16.flatMap { [UInt8(truncatingIfNeeded: $0), UInt8($0 >> 8)] }
            let big: [UInt8] = text.utf16.flatMap { [UInt8($0 >> 8), UInt8(truncatingIfNeeded: $0)] }
            let wide: [UInt8] = text.utf16.flatMap { [UInt8(truncatingIfNeeded: $0), UInt8($0 >> 8), 0, 0] }
            for bytes in [little, big, wide, [0xFF, 0xFE] + little, [0xFE, 0xFF] + big] {
                #expect(!isTaken(bytes), "\(bytes)")
            }
        }
        #expect(!isTaken(Array("[\"".utf8) + [0xE9] + Array("\"]".utf8)))
    }

    @Test("each byte where a value may begin, and each alone in a string")
    func bytes() {
        for byte in UInt8.min...UInt8.max {
            #expect(isTaken([byte]) == (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte), "\(byte)")
            let isPlain = byte >= 0x20 && byte < 0x80 && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "\\")
            #expect(isTaken([0x22, byte, 0x22]) == isPlain, "\(byte)")
            let isEscape = Array("\"\\/bfnrt".utf8).contains(byte)
            #expect(isTaken([0x22, 0x5C, byte, 0x22]) == isEscape, "\(byte)")
            // Before a digit: white space, a sign, another digit that is not a leading zero.
            let mayLead = Array(" \t\n\r-123456789".utf8).contains(byte)
            #expect(isTaken([byte, UInt8(ascii: "1")]) == mayLead, "\(byte)")
        }
    }
}
