// A message about a field names values, and `params` has the same, so that a client can say it in its own language.
import NIOCore
import Testing

@testable import ServiceKit

@Suite("Errors of fields")
struct FieldErrorTests {
    private enum Colour: String, CaseIterable { case red, green }

    private func errors(_ json: String, _ read: (inout JSONBody) -> Void) throws -> [FieldError] {
        var body = try JSONBody(JSONElement.parse(json))
        read(&body)
        return body.errors
    }

    @Test("whatever a body's field is refused for, params has the values of the message")
    func bodies() throws {
        let cases: [(String, FieldParams, (inout JSONBody) -> Void)] = [
            (#"{"a":"four"}"#, .atMost(3), { _ = $0.text("a", max: 3) }),
            (#"{"a":"blue"}"#, .oneOf(["red", "green"]), { _ = $0.choice("a", of: Colour.self) }),
            (#"{"a":11}"#, .range(1...10), { _ = $0.integer("a", in: 1...10) }),
            (#"{"a":[]}"#, .range(1...2), { _ = $0.array("a", count: 1...2) }),
            (#"{"a":["four"]}"#, .atMost(3), { _ = $0.texts("a", count: 1...2, max: 3) }),
            (#"{"a":{"b":1}}"#, .atMost(2), { _ = $0.rawObject("a", max: 2) }),
            (#"{"a":1}"#, .none, { _ = $0.text("a") }), (#"{}"#, .none, { _ = $0.requiredText("a") }),
        ]
        for (json, params, read) in cases {
            #expect(try errors(json, read).map(\.params) == [params], "\(json)")
        }
    }

    @Test("whatever a parameter is refused for, params has the values of the message")
    func queries() throws {
        func params(_ parameter: QueryParameter<some Sendable>, _ text: RequestText) -> FieldParams? {
            do throws(APIError) {
                _ = try parameter.read(text, parameter.name)
                return nil
            } catch {
                return error.fields.first?.params
            }
        }
        #expect(params(.integer("a", in: 1...100), "101") == .range(1...100))
        #expect(params(.boolean("a"), "maybe") == .oneOf(["true", "false"]))
        #expect(params(.word("a", of: ["x", "x,y"]), "z") == .oneOf(["x", "x,y"]))
        #expect(params(.choice("a", of: Colour.self), "blue") == .oneOf(["red", "green"]))
        #expect(params(.duration("a"), "9223372036854775807d") == .atMost("106751991167300d"))
        #expect(params(.id("a"), "?") == FieldParams.none)
    }

    @Test("params stands beside the message, with what it has and nothing else")
    func json() throws {
        func written(_ params: FieldParams) throws -> String? {
            let answer = APIError.field("a", "invalid", "is not", params).problem(requestID: "r")
            let errors = try JSONElement.parse(String(buffer: answer.body))["errors"]?.array
            return errors?.first.map { $0.raw }
        }
        let head = #"{"field":"a","code":"invalid","message":"is not""#
        #expect(try written(.none) == head + "}")
        #expect(try written(.range(1...200)) == head + #","params":{"min":1,"max":200}}"#)
        #expect(try written(.atLeast("2026-11-21")) == head + #","params":{"min":"2026-11-21"}}"#)
        #expect(try written(.oneOf(["a", "b"])) == head + #","params":{"allowed":["a","b"]}}"#)
    }
}
