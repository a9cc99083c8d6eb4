// Limits on text count code points, as the contract's `maxLength` does, and come before any work on the text.
import Foundation
import HTTPTypes
import ServiceKit
import TestSupport
import Testing

@testable import ChatService

@Suite("Limits on text of chat")
struct TextLimitTests {
    /// Marks that Unicode puts into another order: a comparison by characters takes a second for as many.
    private static let marks = String(repeating: "\u{301}", count: 15_000) + String(repeating: "\u{316}", count: 15_000)

    @Test("a limit is the same for letters of one byte and of four", arguments: TestEngine.allCases)
    func letters(engine: TestEngine) async throws {
        try await withChat(engine) { chat async throws in
            let id = try await chat.conversation()
            let path = "/v1/conversations/\(id)"
            #expect(try await chat.send(.patch, path, #"{"archived":true}"#).status == 200)
            for letter in ["a", "é", "𝒳"] {
                func text(_ count: Int) -> String { String(repeating: letter, count: count) }
                for (field, limit) in [("title", 1024), ("slug", 200), ("model", 256), ("archive_reason", 1024)] {
                    for (count, status) in [(limit, 200), (limit + 1, 400)] {
                        let answer = try await chat.send(.patch, path, #"{"\#(field)":"\#(text(count))"}"#)
                        #expect(answer.status == status, "\(field) \(count) \(letter): \(answer.text)")
                        if status == 400 {
                            #expect(try answer.json["errors"]?.array?.first?["code"]?.string == "too_long")
                        } else {
                            #expect(try answer.json[field]?.string == text(count))
                        }
                    }
                }
                for (count, status) in [(100, 200), (101, 400)] {
                    let answer = try await chat.send(.put, "\(path)/tags", #"{"tags":["\#(text(count))"]}"#)
                    #expect(answer.status == status, "\(answer.text)")
                }
                for (count, status) in [(1024, 200), (1025, 400)] {
                    let query = text(count).addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? ""
                    #expect(try await chat.send(.get, "/v1/search?q=\(query)").status == status)
                }
                let message = #"{"role":"user","content":"x","model":"\#(text(256))"}"#
                try await chat.append(message, to: id)
                let reserved = try await chat.send(
                    .post,
                    "/v1/usage/reservations",
                    #"{"tokens":1,"model":"\#(text(257))"}"#
                )
                #expect(reserved.status == 400, "\(reserved.text)")
            }
        }
    }

    @Test("a tag is measured before it is folded, and what it becomes is measured again")
    func tags() {
        #expect(TagName(RequestText(String(repeating: "a", count: 100))) != nil)
        #expect(TagName(RequestText(String(repeating: "a", count: 101))) == nil)
        // U+FB2C is three scalars in NFC.
        #expect(TagName(RequestText(String(repeating: "\u{FB2C}", count: 33))) != nil)
        #expect(TagName(RequestText(String(repeating: "\u{FB2C}", count: 34))) == nil)
        #expect(TagName("  Straße\u{2003}")?.text == "Straße")
        #expect(TagName(RequestText("a\u{301}"))?.text == "\u{E1}")
    }

    /// Two hundred texts, each of which took a second when characters were compared.
    @Test("60 KB of combining marks cost no more than other bytes, wherever they stand", .timeLimit(.minutes(2)))
    func marks() async throws {
        try await withChat(.sqlite) { chat async throws in
            let id = try await chat.conversation()
            let marks = Self.marks
            let few = String(repeating: "\u{301}", count: 2000) + String(repeating: "\u{316}", count: 2000)
            let fields: HTTPFields = [
                .ifMatch: marks, .idempotencyKey: marks, .origin: marks, .accept: marks, .userAgent: marks,
            ]
            for _ in 0..<20 {
                for body in [
                    #"{"title":"\#(marks)"}"#, #"{"slug":"\#(marks)"}"#, #"{"model":"\#(marks)"}"#,
                    #"{"\#(marks)":1}"#, #"{"visibility":"\#(marks)"}"#,
                ] {
                    #expect(try await chat.send(.patch, "/v1/conversations/\(id)", body).status == 400)
                }
                let merged = try await chat.send(
                    .patch,
                    "/v1/conversations/\(id)",
                    #"{"metadata":{"\#(few)":1,"a":2}}"#
                )
                #expect(merged.status == 200, "\(merged.text)")
                let content = #"{"role":"user","content":"\#(marks)","parent_id":null}"#
                try await chat.append(content, to: id)
                let parts = #"{"role":"user","parts":[{"type":"\#(marks)","text":"\#(marks)"}]}"#
                try await chat.append(parts, to: id)
                let tags = try await chat.send(.put, "/v1/conversations/\(id)/tags", #"{"tags":["\#(marks)"]}"#)
                #expect(tags.status == 400)
                let refused = try await chat.send(.post, "/v1/conversations", "{}", headers: fields)
                #expect(refused.status == 400, "\(refused.text)")
                let found = try await chat.send(.get, "/v1/conversations?limit=1", headers: fields)
                #expect(found.status == 200)
            }
            #expect(try await chat.send(.get, "/v1/search?q=word").status == 200)
        }
    }
}
