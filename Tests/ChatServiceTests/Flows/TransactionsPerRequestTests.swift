// Counts every transaction of a request. A chat's frequent requests are one each, and the token is verified without a
// row.
import ChatService
import HTTPTypes
import Storage
import TestSupport
import Testing

@Suite("Units per request")
struct TransactionsPerRequestTests {
    private static let before = ["principals.touch", "principals.state"]

    @Test("hot requests are one unit", arguments: TestEngine.allCases)
    func hot(engine: TestEngine) async throws {
        try await withChat(engine, counting: true) { chat in
            let counting = try #require(chat.database as? CountingDatabase)
            let id = try await chat.conversation(#"{"title":"Notes"}"#)
            let path = "/v1/conversations/\(id)"
            let message = "m-1"
            try await chat.append(#"{"id":"\#(message)","role":"user","content":"hello"}"#, to: id)
            let one = #"{"role":"user","parts":[{"type":"text","text":"hello"}]}"#
            let spending =
                #"{"role":"assistant","parts":[{"type":"text","text":"hi"}],"tokens_in":3,"tokens_out":4,"tokens_total":7}"#

            let append =
                Self.before + ["conversations.lock", "messages.insert", "usage.count", "conversations.advance"]
            let spend =
                Self.before + [
                    "conversations.lock", "messages.insert", "usage.record", "usage.count", "principals.add_tokens",
                    "conversations.advance",
                ]
            let table: [(method: HTTPRequest.Method, path: String, body: String?, status: Int, expected: [String])] = [
                (.post, path + "/messages", one, 201, append),
                (.post, path + "/messages", spending, 201, spend),
                (.get, path + "/messages?limit=20", nil, 200, ["messages.later"]),
                (
                    .get, path + "/messages?limit=20&count=true", nil, 200,
                    ["conversations.is_visible", "messages.later"]
                ),
                (.get, path + "/messages?last=50", nil, 200, ["messages.earlier"]),
                (.get, path + "/messages?last=50&include=siblings", nil, 200, ["messages.earlier_with_siblings"]),
                (.get, path + "/messages?leaf=head", nil, 200, ["messages.towards_root"]),
                (.get, path + "/messages/\(message)?include=siblings", nil, 200, ["messages.get_with_siblings"]),
                (
                    .patch, path + "/messages/\(message)", #"{"content":"more","status":"completed"}"#, 200,
                    Self.before + ["conversations.lock", "conversations.adjust_tokens", "messages.change"]
                ),
                (
                    .patch, path + "/messages/\(message)", #"{"tokens_out":9}"#, 200,
                    Self.before + [
                        "conversations.lock", "usage.count_correction", "usage.take_back", "principals.adjust_tokens",
                        "usage.record_taken", "usage.record_correction", "conversations.adjust_tokens",
                        "messages.change",
                    ]
                ),
                (
                    .delete, path + "/messages/\(message)", nil, 204,
                    Self.before + ["conversations.lock", "conversations.deduct", "messages.delete", "messages.adopt"]
                ),
                (
                    .delete, path + "/messages?after_seq=1", nil, 200,
                    Self.before + [
                        "conversations.lock", "conversations.deduct_newest", "messages.truncate",
                        "conversations.remaining",
                    ]
                ),
                (.get, path, nil, 200, ["conversations.get"]),
                (.get, path + "?include=messages", nil, 200, ["conversations.get", "messages.earlier"]),
                (
                    .get, path + "?include=messages,votes", nil, 200,
                    ["conversations.get", "messages.earlier", "votes.newest"]
                ),
                (.get, path + "/votes", nil, 200, ["conversations.is_visible", "votes.later"]),
                (
                    .put, path + "/tags", #"{"tags":["a"]}"#, 200,
                    Self.before + [
                        "conversation_tags.clear", "tags.ensure", "conversation_tags.add",
                        "conversation_tags.changed", "conversations.is_visible",
                    ]
                ),
                (.get, path + "/tags", nil, 200, ["conversations.get"]),
                (.get, "/v1/tags", nil, 200, ["tags.later"]),
                (.get, "/v1/conversations", nil, 200, ["conversations.older"]),
                (.get, "/v1/conversations?page=2", nil, 200, ["conversations.numbered"]),
                (.get, "/v1/conversations?trash=true", nil, 200, ["trash.older"]),
                (.get, "/v1/conversations?count=true", nil, 200, ["conversations.older", "conversations.count"]),
                (.post, "/v1/conversations", "{}", 201, Self.before + ["conversations.insert"]),
                (
                    .patch, path, #"{"title":"More notes"}"#, 200,
                    Self.before + ["conversations.change", "conversations.is_visible"]
                ),
                (.delete, path, nil, 204, Self.before + ["conversations.trash", "conversations.is_visible"]),
                (.post, path + "/restore", nil, 200, Self.before + ["trash.restore", "conversations.get"]),
                (
                    .delete, path + "?permanent=true", nil, 204,
                    Self.before + ["trash.end", "trash.remove_messages", "trash.remove"]
                ),
            ]
            for request in table {
                counting.forget()
                let answer = try await chat.send(request.method, request.path, as: "owner", request.body)
                #expect(answer.status == request.status, "\(request.method) \(request.path): \(answer.text)")
                #expect(counting.transactions == [request.expected], "\(request.method) \(request.path)")
            }
        }
    }

    @Test("a request that is refused for its token or its body runs none", arguments: TestEngine.allCases)
    func refused(engine: TestEngine) async throws {
        try await withChat(engine, counting: true) { chat in
            let counting = try #require(chat.database as? CountingDatabase)
            counting.forget()
            #expect(try await chat.send(.get, "/v1/conversations", as: nil).status == 401)
            #expect(try await chat.send(.post, "/v1/conversations", as: "owner", #"{"title":7}"#).status == 400)
            #expect(counting.transactions == [])
        }
    }
}
