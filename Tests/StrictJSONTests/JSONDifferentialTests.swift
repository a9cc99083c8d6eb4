// The scanner against Foundation's reader, on texts that are drawn from a fixed seed. They agree on what is JSON and on
// what it says. The exceptions are known faults of Foundation, and what this scanner refuses on purpose.
import Foundation
import StrictJSON
import TestSupport
import Testing

@Suite("The JSON scanner and another reader")
struct JSONDifferentialTests {
    private static let pieces = [
        "{", "}", "[", "]", ",", ":", "\"", "\\", "{}", "[]", "\"a\"", "\"a\":", "\"b\":", "\"\\u0061\":", "\"\":",
        "\"é\"",
        "\"\\ud83d\\ude00\"", "\\u0041", "\\ud800", "\\udc00", "\\n", "\\/", "\\x", "true", "false", "null", "tru",
        "NaN",
        "-", "0", "-0", "01", "12", "1.5", "2e3", "1E-2", ".", "+", "e", " ", "\n", "\t", "\r", "\u{1}", "\u{1F600}",
        "9007199254740993", "-9223372036854775808", "[[", "]]", "\"c\":{", "},",
    ]

    private static let texts = [
        #"{"iss":"https://auth.example.com","aud":["tessera","chat"],"exp":1800000600,"email_verified":true,"x":null}"#,
        #"[{"role":"user","parts":[{"type":"text","text":"\u00e9\ud83d\ude00\n"}],"n":[0,-1,1.5,2e3,true,false]}]"#,
        #" { "a" : { "b" : [ [ ] , { } , "" ] } , "é" : "日本" } "#,
    ]

    private static func draw(_ random: inout SeededGenerator) -> [UInt8] {
        if Bool.random(using: &random) {
            let inner = (0..<Int.random(in: 1...8, using: &random)).compactMap { _ in
                pieces.randomElement(using: &random)
            }
            let ends = [("", ""), ("[", "]"), (#"{"q":"#, "}"), ("\"", "\"")].randomElement(using: &random) ?? ("", "")
            return Array((ends.0 + inner.joined() + ends.1).utf8)
        }
        var bytes = Array((texts.randomElement(using: &random) ?? "").utf8)
        for _ in 0..<Int.random(in: 1...2, using: &random) {
            let at = Int.random(in: 0..<bytes.count, using: &random)
            switch Int.random(in: 0..<4, using: &random) {
            case 0: bytes[at] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            case 1: bytes.remove(at: at)
            case 2: bytes.insert(UInt8.random(in: .min ... .max, using: &random), at: at)
            default: bytes.replaceSubrange(at...at, with: Array((pieces.randomElement(using: &random) ?? "").utf8))
            }
        }
        return bytes
    }

    @Test("both take the same texts and read the same values")
    func agreement() throws {
        var random = SeededGenerator(seed: 1111)
        var (taken, refused, stricter) = (0, 0, 0)
        for _ in 0..<6_000 {
            let bytes = Self.draw(&random)
            let other = try? JSONDecoder().decode(Value.self, from: Data(bytes))
            let text = String(decoding: bytes, as: UTF8.self)
            do throws(JSONSyntaxError) {
                let value = try Value(reading: bytes)
                taken += 1
                // Foundation refuses numbers that a double cannot hold, and `0e3`; both are JSON.
                guard other != nil || text.contains(/[0-9][eE]/) else {
                    Issue.record("Foundation refuses \(text)")
                    continue
                }
                if let other { #expect(value == other, "\(text)") }
            } catch {
                refused += 1
                guard other != nil else { continue }
                stricter += 1
                switch error.reason {
                // Foundation takes one of two members with one name, and a comma before the end.
                case .duplicateName: break
                case .missingName, .unexpectedCharacter:
                    let next = bytes[error.offset...].first
                    #expect(next == UInt8(ascii: "}") || next == UInt8(ascii: "]"), "\(error): \(text)")
                default: Issue.record("\(error): \(text)")
                }
            }
        }
        #expect(taken > 500 && refused > 1500 && stricter > 1, "the mix: \(taken) \(refused) \(stricter)")
    }
}

/// A JSON value as either reader sees it.
private enum Value: Decodable, Equatable {
    case null
    case boolean(Bool)
    case number(Double)
    case string([UInt8])
    case array([Value])
    case object([String: Value])

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let value = try? container.decode(Bool.self) {
            self = .boolean(value)
        } else if let value = try? container.decode(Double.self) {
            self = .number(value)
        } else if let value = try? container.decode(String.self) {
            self = .string(Array(value.utf8))
        } else if let value = try? container.decode([Value].self) {
            self = .array(value)
        } else {
            self = .object(try container.decode([String: Value].self))
        }
    }

    init(reading bytes: [UInt8]) throws(JSONSyntaxError) {
        var scanner = JSONScanner(bytes, limits: JSONLimits(depth: 64))
        self = try Value(scanner.next(), &scanner, bytes)
        _ = try scanner.next()
    }

    private init(_ event: JSONEvent, _ scanner: inout JSONScanner, _ bytes: [UInt8]) throws(JSONSyntaxError) {
        switch event {
        case .beginObject:
            var members: [String: Value] = [:]
            while case .name(let name) = try scanner.next() {
                members[scanner.string(name)] = try Value(scanner.next(), &scanner, bytes)
            }
            self = .object(members)
        case .beginArray:
            var elements: [Value] = []
            var next = try scanner.next()
            while next != .endArray {
                elements.append(try Value(next, &scanner, bytes))
                next = try scanner.next()
            }
            self = .array(elements)
        case .string(let text): self = .string(Array(scanner.string(text).utf8))
        case .number(let number): self = .number(Double(String(decoding: bytes[number.range], as: UTF8.self)) ?? .nan)
        case .boolean(let value): self = .boolean(value)
        default: self = .null
        }
    }
}
