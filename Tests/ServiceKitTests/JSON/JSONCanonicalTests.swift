import ServiceKit
import Testing

@Suite("JSON values")
struct JSONCanonicalTests {
    private func form(_ text: String) throws -> [UInt8] { try JSONElement.parse(text).canonicalBytes }

    @Test(
        "values are equal however they are written",
        arguments: [
            (#"{"a":1,"b":[true,null]}"#, " { \"b\" : [ true , null ] ,\n\"a\" : 1 } "),
            (#""é/\n""#, #""\u00e9\/\u000a""#), (#""😀""#, #""\ud83d\ude00""#),
            ("1", "1.0"), ("1", "10e-1"), ("100", "1E+2"), ("100", "1e2"), ("-0.50", "-5e-1"), ("0", "0.0e7"),
            ("0", "-0"), ("12345678901234567890123", "1.2345678901234567890123e22"), (#"{"x":{}}"#, #"{ "x" : { } }"#),
            (#"{"":1,"a":{"z":0,"y":0}}"#, #"{"a":{"y":0,"z":0},"":1}"#),
        ]
    )
    func equal(one: String, other: String) throws {
        #expect(try form(one) == form(other))
    }

    @Test("different values have different forms")
    func different() throws {
        let texts = [
            "null", "false", "true", "0", "1", "-1", "10", "1e-1", "12345678901234567890123", "12345678901234567890124",
            "1e99999999999999999999", "2e99999999999999999999", #""""#, #""1""#, #""null""#, #""e""#, #""é""#,
            #""\u0065\u0301""#, "[]", "[[]]", "[null]", "[1,2]", "[2,1]", "[[1],2]", "[1,[2]]", "{}", #"{"a":null}"#,
            #"{"a":1}"#, #"{"b":1}"#, #"{"A":1}"#, #"{"a":{"b":1}}"#, #"{"a":{},"b":1}"#, #"["a",1]"#, #""a1:b""#,
            #"["s1:a"]"#, #"["s1",":a"]"#,
        ]
        #expect(try Set(texts.map { try form($0) }).count == texts.count)
    }
}
