import ServiceKit
import Storage
import StrictJSON
import TestSupport
import Testing

@Suite("JSON")
struct JSONTests {
    @Test(
        "valid texts are taken",
        arguments: [
            "null", " true ", "-0", "1.5e+10", "\"\"", "[]", "{}", "[1,[2,{}]]", #"{"a":{"b":[null]}}"#,
            "\"\u{1F600}é\"",
            #""\uD83D\uDE00\n\t\"\\\/""#,
        ]
    )
    func valid(text: String) throws {
        #expect(try JSONElement.parse(text).raw == text.trimmed)
    }

    @Test(
        "invalid texts are refused",
        arguments: [
            "", " ", "nul", "+1", "01", "1.", ".5", "1e", "'a'", "[1,]", "[1 2]", "{\"a\":1,}", "{a:1}", "{\"a\"}",
            "\"a", "\"\t\"",
            #""\x""#, #""\u12""#, #""\uD800""#, #""\uDC00\uD800""#, #""\u0000""#, "1 2", "[", "]", #"{"a":1,"a":2}"#,
            "NaN", "\u{FEFF}1",
        ]
    )
    func invalid(text: String) {
        #expect(throws: JSONSyntaxError.self) { try JSONElement.parse(text) }
    }

    @Test("invalid UTF-8 and bottomless nesting are refused")
    func hostile() {
        #expect(throws: JSONSyntaxError.self) { try JSONElement.parse([0x22, 0xFF, 0x22]) }
        #expect(throws: JSONSyntaxError.self) { try JSONElement.parse(String(repeating: "[", count: 100_000)) }
        #expect(throws: Never.self) {
            try JSONElement.parse(String(repeating: "[", count: 60) + String(repeating: "]", count: 60))
        }
    }

    @Test("names that look the same but differ in a byte are two members (RFC 8259 §8.3)")
    func names() throws {
        let element = try JSONElement.parse("{\"\u{E9}\":1,\"e\u{301}\":2}")
        #expect(element.object?.map(\.value.integer) == [1, 2])
        #expect(throws: JSONSyntaxError.self) { try JSONElement.parse("{\"\u{E9}\":1,\"\\u00e9\":2}") }
    }

    @Test("an element is exactly as it was written")
    func raw() throws {
        let text = #"{ "parts" : [ {"type":"x",  "n":1.50} ] ,"s":"\u0041" }"#
        let element = try JSONElement.parse(text)
        #expect(element["parts"]?.raw == #"[ {"type":"x",  "n":1.50} ]"#)
        #expect(element["s"]?.raw == #""\u0041""#)
        #expect(element["s"]?.string == "A")
    }

    @Test("what is written reads back, whatever is in the strings")
    func roundTrip() throws {
        let hostile = "quote \" backslash \\ line \n tab \t bell \u{7} é \u{1F600} </script>"
        let written = JSONWriter.object { writer in
            writer.field("text", hostile)
            writer.field("none", nil as String?)
            writer.field("number", Int64.min)
            writer.field("flag", false)
            writer.field("list", ["a", hostile])
            writer.object("inner") { $0.field("raw", raw: "[1, 2]") }
            writer.array("empty") { _ in }
        }
        let read = try JSONElement.parse(written.bytes)
        #expect(read["text"]?.string == hostile)
        #expect(read["none"]?.isNull == true)
        #expect(read["number"]?.integer == .min)
        #expect(read["list"]?.array?.last?.string == hostile)
        #expect(read["inner"]?["raw"]?.raw == "[1, 2]")
    }

    @Test("what must be escaped is, wherever it stands and whatever stands beside it")
    func escapes() throws {
        let special = (1..<0x20).map(UInt8.init) + [UInt8(ascii: "\""), UInt8(ascii: "\\")]
        for byte in special {
            for place in 0..<18 {
                for filler in ["a", "\u{7F}", "é", "!"] {
                    let text =
                        String(repeating: filler, count: place) + String(UnicodeScalar(byte))
                        + String(repeating: filler, count: 17 - place) + "\\"
                    let written = JSONWriter.object { $0.field("t", text) }
                    #expect(try JSONElement.parse(written.bytes)["t"]?.string == text)
                    #expect(!written.bytes.contains { $0 < 0x20 })
                }
            }
        }
        let nul = JSONWriter.value { $0.string("12345678\0") }
        #expect(nul == #""12345678\u0000""#)
        // Longer than one step of escaping.
        let nested = String(repeating: #"{"a":"b\"c","d":[1,2,3]} and then some plain text of its own "#, count: 20)
        let written = JSONWriter.object { $0.field("t", nested) }
        #expect(try JSONElement.parse(written.bytes)["t"]?.string == nested)
    }

    @Test("integers are written to both ends of 64 bits")
    func integers() {
        for value in [.min, .min + 1, -10, -9, -1, 0, 1, 9, 10, 11, 99, 100, 1_000_000, .max - 1, .max] as [Int64] {
            #expect(JSONWriter.value { $0.integer(value) } == String(value))
        }
    }

    @Test("columns become members: their texts as strings or as the JSON they are, and NULL as null")
    func columns() throws {
        let row = Row([
            "text": "a\"\n", "json": "{ \"b\":1 }", "number": -7, "time": Instant(microseconds: 1), "other": "c",
        ])
        let written = try JSONWriter.object { writer in
            try writer.text("text", of: row)
            try writer.json("json", of: row)
            try writer.integer("number", of: row)
            try writer.instant("time", of: row)
            try writer.optionalText("renamed", column: "other", of: row)
        }
        #expect(
            written.string
                == #"{"text":"a\"\n","json":{ "b":1 },"number":-7,"time":"1970-01-01T00:00:00.000001Z","renamed":"c"}"#
        )
        let optional = try JSONWriter.object { writer in
            try writer.optionalText("text", of: row)
            try writer.optionalInteger("number", of: row)
            try writer.optionalInstant("time", of: row)
        }
        #expect(optional.string == #"{"text":"a\"\n","number":-7,"time":"1970-01-01T00:00:00.000001Z"}"#)
        let empty = Row(["text": SQLValue.null, "number": SQLValue.null, "time": SQLValue.null])
        let nulls = try JSONWriter.object { writer in
            try writer.optionalText("text", of: empty)
            try writer.optionalInteger("number", of: empty)
            try writer.optionalInstant("time", of: empty)
        }
        #expect(nulls.string == #"{"text":null,"number":null,"time":null}"#)
    }

    @Test("a column that is not there, or of another kind, is no member")
    func wrongColumns() {
        let row = Row(["text": "a", "number": 1, "nothing": SQLValue.null])
        let writes: [(String, (inout JSONWriter) throws(StorageError) -> Void)] = [
            ("number", { writer throws(StorageError) in try writer.text("number", of: row) }),
            ("nothing", { writer throws(StorageError) in try writer.text("nothing", of: row) }),
            ("missing", { writer throws(StorageError) in try writer.optionalText("missing", of: row) }),
            ("number", { writer throws(StorageError) in try writer.json("number", of: row) }),
            ("nothing", { writer throws(StorageError) in try writer.json("nothing", of: row) }),
            ("text", { writer throws(StorageError) in try writer.integer("text", of: row) }),
            ("nothing", { writer throws(StorageError) in try writer.integer("nothing", of: row) }),
            ("text", { writer throws(StorageError) in try writer.optionalInteger("text", of: row) }),
            ("text", { writer throws(StorageError) in try writer.instant("text", of: row) }),
            ("nothing", { writer throws(StorageError) in try writer.instant("nothing", of: row) }),
            ("text", { writer throws(StorageError) in try writer.optionalInstant("text", of: row) }),
        ]
        for (column, write) in writes {
            #expect(throws: StorageError.invalidRow(column: column)) { try JSONWriter.object { try write(&$0) } }
        }
    }

    @Test("a body complains of every field at once and takes values only when all is well")
    func body() throws {
        var body = try JSONBody(JSONElement.parse(#"{"a":"x","b":1,"c":null,"d":true}"#))
        _ = body.requiredText("a", max: 0)
        _ = body.text("b")
        #expect(body.patchText("c").isPresent)
        #expect(!body.patchText("absent").isPresent)
        let error = #expect(throws: APIError.self) { try body.finish() }
        #expect(
            Set(error?.fields.map { "\($0.field) \($0.code)" } ?? []) == [
                "a too_long", "b wrong_type", "d unknown_field",
            ]
        )
    }
}

extension String {
    fileprivate var trimmed: String { String(drop { $0 == " " }.reversed().drop { $0 == " " }.reversed()) }
}
