import HTTPTypes
import ServiceKit
import Storage
import TestSupport
import Testing

@testable import ChatService

@Suite("Bad input")
struct BadInputTests {
    private struct Case: Sendable {
        let method: HTTPRequest.Method
        let path: String
        let body: String?
        let status: Int
        let code: String
        var violations: [String] = []

        init(
            _ method: HTTPRequest.Method,
            _ path: String,
            _ body: String?,
            _ status: Int,
            _ code: String,
            _ violations: [String] = []
        ) {
            self.method = method
            self.path = path
            self.body = body
            self.status = status
            self.code = code
            self.violations = violations
        }
    }

    private static func invalid(
        _ method: HTTPRequest.Method,
        _ path: String,
        _ body: String?,
        _ violations: String...
    ) -> Case {
        Case(method, path, body, 400, "validation_failed", violations)
    }

    private static let conversations = "/v1/conversations"
    private static let messages = "/v1/conversations/c/messages"
    private static let long = String(repeating: "x", count: 17_000)

    private static let cases: [Case] = [
        Case(.post, conversations, "{", 400, "invalid_json"),
        Case(.post, conversations, #"{"title":"a","title":"b"}"#, 400, "json_duplicate_name"),
        Case(.post, conversations, #"{"title":"\u0000"}"#, 400, "json_nul"),
        Case(.post, conversations, nil, 400, "body_missing"),
        Case(.patch, "/v1/conversations/c", nil, 400, "body_missing"),
        Case(.post, messages, nil, 400, "body_missing"),
        invalid(.post, conversations, "[]", "(body) wrong_type"),
        invalid(.post, conversations, #"{"title":1,"owner_id":"x"}"#, "title wrong_type", "owner_id unknown_field"),
        invalid(.post, conversations, #"{"title":"  "}"#, "title too_short"),
        invalid(.post, conversations, #"{"id":"../x"}"#, "id invalid"),
        invalid(.post, conversations, #"{"slug":"a b"}"#, "slug invalid"),
        invalid(.post, conversations, #"{"visibility":"secret"}"#, "visibility invalid"),
        invalid(.post, conversations, #"{"metadata":[]}"#, "metadata wrong_type"),
        invalid(.post, conversations, #"{"metadata":{"a":"\#(long)"}}"#, "metadata too_long"),
        invalid(
            .post,
            conversations,
            #"{"messages":[{"role":"user"},7,{"role":"user","content":"x","x":1}]}"#,
            "messages[0].content required",
            "messages[1] wrong_type",
            "messages[2].x unknown_field"
        ),
        invalid(.patch, "/v1/conversations/c", #"{"pinned":"yes"}"#, "pinned wrong_type"),
        invalid(.patch, "/v1/conversations/c", #"{"message_count":5}"#, "message_count unknown_field"),
        invalid(.post, messages, "{}", "role required", "content required"),
        invalid(.post, messages, #"{"role":"robot","content":"x"}"#, "role invalid"),
        invalid(.post, messages, #"{"role":"user","content":"x","parts":[{"type":"t"}]}"#, "parts invalid"),
        invalid(.post, messages, #"{"role":"user","content":""}"#, "content too_short"),
        invalid(.post, messages, #"{"role":"user","parts":[ ]}"#, "parts too_short"),
        invalid(.post, conversations, #"{"messages":[{"role":"user","content":""}]}"#, "messages[0].content too_short"),
        invalid(.post, messages, #"{"role":"user","content":5}"#, "content wrong_type"),
        invalid(.post, messages, #"{"role":"user","parts":{}}"#, "parts wrong_type"),
        invalid(
            .post,
            messages,
            #"{"role":"user","parts":[{"type":"text"},{"text":"x"},"y"]}"#,
            "parts[1] invalid",
            "parts[2] invalid"
        ),
        invalid(.post, messages, #"{"role":"user","content":"x","tokens_in":-1}"#, "tokens_in out_of_range"),
        invalid(.post, messages, #"{"role":"user","content":"x","tokens_in":1.5}"#, "tokens_in wrong_type"),
        invalid(.post, messages, #"{"role":"user","content":"x","seq":1}"#, "seq unknown_field"),
        invalid(.post, messages, #"{"messages":[]}"#, "messages out_of_range"),
        invalid(.post, messages, #"{"messages":null}"#, "messages required"),
        invalid(
            .post,
            messages,
            #"{"messages":[{"role":"user","content":"x","id":"a"},{"role":"user","content":"y","id":"a"}]}"#,
            "messages[1].id invalid"
        ),
        invalid(.get, "\(conversations)?limit=0", nil, "limit out_of_range"),
        invalid(.get, "\(conversations)?limit=1000", nil, "limit out_of_range"),
        invalid(.get, "\(conversations)?limit=many", nil, "limit wrong_type"),
        invalid(.get, "\(conversations)?archived=perhaps", nil, "archived invalid"),
        invalid(.get, "\(conversations)/c?include=votes,parts", nil, "include invalid"),
        invalid(.get, "\(messages)?order=random", nil, "order invalid"),
        Case(.get, "\(conversations)?after=nonsense", nil, 400, "invalid_cursor"),
        Case(.get, "\(messages)?after=nonsense", nil, 400, "invalid_cursor"),
        Case(.get, "\(conversations)/nowhere", nil, 404, "not_found"),
        Case(.get, "\(conversations)/%2e%2e", nil, 400, "bad_request"),
        Case(.get, "\(conversations)/a%2f..", nil, 400, "bad_request"),
        Case(.get, "\(conversations)/", nil, 404, "not_found"),
        Case(.get, "\(conversations)/c/messages/nowhere", nil, 404, "not_found"),
        Case(.get, "/v1/nothing", nil, 404, "not_found"),
        Case(.put, conversations, "{}", 405, "method_not_allowed"),
        Case(.put, messages, "{}", 405, "method_not_allowed"),
        invalid(.patch, "\(messages)/m", #"{"role":"user"}"#, "role unknown_field"),
        invalid(.patch, "\(messages)/m", #"{"parent_id":null}"#, "parent_id unknown_field"),
        invalid(.patch, "\(messages)/m", #"{"seq":1,"version":9}"#, "seq unknown_field", "version unknown_field"),
        invalid(.patch, "\(messages)/m", #"{"status":"done"}"#, "status invalid"),
        invalid(.patch, "\(messages)/m", #"{"content":5}"#, "content wrong_type"),
        invalid(.patch, "\(messages)/m", #"{"content":"x","parts":[]}"#, "parts invalid"),
        invalid(.patch, "\(messages)/m", #"{"parts":[{"text":"x"}]}"#, "parts[0] invalid"),
        invalid(
            .patch,
            "\(messages)/m",
            #"{"tokens_in":-1,"tokens_out":1.5}"#,
            "tokens_in out_of_range",
            "tokens_out wrong_type"
        ),
        invalid(.patch, "\(messages)/m", #"{"tokens_total":9223372036854775807}"#, "tokens_total out_of_range"),
        invalid(.patch, "\(messages)/m", #"{"tokens_total":1e400}"#, "tokens_total wrong_type"),
        invalid(.patch, "\(messages)/m", #"{"metadata":"x"}"#, "metadata wrong_type"),
        Case(.patch, "\(messages)/m", nil, 400, "body_missing"),
        Case(.patch, "\(messages)/nowhere", #"{"content":"x"}"#, 404, "not_found"),
        Case(.delete, "\(messages)/nowhere", nil, 404, "not_found"),
        invalid(.delete, messages, nil, "after_seq required"),
        invalid(.delete, "\(messages)?after_seq=", nil, "after_seq wrong_type"),
        invalid(.delete, "\(messages)?after_seq=-1", nil, "after_seq out_of_range"),
        invalid(.delete, "\(messages)?after_seq=99999999999999999999", nil, "after_seq wrong_type"),
        Case(.delete, "\(conversations)/nowhere/messages?after_seq=0", nil, 404, "not_found"),
        invalid(.get, "\(messages)?last=0", nil, "last out_of_range"),
        invalid(.get, "\(messages)?last=101", nil, "last out_of_range"),
        invalid(.get, "\(messages)?last=5&limit=6", nil, "last invalid"),
        invalid(.get, "\(messages)?last=5&limit=0", nil, "limit out_of_range"),
        invalid(.get, "\(messages)?last=5&after=x", nil, "last invalid"),
        invalid(.get, "\(messages)?last=5&order=desc", nil, "last invalid"),
        invalid(.get, "\(messages)?include=everything", nil, "include invalid"),
        invalid(.get, "\(messages)?leaf=head&count=true", nil, "count invalid"),
        Case(.get, "\(messages)?leaf=head&after=nonsense", nil, 400, "invalid_cursor"),
        invalid(.patch, "\(conversations)/c", #"{"head_message_id":null}"#, "head_message_id invalid"),
        // Each of these would be 200 and change nothing.
        invalid(
            .patch,
            "\(conversations)/c",
            #"{"metadata":null,"settings":null,"visibility":null,"archived":null,"pinned":null}"#,
            "visibility wrong_type",
            "archived wrong_type",
            "pinned wrong_type",
            "settings wrong_type",
            "metadata wrong_type"
        ),
        invalid(
            .patch,
            "\(messages)/m",
            #"{"metadata":null,"type":null,"status":null,"content":null,"parts":null}"#,
            "type wrong_type",
            "status wrong_type",
            "content wrong_type",
            "parts wrong_type",
            "metadata wrong_type"
        ),
        invalid(.get, "\(messages)?page=0", nil, "page out_of_range"),
        invalid(.get, "\(messages)?limit=100&page=101", nil, "page out_of_range"),
        invalid(.get, "\(messages)?leaf=head&page=2", nil, "page invalid"),
        invalid(.get, "\(messages)?last=5&page=2", nil, "last invalid"),
    ]

    @Test("a row whose time no calendar has is served, and stops nobody", arguments: TestEngine.allCases)
    func outsideTheCalendar(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let id = try await chat.conversation()
            let age = Statement("test.age", .writes, ["at": .instant], "UPDATE conversations SET created_at = :at")
            // The year -1.
            _ = try await chat.database.run(age.bind(["at": Instant(seconds: -62_200_000_000)]))
            let answer = try await chat.send(.get, "/v1/conversations/\(id)")
            #expect(answer.status == 200)
            #expect(try answer.json["created_at"]?.string == "0001-01-01T00:00:00.000000Z")
            #expect(try await chat.send(.get, "/v1/conversations").status == 200)
            #expect(try await chat.send(.get, "/v1/chat/export").status == 200)
        }
    }

    @Test("a time that no calendar has is not imported", arguments: TestEngine.allCases)
    func importOutsideTheCalendar(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            try await chat.create(#"{"id":"c","messages":[{"role":"user","content":"x"}]}"#)
            let made = try #require(
                try await chat.send(.get, "/v1/conversations/c").json["created_at"]?.string
            )
            let text = try await chat.send(.get, "/v1/chat/export").text
            let forged = text.replacing(made, with: "0000-01-01T00:00:00+14:00")
            try #require(forged != text)
            try await withChat(engine) { other async throws in
                await #expect(throws: (any Error).self) { _ = try await other.take(Lines(forged), for: "owner") }
                #expect(try await other.rows(of: "owner") == [0, 0])
                #expect(try await other.take(Lines(text), for: "owner").conversations == 1)
            }
        }
    }

    @Test(
        "every refusal is a problem with its code and fields, and nothing is half-written",
        arguments: TestEngine.allCases
    )
    func table(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            try await chat.create(#"{"id":"c","title":"t"}"#)
            let before = try await chat.send(.get, "/v1/conversations/c").text
            for example in Self.cases {
                let answer = try await chat.send(example.method, example.path, example.body)
                let what = "\(example.method) \(example.path) \((example.body ?? "").prefix(80)): \(answer.text)"
                #expect(answer.status == example.status, "\(what)")
                #expect(answer.code == example.code, "\(what)")
                #expect(answer.violations == example.violations, "\(what)")
                #expect(answer.headers[.contentType] == "application/problem+json")
                #expect(answer.headers[.cacheControl] == "no-store")
                #expect(try answer.json["request_id"]?.string == answer.headers[.requestID])
            }
            #expect(try await chat.send(.get, "/v1/conversations/c").text == before)
            #expect(try await chat.pages("/v1/conversations?limit=100").flatMap { $0 }.count == 1)
        }
    }

    @Test("a wrong method is told which ones there are", arguments: TestEngine.allCases)
    func allow(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let answer = try await chat.send(.put, "/v1/conversations/c", "{}")
            #expect(answer.status == 405)
            let allowed = Set(answer.headers[.allow]?.split(separator: ",").map { $0.filter { $0 != " " } } ?? [])
            #expect(allowed.isSuperset(of: ["GET", "PATCH", "DELETE"]))
            #expect(!allowed.contains("PUT"))
        }
    }

    @Test("a body that is not JSON by its type, or too large, is refused", arguments: TestEngine.allCases)
    func bodies(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let form = try await chat.send(.post, "/v1/conversations", "{}", headers: [.contentType: "text/plain"])
            #expect(form.status == 415)
            #expect(form.code == "unsupported_media_type")
            try await chat.create(#"{"id":"c"}"#)
            let text = String(repeating: "x", count: 1024 * 1024)
            let large = try await chat.send(
                .post,
                "/v1/conversations/c/messages",
                #"{"role":"user","content":"\#(text)"}"#
            )
            #expect(large.status == 413)
            #expect(large.code == "body_too_large")
            try await chat.expectSound("c", count: 0)
        }
    }

    @Test("a cursor of another list is refused", arguments: TestEngine.allCases)
    func foreignCursor(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            for index in 0..<2 { try await chat.create(#"{"id":"c-\#(index)"}"#) }
            let cursor = try #require(
                try await chat.send(.get, "/v1/conversations?limit=1").json["next_cursor"]?.string
            )
            let answer = try await chat.send(.get, "/v1/conversations/c-0/messages?after=\(cursor)")
            #expect(answer.code == "invalid_cursor")
            let both = try await chat.send(.get, "/v1/conversations?after=\(cursor)&before=\(cursor)")
            #expect(both.violations == ["before invalid"])
        }
    }
}
