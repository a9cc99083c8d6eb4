// The JSON parser on thousands of damaged texts. It never crashes, accepts only what another parser accepts, and
// returns what was written. The seed is fixed, so a failure repeats.
import Foundation
import ServiceKit
import Storage
import StrictJSON
import TestSupport
import Testing

@Suite("JSON under damage")
struct JSONFuzzTests {
    private static let texts = [
        #"{"email":"ada@example.com","password":"correct horse","name":null}"#,
        #"[{"role":"user","parts":[{"type":"text","text":"\u00e9\ud83d\ude00\n"}],"n":[0,-1,1.5,2e3,true,false]}]"#,
        #" { "a" : { "b" : [ [ ] , { } , "" ] } , "é" : "日本" } "#,
    ]

    @Test("damaged texts are taken only if they are JSON, and come back as written")
    func damage() throws {
        var random = SeededGenerator(seed: 2026)
        var taken = 0
        var refused = 0
        for _ in 0..<20_000 {
            var bytes = Array(Self.texts.randomElement(using: &random)?.utf8 ?? "".utf8)
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                let at = Int.random(in: bytes.indices, using: &random)
                switch Int.random(in: 0..<4, using: &random) {
                case 0: bytes[at] ^= 1 << UInt8.random(in: 0..<8, using: &random)
                case 1: bytes.remove(at: at)
                case 2: bytes.insert(UInt8.random(in: .min ... .max, using: &random), at: at)
                default: bytes.replaceSubrange(at..., with: bytes[at...].prefix(Int.random(in: 0...20, using: &random)))
                }
                if bytes.isEmpty { bytes = [0x20] }
            }
            guard let element = try? JSONElement.parse(bytes) else {
                refused += 1
                continue
            }
            taken += 1
            let text = String(decoding: bytes, as: UTF8.self)
            #expect(Array(text.utf8) == bytes, "what is taken is UTF-8")
            let agrees = (try? JSONSerialization.jsonObject(with: Data(bytes), options: .fragmentsAllowed)) != nil
            // Foundation refuses numbers beyond a double's range, which are valid JSON.
            #expect(agrees || text.lowercased().contains("e"), "\(text)")
            #expect(text.contains(element.raw))
            #expect(try JSONElement.parse(element.raw).raw == element.raw)
        }
        #expect(taken > 500 && refused > 5000, "the damage is neither too little nor too much: \(taken) \(refused)")
    }

    @Test("every text cut short is refused, and says where reading stopped")
    func cut() {
        for text in Self.texts.map({ $0.trimmingCharacters(in: .whitespaces) }) {
            let bytes = Array(text.utf8)
            for count in 0..<bytes.count {
                let error = #expect(throws: JSONSyntaxError.self) { try JSONElement.parse(Array(bytes.prefix(count))) }
                #expect((error?.offset ?? .max) <= count)
            }
        }
    }

    @Test("nesting is taken to 64 levels and no further", arguments: [("[", "]"), (#"{"a":"#, "}")])
    func depth(opening: String, closing: String) {
        func nested(_ levels: Int) -> String {
            let inner = opening == "[" ? "" : "1"
            let count = opening == "[" ? levels : levels - 1
            return String(repeating: opening, count: count) + inner + String(repeating: closing, count: count)
        }
        #expect(throws: Never.self) { try JSONElement.parse(nested(64)) }
        #expect(throws: JSONSyntaxError.self) { try JSONElement.parse(nested(65)) }
    }

    @Test("each byte alone in a string is taken, escaped or refused as RFC 8259 says")
    func stringBytes() throws {
        for byte in UInt8.min...UInt8.max {
            let text: [UInt8] = [0x22, byte, 0x22]
            switch byte {
            case 0..<0x20, 0x22, 0x5C, 0x80...0xFF:
                #expect(throws: JSONSyntaxError.self, "\(byte)") { try JSONElement.parse(text) }
            default:
                #expect(try JSONElement.parse(text).string == String(Character(Unicode.Scalar(byte))))
            }
        }
        // Overlong forms, surrogates and scalars past the last are not UTF-8 (RFC 3629 §3).
        for bytes: [UInt8] in [
            [0xC0, 0x80], [0xE0, 0x80, 0xAF], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80], [0xE2, 0x82],
        ] {
            #expect(throws: JSONSyntaxError.self) { try JSONElement.parse([0x22] + bytes + [0x22]) }
        }
    }

    @Test("every scalar survives writing and reading, controls escaped")
    func scalars() throws {
        let edges: [UInt32] = [
            1, 0x1F, 0x20, 0x22, 0x5C, 0x7F, 0x80, 0x2028, 0xD7FF, 0xE000, 0xFEFF, 0xFFFF, 0x10000, 0x10FFFF,
        ]
        for code in Array(1...0x2FF) + edges {
            let text = String(Character(try #require(Unicode.Scalar(code))))
            let written = JSONWriter.object { $0.field("t", text) }
            #expect(!written.bytes.contains { $0 < 0x20 })
            #expect(
                try JSONElement.parse(written.bytes)["t"]?.string.map { Array($0.unicodeScalars) }
                    == Array(text.unicodeScalars)
            )
        }
    }

    @Test("integers are whole numbers that fit, and nothing else")
    func integers() throws {
        let cases: [(String, Int64?)] = [
            ("0", 0), ("-0", 0), ("9223372036854775807", .max), ("-9223372036854775808", .min),
            ("9223372036854775808", nil),
            ("1.0", nil), ("1e3", nil), ("\"1\"", nil), ("true", nil), (String(repeating: "9", count: 1000), nil),
        ]
        for (text, value) in cases { #expect(try JSONElement.parse(text).integer == value, "\(text.prefix(30))") }
    }
}
