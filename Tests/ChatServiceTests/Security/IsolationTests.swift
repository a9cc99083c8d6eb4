import HTTPTypes
import ServiceKit
import TestSupport
import Testing

@Suite("Isolation")
struct IsolationTests {
    @Test("another user's rows are 404 on every path, and nothing of them changes", arguments: TestEngine.allCases)
    func strangers(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let id = try await chat.conversation(#"{"messages":[{"role":"user","content":"secret","id":"m-1"}]}"#)
            let mine = try await chat.conversation(as: "stranger")
            let before = try await chat.send(.get, "/v1/conversations/\(id)?include=messages").text
            let attempts: [(HTTPRequest.Method, String, String?)] = [
                (.get, "/v1/conversations/\(id)", nil),
                (.get, "/v1/conversations/\(id)?include=messages", nil),
                (.patch, "/v1/conversations/\(id)", #"{"title":"x"}"#),
                (.patch, "/v1/conversations/\(id)", #"{"metadata":{"x":1}}"#),
                (.patch, "/v1/conversations/\(id)", "{}"),
                (.delete, "/v1/conversations/\(id)", nil),
                (.get, "/v1/conversations/\(id)/messages", nil),
                (.get, "/v1/conversations/\(id)/messages/m-1", nil),
                (.post, "/v1/conversations/\(id)/messages", #"{"role":"user","content":"x"}"#),
                (
                    .post, "/v1/conversations/\(id)/messages",
                    #"{"messages":[{"role":"user","content":"x"},{"role":"user","content":"y"}]}"#
                ),
                (.get, "/v1/conversations/\(id)/messages?leaf=m-1", nil),
                (.get, "/v1/conversations/\(id)/messages?leaf=head", nil),
                (.get, "/v1/conversations/\(id)/messages?last=5&include=siblings", nil),
                (.get, "/v1/conversations/\(id)/messages/m-1?include=siblings", nil),
                (.patch, "/v1/conversations/\(id)/messages/m-1", #"{"content":"x"}"#),
                (.patch, "/v1/conversations/\(id)/messages/m-1", #"{"tokens_in":5}"#),
                (.patch, "/v1/conversations/\(id)/messages/m-1", #"{"metadata":{"x":1}}"#),
                (.patch, "/v1/conversations/\(id)/messages/m-1", "{}"),
                (.delete, "/v1/conversations/\(id)/messages/m-1", nil),
                (.delete, "/v1/conversations/\(id)/messages?after_seq=0", nil),
                (.patch, "/v1/conversations/\(id)", #"{"head_message_id":"m-1"}"#),
                // A child under another parent.
                (.get, "/v1/conversations/\(mine)/messages?leaf=m-1", nil),
                (.patch, "/v1/conversations/\(mine)/messages/m-1", #"{"content":"x"}"#),
                (.delete, "/v1/conversations/\(mine)/messages/m-1", nil),
                (.get, "/v1/conversations/\(mine)/messages/m-1", nil),
            ]
            for (method, path, body) in attempts {
                let answer = try await chat.send(method, path, as: "stranger", body)
                #expect(answer.status == 404, "\(method) \(path)")
                #expect(!answer.text.contains("secret"))
                let nowhere = path.replacing(id, with: "nowhere").replacing("m-1", with: "m-2")
                let other = try await chat.send(method, nowhere, as: "stranger", body)
                #expect(other.code == answer.code)
            }
            let list = try await chat.pages("/v1/conversations?limit=20", as: "stranger").flatMap { $0 }
            #expect(list.compactMap { $0["id"]?.string } == [mine])
            #expect(try await chat.send(.get, "/v1/conversations/\(id)?include=messages").text == before)
        }
    }

    @Test("a cursor of another user's list selects among the caller's own rows only", arguments: TestEngine.allCases)
    func cursors(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            for _ in 0..<3 { try await chat.create() }
            let cursor = try #require(
                try await chat.send(.get, "/v1/conversations?limit=1").json["next_cursor"]?.string
            )
            let page = try await chat.send(.get, "/v1/conversations?after=\(cursor)", as: "stranger").json
            #expect(page["data"]?.array?.isEmpty == true)
        }
    }
}
